package casebook

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/trace"
)

// A State is what is known of a case.
type State string

// The states. Nobody works on a case that is ruled out or closed.
const (
	Suspected State = "suspected"
	Confirmed State = "confirmed"
	RuledOut  State = "ruled_out"
	Closed    State = "closed"
)

// States returns every state, in the order in which people are shown them.
func States() []State { return []State{Suspected, Confirmed, RuledOut, Closed} }

// An Approval says whether a second officer lets persons be seen.
type Approval string

// The approvals.
const (
	NotNeeded Approval = "not_needed" // the profile does not ask for it
	Needed    Approval = "needed"     // nobody was asked yet
	Asked     Approval = "asked"
	Approved  Approval = "approved"
	Refused   Approval = "refused"
)

// How long cases last.
const (
	Life    = 30 * 24 * time.Hour  // unless somebody says otherwise
	MaxLife = 180 * 24 * time.Hour // counted from when it was opened
	Grace   = 7 * 24 * time.Hour   // of a case that was ruled out or closed
)

// MaxWindow is the longest time that a case asks about.
const MaxWindow = 62 * 24 * time.Hour

// Lengths of what officers write, in letters.
const (
	MinReason = 10
	MaxText   = 2000
)

// A Case is why persons are traced. From Purpose on its fields are empty in lists
// but for [Book.Waiting], and once its end has passed.
type Case struct {
	ID       string
	Number   string // CB-2026-000123
	State    State
	Profile  string       // id of a [trace.Profile]
	Scope    qrgate.Scope // in which its officers are
	OpenedBy string       // account
	Opened   time.Time
	Changed  time.Time
	Ends     time.Time // then all that is sealed of it is erased
	Approval Approval
	// DecidedBy approved or refused it.
	DecidedBy string
	Decided   time.Time
	Runs      int       // how often it was traced
	Late      time.Time // when check-ins were noticed that its last run did not know; zero if there are none
	Version   int
	Erased    bool // its end has passed

	Purpose string
	// The time that is asked about.
	From, To time.Time
	// Who is traced, or where: an outbreak at a place. Both are zero until they are
	// set.
	Index Ref
	Place qrgate.Spot

	Glass *Glass // the last time that somebody looked without approval; nil if nobody did
	Open  bool   // who asked may see its persons
}

// body is what is sealed of a case.
type body struct {
	Purpose  string
	From, To int64 // Unix milliseconds
	Index    qrgate.Person
	Place    qrgate.Spot
	Chosen   []trace.ID
	Left     []trace.ID `cbor:",omitempty"` // of cases of an older version, which did not keep it, none
	Restored []trace.ID
	Same     []pair
	// Asked is the index under everything that it was known as when approval was asked
	// for; of cases of an older version, which did not keep it, none.
	Asked []qrgate.Person `cbor:",omitempty"`
}

// show sets the fields of a case that its body says.
func (f *file) show() {
	f.Case.Purpose, f.Case.From, f.Case.To = f.body.Purpose, time.UnixMilli(f.body.From), time.UnixMilli(f.body.To)
	f.Case.Index, f.Case.Place = f.ref(f.body.Index), f.body.Place
}

const caseColumns = `c.id, c.year, c.no, c.state, c.profile, c.scope, c.opened_by, c.opened, c.changed, c.ends, c.approval, c.decided_by, c.decided,
	c.runs, c.late, c.version, CASE WHEN c.wrapped IS NULL THEN 1 ELSE 0 END`

func (c *Case) scan(rows *sql.Rows, more ...any) error {
	var year, no, erased int
	var scope string
	err := rows.Scan(append([]any{&c.ID, &year, &no, &c.State, &c.Profile, &scope, &c.OpenedBy, (*store.Milli)(&c.Opened), (*store.Milli)(&c.Changed),
		(*store.Milli)(&c.Ends), &c.Approval, &c.DecidedBy, (*store.Milli)(&c.Decided), &c.Runs, (*store.Milli)(&c.Late), &c.Version, &erased}, more...)...)
	if err == nil {
		c.Scope, err = qrgate.ParseScope(scope)
	}
	c.Number, c.Erased = numberOf(year, no), erased != 0
	return err
}

func numberOf(year, no int) string { return fmt.Sprintf("CB-%d-%06d", year, no) }

// An Opening says why a case is opened.
type Opening struct {
	State   State  // Suspected or Confirmed
	Profile string // id of a [trace.Profile]
	Purpose string
	// The time to ask about. Zero is as many days as the profile says, until now.
	From, To time.Time
	Ends     time.Time    // zero for [Life] from now
	Scope    qrgate.Scope // in which the officer's role is held; zero if it is held in one alone
}

