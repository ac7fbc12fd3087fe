package fleet_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/fleet"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// BenchmarkTenThousand is what looking after ten thousand kiosks costs a server, each
// of which beats twice a minute: a judgement (each five seconds), a look by a page
// (each two seconds while somebody looks), a beat that is heard, and their samples of
// five minutes.
func BenchmarkTenThousand(b *testing.B) {
	const kiosks = 10_000
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e)
			w.must(w.s.Write(b.Context(), func(t store.Tx) error {
				for i := range kiosks {
					if _, err := t.Exec("INSERT INTO kiosks (no, id, place, place_no, public, state, added, kind) VALUES (?, ?, 'Chợ', 0, ?, 1, 1, 0)", i+1, fmt.Sprintf("gate-%05d", i), make([]byte, 32)); err != nil {
						return err
					}
				}
				return nil
			}))
			beat := func(i int) *wire.Beat {
				return &wire.Beat{
					V: 1, Session: 1, Release: "1.4.2", Boot: when.Boot{byte(i)}, Used: 1 << 20, Limit: 1 << 28, Uptime: 9_000, DiskFree: 1 << 34, DiskTotal: 1 << 35, Temperature: 50_000 + i%9,
					Power: wire.PowerKnown, Memory: 1 << 30, Available: 1 << 29, State: when.Synced, Error: 30, RoundTrip: 40_000, Model: "Raspberry Pi 4 Model B", Serial: "5f0c1b7a9d3e4f60",
					Scanners: []wire.ScannerBeat{{Name: "serial-1", Present: true, Scans: 40, LastScan: noon.UnixMilli()}},
				}
			}
			// A sixth of the kiosks beats between two judgements.
			some := func(share int) {
				var signs []store.Presence
				for i := 0; i < kiosks; i += share {
					signs = append(signs, store.Presence{Kiosk: fmt.Sprintf("gate-%05d", i), Online: &wire.Online{V: 1, Up: true, Session: 1}, Changed: noon, Beat: beat(i), Contact: w.now})
				}
				w.must(w.s.SavePresences(b.Context(), signs))
			}
			some(1)
			job := &judge.Job{Keeper: w.Fleet, Linked: func() time.Time { return noon.Add(-time.Hour) }, Now: w.time, Log: slog.New(slog.DiscardHandler)}
			w.must(job.Once(b.Context()))
			b.Run("judge", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					w.now = w.now.Add(5 * time.Second)
					some(6)
					b.StartTimer()
					w.must(job.Once(b.Context()))
				}
			})
			b.Run("look", func(b *testing.B) {
				page := fleet.New(w.s, w.time)
				b.ReportAllocs()
				for b.Loop() {
					all, err := page.Kiosks(b.Context())
					if err != nil || len(all) != kiosks {
						b.Fatal(len(all), err)
					}
				}
			})
			b.Run("hear", func(b *testing.B) {
				ear := judge.NewEar(w.Fleet, w.time, slog.New(slog.DiscardHandler))
				one := beat(1)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					ear.Beat(fmt.Sprintf("gate-%05d", i%kiosks), one, nil)
				}
			})
			b.Run("samples", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					w.now = w.now.Add(judge.Fine)
					var all []judge.Recorded
					for i := range kiosks {
						all = append(all, judge.Recorded{Kiosk: fmt.Sprintf("gate-%05d", i), Sample: judge.SampleOf(beat(i), w.now.Truncate(judge.Fine), 3)})
					}
					b.StartTimer()
					for len(all) > 0 {
						w.must(w.SaveSamples(b.Context(), all[:250]))
						all = all[250:]
					}
				}
			})
		})
	}
}
