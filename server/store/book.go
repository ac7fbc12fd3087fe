package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// firstRelease is a time before which no kiosk can have recorded anything.
var firstRelease = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// epochsPerKiosk is the room for a kiosk's epochs in the numbers of epochs.
const epochsPerKiosk = 1 << 16

// A Book is what the server knows of one kiosk beside its check-ins. It is valid
// inside the function that Intake calls.
type Book struct {
	Kiosk   string
	Place   string
	Revoked bool // nothing that the kiosk sends counts any more

	no      int64
	version int64
	epochs  map[wire.Epoch]*Epoch
	anchors map[when.Anchor]bool
	gates   map[string]int64
}

// An Epoch is one life of a kiosk's ledger as the server holds it.
type Epoch struct {
	Book   *Book
	ID     wire.Epoch
	Ledger deliver.Ledger
	Boots  *when.Boots
	Safe   uint64 // all up to here are in a verified backup

	no       int64
	opened   wire.Opened
	ended    int64 // Unix milliseconds when a later epoch said so; 0 while open
	checkins int64
	late     int64
	received int64
	boots    map[when.Boot]int64 // number of each boot
	dirty    bool
}

// Epoch returns the kiosk's epoch of that id, new if the server has not heard of
// it.
func (b *Book) Epoch(id wire.Epoch) (*Epoch, error) {
	if e, ok := b.epochs[id]; ok {
		return e, nil
	}
	if len(b.epochs) >= epochsPerKiosk-1 {
		return nil, fmt.Errorf("store: kiosk %q has %d epochs: %w", b.Kiosk, len(b.epochs), qrgate.ErrInvalid)
	}
	e := &Epoch{Book: b, ID: id, no: b.no*epochsPerKiosk + int64(len(b.epochs)) + 1, Boots: when.NewBoots(firstRelease), boots: map[when.Boot]int64{}, dirty: true}
	for a := range b.anchors {
		e.Boots.Anchor(a)
	}
	b.epochs[id] = e
	return e, nil
}

// Touch marks e as changed: it is written when the intake commits.
func (e *Epoch) Touch(received time.Time) { e.dirty, e.received = true, received.UnixMilli() }

// Opened notes what the epoch's first record says, and ends the epoch before.
func (e *Epoch) Opened(o wire.Opened, now time.Time) error {
	e.opened, e.dirty = o, true
	if o.Previous == nil {
		return nil
	}
	p, err := e.Book.Epoch(*o.Previous)
	if err != nil {
		return err
	}
	if p.ended == 0 {
		p.ended, p.dirty = now.UnixMilli(), true
	}
	return nil
}

// Late counts a check-in that came after the end of retention.
func (e *Epoch) Late() { e.late, e.dirty = e.late+1, true }

// bootNo returns the number under which rows name a boot of e.
func (e *Epoch) bootNo(b when.Boot) int64 {
	no, ok := e.boots[b]
	if !ok {
		no = int64(len(e.boots)) + 1
		e.boots[b] = no
	}
	return no
}

// book reads what is known of a kiosk and locks it until the transaction ends.
func (t *Intake) book(kiosk string) (*Book, error) {
	lock := ""
	if t.s.dialect == postgres {
		lock = " FOR UPDATE"
	}
	fresh := &Book{Kiosk: kiosk, epochs: map[wire.Epoch]*Epoch{}, anchors: map[when.Anchor]bool{}, gates: map[string]int64{}}
	found := false
	var state qrgate.KioskState
	err := t.each(func(r *sql.Rows) error {
		found = true
		return r.Scan(&fresh.no, &fresh.version, &fresh.Place, &state)
	}, "SELECT no, version, place, state FROM kiosks WHERE id = ?"+lock, kiosk)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("store: kiosk %q: %w", kiosk, qrgate.ErrNotFound)
	}
	fresh.Revoked = state != qrgate.KioskActive
	// Another server may have moved the kiosk on since this one read it.
	if kept, ok := t.s.books[kiosk]; ok && kept.version == fresh.version {
		kept.Place, kept.Revoked = fresh.Place, fresh.Revoked
		return kept, nil
	}
	return fresh, t.load(fresh)
}

