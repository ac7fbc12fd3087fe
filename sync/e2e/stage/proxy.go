package stage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/qrgate/qrgate/sync/wire"
)

// A Proxy is a bad line between kiosks and the broker. It ends the TLS of both
// sides, with the keys of both, and so can do to single messages what a network
// of lines, brokers and retries does: lose, repeat and shuffle them. What it
// does can be changed at any time.
type Proxy struct {
	Repeat       atomic.Int64 // percent of batches that are sent twice
	Shuffle      atomic.Int64 // milliseconds that a batch is held back at most
	LoseReceipts atomic.Bool
	Down         atomic.Bool // nobody gets through; see Cut

	Repeated atomic.Int64 // batches
	Held     atomic.Int64
	Lost     atomic.Int64 // receipts

	stage  *Stage
	broker string
	tls    *tls.Config

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// ServeProxy serves kiosks on l until ctx ends. The server must have been
// initialised, and its certificate must be good for l's address.
func (s *Stage) ServeProxy(ctx context.Context, l net.Listener) (*Proxy, error) {
	dir := filepath.Join(s.ServerState(), "tls")
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		return nil, err
	}
	p := &Proxy{stage: s, broker: s.Broker, conns: map[net.Conn]bool{}, tls: &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13,
	}}
	go func() {
		<-ctx.Done()
		l.Close()
		p.Cut()
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(ctx, c)
		}
	}()
	return p, nil
}

// Cut ends every connection: the broker's sessions are lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) track(c net.Conn, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

func (p *Proxy) serve(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	if p.Down.Load() {
		return
	}
	kiosk := tls.Server(raw, p.tls)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if kiosk.HandshakeContext(ctx) != nil {
		return
	}
	id := kiosk.ConnectionState().PeerCertificates[0].Subject.CommonName
	config, err := p.stage.kioskTLS(id)
	if err != nil {
		return
	}
	broker, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", p.broker)
	if err != nil {
		return
	}
	defer broker.Close()
	p.track(raw, true)
	defer p.track(raw, false)
	var mu sync.Mutex // of what goes to the broker
	toBroker := func(c packets.ControlPacket) {
		mu.Lock()
		defer mu.Unlock()
		c.Write(broker)
	}
	var both sync.WaitGroup
	both.Go(func() { defer broker.Close(); p.up(kiosk, toBroker) })
	both.Go(func() { defer kiosk.Close(); p.down(broker, kiosk, toBroker) })
	both.Wait()
}

// kioskTLS returns the settings with which kiosk id connects.
func (s *Stage) kioskTLS(id string) (*tls.Config, error) {
	dir := filepath.Join(s.Dir, id, "identity")
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "kiosk.pem"), filepath.Join(dir, "kiosk.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", dir)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}, nil
}

// up carries what the kiosk says. Packets that are held back overtake each
// other.
func (p *Proxy) up(from net.Conn, send func(packets.ControlPacket)) {
	var late sync.WaitGroup
	defer late.Wait()
	for {
		c, err := packets.ReadPacket(from)
		if err != nil {
			return
		}
		m, ok := c.(*packets.PublishPacket)
		if !ok || !strings.HasSuffix(m.TopicName, "/"+string(wire.UpBatch)) {
			send(c)
			continue
		}
		copies := []packets.ControlPacket{m}
		if rand.Int64N(100) < p.Repeat.Load() {
			again := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			again.TopicName, again.Payload = m.TopicName, m.Payload
			copies = append(copies, again)
			p.Repeated.Add(1)
		}
		for _, c := range copies {
			if most := p.Shuffle.Load(); most > 0 {
				p.Held.Add(1)
				late.Go(func() {
					time.Sleep(time.Duration(rand.Int64N(most)) * time.Millisecond)
					send(c)
				})
				continue
			}
			send(c)
		}
	}
}

// down carries what the kiosk hears.
func (p *Proxy) down(from, to net.Conn, toBroker func(packets.ControlPacket)) {
	for {
		c, err := packets.ReadPacket(from)
		if err != nil {
			return
		}
		if m, ok := c.(*packets.PublishPacket); ok && p.LoseReceipts.Load() && strings.HasSuffix(m.TopicName, "/"+string(wire.DownReceipt)) {
			p.Lost.Add(1)
			if m.Qos == 1 { // the broker shall believe that it arrived
				ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				ack.MessageID = m.MessageID
				toBroker(ack)
			}
			continue
		}
		if c.Write(to) != nil {
			return
		}
	}
}
