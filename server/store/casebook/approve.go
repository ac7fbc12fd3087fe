package casebook

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// GlassFor is how long an officer who has broken the glass may see persons.
const GlassFor = 24 * time.Hour

// A Glass is that one officer looked at the persons of a case without waiting for
// approval.
type Glass struct {
	ID         string
	Case       string // id
	Number     string // of the case
	By         string // account
	At         time.Time
	Until      time.Time
	Reason     string // empty once the case's end has passed
	ReviewedBy string // account, empty until the data-protection officer has said something
	Reviewed   time.Time
	Proper     bool   // what they said
	Verdict    string // why; empty once the case's end has passed
	// Restrained says that it was not approval that was not waited for: data was
	// used whose use somebody had restricted, until the case's end.
	Restrained bool
	People     int // whose data that was; 0 once the case's end has passed

	persons []qrgate.Person
}

type glassBody struct {
	Reason  string
	Verdict string
	Persons []qrgate.Person `cbor:",omitempty"` // whose use was restricted
}

// Ask asks a second officer to approve a case, which must say who or where.
func (b *Book) Ask(ctx context.Context, by, id string, version int) error {
	return b.change(ctx, "ask for approval", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		if f.body.Index == 0 && f.body.Place == (qrgate.Spot{}) {
			return "", fmt.Errorf("nobody is to be traced: %w", qrgate.ErrInvalid)
		}
		if f.Approval != Needed && f.Approval != Refused {
			return "", ErrChanged
		}
		f.Approval, f.DecidedBy, f.Decided = Asked, "", time.Time{}
		if f.body.Asked = nil; f.body.Index != 0 {
			pairs, err := b.same(t.Each, f)
			if err != nil {
				return "", err
			}
			f.body.Asked = selves(f.body.Index, pairs)
		}
		approvers, err := b.whoHolds(t, qrgate.Approver, f.Scope)
		if err != nil {
			return "", err
		}
		return "", b.tell(t, f.ID, ToApprove, approvers...)
	})
}

// What approvers do, as audit rows name it.
const (
	approveCase = "approve case"
	refuseCase  = "refuse case"
)

// Decide approves or refuses what was asked. The error is [ErrOwn] for whoever has
// opened the case, worked on it before they became an approver, or looked without
// approval.
func (b *Book) Decide(ctx context.Context, by, id string, version int, approve bool) error {
	load := func(q query, by, id string) (*file, error) {
		f, err := b.load(q, by, id, qrgate.Approver)
		if err == nil && !f.working() {
			err = ErrEnded
		}
		return f, err
	}
	action, approval := refuseCase, Refused
	if approve {
		action, approval = approveCase, Approved
	}
	return b.change(ctx, action, by, id, version, load, func(t store.Tx, f *file) (string, error) {
		worked, err := workedOn(t, by, id)
		if err != nil {
			return "", err
		}
		if f.OpenedBy == by || worked || f.Glass != nil && f.Glass.By == by {
			return "", ErrOwn
		}
		if f.Approval != Asked {
			return "", ErrChanged
		}
		f.Approval, f.DecidedBy, f.Decided = approval, by, b.now()
		return "", b.tell(t, f.ID, Decided, f.OpenedBy)
	})
}

// workedOn reports whether somebody has done anything with a case but decide of it.
func workedOn(t store.Tx, by, id string) (worked bool, err error) {
	err = t.Each(func(*sql.Rows) error { worked = true; return nil },
		"SELECT 1 FROM audit WHERE object = ? AND actor = ? AND action NOT IN (?, ?) LIMIT 1", object(id), by, approveCase, refuseCase)
	return worked, err
}

// BreakGlass lets one officer see the persons of a case for [GlassFor] although
// nobody has approved it, for a reason. The data-protection officers are told. Not
// of a case that was refused, nor again before the last time was reviewed: then
// the error is [ErrApproval].
func (b *Book) BreakGlass(ctx context.Context, by, id string, version int, reason string) error {
	reason = strings.TrimSpace(reason)
	return b.change(ctx, "break glass", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		switch {
		case f.Approval == NotNeeded || f.Approval == Approved:
			return "", fmt.Errorf("nothing is to be broken: %w", qrgate.ErrConflict)
		case f.Approval == Refused, f.Glass != nil && f.Glass.Reviewed.IsZero():
			return "", ErrApproval
		}
		if err := checkReason(reason); err != nil {
			return "", fmt.Errorf("reason: %w", err)
		}
		glass, now := store.NewID(), b.now()
		sealed, err := seal(f.key, fieldGlass(glass), glassBody{Reason: reason})
		if err != nil {
			return "", err
		}
		_, err = t.Exec("INSERT INTO case_glasses (id, case_id, made_by, made, until, reviewed_by, sealed) VALUES (?, ?, ?, ?, ?, '', ?)",
			glass, id, by, now.UnixMilli(), now.Add(GlassFor).UnixMilli(), sealed)
		if err != nil {
			return "", err
		}
		officers, err := b.whoHolds(t, qrgate.Protection, f.Scope)
		if err != nil {
			return "", err
		}
		return "glass " + glass, b.tell(t, f.ID, GlassBroken, officers...)
	})
}

