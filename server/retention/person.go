package retention

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Look is that somebody saw a person, or where they were.
type Look struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`             // account
	Name   string    `json:"name,omitempty"` // of the account
	Action string    `json:"action"`
	Case   string    `json:"case,omitempty"` // number of the case that was the reason
}

// A Dossier is all that is held of a person.
type Dossier struct {
	V          int       `json:"version"`
	Made       time.Time `json:"made"`
	Controller string    `json:"controller,omitempty"`
	Days       int       `json:"retention_days"`

	// Known says that something is held of the person at all.
	Known   bool                   `json:"known"`
	Details register.PersonDetails `json:"details"`        // of the first identity
	Numbers int                    `json:"hashed_numbers"` // by which check-ins find the person
	// Identities are all that the person is known as, if it is more than one. What
	// follows is of all of them.
	Identities []DossierIdentity `json:"identities,omitempty"`
	// Restraint is restriction or objection, if the data is kept and not used.
	Restraint   string           `json:"restraint,omitempty"`
	Cards       []DossierCard    `json:"cards"`
	Invitations []Invitation     `json:"invitations,omitempty"`
	Checkins    []DossierCheckin `json:"check_ins"`
	Looks       []Look           `json:"looks"`
	Backups     []Backup         `json:"backups"`
}

// A DossierIdentity is one of several that a person is known as.
type DossierIdentity struct {
	What    What                   `json:"what"`
	Why     Why                    `json:"why"`
	Details register.PersonDetails `json:"details"`
	Numbers int                    `json:"hashed_numbers"`
}

// An Invitation is that somebody is a guest of an event, as its organiser wrote.
type Invitation struct {
	Event     string    `json:"event"`
	Starts    time.Time `json:"starts"`
	Pass      uint32    `json:"pass_number"`
	Name      string    `json:"name"`
	From      string    `json:"from,omitempty"`
	Phone     string    `json:"phone,omitempty"`
	Email     string    `json:"email,omitempty"`
	Made      time.Time `json:"made"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
}

// A DossierCard is a card of a person.
type DossierCard struct {
	Number  uint32    `json:"number"`
	Issue   uint8     `json:"issue"`
	First   string    `json:"first_day"`
	Last    string    `json:"last_day"`
	Revoked time.Time `json:"revoked,omitzero"`
	Reason  string    `json:"reason,omitempty"`
}

// A DossierCheckin is a check-in of a person.
type DossierCheckin struct {
	Earliest  time.Time `json:"earliest"`
	Latest    time.Time `json:"latest"`
	Direction string    `json:"direction"` // in, out
	PlaceNo   uint32    `json:"place_number,omitempty"`
	Place     string    `json:"place"`
	Address   string    `json:"address,omitempty"`
	Gate      string    `json:"gate,omitempty"`
	Pass      string    `json:"pass"`
	Level     string    `json:"identity_level"`
	Admitted  bool      `json:"admitted"`
	Received  time.Time `json:"received"`
	Until     string    `json:"kept_through"` // the last day on which it is kept
}

// dossierVersion is of the form of a dossier.
const dossierVersion = 1

// Find returns who checks in by a number: a card's, a telephone's in E.164, or what
// a foreign pass says; qrgate.ErrNotFound if nothing is held of them.
func (k *Keeper) Find(ctx context.Context, kind pass.Kind, number string) (qrgate.Person, error) {
	return k.Register.Cards(k.Vault).PersonOf(ctx, kind, number)
}

// Knows reports whether somebody who asks about a person says something else of them
// than the number by which they were found: the year of birth, another number, or of
// who has only ever given a telephone and a name, that name. A number alone stands on
// a card that was found, or in a friend's telephone; a CCCD's holds the year of birth,
// and a pass of an event bears the name.
func (k *Keeper) Knows(ctx context.Context, p qrgate.Person, by pass.Kind, said string) (bool, error) {
	known, err := k.Register.Cards(k.Vault).DetailsOf(ctx, p)
	d := known[p]
	if err != nil || d == nil {
		return false, err
	}
	plain := strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(said))
	same := func(kind pass.Kind, number string) bool { return by != kind && number != "" && number == plain }
	if phone, ok := page.Phone(said); ok && by != pass.Phone && (phone == d.Phone || phone == d.GuardianPhone) {
		return true, nil
	}
	return by != pass.CCCD && d.Born != 0 && plain == strconv.Itoa(d.Born) || same(pass.CCCD, d.Identity) || same(pass.BHYT, d.Insurance) ||
		by != pass.Event && d.Born == 0 && d.Name != "" && area.Fold(said) == area.Fold(d.Name), nil
}

