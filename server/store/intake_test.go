package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// An error from the caller's function leaves nothing, neither in the database
// nor in the books that are kept between intakes.
func TestIntakeIsAllOrNothing(t *testing.T) {
	boom := errors.New("boom")
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 20)
		k.anchor(dawn.Add(time.Minute))
		intake(t, s, dawn.Add(time.Hour), k.batch(k.id, 1, 5))
		before := checkins(t, s, k.id)
		var ledger []byte
		inBook(t, s, k.id, func(in *store.Intake, b *store.Book) {
			epoch, err := b.Epoch(k.epoch)
			if err != nil {
				t.Fatal(err)
			}
			ledger = epoch.Ledger.Marshal()
		})
		for name, run := range map[string]func(func(*store.Intake) error) error{
			"error": func(fn func(*store.Intake) error) error {
				return s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error { return errors.Join(fn(in), boom) })
			},
			"panic": func(fn func(*store.Intake) error) (err error) {
				defer func() { err = recover().(error) }()
				return s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
					if err := fn(in); err != nil {
						return err
					}
					panic(boom)
				})
			},
			"context": func(fn func(*store.Intake) error) error {
				ctx, cancel := context.WithCancel(context.Background())
				err := s.Intake(ctx, []string{k.id}, func(in *store.Intake) error { defer cancel(); return fn(in) })
				if errors.Is(err, context.Canceled) {
					return boom
				}
				return err
			},
		} {
			err := run(func(in *store.Intake) error {
				if _, err := take(in, k.all(), dawn.Add(time.Hour)); err != nil {
					return err
				}
				if _, _, err := in.Person([16]byte{1}, func() qrgate.Person { return 1 }); err != nil {
					return err
				}
				epoch, err := in.Book(k.id).Epoch(wire.Epoch{9})
				if err != nil {
					return err
				}
				epoch.Late()
				return in.Reject(epoch, 1, wire.ReasonMalformed, []byte("x"), dawn)
			})
			if !errors.Is(err, boom) {
				t.Errorf("%s: Intake() = %v, want %v", name, err, boom)
			}
			inBook(t, s, k.id, func(in *store.Intake, b *store.Book) {
				epoch, err := b.Epoch(k.epoch)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(epoch.Ledger.Marshal(), ledger) {
					t.Errorf("%s: the book's ledger has changed", name)
				}
				if _, isNew, err := in.Person([16]byte{1}, func() qrgate.Person { return 2 }); !isNew || err != nil {
					t.Errorf("%s: Person() = %v, %v, want nobody yet", name, isNew, err)
				}
			})
			if diff := cmp.Diff(before, checkins(t, s, k.id)); diff != "" {
				t.Errorf("%s: check-ins (-before +after):\n%s", name, diff)
			}
			if st := status(t, s, k.id); st.Checkins != 5 || st.Late != 0 {
				t.Errorf("%s: %d check-ins, %d late, want 5, 0", name, st.Checkins, st.Late)
			}
			if letters, err := s.DeadLetters(context.Background()); err != nil || len(letters) != 0 {
				t.Errorf("%s: DeadLetters() = %v, %v, want none", name, letters, err)
			}
		}
		intake(t, s, dawn.Add(time.Hour), k.all())
		if got := len(checkins(t, s, k.id)); got != 20 {
			t.Errorf("afterwards %d check-ins, want 20", got)
		}
	})
}

func TestIntakeOfAnEndedContext(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := s.Intake(ctx, []string{k.id}, func(*store.Intake) error { t.Error("called"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Intake() = %v, want %v", err, context.Canceled)
		}
		k.scan(dawn)
		intake(t, s, dawn, k.all())
	})
}

