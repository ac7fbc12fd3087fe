package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/amber"
	"github.com/qrgate/qrgate/device/carry"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/port"
	"github.com/qrgate/qrgate/hw/port/pty"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/hw/wedge"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// checkTime is how long the check of the outbox in a child process may go without
	// getting on: a damaged file can make a reader spin, and the door must open all
	// the same. A large file on a slow card is no damaged one, however long it takes.
	checkTime = 60 * time.Second
	// workTime is what whoever started the program is asked for, again and again while
	// a large ledger is checked or mended: the card may write for long in between.
	workTime = 5 * time.Minute
)

// serve runs the door until ctx ends. A kiosk that was wiped is new, and waits for a code.
func serve(ctx context.Context, env environment) error {
	defer makeNetworks(ctx, env)()
	for {
		if err := serveDoor(ctx, env); !errors.Is(err, enrolment.ErrWiped) {
			return err
		}
		c, err := readConfig(env.path)
		if err != nil {
			return err
		}
		if err := c.wipe(); err != nil {
			return err
		}
	}
}

// settle reads the configuration. A machine that is new becomes a kiosk first; the
// configuration is nil if ctx ended before somebody came with a code.
func settle(ctx context.Context, env environment, ring io.Writer) (*Config, *slog.Logger, error) {
	c, err := readConfig(env.path)
	if err != nil {
		return nil, nil, err
	}
	log := newLog(io.MultiWriter(env.stderr, ring), c.LogLevel)
	walk, due := c.walk()
	if !c.New && !due {
		return &c, log, nil
	}
	if err := os.MkdirAll(filepath.Dir(c.Identity), 0o700); err != nil {
		return nil, nil, err
	}
	if due {
		err = lead(ctx, env, c, walk, log)
	} else {
		err = beNew(ctx, c, env.enrol, log)
	}
	if ctx.Err() != nil {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	c, err = readConfig(env.path)
	return &c, log, err
}

// A station is what a kiosk has on its disk, and the clock that it is dated by.
type station struct {
	own     Config // as the machine's own file has it
	config  Config // with what the portal says
	id      *agent.Identity
	state   *agent.State
	kept    *settings.Settings
	list    *agent.List
	machine *board.Board
	clock   *when.Clock
	queue   *outbox.Queue
	orders  *order.Table
	sealer  *seal.Sealer
	inside  *room.Room
	lease   *lease.Lease
	guard   *guard.Guard // nil if its files cannot be opened

	unrecorded *amber.Account
}

// openStation opens what a kiosk that is configured by c has on its disk. Those who are
// unrecorded come first into its ledger.
func openStation(ctx context.Context, c Config, unrecorded *amber.Account, log *slog.Logger) (s *station, err error) {
	s = &station{own: c, unrecorded: unrecorded}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.id, err = agent.ReadIdentity(c.Identity); err != nil {
		return s, err
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return s, err
	}
	if s.state, err = agent.OpenState(c.agentState()); err != nil {
		return s, err
	}
	if s.kept, err = openSettings(c, s.id, log.With("task", "settings")); err != nil {
		return s, err
	}
	s.config = c.with(s.kept.Running())
	if s.list, err = agent.OpenList(c.voidList(), s.id.Key, s.state.List); err != nil {
		return s, err
	}
	s.machine = board.Open(board.Options{Disks: []string{c.State}})
	s.clock = when.NewClock(s.machine.BootID(), s.machine.SinceBoot, time.Now, latest(s.state.Floor, buildTime()))

	identity := ""
	if who := s.machine.Identity(); who.CPU != "" && who.Card != "" {
		identity = who.CPU + " " + who.Card
	}
	s.queue, err = outbox.Open(ctx, c.outbox(), outbox.Options{
		Limit: c.Limit, Identity: identity, Check: checkInChild, Working: working, Log: log.With("task", "outbox"), Now: s.clock.Read,
	})
	if err != nil {
		return s, err
	}
	if err := unrecorded.Begin(s.queue); err != nil {
		return s, err
	}
	if s.orders, err = openOrders(s.config, s.id, s.clock, s.machine.SinceBoot, s.queue, log.With("task", "orders")); err != nil {
		return s, err
	}
	if err := s.stayOut(log.With("task", "orders")); err != nil {
		return s, err
	}
	key, err := s.id.SealKey(s.clock.Now())
	if err != nil {
		return s, err
	}
	if s.sealer, err = seal.New(key.ID, key.Public); err != nil {
		return s, err
	}
	if s.inside, err = room.Open(c.room(), s.id.Key); err != nil {
		return s, err
	}
	s.guard = s.config.openGuard(s.id.Kiosk, log.With("task", "guard"))
	s.lease, err = openLease(s.config, s.machine, s.list, s.inside, log.With("task", "lease"))
	return s, err
}

func (s *station) close() {
	if s.inside != nil {
		s.inside.Close()
	}
	if s.queue != nil {
		s.queue.Close()
	}
}

// people returns bounds on how many are inside.
func (s *station) people() (least, most int, known bool) {
	l, m, _, known := s.inside.Inside(s.today(), s.inside.Connected())
	return int(l), int(m), known
}

// serveDoor runs the door until ctx ends or the kiosk is to be wiped.
func serveDoor(ctx context.Context, env environment) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ring := order.NewRing(order.RingBytes)
	settled, log, err := settle(ctx, env, ring)
	if err != nil || settled == nil {
		return err
	}
	// It frees the relay, which another program may have left locked, before anything else:
	// a disk takes its time, or fails.
	lamps, closeLamps, err := openPanel(*settled, log.With("task", "panel"))
	if err != nil {
		return err
	}
	defer closeLamps()
	lit, darken := context.WithCancel(ctx)
	var shine errgroup.Group
	shine.Go(func() error { return lamps.Run(lit) })
	defer shine.Wait()
	defer darken()

	unrecorded := amber.Open(settled.amber(), board.Open(board.Options{}).BootID(), log.With("task", "amber"))
	s, err := openStation(ctx, *settled, unrecorded, log)
	if err == nil {
		err = s.serve(ctx, stop, env, lamps, ring, log)
		s.close()
	}
	if s.id != nil && ctx.Err() == nil && ofDisk(err) {
		return standIn(ctx, *settled, s.id, lamps, unrecorded, err, log)
	}
	return err
}

