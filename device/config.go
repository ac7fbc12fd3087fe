package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/qrgate/qrgate/device/bootfile"
	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/port"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/hw/wedge"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

const day = 24 * time.Hour

// A Config is the kiosk's checked settings; reference.toml shows every key.
type Config struct {
	State    string
	Identity string
	LogLevel slog.Level

	Server     string // tls://host:port; empty on a kiosk that is new
	ServerName string // that the server's certificate is for
	Portal     string // https://host, where to renew a certificate that has ended; empty if nobody has said
	New        bool   // there is no identity yet; place, gate and server may come with it

	Trial time.Duration // that the server has to answer at another address
	Lease time.Duration // of being on without a word from it

	Door  wire.KioskConfig
	Limit int64 // bytes that the outbox may grow to

	Sticks string // folders on sticks that check-ins are carried away on; "" looks for none

	Serial   []serialLine
	Keyboard []keyboard
	Cameras  []cameraConfig

	Panel panel.Config
	Exit  bool   // people also leave through this door, whatever its direction
	GPIO  bool   // a panel of real pins; else lines
	Lines string // file that gets a line for each signal; empty drops them

	Counting countingConfig

	Neighbours neighbourConfig

	Screen screenConfig
	Sound  soundConfig

	Update updateConfig

	Watchdog string // of the machine, fed while the door is alive; "" leaves it alone

	WiFi []string // program that joins a network before enrolment; empty joins none

	Guard guardConfig

	Start      startConfig
	boot       bootfile.File // what the boot partition's file says, and which of its lines cannot be used
	bootFaults []bootfile.Fault
}

type screenConfig struct {
	listen     string // "" shows no screen
	explain    time.Duration
	companions bool
}

type soundConfig struct {
	on         bool
	command    []string
	recordings string // directory; "" has none
	volume     int
	quiet      screen.Hours
	inQuiet    screen.Quiet
}

type serialLine struct {
	port.Config
	profile scan.Profile
}

type keyboard struct {
	wedge.Config
	profile scan.Profile
}

// A cameraConfig says where frames come from; one of its fields is set.
type cameraConfig struct {
	files   *filesConfig
	program *camera.Program
	device  *v4l2.Config
}

type filesConfig struct {
	path string
	rate float64
}

func (c Config) outbox() string     { return filepath.Join(c.State, "outbox.db") }
func (c Config) agentState() string { return filepath.Join(c.State, "agent.json") }
func (c Config) amber() string      { return filepath.Join(c.State, "amber.cbor") }
func (c Config) room() string       { return filepath.Join(c.State, "room.db") }
func (c Config) leaseFile() string  { return filepath.Join(c.State, "lease.json") }
func (c Config) voidList() string   { return filepath.Join(c.State, "void.list") }
func (c Config) settings() string   { return filepath.Join(c.State, "config.cbor") }
func (c Config) sources() int       { return len(c.Serial) + len(c.Keyboard) + len(c.Cameras) }

type rawContact struct {
	Pin       string
	ActiveLow bool `toml:"active_low"`
}

type rawInput struct {
	Pin           string
	ActiveLow     bool `toml:"active_low"`
	Debounce, Gap duration
}