// Tell writes down that somebody is told who has looked at them, as what others see
// of them is.
func (k *Keeper) Tell(ctx context.Context, by string, p qrgate.Person) error {
	if k.Told == nil {
		return k.Register.Looked(ctx, by, "tell looks", "")
	}
	return k.Told(ctx, by, "tell looks", p)
}

// Export returns all that is held of a human: see [Keeper.Identities]. by is the
// account that sees it, and object what the audit row names: a request.
func (k *Keeper) Export(ctx context.Context, by, object string, of Identities) (*Dossier, error) {
	if err := k.Register.Looked(ctx, by, "export person", object); err != nil {
		return nil, fmt.Errorf("retention: export: %w", err)
	}
	d, err := k.export(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("retention: export: %w", err)
	}
	return d, nil
}

func (k *Keeper) export(ctx context.Context, of Identities) (*Dossier, error) {
	now := k.o.Now().In(qrgate.Zone).Truncate(time.Second)
	d := &Dossier{V: dossierVersion, Made: now, Controller: k.o.Controller, Days: k.o.Days}
	known, err := k.Register.Cards(k.Vault).DetailsOf(ctx, of.Persons()...)
	if err != nil {
		return nil, err
	}
	restrained, err := k.Rights.Restrained(ctx)
	if err != nil {
		return nil, err
	}
	for i, one := range of {
		if err := k.exportIdentity(ctx, d, one, known[one.Person]); err != nil {
			return nil, err
		}
		if r := restrained[one.Person]; i == 0 || r == rights.Objection || d.Restraint == "" {
			d.Restraint = string(r)
		}
	}
	if len(d.Identities) == 1 {
		d.Identities = nil
	}
	slices.SortStableFunc(d.Checkins, func(a, b DossierCheckin) int { return a.Latest.Compare(b.Latest) })
	slices.SortStableFunc(d.Looks, func(a, b Look) int { return b.At.Compare(a.At) })
	if err := k.namePlaces(ctx, d.Checkins); err != nil {
		return nil, err
	}
	d.Backups, err = k.Backups(ctx, now)
	return d, err
}

// exportIdentity adds what is held of one of those that a human is known as.
func (k *Keeper) exportIdentity(ctx context.Context, d *Dossier, one Identity, about *register.PersonDetails) error {
	said := DossierIdentity{What: one.What, Why: one.Why}
	if about != nil {
		said.Details = *about
		if err := k.exportCards(ctx, k.Register.Cards(k.Vault), about.Holder, d); err != nil {
			return err
		}
	}
	var err error
	if said.Numbers, err = k.Rights.Numbers(ctx, one.Person); err != nil {
		return err
	}
	if len(d.Identities) == 0 {
		d.Details = said.Details
	}
	d.Known, d.Numbers = d.Known || about != nil || said.Numbers > 0, d.Numbers+said.Numbers
	d.Identities = append(d.Identities, said)
	if one.What == Invited {
		if err := k.exportInvitation(ctx, d, one.Person); err != nil {
			return err
		}
	}
	subjects, err := k.subjects(one.Person)
	if err != nil {
		return err
	}
	err = k.Store.CheckinsOf(ctx, subjects, func(c *qrgate.Checkin) error {
		d.Checkins = append(d.Checkins, k.exportCheckin(c))
		return nil
	})
	if err != nil || one.Why == Merged { // who has seen those is told of whom they are merged with
		return err
	}
	looks, err := k.LooksAt(ctx, one.Person)
	d.Looks = append(d.Looks, looks...)
	return err
}

func (k *Keeper) exportInvitation(ctx context.Context, d *Dossier, p qrgate.Person) error {
	if k.Events == nil {
		return nil
	}
	g, err := k.Events.GuestOf(ctx, p)
	if err != nil {
		return err
	}
	e, err := k.Events.Event(ctx, g.Event)
	if err != nil {
		return err
	}
	d.Invitations = append(d.Invitations, Invitation{
		Event: e.Name, Starts: e.Starts.In(qrgate.Zone), Pass: g.Number, Name: g.Details.Name, From: g.Details.From, Phone: g.Details.Phone, Email: g.Details.Email,
		Made: g.Made.In(qrgate.Zone), Withdrawn: g.Cancelled,
	})
	return nil
}

func (k *Keeper) exportCards(ctx context.Context, cards *register.Cards, holder string, d *Dossier) error {
	if holder == "" {
		return nil
	}
	all, err := cards.CardsOf(ctx, holder)
	for _, c := range all {
		d.Cards = append(d.Cards, DossierCard{
			Number: c.Number, Issue: c.Issue, First: c.First.String(), Last: c.Last.String(),
			Revoked: c.Revoked, Reason: string(c.Reason),
		})
	}
	return err
}