// serve runs the door with what it has on its disk until ctx ends.
func (s *station) serve(ctx context.Context, stop func(), env environment, lamps adjustable, ring *order.Ring, log *slog.Logger) error {
	own, c, id, clock, queue := s.own, s.config, s.id, s.clock, s.queue
	if err := lamps.Adjust(c.Panel.Reset, c.Panel.Egress); err != nil {
		return err
	}
	sources, cameras, closeSources, err := openSources(c, log)
	if err != nil {
		return err
	}
	defer closeSources()
	count := s.openCounting(lamps, log.With("task", "count"))
	var door *kiosk.Kiosk
	age := func() (time.Duration, bool) { return door.ListAge() }
	face, sound := openFaces(c, clock, age, s.people, log)
	advise(cameras, face.Advise)
	keeper := c.keeper(id, clock, func() { door.Stand() }, log.With("task", "enrolment"))
	codes := carry.NewCodes(log.With("task", "carry"))
	door, err = kiosk.New(kiosk.Door{
		ID: id.Kiosk, Config: c.Door, Keys: id.CardKeys, List: s.list, Room: s.inside, Source: codes.Source(sources),
		Queue: queue, Sealer: s.sealer, Panel: lamps, Faces: append(count.faces(), face, sound), Clock: clock, Orders: s.orders,
		Revoked: keeper.Revoked, Witness: s.witness(), Amber: s.unrecorded.Add,
	}, log.With("task", "door"))
	if err != nil {
		return err
	}
	door.TakeCompanions(c.companions())
	which := nameplateOf(s.machine)
	health := func(b *wire.Beat) {
		fillBeat(b, s.machine.Health(), sources.Health(), door.Unrecorded()+s.unrecorded.Lost())
		which.fill(b)
	}
	heart := agent.New(id, s.state, s.list, queue, clock, s.machine.SinceBoot, health, log.With("task", "agent"))
	heart.Room = s.inside
	link, sender, err := s.connect(heart, log)
	if err != nil {
		return err
	}
	s.follow(faces{door, face, sound, lamps, s.lease, count, s.guard, c.Panel.Egress}, link, log.With("task", "settings"))
	heart.Add(s.kept.Part())
	heart.Add(keeper.Part())
	heart.Add(s.lease.Part())
	does := &machinery{
		config: c, table: s.orders, door: door, face: face, room: s.inside, panel: lamps, queue: queue, clock: clock, scan: sources,
		cameras: cameras, ring: ring, stop: stop, log: log.With("task", "orders"),
	}
	does.join(heart)
	does.turnAsFound(ctx)
	notify := board.NewNotifier(os.Getenv)
	alive := func() bool { return door.Alive(time.Now()) }

	tasks, ctx := errgroup.WithContext(ctx)
	carried := carry.Door{Kiosk: id.Kiosk, Key: id.Key, Queue: queue, Take: sender.Hand, Beside: takeBeside(id, s.kept, heart.Hand)}
	notice := startCarrying(ctx, tasks, c, carried, log.With("task", "carry"))
	face.Reconfigure(func(o *screen.Options) { o.Notice = own.bootNotice(blindNotice(door, s.notice(notice))) })
	s.startCodes(ctx, tasks, codes, carried, sender, face)
	count.tell(heart, face)
	count.start(ctx, tasks, heart)
	startNeighbours(ctx, tasks, s, count, log.With("task", "neighbours"))
	s.startGuard(ctx, tasks, heart, does)
	hours := startUpdating(ctx, tasks, heart, own, env.path, id, queue, clock, s.orders.Maintenance, log.With("task", "update"))
	startSystems(ctx, tasks, own, id, clock, hours, sources, sender, s.orders.Maintenance, log.With("task", "system"))
	c.startDoor(ctx, tasks, door, sources, face, sound)
	c.startAlive(ctx, tasks, notify, alive, log)
	for _, run := range []func(context.Context) error{link.Run, sender.Run, keeper.Run, s.kept.Run, s.lease.Run} {
		tasks.Go(func() error { return run(ctx) })
	}
	tasks.Go(func() error { return heart.Run(ctx, link) })
	tasks.Go(func() error { return s.unrecorded.Run(ctx, queue) })
	tasks.Go(func() error { return s.orders.Run(ctx, link) })
	tasks.Go(func() error { return s.keepSealer(ctx, log.With("task", "seal")) })
	if c.Panel.Light.Pin != "" {
		tasks.Go(func() error { return light(ctx, darkness(cameras), lamps.Light) })
	}
	notify.Ready()
	log.Info("door open", "kiosk", id.Kiosk, "version", version, "place", c.Door.Place, "gate", c.Door.Gate,
		"epoch", queue.Stats().Epoch, "unsent", queue.Stats().Unsent)
	err = tasks.Wait()
	notify.Stopping()
	return err
}

