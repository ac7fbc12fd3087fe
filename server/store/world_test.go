package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine makes empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.At(t, filepath.Join(t.TempDir(), "server db.sqlite")) }}

// onEach runs a test on every engine.
func onEach(t *testing.T, fn func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { fn(t, e) })
	}
}

func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// raw opens a database beside the store.
func raw(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	driver, name := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// dawn is when the tests' world begins.
var dawn = time.Date(2026, 11, 24, 6, 0, 0, 0, qrgate.Zone)

func addKiosk(t testing.TB, s *store.Store, id string) *kiosk {
	t.Helper()
	public := sha256.Sum256([]byte(id))
	err := s.AddKiosk(context.Background(), qrgate.Kiosk{ID: id, Place: "Cho Dong Ba", Public: public[:], State: qrgate.KioskActive, Added: dawn})
	if err != nil {
		t.Fatal(err)
	}
	k := &kiosk{id: id, gate: "main"}
	k.open()
	k.restart(dawn)
	return k
}

// A kiosk writes records and cuts batches, as a real one does.
type kiosk struct {
	id      string
	gate    string
	boots   uint64
	boot    when.Boot
	started time.Time
	life
	past []life
}

// A life is one epoch with its records.
type life struct {
	epoch   wire.Epoch
	records [][]byte
	chain   []wire.Hash // before each record, and after the last
}

// open begins a new epoch.
func (k *kiosk) open() {
	if k.chain != nil {
		k.past = append(k.past, k.life)
	}
	var e wire.Epoch
	copy(e[:], fmt.Sprintf("%02d %s", len(k.past), k.id))
	k.life = life{epoch: e, chain: []wire.Hash{{}}}
}

// restart begins a new boot.
func (k *kiosk) restart(now time.Time) {
	k.boots++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(k.id), k.boots))
	k.boot, k.started = when.Boot(sum[:]), now
}

// append puts an encoded record into the ledger.
func (l *life) append(record []byte) {
	l.records = append(l.records, record)
	l.chain = append(l.chain, l.chain[len(l.chain)-1].Next(record))
}

// write records what h says of the moment now.
func (k *kiosk) write(now time.Time, h wire.Header) {
	h.Seq, h.Boot, h.Since = uint64(len(k.records))+1, k.boot, now.Sub(k.started).Milliseconds()
	h.Wall, h.Clock = now.UnixMilli()+1234, 1
	k.append(wire.Encode(wire.NewRecord(h, wire.Sealed{})))
}

// scan records a check-in.
func (k *kiosk) scan(now time.Time) {
	n := len(k.records)
	k.write(now, wire.Header{
		Kind: wire.KindCheckin, Gate: k.gate, Lane: uint8(n % 3), Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted,
		Reason: wire.Reason(n % 7), Presence: wire.Verified, Error: int64(n), With: uint64(n % 2 * n),
	})
}

func (k *kiosk) scans(now time.Time, n int) {
	for i := range n {
		k.scan(now.Add(time.Duration(i) * time.Second))
	}
}

func (k *kiosk) anchor(now time.Time) {
	k.write(now, wire.Header{Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: now.UnixMilli(), Error: 5}})
}

// carry opens a new epoch which carries over the records from the given number
// on.
func (k *kiosk) carry(now time.Time, by wire.OpenedBy, from int) {
	old := k.life
	k.open()
	carried := old.records[min(from-1, len(old.records)):]
	k.write(now, wire.Header{Kind: wire.KindOpened, Opened: &wire.Opened{
		By: by, Previous: &old.epoch, Last: uint64(len(old.records)), Carried: uint64(len(carried)),
	}})
	for _, b := range carried {
		r, _, err := wire.DecodeRecord(b)
		if err != nil {
			panic(err)
		}
		if r.Origin == nil {
			r.Origin = &old.epoch
		}
		k.append(wire.Encode(r))
	}
}

// batch returns n records from the given number on, fewer if there are fewer.
func (l *life) batch(id string, first, n int) *wire.Batch {
	b := &wire.Batch{V: wire.Version, Kiosk: id, Epoch: l.epoch, First: uint64(first), Prev: l.chain[first-1]}
	for _, r := range l.records[first-1 : min(first-1+n, len(l.records))] {
		b.Records = append(b.Records, cbor.RawMessage(r))
	}
	return b
}

func (k *kiosk) all() *wire.Batch { return k.batch(k.id, 1, len(k.records)) }

