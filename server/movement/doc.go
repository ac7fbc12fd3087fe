// Package movement counts how people move: how many came to the communes and
// sectors in each hour of a day, from which commune to which they went on, and how
// full a place was in each quarter of an hour.
//
//	day, err := movement.Count(ctx, rows, 20783, movement.Window{Until: now}, movement.Options{Places: places})
//	total := movement.Sum(day.Moves, movement.Query{To: inner, Span: movement.Morning})
//	job := movement.Job{Rows: s, Keeper: flows, Now: time.Now, Log: log}
//	err = job.Run(ctx) // each day of yesterday, and what came late
//
// It opens no person: within a day a subject is equal to itself, and that is all
// that counting needs. What it returns are figures, each of at least [Least]
// different people.
//
// # What is hidden
//
// Cells under ten are hidden here, before anything is stored, so that no page, no
// export and no mistake in either can show them. The figures of a day are a
// partition: a cell of ten people or more (one hour, one sector, one commune, or
// two of a move) is a figure. Those under ten are put together with what is hidden
// beside them, first over the part of the day, then over the day, then over the
// sectors, the communes people came from, and all; where a sum reaches ten
// different people, and the cells in it could still be anything from none to
// nine, it is a figure of its own. What does not reach ten even so is dropped.
//
// Whatever a page shows is a sum of whole figures, and a figure that lies only in
// part within a question adds nothing to its answer. So everything that can be
// asked, by sector, by area, by rows, columns and days, and everything that can be
// worked out from the answers, depends on figures alone: no difference of two
// answers is a hidden cell, because no answer holds one by itself. An empty cell
// and one of nine look the same. The price is that sums may be smaller than the
// truth; pages say so.
//
// What arrives late is no exception. A day is not counted anew, which would let
// somebody take yesterday's answer from today's: a second run holds the people
// that the first did not know, and they pass the same rules by themselves.
//
// Arrivals and moves are two partitions of their own. They count different things
// (a person who comes first, or comes back, is an arrival and no move), so neither
// is a sum of the other.
//
// # Why figures may stay
//
// Once a day's check-ins are dropped and its key is shredded, its figures are what
// is left of it. They name nobody, no subject, no
// card and no place where fewer than ten were, and nothing joins them to another
// day, since a person is another subject there. They are not personal data, and
// comparing a week with the same week of the year before is what they are for.
// Even so they are kept for no longer than that takes: [KeepFor].
//
// # What it leaves out
//
// Check-ins that may be no true ones: see [Doubts]. A move that nobody can have
// made so fast is no move.
//
// Check-ins at places that are not registered have no commune. Those whose hour is
// not known within [Sure], because a kiosk had no clock, are left out and counted.
// Who was already at a place at midnight is not in its crowd until a check-out says
// so. SQL is package flows', pages are package portal/movement's.
package movement
