package room_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// runs returns n, or as many as QRGATE_SCALE says.
func runs(t *testing.T, n, soak int) int {
	t.Helper()
	switch s := os.Getenv("QRGATE_SCALE"); s {
	case "":
		return n
	case "soak":
		return soak
	default:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f <= 0 {
			t.Fatalf("QRGATE_SCALE=%q is no positive number", s)
		}
		return max(1, int(f*float64(n)))
	}
}

// However the lines to the server and between the gates are cut, whatever is lost, told
// twice, late and out of order, and whenever gates start anew: where a fault refuses, no
// more people are inside than the limit, and how many there are lies within what every
// gate shows.
func TestOccupancyUnderPartitions(t *testing.T) {
	for seed := range uint64(runs(t, 5, 1000)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSite(t, seed).play(90) })
		})
	}
}

// A site is a place with its gates, its server and the lines between them.
type site struct {
	t      *testing.T
	rnd    *rand.Rand
	limit  uint64
	now    time.Time
	inside int64 // the truth
	gates  []*gateAt
	shown  map[string]int // how often which bounds were looked at
}

// A gateAt is one of a site's gates, with its lines.
type gateAt struct {
	*door
	id     string
	up     bool // the line to the server
	lan    []bool
	beats  []wire.CountBeat   // that it has sent
	grants []wire.GrantAnswer // that the server has sent
	told   []room.Told        // what it has told neighbours
	server quota.Gate         // as the server knows it
	period int64
}

func newSite(t *testing.T, seed uint64) *site {
	s := &site{t: t, rnd: rand.New(rand.NewPCG(seed, 10)), now: start, shown: map[string]int{}}
	s.limit = uint64(1 + s.rnd.IntN(30))
	n := 2 + s.rnd.IntN(3)
	for i := range n {
		g := &gateAt{door: newDoor(t, t.TempDir()), id: fmt.Sprintf("gate-000%d", i), up: true, lan: make([]bool, n)}
		t.Cleanup(func() { g.Close() })
		s.gates = append(s.gates, g)
	}
	for i, g := range s.gates {
		s.meet(i)
		for j := range g.lan {
			g.lan[j] = i != j
		}
	}
	return s
}

// meet has a gate know its neighbours, as each start does.
func (s *site) meet(i int) {
	var others []string
	for j, g := range s.gates {
		if j != i {
			others = append(others, g.id)
		}
	}
	s.gates[i].Neighbours(others...)
}

func (s *site) any() int { return s.rnd.IntN(len(s.gates)) }

func (s *site) play(steps int) {
	for i := range s.gates { // each has heard of the limit once, when it was enrolled
		s.look(i)
	}
	for range steps {
		i := s.any()
		g := s.gates[i]
		switch s.rnd.IntN(14) {
		case 0, 1, 2, 3, 4:
			s.comes(g)
		case 5, 6:
			if s.inside > 0 { // whoever goes was inside
				s.goes(g)
			}
		case 7:
			g.up = s.rnd.IntN(2) == 0
		case 8:
			s.cut(i, s.any())
		case 9:
			s.beat(g)
		case 10: // something that is under way arrives, or arrives again
			s.receive(g, s.rnd.IntN(1000))
			s.take(g, s.rnd.IntN(1000))
		case 11:
			s.rumour(i, s.any(), s.rnd.IntN(1000))
		case 12:
			g.reopen()
			s.meet(i)
		case 13:
			if s.rnd.IntN(8) == 0 { // the next day begins with nobody inside
				s.now = s.now.Add(24 * time.Hour)
				s.inside = 0
			}
		}
		if s.inside > int64(s.limit) {
			s.t.Fatalf("%d people are inside, the limit is %d", s.inside, s.limit)
		}
		if s.rnd.IntN(3) == 0 {
			s.look(s.any())
		}
	}
	// All lines are mended: everybody knows the truth.
	for i, g := range s.gates {
		g.up = true
		for j := range s.gates {
			g.lan[j] = i != j
		}
	}
	for i := range s.gates {
		s.look(i)
	}
	if s.shown["exact"] == 0 {
		s.t.Error("nobody ever knew the truth")
	}
}

