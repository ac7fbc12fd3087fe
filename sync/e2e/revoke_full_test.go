//go:build full

package e2e_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// Mosquitto asks nobody who may connect. A kiosk that is revoked is cut off within
// seconds all the same, and does not come back until it is reinstated.
func TestRevokedKioskIsKeptOutOfMosquitto(t *testing.T) {
	t.Parallel()
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	said := new(log)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", said.tail(60))
		}
	})
	addr, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tls := filepath.Join(dir, "server", "tls")
	s, err := stage.New(t.Context(), dir, programs, stage.Options{
		Log: said, Broker: "tls://" + addr, Reload: []string{"sh", "-c", "kill -HUP $(cat " + tls + "/mosquitto.pid)"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	broker := new(log)
	stop, err := stage.StartMosquitto(tls, addr, broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	p := &play{T: t, ctx: t.Context(), stage: s, servers: 1}
	p.startServers()
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.AddKiosk(t.Context(), "cho-dong-ba-1", "Chợ Đông Ba", fmt.Sprintf("[[serial]]\ndevice = %q\n", scanner.Path))
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk = &visited{Kiosk: k, t: t, scanner: scanner}
	p.kiosk.start()
	p.kiosk.show(p.command("card", "-number", "1"))
	p.complete("before")

	began := time.Now()
	p.command("kiosk", "revoke", k.ID)
	p.until("Mosquitto refuses its certificate", func() bool { return strings.Contains(broker.tail(1000), "certificate verify failed") })
	t.Logf("kept out after %s", time.Since(began))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	p.until("nobody is connected in its name", func() bool { return !connected(broker.tail(10_000), k.ID) })
	if _, err := net.Dial("tcp", addr); err != nil {
		t.Error("Mosquitto is gone:", err)
	}

	p.command("kiosk", "reinstate", k.ID)
	p.until("it is back", func() bool { return connected(broker.tail(10_000), k.ID) })
	p.kiosk.show(p.command("card", "-number", "2"))
	p.complete("after it was reinstated")
}

// connected reads Mosquitto's log: whether a client that came has not gone.
func connected(said, id string) bool {
	came := strings.LastIndex(said, " as "+id+" ")
	gone := max(strings.LastIndex(said, "Client "+id+" disconnected"), strings.LastIndex(said, "Client "+id+" closed"))
	return came > gone
}
