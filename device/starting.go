package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/bootfile"
	"github.com/qrgate/qrgate/device/dist"
	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/start"
	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

type startConfig struct {
	walk  bool     // somebody is led through what is to be done before the door opens
	file  string   // on the boot partition; "" is none
	nmcli []string // program that makes networks of that file
}

func (raw rawConfig) start(bad func(string, ...any)) startConfig {
	c := startConfig{raw.Start.Walk, raw.Start.File, raw.Network.NMCLI}
	if c.file != "" && !filepath.IsAbs(c.file) {
		bad("start.file: must be an absolute path, not %q", c.file)
	}
	return c
}

// wired returns c with the parts that the boot partition's file says are wired as the
// guide draws them. What kiosk.toml says of a part counts more.
func (c Config) wired() Config {
	c.Exit = c.Exit || c.boot.Exit
	c.Panel.Egress = c.Panel.Egress || c.boot.Exit
	if len(c.boot.Wired) == 0 {
		return c
	}
	c.GPIO = true
	outputs := map[string]*panel.Output{"red": &c.Panel.Red, "amber": &c.Panel.Amber, "green": &c.Panel.Green, "buzzer": &c.Panel.Buzzer}
	contacts := map[string]*panel.Contact{"fire": &c.Panel.Fire, "button": &c.Panel.Button}
	for _, pin := range guide.Pins() {
		name := pin.Part
		if name == "red" || name == "amber" || name == "green" {
			name = "lamps"
		}
		if !slices.Contains(c.boot.Wired, name) {
			continue
		}
		switch o, in := outputs[pin.Part], contacts[pin.Part]; {
		case o != nil && o.Pin == "":
			o.Pin, o.ActiveLow = pin.Line, pin.ActiveLow
		case in != nil && in.Pin == "":
			in.Pin, in.ActiveLow = pin.Line, pin.ActiveLow
		case pin.Part == "relay" && c.Panel.Relay.Pin == "":
			c.Panel.Relay.Pin, c.Panel.Relay.ActiveLow = pin.Line, pin.ActiveLow
		}
	}
	return c
}

// walkFile keeps how far somebody has come with a first start.
func (c Config) walkFile() string { return filepath.Join(c.State, "start.json") }

// networkFile keeps which networks of the boot partition's file NetworkManager has.
func (c Config) networkFile() string { return filepath.Join(c.State, "network.applied") }

// walk returns the walk that somebody is to be led through before the door opens.
func (c Config) walk() (w start.Walk, due bool) {
	if c.New && !c.Start.walk {
		return w, false
	}
	w, due = start.Read(c.walkFile(), c.New)
	if due && c.boot.Language != "" && w.Step == guide.Language {
		w.Step, w.Lang = guide.Network, c.boot.Language
	}
	return w, due
}

// lead leads somebody through w, with this machine's own screen, scanners, lamps and
// voice, until the door may open or ctx ends.
func lead(ctx context.Context, env environment, c Config, w start.Walk, log *slog.Logger) error {
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return err
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
	page := start.NewPage(version, w.Look(start.Situation{}), log.With("task", "screen"))
	o := start.Options{
		Path: c.walkFile(), Parts: c.parts(), Source: sources, Scanners: sources.Health, Panel: lamps, Page: page, WiFi: c.WiFi,
		Net: online, Clock: func() bool { return time.Now().After(buildTime()) },
		Code: c.boot.Code, Lost: system.WithoutData(), Log: log.With("task", "start"),
		Door: func() (start.Door, error) {
			now, err := configured(env.path)
			if err != nil {
				return start.Door{}, err
			}
			if err := lamps.Adjust(now.Panel.Reset, now.Panel.Egress); err != nil {
				return start.Door{}, err
			}
			d := now.Door
			return start.Door{Place: d.Place, Gate: d.Gate, Direction: d.Direction, Fixed: d.Direction != wire.Out && now.oneWay()}, nil
		},
	}
	for _, fault := range c.bootFaults {
		o.Faults = append(o.Faults, fault.String())
	}
	if c.New {
		machine := board.Open(board.Options{})
		o.Gate = enrolment.NewGate(machine.SinceBoot)
		if env.enrol {
			o.Gate.Open()
		}
		o.Kiosk = c.newKiosk(machine, nil, log.With("task", "enrolment"))
	}
	notify := board.NewNotifier(os.Getenv)

	running, stop := context.WithCancel(ctx)
	defer stop()
	tasks, running := errgroup.WithContext(running)
	if c.Sound.on {
		sound := screen.NewSound(screen.SoundOptions{Command: c.Sound.command, Volume: c.Sound.volume, Recordings: c.startVoices()}, log.With("task", "sound"))
		o.Speaker = sound
		tasks.Go(func() error { return sound.Run(running) })
	}
	tasks.Go(func() error { return lamps.Run(running) })
	tasks.Go(func() error { return sources.Run(running) })
	if c.Screen.listen != "" {
		tasks.Go(func() error { return page.Run(running, c.Screen.listen) })
	}
	tasks.Go(func() error { return notify.Run(running, func() bool { return true }) })
	notify.Ready()
	log.Info("first start", "version", version, "step", w.Step, "again", w.Again)
	over := false
	tasks.Go(func() error {
		defer stop()
		_, err := start.Run(running, w, o)
		if over = err == nil; over || running.Err() != nil {
			return nil
		}
		return err
	})
	if err := tasks.Wait(); err != nil || over {
		return err
	}
	return ctx.Err()
}