// connect makes the link to the server, and what delivers the ledger over it.
func (s *station) connect(heart *agent.Agent, log *slog.Logger) (*mqttlink.Link, *deliver.Sender, error) {
	c, id := s.config, s.id
	// The link is told whom to call before those can be told of the link.
	var sender *deliver.Sender
	link, err := mqttlink.New(mqttlink.Options{
		URL: c.Server, Dial: c.linkDial(), ClientID: id.Kiosk, TLS: linkTLS(c, id, s.clock), Will: heart.Will, Cover: wire.DownFilter(id.Kiosk),
		OnUp:   func(context.Context) { heart.Up(); sender.Connected(true); s.linked(true) },
		OnDown: func(error) { sender.Connected(false); s.linked(false) },
		Log:    log.With("task", "link"),
	})
	if err != nil {
		return nil, nil, err
	}
	sender = deliver.NewSender(id.Kiosk, id.Key, s.queue, link, id.ReceiptKey, deliver.SenderOptions{
		OnReceipt: s.heard, Log: log.With("task", "sender"),
	})
	return link, sender, nil
}

// startDoor has a door run, with what it reads by and answers with.
func (c Config) startDoor(ctx context.Context, tasks *errgroup.Group, door *kiosk.Kiosk, sources *scan.Group, face *screen.Screen, sound *screen.Sound) {
	for _, run := range []func(context.Context) error{sources.Run, sound.Run, door.Run} {
		tasks.Go(func() error { return run(ctx) })
	}
	tasks.Go(func() error { return watchScanners(ctx, sources.Health, door) })
	if c.Screen.listen != "" {
		tasks.Go(func() error { return face.Run(ctx, c.Screen.listen, door) })
	}
}

