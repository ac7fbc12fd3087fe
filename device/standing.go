package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/amber"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

const (
	// standFor is how long a door stands in at the least: a disk that takes one write and
	// fails again must not have it dark every second.
	standFor = 20 * time.Second
	// standLook is how often it is tried whether the disk takes a write again.
	standLook = 5 * time.Second
	// standSave is for how long it may then fail to take who was let in: the ledger may have
	// room for those who come, and one damaged file must not keep them from it.
	standSave = 5 * time.Minute
)

// standIn has the door go on without its ledger: nobody is recorded, and everybody is let in
// on amber or turned away, as the place has chosen. It returns nil when ctx ends, and cause
// once the disk takes writes again, and has taken who was let in: then the program is to
// end, so that the next start reads the truth from it.
func standIn(ctx context.Context, own Config, id *agent.Identity, lamps adjustable, unrecorded *amber.Account, cause error, log *slog.Logger) error {
	log.Error("the door goes on without its ledger", "err", cause)
	c, locked := own.lastKnown(id, log)
	if err := lamps.Adjust(c.Panel.Reset, c.Panel.Egress); err != nil {
		log.Error("panel not adjusted", "err", err)
	}
	sources, _, closeSources, err := openSources(c, log)
	if err != nil {
		return errors.Join(err, cause)
	}
	defer closeSources()
	machine := board.Open(board.Options{})
	clock := when.NewClock(machine.BootID(), machine.SinceBoot, time.Now, buildTime())
	face, sound := openFaces(c, clock, func() (time.Duration, bool) { return 0, false }, func() (int, int, bool) { return 0, 0, false }, log)
	keeper := c.keeper(id, clock, func() {}, log.With("task", "enrolment"))
	door, err := kiosk.New(kiosk.Door{
		ID: id.Kiosk, Config: c.Door, Keys: id.CardKeys, Source: sources, Panel: lamps, Faces: []kiosk.Face{face, sound}, Clock: clock,
		Revoked: func() bool { return locked || keeper.Revoked() }, Amber: unrecorded.Add,
	}, log.With("task", "door"))
	if err != nil {
		return errors.Join(err, cause)
	}
	said := guide.Of(words.Vietnamese, guide.BadDisk.Key())
	face.Reconfigure(func(o *screen.Options) { o.Notice = func() string { return said.Head + ". " + said.Do } })
	notify := board.NewNotifier(os.Getenv)

	tasks, ctx := errgroup.WithContext(ctx)
	c.startDoor(ctx, tasks, door, sources, face, sound)
	c.startAlive(ctx, tasks, notify, func() bool { return true }, log)
	tasks.Go(func() error { return untilWritable(ctx, c.State, unrecorded, cause, notify) })
	err = tasks.Wait()
	log.Info("the door stood in for its ledger", "unrecorded", door.Unrecorded())
	if failed := unrecorded.Save(); failed != nil {
		log.Error("no record will tell of all of them", "err", failed)
	}
	return err
}

// untilWritable returns nil when ctx ends, and cause once the disk of dir takes writes and
// has taken who was let in, or would not within standSave. A program that has not read its
// ledger yet is not ready, and no version has proven itself by that: it asks to be waited
// for.
func untilWritable(ctx context.Context, dir string, unrecorded *amber.Account, cause error, notify *board.Notifier) error {
	var writable time.Time
	for wait := standFor; ; wait = standLook {
		_ = notify.Extend(workTime)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if tryDisk(dir) != nil {
			writable = time.Time{}
			continue
		}
		if writable.IsZero() {
			writable = time.Now()
		}
		if unrecorded.Save() == nil || time.Since(writable) >= standSave {
			return cause
		}
	}
}

// lastKnown returns what the door was to be as far as the disk still tells, and whether an
// order has locked it.
func (c Config) lastKnown(id *agent.Identity, log *slog.Logger) (_ Config, locked bool) {
	if kept, err := openSettings(c, id, log.With("task", "settings")); err == nil {
		c = c.with(kept.Running())
	}
	out, locked := order.Standing(c.orders())
	if out {
		c.Door.Direction = wire.Out
		c.Door.OnFault, c.Door.StaleList = wire.AdmitUnrecorded, wire.AdmitStale // as every exit
		c.Panel.Egress = !c.Panel.Relay.EnergiseToOpen
	}
	return c, locked
}