// Review says whether it was proper to break the glass. A data-protection officer
// says it, once.
func (b *Book) Review(ctx context.Context, by, glass string, proper bool, verdict string) error {
	verdict = strings.TrimSpace(verdict)
	return b.write(ctx, "review glass", func(t store.Tx) error {
		if scopes, err := held(t.Each, by, qrgate.Protection); err != nil || len(scopes) == 0 {
			return orNotFound(err)
		}
		id := ""
		if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&id) }, "SELECT case_id FROM case_glasses WHERE id = ?", glass); err != nil || id == "" {
			return orNotFound(err)
		}
		f, err := b.read(t.Each, id)
		if err != nil {
			return err
		}
		all, err := b.glasses(t.Each, "g.id = ?", glass)
		if err != nil {
			return err
		}
		g := all[0]
		switch {
		case g.By == by || f.OpenedBy == by:
			return ErrOwn
		case !g.Reviewed.IsZero():
			return ErrChanged
		}
		if err := checkReason(verdict); err != nil {
			return fmt.Errorf("verdict: %w", err)
		}
		var sealed any
		if !f.Erased {
			if sealed, err = seal(f.key, fieldGlass(glass), glassBody{g.Reason, verdict, g.persons}); err != nil {
				return err
			}
		}
		n, err := t.Exec("UPDATE case_glasses SET reviewed_by = ?, reviewed = ?, proper = ?, sealed = ? WHERE id = ? AND reviewed IS NULL",
			by, b.now().UnixMilli(), flag(proper), sealed, glass)
		if err == nil && n == 0 {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
		if err := b.tell(t, id, Reviewed, g.By); err != nil {
			return err
		}
		note := "improper"
		if proper {
			note = "proper"
		}
		return t.Audit(by, "review glass", object(id), note+" glass "+glass)
	})
}

// Glasses returns to a data-protection officer when somebody looked without
// approval, the latest first, or only what is to be reviewed.
func (b *Book) Glasses(ctx context.Context, by string, unreviewed bool) ([]Glass, error) {
	q := b.reading(ctx)
	scopes, err := held(q, by, qrgate.Protection)
	if err == nil && len(scopes) == 0 {
		err = qrgate.ErrForbidden
	}
	where := "1 = 1"
	if unreviewed {
		where = "g.reviewed IS NULL"
	}
	var all []Glass
	if err == nil {
		all, err = b.glasses(q, where)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: glasses: %w", err)
	}
	return all, nil
}

// lastGlass returns the last time that somebody looked at a case without approval.
func (b *Book) lastGlass(q query, f *file) (*Glass, error) {
	all, err := b.glasses(q, "g.case_id = ? AND g.kind = ''", f.ID)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

func (b *Book) glasses(q query, where string, args ...any) ([]Glass, error) {
	var all []Glass
	var sealed, wrapped [][]byte
	err := q(func(rows *sql.Rows) error {
		var g Glass
		var year, no int
		var proper sql.NullInt64
		var s, w []byte
		kind := ""
		err := rows.Scan(&g.ID, &g.Case, &g.By, (*store.Milli)(&g.At), (*store.Milli)(&g.Until), &g.ReviewedBy, (*store.Milli)(&g.Reviewed), &proper, &s, &kind, &year, &no, &w)
		g.Number, g.Proper, g.Restrained = numberOf(year, no), proper.Int64 != 0, kind == glassRestraint
		all, sealed, wrapped = append(all, g), append(sealed, s), append(wrapped, w)
		return err
	}, `SELECT g.id, g.case_id, g.made_by, g.made, g.until, g.reviewed_by, g.reviewed, g.proper, g.sealed, g.kind, c.year, c.no, c.wrapped
		FROM case_glasses g JOIN cases c ON c.id = g.case_id WHERE `+where+" ORDER BY g.made DESC, g.id", args...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if sealed[i] == nil || wrapped[i] == nil {
			continue
		}
		key, err := b.v.CaseKey(all[i].Case, wrapped[i])
		if err != nil {
			return nil, err
		}
		var body glassBody
		if err := unseal(key, fieldGlass(all[i].ID), sealed[i], &body); err != nil {
			return nil, err
		}
		all[i].Reason, all[i].Verdict = body.Reason, body.Verdict
		all[i].persons, all[i].People = body.Persons, len(body.Persons)
	}
	return all, nil
}

// whoHolds returns the accounts that hold a role where a case is.
func (b *Book) whoHolds(t store.Tx, role qrgate.Role, of qrgate.Scope) ([]string, error) {
	var all []string
	err := t.Each(func(rows *sql.Rows) error {
		var account, text string
		if err := rows.Scan(&account, &text); err != nil {
			return err
		}
		s, err := qrgate.ParseScope(text)
		if covers([]qrgate.Scope{s}, of) {
			all = append(all, account)
		}
		return err
	}, "SELECT account, scope FROM grants WHERE role = ? ORDER BY account, scope", string(role))
	return all, err
}

// orNotFound is for what is not there unless it failed.
func orNotFound(err error) error {
	if err == nil {
		err = qrgate.ErrNotFound
	}
	return err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
