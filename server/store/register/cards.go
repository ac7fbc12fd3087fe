package register

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/sync/pass"
)

// MaxBatch is how many cards can be issued at once.
const MaxBatch = 10_000

// A Batch is cards that were issued together.
type Batch struct {
	ID     string
	Office qrgate.Scope
	Kind   pass.Kind
	Cards  int
	MadeBy string // account
	Made   time.Time
}

// A Card is one that was issued. Its number never means another card.
type Card struct {
	Number  uint32
	Batch   string
	Holder  *CardHolder // nil of a test card
	Office  qrgate.Scope
	Kind    pass.Kind
	People  uint8 // of a family card
	Issue   uint8 // rises each time the card is replaced
	First   pass.Day
	Last    pass.Day
	Made    time.Time // this issue
	Revoked time.Time // zero unless the card is void
	Reason  Reason    // why
}

// Own returns what the card's code says, to be signed with the key of that id.
func (c *Card) Own(key uint8) pass.OwnCard {
	return pass.OwnCard{Kind: c.Kind, Key: key, Number: c.Number, Issue: c.Issue, First: c.First, Last: c.Last, People: c.People}
}

// Ended reports whether the card's last day is over.
func (c *Card) Ended(now time.Time) bool { return c.Last < pass.DayOf(now) }

// A Reason says why a card was revoked.
type Reason string

// The reasons.
const (
	Lost     Reason = "lost"
	Stolen   Reason = "stolen"
	Returned Reason = "returned" // no longer wanted
	Mistaken Reason = "mistaken" // issued by mistake
	Misused  Reason = "misused"
	Deceased Reason = "deceased"
)

// Reasons returns every reason, in the order in which people are shown them.
func Reasons() []Reason { return []Reason{Lost, Stolen, Returned, Mistaken, Misused, Deceased} }

// An Order says which cards to issue.
type Order struct {
	Office qrgate.Scope
	Kind   pass.Kind // Card, Family, Staff or Test
	First  pass.Day
	Last   pass.Day
	People []uint8 // of family cards, one for each holder; nil for one each
	Tests  int     // how many test cards
}

func (o *Order) check(cards int) error {
	switch {
	case o.Kind != pass.Card && o.Kind != pass.Family && o.Kind != pass.Staff && o.Kind != pass.Test,
		(o.Kind == pass.Test) != (o.Tests > 0), o.Last < o.First, cards < 1, cards > MaxBatch, o.People != nil && len(o.People) != cards:
		return qrgate.ErrInvalid
	}
	return nil
}

