// Package broker is the MQTT broker inside the server, for installations that
// need no other. It owns who may connect, what each may say and hear, and how
// much of the machine a client may use.
//
//	b, err := broker.New(":8883", broker.TLS{Certificate: cert.Certificate, Clients: ca.Pool()}, store, broker.Options{Log: log})
//	err = b.Run(ctx)
//	b.Disconnect(kiosk) // after the row that revokes it is committed
//
// The promise: nobody acts under another's name. A client's name is the CN of
// its certificate, its role the OU (enrol.Identify); a kiosk publishes and hears
// on its own topics alone, its last will included, and is asked for in the
// [Authorizer] at every connect.
//
// Kiosks and the server's own workers connect alike, by MQTT 3.1.1 over TLS 1.3
// with client certificates: what works with this broker works with an external
// one, and the other way round. No session outlives its connection, so nothing
// is kept for a client that is away; receipts make up for it. Retained messages
// live in memory: whoever publishes them does so again after each connect.
//
// # An external broker
//
// Mosquitto 2 keeps the same rules with the file that [MosquittoACL] writes and
//
//	listener 8883
//	cafile ca.pem
//	certfile server.pem
//	keyfile server.key
//	tls_version tlsv1.3
//	require_certificate true
//	use_identity_as_username true
//	use_username_as_clientid true
//	allow_anonymous false
//	crlfile revoked.crl
//	acl_file qrgate.acl
//	message_size_limit 131072
//
// It reads revoked.crl when it is told to (SIGHUP), which setting reload of the
// server's [broker] is for, or a systemd path unit where the server may not; the
// server itself ends the connection of a revoked kiosk (package external).
//
// There a SUBSCRIBE that is not allowed looks granted and delivers nothing, and a
// PUBLISH that is not allowed is acknowledged and dropped. Nor does Mosquitto keep a kiosk out of a shared subscription: it hears
// nothing there, but its share of the batches is lost until they are sent again.
// It keeps sessions for who asks, knows no limit of what is retained, and lets a
// kiosk's last will be any message that the kiosk may publish.
//
// The package hides mochi-mqtt/server, whose types appear nowhere outside it.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// An Authorizer says which kiosks may connect.
type Authorizer interface {
	// Kiosk returns the kiosk of that name. qrgate.ErrNotFound refuses the
	// kiosk; every other error asks it to come again.
	Kiosk(ctx context.Context, id string) (qrgate.Kiosk, error)
}

// TLS is how the broker shows itself and whom it believes.
type TLS struct {
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Clients     *x509.CertPool // the CA of client certificates
}

// Defaults of [Options].
const (
	DefaultMaxConnections = 20_000
	DefaultMaxPerAddress  = 256 // a school's kiosks share one address
	DefaultConnectTimeout = 10 * time.Second
	DefaultWriteTimeout   = 10 * time.Second
)

// MaxKeepAlive is the longest keep-alive a client may ask for. None at all is
// refused: a connection that died unseen would stay for ever.
const MaxKeepAlive = 10 * time.Minute

// Limits of one client.
const (
	maxPacket   = wire.MaxMessage + 1024 // a whole PUBLISH with its topic
	maxPending  = 32                     // writes waiting for a slow client; mochi's 8192 cost 64 KiB each
	readBuffer  = 512                    // bytes; mochi's 2048 are a tenth of what an idle kiosk costs
	maxInflight = 64                     // messages a client has not acknowledged
	askTimeout  = 5 * time.Second        // for the Authorizer
	takeTimeout = 5 * time.Second        // for an old connection to end
)

// Options are the optional parts of a Broker. The zero value is right.
type Options struct {
	MaxConnections int           // in all
	MaxPerAddress  int           // from one IPv4 address or IPv6 /64
	ConnectTimeout time.Duration // from accept to CONNECT, TLS handshake included
	WriteTimeout   time.Duration // for a client to take what is sent to it
	// Takeover is called when a second connection of one name ends the first:
	// common after a broken link, and the sign of a cloned kiosk if it goes on.
	// It must not block.
	Takeover func(id string)
	Log      *slog.Logger
}

