package amber_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/amber"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door is one whose starts and power cuts are a test's.
type door struct {
	t     *testing.T
	boot  when.Boot
	queue *outbox.Queue
	path  string
	is    *amber.Account
}

func newDoor(t *testing.T, limit int64) *door {
	t.Helper()
	d := &door{t: t, boot: when.Boot{1}, path: filepath.Join(t.TempDir(), "amber.cbor")}
	var err error
	d.queue, err = outbox.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{
		Limit: limit, NoSync: true, Now: func() when.Reading { return when.Reading{Boot: d.boot, State: when.Chip} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.queue.Close() })
	return d
}

// start starts the program in the boot of a number.
func (d *door) start(boot byte) {
	d.t.Helper()
	d.boot = when.Boot{boot}
	d.is = amber.Open(d.path, d.boot, slog.New(slog.DiscardHandler))
	if err := d.is.Begin(d.queue); err != nil {
		d.t.Fatal(err)
	}
}

// letIn lets somebody in on amber.
func (d *door) letIn(since ...int64) {
	for _, ms := range since {
		d.is.Add(wire.Header{Kind: wire.KindCheckin, Boot: d.boot, Since: ms, Clock: when.Chip, Gate: "A1", Direction: wire.In,
			Pass: pass.Card, Verdict: wire.Unrecorded, Reason: wire.ReasonSpace, Presence: wire.Verified})
	}
}

// save has who waits on disk, and returns what is there.
func (d *door) save() []byte {
	d.t.Helper()
	if err := d.is.Save(); err != nil {
		d.t.Fatal(err)
	}
	b, err := os.ReadFile(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// checkIn records somebody.
func (d *door) checkIn(since int64) error {
	_, err := d.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Boot: d.boot, Since: since, Clock: when.Chip, Verdict: wire.Admitted}
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
	return err
}

// run has the account work for a minute.
func (d *door) run() {
	d.t.Helper()
	synctest.Test(d.t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := d.is.Run(ctx, d.queue); err != nil {
			t.Fatal(err)
		}
	})
}

// fill fills the outbox with records of this boot and returns the chain behind them.
func (d *door) fill() {
	d.t.Helper()
	ctx := wire.NewContext(1, make([]byte, 32))
	var err error
	for err == nil {
		_, err = d.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Boot: d.boot, Verdict: wire.Admitted}
			return wire.NewRecord(h, wire.Sealed{Key: 1, Context: ctx.ID, Box: make([]byte, 7000)}), ctx, nil
		})
	}
	if !errors.Is(err, outbox.ErrFull) {
		d.t.Fatal(err)
	}
}

// deliver has the server receive and back up all that is held.
func (d *door) deliver() {
	d.t.Helper()
	s := d.queue.Stats()
	receipt := &wire.Receipt{V: 1, Epoch: s.Epoch, Through: s.Last, Hash: s.Hash, Safe: s.Last}
	if _, err := d.queue.Apply(receipt); err != nil {
		d.t.Fatal(err)
	}
	if err := d.queue.Flush(); err != nil {
		d.t.Fatal(err)
	}
}

// A row is what a test compares of a check-in.
type row struct {
	Boot    byte
	Since   int64
	Verdict wire.Verdict
}

// rows returns the newest check-ins of the ledger, from a number on.
func (d *door) rows(from uint64) (rows []row) {
	d.t.Helper()
	run, err := d.queue.Peek(from, wire.MaxBatchRecords)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, b := range run.Records {
		r, h, err := wire.DecodeRecord(b)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(r.Box) > 0 && h.Verdict == wire.Unrecorded {
			d.t.Errorf("record %d of somebody who was let in on amber has a box", h.Seq)
		}
		if h.Kind == wire.KindCheckin && len(r.Box) == 0 {
			rows = append(rows, row{h.Boot[0], h.Since, h.Verdict})
		}
	}
	return rows
}

func (d *door) want(what string, want ...row) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.rows(1)); diff != "" {
		d.t.Errorf("%s: ledger (-want +got):\n%s", what, diff)
	}
}

func (d *door) waits(what string, want bool) {
	d.t.Helper()
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) == want {
		d.t.Errorf("%s: %v, want somebody to wait on disk: %t", what, err, want)
	}
}

// Whoever was let in on amber has a record of when that was as soon as the ledger has
// room, and not while it has little: that is for people who have a name.
func TestWhoeverWasLetInHasARecord(t *testing.T) {
	d := newDoor(t, outbox.MinLimit)
	d.start(1)
	d.fill()
	d.letIn(1000, 2000)
	d.run()
	d.want("full")
	d.waits("full", true)
	d.start(1) // again, and the file alone knows
	d.letIn(3000)
	d.run()
	d.deliver()
	d.run()
	d.want("with room", row{1, 1000, wire.Unrecorded}, row{1, 2000, wire.Unrecorded}, row{1, 3000, wire.Unrecorded})
	d.waits("with room", false)
	if n := d.is.Lost(); n != 0 {
		t.Errorf("Lost() = %d", n)
	}
}

