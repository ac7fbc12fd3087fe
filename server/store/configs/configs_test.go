package configs_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	kept "github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

var today = time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)

// A world is a database with three kiosks, two of them at place 5.
type world struct {
	*kept.Configs
	t   *testing.T
	s   *store.Store
	dsn string
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, dsn: e.dsn(t)}
			w.s = w.open()
			w.Configs = kept.New(w.s, func() time.Time { return today })
			for i, no := range []uint32{5, 5, 0} {
				id := fmt.Sprintf("gate-%04d", i+1)
				w.must(w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ Đông Ba", PlaceNo: no, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: today}))
			}
			test(t, w)
		})
	}
}

func (w *world) open() *store.Store {
	s, err := store.Open(w.t.Context(), w.dsn, store.Options{Now: func() time.Time { return today }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) save(id configs.LayerID, base int, pairs ...string) {
	w.t.Helper()
	_, err := w.Save(w.t.Context(), kept.Change{Layer: id, Base: base, Settings: settings(pairs...), Why: "vì thế", By: "hoa"})
	w.must(err)
}

func settings(pairs ...string) configs.Settings {
	s := configs.Settings{}
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = pairs[i+1]
	}
	return s
}

// refresh returns the newest documents as "kiosk version gate direction help line".
func (w *world) refresh() string {
	w.t.Helper()
	docs, err := w.Refresh(w.t.Context())
	w.must(err)
	var lines []string
	for _, d := range docs {
		lines = append(lines, fmt.Sprintf("%s %d %s %s %s", d.Kiosk, d.Version, d.Body.Door.Gate, d.Body.Door.Direction, d.Body.Door.HelpLine))
	}
	return strings.Join(lines, "\n")
}

func (w *world) want(got string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), got); diff != "" {
		w.t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDocumentsFollowTheLayers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.want(w.refresh()) // of nobody was said where it stands
		w.save(configs.Kiosk("gate-0001"), 0, "door.gate", "A1", "door.direction", "in")
		w.save(configs.Kiosk("gate-0003"), 0, "door.gate", "C1", "door.direction", "out")
		w.want(w.refresh(), "gate-0001 1 A1 in ", "gate-0003 1 C1 out ")
		w.want(w.refresh(), "gate-0001 1 A1 in ", "gate-0003 1 C1 out ")
		w.save(configs.Everywhere, 0, "door.help_line", "19001075")
		w.save(configs.Place(5), 0, "door.help_line", "0234 3822 999")
		w.want(w.refresh(), "gate-0001 2 A1 in 0234 3822 999", "gate-0003 2 C1 out 19001075")

		group, err := w.AddGroup(t.Context(), "Bệnh viện", "hoa")
		w.must(err)
		w.must(w.Join(t.Context(), group, []string{"gate-0003"}, "hoa"))
		w.save(configs.Group(group), 0, "door.help_line", "115")
		w.want(w.refresh(), "gate-0001 2 A1 in 0234 3822 999", "gate-0003 3 C1 out 115")
		w.must(w.Join(t.Context(), 0, []string{"gate-0003"}, "hoa"))
		w.want(w.refresh(), "gate-0001 2 A1 in 0234 3822 999", "gate-0003 4 C1 out 19001075")

		// It moves to the place: what is said there counts.
		w.must(w.s.MoveKiosk(t.Context(), "gate-0003", store.Where{Name: "Chợ Đông Ba", No: 5}))
		w.want(w.refresh(), "gate-0001 2 A1 in 0234 3822 999", "gate-0003 5 C1 out 0234 3822 999")
		w.must(w.s.RevokeKiosk(t.Context(), "gate-0003"))
		w.want(w.refresh(), "gate-0001 2 A1 in 0234 3822 999")

		old, err := w.Document(t.Context(), "gate-0001", 1)
		if err != nil || old.Body.Door.HelpLine != "" || old.Body.Door.Place != "Chợ Đông Ba" {
			t.Errorf("Document(1) = %+v, %v", old, err)
		}
		if _, err := w.Document(t.Context(), "gate-0002", 0); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("document of a kiosk without one: %v", err)
		}
	})
}

