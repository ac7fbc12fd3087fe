package store

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/sync/when"
)

// What an intake writes beside rows of check-ins.
var (
	// A book that another server has moved on has no row of this version.
	moveKiosks = bulkOf("UPDATE kiosks SET version = kiosks.version + 1 FROM (VALUES ", "(CAST(? AS BIGINT), CAST(? AS BIGINT))",
		") AS v WHERE kiosks.no = v.column1 AND kiosks.version = v.column2")

	saveEpochs = insertOf("epochs", `no, kiosk_no, epoch, ledger, safe, opened_by, previous, carried, lost, last, ended, checkins, late, received,
		boot_no, boot_last, boot_ended, boot_arrived, boot_arrived_since`,
		`ON CONFLICT (no) DO UPDATE SET ledger = excluded.ledger, opened_by = excluded.opened_by, previous = excluded.previous,
			carried = excluded.carried, lost = excluded.lost, last = excluded.last, ended = excluded.ended,
			checkins = excluded.checkins, late = excluded.late, received = excluded.received, boot_no = excluded.boot_no,
			boot_last = excluded.boot_last, boot_ended = excluded.boot_ended, boot_arrived = excluded.boot_arrived,
			boot_arrived_since = excluded.boot_arrived_since`)
	saveBoots = insertOf("boots", "epoch_no, no, boot, first, last, started, ended, arrived, arrived_since, carried",
		`ON CONFLICT (epoch_no, no) DO UPDATE SET first = excluded.first, last = excluded.last, started = excluded.started,
			ended = excluded.ended, arrived = excluded.arrived, arrived_since = excluded.arrived_since, carried = excluded.carried`)
	saveAnchors = insertOf("anchors", "kiosk_no, boot, since, server, error", "ON CONFLICT DO NOTHING")
	saveGates   = insertOf("gates", "kiosk_no, no, place, place_no, gate", "")
	saveLetters = insertOf("dead_letters", "epoch_no, seq, digest, reason, record, received", "ON CONFLICT (epoch_no, seq) DO NOTHING")

	saveIdentities = insertOf("identities", "identity, person", "ON CONFLICT (identity) DO NOTHING")
	savePeople     = insertOf("people", "person, wrapped", "")
	saveDetails    = insertOf("details", "person, sealed", "")
)

const dropAnchor = "DELETE FROM anchors WHERE kiosk_no = ? AND boot = ? AND since = ? AND server = ? AND error = ?"

