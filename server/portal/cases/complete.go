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
	"github.com/qrgate/qrgate/server/trace"
)

// A missing gate is one from which check-ins of the traced time may still come.
type missingGate struct {
	Kiosk string
	At    qrgate.Spot
	// Since is when it was last heard of; zero if it never was.
	Since time.Time
	// Holds is how many records it said it held then, which nobody here has. Known
	// is false of a kiosk that never said.
	Holds int64
	Known bool
	// Gap is how many records are missing between those that came.
	Gap int64
}

// Completeness is what a trace could not know. It is kept with its run.
type completeness struct {
	Kiosks   int // at the places that were looked at
	Missing  []missingGate
	Admitted int
	Unnamed  int
	Amber    int
	Refused  int
	Unread   int
	Paper    int
	Unopened int
}

// Whole reports whether nothing is known to be missing.
func (c *completeness) Whole() bool { return len(c.Missing) == 0 && c.Unopened == 0 }

// Holds is how many records all of them hold at least.
func (c *completeness) Holds() (n int64) {
	for _, g := range c.Missing {
		n += g.Holds + g.Gap
	}
	return n
}

// Share is how many of a hundred passes could not be recorded.
func (c *completeness) Share() int {
	all := c.Admitted + c.Unnamed + c.Amber
	if all == 0 {
		return 0
	}
	return (100*(c.Unnamed+c.Amber) + all/2) / all
}

// silentAfter is how long before the end of what is asked about a kiosk may last
// have been heard of and still have said all.
const silentAfter = 10 * time.Minute

// complete returns what a trace of places over some time could not know.
func (p *Pages) complete(ctx context.Context, found *trace.Found, at map[qrgate.Spot]bool, from, to time.Time) (*completeness, error) {
	c := &completeness{Unopened: found.Unopened}
	for i := range found.Scans {
		s := &found.Scans[i]
		c.Admitted += s.Admitted
		c.Unnamed += s.Unnamed
		c.Amber += s.Amber
		c.Refused += s.Refused
		c.Unread += s.Unread
		c.Paper += s.Paper
	}
	kiosks, err := p.o.Store.Kiosks(ctx)
	if err != nil {
		return nil, err
	}
	now := p.f.Now()
	ledgers, err := p.o.Store.Gaps(ctx, now)
	if err != nil {
		return nil, err
	}
	gaps := map[string]int64{}
	for _, l := range ledgers {
		for _, m := range l.Missing {
			gaps[l.Kiosk] += int64(m.To - m.From + 1)
		}
	}
	end := to
	if end.After(now) {
		end = now
	}
	for i := range kiosks {
		k := &kiosks[i]
		spot := qrgate.Spot{No: k.PlaceNo}
		if spot.No == 0 {
			spot.Name = k.Place
		}
		if !at[spot] || store.IsPhones(k.ID) {
			continue
		}
		c.Kiosks++
		heard := k.Contact
		if k.Received.After(heard) {
			heard = k.Received
		}
		g := missingGate{Kiosk: k.ID, At: spot, Since: heard, Gap: gaps[k.ID]}
		if k.Beat != nil {
			g.Known, g.Holds = true, int64(min(k.Beat.Queued, 1<<40))
		}
		added := !k.Added.After(end)
		silent := heard.Before(end.Add(-silentAfter)) && added
		if silent || g.Holds > 0 || g.Gap > 0 {
			c.Missing = append(c.Missing, g)
		}
	}
	slices.SortFunc(c.Missing, func(a, b missingGate) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kiosk, b.Kiosk))
	})
	return c, nil
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
