package mqttlink

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	parting = 2 * time.Second // how long a link that ends may take to say so
	handing = 5 * time.Second // how long paho may take to accept a packet
)

// A connection is one connection of a Link with a paho client of its own. paho
// can reconnect by itself; then it reports unacknowledged messages as delivered
// (claimID completes their tokens) and sends them again behind our back.
type connection struct {
	link   *Link
	client mqtt.Client
	down   chan struct{} // closed when the connection has ended
	lose   func(error)   // ends the connection; the first cause counts

	// handing is held by whoever gives paho a packet: paho that is disconnected
	// meanwhile takes none and lets the caller wait for its whole timeout.
	handing sync.RWMutex
}

// start runs fn on a goroutine of the link's, unless the connection has ended.
func (c *connection) start(fn func()) error {
	l := c.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != c {
		return ErrDown
	}
	l.tasks.Go(fn)
	return nil
}

// hand runs fn, which gives paho a packet, unless the connection has ended. It
// may take as long as handing when the connection ends just then.
func (c *connection) hand(fn func()) error {
	c.handing.RLock()
	defer c.handing.RUnlock()
	select {
	case <-c.down:
		return ErrDown
	default:
		fn()
		return nil
	}
}

// session makes one connection and returns when it has ended, with whether it
// was ever up.
func (l *Link) session(ctx context.Context, at broker) (up bool, err error) {
	var once sync.Once
	c := &connection{link: l, down: make(chan struct{})}
	c.lose = func(cause error) {
		once.Do(func() {
			err = cause
			close(c.down)
		})
	}
	var will Will
	if l.o.Will != nil {
		will = l.o.Will()
	}
	c.client = mqtt.NewClient(l.clientOptions(ctx, at, will, c.lose))
	connect := c.client.Connect()
	<-connect.Done() // bounded by ctx and Options.Timeout in open and by paho's own deadline
	if err := connect.Error(); err != nil {
		return false, fmt.Errorf("mqttlink: connect: %w", err)
	}

	l.mu.Lock()
	l.conn = c
	subs := make([]*subscription, 0, len(l.subs))
	for s := range l.subs {
		subs = append(subs, s)
	}
	l.mu.Unlock()
	var tasks sync.WaitGroup
	upCtx, cancel := context.WithCancel(ctx)
	tasks.Go(func() {
		for _, s := range c.cover(upCtx, subs) {
			if err := c.subscribe(s); err != nil {
				l.log.Warn("subscription refused", "filter", s.filter, "err", err)
			}
		}
		l.log.Info("link up", "broker", at.url.Host)
		if l.o.OnUp != nil && upCtx.Err() == nil {
			l.o.OnUp(upCtx)
		}
	})

	select {
	case <-c.down:
	case <-ctx.Done():
		if will.Topic != "" {
			// A DISCONNECT makes the broker forget the will.
			farewell, stop := context.WithTimeout(context.WithoutCancel(ctx), parting)
			if err := c.publish(farewell, will.Topic, will.Payload, true); err != nil {
				l.log.Debug("farewell not sent", "err", err)
			}
			stop()
		}
		c.handing.Lock()
		c.lose(ctx.Err())
		c.handing.Unlock()
	}
	cancel()
	l.mu.Lock()
	l.conn = nil
	l.mu.Unlock()
	c.client.Disconnect(uint(parting.Milliseconds()))
	tasks.Wait()
	if l.o.OnDown != nil {
		l.o.OnDown(err)
	}
	return true, err
}

func (l *Link) clientOptions(ctx context.Context, at broker, will Will, lose func(error)) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		SetProtocolVersion(4).
		SetClientID(l.o.ClientID).SetUsername(l.o.User).SetPassword(l.o.Password).
		SetCleanSession(true). // a durable member of a shared subscription swallows work while it is away
		SetOrderMatters(false).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(l.o.KeepAlive).SetPingTimeout(l.o.KeepAlive / 2).
		SetConnectTimeout(l.o.Timeout).SetWriteTimeout(handing).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lose(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l.dial(ctx, at) })
	o.Servers = []*url.URL{at.url}
	if will.Topic != "" {
		o.SetBinaryWill(will.Topic, will.Payload, 1, true)
	}
	return o
}

// publish waits for a place in flight and then for the broker's answer.
func (c *connection) publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	l := c.link
	select {
	case l.inFlight <- struct{}{}:
	case <-c.down:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
	result := make(chan error, 1)
	err := c.start(func() {
		defer func() { <-l.inFlight }()
		var t mqtt.Token
		if err := c.hand(func() { t = c.client.Publish(topic, qos(topic), retain, payload) }); err != nil {
			result <- err
			return
		}
		select {
		case <-t.Done():
			if err := t.Error(); err != nil {
				result <- fmt.Errorf("%w: %w", ErrDown, err)
			} else {
				result <- nil
			}
		case <-time.After(2 * l.o.Timeout):
			c.lose(fmt.Errorf("mqttlink: no acknowledgement within %s", 2*l.o.Timeout))
		case <-c.down:
		}
	})
	if err != nil {
		<-l.inFlight
		return err
	}
	select {
	case err := <-result:
		return err
	case <-c.down:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// qos is 0 for beats: the next comes in half a minute, and a late answer is no
// sample of the time.
func qos(topic string) byte {
	if strings.HasSuffix(topic, "/"+string(wire.UpBeat)) || strings.HasSuffix(topic, "/"+string(wire.DownBeat)) {
		return 0
	}
	return 1
}

// cover subscribes to the link's cover and returns the subscriptions that it leaves
// over: all of them if the broker refuses it.
func (c *connection) cover(ctx context.Context, subs []*subscription) (rest []*subscription) {
	l := c.link
	if l.o.Cover == "" {
		return subs
	}
	err := c.ask(ctx, l.o.Cover, func(m mqtt.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for s := range l.subs {
			if s.filter == m.Topic() && s.own != c {
				l.take(s, m)
			}
		}
	})
	if err != nil {
		l.log.Warn("subscription refused", "filter", l.o.Cover, "err", err)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, s := range subs {
			s.own = c
		}
		return subs
	}
	for _, s := range subs {
		if !l.covered(s.filter) {
			rest = append(rest, s)
		}
	}
	return rest
}

// take puts a message where it is handled, or drops it.
func (l *Link) take(s *subscription, m mqtt.Message) {
	select {
	case s.queue <- m:
	default:
		l.log.Debug("message dropped", "topic", m.Topic())
	}
}

func (c *connection) subscribe(s *subscription) error {
	return c.ask(s.ctx, s.filter, func(m mqtt.Message) { c.link.take(s, m) })
}

// ask subscribes to a filter and returns an error if the broker refuses.
func (c *connection) ask(ctx context.Context, filter string, receive func(m mqtt.Message)) error {
	given := make(chan *mqtt.SubscribeToken, 1)
	err := c.start(func() {
		_ = c.hand(func() {
			given <- c.client.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { receive(m) }).(*mqtt.SubscribeToken)
		})
	})
	if err != nil {
		return nil // the next connection subscribes
	}
	var t *mqtt.SubscribeToken
	select {
	case t = <-given:
	case <-c.down:
		return nil
	}
	select {
	case <-t.Done():
	case <-c.down:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	const refused = 0x80
	for _, code := range t.Result() {
		if code == refused {
			return fmt.Errorf("mqttlink: subscribe %s: refused by the broker", filter)
		}
	}
	return nil // a token's own error is a lost connection, after which all is subscribed again
}
