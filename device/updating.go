package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// updateConfig says where newer versions come from, and when they may start.
type updateConfig struct {
	root   string       // file of the trusted root; "" is in the identity's folder
	sticks string       // pattern of folders; "" is none
	window screen.Hours // the zero one is the quietest hour
	spread time.Duration
}

type rawUpdate struct {
	Root, Sticks, Window string
	Spread               duration
}

func (raw rawUpdate) parse(bad func(string, ...any)) updateConfig {
	c := updateConfig{root: raw.Root, sticks: raw.Sticks, spread: time.Duration(raw.Spread)}
	if c.root != "" && !filepath.IsAbs(c.root) {
		bad("update.root: must be an absolute path, not %q", c.root)
	}
	if _, err := filepath.Match(c.sticks, "x"); c.sticks != "" && (!filepath.IsAbs(c.sticks) || err != nil) {
		bad("update.sticks: must be an absolute path, in which * stands for any name, not %q", c.sticks)
	}
	if c.spread < time.Millisecond || c.spread > 24*time.Hour {
		bad("update.spread: must be 1ms to 24h, not %s", c.spread)
	}
	if raw.Window != "auto" {
		var err error
		if c.window, err = screen.ParseHours(raw.Window); err != nil || raw.Window == "" {
			bad(`update.window: must be "auto" or hours as "02:00-04:00", not %q`, raw.Window)
		}
	}
	return c
}

func (c Config) releaseRoot() string {
	if c.Update.root != "" {
		return c.Update.root
	}
	return filepath.Join(c.Identity, "release-root.json")
}

func (c Config) traffic() string { return filepath.Join(c.State, "traffic.json") }

// versions is the folder that a launcher names, or the one that it would.
func (c Config) versions() launcher.Versions {
	if dir := os.Getenv(launcher.EnvVersions); dir != "" {
		return launcher.Versions{Dir: dir}
	}
	return launcher.Versions{Dir: filepath.Join(c.State, "versions")}
}

const (
	stillFor  = 20 * time.Second // nobody came, so that nobody stands at the door
	lookEvery = 5 * time.Second
	fitsTime  = time.Minute // that a new program has for judging the configuration
)

// startUpdating looks after the program's version beside the door. The task that it
// starts ends the others when a newer version is to be started. late says whether
// what is newer may be taken though its time is over, as with a maintenance card. It
// returns when the door may be away.
func startUpdating(ctx context.Context, tasks *errgroup.Group, heart *agent.Agent, c Config, path string, id *agent.Identity, queue *outbox.Queue, clock *when.Clock, late func() bool, log *slog.Logger) *quietHours {
	hours := newQuietHours(c, queue, clock)
	u := update.New(update.Options{
		Versions: c.versions(), Launcher: os.Getenv(launcher.EnvLauncher), Running: version, Arch: runtime.GOARCH,
		Root: c.releaseRoot(), Sticks: c.Update.sticks, Spread: c.Update.spread,
		Floor: clock.Floor, Quiet: hours.quiet, Still: hours.still, Late: late, Transport: updateTransport(c, id, clock),
		Fits: func(ctx context.Context, program, version string) error { return fits(ctx, program, version, path) },
		Log:  log,
	})
	heart.Add(agent.Part{Fill: u.Fill, Answered: u.Answered, News: u.News})
	tasks.Go(func() error { return u.Run(ctx) })
	tasks.Go(func() error { return hours.run(ctx, log) })
	return hours
}

// updateTransport trusts who signs the names of the web, and the server's own CA:
// the portal has a certificate of either. What comes is judged by its signatures.
func updateTransport(c Config, id *agent.Identity, clock *when.Clock) http.RoundTripper {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if pem, err := os.ReadFile(filepath.Join(c.Identity, "ca.pem")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, Time: func() time.Time { return clock.TLSTime(id.Cert.Leaf.NotBefore) }}
	t.ResponseHeaderTimeout = time.Minute
	return t
}

// fits asks a program that is to be started whether it is what it is said to be, and
// whether it would run with this kiosk's configuration. The door goes on meanwhile.
func fits(ctx context.Context, program, want, config string) error {
	ctx, cancel := context.WithTimeout(ctx, fitsTime)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return fmt.Errorf("version %s does not start here: %w", want, err)
	}
	if got := strings.TrimSpace(string(said)); got != want {
		return fmt.Errorf("version %s calls itself %.40q", want, got)
	}
	if out, err := exec.CommandContext(ctx, program, "check-config", "-config", config).CombinedOutput(); err != nil {
		return fmt.Errorf("version %s refuses the configuration: %w: %.500s", want, err, out)
	}
	return nil
}

