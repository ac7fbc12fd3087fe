package update

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// ErrNext is returned when the program shall end, so that the launcher starts the
// version that was asked for.
var ErrNext = errors.New("update: a newer version is to be started")

// Options are what an [Updater] works with. Root, Running and Arch are needed, and
// Launcher, without which it does nothing but say so.
type Options struct {
	Versions launcher.Versions
	Launcher string // version of what started this program; "" is none
	Running  string
	Arch     string
	Root     string // file of the trusted root document
	Sticks   string // folder of a repository on a stick, in which * stands for any name; "" looks for none

	Floor func() time.Time // no later than now, and never set back
	Quiet func() bool      // the door may be away for a few seconds; default never
	Still func() bool      // and nobody stands before it; default always
	Late  func() bool      // metadata whose time is over may be taken, see [Ask]; default no
	// Fits says before it runs why a program will not do on this kiosk; default
	// it will.
	Fits func(ctx context.Context, program, version string) error

	Transport http.RoundTripper
	Every     time.Duration // between two looks; default 10 s
	Retry     time.Duration // after a first failure; doubles up to an hour; default 1 min
	Spread    time.Duration // in which kiosks begin to fetch what all are told of; default 10 min
	Log       *slog.Logger
}

// An Updater looks after a kiosk's version beside the door. Fill, Answered and News
// are for package agent.
type Updater struct {
	o    Options
	wake chan struct{}

	mu     sync.Mutex
	wanted wire.UpdateAnswer // Version "" is none
	beat   wire.UpdateBeat
	filled wire.UpdateBeat // in the newest beat, sent or not
	told   wire.UpdateBeat // in the newest that was answered

	// Of the task alone.
	goal     goal
	root     wire.Hash // that the server has vouched for
	pinned   bool      // there is a root
	found    Found     // what was fetched for it; zero if nothing was
	fails    int
	next     time.Time // no sooner again
	finished string    // stick whose offer was dealt with
}

// A goal is a version that the kiosk is on its way to.
type goal struct {
	version string // "" is none
	from    string // URL or folder
	stick   bool
	now     bool // without waiting for a quiet hour
}

// New returns an updater.
func New(o Options) *Updater {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Every, 10*time.Second)
	set(&o.Retry, time.Minute)
	set(&o.Spread, 10*time.Minute)
	if o.Quiet == nil {
		o.Quiet = func() bool { return false }
	}
	if o.Still == nil {
		o.Still = func() bool { return true }
	}
	if o.Fits == nil {
		o.Fits = func(context.Context, string, string) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	u := &Updater{o: o, wake: make(chan struct{}, 1)}
	u.say(wire.UpdateBeat{})
	return u
}

// Fill tells in a beat how far the kiosk is.
func (u *Updater) Fill(b *wire.Beat) {
	u.mu.Lock()
	defer u.mu.Unlock()
	said := u.beat
	b.Update, u.filled = &said, said
}

// News reports whether the server should hear of it now.
func (u *Updater) News() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	said, told := u.beat, u.told
	said.Loaded, told.Loaded = 0, 0
	return said != told
}

// Answered takes the version that the server wants.
func (u *Updater) Answered(a *wire.BeatAnswer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = u.filled
	var w wire.UpdateAnswer
	if a.Update != nil {
		w = *a.Update
	}
	if w == u.wanted {
		return
	}
	u.wanted = w
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// say notes what the next beat tells.
func (u *Updater) say(b wire.UpdateBeat) {
	b.Launcher, b.Arch = u.o.Launcher, u.o.Arch
	u.mu.Lock()
	defer u.mu.Unlock()
	u.beat = b
}

// Run looks after the version until ctx ends. It returns [ErrNext] when the program
// shall end for a newer one, and no other error.
func (u *Updater) Run(ctx context.Context) error {
	if u.o.Launcher == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(u.o.Every)
	defer tick.Stop()
	for {
		if u.step(ctx) {
			u.announce(ctx)
			return ErrNext
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-u.wake:
		}
	}
}

// announceFor is how long the server is given to hear that a version is tried, so
// that a kiosk that never speaks again is known to have tried it.
const announceFor = 5 * time.Second

func (u *Updater) announce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, announceFor)
	defer cancel()
	tick := time.NewTicker(announceFor / 50)
	defer tick.Stop()
	for u.News() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// step goes one step on, and reports whether the program shall end.
