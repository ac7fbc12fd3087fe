package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// Staff learn with a kiosk that is not there: it is watched, and follows orders and
// settings as those do that are.
func TestASimulatedKioskDoesWhatThePortalSays(t *testing.T) {
	t.Parallel()
	p, _ := onStage(t, stage.Options{})
	s := p.stage
	p.startServers()
	identities := filepath.Join(s.Dir, "simulated")
	p.command("kiosk", "add", "sim-", "-count", "1", "-place", "Mô phỏng", "-out", identities)
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sim := exec.CommandContext(ctx, programs.Kiosk, "simulate", "-kiosks", "1", "-rate", "60", "-server", "tls://"+s.Broker, "-name", "localhost", "-every", "1s", "-identities", identities, "-state", t.TempDir())
	var said log
	sim.Stdout, sim.Stderr = &said, &said
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		sim.Wait()
		if t.Failed() {
			t.Logf("the simulation said:\n%s", said.tail(100))
		}
	})

	const id = "sim-00001"
	o := &operator{signIn(t, s, "tam", "-role", "operator", "-scope", "all"), p, "/thiet-bi/" + id + "/lenh"}
	o.confirm(o.at)
	p.until("it is connected", func() bool { return !strings.Contains(o.get(o.at), "không có mạng") })
	for _, kind := range []string{"identify", "self_test", "log"} {
		o.give(kind)
	}
	o.until("a self-test and a log", func(page string) bool {
		return strings.Contains(page, "order-checks") && strings.Contains(page, "kind=self_test") && o.state(page, "Tìm thiết bị") != "Chờ"
	})
	o.give("door")
	o.press()
	o.until("the door is open", func(page string) bool { return o.state(page, "Mở cửa") == "Đã làm" })
	o.give("restart")
	p.until("it is there again", func() bool { return strings.Contains(said.tail(100), "connections=2") })
}
