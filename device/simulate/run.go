package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
)

// prefix begins the names of kiosks that are not there.
const prefix = "sim-"

// Options say what is simulated. Server, Identities, State and Kiosks are required.
type Options struct {
	Server     string // tls://host:port
	Name       string // in the server's certificate; default the host of Server
	Identities string // directory with one directory for each kiosk
	State      string // directory for their outboxes
	Kiosks     int
	Light      bool // connections and beats only

	Scenario Scenario      // default Normal
	Rate     float64       // visitors a minute at each kiosk
	Day      time.Duration // of a scenario; default 10 minutes
	Seed     uint64
	Cards    []string // what visitors show; default identity cards of nobody
	Place    string   // name of the place; default "Mô phỏng"

	// Spread is the time over which kiosks are switched on; default so that 100 are
	// each second.
	Spread time.Duration

	Every time.Duration // between two lines of Out; default 5 s
	Out   io.Writer     // default: nothing is told
	Log   *slog.Logger  // of the kiosks; default: nothing is logged
	Floor time.Time     // no earlier than this can it be
}

// A run is one simulation.
type run struct {
	o       Options
	started time.Time
	local   bool // the server is on this machine

	scans, green, red, other atomic.Uint64

	mu     sync.Mutex
	up     int // connected
	most   int // at once
	ups    uint64
	peak   int // connections in one second, since all were last connected
	second int64
	inIt   int
	downAt time.Time // when the first of them was lost; zero while all are connected
	conns  map[net.Conn]struct{}

	kiosks map[string]*simulated // of those that are not light
}

func (r *run) since() time.Duration { return time.Since(r.started) }

// Run simulates until ctx ends, and returns nil then. It returns an error if an
// identity is missing or is a real kiosk's, or if an outbox can no longer record.
func Run(ctx context.Context, o Options) error {
	ids, err := identities(o)
	if err != nil {
		return err
	}
	u, err := url.Parse(o.Server)
	if err != nil {
		return fmt.Errorf("simulate: server: %w", err)
	}
	if o.Name == "" {
		o.Name = u.Hostname()
	}
	if o.Scenario == "" {
		o.Scenario = Normal
	}
	if o.Day == 0 {
		o.Day = 10 * time.Minute
	}
	if o.Place == "" {
		o.Place = "Mô phỏng"
	}
	if o.Spread == 0 {
		o.Spread = time.Duration(o.Kiosks) * time.Second / 100
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ip := net.ParseIP(u.Hostname())
	r := &run{o: o, started: time.Now(), conns: map[net.Conn]struct{}{}, kiosks: map[string]*simulated{}, local: u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return r.tell(ctx) })
	tasks.Go(func() error { return r.network(ctx) })
	for n, dir := range ids {
		tasks.Go(func() error {
			select { // nobody switches a province on at once
			case <-ctx.Done():
				return nil
			case <-time.After(o.Spread * time.Duration(n) / time.Duration(len(ids))):
			}
			id, err := agent.ReadIdentity(dir)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(id.Kiosk, prefix) {
				return fmt.Errorf("simulate: %s is a kiosk's identity, not one for simulation", dir)
			}
			if o.Light {
				return r.light(ctx, n, id)
			}
			for {
				if err := r.full(ctx, n, id); err != nil || ctx.Err() != nil {
					return err
				}
			}
		})
	}
	return tasks.Wait()
}

// identities returns the directories of the first kiosks.
func identities(o Options) ([]string, error) {
	all, err := os.ReadDir(o.Identities)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	var dirs []string
	for _, e := range all {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
			dirs = append(dirs, filepath.Join(o.Identities, e.Name()))
		}
	}
	slices.Sort(dirs)
	if o.Kiosks < 1 || len(dirs) < o.Kiosks {
		return nil, fmt.Errorf("simulate: %s has identities of %d kiosks for simulation, not of %d; make them with qrgate-server kiosk add %s -count %d", o.Identities, len(dirs), o.Kiosks, prefix, o.Kiosks)
	}
	return dirs[:o.Kiosks], nil
}

var errCut = errors.New("simulate: the network is cut")

// dial connects kiosk n, while there is a network.
func (r *run) dial(n int) func(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if r.local {
		// A broker bounds what comes from one address; port numbers do, too.
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1+byte(n/62_500), byte(n/250%250), 1+byte(n%250))}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.o.Scenario.cut(r.since(), r.o.Day) {
			return nil, errCut
		}
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.conns[c] = struct{}{}
		return &tracked{c, r}, nil
	}
}

// A tracked connection can be cut.
type tracked struct {
	net.Conn
	r *run
}

func (t *tracked) Close() error {
	t.r.mu.Lock()
	delete(t.r.conns, t.Conn)
	t.r.mu.Unlock()
	return t.Conn.Close()
}

// network cuts what is connected when the network ends.
func (r *run) network(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !r.o.Scenario.cut(r.since(), r.o.Day) {
			continue
		}
		r.mu.Lock()
		for c := range r.conns {
			c.Close()
			delete(r.conns, c)
		}
		r.mu.Unlock()
	}
}

// connected notes that a kiosk's link is up, or not any more.
func (r *run) connected(up bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !up {
		if r.up--; r.downAt.IsZero() && r.most == r.o.Kiosks {
			r.downAt, r.peak = now, 0
		}
		return
	}
	r.up++
	r.ups++
	r.most = max(r.most, r.up)
	if s := now.Unix(); s != r.second {
		r.second, r.inIt = s, 0
	}
	r.inIt++
	r.peak = max(r.peak, r.inIt)
	if r.up < r.o.Kiosks {
		return
	}
	from := r.started
	if !r.downAt.IsZero() {
		from = r.downAt
	}
	fmt.Fprintf(r.o.Out, "all connected: kiosks=%d after=%s busiest_second=%d\n", r.up, now.Sub(from).Round(time.Millisecond), r.peak)
	r.downAt, r.peak = time.Time{}, 0
}

// tell says how it goes.
func (r *run) tell(ctx context.Context) error {
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r.mu.Lock()
		var unsent uint64
		for _, k := range r.kiosks {
			unsent += k.queue.Stats().Unsent
		}
		fmt.Fprintf(r.o.Out, "connected=%d/%d connections=%d scans=%d admitted=%d refused=%d other=%d unsent=%d network=%t\n",
			r.up, r.o.Kiosks, r.ups, r.scans.Load(), r.green.Load(), r.red.Load(), r.other.Load(), unsent, !r.o.Scenario.cut(r.since(), r.o.Day))
		r.mu.Unlock()
	}
}
