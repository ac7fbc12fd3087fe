package mqttlink_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	kiosk  = "kiosk-00001"
	batch  = "qrgate/v1/" + kiosk + "/up/batch"
	status = "qrgate/v1/" + kiosk + "/status"
)

func TestMochi(t *testing.T) { testLink(t, newMochi) }

// testLink is what a link does over any broker.
func testLink(t *testing.T, start func(testing.TB) *broker) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *broker)
	}{
		{"largest message", largestMessage},
		{"restart", restart},
		{"will on cut", willOnCut},
		{"will on end", willOnEnd},
		{"refused publish", refusedPublish},
		{"shared subscription", sharedSubscription},
		{"slow receiver", slowReceiver},
		{"silent line", silentLine},
		{"end of a subscription", endOfSubscription},
		{"move", move},
		{"cover", covered},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, start(t)) })
	}
}

func largestMessage(t *testing.T, b *broker) {
	c := run(t, b.options(t, kiosk))
	receive(t, c.up, "up")
	got := c.listen(t, wire.Filter("", wire.UpBatch))
	for _, n := range []int{0, 1, 65_536, wire.MaxMessage} {
		want := strings.Repeat("x", n)
		c.send(t, batch, want)
		if m := receive(t, got, "message"); m.topic != batch || m.payload != want {
			t.Fatalf("published %d bytes on %s, received %d on %s", n, batch, len(m.payload), m.topic)
		}
	}
	err := c.Publish(t.Context(), batch, make([]byte, wire.MaxMessage+1), false)
	if !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("Publish of one byte more: error = %v, want ErrTooLarge", err)
	}
	c.send(t, batch, "still up")
}

func restart(t *testing.T, b *broker) {
	c := run(t, b.options(t, kiosk))
	receive(t, c.up, "up")
	got := c.listen(t, batch)
	c.send(t, batch, "before")
	receive(t, got, "message before the restart")
	for range 3 {
		b.stop()
		if err := receive(t, c.down, "down"); err == nil {
			t.Error("OnDown(nil), want the cause")
		}
		if err := c.Publish(t.Context(), batch, []byte("meanwhile"), false); !errors.Is(err, mqttlink.ErrDown) {
			t.Errorf("Publish while down: error = %v, want ErrDown", err)
		}
		b.start()
		receive(t, c.up, "up again")
		c.send(t, batch, "after")
		if m := receive(t, got, "message after the restart"); m.payload != "after" {
			t.Errorf("received %q after the restart, want what was published then", m.payload)
		}
	}
}

// A link that moves takes its subscriptions along, leaves its will behind, and comes
// back from where nobody answers.
func move(t *testing.T, b *broker) {
	l := newLine(t, b.addr)
	o := b.options(t, kiosk)
	o.Will = func() mqttlink.Will { return mqttlink.Will{Topic: status, Payload: []byte("offline")} }
	c := run(t, o)
	receive(t, c.up, "up")
	watch := run(t, b.options(t, "watcher-1"))
	receive(t, watch.up, "watcher")
	wills, got := watch.listen(t, status), c.listen(t, batch)
	if err := c.Move("tls://"+freeAddr(t), o.TLS); err != nil {
		t.Fatal(err)
	}
	receive(t, c.down, "down")
	if m := receive(t, wills, "will"); m.payload != "offline" {
		t.Errorf("will = %q", m.payload)
	}
	if err := c.Move("tls://"+l.addr, o.TLS); err != nil {
		t.Fatal(err)
	}
	receive(t, c.up, "up by another way")
	c.send(t, batch, "hello")
	if m := receive(t, got, "message"); m.payload != "hello" {
		t.Errorf("received %q", m.payload)
	}
	if err := c.Move("http://nowhere", o.TLS); err == nil {
		t.Error("moved to what is no broker")
	}
	c.send(t, batch, "still there")
}

func willOnCut(t *testing.T, b *broker) {
	l := newLine(t, b.addr)
	session := 0
	o := b.options(t, kiosk)
	o.URL = "tls://" + l.addr
	o.Will = func() mqttlink.Will {
		session++
		return mqttlink.Will{Topic: status, Payload: fmt.Appendf(nil, "offline %d", session)}
	}
	c := run(t, o)
	receive(t, c.up, "up")
	watch := run(t, b.options(t, "watcher-1"))
	receive(t, watch.up, "watcher")
	got := watch.listen(t, status)
	l.cut()
	if m := receive(t, got, "will"); m.payload != "offline 1" {
		t.Errorf("will = %q, want offline 1", m.payload)
	}
	receive(t, c.up, "up again")
	l.cut()
	for m := range got {
		if m.payload == "offline 2" {
			break
		}
	}
	late := run(t, b.options(t, "watcher-2"))
	receive(t, late.up, "late watcher")
	if m := receive(t, late.listen(t, status), "retained will"); !strings.HasPrefix(m.payload, "offline ") {
		t.Errorf("retained will = %q", m.payload)
	}
}

