package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/carry"
	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

func (c Config) carrySocket() string { return filepath.Join(c.State, "carry.sock") }

// startCarrying lets check-ins be carried away from a door that runs: it visits
// sticks, and answers export. The notice is what is said of it.
func startCarrying(ctx context.Context, tasks *errgroup.Group, c Config, d carry.Door, log *slog.Logger) (notice func() string) {
	tasks.Go(func() error { return carry.Serve(ctx, c.carrySocket(), d, log) })
	if c.Sticks == "" {
		return nil
	}
	watch := carry.NewWatch(d, c.Sticks, log)
	tasks.Go(func() error { return watch.Run(ctx) })
	return func() string { return watch.Notice(words.Vietnamese) }
}

// takeBeside returns what takes all but receipts of what was carried here: what hand
// takes, which is what else comes by the link, and the settings.
func takeBeside(id *agent.Identity, kept *settings.Settings, hand func(context.Context, []byte) bool) func(context.Context, []byte) bool {
	return func(ctx context.Context, envelope []byte) bool {
		if hand(ctx, envelope) {
			return true
		}
		if _, err := wire.OpenConfig(envelope, id.Kiosk, id.Keys().Signer(wire.ForConfig)); err != nil {
			return false
		}
		kept.Take(envelope) // and tells why it is refused
		return true
	}
}

// export carries check-ins to a folder and takes the receipts that lie there, whether
// the door runs or not.
func export(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: export DIR", errUsage)
	}
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	id, err := agent.ReadIdentity(c.Identity)
	if err != nil {
		return err
	}
	dir := env.args[0]
	r, err := carry.Dial(c.carrySocket(), id.Kiosk).Visit(ctx, dir)
	if errors.Is(err, carry.ErrNotRunning) {
		r, err = exportStopped(ctx, env, c, id, dir)
	}
	if err != nil {
		return err
	}
	if r.Damaged != nil {
		fmt.Fprintf(env.stderr, "qrgate-kiosk export: receipts not read to their end: %v\n", r.Damaged)
	}
	if r.Refused > 0 {
		fmt.Fprintf(env.stderr, "qrgate-kiosk export: %d receipts do not verify and were not taken\n", r.Refused)
	}
	_, err = fmt.Fprintf(env.out, "%s: %d receipts taken and %d other messages, received by the server 1…%d, %d records written to %s\n", id.Kiosk, r.Receipts, r.Beside, r.Through, r.Waiting, dir)
	return err
}

// exportStopped holds the outbox meanwhile. Events and settings are on disk for when the
// door runs.
func exportStopped(ctx context.Context, env environment, c Config, id *agent.Identity, dir string) (carry.Report, error) {
	// What is written here as another user the door could not open.
	if i, err := os.Stat(c.State); err == nil {
		if s, ok := i.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
			return carry.Report{}, fmt.Errorf("%s is user %d's, as whom this must run: sudo -u '#%d' qrgate-kiosk export", c.State, s.Uid, s.Uid)
		}
	}
	log := newLog(env.stderr, slog.LevelWarn)
	state, err := agent.OpenState(c.agentState())
	if err != nil {
		return carry.Report{}, err
	}
	machine := board.Open(board.Options{Disks: []string{c.State}})
	clock := when.NewClock(machine.BootID(), machine.SinceBoot, time.Now, latest(state.Floor, buildTime()))
	identity := ""
	if who := machine.Identity(); who.CPU != "" && who.Card != "" {
		identity = who.CPU + " " + who.Card
	}
	queue, err := outbox.Open(ctx, c.outbox(), outbox.Options{Limit: c.Limit, Identity: identity, Check: checkInChild, Log: log, Now: clock.Read})
	if err != nil {
		return carry.Report{}, err
	}
	left, err := lease.Open(c.leaseFile(), lease.Options{Term: c.Lease, Boot: machine.BootID(), Since: machine.SinceBoot, Log: log})
	if err != nil {
		return carry.Report{}, err
	}
	voids, err := agent.OpenList(c.voidList(), id.Key, state.List)
	if err != nil {
		return carry.Report{}, err
	}
	kept, err := openSettings(c, id, log)
	if err != nil {
		return carry.Report{}, err
	}
	inside, err := room.Open(c.room(), id.Key)
	if err != nil {
		return carry.Report{}, err
	}
	heart := agent.New(id, state, voids, queue, clock, machine.SinceBoot, nil, log)
	heart.Room = inside
	beside := takeBeside(id, kept, func(_ context.Context, envelope []byte) bool { return heart.Take(envelope) })
	take := func(_ context.Context, envelope []byte) error {
		at, err := deliver.Apply(id.Kiosk, id.ReceiptKey, queue, envelope)
		if err != nil {
			return err
		}
		left.Contact(at)
		return state.Raise(at)
	}
	d := carry.Door{Kiosk: id.Kiosk, Key: id.Key, Queue: queue, Take: take, Beside: beside}
	r, err := d.Visit(ctx, dir)
	return r, errors.Join(err, inside.Close(), left.Close(), queue.Close())
}