// startAlive tells those who end a program that hangs, for as long as alive says so, that
// this one does not.
func (c Config) startAlive(ctx context.Context, tasks *errgroup.Group, notify *board.Notifier, alive func() bool, log *slog.Logger) {
	tasks.Go(func() error { return notify.Run(ctx, alive) })
	if c.Watchdog != "" {
		tasks.Go(func() error { return feed(ctx, c.Watchdog, alive, log) })
	}
}

// linkTLS trusts the server's own CA and nobody else. The CA's certificate is
// judged at the clock's floor while the clock is not bound to the server's.
func linkTLS(c Config, id *agent.Identity, clock *when.Clock) *tls.Config {
	cert := func() (*tls.Certificate, error) { return id.Certificate(), nil }
	return mqttlink.ClientTLS(id.CA, c.ServerName, cert, func() time.Time { return clock.TLSTime(id.Certificate().Leaf.NotBefore) })
}

// keepSealer drops the sealer's key when it is old, though nobody comes, and has it
// seal to the server's key of the day: a newer key list may name another.
func (s *station) keepSealer(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.sealer.Forget(now)
			// While the list names none that is valid today, the one before is better.
			if key, err := s.id.SealKey(s.clock.Now()); err == nil {
				if err := s.sealer.To(key.ID, key.Public); err != nil {
					log.Error("still sealing to the key before", "err", err)
				}
			}
		}
	}
}

// working tells whoever started the program, and waits for it to be ready, that it has
// work before that and gets on with it.
func working() {
	// One that is not heard is followed by the next.
	_ = board.NewNotifier(os.Getenv).Extend(workTime)
}

// checkInChild verifies an outbox in a process of its own: a damaged file may
// end or hang that one, and not the door.
func checkInChild(ctx context.Context, path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return checkBy(ctx, self, path, checkTime, working)
}

// errStalled says that a check got on no more.
var errStalled = errors.New("the check does not get on")

