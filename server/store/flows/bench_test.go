package flows_test

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/flows"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// BenchmarkNight counts a day of 500,000 check-ins at 2,000 places that are stored
// and filed, on each engine: what is doubtful, the figures, and their keeping.
func BenchmarkNight(b *testing.B) {
	const checkins, places, atOnce = 500_000, 2000, 5000
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			s, err := store.Open(b.Context(), e.dsn(b), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			r := rand.New(rand.NewPCG(1, 1))
			areas, sectors := area.Current(), []string{"trade", "education", "health", "tourism"}
			err = s.Write(b.Context(), func(t store.Tx) error {
				if _, err := t.Exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)"); err != nil {
					return err
				}
				for no := range places {
					a := areas[min(r.IntN(len(areas)), r.IntN(len(areas)))].ID.String()
					if _, err := t.Exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
						VALUES (?, 'o', 'p', '', ?, 'market', ?, ?, '', '', '[]', '', 0, '[]', 0, 1, 0, 0, 0)`, no+1, sectors[r.IntN(len(sectors))], a, a); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				err = s.AddKiosk(b.Context(), qrgate.Kiosk{ID: "gate-0001", Place: "p", PlaceNo: 1, Public: make([]byte, 32), State: qrgate.KioskActive, Added: day.Start()})
			}
			if err != nil {
				b.Fatal(err)
			}
			epoch := wire.NewEpoch()
			received := day.Start().Add(23 * time.Hour)
			for first := uint64(1); first <= checkins; first += atOnce {
				err := s.Intake(b.Context(), []string{"gate-0001"}, func(in *store.Intake) error {
					e, err := in.Book("gate-0001").Epoch(epoch)
					if err != nil {
						return err
					}
					e.Touch(received)
					in.Seen(e, when.Span{Boot: when.Boot{1}, First: first, Last: first + atOnce - 1, Arrived: received.UnixMilli()})
					for seq := first; seq < first+atOnce; seq++ {
						person := seq / 4
						pr := rand.New(rand.NewPCG(person, 1))
						var subject qrgate.Subject
						binary.BigEndian.PutUint64(subject[:], pr.Uint64())
						at := day.Start().Add(time.Duration((6 + pr.Float64()*6 + float64(seq%4)*2) * float64(time.Hour))).UnixMilli()
						h := wire.Header{
							Seq: seq, Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(seq), Wall: at, Clock: when.Synced, Error: 20, Gate: "A1", Lane: 1,
							Direction: wire.In + wire.Direction(seq%4/3), Pass: pass.Card, Verdict: wire.Admitted, Presence: wire.Claimed,
						}
						var d wire.Digest
						binary.BigEndian.PutUint64(d[:], seq)
						in.Add(store.Row{
							Under: e, Written: e, Header: h, Digest: d, Day: day, Subject: &subject, Where: store.Where{No: 1 + min(r.Uint32N(places), r.Uint32N(places))},
							When: when.Interval{Earliest: at - 20, Latest: at + 20}, Received: received,
						})
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			f := flows.New(s, time.Now)
			job := movement.Job{Rows: s, Keeper: f, Now: func() time.Time { return (day + 1).Start().Add(3 * time.Hour) }, Log: slog.New(slog.DiscardHandler)}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				if err := f.Forget(b.Context(), day+1); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := job.Once(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			days, err := f.Days(b.Context(), day, day)
			if err != nil || len(days) != 1 {
				b.Fatalf("%d days, %v", len(days), err)
			}
			b.ReportMetric(float64(len(days[0].Arrivals)+len(days[0].Moves)), "figures")
		})
	}
}