func (t *Intake) load(b *Book) error {
	byNo := map[int64]*Epoch{}
	err := t.each(func(r *sql.Rows) error {
		e := &Epoch{Book: b, Boots: when.NewBoots(firstRelease), boots: map[when.Boot]int64{}}
		var id, ledger, previous []byte
		var safe, last, carried, lost int64
		var ended sql.NullInt64
		err := r.Scan(&e.no, &id, &ledger, &safe, &e.opened.By, &previous, &carried, &lost, &last, &ended, &e.checkins, &e.late, &e.received)
		if err != nil {
			return err
		}
		if len(id) != len(e.ID) {
			return fmt.Errorf("store: epoch %d has an id of %d bytes", e.no, len(id))
		}
		e.ID, e.Safe, e.ended = wire.Epoch(id), uint64(safe), ended.Int64
		e.opened.Carried, e.opened.Lost, e.opened.Last = uint64(carried), uint64(lost), uint64(last)
		if len(previous) == len(e.ID) {
			p := wire.Epoch(previous)
			e.opened.Previous = &p
		}
		b.epochs[e.ID], byNo[e.no] = e, e
		return e.Ledger.Unmarshal(ledger)
	}, `SELECT no, epoch, ledger, safe, opened_by, previous, carried, lost, last, ended, checkins, late, received
		FROM epochs WHERE kiosk_no = ? ORDER BY no`, b.no)
	if err != nil {
		return err
	}
	err = t.each(func(r *sql.Rows) error {
		var epochNo, no, first, last int64
		var boot []byte
		var s when.Span
		if err := r.Scan(&epochNo, &no, &boot, &first, &last, &s.Start, &s.End, &s.Arrived, &s.ArrivedSince); err != nil {
			return err
		}
		e := byNo[epochNo]
		if e == nil || len(boot) != len(s.Boot) {
			return fmt.Errorf("store: boot %d of epoch %d is not one", no, epochNo)
		}
		s.Boot, s.First, s.Last = when.Boot(boot), uint64(first), uint64(last)
		e.boots[s.Boot] = no
		e.Boots.Add(s)
		return nil
	}, `SELECT b.epoch_no, b.no, b.boot, b.first, b.last, b.started, b.ended, b.arrived, b.arrived_since
		FROM boots b JOIN epochs e ON e.no = b.epoch_no WHERE e.kiosk_no = ? ORDER BY b.epoch_no, b.no`, b.no)
	if err != nil {
		return err
	}
	err = t.each(func(r *sql.Rows) error {
		var boot []byte
		var a when.Anchor
		if err := r.Scan(&boot, &a.Since, &a.Server, &a.Error); err != nil {
			return err
		}
		if len(boot) != len(a.Boot) {
			return errors.New("store: an anchor without a boot")
		}
		a.Boot = when.Boot(boot)
		b.anchors[a] = true
		for _, e := range b.epochs {
			e.Boots.Anchor(a)
		}
		return nil
	}, "SELECT boot, since, server, error FROM anchors WHERE kiosk_no = ?", b.no)
	if err != nil {
		return err
	}
	return t.each(func(r *sql.Rows) error {
		var place, gate string
		var no int64
		err := r.Scan(&place, &gate, &no)
		b.gates[gateName(place, gate)] = no
		return err
	}, "SELECT place, gate, no FROM gates WHERE kiosk_no = ?", b.no)
}

func gateName(place, gate string) string { return place + "\x00" + gate }

// save writes what changed of a kiosk.
func (t *Intake) save(b *Book) error {
	for _, e := range b.epochs {
		if !e.dirty {
			continue
		}
		var previous []byte
		if p := e.opened.Previous; p != nil {
			previous = p[:]
		}
		var ended any
		if e.ended != 0 {
			ended = e.ended
		}
		_, err := t.exec(`INSERT INTO epochs (no, kiosk_no, epoch, ledger, safe, opened_by, previous, carried, lost, last, ended, checkins, late, received)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (no) DO UPDATE SET ledger = excluded.ledger, opened_by = excluded.opened_by, previous = excluded.previous,
				carried = excluded.carried, lost = excluded.lost, last = excluded.last, ended = excluded.ended,
				checkins = excluded.checkins, late = excluded.late, received = excluded.received`,
			e.no, b.no, e.ID[:], e.Ledger.Marshal(), int64(e.Safe), int64(e.opened.By), previous, int64(e.opened.Carried),
			int64(e.opened.Lost), int64(e.opened.Last), ended, e.checkins, e.late, e.received)
		if err != nil {
			return fmt.Errorf("save epoch: %w", err)
		}
		if err := t.saveBoots(e); err != nil {
			return fmt.Errorf("save boots: %w", err)
		}
		e.dirty = false
	}
	b.version++
	_, err := t.exec("UPDATE kiosks SET version = ? WHERE no = ?", b.version, b.no)
	return err
}

func (t *Intake) saveBoots(e *Epoch) error {
	for _, s := range e.Boots.Spans() {
		if !t.touched[bootOf{e.no, s.Boot}] {
			continue
		}
		if err := t.saveBoot(e, s); err != nil {
			return err
		}
	}
	return nil
}

type bootOf struct {
	epoch int64
	boot  when.Boot
}

func (t *Intake) saveBoot(e *Epoch, s when.Span) error {
	_, err := t.exec(`INSERT INTO boots (epoch_no, no, boot, first, last, started, ended, arrived, arrived_since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (epoch_no, no) DO UPDATE SET first = excluded.first, last = excluded.last, started = excluded.started,
			ended = excluded.ended, arrived = excluded.arrived, arrived_since = excluded.arrived_since`,
		e.no, e.bootNo(s.Boot), s.Boot[:], int64(s.First), int64(s.Last), s.Start, s.End, s.Arrived, s.ArrivedSince)
	return err
}
