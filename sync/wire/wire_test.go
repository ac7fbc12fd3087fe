package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const kiosk = "dong-ba-gate-1"

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// typicalRecord is a check-in as a kiosk writes most of them: an own card, its
// box of a realistic size, a sequence number in the tens of thousands.
func typicalRecord(seq uint64) wire.Record {
	h := wire.Header{
		Seq: seq, Kind: wire.KindCheckin, Boot: when.Boot{1, 2, 3}, Since: 86_400_000,
		Wall: 1_795_500_000_000, Clock: when.Synced, Error: 120, Gate: "A1", Lane: 1,
		Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Presence: wire.Verified,
	}
	subject := wire.Encode(wire.Subject{Kind: pass.Card, Card: 812_345, Issue: 1})
	return wire.NewRecord(h, wire.Sealed{
		Key: 1, Context: 0x8123456789abcdef, Counter: 200, Box: append(subject, make([]byte, 16)...),
	})
}

func typicalBatch(n int) *wire.Batch {
	b := &wire.Batch{V: wire.Version, Kiosk: kiosk, Epoch: wire.Epoch{9}, First: 1, Last: uint64(n), Oldest: 1}
	b.Contexts = []wire.Context{wire.NewContext(1, bytes.Repeat([]byte{7}, 32))}
	for i := range n {
		b.Records = append(b.Records, wire.Encode(typicalRecord(uint64(i+1))))
	}
	return b
}

func TestRecordIsSmall(t *testing.T) {
	if n := len(wire.Encode(typicalRecord(48_211))); n > 140 {
		t.Errorf("typical record is %d bytes, want at most 140", n)
	}
}

func TestLargestBatchFitsMessage(t *testing.T) {
	b := &wire.Batch{V: wire.Version, Kiosk: strings.Repeat("k", 40), First: 1 << 61, Last: 1 << 62, Oldest: 1 << 61}
	for i := range wire.MaxBatchRecords {
		b.Contexts = append(b.Contexts, wire.NewContext(1<<31, bytes.Repeat([]byte{byte(i), 1}, 16)))
	}
	random := make([]byte, wire.MaxBatchBytes)
	for i := range random {
		random[i] = byte(i * 7919 >> 3)
	}
	b.Records = append(b.Records, wire.Encode(random))
	key := testKey(1)
	if n := len(b.Seal(key)); n > wire.MaxMessage {
		t.Errorf("largest batch is %d bytes, want at most %d", n, wire.MaxMessage)
	}
}

func TestTopics(t *testing.T) {
	for _, c := range []wire.Channel{wire.UpBatch, wire.Status, wire.DownReceipt, wire.DownKeys} {
		id, got, err := wire.ParseTopic(wire.Topic(kiosk, c))
		if err != nil || id != kiosk || got != c {
			t.Errorf("ParseTopic(Topic(%q, %q)) = %q, %q, %v", kiosk, c, id, got, err)
		}
	}
	for _, bad := range []string{
		"", "qrgate/v1/", "qrgate/v1/dong-ba-gate-1", "qrgate/v2/dong-ba-gate-1/status", "qrgate/v1/+/up/batch",
		"qrgate/v1/short/status", "qrgate/v1/dong-ba-gate-1/up/batch/more", "qrgate/v1/DONG-BA-GATE/status",
		"$share/g/qrgate/v1/dong-ba-gate-1/status", "qrgate/v1/dong-ba-gate-1/status\x00",
	} {
		if id, c, err := wire.ParseTopic(bad); err == nil {
			t.Errorf("ParseTopic(%q) = %q, %q, nil; want an error", bad, id, c)
		}
	}
}

