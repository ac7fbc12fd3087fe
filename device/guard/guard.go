package guard

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
)

// Options are what a page is made of.
type Options struct {
	Dir     string // of the files, made if it is missing
	Kiosk   string // the kiosk's id
	Listen  string // host:port, or :port for every network of the machine
	Address string // host:port as telephones reach it; "" finds the machine's own
	Log     *slog.Logger
}

// A Station is the kiosk behind the page.
type Station struct {
	Door     *kiosk.Kiosk
	Orders   *order.Table
	Room     *room.Room
	Queue    *outbox.Queue
	Clock    *when.Clock
	Scanners func() []scan.Health
	SelfTest func(context.Context) order.Outcome
}

// A Guard is the page.
type Guard struct {
	Options
	Station
	journal  *Journal
	cert     tls.Certificate
	phones   *phones
	sessions sessions
	offers   offers
	failed   chan error // the ledger can no longer record

	streams chan struct{} // a place for each page that follows
	reports rate
	acts    rate

	mu       sync.Mutex
	on       bool
	turn     chan struct{} // closed when on changes
	up, ever bool
	turned   when.Reading // when up last changed
}

// maxStreams is how many pages can follow at once.
const maxStreams = 6

// CheckListen returns an error unless addr is an address to listen on.
func CheckListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("guard: listen: %w", err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("guard: listen: no port %q", port)
	}
	if host != "" && net.ParseIP(host) == nil {
		return fmt.Errorf("guard: listen: %q is no address of this machine", host)
	}
	return nil
}

// CheckAddress returns an error unless addr is host:port, as a code for telephones says.
func CheckAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" || strings.ContainsAny(host, " /?#@\"<>") {
		return fmt.Errorf("guard: address: must be host:port, not %q", addr)
	}
	return nil
}

// Open opens the files. Damaged ones are begun anew: telephones have to be paired again
// then, which is logged.
func Open(o Options) (*Guard, error) {
	if err := CheckListen(o.Listen); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g := &Guard{Options: o, journal: NewJournal(), failed: make(chan error, 1), turn: make(chan struct{}), streams: make(chan struct{}, maxStreams)}
	var err error
	if g.cert, err = openCert(filepath.Join(o.Dir, "page.pem"), o.Kiosk); err != nil {
		return nil, err
	}
	g.phones, err = openPhones(filepath.Join(o.Dir, "phones.json"), time.Now(), o.Log)
	return g, err
}

// Journal returns what the door tells of its judgments.
func (g *Guard) Journal() *Journal { return g.journal }

// Use says which kiosk is behind the page, before Run.
func (g *Guard) Use(s Station) { g.Station = s }

// Serve switches the page on or off. It is off before. Who is on the page is no more when
// it is switched off; telephones stay paired.
func (g *Guard) Serve(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if on != g.on {
		g.on = on
		g.journal.follow(on)
		close(g.turn)
		g.turn = make(chan struct{})
	}
}

// serving reports whether the page is on, and returns a channel that is closed when that
// changes.
func (g *Guard) serving() (on bool, turned <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.on, g.turn
}

// Link says that the kiosk is connected, or is not any more.
func (g *Guard) Link(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if up == g.up && g.turned.Boot != (when.Boot{}) {
		return
	}
	g.up, g.ever = up, g.ever || up
	if g.Clock != nil {
		g.turned = g.Clock.Read()
	}
}

// link returns whether there is a network, when it went away as far as that is known, and
// whether there ever was one.
func (g *Guard) link() (up bool, since string, ever bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.Clock.Read()
	if sure(now.State) && g.turned.Boot == now.Boot {
		since = time.UnixMilli(now.Wall - (now.Since - g.turned.Since)).In(vietnam).Format("15:04")
	}
	return g.up, since, g.ever
}

// Offer makes a pairing code, in the place of an earlier one. It is false while the page
// is off.
func (g *Guard) Offer() (Offer, bool) {
	if on, _ := g.serving(); !on {
		return Offer{}, false
	}
	return g.offer(g.offers.make(time.Now())), true
}

func (g *Guard) offer(token string) Offer {
	f := fingerprint(g.cert)
	return Offer{pairURL(address(g.Listen, g.Address), token, f), strings.Join(grouped(f), " "), OfferTime}
}

// Offered returns the code that is good now, for the screen; false if there is none.
func (g *Guard) Offered() (Offer, bool) {
	token := g.offers.now(time.Now())
	if on, _ := g.serving(); token == "" || !on {
		return Offer{}, false
	}
	return g.offer(token), true
}

// A Look is what a beat says of the page.
type Look struct{ Phones, Sessions int }

// Look returns how many telephones are paired and how many are on the page now. It is
// false while the page is off.
func (g *Guard) Look() (Look, bool) {
	on, _ := g.serving()
	return Look{g.phones.count(), g.sessions.count(time.Now())}, on
}

// Run serves the page, while it is on, until ctx ends. A port that is taken is tried again: a door without
// its guard's page is better than none. It returns an error only when the ledger can no
// longer record.
func (g *Guard) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return g.serve(ctx) })
	tasks.Go(func() error { return g.answerTerminal(ctx) })
	tasks.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-g.failed:
			return err
		}
	})
	return tasks.Wait()
}

const listenAgain = 5 * time.Second

// serve serves the page while it is on.
func (g *Guard) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		on, turned := g.serving()
		ctx, stop := context.WithCancel(ctx)
		tasks := new(errgroup.Group)
		if on {
			tasks.Go(func() error { g.serveOn(ctx); return nil })
		}
		select {
		case <-ctx.Done():
		case <-turned:
			g.sessions.end(func(session) bool { return true })
		}
		stop()
		tasks.Wait()
	}
	return nil
}

func (g *Guard) serveOn(ctx context.Context) {
	if err := g.journal.Read(g.Queue); err != nil {
		g.Log.Warn("not read what was judged before", "err", err)
	}
	srv := &http.Server{
		Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{g.cert}, MinVersion: tls.VersionTLS12},
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(g.Log.Handler(), slog.LevelDebug), // telephones that do not trust us yet
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	for said := false; ctx.Err() == nil; said = true {
		l, err := net.Listen("tcp", g.Listen)
		if err == nil {
			g.Log.Info("guard's page", "at", "https://"+address(l.Addr().String(), g.Address))
			err = srv.ServeTLS(newLimit(l), "", "")
		}
		if ctx.Err() == nil && !said {
			g.Log.Warn("guard's page is not served", "at", g.Listen, "err", err, "retry_in", listenAgain)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// broken notes that the ledger can no longer record: the program has to end.
func (g *Guard) broken(err error) {
	select {
	case g.failed <- err:
	default:
	}
}
