package casebook

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// A Status is how far a contact on the call list has come.
type Status string

// The statuses.
const (
	ToCall      Status = "to_call"
	NotReached  Status = "not_reached"
	Reached     Status = "reached"
	AskedToTest Status = "asked_to_test"
	Notified    Status = "notified" // by a letter or a message, which nobody answered
)

// Statuses returns every status, in the order in which people are shown them.
func Statuses() []Status { return []Status{ToCall, NotReached, Reached, AskedToTest, Notified} }

// A Channel is how somebody was told.
type Channel string

// The channels. The zero Channel is none: a note alone.
const (
	ByPhone  Channel = "phone"
	ByEmail  Channel = "email"
	BySMS    Channel = "sms"
	ByLetter Channel = "letter"
	InPerson Channel = "in_person"
)

// Channels returns every channel, in the order in which people are shown them.
func Channels() []Channel { return []Channel{ByPhone, BySMS, ByEmail, ByLetter, InPerson} }

// An Attempt is one time that somebody tried to tell a contact.
type Attempt struct {
	Status  Status // that the contact has after it
	Channel Channel
	Note    string
	By      string // account
	At      time.Time
}

// A Call is a contact on the call list of a case.
type Call struct {
	Ref     Ref
	Status  Status
	Changed time.Time
	Version int
	// Household is the same of contacts who share a telephone, theirs, a relative's or
	// a guardian's, or the number of a house; alone it says nothing.
	Household string
	Attempts  []Attempt // the latest first

	phone, home string // what makes the household
}

type callBody struct {
	Household string // of a telephone, or of one contact alone
	Home      string `cbor:",omitempty"` // of an address
	Attempts  []Attempt
}

// AddCalls puts contacts on the call list of a case, and returns how many were not
// on it yet.
func (b *Book) AddCalls(ctx context.Context, by, id string, refs []Ref) (added int, err error) {
	return b.addCalls(ctx, by, id, refs, b.persons)
}

func (b *Book) addCalls(ctx context.Context, by, id string, refs []Ref, load func(q query, by, id string) (*file, error)) (added int, err error) {
	f, err := load(b.reading(ctx), by, id)
	persons := make([]qrgate.Person, len(refs))
	for i, r := range refs {
		if err == nil {
			persons[i], err = f.person(r)
		}
	}
	if err == nil {
		var restrained restraints
		restrained, err = b.restraints(b.reading(ctx), f)
		persons = without(persons, restrained.withholds)
		if refs = slices.Clone(refs); len(persons) < len(refs) {
			refs = refs[:0]
			for _, p := range persons {
				refs = append(refs, f.ref(p))
			}
		}
	}
	if err == nil && len(refs) > maxCalls {
		err = ErrTooMany
	}
	var details map[qrgate.Person]*register.PersonDetails
	if err == nil {
		details, err = b.people.DetailsOf(ctx, persons...)
	}
	if err != nil {
		return 0, fmt.Errorf("casebook: add calls: %w", err)
	}
	// Sealed before the transaction, for check-ins wait while it lasts.
	sealed := make([][]byte, len(refs))
	for i, r := range refs {
		if sealed[i], err = seal(f.key, fieldCall(r), callBody{Household: b.household(f, r, details[persons[i]]), Home: b.home(f, details[persons[i]])}); err != nil {
			return 0, fmt.Errorf("casebook: add calls: %w", err)
		}
	}
	err = b.write(ctx, "add calls", func(t store.Tx) error {
		if _, err := load(t.Each, by, id); err != nil {
			return err
		}
		added = 0
		now := b.now().UnixMilli()
		for i, r := range refs {
			n, err := t.Exec(`INSERT INTO case_calls (case_id, reference, status, made_by, made, version, sealed) VALUES (?, ?, ?, ?, ?, 1, ?)
				ON CONFLICT (case_id, reference) DO NOTHING`, id, r[:], string(ToCall), by, now, sealed[i])
			if err != nil {
				return err
			}
			added += int(n)
		}
		if added == 0 {
			return nil
		}
		return t.Audit(by, "add calls", object(id), fmt.Sprint(added))
	})
	return added, err
}