// configured returns what a kiosk that is enrolled runs with, as the portal has it.
func configured(path string) (Config, error) {
	c, err := readConfig(path)
	if err != nil || c.New {
		return c, err
	}
	id, err := agent.ReadIdentity(c.Identity)
	if err != nil {
		return c, err
	}
	kept, err := openSettings(c, id, slog.New(slog.DiscardHandler))
	if err != nil {
		return c, err
	}
	return c.with(kept.Running()), nil
}

// oneWay reports whether the door has a relay that would hold people in if the lane were
// turned to go out.
func (c Config) oneWay() bool { return c.Panel.Relay.Pin != "" && !c.Panel.Egress }

// parts are what this kiosk has that somebody can try. A file that stands for lamps
// counts as lamps.
func (c Config) parts() start.Parts {
	p := c.Panel
	return start.Parts{
		Lamps:  c.GPIO && (p.Red.Pin != "" || p.Amber.Pin != "" || p.Green.Pin != "") || !c.GPIO && c.Lines != "",
		Buzzer: c.GPIO && p.Buzzer.Pin != "",
		Sound:  c.Sound.on,
	}
}

// startVoices returns what is said at a first start: a place's own recordings, else the
// program's.
func (c Config) startVoices() fs.FS {
	if c.Sound.recordings == "" {
		return dist.StartVoices()
	}
	return either{os.DirFS(c.Sound.recordings), dist.StartVoices()}
}

// either is two folders, of which the first that has a file gives it.
type either [2]fs.FS

func (e either) Open(name string) (fs.File, error) {
	if f, err := e[0].Open(name); err == nil {
		return f, nil
	}
	return e[1].Open(name)
}

// online reports whether this machine has an address in some network.
func online() bool {
	all, err := net.Interfaces()
	if err != nil {
		return true // nobody is sent to look for a cable because of that
	}
	for _, i := range all {
		if i.Flags&net.FlagRunning == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				return true
			}
		}
	}
	return false
}

// makeNetworks makes what the file on the boot partition says this machine's, while the
// door opens: no door waits for a network. The function that it returns ends that.
func makeNetworks(ctx context.Context, env environment) (end func()) {
	c, err := readConfig(env.path)
	if err != nil {
		return func() {} // which run says
	}
	if c.boot.Proxy != nil { // of the enrolment and of updates; the link has a dialer
		os.Setenv("HTTPS_PROXY", c.boot.Proxy.String())
	}
	ctx, cancel := context.WithCancel(ctx)
	var making sync.WaitGroup
	making.Go(func() { c.useBootFile(ctx, newLog(env.stderr, c.LogLevel).With("task", "network")) })
	return func() { cancel(); making.Wait() }
}

