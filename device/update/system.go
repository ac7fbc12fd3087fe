package update

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/system"
	"github.com/qrgate/qrgate/sync/release"
)

// SystemOptions are what a [System] works with.
type SystemOptions struct {
	Dir     string // of the wish and of what is fetched; the door's
	State   string // of the keeper's state
	Machine string // of [release.Systems]
	Running string // version of the system
	Boot    string // id of this start
	Program string // version of this program, which the server has chosen
	Root    string // file of the trusted root document
	Sticks  string // folder of a repository on a stick, in which * stands for any name; "" looks for none
	Site    string // URL of the server's repository; "" is none

	Floor   func() time.Time
	Quiet   func() bool // the door may be away for a minute
	Still   func() bool // and nobody stands before it
	Late    func() bool // see [Ask]
	Healthy func() bool // the door works

	Transport http.RoundTripper
	Every     time.Duration // between two looks; default 5 s
	Hourly    time.Duration // between two looks at the server; default 1 h
	Log       *slog.Logger
}

// A System looks after the system on a kiosk's card beside the door: it fetches and
// verifies newer ones and wishes for them (package system), and says when the door
// works. What is fetched is a build as a program is, for a machine of its own.
type System struct {
	o        SystemOptions
	wish     system.Wish
	files    launcher.Versions
	done     string    // stick whose offer was dealt with
	brought  string    // version that a stick brought; "" is none
	next     time.Time // look at the server
	rootless bool      // it was logged that there is no root
}

// NewSystem returns what looks after a card.
func NewSystem(o SystemOptions) *System {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Hourly == 0 {
		o.Hourly = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Healthy of another start means nothing in this one.
	return &System{o: o, wish: system.Wish{Install: system.ReadWish(o.Dir).Install}, files: launcher.Versions{Dir: o.Dir}}
}

// Run looks after the card until ctx ends. It is meant for a machine whose card has a
// keeper.
func (s *System) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		s.o.Log.Error("systems not kept", "err", err)
	}
	s.put(s.wish)
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	for {
		s.step(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// put wishes, and says on disk only what is new.
func (s *System) put(w system.Wish) {
	if w == s.wish && w == system.ReadWish(s.o.Dir) {
		return
	}
	if err := w.Write(s.o.Dir); err != nil {
		s.o.Log.Warn("wish not written", "err", err)
		return
	}
	s.wish = w
}

func (s *System) step(ctx context.Context) {
	w := s.wish
	if w.Healthy == "" && s.o.Healthy() {
		s.o.Log.Info("the door works in this system", "version", s.o.Running)
		w.Healthy = s.o.Boot
		s.put(w)
	}
	st := system.ReadState(s.o.State)
	if st.Trial {
		return
	}
	src, version := s.source()
	if src != nil {
		if found := s.take(ctx, src, version, st); found != "" {
			w.Install = found
			if _, byHand := src.(Folder); byHand {
				s.brought = found
			}
		}
	}
	if st.Refused != nil && st.Refused.Version == w.Install || release.Compare(w.Install, s.o.Running) <= 0 {
		w.Install = ""
	}
	// Who brings a system on a stick waits for it; the server's has its hour.
	w.Start = w.Install != "" && st.Ready == w.Install && s.o.Still() && (s.o.Quiet() || s.brought == w.Install)
	s.put(w)
}

// source returns where something may be had now, and which version; "" is the newest.
func (s *System) source() (Source, string) {
	found, _ := filepath.Glob(filepath.Join(s.o.Sticks, "timestamp.json")) // the pattern was checked
	for _, path := range found {
		if id := stickID(path); s.o.Sticks != "" && id != "" && id != s.done {
			s.done = id
			return Folder(filepath.Dir(path)), ""
		}
	}
	// The server chooses a program, step by step through its kiosks; the system of that
	// version follows.
	if s.o.Site == "" || release.Compare(s.o.Program, s.o.Running) <= 0 || time.Now().Before(s.next) || !s.o.Quiet() {
		return nil, ""
	}
	s.next = time.Now().Add(s.o.Hourly)
	site, err := NewSite(s.o.Site, s.o.Transport)
	if err != nil {
		s.o.Log.Warn("system not looked for", "err", err)
		return nil, ""
	}
	return site, s.o.Program
}

// take fetches what a source has and returns its version, or "".
func (s *System) take(ctx context.Context, src Source, version string, st system.State) string {
	root, err := ReadRoot(s.o.Root)
	if err != nil {
		// A kiosk that has none yet gets it from its server ([Updater]); then a stick
		// that was there before counts.
		s.done = ""
		if !s.rootless {
			s.o.Log.Warn("system not taken yet", "reason", Why(err), "err", err)
		}
		s.rootless = true
		return ""
	}
	client := NewClient(s.files, root, s.o.Machine)
	f, err := client.Find(ctx, src, Ask{Version: version, Running: s.o.Running, Floor: s.o.Floor(), Late: s.o.Late})
	if err == nil && st.Refused != nil && st.Refused.Version == f.Version && st.Refused.Reason != release.Damaged {
		err = refuse(st.Refused.Reason, errors.New("update: this system was given up"))
	}
	if err == nil {
		if err := s.files.Prune(f.Version); err != nil {
			s.o.Log.Warn("old systems not removed", "err", err)
		}
		err = client.Fetch(ctx, src, f, nil)
	}
	if why := Why(err); err != nil && why != release.Unlisted && why != release.Older {
		s.o.Log.Warn("system not taken", "reason", why, "err", err)
	}
	if err != nil {
		return ""
	}
	s.o.Log.Info("system fetched", "version", f.Version)
	return f.Version
}
