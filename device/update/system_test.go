package update_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/release"
)

const machine = "system-arm64-lamps"

// TestASystemIsWishedForAndVerifiedAgain brings a system on a stick: the door fetches it
// and wishes for it, and the keeper judges what the door holds by its own root alone.
func TestASystemIsWishedForAndVerifiedAgain(t *testing.T) {
	r := newRepo(t)
	r.releaseAs(release.Name("1.1.0", machine), release.About{Product: release.Product, Version: "1.1.0", Arch: machine}, program(7))
	stick, dir, kept, root := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "release-root.json")
	if err := os.CopyFS(filepath.Join(stick, "a", "qrgate-update"), r.files); err != nil {
		t.Fatal(err)
	}
	var works atomic.Bool
	s := update.NewSystem(update.SystemOptions{
		Dir: dir, State: kept, Machine: machine, Running: "1.0.0", Boot: "this start", Program: "1.0.0", Root: root, Sticks: filepath.Join(stick, "*", "qrgate-update"),
		Floor: func() time.Time { return start }, Quiet: func() bool { return false }, Still: func() bool { return true }, Healthy: works.Load, Every: time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wished := func(what string, is func(system.Wish) bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !is(system.ReadWish(dir)); {
			if time.Now().After(end) {
				t.Fatalf("%s: wish %+v", what, system.ReadWish(dir))
			}
		}
	}
	// The root may come after the stick.
	works.Store(true)
	wished("the door works, without a root", func(w system.Wish) bool { return w.Healthy == "this start" && w.Install == "" })
	if err := durable.Replace(root, r.content("1.root.json")); err != nil {
		t.Fatal(err)
	}
	wished("a system on a stick", func(w system.Wish) bool { return w.Install == "1.1.0" && !w.Start })

	keeper := update.NewClient(launcher.Versions{Dir: kept}, r.content("1.root.json"), machine)
	ask := update.Ask{Version: "1.1.0", Running: "1.0.0"}
	f, err := keeper.Find(t.Context(), update.Held(filepath.Join(dir, "trust.json")), ask)
	if err != nil {
		t.Fatalf("Find in what the door holds: %v", err)
	}
	if got, err := os.ReadFile((launcher.Versions{Dir: dir}).File("1.1.0")); err != nil || !bytes.Equal(got, program(7)) || f.Sum.Length != int64(len(got)) {
		t.Errorf("fetched %d bytes, %v, signed are %d", len(got), err, f.Sum.Length)
	}
	// Another root's signatures are nothing to it, whatever the door has verified.
	strange := update.NewClient(launcher.Versions{Dir: t.TempDir()}, []byte(`{"signed":{},"signatures":[]}`), machine)
	if _, err := strange.Find(t.Context(), update.Held(filepath.Join(dir, "trust.json")), ask); err == nil {
		t.Error("a root that signs nothing is enough")
	}

	if err := os.WriteFile(filepath.Join(kept, "state.json"), []byte(`{"ready":"1.1.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	wished("it is ready", func(w system.Wish) bool { return w.Start })
}

// A stick that brought nothing does not take the quiet hour from what the server has.
func TestAStickSeenBeforeDoesNotHurryTheServersSystem(t *testing.T) {
	r := newRepo(t)
	stick, dir, kept, root := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "release-root.json")
	if err := errors.Join(os.CopyFS(filepath.Join(stick, "a", "qrgate-update"), r.files), durable.Replace(root, r.content("1.root.json"))); err != nil {
		t.Fatal(err)
	}
	r.releaseAs(release.Name("1.1.0", machine), release.About{Product: release.Product, Version: "1.1.0", Arch: machine}, program(7))
	var quiet atomic.Bool
	var asked atomic.Int32
	quiet.Store(true)
	s := update.NewSystem(update.SystemOptions{
		Dir: dir, State: kept, Machine: machine, Running: "1.0.0", Boot: "this start", Program: "1.1.0", Root: root, Sticks: filepath.Join(stick, "*", "qrgate-update"),
		Site: r.address(), Floor: func() time.Time { return start }, Quiet: quiet.Load, Healthy: func() bool { return true }, Every: time.Millisecond,
		Still: func() bool { asked.Add(1); return true }, // only of a system that is ready
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !is(); {
			if time.Now().After(end) {
				t.Fatalf("%s: wish %+v", what, system.ReadWish(dir))
			}
		}
	}
	until("the server's system", func() bool { return system.ReadWish(dir).Install == "1.1.0" })
	quiet.Store(false)
	if err := os.WriteFile(filepath.Join(kept, "state.json"), []byte(`{"ready":"1.1.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	until("it is ready", func() bool { return asked.Load() > 2 })
	if w := system.ReadWish(dir); w.Start {
		t.Errorf("wish %+v while people come, want no start", w)
	}
	quiet.Store(true)
	until("the quiet hour", func() bool { return system.ReadWish(dir).Start })
}
