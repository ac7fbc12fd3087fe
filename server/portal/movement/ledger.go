package movement

import (
	"context"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/area"
	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/flows"
)

// An entry is a figure in numbers: places in atlas.areas and atlas.sectors.
type entry struct {
	from, to, sector uint16
	span             counted.Span
	people           uint32
}

// several stands for what a figure does not name.
const several = ^uint16(0)

// An atlas is the communes and sectors of today. Figures of other times are taken
// for what stands in their place now.
type atlas struct {
	areas   []area.Unit
	sectors []qrgate.Sector
	areaNo  map[string]uint16
	now     time.Time
}

func newAtlas(now time.Time) *atlas {
	a := &atlas{areas: area.Current(), sectors: qrgate.SectorsOn(now), areaNo: map[string]uint16{}, now: now}
	for i, u := range a.areas {
		a.areaNo[u.ID.String()] = uint16(i)
	}
	return a
}

func (a *atlas) area(id string) uint16 {
	if no, ok := a.areaNo[id]; ok {
		return no
	}
	if old, err := area.ParseID(id); err == nil {
		// A commune that was split is several.
		if current := area.CurrentOf(old); len(current) == 1 {
			if no, ok := a.areaNo[current[0].ID.String()]; ok {
				return no
			}
		}
	}
	return several
}

func (a *atlas) sector(id string) uint16 {
	if id == "" {
		return several
	}
	s, err := qrgate.SectorNow(id, a.now)
	if err != nil {
		return several
	}
	for i := range a.sectors {
		if a.sectors[i].ID == s.ID {
			return uint16(i)
		}
	}
	return several
}

// name returns what a commune is called.
func (a *atlas) name(lang text.Lang, no uint16) string {
	if lang == text.English {
		return a.areas[no].FullNameEN
	}
	return a.areas[no].FullName
}

// A leaf is a day in numbers.
type leaf struct {
	run             int // the last of its runs
	unsure, doubted int
	arrivals, moves []entry
}

// mostLeaves is how many days are held, of which a question may need all. One of
// half a million check-ins takes 400 kB.
const mostLeaves = longest + 28

// A ledger holds days that were asked for, so that the next question does not read
// them. It is read anew with each civil day, and a day when it was counted again.
type ledger struct {
	flows *flows.Flows

	mu     sync.Mutex
	today  qrgate.Day
	atlas  *atlas
	leaves map[qrgate.Day]*leaf
}

// of returns the atlas of the day of now.
func (l *ledger) of(now time.Time) *atlas {
	l.mu.Lock()
	defer l.mu.Unlock()
	if today := qrgate.DayOf(now); l.atlas == nil || l.today != today {
		l.today, l.atlas, l.leaves = today, newAtlas(now), map[qrgate.Day]*leaf{}
	}
	return l.atlas
}

// read returns the days from one to another that were counted, in numbers of a.
func (l *ledger) read(ctx context.Context, a *atlas, from, to qrgate.Day) (map[qrgate.Day]*leaf, error) {
	runs, err := l.flows.Runs(ctx, from, to)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	leaves := l.leaves
	if l.atlas != a {
		leaves = map[qrgate.Day]*leaf{} // midnight was a moment ago
	}
	all := map[qrgate.Day]*leaf{}
	for day := from; day <= to; day++ {
		run, ok := runs[day]
		if !ok {
			continue
		}
		if held := leaves[day]; held != nil && held.run == run.No {
			all[day] = held
			continue
		}
		made, err := l.load(ctx, a, day, run.No)
		if err != nil {
			return nil, err
		}
		for old := range leaves {
			if len(leaves) < mostLeaves {
				break
			}
			if old < from || old > to {
				delete(leaves, old)
			}
		}
		leaves[day], all[day] = made, made
	}
	return all, nil
}

func (l *ledger) load(ctx context.Context, a *atlas, day qrgate.Day, run int) (*leaf, error) {
	days, err := l.flows.Days(ctx, day, day)
	if err != nil {
		return nil, err
	}
	made := &leaf{run: run}
	for _, d := range days {
		// Each run reads the whole day.
		made.unsure, made.doubted = max(made.unsure, d.Unsure), max(made.doubted, d.Doubted)
		made.arrivals = a.entries(made.arrivals, d.Arrivals)
		made.moves = a.entries(made.moves, d.Moves)
	}
	return made, nil
}

func (a *atlas) entries(to []entry, figures []counted.Figure) []entry {
	// Neighbours in the list have the same ids, and to look them up is most of it.
	var last counted.Figure
	e := entry{from: several, to: several, sector: several}
	for i := range figures {
		f := &figures[i]
		if f.From != last.From {
			e.from = a.area(f.From)
		}
		if f.To != last.To {
			e.to = a.area(f.To)
		}
		if f.Sector != last.Sector {
			e.sector = a.sector(f.Sector)
		}
		last, e.span, e.people = *f, f.Span, uint32(f.People)
		to = append(to, e)
	}
	return to
}
