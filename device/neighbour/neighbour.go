// Package neighbour has the kiosks of one place tell each other over the local network
// how many people each has counted, so that a place whose line to the server is cut still
// knows how many are inside.
//
//	n := neighbour.New(neighbour.Options{Listen: addr, Peers: peers, Room: room, ...})
//	err := n.Run(ctx)
//
// Both sides show the certificate by which they are kiosks. The promise: only the kiosks
// that the configuration names are heard, each only of itself, and what is heard twice or
// late changes nothing, for counts only rise (package quota). A kiosk that is not heard is
// one whose people are not known: nothing is let in by what a neighbour says, rights come
// from the server alone. A kiosk that the server has revoked is heard until its
// certificate ends or the configuration no longer names it.
//
// What the counts mean is package room's matter.
package neighbour

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// TellEvery is how often a kiosk tells each of its neighbours.
	TellEvery = time.Second
	// MaxPeers is how many neighbours a kiosk may have.
	MaxPeers = 31

	dialTime   = 5 * time.Second
	answerTime = 5 * time.Second
	dialAgain  = 2 * time.Second
	maxMessage = 512

	refusedEvery = time.Minute
)

// A Peer is another kiosk of the place.
type Peer struct {
	Kiosk   string
	Address string // host:port
}

// ParsePeer reads "kiosk@host:port".
func ParsePeer(s string) (Peer, error) {
	kiosk, address, ok := strings.Cut(s, "@")
	if !ok || !wire.ValidKiosk(kiosk) {
		return Peer{}, fmt.Errorf("neighbour: must be kiosk@host:port, not %q", s)
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return Peer{}, fmt.Errorf("neighbour: %s: no address host:port: %q", kiosk, address)
	}
	return Peer{kiosk, address}, nil
}

// Options are what neighbours are made of. All but Log are required.
type Options struct {
	Listen      string // host:port
	Peers       []Peer // all other kiosks of the place
	Place       func() string
	Certificate func() *tls.Certificate
	CA          *x509.CertPool
	// At returns the time by which a certificate is judged that is valid from notBefore,
	// as when.Clock.TLSTime does: a kiosk that woke without a clock must not take one that
	// is newer than its own for one of the future.
	At    func(notBefore time.Time) time.Time
	Today func() time.Time // by which people are counted
	Room  *room.Room
	Log   *slog.Logger
}

// Neighbours are the other kiosks of a place.
type Neighbours struct {
	o Options

	mu      sync.Mutex
	refused time.Time // when that was last said
}

// New returns neighbours that are told once [Neighbours.Run] runs.
func New(o Options) *Neighbours {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Neighbours{o: o}
}

// A Message is what a kiosk tells of itself.
type Message struct {
	V     uint8     `cbor:"1,keyasint"`
	Place string    `cbor:"2,keyasint"`
	Told  room.Told `cbor:"3,keyasint"`
}

// ErrRefused is returned for a message that is not believed.
var ErrRefused = errors.New("neighbour is refused")

// DecodeMessage reads what a neighbour at a place says.
func DecodeMessage(b []byte, place string) (room.Told, error) {
	var m Message
	if err := wire.Decode(b, &m); err != nil {
		return room.Told{}, err
	}
	switch {
	case m.V != wire.Version:
		return room.Told{}, fmt.Errorf("%w: version %d", ErrRefused, m.V)
	case m.Place != place:
		return room.Told{}, fmt.Errorf("%w: it is of another place", ErrRefused)
	case !m.Told.Sound():
		return room.Told{}, fmt.Errorf("%w: counts that cannot be", ErrRefused)
	}
	return m.Told, nil
}

// Run tells the neighbours and hears them until ctx ends. An error means that the
// address cannot be listened at.
func (n *Neighbours) Run(ctx context.Context) error {
	l, err := net.Listen("tcp", n.o.Listen)
	if err != nil {
		return fmt.Errorf("neighbour: %w", err)
	}
	return n.Serve(ctx, l)
}

// Serve is Run at a listener, which it closes.
func (n *Neighbours) Serve(ctx context.Context, l net.Listener) error {
	tasks, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	tasks.Go(func() error { return n.accept(ctx, l, tasks) })
	for _, p := range n.o.Peers {
		tasks.Go(func() error { n.tell(ctx, p); return nil })
	}
	return tasks.Wait()
}

