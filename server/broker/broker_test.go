package broker_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	kioskA = "kiosk-000a"
	kioskB = "kiosk-000b"
	worker = "server-test-0"
	wait   = 20 * time.Second // for what must happen
	quiet  = 300 * time.Millisecond
)

// kiosks is an Authorizer.
type kiosks struct {
	mu   sync.Mutex
	rows map[string]qrgate.Kiosk
	err  error
}

func (k *kiosks) Kiosk(_ context.Context, id string) (qrgate.Kiosk, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, ok := k.rows[id]
	if k.err != nil {
		return qrgate.Kiosk{}, k.err
	}
	if !ok {
		return qrgate.Kiosk{}, fmt.Errorf("kiosk %s: %w", id, qrgate.ErrNotFound)
	}
	return row, nil
}

func (k *kiosks) revoke(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row := k.rows[id]
	row.State = qrgate.KioskRevoked
	k.rows[id] = row
}

// A site is a CA and the kiosks enrolled with it.
type site struct {
	ca   *enrol.CA
	auth *kiosks
	keys map[string]ed25519.PrivateKey
}

func newSite(t testing.TB, ids ...string) *site {
	t.Helper()
	dir := t.TempDir()
	master := vault.NewMaster()
	if err := enrol.Init(filepath.Join(dir, "keys"), master, filepath.Join(dir, "root.key"), time.Now()); err != nil {
		t.Fatal(err)
	}
	keys, err := enrol.Load(filepath.Join(dir, "keys"), master)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := keys.CA()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{ca: ca, auth: &kiosks{rows: map[string]qrgate.Kiosk{}}, keys: map[string]ed25519.PrivateKey{}}
	for _, id := range ids {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.keys[id] = private
		s.auth.rows[id] = qrgate.Kiosk{ID: id, Public: public, State: qrgate.KioskActive}
	}
	return s
}

// kioskTLS returns a kiosk's client settings with a certificate made at made.
func (s *site) kioskTLS(t testing.TB, id string, made time.Time) *tls.Config {
	t.Helper()
	key := s.keys[id]
	b, err := s.ca.Kiosk(id, key.Public().(ed25519.PublicKey), made)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	return &tls.Config{
		RootCAs: s.ca.Pool(), ServerName: "127.0.0.1",
		Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}},
	}
}

func (s *site) workerTLS(t testing.TB, name string) *tls.Config {
	t.Helper()
	c, err := s.ca.LinkTLS(name, "127.0.0.1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *site) start(t testing.TB, o broker.Options) *broker.Broker {
	t.Helper()
	cert, err := s.ca.ServerCertificate(t.TempDir(), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New("127.0.0.1:0", broker.TLS{Certificate: cert.Certificate, Clients: s.ca.Pool()}, s.auth, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return b
}

func options(addr, id string, c *tls.Config) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tls://" + addr).SetClientID(id).SetTLSConfig(c).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(wait).SetOrderMatters(false)
}

// dial connects, or returns the error.
func dial(t testing.TB, o *paho.ClientOptions) (paho.Client, error) {
	t.Helper()
	c := paho.NewClient(o)
	token := c.Connect()
	if !token.WaitTimeout(wait) {
		t.Fatal("Connect did not end")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, token.Error()
}

func mustDial(t testing.TB, o *paho.ClientOptions) paho.Client {
	t.Helper()
	c, err := dial(t, o)
	if err != nil {
		t.Fatalf("Connect(%s) = %v, want nil", o.ClientID, err)
	}
	return c
}

// An inbox collects what a client hears.
type inbox struct{ ch chan paho.Message }

// subscribe returns the inbox, and what the broker granted for the filter.
func subscribe(t testing.TB, c paho.Client, filter string) (inbox, byte) {
	t.Helper()
	in := inbox{make(chan paho.Message, 1000)}
	token := c.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { in.ch <- m }).(*paho.SubscribeToken)
	if !token.WaitTimeout(wait) {
		t.Fatalf("Subscribe(%q) did not end", filter)
	}
	return in, granted(token)
}

// granted returns what SUBACK said for the one filter of a subscription. paho
// files it under the filter without its "$share/group/".
func granted(token *paho.SubscribeToken) byte {
	for _, code := range token.Result() {
		return code
	}
	return 0xff
}

func (in inbox) next(t testing.TB) paho.Message {
	t.Helper()
	select {
	case m := <-in.ch:
		return m
	case <-time.After(wait):
		t.Fatal("no message")
		return nil
	}
}

func publish(t testing.TB, c paho.Client, topic string, retain bool, payload string) {
	t.Helper()
	if token := c.Publish(topic, 1, retain, payload); !token.WaitTimeout(wait) || token.Error() != nil {
		t.Fatalf("Publish(%q) = %v, want nil", topic, token.Error())
	}
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestKioskAndWorkerTalk(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{})
	addr := b.Addr().String()
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	batches, code := subscribe(t, w, wire.Filter("ingest", wire.UpBatch))
	if code != 0 {
		t.Errorf("worker's subscription granted QoS %d, want 0", code)
	}
	k := mustDial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())))
	receipts, _ := subscribe(t, k, wire.Topic(kioskA, wire.DownReceipt))
	largest := strings.Repeat("x", wire.MaxMessage)
	publish(t, k, wire.Topic(kioskA, wire.UpBatch), false, largest)
	if m := batches.next(t); m.Topic() != wire.Topic(kioskA, wire.UpBatch) || len(m.Payload()) != len(largest) {
		t.Errorf("worker heard %d bytes on %s", len(m.Payload()), m.Topic())
	}
	publish(t, w, wire.Topic(kioskA, wire.DownReceipt), false, "receipt")
	if m := receipts.next(t); string(m.Payload()) != "receipt" {
		t.Errorf("kiosk heard %q, want %q", m.Payload(), "receipt")
	}
	until(t, "2 clients and 2 messages each way are counted", func() bool {
		got := b.Stats()
		return got.Clients == 2 && got.In == 2 && got.Out == 2
	})
}

