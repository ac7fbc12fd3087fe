// Package scanner joins scanners at clerks' desks to the clerks' pages. A page shows
// a code; the program at the desk reads it, and from then on what its scanners read
// comes to that page.
//
//	hub := scanner.New(scanner.Options{Opener: opener, Portal: "https://qr.example.vn", ...})
//	line := hub.Offer(account)          // page: shows line.Code()
//	err := hub.Receive(body)            // the desk, over HTTPS
//	state := line.Wait(ctx, seen)       // page: until there is something new
//	text, ok := line.Take()             // page: what was read, once
//
// The promise: what a scanner reads is sealed at the desk to this server, is kept in
// memory alone, goes to the one account whose page made the code, once, and is
// forgotten after two minutes if nobody takes it. It is in no log and no error.
//
// A line ends when its clerk says so, when nobody has looked at it for half an hour,
// after twelve hours, and with the process. It is known to the process that made it:
// where several portals stand behind one address, what balances them has to send a
// client to the same one each time, as it does for pages that follow something live.
package scanner
