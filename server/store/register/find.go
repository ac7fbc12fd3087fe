package register

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// What follows finds persons for a case, whether they are holders or not. It asks
// nobody whether they may: that is package casebook's matter.

// detailPass is the field under which package ingest seals what a pass said of
// somebody.
const detailPass = "pass"

// PersonOf returns who checks in by a number, or [qrgate.ErrNotFound]. The number is
// a card's, a telephone's in E.164, or what a foreign pass says.
func (c *Cards) PersonOf(ctx context.Context, kind pass.Kind, number string) (qrgate.Person, error) {
	switch {
	case kind == pass.BHYT:
		number = insured(number)
	case kind == pass.Family, kind == pass.Staff, kind == pass.Typed:
		kind = pass.Card // they share their numbers
	}
	id := c.v.Identity(kind, number)
	found := int64(0)
	err := c.r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&found) }, "SELECT person FROM identities WHERE identity = ?", id[:])
	if err == nil && found == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("register: person: %w", err)
	}
	return qrgate.Person(found), nil
}

// PersonsLike returns the holders with a name and a year of birth, whichever commune
// they live in. Marks and case do not matter.
func (c *Cards) PersonsLike(ctx context.Context, name string, born int) (all []qrgate.Person, err error) {
	hashes := map[identity]bool{c.alike(&Details{Name: name, Born: born}): true}
	for _, u := range area.Current() {
		hashes[c.alike(&Details{Name: name, Born: born, Area: u.ID.String()})] = true
	}
	seen := map[qrgate.Person]bool{}
	err = eachOf(hashes, func(args []any) error {
		return c.r.s.Read(ctx, func(rows *sql.Rows) error {
			var p int64
			err := rows.Scan(&p)
			if err == nil && !seen[qrgate.Person(p)] {
				seen[qrgate.Person(p)] = true
				all = append(all, qrgate.Person(p))
			}
			return err
		}, "SELECT person FROM holders WHERE alike IN ("+marksOf(len(args))+")", args...)
	})
	if err != nil {
		return nil, fmt.Errorf("register: persons: %w", err)
	}
	slices.Sort(all)
	return all, nil
}

// PersonDetails are what is known of a person, as the office that registered them,
// the organiser who invited them, or the pass that they first held up says.
type PersonDetails struct {
	Details
	Address string // as a pass says it
	Holder  string // id, empty of who is none
	Invited bool   `json:",omitempty"` // as a guest of an event
}

const personColumns = "p.person, p.wrapped, COALESCE(h.id, ''), h.sealed, g.sealed, d.sealed"

const personTables = " FROM people p LEFT JOIN holders h ON h.person = p.person LEFT JOIN guests g ON g.person = p.person LEFT JOIN details d ON d.person = p.person WHERE "

// DetailsOf returns what is known of persons. Of whom nothing is known is not among
// them.
func (c *Cards) DetailsOf(ctx context.Context, persons ...qrgate.Person) (map[qrgate.Person]*PersonDetails, error) {
	all := map[qrgate.Person]*PersonDetails{}
	for some := range slices.Chunk(persons, portion) {
		args := make([]any, len(some))
		for i, p := range some {
			args[i] = int64(p)
		}
		err := c.r.s.Read(ctx, func(rows *sql.Rows) error {
			p, d, err := c.scanPerson(rows)
			all[p] = d
			return err
		}, "SELECT "+personColumns+personTables+"p.person IN ("+marksOf(len(args))+")", args...)
		if err != nil {
			return nil, fmt.Errorf("register: details: %w", err)
		}
	}
	return all, nil
}

// EachPerson calls fn with everybody of whom something is known. It opens all of
// them, which takes some 15 µs each.
func (c *Cards) EachPerson(ctx context.Context, fn func(qrgate.Person, *PersonDetails) error) error {
	for after, first := int64(0), true; ; first = false {
		n := 0
		where, args := "p.person > ?", []any{after}
		if first {
			where, args = "1 = 1", nil
		}
		err := c.r.s.Read(ctx, func(rows *sql.Rows) error {
			p, d, err := c.scanPerson(rows)
			if err != nil {
				return err
			}
			n, after = n+1, int64(p)
			return fn(p, d)
		}, "SELECT "+personColumns+personTables+where+" ORDER BY p.person LIMIT ?", append(args, personsAtOnce)...)
		if err != nil {
			return fmt.Errorf("register: each person: %w", err)
		}
		if n < personsAtOnce {
			return nil
		}
	}
}

// personsAtOnce is how many persons are read at a time, so that no query is open
// for long.
const personsAtOnce = 5000

func (c *Cards) scanPerson(rows *sql.Rows) (qrgate.Person, *PersonDetails, error) {
	var person int64
	var wrapped, held, invited, passed []byte
	d := new(PersonDetails)
	if err := rows.Scan(&person, &wrapped, &d.Holder, &held, &invited, &passed); err != nil {
		return 0, nil, err
	}
	p := qrgate.Person(person)
	if held != nil {
		if err := c.open(p, wrapped, held, &d.Details); err != nil {
			return 0, nil, err
		}
	}
	if invited != nil {
		said, err := events.Said(c.v, p, wrapped, invited)
		if err != nil {
			return 0, nil, err
		}
		d.Invited = true
		d.fill(said)
	}
	if passed == nil {
		return p, d, nil
	}
	plain, err := c.v.OpenDetail(p, wrapped, detailPass, passed)
	if err != nil {
		return 0, nil, err
	}
	var s wire.Subject
	if err := wire.Decode(plain, &s); err != nil {
		return 0, nil, err
	}
	d.fill(&s)
	return p, d, nil
}

// fill adds what a pass said where the office knows nothing.
func (d *PersonDetails) fill(s *wire.Subject) {
	set := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	if d.Born == 0 {
		d.Born = s.Born
	}
	if s.Kind == pass.Phone {
		set(&d.Phone, s.Number)
	}
	if s.Kind == pass.CCCD {
		set(&d.Identity, s.Number)
	}
	if s.Kind == pass.BHYT {
		set(&d.Insurance, s.Number)
	}
	set(&d.Name, s.Name)
	set(&d.Phone, s.Phone)
	set(&d.Address, s.Address)
}