func (k *Keeper) exportCheckin(c *qrgate.Checkin) DossierCheckin {
	at := func(ms int64) time.Time { return time.UnixMilli(ms).In(qrgate.Zone) }
	direction := "in"
	if c.Direction == wire.Out {
		direction = "out"
	}
	return DossierCheckin{
		Earliest: at(c.Earliest), Latest: at(c.Latest), Direction: direction, PlaceNo: c.PlaceNo, Place: c.Place, Gate: c.Gate,
		Pass: c.Pass.String(), Level: c.Level.String(), Admitted: c.Verdict == wire.Admitted, Received: at(c.Received),
		Until: (c.Day + qrgate.Day(k.o.Days)).String(),
	}
}

func (k *Keeper) namePlaces(ctx context.Context, all []DossierCheckin) error {
	named := map[uint32]*qrgate.Place{}
	for i := range all {
		no := all[i].PlaceNo
		if no == 0 {
			continue
		}
		if _, asked := named[no]; !asked {
			p, err := k.Register.Place(ctx, no)
			if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
				return err
			}
			named[no] = p
		}
		if p := named[no]; p != nil {
			all[i].Place, all[i].Address = p.Name, page.Address(p)
		}
	}
	return nil
}

// LooksAt returns who has seen a person, with the names of their accounts.
func (k *Keeper) LooksAt(ctx context.Context, p qrgate.Person) ([]Look, error) {
	if k.Looks == nil {
		return nil, nil
	}
	all, err := k.Looks(ctx, p)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i := range all {
		by := all[i].By
		if _, asked := names[by]; !asked {
			a, err := k.Register.Account(ctx, by)
			switch {
			case err == nil:
				names[by] = a.Display
			case !errors.Is(err, qrgate.ErrNotFound):
				return nil, err
			default:
				names[by] = ""
			}
		}
		all[i].Name = names[by]
	}
	return all, nil
}

// ErrNeeded means that an open case needs what is held of a person.
var ErrNeeded = fmt.Errorf("an open case needs it: %w", qrgate.ErrForbidden)

// An Erasure says what was erased. It does not say of whom: whoever asked has the
// number of the request.
type Erasure struct {
	V          int              `json:"version"`
	Controller string           `json:"controller,omitempty"`
	Server     string           `json:"server"`
	Object     string           `json:"request"`
	Identities int              `json:"identities"` // that the human was known as
	Made       time.Time        `json:"made"`
	Rows       map[string]int64 `json:"rows"` // by table
	Days       []string         `json:"days"` // that were searched for check-ins
	Generation uint64           `json:"database_generation"`
	// Backups still hold names, until the day on which they go; Kiosks and Copies
	// may hold records.
	Waiting Waiting `json:"not_yet_confirmed"`
}

const erasureVersion = 1

// Erase erases a human, under all that they are known as, and returns what was erased,
// as a signed file. by is the account that does it, and object what the audit row
// names: a request. It can be called again if it fails, and goes on by itself at the
// next run. The error is ErrNeeded while an open case needs one of the identities.
func (k *Keeper) Erase(ctx context.Context, by, object string, of Identities) ([]byte, error) {
	file, err := k.erase(ctx, by, object, of)
	if err != nil {
		return nil, fmt.Errorf("retention: erase: %w", err)
	}
	return file, nil
}

func (k *Keeper) erase(ctx context.Context, by, object string, of Identities) ([]byte, error) {
	needed, err := k.NeededBy(ctx, of)
	if err != nil {
		return nil, err
	}
	if needed {
		return nil, ErrNeeded
	}
	persons := of.Persons()
	for _, p := range persons {
		if err := k.remember(strconv.FormatUint(uint64(p), 16), nil); err != nil {
			return nil, err
		}
	}
	numbers, err := k.Rights.NumbersOf(ctx, persons)
	if err == nil {
		err = k.forgetRestraints(restraintMark{Persons: persons, Numbers: numbers}, "")
	}
	if err == nil {
		err = k.Rights.BeginErasure(ctx, persons...)
	}
	if err != nil {
		return nil, err
	}
	return k.eraseNow(ctx, by, object, persons...)
}

// NeededBy reports whether an open case needs one that a human is known as.
func (k *Keeper) NeededBy(ctx context.Context, of Identities) (needed bool, err error) {
	if k.Needed == nil {
		return false, nil
	}
	persons := of.Persons()
	err = k.Needed(ctx, func(q qrgate.Person) { needed = needed || slices.Contains(persons, q) })
	return needed, err
}

