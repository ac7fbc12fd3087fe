package store_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// Those that nobody went to for longest come first; one that has a network again is not
// gone to.
func TestKiosksThatAreCarriedByHand(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		now := dawn
		s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for _, id := range []string{"gate-0001", "gate-0002", "gate-0003", "gate-0004"} {
			addKiosk(t, s, id)
		}
		for _, id := range []string{"gate-0003", "gate-0002", "gate-0001", "gate-0003"} {
			now = now.Add(time.Hour)
			if err := s.NoteCarried(t.Context(), "", id, 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		beat := store.Presence{Kiosk: "gate-0001", Beat: &wire.Beat{V: wire.Version}, Contact: now.Add(time.Hour)}
		if err := s.SavePresences(t.Context(), []store.Presence{beat}); err != nil {
			t.Fatal(err)
		}
		got, err := s.CarriedKiosks(t.Context())
		if err != nil || len(got) != 2 || got[0].ID != "gate-0002" || got[1].ID != "gate-0003" || !got[1].Last.Equal(now) || got[0].Place == "" {
			t.Errorf("CarriedKiosks() = %+v, %v", got, err)
		}
	})
}

// All kiosks are counted to which somebody should have gone, also those beyond the list.
func TestKiosksThatAreCarriedLateAreCounted(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		now := dawn
		s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		var all []qrgate.Kiosk
		var ids []string
		for i := range 510 {
			ids = append(ids, fmt.Sprintf("gate-%04d", i))
			all = append(all, qrgate.Kiosk{ID: ids[i], Place: "Chợ", Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: now})
		}
		if err := s.AddKiosks(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		carry := func(ids []string) {
			if err := s.Write(t.Context(), func(t store.Tx) error { return t.AuditAll("", "carry", ids, "1 batches, 1 new") }); err != nil {
				t.Fatal(err)
			}
		}
		carry(ids)
		now = now.AddDate(0, 0, 10)
		carry(ids[:3])
		now = now.AddDate(0, 0, 5)
		beat := store.Presence{Kiosk: ids[3], Beat: &wire.Beat{V: wire.Version}, Contact: now}
		if err := s.SavePresences(t.Context(), []store.Presence{beat}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.LateCarried(t.Context(), now); err != nil || n != 506 {
			t.Errorf("LateCarried() = %d, %v, want 506", n, err)
		}
		if listed, err := s.CarriedKiosks(t.Context()); err != nil || len(listed) != 500 || !listed[0].Late(now) {
			t.Errorf("CarriedKiosks() = %d, %v, want 500 of them", len(listed), err)
		}
	})
}