func TestBatchRefusals(t *testing.T) {
	key, other := testKey(1), testKey(2)
	sealed := func(change func(*wire.Batch)) []byte {
		b := typicalBatch(3)
		if change != nil {
			change(b)
		}
		return b.Seal(key)
	}
	tampered := sealed(nil)
	tampered[len(tampered)/2] ^= 1
	many := typicalBatch(1)
	for len(many.Records) <= wire.MaxBatchRecords {
		many.Records = append(many.Records, many.Records[0])
	}
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"good", sealed(nil), nil},
		{"empty", nil, wire.ErrMalformed},
		{"trailing byte", append(sealed(nil), 0), wire.ErrMalformed},
		{"tampered", tampered, wire.ErrSignature},
		{"another's key", typicalBatch(3).Seal(other), wire.ErrSignature},
		{"another's name", sealed(func(b *wire.Batch) { b.Kiosk = "dong-ba-gate-2" }), wire.ErrSignature},
		{"newer version", sealed(func(b *wire.Batch) { b.V = 2 }), wire.ErrVersion},
		{"no records", sealed(func(b *wire.Batch) { b.Records = nil }), wire.ErrMalformed},
		{"number zero", sealed(func(b *wire.Batch) { b.First = 0 }), wire.ErrMalformed},
		{"first on a chain", sealed(func(b *wire.Batch) { b.Prev[0] = 1 }), wire.ErrMalformed},
		{"context under a false id", sealed(func(b *wire.Batch) { b.Contexts[0].ID++ }), wire.ErrMalformed},
		{"too many records", many.Seal(key), wire.ErrTooLarge},
		{"too long", make([]byte, wire.MaxMessage+1), wire.ErrTooLarge},
		{"a receipt's signature", wire.Seal(wire.ForReceipt, 0, key, typicalBatch(3)), wire.ErrSignature},
		{"a server's key id", wire.Seal(wire.ForBatch, 1, key, typicalBatch(3)), wire.ErrSignature},
		{"bomb", signed(key, true, zeros(t, 64<<20)), wire.ErrTooLarge},
		{"packed noise", signed(key, true, []byte("noise")), wire.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := wire.OpenBatch(tt.data, kiosk, public(key))
			if !errors.Is(err, tt.want) || (err == nil) != (b != nil) {
				t.Errorf("OpenBatch = %v, %v; want error %v", b, err, tt.want)
			}
		})
	}
}

// signed is a correctly signed envelope around any body: what a kiosk that was
// broken into could send.
func signed(key ed25519.PrivateKey, isPacked bool, body []byte) []byte {
	e := wire.Envelope{V: wire.Version, Packed: isPacked, Body: body}
	head := []byte("qrgate batch v1\x00\x00\x00\x00\x00\x00")
	if isPacked {
		head[len(head)-1] = 1
	}
	e.Sig = ed25519.Sign(key, append(head, body...))
	return wire.Encode(e)
}

// zeros is a zstd frame of a few kilobytes that inflates to n bytes and declares
// neither that nor a large window.
func zeros(t *testing.T, n int) []byte {
	t.Helper()
	var frame bytes.Buffer
	enc, err := zstd.NewWriter(&frame, zstd.WithWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return frame.Bytes()
}

// Few bytes that declare or become many must cost few: a kiosk and a server of
// 10,000 kiosks have no 268 MB to spare for a header.
func TestDeclaredSizeIsNotAllocated(t *testing.T) {
	const declared = 268_435_455
	key := testKey(1)
	size := binary.BigEndian.AppendUint32(nil, declared)
	frame := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, binary.LittleEndian.AppendUint64(nil, declared)...)
	window := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3}, 1, 0, 0) // 256 MiB
	for name, data := range map[string][]byte{
		"zstd frame":    signed(key, true, append(frame, 0x03, 0, 0x10, 0)),
		"bomb":          signed(key, true, zeros(t, 64<<20)),
		"zstd window":   signed(key, true, window),
		"envelope":      append([]byte{0xbb}, binary.BigEndian.AppendUint64(nil, declared)...),
		"envelope body": append([]byte{0xa1, 0x04, 0x5a}, size...),
		"records":       signed(key, false, append([]byte{0xa1, 0x0a, 0x9a}, size...)),
		"record":        signed(key, false, append([]byte{0xa1, 0x0a, 0x81, 0x5a}, size...)),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := wire.OpenBatch(data, kiosk, public(key))
			runtime.ReadMemStats(&after)
			if !errors.Is(err, wire.ErrTooLarge) && !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("OpenBatch(%d bytes) error = %v, want ErrTooLarge or ErrMalformed", len(data), err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("OpenBatch(%d bytes) allocated %d bytes, want at most 4 MiB", len(data), n)
			}
		})
	}
}

