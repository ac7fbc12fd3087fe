// Package retention sees to it that what is past its retention is gone, and that
// this can be proved; that a person's data can be handed over or erased in one
// step; and that the chain of audit rows goes on.
//
//	k := retention.New(retention.Parts{...}, retention.Options{Days: 21})
//	err := k.Start(ctx) // before a server listens: it may have been restored
//	err = k.Run(ctx)    // Once, now and each hour from then on
//
// At the end of a day's retention its key is destroyed, which parts every check-in
// of the day from its person at once, also in backups. Then the day's rows are
// dropped in steps, persons whom nothing keeps any more are forgotten, data backups
// of that age are deleted, and a signed certificate says what was dropped and who
// has not yet confirmed: backups that still hold names, copies of the database,
// kiosks that may still hold records of the day. Newer versions of the certificate
// say who has confirmed since.
//
// The promise: after Start has returned nil, and if the clock is believed, no key opens a check-in that is older
// than the retention; after Once has returned nil, neither the database nor a backup in the folder that is
// looked after tells anything of a person whom only such check-ins kept, but for
// backups which the certificate names with the day on which they go.
//
// A clock that is wrong must not do what cannot be undone. So before anything of that,
// the keeper asks whether the clock can be right: it is not more than a week, or the
// retention if that is shorter, ahead of what is known of the time. Known is when this
// server believed its clock last, which a file of its own remembers and a wrong clock
// does not move, and what has passed since it started as the machine counts it. If the
// clock is further ahead, nothing is dropped, and that is said, until the clock is set
// right or somebody confirms it: a server that was off for five weeks needs that. A
// clock that is behind drops late, and that is said too.
//
// What people asked for outlives the restore of an older backup: a folder outside of
// the database remembers who was erased, and whose data is not to be used.
//
// Several servers may run it: each destroys keys, one at a time does the rest, and
// what one has begun another one ends.
//
// Where the keys of days have copies in a folder, these are made and destroyed with
// them, each hour. While that folder is away, certificates name it among the copies.
//
// Where the rows are is package store's matter, keys are package vault's, signed
// files package proof's.
package retention