func TestWhoMayConnect(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	other := newSite(t, kioskA)
	var log buffer
	b := s.start(t, broker.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	addr := b.Addr().String()
	now := time.Now()
	own := s.kioskTLS(t, kioskA, now)
	tls12 := own.Clone()
	tls12.MaxVersion = tls.VersionTLS12
	none := own.Clone()
	none.Certificates = nil
	stranger := other.kioskTLS(t, kioskA, now)
	stranger.RootCAs = s.ca.Pool()
	rogue := own.Clone()
	rogue.RootCAs = other.ca.Pool()
	wrongName := own.Clone()
	wrongName.ServerName = "gate.example"
	s.keys["kiosk-none"] = s.keys[kioskA]

	forged := options(addr, kioskA, own)
	forged.SetBinaryWill(wire.Topic(kioskB, wire.Status), []byte("x"), 1, true)
	long := options(addr, kioskA, own)
	long.SetBinaryWill(wire.Topic(kioskA, wire.Status), make([]byte, wire.MaxStatus+1), 1, true)
	loose := options(addr, kioskA, own)
	loose.SetBinaryWill(wire.Topic(kioskA, wire.UpBatch), []byte("x"), 1, true)
	fine := options(addr, kioskA, own)
	fine.SetBinaryWill(wire.Topic(kioskA, wire.Status), make([]byte, wire.MaxStatus), 1, true)
	workerWill := options(addr, worker, s.workerTLS(t, worker))
	workerWill.SetBinaryWill(wire.Topic(kioskA, wire.Status), []byte("x"), 1, true)

	for _, tt := range []struct {
		name string
		o    *paho.ClientOptions
		want string // in the error; "" connects
	}{
		{"a kiosk", options(addr, kioskA, own), ""},
		{"a server", options(addr, worker, s.workerTLS(t, worker)), ""},
		{"own last will", fine, ""},
		{"stolen id", options(addr, kioskB, own), "identifier rejected"},
		{"a server's id", options(addr, worker, own), "identifier rejected"},
		{"no id", options(addr, "", own), "identifier rejected"},
		{"a server under another name", options(addr, kioskA, s.workerTLS(t, worker)), "identifier rejected"},
		{"unknown kiosk", options(addr, "kiosk-none", s.kioskTLS(t, "kiosk-none", now)), "not Authorized"},
		{"wrong CA", options(addr, kioskA, stranger), "bad certificate"},
		{"no certificate", options(addr, kioskA, none), "certificate required"},
		{"TLS 1.2", options(addr, kioskA, tls12), "protocol version"},
		{"expired", options(addr, kioskA, s.kioskTLS(t, kioskA, now.Add(-enrol.KioskLife-time.Hour))), "bad certificate"},
		{"a broker of another CA", options(addr, kioskA, rogue), "unknown authority"},
		{"a broker of another name", options(addr, kioskA, wrongName), "gate.example"},
		{"MQTT 3.1", options(addr, kioskA, own).SetProtocolVersion(3), "unacceptable protocol"},
		{"no keep-alive", options(addr, kioskA, own).SetKeepAlive(0), "not Authorized"},
		{"another's last will", forged, "not Authorized"},
		{"large last will", long, "not Authorized"},
		{"last will on another channel", loose, "not Authorized"},
		{"a server's last will", workerWill, "not Authorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dial(t, tt.o)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Connect = %v, want %q in it", err, tt.want)
			}
		})
	}
	until(t, "the expired kiosk is named in the log", func() bool {
		return strings.Contains(log.String(), "client certificate expired") && strings.Contains(log.String(), "client="+kioskA)
	})
}

