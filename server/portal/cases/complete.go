package cases

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/coverage"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A missingGate is one from which check-ins of the traced time may still come, or
// never will.
type missingGate struct {
	trace.Delivery
	Known bool // it has said how much it holds
}

// Completeness is what a trace could not know. It is kept with its run.
type completeness struct {
	Kiosks   int // at the places that were looked at
	Missing  []missingGate
	Admitted int
	Unnamed  int
	Amber    int // of these
	Refused  int
	Unread   int
	Paper    int
	// When the first and the last of those were written, in Unix milliseconds.
	PaperFrom, PaperTo int64
	Unopened           int
	Doubted            []doubted
	// Covered is how many of those who passed the doors were recorded, at the places
	// where somebody counts them, on the days that were asked about.
	Covered []covered
	// Elsewhere is at how many kiosks of other places something may still wait of the
	// traced person.
	Elsewhere int
}

// A covered is what the doors of a place counted.
type covered struct {
	At            qrgate.Spot
	People, Scans int64
}

// Percent is how many of a hundred who passed were recorded.
func (c covered) Percent() int { return int(min(c.Scans, c.People) * 100 / max(c.People, 1)) }

// Scanned is how many codes were held up, read or not.
func (c *completeness) Scanned() int { return c.Admitted + c.Unnamed + c.Refused }

// A doubted is check-ins of one gate that were left out because they are doubtful in
// the same way.
type doubted struct {
	At    qrgate.Spot
	Gate  string
	Doubt trace.Doubt
	N     int
	IDs   []trace.ID // of them, at most maxDoubted
}

// maxDoubted bounds the check-ins that can be taken back in at once, and so what is kept
// of them.
const maxDoubted = 1000

// leftOut groups the doubtful check-ins that did not count.
func leftOut(all []trace.Suspicion, rules trace.Rules) (groups []doubted) {
	if rules.Doubtful {
		return nil
	}
	seen := map[trace.ID]bool{}
	for _, s := range all {
		if rules.Restored[s.ID] || seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		i := slices.IndexFunc(groups, func(g doubted) bool { return g.At == s.At && g.Gate == s.Gate && g.Doubt == s.Doubt })
		if i < 0 {
			i = len(groups)
			groups = append(groups, doubted{At: s.At, Gate: s.Gate, Doubt: s.Doubt})
		}
		if groups[i].N++; len(groups[i].IDs) < maxDoubted {
			groups[i].IDs = append(groups[i].IDs, s.ID)
		}
	}
	slices.SortStableFunc(groups, func(a, b doubted) int { return b.N - a.N })
	return groups
}

// Whole reports whether nothing is known to be missing.
func (c *completeness) Whole() bool { return len(c.Missing) == 0 && c.Unopened == 0 }

// Holds is how many records all of them hold at least.
func (c *completeness) Holds() (n uint64) {
	for _, g := range c.Missing {
		n += min(g.Holds, 1<<40)
	}
	return n
}

// justNow is how long a kiosk that works may be silent: it beats more often.
const justNow = 10 * time.Minute

// asked are the places of a trace with the days of each that matter; of none all do.
type asked map[qrgate.Spot]map[qrgate.Day]bool

// askedOf are the places of stays.
func askedOf(stays []trace.Stay) asked {
	at := asked{}
	for i := range stays {
		s := &stays[i]
		if at[s.At] == nil {
			at[s.At] = map[qrgate.Day]bool{}
		}
		first, last := qrgate.DayOfMilli(s.In.Earliest), qrgate.DayOfMilli(s.Out.Latest)
		for d := first; d <= min(last, first+qrgate.Day(casebook.MaxWindow/(24*time.Hour))); d++ {
			at[s.At][d] = true
		}
	}
	return at
}

// cover returns what the doors of the places counted.
func (p *Pages) cover(ctx context.Context, at asked, from, to time.Time) (all []covered, err error) {
	counts := coverage.New(p.o.Store)
	for spot, days := range at {
		if spot.No == 0 {
			continue
		}
		rows, err := counts.OfPlace(ctx, spot.No, qrgate.DayOf(from), qrgate.DayOf(to))
		if err != nil {
			return nil, err
		}
		c := covered{At: spot}
		for _, r := range rows {
			if r.Lane.Direction != wire.Out && (len(days) == 0 || days[r.Day]) {
				c.People, c.Scans = c.People+r.People, c.Scans+r.Scans
			}
		}
		if c.People > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b covered) int { return cmp.Or(a.Percent()-b.Percent(), cmp.Compare(a.At.No, b.At.No)) })
	return all, nil
}

