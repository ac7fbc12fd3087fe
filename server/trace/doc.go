// Package trace says who shared a place with whom. It turns the check-ins of a
// person into stays, and the check-ins of the places into contacts, with the
// bounds that the clocks of kiosks allow.
//
// It reads check-ins through [Rows] and opens persons through [Persons]; it holds
// no SQL, no key, no case and no name.
package trace
