package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/wire"
)

// What is carried on a stick to a kiosk without a network is in force when Hand returns.
func TestListsAreHandedOver(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		hand := func(what string, envelope []byte, want bool) {
			t.Helper()
			if got := w.agent.Hand(t.Context(), envelope); got != want {
				t.Errorf("Hand(%s) = %t, want %t", what, got, want)
			}
		}
		says := func(at time.Time, b *book) []byte {
			return seal(wire.BeatAnswer{V: wire.Version, Kiosk: kioskID, List: b.stamp, Time: at.UnixMilli()})
		}
		checked := func(want time.Time) {
			t.Helper()
			if got, _ := w.list.Checked(); !got.Equal(want.Truncate(time.Millisecond)) && !(want.IsZero() && got.IsZero()) {
				t.Errorf("the list was the newest at %s, want %s", got, want)
			}
		}
		b, begun := newBook(t, revoked(7)), w.now()
		hand("the newest of a list that has not come", says(begun, b), true)
		checked(time.Time{})
		hand("a list", b.whole()[0], true)
		void(t, w.list, revoked(7))
		checked(begun)
		hand("the newest", says(begun.Add(time.Hour), b), true)
		hand("one that lay long on a stick", says(begun.Add(-time.Hour), b), true)
		checked(begun.Add(time.Hour))

		keys := listed(1, 6)
		hand("keys", signedKeys(rootKey, keys), true)
		if got := w.id.Keys().Stamp; got != keys.Stamp {
			t.Errorf("keys %v are in force, want %v", got, keys.Stamp)
		}
		receipt := wire.Receipt{V: wire.Version, Kiosk: kioskID, Generation: 1, Time: begun.UnixMilli()}
		hand("a receipt", receipt.Seal(7, receiptKey), false)
		hand("another kiosk's", seal(wire.BeatAnswer{V: wire.Version, Kiosk: "kiosk-00002", List: b.stamp, Time: begun.UnixMilli()}), false)
		hand("an unlisted key's", wire.Seal(wire.ForBeat, 8, strange, wire.BeatAnswer{V: wire.Version, Kiosk: kioskID, Time: begun.UnixMilli()}), false)
		hand("noise", []byte("noise"), false)

		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		again := openState(t, w.dir+"/agent.json")
		if c := openList(t, w.dir+"/void.list", again.List); !c.Void(7, 1) {
			t.Error("the list is not on disk")
		} else if at, ok := c.Checked(); !ok || !at.Equal(begun.Add(time.Hour).Truncate(time.Millisecond)) {
			t.Errorf("after a start the list was the newest at %s, %t", at, ok)
		}
	})
}

// An agent that does not run takes the same.
func TestListsAreTakenWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b := long(t)
		for _, part := range b.whole() {
			if !w.agent.Take(part) {
				t.Fatal("Take() = false of a part")
			}
		}
		if w.agent.Take([]byte("noise")) {
			t.Error("Take(noise) = true")
		}
		if l := openList(t, w.dir+"/void.list", agent.Checked{}); l.Beat().Cards != len(b.cards) {
			t.Errorf("%d cards are void, want %d", l.Beat().Cards, len(b.cards))
		}
	})
}