type rawConfig struct {
	State    string
	Identity string
	Log      struct{ Level string }
	Server   struct {
		URL, Name, Portal string
		Trial             duration
	}
	Network struct {
		WiFi  []string `toml:"wifi"`
		NMCLI []string `toml:"nmcli"`
	}
	Start struct {
		Walk bool
		File string
	}
	Door struct {
		Place, Gate, Direction string
		Lane                   uint8
		OnFault                string `toml:"on_fault"`
		Accept                 []string
		Repeat, Reset          duration
		HelpLine               string `toml:"help_line"`
		NearFull               int    `toml:"near_full"`
	}
	Cards struct {
		StaleList string `toml:"stale_list"`
		StaleDays int    `toml:"stale_days"`
	}
	Outbox struct {
		LimitMiB int64 `toml:"limit_mib"`
	}
	Lease   struct{ Days int }
	Machine struct{ Watchdog string }
	Carry   struct{ Sticks string }
	Update  rawUpdate
	Serial  []struct {
		Device, Driver, Profile string
		Baud                    int
	}
	Keyboard []struct {
		Device, Layout, Profile string
		Upper                   bool
	}
	Camera []rawCamera
	Panel  struct {
		Kind, Lines               string
		Egress                    bool
		Red, Amber, Green, Buzzer rawContact
		Light                     rawContact
		Door, Tally, Inner        rawInput
		Button, Fire              rawInput
		Relay                     struct {
			Pin            string
			ActiveLow      bool `toml:"active_low"`
			EnergiseToOpen bool `toml:"energise_to_open"`
			Open           duration
		}
	}
	Count struct{ Keys, Pipe string }

	Neighbours struct {
		Listen string
		Peers  []string
	}

	Screen struct {
		Listen     string
		Explain    duration
		Companions bool
	}
	Guard struct {
		On              bool
		Listen, Address string
	}
	Sound struct {
		On         bool
		Command    []string
		Recordings string
		Volume     int
		Quiet      string
		InQuiet    string `toml:"in_quiet"`
	}
}

type rawCamera struct {
	Kind          string
	Device        string
	Command       []string
	Path          string
	Format        string
	Width, Height int
	Rate          float64
	Exposure      duration
	Focus, Gain   int
	Mains         *int
}

// A duration is written as "4s".
type duration time.Duration

// UnmarshalText reads a duration as time.ParseDuration does.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

// readConfig reads and checks the file at path.
func readConfig(path string) (Config, error) {
	c, err := readOwn(path)
	if err != nil {
		return Config{}, err
	}
	if c, err = c.enrolled(); err != nil {
		return Config{}, fmt.Errorf("%w: configuration %s: %w", errUsage, path, err)
	}
	return c, nil
}

// readOwn reads and checks what the file at path and that of the boot partition say by
// themselves. With an error it returns what it could read.
func readOwn(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("%w: configuration: %w", errUsage, err)
	}
	c, err := parseConfig(string(b))
	c.boot, c.bootFaults = bootfile.Read(c.Start.file)
	c = c.wired()
	if err != nil {
		return c, fmt.Errorf("%w: configuration %s: %w", errUsage, path, err)
	}
	return c, nil
}

