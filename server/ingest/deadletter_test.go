package ingest_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestDeadLetters(t *testing.T) { each(t, testDeadLetters) }

// One record of each kind that cannot be used, each between two good ones.
func testDeadLetters(t *testing.T, w *world) {
	k := w.kiosk("kiosk-00001")
	card := wire.Encode(wire.Subject{Kind: pass.Card, Card: 7})
	var want []wire.Reject
	bad := func(reason wire.Reason, put func() uint64) {
		k.card(1)
		want = append(want, wire.Reject{Seq: put(), Reason: reason})
	}
	edited := func(edit func(*wire.Header)) func() uint64 {
		return func() uint64 {
			h := k.header(wire.KindCheckin)
			edit(&h)
			return k.append(k.seal(h, card))
		}
	}

	bad(wire.ReasonSealKey, func() uint64 {
		private, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		own := k.sealer
		defer func() { k.sealer = own }()
		if k.sealer, err = seal.New(99, private.PublicKey().Bytes()); err != nil {
			t.Fatal(err)
		}
		return k.append(k.seal(k.header(wire.KindCheckin), card))
	})
	bad(wire.ReasonSeal, func() uint64 { // a bit of the box fell over
		r := k.seal(k.header(wire.KindCheckin), card)
		r.Box[3] ^= 1
		return k.append(r)
	})
	bad(wire.ReasonSeal, func() uint64 { // the header was changed after sealing
		h := k.header(wire.KindCheckin)
		r := k.seal(h, card)
		h.Gate = "B2"
		r.Header = wire.Encode(h)
		return k.append(r)
	})
	bad(wire.ReasonSeal, func() uint64 { // its context is not in the batch
		r := k.seal(k.header(wire.KindCheckin), card)
		r.Context++
		return k.append(r)
	})
	bad(wire.ReasonSeal, func() uint64 { // another kiosk's box
		h := k.header(wire.KindCheckin)
		box, context, err := k.sealer.Seal(w.now(), wire.AdditionalData("kiosk-00002", k.epoch, wire.Encode(h)), card)
		if err != nil {
			t.Fatal(err)
		}
		k.contexts[context.ID] = context
		return k.append(wire.NewRecord(h, box))
	})
	bad(wire.ReasonRecord, func() uint64 { return k.appendRaw([]byte{0x63, 'a', 'b', 'c'}) })
	bad(wire.ReasonRecord, func() uint64 { return k.append(wire.Record{Header: []byte{0xa0}}) })
	bad(wire.ReasonRecord, func() uint64 { // what is sealed is no subject
		return k.append(k.seal(k.header(wire.KindCheckin), []byte{0x01}))
	})
	bad(wire.ReasonRecord, func() uint64 { // nobody is number 0
		return k.checkin(wire.Subject{Kind: pass.Card})
	})
	bad(wire.ReasonRecord, func() uint64 { return k.checkin(wire.Subject{Kind: pass.CCCD, Name: "Nguyễn Thị Mai"}) })
	bad(wire.ReasonVersion, func() uint64 { return k.append(k.seal(k.header(200), card)) })
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Seq += 5 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Since = -1 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Since = 1 << 62 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Wall = 1 << 62 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Wall = -1 << 62 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Error = -1 }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Gate = strings.Repeat("g", 65) }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Gate = "A\x001" }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Gate = "A\n1" }))
	bad(wire.ReasonRecord, edited(func(h *wire.Header) { h.Gate = "A\u00851" }))
	bad(wire.ReasonRecord, func() uint64 { // a gate that is not UTF-8
		h := k.header(wire.KindCheckin)
		h.Gate = "gate"
		r := k.seal(h, card)
		r.Header = []byte(strings.Replace(string(r.Header), "gate", "g\xffte", 1))
		return k.append(r)
	})
	bad(wire.ReasonRecord, func() uint64 { // an anchor before 1970
		h := k.header(wire.KindAnchor)
		h.Anchor = &wire.Anchor{Server: -1, Error: 20}
		return k.append(wire.NewRecord(h, wire.Sealed{}))
	})
	bad(wire.ReasonRecord, func() uint64 { // carried over into its own epoch
		h := k.header(wire.KindCheckin)
		h.Seq = 1
		r := k.seal(h, card)
		r.Origin = &k.epoch
		return k.append(r)
	})
	k.card(1)
	good := len(want) + 1

	s := w.serve()
	b := k.batch(1, k.last())
	w.send(k, b)
	r := k.receipt()
	if diff := cmp.Diff(want, r.Rejects, ignoreUnexported); diff != "" {
		t.Errorf("rejects (-want +got):\n%s", diff)
	}
	if r.Through != k.last() || r.Hash != b.Hash() {
		t.Errorf("receipt through %d, want %d", r.Through, k.last())
	}
	check := func(when string) {
		t.Helper()
		letters, err := w.store.DeadLetters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []wire.Reject
		for _, l := range letters {
			got = append(got, wire.Reject{Seq: l.Seq, Reason: l.Reason})
			if l.Kiosk != k.id || l.Epoch != k.epoch || string(l.Record) != string(k.records[l.Seq-1]) {
				t.Errorf("%s: dead letter %d is not what was sent", when, l.Seq)
			}
		}
		if diff := cmp.Diff(want, got, ignoreUnexported); diff != "" {
			t.Errorf("%s: dead letters (-want +got):\n%s", when, diff)
		}
		if rows := w.rows(k.id); len(rows) != good {
			t.Errorf("%s: %d rows, want %d", when, len(rows), good)
		}
	}
	check("once")

	// The receipt that named them may be lost: the repeated batch brings it again.
	w.send(k, b)
	if again := k.receipt(); !cmp.Equal(again.Rejects, want, ignoreUnexported) || again.Through != r.Through {
		t.Errorf("second receipt through %d with %d rejects, want %d and %d", again.Through, len(again.Rejects), r.Through, len(want))
	}
	check("repeated")
	n := uint64(len(want))
	if got, want := s.Stats(), (ingest.Stats{
		Batches: 2, Checkins: uint64(good), Rejected: n, Repeated: uint64(len(b.Records)), Receipts: 2, Commits: 2,
	}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	if strings.Contains(w.log.String(), "Mai") {
		t.Error("the log names a person")
	}
}

