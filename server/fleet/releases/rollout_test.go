package releases_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

var arm = []string{"arm64"}

func rollout(stages ...int) releases.Rollout {
	return releases.Rollout{No: 1, Version: "1.4.0", State: releases.Running, Stages: stages, Hold: time.Hour, Errors: 10, Begun: start, Moved: start, Changed: start}
}

func kiosks(n int) []releases.Kiosk {
	all := make([]releases.Kiosk, n)
	for i := range all {
		all[i] = releases.Kiosk{ID: fmt.Sprintf("gate-%04d", i), Running: "1.3.0", Launcher: "1.0.0", Arch: "arm64", Since: start, Contact: start}
	}
	return all
}

func TestStagesGrow(t *testing.T) {
	all := kiosks(2000)
	r := rollout(2, 10, 30, 100)
	before := map[string]bool{}
	for stage, share := range r.Stages {
		r.Stage = stage
		n := 0
		for _, k := range all {
			switch {
			case r.Holds(k):
				before[k.ID] = true
				n++
			case before[k.ID]:
				t.Fatalf("%s was in an earlier stage than %d", k.ID, stage)
			}
		}
		if got := n * 100 / len(all); got < share-2 || got > share+2 {
			t.Errorf("stage of %d %% has %d of %d", share, n, len(all))
		}
	}
	// Pilots are in every stage, and may have one of their own.
	r = rollout(0, 100)
	r.Pilots = []string{"gate-0007"}
	for _, k := range all {
		if got := r.Holds(k); got != (k.ID == "gate-0007") {
			t.Errorf("%s is in the pilots' stage: %t", k.ID, got)
		}
	}
	// Another version begins with other kiosks.
	same := 0
	a, b := rollout(10, 100), rollout(10, 100)
	b.Version = "1.5.0"
	for _, k := range all {
		if a.Holds(k) && b.Holds(k) {
			same++
		}
	}
	if same > 60 {
		t.Errorf("%d of 200 are first both times", same)
	}
}

// A roll-out for a group is for its kiosks and the pilots, in stages; others are neither
// told nor counted.
func TestARolloutForAGroup(t *testing.T) {
	all := kiosks(1000)
	for i := range all {
		all[i].Group = int64(i % 2)
	}
	r := rollout(0, 10, 100)
	r.Group, r.Pilots = 1, []string{"gate-0002"}
	listed := []releases.Release{{Version: r.Version, Arches: arm}}
	for stage, want := range []int{1, 51, 501} {
		r.Stage = stage
		f, told := r.Count(all, arm, start), 0
		for _, k := range all {
			if version, _ := releases.Wants([]releases.Rollout{r}, listed, k); version != "" {
				if told++; k.Group != 1 && k.ID != "gate-0002" {
					t.Fatalf("stage %d: %s of another group is told", stage, k.ID)
				}
			}
		}
		if f[releases.Outside] != 499 || f.Of() != told || told < want*7/10 || told > want*13/10+1 {
			t.Errorf("stage %d: %d told, %+v; want about %d", stage, told, f, want)
		}
	}
	for i := range all {
		if r.For(all[i]) {
			all[i].Running = r.Version
		}
	}
	if next := r.Step(r.Count(all, arm, start), start.Add(2*time.Hour)); next.State != releases.Done {
		t.Errorf("when the whole group has it: %+v", next)
	}
}

