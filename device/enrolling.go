package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/start"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// enrolled returns c as the portal has chosen at enrolment, and an error for a kiosk
// that lacks something which the portal did not choose.
func (c Config) enrolled() (Config, error) {
	fresh, err := enrolment.Fresh(c.Identity)
	if err != nil {
		return c, err
	}
	if fresh {
		c.New = true
		return c, nil
	}
	first, err := enrolment.ReadFirst(c.Identity)
	if err != nil {
		return c, err
	}
	if first != nil {
		c.Door.Place, c.Door.Gate, c.Door.Lane, c.Door.Direction = first.Place, first.Gate, first.Lane, first.Direction
		if c.Door.Direction == wire.Out {
			c.Door.OnFault, c.Door.StaleList = wire.AdmitUnrecorded, wire.AdmitStale // an exit never refuses for a fault of ours
		}
		c.Panel.Egress = c.Exit || c.Door.Direction == wire.Out
		if c.Server == "" {
			c.Server, c.ServerName = first.Server, first.Name
		}
		if c.Portal == "" {
			c.Portal = first.Portal
		}
	}
	var errs []error
	if err := c.Door.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("door: %w", err))
	}
	if err := c.Panel.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("panel: %w", err))
	}
	if c.Server == "" {
		errs = append(errs, errors.New("server.url: needed for a kiosk that was not enrolled by a code"))
	}
	return c, errors.Join(errs...)
}

// newKiosk returns the kiosk that is to be enrolled with settings c.
func (c Config) newKiosk(machine *board.Board, show func(enrolment.Status), log *slog.Logger) *enrolment.Kiosk {
	return enrolment.New(c.Identity, enrolment.Options{
		Release: version, Model: nameplateOf(machine).model, WiFi: c.WiFi, Show: show,
		Before: func() error { return setAside(c) },
	}, log)
}

// beNew takes enrolment codes from this machine's own scanners until it is a kiosk, or
// until ctx ends.
func beNew(ctx context.Context, c Config, anyTime bool, log *slog.Logger) error {
	machine := board.Open(board.Options{})
	gate := enrolment.NewGate(machine.SinceBoot)
	if anyTime {
		gate.Open()
	}
	lamps, closeLamps, err := openPanel(c, log.With("task", "panel"))
	if err != nil {
		return err
	}
	defer closeLamps()
	sources, _, closeSources, err := openSources(c, log)
	if err != nil {
		return err
	}
	defer closeSources()
	page := start.NewPage(version, start.OfEnrolment(enrolment.Status{Stage: enrolment.Waiting}), log.With("task", "screen"))
	k := c.newKiosk(machine, func(s enrolment.Status) {
		page.Show(start.OfEnrolment(s))
		lamps.Show(s.Signal())
	}, log.With("task", "enrolment"))
	notify := board.NewNotifier(os.Getenv)

	running, stop := context.WithCancel(ctx)
	defer stop()
	tasks, running := errgroup.WithContext(running)
	tasks.Go(func() error { return lamps.Run(running) })
	tasks.Go(func() error { return sources.Run(running) })
	tasks.Go(func() error { gate.Watch(running, lamps.Events()); return nil })
	if c.Screen.listen != "" {
		tasks.Go(func() error { return page.Run(running, c.Screen.listen) })
	}
	tasks.Go(func() error { return notify.Run(running, func() bool { return true }) })
	notify.Ready()
	log.Info("not enrolled: waiting for a code", "version", version)
	enrolled := false
	tasks.Go(func() error {
		defer stop()
		err := k.Run(running, sources, gate)
		if enrolled = err == nil; enrolled || running.Err() != nil {
			return nil
		}
		return err
	})
	if err := tasks.Wait(); err != nil || enrolled {
		return err
	}
	return ctx.Err()
}

// setAside puts away what another kiosk's name was on: its check-ins are that kiosk's.
func setAside(c Config) error {
	for _, path := range []string{c.outbox(), c.room(), c.voidList(), c.settings(), c.revoked()} {
		err := os.Rename(path, fmt.Sprintf("%s.before-%d", path, time.Now().Unix()))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// keeper returns what keeps the identity of a kiosk with settings c.
func (c Config) keeper(id *agent.Identity, clock *when.Clock, changed func(), log *slog.Logger) *enrolment.Keeper {
	return enrolment.Keep(id, enrolment.KeepOptions{Portal: c.Portal, File: c.revoked(), Now: clock.Now, Changed: changed}, log)
}

// revoked is the file that keeps the server's word that this kiosk was revoked.
func (c Config) revoked() string { return filepath.Join(c.State, "revoked.cbor") }

// wipe forgets who this kiosk was, and all that it kept.
func (c Config) wipe() error {
	return enrolment.Wipe(c.Identity, c.outbox(), c.amber(), c.room(), c.voidList(), c.settings(), c.leaseFile(), c.agentState(), c.revoked(), c.walkFile(),
		filepath.Join(c.State, "orders"), c.guardFiles(), c.networkFile(), c.traffic())
}

// enrolByHand makes this machine a kiosk by a code that somebody types or pipes in.
func enrolByHand(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: enrol CODE, or enrol -", errUsage)
	}
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	if !c.New {
		return fmt.Errorf("%w: this is a kiosk already: %s is there", errUsage, c.Identity)
	}
	text := env.args[0]
	if text == "-" {
		line, err := bufio.NewReader(io.LimitReader(env.in, pairing.MaxText+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text = line
	}
	code, err := pairing.Parse(strings.ToUpper(strings.TrimSpace(text)))
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := os.MkdirAll(filepath.Dir(c.Identity), 0o700); err != nil {
		return err
	}
	var last enrolment.Status
	k := c.newKiosk(board.Open(board.Options{}), func(s enrolment.Status) {
		if s != last {
			last = s
			fmt.Fprintln(env.out, s)
		}
	}, newLog(env.stderr, c.LogLevel))
	return k.Enrol(ctx, code)
}
