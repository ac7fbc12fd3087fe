package events

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Guest is somebody who is invited.
type Guest struct {
	Number    uint32 // of the pass
	Event     uint32
	Category  uint8
	Issue     uint8 // rises each time the pass is replaced
	Person    qrgate.Person
	Details   Details
	Made      time.Time
	Sent      time.Time // when the last letter was handed to the mail; zero if none was
	Cancelled time.Time // zero unless the invitation was taken back
}

// Details are what an organiser knows of a guest. They are sealed in the database.
type Details struct {
	Name  string `json:"name"`
	From  string `json:"from,omitempty"`  // organisation
	Phone string `json:"phone,omitempty"` // E.164
	Email string `json:"email,omitempty"`
}

// Fields under which what is known of a guest is sealed.
const (
	detailGuest = "guest"
	detailPass  = "pass" // as packages ingest and register know it
)

// Said returns what the organiser knows of a guest as their pass would say it, from
// what is sealed in their row.
func Said(v *vault.Vault, p qrgate.Person, wrapped, sealed []byte) (*wire.Subject, error) {
	d, err := open(v, p, wrapped, sealed)
	return &wire.Subject{Kind: pass.Event, Name: d.Name, Phone: d.Phone}, err
}

func open(v *vault.Vault, p qrgate.Person, wrapped, sealed []byte) (d Details, err error) {
	plain, err := v.OpenDetail(p, wrapped, detailGuest, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &d)
	}
	return d, err
}

// Pass returns what a guest's pass says, to be signed with the key of that id. It is
// valid on the days of the event.
func (g *Guest) Pass(e *Event, key uint8) pass.OwnCard {
	return pass.OwnCard{
		Kind: pass.Event, Key: key, Number: g.Number, Issue: g.Issue, Event: e.No,
		First: pass.DayOf(e.Starts.Add(-e.Early)), Last: pass.DayOf(e.Ends),
	}
}

// ErrGuests means that an event has as many guests as it may have.
var ErrGuests = fmt.Errorf("as many guests as there may be: %w", qrgate.ErrConflict)

// Invite adds guests to an event and sets their Number, Issue, Event and Made. Each
// is of one of its categories.
func (s *Events) Invite(ctx context.Context, by string, event uint32, guests []*Guest) error {
	err := s.s.Write(ctx, func(t store.Tx) error { return s.invite(t, by, event, guests) })
	if err != nil {
		return fmt.Errorf("events: invite to %d: %w", event, err)
	}
	return nil
}

func (s *Events) invite(t store.Tx, by string, event uint32, guests []*Guest) error {
	if len(guests) == 0 {
		return nil
	}
	if err := t.Lock("events"); err != nil { // the numbers of passes are every event's
		return err
	}
	if err := s.touch(t, event); err != nil {
		return err
	}
	var last, held int64
	if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&last) }, "SELECT COALESCE(MAX(last_pass), 0) FROM events"); err != nil {
		return err
	}
	if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&held) }, "SELECT COUNT(*) FROM guests WHERE event = ?", int64(event)); err != nil {
		return err
	}
	switch {
	case held+int64(len(guests)) > wire.MaxEventPasses:
		return ErrGuests
	case last+int64(len(guests)) > 1<<32-1:
		return fmt.Errorf("no number is left: %w", qrgate.ErrConflict)
	}
	categories := map[uint8]bool{}
	err := t.Each(func(rows *sql.Rows) error {
		var no uint8
		err := rows.Scan(&no)
		categories[no] = true
		return err
	}, "SELECT no FROM event_categories WHERE event = ?", int64(event))
	if err != nil {
		return err
	}
	now := s.now().Truncate(time.Millisecond)
	for i, g := range guests {
		if !categories[g.Category] {
			return fmt.Errorf("category %d: %w", g.Category, qrgate.ErrInvalid)
		}
		g.Number, g.Event, g.Issue, g.Made = uint32(last)+uint32(i)+1, event, 1, now
		g.Person = vault.NewPerson()
		wrapped := s.v.NewPersonKey(g.Person)
		sealed, err := s.seal(g.Person, wrapped, &g.Details)
		if err != nil {
			return err
		}
		// At a door the pass's number is who somebody is.
		identity := s.v.Identity(pass.Event, strconv.FormatUint(uint64(g.Number), 10))
		for _, insert := range []struct {
			query string
			args  []any
		}{
			{"INSERT INTO people (person, wrapped) VALUES (?, ?)", []any{int64(g.Person), wrapped}},
			{"INSERT INTO identities (identity, person) VALUES (?, ?)", []any{identity[:], int64(g.Person)}},
			{"INSERT INTO guests (number, event, category, issue, person, sealed, made) VALUES (?, ?, ?, 1, ?, ?, ?)",
				[]any{int64(g.Number), int64(event), int64(g.Category), int64(g.Person), sealed, now.UnixMilli()}},
		} {
			if _, err := t.Exec(insert.query, insert.args...); err != nil {
				return err
			}
		}
	}
	if _, err := t.Exec("UPDATE events SET last_pass = ? WHERE no = ?", last+int64(len(guests)), int64(event)); err != nil {
		return err
	}
	return t.Audit(by, "invite guests", object(event), fmt.Sprintf("%d, passes %d to %d", len(guests), guests[0].Number, guests[len(guests)-1].Number))
}

