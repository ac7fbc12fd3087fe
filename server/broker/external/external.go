// Package external ends the connections of revoked kiosks at a broker that is not the
// server's own, and keeps them out. Such a broker asks nobody who may connect; it reads
// a list of revoked certificates, and keeps one connection for each name.
//
//	g := external.New(external.Options{CA: ca, List: path, Reload: command, ...})
//	err = g.Run(ctx)
//
// The promise: within a second of a revocation the list has the kiosk's certificates,
// the broker was told to read it, and the server sits in the kiosk's place, which ends
// the kiosk's connection and each that it opens until the broker has read the list.
//
// Left out: who is revoked, which is for the database to say; and that the broker reads
// the list, which is for its own configuration (package broker has Mosquitto's).
package external

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	every      = time.Second      // a revocation by another process is seen
	sits       = 10 * time.Second // in a revoked kiosk's place: it comes back sooner
	seats      = 128              // at once
	reloadTime = 30 * time.Second
	again      = 10 * time.Second // after a command that failed
	late       = 10 * time.Minute // a revocation before the start may not have been seen to
)

// A Kiosk is one that was revoked. Of one whose ID is no kiosk's only the key is known:
// there is no place to sit in.
type Kiosk struct {
	ID string
	enrol.Revoked
}

// Options say where things are.
type Options struct {
	CA         *enrol.CA
	Names      func(context.Context) ([]string, error) // of all that are revoked; asked each second
	Kiosks     func(context.Context) ([]Kiosk, error)  // the same, with more; asked when the names are others
	Nudge      <-chan struct{}                         // somebody was revoked; may be nil
	List       string                                  // file that the broker reads
	Reload     []string                                // command that has it read; empty if something else does
	URL        string                                  // of the broker
	ServerName string                                  // in its certificate
	Log        *slog.Logger
}

// A Guard is the server at the broker's door.
type Guard struct {
	o Options

	known  map[string]bool // whose seats were taken
	stale  bool            // the broker may not have read the list
	failed time.Time       // when the command failed last
}

// New returns a guard that has not begun.
func New(o Options) *Guard { return &Guard{o: o} }

// Run guards until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	var sitting errgroup.Group
	sitting.SetLimit(seats)
	defer sitting.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		revoked, err := g.look(ctx)
		if err != nil && ctx.Err() == nil {
			g.o.Log.Warn("revoked kiosks not kept out", "err", err)
		}
		for _, k := range revoked {
			sitting.Go(func() error { g.sit(ctx, k); return nil })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-g.o.Nudge:
		}
	}
}

// look brings the list up to date and returns whose connections are to be ended.
func (g *Guard) look(ctx context.Context) (cut []Kiosk, err error) {
	names, err := g.o.Names(ctx)
	if err != nil {
		return nil, err
	}
	if !g.same(names) {
		all, err := g.o.Kiosks(ctx)
		if err != nil {
			return nil, err
		}
		keys := make([]enrol.Revoked, len(all))
		for i, k := range all {
			keys[i] = k.Revoked
		}
		changed, err := g.o.CA.WriteRevocationList(g.o.List, keys, time.Now())
		if err != nil {
			return nil, err
		}
		g.stale = g.stale || changed
		now := map[string]bool{}
		for _, k := range all {
			if now[k.ID] = true; wire.ValidKiosk(k.ID) && !g.known[k.ID] && (g.known != nil || time.Since(k.Since) < late) {
				cut = append(cut, k)
			}
		}
		g.known = now
	}
	if g.stale && time.Since(g.failed) > again {
		if err := g.reload(ctx); err != nil {
			g.failed = time.Now()
			return cut, err
		}
		g.stale = false
	}
	return cut, nil
}

func (g *Guard) same(names []string) bool {
	if g.known == nil || len(names) != len(g.known) {
		return false
	}
	for _, n := range names {
		if !g.known[n] {
			return false
		}
	}
	return true
}

func (g *Guard) reload(ctx context.Context) error {
	if len(g.o.Reload) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, g.o.Reload[0], g.o.Reload[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("external: %s: %w: %.200s", g.o.Reload[0], err, out)
	}
	return nil
}

// sit takes a kiosk's place at the broker for a while.
func (g *Guard) sit(ctx context.Context, k Kiosk) {
	ctx, cancel := context.WithTimeout(ctx, sits)
	defer cancel()
	config, err := g.o.CA.SeatTLS(k.ID, g.o.ServerName, time.Now())
	if err == nil {
		var link *mqttlink.Link
		link, err = mqttlink.New(mqttlink.Options{URL: g.o.URL, ClientID: k.ID, TLS: config, Backoff: 200 * time.Millisecond, MaxBackoff: time.Second, Timeout: sits})
		if err == nil {
			err = link.Run(ctx)
		}
	}
	if err != nil {
		g.o.Log.Warn("seat of a revoked kiosk not taken", "kiosk", k.ID, "err", err)
	}
}
