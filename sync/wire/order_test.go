package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const issued = 1_795_500_000_000

func anOrder() *wire.Order {
	return &wire.Order{
		V: 1, Kiosk: kiosk, ID: wire.OrderID{1, 2, 3}, Kind: wire.OrderDirection,
		Args: wire.OrderArgs{Direction: wire.Out, Until: issued + 3_600_000}, Issued: issued, Expires: issued + 60_000,
	}
}

func openOrder(o *wire.Order) (*wire.Order, error) {
	key := testKey(1)
	return wire.OpenOrder(wire.Seal(wire.ForOrder, 1, key, o), func(uint32) ed25519.PublicKey { return public(key) })
}

func TestOrderThatIsNone(t *testing.T) {
	for name, spoil := range map[string]func(*wire.Order){
		"no number":         func(o *wire.Order) { o.ID = wire.OrderID{} },
		"no kind":           func(o *wire.Order) { o.Kind = 0 },
		"no kiosk":          func(o *wire.Order) { o.Kiosk = "a/b" },
		"no beginning":      func(o *wire.Order) { o.Issued = 0 },
		"ends first":        func(o *wire.Order) { o.Expires = o.Issued },
		"for ever":          func(o *wire.Order) { o.Expires = o.Issued + wire.MaxOrderLife.Milliseconds() + 1 },
		"no direction":      func(o *wire.Order) { o.Args.Direction = 3 },
		"more than it says": func(o *wire.Order) { o.Args.Count = 1 },
		"a crowd":           func(o *wire.Order) { o.Kind, o.Args = wire.OrderTally, wire.OrderArgs{Count: 101} },
		"nobody":            func(o *wire.Order) { o.Kind, o.Args = wire.OrderTally, wire.OrderArgs{} },
		"no event":          func(o *wire.Order) { o.Kind, o.Args = wire.OrderEvent, wire.OrderArgs{} },
		"no time":           func(o *wire.Order) { o.Kind, o.Args = wire.OrderFloor, wire.OrderArgs{} },
	} {
		o := anOrder()
		spoil(o)
		if _, err := openOrder(o); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: OpenOrder = %v, want ErrMalformed", name, err)
		}
	}
	later := anOrder()
	later.V = 2
	if _, err := openOrder(later); !errors.Is(err, wire.ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	unknown := anOrder()
	unknown.Kind = 200
	if _, err := openOrder(unknown); err != nil {
		t.Errorf("a kind of a later release: %v, want the order", err)
	}
	// A kiosk's signature under a result is none under an order.
	key := testKey(1)
	if _, err := wire.OpenOrder(wire.Seal(wire.ForConfig, 1, key, anOrder()), func(uint32) ed25519.PublicKey { return public(key) }); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("signed for another purpose: %v", err)
	}
}

func aResult() wire.Result {
	return wire.Result{
		Kiosk: kiosk, Order: wire.OrderID{1, 2, 3}, Kind: wire.OrderSelfTest, State: wire.OrderFailed, Reason: wire.ReasonOrder, Detail: "disk", At: issued,
		Checks: []wire.Check{{Name: "disk", Detail: "read-only"}, {Name: "clock", OK: true, Detail: "synced"}},
	}
}

func TestResultTravelsInParts(t *testing.T) {
	key := testKey(1)
	for _, n := range []int{0, 1, wire.MaxResultData, wire.MaxResultData + 1, wire.MaxResult, wire.MaxResult + 5} {
		data := bytes.Repeat([]byte{7, 8, 9}, (n+2)/3)[:n]
		var got []byte
		messages := aResult().Seal(key, data)
		for i, m := range messages {
			if len(m) > wire.MaxMessage {
				t.Errorf("a part of %d bytes", len(m))
			}
			r, err := wire.OpenResult(m, kiosk, public(key))
			if err != nil {
				t.Fatal(err)
			}
			if r.Part != i || n > 0 && r.Parts != len(messages) || r.State != wire.OrderFailed {
				t.Errorf("part %d of %d: %+v", i, len(messages), r)
			}
			got = append(got, r.Data...)
		}
		if !bytes.Equal(got, data[:min(n, wire.MaxResult)]) {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
	}
}

func TestResultThatIsNone(t *testing.T) {
	key := testKey(1)
	for name, tt := range map[string]struct {
		spoil func(*wire.Result)
		err   error
	}{
		"no state":     {func(r *wire.Result) { r.State = 0 }, wire.ErrMalformed},
		"no parts":     {func(r *wire.Result) { r.Parts, r.Data = 0, []byte{1} }, wire.ErrMalformed},
		"beyond parts": {func(r *wire.Result) { r.Part = 1 }, wire.ErrMalformed},
		"many parts":   {func(r *wire.Result) { r.Parts = wire.MaxResultParts + 1 }, wire.ErrTooLarge},
		"long part":    {func(r *wire.Result) { r.Data = make([]byte, wire.MaxResultData+1) }, wire.ErrTooLarge},
		"many checks":  {func(r *wire.Result) { r.Checks = make([]wire.Check, wire.MaxChecks+1) }, wire.ErrTooLarge},
		"long text":    {func(r *wire.Result) { r.Detail = strings.Repeat("x", 401) }, wire.ErrMalformed},
		"long check":   {func(r *wire.Result) { r.Checks[0].Detail = strings.Repeat("x", 401) }, wire.ErrMalformed},
		"of another":   {func(r *wire.Result) { r.Kiosk = "another-kiosk" }, wire.ErrSignature},
		"version":      {func(r *wire.Result) { r.V = 2 }, wire.ErrVersion},
	} {
		r := aResult()
		r.V, r.Parts = wire.Version, 1
		tt.spoil(&r)
		if _, err := wire.OpenResult(wire.Seal(wire.ForOrder, 0, key, r), kiosk, public(key)); !errors.Is(err, tt.err) {
			t.Errorf("%s: OpenResult = %v, want %v", name, err, tt.err)
		}
	}
	if _, err := wire.OpenResult(wire.Seal(wire.ForOrder, 1, key, aResult()), kiosk, public(key)); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("signed as a server: %v", err)
	}
	if got := wire.ResultText("a\xff\n\x00b" + strings.Repeat("ế", 400)); len(got) > 400 || !strings.HasPrefix(got, "abế") {
		t.Errorf("ResultText = %.20q, %d bytes", got, len(got))
	}
}

func TestOrderKindsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for _, k := range wire.OrderKinds() {
		if n := k.String(); strings.Contains(n, " ") || names[n] {
			t.Errorf("kind %d is called %q", k, n)
		} else {
			names[n] = true
		}
	}
}

// TestGoldenOrders opens what the first version with orders has written.
func TestGoldenOrders(t *testing.T) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	order, result := anOrder(), aResult()
	order.Nonce = &[16]byte{5}
	result.V, result.Parts, result.Data = 1, 1, []byte{1, 2}
	id := order.ID
	beat := &wire.Beat{V: 1, Nonce: [16]byte{7}, Boot: when.Boot{1}, Epoch: wire.Epoch{9}, State: when.Synced,
		Orders: &wire.OrderBeat{Ask: &id, Nonce: order.Nonce, Direction: wire.Out, Until: issued, Locked: true, Maintenance: 300}}
	answer := &wire.BeatAnswer{V: 1, Kiosk: kiosk, Nonce: [16]byte{7}, Time: issued, Orders: &wire.OrderAnswer{Place: 12, Open: []byte{1}}}
	h := wire.Header{Seq: 1, Kind: wire.KindOrder, Reason: wire.ReasonKiosk, Order: &wire.OrderUse{Kind: wire.OrderTally, State: wire.OrderRefused, Card: 7, ID: &id, Undone: 3, Count: 5}}
	h.At(when.Reading{Boot: when.Boot{1}, Since: 60_000, Wall: issued, State: when.Synced, Error: 7})
	for _, g := range []golden{
		{"order.cbor", order, func() []byte { return wire.Seal(wire.ForOrder, 1, key, order) }, func(b []byte) (any, error) { return wire.OpenOrder(b, find) }},
		{"result.cbor", &result, func() []byte { return wire.Seal(wire.ForOrder, 0, key, result) }, func(b []byte) (any, error) { return wire.OpenResult(b, kiosk, public(key)) }},
		{"beat-orders.cbor", beat, func() []byte { return wire.Seal(wire.ForBeat, 0, key, beat) }, func(b []byte) (any, error) { return wire.OpenBeat(b, public(key)) }},
		{"beat-answer-orders.cbor", answer, func() []byte { return wire.Seal(wire.ForBeat, 1, key, answer) }, func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
		{"record-order.cbor", h, func() []byte { return wire.Encode(wire.NewRecord(h, wire.Sealed{})) }, func(b []byte) (any, error) {
			_, got, err := wire.DecodeRecord(b)
			return got, err
		}},
	} {
		path := filepath.Join("..", "..", "testdata", "wire", "v1", g.name)
		if _, err := os.Stat(path); err != nil && *update {
			if err := os.WriteFile(path, g.seal(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.open(b)
		if err != nil {
			t.Fatalf("%s does not open: %v", g.name, err)
		}
		if diff := cmp.Diff(g.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.name, diff)
		}
	}
}

// A record says of an order if it is of that kind, and only then.
func TestRecordOfAnOrder(t *testing.T) {
	for _, h := range []wire.Header{{Seq: 1, Kind: wire.KindOrder}, {Seq: 1, Kind: wire.KindCheckin, Order: &wire.OrderUse{State: wire.OrderDone}}} {
		if _, _, err := wire.DecodeRecord(wire.Encode(wire.NewRecord(h, wire.Sealed{}))); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%+v: %v, want ErrMalformed", h, err)
		}
	}
}

func FuzzOpenOrder(f *testing.F) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	f.Add(wire.Encode(anOrder()))
	f.Fuzz(func(t *testing.T, data []byte) {
		wire.OpenOrder(data, find)
		var said wire.Order
		if wire.Decode(data, &said) != nil {
			return
		}
		o, err := wire.OpenOrder(wire.Seal(wire.ForOrder, 1, key, said), find)
		if err != nil {
			return
		}
		if slices.Contains(wire.OrderKinds(), o.Kind) && o.Args.Validate(o.Kind) != nil {
			t.Errorf("an order that says what does not belong to it opened: %+v", o)
		}
		if again, err := wire.OpenOrder(wire.Seal(wire.ForOrder, 1, key, o), find); err != nil || !cmp.Equal(o, again) {
			t.Errorf("an order that opened does not open again: %+v, %v", o, err)
		}
	})
}

func FuzzOpenResult(f *testing.F) {
	key := testKey(1)
	f.Add(wire.Encode(aResult()))
	f.Fuzz(func(t *testing.T, data []byte) {
		wire.OpenResult(data, kiosk, public(key))
		var said wire.Result
		if wire.Decode(data, &said) != nil {
			return
		}
		r, err := wire.OpenResult(wire.Seal(wire.ForOrder, 0, key, said), kiosk, public(key))
		if err != nil {
			return
		}
		if again, err := wire.OpenResult(wire.Seal(wire.ForOrder, 0, key, r), kiosk, public(key)); err != nil || !cmp.Equal(r, again) {
			t.Errorf("a result that opened does not open again: %+v, %v", r, err)
		}
	})
}
