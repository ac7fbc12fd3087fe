package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// Two servers take in batches of the same kiosks at once, of which some fail,
// and date again meanwhile. Each has books of its own, which must not go stale.
func TestServersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		const kiosks, records, rounds, size = 5, 120, 60, 10
		dsn := e.dsn(t)
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		var ks []*kiosk
		for i := range kiosks {
			k := addKiosk(t, stores[0], fmt.Sprintf("gate-%04d", i))
			for n := range records / 12 {
				k.scans(dawn.Add(time.Duration(n)*time.Hour), 10)
				k.anchor(dawn.Add(time.Duration(n)*time.Hour + time.Minute))
				k.scan(dawn.Add(time.Duration(n)*time.Hour + time.Minute))
			}
			ks = append(ks, k)
		}
		at := dawn.Add(24 * time.Hour)
		boom := errors.New("boom")
		var tasks errgroup.Group
		for i, s := range stores {
			tasks.Go(func() error {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for range rounds {
					var batches []*wire.Batch
					var names []string
					for _, n := range r.Perm(kiosks)[:1+r.IntN(kiosks)] {
						k := ks[n]
						batches = append(batches, k.batch(k.id, 1+r.IntN(records), size))
						names = append(names, k.id)
					}
					fail := r.IntN(6) == 0
					err := s.Intake(context.Background(), names, func(in *store.Intake) error {
						for _, b := range batches {
							taken, err := take(in, b, at)
							if errors.Is(err, deliver.ErrScattered) {
								continue
							}
							if err == nil && taken.Fork {
								err = fmt.Errorf("a fork of %s", b.Kiosk)
							}
							if err != nil {
								return err
							}
						}
						if fail {
							return boom
						}
						return nil
					})
					if err != nil && !errors.Is(err, boom) {
						return err
					}
					if _, err := s.Tidy(context.Background()); err != nil {
						return err
					}
				}
				for _, k := range ks {
					err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
						taken, err := take(in, k.all(), at)
						if err == nil && taken.Fork {
							err = fmt.Errorf("a fork of %s", k.id)
						}
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := tasks.Wait(); err != nil {
			t.Fatal(err)
		}
		tidyAll(t, stores[0])
		for _, k := range ks {
			all := checkins(t, stores[1], k.id)
			dated(t, all, all)
			if want := records / 12 * 11; len(all) != want || status(t, stores[0], k.id).Checkins != int64(want) {
				t.Errorf("%s has %d check-ins and counts %d, want %d", k.id, len(all), status(t, stores[0], k.id).Checkins, want)
			}
			if w := width(all); w > time.Minute {
				t.Errorf("%s: bounds of %v", k.id, w)
			}
		}
	})
}

// A beat is saved, and kiosks are read, while an intake runs.
func TestIntakeHoldsUpNobody(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
			if _, err := take(in, k.all(), dawn); err != nil {
				return err
			}
			if st := status(t, s, k.id); st.Checkins != 0 {
				t.Errorf("%d check-ins before the commit", st.Checkins)
			}
			if _, err := s.Recent(context.Background(), 10); err != nil {
				t.Error(err)
			}
			if e.name == "sqlite" { // which has one writer
				return nil
			}
			return s.SavePresences(context.Background(), []store.Presence{{Kiosk: k.id, Beat: &wire.Beat{V: 1}, Contact: dawn}})
		})
		if err != nil {
			t.Error(err)
		}
	})
}