func TestIntakeOfUnknownKiosks(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		names := []string{"zzz", k.id, "", "gate-0000", k.id, "a'; DROP TABLE kiosks; --"}
		err := s.Intake(context.Background(), names, func(in *store.Intake) error {
			for _, name := range names {
				if b := in.Book(name); (b != nil) != (name == k.id) {
					t.Errorf("Book(%q) = %v", name, b)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("Intake() = %v", err)
		}
		if err := s.Intake(context.Background(), nil, func(*store.Intake) error { return nil }); err != nil {
			t.Errorf("Intake of no kiosk = %v", err)
		}
	})
}

// More kiosks than one statement asks for.
func TestIntakeOfManyKiosks(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		var kiosks []*kiosk
		var batches []*wire.Batch
		for i := range 333 {
			k := addKiosk(t, s, fmt.Sprintf("gate-%04d", i))
			k.scans(dawn, 1+i%5)
			kiosks = append(kiosks, k)
			batches = append(batches, k.all())
		}
		for range 2 {
			intake(t, s, dawn.Add(time.Hour), batches...)
			for i, k := range kiosks {
				if got := len(checkins(t, s, k.id)); got != 1+i%5 {
					t.Fatalf("%s has %d check-ins, want %d", k.id, got, 1+i%5)
				}
			}
		}
	})
}

func TestRepeatsChangeNothing(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 30)
		at := dawn.Add(time.Hour)
		intake(t, s, at, k.batch(k.id, 1, 10), k.batch(k.id, 1, 10), k.batch(k.id, 5, 10))
		want := checkins(t, s, k.id)
		if len(want) != 14 {
			t.Errorf("%d check-ins, want 14", len(want))
		}
		for _, s := range []*store.Store{s, open(t, dsn)} {
			taken := intake(t, s, at.Add(time.Hour), k.batch(k.id, 1, 10), k.batch(k.id, 3, 9), k.batch(k.id, 14, 1))
			for i, got := range taken {
				if got.Fork || len(got.Fresh) != 0 {
					t.Errorf("batch %d again: %+v, want nothing taken", i, got)
				}
			}
			if diff := cmp.Diff(want, checkins(t, s, k.id)); diff != "" {
				t.Errorf("check-ins (-before +after):\n%s", diff)
			}
		}
	})
}

func TestBeyondTheWatermark(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		k := addKiosk(t, stores[0], "gate-0001")
		k.scans(dawn, 50)
		for i, first := range []int{41, 21, 11, 31, 1} { // a live batch, then the backlog in disorder
			taken := intake(t, stores[i%2], dawn.Add(time.Hour), k.batch(k.id, first, 10))
			if taken[0].Fork || len(taken[0].Fresh) != 10 {
				t.Errorf("batch from %d: %+v, want 10 fresh", first, taken[0])
			}
		}
		var seqs []uint64
		for _, c := range checkins(t, stores[0], k.id) {
			seqs = append(seqs, c.Seq)
		}
		if len(seqs) != 50 || !slices.IsSorted(seqs) {
			t.Errorf("sequence numbers %v, want 1 to 50", seqs)
		}
		inBook(t, stores[1], k.id, func(_ *store.Intake, b *store.Book) {
			if e, err := b.Epoch(k.epoch); err != nil || e.Ledger.Through() != 50 {
				t.Errorf("Through() = %d, %v, want 50", e.Ledger.Through(), err)
			}
		})
	})
}