// What cannot be run with never becomes a document: the one before stays.
func TestWhatCannotBeRunWithIsNoDocument(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.save(configs.Kiosk("gate-0001"), 0, "door.gate", "A1", "door.direction", "out")
		w.want(w.refresh(), "gate-0001 1 A1 out ")
		w.save(configs.Everywhere, 0, "door.on_fault", "refuse", "door.help_line", "115")
		w.want(w.refresh(), "gate-0001 1 A1 out ")
		w.save(configs.Kiosk("gate-0001"), 1, "door.gate", "A1", "door.direction", "in")
		w.want(w.refresh(), "gate-0001 2 A1 in 115")
	})
}

func TestVersionsOfALayer(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		id := configs.Kiosk("gate-0001")
		v, err := w.Version(t.Context(), id, 0)
		if err != nil || v.No != 0 || len(v.Settings) != 0 {
			t.Errorf("a layer of which nothing is said: %+v, %v", v, err)
		}
		w.save(id, 0, "door.gate", "A1", "later.setting", "x")
		w.save(id, 1, "door.gate", "B2", "later.setting", "x", "sound.volume", "")
		_, err = w.Save(t.Context(), kept.Change{Layer: id, Base: 1, Settings: settings("door.gate", "C3")})
		if !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Save over a version that was not seen = %v, want ErrConflict", err)
		}
		for name, ch := range map[string]kept.Change{
			"a reason that is no text": {Layer: id, Base: 2, Why: "\xff"},
			"a long reason":            {Layer: id, Base: 2, Why: strings.Repeat("x", kept.MaxWhy+1)},
			"no layer":                 {Base: 2},
		} {
			if _, err := w.Save(t.Context(), ch); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("%s: Save = %v, want ErrInvalid", name, err)
			}
		}
		all, err := w.Versions(t.Context(), id)
		w.must(err)
		if len(all) < 2 || all[len(all)-1].Settings["door.gate"] != "A1" || all[len(all)-1].Settings["later.setting"] != "x" || !all[0].Made.Equal(today) {
			t.Errorf("Versions = %+v", all)
		}
		first, err := w.Version(t.Context(), id, 1)
		if err != nil || first.Settings["door.gate"] != "A1" || first.Why != "vì thế" {
			t.Errorf("Version(1) = %+v, %v", first, err)
		}
		if _, err := w.Version(t.Context(), id, 99); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Version(99) = %v, want ErrNotFound", err)
		}
	})
}

func TestAgainIsANewVersionOfTheSame(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		if err := w.Again(t.Context(), "gate-0001", "hoa"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Again without a document = %v", err)
		}
		w.save(configs.Kiosk("gate-0001"), 0, "door.gate", "A1", "door.direction", "in")
		w.refresh()
		before, err := w.Mark(t.Context())
		w.must(err)
		w.must(w.Again(t.Context(), "gate-0001", "hoa"))
		if after, err := w.Mark(t.Context()); err != nil || after == before {
			t.Errorf("Mark = %v, %v: as before", after, err)
		}
		w.want(w.refresh(), "gate-0001 2 A1 in ")
	})
}

func TestGroups(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		a, err := w.AddGroup(t.Context(), "Chợ", "hoa")
		w.must(err)
		_, err = w.AddGroup(t.Context(), "Bệnh viện", "hoa")
		w.must(err)
		if _, err := w.AddGroup(t.Context(), "Chợ", "hoa"); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second group of the same name: %v", err)
		}
		w.must(w.Join(t.Context(), a, []string{"gate-0002"}, "hoa"))
		if err := w.Join(t.Context(), 77, []string{"gate-0002"}, "hoa"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Join of no group: %v", err)
		}
		if err := w.Join(t.Context(), a, []string{"gate-9999"}, "hoa"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Join of no kiosk: %v", err)
		}
		groups, err := w.Groups(t.Context())
		if diff := cmp.Diff([]kept.Group{{ID: 2, Name: "Bệnh viện"}, {ID: a, Name: "Chợ", Kiosks: 1}}, groups); diff != "" || err != nil {
			t.Errorf("Groups (-want +got), %v:\n%s", err, diff)
		}
	})
}

