package ingest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/mqttlink"
)

// BenchmarkFromMQTT is BenchmarkIngest through the embedded broker, with TLS and
// client certificates on every connection. Kiosks, broker and server share this
// process and its processors.
func BenchmarkFromMQTT(b *testing.B) {
	for _, e := range engines {
		for _, kiosks := range []int{50, 500} {
			for _, size := range []int{64, 1} {
				b.Run(fmt.Sprintf("%s/kiosks=%d/batch=%d", e.name, kiosks, size), func(b *testing.B) {
					w := newWorld(b, e)
					s := newSite(w)
					w.benchmark(kiosks, size, s.serverLink(), s.kioskLink)
				})
			}
		}
	}
}

// A site is a broker and who may connect to it.
type site struct {
	w      *world
	ca     *enrol.CA
	url    string
	server *serverLink
	once   sync.Once
}

func newSite(w *world) *site {
	b := w.t
	b.Helper()
	dir, master := b.TempDir(), vault.NewMaster()
	if err := enrol.Init(filepath.Join(dir, "keys"), master, filepath.Join(dir, "root.key"), time.Now()); err != nil {
		b.Fatal(err)
	}
	keys, err := enrol.Load(filepath.Join(dir, "keys"), master)
	if err != nil {
		b.Fatal(err)
	}
	ca, err := keys.CA()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.ServerCertificate(dir, []string{"127.0.0.1"}, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	br, err := broker.New("127.0.0.1:0", broker.TLS{Certificate: cert.Certificate, Clients: ca.Pool()}, w.store, broker.Options{MaxPerAddress: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	w.background(br.Run)
	return &site{w: w, ca: ca, url: "tls://" + br.Addr().String()}
}

// background runs a task until the test ends.
func (w *world) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// A serverLink connects when the server has made its subscriptions.
type serverLink struct {
	*mqttlink.Link
	made atomic.Int64
	up   chan struct{}
}

func (l *serverLink) subscriptions() int { return int(l.made.Load()) }

func (l *serverLink) Subscribe(ctx context.Context, filter string, fn func(string, []byte)) error {
	err := l.Link.Subscribe(ctx, filter, fn)
	l.made.Add(1)
	return err
}

func (s *site) serverLink() deliver.Link {
	t := s.w.t
	t.Helper()
	config, err := s.ca.LinkTLS("server-bench-0", "127.0.0.1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	l := &serverLink{up: make(chan struct{})}
	up := sync.OnceFunc(func() { close(l.up) })
	l.Link, err = mqttlink.New(mqttlink.Options{
		URL: s.url, ClientID: "server-bench-0", TLS: config, InFlight: 1024, Queue: 4096,
		OnUp: func(context.Context) { up() },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server = l
	return l
}

// kioskLink connects a kiosk, once the server is there.
func (s *site) kioskLink(k *kiosk) deliver.Link {
	t := s.w.t
	t.Helper()
	s.once.Do(func() { // the server's subscriptions are made
		s.w.background(s.server.Run)
		<-s.server.up
	})
	certificate, err := s.ca.Kiosk(k.id, k.key.Public().(ed25519.PublicKey), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certificate)
	up := make(chan struct{}, 1)
	l, err := mqttlink.New(mqttlink.Options{
		URL: s.url, ClientID: k.id, InFlight: inFlight,
		TLS: &tls.Config{RootCAs: s.ca.Pool(), Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: k.key}}},
		OnUp: func(context.Context) {
			select {
			case up <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.w.background(l.Run)
	<-up
	return l
}
