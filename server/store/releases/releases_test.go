package releases_test

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	rollouts "github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/server/store/releases"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

type world struct {
	*releases.Releases
	t   *testing.T
	s   *store.Store
	now time.Time
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)}
			now := func() time.Time { return w.now }
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.Releases = s, releases.New(s, now)
			for _, id := range []string{"gate-0001", "gate-0002"} {
				if err := s.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Nhà thi đấu", PlaceNo: 5, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: w.now}); err != nil {
					t.Fatal(err)
				}
			}
			test(t, w)
		})
	}
}

func (w *world) publish(versions ...string) {
	w.t.Helper()
	var all []rollouts.Release
	for _, v := range versions {
		all = append(all, rollouts.Release{Version: v, Arches: []string{"amd64", "arm64"}, Note: "Bản " + v})
	}
	if err := w.Publish(w.t.Context(), "", all); err != nil {
		w.t.Fatal(err)
	}
}

func want(version string) rollouts.Rollout {
	return rollouts.Rollout{Version: version, Stages: []int{5, 50, 100}, Hold: 24 * time.Hour, Errors: 5, AtOnce: true, Pilots: []string{"gate-0001", "gate-0002"}}
}

func (w *world) audits(action string) (n int) {
	w.t.Helper()
	if err := w.s.Read(w.t.Context(), func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM audit WHERE action = ?", action); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestReleasesComeAndGo(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.publish("1.4.0", "1.10.0")
		w.now = w.now.Add(time.Hour)
		w.publish("1.4.0", "1.10.0")
		all, err := w.Published(t.Context())
		if err != nil || len(all) != 2 || all[0].Version != "1.10.0" || !all[0].Published.Equal(w.now.Add(-time.Hour)) || len(all[0].Arches) != 2 {
			t.Errorf("published = %+v, %v", all, err)
		}
		if _, err := w.Begin(t.Context(), "", want("1.4.0")); err != nil {
			t.Fatal(err)
		}
		w.publish("1.10.0")
		all, err = w.Published(t.Context())
		if err != nil || len(all) != 2 || all[1].Withdrawn.IsZero() || !all[0].Withdrawn.IsZero() {
			t.Errorf("after 1.4.0 was withdrawn: %+v, %v", all, err)
		}
		if got, err := w.Rollouts(t.Context()); err != nil || got[0].State != rollouts.Stopped {
			t.Errorf("its roll-out: %+v, %v, want it stopped", got, err)
		}
		if _, err := w.Begin(t.Context(), "", want("1.4.0")); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Begin of what was withdrawn = %v", err)
		}
		if p, d := w.audits("publish release"), w.audits("withdraw release"); p != 2 || d != 1 {
			t.Errorf("%d and %d audit rows, want 2 and 1", p, d)
		}
	})
}

func TestARolloutIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.publish("1.4.0", "1.5.0")
		r, err := w.Begin(t.Context(), "binh", want("1.4.0"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Rollouts(t.Context())
		if err != nil || len(got) != 1 {
			t.Fatalf("Rollouts = %+v, %v", got, err)
		}
		if d := cmp.Diff(r, got[0], cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
			t.Errorf("kept (-want +got):\n%s", d)
		}
		if _, err := w.Begin(t.Context(), "binh", want("1.4.0")); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second time = %v, want ErrConflict", err)
		}
		if err := w.Change(t.Context(), "binh", got[0], rollouts.Paused); err != nil {
			t.Fatal(err)
		}
		if err := w.Change(t.Context(), "chi", got[0], rollouts.Stopped); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("who had not seen that = %v, want ErrConflict", err)
		}
		paused, _ := w.Rollouts(t.Context())
		if err := w.Ahead(t.Context(), "binh", paused[0]); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("Ahead while it is paused = %v", err)
		}
		w.now = w.now.Add(time.Hour)
		if err := w.Change(t.Context(), "binh", paused[0], rollouts.Running); err != nil {
			t.Fatal(err)
		}
		again, _ := w.Rollouts(t.Context())
		if !again[0].Moved.Equal(w.now) || !again[0].Begun.Equal(r.Begun) {
			t.Errorf("resumed: %+v", again[0])
		}
		if err := w.Ahead(t.Context(), "binh", again[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Begin(t.Context(), "binh", want("1.5.0")); err != nil {
			t.Fatal(err)
		}
		all, err := w.Rollouts(t.Context())
		if err != nil || len(all) != 2 || all[0].Version != "1.5.0" || all[1].State != rollouts.Stopped || all[1].Reason != rollouts.ByNewer || all[1].Stage != 1 {
			t.Errorf("with a newer one: %+v, %v", all, err)
		}
		if b, c := w.audits("begin roll-out"), w.audits("change roll-out"); b != 2 || c != 3 {
			t.Errorf("%d and %d audit rows, want 2 and 3", b, c)
		}
		for _, bad := range []rollouts.Rollout{{}, {Version: "1.5.0", Errors: 5}, {Version: "1.5.0", Stages: []int{50}, Errors: 5}, {Version: "1.5.0", Stages: []int{50, 20, 100}, Errors: 5},
			{Version: "x", Stages: []int{100}, Errors: 5}, {Version: "1.5.0", Stages: []int{100}}, {Version: "1.5.0", Stages: []int{100}, Errors: 5, Hold: -1},
			{Version: "1.5.0", Stages: []int{0, 100}, Errors: 5}, {Version: "1.5.0", Stages: []int{100}, Errors: 5, Pilots: []string{"../x"}}} {
			if _, err := w.Begin(t.Context(), "", bad); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("Begin(%+v) = %v, want ErrInvalid", bad, err)
			}
		}
	})
}