func TestKnown(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		k.anchor(dawn)                  // 4: no row
		k.append([]byte{0x43, 1, 2, 3}) // 5: a dead letter
		k.scans(dawn, 3)                // 6 to 8
		var want []wire.Digest
		for i, r := range k.records {
			d := deliver.Digest(r)
			if i == 3 {
				d = wire.Digest{}
			}
			want = append(want, d)
		}
		known := func(when string, in *store.Intake, from, to uint64, want []wire.Digest) {
			t.Helper()
			epoch, err := in.Book(k.id).Epoch(k.epoch)
			if err != nil {
				t.Fatal(err)
			}
			got, err := in.Known(epoch, from, to)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: Known(%d, %d) error %v (-want +got):\n%s", when, from, to, err, diff)
			}
		}
		err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
			known("before", in, 1, 8, make([]wire.Digest, 8))
			if _, err := take(in, k.all(), dawn.Add(time.Hour)); err != nil {
				return err
			}
			known("in the same intake", in, 1, 8, want)
			known("in the same intake", in, 5, 6, want[4:6])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*store.Store{s, open(t, dsn)} {
			inBook(t, s, k.id, func(in *store.Intake, _ *store.Book) {
				known("afterwards", in, 1, 8, want)
				known("afterwards", in, 5, 5, want[4:5])
				known("afterwards", in, 7, 9, append(slices.Clone(want[6:]), wire.Digest{}))
			})
		}
		letters, err := s.DeadLetters(context.Background())
		wantLetters := []store.DeadLetter{{Kiosk: k.id, Epoch: k.epoch, Seq: 5, Reason: wire.ReasonMalformed, Record: k.records[4]}}
		if diff := cmp.Diff(wantLetters, letters); diff != "" || err != nil {
			t.Errorf("DeadLetters() error %v (-want +got):\n%s", err, diff)
		}

		// A copied storage that has another record 2, or another dead letter.
		for _, change := range []int{1, 4} {
			other := *k
			other.life = life{epoch: k.epoch, chain: []wire.Hash{{}}}
			for i, r := range k.records {
				if i == change {
					r = slices.Clone(r)
					r[len(r)-1] ^= 1
				}
				other.append(r)
			}
			b := other.batch(k.id, change+1, 1)
			b.Prev = k.chain[change]
			inBook(t, s, k.id, func(in *store.Intake, _ *store.Book) {
				if got, err := take(in, b, dawn); !got.Fork || err != nil {
					t.Errorf("another record %d: %+v, %v, want a fork", change+1, got, err)
				}
			})
		}
	})
}

// However often and under however many epochs a record arrives, and in whatever
// order, it makes one row.
func TestCarriedRecordsMakeOneRow(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for name, deliver := range map[string]func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch){
			"original first": func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch) {
				intake(t, s, dawn.Add(1*time.Hour), first)
				intake(t, s, dawn.Add(2*time.Hour), second)
				intake(t, s, dawn.Add(3*time.Hour), third)
			},
			"carried first": func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch) {
				intake(t, s, dawn.Add(1*time.Hour), third)
				intake(t, s, dawn.Add(2*time.Hour), second)
				intake(t, s, dawn.Add(3*time.Hour), first)
			},
			"all at once": func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch) {
				intake(t, s, dawn.Add(1*time.Hour), first, second, third)
			},
			"all at once, carried first": func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch) {
				intake(t, s, dawn.Add(1*time.Hour), third, first, second)
			},
			"by two servers": func(s, other *store.Store, k *kiosk, first, second, third *wire.Batch) {
				intake(t, s, dawn.Add(1*time.Hour), second)
				intake(t, other, dawn.Add(2*time.Hour), first)
				intake(t, s, dawn.Add(3*time.Hour), third, first)
			},
		} {
			t.Run(name, func(t *testing.T) {
				dsn := e.dsn(t)
				s, other := open(t, dsn), open(t, dsn)
				k := addKiosk(t, s, "gate-0001")
				k.scans(dawn, 20)
				first := k.all()
				k.carry(dawn.Add(time.Minute), wire.OpenedSalvage, 5)
				k.scans(dawn.Add(time.Minute), 4)
				second := k.all()
				k.carry(dawn.Add(2*time.Minute), wire.OpenedMoved, 10)
				third := k.all()
				deliver(s, other, k, first, second, third)
				got := checkins(t, s, k.id)
				if len(got) != 24 {
					t.Errorf("%d check-ins, want 24", len(got))
				}
				of := map[wire.Epoch]int{}
				for _, c := range got {
					of[c.Epoch]++
				}
				if of[k.past[0].epoch] != 20 || of[k.past[1].epoch] != 4 {
					t.Errorf("check-ins by epoch: %v, want 20 of the first and 4 of the second", of)
				}
				if st := status(t, s, k.id); st.Checkins != 24 {
					t.Errorf("Kiosks() counts %d check-ins, want 24", st.Checkins)
				}
				for range 2 { // and again
					intake(t, other, dawn.Add(9*time.Hour), third, second, first)
				}
				if diff := cmp.Diff(got, checkins(t, s, k.id)); diff != "" {
					t.Errorf("delivered again (-before +after):\n%s", diff)
				}
			})
		}
	})
}

