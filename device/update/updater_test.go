package update_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door is a kiosk's updater with a server that answers its beats.
type door struct {
	t     *testing.T
	k     *kiosk
	o     update.Options
	u     *update.Updater
	quiet atomic.Bool
	still atomic.Bool
	fits  error
}

func newDoor(t *testing.T, r *repo) *door {
	d := &door{t: t, k: newKiosk(t, r)}
	d.quiet.Store(true)
	d.still.Store(true)
	root := filepath.Join(t.TempDir(), "release-root.json")
	if err := os.WriteFile(root, r.content("1.root.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.o = update.Options{
		Versions: d.k.versions, Launcher: "1.0.0", Running: "1.0.0", Arch: "arm64", Root: root,
		Floor: func() time.Time { return start }, Quiet: d.quiet.Load, Still: d.still.Load,
		Fits:  func(context.Context, string, string) error { return d.fits },
		Every: time.Millisecond, Retry: time.Millisecond, Spread: time.Nanosecond,
	}
	return d
}

// run runs the updater, which the server wants to run a version, until its beats say
// something or it wants to end, and reports whether it did.
func (d *door) run(want wire.UpdateAnswer, until func(wire.UpdateBeat) bool) (last wire.UpdateBeat, next bool) {
	d.t.Helper()
	d.u = update.New(d.o)
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.u.Run(ctx) }()
	answer := &wire.BeatAnswer{}
	if want != (wire.UpdateAnswer{}) {
		answer.Update = &want
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		var b wire.Beat
		d.u.Fill(&b)
		last = *b.Update
		d.u.Answered(answer)
		if until(last) {
			cancel()
		}
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, update.ErrNext) {
				d.t.Fatal(err)
			}
			return last, err != nil
		case <-time.After(time.Millisecond):
		}
	}
	d.t.Fatalf("within a minute it says only %+v", last)
	return
}

func never(wire.UpdateBeat) bool { return false }

func at(s wire.UpdateStage, why release.Reason) func(wire.UpdateBeat) bool {
	return func(b wire.UpdateBeat) bool { return b.Stage == s && b.Reason == why }
}

func served(_ *testing.T, r *repo, version string) wire.UpdateAnswer {
	s := r.address()
	return wire.UpdateAnswer{Version: version, URL: s}
}

func TestTheServersVersionIsStarted(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	last, next := d.run(served(t, r, "1.1.0"), never)
	if !next || last.Version != "1.1.0" {
		t.Fatalf("it ends with %+v, %t", last, next)
	}
	slots := launcher.OpenSlots(d.k.versions.Dir, launcher.Packaged{Program: "/usr/bin/qrgate-kiosk", Version: "1.0.0"})
	if c, err := slots.Choose(); err != nil || !c.Trial || c.Version != "1.1.0" {
		t.Errorf("the launcher starts %+v, %v", c, err)
	}
	// While it is tried it says so, and starts nothing else.
	d.o.Running = "1.1.0"
	if last, next := d.run(served(t, r, "1.1.0"), at(wire.UpdateTrying, "")); next || last.Version != "1.1.0" {
		t.Errorf("on trial it says %+v, %t", last, next)
	}
}

func TestTheDoorIsNotLeftWhileItIsNeeded(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	want := served(t, r, "1.1.0")
	for _, tt := range []struct {
		quiet, still, now, next bool
	}{{false, true, false, false}, {true, false, false, false}, {false, false, true, false}, {false, true, true, true}} {
		d.quiet.Store(tt.quiet)
		d.still.Store(tt.still)
		want.Now = tt.now
		n := 0
		last, next := d.run(want, func(b wire.UpdateBeat) bool {
			if b.Stage == wire.UpdateLoaded {
				n++
			}
			return n > 20 && !tt.next
		})
		if next != tt.next {
			t.Errorf("quiet %t, still %t, at once %t: it ends %t, saying %+v", tt.quiet, tt.still, tt.now, next, last)
		}
		if asked := d.k.versions.Asked(); asked != "" && !tt.next {
			t.Errorf("quiet %t, still %t: the next start would be %s", tt.quiet, tt.still, asked)
		}
	}
}