func (s *site) comes(g *gateAt) {
	reason, e := g.Enter(room.Scan{Kind: pass.Card, Dir: wire.In, Sure: true, Now: s.now})
	if e == nil {
		if reason != wire.ReasonFull {
			s.t.Fatalf("refused for %s", reason)
		}
		return
	}
	if s.rnd.IntN(20) == 0 {
		e.Drop() // turned back at the door
		return
	}
	s.inside++
	if err := e.Done(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) goes(g *gateAt) {
	_, e := g.Enter(room.Scan{Kind: pass.Card, Dir: wire.Out, Sure: true, Now: s.now})
	s.inside--
	if err := e.Done(); err != nil {
		s.t.Fatal(err)
	}
}

// cut cuts or mends a line between two gates.
func (s *site) cut(i, j int) {
	up := s.rnd.IntN(2) == 0 && i != j
	s.gates[i].lan[j], s.gates[j].lan[i] = up, up
}

// beat sends what a gate has counted.
func (s *site) beat(g *gateAt) { g.beats = append(g.beats, g.Beat().Counts[0]) }

// receive has the server hear one of a gate's beats, and answer it.
func (s *site) receive(g *gateAt, which int) {
	if len(g.beats) == 0 {
		return
	}
	c := g.beats[which%len(g.beats)]
	mine := quota.Tally{Period: g.period, Count: g.server.Count}.Merge(quota.Tally{Period: c.Period, Count: c.Count})
	g.period, g.server.Count = mine.Period, mine.Count
	gates := map[string]quota.Gate{}
	for _, o := range s.gates {
		gates[o.id] = quota.Gate{Count: quota.Tally{Period: o.period, Count: o.server.Count}.Roll(mine.Period).Count, Connected: o.up}
	}
	grant := quota.Share(s.limit, gates, g.id)
	g.server.Granted = grant.Granted
	g.grants = append(g.grants, wire.GrantAnswer{Period: c.Period, Grant: grant})
}

// take has one of the server's answers reach a gate.
func (s *site) take(g *gateAt, which int) {
	if len(g.grants) == 0 {
		return
	}
	if err := g.Answer([]wire.GrantAnswer{g.grants[which%len(g.grants)]}, s.now); err != nil {
		s.t.Fatal(err)
	}
}

// rumour has something that a gate has told at some time reach another.
func (s *site) rumour(from, to, which int) {
	g := s.gates[from]
	g.told = append(g.told, g.Tell(s.now))
	if from != to && g.lan[to] {
		if err := s.gates[to].Hear(g.id, g.told[which%len(g.told)]); err != nil {
			s.t.Fatal(err)
		}
	}
}

// look checks what a gate shows, after those who are connected have told all that they
// know: that takes a second.
func (s *site) look(i int) {
	g := s.gates[i]
	time.Sleep(6 * time.Second) // who is not heard any more has been silent for long enough
	alone := false
	for j, o := range s.gates {
		if j == i {
			continue
		}
		if alone = alone || !g.lan[j]; g.lan[j] {
			if err := g.Hear(o.id, o.Tell(s.now)); err != nil {
				s.t.Fatal(err)
			}
			if len(o.told) > 0 { // something older comes once more
				if err := g.Hear(o.id, o.told[s.rnd.IntN(len(o.told))]); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	if g.up {
		for _, o := range append(s.gates[:i:i], append(s.gates[i+1:len(s.gates):len(s.gates)], g)...) {
			if o.up {
				s.roll(o)
				s.beat(o)
				s.receive(o, len(o.beats)-1)
				s.take(o, len(o.grants)-1)
			}
		}
		s.beat(g)
		s.receive(g, len(g.beats)-1)
		s.take(g, len(g.grants)-1)
	}
	least, most, _, known := g.Inside(s.now, g.up)
	switch {
	case !known:
		if g.up || !alone {
			s.t.Fatalf("%s is connected and knows nothing", g.id)
		}
		return
	case s.inside < least || s.inside > most:
		s.t.Fatalf("%d people are inside, %s shows %d to %d (server %t, neighbours %t)", s.inside, g.id, least, most, g.up, !alone)
	case !alone && least != most:
		s.t.Fatalf("%s hears all others and shows %d to %d", g.id, least, most)
	case least == most:
		s.shown["exact"]++
	}
	s.shown["shown"]++
}

// roll has a gate begin the day, as its next visitor would: nobody comes in or goes out.
func (s *site) roll(g *gateAt) {
	_, e := g.Enter(room.Scan{Kind: pass.Card, Dir: wire.Out, Sure: true, Now: s.now})
	e.Drop()
}
