// Package register keeps who may do what and where: accounts and how they sign
// in, organisations and their members, places with their posters and
// introductions, difficulties, other systems' tokens. It is a room of package
// store, over whose transactions all its SQL runs, the same for SQLite and
// PostgreSQL.
//
//	reg := register.New(s, time.Now)
//	account, err := reg.SignedIn(ctx, signin)
//	place, err := reg.Place(ctx, no)
//
// The promise: each change is one durable transaction together with its audit
// row, which says who did what to which object and holds no personal data; a
// change of what somebody else has changed meanwhile is refused with
// [qrgate.ErrConflict] and loses nothing.
//
// It decides no access: who may call what is package portal's table of routes.
// Secrets come in as hashes; how they are made and compared is package signin's
// matter.
package register

import (
	"time"

	"github.com/qrgate/qrgate/server/store"
)

// A Register is the tables. It is safe for concurrent use, also by several
// servers.
type Register struct {
	s   *store.Store
	now func() time.Time
}

// New returns the register in s.
func New(s *store.Store, now func() time.Time) *Register { return &Register{s, now} }
