// Command qrgate-system keeps a kiosk's card (package system): it writes a newer system
// into the slot that does not run, starts it once, and makes it the default when the
// door has said that it works. It is the only program of a kiosk that writes to the
// card beside its data; what it writes must be signed by the release's keys, whatever
// the door's program says.
//
//	qrgate-system           keeps the card until it is ended
//	qrgate-system -status   prints what runs and what was given up
//
// Files, all in /var/lib/qrgate-system: state.json, release-root.json (whose signatures
// count; from the kiosk's enrolment, once), trust.json and update.lock (package update).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/device/update"

	"github.com/qrgate/qrgate/sync/sdcard"
)

const (
	kept   = "/var/lib/qrgate-system"
	door   = "/var/lib/qrgate/system"
	anchor = "/var/lib/qrgate/identity/release-root.json"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "qrgate-system:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	status := flag.Bool("status", false, "print what runs and what was given up, and end")
	flag.Parse()
	if *status {
		b, err := os.ReadFile(filepath.Join(kept, "state.json"))
		fmt.Printf("%s", b)
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("task", "system")
	me, err := system.Running()
	if err != nil {
		return err
	}
	card, err := system.Open(me.Disk)
	if err != nil {
		return err
	}
	defer card.Close()
	k, err := system.NewKeeper(system.Options{
		Disk: card, Slot: me.Slot, Version: me.Version, Boot: me.Boot, Dir: kept, Wishes: door, Log: log, Up: sinceBoot,
		Open: func(ctx context.Context, version string) (io.ReadCloser, system.Sum, error) {
			return open(ctx, me, version)
		},
		Restart: func(try bool) error { return restart(ctx, try) },
	})
	if err != nil {
		return err
	}
	st := k.State()
	log.Info("card", "disk", me.Disk, "slot", st.Slot, "version", st.Running, "trial", st.Trial)
	go pin(ctx, log)
	return k.Run(ctx)
}

// pin keeps the root of the releases as soon as the kiosk has been enrolled.
func pin(ctx context.Context, log *slog.Logger) {
	look := time.NewTicker(10 * time.Second)
	defer look.Stop()
	for {
		_, err := pinned()
		switch {
		case err == nil:
			return
		case !errors.Is(err, fs.ErrNotExist):
			log.Error("root of releases not kept", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// open returns a system that the door has fetched, once its signatures are verified
// here again.
func open(ctx context.Context, me system.Me, version string) (io.ReadCloser, system.Sum, error) {
	root, err := pinned()
	if err != nil {
		return nil, system.Sum{}, err
	}
	// Whether its time is over is the door's matter, which has a clock that is bound to the
	// server's. Here what is not newer than this system is refused.
	f, err := update.NewClient(launcher.Versions{Dir: kept}, root, me.Machine).
		Find(ctx, update.Held(filepath.Join(door, "trust.json")), update.Ask{Version: version, Running: me.Version})
	if update.Judged(err) {
		err = fmt.Errorf("%w: %w", system.ErrUnsigned, err)
	}
	if err != nil {
		return nil, system.Sum{}, err
	}
	path := launcher.Versions{Dir: door}.File(f.Version)
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	return file, system.Sum{Length: f.Sum.Length, SHA256: f.Sum.SHA256}, err
}

// pinned returns the root document that this card goes by. The first that the kiosk
// was enrolled with stays: who breaks the door's program later cannot bring another.
func pinned() ([]byte, error) {
	path := filepath.Join(kept, "release-root.json")
	b, err := update.ReadRoot(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if b, err = update.ReadRoot(anchor); err != nil {
		return nil, err
	}
	return b, durable.Replace(path, b)
}

// restart lets every program end first.
func restart(ctx context.Context, try bool) error {
	args := []string{"reboot"}
	if try {
		args = append(args, "--reboot-argument="+sdcard.TryCommand)
	}
	// This program is among the first to be stopped: the order must outlive it.
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl: %w: %s", err, strings.TrimSpace(string(out)))
	}
	<-ctx.Done()
	return nil
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