func TestWhatIsRefusedIsSaid(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	tests := []struct {
		name string
		how  func(d *door, want *wire.UpdateAnswer)
		want func(wire.UpdateBeat) bool
	}{
		{"not listed", func(_ *door, w *wire.UpdateAnswer) { w.Version = "1.2.0" }, at(wire.UpdateRefused, release.Unlisted)},
		{"for another machine", func(d *door, _ *wire.UpdateAnswer) { d.o.Arch = "arm" }, at(wire.UpdateRefused, release.Unlisted)},
		{"no server", func(_ *door, w *wire.UpdateAnswer) { w.URL = "http://127.0.0.1:1/" }, at(wire.UpdateLoading, release.Unreached)},
		{"no address", func(_ *door, w *wire.UpdateAnswer) { w.URL = "file:///etc/" }, at(wire.UpdateLoading, release.Unreached)},
		{"does not fit", func(d *door, _ *wire.UpdateAnswer) { d.fits = errors.New("no") }, at(wire.UpdateRefused, release.Unfit)},
		{"expired", func(d *door, _ *wire.UpdateAnswer) {
			d.o.Floor = func() time.Time { return start.Add(8 * day) }
		}, at(wire.UpdateRefused, release.Expired)},
		{"no root", func(d *door, _ *wire.UpdateAnswer) { os.Remove(d.o.Root) }, at(wire.UpdateRefused, release.NoRoot)},
		{"another root than the server vouches for", func(d *door, w *wire.UpdateAnswer) { os.Remove(d.o.Root); w.Root[0] = 1 }, at(wire.UpdateRefused, release.Unsigned)},
		{"older", func(d *door, _ *wire.UpdateAnswer) { d.o.Running = "1.5.0" }, at(wire.UpdateNone, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t, r)
			want := served(t, r, "1.1.0")
			tt.how(d, &want)
			if last, next := d.run(want, tt.want); next {
				t.Errorf("it starts something, saying %+v", last)
			}
		})
	}
}

func TestAKioskWithoutARootTakesTheOneThatItsServerVouchesFor(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	os.Remove(d.o.Root)
	want := served(t, r, "1.1.0")
	want.Root = sha256.Sum256(r.content("1.root.json"))
	if last, next := d.run(want, never); !next {
		t.Fatalf("it says %+v", last)
	}
	if b, err := os.ReadFile(d.o.Root); err != nil || string(b) != string(r.content("1.root.json")) {
		t.Errorf("the root is not kept: %v", err)
	}
}

// TestARootComesBeforeAnyVersionIsWanted gives a kiosk that its server wants nothing of
// the root by which it can judge a stick.
func TestARootComesBeforeAnyVersionIsWanted(t *testing.T) {
	r := newRepo(t)
	d := newDoor(t, r)
	os.Remove(d.o.Root)
	if last, next := d.run(wire.UpdateAnswer{}, at(wire.UpdateNone, release.NoRoot)); next {
		t.Fatalf("it starts something, saying %+v", last)
	}
	said := served(t, r, "")
	said.Root = sha256.Sum256(r.content("1.root.json"))
	last, next := d.run(said, func(b wire.UpdateBeat) bool {
		_, err := os.Stat(d.o.Root)
		return err == nil && b.Reason == ""
	})
	if next {
		t.Fatalf("it starts something, saying %+v", last)
	}
	if b, err := os.ReadFile(d.o.Root); err != nil || string(b) != string(r.content("1.root.json")) {
		t.Errorf("the root is not kept: %v", err)
	}
}