// useBootFile makes the networks of the file once after each power-on: where the system
// is read-only, NetworkManager forgets them.
func (c Config) useBootFile(ctx context.Context, log *slog.Logger) {
	for _, fault := range c.bootFaults {
		log.Warn("mistake in the file on the boot partition", "fault", fault.EN)
	}
	networks := c.boot.Connections()
	if len(networks) == 0 && c.boot.WiFi.SSID == "" || len(c.Start.nmcli) == 0 {
		return
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q\n%q\n%v", board.Open(board.Options{}).BootID(), networks, c.boot.WiFi.SSID, c.boot.WiFi.Password, c.boot.WiFi.Hidden))
	mark := hex.EncodeToString(sum[:])
	if was, err := os.ReadFile(c.networkFile()); err == nil && string(was) == mark {
		return
	}
	var errs []error
	for _, n := range networks {
		c.nmcli(ctx, "connection", "delete", "id", n.Name) // there is none the first time
		errs = append(errs, c.nmcli(ctx, n.Args...))
		errs = append(errs, c.nmcli(ctx, "connection", "up", "id", n.Name))
	}
	if c.boot.WiFi.SSID != "" {
		errs = append(errs, c.boot.WiFi.Join(ctx, c.WiFi))
	}
	if err := errors.Join(errs...); err != nil {
		log.Warn("networks of qrgate.txt not made; tried again at the next start", "err", err)
		return
	}
	if err := os.MkdirAll(c.State, 0o700); err == nil {
		err = durable.Replace(c.networkFile(), []byte(mark))
		log.Info("networks of qrgate.txt made", "networks", len(networks), "err", err)
	}
}

// bootNotice returns what the door's screen tells whoever looks after it: that the card
// keeps nothing, or the first mistake in the boot partition's file, or else what otherwise
// says.
func (c Config) bootNotice(otherwise func() string) func() string {
	said := ""
	switch {
	case system.WithoutData():
		disk := guide.Of(words.Vietnamese, guide.BadDisk.Key())
		said = disk.Head + ". " + disk.Do
	case len(c.bootFaults) > 0:
		said = c.bootFaults[0].VI
	default:
		return otherwise
	}
	return func() string { return said }
}

// nmcliTime bounds one change of the network.
const nmcliTime = 45 * time.Second

// nmcli runs NetworkManager's program. What it prints is dropped: it may quote a password.
func (c Config) nmcli(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, nmcliTime)
	defer cancel()
	all := append(append([]string(nil), c.Start.nmcli...), args...)
	if err := exec.CommandContext(ctx, all[0], all[1:]...).Run(); err != nil {
		return fmt.Errorf("%s %s: %w", args[0], args[1], err)
	}
	return nil
}

// linkDial opens connections of the link: through the proxy, if there is one.
func (c Config) linkDial() func(ctx context.Context, network, address string) (net.Conn, error) {
	return bootfile.Dialer(c.boot.Proxy)
}

// setUp begins the first start again. The program ends, and its next start leads.
func (m *machinery) setUp(context.Context, wire.OrderArgs) order.Outcome {
	return m.leadAgain(start.Repeat())
}

// network has whoever held the card up show the code of a wireless network: what stands in
// such a code is nothing to print on a card. A network that cannot be joined leaves the
// one that is there.
func (m *machinery) network(context.Context, wire.OrderArgs) order.Outcome {
	return m.leadAgain(start.Network())
}

func (m *machinery) leadAgain(w start.Walk) order.Outcome {
	if err := start.Write(m.config.walkFile(), w); err != nil {
		return order.Failed(err)
	}
	return order.Outcome{Then: m.stop}
}

// turnAsFound turns the lane as somebody has found it to be at a first start.
func (m *machinery) turnAsFound(ctx context.Context) {
	path := m.config.walkFile()
	var a wire.OrderArgs
	switch start.Left(path) {
	case start.Unasked:
		return
	case start.Turned:
		if a.Direction = wire.Out; m.config.Door.Direction == wire.Out {
			a.Direction = wire.In
		}
	}
	if a.Direction != 0 || m.table.Direction() != 0 {
		if out := m.turn(ctx, a); out.State != 0 {
			m.log.Warn("lane not turned", "detail", out.Detail)
		}
	}
	if err := start.Done(path); err != nil {
		m.log.Error("first start not kept", "err", err)
	}
}