// touch raises the version of an event's bundle. A cancelled one is
// [qrgate.ErrConflict].
func (s *Events) touch(t store.Tx, event uint32) error {
	n, err := t.Exec("UPDATE events SET bundle = bundle + 1 WHERE no = ? AND cancelled IS NULL", int64(event))
	if err == nil && n == 0 {
		err = lost(t, event)
	}
	return err
}

func (s *Events) seal(p qrgate.Person, wrapped []byte, d *Details) ([]byte, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return s.v.SealDetail(p, wrapped, detailGuest, plain)
}

// guestPage is how many guests are read at a time, so that no query stays open
// while a letter is written or a sheet printed.
const guestPage = 500

// Guests calls fn with every guest of an event in the order of their passes, also
// with those whose invitation was taken back.
func (s *Events) Guests(ctx context.Context, event uint32, fn func(*Guest) error) error {
	for after := int64(0); ; {
		page, err := s.guests(ctx, "g.event = ? AND g.number > ? ORDER BY g.number LIMIT ?", int64(event), after, guestPage)
		if err != nil {
			return fmt.Errorf("events: guests of %d: %w", event, err)
		}
		for _, g := range page {
			if err := fn(g); err != nil {
				return err
			}
			after = int64(g.Number)
		}
		if len(page) < guestPage {
			return nil
		}
	}
}

// Guest returns the guest whose pass has the number, or [qrgate.ErrNotFound].
func (s *Events) Guest(ctx context.Context, number uint32) (*Guest, error) {
	return s.guest(ctx, "g.number = ?", int64(number))
}

// GuestOf returns the guest who is a person, or [qrgate.ErrNotFound].
func (s *Events) GuestOf(ctx context.Context, p qrgate.Person) (*Guest, error) {
	return s.guest(ctx, "g.person = ?", int64(p))
}

func (s *Events) guest(ctx context.Context, where string, arg int64) (*Guest, error) {
	all, err := s.guests(ctx, where, arg)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("events: guest: %w", err)
	}
	return all[0], nil
}

func (s *Events) guests(ctx context.Context, where string, args ...any) (all []*Guest, err error) {
	err = s.s.Read(ctx, func(rows *sql.Rows) error {
		g := new(Guest)
		var person int64
		var sealed, wrapped []byte
		err := rows.Scan(&g.Number, &g.Event, &g.Category, &g.Issue, &person, &sealed, &wrapped, (*store.Milli)(&g.Made), (*store.Milli)(&g.Sent), (*store.Milli)(&g.Cancelled))
		if err != nil {
			return err
		}
		g.Person = qrgate.Person(person)
		all = append(all, g)
		if g.Details, err = open(s.v, g.Person, wrapped, sealed); err != nil {
			return fmt.Errorf("pass %d: %w", g.Number, err)
		}
		return nil
	}, `SELECT g.number, g.event, g.category, g.issue, g.person, g.sealed, p.wrapped, g.made, g.sent, g.cancelled
		FROM guests g JOIN people p ON p.person = g.person WHERE `+where, args...)
	return all, err
}

// Replace gives a guest a new pass: the issue rises and the old pass opens no door
// that has heard of it. g is as it was read.
func (s *Events) Replace(ctx context.Context, by string, g *Guest) error {
	if g.Issue >= pass.AllIssues-1 {
		return fmt.Errorf("events: replace pass %d: no issue is left: %w", g.Number, qrgate.ErrInvalid)
	}
	return s.change(ctx, by, "replace pass", g, "issue = issue + 1", nil)
}

// Withdraw takes an invitation back.
func (s *Events) Withdraw(ctx context.Context, by string, g *Guest) error {
	return s.change(ctx, by, "withdraw invitation", g, "cancelled = ?", []any{s.now().UnixMilli()})
}

