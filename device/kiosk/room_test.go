package kiosk_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// withRoom gives a site a room in which an event goes on, and a key that signs its
// passes.
func (s *site) withRoom(t *testing.T, event bool) (sign func(number uint32) string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.keys[2] = pass.Key{Public: public, Events: true}
	r, err := room.Open(filepath.Join(t.TempDir(), "room.db"), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s.door.Room = r
	// The time is the server's.
	s.door.Clock = when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today.AddDate(0, 0, -30))
	s.door.Clock.Sample(time.Hour, time.Hour, today)
	if event {
		err := r.Take(&wire.Event{
			No: 7, Stamp: wire.Stamp{Version: 1}, From: today.Add(-time.Hour).UnixMilli(), To: today.Add(time.Hour).UnixMilli(),
			Categories: []wire.EventCategory{{No: 1}}, Passes: []wire.EventPass{{Number: 10, Issue: 1, Category: 1}, {Number: 12, Issue: 1, Category: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(number uint32) string {
		text, err := pass.Sign(pass.OwnCard{Kind: pass.Event, Key: 2, Number: number, Issue: 1, Event: 7, First: pass.DayOf(today), Last: pass.DayOf(today)}, key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func TestEventAtTheDoor(t *testing.T) {
	s := newSite(t, 0)
	guest := s.withRoom(t, true)
	got := s.serve(t, guest(10), guest(10), guest(11), s.sign(t, pass.Card, 5, today, today.AddDate(1, 0, 0)), guest(12))
	if diff := cmp.Diff([]string{"admitted", "refused", "refused", "refused", "admitted"}, got); diff != "" {
		t.Errorf("lamps:\n%s", diff)
	}
	headers, subjects := s.records(t)
	var reasons []wire.Reason
	for i, h := range headers {
		reasons = append(reasons, h.Reason)
		if named := subjects[i] != nil; named != (h.Verdict == wire.Admitted) {
			t.Errorf("record %d of verdict %v names somebody: %v", i, h.Verdict, named)
		}
	}
	if diff := cmp.Diff([]wire.Reason{0, wire.ReasonUsed, wire.ReasonRevoked, wire.ReasonEvent, 0}, reasons); diff != "" {
		t.Errorf("reasons:\n%s", diff)
	}
	if subjects[0].Kind != pass.Event || subjects[0].Card != 10 {
		t.Errorf("the guest's record names %+v", subjects[0])
	}
}

func TestFullAtTheDoor(t *testing.T) {
	for onFault, want := range map[wire.OnFault][]string{
		wire.Refuse:          {"admitted", "full"},
		wire.AdmitUnrecorded: {"admitted", "admitted"},
	} {
		s := newSite(t, 0)
		s.withRoom(t, false)
		s.door.Config.OnFault = onFault
		b := s.door.Room.Beat().Counts[0]
		grant := quota.Share(1, map[string]quota.Gate{"k": {Count: b.Count}}, "k")
		if err := s.door.Room.Answer([]wire.GrantAnswer{{Period: b.Period, Grant: grant}}, today); err != nil {
			t.Fatal(err)
		}
		got := s.serve(t, s.sign(t, pass.Card, 5, today, today.AddDate(1, 0, 0)), s.sign(t, pass.Card, 6, today, today.AddDate(1, 0, 0)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: lamps:\n%s", onFault, diff)
		}
	}
}

// Somebody whom the storage could not take is inside all the same where they were let
// in, and a pass that was turned away by the fault may come again.
func TestFaultAtAnEvent(t *testing.T) {
	for onFault, used := range map[wire.OnFault]bool{wire.Refuse: false, wire.AdmitUnrecorded: true} {
		s := newSite(t, outbox.MinLimit)
		guest := s.withRoom(t, true)
		s.fill(t)
		s.door.Config.OnFault = onFault
		s.serve(t, guest(10))
		_, entry := s.door.Room.Enter(room.Scan{Kind: pass.Event, Card: pass.OwnCard{Number: 10, Issue: 1, Event: 7}, Gate: "A1", Dir: wire.In, Now: today, Sure: true})
		if (entry == nil) != used {
			t.Errorf("%s: the pass is used: %v", onFault, entry == nil)
		}
		if entry != nil {
			entry.Drop()
		}
	}
}
