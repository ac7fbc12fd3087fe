package quota_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/sync/quota"
)

// A site is a server and its gates, whose lines fail as a test likes.
type site struct {
	limit  uint64
	gates  map[string]*quota.Count // as they are
	heard  map[string]quota.Gate   // as the server knows them
	onWire map[string][]quota.Count
	grants map[string][]quota.Grant
}

func newSite(limit uint64, gates int) *site {
	s := &site{limit, map[string]*quota.Count{}, map[string]quota.Gate{}, map[string][]quota.Count{}, map[string][]quota.Grant{}}
	for i := range gates {
		id := fmt.Sprintf("gate-%d", i)
		s.gates[id], s.heard[id] = new(quota.Count), quota.Gate{Connected: true}
	}
	return s
}

func (s *site) inside() (n int64) {
	for _, c := range s.gates {
		n += c.Inside()
	}
	return n
}

// beat sends a gate's count, and receive lets one of those under way arrive: any,
// also one that has arrived before.
func (s *site) beat(id string) { s.onWire[id] = append(s.onWire[id], *s.gates[id]) }

func (s *site) receive(id string, which int) {
	sent := s.onWire[id]
	if len(sent) == 0 {
		return
	}
	g := s.heard[id]
	g.Count = g.Merge(sent[which%len(sent)])
	s.heard[id] = g
	grant := quota.Share(s.limit, s.heard, id)
	g.Granted = grant.Granted
	s.heard[id] = g
	s.grants[id] = append(s.grants[id], grant)
}

func (s *site) take(id string, which int) {
	if all := s.grants[id]; len(all) > 0 {
		g := all[which%len(all)]
		c := s.gates[id]
		*c = c.Merge(quota.Count{Granted: g.Granted})
		c.Return(g.Return)
	}
}

// However messages are lost, repeated and reordered, and whichever gates are cut
// off, no more people are inside than the limit.
func TestNeverOverTheLimit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(r, "gates")
		s := newSite(uint64(rapid.IntRange(0, 40).Draw(r, "limit")), n)
		for range rapid.IntRange(1, 300).Draw(r, "steps") {
			id := fmt.Sprintf("gate-%d", rapid.IntRange(0, n-1).Draw(r, "gate"))
			which := rapid.IntRange(0, 1000).Draw(r, "which")
			switch rapid.IntRange(0, 6).Draw(r, "step") {
			case 0, 1:
				s.gates[id].Enter()
			case 2:
				if s.inside() > 0 { // whoever goes out was inside
					s.gates[id].Leave()
				}
			case 3:
				s.beat(id)
			case 4:
				s.receive(id, which)
			case 5:
				s.take(id, which)
			case 6:
				g := s.heard[id]
				g.Connected = !g.Connected
				s.heard[id] = g
			}
			if s.inside() > int64(s.limit) {
				r.Fatalf("%d people are inside, the limit is %d: %v", s.inside(), s.limit, s.gates)
			}
		}
	})
}

// The bounds that a gate shows hold, if those that are connected have told all.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newSite(uint64(rapid.IntRange(1, 60).Draw(r, "limit")), 3)
		cut, told := map[string]bool{}, map[string]quota.Grant{}
		for range rapid.IntRange(1, 200).Draw(r, "steps") {
			id := fmt.Sprintf("gate-%d", rapid.IntRange(0, 2).Draw(r, "gate"))
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0, 1:
				s.gates[id].Enter()
			case 2:
				if s.inside() > 0 {
					s.gates[id].Leave()
				}
			case 3:
				cut[id] = !cut[id]
			}
			for other := range s.gates {
				g := s.heard[other]
				if g.Connected = !cut[other]; g.Connected {
					g.Count = *s.gates[other]
				}
				s.heard[other] = g
			}
			if cut[id] {
				continue
			}
			grant := quota.Share(s.limit, s.heard, id)
			s.gates[id].Granted = grant.Granted
			s.gates[id].Return(grant.Return)
			s.heard[id] = quota.Gate{Count: *s.gates[id], Connected: true}
			least, most := grant.Bounds(*s.gates[id], true)
			if n := s.inside(); n < least || n > most {
				r.Fatalf("%d people are inside, not between %d and %d", n, least, most)
			}
			told[id] = grant
		}
		// A gate that is cut off now knows less, and what it says is still true.
		for id, grant := range told {
			least, most := grant.Bounds(*s.gates[id], false)
			if n := s.inside(); n < least || n > most {
				r.Fatalf("%d people are inside, not between %d and %d as %s says, which is cut off", n, least, most, id)
			}
		}
	})
}

// With every line up a place fills, whichever gate people come to, but for the last
// right of each of the others.
func TestFillsUp(t *testing.T) {
	const limit, gates = 100, 4
	s := newSite(limit, gates)
	fill := func(id string) {
		for range 60 {
			for id := range s.gates {
				s.beat(id)
				s.receive(id, len(s.onWire[id])-1)
				s.take(id, len(s.grants[id])-1)
			}
			for s.gates[id].Enter() {
			}
		}
		if n := s.inside(); n > limit || n < limit-(gates-1) {
			t.Errorf("%d are inside after all came by %s, want %d", n, id, limit)
		}
	}
	fill("gate-2")
	for range 10 {
		s.gates["gate-0"].Leave()
	}
	fill("gate-3")
}

func TestForce(t *testing.T) {
	var c quota.Count
	if c.Enter() {
		t.Error("Enter without a right")
	}
	c.Force()
	if c.Left() != -1 || c.Inside() != 1 {
		t.Errorf("after Force: left %d, inside %d", c.Left(), c.Inside())
	}
	c.Return(5)
	if c.Returned != 0 {
		t.Errorf("gave back %d rights that it has not", c.Returned)
	}
}

func TestLoweredLimit(t *testing.T) {
	s := newSite(50, 1)
	s.beat("gate-0")
	s.receive("gate-0", 0)
	s.take("gate-0", 0)
	s.limit = 10
	for range 3 {
		s.beat("gate-0")
		s.receive("gate-0", len(s.onWire["gate-0"])-1)
		s.take("gate-0", len(s.grants["gate-0"])-1)
	}
	if left := s.gates["gate-0"].Left(); left != 10 {
		t.Errorf("%d rights are left under a limit of 10", left)
	}
}
