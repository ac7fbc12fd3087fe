package register

import (
	"context"
	"database/sql"
	"encoding/json"
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
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

// Cards are the holders of cards and their cards. What is known of a holder is
// sealed under the person's own key of the vault; of numbers the database holds
// keyed hashes alone.
type Cards struct {
	r *Register
	v *vault.Vault
}

// Cards returns the cards of the register, whose holders v keeps.
func (r *Register) Cards(v *vault.Vault) *Cards { return &Cards{r, v} }

// A CardHolder is a person who was registered to get a card.
type CardHolder struct {
	ID      string
	Office  qrgate.Scope // of whoever registered them: an area or an organisation
	Details Details
	Version int
	Made    time.Time
	Changed time.Time
}

// Details are what an office knows of a holder. They are sealed in the database.
type Details struct {
	Name          string `json:"name"`
	Born          int    `json:"born"` // year
	Sex           string `json:"sex,omitempty"`
	Phone         string `json:"phone,omitempty"`    // E.164
	Relative      bool   `json:"relative,omitempty"` // the telephone is a relative's
	Area          string `json:"area,omitempty"`     // commune as it was chosen
	Street        string `json:"street,omitempty"`
	Identity      string `json:"identity,omitempty"`  // number of the identity card
	Insurance     string `json:"insurance,omitempty"` // number of the health insurance
	Guardian      string `json:"guardian,omitempty"`
	GuardianPhone string `json:"guardian_phone,omitempty"`
	Consent       int64  `json:"consent,omitempty"` // Unix ms: when the notice was given and agreed to
}

// detailHolder is the field under which details are sealed.
const detailHolder = "holder"

type identity = [16]byte

// A mark is a keyed hash by which a person is found again.
type mark struct {
	identity
	proves bool // whoever has it already is the same holder
}

// marks returns what check-ins of the same person may be found by, the surest
// first. A telephone belongs to a household as often as to one person, so that it
// alone proves nothing.
func (c *Cards) marks(d *Details) []mark {
	var all []mark
	if d.Identity != "" {
		all = append(all, mark{c.v.Identity(pass.CCCD, d.Identity), true})
	}
	if n := d.Insurance; n != "" {
		all = append(all, mark{c.v.Identity(pass.BHYT, insured(n)), true})
	}
	if d.Phone != "" {
		// As a visit by phone is found of somebody for whom another speaks.
		all = append(all, mark{c.v.Identity(pass.Phone, d.Phone+"\x00"+strings.ToLower(plainName(d.Name))), true})
		if !d.Relative {
			all = append(all, mark{c.v.Identity(pass.Phone, d.Phone), false})
		}
	}
	return all
}

// insured returns what of the number of an insurance stays with a person.
func insured(number string) string { return number[max(0, len(number)-10):] }

func plainName(s string) string { return norm.NFC.String(strings.Join(strings.Fields(s), " ")) }

// alike is a keyed hash of what two entries of one person have in common.
func (c *Cards) alike(d *Details) identity {
	now := d.Area
	if id, err := area.ParseID(d.Area); err == nil {
		if units := area.CurrentOf(id); len(units) > 0 {
			now = units[0].ID.String()
		}
	}
	return c.v.Identity(pass.Unknown, "holder\x00"+area.Fold(d.Name)+"\x00"+strconv.Itoa(d.Born)+"\x00"+now)
}

func cardIdentity(v *vault.Vault, number uint32) identity {
	return v.Identity(pass.Card, strconv.FormatUint(uint64(number), 10))
}

// A Known is somebody who is registered already.
type Known struct {
	Holder string       // id
	Office qrgate.Scope // where
	Sure   bool         // by a number, not by name and year of birth
}

// Known returns, by index, which of these are registered already.
func (c *Cards) Known(ctx context.Context, all []*Details) (map[int]Known, error) {
	asked := map[identity][]int{}
	likes := map[identity][]int{}
	for i, d := range all {
		for _, m := range c.marks(d) {
			if m.proves {
				asked[m.identity] = append(asked[m.identity], i)
			}
		}
		a := c.alike(d)
		likes[a] = append(likes[a], i)
	}
	known := map[int]Known{}
	find := func(query string, of map[identity][]int, sure bool) error {
		return eachOf(of, func(args []any) error {
			return c.r.s.Read(ctx, func(rows *sql.Rows) error {
				var hash []byte
				k := Known{Sure: sure}
				if err := rows.Scan(&hash, &k.Holder, (*scope)(&k.Office)); err != nil {
					return err
				}
				for _, i := range of[identity(hash)] {
					if _, ok := known[i]; !ok {
						known[i] = k
					}
				}
				return nil
			}, query+marksOf(len(args))+")", args...)
		})
	}
	err := find("SELECT i.identity, h.id, h.office FROM identities i JOIN holders h ON h.person = i.person WHERE i.identity IN (", asked, true)
	if err == nil {
		err = find("SELECT alike, id, office FROM holders WHERE alike IN (", likes, false)
	}
	if err != nil {
		return nil, fmt.Errorf("register: known holders: %w", err)
	}
	return known, nil
}

// portion is how many values one statement takes.
const portion = 200

func marksOf(n int) string { return "?" + strings.Repeat(", ?", n-1) }

// eachOf calls fn with the keys of a map, some at a time and filled up to the
// same number, so that there are few statements.
func eachOf[V any](of map[identity]V, fn func(args []any) error) error {
	var args []any
	for k := range of {
		if args = append(args, k[:]); len(args) == portion {
			if err := fn(args); err != nil {
				return err
			}
			args = nil
		}
	}
	if len(args) == 0 {
		return nil
	}
	if len(of) > portion {
		args = append(args, slices.Repeat(args[:1], portion-len(args))...)
	}
	return fn(args)
}

// ErrKnown means that somebody is registered already.
var ErrKnown = fmt.Errorf("holder is registered already: %w", qrgate.ErrConflict)

// AddHolders registers people and sets their ID, Version, Made and Changed. Who
// has checked in before with one of the numbers is the same person. The error is
// [ErrKnown] if one is registered already.
func (c *Cards) AddHolders(ctx context.Context, by string, all []*CardHolder) error {
	err := c.again(ctx, func(t store.Tx) error {
		_, err := c.addHolders(t, by, all)
		if err != nil || len(all) == 0 {
			return err
		}
		return t.Audit(by, "add holders", "holder "+all[0].ID, strconv.Itoa(len(all)))
	})
	if err != nil {
		return fmt.Errorf("register: add holders: %w", err)
	}
	return nil
}

// again runs fn in a transaction, and once more if a check-in took one of the
// identities meanwhile.
func (c *Cards) again(ctx context.Context, fn func(store.Tx) error) error {
	err := c.r.s.Write(ctx, fn)
	for range 3 {
		if !errors.Is(err, qrgate.ErrConflict) || errors.Is(err, ErrKnown) || errors.Is(err, errGone) {
			break
		}
		err = c.r.s.Write(ctx, fn)
	}
	return err
}

// addHolders returns who they are.
func (c *Cards) addHolders(t store.Tx, by string, all []*CardHolder) ([]qrgate.Person, error) {
	found := map[identity]qrgate.Person{}
	marked := make([][]mark, len(all))
	for i, h := range all {
		marked[i] = c.marks(&h.Details)
		for _, m := range marked[i] {
			found[m.identity] = 0
		}
	}
	if err := c.findPersons(t, found); err != nil {
		return nil, err
	}
	keys, taken, err := c.peopleOf(t, found)
	if err != nil {
		return nil, err
	}
	var people, identities, holders rowsOf
	persons := make([]qrgate.Person, len(all))
	now := c.r.now().Truncate(time.Millisecond)
	for i, h := range all {
		var p qrgate.Person
		for _, m := range marked[i] {
			switch q := found[m.identity]; {
			case q == 0:
			case taken[q] && m.proves:
				return nil, fmt.Errorf("row %d: %w", i+1, ErrKnown)
			case taken[q]: // somebody else of the household
			case p == 0:
				p = q
			}
		}
		if p == 0 {
			p = vault.NewPerson()
		}
		taken[p], persons[i] = true, p
		if keys[p] == nil {
			keys[p] = c.v.NewPersonKey(p)
			people.add(int64(p), keys[p])
		}
		for _, m := range marked[i] {
			if found[m.identity] == 0 {
				found[m.identity] = p
				identities.add(slices.Clone(m.identity[:]), int64(p))
			}
		}
		sealed, err := c.seal(p, keys[p], &h.Details)
		if err != nil {
			return nil, err
		}
		h.ID, h.Version, h.Made, h.Changed = store.NewID(), 1, now, now
		alike := c.alike(&h.Details)
		holders.add(h.ID, int64(p), h.Office.String(), alike[:], sealed, 1, by, now.UnixMilli(), now.UnixMilli())
	}
	return persons, errors.Join(
		people.insert(t, "people (person, wrapped)"),
		identities.insert(t, "identities (identity, person)"),
		holders.insert(t, "holders (id, person, office, alike, sealed, version, made_by, made, changed)"))
}

func (c *Cards) seal(p qrgate.Person, wrapped []byte, d *Details) ([]byte, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return c.v.SealDetail(p, wrapped, detailHolder, plain)
}

// findPersons fills in who has these identities.
func (c *Cards) findPersons(t store.Tx, of map[identity]qrgate.Person) error {
	found := map[identity]qrgate.Person{}
	err := eachOf(of, func(args []any) error {
		return t.Each(func(rows *sql.Rows) error {
			var hash []byte
			var p int64
			err := rows.Scan(&hash, &p)
			if err == nil {
				found[identity(hash)] = qrgate.Person(p)
			}
			return err
		}, "SELECT identity, person FROM identities WHERE identity IN ("+marksOf(len(args))+")", args...)
	})
	for id, p := range found {
		of[id] = p
	}
	return err
}

// peopleOf returns the wrapped keys of persons who have one, and who of them is
// a holder.
func (c *Cards) peopleOf(t store.Tx, of map[identity]qrgate.Person) (keys map[qrgate.Person][]byte, taken map[qrgate.Person]bool, err error) {
	keys, taken = map[qrgate.Person][]byte{}, map[qrgate.Person]bool{}
	for _, p := range of {
		if _, done := keys[p]; done || p == 0 {
			continue
		}
		keys[p] = nil
		err := t.Each(func(rows *sql.Rows) error {
			var wrapped []byte
			var holder sql.NullString
			err := rows.Scan(&wrapped, &holder)
			keys[p], taken[p] = wrapped, holder.Valid
			return err
		}, "SELECT p.wrapped, h.id FROM people p LEFT JOIN holders h ON h.person = p.person WHERE p.person = ?", int64(p))
		if err != nil {
			return nil, nil, err
		}
	}
	return keys, taken, nil
}

// rowsOf are rows to be inserted, many by one statement.
type rowsOf struct {
	width  int
	values []any
}

func (r *rowsOf) add(values ...any) { r.width, r.values = len(values), append(r.values, values...) }

// insert writes the rows into a table, given with its columns.
func (r *rowsOf) insert(t store.Tx, into string) error {
	for len(r.values) > 0 {
		n := min(portion, len(r.values)/r.width)
		row := "(" + marksOf(r.width) + ")"
		if _, err := t.Exec("INSERT INTO "+into+" VALUES "+row+strings.Repeat(", "+row, n-1), r.values[:n*r.width]...); err != nil {
			return err
		}
		r.values = r.values[n*r.width:]
	}
	return nil
}

// scope reads a scope as columns hold it.
type scope qrgate.Scope

// Scan implements [sql.Scanner].
func (s *scope) Scan(v any) error {
	text, _ := v.(string)
	parsed, err := qrgate.ParseScope(text)
	*s = scope(parsed)
	return err
}

const holderColumns = "h.id, h.office, h.version, h.made, h.changed, h.person, h.sealed, p.wrapped"

const holderTables = "holders h JOIN people p ON p.person = h.person"

func (c *Cards) scanHolder(rows *sql.Rows, more ...any) (*CardHolder, error) {
	h := new(CardHolder)
	var person int64
	var sealed, wrapped []byte
	err := rows.Scan(append([]any{&h.ID, (*scope)(&h.Office), &h.Version, (*store.Milli)(&h.Made), (*store.Milli)(&h.Changed), &person, &sealed, &wrapped}, more...)...)
	if err != nil {
		return nil, err
	}
	return h, c.open(qrgate.Person(person), wrapped, sealed, &h.Details)
}

func (c *Cards) open(p qrgate.Person, wrapped, sealed []byte, into *Details) error {
	plain, err := c.v.OpenDetail(p, wrapped, detailHolder, sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

// Holder returns a holder, or [qrgate.ErrNotFound].
func (c *Cards) Holder(ctx context.Context, id string) (*CardHolder, error) {
	return c.oneHolder(ctx, "h.id = ?", id)
}

func (c *Cards) oneHolder(ctx context.Context, where string, args ...any) (h *CardHolder, err error) {
	err = c.r.s.Read(ctx, func(rows *sql.Rows) (err error) { h, err = c.scanHolder(rows); return err },
		"SELECT "+holderColumns+" FROM "+holderTables+" WHERE "+where, args...)
	if err == nil && h == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: holder: %w", err)
	}
	return h, nil
}

// HolderOf returns whom a number of a foreign code names, or
// [qrgate.ErrNotFound]: somebody unknown, or who is not registered.
func (c *Cards) HolderOf(ctx context.Context, kind pass.Kind, number string) (*CardHolder, error) {
	id := c.v.Identity(kind, number)
	return c.oneHolder(ctx, "h.person = (SELECT person FROM identities WHERE identity = ?)", id[:])
}

// Offices returns every office that has registered somebody or issued a card.
func (c *Cards) Offices(ctx context.Context) (all []qrgate.Scope, err error) {
	err = c.r.s.Read(ctx, func(rows *sql.Rows) error {
		var s scope
		err := rows.Scan(&s)
		all = append(all, qrgate.Scope(s))
		return err
	}, "SELECT office FROM holders UNION SELECT office FROM card_batches")
	if err != nil {
		return nil, fmt.Errorf("register: offices: %w", err)
	}
	return all, nil
}

func officesIn(column string, offices []qrgate.Scope) (string, []any) {
	texts := make([]string, len(offices))
	for i, o := range offices {
		texts[i] = o.String()
	}
	return isIn(column, texts)
}

// Holders returns one page, from 0, of the holders of offices, the latest first,
// and how many there are. Words of a name leave only those that have all of them:
// then every holder of the offices is opened.
func (c *Cards) Holders(ctx context.Context, offices []qrgate.Scope, name string, page, size int) (all []*CardHolder, total int, err error) {
	where, args := officesIn("h.office", offices)
	from := "SELECT " + holderColumns + " FROM " + holderTables + " WHERE " + where + " ORDER BY h.made DESC, h.id"
	words := strings.Fields(area.Fold(name))
	if len(words) == 0 {
		err = c.r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM holders h WHERE "+where, args...)
		from, args = from+" LIMIT ? OFFSET ?", append(args, size, page*size)
	}
	if err == nil {
		err = c.r.s.Read(ctx, func(rows *sql.Rows) error {
			h, err := c.scanHolder(rows)
			if err != nil {
				return err
			}
			if len(words) > 0 {
				folded := area.Fold(h.Details.Name)
				if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(folded, w) }) {
					return nil
				}
				if total++; total <= page*size || len(all) == size {
					return nil
				}
			}
			all = append(all, h)
			return nil
		}, from, args...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("register: holders: %w", err)
	}
	return all, total, nil
}

// ChangeHolder changes what is known of a holder, of the version that h has. A
// number that is new leads to the same person if nobody had it; the old ones still
// do, for check-ins were made with them.
func (c *Cards) ChangeHolder(ctx context.Context, by string, h *CardHolder) error {
	now := c.r.now().Truncate(time.Millisecond)
	err := c.again(ctx, func(t store.Tx) error {
		var p int64
		var wrapped []byte
		found := false
		err := t.Each(func(rows *sql.Rows) error { found = true; return rows.Scan(&p, &wrapped) },
			"SELECT h.person, p.wrapped FROM "+holderTables+" WHERE h.id = ? AND h.version = ?", h.ID, h.Version)
		if err == nil && !found {
			err = errGone
		}
		if err != nil {
			return err
		}
		had := map[identity]qrgate.Person{}
		marked := c.marks(&h.Details)
		for _, m := range marked {
			had[m.identity] = 0
		}
		if err := c.findPersons(t, had); err != nil {
			return err
		}
		_, taken, err := c.peopleOf(t, had)
		if err != nil {
			return err
		}
		var identities rowsOf
		for _, m := range marked {
			switch q := had[m.identity]; {
			case q == 0:
				identities.add(slices.Clone(m.identity[:]), p)
			case q != qrgate.Person(p) && m.proves && taken[q]:
				return ErrKnown
			}
		}
		sealed, err := c.seal(qrgate.Person(p), wrapped, &h.Details)
		if err != nil {
			return err
		}
		alike := c.alike(&h.Details)
		if _, err := t.Exec("UPDATE holders SET sealed = ?, alike = ?, version = version + 1, changed = ? WHERE id = ?", sealed, alike[:], now.UnixMilli(), h.ID); err != nil {
			return err
		}
		if err := identities.insert(t, "identities (identity, person)"); err != nil {
			return err
		}
		return t.Audit(by, "change holder", "holder "+h.ID, "")
	})
	if err != nil {
		return fmt.Errorf("register: change holder: %w", err)
	}
	h.Version, h.Changed = h.Version+1, now
	return nil
}

// errGone means that something was changed or taken meanwhile.
var errGone = fmt.Errorf("it has changed meanwhile: %w", qrgate.ErrConflict)
