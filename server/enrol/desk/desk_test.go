package desk_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var from = netip.MustParseAddr("192.0.2.7")

// A world is a desk with a kiosk that was added by hand, and the time.
type world struct {
	*desk.Desk
	t    *testing.T
	s    *store.Store
	rows *enrolment.Enrolments
	ca   *enrol.CA
	keys *enrol.Keys
	key  ed25519.PrivateKey
	now  time.Time
}

const gate = "dong-ba-gate-1"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}
	now := func() time.Time { return w.now }
	dir, master := filepath.Join(t.TempDir(), "keys"), vault.NewMaster()
	if err := enrol.Init(dir, master, filepath.Join(t.TempDir(), "root.key"), w.now); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.keys, err = enrol.Load(dir, master); err != nil {
		t.Fatal(err)
	}
	if w.ca, err = w.keys.CA(); err != nil {
		t.Fatal(err)
	}
	seals, err := w.keys.Seals()
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(seals)
	if err != nil {
		t.Fatal(err)
	}
	id, key, err := w.keys.Signer(wire.ForReceipt, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if w.s, err = store.Open(t.Context(), blank.SQLite(t), store.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.s.Close() })
	w.rows = enrolment.New(w.s, now)
	w.Desk = desk.New(desk.Parts{
		Enrolments: w.rows, Kiosks: w.s, Keys: w.keys, CA: w.ca, Opener: opener, Sign: wire.Signer{ID: id, Key: key}, Tokens: make([]byte, 32),
		Portal: "https://qr.example.vn", Broker: "tls://qr.example.vn:8883", BrokerName: "qr.example.vn",
	}, desk.Options{Now: now})
	_, w.key, _ = ed25519.GenerateKey(rand.Reader)
	if err := w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: gate, Place: "Chợ Đông Ba", Public: w.public(), State: qrgate.KioskActive, Added: w.now}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) public() ed25519.PublicKey { return w.key.Public().(ed25519.PublicKey) }

func (w *world) renew(cert []byte) (*wire.RenewAnswer, error) {
	w.t.Helper()
	r := wire.RenewRequest{V: 1, Kiosk: gate, Nonce: [16]byte{1}, Certificate: cert}
	b, err := w.Renew(w.t.Context(), wire.Seal(wire.ForRenew, 0, w.key, r), from)
	if err != nil {
		return nil, err
	}
	a, err := wire.OpenRenewAnswer(b, gate, r.Nonce, w.keys.List().Signer(wire.ForReceipt))
	if err != nil {
		w.t.Fatal(err)
	}
	return a, nil
}

// A school's kiosk is off all summer, but not for two.
func TestCertificatesThatHaveEnded(t *testing.T) {
	w := newWorld(t)
	cert, err := w.ca.Kiosk(gate, w.public(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	made := w.now
	for days, want := range map[int]wire.RenewState{-90: wire.RenewGranted, 0: wire.RenewGranted, 399: wire.RenewGranted, 401: wire.RenewTooOld, 4000: wire.RenewTooOld} {
		w.now = made.Add(enrol.KioskLife).AddDate(0, 0, days)
		a, err := w.renew(cert)
		if err != nil || a.State != want || (a.Certificate != nil) != (want == wire.RenewGranted) || a.Time != w.now.UnixMilli() {
			t.Errorf("renew %d days after its end = %+v, %v, want state %d", days, a, err, want)
		}
	}
	w.now = made.Add(enrol.KioskLife)
	if err := w.rows.Revoke(t.Context(), "", false, gate); err != nil {
		t.Fatal(err)
	}
	if a, err := w.renew(cert); err != nil || a.State != wire.RenewRevoked || a.Certificate != nil {
		t.Errorf("renew of a revoked one = %+v, %v", a, err)
	}
}

func TestCertificatesThatAreNotTheKiosks(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	foreign, err := other.ca.Kiosk(gate, w.public(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := w.ca.Kiosk("dong-ba-gate-2", w.public(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.ca.Kiosk(gate, other.public(), w.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string][]byte{"another CA's": foreign, "a neighbour's": neighbour, "another key's": key, "none": nil, "the CA itself": w.ca.Certificate()} {
		if a, err := w.renew(cert); err == nil {
			t.Errorf("%s was renewed: %+v", name, a)
		}
	}
}

func TestTriesArePerSource(t *testing.T) {
	w := newWorld(t)
	for n := range 12 {
		_, err := w.Enrol(t.Context(), []byte("x"), from)
		if want := map[bool]error{true: desk.ErrMalformed, false: desk.ErrTooMany}[n < 10]; !errors.Is(err, want) {
			t.Errorf("try %d = %v, want %v", n, err, want)
		}
	}
	if _, err := w.Enrol(t.Context(), []byte("x"), netip.MustParseAddr("198.51.100.1")); !errors.Is(err, desk.ErrMalformed) {
		t.Errorf("another source = %v", err)
	}
	w.now = w.now.Add(time.Minute)
	if _, err := w.Enrol(t.Context(), []byte("x"), from); !errors.Is(err, desk.ErrMalformed) {
		t.Errorf("a minute later = %v", err)
	}
}

// The database holds no token, and what makes one is not in it.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	o, err := w.Offer(t.Context(), "op", enrolment.Door{PlaceNo: 7, Place: "Chợ Đông Ba", Gate: "Cổng B", Direction: wire.In}, "")
	if err != nil {
		t.Fatal(err)
	}
	c := w.Code(o)
	if got, err := pairing.Parse(c.String()); err != nil || got != c || c.Address != "https://qr.example.vn" {
		t.Errorf("code = %+v, %v", got, err)
	}
	if !wire.ValidKiosk(o.Kiosk) || !strings.HasPrefix(o.Kiosk, "k7-") || o.Until.Sub(w.now) != desk.Lasts {
		t.Errorf("offer = %+v", o)
	}
	if _, err := c.Hello(w.Hello()); err != nil {
		t.Errorf("Hello = %v", err)
	}
}

// run runs the desk until the test ends.
func (w *world) run() {
	done := make(chan error, 1)
	go func() { done <- w.Run(w.t.Context()) }()
	w.t.Cleanup(func() {
		if err := <-done; err != nil {
			w.t.Errorf("Run = %v", err)
		}
	})
}

func beat(boot, epoch byte, ask bool) *wire.Beat {
	return &wire.Beat{Boot: when.Boot{boot}, Epoch: wire.Epoch{epoch}, Cert: &wire.CertBeat{Ask: ask}}
}

// A certificate that is asked for in a beat comes with the answer to a later one.
func TestBeats(t *testing.T) {
	w := newWorld(t)
	w.run()
	var a wire.BeatAnswer
	w.Beat(gate, beat(1, 1, false), &a)
	w.Beat(gate, &wire.Beat{}, &a)
	if a.Certificate != nil {
		t.Error("a certificate came unasked")
	}
	for end := time.Now().Add(30 * time.Second); a.Certificate == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.Beat(gate, beat(1, 1, true), &a)
	}
	if err := w.ca.Renewable(a.Certificate, gate, w.public(), w.now); err != nil || len(a.Certificate) > wire.MaxCertificate {
		t.Errorf("certificate of %d bytes: %v", len(a.Certificate), err)
	}
}
