package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/wire"
)

// A guardConfig says where the guard's page is.
type guardConfig struct {
	on      bool
	listen  string
	address string // as telephones reach it; "" is the machine's own
}

func (raw rawConfig) guard(bad func(string, ...any)) guardConfig {
	c := guardConfig{raw.Guard.On, raw.Guard.Listen, raw.Guard.Address}
	if err := guard.CheckListen(c.listen); err != nil {
		bad("guard.listen: %w", err)
	}
	if c.address != "" {
		if err := guard.CheckAddress(c.address); err != nil {
			bad("guard.address: %w", err)
		}
	}
	return c
}

func (c Config) guardFiles() string { return filepath.Join(c.State, "guard") }

// sayGuard prints what is served to guards.
func (c Config) sayGuard(w io.Writer) error {
	if !c.Guard.on {
		_, err := fmt.Fprintln(w, "guard's page: off, unless the portal switches it on")
		return err
	}
	_, err := fmt.Fprintf(w, "guard's page: https on %s, for telephones on the same network that were paired; show a code with: qrgate-kiosk guard pair\n", c.Guard.listen)
	return err
}

// openGuard opens the guard's page, nil if that cannot be: the door opens without it.
func (c Config) openGuard(kiosk string, log *slog.Logger) *guard.Guard {
	g, err := guard.Open(guard.Options{Dir: c.guardFiles(), Kiosk: kiosk, Listen: c.Guard.listen, Address: c.Guard.address, Log: log})
	if err != nil {
		log.Error("no guard's page", "err", err)
		return nil
	}
	return g
}

// witness is who hears what the door has recorded.
func (s *station) witness() kiosk.Witness {
	if s.guard == nil {
		return nil
	}
	return s.guard.Journal()
}

// linked tells the guard's page of the network.
func (s *station) linked(up bool) {
	if s.guard != nil {
		s.guard.Link(up)
	}
}

// startGuard serves the guard's page, and shows the code that pairs a telephone on the
// screen while there is one.
func (s *station) startGuard(ctx context.Context, tasks *errgroup.Group, heart *agent.Agent, m *machinery) {
	g := s.guard
	if g == nil {
		return
	}
	g.Use(guard.Station{
		Door: m.door, Orders: m.table, Room: m.room, Queue: m.queue, Clock: m.clock, Scanners: m.scan.Health,
		SelfTest: func(ctx context.Context) order.Outcome { return m.selfTest(ctx, wire.OrderArgs{}) },
	})
	m.table.Add(order.Row{Kind: wire.OrderPair, Message: true, Card: true, Do: func(context.Context, wire.OrderArgs) order.Outcome {
		if _, ok := g.Offer(); !ok {
			return order.Cannot("the guard's page is off")
		}
		return order.Outcome{}
	}})
	m.face.Reconfigure(func(o *screen.Options) {
		otherwise := o.SetUp
		o.SetUp = func() string {
			if offer, ok := g.Offered(); ok {
				return offer.URL
			}
			if otherwise == nil {
				return ""
			}
			return otherwise()
		}
		ask := o.Ask
		o.Ask = func() (vi, en string) {
			if offer, ok := g.Offered(); ok {
				return offer.Say()
			}
			if ask == nil {
				return "", ""
			}
			return ask()
		}
	})
	heart.Add(agent.Part{Fill: func(b *wire.Beat) {
		l, on := g.Look()
		if !on {
			return
		}
		b.Guard = &wire.GuardBeat{Phones: uint8(l.Phones), Sessions: uint8(l.Sessions)}
	}})
	g.Serve(m.config.Guard.on)
	tasks.Go(func() error { return g.Run(ctx) })
}

// guardCommand pairs a telephone from a terminal, or forgets all.
func guardCommand(ctx context.Context, env environment) error {
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	if len(env.args) != 1 {
		return fmt.Errorf("%w: guard pair | forget", errUsage)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch env.args[0] {
	case "pair":
		return pairInTerminal(ctx, c, env.out)
	case "forget":
		return guard.AskForget(ctx, c.guardFiles())
	}
	return fmt.Errorf("%w: guard pair | forget", errUsage)
}

func pairInTerminal(ctx context.Context, c Config, w io.Writer) error {
	o, err := guard.AskOffer(ctx, c.guardFiles())
	if err != nil {
		return err
	}
	m, err := qrcode.NewQRCodeWriter().Encode(o.URL, gozxing.BarcodeFormat_QR_CODE, 1, 1, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n%s\nSHA-256 of the certificate: %s\nScan it with the guard's telephone within %s.\n", blocks(m), o.URL, o.Fingerprint, o.For)
	return err
}

// blocks draws a code with half blocks, dark on a light margin whatever the terminal's
// colours are.
func blocks(m *gozxing.BitMatrix) string {
	const margin = 2
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < m.GetWidth() && y < m.GetHeight() && m.Get(x, y)
	}
	var b strings.Builder
	for y := -margin; y < m.GetHeight()+margin; y += 2 {
		b.WriteString("\x1b[38;5;16;48;5;231m") // black on white
		for x := -margin; x < m.GetWidth()+margin; x++ {
			switch up, down := dark(x, y), dark(x, y+1); {
			case up && down:
				b.WriteString("█")
			case up:
				b.WriteString("▀")
			case down:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