func TestAVersionThatWasGivenUpIsNotTriedAgain(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	want := served(t, r, "1.1.0")
	d.run(want, never)
	slots := launcher.OpenSlots(d.k.versions.Dir, launcher.Packaged{Program: "/usr/bin/qrgate-kiosk", Version: "1.0.0"})
	for range launcher.Tries + 1 {
		c, err := slots.Choose()
		if err == nil {
			err = slots.Ended(c, release.NoHealth)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if last, next := d.run(want, at(wire.UpdateReturned, release.NoHealth)); next || last.Version != "1.1.0" {
		t.Errorf("it says %+v, and starts something: %t", last, next)
	}
	if last, next := d.run(wire.UpdateAnswer{}, at(wire.UpdateReturned, release.NoHealth)); next {
		t.Errorf("when nothing is wanted any more it says %+v", last)
	}
	// The next release is another matter.
	r.release("1.1.1", program(12))
	if last, next := d.run(served(t, r, "1.1.1"), never); !next {
		t.Errorf("it says %+v of 1.1.1", last)
	}
}

func TestAStickIsTakenAtOnce(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	d.quiet.Store(false)
	media := t.TempDir()
	d.o.Sticks = filepath.Join(media, "*", release.StickDir)
	if err := os.CopyFS(filepath.Join(media, "usb1", release.StickDir), r.files); err != nil {
		t.Fatal(err)
	}
	if last, next := d.run(wire.UpdateAnswer{}, never); !next {
		t.Fatalf("it says %+v", last)
	}
	// What brings nothing newer is looked at once and said nothing of.
	d.o.Running = "1.1.0"
	os.Remove(filepath.Join(d.k.versions.Dir, "next.json"))
	n := 0
	if last, next := d.run(wire.UpdateAnswer{}, func(b wire.UpdateBeat) bool { n++; return n > 100 }); next || last.Stage != wire.UpdateNone {
		t.Errorf("an old stick: it says %+v, and starts something: %t", last, next)
	}
}

func TestWithoutALauncherNothingIsDone(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	d := newDoor(t, r)
	d.o.Launcher = ""
	n := 0
	if last, next := d.run(served(t, r, "1.1.0"), func(wire.UpdateBeat) bool { n++; return n > 20 }); next || last.Stage != wire.UpdateNone || last.Arch != "arm64" {
		t.Errorf("it says %+v, and starts something: %t", last, next)
	}
}

func TestWhatChangedIsNewsUntilItIsAnswered(t *testing.T) {
	r := newRepo(t)
	d := newDoor(t, r)
	u := update.New(d.o)
	var b wire.Beat
	if u.Fill(&b); !u.News() {
		t.Error("nothing was said yet, and that is no news")
	}
	u.Answered(&wire.BeatAnswer{})
	if u.News() {
		t.Error("what was answered is news")
	}
}

func TestTheQuietestHour(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traffic.json")
	tr := update.OpenTraffic(path)
	if got := tr.Quietest(); got != 3 {
		t.Errorf("before anything is known: %d, want 3", got)
	}
	count := func(tr *update.Traffic, people func(hour int) uint64) {
		for d := range 10 {
			for h := range 24 {
				tr.Add(time.Date(2026, 11, 1+d, h, 30, 0, 0, time.UTC), people(h))
			}
		}
	}
	// A market by day; a hospital that is quietest at noon; a club at night.
	market, hospital, club := *tr, *tr, *tr
	count(&market, func(h int) uint64 { return map[bool]uint64{h >= 5 && h < 19: 50}[true] })
	count(&hospital, func(h int) uint64 { return map[bool]uint64{true: 2, false: 30}[h >= 11 && h <= 13] })
	count(&club, func(h int) uint64 { return map[bool]uint64{true: 90, false: 3}[h >= 21 || h < 6] })
	if got := []int{market.Quietest(), hospital.Quietest(), club.Quietest()}; got[0] > 4 && got[0] < 20 || got[1] != 12 || got[2] < 7 || got[2] > 19 {
		t.Errorf("quietest hours = %d", got)
	}
	if err := club.Write(); err != nil {
		t.Fatal(err)
	}
	if got := update.OpenTraffic(path).Quietest(); got != club.Quietest() {
		t.Errorf("read again: %d, want %d", got, club.Quietest())
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := update.OpenTraffic(path).Quietest(); got != 3 {
		t.Errorf("damaged: %d, want 3", got)
	}
	// A ledger that began again at 1 was once taken for that many people.
	club.Add(time.Date(2026, 11, 20, 11, 30, 0, 0, time.UTC), math.MaxUint64-90)
	if err := club.Write(); err != nil {
		t.Fatal(err)
	}
	if got := update.OpenTraffic(path).Quietest(); got != 3 {
		t.Errorf("counts that cannot be true: %d, want 3", got)
	}
}
