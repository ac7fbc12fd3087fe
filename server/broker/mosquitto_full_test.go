//go:build full

package broker_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/wire"
)

// tuples is how many each broker is asked.
const tuples = 10_000

// startMosquitto runs Debian's Mosquitto as the package documentation says, with
// the rules for the test's servers and perhaps more.
func startMosquitto(t *testing.T, s *site, more string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := s.ca.ServerCertificate(dir, []string{"127.0.0.1"}, time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ca.WriteRevocationList(filepath.Join(dir, "revoked.crl"), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"ca.pem": s.ca.Certificate(), "qrgate.acl": []byte(broker.MosquittoACL(worker, worker2) + more)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	stop, err := stage.StartMosquitto(dir, addr, &log)
	if err != nil {
		t.Fatalf("%v; it said:\n%s", err, log.String())
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("mosquitto said:\n%s", log.String())
		}
	})
	return addr
}

func TestMosquittoKeepsTheRules(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	testACL(t, s, startMosquitto(t, s, ""))
}

// Mosquitto knows less, see the package documentation; whose topic is whose it
// knows as well.
func TestSoakMosquittoTuples(t *testing.T) {
	c, s := newCourt(t, powers{sessions: true})
	c.addr, c.watched = startMosquitto(t, s, "\nuser "+auditor+"\ntopic read #\n"), true
	n := tuples
	if os.Getenv("QRGATE_SCALE") != "soak" {
		n = 1000 // it waits out the delays of two programs for each
	}
	c.try(n, 1)
}

func TestMosquittoRefuses(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	other := newSite(t, kioskA)
	addr := startMosquitto(t, s, "")
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