func (n *Neighbours) accept(ctx context.Context, l net.Listener, tasks *errgroup.Group) error {
	config := n.tls(n.peer)
	config.ClientAuth = tls.RequireAnyClientCert
	places := make(chan struct{}, 2*MaxPeers) // that a stranger cannot fill for long
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(dialAgain):
				continue
			}
		}
		select {
		case places <- struct{}{}:
		default:
			c.Close()
			continue
		}
		tasks.Go(func() error {
			defer func() { <-places }()
			n.answer(ctx, tls.Server(c, config))
			return nil
		})
	}
}

// peer reports whether a kiosk is one of the place's.
func (n *Neighbours) peer(kiosk string) bool {
	return slices.ContainsFunc(n.o.Peers, func(p Peer) bool { return p.Kiosk == kiosk })
}

// tls returns the settings of both sides.
func (n *Neighbours) tls(trusts func(kiosk string) bool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return n.o.Certificate(), nil },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return n.o.Certificate(), nil },
		// A kiosk's certificate names no host: VerifyConnection judges it.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return fmt.Errorf("%w: no certificate", ErrRefused)
			}
			leaf := s.PeerCertificates[0]
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: n.o.CA, CurrentTime: n.o.At(leaf.NotBefore), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				return fmt.Errorf("%w: %w", ErrRefused, err)
			}
			if name := leaf.Subject; !slices.Equal(name.OrganizationalUnit, []string{"kiosk"}) || !trusts(name.CommonName) {
				return fmt.Errorf("%w: %q is not a kiosk of this place", ErrRefused, name.CommonName)
			}
			return nil
		},
	}
}

// answer hears a neighbour that has called, and tells it in turn, until it goes.
func (n *Neighbours) answer(ctx context.Context, c *tls.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.SetDeadline(time.Now().Add(dialTime))
	if err := c.HandshakeContext(ctx); err != nil {
		n.refuse(ctx, "", err)
		return
	}
	kiosk := c.ConnectionState().PeerCertificates[0].Subject.CommonName
	for {
		c.SetDeadline(time.Now().Add(answerTime))
		if err := n.hear(c, kiosk); err != nil {
			n.refuse(ctx, kiosk, err)
			return
		}
		if err := n.say(c); err != nil {
			return
		}
	}
}

// tell calls a neighbour again and again.
func (n *Neighbours) tell(ctx context.Context, p Peer) {
	there := true
	for ctx.Err() == nil {
		err := n.talk(ctx, p, func() {
			if !there {
				n.o.Log.Info("neighbour is heard", "neighbour", p.Kiosk)
			}
			there = true
		})
		if there && ctx.Err() == nil {
			n.o.Log.Warn("neighbour is not heard", "neighbour", p.Kiosk, "err", err)
		}
		there = false
		select {
		case <-ctx.Done():
		case <-time.After(dialAgain):
		}
	}
}

// talk tells a neighbour each second, and hears it, until one of them goes.
func (n *Neighbours) talk(ctx context.Context, p Peer, heard func()) error {
	dial := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTime},
		Config:    n.tls(func(kiosk string) bool { return kiosk == p.Kiosk }),
	}
	c, err := dial.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	tick := time.NewTicker(TellEvery)
	defer tick.Stop()
	for {
		c.SetDeadline(time.Now().Add(answerTime))
		if err := n.say(c); err != nil {
			return err
		}
		if err := n.hear(c, p.Kiosk); err != nil {
			return err
		}
		heard()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Neighbours) refuse(ctx context.Context, kiosk string, err error) {
	if ctx.Err() != nil || !errors.Is(err, ErrRefused) && !errors.Is(err, room.ErrLives) && !errors.Is(err, room.ErrNeighbour) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.refused) > refusedEvery { // a stranger must not fill the log
		n.refused = time.Now()
		n.o.Log.Warn("neighbour refused", "neighbour", kiosk, "err", err)
	}
}

// say sends one message: its length in two bytes, and itself.
func (n *Neighbours) say(w io.Writer) error {
	b := wire.Encode(Message{V: wire.Version, Place: n.o.Place(), Told: n.o.Room.Tell(n.o.Today())})
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// hear takes one message of a neighbour's.
func (n *Neighbours) hear(r io.Reader, kiosk string) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if len(b) > maxMessage {
		return fmt.Errorf("%w: a message of %d bytes", ErrRefused, len(b))
	}
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	told, err := DecodeMessage(b, n.o.Place())
	if err != nil {
		return err
	}
	return n.o.Room.Hear(kiosk, told)
}
