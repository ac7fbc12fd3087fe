// Package area knows the administrative units of the province: which there
// were, which there are, what became of the old ones, and how they lie on a map.
//
//	id, err := area.ParseID("19753@2021-07-01")       // phường Thuận Lộc
//	now := area.CurrentOf(id)                          // phường Phú Xuân
//	found := area.Search("p. thuan loc", 10)           // the same, by typing
//	u, ok := area.At(16.4698, 107.5796)                // phường Phú Xuân again
//	seen := area.Covers(officer, place)
//
// The promise: a unit that was written down once can be looked up for ever and
// always leads to the units that stand in its place now. Codes are reused and
// names repeat over the years, so neither is ever a key: the key is an [ID],
// the code together with the day from which it held.
//
// # Lists
//
// Units come in lists, each of which holds from one day until the next list
// begins: districts and communes from 2021-07-01, others from 2025-01-01, and
// communes alone from 2025-07-01. A unit belongs to one list: a commune that
// went through 2025-01-01 unchanged is two units, the second the successor of
// the first. Only the province lives on where a list leaves it as it was.
//
// # Who covers what
//
// Communes have only ever been merged, so every unit is a set of communes of
// the oldest list. [Covers] reports whether the place's set lies wholly within
// the scope's. It follows that
//
//   - the province covers every place, and each unit covers itself;
//   - a unit covers all that was merged into it: the officer of today's commune
//     sees the places that were registered under the communes it is made of;
//   - a unit covers its successor only if nothing else went into it;
//   - where a commune of today straddles two old districts (there are four
//     such: Hoá Châu, Mỹ Thượng, Phong Quảng, Thuận An), a place that is
//     registered under an old commune lies in that commune's own district,
//     while a place registered only under today's commune lies in neither: who
//     holds the old district must not see what may be the neighbour's. Give
//     such an officer today's communes, which [CurrentOf] lists.
//
// What is not known is not covered. Which commune became which rests on the
// resolutions, but for four communes of Phong Điền whose step of 2025-01-01 is
// inferred: data/README.md names them.
//
// Left out: addresses below the commune, boundaries in law (the outlines are
// for drawing), other provinces. The data lie in data/, one folder per
// province; nothing outside knows that there is one only.
package area
