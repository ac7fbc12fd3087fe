package doors_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/doors"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

// A world is a place for 40 people with a kiosk, and another with one.
type world struct {
	*doors.Doors
	t      *testing.T
	events *events.Events
	place  *qrgate.Place
	lan    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(keys, master, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reg := register.New(s, time.Now)
	a, o := &register.Account{Name: "lan", Display: "Lan"}, &register.Organisation{Name: "Nhà văn hóa", Sector: "culture"}
	if err := reg.AddAccount(ctx, "", a); err != nil {
		t.Fatal(err)
	}
	if err := reg.AddOrganisation(ctx, a.ID, o); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, lan: a.ID, events: events.New(s, v, time.Now)}
	for i, id := range []string{"gate-0001", "gate-0002"} {
		p := &qrgate.Place{Organisation: o.ID, Name: "Nhà thi đấu", Sector: "culture", Kind: "hall", Area: "19753", AreaNow: "19753", Capacity: 40 - 40*i, Doors: 1}
		if err := reg.AddPlace(ctx, a.ID, p); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			w.place = p
		}
		if err := s.AddKiosk(ctx, qrgate.Kiosk{ID: id, Place: p.Name, PlaceNo: p.No, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	w.Doors = doors.New(s, w.events, rooms.New(s, time.Now), wire.Signer{ID: 3, Key: key}, doors.Options{})
	return w
}

func (w *world) refresh() {
	w.t.Helper()
	if err := w.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lacks(kiosk string, held ...wire.EventBeat) (got []*wire.Event) {
	w.t.Helper()
	for _, data := range w.Lacks(kiosk, held) {
		e, err := wire.OpenEvent(data, func(id uint32) ed25519.PublicKey {
			if id != 3 {
				return nil
			}
			return key.Public().(ed25519.PublicKey)
		})
		if err != nil {
			w.t.Fatal(err)
		}
		got = append(got, e)
	}
	return got
}

func TestKiosksGetTheirEvents(t *testing.T) {
	w := newWorld(t)
	w.refresh()
	if got := w.lacks("gate-0001"); got != nil {
		t.Errorf("before there is an event: %+v", got)
	}
	e := &events.Event{
		Organisation: w.place.Organisation, Place: w.place.No, Name: "Hội nghị", Starts: time.Now().Add(time.Hour), Ends: time.Now().Add(3 * time.Hour), Capacity: 30,
		Categories: []events.Category{{No: 1, Kind: events.Delegate, Quota: 10}, {No: 4, Kind: events.Public}},
	}
	if err := w.events.Add(t.Context(), w.lan, e); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	got := w.lacks("gate-0001")
	if len(got) != 1 || got[0].No != e.No || got[0].Capacity != 30 || len(got[0].Passes) != 0 {
		t.Fatalf("a kiosk of the place gets %+v", got)
	}
	held := wire.EventBeat{No: e.No, Stamp: got[0].Stamp}
	for kiosk, held := range map[string][]wire.EventBeat{"gate-0001": {held}, "gate-0002": nil, "gate-9999": nil} {
		if got := w.lacks(kiosk, held...); got != nil {
			t.Errorf("%s that holds %v gets %+v", kiosk, held, got)
		}
	}
	if err := w.events.Invite(t.Context(), w.lan, e.No, []*events.Guest{{Category: 1}}); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	if got := w.lacks("gate-0001", held); len(got) != 1 || len(got[0].Passes) != 1 || !got[0].Stamp.Newer(held.Stamp) {
		t.Errorf("after an invitation a kiosk gets %+v", got)
	}

	// It is granted rights of what has a limit, and of its own place alone.
	counts := []wire.CountBeat{{Period: 1}, {Scope: wire.Scope{Event: e.No}}, {Scope: wire.Scope{Event: e.No, Category: 1}}, {Scope: wire.Scope{Event: e.No, Category: 4}}, {Scope: wire.Scope{Event: 99}}}
	granted := map[wire.Scope]uint64{}
	grants, err := w.Grant(t.Context(), "gate-0001", counts)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range grants {
		granted[g.Scope] = g.Grant.Granted
	}
	for s, want := range map[wire.Scope]uint64{{}: 40, {Event: e.No}: 30, {Event: e.No, Category: 1}: 10, {Event: e.No, Category: 4}: 0, {Event: 99}: 0} {
		if granted[s] != want {
			t.Errorf("granted %d of %v, want %d", granted[s], s, want)
		}
	}
	if grants, err := w.Grant(t.Context(), "gate-0002", []wire.CountBeat{{Count: quota.Count{In: 3}}, {Scope: wire.Scope{Event: e.No}}}); err != nil || grants != nil {
		t.Errorf("a kiosk of a place without a limit is granted %+v, %v", grants, err)
	}
}
