// Package card is the pages on which a clerk of a commune or a hospital registers
// people without phones and gives them cards: one by one, by scanner, or from a
// spreadsheet; issues, replaces and revokes cards; and prints them.
//
//	routes := card.New(f, reg, card.Options{Vault: v, Sign: keys, Keys: listed}).Routes()
//
// The promise: a clerk sees the holders of their own offices and nobody else's;
// nothing that names a person stands in an address, in a session, in a log or in
// clear in the database, not even while a spreadsheet waits to be taken in; and
// nothing of a spreadsheet is written before somebody has seen what would be.
//
// How holders and cards are kept is package register's matter, how a card looks
// package print's.
package card
