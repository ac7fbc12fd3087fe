package e2e_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/wire"
)

// impostor is a kiosk of ours that somebody has taken over: with its own keys
// it tries to speak for another. Nothing of that may reach the rows, and the
// other must stay connected.
func (p *play) impostor() {
	p.Helper()
	b, err := p.stage.AddKiosk(p.ctx, "ben-xe-phia-bac", "Bến xe phía Bắc", "")
	if err != nil {
		p.Fatal(err)
	}
	before := len(p.rows(p.kiosk))
	key := kioskKey(p, b)
	forged := func(kiosk string) []byte {
		record := wire.NewRecord(wire.Header{Seq: 1, Kind: wire.KindCheckin, Verdict: wire.Admitted}, wire.Sealed{})
		batch := wire.Batch{V: wire.Version, Kiosk: kiosk, Epoch: wire.NewEpoch(), First: 1, Last: 1}
		batch.Records = append(batch.Records, wire.Encode(record))
		return batch.Seal(key)
	}

	// On the other's topic: the broker does not pass it on.
	link, hangUp := p.dial(b, b.ID)
	for _, payload := range [][]byte{forged(p.kiosk.ID), forged(b.ID)} {
		ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
		err := link.Publish(ctx, wire.Topic(p.kiosk.ID, wire.UpBatch), payload, false)
		cancel()
		p.Logf("a batch on another kiosk's topic: Publish = %v", err)
	}
	hangUp()
	// On its own topic, in the other's name: the server refuses it.
	link, hangUp = p.dial(b, b.ID)
	p.until("the forged batch is refused", func() bool {
		ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
		defer cancel()
		link.Publish(ctx, wire.Topic(b.ID, wire.UpBatch), forged(p.kiosk.ID), false)
		n := p.metric("qrgate_ingest_refused_total")
		return n != "0" && n != ""
	})
	hangUp()
	// Under the other's client id: it gets no further than the door.
	_, hangUp = p.dial(b, p.kiosk.ID)
	hangUp()

	for range 10 {
		p.kiosk.show(p.next())
	}
	p.until("the kiosk still delivers", func() bool { return len(p.rows(p.kiosk)) >= before+10 })
	if got := len(p.rows(p.kiosk)); got != before+10 {
		p.Errorf("%d rows after the impostor, want %d", got, before+10)
	}
	if got := len(p.rows(&visited{Kiosk: b})); got != 0 {
		p.Errorf("%d rows of the impostor, want none", got)
	}
}

// dial connects to the broker with the keys of one kiosk under the name of
// another, and returns when it is up, or after three seconds.
func (p *play) dial(keys *stage.Kiosk, name string) (link *mqttlink.Link, hangUp func()) {
	p.Helper()
	dir := filepath.Join(keys.Dir, "identity")
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "kiosk.pem"), filepath.Join(dir, "kiosk.key"))
	if err != nil {
		p.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		p.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	up := make(chan struct{}, 1)
	link, err = mqttlink.New(mqttlink.Options{
		URL: "tls://" + p.stage.Broker, ClientID: name, Timeout: 3 * time.Second,
		TLS: mqttlink.ClientTLS(roots, "localhost", func() (*tls.Certificate, error) { return &cert, nil }, time.Now),
		OnUp: func(context.Context) {
			select {
			case up <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); link.Run(ctx) }()
	hangUp = func() { cancel(); <-ended }
	p.Cleanup(hangUp)
	select {
	case <-up:
	case <-time.After(3 * time.Second):
	}
	return link, hangUp
}

func kioskKey(p *play, k *stage.Kiosk) ed25519.PrivateKey {
	p.Helper()
	b, err := os.ReadFile(filepath.Join(k.Dir, "identity", "kiosk.key"))
	if err != nil {
		p.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		p.Fatal("kiosk.key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		p.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

// metric returns a metric of the server as it is printed.
func (p *play) metric(name string) string {
	p.Helper()
	resp, err := http.Get(fmt.Sprintf("http://%s/metrics", p.stage.Metrics))
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		p.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
