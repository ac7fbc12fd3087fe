package casebook

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// Errors that callers treat differently.
var (
	// ErrApproval means that nobody has approved yet that persons are seen.
	ErrApproval = fmt.Errorf("case is not approved: %w", qrgate.ErrForbidden)
	// ErrOwn means that somebody was to approve or to review what they did.
	ErrOwn = fmt.Errorf("it is their own: %w", qrgate.ErrForbidden)
	// ErrTooMany means that somebody has looked for too many persons within an
	// hour, or asks for too much at once.
	ErrTooMany = fmt.Errorf("too many: %w", qrgate.ErrForbidden)
	// ErrEnded means that a case is closed, ruled out or past its end.
	ErrEnded = fmt.Errorf("case has ended: %w", qrgate.ErrRevoked)
	// ErrChanged means that somebody else has changed the case meanwhile.
	ErrChanged = fmt.Errorf("case has changed meanwhile: %w", qrgate.ErrConflict)
	// ErrOutdated means that a case traces something else by now than a result did: an
	// officer chose stays, let a check-in count, or said who is one human meanwhile. It
	// is to be traced again.
	ErrOutdated = fmt.Errorf("case traces something else by now: %w", qrgate.ErrConflict)
)

// A Book is the tables of cases. It is safe for concurrent use, also by several
// servers.
type Book struct {
	s      *store.Store
	v      *vault.Vault
	people *register.Cards
	now    func() time.Time
}

// New returns the casebook in s, whose keys and persons v keeps.
func New(s *store.Store, v *vault.Vault, now func() time.Time) *Book {
	return &Book{s, v, register.New(s, now).Cards(v), now}
}

// A query reads rows, in a transaction or outside of one.
type query func(scan func(*sql.Rows) error, query string, args ...any) error

func (b *Book) reading(ctx context.Context) query {
	return func(scan func(*sql.Rows) error, query string, args ...any) error {
		return b.s.Read(ctx, scan, query, args...)
	}
}

// held returns the scopes within which an account holds one of the roles.
func held(q query, account string, roles ...qrgate.Role) ([]qrgate.Scope, error) {
	var all []qrgate.Scope
	err := q(func(rows *sql.Rows) error {
		var role, text string
		if err := rows.Scan(&role, &text); err != nil {
			return err
		}
		s, err := qrgate.ParseScope(text)
		if slices.Contains(roles, qrgate.Role(role)) {
			all = append(all, s)
		}
		return err
	}, "SELECT role, scope FROM grants WHERE account = ? ORDER BY scope", account)
	return all, err
}

// covers reports whether one of the scopes holds all of another.
func covers(held []qrgate.Scope, of qrgate.Scope) bool {
	return slices.ContainsFunc(held, func(s qrgate.Scope) bool {
		if s == qrgate.All || s == of {
			return true
		}
		if s.Kind != qrgate.InArea || of.Kind != qrgate.InArea {
			return false
		}
		wide, err := area.ParseID(s.ID)
		narrow, other := area.ParseID(of.ID)
		return err == nil && other == nil && area.Covers(wide, narrow)
	})
}

// A file is a case with what is sealed of it.
type file struct {
	Case
	body
	wrapped []byte
	key     *vault.CaseKey
}

// load returns a case that somebody may know of, because they hold one of the
// roles where it is. What is past its end cannot be opened.
func (b *Book) load(q query, by, id string, roles ...qrgate.Role) (*file, error) {
	scopes, err := held(q, by, roles...)
	if err != nil {
		return nil, err
	}
	f, err := b.read(q, id)
	if err != nil {
		return nil, err
	}
	if !covers(scopes, f.Scope) {
		return nil, qrgate.ErrNotFound
	}
	return f, b.judge(q, by, f)
}

// read returns a case, whoever asks.
func (b *Book) read(q query, id string) (*file, error) {
	var f *file
	var sealed []byte
	err := q(func(rows *sql.Rows) error {
		f = new(file)
		return f.scan(rows, &f.wrapped, &sealed)
	}, "SELECT "+caseColumns+", c.wrapped, c.sealed FROM cases c WHERE c.id = ?", id)
	if err == nil && f == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if f.Erased = f.Erased || !f.Ends.After(b.now()); f.Erased {
		return f, nil
	}
	if f.key, err = b.v.CaseKey(f.ID, f.wrapped); err != nil {
		return nil, err
	}
	if err := unseal(f.key, fieldBody, sealed, &f.body); err != nil {
		return nil, err
	}
	f.show()
	return f, nil
}

// judge says whether somebody may see the persons of a case.
func (b *Book) judge(q query, by string, f *file) error {
	var err error
	if f.Glass, err = b.lastGlass(q, f); err != nil {
		return err
	}
	broken := f.Glass != nil && f.Glass.By == by && b.now().Before(f.Glass.Until) && f.Approval != Refused
	officer, err := held(q, by, qrgate.HealthOfficer)
	f.Open = f.working() && covers(officer, f.Scope) && (f.Approval == NotNeeded || f.Approval == Approved || broken)
	return err
}

// work is load for an officer who works on a case that goes on.
func (b *Book) work(q query, by, id string) (*file, error) {
	f, err := b.load(q, by, id, qrgate.HealthOfficer)
	if err == nil && !f.working() {
		err = ErrEnded
	}
	return f, err
}

// persons is work for who is to see persons.
func (b *Book) persons(q query, by, id string) (*file, error) {
	f, err := b.work(q, by, id)
	if err == nil && !f.Open {
		err = ErrApproval
	}
	return f, err
}

func (f *file) working() bool {
	return !f.Erased && (f.State == Suspected || f.State == Confirmed)
}

// change lets fn change a case of the version that somebody has seen, and writes
// it down.
func (b *Book) change(ctx context.Context, action, by, id string, version int, load func(q query, by, id string) (*file, error), fn func(t store.Tx, f *file) (note string, err error)) error {
	return b.write(ctx, action, func(t store.Tx) error {
		f, err := load(t.Each, by, id)
		if err != nil {
			return err
		}
		if f.Version != version {
			return ErrChanged
		}
		note, err := fn(t, f)
		if err != nil {
			return err
		}
		if err := b.save(t, f); err != nil {
			return err
		}
		return t.Audit(by, action, object(id), note)
	})
}

// write is a transaction whose error says what was tried.
func (b *Book) write(ctx context.Context, action string, fn func(store.Tx) error) error {
	if err := b.s.Write(ctx, fn); err != nil {
		return fmt.Errorf("casebook: %s: %w", action, err)
	}
	return nil
}

// save writes a case that was read in the same transaction.
func (b *Book) save(t store.Tx, f *file) error {
	sealed, err := seal(f.key, fieldBody, &f.body)
	if err != nil {
		return err
	}
	n, err := t.Exec(`UPDATE cases SET state = ?, profile = ?, changed = ?, ends = ?, approval = ?, decided_by = ?, decided = ?, runs = ?, late = ?, version = version + 1, sealed = ?
		WHERE id = ? AND version = ?`,
		string(f.State), f.Profile, b.now().UnixMilli(), f.Ends.UnixMilli(), string(f.Approval), f.DecidedBy, orNull(f.Decided), f.Runs, orNull(f.Late), sealed, f.ID, f.Version)
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return err
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// object is a case as audit rows name it.
func object(id string) string { return "case " + id }