// Servers on one database make each version once, of what counts.
func TestServersMakeOneVersion(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		other := kept.New(w.open(), func() time.Time { return today })
		id := configs.Kiosk("gate-0001")
		var tasks sync.WaitGroup
		for _, c := range []*kept.Configs{w.Configs, other} {
			tasks.Go(func() {
				for range 10 {
					if _, err := c.Refresh(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 5 {
			w.save(id, i, "door.gate", fmt.Sprint("A", i), "door.direction", "in")
		}
		tasks.Wait()
		got := w.refresh()
		if !strings.Contains(got, " A4 ") {
			t.Errorf("newest document %q, want gate A4", got)
		}
		if docs, err := other.Documents(t.Context()); err != nil || docs["gate-0001"].Version > 5 || docs["gate-0001"].Body.Door.Gate != "A4" {
			t.Errorf("the other server has %+v, %v", docs, err)
		}
	})
}

// A kiosk that takes another one's place is what that one was, and can be enrolled
// again.
func TestBegin(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		begin := func(d kept.Door) {
			w.must(w.s.Write(t.Context(), func(tx store.Tx) error { return kept.Begin(tx, today, d, "hoa") }))
		}
		begin(kept.Door{Kiosk: "gate-0001", Gate: "A1", Lane: 2, Direction: wire.Out})
		group, err := w.AddGroup(t.Context(), "Chợ", "hoa")
		w.must(err)
		w.must(w.Join(t.Context(), group, []string{"gate-0001"}, "hoa"))
		w.save(configs.Kiosk("gate-0001"), 1, "door.gate", "A1", "door.lane", "2", "door.direction", "out", "door.help_line", "115")
		w.want(w.refresh(), "gate-0001 1 A1 out 115")
		begin(kept.Door{Kiosk: "gate-0003", Gate: "A1", Lane: 2, Direction: wire.Out, Replaces: "gate-0001"})
		w.want(w.refresh(), "gate-0001 1 A1 out 115", "gate-0003 1 A1 out 115")
		begin(kept.Door{Kiosk: "gate-0003", Gate: "B2", Lane: 2, Direction: wire.In})
		w.want(w.refresh(), "gate-0001 1 A1 out 115", "gate-0003 2 B2 in 115")
		if k, err := w.Kiosk(t.Context(), "gate-0003"); err != nil || k.Group != group {
			t.Errorf("the new kiosk is in group %d, %v", k.Group, err)
		}
	})
}

func TestStates(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		b := &wire.Beat{V: 1, Config: &wire.ConfigBeat{Wanted: wire.Stamp{Generation: 1, Version: 2}, Fault: wire.ConfigWiring}}
		w.must(w.s.SavePresences(t.Context(), []store.Presence{{Kiosk: "gate-0002", Beat: b, Contact: today, Online: &wire.Online{V: 1, Up: true, Session: 1}, Changed: today}}))
		all, err := w.States(t.Context())
		w.must(err)
		one, err := w.State(t.Context(), "gate-0002")
		w.must(err)
		want := map[string]kept.State{"gate-0002": {Up: true, Contact: time.UnixMilli(today.UnixMilli()), Config: b.Config}}
		if diff := cmp.Diff(want, all); diff != "" || !cmp.Equal(one, want["gate-0002"]) {
			t.Errorf("States (-want +got):\n%s", diff)
		}
		if none, err := w.State(t.Context(), "gate-0001"); err != nil || none != (kept.State{}) {
			t.Errorf("State of a kiosk that never said anything = %+v, %v", none, err)
		}
	})
}