func TestReEnrolledKioskShutsOutTheOldKey(t *testing.T) {
	s := newSite(t, kioskA)
	addr := s.start(t, broker.Options{}).Addr().String()
	old := s.kioskTLS(t, kioskA, time.Now())
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.auth.mu.Lock()
	s.auth.rows[kioskA] = qrgate.Kiosk{ID: kioskA, Public: public, State: qrgate.KioskActive}
	s.auth.mu.Unlock()
	if _, err := dial(t, options(addr, kioskA, old)); err == nil {
		t.Error("Connect with the old key = nil, want an error")
	}
}

func TestAuthorizerThatFailsRefuses(t *testing.T) {
	s := newSite(t, kioskA)
	addr := s.start(t, broker.Options{}).Addr().String()
	s.auth.mu.Lock()
	s.auth.err = io.ErrUnexpectedEOF
	s.auth.mu.Unlock()
	_, err := dial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())))
	if err == nil || !strings.Contains(err.Error(), "server Unavailable") {
		t.Errorf("Connect = %v, want server unavailable", err)
	}
}

func TestRevokedKioskIsCutOffAtOnce(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{})
	lost := make(chan error, 1)
	config := s.kioskTLS(t, kioskA, time.Now())
	mustDial(t, options(b.Addr().String(), kioskA, config).SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }))
	s.auth.revoke(kioskA)
	b.Disconnect(kioskA)
	select {
	case <-lost:
	case <-time.After(wait):
		t.Fatal("still connected after Disconnect")
	}
	if _, err := dial(t, options(b.Addr().String(), kioskA, config)); err == nil {
		t.Error("Connect of a revoked kiosk = nil, want an error")
	}
}

func TestSecondConnectionTakesOver(t *testing.T) {
	s := newSite(t, kioskA)
	taken := make(chan string, 100)
	b := s.start(t, broker.Options{Takeover: func(id string) { taken <- id }})
	addr := b.Addr().String()
	config := s.kioskTLS(t, kioskA, time.Now())
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	// mochi alone forgets the new client now and then, so once is not enough.
	const rounds = 30
	for i := range rounds {
		k := mustDial(t, options(addr, kioskA, config))
		receipts, _ := subscribe(t, k, wire.Topic(kioskA, wire.DownReceipt))
		publish(t, w, wire.Topic(kioskA, wire.DownReceipt), false, fmt.Sprint(i))
		if got := string(receipts.next(t).Payload()); got != fmt.Sprint(i) {
			t.Fatalf("round %d: heard %q", i, got)
		}
	}
	if got := b.Stats(); got.Takeovers != rounds-1 || got.Clients != 2 {
		t.Errorf("Stats() = %+v, want %d take-overs and 2 clients", got, rounds-1)
	}
	for range rounds - 1 {
		if got := <-taken; got != kioskA {
			t.Fatalf("Takeover(%q), want %q", got, kioskA)
		}
	}
}

func TestSessionDoesNotOutliveItsConnection(t *testing.T) {
	s := newSite(t, kioskA)
	addr := s.start(t, broker.Options{}).Addr().String()
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	config := s.kioskTLS(t, kioskA, time.Now())
	topic := wire.Topic(kioskA, wire.DownOrder)
	first := mustDial(t, options(addr, kioskA, config).SetCleanSession(false))
	subscribe(t, first, topic)
	first.Disconnect(100)
	publish(t, w, topic, false, "while away")
	heard := make(chan string, 10)
	o := options(addr, kioskA, config).SetCleanSession(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { heard <- string(m.Payload()) })
	second := paho.NewClient(o)
	token := second.Connect().(*paho.ConnectToken)
	if !token.WaitTimeout(wait) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer second.Disconnect(0)
	if token.SessionPresent() {
		t.Error("session present after a reconnect, want none")
	}
	publish(t, w, topic, false, "not subscribed")
	// A subscription answers after whatever the session would have sent.
	subscribe(t, second, wire.Topic(kioskA, wire.DownBeat))
	select {
	case m := <-heard:
		t.Errorf("heard %q on a session that should be new", m)
	default:
	}
}

