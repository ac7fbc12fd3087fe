// Package poster is where places get their posters: the page of one place's QR
// code with its kinds and formats, the pages of many in one file, and the
// template that the steering committee sets for all of them.
//
//	x := poster.New(f, reg, poster.Options{RetentionDays: 21})
//	routes = append(routes, x.Routes()...)
//
// The promise: a version of a poster says the same however often it is fetched,
// and every version that was ever made goes on leading to its place; the page
// says whether it has to be printed again, and why or why not. Nobody has to
// guess.
//
// How a poster looks is package print's matter, where its code leads to that of
// the pages for visitors.
package poster