// Open opens a case. The error is of kind [qrgate.ErrInvalid] if the opening does not
// say enough, and [qrgate.ErrForbidden] if who asks is no health officer there.
func (b *Book) Open(ctx context.Context, by string, o Opening) (*Case, error) {
	now := b.now().Truncate(time.Millisecond)
	profile, ok := trace.FindProfile(o.Profile)
	if !ok || o.State != Suspected && o.State != Confirmed {
		return nil, fmt.Errorf("casebook: open: profile or state: %w", qrgate.ErrInvalid)
	}
	if o.To.IsZero() {
		o.To = now
	}
	if o.From.IsZero() {
		o.From = o.To.AddDate(0, 0, -profile.Days)
	}
	if o.Ends.IsZero() {
		o.Ends = now.Add(Life)
	}
	f := &file{body: body{Purpose: strings.TrimSpace(o.Purpose), From: o.From.UnixMilli(), To: o.To.UnixMilli()}}
	if err := checkReason(f.body.Purpose); err != nil {
		return nil, fmt.Errorf("casebook: open: purpose: %w", err)
	}
	if err := checkWindow(o.From, o.To, now); err != nil {
		return nil, fmt.Errorf("casebook: open: %w", err)
	}
	if !o.Ends.After(now) || o.Ends.After(now.Add(MaxLife)) {
		return nil, fmt.Errorf("casebook: open: end: %w", qrgate.ErrInvalid)
	}
	err := b.write(ctx, "open", func(t store.Tx) error {
		scopes, err := held(t.Each, by, qrgate.HealthOfficer)
		if err != nil {
			return err
		}
		scope := o.Scope
		if scope == (qrgate.Scope{}) {
			if len(scopes) > 1 {
				return fmt.Errorf("scope: %w", qrgate.ErrInvalid)
			}
			if len(scopes) == 1 {
				scope = scopes[0]
			}
		}
		if !covers(scopes, scope) {
			return qrgate.ErrForbidden
		}
		// Two cases must not take one number.
		if err := t.Lock("cases"); err != nil {
			return err
		}
		year, no := now.In(qrgate.Zone).Year(), 0
		err = t.Each(func(rows *sql.Rows) error { return rows.Scan(&no) }, "SELECT COALESCE(MAX(no), 0) + 1 FROM cases WHERE year = ?", year)
		if err != nil {
			return err
		}
		approval := NotNeeded
		if profile.Approve {
			approval = Needed
		}
		f.Case = Case{
			ID: store.NewID(), Number: numberOf(year, no), State: o.State, Profile: profile.ID, Scope: scope, OpenedBy: by, Opened: now, Changed: now,
			Ends: o.Ends.Truncate(time.Millisecond), Approval: approval, Version: 1, Open: approval == NotNeeded,
		}
		f.wrapped = b.v.NewCaseKey(f.ID)
		if f.key, err = b.v.CaseKey(f.ID, f.wrapped); err != nil {
			return err
		}
		f.show()
		sealed, err := seal(f.key, fieldBody, &f.body)
		if err != nil {
			return err
		}
		_, err = t.Exec(`INSERT INTO cases (id, year, no, state, profile, scope, opened_by, opened, changed, ends, approval, decided_by, runs, version, wrapped, sealed)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 1, ?, ?)`,
			f.ID, year, no, string(f.State), f.Profile, scope.String(), by, now.UnixMilli(), now.UnixMilli(), f.Ends.UnixMilli(), string(approval), f.wrapped, sealed)
		if err != nil {
			return err
		}
		return t.Audit(by, "open case", object(f.ID), f.Number+" "+string(f.State)+" "+f.Profile)
	})
	if err != nil {
		return nil, err
	}
	return &f.Case, nil
}

func checkReason(s string) error {
	if n := utf8.RuneCountInString(s); n < MinReason || n > MaxText || !utf8.ValidString(s) {
		return fmt.Errorf("text of %d letters: %w", n, qrgate.ErrInvalid)
	}
	return nil
}

func checkWindow(from, to, now time.Time) error {
	if !from.Before(to) || to.Sub(from) > MaxWindow || to.After(now.Add(time.Minute)) {
		return fmt.Errorf("window: %w", qrgate.ErrInvalid)
	}
	return nil
}

// Case returns a case to a health officer or an approver where it is, or to the
// data-protection officer. It shows no person.
func (b *Book) Case(ctx context.Context, by, id string) (*Case, error) {
	f, err := b.load(b.reading(ctx), by, id, qrgate.HealthOfficer, qrgate.Approver, qrgate.Protection)
	if err != nil {
		return nil, fmt.Errorf("casebook: case: %w", err)
	}
	return &f.Case, nil
}

