// Package wire is what a kiosk and the server say to each other: topics,
// messages, versions, limits and reason codes.
//
// Messages are CBOR with integer keys in deterministic encoding. A decoder
// skips keys it does not know, so a field may be added in any release and the
// meaning of a field never changes. Everything that has an effect travels in an
// [Envelope]: the signed bytes are the bytes that were sent, so a signature
// never depends on encoding the same thing twice.
//
// A check-in is a [Record] of two parts: a clear [Header], which says when,
// where and with what result, and a sealed box (package seal), which says who
// and which only the server opens. Records form a hash chain per epoch
// ([Hash.Next]), so a gap or a second history is seen.
//
//	records -> Batch -> Envelope (zstd, signed by the kiosk)  -> up/batch
//	Receipt -> Envelope (signed by the server)                -> down/receipt
//	list of void cards -> ListParts -> Envelopes              -> down/list
//
// Decoding bounds everything that an attacker could declare: message size,
// inflated size, number of records, nesting. It reports [ErrTooLarge],
// [ErrMalformed], [ErrVersion] or [ErrSignature], wrapped with the fact.
//
// The package moves no bytes and stores none; see mqttlink, deliver and outbox.
package wire