func TestWhereAKioskIs(t *testing.T) {
	now := start.Add(2 * time.Hour)
	at := func(change func(k *releases.Kiosk)) releases.Kiosk {
		k := releases.Kiosk{ID: "gate-0001", Running: "1.3.0", Launcher: "1.0.0", Arch: "arm64", Since: start.Add(time.Minute), Contact: now}
		change(&k)
		return k
	}
	stage := func(s wire.UpdateStage) releases.Kiosk {
		return at(func(k *releases.Kiosk) { k.Stage, k.Version = s, "1.4.0" })
	}
	silent := func(k releases.Kiosk, after time.Duration) releases.Kiosk {
		k.Contact = k.Since.Add(after)
		return k
	}
	for _, tt := range []struct {
		name string
		k    releases.Kiosk
		want releases.Where
	}{
		{"told", stage(wire.UpdateNone), releases.Told},
		{"loading", stage(wire.UpdateLoading), releases.Loading},
		{"loaded", stage(wire.UpdateLoaded), releases.Loaded},
		{"trying", stage(wire.UpdateTrying), releases.Trying},
		{"returned", stage(wire.UpdateReturned), releases.Returned},
		{"refused", stage(wire.UpdateRefused), releases.Refused},
		{"refused another", at(func(k *releases.Kiosk) { k.Stage, k.Version = wire.UpdateRefused, "1.3.5" }), releases.Told},
		{"has", at(func(k *releases.Kiosk) { k.Running = "1.4.0" }), releases.Has},
		{"has a newer one", at(func(k *releases.Kiosk) { k.Running = "1.5.0" }), releases.Has},
		{"no launcher", at(func(k *releases.Kiosk) { k.Launcher = "" }), releases.Unable},
		{"another machine", at(func(k *releases.Kiosk) { k.Arch = "arm" }), releases.Unable},
		{"silent after trying", silent(stage(wire.UpdateTrying), 0), releases.Silent},
		{"silent after it has it", silent(at(func(k *releases.Kiosk) { k.Running = "1.4.0" }), time.Minute), releases.Silent},
		{"switched off later", silent(at(func(k *releases.Kiosk) { k.Running = "1.4.0" }), time.Hour), releases.Has},
		{"switched off before", silent(stage(wire.UpdateLoaded), time.Minute), releases.Loaded},
		{"had it before", silent(at(func(k *releases.Kiosk) { k.Running, k.Since = "1.4.0", start.Add(-time.Hour) }), 0), releases.Has},
	} {
		if got := rollout(100).Where(tt.k, arm, now); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := rollout(0, 100).Where(stage(wire.UpdateNone), arm, now); got != releases.Later {
		t.Errorf("of a later stage: %d", got)
	}
}

func figures(counts map[releases.Where]int) (f releases.Figures) {
	for w, n := range counts {
		f[w] = n
	}
	return f
}

func TestARolloutGoesOnAndStops(t *testing.T) {
	late := start.Add(2 * time.Hour)
	tests := []struct {
		name  string
		r     releases.Rollout
		f     map[releases.Where]int
		now   time.Time
		state releases.State
		stage int
	}{
		{"not long enough", rollout(10, 100), map[releases.Where]int{releases.Has: 10}, start.Add(time.Minute), releases.Running, 0},
		{"all have it", rollout(10, 100), map[releases.Where]int{releases.Has: 10}, late, releases.Running, 1},
		{"most have it", rollout(10, 100), map[releases.Where]int{releases.Has: 9, releases.Told: 1}, late, releases.Running, 1},
		{"too few have it", rollout(10, 100), map[releases.Where]int{releases.Has: 8, releases.Told: 2}, late, releases.Running, 0},
		{"the stage is for nobody", rollout(1, 100), map[releases.Where]int{releases.Later: 5}, late, releases.Running, 1},
		{"the first one returned", rollout(10, 100), map[releases.Where]int{releases.Returned: 1, releases.Told: 50}, start, releases.Stopped, 0},
		{"few returned", rollout(100), map[releases.Where]int{releases.Returned: 1, releases.Has: 50, releases.Told: 50}, start, releases.Running, 0},
		{"one in ten returned or fell silent", rollout(100), map[releases.Where]int{releases.Returned: 1, releases.Silent: 4, releases.Has: 45}, start, releases.Stopped, 0},
		{"last stage, not all", rollout(100), map[releases.Where]int{releases.Has: 99, releases.Told: 1}, late, releases.Running, 0},
		{"last stage, all", rollout(100), map[releases.Where]int{releases.Has: 99, releases.Returned: 1, releases.Unable: 3}, late, releases.Done, 0},
	}
	for _, tt := range tests {
		got := tt.r.Step(figures(tt.f), tt.now)
		if got.State != tt.state || got.Stage != tt.stage {
			t.Errorf("%s: %s, stage %d; want %s, %d", tt.name, got.State, got.Stage, tt.state, tt.stage)
		}
	}
	for _, s := range []releases.State{releases.Paused, releases.Stopped, releases.Done} {
		r := rollout(10, 100)
		r.State = s
		if got := r.Step(figures(map[releases.Where]int{releases.Returned: 5}), late); got.State != s || got.Stage != 0 {
			t.Errorf("%s goes on: %+v", s, got)
		}
	}
}

func TestWhatAKioskIsToRun(t *testing.T) {
	listed := []releases.Release{{Version: "1.5.0", Arches: arm}, {Version: "1.4.0", Arches: []string{"arm64", "amd64"}}}
	done, running, stopped := rollout(100), rollout(100), rollout(100)
	done.State = releases.Done
	running.Version, running.AtOnce = "1.5.0", true
	stopped.Version, stopped.State = "1.6.0", releases.Stopped
	all := []releases.Rollout{stopped, running, done}
	for _, tt := range []struct {
		runs, arch, want string
		now              bool
	}{
		{"1.3.0", "arm64", "1.5.0", true}, {"1.3.0", "amd64", "1.4.0", false}, {"1.3.0", "arm", "", false},
		{"1.5.0", "arm64", "", false}, {"1.9.0", "arm64", "", false}, {"dev", "arm64", "1.5.0", true},
	} {
		if got, now := releases.Wants(all, listed, releases.Kiosk{ID: "gate-0001", Running: tt.runs, Arch: tt.arch}); got != tt.want || now != tt.now {
			t.Errorf("a kiosk that runs %s on %s shall run %q, %t; want %q, %t", tt.runs, tt.arch, got, now, tt.want, tt.now)
		}
	}
	running.State = releases.Paused
	if got, _ := releases.Wants([]releases.Rollout{running}, listed, releases.Kiosk{ID: "gate-0001", Running: "1.3.0", Arch: "arm64"}); got != "" {
		t.Errorf("while it is paused: %q", got)
	}
}

// A keeper keeps in memory what package store/releases keeps in a database.
type keeper struct {
	mu       sync.Mutex
	rollouts []releases.Rollout
	kiosks   map[string]releases.Kiosk
	saves    int
	counts   int // how often all that kiosks run was read
}

func (k *keeper) Rollouts(context.Context) ([]releases.Rollout, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]releases.Rollout(nil), k.rollouts...), nil
}