func willOnEnd(t *testing.T, b *broker) {
	watch := run(t, b.options(t, "watcher-1"))
	receive(t, watch.up, "watcher")
	got := watch.listen(t, status)
	o := b.options(t, kiosk)
	o.Will = func() mqttlink.Will { return mqttlink.Will{Topic: status, Payload: []byte("offline")} }
	c := run(t, o)
	receive(t, c.up, "up")
	c.end()
	if m := receive(t, got, "farewell"); m.payload != "offline" {
		t.Errorf("farewell = %q, want offline", m.payload)
	}
	if err := receive(t, c.down, "down"); !errors.Is(err, context.Canceled) {
		t.Errorf("OnDown(%v), want context.Canceled", err)
	}
}

// MQTT 3.1.1 cannot say "denied": one broker hangs up, another acknowledges and
// drops. Neither counts as delivery, and the link lives on.
func refusedPublish(t *testing.T, b *broker) {
	c := run(t, b.options(t, kiosk))
	receive(t, c.up, "up")
	got := c.listen(t, wire.Filter("", wire.UpBatch))
	err := c.Publish(t.Context(), denied, []byte("forged"), false)
	t.Logf("Publish on a denied topic: error = %v", err)
	if err != nil {
		if !errors.Is(err, mqttlink.ErrDown) {
			t.Errorf("Publish on a denied topic: error = %v, want ErrDown or nil", err)
		}
		receive(t, c.up, "up again")
	}
	c.send(t, batch, "honest")
	if m := receive(t, got, "message"); m.payload != "honest" {
		t.Errorf("received %q, want only what was allowed", m.payload)
	}
}

func sharedSubscription(t *testing.T, b *broker) {
	const messages = 200
	got := make(chan string, 2*messages)
	for i := range 2 {
		o := b.options(t, fmt.Sprintf("ingest-%d", i))
		o.Queue = messages
		w := run(t, o)
		receive(t, w.up, "worker")
		err := w.Subscribe(t.Context(), wire.Filter("ingest", wire.UpBatch), func(_ string, p []byte) { got <- string(p) })
		if err != nil {
			t.Fatalf("Subscribe error = %v", err)
		}
	}
	c := run(t, b.options(t, kiosk))
	receive(t, c.up, "up")
	for i := range messages {
		c.send(t, batch, fmt.Sprint(i))
	}
	seen := map[string]int{}
	for range messages {
		seen[receive(t, got, "message")]++
	}
	if len(seen) != messages || len(got) > 0 {
		t.Errorf("%d messages: %d arrived, %d more than once", messages, len(seen), len(got))
	}
}

func slowReceiver(t *testing.T, b *broker) {
	o := b.options(t, kiosk)
	o.Queue = 4
	c := run(t, o)
	receive(t, c.up, "up")
	release := make(chan struct{})
	started := make(chan struct{}, 100)
	err := c.Subscribe(t.Context(), batch, func(string, []byte) {
		started <- struct{}{}
		<-release
	})
	if err != nil {
		t.Fatal(err)
	}
	other := c.listen(t, status)
	for range 50 {
		c.send(t, batch, "flood")
	}
	receive(t, started, "first message")
	c.send(t, status, "free")
	receive(t, other, "message beside a receiver that is stuck")
	close(release)
	for range 4 {
		receive(t, started, "queued message")
	}
	c.send(t, status, "end")
	receive(t, other, "last message")
	if n := len(started); n > 1 { // one may have come in while the queue drained
		t.Errorf("%d more messages than the queue holds were kept", n)
	}
}

// A line that takes bytes and answers nothing neither holds a caller longer
// than it will wait nor lets messages pile up.
func silentLine(t *testing.T, b *broker) {
	l := newLine(t, b.addr)
	o := b.options(t, kiosk)
	o.URL, o.InFlight = "tls://"+l.addr, 2
	c := run(t, o)
	receive(t, c.up, "up")
	l.hold()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 10 {
		wg.Go(func() {
			if err := c.Publish(ctx, batch, []byte("x"), false); !errors.Is(err, context.Canceled) {
				t.Errorf("Publish into silence: error = %v, want context.Canceled", err)
			}
		})
	}
	cancel()
	wg.Wait()
	l.flow()
	c.send(t, batch, "after")
}