// quietHours know when the door may be away for a few seconds.
type quietHours struct {
	c       Config
	queue   *outbox.Queue
	clock   *when.Clock
	traffic *update.Traffic
	epoch   wire.Epoch
	last    uint64 // record of it

	mu   sync.Mutex
	at   time.Time // of the last record, by this process's own clock
	best int       // hour
}

func newQuietHours(c Config, queue *outbox.Queue, clock *when.Clock) *quietHours {
	h := &quietHours{c: c, queue: queue, clock: clock, traffic: update.OpenTraffic(c.traffic())}
	h.came()
	h.best = h.traffic.Quietest()
	return h
}

// quiet reports whether it is the hour in which the door is missed least. While the
// time is not known it is not.
func (h *quietHours) quiet() bool {
	r := h.clock.Read()
	if r.State != when.Synced && r.State != when.Holding {
		return false
	}
	now := time.UnixMilli(r.Wall).In(vietnam)
	if h.c.Update.window != (screen.Hours{}) {
		return h.c.Update.window.Holds(now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Hour() == h.best
}

// still reports whether nobody has come for a while.
func (h *quietHours) still() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.at) >= stillFor
}

// came returns how many have come since it was called last. A new epoch counts from 1
// again, and begins with what it took over: of it nobody is known to have come.
func (h *quietHours) came() uint64 {
	st := h.queue.Stats()
	came := st.Last - h.last
	if st.Epoch != h.epoch {
		came = 0
	}
	h.epoch, h.last = st.Epoch, st.Last
	return came
}

func (h *quietHours) run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	hour := -1
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		came := h.came()
		now := h.clock.Now().In(vietnam)
		h.traffic.Add(now, came)
		h.mu.Lock()
		if came > 0 {
			h.at = time.Now()
		}
		h.best = h.traffic.Quietest()
		h.mu.Unlock()
		if hour >= 0 && hour != now.Hour() {
			if err := h.traffic.Write(); err != nil {
				log.Warn("quiet hours not kept", "err", err)
			}
		}
		hour = now.Hour()
	}
}

// takeUpdate takes a newer version from a folder by hand, whether the door runs or
// not: it starts with the kiosk's next start, and a door that runs makes one.
func takeUpdate(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: update DIR", errUsage)
	}
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	root, err := update.ReadRoot(c.releaseRoot())
	if err != nil {
		return err
	}
	floor, err := keptFloor(c)
	if err != nil {
		return err
	}
	running := version
	versions := c.versions()
	if st := versions.State(); st.Good != "" {
		running = st.Good
	}
	ask := update.Ask{Running: running, Floor: floor}
	if env.late {
		ask.Late = func() bool { return true }
	}
	src := update.Folder(env.args[0])
	client := update.NewClient(versions, root, runtime.GOARCH)
	f, err := client.Find(ctx, src, ask)
	if err != nil {
		return err
	}
	if err := client.Fetch(ctx, src, f, nil); err != nil {
		return err
	}
	if err := fits(ctx, versions.File(f.Version), f.Version, env.path); err != nil {
		return err
	}
	if err := versions.Ask(f.Version, f.Sum); err != nil {
		return err
	}
	if err := giveAway(versions.Dir, c.State); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.out, "version %s is verified and starts with the kiosk's next start, in place of %s\n", f.Version, running)
	return err
}

// giveAway lets whoever owns the state, the kiosk's own user, read and write what the
// administrator has put into dir.
func giveAway(dir, state string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(state)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	errs := []error{os.Lchown(dir, int(owner.Uid), int(owner.Gid))}
	for _, e := range all {
		errs = append(errs, os.Lchown(filepath.Join(dir, e.Name()), int(owner.Uid), int(owner.Gid)))
	}
	return errors.Join(errs...)
}

// keptFloor returns the time before which it cannot be, without touching the state
// of a door that may be running.
func keptFloor(c Config) (time.Time, error) {
	var kept struct{ Floor time.Time }
	_, err := durable.Read(c.agentState(), func(b []byte) error { return json.Unmarshal(b, &kept) })
	return latest(kept.Floor, buildTime()), err
}
