package events

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// Limits of an event.
const (
	MaxCategories = 16
	MaxGates      = 16                  // of a category
	MaxLength     = 14 * 24 * time.Hour // from its start to its end
	MaxEarly      = 12 * time.Hour
	MaxCapacity   = 200_000
)

// Events is the tables. It is safe for concurrent use, also by several servers.
type Events struct {
	s   *store.Store
	v   *vault.Vault
	now func() time.Time
}

// New returns the events in s, whose guests v keeps.
func New(s *store.Store, v *vault.Vault, now func() time.Time) *Events { return &Events{s, v, now} }

// An Event is a gathering at a place. Its number stands on its passes and never
// means another event.
type Event struct {
	No           uint32
	Organisation string
	Place        uint32
	PlaceName    string // as it is now
	Sector, Area string // of the place, of today
	Name         string
	About        string
	Starts, Ends time.Time
	Early        time.Duration // how long before its start the doors open
	Capacity     int           // 0 if there is none
	// Open events let in whoever identifies themselves, invited or not.
	Open bool
	// Reentry lets a guest who went out come in again.
	Reentry    bool
	Categories []Category
	Guests     int // how many are invited
	Version    int // rises with each edit; an edit of an older one is refused
	MadeBy     string
	Made       time.Time
	Changed    time.Time
	Cancelled  time.Time // zero unless it was cancelled
}

// A Kind is what a category of guests is.
type Kind string

// The kinds of guests.
const (
	Delegate Kind = "delegate"
	Staff    Kind = "staff"
	Press    Kind = "press"
	Public   Kind = "public"
)

// Kinds returns every kind, in the order in which people are shown them.
func Kinds() []Kind { return []Kind{Delegate, Staff, Press, Public} }

// A Category is guests who come in by the same doors under the same limit.
type Category struct {
	No    uint8 // within the event, from 1
	Kind  Kind
	Name  string   // empty if the kind says it
	Gates []string // by which it comes in; none are all
	Quota int      // how many may be inside at once; 0 if there is no limit
}

func (e *Event) check() error {
	switch {
	case e.Name == "", !e.Ends.After(e.Starts), e.Ends.Sub(e.Starts) > MaxLength, e.Early < 0, e.Early > MaxEarly,
		e.Capacity < 0, e.Capacity > MaxCapacity, len(e.Categories) == 0, len(e.Categories) > MaxCategories:
		return qrgate.ErrInvalid
	}
	seen := map[uint8]bool{}
	for _, c := range e.Categories {
		if c.No == 0 || seen[c.No] || !slices.Contains(Kinds(), c.Kind) || len(c.Gates) > MaxGates || c.Quota < 0 || c.Quota > MaxCapacity {
			return qrgate.ErrInvalid
		}
		seen[c.No] = true
	}
	return nil
}

func object(no uint32) string { return fmt.Sprintf("event %d", no) }

// Add opens an event and sets its number, version and times in e.
func (s *Events) Add(ctx context.Context, by string, e *Event) error {
	err := e.check()
	if err == nil {
		err = s.s.Write(ctx, func(t store.Tx) error { return s.add(t, by, e) })
	}
	if err != nil {
		return fmt.Errorf("events: add: %w", err)
	}
	return nil
}

func (s *Events) add(t store.Tx, by string, e *Event) error {
	if err := t.Lock("events"); err != nil {
		return err
	}
	if err := owns(t, e); err != nil {
		return err
	}
	var last int64
	if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&last) }, "SELECT COALESCE(MAX(no), 0) FROM events"); err != nil {
		return err
	}
	if last >= pass.MaxEvent {
		return fmt.Errorf("no number is left: %w", qrgate.ErrConflict)
	}
	now := s.now().Truncate(time.Millisecond)
	e.No, e.Version, e.MadeBy, e.Made, e.Changed = uint32(last+1), 1, by, now, now
	_, err := t.Exec(`INSERT INTO events (no, organisation, place, name, about, starts, ends, early, capacity, open, reentry, version, bundle, last_pass, made_by, made, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 0, ?, ?, ?)`,
		int64(e.No), e.Organisation, int64(e.Place), e.Name, e.About, e.Starts.UnixMilli(), e.Ends.UnixMilli(), e.Early.Milliseconds(), e.Capacity,
		flag(e.Open), flag(e.Reentry), by, now.UnixMilli(), now.UnixMilli())
	if err != nil {
		return err
	}
	if err := e.saveCategories(t); err != nil {
		return err
	}
	return t.Audit(by, "add event", object(e.No), fmt.Sprintf("at place %d", e.Place))
}

