// Package cases is the pages by which health officers trace: a case is opened,
// the person found, a colleague approves, stays and contacts are looked at, people
// are called, and what other systems need is exported.
//
//	pages := cases.New(frame, cases.Options{Store: s, Register: reg, Vault: v, Book: book, ...})
//	table = append(table, pages.Routes()...)
//	go pages.Run(ctx) // traces again what check-ins came late to, and tells the officers
//
// The promise: nobody sees a person except within a case that is open, that they
// may work on and, where the disease demands it, that a second officer approved;
// every look is written down with the case and its purpose before its page is
// sent; no address, log line or audit row names a person. Every file that leaves
// is asked a purpose, and no cell of it becomes a formula.
//
// Who shared a place with whom is package trace's matter, what a case remembers
// package casebook's. What it leaves out: calling people, which people do.
package cases