func (k *Keeper) eraseNow(ctx context.Context, by, object string, persons ...qrgate.Person) ([]byte, error) {
	now := k.o.Now()
	e := Erasure{
		V: erasureVersion, Controller: k.o.Controller, Server: k.o.Server, Object: object, Identities: len(persons),
		Made: now.In(qrgate.Zone).Truncate(time.Second), Rows: map[string]int64{},
	}
	searched := map[qrgate.Day]bool{}
	for _, p := range persons {
		if err := k.revokeCards(ctx, by, p); err != nil {
			return nil, err
		}
		subjects, err := k.subjects(p)
		if err != nil {
			return nil, err
		}
		rows, err := k.Rights.ErasePerson(ctx, rights.Erasing{Person: p, Subjects: subjects, By: by, Object: object})
		if err != nil {
			return nil, err
		}
		for day := range subjects {
			searched[day] = true
		}
		for table, n := range rows {
			e.Rows[table] += n
		}
	}
	for _, day := range slices.Sorted(maps.Keys(searched)) {
		e.Days = append(e.Days, day.String())
	}
	k.dirty.Store(true)
	var err error
	if e.Generation, err = k.Store.Generation(ctx); err != nil {
		return nil, err
	}
	if e.Waiting, err = k.waiting(ctx, pastOf{day: qrgate.DayOf(now), gone: now, end: now, heard: now.Add(-24 * time.Hour)}); err != nil {
		return nil, err
	}
	file, err := proof.Sign(proof.Erasure, e, k.Sign)
	if err != nil {
		return nil, err
	}
	return file, errors.Join(k.Rights.EndErasure(ctx, file, persons...), k.scrub(ctx))
}

func (k *Keeper) revokeCards(ctx context.Context, by string, p qrgate.Person) error {
	cards := k.Register.Cards(k.Vault)
	known, err := cards.DetailsOf(ctx, p)
	if err != nil || known[p] == nil || known[p].Holder == "" {
		return err
	}
	all, err := cards.CardsOf(ctx, known[p].Holder)
	for _, c := range all {
		if err == nil && c.Revoked.IsZero() {
			err = cards.Revoke(ctx, by, c.Number, register.Returned)
		}
	}
	return err
}

// again erases those of whom a backup has brought something back, or whose erasure
// was broken off, and lets nobody's data be used that a backup has freed.
func (k *Keeper) again(ctx context.Context) error {
	remembered, err := k.remembered()
	if err != nil {
		return err
	}
	for _, p := range remembered {
		if err := k.Rights.BeginErasure(ctx, p); err != nil {
			return err
		}
	}
	back, err := k.Rights.Back(ctx)
	if err != nil {
		return err
	}
	for _, p := range back {
		if _, err := k.eraseNow(ctx, "", "again", p); err != nil {
			return err
		}
	}
	if len(back) > 0 {
		k.Log.Info("erased again", "people", len(back))
	}
	return k.restrainAgain(ctx)
}

// rememberFor is how long it is remembered outside of the database who was erased and
// whose data is not used: longer than any backup is kept.
const rememberFor = (2*MaxDays + 1) * 24 * time.Hour

// remember makes a mark outside of the database, so that a backup which was made
// before does not bring back what was erased or free what was restrained. The mark of
// who was erased is empty, and its name a person, which is a random number.
func (k *Keeper) remember(name string, content []byte) error {
	if k.o.Erased == "" {
		return nil
	}
	if err := os.MkdirAll(k.o.Erased, 0o700); err != nil {
		return err
	}
	return durable.Replace(filepath.Join(k.o.Erased, name), content)
}

// marks returns the names of all marks.
func (k *Keeper) marks() (names []string, err error) {
	if k.o.Erased == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(k.o.Erased)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// remembered returns who was erased.
func (k *Keeper) remembered() (all []qrgate.Person, err error) {
	names, err := k.marks()
	for _, name := range names {
		if n, err := strconv.ParseUint(name, 16, 64); err == nil { // or it is another mark, or one that was being written
			all = append(all, qrgate.Person(n))
		}
	}
	return all, err
}

// deleteMarks deletes the marks that no backup needs any more.
func (k *Keeper) deleteMarks(_ context.Context, now time.Time) error {
	return deleteOld(k.o.Erased, now.Add(-rememberFor), func(string) bool { return true })
}

// File returns the dossier as a signed file.
func (k *Keeper) File(d *Dossier) ([]byte, error) { return proof.Sign(proof.Export, d, k.Sign) }
