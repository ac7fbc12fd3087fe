package broker_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/broker"
)

// hello is what a client of ours says first, and no more.
func hello(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go tls.Client(ours, config).Handshake()
	b := make([]byte, 16<<10)
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// Clients that begin a handshake and do not go on have no turn, however many they are.
func TestStalledHandshakesKeepNobodyWaiting(t *testing.T) {
	const stalled = 600 // more than may wait for a turn
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{MaxPerAddress: 2 * stalled, ConnectTimeout: time.Minute})
	addr := b.Addr().String()
	config := s.kioskTLS(t, kioskA, time.Now())
	first := hello(t, config)
	answered := make([]byte, 1)
	for range stalled {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(wait))
		if _, err := c.Read(answered); err != nil { // it has had its turn
			t.Fatal(err)
		}
	}
	rawTLS(t, addr, config, true)
	if got := b.Stats(); got.Clients != 1 || got.RefusedLimit != 0 {
		t.Errorf("Stats() = %+v, want one client and nobody turned away", got)
	}
}