// checkBy has program check an outbox. Each line that it says shows that it gets on,
// and working is called; after stalled without one it is ended.
func checkBy(ctx context.Context, program, path string, stalled time.Duration, working func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer limit.Stop()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "check-outbox", path)
	cmd.Stderr = &said
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		limit.Reset(stalled)
		working()
		return len(p), nil
	})
	// A check whose door is gone would only slow down the next one's. The kernel ties
	// the two by the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if errors.Is(context.Cause(ctx), errStalled) {
		err = errStalled
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func openPanel(c Config, log *slog.Logger) (adjustable, func(), error) {
	if c.GPIO {
		p, err := panel.Open(c.Panel, log)
		return p, func() {}, err
	}
	if c.Lines == "" {
		return panel.NewRecorder(io.Discard, c.Panel, log), func() {}, nil
	}
	f, err := os.OpenFile(c.Lines, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	p := panel.NewRecorder(f, c.Panel, log)
	coil, err := p.HoldCoil(c.Lines + ".coil")
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return p, func() { f.Close(); coil.Close() }, nil
}

// vietnam is the time on every clock of the country.
var vietnam = time.FixedZone("ICT", 7*60*60)

// openFaces makes the screen, which shows nothing until it runs, and the sound,
// which is silent if it is switched off.
func openFaces(c Config, clock *when.Clock, age func() (time.Duration, bool), people func() (int, int, bool), log *slog.Logger) (*screen.Screen, *screen.Sound) {
	// A time that nobody has vouched for is neither shown nor kept quiet by.
	now := func() (time.Time, bool) {
		r := clock.Read()
		return time.UnixMilli(r.Wall).In(vietnam), r.State == when.Synced || r.State == when.Holding
	}
	shown := screen.Options{Now: now, ListAge: age, Inside: people}
	c.shown(&shown)
	face := screen.New(shown, log.With("task", "screen"))
	heard := c.audible()
	o := screen.SoundOptions{Command: c.Sound.command, Volume: heard.Volume, Quiet: heard.Quiet, InQuiet: heard.InQuiet, Now: now}
	if c.Sound.recordings != "" {
		o.Recordings = os.DirFS(c.Sound.recordings)
	}
	return face, screen.NewSound(o, log.With("task", "sound"))
}

// openSources makes every scanner and camera of the configuration. None of them
// needs to be plugged in.
func openSources(c Config, log *slog.Logger) (*scan.Group, []*camera.Source, func(), error) {
	var all []scan.Source
	var cameras []*camera.Source
	var closers []io.Closer
	for _, s := range c.Serial {
		src, err := port.New(s.Config, s.profile, log, port.Options{})
		if err != nil {
			return nil, nil, nil, err
		}
		all, closers = append(all, src), append(closers, src)
	}
	for _, k := range c.Keyboard {
		src, err := wedge.New(k.Config, k.profile, log, wedge.Options{})
		if err != nil {
			return nil, nil, nil, err
		}
		all, closers = append(all, src), append(closers, src)
	}
	for i, m := range c.Cameras {
		open := func() (camera.Frames, error) { return m.open(log) }
		src := camera.NewSource(strconv.Itoa(i+1), open, qrread.Options{}, log)
		all, cameras, closers = append(all, src), append(cameras, src), append(closers, src)
	}
	return scan.Many(all...), cameras, func() {
		for _, c := range closers {
			c.Close()
		}
	}, nil
}

func (c cameraConfig) open(log *slog.Logger) (camera.Frames, error) {
	switch {
	case c.device != nil:
		return v4l2.Open(*c.device, log, v4l2.Options{})
	case c.program != nil:
		return camera.Start(*c.program, log)
	}
	return camera.OpenFiles(c.files.path, camera.FileOptions{Rate: c.files.rate})
}

// fillBeat puts what the machine knows of itself into a beat.
func fillBeat(b *wire.Beat, h board.Health, scanners []scan.Health, unrecorded uint64) {
	b.Release = version
	b.Unrecorded = unrecorded
	b.Uptime = int64(h.Uptime.Seconds())
	if h.Temperature.Known {
		b.Temperature = int(h.Temperature.Celsius * 1000)
	}
	if h.Power.Known && h.Power.UnderVoltageSinceBoot {
		b.PowerFaults = 1
	}
	b.Power = powerOf(h.Power)
	if h.Memory.Known {
		b.Memory, b.Available = int64(h.Memory.Total), int64(h.Memory.Available)
	}
	for _, d := range h.Disks {
		if d.Known {
			b.DiskFree, b.DiskTotal, b.ReadOnly = int64(d.Free), int64(d.Total), d.ReadOnly
		}
	}
	for _, s := range scanners {
		sb := wire.ScannerBeat{Name: s.Source, Present: s.Present, Scans: s.Scans, Bad: s.Bad, Share: shareOf(s.BadShare), Unplugs: uint32(min(s.Unplugs, math.MaxUint32))}
		if !s.LastScan.IsZero() {
			sb.LastScan = s.LastScan.UnixMilli()
		}
		switch {
		case s.Silent:
			sb.Fault = "silent"
		case s.Stuck:
			sb.Fault = "stuck"
		case s.Babbling:
			sb.Fault = "babbling"
		case s.Blind != "":
			sb.Fault = s.Blind
		case !s.Present:
			sb.Fault = "absent"
		}
		sb.Hints = hintsOf(s.Hints)
		b.Scanners = append(b.Scanners, sb)
	}
}

func buildTime() time.Time {
	s, err := strconv.ParseInt(built, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// virtualScanner is a serial scanner without hardware: it links one end of a
// serial line to a path, prints the path, and sends each line of its input as
// a scanner sends a code.
func virtualScanner(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: virtual-scanner PATH", errUsage)
	}
	path := env.args[0]
	master, line, err := pty.Open()
	if err != nil {
		return err
	}
	defer master.Close()
	if err := os.Symlink(line, path); err != nil {
		return err
	}
	defer os.Remove(path)
	if _, err := fmt.Fprintln(env.out, path); err != nil {
		return err
	}
	lines := make(chan string)
	failed := make(chan error, 1)
	go func() { // ends with the input, or with the process
		in := bufio.NewScanner(env.in)
		for in.Scan() {
			lines <- in.Text()
		}
		failed <- in.Err()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case text := <-lines:
			if _, err := io.WriteString(master, text+"\r"); err != nil {
				return fmt.Errorf("write to line: %w", err)
			}
		case err := <-failed:
			return errors.Join(err)
		}
	}
}
