package casebook

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/trace"
)

// ErrRestrained means that somebody has had the use of their data restricted, or
// objected to it, and that the case does not say why it uses it all the same:
// see [Book.UseRestricted].
var ErrRestrained = fmt.Errorf("use of the data is restricted: %w", qrgate.ErrForbidden)

// glassRestraint is the kind of a glass that was broken for restricted data.
const glassRestraint = "restraint"

// A restraints is whose data a case meets that somebody had restricted.
type restraints struct {
	all  map[qrgate.Person]rights.Kind
	used map[qrgate.Person]bool // for a reason that the case gives
}

// restraints returns whose data is restricted, and whose of them a case uses for a
// reason.
func (b *Book) restraints(q query, f *file) (restraints, error) {
	same := make([][2]qrgate.Person, len(f.body.Same))
	for i, p := range f.body.Same {
		same[i] = [2]qrgate.Person{p.A, p.B}
	}
	all, err := rights.Restrained(q, same...)
	if err != nil || len(all) == 0 {
		return restraints{}, err
	}
	r := restraints{all, map[qrgate.Person]bool{}}
	broken, err := b.glasses(q, "g.case_id = ? AND g.kind = ?", f.ID, glassRestraint)
	for i := range broken {
		for _, p := range broken[i].persons {
			r.used[p] = true
		}
	}
	return r, err
}

// withholds reports whether the case must not use the data of a person.
func (r *restraints) withholds(p qrgate.Person) bool { return r.all[p] != "" && !r.used[p] }

// mayUse is an error for a person whose data a case must not use.
func (b *Book) mayUse(q query, f *file, p qrgate.Person) error {
	r, err := b.restraints(q, f)
	if err == nil && r.withholds(p) {
		err = ErrRestrained
	}
	return err
}

// withhold takes out of a run whose data the case must not use.
func (r *Run) withhold(by restraints) {
	if len(by.all) == 0 {
		return
	}
	gone := map[qrgate.Person]bool{}
	out := func(p qrgate.Person) bool {
		if !by.withholds(p) {
			return false
		}
		gone[p] = true
		return true
	}
	r.Found.Contacts = without(r.Found.Contacts, func(c trace.Contact) bool { return out(c.Person) })
	if r.Place {
		r.Stays = without(r.Stays, func(s trace.Stay) bool { return out(s.Person) })
	}
	r.Withheld = len(gone)
	parties := slices.Clone(r.Found.Parties)
	for i := range parties {
		parties[i].Persons = without(parties[i].Persons, by.withholds)
	}
	r.Found.Parties = parties
	d := &r.Difference
	d.New, d.Gone, d.Changed = without(d.New, by.withholds), without(d.Gone, by.withholds), without(d.Changed, by.withholds)
}

// without returns a slice of its own with what is not out.
func without[T any](all []T, out func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), out)
}

// Withheld returns of how many persons whom a case is about, found or was to call it
// must not use the data.
func (b *Book) Withheld(ctx context.Context, by, id string) (int, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	var some []qrgate.Person
	if err == nil {
		some, err = b.withheld(q, f)
	}
	if err != nil {
		return 0, fmt.Errorf("casebook: withheld: %w", err)
	}
	return len(some), nil
}

// withheld returns whose data a case would use and must not, in order.
func (b *Book) withheld(q query, f *file) ([]qrgate.Person, error) {
	r, err := b.restraints(q, f)
	if err != nil || len(r.all) == 0 {
		return nil, err
	}
	some := map[qrgate.Person]bool{}
	meet := func(p qrgate.Person) {
		if r.withholds(p) {
			some[p] = true
		}
	}
	meet(f.body.Index)
	if err := b.neededBy(q, f, meet); err != nil {
		return nil, err
	}
	var all []qrgate.Person
	for p := range some {
		all = append(all, p)
	}
	slices.Sort(all)
	return all, nil
}

// UseRestricted lets a case use, until its end, the data of those whom it must
// withhold, because a duty to others weighs more. The reason is kept, each of them
// can be told of it, and the data-protection officers are told and review it. It
// returns how many they are; nobody is [qrgate.ErrConflict].
func (b *Book) UseRestricted(ctx context.Context, by, id string, version int, reason string) (int, error) {
	const action = "use restricted data"
	reason = strings.TrimSpace(reason)
	q := b.reading(ctx)
	// Before the transaction, for runs are opened.
	f, err := b.persons(q, by, id)
	var some []qrgate.Person
	if err == nil {
		some, err = b.withheld(q, f)
	}
	if err == nil && len(some) == 0 {
		err = qrgate.ErrConflict
	}
	if err == nil {
		err = checkReason(reason)
	}
	if err != nil {
		return 0, fmt.Errorf("casebook: %s: %w", action, err)
	}
	err = b.change(ctx, action, by, id, version, b.persons, func(t store.Tx, f *file) (string, error) {
		glass, now := store.NewID(), b.now().UnixMilli()
		sealed, err := seal(f.key, fieldGlass(glass), glassBody{Reason: reason, Persons: some})
		if err != nil {
			return "", err
		}
		_, err = t.Exec("INSERT INTO case_glasses (id, case_id, made_by, made, until, reviewed_by, sealed, kind) VALUES (?, ?, ?, ?, ?, '', ?, ?)",
			glass, id, by, now, now, sealed, glassRestraint)
		if err != nil {
			return "", err
		}
		officers, err := b.whoHolds(t, qrgate.Protection, f.Scope)
		if err == nil {
			err = b.tell(t, f.ID, RestrictedUsed, officers...)
		}
		if err == nil {
			err = b.seen(t, action, by, id, some...)
		}
		return fmt.Sprintf("%d, glass %s", len(some), glass), err
	})
	if err != nil {
		return 0, err
	}
	return len(some), b.callFound(ctx, by, id)
}

// callFound puts on the call list whom the last runs found and it lacks.
func (b *Book) callFound(ctx context.Context, by, id string) error {
	heads, err := b.Runs(ctx, by, id)
	if err != nil {
		return err
	}
	done := map[Ref]bool{}
	for _, h := range heads { // the latest first
		if done[h.Of] {
			continue
		}
		done[h.Of] = true
		run, err := b.Run(ctx, by, id, h.No)
		if err != nil {
			return err
		}
		if _, err := b.AddCalls(ctx, by, id, run.Refs()); err != nil {
			return err
		}
	}
	return nil
}