// parseConfig reads a configuration strictly: a key that it does not know is an
// error that names it.
func parseConfig(text string) (Config, error) {
	raw := defaults()
	md, err := toml.Decode(text, &raw)
	if err != nil {
		return Config{}, err
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = k.String()
		}
		return Config{}, fmt.Errorf("unknown key %s", strings.Join(names, ", "))
	}

	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c := Config{
		State: raw.State, Identity: raw.Identity, Server: raw.Server.URL, ServerName: raw.Server.Name,
		Limit: raw.Outbox.LimitMiB << 20, GPIO: raw.Panel.Kind == "gpio", Lines: raw.Panel.Lines,
	}
	if !filepath.IsAbs(c.State) || !filepath.IsAbs(c.Identity) {
		bad("state, identity: must be absolute paths")
	}
	if err := c.LogLevel.UnmarshalText([]byte(raw.Log.Level)); err != nil {
		bad("log.level: must be debug, info, warn or error, not %q", raw.Log.Level)
	}
	c.WiFi, c.Start = raw.Network.WiFi, raw.start(bad)
	if c.Portal = raw.Server.Portal; c.Portal != "" && pairing.CheckAddress(c.Portal) != nil {
		bad("server.portal: must be https://host in lower case, not %q", c.Portal)
	}
	if u, err := url.Parse(c.Server); c.Server == "" {
		// It comes at enrolment.
	} else if err != nil || u.Scheme != "tls" || u.Port() == "" {
		bad("server.url: must be tls://host:port, not %q", c.Server)
	} else if c.ServerName == "" {
		c.ServerName = u.Hostname()
	}
	if c.Trial = time.Duration(raw.Server.Trial); c.Trial < time.Second || c.Trial > time.Hour {
		bad("server.trial: must be between 1s and 1h, not %s", c.Trial)
	}
	if raw.Outbox.LimitMiB < 4 || raw.Outbox.LimitMiB > 1<<20 {
		bad("outbox.limit_mib: must be 4 to 1048576, not %d", raw.Outbox.LimitMiB)
	}
	if c.Watchdog = raw.Machine.Watchdog; c.Watchdog != "" && !filepath.IsAbs(c.Watchdog) {
		bad("machine.watchdog: must be an absolute path, not %q", c.Watchdog)
	}
	c.Sticks = raw.Carry.Sticks
	if _, err := filepath.Match(c.Sticks, ""); err != nil || c.Sticks != "" && !filepath.IsAbs(c.Sticks) {
		bad("carry.sticks: must be an absolute path, in which * stands for any name, not %q", c.Sticks)
	}
	if c.Lease = time.Duration(raw.Lease.Days) * day; raw.Lease.Days < 1 || raw.Lease.Days > wire.MaxLeaseDays {
		bad("lease.days: must be 1 to %d, not %d", wire.MaxLeaseDays, raw.Lease.Days)
	}
	c.Update = raw.Update.parse(bad)
	c.Door = raw.door(bad)
	named := c.Door
	if named.Place == "" && named.Gate == "" { // they come at enrolment
		named.Place, named.Gate = "?", "?"
	}
	if err := named.Validate(); err != nil {
		bad("door: %w", err)
	}
	c.readSources(raw, bad)
	if c.sources() == 0 {
		bad("at least one [[serial]], [[keyboard]] or [[camera]] is needed")
	}
	c.Panel, c.Exit = raw.panel(c.Door), raw.Panel.Egress
	if err := c.Panel.Validate(); err != nil {
		bad("panel: %w", err)
	}
	if raw.Panel.Kind != "gpio" && raw.Panel.Kind != "lines" {
		bad(`panel.kind: must be "gpio" or "lines", not %q`, raw.Panel.Kind)
	}
	c.Counting = raw.counting(bad)
	c.Neighbours = raw.neighbours(bad)
	c.Screen = raw.screen(bad)
	c.Guard = raw.guard(bad)
	c.Sound = raw.sound(bad)
	return c, errors.Join(errs...)
}

// defaults are what a configuration says that says nothing; see reference.toml.
func defaults() (raw rawConfig) {
	raw.State, raw.Identity, raw.Log.Level = "/var/lib/qrgate", "/var/lib/qrgate/identity", "info"
	raw.Server.Trial = duration(settings.DefaultTrial)
	raw.Door.Direction, raw.Door.OnFault = "in", string(wire.AdmitUnrecorded)
	raw.Door.Accept = []string{"card", "family", "staff", "cccd", "bhyt", "national"}
	raw.Door.Repeat, raw.Door.Reset = duration(4*time.Second), duration(3*time.Second)
	raw.Door.NearFull = wire.DefaultNear
	raw.Cards.StaleList, raw.Cards.StaleDays = string(wire.AdmitStale), 14
	raw.Outbox.LimitMiB, raw.Panel.Kind = 1024, "gpio"
	raw.Carry.Sticks = "/media/*/qrgate"
	raw.Lease.Days = int(lease.DefaultTerm / day)
	raw.Network.WiFi = []string{"nmcli", "--wait", "45", "device", "wifi", "connect", "{ssid}", "password", "{password}", "hidden", "{hidden}"}
	raw.Network.NMCLI, raw.Start.File = []string{"nmcli"}, "/boot/firmware/qrgate.txt"
	raw.Update = rawUpdate{Sticks: "/media/*/qrgate-update", Window: "auto", Spread: duration(10 * time.Minute)}
	raw.Screen.Explain, raw.Guard.Listen = duration(screen.DefaultExplain), ":8443"
	raw.Sound.Command, raw.Sound.Volume, raw.Sound.InQuiet = []string{"aplay", "-q", "-"}, 80, string(screen.QuietTone)
	return raw
}