func (u *Updater) step(ctx context.Context) bool {
	st := u.o.Versions.State()
	if st.Trying == u.o.Running && st.Trying != "" {
		u.say(wire.UpdateBeat{Stage: wire.UpdateTrying, Version: st.Trying})
		return false
	}
	if asked := u.o.Versions.Asked(); release.Compare(asked, u.o.Running) > 0 {
		// Somebody has asked for it by hand.
		stage := wire.UpdateLoaded
		still := u.o.Still()
		if still {
			stage = wire.UpdateTrying
		}
		u.say(wire.UpdateBeat{Stage: stage, Version: asked, Loaded: 100})
		return still
	}
	g := u.choose()
	switch {
	case g.version == "" && st.Returned != nil:
		u.say(wire.UpdateBeat{Stage: wire.UpdateReturned, Version: st.Returned.Version, Reason: st.Returned.Reason})
		return false
	case g.version == "":
		u.say(wire.UpdateBeat{Reason: u.rootless(ctx)})
		return false
	case st.Returned != nil && st.Returned.Version == g.version && st.Returned.Reason != release.Damaged:
		// It has had its tries.
		u.say(wire.UpdateBeat{Stage: wire.UpdateReturned, Version: g.version, Reason: st.Returned.Reason})
		u.done(g)
		return false
	}
	if root := u.vouched().Root; root != u.root {
		u.root, u.next = root, time.Time{}
	}
	if g != u.goal {
		u.goal, u.found, u.fails, u.next = g, Found{}, 0, time.Time{}
		if !g.now {
			u.next = time.Now().Add(rand.N(u.o.Spread))
			u.say(wire.UpdateBeat{Stage: wire.UpdateLoading, Version: g.version})
		}
	}
	if time.Now().Before(u.next) {
		return false
	}
	if u.found.Version == "" {
		f, err := u.take(ctx, g)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			u.failed(g, f, err)
			return false
		}
		u.found = f
	}
	f := u.found
	u.say(wire.UpdateBeat{Stage: wire.UpdateLoaded, Version: f.Version, Loaded: 100})
	if !g.now && !u.o.Quiet() || !u.o.Still() {
		return false
	}
	if err := u.o.Versions.Ask(f.Version, f.Sum); err != nil {
		u.found = Found{}
		u.failed(g, f, refuse(release.NoRoom, err))
		return false
	}
	u.done(g)
	u.say(wire.UpdateBeat{Stage: wire.UpdateTrying, Version: f.Version, Loaded: 100})
	u.o.Log.Info("a newer version is started", "version", f.Version, "running", u.o.Running)
	return true
}

// vouched returns what the server said last.
func (u *Updater) vouched() wire.UpdateAnswer {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wanted
}

// newest as a version stands for whichever a stick offers.
const newest = "newest"

// choose returns what the kiosk should be on its way to: what somebody brings on a
// stick comes before what the server wants.
func (u *Updater) choose() goal {
	if dir := u.stick(); dir != "" {
		return goal{newest, dir, true, true}
	}
	u.mu.Lock()
	w := u.wanted
	u.mu.Unlock()
	if release.Compare(w.Version, u.o.Running) <= 0 {
		return goal{}
	}
	return goal{w.Version, w.URL, false, w.Now}
}

// stick returns a folder of a repository that has not been dealt with, or "".
func (u *Updater) stick() string {
	found, _ := filepath.Glob(filepath.Join(u.o.Sticks, "timestamp.json")) // the pattern was checked
	for _, path := range found {
		if id := stickID(path); u.o.Sticks != "" && id != "" && id != u.finished {
			return filepath.Dir(path)
		}
	}
	return ""
}

// stickID tells one state of a stick from another.
func stickID(timestamp string) string {
	info, err := os.Stat(timestamp)
	if err != nil {
		return ""
	}
	return fmt.Sprint(timestamp, info.ModTime().UnixNano(), info.Size())
}

// done notes that there is nothing more to be had of a stick.
func (u *Updater) done(g goal) {
	if g.stick {
		u.finished = stickID(filepath.Join(g.from, "timestamp.json"))
	}
}

