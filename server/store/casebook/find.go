package casebook

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
)

// Limits of looking for persons.
const (
	LookupsPerHour = 30  // of one officer, over all cases
	MaxFound       = 20  // persons whom one lookup shows
	MaxCards       = 500 // contact cards that are opened at once
)

// A Lookup says whom to find. With a Number it is who checks in by it; a Name
// leaves only who has it, and finds those for whom the owner of a telephone speaks.
// Without one it is the holders with that Name and year of birth.
type Lookup struct {
	Kind   pass.Kind // Card, CCCD, BHYT or Phone
	Number string    // of a telephone in E.164
	Name   string
	Born   int
	// Thorough also opens what is known of everybody, for visitors who hold no
	// card and for further owners of a telephone. It takes some 15 s for a
	// million.
	Thorough bool
}

// check brings a lookup into the form in which identities are kept.
func (l *Lookup) check() error {
	l.Name = plain(l.Name)
	if l.Number != "" && l.Kind == pass.Card {
		n, err := strconv.ParseUint(l.Number, 10, 32)
		if err != nil || n == 0 {
			return fmt.Errorf("number of a card: %w", qrgate.ErrInvalid)
		}
		l.Number = strconv.FormatUint(n, 10)
	}
	switch {
	case l.Number == "" && (len(strings.Fields(l.Name)) < 2 || l.Born == 0),
		l.Number != "" && l.Kind != pass.Card && l.Kind != pass.CCCD && l.Kind != pass.BHYT && l.Kind != pass.Phone,
		len(l.Number) > 64, len(l.Name) > 200, l.Born < 0 || l.Born > 9999:
		return fmt.Errorf("lookup: %w", qrgate.ErrInvalid)
	}
	return nil
}

// kind is the lookup as audit rows name it: without what was looked for.
func (l *Lookup) kind() string {
	kind := "name"
	if l.Number != "" {
		kind = l.Kind.String()
	}
	if l.Thorough {
		kind += ", thorough"
	}
	return kind
}

// A Card is how to reach a person, as the office that registered them or the pass
// that they first held up says. A person of whom nothing is known is all empty but
// for Ref.
type Card struct {
	Ref           Ref
	Name          string
	Born          int
	Sex           string
	Phone         string // E.164
	Relative      bool   // the telephone is a relative's
	Guardian      string
	GuardianPhone string
	Area          string // commune as it was chosen
	Street        string
	Address       string // as a pass says it, where no office knows better
	Holder        bool   // an office has registered them
	// Restraint is what the person asked for, so that their data is not used. Where
	// the case does not say why it uses it all the same, it is Withheld, and
	// nothing else is said of them.
	Restraint rights.Kind
	Withheld  bool
}

// Find returns whom a lookup finds, at most [MaxFound]; nobody is no error. It is
// written down before anybody is looked for, and each who is found before they are
// shown. The error is [ErrTooMany] for who has looked [LookupsPerHour] times within
// an hour.
func (b *Book) Find(ctx context.Context, by, id string, l Lookup) ([]Card, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("casebook: find: %w", err)
	}
	const action = "look for person"
	var f *file
	err := b.write(ctx, "find", func(t store.Tx) (err error) {
		if f, err = b.work(t.Each, by, id); err != nil {
			return err
		}
		// Two lookups at once must see each other.
		if err := t.Lock("cases"); err != nil {
			return err
		}
		n := 0
		err = t.Each(func(rows *sql.Rows) error { return rows.Scan(&n) },
			"SELECT COUNT(*) FROM audit WHERE actor = ? AND at > ? AND action = ?", by, b.now().Add(-time.Hour).UnixMilli(), action)
		if err == nil && n >= LookupsPerHour {
			err = ErrTooMany
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, object(id), l.kind())
	})
	if err != nil {
		return nil, err
	}
	found, err := b.find(ctx, &l)
	if err != nil {
		return nil, fmt.Errorf("casebook: find: %w", err)
	}
	return b.show(ctx, by, f, found)
}

