package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/sync/release"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// Disk is what a [Keeper] does to a card, as [Card] does it.
type Disk interface {
	Default() (sdcard.Slot, error)
	SetDefault(sdcard.Slot) error
	Install(s sdcard.Slot, r io.Reader, want Sum) error
}

// Options are what a [Keeper] works with.
type Options struct {
	Disk    Disk
	Slot    sdcard.Slot // that runs
	Version string      // that runs
	Boot    string      // id of this start
	Dir     string      // of the keeper's state
	Wishes  string      // folder of the door's wish

	// Open returns a system that the release's keys have signed, for this machine, as
	// newer than what runs. An error that is [ErrUnsigned] says that this was looked at to
	// its end and is not so; after any other the system is asked for again.
	Open func(ctx context.Context, version string) (io.ReadCloser, Sum, error)
	// Restart starts the board anew, with the system that is tried if try is set.
	Restart func(try bool) error

	Up    func() time.Duration // since the start
	Limit time.Duration        // that a system on trial has; default 20 min
	Every time.Duration        // between two looks; default 2 s
	Log   *slog.Logger
}

// A Keeper does with a card what the door's program wishes, and returns from a system
// in which the door does not say that it works.
type Keeper struct {
	o     Options
	state State
	over  bool // the board is starting anew

	// Of a version that could not be looked at to its end, which is in no state: the next
	// start looks anew.
	unfinished string
	fails      int
	again      time.Duration // since the start, and no sooner
}

// ErrUnsigned marks a system that was looked at to its end and that the release's keys
// have not signed for this machine, as newer than what runs.
var ErrUnsigned = errors.New("system: not signed for this machine")

// Tries is how often a system is started before it is given up, if it does not say
// itself that the door does not work.
const Tries = 3

// NewKeeper returns a keeper that has taken note of how the last start ended.
func NewKeeper(o Options) (*Keeper, error) {
	if o.Limit == 0 {
		o.Limit = 20 * time.Minute
	}
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{o: o, state: ReadState(o.Dir)}
	d, err := o.Disk.Default()
	if err != nil {
		return nil, err
	}
	k.state.Running, k.state.Slot, k.state.Trial = o.Version, o.Slot.String(), d != o.Slot
	switch {
	case k.state.Trial:
		// Also one that was started because the default did not.
		k.state.Trying, k.state.Ready = o.Version, ""
	case k.state.Trying == o.Version:
		k.state.Trying, k.state.Tries = "", 0 // the power went between the last two steps
	case k.state.Trying != "" && k.state.Tries < Tries:
		// It may have been the power. It is in its slot still.
		o.Log.Warn("a system did not come to its end of trial", "version", k.state.Trying, "tries", k.state.Tries)
		k.state.Ready, k.state.Trying = k.state.Trying, ""
	case k.state.Trying != "":
		o.Log.Error("returned from a system", "version", k.state.Trying, "running", o.Version)
		k.state.refuse(k.state.Trying, release.NoHealth)
	}
	if err := k.state.write(o.Dir); err != nil {
		o.Log.Error("state not kept", "err", err)
	}
	return k, nil
}

// State returns what was done.
func (k *Keeper) State() State { return k.state }

// Run does what is wished until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		if err := k.Step(ctx); err != nil {
			k.o.Log.Error("system not kept", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Step looks once and does what is to be done. Once the board is starting anew that is
// nothing more: what would be begun now would damage the system that is to start.
func (k *Keeper) Step(ctx context.Context) error {
	w := ReadWish(k.o.Wishes)
	switch {
	case k.over || ctx.Err() != nil:
		return nil
	case k.state.Trial && w.Healthy == k.o.Boot:
		return k.prove()
	case k.state.Trial && k.o.Up() > k.o.Limit:
		k.o.Log.Error("the door does not say that it works", "version", k.o.Version)
		k.state.refuse(k.o.Version, release.NoHealth)
		return errors.Join(k.state.write(k.o.Dir), k.restart(false))
	case k.state.Trial || !k.wanted(w.Install):
		return nil
	case w.Install != k.state.Ready && w.Install == k.unfinished && k.o.Up() < k.again:
		return nil
	case w.Install != k.state.Ready:
		return k.install(ctx, w.Install)
	case w.Start:
		return k.try()
	}
	return nil
}

// wanted reports whether a version may be installed and tried.
func (k *Keeper) wanted(version string) bool {
	return release.Compare(version, k.o.Version) > 0 && (k.state.Refused == nil || k.state.Refused.Version != version)
}

func (k *Keeper) prove() error {
	if err := k.o.Disk.SetDefault(k.o.Slot); err != nil {
		return err
	}
	k.o.Log.Info("system has proven itself", "version", k.o.Version, "slot", k.o.Slot)
	k.state.Trial, k.state.Trying, k.state.Tries, k.state.Refused = false, "", 0, nil
	return k.state.write(k.o.Dir)
}

func (k *Keeper) install(ctx context.Context, version string) error {
	// From here on the other slot holds nothing that could be tried.
	k.state.Ready, k.state.Tries, k.state.Refused = "", 0, nil
	if err := k.state.write(k.o.Dir); err != nil {
		return err
	}
	r, sum, err := k.o.Open(ctx, version)
	if err == nil {
		defer r.Close()
		k.o.Log.Info("system is written", "version", version, "slot", k.o.Slot.Other())
		err = k.o.Disk.Install(k.o.Slot.Other(), while(ctx, r), sum)
	}
	switch why := refusal(err); {
	case why != "":
		k.state.refuse(version, why)
		return errors.Join(fmt.Errorf("system: install %s: %w", version, err), k.state.write(k.o.Dir))
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		if version != k.unfinished {
			k.unfinished, k.fails = version, 0
		}
		wait := min(retry<<k.fails, longest)
		k.fails, k.again = min(k.fails+1, 10), k.o.Up()+wait
		return fmt.Errorf("system: install %s, tried again in %s: %w", version, wait, err)
	}
	k.state.Ready, k.unfinished = version, ""
	k.o.Log.Info("system is ready", "version", version, "slot", k.o.Slot.Other())
	return k.state.write(k.o.Dir)
}

// A version that could not be looked at to its end waits from retry to longest: each try
// writes a whole slot.
const (
	retry   = time.Minute
	longest = 12 * time.Hour
)

// while returns r, which ends with ctx: what ends this program need not wait for a card.
func while(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// refuse notes that a version is given up.
func (s *State) refuse(version string, why release.Reason) {
	s.Refused = &Refused{version, why}
	s.Trying, s.Ready, s.Tries = "", "", 0
}

// refusal is why a system will not do. It is "" for an error that only kept it from
// being looked at to its end, as a stop, a disk that does not answer or a folder that is
// full: nothing speaks against the system then.
func refusal(err error) release.Reason {
	switch {
	case errors.Is(err, sdcard.ErrSum):
		return release.Damaged
	case errors.Is(err, ErrUnsigned):
		return release.Unsigned
	}
	return ""
}

func (k *Keeper) try() error {
	before := k.state
	k.state.Trying, k.state.Ready = k.state.Ready, ""
	k.state.Tries++
	// What is not noted is not tried: it would be tried again for ever.
	if err := k.state.write(k.o.Dir); err != nil {
		k.state = before
		return err
	}
	k.o.Log.Info("system is tried", "version", k.state.Trying)
	if err := k.restart(true); err != nil {
		k.state = before // it is ready still
		return errors.Join(err, k.state.write(k.o.Dir))
	}
	return nil
}

func (k *Keeper) restart(try bool) error {
	err := k.o.Restart(try)
	k.over = err == nil
	return err
}
