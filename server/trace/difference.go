package trace

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Difference is what late check-ins have changed in a trace.
type Difference struct {
	Added   []Contact // in the order of what came after
	Removed []Contact // in the order of what was before
	Changed []Change
}

// A Change is a contact that is another one than before: longer, shorter, surer,
// less sure, or at other places.
type Change struct{ Before, After Contact }

// Empty reports whether nothing is different.
func (d *Difference) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Compare returns what is different between the contacts of one trace before
// and after. It does not matter in which order they are, nor which number a
// traced stay has.
func Compare(before, after []Contact) Difference {
	was := make(map[qrgate.Person]*Contact, len(before))
	for i := range before {
		was[before[i].Person] = &before[i]
	}
	var d Difference
	for i := range after {
		c := &after[i]
		b, ok := was[c.Person]
		switch {
		case !ok:
			d.Added = append(d.Added, *c)
		case !same(b, c):
			d.Changed = append(d.Changed, Change{*b, *c})
		}
		delete(was, c.Person)
	}
	for i := range before {
		if was[before[i].Person] == &before[i] {
			d.Removed = append(d.Removed, before[i])
		}
	}
	return d
}

func same(a, b *Contact) bool {
	if a.Sureness != b.Sureness || a.Least != b.Least || a.Most != b.Most || len(a.Shared) != len(b.Shared) {
		return false
	}
	return slices.EqualFunc(inOrder(a.Shared), inOrder(b.Shared), func(x, y Shared) bool { return x.compare(&y) == 0 })
}

func inOrder(all []Shared) []Shared {
	sorted := func(x, y Shared) int { return x.compare(&y) }
	if slices.IsSortedFunc(all, sorted) {
		return all
	}
	all = slices.Clone(all)
	slices.SortFunc(all, sorted)
	return all
}

// compare orders by all that an officer would see change.
func (s *Shared) compare(t *Shared) int {
	return cmp.Or(
		cmp.Compare(s.Within.Earliest, t.Within.Earliest), cmp.Compare(s.Within.Latest, t.Within.Latest),
		cmp.Compare(s.Least, t.Least), cmp.Compare(s.Most, t.Most), cmp.Compare(s.Sureness, t.Sureness),
		cmp.Compare(s.Stay.At.No, t.Stay.At.No), cmp.Compare(s.Stay.At.Name, t.Stay.At.Name),
		s.Stay.Entry.compare(t.Stay.Entry), s.Stay.Exit.compare(t.Stay.Exit),
		cmp.Compare(s.Stay.In.Earliest, t.Stay.In.Earliest), cmp.Compare(s.Stay.In.Latest, t.Stay.In.Latest),
		cmp.Compare(s.Stay.Out.Earliest, t.Stay.Out.Earliest), cmp.Compare(s.Stay.Out.Latest, t.Stay.Out.Latest),
	)
}

func (id ID) compare(other ID) int {
	return cmp.Or(slices.Compare(id.Epoch[:], other.Epoch[:]), cmp.Compare(id.Seq, other.Seq), slices.Compare(id.Digest[:], other.Digest[:]))
}