// maxExplain keeps an answer from standing where the next visitor reads it.
const maxExplain = 30 * time.Second

func (raw rawConfig) screen(bad func(string, ...any)) screenConfig {
	c := screenConfig{raw.Screen.Listen, time.Duration(raw.Screen.Explain), raw.Screen.Companions}
	if c.listen != "" {
		if err := screen.CheckListen(c.listen); err != nil {
			bad("screen.listen: %w", err)
		}
	}
	if c.explain < time.Second || c.explain > maxExplain {
		bad("screen.explain: must be between 1s and %s, not %s", maxExplain, c.explain)
	}
	return c
}

func (raw rawConfig) sound(bad func(string, ...any)) soundConfig {
	s := raw.Sound
	c := soundConfig{on: s.On, command: s.Command, recordings: s.Recordings, volume: s.Volume, inQuiet: screen.Quiet(s.InQuiet)}
	var err error
	if c.quiet, err = screen.ParseHours(s.Quiet); err != nil {
		bad("sound.quiet: %w", err)
	}
	if len(c.command) == 0 || c.command[0] == "" {
		bad("sound.command: a program is needed")
	}
	if c.volume < 0 || c.volume > 100 {
		bad("sound.volume: must be 0 to 100, not %d", c.volume)
	}
	if c.inQuiet != screen.QuietTone && c.inQuiet != screen.QuietNothing {
		bad("sound.in_quiet: must be %q or %q, not %q", screen.QuietTone, screen.QuietNothing, c.inQuiet)
	}
	if c.recordings != "" && !filepath.IsAbs(c.recordings) {
		bad("sound.recordings: must be an absolute path")
	}
	return c
}

func (raw rawConfig) door(bad func(string, ...any)) wire.KioskConfig {
	d := raw.Door
	door := wire.KioskConfig{
		Place: d.Place, Gate: d.Gate, Lane: d.Lane, OnFault: wire.OnFault(d.OnFault),
		Repeat: time.Duration(d.Repeat), Reset: time.Duration(d.Reset), HelpLine: d.HelpLine,
		NearFull:  uint8(min(max(d.NearFull, 1), 255)),
		StaleList: wire.OnStale(raw.Cards.StaleList), StaleAfter: time.Duration(raw.Cards.StaleDays) * 24 * time.Hour,
	}
	switch d.Direction {
	case wire.In.String():
		door.Direction = wire.In
	case wire.Out.String():
		door.Direction = wire.Out
	}
	for _, name := range d.Accept {
		k, err := pass.ParseKind(name)
		if err != nil {
			bad("door.accept: %w", err)
			continue
		}
		door.Accept = append(door.Accept, k)
	}
	return door
}

func (c *Config) readSources(raw rawConfig, bad func(string, ...any)) {
	profile := func(name, otherwise string) scan.Profile {
		if name == "" {
			name = otherwise
		}
		p, err := scan.ProfileNamed(name)
		if err != nil {
			bad("%w", err)
		}
		return p
	}
	for _, s := range raw.Serial {
		line := serialLine{port.Config{Device: s.Device, Baud: s.Baud, Driver: port.Driver(s.Driver)}, profile(s.Profile, "default")}
		if err := line.Check(); err != nil {
			bad("serial: %w", err)
		}
		c.Serial = append(c.Serial, line)
	}
	for _, k := range raw.Keyboard {
		kb := keyboard{wedge.Config{Device: k.Device, Layout: wedge.Layout(k.Layout), Upper: k.Upper}, profile(k.Profile, "keyboard")}
		if err := kb.Check(); err != nil {
			bad("keyboard: %w", err)
		}
		c.Keyboard = append(c.Keyboard, kb)
	}
	for i, m := range raw.Camera {
		cam, err := m.config()
		if err != nil {
			bad("camera %d: %w", i+1, err)
			continue
		}
		same := func(o cameraConfig) bool { return o.device != nil && o.device.Device == cam.device.Device }
		if cam.device != nil && slices.ContainsFunc(c.Cameras, same) {
			bad("camera %d: device %q is another camera's already", i+1, cam.device.Device)
		}
		c.Cameras = append(c.Cameras, cam)
	}
}