func TestLastWill(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{})
	addr := b.Addr().String()
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	status, _ := subscribe(t, w, wire.Filter("", wire.Status))
	mustDial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())).SetBinaryWill(wire.Topic(kioskA, wire.Status), []byte("gone"), 1, true))
	b.Disconnect(kioskA)
	if m := status.next(t); string(m.Payload()) != "gone" || m.Topic() != wire.Topic(kioskA, wire.Status) {
		t.Errorf("heard %q on %s, want the last will", m.Payload(), m.Topic())
	}
	late, _ := subscribe(t, w, wire.Topic(kioskA, wire.Status))
	if m := late.next(t); string(m.Payload()) != "gone" || !m.Retained() {
		t.Errorf("later heard %q, retained %t, want the retained last will", m.Payload(), m.Retained())
	}
}

func TestRetain(t *testing.T) {
	for _, tt := range []struct {
		name, topic string
		size        int
		kept        bool
	}{
		{"status", wire.Topic(kioskA, wire.Status), wire.MaxStatus, true},
		{"large status", wire.Topic(kioskA, wire.Status), wire.MaxStatus + 1, false},
		{"batch", wire.Topic(kioskA, wire.UpBatch), 10, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, kioskA, kioskB)
			addr := s.start(t, broker.Options{}).Addr().String()
			lost := make(chan error, 1)
			k := mustDial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())).
				SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }))
			token := k.Publish(tt.topic, 1, true, make([]byte, tt.size))
			if tt.kept {
				if !token.WaitTimeout(wait) || token.Error() != nil {
					t.Fatalf("Publish = %v, want nil", token.Error())
				}
			} else {
				select {
				case <-lost:
				case <-time.After(wait):
					t.Fatal("connection still there")
				}
			}
			w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)).SetOrderMatters(true))
			in, _ := subscribe(t, w, tt.topic)
			fence := mustDial(t, options(addr, kioskB, s.kioskTLS(t, kioskB, time.Now())))
			w.AddRoute(wire.Topic(kioskB, wire.UpBeat), func(_ paho.Client, m paho.Message) { in.ch <- m })
			subscribe(t, w, wire.Filter("", wire.UpBeat))
			publish(t, fence, wire.Topic(kioskB, wire.UpBeat), false, "fence")
			if kept := string(in.next(t).Payload()) != "fence"; kept != tt.kept {
				t.Errorf("Publish(%s, %d bytes, retain): kept %t, want %t", tt.topic, tt.size, kept, tt.kept)
			}
		})
	}
}

func TestKioskHearsItsRetainedConfiguration(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{})
	addr := b.Addr().String()
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	publish(t, w, wire.Topic(kioskA, wire.DownConfig), true, "config")
	until(t, "retained", func() bool { return b.Stats().Retained > 0 })
	k := mustDial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())))
	config, code := subscribe(t, k, "qrgate/v1/"+kioskA+"/down/#")
	if code != 1 {
		t.Fatalf("Subscribe(down/#) granted %#x, want 1", code)
	}
	if m := config.next(t); string(m.Payload()) != "config" || !m.Retained() {
		t.Errorf("heard %q, retained %t, want the configuration", m.Payload(), m.Retained())
	}
}

// rawTLS opens a connection as kioskA and sends CONNECT.
func rawTLS(t testing.TB, addr string, config *tls.Config, connect bool) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if connect {
		id := kioskA
		p := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 30, 0, byte(len(id))}, id...)
		if _, err := c.Write(append([]byte{0x10, byte(len(p))}, p...)); err != nil {
			t.Fatal(err)
		}
		ack := make([]byte, 4)
		if _, err := io.ReadFull(c, ack); err != nil || ack[3] != 0 {
			t.Fatalf("CONNACK = %x, %v", ack, err)
		}
	}
	return c
}

func TestSilentConnectionsAreClosed(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{ConnectTimeout: 2 * time.Second})
	addr := b.Addr().String()
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, c := range map[string]net.Conn{"no handshake": plain, "no CONNECT": rawTLS(t, addr, s.kioskTLS(t, kioskA, time.Now()), false)} {
		c.SetReadDeadline(time.Now().Add(wait))
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("%s: Read = %v, want the connection closed", name, err)
		}
	}
	until(t, "both are forgotten", func() bool { return b.Stats().Connections == 0 })
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func TestDeclaredSizeTakesNoMemory(t *testing.T) {
	s := newSite(t, kioskA)
	addr := s.start(t, broker.Options{}).Addr().String()
	config := s.kioskTLS(t, kioskA, time.Now())
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, connect := range []bool{true, false} {
		for range 20 {
			c := rawTLS(t, addr, config, connect)
			first := byte(0x30) // PUBLISH
			if !connect {
				first = 0x10
			}
			if _, err := c.Write([]byte{first, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(wait))
			if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Fatalf("Read after 268 MB were declared = %v, want the connection closed", err)
			}
		}
	}
	if after := heap(); after > before+16<<20 {
		t.Errorf("heap grew from %d to %d bytes", before, after)
	}
}

