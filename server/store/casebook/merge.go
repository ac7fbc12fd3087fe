package casebook

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// A pair is two persons who are one human, the smaller number first.
type pair = both[qrgate.Person]

// both are two that are one.
type both[T cmp.Ordered] struct{ A, B T }

func pairOf(a, b qrgate.Person) pair { return pair{min(a, b), max(a, b)} }

// Merge says that two persons are one human: in this case, or everywhere, also in
// cases to come. What each did stays theirs, so that [Book.Unmerge] undoes it. If the
// traced person is one of them, somebody else is traced too: it is approved again. Other
// cases that were approved go on tracing who was approved: see [Book.Widening].
func (b *Book) Merge(ctx context.Context, by, id string, version int, x, y Ref, everywhere bool) error {
	return b.change(ctx, "merge persons", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		p, err := f.pair(x, y)
		if err != nil {
			return "", err
		}
		pairs, err := b.same(t.Each, f)
		if err != nil {
			return "", err
		}
		index := selves(f.body.Index, pairs)
		widens := slices.Contains(index, p.A) != slices.Contains(index, p.B)
		if widens {
			f.unapprove()
		}
		if !everywhere {
			if !slices.Contains(f.body.Same, p) {
				f.body.Same = append(f.body.Same, p)
			}
			return "in this case", b.seen(t, "merge person", by, id, p.A, p.B)
		}
		n, err := t.Exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, ?, ?) ON CONFLICT (person, same_as) DO NOTHING",
			int64(p.A), int64(p.B), by, b.now().UnixMilli())
		if err != nil || n == 0 && !widens {
			return "everywhere", err
		}
		if err := b.tellWider(t, by, id, p); err != nil {
			return "", err
		}
		return "everywhere", b.seen(t, "merge person", by, id, p.A, p.B)
	})
}

// Unmerge says that two persons are two after all, everywhere. The error is
// [qrgate.ErrNotFound] if nobody said that these were one.
func (b *Book) Unmerge(ctx context.Context, by, id string, version int, x, y Ref) error {
	return b.change(ctx, "unmerge persons", by, id, version, b.work, func(t store.Tx, f *file) (string, error) {
		p, err := f.pair(x, y)
		if err != nil {
			return "", err
		}
		n, err := t.Exec("DELETE FROM merges WHERE person = ? AND same_as = ?", int64(p.A), int64(p.B))
		if err != nil {
			return "", err
		}
		if n > 0 {
			if err := b.seen(t, "unmerge person", by, id, p.A, p.B); err != nil {
				return "", err
			}
		}
		was := len(f.body.Same)
		f.body.Same = slices.DeleteFunc(f.body.Same, func(q pair) bool { return q == p })
		if n == 0 && len(f.body.Same) == was {
			return "", qrgate.ErrNotFound
		}
		return "", nil
	})
}

