package ingest_test

import (
	"bytes"
	"cmp"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/doors"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/lists"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// revoke makes a card void that has just been issued.
func (w *world) revoke(no uint32) {
	w.t.Helper()
	err := w.store.Write(w.t.Context(), func(t store.Tx) error {
		if _, err := t.Exec("INSERT INTO card_batches (id, office, kind, cards, made_by, made) VALUES ('b', 'province', 6, 1, 'clerk', 1) ON CONFLICT (id) DO NOTHING"); err != nil {
			return err
		}
		last := int64(pass.DayOf(w.now())) + 365
		if _, err := t.Exec("INSERT INTO cards (number, batch, office, kind, people, issue, first, last, longest, made, revoked, reason) VALUES (?, 'b', 'province', 6, 0, 1, 1, ?, ?, 1, 1, '')", int64(no), last, last); err != nil {
			return err
		}
		return void.Add(t, no)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A beat brings what its kiosk lacks of the list of void cards, and its answer says
// which list is the newest.
func TestListsComeWithBeats(t *testing.T) { each(t, testListsComeWithBeats) }

func testListsComeWithBeats(t *testing.T, w *world) {
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	stranger := w.stranger("kiosk-00003")
	answers, parts := w.line.mailbox(t, wire.Topic(k.id, wire.DownBeat)), w.line.mailbox(t, wire.Filter("", wire.DownList))
	l := lists.New(void.New(w.store, w.now), wire.Signer{ID: receiptKeyID, Key: serverKey}, lists.Options{Now: w.now})
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := w.parts()
	p.Lists = l
	s := w.serveWith(p, ingest.Options{})
	ask := func(held *wire.ListBeat) *wire.BeatAnswer {
		t.Helper()
		b := k.beat(0)
		b.List = held
		w.beat(k, b)
		a, err := wire.OpenBeatAnswer(answers.next(), k.id, receiptKeys)
		if err != nil || a.Nonce != b.Nonce {
			t.Fatalf("answer %+v to %+v, %v", a, b, err)
		}
		return a
	}
	next := func() *wire.ListPart {
		t.Helper()
		part, err := wire.OpenListPart(parts.next(), receiptKeys)
		if err != nil {
			t.Fatal(err)
		}
		return part
	}

	if a := ask(nil); a.List != (wire.Stamp{}) {
		t.Errorf("a kiosk that takes no list is told of %v", a.List)
	}
	first := ask(&wire.ListBeat{}).List
	if got := next(); first.Version != 1 || got.Head.Stamp != first || got.Head.From != 0 {
		t.Errorf("%+v for a kiosk that has no list; the newest is %v", got, first)
	}
	// One that has beaten lately hears of news by itself, and again if it has not
	// heard.
	held := &wire.ListBeat{Stamp: first}
	ask(held)
	w.clock.advance(time.Minute)
	w.revoke(7)
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := next()
	w.clock.advance(time.Second)
	second := ask(held).List
	if again := next(); again.Head != got.Head {
		t.Errorf("asked again: %+v, want %+v", again.Head, got.Head)
	}
	news, err := pass.DecodeRevocations(got.Data)
	if err != nil || !second.Newer(first) || got.Head.Stamp != second || got.Head.From != first.Version || !news.Contains(7, 1) {
		t.Errorf("%+v for a kiosk that has %v; the newest is %v", got, first, second)
	}

	// Neither does a repeated beat bring it twice, nor a stranger's at all.
	ask(held)
	b := stranger.beat(0)
	b.List = &wire.ListBeat{}
	w.beat(stranger, b)
	w.until("the stranger is refused", func() bool { return s.Stats().Refused == 1 })
	w.clock.advance(time.Second)
	if a := ask(&wire.ListBeat{Stamp: second}); a.List != second {
		t.Errorf("newest %v, want %v", a.List, second)
	}
	b = other.beat(0)
	b.List = held
	w.beat(other, b)
	if got := next(); got.Head.From != first.Version || parts.poll() != nil {
		t.Errorf("%+v for another kiosk", got)
	}
	// One that has not beaten for long is told nothing.
	w.clock.advance(2 * time.Minute)
	w.revoke(8)
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ask(nil); parts.poll() != nil {
		t.Error("a kiosk that is not there was sent a list")
	}
	// What the kiosk said is kept for the page of kiosks.
	w.until("the beat is stored", func() bool {
		p := w.presence(other)
		return p.Beat != nil && p.Beat.List != nil && p.Beat.List.Stamp == first
	})
}

// A kiosk without a network gets the whole list by hand, and the word that it is the
// newest; a second one does not move a clock by it.
func TestListsGoByHand(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-00001")
		l := lists.New(void.New(w.store, w.now), wire.Signer{ID: receiptKeyID, Key: serverKey}, lists.Options{Now: w.now})
		p := w.parts()
		p.Lists = l
		s := w.serveWith(p, ingest.Options{})
		if got := s.Beside(k.id); got.Newest != nil || got.List != nil {
			t.Errorf("%+v before the list was read, want nothing", got)
		}
		w.revoke(7)
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := s.Beside(k.id)
		if len(got.List) != 1 {
			t.Fatalf("a list of %d parts, want one", len(got.List))
		}
		said, err := wire.OpenBeatAnswer(got.Newest, k.id, receiptKeys)
		if err != nil || said.Nonce != ([16]byte{}) || said.Time != w.now().UnixMilli() {
			t.Fatalf("the newest: %+v, %v", said, err)
		}
		part, err := wire.OpenListPart(got.List[0], receiptKeys)
		if err != nil || part.Head.Stamp != said.List || part.Head.From != 0 {
			t.Errorf("%+v, %v; want list %v", part, err, said.List)
		}
	})
}

// A kiosk without a network gets all events of its place by hand, also a third.
func TestEventsGoByHand(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, reg := t.Context(), register.New(w.store, w.now)
		lan, hall := &register.Account{Name: "lan", Display: "Lan"}, &register.Organisation{Name: "Nhà văn hóa", Sector: "culture"}
		if err := reg.AddAccount(ctx, "", lan); err != nil {
			t.Fatal(err)
		}
		if err := reg.AddOrganisation(ctx, lan.ID, hall); err != nil {
			t.Fatal(err)
		}
		at := &qrgate.Place{Organisation: hall.ID, Name: "Nhà thi đấu", Sector: "culture", Kind: "hall", Area: "19753", AreaNow: "19753", Doors: 1}
		if err := reg.AddPlace(ctx, lan.ID, at); err != nil {
			t.Fatal(err)
		}
		k := qrgate.Kiosk{ID: "kiosk-00001", Place: at.Name, PlaceNo: at.No, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: w.now()}
		if err := w.store.AddKiosk(ctx, k); err != nil {
			t.Fatal(err)
		}
		all := events.New(w.store, w.vault, w.now)
		last := uint32(0) // to begin
		for i := range wire.MaxHeldEvents + 1 {
			starts := w.now().Add(time.Duration(wire.MaxHeldEvents+1-i) * time.Hour)
			e := &events.Event{
				Organisation: hall.ID, Place: at.No, Name: "Hội nghị", Starts: starts, Ends: starts.Add(30 * time.Minute),
				Categories: []events.Category{{No: 1, Kind: events.Public}},
			}
			if err := all.Add(ctx, lan.ID, e); err != nil {
				t.Fatal(err)
			}
			last = cmp.Or(last, e.No)
		}
		p := w.parts()
		p.Doors = doors.New(w.store, all, rooms.New(w.store, w.now), p.Sign, doors.Options{})
		if err := p.Doors.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		got := map[uint32]bool{}
		for _, data := range w.serveWith(p, ingest.Options{}).Beside(k.ID).Events {
			e, err := wire.OpenEvent(data, receiptKeys)
			if err != nil {
				t.Fatal(err)
			}
			got[e.No] = true
		}
		if len(got) != wire.MaxHeldEvents || got[last] {
			t.Errorf("%d events by hand, the last to begin among them: %t; want the first %d", len(got), got[last], wire.MaxHeldEvents)
		}
	})
}
