// Package intro is what places say of themselves: the pages on which an
// organisation writes an introduction with pictures, products and links, the page
// on which everybody reads it, and the sheet of all of them for the programme for
// the digital transformation of businesses.
//
//	x := intro.New(f, reg, log)
//	routes = append(routes, x.Routes()...)
//	part, ok := x.Introduction(ctx, no) // for the page after a check-in
//
// The promise: what is not published is seen only by whoever may see the place;
// a picture is kept without what its file says besides what is to be seen, and
// none is decoded whose size was not looked at first; words are words, never
// HTML, and links lead to http or https only and say that they are not ours.
//
// Where introductions are kept is package register's matter.
package intro