// config checks one camera, also for keys that belong to another kind.
func (m rawCamera) config() (cameraConfig, error) {
	var c cameraConfig
	var err error
	var keys []string // of this kind
	switch m.Kind {
	case "v4l2":
		keys = []string{"device", "format", "width", "height", "rate", "exposure", "mains", "focus", "gain"}
		d := v4l2.Config{
			Device: m.Device, Format: m.Format, Width: m.Width, Height: m.Height,
			Rate: m.Rate, Exposure: time.Duration(m.Exposure), Mains: 50, Focus: m.Focus, Gain: m.Gain,
		}
		if d.Device == "" {
			d.Device = "auto"
		}
		if m.Mains != nil {
			d.Mains = *m.Mains
		}
		c.device, err = &d, d.Check()
	case "command":
		keys = []string{"command", "format", "width", "height"}
		p := camera.Program{Args: m.Command, Format: camera.Format(m.Format), Width: m.Width, Height: m.Height}
		if p.Format == "" {
			p.Format = camera.MJPEG
		}
		c.program, err = &p, p.Check()
	case "files":
		keys = []string{"path", "rate"}
		c.files = &filesConfig{m.Path, m.Rate}
		if m.Path == "" || m.Rate != 0 && !(m.Rate >= 0.01 && m.Rate <= 60) {
			err = errors.New("files: needs a path, and a rate of 0.01 to 60 frames a second")
		}
	default:
		return c, fmt.Errorf(`kind must be "v4l2", "command" or "files", not %q`, m.Kind)
	}
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"device", m.Device != ""}, {"command", m.Command != nil}, {"path", m.Path != ""}, {"format", m.Format != ""},
		{"width", m.Width != 0}, {"height", m.Height != 0}, {"rate", m.Rate != 0}, {"exposure", m.Exposure != 0}, {"mains", m.Mains != nil},
		{"focus", m.Focus != 0}, {"gain", m.Gain != 0},
	} {
		if k.set && !slices.Contains(keys, k.name) {
			err = errors.Join(err, fmt.Errorf("key %s is not for kind %q", k.name, m.Kind))
		}
	}
	return c, err
}

func (raw rawConfig) panel(door wire.KioskConfig) panel.Config {
	p := raw.Panel
	out := func(r rawContact) panel.Output { return panel.Output(r) }
	in := func(r rawInput) panel.Contact {
		return panel.Contact{Pin: r.Pin, ActiveLow: r.ActiveLow, Debounce: time.Duration(r.Debounce), Gap: time.Duration(r.Gap)}
	}
	return panel.Config{
		Red: out(p.Red), Amber: out(p.Amber), Green: out(p.Green), Buzzer: out(p.Buzzer), Light: out(p.Light),
		Relay: panel.Relay{
			Pin: p.Relay.Pin, ActiveLow: p.Relay.ActiveLow,
			EnergiseToOpen: p.Relay.EnergiseToOpen, Open: time.Duration(p.Relay.Open),
		},
		Egress: p.Egress || door.Direction == wire.Out,
		Door:   in(p.Door), Tally: in(p.Tally), Inner: in(p.Inner), Button: in(p.Button), Fire: in(p.Fire),
		Reset: door.Reset,
	}
}