// WithdrawWhere takes back the invitations of those whom match knows by their name
// and telephone, to events that are not over.
func (s *Events) WithdrawWhere(ctx context.Context, by string, match func(name, phone string) bool) error {
	coming, err := s.Between(ctx, s.now(), s.now().AddDate(10, 0, 0))
	if err != nil {
		return err
	}
	for _, e := range coming {
		var meant []*Guest
		err := s.Guests(ctx, e.No, func(g *Guest) error {
			if g.Cancelled.IsZero() && match(g.Details.Name, g.Details.Phone) {
				meant = append(meant, g)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, g := range meant {
			if err := s.Withdraw(ctx, by, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Events) change(ctx context.Context, by, action string, g *Guest, set string, args []any) error {
	err := s.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE guests SET "+set+" WHERE number = ? AND issue = ? AND cancelled IS NULL", append(args, int64(g.Number), int64(g.Issue))...)
		switch {
		case err != nil:
			return err
		case n == 0:
			return qrgate.ErrConflict
		}
		if err := s.touch(t, g.Event); err != nil {
			return err
		}
		return t.Audit(by, action, fmt.Sprintf("event pass %d", g.Number), object(g.Event))
	})
	if err != nil {
		return fmt.Errorf("events: %s %d: %w", action, g.Number, err)
	}
	return nil
}

// Sent notes that letters to these guests were handed to the mail.
func (s *Events) Sent(ctx context.Context, by string, event uint32, numbers ...uint32) error {
	now := s.now().UnixMilli()
	err := s.s.Write(ctx, func(t store.Tx) error {
		for _, no := range numbers {
			if _, err := t.Exec("UPDATE guests SET sent = ? WHERE number = ? AND event = ?", now, int64(no), int64(event)); err != nil {
				return err
			}
		}
		return t.Audit(by, "send invitations", object(event), strconv.Itoa(len(numbers)))
	})
	if err != nil {
		return fmt.Errorf("events: sent: %w", err)
	}
	return nil
}

// purgePage is how many guests a transaction forgets.
const purgePage = 500

// Purge forgets the guests of events that ended before the given time: what is known
// of them, and who they are. Their check-ins stay until their own day is dropped, as
// nobody's. Of whom somebody still needs, such as an open case, name and telephone
// stay as if their pass had said them, and the event no longer knows them either.
func (s *Events) Purge(ctx context.Context, before time.Time, needed func(qrgate.Person) bool) error {
	for n := purgePage; n == purgePage; {
		err := s.s.Write(ctx, func(t store.Tx) (err error) { n, err = s.purge(t, before, needed); return err })
		if err != nil {
			return fmt.Errorf("events: purge: %w", err)
		}
	}
	return nil
}

// purge takes one step and returns how many guests it was.
func (s *Events) purge(t store.Tx, before time.Time, needed func(qrgate.Person) bool) (int, error) {
	type row struct {
		number, person  int64
		wrapped, sealed []byte
	}
	var gone []row
	err := t.Each(func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.number, &r.person, &r.wrapped, &r.sealed)
		gone = append(gone, r)
		return err
	}, `SELECT g.number, g.person, p.wrapped, g.sealed FROM guests g JOIN events e ON e.no = g.event JOIN people p ON p.person = g.person
		WHERE e.ends < ? ORDER BY g.number LIMIT ?`, before.UnixMilli(), purgePage)
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	var people []qrgate.Person
	for _, r := range gone {
		if _, err := t.Exec("DELETE FROM guests WHERE number = ?", r.number); err != nil {
			return 0, err
		}
		p := qrgate.Person(r.person)
		if !needed(p) {
			people = append(people, p)
			continue
		}
		said, err := Said(s.v, p, r.wrapped, r.sealed)
		if err != nil {
			return 0, err
		}
		kept, err := s.v.SealDetail(p, r.wrapped, detailPass, wire.Encode(*said))
		if err != nil {
			return 0, err
		}
		if _, err := t.Exec("INSERT INTO details (person, sealed) VALUES (?, ?) ON CONFLICT (person) DO NOTHING", r.person, kept); err != nil {
			return 0, err
		}
	}
	if err := t.ForgetPeople(people...); err != nil {
		return 0, err
	}
	return len(gone), t.Audit("", "purge guests", object(0), strconv.Itoa(len(gone)))
}

// A Pass is a guest as doors know them.
type Pass struct {
	Number    uint32
	Category  uint8
	Person    qrgate.Person
	Cancelled bool
}

// Passes calls fn with every pass of an event, without opening what is known of its
// guest.
func (s *Events) Passes(ctx context.Context, event uint32, fn func(Pass) error) error {
	err := s.s.Read(ctx, func(rows *sql.Rows) error {
		var p Pass
		var person int64
		if err := rows.Scan(&p.Number, &p.Category, &person, &p.Cancelled); err != nil {
			return err
		}
		p.Person = qrgate.Person(person)
		return fn(p)
	}, "SELECT g.number, g.category, g.person, CASE WHEN g.cancelled IS NULL THEN 0 ELSE 1 END FROM guests g WHERE g.event = ?", int64(event))
	if err != nil {
		return fmt.Errorf("events: passes of %d: %w", event, err)
	}
	return nil
}
