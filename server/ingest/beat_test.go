package ingest_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// beat returns a beat of a kiosk that knows of a receipt up to through.
func (k *kiosk) beat(through uint64) *wire.Beat {
	b := &wire.Beat{
		V: wire.Version, Session: 1, Release: "1.2.3", Boot: k.boot, Epoch: k.epoch, Last: k.last(), Through: through,
		Queued: k.last() - through, Temperature: 51_000, Scanners: []wire.ScannerBeat{{Name: "left", Present: true}}, Wall: k.now().UnixMilli(),
	}
	rand.Read(b.Nonce[:])
	return b
}

func (w *world) beat(k *kiosk, b *wire.Beat) {
	w.t.Helper()
	w.publish(wire.Topic(k.id, wire.UpBeat), wire.Seal(wire.ForBeat, 0, k.key, b))
}

// ask sends a beat and waits for its answer.
func (w *world) ask(k *kiosk, answers *mailbox, through uint64) *wire.BeatAnswer {
	w.t.Helper()
	b := k.beat(through)
	w.beat(k, b)
	var a wire.BeatAnswer
	if err := wire.Open(wire.ForBeat, answers.next(), receiptKeys, &a); err != nil {
		w.t.Fatalf("answer to a beat: %v", err)
	}
	if a.Nonce != b.Nonce || a.Kiosk != k.id || a.V != wire.Version {
		w.t.Errorf("answer %+v to %+v", a, b)
	}
	return &a
}

func TestBeats(t *testing.T) { each(t, testBeats) }

func testBeats(t *testing.T, w *world) {
	k := w.kiosk("kiosk-00001")
	answers := w.line.mailbox(t, wire.Topic(k.id, wire.DownBeat))
	s := w.serve()
	if a := w.ask(k, answers, 0); a.Time != noon.UnixMilli() {
		t.Errorf("answer's time %d, want %d", a.Time, noon.UnixMilli())
	}
	k.cards(10)
	held := w.deliver(k)
	w.clock.advance(time.Minute)
	if a := w.ask(k, answers, k.last()); a.Time != w.now().UnixMilli() {
		t.Errorf("answer's time %d, want %d", a.Time, w.now().UnixMilli())
	}
	// What a beat brings beside its answer has been decided when the next one is
	// answered.
	w.ask(k, answers, k.last())
	if n := s.Stats().Receipts; n != 1 || k.receipts.poll() != nil {
		t.Errorf("%d receipts, want the one of the batch", n)
	}

	for _, through := range []uint64{0, 5, 100} {
		w.ask(k, answers, through)
		r := k.receipt()
		if r.Epoch != k.epoch || r.Through != held.Through || r.Hash != held.Hash || r.Generation != held.Generation || r.Time != w.now().UnixMilli() {
			t.Errorf("receipt %+v for a beat through %d, want through %d", r, through, held.Through)
		}
	}
	// A server that was restored from before the epoch: the kiosk is told that
	// nothing of it is held.
	k.open(wire.Opened{By: wire.OpenedNew})
	k.cards(3)
	w.ask(k, answers, k.last())
	if r := k.receipt(); r.Epoch != k.epoch || r.Through != 0 || r.Hash != (wire.Hash{}) || r.Generation == 0 {
		t.Errorf("receipt %+v for an epoch of which nothing is held", r)
	}
	if st := s.Stats(); st.Beats != 7 || st.Receipts != 5 || st.Refused > 0 || st.Dropped > 0 {
		t.Errorf("Stats() = %+v, want 7 beats, 5 receipts", st)
	}
}

func TestBeatsRefused(t *testing.T) {
	w := newWorld(t, sqlite)
	a, b, unknown, revoked := w.kiosk("kiosk-0000a"), w.kiosk("kiosk-0000b"), w.stranger("kiosk-0000c"), w.kiosk("kiosk-0000d")
	if err := w.store.RevokeKiosk(t.Context(), revoked.id); err != nil {
		t.Fatal(err)
	}
	answers := w.line.mailbox(t, wire.Filter("", wire.DownBeat))
	s := w.serve()
	newer := a.beat(0)
	newer.V++
	crowded := a.beat(0)
	crowded.Scanners = make([]wire.ScannerBeat, wire.MaxScanners+1)
	cases := []struct {
		name    string
		kiosk   *kiosk
		payload []byte
	}{
		{"another kiosk's", a, wire.Seal(wire.ForBeat, 0, b.key, b.beat(0))},
		{"a batch", a, wire.Seal(wire.ForBatch, 0, a.key, a.beat(0))},
		{"under a server's key id", a, wire.Seal(wire.ForBeat, receiptKeyID, a.key, a.beat(0))},
		{"unknown kiosk", unknown, wire.Seal(wire.ForBeat, 0, unknown.key, unknown.beat(0))},
		{"revoked kiosk", revoked, wire.Seal(wire.ForBeat, 0, revoked.key, revoked.beat(0))},
		{"newer", a, wire.Seal(wire.ForBeat, 0, a.key, newer)},
		{"too many scanners", a, wire.Seal(wire.ForBeat, 0, a.key, crowded)},
		{"nothing", a, nil},
		{"garbage", a, []byte("beat")},
		{"oversize", a, make([]byte, wire.MaxMessage+1)},
	}
	for i, tt := range cases {
		w.publish(wire.Topic(tt.kiosk.id, wire.UpBeat), tt.payload)
		w.until(tt.name, func() bool { return s.Stats().Refused == uint64(i+1) })
	}
	// A topic that nobody of ours has.
	w.publish("qrgate/v1/Kiosk+00001/up/beat", nil)
	w.until("topic", func() bool { return s.Stats().Refused == uint64(len(cases)+1) })
	w.ask(a, answers, 0)
	if st := s.Stats(); st.Beats != 1 || answers.poll() != nil {
		t.Errorf("Stats() = %+v, want 1 beat", st)
	}
}

