package wire_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/wire"
)

// A signature hides the decoder behind it from a fuzzer, so most targets sign
// what they are given.

func FuzzOpenBatch(f *testing.F) {
	key := testKey(1)
	f.Add(typicalBatch(2).Seal(key))
	f.Add(wire.Encode(typicalBatch(2)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := wire.OpenBatch(data, kiosk, public(key)); err == nil {
			again, err := wire.OpenBatch(b.Seal(key), kiosk, public(key))
			if err != nil || again.Hash() != b.Hash() {
				t.Errorf("a batch that opened does not open again: %v", err)
			}
		}
		b, err := wire.OpenBatch(signed(key, false, data), kiosk, public(key))
		if err != nil {
			return
		}
		if b.End() < b.First {
			t.Errorf("batch from %d ends at %d", b.First, b.End())
		}
		for _, r := range b.Records {
			wire.DecodeRecord(r)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	key := testKey(1)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, frame []byte) {
		wire.OpenBatch(signed(key, true, frame), kiosk, public(key))
	})
}

func FuzzOpenReceipt(f *testing.F) {
	key := testKey(3)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	f.Add(wire.Encode(wire.Receipt{V: 1, Kiosk: kiosk, Through: 10, Ranges: []wire.Range{{From: 12, To: 20}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r wire.Receipt
		if wire.Decode(data, &r) != nil {
			return
		}
		got, err := wire.OpenReceipt(r.Seal(1, key), kiosk, find)
		if err != nil {
			return
		}
		last := got.Through
		for _, g := range got.Ranges {
			if g.From <= last || g.To < g.From {
				t.Fatalf("receipt with ranges %v beyond %d opened", got.Ranges, got.Through)
			}
			last = g.To
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(wire.Encode(typicalRecord(3)))
	f.Add(wire.Encode(wire.NewRecord(aPassage(), wire.Sealed{})))
	for _, r := range goldenRecords().Records {
		f.Add([]byte(r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, h, err := wire.DecodeRecord(data)
		if err != nil {
			return
		}
		if _, h2, err := wire.DecodeRecord(wire.Encode(r)); err != nil || !cmp.Equal(h, h2) {
			t.Errorf("record does not survive its own encoding: %v", err)
		}
	})
}

func FuzzOpenBeat(f *testing.F) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	f.Add(wire.Encode(wire.Beat{V: 1, Scanners: []wire.ScannerBeat{{Name: "usb-1"}}}))
	f.Add(wire.Encode(wire.Beat{V: 1, Passage: &wire.PassageBeat{People: 3, Lately: 2, Broken: true}}))
	f.Add(wire.Encode(wire.BeatAnswer{V: 1, Kiosk: kiosk}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b wire.Beat
		if wire.Decode(data, &b) == nil {
			if got, err := wire.OpenBeat(wire.Seal(wire.ForBeat, 0, key, b), public(key)); err == nil && !cmp.Equal(*got, b) {
				t.Errorf("OpenBeat = %+v, want %+v", *got, b)
			}
		}
		var a wire.BeatAnswer
		if wire.Decode(data, &a) == nil {
			if got, err := wire.OpenBeatAnswer(wire.Seal(wire.ForBeat, 1, key, a), kiosk, find); err == nil && !cmp.Equal(*got, a) {
				t.Errorf("OpenBeatAnswer = %+v, want %+v", *got, a)
			}
		}
	})
}

func FuzzOpenKeyList(f *testing.F) {
	root := testKey(9)
	f.Add(wire.Encode(wire.KeyList{V: 1, Keys: []wire.Key{{ID: 1, Purpose: wire.ForSeal, Public: make([]byte, 32)}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l wire.KeyList
		if wire.Decode(data, &l) != nil {
			return
		}
		got, err := wire.OpenKeyList(wire.Seal(wire.ForKeys, 0, root, l), public(root))
		if err != nil {
			return
		}
		for _, k := range got.Keys {
			if pub := got.Signer(wire.ForReceipt)(k.ID); pub != nil && len(pub) != ed25519.PublicKeySize {
				t.Errorf("receipt key %d has %d bytes", k.ID, len(pub))
			}
		}
	})
}

func FuzzOpenListPart(f *testing.F) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	f.Add(wire.Encode(wire.ListPart{V: 1, Data: []byte{1, 0, 0}, Head: wire.ListHead{Stamp: wire.Stamp{Version: 9}, From: 8, Parts: 1}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		wire.OpenListPart(data, find)
		var said wire.ListPart
		if wire.Decode(data, &said) != nil {
			return
		}
		p, err := wire.OpenListPart(wire.Seal(wire.ForList, 1, key, said), find)
		if err != nil {
			return
		}
		if again, err := wire.OpenListPart(wire.Seal(wire.ForList, 1, key, p), find); err != nil || !cmp.Equal(p, again) {
			t.Errorf("a part that opened does not open again: %+v, %v", p, err)
		}
		l := wire.ListBeat{Getting: p.Head.Stamp}
		l.Add(p.Part)
		if b, err := wire.OpenBeat(wire.Seal(wire.ForBeat, 0, key, wire.Beat{V: 1, List: &l}), public(key)); err != nil || !b.List.Has(p.Part) || b.List.Has(p.Part+1) {
			t.Errorf("a beat with part %d = %+v, %v", p.Part, b, err)
		}
	})
}

func FuzzDecodeOnline(f *testing.F) {
	f.Add(wire.Encode(wire.Online{V: 1, Up: true, Session: 7}))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := wire.DecodeOnline(data)
		if err != nil {
			return
		}
		if again, err := wire.DecodeOnline(wire.Encode(o)); err != nil || again != o {
			t.Errorf("DecodeOnline(Encode(%+v)) = %+v, %v", o, again, err)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	f.Add(wire.Topic(kiosk, wire.UpBatch))
	f.Add("qrgate/v1/+/status")
	f.Fuzz(func(t *testing.T, topic string) {
		id, c, err := wire.ParseTopic(topic)
		if err == nil && (!wire.ValidKiosk(id) || wire.Topic(id, c) != topic) {
			t.Errorf("ParseTopic(%q) = %q, %q, which is another topic", topic, id, c)
		}
	})
}
