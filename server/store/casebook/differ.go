package casebook

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
)

// join makes one contact of those who are one human, as the case or everybody
// knows, also at an outbreak's place and of who came together, and leaves out who is
// the traced person.
func (b *Book) join(q query, f *file, r *Result) error {
	pairs, err := b.same(q, f)
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return nil
	}
	first := firsts(pairs)
	one := func(p qrgate.Person) qrgate.Person { return cmp.Or(first[p], p) }
	self := f.body.Index
	if r.Of != (Ref{}) {
		if self, err = f.person(r.Of); err != nil {
			return err
		}
	}
	at := map[qrgate.Person]int{}
	var all []trace.Contact
	for _, c := range r.Found.Contacts {
		p := one(c.Person)
		if self != 0 && p == one(self) {
			continue
		}
		i, ok := at[p]
		if !ok {
			at[p] = len(all)
			c.Person = p
			all = append(all, c)
			continue
		}
		all[i] = sum(all[i], c)
	}
	r.Found.Contacts = all
	r.Found.Parties = slices.Clone(r.Found.Parties)
	for i := range r.Found.Parties {
		persons := slices.Clone(r.Found.Parties[i].Persons)
		for j, p := range persons {
			persons[j] = one(p)
		}
		slices.Sort(persons)
		r.Found.Parties[i].Persons = slices.DeleteFunc(slices.Compact(persons), func(p qrgate.Person) bool { return self != 0 && p == one(self) })
	}
	if r.Place {
		r.Stays = slices.Clone(r.Stays)
		for i := range r.Stays {
			r.Stays[i].Person = one(r.Stays[i].Person)
		}
	}
	return nil
}

// sum returns one human's contact of two. They may have carried both cards at once,
// so that no more is sure than the longer of both.
func sum(a, b trace.Contact) trace.Contact {
	a.Sureness = max(a.Sureness, b.Sureness)
	a.Least, a.Most = max(a.Least, b.Least), a.Most+b.Most
	a.Shared = append(slices.Clip(a.Shared), b.Shared...)
	slices.SortStableFunc(a.Shared, func(x, y trace.Shared) int { return cmp.Or(cmp.Compare(y.Least, x.Least), cmp.Compare(y.Most, x.Most)) })
	return a
}

// differ returns what a run found other than one before.
func differ(before, after *Run) Difference {
	found := trace.Compare(before.contacts(), after.contacts())
	d := Difference{Since: before.No}
	for i := range found.Added {
		d.New = append(d.New, found.Added[i].Person)
	}
	for i := range found.Removed {
		d.Gone = append(d.Gone, found.Removed[i].Person)
	}
	for i := range found.Changed {
		d.Changed = append(d.Changed, found.Changed[i].After.Person)
	}
	return d
}

// contacts returns whom a result found: its contacts or, at a place, whoever was
// there, as if the place had been met.
func (r *Result) contacts() []trace.Contact {
	if !r.Place {
		return r.Found.Contacts
	}
	at := map[qrgate.Person]int{}
	var all []trace.Contact
	for _, s := range r.Stays {
		if s.Person == 0 {
			continue
		}
		i, ok := at[s.Person]
		if !ok {
			i = len(all)
			at[s.Person] = i
			all = append(all, trace.Contact{Person: s.Person})
		}
		all[i].Shared = append(all[i].Shared, trace.Shared{Stay: s})
	}
	return all
}
