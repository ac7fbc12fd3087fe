// Package visit is the check-in by phone: what opens when somebody scans a
// poster, and the app that it can become.
//
//	pages := visit.New(visit.Options{Frame: frame, Register: reg, Desk: ingest, Introduction: intro})
//	routes := pages.Routes()
//
//	GET  /p/{code}       the page of a poster: place, form, notice of rights
//	POST /p/{code}       the form, answered by 303 to
//	GET  /p/{code}/xong  a page of its own, whose address names nobody
//	POST /p/{code}/gui   the same as JSON, for the script and the service worker
//	GET  /p?ma=...       a code that was typed
//	GET  /quet           camera, or the code typed
//	GET  /nhat-ky        what this phone remembers of where it was
//
// and the manifest, icons and service worker of the app.
//
// The promise: the page is usable after three requests and within 60 kB, fonts
// included, and without script. A check-in that a phone has said to be recorded
// or kept has exactly one effect: each has a random key, the phone writes it down
// before it sends it, and sends it again until there is an answer. Without a
// network it is kept on the phone with the time at which it happened; how wrong
// the phone's clock is does not matter, because it is told along with it.
//
// These pages are in both languages at once, as the poster is, and so are the
// same for everybody: they have a shell of their own, much smaller than package
// page's, whose texts are put into the templates before they are parsed. The
// service worker keeps only pages that were made for nobody in particular.
//
// What a phone remembers (who its owner is, the diary) stays on the phone. What
// the place tells about itself comes from [Introductions]; rules of check-ins are
// package ingest's.
package visit
