package passage_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/passage"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A world is a counter with a ledger and a clock of the test's.
type world struct {
	*passage.Counter
	t     *testing.T
	lane  passage.Lane
	at    time.Time
	since int64
	queue *outbox.Queue
	full  bool
	felt  uint64
}

var began = time.Date(2026, 11, 26, 1, 15, 0, 0, time.UTC)

func newWorld(t *testing.T, two bool) *world { return newWorldOf(t, passage.Options{Two: two}) }

func newDoorWorld(t *testing.T) *world { return newWorldOf(t, passage.Options{Opens: 4 * time.Second}) }

func newWorldOf(t *testing.T, o passage.Options) *world {
	t.Helper()
	w := &world{t: t, lane: passage.Lane{Gate: "A1", No: 2, Direction: wire.In}, at: began, since: 60_000}
	q, err := outbox.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	w.queue = q
	o.Lane, o.Now = func() passage.Lane { return w.lane }, w.now
	o.Put = func(fn func(wire.Epoch, uint64) (wire.Record, wire.Context, error)) (uint64, error) {
		if w.full {
			return 0, outbox.ErrFull
		}
		return q.Put(fn)
	}
	w.Counter = passage.New(o)
	return w
}

func (w *world) now() when.Reading {
	return when.Reading{Boot: when.Boot{1}, Since: w.since, Wall: w.at.UnixMilli(), State: when.Synced, Error: 5}
}

func (w *world) pass(d time.Duration) {
	w.at, w.since = w.at.Add(d), w.since+d.Milliseconds()
}

// breaks breaks a beam and lets it be.
func (w *world) breaks(k panel.Kind) {
	if k == panel.Tally {
		w.felt++
	}
	w.Feel(panel.Event{Kind: k, Active: true, At: w.at, Count: w.felt})
	w.Feel(panel.Event{Kind: k, At: w.at.Add(50 * time.Millisecond), Count: w.felt})
}

func (w *world) scans(n int) {
	for i := range n {
		w.Show(kiosk.Answer{State: words.Reading})
		w.Show(kiosk.Answer{State: words.Admitted, Seq: uint64(i + 1)})
		w.Show(kiosk.Answer{State: words.Ready})
	}
}

// ledger returns what is in the ledger of who passed.
func (w *world) ledger() (all []wire.Header) {
	w.t.Helper()
	b, err := w.queue.Peek(1, 256)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, raw := range b.Records {
		_, h, err := wire.DecodeRecord(raw)
		if err != nil {
			w.t.Fatal(err)
		}
		if h.Kind == wire.KindPassage {
			all = append(all, h)
		}
	}
	return all
}

