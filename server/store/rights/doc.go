// Package rights keeps what a server must be able to prove of the data that it
// holds of people: the chain of audit rows, what was dropped at the end of its
// retention, what people have asked for and what became of it. It is a room of
// package store, over whose transactions all its SQL runs, the same for SQLite and
// PostgreSQL.
//
//	r := rights.New(s, time.Now)
//	n, err := r.Seal(ctx, signer)          // every few seconds
//	chain, err := r.VerifyAudit(ctx, keys) // now and then
//
// # The chain of audit rows
//
// A transaction that changes something writes its audit row and waits for nobody.
// Some seconds later a seal takes in all rows that are not sealed yet: it gives
// them their places in the chain, hashes them with the seal before it and signs
// that. A byte of a sealed row that is changed, a row that is taken out or put in
// between, a seal that is taken out: [Rights.VerifyAudit] says within which seal.
//
// What it cannot find is what happened to a row before it was sealed, by somebody
// who may write to the database: that is the window of a few seconds, or as long as
// no server ran. A row that is put in later with an older date is sealed as one
// that came late, and reported. That the newest seals were cut off together with
// their rows shows beside the copy of the newest seal that each server keeps
// outside the database (package retention).
//
// Audit rows are kept as long as the server: they hold ids of accounts, places,
// cards and cases and no personal data, and they are what proves for years that
// nobody looked without a reason.
//
// The promise: each change is one durable transaction together with its audit row.
// The package decides no access, and who may call what is package portal's matter.
package rights

import (
	"time"

	"github.com/qrgate/qrgate/server/store"
)

// Rights are the tables. They are safe for concurrent use, also by several
// servers.
type Rights struct {
	s   *store.Store
	now func() time.Time
}

// New returns the tables in s.
func New(s *store.Store, now func() time.Time) *Rights { return &Rights{s, now} }
