// Package trace says who shared a place with whom. It turns the check-ins of a
// person into stays, and the check-ins of their places into contacts.
//
//	tracer := trace.New(store, vault, places)
//	stays, err := tracer.Stays(ctx, person, from, to, trace.Rules{})
//	found, err := tracer.Contacts(ctx, stays, profile, trace.Rules{})
//	gates := trace.Complete(window, gates, ledgers, found.Scans)
//	news := trace.Compare(before, found.Contacts) // when late check-ins have come
//
// A kiosk's clock may be wrong, and people leave without anybody seeing it: all
// that is known of a time is between which moments it lies. Of two check-ins of
// one boot of a kiosk it is known as well how far they are apart. How long two
// people were together is worked out from both, without a guess: a contact is
// certain if nothing else is possible, and possible if something is.
//
// The promise: if the bounds of check-ins hold, and if nobody stays anywhere
// longer than their [Dwell] allows, nor passes two doors in a row unseen, the truth
// is within the bounds of every stay and of every contact, and no contact is
// missed of whom the doors saw anything. That a person between a check-in and the
// check-out after it was there all the time is what doors can say; who goes out
// past them and comes back is not known.
//
// It reads check-ins through [Rows] and opens persons through [Persons]; it holds
// no SQL, no key, no case and no name. Package province makes up what it is tested
// on.
package trace
