package enrolment_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/enrolment"
)

// restored returns a world whose new database was filled from a backup.
func (w *world) restored(backup []byte) *world {
	w.t.Helper()
	r := &world{t: w.t, now: w.now}
	now := func() time.Time { return r.now }
	s, err := store.Open(w.t.Context(), blank.SQLite(w.t), store.Options{Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	if _, err := s.Restore(w.t.Context(), bytes.NewReader(backup)); err != nil {
		w.t.Fatal(err)
	}
	r.s, r.Enrolments = s, enrolment.New(s, now)
	r.Marks = w.Marks
	return r
}

func (w *world) backup() []byte {
	w.t.Helper()
	var b bytes.Buffer
	if err := w.s.Backup(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) keep() enrolment.Kept {
	w.t.Helper()
	k, err := w.Keep(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *world) revoke(wipe bool, kiosks ...string) {
	w.t.Helper()
	if err := w.Revoke(w.t.Context(), "op", wipe, kiosks...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) identity(kiosk string) *enrolment.Identity {
	w.t.Helper()
	i, err := w.Identity(w.t.Context(), kiosk)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// A backup that was made before kiosks were revoked gives none of them its right back,
// and one that was made before they were reinstated takes it from none but those that
// it knew as revoked.
func TestRestoreOfAnOlderBackup(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.Marks = filepath.Join(t.TempDir(), "revoked")
		for i, id := range []string{"0001", "0002", "0003", "0004"} {
			w.enrol(id, "", bytes.Repeat([]byte{byte(i)}, 32))
		}
		w.revoke(false, "kiosk-0004") // and to wipe it is said after the backup
		backup := w.backup()
		w.now = w.now.Add(time.Hour)
		since := w.now
		w.enrol("0005", "kiosk-0003", bytes.Repeat([]byte{5}, 32)) // takes over a gate
		w.keep()
		w.revoke(true, "kiosk-0001", "kiosk-0004")
		w.revoke(false, "kiosk-0002", "kiosk-0005")
		w.now = w.now.Add(time.Hour)
		if err := w.Reinstate(t.Context(), "op", "kiosk-0002"); err != nil {
			t.Fatal(err)
		}
		if k := w.keep(); len(k.Again)+len(k.Unknown) > 0 {
			t.Errorf("Keep of a database that knows all = %+v", k)
		}

		r := w.restored(backup)
		if i := r.identity("kiosk-0001"); i.Kiosk.State != qrgate.KioskActive {
			t.Fatalf("the backup was made too late: %+v", i)
		}
		for range 2 { // the second time there is nothing to do
			k := r.keep()
			if i := r.identity("kiosk-0001"); i.Kiosk.State != qrgate.KioskRevoked || !i.Revoked.Equal(since) || i.RevokedBy != "op" || !i.Wipe {
				t.Errorf("one that was revoked after the backup is %+v", i)
			}
			if i := r.identity("kiosk-0003"); i.Kiosk.State != qrgate.KioskRevoked {
				t.Errorf("one whose gate was taken over after the backup is %+v", i)
			}
			if i := r.identity("kiosk-0004"); i.Kiosk.State != qrgate.KioskRevoked || !i.Wipe {
				t.Errorf("one that is to be wiped since the backup is %+v", i)
			}
			if i := r.identity("kiosk-0002"); i.Kiosk.State != qrgate.KioskActive {
				t.Errorf("one that was reinstated is %+v", i)
			}
			if len(k.Unknown) != 1 || k.Unknown[0].Kiosk != "kiosk-0005" || !bytes.Equal(k.Unknown[0].Public, bytes.Repeat([]byte{5}, 32)) {
				t.Errorf("keys that the backup does not know = %+v, want that of kiosk-0005", k.Unknown)
			}
		}
		if got := r.actions(); !slices.Contains(got, "revoke kiosk again") {
			t.Errorf("actions = %q", got)
		}
		if err := r.Reinstate(t.Context(), "op", "kiosk-0001"); err != nil {
			t.Fatal(err)
		}
		if k := r.keep(); len(k.Again) > 0 || r.identity("kiosk-0001").Kiosk.State != qrgate.KioskActive {
			t.Errorf("one that was reinstated after the restore is revoked again: %+v", k)
		}
	})
}

// What another server has reinstated is not revoked again by the mark of this one.
func TestReinstatedByAnotherServer(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.Marks = t.TempDir()
		w.enrol("0001", "", key)
		w.revoke(false, "kiosk-0001")
		w.now = w.now.Add(time.Minute)
		other := enrolment.New(w.s, func() time.Time { return w.now })
		if err := other.Reinstate(t.Context(), "op", "kiosk-0001"); err != nil {
			t.Fatal(err)
		}
		if k := w.keep(); len(k.Again) > 0 || w.identity("kiosk-0001").Kiosk.State != qrgate.KioskActive {
			t.Errorf("Keep = %+v", k)
		}
		if left, err := os.ReadDir(w.Marks); err != nil || len(left) > 0 {
			t.Errorf("marks left: %v, %v", left, err)
		}
	})
}

// A mark that cannot be read is an error, and not a kiosk that may connect again.
func TestDamagedMark(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.Marks = t.TempDir()
		if err := os.WriteFile(filepath.Join(w.Marks, "kiosk-0001.0011223344556677.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Keep(t.Context()); err == nil {
			t.Error("Keep with a damaged mark = nil")
		}
	})
}