func (o *Options) setDefaults() {
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxPerAddress == 0 {
		o.MaxPerAddress = DefaultMaxPerAddress
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.Takeover == nil {
		o.Takeover = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Stats count what the broker has done since it was made.
type Stats struct {
	Connections int64 // open now, whether or not they have said who they are
	Clients     int64 // connected now
	In, Out     int64 // messages
	Retained    int64 // messages held now
	Dropped     int64 // messages for kiosks that were too slow
	Takeovers   int64

	RefusedLimit     int64 // connections over a limit
	RefusedTLS       int64 // handshakes without a certificate of ours, or too slow
	RefusedConnect   int64 // CONNECTs
	RefusedPublish   int64
	RefusedSubscribe int64
}

type counters struct {
	dropped, takeovers                            atomic.Int64
	limit, handshake, connect, publish, subscribe atomic.Int64
}

// A Broker is one listening MQTT broker. It is safe for concurrent use.
type Broker struct {
	auth     Authorizer
	options  Options
	log      *slog.Logger
	listener net.Listener
	tls      *tls.Config
	clients  *x509.CertPool
	server   *mqtt.Server
	count    counters

	turns   *turns
	closing chan struct{}

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	byAddr map[string]int
	live   map[string]*conn // by name; the one connection that acts under it
	wg     sync.WaitGroup   // of conns
}

// New returns a broker that listens on addr (host:port). Nothing is served
// before [Broker.Run], which also closes the listener.
func New(addr string, t TLS, auth Authorizer, o Options) (*Broker, error) {
	o.setDefaults()
	b := &Broker{
		auth: auth, options: o, log: o.Log, clients: t.Clients, turns: newTurns(), closing: make(chan struct{}),
		conns: map[*conn]struct{}{}, byAddr: map[string]int{}, live: map[string]*conn{},
	}
	b.tls = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: t.Certificate,
		// Tickets would be worth nothing after a restart, which is when many come back.
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAnyClientCert, // verified by b.verify, which can tell expired from forged
		VerifyConnection: func(s tls.ConnectionState) error {
			return b.verify(s.PeerCertificates[0])
		},
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = maxPacket
	caps.MaximumClientWritesPending = maxPending
	caps.MaximumInflight = maxInflight
	caps.MaximumQos = 1
	caps.TopicAliasMaximum = 0
	caps.MaximumMessageExpiryInterval = 0 // else a retained configuration is gone after a day
	b.server = mqtt.New(&mqtt.Options{
		Capabilities: caps,
		Logger:       slog.New(&quiet{o.Log.Handler()}),
		// Each tick stops the world to fill topics that nobody may read.
		SysTopicResendInterval: 24 * 3600,
		// A kiosk says little; what is longer is read past the buffer.
		ClientNetReadBufferSize: readBuffer,
	})
	if err := b.server.AddHook(&hook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	var err error
	if b.listener, err = net.Listen("tcp", addr); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := b.server.AddListener((*listener)(b)); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

// Addr returns the address that the broker listens on.
func (b *Broker) Addr() net.Addr { return b.listener.Addr() }

// Run serves until ctx ends, then closes every connection and returns nil.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("broker: serve: %w", err)
	}
	b.log.Info("broker listening", "address", b.Addr().String())
	<-ctx.Done()
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("broker: close: %w", err)
	}
	return nil
}

// Disconnect ends id's connection, if there is one, whatever it is doing. A
// connection that is being made while id is revoked ends too, provided that the
// Authorizer knows of the revocation before Disconnect is called.
func (b *Broker) Disconnect(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		if c.id == id {
			c.kill()
		}
	}
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	conns := len(b.conns)
	b.mu.Unlock()
	info := b.server.Info.Clone()
	return Stats{
		Connections: int64(conns), Clients: info.ClientsConnected,
		In: info.MessagesReceived, Out: info.MessagesSent, Retained: info.Retained,
		Dropped: b.count.dropped.Load(), Takeovers: b.count.takeovers.Load(),
		RefusedLimit: b.count.limit.Load(), RefusedTLS: b.count.handshake.Load(), RefusedConnect: b.count.connect.Load(),
		RefusedPublish: b.count.publish.Load(), RefusedSubscribe: b.count.subscribe.Load(),
	}
}
