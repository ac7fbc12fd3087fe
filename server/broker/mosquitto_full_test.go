//go:build full

package broker_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/sync/wire"
)

// startMosquitto runs Debian's Mosquitto as the package documentation says.
func startMosquitto(t *testing.T, s *site) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := s.ca.ServerCertificate(dir, []string{"127.0.0.1"}, time.Now); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := fmt.Sprintf(`listener %d 127.0.0.1
cafile %[2]s/ca.pem
certfile %[2]s/server.pem
keyfile %[2]s/server.key
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file %[2]s/qrgate.acl
message_size_limit 131072
user root
`, port, dir)
	for name, b := range map[string][]byte{
		"ca.pem": s.ca.Certificate(), "qrgate.acl": []byte(broker.MosquittoACL(worker)), "mosquitto.conf": []byte(conf),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log buffer
	cmd := exec.Command("/usr/sbin/mosquitto", "-c", filepath.Join(dir, "mosquitto.conf"))
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("mosquitto: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("mosquitto said:\n%s", log.String())
		}
	})
	until(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

func TestMosquittoKeepsTheRules(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	testACL(t, s, startMosquitto(t, s))
}

func TestMosquittoRefuses(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	other := newSite(t, kioskA)
	addr := startMosquitto(t, s)
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)).SetOrderMatters(true))
	status, _ := subscribe(t, w, wire.Filter("", wire.Status))

	stranger := other.kioskTLS(t, kioskA, time.Now())
	stranger.RootCAs = s.ca.Pool()
	if _, err := dial(t, options(addr, kioskA, stranger)); err == nil {
		t.Error("Connect with another CA's certificate = nil, want an error")
	}
	expired := s.kioskTLS(t, kioskA, time.Now().Add(-91*24*time.Hour))
	if _, err := dial(t, options(addr, kioskA, expired)); err == nil {
		t.Error("Connect with an expired certificate = nil, want an error")
	}

	b := mustDial(t, options(addr, kioskB, s.kioskTLS(t, kioskB, time.Now())))
	// The id that A claims is not its own; B must stay connected.
	forger := options(addr, kioskB, s.kioskTLS(t, kioskA, time.Now()))
	forger.SetBinaryWill(wire.Topic(kioskB, wire.Status), []byte("forged"), 1, true)
	a := mustDial(t, forger)
	a.Disconnect(0)
	killed := rawTLS(t, addr, s.kioskTLS(t, kioskA, time.Now()), true)
	killed.Close()
	publish(t, b, wire.Topic(kioskB, wire.Status), false, "here")
	if got := string(status.next(t).Payload()); got != "here" {
		t.Errorf("heard %q, want B's own status", got)
	}
}