func endOfSubscription(t *testing.T, b *broker) {
	c := run(t, b.options(t, kiosk))
	receive(t, c.up, "up")
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 100)
	if err := c.Subscribe(ctx, batch, func(_ string, p []byte) { got <- string(p) }); err != nil {
		t.Fatal(err)
	}
	c.send(t, batch, "one")
	receive(t, got, "message")
	cancel()
	other := c.listen(t, status)
	c.send(t, batch, "two")
	c.send(t, status, "end")
	receive(t, other, "other message")
	if len(got) > 1 { // "two" may have passed the end
		t.Errorf("%d messages after the subscription's end", len(got))
	}
}

func TestSilentBrokerIsLeft(t *testing.T) {
	b := newMochi(t)
	l := newLine(t, b.addr)
	o := b.options(t, kiosk)
	o.URL, o.KeepAlive = "tls://"+l.addr, time.Second
	c := run(t, o)
	receive(t, c.up, "up")
	l.hold()
	if err := receive(t, c.down, "down"); err == nil {
		t.Error("OnDown(nil), want the cause")
	}
}

// paho allocates what five bytes announce.
func TestHugePacketIsRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 512))                                             // CONNECT
			conn.Write([]byte{0x20, 2, 0, 0, 0xd0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f}) // CONNACK, PINGRESP, PUBLISH of 256 MiB
		}
	}()
	c := run(t, mqttlink.Options{URL: "mqtt://" + ln.Addr().String(), ClientID: kiosk, Backoff: time.Hour})
	if err := receive(t, c.down, "down"); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("OnDown(%v), want ErrTooLarge", err)
	}
}

func TestTLSRefuses(t *testing.T) {
	b := newMochi(t)
	with := func(change func(*tls.Config)) *tls.Config {
		c := b.client(t, kiosk)
		change(c)
		return c
	}
	old := newAuthority(t)
	tests := []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"pinned authority, right name", b.client(t, kiosk), true},
		{"another authority", with(func(c *tls.Config) { c.RootCAs = old.pool }), false},
		{"another name", with(func(c *tls.Config) { c.ServerName = "elsewhere.test" }), false},
		{"a clock of 1970", with(func(c *tls.Config) { c.Time = func() time.Time { return time.Unix(0, 0) } }), false},
		{"a clock of 1970 lifted to the floor", with(func(c *tls.Config) { c.Time = func() time.Time { return b.cert.NotBefore } }), true},
		{"a clock of 2099", with(func(c *tls.Config) { c.Time = func() time.Time { return validTo.AddDate(70, 0, 0) } }), false},
		{"a client of another authority", with(func(c *tls.Config) { c.GetClientCertificate = old.client(t, kiosk).GetClientCertificate }), false},
		{"TLS 1.2", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := b.options(t, kiosk)
			o.TLS, o.Backoff = tt.config, time.Hour
			said := make(chan string, 10)
			o.Log = slog.New(slog.NewTextHandler(writer(func(p []byte) { said <- string(p) }), nil))
			c := run(t, o)
			select {
			case <-c.up:
				if !tt.ok {
					t.Error("connected, want refused")
				}
			case line := <-said:
				if up := strings.Contains(line, "link up"); up != tt.ok {
					t.Errorf("connected = %t, want %t; log: %s", up, tt.ok, line)
				}
			case <-time.After(30 * time.Second):
				t.Error("neither connected nor refused in 30 s")
			}
		})
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(bytes.Clone(p)); return len(p), nil }

func TestNewRefuses(t *testing.T) {
	for _, o := range []mqttlink.Options{
		{URL: "mqtt://127.0.0.1:1883"},
		{URL: "tls://127.0.0.1:8883", ClientID: kiosk},
		{URL: "ws://127.0.0.1:80", ClientID: kiosk},
		{URL: "tls://127.0.0.1", ClientID: kiosk, TLS: &tls.Config{}},
		{URL: "mqtt://%zz", ClientID: kiosk},
	} {
		if _, err := mqttlink.New(o); err == nil {
			t.Errorf("New(%+v) error = nil", o)
		}
	}
}

// paho's loggers print whole packets.
func TestPahoStaysSilent(t *testing.T) {
	for _, l := range []mqtt.Logger{mqtt.ERROR, mqtt.CRITICAL, mqtt.WARN, mqtt.DEBUG} {
		if _, ok := l.(mqtt.NOOPLogger); !ok {
			t.Errorf("a logger of paho is a %T", l)
		}
	}
}
