package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/qrgate/qrgate/sync/wire"
)

// ErrDown is returned by [Link.Publish] when there is no connection, or when it
// ended before the broker answered. The message may have arrived all the same.
var ErrDown = errors.New("link is down")

// A Will is the message that the broker publishes, retained, when the link ends
// without a word.
type Will struct {
	Topic   string
	Payload []byte // at most [wire.MaxStatus] bytes
}

// Options are the settings of a [Link]. Only URL and ClientID are required.
type Options struct {
	URL      string      // "tls://host:port" or, unencrypted, "mqtt://host:port"
	ClientID string      // a kiosk's id; brokers allow one connection for each
	TLS      *tls.Config // for "tls"; its server name defaults to the host of URL
	User     string
	Password string

	// Will is called before every connection, so that each may carry a session
	// number of its own. When Run ends the link publishes it itself.
	Will func() Will

	// OnUp is called after every connection, when all subscriptions stand. Its
	// context ends with the connection. OnDown is called with the cause when
	// that connection has ended and its OnUp has returned.
	OnUp   func(ctx context.Context)
	OnDown func(err error)

	// Cover is a filter that ends in "/#". It is subscribed to with each connection, and
	// single topics below it are then not: a thousand kiosks that come back ask for
	// one thing each, and the broker keeps one. "" covers none.
	Cover string

	// Dial opens the connection below TLS; nil is a net.Dialer's DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	KeepAlive  time.Duration // between signs of life; default 30 s, at least 1 s
	Timeout    time.Duration // for connecting and for each write; the broker's acknowledgement may take twice as long; default 30 s
	Backoff    time.Duration // bound of the first wait before connecting again; default 1 s, doubled up to MaxBackoff
	MaxBackoff time.Duration // default 30 s: so all kiosks of a server that comes back are back within a minute, and do not come at once
	InFlight   int           // messages published and not yet acknowledged; default 16
	Queue      int           // messages received and not yet handled, for each subscription; default 64
	Log        *slog.Logger  // default: nothing is logged
}

// A Link is one client's connection to a broker, made again whenever it is
// lost. It is safe for concurrent use.
type Link struct {
	o        Options
	log      *slog.Logger
	inFlight chan struct{}
	moved    chan struct{} // to another broker, which is asked at once
	tasks    sync.WaitGroup

	mu   sync.Mutex
	at   broker
	part func()          // ends the connection or the attempt at one; nil while there is none
	run  context.Context // nil while Run is not running
	conn *connection     // nil while down
	subs map[*subscription]struct{}
}

// A broker is where a link goes. It does not change.
type broker struct {
	url *url.URL
	tls *tls.Config
}

func brokerAt(address string, c *tls.Config) (broker, error) {
	u, err := url.Parse(address)
	if err != nil {
		return broker{}, fmt.Errorf("mqttlink: broker address: %w", err)
	}
	switch {
	case u.Scheme != "tls" && u.Scheme != "mqtt":
		return broker{}, fmt.Errorf("mqttlink: broker address %q: scheme is neither tls nor mqtt", u.Redacted())
	case u.Hostname() == "" || u.Port() == "":
		return broker{}, fmt.Errorf("mqttlink: broker address %q: host and port are needed", u.Redacted())
	case u.Scheme == "tls" && c == nil:
		return broker{}, errors.New("mqttlink: TLS is required by the broker address and not configured")
	}
	if u.Scheme == "tls" && c.ServerName == "" {
		c = c.Clone()
		c.ServerName = u.Hostname()
	}
	return broker{u, c}, nil
}

