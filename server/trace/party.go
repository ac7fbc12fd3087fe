package trace

import (
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// parties finds who came together with the traced stays of a place.
type parties struct {
	of    []traced
	party map[int]*Party // by number of the stay
}

// see looks at a check-in, of a person or of nobody.
func (p *parties) see(c *qrgate.Checkin, person qrgate.Person) {
	for i := range p.of {
		t := &p.of[i]
		if c.With == 0 && t.with == 0 || c.Epoch != t.entry.Epoch || c.Verdict == wire.Refused || idOf(c) == t.entry {
			continue
		}
		led, leads := c.With != 0 && (c.With == t.entry.Seq || c.With == t.with), t.with != 0 && c.Seq == t.with
		if !led && !leads {
			continue
		}
		if p.party == nil {
			p.party = map[int]*Party{}
		}
		if p.party[t.of] == nil {
			p.party[t.of] = &Party{Of: t.of}
		}
		switch in := p.party[t.of]; {
		case person == 0:
			in.Unnamed++
		case !slices.Contains(in.Persons, person):
			in.Persons = append(in.Persons, person)
		}
	}
}

// found returns the parties without those who are traced.
func (p *parties) found(traced map[qrgate.Person]bool) []Party {
	var all []Party
	for _, in := range p.party {
		in.Persons = slices.DeleteFunc(in.Persons, func(who qrgate.Person) bool { return traced[who] })
		if len(in.Persons)+in.Unnamed > 0 {
			slices.Sort(in.Persons)
			all = append(all, *in)
		}
	}
	return all
}