func (k *keeper) Kiosks(context.Context) ([]releases.Kiosk, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counts++
	var all []releases.Kiosk
	for _, one := range k.kiosks {
		all = append(all, one)
	}
	return all, nil
}

func (k *keeper) Groups(context.Context) (map[string]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	groups := map[string]int64{}
	for id, one := range k.kiosks {
		if one.Group != 0 {
			groups[id] = one.Group
		}
	}
	return groups, nil
}

func (k *keeper) Save(_ context.Context, told []releases.Kiosk) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range told {
		k.kiosks[one.ID] = one
		k.saves++
	}
	return nil
}

func (k *keeper) Move(_ context.Context, from, to releases.Rollout) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.rollouts {
		if k.rollouts[i].No == from.No {
			k.rollouts[i] = to
		}
	}
	return nil
}

func TestABadVersionStopsByItself(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	k := &keeper{kiosks: map[string]releases.Kiosk{}, rollouts: []releases.Rollout{rollout(100)}}
	j := releases.NewJob(k, w.site(), "https://qr.example.vn/cap-nhat/", func() time.Time { return w.now }, slog.New(slog.DiscardHandler))
	j.Step(t.Context())
	beat := func(kiosk, runs string, u *wire.UpdateBeat) *wire.UpdateAnswer {
		u.Launcher, u.Arch = "1.0.0", "arm64"
		var a wire.BeatAnswer
		j.Heard(kiosk, &wire.Beat{Release: runs, Update: u}, &a)
		return a.Update
	}
	told := beat("gate-0001", "1.3.0", &wire.UpdateBeat{})
	if told == nil || *told != (wire.UpdateAnswer{Version: "1.4.0", URL: "https://qr.example.vn/cap-nhat/"}) {
		t.Fatalf("told %+v, want 1.4.0", told)
	}
	if a := beat("gate-0001", "1.3.0", &wire.UpdateBeat{Stage: wire.UpdateRefused, Version: "1.4.0", Reason: release.NoRoot}); a == nil || a.Root == (wire.Hash{}) {
		t.Errorf("a kiosk without a root is told %+v, want one", a)
	}
	if a := beat("gate-0001", "1.4.0", &wire.UpdateBeat{Reason: release.NoRoot}); a == nil || a.Root == (wire.Hash{}) || a.Version != "" {
		t.Errorf("a kiosk that has it and no root is told %+v, want a root", a)
	}
	if a := beat("gate-0001", "1.4.0", &wire.UpdateBeat{}); a != nil {
		t.Errorf("a kiosk that has it is told %+v", a)
	}
	var a wire.BeatAnswer
	if j.Heard("gate-0009", &wire.Beat{Release: "1.3.0"}, &a); a.Update != nil {
		t.Errorf("a kiosk without a launcher is told %+v", a.Update)
	}
	for range 3 { // nothing is written of what has not changed
		j.Step(t.Context())
		beat("gate-0001", "1.4.0", &wire.UpdateBeat{})
	}
	j.Step(t.Context())
	if k.saves != 2 {
		t.Errorf("%d rows were written, want 2", k.saves)
	}
	beat("gate-0002", "1.3.0", &wire.UpdateBeat{Stage: wire.UpdateReturned, Version: "1.4.0", Reason: release.Crashed})
	j.Step(t.Context())
	if got := k.rollouts[0]; got.State != releases.Stopped || got.Reason != releases.ByErrors {
		t.Errorf("the roll-out is %+v, want it stopped", got)
	}
	if a := beat("gate-0003", "1.3.0", &wire.UpdateBeat{}); a != nil {
		t.Errorf("after it stopped a kiosk is told %+v", a)
	}
}

