package trace

import (
	"context"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Tracer answers where a person was and who was there too. It is safe for
// concurrent use.
type Tracer struct {
	rows    Rows
	persons Persons
	places  Places
}

// New returns a tracer over a store, a vault and what is known of places.
func New(rows Rows, persons Persons, places Places) *Tracer {
	return &Tracer{rows, persons, places}
}

// Rules are what an officer has decided about doubtful check-ins. The zero value
// leaves them all out.
type Rules struct {
	Doubtful bool        // they all count
	Restored map[ID]bool // these count
}

func (r *Rules) counts(id ID) bool { return r.Doubtful || r.Restored[id] }

// Believes reports whether a stay is in no doubt, or counts all the same.
func (r *Rules) Believes(s *Stay) bool {
	return len(s.Doubts) == 0 || r.counts(s.Entry) || r.counts(s.Exit)
}

// Stays returns the stays of a person that may have touched the days from one to
// another, both included, the oldest first. Doubtful ones are among them and
// say why they are; what rules say of them is for [Tracer.Contacts].
func (t *Tracer) Stays(ctx context.Context, person qrgate.Person, from, to qrgate.Day, rules Rules) ([]Stay, error) {
	stays, err := t.stays(ctx, person, from, to, rules)
	if err != nil {
		return nil, fmt.Errorf("trace: stays: %w", err)
	}
	return stays, nil
}

// A Found is what a trace has come to.
type Found struct {
	Contacts []Contact // certain before possible, then the longest first
	Parties  []Party   // who came together with the traced person
	// Unnamed is for each traced stay how many check-ins without a person may
	// have been admitted during it.
	Unnamed  []int
	Doubted  []Suspicion // check-ins that are doubtful, also those that rules let count
	Scans    []Scans     // what was read, by gate, for Complete
	Unopened int         // check-ins whose day's key is gone
}

// A Party is who came with a check-in of the traced person, who is not among
// them.
type Party struct {
	Of      int // which of the stays that were traced
	Persons []qrgate.Person
	Unnamed int // companions whom the check-in did not name
}

// Contacts returns who shared the places of these stays, whether they are of one
// person or of several, who are then no contacts of each other. Doubtful stays
// are left out unless rules say otherwise. For a second ring it is called with
// the stays of contacts.
func (t *Tracer) Contacts(ctx context.Context, stays []Stay, profile Profile, rules Rules) (Found, error) {
	found, err := t.contacts(ctx, stays, profile, rules)
	if err != nil {
		return Found{}, fmt.Errorf("trace: contacts: %w", err)
	}
	return found, nil
}

// Visitors returns the stays of everybody at a place that may have touched the
// time from one moment to another (Unix milliseconds), the oldest first.
func (t *Tracer) Visitors(ctx context.Context, at qrgate.Spot, from, to int64, rules Rules) ([]Stay, error) {
	stays, err := t.visitors(ctx, at, from, to, rules)
	if err != nil {
		return nil, fmt.Errorf("trace: visitors: %w", err)
	}
	return stays, nil
}
