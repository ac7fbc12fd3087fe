package movement

import (
	"cmp"
	"slices"
)

// of is what a figure is about, by numbers.
type of struct {
	from, to, sector uint16
	span             Span
}

// several stands for what is not named.
const several = ^uint16(0)

// people are who is counted in a cell: how many, and while they are few, who.
type people struct {
	n   int
	few []uint64 // all of them while n is less than the least
}

func (p people) add(who uint64, least int) people {
	p.n++
	if p.n < least {
		p.few = append(p.few, who)
	} else {
		p.few = nil
	}
	return p
}

// A level is one step by which hidden cells are put together.
type level struct {
	into func(of) of
	size func(of) int // how many cells of the level before it holds
}

// levels returns the steps from an hour to everything.
func levels(areas, sectors int, moves bool) []level {
	all := []level{
		{func(o of) of { o.span = o.span.Within(); return o }, func(o of) int { from, until := o.span.Hours(); return until - from }},
		{func(o of) of { o.span = AllDay; return o }, func(of) int { return len(begins) - 1 }},
		{func(o of) of { o.sector = several; return o }, func(of) int { return sectors }},
	}
	if moves {
		all = append(all, level{func(o of) of { o.from = several; return o }, func(of) int { return areas }})
	}
	return append(all, level{func(o of) of { o.to = several; return o }, func(of) int { return areas }})
}

// A heap is what is hidden in the cells that one level puts together.
type heap struct {
	shown int // cells of them that are figures, or hide nobody because all of theirs are
	who   map[uint64]bool
}

// hide returns the figures of cells; see the package's comment. It keeps who is in
// a hidden cell, lest one person who comes ten times be ten people.
func hide(cells map[of]people, levels []level, least int) map[of]int {
	figures := map[of]int{}
	heaps := map[of]*heap{}
	heapOf := func(o of) *heap {
		h := heaps[o]
		if h == nil {
			h = &heap{who: map[uint64]bool{}}
			heaps[o] = h
		}
		return h
	}
	for o, p := range cells {
		h := heapOf(levels[0].into(o))
		if p.n >= least {
			figures[o] = p.n
			h.shown++
			continue
		}
		for _, who := range p.few {
			h.who[who] = true
		}
	}
	for i, l := range levels {
		before := heaps
		heaps = map[of]*heap{}
		for o, h := range before {
			hidden := l.size(o) - h.shown
			shown := hidden == 0
			// With that many people in that few cells each would have to be near
			// nine, and somebody could tell.
			if n := len(h.who); n >= least && n <= (least-1)*(hidden-1) {
				figures[o] = n
				shown = true
			}
			if i+1 == len(levels) {
				continue // what is left is dropped
			}
			up := heapOf(levels[i+1].into(o))
			if shown {
				up.shown++
				continue
			}
			for who := range h.who {
				up.who[who] = true
			}
		}
	}
	return figures
}

// named returns figures with their ids, in an order that says nothing.
func named(figures map[of]int, areas, sectors []string) []Figure {
	name := func(names []string, n uint16) string {
		if n == several {
			return ""
		}
		return names[n]
	}
	all := make([]Figure, 0, len(figures))
	for o, n := range figures {
		all = append(all, Figure{name(areas, o.from), name(areas, o.to), name(sectors, o.sector), o.span, n})
	}
	slices.SortFunc(all, func(a, b Figure) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Sector, b.Sector), cmp.Compare(a.Span, b.Span))
	})
	return all
}