// finish writes what the intake was told.
func (t *Intake) finish() error {
	if err := t.savePersons(); err != nil {
		return err
	}
	gates := t.numberGates()
	// Rows go before epochs, which count them, although no row may be without
	// its epoch: check-ins name epochs without a foreign key, which would cost a
	// look-up a row.
	if err := t.saveRows(); err != nil {
		return fmt.Errorf("check-ins: %w", err)
	}
	came := map[*Epoch][]when.Boot{}
	for b := range t.seen {
		came[b.epoch] = append(came[b.epoch], b.boot)
	}
	var kiosks, epochs, boots, anchors, letters []any
	unchanged := map[string]*Book{}
	for e, which := range came {
		for _, boot := range e.toWrite(which) {
			boots = bootOf{e, boot}.values(boots)
		}
	}
	for _, b := range t.books {
		for _, e := range b.epochs {
			if e.dirty {
				epochs = e.values(epochs)
				e.dirty, b.dirty = false, true
			}
		}
		if b.dirty {
			kiosks = append(kiosks, b.no, b.version)
			b.version++
			b.dirty = false
		} else {
			unchanged[b.Kiosk] = b
		}
	}
	for _, l := range t.letters {
		letters = append(letters, l.epoch.no, int64(l.seq), digestInt(l.digest), int64(l.reason), l.record, l.received.UnixMilli())
	}
	if n, err := t.run(moveKiosks, kiosks, nil); err != nil || n < int64(len(kiosks)/moveKiosks.width) {
		return fmt.Errorf("kiosks: %w", cmp.Or(err, errStale))
	}
	if err := t.verify(unchanged); err != nil {
		return err
	}
	for _, a := range t.anchors {
		values := []any{a.book.no, a.anchor.Boot[:], a.anchor.Since, a.anchor.Server, a.anchor.Error}
		if a.book.anchors.Has(a.anchor) {
			anchors = append(anchors, values...)
		} else if _, err := t.exec(dropAnchor, values...); err != nil {
			return fmt.Errorf("anchors: %w", err)
		}
	}
	for _, step := range []struct {
		name   string
		bulk   *bulk
		values []any
	}{
		{"epochs", saveEpochs, epochs},
		{"boots", saveBoots, boots},
		{"anchors", saveAnchors, anchors},
		{"gates", saveGates, gates},
		{"dead letters", saveLetters, letters},
		{"dates", noteDates, t.datesToNote()},
		{"tallies", saveTallies, t.tallyValues()},
	} {
		if _, err := t.run(step.bulk, step.values, nil); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return t.saveAnswers()
}

// savePersons writes who is new. If another server was first with one of them,
// the whole intake must be done again, for its rows name the other person.
func (t *Intake) savePersons() error {
	// In one order, so that two servers do not wait for each other.
	slices.SortFunc(t.identities, func(a, b identity) int { return bytes.Compare(a[:], b[:]) })
	var values []any
	for _, id := range t.identities {
		values = append(values, id[:], int64(t.persons[id].id))
	}
	n, err := t.run(saveIdentities, values, nil)
	if err == nil && n < int64(len(t.identities)) {
		err = errAgain
	}
	if err != nil {
		return fmt.Errorf("identities: %w", err)
	}
	if _, err := t.run(savePeople, t.people, nil); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	if _, err := t.run(saveDetails, t.details, nil); err != nil {
		return fmt.Errorf("details: %w", err)
	}
	return nil
}

func (e *Epoch) values(to []any) []any {
	var previous, ended any
	if p := e.opened.Previous; p != nil {
		previous = p[:]
	}
	if e.ended != 0 {
		ended = e.ended
	}
	open, no := when.Span{}, int64(0)
	if e.open.First != 0 {
		open, no = e.span(e.open.Boot), e.numbers[e.open.Boot]
	}
	return append(to, e.no, e.Book.no, e.ID[:], e.Ledger.Marshal(), int64(e.Safe), int64(e.opened.By), previous,
		int64(e.opened.Carried), int64(e.opened.Lost), int64(e.opened.Last), ended, e.checkins, e.late, e.received,
		no, int64(open.Last), open.End, open.Arrived, open.ArrivedSince)
}

func (b bootOf) values(to []any) []any {
	s := b.epoch.span(b.boot)
	carried := int64(0)
	if b.epoch.carried[b.boot] != nil {
		carried = 1
	}
	return append(to, b.epoch.no, b.epoch.numbers[b.boot], b.boot[:], int64(s.First), int64(s.Last), s.Start, s.End, s.Arrived, s.ArrivedSince, carried)
}

// numberGates gives each gate of the rows a number, and returns the values of
// those that had none.
func (t *Intake) numberGates() (values []any) {
	for i := range t.rows {
		t.rows[i].Under.Book.numberGate(gateOf(&t.rows[i]))
	}
	for _, b := range t.books {
		for _, g := range b.unsaved {
			values = append(values, b.no, b.gates[g], g.place, int64(g.placeNo), g.name)
		}
		b.unsaved = nil
	}
	return values
}

// gateOf returns the gate of a row. A kiosk may send any text: what is none
// would make PostgreSQL refuse the whole intake.
func gateOf(r *Row) gate {
	where := r.Where
	if where == (Where{}) {
		where = Where{r.Under.Book.PlaceNo, r.Under.Book.Place}
	}
	return gate{storable(where.Name), where.No, storable(r.Header.Gate)}
}

func storable(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.Contains(text, "\x00") {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return text
}

// datesToNote returns the values of boots whose check-ins are to be dated again:
// those about which an anchor says more, and those around a boot that has come
// between others. Beyond datesAtOnce no more are looked for.
func (t *Intake) datesToNote() (values []any) {
	again, marked := map[bootOf]bool{}, map[*Book]int{}
	mark := func(e *Epoch, boot when.Boot) {
		if marked[e.Book] >= datesAtOnce {
			return
		}
		for _, b := range e.around(boot) {
			if in := (bootOf{e, b}); !again[in] {
				again[in] = true
				marked[e.Book]++
			}
		}
	}
	type bootIn struct {
		book *Book
		boot when.Boot
	}
	anchored := map[bootIn]bool{}
	for _, a := range t.anchors {
		if a.book.anchors.Has(a.anchor) {
			anchored[bootIn{a.book, a.anchor.Boot}] = true
		}
	}
	for in := range anchored {
		for _, e := range in.book.epochs {
			if _, ok := e.numbers[in.boot]; ok {
				mark(e, in.boot)
			}
		}
	}
	for _, b := range t.news {
		// Nothing that follows all others and has no anchor says more of them.
		if newest, _ := b.epoch.boots.Newest(); len(b.epoch.numbers) > 1 && (newest != b.boot || b.epoch.boots.Anchored(b.boot)) {
			mark(b.epoch, b.boot)
		}
	}
	for b := range again {
		s := b.epoch.span(b.boot)
		values = append(values, b.epoch.no, b.epoch.numbers[b.boot], int64(s.First), int64(s.Last), max(t.s.tray.last, t.arrival.no))
	}
	return values
}