// SetState says what is known of a case now. One that is ruled out or closed ends
// within [Grace]. Until then what was ruled out by mistake can be suspected or
// confirmed again, with the end that it has, and is approved again.
func (b *Book) SetState(ctx context.Context, by, id string, version int, s State) error {
	load := func(q query, by, id string) (*file, error) {
		f, err := b.load(q, by, id, qrgate.HealthOfficer)
		if err == nil && (f.Erased || f.State == Closed) {
			err = ErrEnded
		}
		return f, err
	}
	return b.change(ctx, "set state of case", by, id, version, load, func(t store.Tx, f *file) (string, error) {
		was := f.State
		switch s {
		case Suspected, Confirmed:
			if was == RuledOut {
				f.unapprove()
			}
		case RuledOut, Closed:
			if soon := b.now().Add(Grace); f.Ends.After(soon) {
				f.Ends = soon
			}
			f.Late = time.Time{}
		default:
			return "", qrgate.ErrInvalid
		}
		f.State = s
		return string(was) + " to " + string(s), nil
	})
}

// Extend sets when a case ends, which may be sooner too.
func (b *Book) Extend(ctx context.Context, by, id string, version int, ends time.Time) error {
	return b.change(ctx, "set end of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		if !ends.After(b.now()) || ends.After(f.Opened.Add(MaxLife)) {
			return "", fmt.Errorf("end: %w", qrgate.ErrInvalid)
		}
		f.Ends = ends
		return qrgate.DayOf(ends).String(), nil
	})
}

// SetPurpose changes why a case is there.
func (b *Book) SetPurpose(ctx context.Context, by, id string, version int, purpose string) error {
	return b.change(ctx, "set purpose of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		f.body.Purpose = strings.TrimSpace(purpose)
		f.unapprove()
		return "", checkReason(f.body.Purpose)
	})
}

// SetProfile says which disease it is, as a laboratory names it after a suspicion, and
// asks about as many days as that needs. Who may see persons was decided of the
// disease before: the case is approved again unless the disease now is one for which
// nobody need approve and somebody has; then it goes on with the days that it has.
func (b *Book) SetProfile(ctx context.Context, by, id string, version int, profile string) error {
	return b.change(ctx, "set disease of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		p, ok := trace.FindProfile(profile)
		if !ok || p.ID == f.Profile {
			return "", fmt.Errorf("profile: %w", qrgate.ErrInvalid)
		}
		note := f.Profile + " to " + p.ID
		f.Profile = p.ID
		if f.Approval == Approved && !p.Approve {
			return note, nil
		}
		if p.Approve && f.Approval == NotNeeded {
			f.Approval = Needed
		}
		f.unapprove()
		if from := time.UnixMilli(f.body.To).AddDate(0, 0, -p.Days).UnixMilli(); from < f.body.From {
			f.body.From = from
		}
		return note, nil
	})
}

// SetWindow changes the time that a case asks about. It is approved again.
func (b *Book) SetWindow(ctx context.Context, by, id string, version int, from, to time.Time) error {
	return b.change(ctx, "set window of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		if err := checkWindow(from, to, b.now()); err != nil {
			return "", err
		}
		f.body.From, f.body.To = from.UnixMilli(), to.UnixMilli()
		f.unapprove()
		return "", nil
	})
}

// SetIndex says who is traced. It can be said until the case was traced: for
// somebody else there must be a case of their own.
func (b *Book) SetIndex(ctx context.Context, by, id string, version int, who Ref) error {
	return b.change(ctx, "set index of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		if f.Runs > 0 {
			return "", fmt.Errorf("it was traced already: %w", qrgate.ErrConflict)
		}
		p, err := f.person(who)
		if err != nil {
			return "", err
		}
		f.body.Index, f.body.Place, f.body.Chosen, f.body.Left = p, qrgate.Spot{}, nil, nil
		f.unapprove()
		return "person", nil
	})
}

// SetPlace says where an outbreak was: everybody who was there within the case's
// window is traced. It can be said until the case was traced.
func (b *Book) SetPlace(ctx context.Context, by, id string, version int, at qrgate.Spot) error {
	return b.change(ctx, "set index of case", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		if f.Runs > 0 {
			return "", fmt.Errorf("it was traced already: %w", qrgate.ErrConflict)
		}
		if (at.No == 0) == (at.Name == "") {
			return "", fmt.Errorf("place: %w", qrgate.ErrInvalid)
		}
		f.body.Index, f.body.Place, f.body.Chosen, f.body.Left = 0, at, nil, nil
		f.unapprove()
		return "place", nil
	})
}

// unapprove is for when a case is no longer the one that somebody approved. One that
// was refused stays so until it is asked for again: otherwise a change of a day would
// let the glass be broken.
func (f *file) unapprove() {
	if f.Approval != NotNeeded && f.Approval != Refused {
		f.Approval, f.DecidedBy, f.Decided = Needed, "", time.Time{}
	}
}
