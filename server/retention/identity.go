package retention

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// A What is as what somebody is known.
type What string

// What people are known as.
const (
	Registered What = "registered" // an office has registered them, as a rule with a card
	Invited    What = "invited"    // a guest of an event
	Visiting   What = "visiting"   // who has held up a telephone or another pass
)

// A Why says why an identity is of the human whose data is asked for.
type Why string

// Why identities belong together.
const (
	Found  Why = "found"  // by the number, or by the telephone and the name
	Merged Why = "merged" // a health officer said that they are one human
)

// An Identity is one person of a human: who has a card, once checked in by telephone
// and was invited to an event is known as three.
type Identity struct {
	Person qrgate.Person
	What   What
	Why    Why
}

// Identities are all that one human is known as, whoever was found first.
type Identities []Identity

// Persons returns who they are.
func (all Identities) Persons() []qrgate.Person {
	persons := make([]qrgate.Person, len(all))
	for i := range all {
		persons[i] = all[i].Person
	}
	return persons
}

// Mark is the same of the same persons and tells nobody who they are: so a page that
// showed some is told when they are others by now.
func (all Identities) Mark() string {
	h := sha256.New()
	for _, p := range slices.Sorted(slices.Values(all.Persons())) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(p)))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Identities returns all that the human is known as who was found, and whoever is one
// human with them by what people have said.
func (k *Keeper) Identities(ctx context.Context, found ...qrgate.Person) (Identities, error) {
	all, err := k.identities(ctx, found)
	if err != nil {
		return nil, fmt.Errorf("retention: identities: %w", err)
	}
	return all, nil
}

func (k *Keeper) identities(ctx context.Context, found []qrgate.Person) (Identities, error) {
	var all Identities
	for _, p := range found {
		if slices.Contains(all.Persons(), p) {
			continue
		}
		all = append(all, Identity{Person: p, Why: Found})
		if k.Selves == nil {
			continue
		}
		selves, err := k.Selves(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, self := range selves {
			if !slices.Contains(all.Persons(), self) {
				all = append(all, Identity{Person: self, Why: Merged})
			}
		}
	}
	known, err := k.Register.Cards(k.Vault).DetailsOf(ctx, all.Persons()...)
	for i := range all {
		switch d := known[all[i].Person]; {
		case d != nil && d.Holder != "":
			all[i].What = Registered
		case d != nil && d.Invited:
			all[i].What = Invited
		default:
			all[i].What = Visiting
		}
	}
	return all, err
}

// Search returns who is meant by a number and a name: who checks in by the number, and
// whoever is known by the same telephone and name, such as the guests of events, whom
// no number of theirs finds. The name may be empty; that of who checks in by the
// number counts too. others is how many more are known by the telephone and are not
// meant, for they have another name or year of birth: a family shares one. It opens
// what is known of everybody, which takes some 15 s for a million.
func (k *Keeper) Search(ctx context.Context, kind pass.Kind, number, name string) (found []qrgate.Person, others int, err error) {
	found, others, err = k.search(ctx, kind, number, name)
	if err != nil {
		return nil, 0, fmt.Errorf("retention: search: %w", err)
	}
	return found, others, nil
}

func (k *Keeper) search(ctx context.Context, kind pass.Kind, number, name string) (found []qrgate.Person, others int, err error) {
	p, err := k.Find(ctx, kind, number)
	if err == nil {
		found = append(found, p)
	} else if !errors.Is(err, qrgate.ErrNotFound) {
		return nil, 0, err
	}
	selves, err := k.identities(ctx, found)
	if err != nil {
		return nil, 0, err
	}
	cards := k.Register.Cards(k.Vault)
	known, err := cards.DetailsOf(ctx, selves.Persons()...)
	if err != nil {
		return nil, 0, err
	}
	of := meantOf{names: map[string]bool{area.Fold(name): true}, phones: map[string]bool{}}
	if kind == pass.Phone {
		of.phones[number] = true
	}
	for _, d := range known {
		of.names[area.Fold(d.Name)] = true
		of.born = cmp.Or(of.born, d.Born)
		if !d.Relative {
			of.phones[d.Phone] = true
		}
	}
	delete(of.names, "")
	delete(of.phones, "")
	if len(of.phones) == 0 {
		return found, 0, nil
	}
	err = cards.EachPerson(ctx, func(q qrgate.Person, d *register.PersonDetails) error {
		switch {
		case slices.Contains(selves.Persons(), q) || !of.phones[d.Phone] && !of.phones[d.GuardianPhone]:
		case of.names[area.Fold(d.Name)] && (d.Born == of.born || d.Born == 0 || of.born == 0):
			found = append(found, q)
		default:
			others++
		}
		return nil
	})
	return found, others, err
}

// A meantOf is by what a human is known.
type meantOf struct {
	names, phones map[string]bool
	born          int
}
