// Package issue signs cards and event passes: a [Signer] holds the keys, an [Office]
// asks it and holds none. Each may be a process of its own, qrgate-server serve -role
// issue and -role portal, or both one.
//
//	texts, err := office.Sign(ctx, issue.Request{Purpose: wire.ForCard, By: account, Object: "batch 7", Passes: cards})
//	go signer.Run(ctx)
//
// They meet in the database (package issuing below store), and not over a socket. A
// batch of thousands then outlives either process: it goes on with the part that has no
// answer yet, and since numbers come from the register and Ed25519 is deterministic, a
// part that is signed again is the same. Several portals and several signers need no
// address, certificate or open port to find each other, and the quota is counted in the
// transaction that grants it. What it costs is a poll of some hundred milliseconds
// where the two are different processes; in one process a signer is woken.
//
// The promise: an Office cannot sign. What it asks for is signed only if it stands in
// the register and within the quotas of a batch and of a day, see package issuing.
// Answers lie in the database for as long as the Office takes to read them, sealed to a
// key that it has in memory alone: whoever has a copy of the database has no card.
package issue
