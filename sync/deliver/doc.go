// Package deliver brings a kiosk's records to the server over a line that loses,
// repeats and reorders: the [Sender] is the kiosk's half, the [Ledger] the
// server's.
//
//	outbox -> Sender -> batch -> Link -> Ledger.Take -> one transaction
//	outbox <- Sender <- receipt <- Link <- Ledger.Receipt <-'
//
// The promise: every record has exactly one effect. The Sender sends a record
// until a signed receipt covers it; the Ledger says of each record that arrives
// whether it was held before. Neither believes the Link: an acknowledged publish
// proves nothing.
//
// Both sides chain the records by hash. Where the chains differ, the kiosk's
// storage was copied or put back: the answer is a fork, the kiosk goes on in a
// new epoch and carries over what is in no backup, and the server keeps both
// histories. A carried record names the epoch and number under which it was
// first written. What a store owes it so that it counts once:
//
//   - of an arriving record with an Origin: if the origin's Ledger Holds its
//     header's number with the same [Digest], or the store has noted the same
//     (origin, number, digest) before, it makes no row. Else it makes one and is
//     noted. In either case [Ledger.Carry] tells the origin's Ledger;
//   - of an arriving record without one: if Take lists it under Carried and its
//     (epoch, number, digest) is noted, it makes no row.
//
// A server restored from a backup lacks what came after, and the kiosk learns
// that from its next receipt. An idle kiosk gets none, so the server should sign
// one for every beat whose Through is not the ledger's.
//
// A bundle ([WriteBundle], [Envelopes]) is the same batches on a USB stick.
//
// Moving bytes is package mqttlink's, storing them package outbox's and the
// server's.
package deliver