// Issue gives each of these holders a card, or makes test cards, which have no
// holder.
func (c *Cards) Issue(ctx context.Context, by string, o Order, holders ...string) (b *Batch, err error) {
	n := max(len(holders), o.Tests)
	if err = o.check(n); err == nil {
		err = c.again(ctx, func(t store.Tx) error {
			persons := make([]qrgate.Person, n)
			for i, id := range holders {
				found := false
				err := t.Each(func(rows *sql.Rows) error {
					var p int64
					found = true
					err := rows.Scan(&p)
					persons[i] = qrgate.Person(p)
					return err
				}, "SELECT person FROM holders WHERE id = ?", id)
				if err == nil && !found {
					err = qrgate.ErrNotFound
				}
				if err != nil {
					return err
				}
			}
			b, err = c.issue(t, by, o, persons, holders)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("register: issue: %w", err)
	}
	return b, nil
}

// Import registers the holders of an upload and gives each a card. The upload is
// taken once: a second time is [qrgate.ErrConflict].
func (c *Cards) Import(ctx context.Context, by, upload string, o Order, holders []*CardHolder) (b *Batch, err error) {
	if err = o.check(len(holders)); err == nil {
		err = c.again(ctx, func(t store.Tx) error {
			if err := takeUpload(t, by, upload); err != nil {
				return fmt.Errorf("%w: %w", errGone, err)
			}
			persons, err := c.addHolders(t, by, holders)
			if err != nil {
				return err
			}
			ids := make([]string, len(holders))
			for i, h := range holders {
				ids[i] = h.ID
			}
			b, err = c.issue(t, by, o, persons, ids)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("register: import holders: %w", err)
	}
	return b, nil
}

// issue writes cards. The number of each leads to its holder's person, as it does
// at a door.
func (c *Cards) issue(t store.Tx, by string, o Order, persons []qrgate.Person, holders []string) (*Batch, error) {
	if err := t.Lock("cards"); err != nil {
		return nil, err
	}
	if err := objected(t, persons); err != nil {
		return nil, err
	}
	now := c.r.now().Truncate(time.Millisecond)
	b := &Batch{ID: store.NewID(), Office: o.Office, Kind: o.Kind, Cards: len(persons), MadeBy: by, Made: now}
	numbers, err := c.numbers(t, len(persons))
	if err != nil {
		return nil, err
	}
	_, err = t.Exec("INSERT INTO card_batches (id, office, kind, cards, made_by, made) VALUES (?, ?, ?, ?, ?, ?)",
		b.ID, b.Office.String(), int64(b.Kind), b.Cards, by, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	var cards, identities rowsOf
	for i, number := range numbers {
		people := uint8(1)
		if o.People != nil {
			people = o.People[i]
		}
		if o.Kind != pass.Family {
			people = 0
		}
		var holder any
		if o.Kind != pass.Test {
			holder = holders[i]
			id := cardIdentity(c.v, number)
			identities.add(id[:], int64(persons[i]))
		}
		cards.add(int64(number), b.ID, holder, o.Office.String(), int64(o.Kind), int64(people), 1, int64(o.First), int64(o.Last), int64(o.Last), now.UnixMilli(), "")
	}
	if err := identities.insert(t, "identities (identity, person)"); err != nil {
		return nil, err
	}
	if err := cards.insert(t, "cards (number, batch, holder, office, kind, people, issue, first, last, longest, made, reason)"); err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d of kind %s, numbers %d to %d, until %s", b.Cards, b.Kind, numbers[0], numbers[len(numbers)-1], o.Last)
	return b, t.Audit(by, "issue cards", "batch "+b.ID, note)
}

// ErrObjected means that somebody who is to get a card has objected to the use of
// their data.
var ErrObjected = fmt.Errorf("the holder has objected to the use of their data: %w", qrgate.ErrForbidden)

// objected is [ErrObjected] if one of these persons has.
func objected(t store.Tx, persons []qrgate.Person) error {
	found := false
	err := t.Each(func(rows *sql.Rows) error {
		var p int64
		err := rows.Scan(&p)
		found = found || slices.Contains(persons, qrgate.Person(p))
		return err
	}, "SELECT person FROM restraints WHERE kind = 'objection'")
	if err == nil && found {
		err = ErrObjected
	}
	return err
}

// numbers returns the next numbers of cards, in order. A number with which somebody
// has checked in already was signed by hand, and is left to them.
func (c *Cards) numbers(t store.Tx, n int) ([]uint32, error) {
	last := int64(0)
	if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&last) }, "SELECT COALESCE(MAX(number), 0) FROM cards"); err != nil {
		return nil, err
	}
	var numbers []uint32
	for len(numbers) < n {
		of := map[identity]qrgate.Person{}
		var some []uint32
		for range n - len(numbers) {
			if last++; last > 1<<32-1 {
				return nil, fmt.Errorf("no number is left: %w", qrgate.ErrConflict)
			}
			some = append(some, uint32(last))
			of[cardIdentity(c.v, uint32(last))] = 0
		}
		if err := c.findPersons(t, of); err != nil {
			return nil, err
		}
		numbers = append(numbers, slices.DeleteFunc(some, func(no uint32) bool { return of[cardIdentity(c.v, no)] != 0 })...)
	}
	return numbers, nil
}

// cardObject is a card as audit rows name it.
func cardObject(number uint32) string { return "card " + strconv.FormatUint(uint64(number), 10) }

// Reissue replaces a card, whose issue is the given one: its issue rises and the
// old one is void. Where no issue is left the error is [qrgate.ErrInvalid], and a
// new card is needed; of a revoked card it is [qrgate.ErrRevoked].
func (c *Cards) Reissue(ctx context.Context, by string, number uint32, issue uint8, first, last pass.Day) error {
	err := c.r.s.Write(ctx, func(t store.Tx) error {
		is, revoked, err := c.stateOf(t, number)
		switch {
		case err != nil:
			return err
		case revoked:
			return qrgate.ErrRevoked
		case is != issue:
			return errGone
		case issue >= pass.AllIssues-1 || last < first:
			return qrgate.ErrInvalid
		}
		_, err = t.Exec(`UPDATE cards SET issue = issue + 1, first = ?, last = ?, longest = CASE WHEN longest > ? THEN longest ELSE ? END, made = ? WHERE number = ?`,
			int64(first), int64(last), int64(last), int64(last), c.r.now().UnixMilli(), int64(number))
		if err == nil {
			err = void.Add(t, number)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "reissue card", cardObject(number), fmt.Sprintf("issue %d, until %s", issue+1, last))
	})
	if err != nil {
		return fmt.Errorf("register: reissue: %w", err)
	}
	return nil
}

func (c *Cards) stateOf(t store.Tx, number uint32) (issue uint8, revoked bool, err error) {
	found := false
	err = t.Each(func(rows *sql.Rows) error { found = true; return rows.Scan(&issue, &revoked) },
		"SELECT issue, CASE WHEN revoked IS NULL THEN 0 ELSE 1 END FROM cards WHERE number = ?", int64(number))
	if err == nil && !found {
		err = qrgate.ErrNotFound
	}
	return issue, revoked, err
}

// Revoke makes every issue of a card void, for good. One that is revoked already
// stays as it is.
func (c *Cards) Revoke(ctx context.Context, by string, number uint32, why Reason) error {
	err := c.r.s.Write(ctx, func(t store.Tx) error {
		if !slices.Contains(Reasons(), why) {
			return qrgate.ErrInvalid
		}
		_, revoked, err := c.stateOf(t, number)
		if err != nil || revoked {
			return err
		}
		if _, err := t.Exec("UPDATE cards SET revoked = ?, reason = ? WHERE number = ?", c.r.now().UnixMilli(), string(why), int64(number)); err != nil {
			return err
		}
		if err := void.Add(t, number); err != nil {
			return err
		}
		return t.Audit(by, "revoke card", cardObject(number), string(why))
	})
	if err != nil {
		return fmt.Errorf("register: revoke card: %w", err)
	}
	return nil
}

const cardColumns = "c.number, c.batch, c.office, c.kind, c.people, c.issue, c.first, c.last, c.made, c.revoked, c.reason"

func (d *Card) scan(rows *sql.Rows) error {
	return rows.Scan(&d.Number, &d.Batch, (*scope)(&d.Office), &d.Kind, &d.People, &d.Issue, &d.First, &d.Last, (*store.Milli)(&d.Made), (*store.Milli)(&d.Revoked), &d.Reason)
}

// Card returns a card without its holder, and the holder's id, which is empty of a
// test card; or [qrgate.ErrNotFound].
func (c *Cards) Card(ctx context.Context, number uint32) (*Card, string, error) {
	var found *Card
	var holder sql.NullString
	err := c.r.s.Read(ctx, func(rows *sql.Rows) error {
		found = new(Card)
		return rows.Scan(&found.Number, &found.Batch, (*scope)(&found.Office), &found.Kind, &found.People, &found.Issue, &found.First, &found.Last,
			(*store.Milli)(&found.Made), (*store.Milli)(&found.Revoked), &found.Reason, &holder)
	}, "SELECT "+cardColumns+", c.holder FROM cards c WHERE c.number = ?", int64(number))
	if err == nil && found == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, "", fmt.Errorf("register: card: %w", err)
	}
	return found, holder.String, nil
}

// CardsOf returns the cards of a holder, without the holder, the latest first.
func (c *Cards) CardsOf(ctx context.Context, holder string) (all []Card, err error) {
	err = c.r.s.Read(ctx, func(rows *sql.Rows) error {
		var d Card
		err := d.scan(rows)
		all = append(all, d)
		return err
	}, "SELECT "+cardColumns+" FROM cards c WHERE c.holder = ? ORDER BY c.number DESC", holder)
	if err != nil {
		return nil, fmt.Errorf("register: cards of a holder: %w", err)
	}
	return all, nil
}

const batchColumns = "b.id, b.office, b.kind, b.cards, b.made_by, b.made"

func (b *Batch) scan(rows *sql.Rows) error {
	return rows.Scan(&b.ID, (*scope)(&b.Office), &b.Kind, &b.Cards, &b.MadeBy, (*store.Milli)(&b.Made))
}

// Batch returns a batch, or [qrgate.ErrNotFound].
func (c *Cards) Batch(ctx context.Context, id string) (b *Batch, err error) {
	err = c.r.s.Read(ctx, func(rows *sql.Rows) error { b = new(Batch); return b.scan(rows) }, "SELECT "+batchColumns+" FROM card_batches b WHERE b.id = ?", id)
	if err == nil && b == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: batch: %w", err)
	}
	return b, nil
}

