// Package events keeps gatherings at places: when they are, who is invited in
// which category, and what the kiosks of the place need to know of it. It is a
// room of package store, whose transactions it uses.
//
//	events := events.New(s, v, time.Now)
//	err := events.Add(ctx, account, &events.Event{...})
//	err = events.Invite(ctx, account, no, guests)
//	bundle, err := events.Bundle(ctx, no) // for the kiosks: numbers of passes alone
//
// The promise: every change is one transaction with its audit row; and whatever
// changes who may come in at which door raises the bundle's version in that
// transaction, so that no kiosk keeps what is no longer true once it has met the
// server. What is known of a guest is sealed under the person's own key.
//
// Signing passes and letters to guests are the pages' matter.
package events