// owns reports [qrgate.ErrNotFound] unless the event's place is one of its
// organisation's.
func owns(t store.Tx, e *Event) error {
	found := false
	err := t.Each(func(*sql.Rows) error { found = true; return nil },
		"SELECT no FROM places WHERE no = ? AND organisation = ? AND deleted IS NULL", int64(e.Place), e.Organisation)
	if err == nil && !found {
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

func (e *Event) saveCategories(t store.Tx) error {
	if _, err := t.Exec("DELETE FROM event_categories WHERE event = ?", int64(e.No)); err != nil {
		return err
	}
	for _, c := range e.Categories {
		gates, err := json.Marshal(c.Gates)
		if err != nil {
			return err
		}
		_, err = t.Exec("INSERT INTO event_categories (event, no, kind, name, gates, quota) VALUES (?, ?, ?, ?, ?, ?)",
			int64(e.No), int64(c.No), string(c.Kind), c.Name, string(gates), c.Quota)
		if err != nil {
			return err
		}
	}
	return nil
}

// Save changes an event. e is as it was read, with what is to change; its
// organisation and place stay. Somebody else's change meanwhile is
// [qrgate.ErrConflict]; so is a category that is taken away and has guests, and a
// change of a cancelled event.
func (s *Events) Save(ctx context.Context, by string, e *Event) error {
	now := s.now().Truncate(time.Millisecond)
	err := e.check()
	if err == nil {
		err = s.s.Write(ctx, func(t store.Tx) error {
			n, err := t.Exec(`UPDATE events SET name = ?, about = ?, starts = ?, ends = ?, early = ?, capacity = ?, open = ?, reentry = ?, changed = ?,
				version = version + 1, bundle = bundle + 1 WHERE no = ? AND version = ? AND cancelled IS NULL`,
				e.Name, e.About, e.Starts.UnixMilli(), e.Ends.UnixMilli(), e.Early.Milliseconds(), e.Capacity, flag(e.Open), flag(e.Reentry), now.UnixMilli(),
				int64(e.No), e.Version)
			if err == nil && n == 0 {
				err = lost(t, e.No)
			}
			if err != nil {
				return err
			}
			if err := e.saveCategories(t); err != nil {
				return err
			}
			orphan := false
			err = t.Each(func(*sql.Rows) error { orphan = true; return nil }, `SELECT number FROM guests g WHERE g.event = ?
				AND NOT EXISTS (SELECT 1 FROM event_categories c WHERE c.event = g.event AND c.no = g.category) LIMIT 1`, int64(e.No))
			if err == nil && orphan {
				err = ErrCategory
			}
			if err != nil {
				return err
			}
			return t.Audit(by, "save event", object(e.No), "")
		})
	}
	if err != nil {
		return fmt.Errorf("events: save %d: %w", e.No, err)
	}
	e.Version, e.Changed = e.Version+1, now
	return nil
}

// ErrCategory means that a category cannot be taken away: it has guests.
var ErrCategory = fmt.Errorf("category has guests: %w", qrgate.ErrConflict)

func lost(t store.Tx, no uint32) error {
	found := false
	err := t.Each(func(*sql.Rows) error { found = true; return nil }, "SELECT no FROM events WHERE no = ?", int64(no))
	switch {
	case err != nil:
		return err
	case found:
		return qrgate.ErrConflict
	}
	return qrgate.ErrNotFound
}

// Cancel calls an event off: its passes open no door any more. It is for good.
func (s *Events) Cancel(ctx context.Context, by string, no uint32, version int) error {
	now := s.now().UnixMilli()
	err := s.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE events SET cancelled = ?, changed = ?, version = version + 1, bundle = bundle + 1 WHERE no = ? AND version = ? AND cancelled IS NULL",
			now, now, int64(no), version)
		if err == nil && n == 0 {
			err = lost(t, no)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "cancel event", object(no), "")
	})
	if err != nil {
		return fmt.Errorf("events: cancel %d: %w", no, err)
	}
	return nil
}

const eventColumns = `e.no, e.organisation, e.place, COALESCE(p.name, ''), COALESCE(p.sector, ''), COALESCE(p.area_now, ''), e.name, e.about, e.starts, e.ends,
	e.early, e.capacity, e.open, e.reentry, e.version, e.made_by, e.made, e.changed, e.cancelled,
	(SELECT COUNT(*) FROM guests g WHERE g.event = e.no AND g.cancelled IS NULL)`

