// Package fleet is the pages about kiosks: all of them as they are now, each with its
// history, and the alarms.
//
//	p := fleet.New(frame, fleet.Options{Fleet: kept, Store: s})
//	routes := p.Routes() // /thiet-bi and what is below it
//
// Operators and administrators see every kiosk, acknowledge alarms and mute them;
// officers see those of their sector or area, and owners and staff their own places',
// and change nothing. Anybody of them may be told of alarms by letter.
//
// The list follows what happens by server-sent events and is whole without script.
// A stream sends the rows that changed, of those that its page shows; one read of the
// kiosks serves every page and stream for two seconds. Within a minute it ends with its
// viewer's sign-in or role, or shows what is left of their scope. A page of one kiosk is
// drawn from what is kept of it, so it is the same while that kiosk is off.
//
// What is wrong with a kiosk package server/fleet decides; SQL is in package
// store/fleet.
package fleet
