package casebook

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/when"
)

// join makes one contact of those who are one human, as the case or everybody
// knows, and leaves out who is the traced person.
func (b *Book) join(q query, f *file, r *Result) error {
	pairs, err := merged(q)
	if err != nil {
		return err
	}
	pairs = append(pairs, f.body.Same...)
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
	d := Difference{Since: before.No}
	was, is := before.meetings(), after.meetings()
	for _, p := range after.persons() {
		old, ok := was[p]
		switch {
		case !ok:
			d.New = append(d.New, p)
		case !slices.Equal(old, is[p]):
			d.Changed = append(d.Changed, p)
		}
	}
	for _, p := range before.persons() {
		if _, ok := is[p]; !ok {
			d.Gone = append(d.Gone, p)
		}
	}
	return d
}

// A meeting is what makes two meetings of one person the same one.
type meeting struct {
	entry, exit trace.ID
	in, out     when.Interval
	sureness    trace.Sureness
	least, most int64
}

// meetings returns when everybody whom a result found was met, in an order of its
// own.
func (r *Result) meetings() map[qrgate.Person][]meeting {
	all := map[qrgate.Person][]meeting{}
	for i := range r.Found.Contacts {
		c := &r.Found.Contacts[i]
		m := []meeting{{sureness: c.Sureness, least: c.Least, most: c.Most}}
		for j := range c.Shared {
			s := &c.Shared[j]
			m = append(m, meeting{s.Stay.Entry, s.Stay.Exit, s.Stay.In, s.Stay.Out, s.Sureness, s.Least, s.Most})
		}
		all[c.Person] = append(all[c.Person], m...)
	}
	if r.Place {
		for i := range r.Stays {
			s := &r.Stays[i]
			if s.Person != 0 {
				all[s.Person] = append(all[s.Person], meeting{entry: s.Entry, exit: s.Exit, in: s.In, out: s.Out})
			}
		}
	}
	for _, m := range all {
		slices.SortFunc(m, compareMeetings)
	}
	return all
}

func compareMeetings(a, b meeting) int {
	return cmp.Or(
		cmp.Compare(a.in.Earliest, b.in.Earliest), cmp.Compare(a.out.Latest, b.out.Latest), cmp.Compare(a.least, b.least), cmp.Compare(a.most, b.most),
		slices.Compare(a.entry.Epoch[:], b.entry.Epoch[:]), cmp.Compare(a.entry.Seq, b.entry.Seq), slices.Compare(a.entry.Digest[:], b.entry.Digest[:]),
		slices.Compare(a.exit.Epoch[:], b.exit.Epoch[:]), cmp.Compare(a.exit.Seq, b.exit.Seq),
	)
}
