package ingest_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// What an attacker may choose, from nothing but bytes on a topic to a kiosk's
// own key.
const (
	asMessage = iota // anybody who reaches the broker
	asBody           // a kiosk's key
	asRecord
	asHeader
	asSubject
	asOrigin // a subject in a record that was carried over
	ways
)

// FuzzOpen hands the worker a message that is data, or is signed and sealed and
// has data at its core.
func FuzzOpen(f *testing.F) {
	w := newWorld(f, sqlite)
	private, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		f.Fatal(err)
	}
	w.seals, w.sealPublic = map[uint32][]byte{sealKeyID: private.Bytes()}, private.PublicKey().Bytes()
	in, err := ingest.New(w.parts(), ingest.Options{Now: w.now})
	if err != nil {
		f.Fatal(err)
	}
	k := w.kiosk("kiosk-00001")
	w.enrolAgain(k.withKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))))
	k.epoch = wire.Epoch{1}
	header := k.header(wire.KindCheckin)
	other := wire.Epoch{2}

	subject := wire.Encode(wire.Subject{Kind: pass.CCCD, Number: "046203001234", Name: "Nguyễn Thị Mai", Born: 2003})
	k.card(1)
	good := k.batch(1, k.last())
	f.Add(uint8(asMessage), good.Seal(k.key))
	f.Add(uint8(asBody), wire.Encode(good))
	f.Add(uint8(asRecord), []byte(k.records[1]))
	f.Add(uint8(asHeader), wire.Encode(header))
	f.Add(uint8(asSubject), subject)
	f.Add(uint8(asOrigin), subject)

	f.Fuzz(func(t *testing.T, way uint8, data []byte) {
		message := data
		batch := wire.Batch{V: wire.Version, Kiosk: k.id, Epoch: k.epoch, First: 1}
		record := func(r wire.Record, c ...wire.Context) {
			batch.Records, batch.Contexts = append(batch.Records, wire.Encode(r)), c
		}
		sealed := func(epoch wire.Epoch) {
			h := header
			h.Seq = 1
			box, c, err := k.sealer.Seal(w.now(), wire.AdditionalData(k.id, epoch, wire.Encode(h)), data)
			if err != nil {
				t.Fatal(err)
			}
			r := wire.NewRecord(h, box)
			if epoch != k.epoch {
				r.Origin = &epoch
			}
			record(r, c)
		}
		switch way % ways {
		case asBody:
			message = signed(k.key, data)
		case asRecord:
			if wire.Decode(data, new(any)) != nil {
				data = []byte{0xf6} // a batch of what is no CBOR is none
			}
			batch.Records = append(batch.Records, data)
			message = batch.Seal(k.key)
		case asHeader:
			record(wire.Record{Header: data})
			message = batch.Seal(k.key)
		case asSubject:
			sealed(k.epoch)
			message = batch.Seal(k.key)
		case asOrigin:
			sealed(other)
			message = batch.Seal(k.key)
		}
		b, records, err := in.Open(t.Context(), k.id, message)
		if err != nil {
			return
		}
		if len(records) != len(b.Records) || len(records) == 0 || len(records) > wire.MaxBatchRecords || b.Kiosk != k.id {
			t.Fatalf("%d records of %d, kiosk %q", len(records), len(b.Records), b.Kiosk)
		}
		for i, r := range records {
			if err := sane(b, i, r); err != nil {
				t.Errorf("record %d: %v: %+v", i, err, r)
			}
		}
	})
}

// sane checks what the committer and the database rely on.
func sane(b *wire.Batch, i int, r ingest.Opened) error {
	h := r.Header
	switch {
	case r.Reject != wire.NoReason:
		return nil
	case h.Seq == 0 || h.Seq >= 1<<62 || r.Origin == nil && h.Seq != b.First+uint64(i):
		return fmt.Errorf("number %d", h.Seq)
	case r.Origin != nil && *r.Origin == b.Epoch:
		return fmt.Errorf("carried over into its own epoch")
	case h.Since < 0 || h.Wall+h.Since < h.Wall || h.Error < 0 || h.Anchor != nil && (h.Anchor.Server <= 0 || h.Anchor.Server+h.Anchor.Error+h.Since <= 0):
		return fmt.Errorf("times that overflow")
	case len(h.Gate) > 64 || !utf8.ValidString(h.Gate):
		return fmt.Errorf("gate %q", h.Gate)
	case r.Digest != deliver.Digest(b.Records[i]):
		return fmt.Errorf("digest %x, ledger's %x", r.Digest, deliver.Digest(b.Records[i]))
	case (h.Kind == wire.KindOpened) != (h.Opened != nil) || (h.Kind == wire.KindAnchor) != (h.Anchor != nil):
		return fmt.Errorf("kind %d", h.Kind)
	case r.Detail != nil && (!r.Named || r.Detail.Number == ""):
		return fmt.Errorf("a detail of nobody")
	}
	return nil
}

// signed returns an envelope with any body.
func signed(key ed25519.PrivateKey, body []byte) []byte {
	e := wire.Envelope{V: wire.Version, Body: body}
	var b []byte
	b = append(b, "qrgate batch v1\x00\x00\x00\x00\x00\x00"...)
	e.Sig = ed25519.Sign(key, append(b, body...))
	return wire.Encode(e)
}

// withKey gives the kiosk another key.
func (k *kiosk) withKey(key ed25519.PrivateKey) *kiosk {
	k.key = key
	return k
}
