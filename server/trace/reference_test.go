package trace_test

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
)

// What follows is a trace as one would write it down first: every person against
// every other, in milliseconds, without bounds, windows or sorting by place. It
// shares no code with the package.

// A span is a time that somebody was at a place.
type span struct {
	person   qrgate.Person
	place    int
	from, to int64
}

func (s span) overlap(t span) int64 { return min(s.to, t.to) - max(s.from, t.from) }

// A knock is a check-in at the time when it truly was.
type knock struct {
	person qrgate.Person
	place  int
	at     int64
	out    bool
	staff  bool
}

// surely returns when a person was surely at places, going by knocks: between a
// check-in and the check-out that follows it, and at the moment of any other.
func surely(p *province.Province, knocks []knock) []span {
	slices.SortFunc(knocks, func(a, b knock) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.at, b.at)) })
	var all []span
	for i := 0; i < len(knocks); i++ {
		k := knocks[i]
		if i+1 < len(knocks) && !k.out && knocks[i+1].out && knocks[i+1].place == k.place && oneStay(p, k, knocks[i+1]) {
			all = append(all, span{k.person, k.place, k.at, knocks[i+1].at})
			i++
			continue
		}
		all = append(all, span{k.person, k.place, k.at, k.at})
	}
	return all
}

func oneStay(p *province.Province, in, out knock) bool {
	pl := p.Places()[in.place]
	d := trace.DwellOf(pl.Kind)
	longest := d.Longest.Milliseconds()
	if in.staff {
		longest = min(max(longest, 14*3_600_000), 30*3_600_000)
	}
	// The places of a province close before midnight, if ever.
	sameDay := qrgate.DayOfMilli(in.at) == qrgate.DayOfMilli(out.at)
	return out.at-in.at <= longest && (d.Overnight || len(pl.Hours) == 0 || sameDay)
}

// together returns for every person the time that they shared with the index,
// of those who shared any, be it a moment.
func together(index, others []span, after int64) map[qrgate.Person]int64 {
	sum := map[qrgate.Person]int64{}
	for _, a := range index {
		a.to += after
		for _, b := range others {
			if a.place == b.place && a.person != b.person {
				if o := a.overlap(b); o >= 0 {
					sum[b.person] += o
				}
			}
		}
	}
	return sum
}
