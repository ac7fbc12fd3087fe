package store

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const lockedColumns = "SELECT id, no, version, place, place_no, state FROM kiosks WHERE id"

var (
	findKiosks = inOf(lockedColumns, "")
	// All servers lock in one order, so that none waits in a circle, and leave
	// the key free, so that a row that names a kiosk does not wait.
	lockKiosks = inOf(lockedColumns, ` ORDER BY id COLLATE "C" FOR NO KEY UPDATE`)

	loadEpochs = inOf(`SELECT kiosk_no, no, epoch, ledger, safe, opened_by, previous, carried, lost, last, ended, checkins, late, received,
			boot_no, boot_last, boot_ended, boot_arrived, boot_arrived_since
		FROM epochs WHERE kiosk_no`, " ORDER BY no")
	loadBoots = inOf(`SELECT e.kiosk_no, e.epoch, b.no, b.boot, b.first, b.last, b.started, b.ended, b.arrived, b.arrived_since, b.carried
		FROM epochs e JOIN boots b ON b.epoch_no = e.no WHERE e.kiosk_no`, " ORDER BY b.epoch_no, b.no")
	loadAnchors = inOf("SELECT kiosk_no, boot, since, server, error FROM anchors WHERE kiosk_no", " ORDER BY server")
	loadGates   = inOf("SELECT kiosk_no, no, place, place_no, gate FROM gates WHERE kiosk_no", "")
)

// errStale ends an intake whose books another server has moved on.
var errStale = errors.New("another server has a newer book")

// open gets the books of the named kiosks, and if lock is set locks them, in the
// order of their names, until the transaction ends.
func (t *Intake) open(kiosks []string, lock bool) error {
	find := findKiosks
	if lock && t.s.dialect == postgres {
		find = lockKiosks
	}
	var ids []any
	for _, id := range kiosks {
		// Whether a book that is kept is still the newest shows when it is
		// written.
		if kept, ok := t.s.books[id]; ok && !lock {
			t.take(kept)
			continue
		}
		ids = append(ids, id)
	}
	fresh := map[int64]*Book{}
	var nos []any
	_, err := t.run(find, ids, func(r *sql.Rows) error {
		b := &Book{epochs: map[wire.Epoch]*Epoch{}, anchors: when.NewAnchors(), gates: map[gate]int64{}}
		var state qrgate.KioskState
		if err := r.Scan(&b.Kiosk, &b.no, &b.version, &b.Place, &b.PlaceNo, &state); err != nil {
			return err
		}
		b.Revoked = state != qrgate.KioskActive
		// Another server may have moved the kiosk on since this one read it.
		if kept, ok := t.s.books[b.Kiosk]; ok && kept.version == b.version {
			kept.Place, kept.PlaceNo, kept.Revoked = b.Place, b.PlaceNo, b.Revoked
			b = kept
		} else {
			fresh[b.no] = b
			nos = append(nos, b.no)
		}
		t.take(b)
		return nil
	})
	if err != nil || len(nos) == 0 {
		return err
	}
	return t.load(fresh, nos)
}

var readVersions = inOf("SELECT no, version FROM kiosks WHERE no", "")

// verify returns errStale if another server has moved one of the books on.
func (t *Intake) verify(books map[string]*Book) error {
	var nos []any
	versions := map[int64]int64{}
	for _, b := range books {
		nos = append(nos, b.no)
		versions[b.no] = b.version
	}
	_, err := t.run(readVersions, nos, func(r *sql.Rows) error {
		var no, version int64
		err := r.Scan(&no, &version)
		if err == nil && version != versions[no] {
			err = errStale
		}
		return err
	})
	return err
}

// take hands a book to this try alone: if it changes the book and does not
// commit, the book must serve no other.
func (t *Intake) take(b *Book) {
	delete(t.s.books, b.Kiosk)
	t.books[b.Kiosk] = b
	b.now = t.s.now()
}

// load reads the books with the given numbers.
func (t *Intake) load(books map[int64]*Book, nos []any) error {
	goOn := map[[2]int64]when.Span{} // by epoch and boot, what came since the boot's row was written
	_, err := t.run(loadEpochs, nos, func(r *sql.Rows) error {
		var e Epoch
		var kiosk int64
		var id, ledger, previous []byte
		var safe, last, carried, lost int64
		var ended sql.NullInt64
		var bootNo int64
		var open when.Span
		err := r.Scan(&kiosk, &e.no, &id, &ledger, &safe, &e.opened.By, &previous, &carried, &lost, &last, &ended, &e.checkins, &e.late, &e.received,
			&bootNo, &open.Last, &open.End, &open.Arrived, &open.ArrivedSince)
		if err != nil {
			return err
		}
		if len(id) != len(e.ID) {
			return fmt.Errorf("epoch %d has an id of %d bytes", e.no, len(id))
		}
		to := books[kiosk].add(e.no, wire.Epoch(id))
		to.Safe, to.ended, to.checkins, to.late, to.received = uint64(safe), ended.Int64, e.checkins, e.late, e.received
		to.opened = wire.Opened{By: e.opened.By, Carried: uint64(carried), Lost: uint64(lost), Last: uint64(last)}
		if len(previous) == len(e.ID) {
			p := wire.Epoch(previous)
			to.opened.Previous = &p
		}
		if bootNo != 0 {
			goOn[[2]int64{e.no, bootNo}] = open
		}
		return to.Ledger.Unmarshal(ledger)
	})
	if err != nil {
		return fmt.Errorf("epochs: %w", err)
	}
	_, err = t.run(loadBoots, nos, func(r *sql.Rows) error {
		var kiosk, no, first, last int64
		var epoch, boot []byte
		var carried bool
		var s when.Span
		if err := r.Scan(&kiosk, &epoch, &no, &boot, &first, &last, &s.Start, &s.End, &s.Arrived, &s.ArrivedSince, &carried); err != nil {
			return err
		}
		if len(boot) != len(s.Boot) {
			return fmt.Errorf("boot %d of epoch %x is not one", no, epoch)
		}
		s.Boot, s.First, s.Last = when.Boot(boot), uint64(first), uint64(last)
		e := books[kiosk].epochs[wire.Epoch(epoch)]
		if e == nil {
			return errStale
		}
		e.number(s.Boot, no)
		e.see(s, carried)
		if open, ok := goOn[[2]int64{e.no, no}]; ok {
			e.open = s
			open.Boot, open.First, open.Start = s.Boot, open.Last, open.End
			e.see(open, carried)
		}
		e.dirty = false
		return nil
	})
	if err != nil {
		return fmt.Errorf("boots: %w", err)
	}
	_, err = t.run(loadAnchors, nos, func(r *sql.Rows) error {
		var kiosk int64
		var boot []byte
		var a when.Anchor
		if err := r.Scan(&kiosk, &boot, &a.Since, &a.Server, &a.Error); err != nil {
			return err
		}
		if len(boot) != len(a.Boot) {
			return fmt.Errorf("an anchor of kiosk number %d has no boot", kiosk)
		}
		a.Boot = when.Boot(boot)
		t.anchor(books[kiosk], a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("anchors: %w", err)
	}
	_, err = t.run(loadGates, nos, func(r *sql.Rows) error {
		var kiosk, no int64
		var g gate
		err := r.Scan(&kiosk, &no, &g.place, &g.placeNo, &g.name)
		books[kiosk].gates[g] = no
		return err
	})
	if err != nil {
		return fmt.Errorf("gates: %w", err)
	}
	return nil
}
