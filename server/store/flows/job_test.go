package flows_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/flows"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A gate is a kiosk that delivers.
type gate struct {
	id    string
	epoch wire.Epoch
	seq   uint64
}

// A scan is a person who comes to a gate or leaves.
type scan struct {
	person int
	clock  time.Duration // of the day
	out    bool
}

// town registers two places in two communes, each with a gate.
func (w *world) town() []*gate {
	w.t.Helper()
	w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
	var gates []*gate
	for i, area := range []string{"19753@2025-07-01", "19789@2025-07-01"} {
		w.exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
			VALUES (?, 'o', 'p', '', 'trade', 'market', ?, ?, '', '', '[]', '', 0, '[]', 0, 1, 0, 0, 0)`, i+1, area, area)
		g := &gate{id: []string{"gate-0001", "gate-0002"}[i], epoch: wire.NewEpoch()}
		err := w.s.AddKiosk(w.t.Context(), qrgate.Kiosk{ID: g.id, Place: "p", PlaceNo: uint32(i + 1), Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()})
		if err != nil {
			w.t.Fatal(err)
		}
		gates = append(gates, g)
	}
	return gates
}

// deliver stores what a gate has scanned, as ingest does, at a time.
func (w *world) deliver(g *gate, received time.Time, scans ...scan) {
	w.t.Helper()
	err := w.s.Intake(w.t.Context(), []string{g.id}, func(in *store.Intake) error {
		e, err := in.Book(g.id).Epoch(g.epoch)
		if err != nil {
			return err
		}
		e.Touch(received)
		in.Seen(e, when.Span{Boot: when.Boot{1}, First: g.seq + 1, Last: g.seq + uint64(len(scans)), Arrived: received.UnixMilli()})
		for i, s := range scans {
			seq := g.seq + uint64(i) + 1
			at := day.Start().Add(s.clock).UnixMilli()
			h := wire.Header{
				Seq: seq, Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(seq), Wall: at, Clock: when.Synced, Error: 20, Gate: "A1", Lane: 1,
				Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Presence: wire.Verified,
			}
			if s.out {
				h.Direction = wire.Out
			}
			var d wire.Digest
			binary.BigEndian.PutUint64(d[:], seq)
			var subject qrgate.Subject
			r := rand.New(rand.NewPCG(uint64(s.person), 1))
			binary.BigEndian.PutUint64(subject[:], r.Uint64())
			in.Add(store.Row{
				Under: e, Written: e, Header: h, Digest: d, Day: day, Subject: &subject,
				When: when.Interval{Earliest: at - 20, Latest: at + 20}, Received: received,
			})
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	g.seq += uint64(len(scans))
}

// people are scans of people from one to another at a time, one a second.
func people(from, to int, clock time.Duration, out bool) []scan {
	var all []scan
	for p := from; p <= to; p++ {
		all = append(all, scan{p, clock + time.Duration(p-from)*time.Second, out})
	}
	return all
}

// TestNights is the whole way: from what kiosks deliver to figures, and again for
// what comes late.
func TestNights(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		gates := w.town()
		job := movement.Job{Rows: w.s, Keeper: w.Flows, Now: w.time, Log: slog.New(slog.DiscardHandler)}
		evening := day.Start().Add(20 * time.Hour)
		w.deliver(gates[0], evening, people(1, 30, 8*time.Hour, false)...)
		w.deliver(gates[0], evening, people(1, 30, 9*time.Hour+5*time.Minute, true)...)
		w.deliver(gates[1], evening, people(1, 12, 10*time.Hour, false)...)
		w.deliver(gates[1], evening, people(100, 107, 10*time.Hour, false)...) // eight who come straight
		if err := job.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, b := "19753@2025-07-01", "19789@2025-07-01"
		want := &movement.Day{
			Day: day, Checkins: 80,
			Arrivals: []movement.Figure{{To: a, Sector: "trade", Span: 8, People: 30}, {To: b, Sector: "trade", Span: 10, People: 20}},
			Moves:    []movement.Figure{{From: a, To: b, Sector: "trade", Span: 10, People: 12}},
		}
		got, err := w.Days(t.Context(), day, day)
		if diff := cmp.Diff([]*movement.Day{want}, got); err != nil || diff != "" {
			t.Fatalf("Days() = %v (-want +got)\n%s", err, diff)
		}
		if c, err := w.Crowd(t.Context(), 1, day); err != nil || c.People[8*4] != 30 || c.People[10*4] != 0 {
			t.Errorf("Crowd() = %+v, %v; want thirty at a quarter past eight and none after ten", c, err)
		}

		// The same night nothing is new, and the next a gate delivers what it held.
		if err := job.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.deliver(gates[1], w.time().Add(time.Hour), people(13, 25, 10*time.Hour+time.Minute, false)...)
		w.deliver(gates[1], w.time().Add(time.Hour), people(1, 5, 10*time.Hour+2*time.Minute, false)...) // known already
		w.now.Add(24 * time.Hour.Milliseconds())
		if err := job.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := &movement.Day{
			Day: day, Checkins: 100,
			Arrivals: []movement.Figure{{To: b, Sector: "trade", Span: 10, People: 13}},
			Moves:    []movement.Figure{{From: a, To: b, Sector: "trade", Span: 10, People: 13}},
		}
		got, err = w.Days(t.Context(), day, day)
		if diff := cmp.Diff([]*movement.Day{want, late}, got); err != nil || diff != "" {
			t.Fatalf("Days() = %v (-want +got)\n%s", err, diff)
		}
		if runs, err := w.Runs(t.Context(), day, day); err != nil || runs[day].No != 2 || runs[day].Seen != 98 {
			t.Errorf("Runs() = %+v, %v", runs, err)
		}

		// Figures outlive a backup and its restoring.
		var file bytes.Buffer
		if err := w.s.Backup(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		restored, err := store.Open(t.Context(), w.engine.dsn(t), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer restored.Close()
		if _, err := restored.Restore(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		f := flows.New(restored, w.time)
		got, err = f.Days(t.Context(), day, day)
		if diff := cmp.Diff([]*movement.Day{want, late}, got); err != nil || diff != "" {
			t.Errorf("Days() of what was restored = %v (-want +got)\n%s", err, diff)
		}
		if c, err := f.Crowd(t.Context(), 1, day); err != nil || c.People[8*4] != 30 {
			t.Errorf("Crowd() of what was restored = %+v, %v", c, err)
		}
	})
}