// When a whole group has a version, kiosks that join it later get it too, and not
// everything that is known of every kiosk is read again and again for that.
func TestWhoJoinsAGroupLaterGetsItsVersion(t *testing.T) {
	w := newWorld(t)
	w.add("1.4.0")
	w.sign(0, 1)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	done := rollout(100)
	done.State, done.Group = releases.Done, 3
	k := &keeper{kiosks: map[string]releases.Kiosk{"gate-0001": {ID: "gate-0001", Group: 3}, "gate-0002": {ID: "gate-0002"}}, rollouts: []releases.Rollout{done}}
	j := releases.NewJob(k, w.site(), "https://qr.example.vn/cap-nhat/", func() time.Time { return w.now }, slog.New(slog.DiscardHandler))
	for range 3 {
		j.Step(t.Context())
	}
	for kiosk, want := range map[string]bool{"gate-0001": true, "gate-0002": false} {
		var a wire.BeatAnswer
		j.Heard(kiosk, &wire.Beat{Release: "1.3.0", Update: &wire.UpdateBeat{Launcher: "1.0.0", Arch: "arm64"}}, &a)
		if got := a.Update != nil; got != want {
			t.Errorf("%s is told: %t, want %t", kiosk, got, want)
		}
	}
	if k.counts != 0 {
		t.Errorf("all that kiosks run was read %d times, want 0", k.counts)
	}
}