func TestConnectionLimits(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{MaxPerAddress: 2})
	for range 2 {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	until(t, "two connections", func() bool { return b.Stats().Connections == 2 })
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(wait))
	if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("third connection: Read = %v, want it closed", err)
	}
	if got := b.Stats().RefusedLimit; got != 1 {
		t.Errorf("RefusedLimit = %d, want 1", got)
	}
}

// A kiosk that does not read must not keep others from being heard.
func TestKioskThatDoesNotReadStopsNobody(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	b := s.start(t, broker.Options{WriteTimeout: time.Second})
	addr := b.Addr().String()
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)))
	stuck := rawTLS(t, addr, s.kioskTLS(t, kioskA, time.Now()), true)
	filter := wire.Topic(kioskA, wire.DownList)
	p := append([]byte{0, 1, 0, byte(len(filter))}, filter...)
	if _, err := stuck.Write(append(append([]byte{0x82, byte(len(p) + 1)}, p...), 1)); err != nil {
		t.Fatal(err)
	}
	k := mustDial(t, options(addr, kioskB, s.kioskTLS(t, kioskB, time.Now())))
	receipts, _ := subscribe(t, k, wire.Topic(kioskB, wire.DownReceipt))
	large := strings.Repeat("x", wire.MaxMessage)
	for range 200 {
		publish(t, w, filter, false, large)
	}
	publish(t, w, wire.Topic(kioskB, wire.DownReceipt), false, "receipt")
	if got := string(receipts.next(t).Payload()); got != "receipt" {
		t.Errorf("heard %q, want the receipt", got)
	}
}

// A worker that is slower than all kiosks together loses nothing: they wait.
func TestSlowWorkerHearsEverything(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	b := s.start(t, broker.Options{})
	addr := b.Addr().String()
	gate := make(chan struct{})
	var mu sync.Mutex
	heard := 0
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)).SetOrderMatters(true))
	token := w.Subscribe(wire.Filter("ingest", wire.UpBatch), 1, func(paho.Client, paho.Message) {
		<-gate
		mu.Lock()
		heard++
		mu.Unlock()
	})
	if !token.WaitTimeout(wait) {
		t.Fatal("Subscribe did not end")
	}
	const each = 400
	payload := strings.Repeat("x", 32<<10)
	var wg sync.WaitGroup
	for _, id := range []string{kioskA, kioskB} {
		k := mustDial(t, options(addr, id, s.kioskTLS(t, id, time.Now())))
		wg.Go(func() {
			for range each {
				k.Publish(wire.Topic(id, wire.UpBatch), 0, false, payload).WaitTimeout(wait)
			}
		})
	}
	// The worker begins to read once the queue has overflowed.
	until(t, "64 messages are in", func() bool { return b.Stats().In > 64 })
	close(gate)
	wg.Wait()
	until(t, "all are heard", func() bool { mu.Lock(); defer mu.Unlock(); return heard == 2*each })
	if got := b.Stats().Dropped; got != 0 {
		t.Errorf("Dropped = %d, want 0", got)
	}
}

func TestNoPayloadReachesTheLog(t *testing.T) {
	s := newSite(t, kioskA)
	var log buffer
	b := s.start(t, broker.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	addr := b.Addr().String()
	config := s.kioskTLS(t, kioskA, time.Now())
	const secret = "Nguyen Van Bi Mat"
	dial(t, options(addr, kioskA, config).SetUsername(secret).SetPassword(secret).SetBinaryWill(wire.Topic(kioskB, wire.Status), []byte(secret), 1, true))
	for _, qos := range []byte{0, 1} {
		k := mustDial(t, options(addr, kioskA, config).SetUsername(secret).SetPassword(secret))
		k.Publish(wire.Topic(kioskB, wire.UpBatch), qos, false, secret).WaitTimeout(quiet)
		k.Publish(wire.Topic(kioskA, wire.UpBatch), qos, true, secret).WaitTimeout(quiet)
		k.Subscribe(wire.Topic(kioskB, wire.DownOrder), 1, nil).WaitTimeout(quiet)
	}
	until(t, "the refusals are in the log", func() bool { return strings.Contains(log.String(), "error processing packet") })
	if strings.Contains(log.String(), "Bi Mat") {
		t.Errorf("log holds a payload or password:\n%s", log.String())
	}
}

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