func (s *Events) read(ctx context.Context, where string, args ...any) ([]*Event, error) {
	var all []*Event
	byNo := map[uint32]*Event{}
	err := s.s.Read(ctx, func(rows *sql.Rows) error {
		e := new(Event)
		var early int64
		err := rows.Scan(&e.No, &e.Organisation, &e.Place, &e.PlaceName, &e.Sector, &e.Area, &e.Name, &e.About, (*store.Milli)(&e.Starts), (*store.Milli)(&e.Ends),
			&early, &e.Capacity, &e.Open, &e.Reentry, &e.Version, &e.MadeBy, (*store.Milli)(&e.Made), (*store.Milli)(&e.Changed), (*store.Milli)(&e.Cancelled), &e.Guests)
		e.Early = time.Duration(early) * time.Millisecond
		all, byNo[e.No] = append(all, e), e
		return err
	}, "SELECT "+eventColumns+" FROM events e LEFT JOIN places p ON p.no = e.place WHERE "+where, args...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all, s.s.Read(ctx, func(rows *sql.Rows) error {
		var event uint32
		var c Category
		var gates string
		if err := rows.Scan(&event, &c.No, &c.Kind, &c.Name, &gates, &c.Quota); err != nil {
			return err
		}
		if e := byNo[event]; e != nil {
			e.Categories = append(e.Categories, c)
			return json.Unmarshal([]byte(gates), &e.Categories[len(e.Categories)-1].Gates)
		}
		return nil
	}, `SELECT c.event, c.no, c.kind, c.name, c.gates, c.quota FROM event_categories c JOIN events e ON e.no = c.event LEFT JOIN places p ON p.no = e.place
		WHERE `+where+" ORDER BY c.event, c.no", args...)
}

// Event returns an event, or [qrgate.ErrNotFound].
func (s *Events) Event(ctx context.Context, no uint32) (*Event, error) {
	all, err := s.read(ctx, "e.no = ?", int64(no))
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("events: event %d: %w", no, err)
	}
	return all[0], nil
}

// Between returns the events that end after the first moment and start before
// the second, in the order of their start.
func (s *Events) Between(ctx context.Context, from, to time.Time) ([]*Event, error) {
	all, err := s.read(ctx, "e.ends > ? AND e.starts < ?", from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("events: between: %w", err)
	}
	slices.SortFunc(all, func(a, b *Event) int { return cmp.Or(a.Starts.Compare(b.Starts), cmp.Compare(a.No, b.No)) })
	return all, nil
}

// How long before its start and after its end a kiosk holds an event: long enough
// for a gate that is seldom connected.
const (
	heldBefore = 14 * 24 * time.Hour
	heldAfter  = 2 * time.Hour
)

// Held returns, by place, the numbers of the events that the kiosks there should hold
// now, each with the version of its bundle.
func (s *Events) Held(ctx context.Context) (map[uint32]map[uint32]uint64, error) {
	now := s.now()
	held := map[uint32]map[uint32]uint64{}
	err := s.s.Read(ctx, func(rows *sql.Rows) error {
		var place, no uint32
		var version uint64
		err := rows.Scan(&place, &no, &version)
		if held[place] == nil {
			held[place] = map[uint32]uint64{}
		}
		held[place][no] = version
		return err
	}, "SELECT e.place, e.no, e.bundle FROM events e WHERE e.ends > ? AND e.starts < ?",
		now.Add(-heldAfter).UnixMilli(), now.Add(heldBefore).UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("events: held: %w", err)
	}
	return held, nil
}

// Bundle returns what the kiosks of an event's place need to know of it: of guests
// the numbers of their passes alone.
func (s *Events) Bundle(ctx context.Context, no uint32) (*wire.Event, error) {
	// The version is read first: what changes between is in a later one as well.
	var version uint64
	err := s.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&version) }, "SELECT e.bundle FROM events e WHERE e.no = ?", int64(no))
	var e *Event
	if err == nil {
		e, err = s.Event(ctx, no)
	}
	if err != nil {
		return nil, fmt.Errorf("events: bundle %d: %w", no, err)
	}
	b := &wire.Event{
		Stamp: wire.Stamp{Version: version}, No: e.No, Name: e.Name, From: e.Starts.Add(-e.Early).UnixMilli(), To: e.Ends.UnixMilli(),
		Capacity: uint32(e.Capacity), Open: e.Open, Reentry: e.Reentry, Cancelled: !e.Cancelled.IsZero(),
	}
	for _, c := range e.Categories {
		b.Categories = append(b.Categories, wire.EventCategory{No: c.No, Name: c.Name, Gates: c.Gates, Quota: uint32(c.Quota)})
	}
	err = s.s.Read(ctx, func(rows *sql.Rows) error {
		var p wire.EventPass
		err := rows.Scan(&p.Number, &p.Issue, &p.Category)
		b.Passes = append(b.Passes, p)
		return err
	}, "SELECT g.number, g.issue, g.category FROM guests g WHERE g.event = ? AND g.cancelled IS NULL ORDER BY g.number", int64(no))
	if err != nil {
		return nil, fmt.Errorf("events: bundle %d: %w", no, err)
	}
	return b, nil
}