// A roll-out for a group keeps it, and a server that knows of no groups reads that it is
// for nobody.
func TestARolloutForAGroupIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.publish("1.4.0")
		groups := configs.New(w.s, func() time.Time { return w.now })
		one := want("1.4.0")
		one.Group = 1
		if _, err := w.Begin(t.Context(), "binh", one); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Begin for no group = %v, want ErrNotFound", err)
		}
		id, err := groups.AddGroup(t.Context(), "Bệnh viện", "binh")
		if err == nil {
			err = groups.Join(t.Context(), id, []string{"gate-0002"}, "binh")
		}
		if err != nil {
			t.Fatal(err)
		}
		one.Group = id
		if _, err := w.Begin(t.Context(), "binh", one); err != nil {
			t.Fatal(err)
		}
		got, err := w.Rollouts(t.Context())
		if err != nil || len(got) != 1 || got[0].Group != id || len(got[0].Stages) != 3 {
			t.Fatalf("Rollouts = %+v, %v", got, err)
		}
		if err := w.Ahead(t.Context(), "binh", got[0]); err != nil {
			t.Fatal(err)
		}
		if got, err = w.Rollouts(t.Context()); err != nil || got[0].Share() != 50 {
			t.Errorf("the next stage is %+v, %v", got, err)
		}
		if got[0].Hold != 24*time.Hour {
			t.Errorf("a stage lasts %v, want a day", got[0].Hold)
		}
		if groups, err := w.Groups(t.Context()); err != nil || len(groups) != 1 || groups["gate-0002"] != id {
			t.Errorf("Groups = %v, %v", groups, err)
		}
		// What a server of the version before reads, and makes of it when the pilots have it.
		var stages string
		var hold int64
		if err := w.s.Read(t.Context(), func(r *sql.Rows) error { return r.Scan(&stages, &hold) }, "SELECT stages, hold FROM rollouts"); err != nil || stages != "0" {
			t.Errorf("a server of the version before reads the stages %q, %v", stages, err)
		}
		old := got[0]
		old.Group, old.Stages, old.Stage, old.Hold = 0, []int{0}, 0, time.Duration(hold)*time.Minute
		if next := old.Step(rollouts.Figures{rollouts.Has: 2}, w.now.AddDate(10, 0, 0)); next.State != rollouts.Running || next.Stage != 0 {
			t.Errorf("a server of the version before makes of it: %+v", next)
		}
		kiosks, err := w.Kiosks(t.Context())
		if err != nil || len(kiosks) != 2 || kiosks[0].Group != 0 || kiosks[1].Group != id {
			t.Errorf("Kiosks = %+v, %v", kiosks, err)
		}
	})
}

func TestWhatKiosksTellIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		told := rollouts.Kiosk{
			ID: "gate-0001", Running: "1.3.0", Launcher: "1.0.0", Arch: "arm64", Stage: wire.UpdateReturned, Version: "1.4.0", Reason: release.Crashed, Loaded: 100,
			Since: w.now, Wanted: "1.4.0", Asked: w.now.Add(-time.Minute), Contact: w.now.Add(time.Minute),
		}
		unknown := told
		unknown.ID = "nobody-01"
		for range 2 {
			if err := w.Save(t.Context(), []rollouts.Kiosk{told, unknown}); err != nil {
				t.Fatal(err)
			}
		}
		told.Place = "Nhà thi đấu"
		want := []rollouts.Kiosk{told, {ID: "gate-0002", Place: "Nhà thi đấu"}}
		got, err := w.Kiosks(t.Context())
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); err != nil || d != "" {
			t.Errorf("Kiosks: %v (-want +got):\n%s", err, d)
		}
	})
}
