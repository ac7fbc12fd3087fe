package ingest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLostDayComesAgain(t *testing.T) { each(t, testLostDayComesAgain) }

// The key of a day is lost with the disk, and given up. A kiosk that still holds who came
// tells it again when it is ordered a new epoch: no row more, each of who came, and what
// could be opened stays as it was.
func testLostDayComesAgain(t *testing.T, w *world) {
	s := w.serve()
	d := newDoor(w, "kiosk-00001")
	d.show(5)
	settled(t, d)
	w.clock.advance(24 * time.Hour)
	d.show(4)
	settled(t, d)
	for more := true; more; {
		var err error
		if more, err = w.store.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := w.rows(d.k.id)
	lost := before[0].Day
	who := map[uint64]qrgate.Person{}
	for _, c := range before {
		who[c.Seq] = w.person(c)
	}
	s.stop()
	if err := os.Remove(filepath.Join(string(w.dir), "days", lost.String()+".key")); err != nil {
		t.Fatal(err)
	}
	w.vault = w.openVault(w.dir)
	if err := w.vault.Renew(lost); err != nil {
		t.Fatal(err)
	}
	unknown := 0
	for _, c := range before {
		if _, err := w.vault.Person(c.Day, c.Subject); errors.Is(err, vault.ErrSubject) {
			unknown++
		}
	}
	if unknown != 5 {
		t.Fatalf("%d of 9 check-ins are of nobody, want 5", unknown)
	}
	if kiosks, err := w.store.KiosksOf(t.Context(), lost); err != nil || len(kiosks) != 1 || kiosks[0] != d.k.id {
		t.Errorf("KiosksOf(%s) = %v, %v", lost, kiosks, err)
	}

	s = w.serve()
	if err := d.queue.NewEpoch(wire.OpenedOrder); err != nil {
		t.Fatal(err)
	}
	settled(t, d)
	after := w.rows(d.k.id)
	if len(after) != 9 {
		t.Fatalf("%d check-ins, want 9", len(after))
	}
	for i, c := range after {
		if p := w.person(c); p != who[c.Seq] {
			t.Errorf("check-in %d is of person %d, want %d", c.Seq, p, who[c.Seq])
		}
		if c.Day != lost && c.Subject != before[i].Subject {
			t.Errorf("check-in %d of %s is another one than before", c.Seq, c.Day)
		}
	}
	subjects := map[qrgate.Subject]bool{}
	err := w.store.SubjectsOn(t.Context(), lost, func(s qrgate.Subject) error { subjects[s] = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range after {
		if c.Day == lost && !subjects[c.Subject] {
			t.Errorf("check-in %d is not found by who came", c.Seq)
		}
	}
	if len(subjects) != 5 {
		t.Errorf("%d subjects are found, want 5", len(subjects))
	}
	if st := s.Stats(); st.Checkins > 0 || st.Failed > 0 {
		t.Errorf("Stats() = %+v", st)
	}
	d.stop()
}

// settled waits until all that a door has is at the server.
func settled(t *testing.T, d *door) {
	t.Helper()
	d.w.until("receipts", func() bool { return d.queue.Stats().Unsent == 0 })
}
