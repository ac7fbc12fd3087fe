package broker

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/qrgate/qrgate/server/enrol"
)

// A conn is one client's connection. It takes the deadlines out of mochi's
// hands: mochi has none before CONNECT, and moves the one for writing with
// every packet that it reads.
type conn struct {
	*tls.Conn
	raw  net.Conn
	pace *paced // between the two
	addr string
	done chan struct{} // closed when mochi has forgotten the connection

	writeTimeout time.Duration

	id     string // set under Broker.mu
	role   enrol.Role
	key    ed25519.PublicKey
	warned atomic.Bool
}

// SetDeadline sets when the client must have been heard from.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Write sends b within the write timeout. Without it a client that stops
// reading would stop everyone who publishes to it: mochi holds the client's
// lock meanwhile.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// kill ends the connection without a farewell, which could block.
func (c *conn) kill() { c.raw.Close() }

// A listener is the Broker as mochi sees it.
type listener Broker

var _ listeners.Listener = (*listener)(nil)

func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return "mqtt" }
func (l *listener) Address() string         { return l.listener.Addr().String() }
func (l *listener) Protocol() string        { return "tls" }

// Serve accepts connections until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	b := (*Broker)(l)
	const least, most = 5 * time.Millisecond, time.Second
	wait := least
	for {
		raw, err := b.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Out of file descriptors, most often: the kiosks that are connected
			// go on, and the next one finds room again.
			b.log.Error("accept failed", "err", err, "retry_in", wait)
			select {
			case <-time.After(wait):
			case <-b.closing:
				return
			}
			wait = min(2*wait, most)
			continue
		}
		wait = least
		c, ok := b.admit(raw)
		if !ok {
			raw.Close()
			continue
		}
		go b.serve(c, establish)
	}
}

// Close ends the listener and every connection, those that have not said who
// they are included, which mochi would wait for.
func (l *listener) Close(listeners.CloseFn) {
	close(l.closing)
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		c.kill()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// admit enters a new connection, unless a limit is reached.
func (b *Broker) admit(raw net.Conn) (*conn, bool) {
	addr := source(raw.RemoteAddr())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false
	}
	if len(b.conns) >= b.options.MaxConnections || b.byAddr[addr] >= b.options.MaxPerAddress {
		b.count.limit.Add(1)
		return nil, false
	}
	pace := &paced{Conn: raw, turns: b.turns}
	c := &conn{Conn: tls.Server(pace, b.tls), raw: raw, pace: pace, addr: addr, done: make(chan struct{}), writeTimeout: b.options.WriteTimeout}
	b.conns[c] = struct{}{}
	b.byAddr[addr]++
	b.wg.Add(1)
	return c, true
}

// source returns what the limit per address counts: a network of IPv6 is handed
// out whole, so that its single addresses limit nobody.
func source(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	ip := ap.Addr().Unmap()
	if ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

// serve begins one connection. What it needs while it waits runs on a goroutine of its
// own: the stack that a handshake has made is larger than all else that is kept for a
// kiosk which has nothing to say.
func (b *Broker) serve(c *conn, establish listeners.EstablishFn) {
	if !b.greet(c) {
		b.forget(c)
		return
	}
	go func() {
		defer b.forget(c)
		err := establish("mqtt", c)
		b.log.Debug("connection ended", "remote", c.addr, "client", c.id, "err", err)
	}()
}

// greet finds out who c is, and reports whether it may go on.
func (b *Broker) greet(c *conn) bool {
	log := b.log.With("remote", c.addr)
	// An error of this shows in the handshake.
	c.raw.SetDeadline(time.Now().Add(b.options.ConnectTimeout))
	err := c.Handshake()
	c.pace.release()
	if errors.Is(err, errBusy) {
		b.count.limit.Add(1)
		return false
	}
	if err != nil {
		b.count.handshake.Add(1)
		if expired := (*expiredError)(nil); errors.As(err, &expired) {
			log.Warn("client certificate expired", "client", expired.id, "ended", expired.ended)
		} else {
			log.Info("tls handshake refused", "err", err)
		}
		return false
	}
	leaf := c.ConnectionState().PeerCertificates[0]
	id, role, err := enrol.Identify(leaf)
	if err != nil {
		b.count.handshake.Add(1)
		log.Warn("client certificate refused", "err", err)
		return false
	}
	b.mu.Lock()
	c.id, c.role = id, role
	b.mu.Unlock()
	c.key, _ = leaf.PublicKey.(ed25519.PublicKey)
	return true
}

// forget undoes admit once mochi has let go of the connection.
func (b *Broker) forget(c *conn) {
	c.kill()
	// mochi keeps a client whose CONNACK could not be written.
	if cl, ok := b.server.Clients.Get(c.id); ok && cl.Net.Conn == c {
		b.server.Clients.Delete(c.id)
	}
	b.mu.Lock()
	delete(b.conns, c)
	if b.byAddr[c.addr]--; b.byAddr[c.addr] == 0 {
		delete(b.byAddr, c.addr)
	}
	if b.live[c.id] == c {
		delete(b.live, c.id)
	}
	b.mu.Unlock()
	close(c.done)
	b.wg.Done()
}

// An expiredError is a certificate of ours that has ended.
type expiredError struct {
	id    string
	ended time.Time
}

func (e *expiredError) Error() string {
	return fmt.Sprintf("broker: certificate of %s expired on %s", e.id, e.ended.Format(time.DateOnly))
}

// verify checks a client's certificate on every handshake, resumed ones
// included.
func (b *Broker) verify(leaf *x509.Certificate) error {
	options := x509.VerifyOptions{Roots: b.clients, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	_, err := leaf.Verify(options)
	if err == nil {
		return nil
	}
	if time.Now().After(leaf.NotAfter) {
		// Only a name that the CA has signed gets into the log.
		options.CurrentTime = leaf.NotAfter
		if _, again := leaf.Verify(options); again == nil {
			return &expiredError{id: leaf.Subject.CommonName, ended: leaf.NotAfter}
		}
	}
	return fmt.Errorf("broker: client certificate: %w", err)
}