// New returns a Link that does nothing before [Link.Run]. It refuses settings
// that no waiting cures.
func New(o Options) (*Link, error) {
	at, err := brokerAt(o.URL, o.TLS)
	if err != nil {
		return nil, err
	}
	if o.ClientID == "" {
		return nil, errors.New("mqttlink: no client id")
	}
	setDefault(&o.KeepAlive, 30*time.Second)
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.Backoff, time.Second)
	setDefault(&o.MaxBackoff, 30*time.Second)
	setDefault(&o.InFlight, 16)
	setDefault(&o.Queue, 64)
	o.KeepAlive = max(o.KeepAlive, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Link{
		o: o, at: at, log: o.Log, moved: make(chan struct{}, 1),
		inFlight: make(chan struct{}, o.InFlight),
		subs:     map[*subscription]struct{}{},
	}, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Run keeps the link connected until ctx ends, and returns nil when all that it
// started has ended: at once as a rule, after some seconds if the broker is
// silent. It must not be called twice.
func (l *Link) Run(ctx context.Context) error {
	l.mu.Lock()
	l.run = ctx
	for s := range l.subs {
		l.tasks.Go(func() { l.handle(ctx, s) })
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.run = nil // from here on nothing new is started
		l.mu.Unlock()
		l.tasks.Wait()
	}()

	bound, said := l.o.Backoff, false
	for ctx.Err() == nil {
		began := time.Now()
		up, err := l.stay(ctx)
		if ctx.Err() != nil {
			break
		}
		select {
		case <-l.moved:
			bound, said = l.o.Backoff, false
			continue
		default:
		}
		// A broker that accepts and then drops us, for a message it will not
		// take or an id used twice, must not be asked again every second.
		if up && time.Since(began) > l.o.MaxBackoff {
			bound = l.o.Backoff
		}
		wait := rand.N(bound) // full jitter: a province that comes back is a herd
		bound = min(2*bound, l.o.MaxBackoff)
		if up || !said {
			l.log.Warn("link down", "err", err, "retry_in", wait)
			said = true
		} else {
			l.log.Debug("link still down", "err", err, "retry_in", wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-l.moved:
			bound, said = l.o.Backoff, false
		}
	}
	return nil
}

// stay is session at the broker where the link is to go now. It ends when that is
// another one.
func (l *Link) stay(ctx context.Context) (up bool, err error) {
	ctx, part := context.WithCancel(ctx)
	defer part()
	l.mu.Lock()
	l.part = part
	at := l.at
	l.mu.Unlock()
	return l.session(ctx, at)
}

// Move makes the link go to another broker, or to the same by another name, and
// returns at once: a connection ends, with its will published, and the next one is
// made there. It refuses what [New] refuses, and then changes nothing.
func (l *Link) Move(address string, c *tls.Config) error {
	at, err := brokerAt(address, c)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
	select {
	case l.moved <- struct{}{}:
	default:
	}
	if l.part != nil {
		l.part()
	}
	return nil
}

// Publish sends payload and returns nil when the broker has acknowledged it,
// which proves nothing about whom it reached: brokers acknowledge what they
// refuse, drop or lose. It returns [ErrDown] at once while there is no
// connection, and ctx's error when ctx ends first; then the message may still
// arrive. At most Options.InFlight messages are under way; others wait.
// A beat is sent without acknowledgement.
func (l *Link) Publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	if len(payload) > wire.MaxMessage {
		return fmt.Errorf("mqttlink: publish %d bytes: %w", len(payload), wire.ErrTooLarge)
	}
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if c == nil {
		return fmt.Errorf("mqttlink: publish: %w", ErrDown)
	}
	if err := c.publish(ctx, topic, payload, retain); err != nil {
		return fmt.Errorf("mqttlink: publish: %w", err)
	}
	return nil
}

// Subscribe has fn called, one message after the other, with everything that
// arrives for filter until ctx ends. The subscription is made again after each
// connection. Messages beyond Options.Queue are dropped, so whatever must
// arrive has to come again. "$share/group/filter" is one member of a group of
// which each message goes to one. Subscribe returns an error if the broker
// refuses; without a connection it returns nil.
func (l *Link) Subscribe(ctx context.Context, filter string, fn func(topic string, payload []byte)) error {
	s := &subscription{ctx: ctx, filter: filter, fn: fn, queue: make(chan mqtt.Message, l.o.Queue)}
	l.mu.Lock()
	l.subs[s] = struct{}{}
	c := l.conn
	s.own = c // what is retained came with the cover before
	if run := l.run; run != nil {
		l.tasks.Go(func() { l.handle(run, s) })
	}
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.subscribe(s)
}

type subscription struct {
	ctx    context.Context
	filter string
	fn     func(topic string, payload []byte)
	queue  chan mqtt.Message
	own    *connection // that has subscribed to it beside the cover; under Link.mu
}

// covered reports whether the link's cover brings what the filter asks for.
func (l *Link) covered(filter string) bool {
	below, ok := strings.CutSuffix(l.o.Cover, "#")
	return ok && strings.HasPrefix(filter, below) && !strings.ContainsAny(filter, "+#")
}

// handle calls fn until the subscription or the link ends.
func (l *Link) handle(run context.Context, s *subscription) {
	for {
		select {
		case <-run.Done():
			return
		case <-s.ctx.Done():
			l.mu.Lock()
			delete(l.subs, s)
			c := l.conn
			ours := !l.covered(s.filter) || s.own == c
			l.mu.Unlock()
			if c != nil && ours {
				_ = c.hand(func() { c.client.Unsubscribe(s.filter) }) // else it ended with the connection
			}
			return
		case m := <-s.queue:
			s.fn(m.Topic(), m.Payload())
		}
	}
}

// dial opens the transport. paho's own dialing knows no context.
func (l *Link) dial(ctx context.Context, at broker) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	open := l.o.Dial
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	raw, err := open(ctx, "tcp", at.url.Host)
	if err != nil {
		return nil, err
	}
	if at.url.Scheme != "tls" {
		return newGuard(raw, l.o.Timeout), nil
	}
	c := tls.Client(raw, at.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return newGuard(c, l.o.Timeout), nil
}
