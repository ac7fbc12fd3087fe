// Package when owns what is known about a time. A kiosk's clock may be wrong by
// a minute or by a century; this package never believes it, and never throws
// away what it said.
//
// A kiosk dates an event by two numbers that cannot be wrong, the [Boot] and the
// time since that boot, and adds what it believes of the wall clock and why. Its
// [Clock] takes the server's time only from an answer bound to its own question
// and turns it into an [Anchor], which goes into the ledger. The server gathers
// [Anchors] and the order of boots in [Boots] and says between which two moments
// an event lies:
//
//	clock := when.NewClock(boot, since, wall, floor)       // kiosk
//	reading := clock.Read()                                // with each record
//	anchor, due := clock.Sample(asked, answered, server)   // with each answer to a beat
//
//	boots.Add(span)                                        // server, with each batch
//	anchors.Add(anchor)
//	interval := boots.Bounds(reading.Boot, reading.Since)
//
// The promise: if the kiosk's crystal is within [Drift] and the server's clock
// is the truth, the truth is inside every interval and within every stated
// error. An anchor that arrives later narrows what was known before, also of a
// boot that never met the server: it lies between its neighbours.
//
// The floor is a time that is certainly past. Only the build, the server's
// signed word and the passing of time since then raise it; clock chip, saved
// system time and printed cards do not, so a chip that says 2099 cannot make a
// kiosk refuse the world.
//
// The package reads no clock and stores nothing: both are handed in.
package when

// Drift is the largest error of a kiosk's crystal, in parts per million. A
// Raspberry Pi's is a few tens over the temperatures of a year.
const Drift = 100

// slack returns by how much a crystal may be wrong over d of its own time, in
// d's unit and rounded up. It divides by 1 - Drift, because the crystal that runs
// slow measures less time than has passed.
func slack(d int64) int64 {
	if d < 0 {
		d = -d
	}
	return d/(1_000_000/Drift-1) + 1
}
