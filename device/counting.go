package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/passage"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/wedge"
	"github.com/qrgate/qrgate/sync/wire"
)

// A countingConfig says what counts the people who pass, beside contacts on pins.
type countingConfig struct {
	keys string // a keyboard; "" is none
	pipe string // that moves contacts of a panel without pins; "" is none
}

func (raw rawConfig) counting(bad func(string, ...any)) countingConfig {
	c := countingConfig{raw.Count.Keys, raw.Count.Pipe}
	if c.keys != "" {
		if err := (wedge.Config{Device: c.keys}).Check(); err != nil || c.keys == "auto" {
			bad("count.keys: must name one keyboard, not %q", c.keys)
		}
	}
	if c.keys != "" && raw.Panel.Tally.Pin != "" {
		bad("count.keys: panel.tally counts already")
	}
	if c.pipe != "" && (!filepath.IsAbs(c.pipe) || raw.Panel.Kind != "lines") {
		bad(`count.pipe: must be an absolute path, and panel.kind "lines"`)
	}
	return c
}

// counts reports whether anything here counts who passes.
func (c Config) counts() bool {
	return c.Panel.Tally.Pin != "" || c.Counting.keys != "" || c.Counting.pipe != "" || c.opens() > 0
}

// opens returns how long after a decision the door's contact tells that somebody opened
// it, or 0 where nothing tells.
func (c Config) opens() time.Duration {
	if c.Panel.Relay.Pin == "" || c.Panel.Door.Pin == "" {
		return 0
	}
	return orDefault(c.Panel.Relay.Open, panel.DefaultOpen) + doorSettles
}

// A counting is what counts the people who pass; of a kiosk that has nothing to count
// them by the counter is nil.
type counting struct {
	counter *passage.Counter
	station *station
	config  Config
	panel   panel.Panel
	log     *slog.Logger
	lane    atomic.Pointer[wire.KioskConfig]
}

// openCounting makes the counter of a kiosk.
func (s *station) openCounting(lamps panel.Panel, log *slog.Logger) *counting {
	c := &counting{station: s, config: s.config, panel: lamps, log: log}
	c.at(s.config.Door)
	if !s.config.counts() {
		return c
	}
	c.counter = passage.New(passage.Options{
		Two: s.config.Panel.Inner.Pin != "", Opens: s.config.opens(),
		Lane: func() passage.Lane {
			d := c.lane.Load()
			l := passage.Lane{Gate: d.Gate, No: d.Lane, Direction: d.Direction}
			if turned := s.orders.Direction(); turned != 0 {
				l.Direction = turned
			}
			return l
		},
		Now: s.clock.Read, Put: s.queue.Put, Faulty: c.faulty, Log: log,
	})
	return c
}

// at says which lane is counted.
func (c *counting) at(d wire.KioskConfig) { c.lane.Store(&d) }

// faces returns who hears of check-ins.
func (c *counting) faces() []kiosk.Face {
	if c.counter == nil {
		return nil
	}
	return []kiosk.Face{c.counter}
}

// faulty reports whether a beam cannot be read.
func (c *counting) faulty() bool {
	for _, f := range c.panel.Health().Faults {
		part, _, _ := strings.Cut(f, ":")
		if k := panel.Kind(part); k == panel.Tally || k == panel.Inner {
			return true
		}
	}
	return false
}

// start counts until ctx ends. Others who feel what contacts do are told too; they
// must not wait.
func (c *counting) start(ctx context.Context, tasks *errgroup.Group, heart *agent.Agent, others ...func(panel.Event)) {
	if c.counter != nil {
		heart.Add(c.counter.Part())
		tasks.Go(func() error { return c.counter.Run(ctx) })
		others = append(others, c.counter.Feel)
	}
	tasks.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case e := <-c.panel.Events():
				for _, tell := range others {
					tell(e)
				}
			}
		}
	})
	if c.config.Counting.keys != "" {
		tasks.Go(func() error {
			return wedge.Presses(ctx, wedge.Config{Device: c.config.Counting.keys}, c.log, wedge.Options{}, c.counter.Press)
		})
	}
	if r, ok := c.panel.(*panel.Recorder); ok && c.config.Counting.pipe != "" {
		tasks.Go(func() error { return touch(ctx, c.config.Counting.pipe, r) })
	}
}

// touch moves contacts as the lines of a pipe say, until ctx ends.
func touch(ctx context.Context, path string, r *panel.Recorder) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // a pipe that is also written to never ends
	if err != nil {
		return fmt.Errorf("contacts: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, state, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch k := panel.Kind(name); {
		case !slices.Contains([]panel.Kind{panel.Door, panel.Tally, panel.Inner, panel.Button, panel.Fire}, k):
		case state == "on", state == "off":
			r.Touch(k, state == "on")
		default:
			r.Touch(k, true)
			r.Touch(k, false)
		}
	}
	if ctx.Err() != nil || errors.Is(lines.Err(), os.ErrClosed) {
		return nil
	}
	return lines.Err()
}