// presence returns what is known of a kiosk.
func (w *world) presence(k *kiosk) store.KioskStatus {
	w.t.Helper()
	all, err := w.store.Kiosks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == k.id {
			return s
		}
	}
	w.t.Fatalf("kiosk %s is not listed", k.id)
	return store.KioskStatus{}
}

// status publishes a kiosk's status as its link does.
func (w *world) status(k *kiosk, payload []byte) {
	w.t.Helper()
	if err := w.line.Publish(w.t.Context(), wire.Topic(k.id, wire.Status), payload, true); err != nil {
		w.t.Fatal(err)
	}
}

func online(up bool, session uint64) []byte {
	return wire.Encode(wire.Online{V: wire.Version, Up: up, Session: session})
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sqlite)
		k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
		w.status(other, online(true, 3)) // before the server: it is retained
		s := w.serve()
		for _, tt := range []struct {
			name    string
			payload []byte
			up      bool
			refused uint64
		}{
			{"first", online(true, 5), true, 0},
			{"the late will of an older session", online(false, 4), true, 0},
			{"its own will", online(false, 5), false, 0},
			{"the next session", online(true, 6), true, 0},
			{"deleted", nil, true, 0},
			{"garbage", []byte("online"), true, 1},
			{"newer version", wire.Encode(wire.Online{V: 2, Session: 7}), true, 2},
			{"not a status", wire.Encode("up"), true, 3},
			{"oversize", append(online(false, 7), make([]byte, wire.MaxStatus)...), true, 4},
			{"a session that no database holds", online(false, 1<<64-1), true, 4},
			{"the session after", online(false, 7), false, 4},
		} {
			w.clock.advance(time.Minute)
			w.status(k, tt.payload)
			time.Sleep(2 * time.Second)
			if got := w.presence(k); got.Up != tt.up {
				t.Errorf("%s: up = %t, want %t", tt.name, got.Up, tt.up)
			}
			if got := s.Stats().Refused; got != tt.refused {
				t.Errorf("%s: %d refused, want %d", tt.name, got, tt.refused)
			}
		}
		if got := w.presence(k); !got.Changed.Equal(w.now()) {
			t.Errorf("changed %s, want %s", got.Changed, w.now())
		}
		if got := w.presence(other); !got.Up || got.Beat != nil {
			t.Errorf("the kiosk whose status was retained: %+v, want it up", got)
		}

		// Of several signs within a second the newest counts.
		w.status(k, online(true, 9))
		w.status(k, online(false, 8))
		b := k.beat(0)
		w.beat(k, k.beat(0))
		w.beat(k, b)
		time.Sleep(2 * time.Second)
		got := w.presence(k)
		if diff := cmp.Diff(b, got.Beat); diff != "" || !got.Up || !got.Contact.Equal(w.now()) {
			t.Errorf("presence %+v; beat (-want +got):\n%s", got, diff)
		}
		if strings.Contains(w.log.String(), "not stored") {
			t.Error("signs of life were not stored")
		}
		s.stop()
	})
}

// Every kiosk's status arrives at once when the server connects, and those of
// strangers too: none of ours is lost.
func TestStatusOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sqlite)
		for i := range 50 {
			w.status(w.kiosk(kioskName(i)), online(true, 1))
		}
		for i := range 5000 {
			if err := w.line.Publish(t.Context(), wire.Topic("stranger-"+kioskName(i), wire.Status), online(true, 1), true); err != nil {
				t.Fatal(err)
			}
		}
		s := w.serve()
		time.Sleep(2 * time.Second)
		all, err := w.store.Kiosks(t.Context())
		if err != nil || len(all) != 50 {
			t.Fatalf("Kiosks() = %d, %v, want 50", len(all), err)
		}
		for _, k := range all {
			if !k.Up {
				t.Errorf("%s is not known to be up", k.ID)
			}
		}
		s.stop()
	})
}