// maxCalls bounds the contacts that are put on a call list at once.
const maxCalls = 20_000

// household returns what the people of one telephone have in common in this case.
func (b *Book) household(f *file, r Ref, d *register.PersonDetails) string {
	phone := ""
	if d != nil {
		phone = cmp.Or(d.Phone, d.GuardianPhone)
	}
	if phone == "" {
		return r.String()
	}
	id := b.v.Identity(pass.Unknown, "household\x00"+f.ID+"\x00"+phone)
	return hex.EncodeToString(id[:8])
}

// home returns what the people of one house have in common in this case, "" where the
// address does not begin with its number: a hamlet or a lane is no household.
func (b *Book) home(f *file, d *register.PersonDetails) string {
	if d == nil || d.Details.Area == "" {
		return ""
	}
	street := strings.TrimPrefix(area.Fold(d.Street), "so ")
	if street == "" || street[0] < '0' || street[0] > '9' || !strings.Contains(street, " ") {
		return ""
	}
	id := b.v.Identity(pass.Unknown, "home\x00"+f.ID+"\x00"+d.Details.Area+"\x00"+street)
	return hex.EncodeToString(id[:8])
}

// households gives those one household who share it with somebody, by telephone or by
// address.
func households(all []Call) {
	var same []both[string]
	for _, c := range all {
		if c.home != "" {
			same = append(same, both[string]{c.Household, "~" + c.home}) // after every telephone's
		}
	}
	first := firsts(same)
	for i := range all {
		all[i].Household = cmp.Or(first[all[i].Household], all[i].Household)
	}
}

// Calls returns the call list of a case: households together, and those first of
// whom somebody is still to be called. It writes down that it was looked at.
func (b *Book) Calls(ctx context.Context, by, id string) ([]Call, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	var all []Call
	if err == nil {
		all, err = calls(q, f, "1 = 1")
	}
	if err == nil {
		all, err = b.withoutRestrained(q, f, all)
	}
	if err == nil {
		err = b.s.Write(ctx, func(t store.Tx) error { return t.Audit(by, "see calls", object(id), "") })
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: calls: %w", err)
	}
	waits := map[string]bool{}
	for i := range all {
		if s := all[i].Status; s == ToCall || s == NotReached {
			waits[all[i].Household] = true
		}
	}
	slices.SortStableFunc(all, func(x, y Call) int {
		return cmp.Or(cmp.Compare(flag(waits[y.Household]), flag(waits[x.Household])), cmp.Compare(x.Household, y.Household))
	})
	return all, nil
}

// withoutRestrained takes those off a list whose data the case must not use.
func (b *Book) withoutRestrained(q query, f *file, all []Call) ([]Call, error) {
	restrained, err := b.restraints(q, f)
	if err != nil || len(restrained.all) == 0 {
		return all, err
	}
	return slices.DeleteFunc(all, func(c Call) bool {
		p, failed := f.person(c.Ref)
		err = cmp.Or(err, failed)
		return restrained.withholds(p)
	}), err
}

func calls(q query, f *file, where string, args ...any) ([]Call, error) {
	var all []Call
	err := q(func(rows *sql.Rows) error {
		var c Call
		var reference, sealed []byte
		if err := rows.Scan(&reference, &c.Status, (*store.Milli)(&c.Changed), &c.Version, &sealed); err != nil {
			return err
		}
		copy(c.Ref[:], reference)
		var body callBody
		err := unseal(f.key, fieldCall(c.Ref), sealed, &body)
		c.phone, c.home, c.Household, c.Attempts = body.Household, body.Home, body.Household, body.Attempts
		all = append(all, c)
		return err
	}, "SELECT reference, status, made, version, sealed FROM case_calls WHERE case_id = ? AND "+where+" ORDER BY reference", append([]any{f.ID}, args...)...)
	households(all)
	return all, err
}

// maxAttempts bounds what is kept of one contact.
const maxAttempts = 200

