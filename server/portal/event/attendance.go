package event

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An attendance is who came to an event, as far as the doors have told.
type attendance struct {
	Rows     []row     // by category
	Others   row       // without an invitation, where the event is open
	All      row       // of both
	Denied   int       // passes that a door turned away
	Copies   []copied  // passes that came in twice
	Told     time.Time // when the last of it arrived; zero if nothing has
	Unopened int       // check-ins of which nobody can tell any more whose they are

	fault  error // why the first of those does not open
	guests map[qrgate.Person]came
}

// A row is the figures of one category.
type row struct {
	Category uint8
	Invited  int
	Came     int
	Inside   int
}

// came is what became of one guest.
type came struct {
	category    uint8
	number      uint32
	first, left int64 // Unix milliseconds; left is 0 while the guest is inside
	inside      bool
	gates       []string
}

// A copied is a pass that came in again without having gone out: two people may have
// it.
type copied struct {
	Number uint32
	Gates  []string
	At     time.Time // of the second time
}

// maxCopies is how many copied passes a page shows.
const maxCopies = 50

// shareFor is how long one count serves everybody who asks.
const shareFor = 3 * time.Second

// counts are shared by the pages that look at the same event.
type counts struct {
	mu   sync.Mutex
	byNo map[uint32]*count
}

type count struct {
	mu     sync.Mutex // one counts, the others wait
	at     time.Time
	last   attendance
	warned bool // of check-ins that do not open
}

// attend counts who came to an event.
func (p *Pages) attend(ctx context.Context, e *events.Event) (attendance, error) {
	p.counts.mu.Lock()
	if p.counts.byNo == nil {
		p.counts.byNo = map[uint32]*count{}
	}
	c := p.counts.byNo[e.No]
	if c == nil {
		if len(p.counts.byNo) > 100 { // events that nobody looks at any more
			clear(p.counts.byNo)
		}
		c = new(count)
		p.counts.byNo[e.No] = c
	}
	p.counts.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	now := p.f.Now()
	if age := now.Sub(c.at); age >= 0 && age < shareFor {
		return c.last, nil
	}
	last, err := p.count(ctx, e)
	if err != nil {
		return last, err
	}
	c.at, c.last = now, last
	if last.Unopened > 0 && !c.warned {
		p.o.Log.Warn("check-ins at an event do not open", "event", e.No, "checkins", last.Unopened, "err", last.fault)
	}
	c.warned = last.Unopened > 0
	return last, nil
}

// A passing is one guest at one door.
type passing struct {
	person qrgate.Person // 0 of somebody who was not invited
	at     int64
	out    bool
	gate   string
}

// slack is how far from an event's time its check-ins are looked for: clocks of doors
// may be wrong.
const slack = 2 * time.Hour

func (p *Pages) count(ctx context.Context, e *events.Event) (attendance, error) {
	a := attendance{guests: map[qrgate.Person]came{}}
	invited := map[uint8]int{}
	err := p.events.Passes(ctx, e.No, func(g events.Pass) error {
		a.guests[g.Person] = came{category: g.Category, number: g.Number}
		if !g.Cancelled {
			invited[g.Category]++
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	var all []passing
	from, to := e.Starts.Add(-e.Early-slack), e.Ends.Add(slack)
	err = p.o.Checkins.CheckinsAt(ctx, qrgate.Spot{No: e.Place}, from.UnixMilli(), to.UnixMilli(), func(c *qrgate.Checkin) error {
		if c.Verdict == wire.Refused {
			if c.Pass == pass.Event {
				a.Denied++
			}
			return nil
		}
		if told := time.UnixMilli(c.Received); told.After(a.Told) {
			a.Told = told
		}
		s := passing{at: c.Earliest + (c.Latest-c.Earliest)/2, out: c.Direction == wire.Out, gate: c.Gate}
		if c.Subject != (qrgate.Subject{}) {
			who, err := p.o.Persons.Person(c.Day, c.Subject)
			switch {
			case err == nil:
				s.person = who
			case errors.Is(err, vault.ErrShredded):
			case errors.Is(err, vault.ErrSubject), errors.Is(err, vault.ErrMaster), errors.Is(err, qrgate.ErrNotFound):
				// A key that was lost or damaged does not come back, and there are
				// people at the door.
				if a.Unopened++; a.fault == nil {
					a.fault = err
				}
			default:
				return err
			}
		}
		if _, ok := a.guests[s.person]; !ok {
			if s.person = 0; !e.Open {
				return nil // somebody of the house
			}
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		return a, err
	}
	a.add(all)
	for _, c := range e.Categories {
		a.Rows = append(a.Rows, row{Category: c.No, Invited: invited[c.No]})
	}
	for _, g := range a.guests {
		i := slices.IndexFunc(a.Rows, func(r row) bool { return r.Category == g.category })
		if i >= 0 && g.first != 0 {
			a.Rows[i].Came++
			if g.inside {
				a.Rows[i].Inside++
			}
		}
	}
	for _, r := range append(slices.Clone(a.Rows), a.Others) {
		a.All.Invited, a.All.Came, a.All.Inside = a.All.Invited+r.Invited, a.All.Came+r.Came, a.All.Inside+r.Inside
	}
	return a, nil
}

// add follows each guest through the doors, in order of time.
func (a *attendance) add(all []passing) {
	slices.SortStableFunc(all, func(x, y passing) int { return cmp.Compare(x.at, y.at) })
	for _, s := range all {
		if s.person == 0 {
			if s.out {
				a.Others.Inside = max(0, a.Others.Inside-1)
			} else {
				a.Others.Came++
				a.Others.Inside++
			}
			continue
		}
		g := a.guests[s.person]
		if !slices.Contains(g.gates, s.gate) {
			g.gates = append(g.gates, s.gate)
		}
		switch {
		case s.out:
			g.inside, g.left = false, s.at
		case g.inside:
			if len(a.Copies) < maxCopies {
				a.Copies = append(a.Copies, copied{g.number, slices.Clone(g.gates), time.UnixMilli(s.at)})
			}
		default:
			g.inside, g.left = true, 0
			if g.first == 0 {
				g.first = s.at
			}
		}
		a.guests[s.person] = g
	}
}

// told says up to when the figures count.
func told(v *page.View, a attendance) string {
	if a.Told.IsZero() {
		return v.T("event.told.none")
	}
	return v.T("event.told", "at", a.Told.In(qrgate.Zone).Format("02/01/2006 15:04"))
}

// present answers with the figures, for the page's script.
func (p *Pages) present(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, maySee)
	if err != nil {
		return err
	}
	a, err := p.attend(r.Context(), e)
	if err != nil {
		return err
	}
	figures := map[string]string{}
	set := func(name string, r row) {
		figures[name+".invited"], figures[name+".came"], figures[name+".inside"] = page.Number(r.Invited), page.Number(r.Came), page.Number(r.Inside)
	}
	for _, r := range a.Rows {
		set(page.Number(int(r.Category)), r)
	}
	set("others", a.Others)
	set("all", a.All)
	figures["denied"], figures["told"] = page.Number(a.Denied), told(v, a)
	figures["copies"], figures["unopened"] = strconv.Itoa(len(a.Copies)), strconv.Itoa(a.Unopened)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(figures)
}
