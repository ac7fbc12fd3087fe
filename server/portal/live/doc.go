// Package live is the page of the kiosks and of the check-ins as they are
// stored.
//
//	l := live.New(frame, s, feed, log, live.Options{})
//	routes := l.Routes() // GET /truc-tiep, the page; GET /live, its server-sent events
//
// The promise: what the page shows was stored, and each figure is one that the
// database had at a moment less than [Options.Refresh] before it was sent. A
// figure is never the sum of what events said, so a page that missed some is
// right again with the next, and nothing is counted twice. One read of the
// kiosks serves every page and stream for that long, so viewers cost the
// database next to nothing.
//
// A stream (event: data) begins with a snapshot and goes on with what changed:
//
//	snapshot: {"figures": HTML, "kiosks": HTML, "checkins": HTML}, all of each
//	figures:  HTML, the sums
//	kiosks:   HTML, each row that changed in more than its count
//	count:    {KIOSK: N, ...}, check-ins in all of each kiosk whose count changed
//	checkin:  HTML, check-ins that were just stored, newest first
//
// Check-ins come within half a second, figures within [Options.Refresh]; what
// another server stored shows in the figures within five seconds and not among
// the check-ins. A stream ends within a minute of its viewer's sign-in or role, and
// with its request's context: give the server a BaseContext that ends at shutdown.
//
// Place and gate names are outside input and escaped by html/template. The page
// shows nobody's name or number and both languages at once, because what is
// rendered once serves every viewer. The package has no SQL (package store).
package live