// Batches returns the latest batches of offices.
func (c *Cards) Batches(ctx context.Context, offices []qrgate.Scope, most int) (all []Batch, err error) {
	where, args := officesIn("b.office", offices)
	err = c.r.s.Read(ctx, func(rows *sql.Rows) error {
		var b Batch
		err := b.scan(rows)
		all = append(all, b)
		return err
	}, "SELECT "+batchColumns+" FROM card_batches b WHERE "+where+" ORDER BY b.made DESC, b.id LIMIT ?", append(args, most)...)
	if err != nil {
		return nil, fmt.Errorf("register: batches: %w", err)
	}
	return all, nil
}

// Own returns what the codes of a batch's cards say that are not void, without the key,
// in the order of numbers.
func (c *Cards) Own(ctx context.Context, batch string) (all []pass.OwnCard, err error) {
	err = c.r.s.Read(ctx, func(rows *sql.Rows) error {
		var d Card
		err := d.scan(rows)
		all = append(all, d.Own(0))
		return err
	}, "SELECT "+cardColumns+" FROM cards c WHERE c.batch = ? AND c.revoked IS NULL ORDER BY c.number", batch)
	if err != nil {
		return nil, fmt.Errorf("register: codes of a batch: %w", err)
	}
	return all, nil
}

// printPage is how many cards are read at a time to be printed: a press must
// neither hold them all nor keep a query open while it works.
const printPage = 500

