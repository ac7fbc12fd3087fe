package rights

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Restrains reports whether a request that is fulfilled keeps data from being used.
func (k Kind) Restrains() bool { return k == Restriction || k == Objection }

// restrain keeps the data of a person from being used from now on, for as long as the
// newest request of this kind stands.
func restrain(t store.Tx, p qrgate.Person, kind Kind, by, request string, now int64) error {
	_, err := t.Exec("INSERT INTO restraints (person, kind, since, made_by, request) VALUES (?, ?, ?, ?, ?) ON CONFLICT (person, kind) DO UPDATE SET made_by = excluded.made_by, request = excluded.request",
		int64(p), string(kind), now, by, request)
	return err
}

// Restrained returns whose data is kept but not used, and whether they restricted
// it or objected, which is more. read reads the store, in a transaction or outside
// of one. Whoever is one human with them, as merges or the pairs in also say, is
// among them.
func Restrained(read func(scan func(*sql.Rows) error, query string, args ...any) error, also ...[2]qrgate.Person) (map[qrgate.Person]Kind, error) {
	all := map[qrgate.Person]Kind{}
	err := read(func(rows *sql.Rows) error {
		var p int64
		var kind Kind
		err := rows.Scan(&p, &kind)
		all[qrgate.Person(p)] = stronger(all[qrgate.Person(p)], kind)
		return err
	}, "SELECT person, kind FROM restraints")
	if err != nil || len(all) == 0 {
		return nil, wrap("restrained", err)
	}
	pairs := also
	err = read(func(rows *sql.Rows) error {
		var x, y int64
		err := rows.Scan(&x, &y)
		pairs = append(pairs, [2]qrgate.Person{qrgate.Person(x), qrgate.Person(y)})
		return err
	}, "SELECT person, same_as FROM merges")
	if err != nil {
		return nil, wrap("restrained", err)
	}
	for spread(all, pairs) {
	}
	return all, nil
}

// spread lets a restraint hold for whoever is one human with somebody, and reports
// whether it did for anybody for whom it had not.
func spread(all map[qrgate.Person]Kind, pairs [][2]qrgate.Person) (more bool) {
	for _, p := range pairs {
		if all[p[0]] == all[p[1]] {
			continue
		}
		more = true
		both := stronger(all[p[0]], all[p[1]])
		all[p[0]], all[p[1]] = both, both
	}
	return more
}

func stronger(a, b Kind) Kind {
	if a == Objection || b == "" {
		return a
	}
	return b
}

// Restrained returns whose data is kept but not used now.
func (r *Rights) Restrained(ctx context.Context) (map[qrgate.Person]Kind, error) {
	return Restrained(func(scan func(*sql.Rows) error, query string, args ...any) error {
		return r.s.Read(ctx, scan, query, args...)
	})
}

// RestraintOf returns what keeps the data of a person from being used, or "".
func (r *Rights) RestraintOf(ctx context.Context, p qrgate.Person) (Kind, error) {
	all, err := r.Restrained(ctx)
	return all[p], err
}

// CountRestrained returns of how many humans the data is not used, by what they
// asked for: each has asked once, whatever they are known as.
func (r *Rights) CountRestrained(ctx context.Context) (map[Kind]int, error) {
	n := map[Kind]int{}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var kind Kind
		count := 0
		err := rows.Scan(&kind, &count)
		n[kind] = count
		return err
	}, "SELECT kind, COUNT(DISTINCT request) FROM restraints GROUP BY kind")
	return n, wrap("count restrained", err)
}

// Standing reports whether what a request restricted is restricted still.
func (r *Rights) Standing(ctx context.Context, request string) (standing bool, err error) {
	err = r.s.Read(ctx, func(*sql.Rows) error { standing = true; return nil }, "SELECT 1 FROM restraints WHERE request = ?", request)
	return standing, wrap("standing", err)
}

// A Restraint is that the data of a person is kept but not used.
type Restraint struct {
	Person  qrgate.Person
	Kind    Kind
	Since   time.Time
	By      string // account
	Request string // that was fulfilled
}

// Unrestrained returns those of whom something is held and whose data is used as far
// as this kind goes: of these persons, and of whoever is found by one of these keyed
// hashes of numbers now.
func (r *Rights) Unrestrained(ctx context.Context, kind Kind, persons []qrgate.Person, numbers [][]byte) (all []qrgate.Person, err error) {
	in, args := inPersons(persons)
	var held []string
	if in != "" {
		for _, table := range []string{"identities", "people", "holders"} {
			held = append(held, "SELECT person FROM "+table+" WHERE person"+in)
		}
		args = slices.Concat(args, args, args)
	}
	if len(numbers) > 0 {
		held = append(held, "SELECT person FROM identities WHERE identity IN (?"+strings.Repeat(", ?", len(numbers)-1)+")")
		for _, n := range numbers {
			args = append(args, n)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var p int64
		err := rows.Scan(&p)
		all = append(all, qrgate.Person(p))
		return err
	}, "SELECT person FROM ("+strings.Join(held, " UNION ")+") AS held WHERE person NOT IN (SELECT person FROM restraints WHERE kind = ?) ORDER BY person",
		append(args, string(kind))...)
	return all, wrap("unrestrained", err)
}

// RestrainAgain keeps data from being used again, after a backup has freed it.
func (r *Rights) RestrainAgain(ctx context.Context, x Restraint) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("INSERT INTO restraints (person, kind, since, made_by, request) VALUES (?, ?, ?, ?, ?) ON CONFLICT (person, kind) DO NOTHING",
			int64(x.Person), string(x.Kind), x.Since.UnixMilli(), x.By, x.Request)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit("", "restrain again", requestObject(x.Request), string(x.Kind))
	})
	return wrap("restrain again", err)
}

// Lift lets data be used again that a request kept from being used.
func (r *Rights) Lift(ctx context.Context, by, request string) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("DELETE FROM restraints WHERE request = ?", request)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "lift restraint", requestObject(request), "")
	})
	return wrap("lift restraint", err)
}