// A caller that takes for new what is stored already must not fail for ever.
func TestRowThatWasSaidToBeNew(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		intake(t, s, dawn.Add(time.Hour), k.all())
		want := checkins(t, s, k.id)
		err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
			epoch, err := in.Book(k.id).Epoch(k.epoch)
			if err != nil {
				return err
			}
			for _, b := range k.records {
				r, h, err := wire.DecodeRecord(b)
				if err != nil {
					return err
				}
				in.Add(row(epoch, epoch, h, r.Digest(), dawn.Add(2*time.Hour), false))
			}
			return nil
		})
		if err != nil {
			t.Errorf("Intake() = %v", err)
		}
		if diff := cmp.Diff(want, checkins(t, s, k.id)); diff != "" {
			t.Errorf("check-ins (-before +after):\n%s", diff)
		}
		if st := status(t, s, k.id); st.Checkins != 3 && e.name == "postgres" { // the other finds out later, if at all
			t.Errorf("Kiosks() counts %d check-ins, want 3", st.Checkins)
		}
		tidyAll(t, s)
		if diff := cmp.Diff(want, checkins(t, s, k.id)); diff != "" {
			t.Errorf("check-ins once they are filed (-before +after):\n%s", diff)
		}
	})
}

func TestGatesStayWhenTheKioskMoves(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		move := func(place string) {
			t.Helper()
			if _, err := raw(t, dsn).Exec("UPDATE kiosks SET version = version + 1, place = '" + place + "'"); err != nil {
				t.Fatal(err)
			}
		}
		k.scan(dawn)
		k.gate = "side"
		k.scan(dawn)
		intake(t, s, dawn, k.all())
		move("An Cuu")
		k.scan(dawn)
		intake(t, s, dawn, k.all())
		move("Cho Dong Ba")
		k.gate = "main"
		k.scan(dawn)
		intake(t, open(t, dsn), dawn, k.all())
		seen, err := s.Recent(context.Background(), 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range slices.Backward(seen) {
			got = append(got, v.Place+"/"+v.Gate)
		}
		want := []string{"Cho Dong Ba/main", "Cho Dong Ba/side", "An Cuu/side", "Cho Dong Ba/main"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("gates (-want +got):\n%s", diff)
		}
		var n int
		if err := raw(t, dsn).QueryRow("SELECT COUNT(*) FROM gates").Scan(&n); err != nil || n != 3 {
			t.Errorf("%d gates, %v, want 3", n, err)
		}
	})
}

// A kiosk may call its gate anything, and PostgreSQL takes no zero byte.
func TestGateOfAnyText(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		for _, gate := range []string{"", "cổng chính", "a\x00b", "'; --", "a\x00b"} {
			k.gate = gate
			k.scan(dawn)
		}
		intake(t, s, dawn, k.all())
		var got []string
		for _, c := range checkins(t, s, k.id) {
			got = append(got, c.Gate)
		}
		want := []string{"", "cổng chính", "a\uFFFDb", "'; --", "a\uFFFDb"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("gates (-want +got):\n%s", diff)
		}
	})
}

func TestOpenedAndEnded(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		first := k.all()
		k.carry(dawn, wire.OpenedMoved, 2)
		// The second epoch's first record names the first, which the server has
		// not heard of.
		intake(t, s, dawn.Add(time.Hour), k.all())
		intake(t, open(t, dsn), dawn.Add(2*time.Hour), first)
		type epoch struct {
			Epoch, Previous        string
			By, Last, Carried, End int64
		}
		var got []epoch
		rows, err := raw(t, dsn).Query("SELECT epoch, previous, opened_by, last, carried, COALESCE(ended, 0) FROM epochs ORDER BY no")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var e epoch
			var id, previous []byte
			if err := rows.Scan(&id, &previous, &e.By, &e.Last, &e.Carried, &e.End); err != nil {
				t.Fatal(err)
			}
			e.Epoch, e.Previous = string(id), string(previous)
			got = append(got, e)
		}
		want := []epoch{
			{Epoch: string(k.epoch[:]), Previous: string(k.past[0].epoch[:]), By: int64(wire.OpenedMoved), Last: 3, Carried: 2},
			{Epoch: string(k.past[0].epoch[:]), End: dawn.Add(time.Hour).UnixMilli()},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("epochs (-want +got):\n%s", diff)
		}
	})
}