// EachCard calls fn with each card of a batch that is not void, with its holder, in
// the order of numbers.
func (c *Cards) EachCard(ctx context.Context, batch string, fn func(*Card) error) error {
	for after := int64(0); ; {
		var page []*Card
		err := c.r.s.Read(ctx, func(rows *sql.Rows) error {
			d := new(Card)
			var holder sql.NullString
			var person, version sql.NullInt64
			var sealed, wrapped []byte
			err := rows.Scan(&d.Number, &d.Batch, (*scope)(&d.Office), &d.Kind, &d.People, &d.Issue, &d.First, &d.Last, (*store.Milli)(&d.Made), (*store.Milli)(&d.Revoked), &d.Reason,
				&holder, &version, &person, &sealed, &wrapped)
			if err != nil {
				return err
			}
			if holder.Valid {
				d.Holder = &CardHolder{ID: holder.String, Office: d.Office, Version: int(version.Int64)}
				if err := c.open(qrgate.Person(person.Int64), wrapped, sealed, &d.Holder.Details); err != nil {
					return err
				}
			}
			page = append(page, d)
			return nil
		}, "SELECT "+cardColumns+`, h.id, h.version, h.person, h.sealed, p.wrapped FROM cards c LEFT JOIN holders h ON h.id = c.holder
			LEFT JOIN people p ON p.person = h.person WHERE c.batch = ? AND c.number > ? ORDER BY c.number LIMIT ?`, batch, after, printPage)
		if err != nil {
			return fmt.Errorf("register: cards of a batch: %w", err)
		}
		for _, d := range page {
			if d.Revoked.IsZero() {
				if err := fn(d); err != nil {
					return err
				}
			}
			after = int64(d.Number)
		}
		if len(page) < printPage {
			return nil
		}
	}
}
