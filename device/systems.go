package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/when"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// systemState is where the keeper of the card says what it has done (qrgate-system).
const systemState = "/var/lib/qrgate-system"

// withoutReceipt is how long a door must have run to work, where no server is heard.
const withoutReceipt = 10 * time.Minute

// startSystems looks after the system on the card beside the door, on a machine that
// was started from a kiosk's card. The door works, for this system to stay, when its
// ledger is open, which it is by now, a scanner answers, and the server has confirmed
// something or ten minutes have passed.
func startSystems(ctx context.Context, tasks *errgroup.Group, c Config, id *agent.Identity, clock *when.Clock, hours *quietHours, scanners *scan.Group, sender *deliver.Sender, late func() bool, log *slog.Logger) {
	me, err := system.Running()
	if errors.Is(err, sdcard.ErrNoCard) {
		return
	}
	if err != nil {
		log.Error("system not kept", "err", err)
		return
	}
	begun := time.Now()
	healthy := func() bool {
		sees := false
		for _, h := range scanners.Health() {
			sees = sees || !h.Faulty()
		}
		return sees && (sender.Stats().Receipts > 0 || time.Since(begun) > withoutReceipt)
	}
	site := ""
	if c.Portal != "" {
		site = strings.TrimSuffix(c.Portal, "/") + release.Path
	}
	s := update.NewSystem(update.SystemOptions{
		Dir: filepath.Join(c.State, "system"), State: systemState, Machine: me.Machine, Running: me.Version, Boot: me.Boot, Program: version,
		Root: c.releaseRoot(), Sticks: c.Update.sticks, Site: site, Floor: clock.Floor, Quiet: hours.quiet, Still: hours.still, Late: late,
		Healthy: healthy, Transport: updateTransport(c, id, clock), Log: log,
	})
	tasks.Go(func() error { return s.Run(ctx) })
}
