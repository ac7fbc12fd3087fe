// Package casebook keeps the cases of diseases: who is traced and why, who
// approved it, what each tracing found, whom to call and what they said. It is a
// room of package store, over whose transactions all its SQL runs, the same for
// SQLite and PostgreSQL.
//
//	book := casebook.New(s, v, time.Now)
//	c, err := book.Open(ctx, officer, casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why})
//	people, err := book.Find(ctx, officer, c.ID, casebook.Lookup{Kind: pass.Phone, Number: "+84905123456"})
//	err = book.SetIndex(ctx, officer, c.ID, c.Version, people[0].Ref)
//	err = book.Ask(ctx, officer, c.ID, version)                  // a second officer
//	err = book.Decide(ctx, approver, c.ID, version, true)        // approves
//	task, err := book.Task(ctx, officer, c.ID)                   // whom to trace, since when
//	rows := casebook.Record(s, time.Now)                         // the tracer reads through it
//	run, err := book.SaveRun(ctx, officer, c.ID, &casebook.Result{Found: found, Stays: stays, Read: rows, Task: task})
//	people, err = book.Cards(ctx, officer, c.ID, run.Refs()...)
//
// The promise: without the vault the database does not tell who a case is about,
// whom it found, or where, for all of that is sealed under a key of the case's
// own; and once the case's end has passed and [Book.Expire] has run, nothing opens
// it again. Whoever sees a person is written down before they do, with the case
// that was the reason.
//
// Every method that takes the account of who asks decides in its own transaction
// whether they may, by the roles and scopes that the account holds at that moment:
// a page cannot forget to. Who may not know of a case is told [qrgate.ErrNotFound].
// Pages name persons by a [Ref], which means nothing in another case.
//
// Who is traced is who was approved: what another case says of who is one human changes
// nothing in an approved one before its officers agree and it is approved again.
//
// It traces nothing: that is package trace's matter.
package casebook