// take finds, fetches and judges the goal's version.
func (u *Updater) take(ctx context.Context, g goal) (Found, error) {
	ask := Ask{Version: g.version, Running: u.o.Running, Floor: u.o.Floor(), Late: u.o.Late}
	if g.version == newest {
		ask.Version = ""
	}
	var src Source = Folder(g.from)
	var err error
	if !g.stick {
		if src, err = NewSite(g.from, u.o.Transport); err != nil {
			return Found{}, err
		}
	}
	root, err := u.trusted(ctx)
	if err != nil {
		return Found{About: release.About{Version: ask.Version}}, err
	}
	client := NewClient(u.o.Versions, root, u.o.Arch)
	f, err := client.Find(ctx, src, ask)
	if err != nil {
		return f, err
	}
	if st := u.o.Versions.State().Returned; g.stick && st != nil && st.Version == f.Version && st.Reason != release.Damaged {
		return f, refuse(st.Reason, fmt.Errorf("update: %s has had its tries", f.Version))
	}
	if !u.o.Versions.Has(f.Version, f.Sum) {
		u.say(wire.UpdateBeat{Stage: wire.UpdateLoading, Version: f.Version})
		if err := u.o.Versions.Prune(f.Version); err != nil {
			u.o.Log.Warn("old versions not removed", "err", err)
		}
		err := client.Fetch(ctx, src, f, func(n int64) {
			u.say(wire.UpdateBeat{Stage: wire.UpdateLoading, Version: f.Version, Loaded: uint8(n * 100 / f.Sum.Length)})
		})
		if err != nil {
			return f, err
		}
	}
	if err := u.o.Fits(ctx, u.o.Versions.File(f.Version), f.Version); err != nil {
		return f, refuse(release.Unfit, err)
	}
	return f, nil
}

// rootless says of a kiosk that has no root yet, and of which no version is wanted, that
// it has none: its server vouches for one then, so that it can judge a stick.
func (u *Updater) rootless(ctx context.Context) release.Reason {
	if u.pinned {
		return ""
	}
	_, err := ReadRoot(u.o.Root)
	if err != nil && u.vouched().Root != (wire.Hash{}) && !time.Now().Before(u.next) {
		u.next = time.Now().Add(u.o.Retry)
		if _, err = u.trusted(ctx); err != nil {
			u.o.Log.Warn("root of the releases not taken", "err", err)
		}
	}
	if u.pinned = err == nil; u.pinned {
		return ""
	}
	return release.NoRoot
}

// trusted returns the root that the kiosk goes by. One that came without takes it from
// its server, if that has vouched for it. From then on the server's word counts no more.
func (u *Updater) trusted(ctx context.Context) ([]byte, error) {
	root, err := ReadRoot(u.o.Root)
	said := u.vouched()
	if !errors.Is(err, fs.ErrNotExist) || said.Root == (wire.Hash{}) {
		return root, err
	}
	src, err := NewSite(said.URL, u.o.Transport)
	if err != nil {
		return nil, err
	}
	b, err := read(ctx, src, "1.root.json", maxRoot)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(b) != said.Root {
		return nil, refuse(release.Unsigned, errors.New("update: the root is not the one that the server vouches for"))
	}
	if err := durable.Replace(u.o.Root, b); err != nil {
		return nil, refuse(release.NoRoom, fmt.Errorf("update: root: %w", err))
	}
	u.o.Log.Info("root of the releases kept")
	return b, nil
}

// failed notes why the goal was not reached, and when to try again.
func (u *Updater) failed(g goal, f Found, err error) {
	version, why := f.Version, Why(err)
	if version == "" && g.version != newest {
		version = g.version
	}
	if g.stick && (why == release.Older || why == release.Unlisted) {
		u.done(g) // a stick that brings nothing new is no news
		u.say(wire.UpdateBeat{})
		return
	}
	stage := wire.UpdateRefused
	if why == release.Unreached {
		stage = wire.UpdateLoading
	}
	u.say(wire.UpdateBeat{Stage: stage, Version: version, Reason: why})
	wait := min(u.o.Retry<<min(u.fails, 10), time.Hour)
	u.fails++
	u.next = time.Now().Add(wait)
	u.o.Log.Warn("update not taken", "version", version, "reason", why, "err", err, "retry_in", wait)
	if g.stick && stage == wire.UpdateRefused {
		u.done(g)
	}
}