// find returns who they are.
func (b *Book) find(ctx context.Context, l *Lookup) ([]qrgate.Person, error) {
	var all []qrgate.Person
	add := func(p qrgate.Person, err error) error {
		switch {
		case errors.Is(err, qrgate.ErrNotFound):
			return nil
		case err == nil && !slices.Contains(all, p):
			all = append(all, p)
		}
		return err
	}
	if l.Number != "" {
		if err := add(b.people.PersonOf(ctx, l.Kind, l.Number)); err != nil {
			return nil, err
		}
		if l.Name != "" && l.Kind == pass.Phone {
			if err := add(b.people.PersonOf(ctx, l.Kind, l.Number+"\x00"+strings.ToLower(l.Name))); err != nil {
				return nil, err
			}
		}
	} else {
		like, err := b.people.PersonsLike(ctx, l.Name, l.Born)
		if err != nil {
			return nil, err
		}
		all = like
	}
	if l.Thorough && len(all) < MaxFound {
		err := b.people.EachPerson(ctx, func(p qrgate.Person, d *register.PersonDetails) error {
			if l.fits(d) && len(all) < MaxFound {
				return add(p, nil)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if l.Number != "" && l.Name != "" {
		details, err := b.people.DetailsOf(ctx, all...)
		if err != nil {
			return nil, err
		}
		name := area.Fold(l.Name)
		all = slices.DeleteFunc(all, func(p qrgate.Person) bool { d := details[p]; return d == nil || area.Fold(d.Name) != name })
	}
	return all[:min(len(all), MaxFound)], nil
}

// fits reports whether somebody may be meant. A visitor by telephone never says
// when they were born.
func (l *Lookup) fits(d *register.PersonDetails) bool {
	switch {
	case l.Number == "":
		return (d.Born == l.Born || d.Born == 0) && area.Fold(d.Name) == area.Fold(l.Name)
	case l.Kind == pass.Phone:
		return d.Phone == l.Number || d.GuardianPhone == l.Number
	case l.Kind == pass.CCCD:
		return d.Identity == l.Number
	case l.Kind == pass.BHYT:
		return d.Insurance == l.Number
	}
	return false
}

func plain(s string) string { return norm.NFC.String(strings.Join(strings.Fields(s), " ")) }

// Cards opens the contact cards of persons, who are written down as seen first.
// Before the case is approved only that of its index can be.
func (b *Book) Cards(ctx context.Context, by, id string, refs ...Ref) ([]Card, error) {
	f, err := b.work(b.reading(ctx), by, id)
	var persons []qrgate.Person
	if err == nil && len(refs) > MaxCards {
		err = ErrTooMany
	}
	for _, r := range refs {
		if err != nil {
			break
		}
		var p qrgate.Person
		if p, err = f.person(r); err == nil && !f.Open && p != f.body.Index {
			err = ErrApproval
		}
		persons = append(persons, p)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: cards: %w", err)
	}
	return b.show(ctx, by, f, persons)
}

// show returns the contact cards of persons, in their order, after it was written
// down who sees them. What is not known of somebody may be known of whom they are one
// human with.
func (b *Book) show(ctx context.Context, by string, f *file, persons []qrgate.Person) ([]Card, error) {
	if len(persons) == 0 {
		return nil, nil
	}
	q := b.reading(ctx)
	restrained, err := b.restraints(q, f)
	var pairs []pair
	if err == nil {
		pairs, err = b.same(q, f)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: cards: %w", err)
	}
	shown, also := without(persons, restrained.withholds), others(pairs)
	for _, p := range slices.Clip(shown) {
		for _, o := range also[p] {
			if !slices.Contains(shown, o) && !restrained.withholds(o) {
				shown = append(shown, o)
			}
		}
	}
	err = b.write(ctx, "cards", func(t store.Tx) error { return b.seen(t, "see person", by, f.ID, shown...) })
	if err != nil {
		return nil, err
	}
	details, err := b.people.DetailsOf(ctx, shown...)
	if err != nil {
		return nil, fmt.Errorf("casebook: cards: %w", err)
	}
	cards := make([]Card, len(persons))
	for i, p := range persons {
		c := &cards[i]
		*c = Card{Ref: f.ref(p), Restraint: restrained.all[p], Withheld: restrained.withholds(p)}
		if c.Withheld {
			continue
		}
		for _, self := range append([]qrgate.Person{p}, also[p]...) {
			if d := details[self]; d != nil {
				c.fill(d)
			}
		}
	}
	return cards, nil
}

// fill takes what a card does not say yet: a name with what belongs to it, a way to call,
// an address.
func (c *Card) fill(d *register.PersonDetails) {
	if c.Name == "" {
		c.Name, c.Born, c.Sex = d.Name, d.Born, d.Sex
	}
	if c.Phone == "" && c.GuardianPhone == "" {
		c.Phone, c.Relative, c.Guardian, c.GuardianPhone = d.Phone, d.Relative, d.Guardian, d.GuardianPhone
	}
	if c.Area == "" && c.Street == "" && c.Address == "" {
		c.Area, c.Street, c.Address = d.Details.Area, d.Street, d.Address
	}
	c.Holder = c.Holder || d.Holder != ""
}

// seen writes down that somebody sees persons in a case.
func (b *Book) seen(t store.Tx, action, by, id string, persons ...qrgate.Person) error {
	for _, p := range persons {
		if err := t.Audit(by, action, b.personObject(p), object(id)); err != nil {
			return err
		}
	}
	return nil
}

// personObject is a person as audit rows name them. Without the vault it is nobody.
func (b *Book) personObject(p qrgate.Person) string {
	id := b.v.Identity(pass.Unknown, string(binary.BigEndian.AppendUint64([]byte("seen\x00"), uint64(p))))
	return "person " + hex.EncodeToString(id[:])
}

// Note writes down that somebody did something with a person that is of no case, so
// that [Book.Looks] tells of it.
func (b *Book) Note(ctx context.Context, by, action string, p qrgate.Person) error {
	return b.write(ctx, action, func(t store.Tx) error { return t.Audit(by, action, b.personObject(p), "") })
}

// A Look is that somebody saw a person, or where they were.
type Look struct {
	At     time.Time
	By     string // account
	Action string // "see person", "trace person", "call person", "merge person", "unmerge person" or what [Book.Note] was told
	Case   string // id, empty if none was the reason
	Number string // of the case
}

// Looks returns who has seen a person in any case, the latest first: what a holder
// has the right to be told. It asks nobody whether they may.
func (b *Book) Looks(ctx context.Context, p qrgate.Person) ([]Look, error) {
	q := b.reading(ctx)
	pairs, err := merged(q)
	if err != nil {
		return nil, fmt.Errorf("casebook: looks: %w", err)
	}
	var all []Look
	for _, self := range selves(p, pairs) {
		err := q(func(rows *sql.Rows) error {
			var l Look
			err := rows.Scan((*store.Milli)(&l.At), &l.By, &l.Action, &l.Case)
			l.Case = strings.TrimPrefix(l.Case, object(""))
			all = append(all, l)
			return err
		}, "SELECT at, actor, action, note FROM audit WHERE object = ?", b.personObject(self))
		if err != nil {
			return nil, fmt.Errorf("casebook: looks: %w", err)
		}
	}
	numbers := map[string]string{}
	for i := range all {
		l := &all[i]
		if _, ok := numbers[l.Case]; !ok {
			err := q(func(rows *sql.Rows) error {
				var year, no int
				err := rows.Scan(&year, &no)
				numbers[l.Case] = numberOf(year, no)
				return err
			}, "SELECT year, no FROM cases WHERE id = ?", l.Case)
			if err != nil {
				return nil, fmt.Errorf("casebook: looks: %w", err)
			}
		}
		l.Number = numbers[l.Case]
	}
	slices.SortStableFunc(all, func(a, b Look) int { return b.At.Compare(a.At) })
	return all, nil
}
