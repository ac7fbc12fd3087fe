package mqttlink_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/wire"
)

// denied is a topic on which the test brokers let nobody publish.
const denied = "qrgate/v1/kiosk-denied/up/batch"

// An authority is a small CA for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var validFrom, validTo = time.Now().Add(-24 * time.Hour), time.Now().Add(24 * time.Hour)

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: validFrom, NotAfter: validTo,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert = a.sign(t, tmpl, tmpl, &key.PublicKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t testing.TB, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: validFrom, NotAfter: validTo,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// client returns the TLS settings of a client called name.
func (a *authority) client(t testing.TB, name string) *tls.Config {
	cert := a.issue(t, name)
	return mqttlink.ClientTLS(a.pool, "broker.test", func() (*tls.Certificate, error) { return &cert, nil }, time.Now)
}

func (a *authority) server(t testing.TB) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.issue(t, "broker.test")},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool,
	}
}

// A broker listens on the same address whenever it is up.
type broker struct {
	*authority
	addr        string
	start, stop func()
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

type rules struct{ mochi.HookBase }

func (*rules) ID() string           { return "rules" }
func (*rules) Provides(b byte) bool { return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck }
func (*rules) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool {
	return true
}
func (*rules) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return !write || topic != denied
}

// A register is a listener whose connections have all been read from before it
// closes. mochi counts a connection, in a WaitGroup, just before it reads: a
// Close at the same moment is a data race of its own, which is not under test.
type register struct {
	net.Listener
	mu      sync.Mutex
	unread  sync.WaitGroup
	closing bool
}

type entry struct {
	net.Conn
	begun func()
}

func (r *register) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		c.Close()
		return nil, net.ErrClosed
	}
	r.unread.Add(1)
	return &entry{c, sync.OnceFunc(r.unread.Done)}, nil
}

func (e *entry) Read(b []byte) (int, error) {
	e.begun()
	return e.Conn.Read(b)
}

func (r *register) close() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.Listener.Close()
	r.unread.Wait()
}

// newMochi returns a running broker of the kind that the server embeds.
func newMochi(t testing.TB) *broker {
	b := &broker{authority: newAuthority(t), addr: freeAddr(t)}
	config := b.server(t)
	var s *mochi.Server
	var reg *register
	b.start = func() {
		caps := mochi.NewDefaultServerCapabilities()
		caps.MaximumPacketSize = wire.MaxMessage + 1024
		s = mochi.New(&mochi.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler)})
		if err := s.AddHook(new(rules), nil); err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		reg = &register{Listener: ln}
		if err := s.AddListener(listeners.NewNet("tls", tls.NewListener(reg, config))); err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(); err != nil {
			t.Fatal(err)
		}
	}
	b.stop = func() {
		if s != nil {
			reg.close()
			s.Close()
			s = nil
		}
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

// A line is a TCP proxy that can be cut, or stopped without a word.
type line struct {
	addr string
	to   string
	ln   net.Listener
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	still chan struct{} // closed: bytes flow
}

func newLine(t testing.TB, to string) *line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: ln.Addr().String(), to: to, ln: ln, still: make(chan struct{})}
	close(l.still)
	l.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", l.to)
			if err != nil {
				in.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, in, out)
			l.mu.Unlock()
			l.wg.Go(func() { l.pipe(in, out) })
			l.wg.Go(func() { l.pipe(out, in) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		l.flow()
		l.cut()
		l.wg.Wait()
	})
	return l
}

func (l *line) pipe(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	b := make([]byte, 4096)
	for {
		n, err := src.Read(b)
		l.mu.Lock()
		still := l.still
		l.mu.Unlock()
		<-still
		if _, werr := dst.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cut closes every connection.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// hold stops every byte and closes nothing, until flow.
func (l *line) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = make(chan struct{})
}

func (l *line) flow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.still:
	default:
		close(l.still)
	}
}

// A client is a running link with what its hooks said.
type client struct {
	*mqttlink.Link
	up   chan struct{}
	down chan error
	end  func() // ends Run and waits for it
}

func (b *broker) options(t testing.TB, id string) mqttlink.Options {
	return mqttlink.Options{URL: "tls://" + b.addr, ClientID: id, TLS: b.client(t, id), Backoff: 50 * time.Millisecond}
}

func run(t testing.TB, o mqttlink.Options) *client {
	t.Helper()
	c := &client{up: make(chan struct{}, 100), down: make(chan error, 100)}
	was := o.OnUp
	o.OnUp = func(ctx context.Context) {
		if was != nil {
			was(ctx)
		}
		c.up <- struct{}{}
	}
	o.OnDown = func(err error) { c.down <- err }
	l, err := mqttlink.New(o)
	if err != nil {
		t.Fatalf("New(%+v) error = %v", o.URL, err)
	}
	c.Link = l
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	c.end = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, done, "Run to end"); err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	t.Cleanup(c.end)
	return c
}

// receive waits for one value, a long time on a busy machine.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30 s for %s", what)
		panic("unreachable")
	}
}

type message struct {
	topic   string
	payload string
}

func (c *client) listen(t testing.TB, filter string) <-chan message {
	t.Helper()
	ch := make(chan message, 1000)
	if err := c.Subscribe(t.Context(), filter, func(topic string, p []byte) { ch <- message{topic, string(p)} }); err != nil {
		t.Fatalf("Subscribe(%q) error = %v", filter, err)
	}
	return ch
}

func (c *client) send(t testing.TB, topic, payload string) {
	t.Helper()
	if err := c.Publish(t.Context(), topic, []byte(payload), false); err != nil {
		t.Fatalf("Publish(%q, %.20q) error = %v", topic, payload, err)
	}
}
