// Package simulate runs many kiosks that are not there, in one process, against a
// server: for load, and for people who learn to look after kiosks.
//
//	err := simulate.Run(ctx, simulate.Options{
//		Server: "tls://127.0.0.1:8883", Identities: "sim", State: dir, Kiosks: 100,
//		Scenario: simulate.Outage, Rate: 6, Out: os.Stdout,
//	})
//
// The promise: behind the scanner everything is the kiosk's own code: door, outbox,
// agent, link and delivery. A scenario only does to it what a place does: the network
// ends, a scanner falls ill, a clock is wrong, a card is void. With one seed the same
// visitors come in the same order. Settings and orders of the portal are taken as a
// kiosk takes them, but for what only a machine can do: a picture, another server.
//
// A light kiosk has no door and no outbox: it keeps a connection and beats. It is for
// figures of many connections, of which the clients must not be the larger part.
//
// It takes only identities whose names begin with "sim-", which
// "qrgate-server kiosk add sim- -count N" makes, so that nobody mistakes a simulated
// check-in for a visit. A server on this machine sees each kiosk come from an address
// of its own, as kiosks do.
package simulate