// An hour goes into the ledger once, what is left when the program ends, and nothing of
// an hour in which nobody came.
func TestHoursGoIntoTheLedger(t *testing.T) {
	w := newWorld(t, false)
	for range 40 {
		w.breaks(panel.Tally)
	}
	w.scans(31)
	w.Show(kiosk.Answer{State: words.Admitted, Seq: 40, Brought: 3})
	w.Show(kiosk.Answer{State: words.Admitted, Seq: 41, Test: true})
	w.Show(kiosk.Answer{State: words.Amber})
	w.Show(kiosk.Answer{State: words.Again})
	w.Look()
	if got := w.ledger(); got != nil {
		t.Errorf("before the hour is over the ledger has %+v", got)
	}
	w.pass(45 * time.Minute) // 02:00
	w.Look()
	w.Look()
	w.pass(2 * time.Hour)
	w.Look()
	w.pass(10 * time.Minute)
	w.breaks(panel.Tally)
	w.pass(5 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var got []wire.Passage
	for _, h := range w.ledger() {
		if h.Gate != "A1" || h.Lane != 2 || h.Direction != wire.In {
			t.Errorf("a record of %s, %d, %s", h.Gate, h.Lane, h.Direction)
		}
		got = append(got, *h.Passage)
	}
	want := []wire.Passage{{Took: 45 * 60_000, People: 40, Scans: 34}, {Took: 15 * 60_000, People: 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
}

// A lane that is turned, or a gate of another name, is counted apart.
func TestAnotherLaneIsCountedApart(t *testing.T) {
	w := newWorld(t, false)
	w.breaks(panel.Tally)
	w.lane.Direction = wire.Out
	w.breaks(panel.Tally)
	w.breaks(panel.Tally)
	w.Close()
	got := w.ledger()
	if len(got) != 2 || got[0].Direction != wire.In || got[0].Passage.People != 1 || got[1].Direction != wire.Out || got[1].Passage.People != 2 {
		t.Errorf("the ledger has %+v", got)
	}
}

// What a full disk does not take is kept, and nothing stops the door.
func TestFullDiskLosesNoCount(t *testing.T) {
	w := newWorld(t, false)
	w.breaks(panel.Tally)
	w.full = true
	w.pass(time.Hour)
	w.breaks(panel.Tally)
	w.pass(time.Hour)
	w.full = false
	w.Look()
	got := w.ledger()
	if len(got) != 1 || got[0].Passage.People != 2 || got[0].Passage.Took != 2*3_600_000 {
		t.Errorf("the ledger has %+v", got)
	}
}

func TestTwoBeamsTellTheWay(t *testing.T) {
	const tally, inner = panel.Tally, panel.Inner
	step := 200 * time.Millisecond
	for _, tt := range []struct {
		name            string
		beams           []panel.Kind
		pause           time.Duration
		people, against uint64
	}{
		{"in", []panel.Kind{tally, inner}, step, 1, 0},
		{"out", []panel.Kind{inner, tally}, step, 0, 1},
		{"two close behind each other", []panel.Kind{tally, tally, inner, inner}, step, 2, 0},
		{"one in, one out", []panel.Kind{tally, inner, inner, tally}, step, 1, 1},
		{"turns back", []panel.Kind{tally}, step, 0, 0},
		{"turns back between the beams, later one goes out", []panel.Kind{tally, inner, tally}, 2 * time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, true)
			for _, k := range tt.beams {
				w.breaks(k)
				w.pass(tt.pause)
			}
			if b := w.Beat(); b.People != tt.people || b.Against != tt.against {
				t.Errorf("%d the lane's way and %d against it, want %d and %d", b.People, b.Against, tt.people, tt.against)
			}
		})
	}
}

// Events may be lost on the way; a beam's own count is not.
func TestLostEventsAreCounted(t *testing.T) {
	w := newWorld(t, false)
	w.breaks(panel.Tally)
	w.felt += 3
	w.breaks(panel.Tally)
	if b := w.Beat(); b.People != 5 {
		t.Errorf("%d people, want 5", b.People)
	}
	w.Press()
	if b := w.Beat(); b.People != 6 {
		t.Errorf("%d people after a guard's key, want 6", b.People)
	}
}

func TestBeatTellsOfLately(t *testing.T) {
	w := newWorld(t, false)
	for range 40 {
		w.breaks(panel.Tally)
		w.pass(time.Minute)
	}
	w.scans(2)
	want := &wire.PassageBeat{People: 40, Scans: 2, For: wire.LatelyTime.Milliseconds(), Lately: 29, LatelyScans: 2, Last: w.at.Add(-time.Minute).UnixMilli()}
	if diff := cmp.Diff(want, w.Beat()); diff != "" {
		t.Errorf("Beat (-want +got):\n%s", diff)
	}
	w.pass(45 * time.Minute)
	if b := w.Beat(); b.Lately != 0 || b.People != 40 {
		t.Errorf("45 minutes later: %+v", b)
	}
}

// A clock that learns the time makes an hour of what was before, and no other.
func TestClockThatLearnsTheTime(t *testing.T) {
	w := newWorld(t, false)
	w.at = time.Unix(0, 0)
	w.Look()
	w.breaks(panel.Tally)
	w.pass(10 * time.Minute)
	w.at = began
	w.breaks(panel.Tally)
	w.Close()
	got := w.ledger()
	if len(got) != 2 || got[0].Passage.Took != 600_000 || got[0].Passage.People != 1 || got[1].Passage.People != 1 {
		t.Errorf("the ledger has %+v", got)
	}
}

var errDisk = errors.New("disk")

func TestBrokenCounterIsTold(t *testing.T) {
	c := passage.New(passage.Options{
		Lane: func() passage.Lane { return passage.Lane{} }, Now: func() when.Reading { return when.Reading{} },
		Put:    func(func(wire.Epoch, uint64) (wire.Record, wire.Context, error)) (uint64, error) { return 0, errDisk },
		Faulty: func() bool { return true },
	})
	var b wire.Beat
	c.Part().Fill(&b)
	if b.Passage == nil || !b.Passage.Broken {
		t.Errorf("a beat of a beam that cannot be read says %+v", b.Passage)
	}
}

// One decision is one opening; whoever does not go through is told of, and the door's
// contact tells who does.
func TestDoorThatWasNotOpened(t *testing.T) {
	w := newDoorWorld(t)
	admit := func() { w.Show(kiosk.Answer{State: words.Admitted, Seq: 1}) }
	door := func(open bool) { w.Feel(panel.Event{Kind: panel.Door, Active: open, At: w.at}) }
	admit()
	w.pass(time.Second)
	door(true)
	w.pass(20 * time.Second)
	door(false)
	admit() // and nobody goes
	w.pass(time.Second)
	admit() // the same opening
	w.pass(10 * time.Second)
	w.Show(kiosk.Answer{State: words.Amber}) // lets in too
	w.pass(10 * time.Second)
	w.Show(kiosk.Answer{State: words.Refused})
	w.pass(10 * time.Second)
	if b := w.Beat(); b.Shut != 2 || b.Scans != 3 {
		t.Errorf("%d openings that nobody went through, %d scans, want 2 and 3", b.Shut, b.Scans)
	}
	w.Close()
	if got := w.ledger(); len(got) != 1 || got[0].Passage.Shut != 2 {
		t.Errorf("the ledger has %+v", got)
	}
}