// tellWider tells the officers of the other approved cases that a pair is said to be
// one human, one of whom they trace. It is written down of those cases, so that whoever
// said it cannot be who approves it there.
func (b *Book) tellWider(t store.Tx, by, here string, p pair) error {
	var ids []string
	err := t.Each(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM cases WHERE id <> ? AND approval = ? AND state IN (?, ?) AND wrapped IS NOT NULL AND ends > ?",
		here, string(Approved), string(Suspected), string(Confirmed), b.now().UnixMilli())
	if err != nil {
		return err
	}
	for _, id := range ids {
		f, err := b.read(t.Each, id)
		if err != nil {
			return err
		}
		if !f.waits(p) {
			continue
		}
		officers, err := b.workers(t, f)
		if err == nil {
			err = b.tell(t, id, Wider, officers...)
		}
		if err == nil {
			err = t.Audit(by, "merge elsewhere", object(id), "waits")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// waits reports whether a pair, who are said to be one human everywhere, are the traced
// person whom somebody approved and one of whom nobody knew then that they are.
func (f *file) waits(p pair) bool {
	return f.Approval == Approved && slices.Contains(f.body.Asked, p.A) != slices.Contains(f.body.Asked, p.B)
}

// Widening returns who is the traced person too, as was said in another case since
// approval was asked for in this one. Nobody has approved that they are traced, so they
// are not, until [Book.Widen]; they are written down as seen.
func (b *Book) Widening(ctx context.Context, by, id string) ([]Card, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	var more []qrgate.Person
	if err == nil {
		more, err = b.widening(q, f)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: widening: %w", err)
	}
	return b.show(ctx, by, f, more)
}

func (b *Book) widening(q query, f *file) ([]qrgate.Person, error) {
	if f.Approval != Approved || len(f.body.Asked) == 0 {
		return nil, nil
	}
	pairs, err := merged(q)
	all := selves(f.body.Index, append(pairs, f.body.Same...))
	return without(all, func(p qrgate.Person) bool { return slices.Contains(f.body.Asked, p) }), err
}

// Widen says that those of [Book.Widening] are to be traced too. It is approved again.
// The error is [qrgate.ErrConflict] if there is nobody.
func (b *Book) Widen(ctx context.Context, by, id string, version int) error {
	return b.change(ctx, "widen case", by, id, version, b.persons, func(t store.Tx, f *file) (string, error) {
		more, err := b.widening(t.Each, f)
		if err == nil && len(more) == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return "", err
		}
		f.unapprove()
		return fmt.Sprint(len(more)), b.seen(t, "merge person", by, id, more...)
	})
}

// Selves returns everybody who is one human with a person, as somebody has said
// everywhere, in order and with them. It asks nobody whether they may.
func (b *Book) Selves(ctx context.Context, p qrgate.Person) ([]qrgate.Person, error) {
	pairs, err := merged(b.reading(ctx))
	if err != nil {
		return nil, fmt.Errorf("casebook: selves: %w", err)
	}
	return selves(p, pairs), nil
}

// Part says that a person is one human with nobody after all, everywhere, because the
// human has asked for their data. object is what the audit row names: a request. It
// asks nobody whether they may. The error is [qrgate.ErrNotFound] if nobody said that
// the person is somebody else too.
func (b *Book) Part(ctx context.Context, by, object string, p qrgate.Person) error {
	return b.write(ctx, "part persons", func(t store.Tx) error {
		pairs, err := merged(t.Each)
		if err != nil {
			return err
		}
		pairs = slices.DeleteFunc(pairs, func(q pair) bool { return q.A != p && q.B != p })
		if len(pairs) == 0 {
			return qrgate.ErrNotFound
		}
		if _, err := t.Exec("DELETE FROM merges WHERE person = ? OR same_as = ?", int64(p), int64(p)); err != nil {
			return err
		}
		for _, q := range append([]qrgate.Person{p}, others(pairs)[p]...) {
			if err := t.Audit(by, "unmerge person", b.personObject(q), ""); err != nil {
				return err
			}
		}
		return t.Audit(by, "unmerge persons", object, "")
	})
}

// Alike returns who of a call list may be the same human as somebody on it: who
// shares a telephone, a number, or the name without a year of birth that speaks
// against it; and the index. Only they are written down as seen, not those whom it
// compared. They are at most [MaxFound].
func (b *Book) Alike(ctx context.Context, by, id string, of Ref) ([]Card, error) {
	f, persons, err := b.alike(ctx, by, id, of)
	if err != nil {
		return nil, fmt.Errorf("casebook: alike: %w", err)
	}
	return b.show(ctx, by, f, persons)
}

func (b *Book) alike(ctx context.Context, by, id string, of Ref) (*file, []qrgate.Person, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	if err != nil {
		return nil, nil, err
	}
	one, err := f.person(of)
	if err != nil {
		return nil, nil, err
	}
	list, err := calls(q, f, "1 = 1")
	if err != nil {
		return nil, nil, err
	}
	others := make([]qrgate.Person, 0, len(list))
	telephone := map[qrgate.Person]string{}
	for i := range list {
		p, err := f.person(list[i].Ref)
		if err != nil {
			return nil, nil, err
		}
		telephone[p] = list[i].phone
		others = append(others, p)
	}
	details, err := b.people.DetailsOf(ctx, append(others, one)...)
	if err != nil {
		return nil, nil, err
	}
	var all []qrgate.Person
	if index := f.body.Index; index != 0 && index != one {
		all = append(all, index)
	}
	for _, p := range others {
		shares := telephone[p] != "" && telephone[p] == telephone[one]
		if p != one && p != f.body.Index && len(all) < MaxFound && (shares || alike(details[p], details[one])) {
			all = append(all, p)
		}
	}
	restrained, err := b.restraints(q, f)
	if err == nil && restrained.withholds(one) {
		err = ErrRestrained
	}
	return f, without(all, restrained.withholds), err
}

// alike reports whether two descriptions may be of one human.
func alike(a, b *register.PersonDetails) bool {
	if a == nil || b == nil {
		return false
	}
	same := func(x, y string) bool { return x != "" && x == y }
	if same(a.Identity, b.Identity) || same(a.Insurance, b.Insurance) || same(a.Phone, b.Phone) && !a.Relative && !b.Relative {
		return true
	}
	// A visitor by telephone never says when they were born.
	return same(area.Fold(a.Name), area.Fold(b.Name)) && (a.Born == b.Born || a.Born == 0 || b.Born == 0)
}

// A Merged is two persons who are one human, as somebody has said.
type Merged struct {
	A, B       Ref
	Everywhere bool
}

// Merges returns which persons of a case are merged with others, in the case or
// everywhere, as far as one of them is its index or in its last runs.
func (b *Book) Merges(ctx context.Context, by, id string) ([]Merged, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	if err != nil {
		return nil, fmt.Errorf("casebook: merges: %w", err)
	}
	var all []Merged
	for _, p := range f.body.Same {
		all = append(all, Merged{A: f.ref(p.A), B: f.ref(p.B)})
	}
	pairs, err := merged(q)
	if err != nil {
		return nil, fmt.Errorf("casebook: merges: %w", err)
	}
	calls := map[Ref]bool{f.Case.Index: true}
	err = q(func(rows *sql.Rows) error {
		var r []byte
		err := rows.Scan(&r)
		calls[Ref(r)] = true
		return err
	}, "SELECT reference FROM case_calls WHERE case_id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("casebook: merges: %w", err)
	}
	for _, p := range slices.DeleteFunc(pairs, f.waits) {
		if x, y := f.ref(p.A), f.ref(p.B); calls[x] || calls[y] {
			all = append(all, Merged{x, y, true})
		}
	}
	return all, nil
}

func (f *file) pair(x, y Ref) (pair, error) {
	p, err := f.person(x)
	if err != nil {
		return pair{}, err
	}
	q, err := f.person(y)
	if err == nil && p == q {
		err = fmt.Errorf("one person: %w", qrgate.ErrInvalid)
	}
	return pairOf(p, q), err
}

// merged returns all that is merged everywhere: people say so one by one, so there
// are not many.
func merged(q query) (all []pair, err error) {
	err = q(func(rows *sql.Rows) error {
		var x, y int64
		err := rows.Scan(&x, &y)
		all = append(all, pair{qrgate.Person(x), qrgate.Person(y)})
		return err
	}, "SELECT person, same_as FROM merges")
	return all, err
}

// selves returns everybody who is one human with a person, in order and with them.
func selves(p qrgate.Person, pairs []pair) []qrgate.Person {
	all := append([]qrgate.Person{p}, others(pairs)[p]...)
	slices.Sort(all)
	return all
}

// others returns for everybody who is one human with others, as pairs say, who those
// are, in order.
func others(pairs []pair) map[qrgate.Person][]qrgate.Person {
	first := firsts(pairs)
	groups := map[qrgate.Person][]qrgate.Person{}
	for p, f := range first {
		groups[f] = append(groups[f], p)
	}
	all := map[qrgate.Person][]qrgate.Person{}
	for p, f := range first {
		all[p] = without(groups[f], func(q qrgate.Person) bool { return q == p })
		slices.Sort(all[p])
	}
	return all
}

// same returns all pairs that are one human for a case, but for what waits.
func (b *Book) same(q query, f *file) ([]pair, error) {
	pairs, err := merged(q)
	return append(slices.DeleteFunc(pairs, f.waits), f.body.Same...), err
}

// firsts returns for everything in pairs the least that is one with it.
func firsts[T cmp.Ordered](pairs []both[T]) map[T]T {
	first := map[T]T{}
	root := func(one T) T {
		for {
			next, ok := first[one]
			if !ok || next == one {
				return one
			}
			one = next
		}
	}
	for _, p := range pairs {
		x, y := root(p.A), root(p.B)
		first[max(x, y)], first[min(x, y)] = min(x, y), min(x, y)
	}
	for one := range first {
		first[one] = root(one)
	}
	return first
}
