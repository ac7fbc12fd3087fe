// Package fleet judges how kiosks are: their state, and what is wrong with them.
//
//	findings := fleet.Judge(k, look)          // what one kiosk's last beat means
//	changes := watch.Step(open, judged, now)  // alarms that begin and end
//	job.Run(ctx)                              // reads, judges, keeps, tells
//
// An alarm is a state and no event: it begins once, lasts, may be acknowledged or
// muted, and ends by itself. The promise: a kiosk at a threshold makes one alarm and
// not many, for each kind has a second threshold at which it ends and a time for
// which it must hold; a place that is closed makes none for a kiosk that was
// switched off; a server that was cut off itself accuses nobody; and when the
// network of many fails, people are told once.
//
// What no beat says is unknown, and raises nothing. The rules are pure functions of
// what is known and of now. SQL is package store/fleet's matter, pages are package
// portal/fleet's.
package fleet
