package ingest_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestRefused(t *testing.T) { each(t, testRefused) }

// What does not verify is not answered, is counted, and is logged without what
// it says.
func testRefused(t *testing.T, w *world) {
	a, b := w.kiosk("kiosk-0000a"), w.kiosk("kiosk-0000b")
	mai := wire.Subject{Kind: pass.CCCD, Number: "046203001234", Name: "Nguyễn Thị Mai", Phone: "0905123456"}
	unknown, revoked, late := w.stranger("kiosk-0000c"), w.kiosk("kiosk-0000d"), w.kiosk("kiosk-0000e")
	for _, k := range []*kiosk{a, b, unknown, revoked, late} {
		k.checkin(mai)
	}
	if err := w.store.RevokeKiosk(t.Context(), revoked.id); err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	w.deliver(late) // its key is known to the server from now on
	if err := w.store.RevokeKiosk(t.Context(), late.id); err != nil {
		t.Fatal(err)
	}
	late.checkin(mai)

	whole := func(k *kiosk) *wire.Batch { return k.batch(1, k.last()) }
	envelope := func(edit func(*wire.Envelope)) []byte {
		var e wire.Envelope
		if err := wire.Decode(whole(a).Seal(a.key), &e); err != nil {
			t.Fatal(err)
		}
		edit(&e)
		return wire.Encode(e)
	}
	newer := whole(a)
	newer.V = wire.Version + 1
	empty := whole(a)
	empty.Records = nil
	many := whole(a)
	many.Records = slices.Repeat(many.Records, wire.MaxBatchRecords)
	big := whole(a)
	big.Records = append(big.Records, wire.Encode(make([]byte, 300<<10)))
	on := func(k *kiosk) string { return wire.Topic(k.id, wire.UpBatch) }
	cases := []struct {
		name    string
		topic   string
		payload []byte
		log     string // part of its line
	}{
		{"revoked kiosk whose key is known", on(late), whole(late).Seal(late.key), "revoked"},
		{"a bit of the signature fell over", on(a), envelope(func(e *wire.Envelope) { e.Sig[5] ^= 1 }), "signature"},
		{"a bit of the body fell over", on(a), envelope(func(e *wire.Envelope) { e.Body[9] ^= 1 }), "signature"},
		{"signed for another purpose", on(a), wire.Seal(wire.ForBeat, 0, a.key, whole(a)), "signature"},
		{"signed under a server's key id", on(a), wire.Seal(wire.ForBatch, receiptKeyID, a.key, whole(a)), "signature"},
		{"b's batch signed by a", on(b), whole(b).Seal(a.key), "signature"},
		{"b's batch on a's topic", on(a), whole(b).Seal(b.key), "signature"},
		{"b's batch signed by a on a's topic", on(a), whole(b).Seal(a.key), "kiosk-0000b"},
		{"unknown kiosk", on(unknown), whole(unknown).Seal(unknown.key), "not found"},
		{"revoked kiosk", on(revoked), whole(revoked).Seal(revoked.key), "revoked"},
		{"newer envelope", on(a), envelope(func(e *wire.Envelope) { e.V++ }), "version"},
		{"newer batch", on(a), newer.Seal(a.key), "version"},
		{"batch of nothing", on(a), empty.Seal(a.key), "malformed"},
		{"too many records", on(a), many.Seal(a.key), "too large"},
		{"inflates to too much", on(a), big.Seal(a.key), "too large"},
		{"nothing", on(a), nil, "malformed"},
		{"garbage", on(a), []byte("Nguyễn Thị Mai 046203001234"), "malformed"},
		{"cut short", on(a), whole(a).Seal(a.key)[:100], "malformed"},
		{"oversize", on(a), bytes.Repeat([]byte{0x40}, wire.MaxMessage+1), "too large"},
	}
	for i, tt := range cases {
		w.clock.advance(time.Duration(min(i, 1)) * time.Minute) // for a line of its own
		w.publish(tt.topic, tt.payload)
		w.until(tt.name, func() bool { return s.Stats().Refused == uint64(i+1) })
		lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
		var line struct{ Level, Msg, Kiosk, Err string }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
			t.Fatal(err)
		}
		if len(lines) != i+1 || line.Level != "WARN" || line.Msg != "batch refused" || !strings.Contains(tt.topic, line.Kiosk) || !strings.Contains(line.Err, tt.log) {
			t.Errorf("%s: %d lines of log, the last %+v, want one more and %q in it", tt.name, len(lines), line, tt.log)
		}
	}
	for _, secret := range []string{"Mai", "046203", "0905123456"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}

	// All of that, and the queue is as good as before.
	w.deliver(a)
	w.deliver(b)
	if got, want := s.Stats(), (ingest.Stats{Batches: 3, Checkins: 3, Receipts: 3, Refused: uint64(len(cases))}); got.Batches != want.Batches ||
		got.Checkins != want.Checkins || got.Receipts != want.Receipts || got.Refused != want.Refused || got.Failed != 0 {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	for _, k := range []*kiosk{a, b, unknown, revoked, late} {
		if b := k.receipts.poll(); b != nil {
			t.Errorf("kiosk %s was answered once too often", k.id)
		}
	}
	if n := len(w.rows(late.id)); n != 1 {
		t.Errorf("%d rows of the kiosk that was revoked after its first, want 1", n)
	}
}

// A kiosk that is added after it first came is heard, and a new key of one
// counts within a minute.
func TestKeysAreNotRememberedForLong(t *testing.T) {
	w := newWorld(t, sqlite)
	s := w.serve()
	k := w.stranger("kiosk-00001")
	k.card(1)
	w.send(k, k.batch(1, 2))
	w.until("refusal", func() bool { return s.Stats().Refused == 1 })
	known := w.kiosk("kiosk-00002")
	known.card(1)
	w.deliver(known)

	clone := w.stranger("kiosk-00002")
	clone.cards(2)
	w.send(clone, clone.batch(1, 2))
	w.until("refusal", func() bool { return s.Stats().Refused == 2 })
	w.enrolAgain(clone)
	w.clock.advance(time.Minute)
	w.deliver(clone)
	known.card(2)
	w.send(known, known.batch(1, 3))
	w.until("refusal", func() bool { return s.Stats().Refused == 3 })
}

// enrolAgain gives a kiosk that is known another key. The store has no way to do
// that yet.
func (w *world) enrolAgain(k *kiosk) {
	w.t.Helper()
	db := w.database()
	defer db.Close()
	r, err := db.Exec("UPDATE kiosks SET public = $1 WHERE id = $2", []byte(k.key.Public().(ed25519.PublicKey)), k.id)
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		w.t.Fatalf("%d kiosks changed, %v", n, err)
	}
}