func TestReceiptRefusals(t *testing.T) {
	key := testKey(3)
	find := func(id uint32) ed25519.PublicKey {
		if id == 4 {
			return public(key)
		}
		return nil
	}
	good := wire.Receipt{V: 1, Kiosk: kiosk, Through: 10, Safe: 4, Ranges: []wire.Range{{From: 12, To: 20}, {From: 30, To: 30}}, Time: 1}
	tests := []struct {
		name   string
		change func(*wire.Receipt)
		keyID  uint32
		want   error
	}{
		{"good", func(*wire.Receipt) {}, 4, nil},
		{"unlisted key", func(*wire.Receipt) {}, 5, wire.ErrSignature},
		{"another kiosk's", func(r *wire.Receipt) { r.Kiosk = "dong-ba-gate-2" }, 4, wire.ErrSignature},
		{"newer version", func(r *wire.Receipt) { r.V = 9 }, 4, wire.ErrVersion},
		{"safe beyond through", func(r *wire.Receipt) { r.Safe = 11 }, 4, wire.ErrMalformed},
		{"range that touches through", func(r *wire.Receipt) { r.Ranges[0].From = 11 }, 4, wire.ErrMalformed},
		{"range after the last number", func(r *wire.Receipt) { r.Through = 1<<64 - 1 }, 4, wire.ErrMalformed},
		{"range to the last number", func(r *wire.Receipt) { r.Ranges[1].To = 1<<64 - 1 }, 4, wire.ErrMalformed},
		{"ranges that overlap", func(r *wire.Receipt) { r.Ranges[1].From = 20 }, 4, wire.ErrMalformed},
		{"too many ranges", func(r *wire.Receipt) { r.Ranges = make([]wire.Range, wire.MaxReceiptRanges+1) }, 4, wire.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			r.Ranges = append([]wire.Range(nil), good.Ranges...)
			tt.change(&r)
			if _, err := wire.OpenReceipt(r.Seal(tt.keyID, key), kiosk, find); !errors.Is(err, tt.want) {
				t.Errorf("OpenReceipt = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDecodeRecord(t *testing.T) {
	good := typicalRecord(7)
	if _, h, err := wire.DecodeRecord(wire.Encode(good)); err != nil || h.Seq != 7 {
		t.Fatalf("DecodeRecord(good) = %+v, %v", h, err)
	}
	origin := wire.Epoch{5}
	carried := good
	carried.Origin = &origin
	if carried.Digest() != good.Digest() {
		t.Error("a carried record has another digest than the record it carries")
	}
	anchor := wire.NewRecord(wire.Header{Seq: 1, Kind: wire.KindAnchor}, wire.Sealed{})
	for name, b := range map[string][]byte{
		"no number":             wire.Encode(wire.NewRecord(wire.Header{Kind: wire.KindCheckin}, wire.Sealed{})),
		"anchor without anchor": wire.Encode(anchor),
		"header is no map":      wire.Encode(wire.Record{Header: []byte{0x01}}),
		"too long":              make([]byte, wire.MaxRecord+1),
	} {
		if _, _, err := wire.DecodeRecord(b); err == nil {
			t.Errorf("DecodeRecord(%s) succeeded", name)
		}
	}
}

func TestBeatAnswerRefusals(t *testing.T) {
	key := testKey(3)
	find := func(id uint32) ed25519.PublicKey {
		if id == 4 {
			return public(key)
		}
		return nil
	}
	good := wire.BeatAnswer{V: 1, Kiosk: kiosk, Nonce: [16]byte{1}, Time: 5}
	other, newer := good, good
	other.Kiosk, newer.V = "dong-ba-gate-2", 2
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"good":               {wire.Seal(wire.ForBeat, 4, key, good), nil},
		"another kiosk's":    {wire.Seal(wire.ForBeat, 4, key, other), wire.ErrSignature},
		"newer version":      {wire.Seal(wire.ForBeat, 4, key, newer), wire.ErrVersion},
		"unlisted key":       {wire.Seal(wire.ForBeat, 5, key, good), wire.ErrSignature},
		"receipt's purpose":  {wire.Seal(wire.ForReceipt, 4, key, good), wire.ErrSignature},
		"a beat played back": {wire.Seal(wire.ForBeat, 0, testKey(1), wire.Beat{V: 1}), wire.ErrSignature},
	} {
		if got, err := wire.OpenBeatAnswer(tt.data, kiosk, find); !errors.Is(err, tt.want) || err == nil && !cmp.Equal(*got, good) {
			t.Errorf("OpenBeatAnswer(%s) = %v, %v, want error %v", name, got, err, tt.want)
		}
	}
}

func TestKeyListRefusals(t *testing.T) {
	root := testKey(9)
	list := func(k wire.Key) wire.KeyList { return wire.KeyList{V: 1, Keys: []wire.Key{k}} }
	good := list(wire.Key{ID: 1, Purpose: wire.ForSeal, Public: make([]byte, 32)})
	newer := good
	newer.V = 2
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"good":                   {wire.Seal(wire.ForKeys, 0, root, good), nil},
		"another root's":         {wire.Seal(wire.ForKeys, 0, testKey(8), good), wire.ErrSignature},
		"newer version":          {wire.Seal(wire.ForKeys, 0, root, newer), wire.ErrVersion},
		"too many keys":          {wire.Seal(wire.ForKeys, 0, root, wire.KeyList{V: 1, Keys: make([]wire.Key, wire.MaxKeys+1)}), wire.ErrTooLarge},
		"short seal key":         {wire.Seal(wire.ForKeys, 0, root, list(wire.Key{Purpose: wire.ForSeal, Public: make([]byte, 31)})), wire.ErrMalformed},
		"no receipt key":         {wire.Seal(wire.ForKeys, 0, root, list(wire.Key{Purpose: wire.ForReceipt})), wire.ErrMalformed},
		"purpose of a later day": {wire.Seal(wire.ForKeys, 0, root, list(wire.Key{Purpose: "x", Public: []byte{1}})), nil},
	} {
		if l, err := wire.OpenKeyList(tt.data, public(root)); !errors.Is(err, tt.want) || (err == nil) != (l != nil) {
			t.Errorf("OpenKeyList(%s) = %v, %v, want error %v", name, l, err, tt.want)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	newer := wire.Encode(map[int]any{1: wire.Version, 3: 77, 2: true, 900: "from a later release"})
	got, err := wire.DecodeOnline(newer)
	if want := (wire.Online{V: 1, Up: true, Session: 77}); err != nil || got != want {
		t.Errorf("DecodeOnline(newer) = %+v, %v; want %+v", got, err, want)
	}
}

func TestCurrentKeyUnderAWrongClock(t *testing.T) {
	day := func(n int64) int64 { return n * 86_400_000 }
	l := wire.KeyList{Keys: []wire.Key{
		{ID: 9, Purpose: wire.ForReceipt, From: day(15)},
		{ID: 1, Purpose: wire.ForSeal, From: day(10), To: day(20)},
		{ID: 3, Purpose: wire.ForSeal, From: day(30)},
		{ID: 2, Purpose: wire.ForSeal, From: day(18), To: day(40)},
	}}
	for at, want := range map[int64]uint32{0: 1, 10: 1, 19: 2, 29: 2, 30: 3, 50_000: 3} {
		k, ok := l.Current(wire.ForSeal, time.UnixMilli(day(at)))
		if !ok || k.ID != want {
			t.Errorf("Current(seal, day %d) = key %d, %v; want key %d", at, k.ID, ok, want)
		}
	}
	if k, ok := l.Current(wire.ForCard, time.UnixMilli(0)); ok {
		t.Errorf("Current(card) = key %d of a purpose that is not listed", k.ID)
	}
}

func TestHostileCBOR(t *testing.T) {
	for name, b := range map[string][]byte{
		"deep nesting":       bytes.Repeat([]byte{0x81}, 100),
		"huge array":         {0x9b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		"huge string":        {0x5b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		"endless map":        {0xbf, 1, 1, 0xff},
		"duplicate key":      {0xa2, 1, 1, 1, 2},
		"tagged":             {0xc1, 0},
		"two values":         {0xa0, 0xa0},
		"string for version": {0xa1, 1, 0x61, 'x'},
	} {
		if err := wire.Decode(b, &wire.Online{}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("Decode(%s) = %v, want ErrMalformed", name, err)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := wire.KioskConfig{
		Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In, OnFault: wire.Refuse,
		Accept: []pass.Kind{pass.Card}, Repeat: 4e9, Reset: 3e9, HelpLine: "19001075",
	}
	if err := good.Validate(); err != nil {
		t.Fatalf("Validate(good) = %v", err)
	}
	for want, change := range map[string]func(*wire.KioskConfig){
		"place":                             func(c *wire.KioskConfig) { c.Place = "" },
		"gate":                              func(c *wire.KioskConfig) { c.Gate = strings.Repeat("x", 17) },
		"direction":                         func(c *wire.KioskConfig) { c.Direction = 3 },
		"on_fault: must be":                 func(c *wire.KioskConfig) { c.OnFault = "panic" },
		"no fault ever locks a person in":   func(c *wire.KioskConfig) { c.Direction = wire.Out },
		"accept: at least one":              func(c *wire.KioskConfig) { c.Accept = nil },
		"poster does not identify a person": func(c *wire.KioskConfig) { c.Accept = []pass.Kind{pass.Poster} },
		"repeat: must be between":           func(c *wire.KioskConfig) { c.Repeat = 0 },
		"reset: must be between 1s and 30s": func(c *wire.KioskConfig) { c.Reset = 1 },
		"stale_list: must be":               func(c *wire.KioskConfig) { c.StaleList = "ask" },
		"a list is stale after 1 to 366":    func(c *wire.KioskConfig) { c.StaleList = wire.RefuseStale },
		"refuse for want of a list": func(c *wire.KioskConfig) {
			c.StaleList, c.StaleAfter, c.OnFault = wire.RefuseStale, 24*time.Hour, wire.AdmitUnrecorded
		},
		"help_line: at most 40 bytes": func(c *wire.KioskConfig) { c.HelpLine = strings.Repeat("1", 41) },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want an error with %q", err, want)
		}
	}
}

func TestSubjectIsNeverPrinted(t *testing.T) {
	s := wire.Subject{Kind: pass.CCCD, Number: "046190001234", Name: "Nguyễn Thị Hoa Mai"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, "046") || strings.Contains(got, "Mai") {
			t.Errorf("Sprintf(%q) shows the subject: %s", format, got)
		}
	}
}
