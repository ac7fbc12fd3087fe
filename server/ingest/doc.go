// Package ingest turns what kiosks send into rows, and answers.
//
//	link -> queue -> workers: signature, seals -> tray -> committer: one transaction -> signed receipts
//
// A check-in by phone goes the same way: [Ingest.Visit] -> tray -> committer, and
// returns after the commit.
//
// So do the batches that somebody carries here on a stick: [Ingest.Carry] -> tray ->
// committer, and their receipts go back with the stick.
//
//	in, err := ingest.New(ingest.Parts{Store: s, Vault: v, Opener: o, Sign: sign, Link: link, Feed: feed}, ingest.Options{Log: log})
//	err = in.Run(ctx)
//
// The promise: a receipt is signed after the commit of what it names, and every
// record of a batch that verifies has exactly one effect, however often, in
// whatever order and under however many epochs it arrives. A record that cannot
// be used becomes a dead letter with its reason and holds up no other. What
// does not verify, and what a full queue cannot take, stays unanswered and comes
// again.
//
// A worker opens a batch without the database. The committer takes whatever is
// opened into one transaction, so that the cost of a durable write is shared by
// all kiosks that are waiting for one, and answers are signed while the next one
// runs. A transaction that fails is halved until the batch that none can take is
// alone: it must not stop the others.
//
// Whoever has the key of one kiosk gets what one kiosk gets: while many batches wait
// it has a few of them, of its beats the newest waits, its refusals are a line of the
// log a minute, and package store keeps so many epochs and anchors of it.
//
// A beat is answered with its nonce and the time at once, without the database.
// If it says that the kiosk does not know what the server holds, a receipt goes
// with the answer: a server that was restored from a backup is found out so,
// also by a kiosk that nobody visits.
//
// Check-ins by phone are rows like a kiosk's. What stands for a kiosk is the
// server itself, which keeps a ledger of them that begins anew with each process,
// and for the record's number a key of the phone's own: a visit under the same key
// has one effect, whenever and to whichever server it is sent again, and gets the
// same answer. A queue that is full is said, not waited for. A server that is
// restored from a backup does not have the visits that came after it: unlike a
// kiosk, a phone that was answered does not send again.
//
// Several servers may run this beside each other on one database: they share
// the subscription, and the store orders what they commit.
//
// How check-ins and persons are stored is package store's and package vault's
// matter; what counts as held is package deliver's.
package ingest