// A power cut after somebody's record was put and before that was written down gave them
// two, or none.
func TestAPowerCutGivesNobodyTwoRecords(t *testing.T) {
	d := newDoor(t, 0)
	d.start(1)
	d.letIn(1000, 2000, 2000)
	before := d.save()
	if err := d.checkIn(2500); err != nil {
		t.Fatal(err)
	}
	d.run()
	if err := os.WriteFile(d.path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []row{{1, 2500, wire.Admitted}, {1, 1000, wire.Unrecorded}, {1, 2000, wire.Unrecorded}, {1, 2000, wire.Unrecorded}}
	for _, boot := range []byte{1, 2} {
		d.start(boot)
		d.run()
		d.want("after the cut", want...)
	}
}

// The server dates a boot without anchor by where its first record stands: that must be
// before every record of the boots that followed.
func TestAnEarlierBootIsPutBeforeThisOne(t *testing.T) {
	d := newDoor(t, 0)
	d.start(1)
	d.letIn(1000, 2000)
	d.save()
	d.start(2)
	d.letIn(10)
	if err := d.checkIn(20); err != nil {
		t.Fatal(err)
	}
	d.run()
	d.want("in the next boot", row{1, 1000, wire.Unrecorded}, row{2, 20, wire.Admitted}, row{1, 2000, wire.Unrecorded}, row{2, 10, wire.Unrecorded})
}

// In an epoch that has begun in this boot, and in a full ledger, an earlier boot has no
// place: the people are counted.
func TestWhoCannotBeDatedIsCounted(t *testing.T) {
	for name, happens := range map[string]func(d *door){
		"another epoch": func(d *door) {
			d.boot = when.Boot{2}
			if err := d.queue.NewEpoch(wire.OpenedOrder); err != nil {
				d.t.Fatal(err)
			}
		},
		"no room": func(d *door) { d.fill() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, outbox.MinLimit)
			d.start(1)
			d.letIn(1000, 2000)
			d.save()
			happens(d)
			d.start(2)
			if n := d.is.Lost(); n != 2 {
				t.Errorf("Lost() = %d, want 2", n)
			}
			d.run()
			d.want(name)
			d.waits(name, false)
		})
	}
}

// An epoch that begins while people of an earlier boot wait has no place for them; those
// of this boot it takes.
func TestAnEpochThatBeginsMeanwhile(t *testing.T) {
	d := newDoor(t, 0)
	d.start(1)
	d.letIn(1000, 2000)
	d.save()
	d.start(2)
	d.letIn(10)
	if err := d.queue.NewEpoch(wire.OpenedFork); err != nil {
		t.Fatal(err)
	}
	d.run()
	d.want("in the new epoch", row{1, 1000, wire.Unrecorded}, row{2, 10, wire.Unrecorded}) // the first was carried over
	if n := d.is.Lost(); n != 1 {
		t.Errorf("Lost() = %d, want 1", n)
	}
}

// Who came while no ledger could be opened has a place in one that began before them, and
// none in one that begins in the next boot.
func TestNoLedgerAtAll(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(d *door)
		want    []row
		lost    uint64
	}{
		"the same ledger": {func(*door) {}, []row{{1, 5, wire.Admitted}, {1, 1000, wire.Unrecorded}, {1, 2000, wire.Unrecorded}}, 0},
		"another epoch": {func(d *door) {
			if err := d.queue.NewEpoch(wire.OpenedOrder); err != nil {
				d.t.Fatal(err)
			}
		}, []row{{1, 5, wire.Admitted}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, 0)
			d.boot = when.Boot{1}
			if err := d.checkIn(5); err != nil {
				t.Fatal(err)
			}
			d.is = amber.Open(d.path, d.boot, slog.New(slog.DiscardHandler))
			d.letIn(1000, 2000)
			d.save()
			d.boot = when.Boot{2}
			tt.happens(d)
			d.start(2)
			d.run()
			d.want(name, tt.want...)
			if n := d.is.Lost(); n != tt.lost {
				t.Errorf("Lost() = %d, want %d", n, tt.lost)
			}
		})
	}
}

// An epoch that begins before it is written down whose record was put carries that record
// over.
func TestARecordThatWasCarriedOver(t *testing.T) {
	for _, boot := range []byte{1, 2} {
		d := newDoor(t, 0)
		d.start(1)
		d.letIn(1000, 2000)
		before := d.save()
		d.run()
		if err := os.WriteFile(d.path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		d.boot = when.Boot{boot}
		if err := d.queue.NewEpoch(wire.OpenedSalvage); err != nil {
			t.Fatal(err)
		}
		d.start(boot)
		d.run()
		d.want("carried over", row{1, 1000, wire.Unrecorded}, row{1, 2000, wire.Unrecorded})
		if n := d.is.Lost(); n != 0 {
			t.Errorf("in boot %d: Lost() = %d", boot, n)
		}
	}
}

func TestADamagedFileIsNobody(t *testing.T) {
	d := newDoor(t, 0)
	d.start(1)
	d.letIn(1000)
	whole := d.save()
	for _, b := range [][]byte{nil, whole[:len(whole)/2], make([]byte, len(whole))} {
		if err := os.WriteFile(d.path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d.start(1)
		d.run()
		d.want("damaged")
		d.waits("damaged", false)
	}
}
