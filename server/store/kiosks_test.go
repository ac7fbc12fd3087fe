package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestAddKiosk(t *testing.T) {
	public := bytes.Repeat([]byte{7}, 32)
	good := qrgate.Kiosk{ID: "gate-0001", Place: "Chợ Đông Ba", Public: public, State: qrgate.KioskActive, Added: dawn}
	with := func(change func(*qrgate.Kiosk)) qrgate.Kiosk {
		k := good
		change(&k)
		return k
	}
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		tests := []struct {
			name  string
			kiosk qrgate.Kiosk
			err   error
		}{
			{"first", good, nil},
			{"again", good, qrgate.ErrConflict},
			{"same id elsewhere", with(func(k *qrgate.Kiosk) { k.Place = "An Cuu" }), qrgate.ErrConflict},
			{"second", with(func(k *qrgate.Kiosk) { k.ID = "gate-0002" }), nil},
			{"no id", with(func(k *qrgate.Kiosk) { k.ID = "" }), qrgate.ErrInvalid},
			{"wildcard", with(func(k *qrgate.Kiosk) { k.ID = "gate/+/00" }), qrgate.ErrInvalid},
			{"no place", with(func(k *qrgate.Kiosk) { k.Place = "" }), qrgate.ErrInvalid},
			{"zero byte", with(func(k *qrgate.Kiosk) { k.ID, k.Place = "gate-0003", "a\x00b" }), qrgate.ErrInvalid},
			{"no UTF-8", with(func(k *qrgate.Kiosk) { k.ID, k.Place = "gate-0003", "a\xffb" }), qrgate.ErrInvalid},
			{"short key", with(func(k *qrgate.Kiosk) { k.Public = public[:31] }), qrgate.ErrInvalid},
			{"revoked", with(func(k *qrgate.Kiosk) { k.State = qrgate.KioskRevoked }), qrgate.ErrInvalid},
		}
		for _, tt := range tests {
			if err := s.AddKiosk(ctx, tt.kiosk); !errors.Is(err, tt.err) {
				t.Errorf("%s: AddKiosk(%+v) = %v, want %v", tt.name, tt.kiosk, err, tt.err)
			}
		}
		got, err := s.Kiosk(ctx, good.ID)
		if diff := cmp.Diff(good, got); diff != "" || err != nil {
			t.Errorf("Kiosk(%q) error %v (-want +got):\n%s", good.ID, err, diff)
		}
		if _, err := s.Kiosk(ctx, "gate-0009"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Kiosk of an unknown id = %v, want %v", err, qrgate.ErrNotFound)
		}
		all, err := s.Kiosks(ctx)
		if err != nil || len(all) != 2 || all[0].ID != "gate-0001" || all[1].ID != "gate-0002" {
			t.Errorf("Kiosks() = %+v, %v, want gate-0001 and gate-0002", all, err)
		}
	})
}

func TestAddKioskAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		var tasks errgroup.Group
		for i := range 20 {
			tasks.Go(func() error {
				// Each id comes from both servers.
				err := stores[i%2].AddKiosk(context.Background(), qrgate.Kiosk{
					ID: fmt.Sprintf("gate-%04d", i/2), Place: "x", Public: make([]byte, 32), State: qrgate.KioskActive, Added: dawn})
				if errors.Is(err, qrgate.ErrConflict) {
					return nil
				}
				return err
			})
		}
		if err := tasks.Wait(); err != nil {
			t.Error(err)
		}
		all, err := stores[0].Kiosks(context.Background())
		if err != nil || len(all) != 10 {
			t.Errorf("Kiosks() = %d kiosks, %v, want 10", len(all), err)
		}
	})
}

