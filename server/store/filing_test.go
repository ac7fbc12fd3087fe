package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

func count(t testing.TB, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// manyBatches returns all of the kiosk's records.
func manyBatches(k *kiosk) (all []*wire.Batch) {
	for first := 1; first <= len(k.records); first += wire.MaxBatchRecords {
		all = append(all, k.batch(k.id, first, wire.MaxBatchRecords))
	}
	return all
}

// Whether check-ins wait, are being filed or are filed, every reader tells the
// same, a repetition changes nothing, and a carried record makes no second row.
func TestReadersWhileFiling(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		ctx := context.Background()
		dsn := e.dsn(t)
		s := open(t, dsn)
		const n = 1500 // some steps
		a, b := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002")
		a.scans(dawn, n)
		b.scans(dawn, 300)
		b.append([]byte{0x43, 1, 2, 3})
		at := dawn.Add(time.Hour)
		intake(t, s, at, manyBatches(a)...)
		intake(t, s, at.Add(time.Minute), manyBatches(b)...)
		want := read(t, s)
		wantRecent, err := s.Recent(ctx, 400)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Checkins[a.id]) != n || len(want.Checkins[b.id]) != 300 || len(wantRecent) != 400 {
			t.Fatalf("%d and %d check-ins, %d recent", len(want.Checkins[a.id]), len(want.Checkins[b.id]), len(wantRecent))
		}
		db := raw(t, dsn)
		if n := count(t, db, "SELECT COUNT(*) FROM checkins"); e.name == "sqlite" && n != 0 {
			t.Errorf("%d check-ins are filed at once", n)
		}
		carried := *b
		carried.past = nil
		carried.carry(at, wire.OpenedSalvage, 302)
		for _, r := range b.records[:50] {
			r, _, err := wire.DecodeRecord(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Origin = &b.epoch
			carried.append(wire.Encode(r))
		}
		check := func(when string) {
			t.Helper()
			for _, s := range []*store.Store{s, open(t, dsn)} {
				if diff := cmp.Diff(want, read(t, s), wholeCheckins); diff != "" {
					t.Errorf("%s: contents (-before +after):\n%s", when, diff)
				}
				got, err := s.Recent(ctx, 400)
				if err != nil || len(got) != len(wantRecent) || got[0] != wantRecent[0] || got[399] != wantRecent[399] {
					t.Errorf("%s: Recent() tells of %d others, %v", when, len(got), err)
				}
				inBook(t, s, a.id, func(in *store.Intake, book *store.Book) {
					epoch, err := book.Epoch(a.epoch)
					if err != nil {
						t.Error(err)
						return
					}
					known, err := in.Known(epoch, n-5, n)
					if err != nil || len(known) != 6 {
						t.Errorf("%s: Known() = %d, %v", when, len(known), err)
					}
					for i, d := range known {
						if r, _, _ := wire.DecodeRecord(a.records[n-6+i]); d != r.Digest() {
							t.Errorf("%s: Known() says another of record %d", when, n-5+i)
						}
					}
				})
				if got := intake(t, s, at, a.batch(a.id, n-40, 20)); got[0].Fork || len(got[0].Fresh) != 0 {
					t.Errorf("%s: a repeated batch: %+v", when, got[0])
				}
			}
			intake(t, s, at, carried.all())
			if when != "before" && when != "after step 0" { // none is filed, and some are
				return
			}
			restored := open(t, sqlite.dsn(t))
			if _, err := restored.Restore(ctx, bytes.NewReader(backup(t, s))); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			if diff := cmp.Diff(want.Checkins, read(t, restored).Checkins, wholeCheckins); diff != "" {
				t.Errorf("%s: restored from a backup (-before +after):\n%s", when, diff)
			}
		}
		check("before")
		// The carried epoch's first record has come with the check.
		want = read(t, s)
		steps := 0
		for more := true; more; steps++ {
			if steps == 1 && e.name == "sqlite" { // another server goes on, or this one does after a crash
				if n := count(t, db, "SELECT COUNT(*) FROM checkins"); n == 0 || n >= 1800 {
					t.Errorf("%d check-ins are filed after %d steps", n, steps)
				}
				s = open(t, dsn)
			}
			if more, err = s.Tidy(ctx); err != nil {
				t.Fatal(err)
			}
			check(fmt.Sprintf("after step %d", steps))
		}
		if n := count(t, db, "SELECT COUNT(*) FROM checkins"); n != 1800 {
			t.Errorf("%d check-ins are filed, want 1800", n)
		}
		subjects := 0
		for _, all := range want.Checkins {
			for _, c := range all {
				if c.Subject != [16]byte{} {
					subjects++
				}
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM subjects"); n != subjects {
			t.Errorf("%d subjects, want %d", n, subjects)
		}
		if e.name == "sqlite" {
			if n := count(t, db, "SELECT COUNT(*) FROM arrivals"); n != 0 {
				t.Errorf("%d arrivals are left", n)
			}
			if n := count(t, raw(t, dsn), "SELECT COUNT(*) FROM checkins c WHERE c.subject IS NOT NULL AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.day = c.day AND s.subject = c.subject AND s.epoch_no = c.epoch_no AND s.seq = c.seq AND s.digest = c.digest)"); n != 0 {
				t.Errorf("%d check-ins are not found by their subjects", n)
			}
		}
	})
}

// Without a call to Tidy, intakes file what is too much to wait.
func TestIntakesFileWhatIsTooMuch(t *testing.T) {
	dsn := sqlite.dsn(t)
	s := open(t, dsn)
	store.SetFileLimit(s, 3000)
	db := raw(t, dsn)
	k := addKiosk(t, s, "gate-0001")
	k.scans(dawn, 12_000)
	most := 0
	for i, b := range manyBatches(k) {
		intake(t, s, dawn.Add(10*time.Hour+time.Duration(i)*time.Second), b)
		most = max(most, count(t, db, "SELECT COALESCE(SUM(checkins), 0) FROM arrivals"))
	}
	if most > 10_000 {
		t.Errorf("%d check-ins were waiting, with a limit of 3000", most)
	}
	if n := len(checkins(t, s, k.id)); n != 12_000 {
		t.Errorf("%d check-ins, want 12,000", n)
	}
}
