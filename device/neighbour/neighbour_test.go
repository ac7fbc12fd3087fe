package neighbour_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/neighbour"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A ca is a fleet's.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newCA(t *testing.T) *ca {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{t, cert, key}
}

func (c *ca) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

// issue returns a certificate as kiosks of the fleet have it, or nearly.
func (c *ca) issue(name, role string, from, to time.Time) *tls.Certificate {
	c.t.Helper()
	public, key, _ := ed25519.GenerateKey(nil)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{role}}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.cert, public, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (c *ca) kiosk(name string) *tls.Certificate {
	return c.issue(name, "kiosk", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// A gate is one kiosk of a place.
type gate struct {
	t        *testing.T
	id       string
	cert     *tls.Certificate
	ca       *ca
	place    string
	at       func(notBefore time.Time) time.Time
	listener net.Listener
	room     *room.Room
	said     chan string
	heard    map[string]bool // of what was said
	stop     func()
}

// Handle, Enabled, WithAttrs and WithGroup are a [slog.Handler] that keeps messages.
func (g *gate) Handle(_ context.Context, r slog.Record) error {
	select {
	case g.said <- r.Message:
	default:
	}
	return nil
}
func (g *gate) Enabled(context.Context, slog.Level) bool { return true }
func (g *gate) WithAttrs([]slog.Attr) slog.Handler       { return g }
func (g *gate) WithGroup(string) slog.Handler            { return g }

// says waits until the gate has said something, now or before.
func (g *gate) says(what string) {
	g.t.Helper()
	for late := time.After(20 * time.Second); !g.heard[what]; {
		select {
		case m := <-g.said:
			g.heard[m] = true
		case <-late:
			g.t.Fatalf("%s does not say that %s", g.id, what)
		}
	}
}

func newGate(t *testing.T, c *ca, id string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r, err := room.Open(filepath.Join(t.TempDir(), "room.db"), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &gate{t: t, id: id, cert: c.kiosk(id), ca: c, place: "Chợ Đông Ba", at: func(time.Time) time.Time { return time.Now() }, listener: l, room: r, said: make(chan string, 64), heard: map[string]bool{}}
}

// serve runs the gate as a neighbour of others until the test ends or it is stopped.
func (g *gate) serve(others ...*gate) {
	g.t.Helper()
	var peers []neighbour.Peer
	var ids []string
	for _, o := range others {
		peers, ids = append(peers, neighbour.Peer{Kiosk: o.id, Address: o.listener.Addr().String()}), append(ids, o.id)
	}
	g.room.Neighbours(ids...)
	n := neighbour.New(neighbour.Options{
		Peers: peers, Place: func() string { return g.place }, Certificate: func() *tls.Certificate { return g.cert }, CA: g.ca.pool(),
		At: g.at, Today: time.Now, Room: g.room, Log: slog.New(g),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, g.listener) }()
	g.stop = func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Errorf("Serve() = %v", err)
		}
		g.stop = func() {}
	}
	g.t.Cleanup(func() { g.stop() })
}

// goes counts somebody through.
func (g *gate) goes(d wire.Direction) {
	g.t.Helper()
	_, e := g.room.Enter(room.Scan{Kind: pass.Card, Dir: d, Now: time.Now(), Sure: true, Force: true})
	if err := e.Done(); err != nil {
		g.t.Fatal(err)
	}
}

// inside returns how many are inside as the gate knows, or -1.
func (g *gate) inside() int64 {
	least, most, _, known := g.room.Inside(time.Now(), false)
	if !known || least != most {
		return -1
	}
	return least
}

func (g *gate) until(want int64) {
	g.t.Helper()
	late := time.Now().Add(20 * time.Second)
	for g.inside() != want {
		if time.Now().After(late) {
			g.t.Fatalf("%s knows of %d inside, want %d", g.id, g.inside(), want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Gates without a server know who is inside from each other, and not while one of them
// is not heard.
func TestGatesTellEachOther(t *testing.T) {
	t.Parallel()
	c := newCA(t)
	a, b, d := newGate(t, c, "cho-dong-ba-1"), newGate(t, c, "cho-dong-ba-2"), newGate(t, c, "cho-dong-ba-3")
	for range 5 {
		a.goes(wire.In)
	}
	d.goes(wire.Out)
	a.serve(b, d)
	b.serve(a, d)
	if n := a.inside(); n != -1 {
		t.Errorf("while a gate has not told, %d are inside", n)
	}
	d.serve(a, b)
	for _, g := range []*gate{a, b, d} {
		g.until(4)
	}
	b.goes(wire.In)
	for _, g := range []*gate{a, b, d} {
		g.until(5)
	}
	d.stop()
	a.until(-1)
}

// Gates that woke without a clock hear each other, though one is newer in the fleet than
// the time that the other is sure of.
func TestGatesWithoutAClockHearEachOther(t *testing.T) {
	t.Parallel()
	c := newCA(t)
	a, b := newGate(t, c, "cho-dong-ba-1"), newGate(t, c, "cho-dong-ba-2")
	b.cert = c.issue(b.id, "kiosk", time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	for _, g := range []*gate{a, b} {
		g.at = when.NewClock(when.Boot{1}, func() time.Duration { return time.Minute }, func() time.Time { return time.Unix(0, 0) }, time.Now().Add(-50*time.Minute)).TLSTime
	}
	b.goes(wire.In)
	a.serve(b)
	b.serve(a)
	a.until(1)
	b.until(1)
}

// Whoever is not a kiosk that the configuration names, of this place and this fleet, is
// not heard.
func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	long, now := time.Now().Add(-48*time.Hour), time.Now()
	for _, tt := range []struct {
		name   string
		change func(g *gate, c *ca)
	}{
		{"of another fleet", func(g *gate, _ *ca) { other := newCA(t); g.cert = other.kiosk(g.id) }},
		{"a kiosk that is not named", func(g *gate, c *ca) { g.cert = c.kiosk("khach-san-huong-1") }},
		{"a server's certificate", func(g *gate, c *ca) { g.cert = c.issue(g.id, "server", long, now.Add(time.Hour)) }},
		{"a certificate that has ended", func(g *gate, c *ca) { g.cert = c.issue(g.id, "kiosk", long, now.Add(-time.Minute)) }},
		{"of another place", func(g *gate, _ *ca) { g.place = "Khách sạn Sông Hương" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCA(t)
			a, b := newGate(t, c, "cho-dong-ba-1"), newGate(t, c, "cho-dong-ba-2")
			tt.change(b, c)
			b.goes(wire.In)
			a.serve(b)
			b.serve(a)
			a.says("neighbour is not heard") // that it called
			a.says("neighbour refused")      // that called it
			if n := a.inside(); n != -1 {
				t.Errorf("it was heard: %d are inside", n)
			}
		})
	}
}

func TestParsePeer(t *testing.T) {
	for _, text := range []string{"", "cho-dong-ba-1", "cho-dong-ba-1@", "cho-dong-ba-1@10.0.0.1", "Chợ@10.0.0.1:8470", "@10.0.0.1:8470", "cho-dong-ba-1@:8470"} {
		if p, err := neighbour.ParsePeer(text); err == nil {
			t.Errorf("ParsePeer(%q) = %+v", text, p)
		}
	}
	got, err := neighbour.ParsePeer("cho-dong-ba-1@[fe80::1]:8470")
	if want := (neighbour.Peer{Kiosk: "cho-dong-ba-1", Address: "[fe80::1]:8470"}); err != nil || got != want {
		t.Errorf("ParsePeer = %+v, %v, want %+v", got, err, want)
	}
}

func FuzzDecodeMessage(f *testing.F) {
	m := neighbour.Message{V: wire.Version, Place: "Chợ Đông Ba", Told: room.Told{Life: [8]byte{1}, Period: 20_783, In: 40, Out: 12}}
	f.Add(wire.Encode(m))
	f.Add(wire.Encode(neighbour.Message{V: 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		told, err := neighbour.DecodeMessage(b, "Chợ Đông Ba")
		if err == nil && !told.Sound() {
			t.Errorf("DecodeMessage = %+v", told)
		}
	})
}