// take enters a batch as package ingest does, without vault and seals: every
// record that does not decode is rejected, and every third person is unknown.
func take(t *store.Intake, b *wire.Batch, now time.Time) (deliver.Taken, error) {
	book := t.Book(b.Kiosk)
	if book == nil {
		return deliver.Taken{}, fmt.Errorf("no book of %s", b.Kiosk)
	}
	under, err := book.Epoch(b.Epoch)
	if err != nil {
		return deliver.Taken{}, err
	}
	taken, err := under.Ledger.Take(b, func(from, to uint64) ([]wire.Digest, error) { return t.Known(under, from, to) })
	if err != nil || taken.Fork {
		under.Touch(now)
		return taken, err
	}
	under.Touch(now)
	came := map[int]bool{}
	for _, i := range taken.Carried {
		came[i] = true
	}
	for _, entering := range []bool{false, true} { // all times first
		for _, i := range taken.Fresh {
			r, h, err := wire.DecodeRecord(b.Records[i])
			if err != nil {
				if entering {
					if err := t.Reject(under, b.First+uint64(i), wire.ReasonMalformed, b.Records[i], now); err != nil {
						return taken, err
					}
				}
				continue
			}
			written := under
			if r.Origin != nil {
				if written, err = book.Epoch(*r.Origin); err != nil {
					return taken, err
				}
			}
			if !entering {
				at := now.UnixMilli()
				span := when.Span{Boot: h.Boot, First: h.Seq, Last: h.Seq, Start: h.Since, End: h.Since, Arrived: at, ArrivedSince: h.Since}
				if written == under {
					t.Seen(under, span)
				} else {
					t.Carried(written, span)
				}
				if h.Anchor != nil {
					if err := t.Anchor(book, when.Anchor{Boot: h.Boot, Since: h.Since, Server: h.Anchor.Server, Error: h.Anchor.Error}); err != nil {
						return taken, err
					}
				}
				continue
			}
			if written != under {
				written.Ledger.Carry(h.Seq)
				written.Touch(now)
			}
			if h.Opened != nil && written == under {
				if err := under.Opened(*h.Opened, now); err != nil {
					return taken, err
				}
			}
			if h.Kind == wire.KindCheckin {
				t.Add(row(under, written, h, r.Digest(), now, came[i] || written != under))
			}
		}
	}
	return taken, nil
}

// row returns the row of a check-in.
func row(under, written *store.Epoch, h wire.Header, d wire.Digest, now time.Time, twice bool) store.Row {
	in := store.Clamp(written.Bounds(h.Boot, h.Since), now.UnixMilli())
	return store.Row{
		Under: under, Written: written, Header: h, Digest: d, Day: qrgate.DayOfMilli(in.Latest), Subject: subjectOf(d),
		When: in, Received: now, Twice: twice,
	}
}

func subjectOf(d wire.Digest) *qrgate.Subject {
	if d[0]%3 == 0 {
		return nil
	}
	var s qrgate.Subject
	copy(s[:], d[:])
	return &s
}

// intake takes in batches in one transaction.
func intake(t testing.TB, s *store.Store, now time.Time, batches ...*wire.Batch) []deliver.Taken {
	t.Helper()
	var all []deliver.Taken
	var kiosks []string
	for _, b := range batches {
		kiosks = append(kiosks, b.Kiosk)
	}
	err := s.Intake(context.Background(), kiosks, func(in *store.Intake) error {
		all = nil
		for _, b := range batches {
			taken, err := take(in, b, now)
			if err != nil {
				return err
			}
			all = append(all, taken)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Intake() = %v", err)
	}
	return all
}

// inBook runs fn on a kiosk's book as it is now, and takes nothing in.
func inBook(t testing.TB, s *store.Store, kiosk string, fn func(*store.Intake, *store.Book)) {
	t.Helper()
	stop := errors.New("enough")
	// What fails keeps no book.
	if err := s.Intake(context.Background(), []string{kiosk}, func(*store.Intake) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("Intake() = %v", err)
	}
	err := s.Intake(context.Background(), []string{kiosk}, func(in *store.Intake) error {
		b := in.Book(kiosk)
		if b == nil {
			t.Errorf("Book(%q) = nil", kiosk)
			return stop
		}
		fn(in, b)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatalf("Intake() = %v", err)
	}
}

// checkins returns what is stored of a kiosk.
func checkins(t testing.TB, s *store.Store, kiosk string) []qrgate.Checkin {
	t.Helper()
	var all []qrgate.Checkin
	err := s.Checkins(context.Background(), kiosk, func(c qrgate.Checkin) error { all = append(all, c); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tidyAll files and dates again until nothing is left, and returns the number of
// steps.
func tidyAll(t testing.TB, s *store.Store) int {
	t.Helper()
	for n := 0; ; n++ {
		more, err := s.Tidy(context.Background())
		if err != nil {
			t.Fatalf("Tidy() = %v", err)
		}
		if !more {
			return n
		}
	}
}

func status(t testing.TB, s *store.Store, kiosk string) store.KioskStatus {
	t.Helper()
	all, err := s.Kiosks(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.ID == kiosk {
			return k
		}
	}
	t.Fatalf("Kiosks() lacks %q", kiosk)
	return store.KioskStatus{}
}
