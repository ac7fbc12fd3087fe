// Package outbox is a kiosk's ledger on disk: a queue of records in one bbolt
// file, chained by hash, from which a record goes only when the server's receipt
// allows it.
//
//	q, err := outbox.Open(ctx, path, outbox.Options{Now: clock.Reading})
//	seq, err := q.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) { ... })
//	run, err := q.Peek(q.Stats().Through+1, wire.MaxBatchRecords)
//	out, err := q.Apply(receipt)
//
// The promise: once Put returns nil, the record is on disk and survives a power
// cut; it is sent, carried over or counted as lost, and never dropped in
// silence.
//
// An epoch is one life of the file. Whatever begins another (a fork that the
// server saw, storage in another machine, damage) goes one way: a new file is
// built beside the old one, its first record says what it follows, the held
// records that are in no backup are carried over, and the new file takes the old
// one's name. The first creation and compaction at start are built the same way.
// A file that does not pass [Verify] is kept under a numbered name, and what can
// be read of it, tree or no tree, is carried over.
//
// The first write that fails is the last: bbolt goes on from pages that may
// never have reached the disk, so the queue answers [ErrBroken] from then on and
// the process has to exit. A full disk is seen before bbolt writes to it, and is
// [ErrFull] instead.
//
// Files, all written by this package alone: path; path.lock, held while the
// queue is open; path.new, a file being built; path.damaged-N, set aside.
//
// What is sent when is package deliver's; what a record says is package wire's.
package outbox