func TestRevokeKiosk(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s, other := open(t, dsn), open(t, dsn)
		ctx := context.Background()
		k := addKiosk(t, s, "gate-0001")
		k.scan(dawn)
		intake(t, s, dawn, k.all())
		revoked := func(want bool) {
			t.Helper()
			inBook(t, s, k.id, func(_ *store.Intake, b *store.Book) {
				if b.Revoked != want {
					t.Errorf("Book.Revoked = %v, want %v", b.Revoked, want)
				}
			})
		}
		revoked(false)
		for range 2 {
			if err := other.RevokeKiosk(ctx, k.id); err != nil {
				t.Errorf("RevokeKiosk(%q) = %v", k.id, err)
			}
		}
		revoked(true)
		if got, err := s.Kiosk(ctx, k.id); err != nil || got.State != qrgate.KioskRevoked {
			t.Errorf("Kiosk(%q) = %v, %v, want it revoked", k.id, got.State, err)
		}
		if err := s.RevokeKiosk(ctx, "gate-0009"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("RevokeKiosk of an unknown id = %v, want %v", err, qrgate.ErrNotFound)
		}
		if err := s.AddKiosk(ctx, qrgate.Kiosk{ID: k.id, Place: "x", Public: make([]byte, 32), State: qrgate.KioskActive}); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("AddKiosk of a revoked id = %v, want %v", err, qrgate.ErrConflict)
		}
		var audited []string
		rows, err := raw(t, dsn).Query("SELECT action, object FROM audit ORDER BY at, action")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var action, object string
			if err := rows.Scan(&action, &object); err != nil {
				t.Fatal(err)
			}
			audited = append(audited, action+" "+object)
		}
		want := []string{"add kiosk gate-0001", "revoke kiosk gate-0001", "revoke kiosk gate-0001"}
		if diff := cmp.Diff(want, audited); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestSavePresences(t *testing.T) {
	at := func(minute int) time.Time { return dawn.Add(time.Duration(minute) * time.Minute) }
	online := func(up bool, session uint64) *wire.Online {
		return &wire.Online{V: wire.Version, Up: up, Session: session}
	}
	beat := func(queued uint64) *wire.Beat {
		return &wire.Beat{V: wire.Version, Release: "v1", Queued: queued, Scanners: []wire.ScannerBeat{{Name: "usb", Present: true}}}
	}
	type state struct {
		Up      bool
		Changed int // minute, -1 for never
		Contact int
		Queued  uint64
	}
	steps := []struct {
		name string
		save store.Presence
		want state
	}{
		{"beat before any status", store.Presence{Beat: beat(3), Contact: at(1)}, state{false, -1, 1, 3}},
		{"up", store.Presence{Online: online(true, 7), Changed: at(2)}, state{true, 2, 1, 3}},
		{"up again keeps the time", store.Presence{Online: online(true, 7), Changed: at(3)}, state{true, 2, 1, 3}},
		{"late will of an older session", store.Presence{Online: online(false, 6), Changed: at(4)}, state{true, 2, 1, 3}},
		{"newer session", store.Presence{Online: online(true, 8), Changed: at(5)}, state{true, 2, 1, 3}},
		{"late will of the session before", store.Presence{Online: online(false, 7), Changed: at(6)}, state{true, 2, 1, 3}},
		{"its own will", store.Presence{Online: online(false, 8), Changed: at(7)}, state{false, 7, 1, 3}},
		{"both", store.Presence{Online: online(true, 9), Changed: at(8), Beat: beat(4), Contact: at(8)}, state{true, 8, 8, 4}},
		{"older beat", store.Presence{Beat: beat(9), Contact: at(7)}, state{true, 8, 8, 4}},
		{"nothing", store.Presence{}, state{true, 8, 8, 4}},
	}
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		k := addKiosk(t, s, "gate-0001")
		other := addKiosk(t, s, "gate-0002")
		for _, step := range steps {
			step.save.Kiosk = k.id
			unknown := store.Presence{Kiosk: "gate-0009", Online: online(true, 1), Changed: at(1)}
			if err := s.SavePresences(ctx, []store.Presence{unknown, step.save}); err != nil {
				t.Fatalf("%s: SavePresences() = %v", step.name, err)
			}
			st := status(t, s, k.id)
			minute := func(at time.Time) int {
				if at.IsZero() {
					return -1
				}
				return int(at.Sub(dawn) / time.Minute)
			}
			got := state{Up: st.Up, Changed: minute(st.Changed), Contact: minute(st.Contact)}
			if st.Beat != nil {
				got.Queued = st.Beat.Queued
			}
			if got != step.want {
				t.Errorf("%s: Kiosks() says %+v, want %+v", step.name, got, step.want)
			}
		}
		st := status(t, s, k.id)
		if diff := cmp.Diff(beat(4), st.Beat); diff != "" {
			t.Errorf("beat (-want +got):\n%s", diff)
		}
		if st := status(t, s, other.id); st.Up || st.Beat != nil || !st.Changed.IsZero() || !st.Contact.IsZero() {
			t.Errorf("a kiosk that was never heard of: %+v", st)
		}
		if err := s.SavePresences(ctx, nil); err != nil {
			t.Errorf("SavePresences(nil) = %v", err)
		}
	})
}