// Called keeps an attempt to tell a contact, of the version of the call that
// somebody has seen. By and At of the attempt are set.
func (b *Book) Called(ctx context.Context, by, id string, who Ref, version int, a Attempt) error {
	if !slices.Contains(Statuses(), a.Status) || a.Channel != "" && !slices.Contains(Channels(), a.Channel) ||
		utf8.RuneCountInString(a.Note) > MaxText || !utf8.ValidString(a.Note) {
		return fmt.Errorf("casebook: called: %w", qrgate.ErrInvalid)
	}
	return b.write(ctx, "called", func(t store.Tx) error {
		f, err := b.persons(t.Each, by, id)
		if err != nil {
			return err
		}
		found, err := calls(t.Each, f, "reference = ?", who[:])
		if err == nil && len(found) == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		c, now := found[0], b.now().Truncate(time.Millisecond)
		if c.Version != version {
			return ErrChanged
		}
		p, err := f.person(who)
		if err == nil {
			err = b.mayUse(t.Each, f, p)
		}
		if err != nil {
			return err
		}
		a.By, a.At = by, now
		attempts := append([]Attempt{a}, c.Attempts...)
		sealed, err := seal(f.key, fieldCall(who), callBody{c.phone, c.home, attempts[:min(len(attempts), maxAttempts)]})
		if err != nil {
			return err
		}
		n, err := t.Exec("UPDATE case_calls SET status = ?, made_by = ?, made = ?, version = version + 1, sealed = ? WHERE case_id = ? AND reference = ? AND version = ?",
			string(a.Status), by, now.UnixMilli(), sealed, id, who[:], version)
		if err == nil && n == 0 {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "call person", b.personObject(p), object(id))
	})
}

// CountCalls returns how many contacts of a case have each status. It shows no
// person, so that it needs no approval.
func (b *Book) CountCalls(ctx context.Context, by, id string) (map[Status]int, error) {
	q := b.reading(ctx)
	_, err := b.load(q, by, id, qrgate.HealthOfficer, qrgate.Approver, qrgate.Protection)
	counts := map[Status]int{}
	if err == nil {
		err = q(func(rows *sql.Rows) error {
			var s Status
			var n int
			err := rows.Scan(&s, &n)
			counts[s] = n
			return err
		}, "SELECT status, COUNT(*) FROM case_calls WHERE case_id = ? GROUP BY status", id)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: count calls: %w", err)
	}
	return counts, nil
}

// codeBytes is how much of a reference [Ref.Code] says.
const codeBytes = 5

// Code is what somebody says on the telephone for the office to find them: the
// beginning of the reference, as a person can spell it.
func (r Ref) Code() string {
	if r == (Ref{}) {
		return ""
	}
	s := refText.EncodeToString(r[:codeBytes])
	return s[:4] + "-" + s[4:]
}

// Recall returns the case and the contact whose [Ref.Code] somebody says who calls
// back, among the cases of which who asks may see persons. The error is
// [qrgate.ErrNotFound] if there is none.
func (b *Book) Recall(ctx context.Context, by, code string) (id string, who Ref, err error) {
	least, err := refText.DecodeString(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code)))
	if err != nil || len(least) != codeBytes {
		return "", Ref{}, fmt.Errorf("casebook: recall: %w", qrgate.ErrNotFound)
	}
	type found struct {
		id  string
		ref []byte
	}
	var all []found
	q := b.reading(ctx)
	most := append(slices.Clone(least), bytes.Repeat([]byte{0xff}, len(who)-codeBytes)...)
	err = q(func(rows *sql.Rows) error {
		var f found
		err := rows.Scan(&f.id, &f.ref)
		all = append(all, f)
		return err
	}, "SELECT case_id, reference FROM case_calls WHERE reference >= ? AND reference <= ? ORDER BY case_id", least, most)
	for _, f := range all {
		if err != nil {
			break
		}
		_, err = b.persons(q, by, f.id)
		switch {
		case err == nil:
			return f.id, Ref(f.ref), nil
		case ended(err): // nothing that who asks may see
			err = nil
		}
	}
	if err == nil {
		err = qrgate.ErrNotFound
	}
	return "", Ref{}, fmt.Errorf("casebook: recall: %w", err)
}
