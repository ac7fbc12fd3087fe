package store_test

import (
	"testing"
	"time"

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