func TestKiosksCount(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k, other := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002")
		if st := status(t, s, k.id); st.Checkins != 0 || st.Late != 0 || !st.Received.IsZero() {
			t.Errorf("new kiosk: %+v", st)
		}
		k.scans(dawn, 10)
		other.scans(dawn, 3)
		intake(t, s, dawn.Add(time.Minute), k.batch(k.id, 1, 4), other.all())
		intake(t, s, dawn.Add(2*time.Minute), k.all())
		k.carry(dawn.Add(time.Hour), wire.OpenedSalvage, 8) // all of it is here already
		k.scans(dawn.Add(time.Hour), 5)
		intake(t, s, dawn.Add(2*time.Hour), k.all())
		inTransaction := func(in *store.Intake) error {
			for range 3 {
				epoch, err := in.Book(k.id).Epoch(k.epoch)
				if err != nil {
					return err
				}
				epoch.Late()
			}
			return nil
		}
		if err := s.Intake(context.Background(), []string{k.id}, inTransaction); err != nil {
			t.Fatal(err)
		}
		st := status(t, s, k.id)
		if st.Checkins != 15 || st.Late != 3 || !st.Received.Equal(dawn.Add(2*time.Hour)) {
			t.Errorf("Kiosks() says %d check-ins, %d late, received %v, want 15, 3, %v", st.Checkins, st.Late, st.Received, dawn.Add(2*time.Hour))
		}
		if n := len(checkins(t, s, k.id)); n != 15 {
			t.Errorf("%d rows, want 15", n)
		}
		if st := status(t, s, other.id); st.Checkins != 3 || st.Late != 0 || !st.Received.Equal(dawn.Add(time.Minute)) {
			t.Errorf("the other kiosk: %+v", st)
		}
	})
}

// A gate of the place where a kiosk stood before is none of its place.
func TestGateNamesAreOfThePlaceWhereTheKioskStands(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		stands := func(where string, want map[string]string) {
			t.Helper()
			if _, err := raw(t, dsn).Exec("UPDATE kiosks SET version = version + 1, " + where); err != nil {
				t.Fatal(err)
			}
			got, err := s.GateNames(t.Context())
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("GateNames() where %s, error %v (-want +got):\n%s", where, err, diff)
			}
		}
		delivers := func() {
			k.scan(dawn)
			intake(t, s, dawn, k.all())
		}
		none, main := map[string]string{}, map[string]string{k.id: "main"}
		delivers()
		stands("place_no = 0", main)
		stands("place = 'An Cuu'", none)
		stands("place_no = 7", none)
		delivers()
		stands("place = 'renamed'", main)
		stands("place_no = 8", none)
	})
}

// A gate has the newest name under which its kiosk has delivered, and none before.
func TestGateNames(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		addKiosk(t, s, "gate-0002")
		k.gate = "A"
		k.scan(dawn)
		k.gate = "Cổng Bắc"
		k.scan(dawn)
		intake(t, s, dawn, k.all())
		got, err := s.GateNames(t.Context())
		if diff := cmp.Diff(map[string]string{"gate-0001": "Cổng Bắc"}, got); diff != "" || err != nil {
			t.Errorf("GateNames() error %v (-want +got):\n%s", err, diff)
		}
	})
}
