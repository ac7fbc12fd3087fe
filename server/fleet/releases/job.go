package releases

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Keeper keeps roll-outs and what kiosks tell; *store/releases.Releases is one.
type Keeper interface {
	Rollouts(ctx context.Context) ([]Rollout, error)
	Kiosks(ctx context.Context) ([]Kiosk, error)
	// Groups returns the group of every kiosk that is in one.
	Groups(ctx context.Context) (map[string]int64, error)
	// Save keeps what kiosks have told. What is not known of is left out.
	Save(ctx context.Context, told []Kiosk) error
	// Move keeps what [Rollout.Step] made of a roll-out, if it is still as it was read.
	Move(ctx context.Context, from, to Rollout) error
}

// A Job hears kiosks out, tells them what they shall run, and moves roll-outs on.
type Job struct {
	keeper Keeper
	site   *Site
	url    string
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{}

	mu       sync.Mutex
	rollouts []Rollout
	listed   []Release
	groups   map[string]int64 // of kiosks, while a roll-out is for one
	first    wire.Hash        // of the first root
	known    map[string]Kiosk // as kept, or about to be
	news     map[string]bool
}

// NewJob returns a job for the kiosks, which fetch what site serves under url.
func NewJob(k Keeper, site *Site, url string, now func() time.Time, log *slog.Logger) *Job {
	return &Job{keeper: k, site: site, url: url, now: now, log: log, wake: make(chan struct{}, 1), known: map[string]Kiosk{}, news: map[string]bool{}}
}

// keepEvery is how often it is written of a kiosk that nothing has changed.
const keepEvery = 5 * time.Minute

// Heard takes what a kiosk tells in a beat, and puts into the answer what it shall
// run. It waits on nothing.
func (j *Job) Heard(id string, b *wire.Beat, a *wire.BeatAnswer) {
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	old, known := j.known[id]
	k := Kiosk{ID: id, Group: j.groups[id], Running: b.Release, Since: old.Since, Wanted: old.Wanted, Asked: old.Asked, Contact: now}
	if u := b.Update; u != nil {
		k.Launcher, k.Arch, k.Stage, k.Version, k.Reason, k.Loaded = u.Launcher, u.Arch, u.Stage, u.Version, u.Reason, int(u.Loaded)
	}
	if k.Launcher != "" {
		if version, atOnce := Wants(j.rollouts, j.listed, k); version != "" {
			a.Update = &wire.UpdateAnswer{Version: version, URL: j.url, Now: atOnce}
			if k.Wanted != version {
				k.Wanted, k.Asked = version, now
			}
		}
		if k.Reason == release.NoRoot && j.first != (wire.Hash{}) {
			if a.Update == nil {
				a.Update = &wire.UpdateAnswer{URL: j.url}
			}
			a.Update.Root = j.first
		}
	}
	changed := k.Running != old.Running || k.Launcher != old.Launcher || k.Stage != old.Stage || k.Version != old.Version || k.Reason != old.Reason
	if changed || !known {
		k.Since = now
	}
	if changed || k.Wanted != old.Wanted || k.Loaded != old.Loaded || now.Sub(old.Contact) > keepEvery {
		j.news[id] = true
	} else {
		k.Contact = old.Contact // as it is kept
	}
	j.known[id] = k
}

const (
	saveEvery = 2 * time.Second
	stepEvery = 5 * time.Second
)

// Run keeps what was heard and moves roll-outs on until ctx ends.
func (j *Job) Run(ctx context.Context) error {
	j.remember(ctx)
	save, step := time.NewTicker(saveEvery), time.NewTicker(stepEvery)
	defer save.Stop()
	defer step.Stop()
	for {
		j.Step(ctx)
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return nil
			case <-save.C:
				j.save(ctx)
			case <-step.C:
				wait = false
			case <-j.wake:
				wait = false
			}
		}
	}
}

// Wake says that a roll-out has been changed here. It does not wait.
func (j *Job) Wake() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// remember takes up what was known before this start.
func (j *Job) remember(ctx context.Context) {
	all, err := j.keeper.Kiosks(ctx)
	if err != nil {
		j.complain(ctx, "what kiosks run is not known", err)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range all {
		if _, heard := j.known[k.ID]; !heard {
			j.known[k.ID] = k
		}
	}
}

func (j *Job) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		j.log.Warn(what, "err", err)
	}
}

func (j *Job) save(ctx context.Context) {
	j.mu.Lock()
	var all []Kiosk
	for id := range j.news {
		all = append(all, j.known[id])
	}
	clear(j.news)
	j.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if err := j.keeper.Save(ctx, all); err != nil {
		j.complain(ctx, "what kiosks run is not kept", err)
		j.mu.Lock()
		for _, k := range all {
			j.news[k.ID] = true
		}
		j.mu.Unlock()
	}
}

// Step reads roll-outs and the repository anew, and moves on what is due.
func (j *Job) Step(ctx context.Context) {
	j.save(ctx)
	listed, _, err := j.site.Releases()
	if err != nil {
		j.complain(ctx, "the list of releases is not read", err)
		return
	}
	all, err := j.keeper.Rollouts(ctx)
	if err != nil {
		j.complain(ctx, "roll-outs are not read", err)
		return
	}
	var kiosks []Kiosk
	if slices.ContainsFunc(all, func(r Rollout) bool { return r.State == Running }) {
		if kiosks, err = j.keeper.Kiosks(ctx); err != nil {
			j.complain(ctx, "what kiosks run is not known", err)
			return
		}
	}
	var groups map[string]int64
	if slices.ContainsFunc(all, func(r Rollout) bool { return r.tells() && r.Group != 0 }) {
		if groups, err = j.keeper.Groups(ctx); err != nil {
			j.complain(ctx, "groups of kiosks are not read", err)
			return
		}
	}
	for i, r := range all {
		if r.State != Running {
			continue
		}
		f := r.Count(kiosks, archesOf(listed, r.Version), j.now())
		next := r.Step(f, j.now())
		if next.State == r.State && next.Stage == r.Stage {
			continue
		}
		if err := j.keeper.Move(ctx, r, next); err != nil {
			j.complain(ctx, "a roll-out is not moved", err)
			continue
		}
		if next.State == Stopped {
			j.log.Error("a roll-out has stopped by itself", "version", r.Version, "failed", f.Failed(), "of", f.Of())
		} else {
			j.log.Info("a roll-out goes on", "version", r.Version, "state", next.State, "stage", next.Stage)
		}
		all[i] = next
	}
	first := j.site.First()
	j.mu.Lock()
	j.rollouts, j.listed, j.groups, j.first = all, listed, groups, first
	j.mu.Unlock()
}

func archesOf(listed []Release, version string) []string {
	for _, l := range listed {
		if release.Compare(l.Version, version) == 0 {
			return l.Arches
		}
	}
	return nil
}
