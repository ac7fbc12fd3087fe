package wire_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var enrolNonce = [16]byte{7, 7}

func anEnrolRequest(key ed25519.PrivateKey) *wire.EnrolRequest {
	return &wire.EnrolRequest{V: 1, Nonce: enrolNonce, Token: [16]byte{1, 2, 3}, Public: public(key), Release: "1.0.0", Model: "Raspberry Pi 4 Model B Rev 1.4"}
}

func anEnrolAnswer(key ed25519.PrivateKey) *wire.EnrolAnswer {
	return &wire.EnrolAnswer{
		V: 1, Nonce: enrolNonce, Public: public(key), State: wire.EnrolGranted, Time: 1_795_500_000_000, Kiosk: "k5-a1-abcdef", Certificate: []byte("PEM"),
		Place: "Chợ Đông Ba", Gate: "A1", Lane: 2, Direction: wire.Out, Broker: "tls://qr.example.vn:8883", BrokerName: "qr.example.vn", Portal: "https://qr.example.vn",
	}
}

// TestGoldenEnrolment opens what the first version with enrolment has written.
func TestGoldenEnrolment(t *testing.T) {
	key, server := testKey(1), testKey(2)
	find := func(uint32) ed25519.PublicKey { return public(server) }
	request, answer := anEnrolRequest(key), anEnrolAnswer(key)
	hello := &wire.EnrolHello{V: 1, CA: []byte{1}, Root: public(testKey(9)), Keys: []byte{2}}
	sealed := &wire.EnrolSealed{V: 1, Context: wire.NewContext(1, make([]byte, 32)), Box: wire.Sealed{Key: 1, Context: wire.NewContext(1, make([]byte, 32)).ID, Counter: 3, Box: []byte{9}}}
	ask := &wire.RenewRequest{V: 1, Kiosk: kiosk, Nonce: enrolNonce, Certificate: []byte("PEM"), Wiped: true}
	told := &wire.RenewAnswer{V: 1, Kiosk: kiosk, Nonce: enrolNonce, State: wire.RenewRevoked, Time: 1_795_500_000_000, Certificate: []byte("PEM"), Wipe: true}
	beat := &wire.Beat{V: 1, Nonce: enrolNonce, Boot: when.Boot{1}, Epoch: wire.Epoch{9}, State: when.Synced, Cert: &wire.CertBeat{Ends: 1_795_500_000_000, Ask: true}}
	renewed := &wire.BeatAnswer{V: 1, Kiosk: kiosk, Nonce: enrolNonce, Time: 1_795_500_000_000, Certificate: []byte("PEM")}
	for _, g := range []golden{
		{"enrol-hello.cbor", hello, func() []byte { return wire.Encode(hello) }, decoded[wire.EnrolHello]},
		{"enrol-sealed.cbor", sealed, func() []byte { return wire.Encode(sealed) }, decoded[wire.EnrolSealed]},
		{"enrol-request.cbor", request, func() []byte { return wire.Seal(wire.ForEnrol, 0, key, request) }, func(b []byte) (any, error) { return wire.OpenEnrolRequest(b) }},
		{"enrol-answer.cbor", answer, func() []byte { return wire.Seal(wire.ForEnrol, 1, server, answer) }, func(b []byte) (any, error) { return wire.OpenEnrolAnswer(b, enrolNonce, public(key), find) }},
		{"renew-request.cbor", ask, func() []byte { return wire.Seal(wire.ForRenew, 0, key, ask) }, func(b []byte) (any, error) { return wire.OpenRenewRequest(b, kiosk, public(key)) }},
		{"renew-answer.cbor", told, func() []byte { return wire.Seal(wire.ForRenew, 1, server, told) }, func(b []byte) (any, error) { return wire.OpenRenewAnswer(b, kiosk, enrolNonce, find) }},
		{"beat-certificate.cbor", beat, func() []byte { return wire.Seal(wire.ForBeat, 0, key, beat) }, func(b []byte) (any, error) { return wire.OpenBeat(b, public(key)) }},
		{"beat-answer-certificate.cbor", renewed, func() []byte { return wire.Seal(wire.ForBeat, 1, server, renewed) }, func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
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

// decoded reads a message that nobody signs.
func decoded[T any](b []byte) (any, error) {
	v := new(T)
	return v, wire.Decode(b, v)
}

func TestEnrolmentRefusals(t *testing.T) {
	key, other, server := testKey(1), testKey(3), testKey(2)
	find := func(id uint32) ed25519.PublicKey {
		if id != 1 {
			return nil
		}
		return public(server)
	}
	twist := func(change func(*wire.EnrolRequest)) []byte {
		r := anEnrolRequest(key)
		change(r)
		return wire.Seal(wire.ForEnrol, 0, key, r)
	}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"another key":   {wire.Seal(wire.ForEnrol, 0, other, anEnrolRequest(key)), wire.ErrSignature},
		"other purpose": {wire.Seal(wire.ForRenew, 0, key, anEnrolRequest(key)), wire.ErrSignature},
		"no key":        {twist(func(r *wire.EnrolRequest) { r.Public = nil }), wire.ErrSignature},
		"version":       {twist(func(r *wire.EnrolRequest) { r.V = 2 }), wire.ErrVersion},
		"long model":    {twist(func(r *wire.EnrolRequest) { r.Model = string(make([]byte, 101)) }), wire.ErrTooLarge},
		"packed":        {twist(func(r *wire.EnrolRequest) { r.Model = string(make([]byte, 5000)) }), wire.ErrMalformed},
		"too large":     {make([]byte, wire.MaxEnrol+1), wire.ErrTooLarge},
	} {
		if r, err := wire.OpenEnrolRequest(tt.data); !errors.Is(err, tt.want) || r != nil {
			t.Errorf("OpenEnrolRequest(%s) = %v, %v, want %v", name, r, err, tt.want)
		}
	}
	answer := func(change func(*wire.EnrolAnswer)) []byte {
		a := anEnrolAnswer(key)
		change(a)
		return wire.Seal(wire.ForEnrol, 1, server, a)
	}
	for name, data := range map[string][]byte{
		"another nonce": answer(func(a *wire.EnrolAnswer) { a.Nonce[0]++ }), "another key": answer(func(a *wire.EnrolAnswer) { a.Public = public(other) }),
		"no state": answer(func(a *wire.EnrolAnswer) { a.State = 0 }), "version": answer(func(a *wire.EnrolAnswer) { a.V = 2 }),
		"a kiosk's own word": wire.Seal(wire.ForEnrol, 0, key, anEnrolAnswer(key)), "unlisted key": wire.Seal(wire.ForEnrol, 2, server, anEnrolAnswer(key)),
	} {
		if a, err := wire.OpenEnrolAnswer(data, enrolNonce, public(key), find); err == nil {
			t.Errorf("OpenEnrolAnswer(%s) = %+v", name, a)
		}
	}
	big := wire.BeatAnswer{V: 1, Kiosk: kiosk, Certificate: make([]byte, wire.MaxCertificate+1)}
	if _, err := wire.OpenBeatAnswer(wire.Seal(wire.ForBeat, 1, server, big), kiosk, find); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a certificate of %d bytes: %v", len(big.Certificate), err)
	}
	for name, kiosk := range map[string]string{"no kiosk": "", "a path": "../../x/aaaa"} {
		if got, err := wire.PeekRenewRequest(wire.Seal(wire.ForRenew, 0, key, wire.RenewRequest{V: 1, Kiosk: kiosk})); err == nil {
			t.Errorf("PeekRenewRequest(%s) = %q", name, got)
		}
	}
}

func FuzzOpenEnrolment(f *testing.F) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	f.Add(wire.Encode(anEnrolRequest(key)))
	f.Add(wire.Encode(wire.RenewRequest{V: 1, Kiosk: kiosk}))
	f.Add(wire.Seal(wire.ForEnrol, 0, key, anEnrolRequest(key)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := wire.OpenEnrolRequest(data); err == nil {
			if again, err := wire.OpenEnrolRequest(data); err != nil || !cmp.Equal(r, again) {
				t.Errorf("OpenEnrolRequest = %+v, then %+v, %v", r, again, err)
			}
		}
		for _, p := range []wire.Purpose{wire.ForEnrol, wire.ForRenew} {
			b := signedFor(p, key, data)
			wire.OpenEnrolRequest(b)
			wire.OpenEnrolAnswer(b, [16]byte{}, public(key), find)
			wire.OpenRenewAnswer(b, kiosk, [16]byte{}, find)
			if id, err := wire.PeekRenewRequest(b); err == nil && !wire.ValidKiosk(id) {
				t.Errorf("PeekRenewRequest = %q", id)
			}
		}
	})
}

// signedFor is signed for another purpose than a batch.
func signedFor(p wire.Purpose, key ed25519.PrivateKey, body []byte) []byte {
	e := wire.Envelope{V: wire.Version, Body: body}
	head := []byte("qrgate " + string(p) + " v1\x00\x00\x00\x00\x00\x00")
	e.Sig = ed25519.Sign(key, append(head, body...))
	return wire.Encode(e)
}
