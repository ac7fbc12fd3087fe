// Package store is the server's database: all SQL is here, in two dialects that
// pass the same tests.
//
// A kiosk's batches enter through [Store.Intake], one transaction for all
// batches that are waiting. It locks the kiosks that it touches and hands out a
// [Book] for each, which is what the server knows of a kiosk beside its
// check-ins: the ledgers of its epochs, its boots and anchors, its gates.
//
//	err := s.Intake(ctx, kiosks, func(t *store.Intake) error {
//		epoch, err := t.Book("gate-0001").Epoch(batch.Epoch)
//		taken, err := epoch.Ledger.Take(batch, known)
//		t.Add(epoch, rows...)
//	})
//
// A check-in by phone comes the same way, under what [Store.Phones] returns for a
// server, with the place in its row; what it was answered is kept beside it. Where
// a place is registered its check-ins are counted as they are stored, for
// [Store.Counts].
//
// The promise: when Intake returns nil, all of it is on disk (SQLite with
// synchronous=FULL, PostgreSQL with synchronous_commit as the server has it),
// and when it returns an error, none of it, or, if the connection broke in the
// commit, nobody knows: the same batches may come again and change nothing.
//
// Check-ins hold no person. A subject is an AES block under a key of its day
// that is not in the database (package vault), so neither the file nor a backup
// tells who was where. Times are Unix milliseconds. A check-in's row has the
// number under which its kiosk first wrote it, and is found by epoch and number
// (which is a kiosk's order of time), by day and subject, and by day, gate and
// time. On PostgreSQL the table is not partitioned: a day is dropped in steps,
// as on SQLite.
//
// Traces read with [Store.CheckinsOf] and [Store.CheckinsAt], counts of movement
// with [Store.EachOfDay]. Each sees the database at one moment, and in it what is
// filed and what is not, once. At the end of its retention a day goes with
// [Store.DropDay], and people with [Store.ForgetPerson] or [Tx.ForgetPeople],
// after which no intake brings them back.
//
// Who fills a store for a benchmark takes in some 50,000 check-ins at once, of
// many kiosks each and later ones later, with rows whose Day and When are already
// right, and calls [Store.Tidy] between and at last until there is no more.
//
// [Store.Backup] writes one format for both engines. [VerifyBackup] reads one to
// its end, and [Store.MarkSafe] then lets kiosks forget what is in it.
//
// The package does not judge what a kiosk sent (package ingest) and holds no
// key.
package store
