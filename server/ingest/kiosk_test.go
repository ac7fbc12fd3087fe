package ingest_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A kiosk makes records as the door does and keeps them all.
type kiosk struct {
	t        testing.TB
	id       string
	key      ed25519.PrivateKey
	sealer   *seal.Sealer
	receipts *mailbox

	boot    when.Boot
	started time.Time        // when the boot began, as nobody but the test knows
	now     func() time.Time // the truth

	ledger
	past     []ledger
	contexts map[uint64]wire.Context
}

// A ledger is one epoch of a kiosk.
type ledger struct {
	epoch   wire.Epoch
	records []cbor.RawMessage // that of number n is at n-1
	chain   []wire.Hash       // after so many records
	upTo    uint64            // the rest was carried over into the next epoch
}

func (l *ledger) last() uint64 { return uint64(len(l.records)) }

// kiosk adds a kiosk to the world.
func (w *world) kiosk(id string) *kiosk {
	w.t.Helper()
	k := w.stranger(id)
	err := w.store.AddKiosk(w.t.Context(), qrgate.Kiosk{
		ID: id, Place: "Bệnh viện Trung ương Huế", Public: k.key.Public().(ed25519.PublicKey), State: qrgate.KioskActive, Added: w.now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// stranger returns a kiosk that the server has not heard of.
func (w *world) stranger(id string) *kiosk {
	w.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sealer, err := seal.New(sealKeyID, w.sealPublic)
	if err != nil {
		w.t.Fatal(err)
	}
	k := &kiosk{
		t: w.t, id: id, key: key, sealer: sealer, now: w.now, contexts: map[uint64]wire.Context{},
		receipts: w.line.mailbox(w.t, wire.Topic(id, wire.DownReceipt)),
	}
	k.reboot()
	k.open(wire.Opened{By: wire.OpenedNew})
	return k
}

func (k *kiosk) reboot() {
	rand.Read(k.boot[:])
	k.started = k.now()
}

// open begins an epoch.
func (k *kiosk) open(o wire.Opened) {
	if k.chain != nil {
		k.past = append(k.past, k.ledger)
	}
	k.ledger = ledger{epoch: wire.NewEpoch(), chain: []wire.Hash{{}}}
	h := k.header(wire.KindOpened)
	h.Opened = &o
	k.append(wire.NewRecord(h, wire.Sealed{}))
}

// header returns the header of the next record, now.
func (k *kiosk) header(kind wire.Kind) wire.Header {
	h := wire.Header{Seq: k.last() + 1, Kind: kind}
	now := k.now()
	h.At(when.Reading{Boot: k.boot, Since: now.Sub(k.started).Milliseconds(), Wall: now.UnixMilli(), State: when.Synced, Error: 20})
	if kind == wire.KindCheckin {
		h.Gate, h.Lane, h.Direction, h.Pass, h.Verdict, h.Presence = "A1", 1, wire.In, pass.Card, wire.Admitted, wire.Verified
	}
	return h
}

func (k *kiosk) append(r wire.Record) uint64 { return k.appendRaw(wire.Encode(r)) }

func (k *kiosk) appendRaw(raw []byte) uint64 {
	k.records = append(k.records, raw)
	k.chain = append(k.chain, k.chain[len(k.chain)-1].Next(raw))
	return k.last()
}

// seal makes the record of a header and what the visitor showed.
func (k *kiosk) seal(h wire.Header, plain []byte) wire.Record {
	k.t.Helper()
	box, context, err := k.sealer.Seal(k.now(), wire.AdditionalData(k.id, k.epoch, wire.Encode(h)), plain)
	if err != nil {
		k.t.Fatal(err)
	}
	k.contexts[context.ID] = context
	return wire.NewRecord(h, box)
}

// checkin records a subject at the door.
func (k *kiosk) checkin(s wire.Subject) uint64 {
	h := k.header(wire.KindCheckin)
	h.Pass = s.Kind
	return k.append(k.seal(h, wire.Encode(s)))
}

// card records an own card.
func (k *kiosk) card(number uint32) uint64 {
	return k.checkin(wire.Subject{Kind: pass.Card, Card: number, Issue: 1})
}

// cards records so many check-ins of different cards.
func (k *kiosk) cards(n int) {
	for i := range n {
		k.card(uint32(i + 1))
	}
}

// anchor records the true time.
func (k *kiosk) anchor() uint64 {
	h := k.header(wire.KindAnchor)
	h.Anchor = &wire.Anchor{Server: k.now().UnixMilli(), Error: 20}
	return k.append(wire.NewRecord(h, wire.Sealed{}))
}

// carry adds a record of another epoch, as a new epoch does with what is in no
// backup.
func (k *kiosk) carry(from wire.Epoch, raw []byte) uint64 {
	k.t.Helper()
	r, _, err := wire.DecodeRecord(raw)
	if err != nil {
		k.t.Fatal(err)
	}
	if r.Origin == nil {
		r.Origin = &from
	}
	return k.append(r)
}

// batch returns the records from..to.
func (k *kiosk) batch(from, to uint64) *wire.Batch {
	k.t.Helper()
	return k.batchOf(&k.ledger, from, to)
}

func (k *kiosk) batchOf(l *ledger, from, to uint64) *wire.Batch {
	b := &wire.Batch{
		V: wire.Version, Kiosk: k.id, Epoch: l.epoch, First: from, Prev: l.chain[from-1], Last: l.last(), Records: l.records[from-1 : to],
	}
	named := map[uint64]bool{}
	for _, raw := range b.Records {
		var r wire.Record
		if wire.Decode(raw, &r) != nil || named[r.Context] {
			continue
		}
		named[r.Context] = true
		if c, ok := k.contexts[r.Context]; ok {
			b.Contexts = append(b.Contexts, c)
		}
	}
	return b
}

// batches returns all records in batches of at most n.
func (k *kiosk) batches(n int) []*wire.Batch {
	var all []*wire.Batch
	for from := uint64(1); from <= k.last(); from += uint64(n) {
		all = append(all, k.batch(from, min(from+uint64(n)-1, k.last())))
	}
	return all
}

// send publishes a batch.
func (w *world) send(k *kiosk, b *wire.Batch) {
	w.t.Helper()
	w.publish(wire.Topic(k.id, wire.UpBatch), b.Seal(k.key))
}

func (w *world) publish(topic string, payload []byte) {
	w.t.Helper()
	if err := w.line.Publish(w.t.Context(), topic, payload, false); err != nil {
		w.t.Fatal(err)
	}
}

// receipt waits for the kiosk's next receipt.
func (k *kiosk) receipt() *wire.Receipt {
	k.t.Helper()
	return k.open1(k.receipts.next())
}

func (k *kiosk) open1(envelope []byte) *wire.Receipt {
	k.t.Helper()
	r, err := wire.OpenReceipt(envelope, k.id, receiptKeys)
	if err != nil {
		k.t.Fatalf("OpenReceipt error = %v", err)
	}
	return r
}

// receiptThrough waits for a receipt that holds everything up to seq.
func (k *kiosk) receiptThrough(seq uint64) *wire.Receipt {
	k.t.Helper()
	for {
		if r := k.receipt(); r.Epoch == k.epoch && r.Through >= seq {
			return r
		}
	}
}

// deliver sends everything and waits for its receipt.
func (w *world) deliver(k *kiosk) *wire.Receipt {
	w.t.Helper()
	for _, b := range k.batches(64) {
		w.send(k, b)
	}
	return k.receiptThrough(k.last())
}

func kioskName(n int) string { return fmt.Sprintf("kiosk-%05d", n) }
