package province

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// atOnce is how many check-ins one transaction takes in, and together how many wait to be
// sorted by kiosk: to read what is known of a kiosk costs more than a check-in.
const (
	atOnce   = 20_000
	together = 2_000_000
)

// A Filler takes the check-ins of a province into a store, as kiosks would have
// delivered them: those of an outage when it ended.
type Filler struct {
	Province *Province
	Store    *store.Store
	Vault    *vault.Vault
	// Retention is after how many days what comes late is dropped; default 21.
	Retention int
	// Settled has the store know all boots and anchors before the first check-in, as if
	// nothing had ever been dated again, and brings many of one kiosk at once: a large store
	// is filled in a fraction of the time.
	Settled bool

	stream  *Stream
	phones  string
	later   map[qrgate.Day][]Scan // by the day on which they arrive
	waiting []Scan
	Rows    int // how many were stored
	Late    int // and how many dropped
}

// Open adds the kiosks of the province to the store.
func (f *Filler) Open(ctx context.Context) (err error) {
	f.stream, f.later = f.Province.Stream(), map[qrgate.Day][]Scan{}
	if f.Retention == 0 {
		f.Retention = 21
	}
	if f.phones, err = f.Store.Phones(ctx, "province"); err != nil {
		return err
	}
	for i := range f.Province.kiosks {
		k := &f.Province.kiosks[i]
		public := sha256.Sum256([]byte(k.ID))
		at := f.Province.places[k.Place].At
		err := f.Store.AddKiosk(ctx, qrgate.Kiosk{
			ID: k.ID, Place: fmt.Sprintf("place %d", k.Place+1), PlaceNo: at.No, Public: public[:], State: qrgate.KioskActive,
			Added: f.Province.o.First.Start(),
		})
		if err != nil {
			return err
		}
	}
	if !f.Settled {
		return nil
	}
	s := f.Province.Stream()
	for d := range f.Province.o.Days {
		if err := f.settle(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}

// settle has the store know the boots and anchors of a day.
func (f *Filler) settle(ctx context.Context, s *Stream, of int) error {
	var ends []Scan // the first of each boot, and the last
	firsts := map[when.Boot]int{}
	err := s.Day(of, func(sc *Scan) error {
		i, ok := firsts[sc.Checkin.Boot]
		if !ok {
			i = len(ends)
			firsts[sc.Checkin.Boot] = i
			ends = append(ends, *sc, *sc)
		}
		ends[i+1] = *sc
		return nil
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ends, atOnce) {
		err := f.Store.Intake(ctx, f.kiosks(part), func(t *store.Intake) error { return f.noteAll(t, part) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Day takes in what arrives on a day, counted from 0; all days before must have
// been. After the last day, further ones bring what is still on its way.
func (f *Filler) Day(ctx context.Context, of int) error {
	today := f.Province.o.First + qrgate.Day(of)
	late := f.later[today]
	delete(f.later, today)
	slices.SortStableFunc(late, func(a, b Scan) int { return int(a.Checkin.Received - b.Checkin.Received) })
	for i := range late {
		if err := f.add(ctx, &late[i]); err != nil {
			return err
		}
	}
	if of < f.Province.o.Days {
		err := f.stream.Day(of, func(s *Scan) error {
			if arrives := qrgate.DayOfMilli(s.Checkin.Received); arrives > today {
				f.later[arrives] = append(f.later[arrives], *s)
				return nil
			}
			return f.add(ctx, s)
		})
		if err != nil {
			return err
		}
	}
	if err := f.flush(ctx); err != nil {
		return err
	}
	return f.tidy(ctx)
}

// tidy files what has come and dates it again.
func (f *Filler) tidy(ctx context.Context) error {
	for {
		if more, err := f.Store.Tidy(ctx); err != nil || !more {
			return err
		}
	}
}

// Take takes in these check-ins now, whenever they were received.
func (f *Filler) Take(ctx context.Context, scans ...Scan) error {
	f.waiting = append(f.waiting, scans...)
	if err := f.flush(ctx); err != nil {
		return err
	}
	return f.tidy(ctx)
}

// Rest reports whether something is still on its way.
func (f *Filler) Rest() bool { return len(f.later) > 0 }

func (f *Filler) add(ctx context.Context, s *Scan) error {
	f.waiting = append(f.waiting, *s)
	if len(f.waiting) < atOnce || f.Settled && len(f.waiting) < together {
		return nil
	}
	return f.flush(ctx)
}

// flush takes in what waits.
func (f *Filler) flush(ctx context.Context) error {
	if f.Settled {
		slices.SortStableFunc(f.waiting, func(a, b Scan) int { return a.Kiosk - b.Kiosk })
	}
	for part := range slices.Chunk(f.waiting, atOnce) {
		if err := f.takeIn(ctx, part); err != nil {
			return err
		}
	}
	f.waiting = f.waiting[:0]
	return nil
}

// takeIn takes these in in one transaction.
func (f *Filler) takeIn(ctx context.Context, scans []Scan) error {
	var rows, late int
	err := f.Store.Intake(ctx, f.kiosks(scans), func(t *store.Intake) error {
		rows, late = 0, 0
		// All times come before any record is dated by them.
		if err := f.noteAll(t, scans); err != nil {
			return err
		}
		for i := range scans {
			kept, err := f.enter(t, &scans[i])
			if err != nil {
				return err
			}
			if kept {
				rows++
			} else {
				late++
			}
		}
		return nil
	})
	f.Rows, f.Late = f.Rows+rows, f.Late+late
	return err
}

// kiosks returns the kiosks of check-ins.
func (f *Filler) kiosks(of []Scan) (ids []string) {
	known := map[string]bool{}
	for i := range of {
		id := f.kiosk(&of[i])
		if !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

func (f *Filler) noteAll(t *store.Intake, all []Scan) error {
	for i := range all {
		if err := f.note(t, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Filler) kiosk(s *Scan) string {
	if s.Kiosk < 0 {
		return f.phones
	}
	return s.Checkin.Kiosk
}

func (f *Filler) note(t *store.Intake, s *Scan) error {
	c := &s.Checkin
	b := t.Book(f.kiosk(s))
	e, err := b.Epoch(c.Epoch)
	if err != nil {
		return err
	}
	t.Seen(e, when.Span{Boot: c.Boot, First: c.Seq, Last: c.Seq, Start: c.Since, End: c.Since, Arrived: c.Received, ArrivedSince: c.Since})
	if s.Anchor == (when.Anchor{}) {
		return nil
	}
	return t.Anchor(b, s.Anchor)
}

// enter stores a check-in unless it is past its retention.
func (f *Filler) enter(t *store.Intake, s *Scan) (bool, error) {
	c := &s.Checkin
	e, err := t.Book(f.kiosk(s)).Epoch(c.Epoch)
	if err != nil {
		return false, err
	}
	row := store.Row{
		Under: e, Written: e, Digest: c.Digest, When: when.Interval{Earliest: c.Earliest, Latest: c.Latest},
		Received: time.UnixMilli(c.Received), Level: c.Level,
		Header: wire.Header{
			Seq: c.Seq, Kind: wire.KindCheckin, Boot: c.Boot, Since: c.Since, Wall: c.Said, Clock: c.Clock, Error: c.Error, Gate: c.Gate,
			Lane: c.Lane, Direction: c.Direction, Pass: c.Pass, Verdict: c.Verdict, Reason: c.Reason, Presence: c.Presence, With: c.With,
		},
	}
	if s.Kiosk < 0 {
		at := f.Province.places[s.Place].At
		row.Where = store.Where{No: at.No, Name: fmt.Sprintf("place %d", s.Place+1)}
	} else {
		row.When = store.Clamp(e.Bounds(c.Boot, c.Since), c.Received)
	}
	row.Day = qrgate.DayOfMilli(row.When.Latest)
	if row.Day < qrgate.DayOfMilli(c.Received)-qrgate.Day(f.Retention) {
		e.Late()
		return false, nil
	}
	if s.Person != 0 {
		subject, err := f.Vault.Subject(row.Day, s.Person)
		if errors.Is(err, vault.ErrShredded) {
			e.Late()
			return false, nil
		}
		if err != nil {
			return false, err
		}
		row.Subject = &subject
	}
	t.Add(row)
	return true, nil
}