// complete returns what a trace of places over some time could not know. elsewhere
// asks for the kiosks of all other places too.
func (p *Pages) complete(ctx context.Context, found *trace.Found, rules trace.Rules, at asked, from, to time.Time, elsewhere bool) (*completeness, error) {
	c := &completeness{Unopened: found.Unopened, Doubted: leftOut(found.Doubted, rules)}
	now := p.f.Now()
	kiosks, err := p.o.Store.Kiosks(ctx)
	if err != nil {
		return nil, err
	}
	ledgers, err := p.o.Store.Ledgers(ctx, now)
	if err != nil {
		return nil, err
	}
	var held []trace.Ledger
	for i := range ledgers {
		l := &ledgers[i]
		one := trace.Ledger{Kiosk: l.Kiosk, Epoch: l.Epoch, Through: l.Through, Newest: l.Newest, Lost: l.Lost, Forked: l.Forked, Received: milli(l.Received)}
		if l.Gap() {
			for _, m := range l.Missing {
				one.Missing += m.To - m.From + 1
			}
		}
		held = append(held, one)
	}
	doors, err := p.o.Store.GateNames(ctx)
	if err != nil {
		return nil, err
	}
	if c.Covered, err = p.cover(ctx, at, from, to); err != nil {
		return nil, err
	}
	var gates, others []trace.Gate
	known := map[string]bool{}
	for i := range kiosks {
		k := &kiosks[i]
		spot := qrgate.Spot{No: k.PlaceNo}
		if spot.No == 0 {
			spot.Name = k.Place
		}
		if store.IsPhones(k.ID) {
			continue
		}
		g := trace.Gate{Kiosk: k.ID, At: spot, Gate: doors[k.ID], Added: milli(k.Added), Beat: milli(k.Contact)}
		if k.State == qrgate.KioskRevoked {
			g.Revoked = max(milli(k.Revoked), 1) // for ever, if nobody wrote down when
		}
		if b := k.Beat; b != nil {
			known[k.ID] = true
			g.Epoch, g.Queued, g.Newest, g.Unrecorded = b.Epoch, min(b.Queued, 1<<40), b.Last, b.Unrecorded
			if b.Oldest > 0 && b.Oldest < g.Beat {
				g.Oldest = g.Beat - b.Oldest
			}
		}
		if at[spot] != nil {
			gates = append(gates, g)
		} else {
			others = append(others, g)
		}
	}
	c.Kiosks = len(gates)
	if last := now.Add(-justNow); to.After(last) {
		to = last
	}
	window := when.Interval{Earliest: from.UnixMilli(), Latest: to.UnixMilli()}
	if elsewhere {
		for _, d := range trace.Complete(window, others, held, nil) {
			// One that was never heard of may not hang yet.
			if d.State == trace.Silent || d.State == trace.Behind {
				c.Elsewhere++
			}
		}
	}
	for _, d := range trace.Complete(window, gates, held, found.Scans) {
		c.Admitted += d.Scans.Admitted
		c.Unnamed += d.Scans.Unnamed
		c.Amber += d.Scans.Amber
		c.Refused += d.Scans.Refused
		c.Unread += d.Scans.Unread
		if d.Scans.Paper > 0 {
			if c.Paper == 0 || d.Scans.PaperFrom < c.PaperFrom {
				c.PaperFrom = d.Scans.PaperFrom
			}
			c.Paper, c.PaperTo = c.Paper+d.Scans.Paper, max(c.PaperTo, d.Scans.PaperTo)
		}
		if d.State != trace.Delivered {
			c.Missing = append(c.Missing, missingGate{d, known[d.Kiosk]})
		}
	}
	return c, nil
}

// milli is a time in Unix milliseconds, 0 if there was none.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (c *completeness) bytes() ([]byte, error) { return json.Marshal(c) }

func readCompleteness(b []byte) (*completeness, error) {
	if len(b) == 0 {
		return nil, nil
	}
	c := new(completeness)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("cases: completeness: %w", err)
	}
	return c, nil
}