var ignoreUnexported = cmp.FilterPath(func(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && f.Name() == "_"
}, cmp.Ignore())

// A receipt has room for so many rejects; more come in another one.
func TestMoreRejectsThanAReceiptHolds(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	for range 300 {
		k.append(k.seal(k.header(200), nil))
	}
	// Two batches in one group: the kiosk's queue is full before the server is
	// there.
	s := w.serveWith(w.parts(), ingest.Options{})
	w.send(k, k.batch(1, 200))
	w.send(k, k.batch(201, k.last()))
	var got int
	for got < 300 {
		r := k.receipt()
		if len(r.Rejects) > wire.MaxReceiptRejects {
			t.Fatalf("%d rejects in one receipt", len(r.Rejects))
		}
		got += len(r.Rejects)
	}
	if got != 300 {
		t.Errorf("%d rejects named, want 300", got)
	}
	if st := s.Stats(); st.Rejected != 300 {
		t.Errorf("Stats() = %+v, want 300 rejected", st)
	}
}

// What a kiosk carries over and the server cannot use is set aside, and is not
// missing under the epoch where it was first written.
func TestCarriedDeadLetterIsNoGap(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	k.card(1)
	k.append(k.seal(k.header(200), nil))
	k.card(2)
	old, before := k.epoch, k.records
	w.serve()
	w.send(k, k.batch(1, 2))
	k.receiptThrough(2)
	k.open(wire.Opened{By: wire.OpenedMoved, Previous: &old, Last: 4, Carried: 2})
	k.carry(old, before[3])
	k.carry(old, before[2])
	for seq := uint64(1); seq <= k.last(); seq++ {
		w.send(k, k.batch(seq, seq))
		k.receiptThrough(seq)
	}
	gaps, err := w.store.Gaps(t.Context(), w.now())
	if err != nil || len(gaps) > 0 {
		t.Errorf("Gaps() = %+v, %v, want none", gaps, err)
	}
	letters, err := w.store.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 || letters[0].Epoch != k.epoch || letters[0].Seq != 3 {
		t.Errorf("DeadLetters() = %d of %v, %v, want one of the new epoch", len(letters), letters, err)
	}
	if n := len(w.rows(k.id)); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
