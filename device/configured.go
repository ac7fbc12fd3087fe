package main

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// with returns c as the server's document has it; nil is none. What the document does
// not say stays, and what is soldered and plugged in is the file's alone.
func (c Config) with(d *wire.ConfigDoc) Config {
	if d == nil {
		return c
	}
	c = c.at(d.Link)
	c.Door = d.Door
	if days := d.Lease.Days; days != nil {
		c.Lease = time.Duration(*days) * day
	}
	c.Panel.Reset, c.Panel.Egress = d.Door.Reset, c.Exit || d.Door.Direction == wire.Out
	set(&c.Screen.explain, d.Screen.Explain)
	set(&c.Screen.companions, d.Screen.Companions)
	set(&c.Sound.on, d.Sound.On)
	set(&c.Guard.on, d.Guard.On)
	if v := d.Sound.Volume; v != nil {
		c.Sound.volume = int(*v)
	}
	if q := d.Sound.Quiet; q != nil {
		c.Sound.quiet = screen.Hours{From: time.Duration(q.From) * time.Minute, To: time.Duration(q.To) * time.Minute}
	}
	if m := d.Sound.Mute; m != nil {
		c.Sound.inQuiet = screen.QuietTone
		if *m {
			c.Sound.inQuiet = screen.QuietNothing
		}
	}
	return c
}

func set[T any](v *T, said *T) {
	if said != nil {
		*v = *said
	}
}

// at returns c with the server at another address; a zero one is the file's own.
func (c Config) at(l wire.LinkConfig) Config {
	if l.URL != "" {
		c.Server, c.ServerName = l.URL, l.Name // "" is the host: see mqttlink.New
	}
	return c
}

// openSettings opens what the server has configured of the kiosk whose file says c.
func openSettings(c Config, id *agent.Identity, log *slog.Logger) (*settings.Settings, error) {
	return settings.Open(c.settings(), settings.Identity{
		Kiosk: id.Kiosk, Key: id.Key, Trust: func(key uint32) ed25519.PublicKey { return id.Keys().Signer(wire.ForConfig)(key) },
	}, settings.Options{
		Check: func(d *wire.ConfigDoc) error { return c.with(d).Panel.Validate() },
		Trial: c.Trial, Log: log,
	})
}

// An adjustable panel can be told of another door while it runs.
type adjustable interface {
	panel.Panel
	Adjust(reset time.Duration, egress bool) error
}

// faces are what shows and plays the door's answers.
type faces struct {
	door   *kiosk.Kiosk
	screen *screen.Screen
	sound  *screen.Sound
	panel  adjustable
	lease  *lease.Lease
	count  *counting
	guard  *guard.Guard // nil if its files cannot be opened
	exit   bool         // people left through the door when it was opened
}

// follow has the door of f and the link be what the server's document says.
func (s *station) follow(f faces, link *mqttlink.Link, log *slog.Logger) {
	s.kept.Use(settings.Uses{
		Apply: func(d *wire.ConfigDoc) { f.configure(s.own.with(d), log) },
		Move: func(l wire.LinkConfig) {
			to := s.own.at(l)
			if err := link.Move(to.Server, linkTLS(to, s.id, s.clock)); err != nil {
				log.Error("link not moved", "err", err)
			}
		},
	})
	s.kept.Resume()
}

// configure makes c, of which the door is valid, what a door that is open runs with.
func (f faces) configure(c Config, log *slog.Logger) {
	// What was a way out stays one until the next start: an order may turn the
	// lane to be one, and nobody is held in.
	if err := f.panel.Adjust(c.Panel.Reset, c.Panel.Egress || f.exit); err != nil {
		log.Error("panel not adjusted", "err", err)
	}
	if err := f.door.Reconfigure(c.Door); err != nil {
		log.Error("door not configured", "err", err)
		return
	}
	f.door.TakeCompanions(c.companions())
	f.lease.Within(c.Lease)
	f.count.at(c.Door)
	if f.guard != nil {
		f.guard.Serve(c.Guard.on)
	}
	f.screen.Reconfigure(c.shown)
	f.sound.Reconfigure(c.audible())
}

// shown puts what c says of the screen into o.
func (c Config) shown(o *screen.Options) {
	o.Place, o.Gate, o.HelpLine, o.Reset, o.Explain = c.Door.Place, c.Door.Gate, c.Door.HelpLine, c.Door.Reset, c.Screen.explain
	o.Typed = slices.Contains(c.Door.Accept, pass.Typed)
	o.Phone = slices.Contains(c.Door.Accept, pass.Phone)
	o.Companions = c.companions()
}

// companions reports whether who is let in may say how many come along, by touch or by the
// code on the wall.
func (c Config) companions() bool { return c.Screen.companions && c.Door.Direction == wire.In }

func (c Config) audible() screen.Audible {
	a := screen.Audible{Volume: c.Sound.volume, Quiet: c.Sound.quiet, InQuiet: c.Sound.inQuiet}
	if !c.Sound.on {
		a.Volume = 0
	}
	return a
}

// sayConfigured prints what the server's document makes of the file's settings, if
// the kiosk has one.
func (c Config) sayConfigured(w io.Writer) error {
	id, err := agent.ReadIdentity(c.Identity)
	if err != nil {
		return nil // not enrolled: nobody could have sent one
	}
	s, err := openSettings(c, id, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if s.Damaged != nil {
		fmt.Fprintf(w, "the portal's configuration is damaged and not used: %v\n", s.Damaged)
	}
	b := s.Beat()
	if d := s.Running(); d != nil {
		n := c.with(d)
		fmt.Fprintf(w, "the portal's configuration %d.%d is used instead: %s, gate %s, direction %s, server %s\n",
			d.Stamp.Generation, d.Stamp.Version, n.Door.Place, n.Door.Gate, n.Door.Direction, n.Server)
	}
	if b.Refused.Version > 0 {
		fmt.Fprintf(w, "its configuration %d.%d was refused: %s: %s\n", b.Refused.Generation, b.Refused.Version, b.Fault, b.Detail)
	} else if b.Wanted.Newer(b.Running) {
		fmt.Fprintf(w, "its configuration %d.%d is on trial\n", b.Wanted.Generation, b.Wanted.Version)
	}
	return nil
}
