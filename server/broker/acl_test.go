package broker_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/sync/wire"
)

var (
	ups   = []wire.Channel{wire.UpBatch, wire.UpBeat, wire.UpResult, wire.Status}
	downs = []wire.Channel{wire.DownReceipt, wire.DownBeat, wire.DownConfig, wire.DownKeys, wire.DownList, wire.DownEvent, wire.DownOrder}
)

func TestACL(t *testing.T) {
	s := newSite(t, kioskA, kioskB)
	testACL(t, s, s.start(t, broker.Options{}).Addr().String())
}

// testACL tells by what arrives who may say and hear what, because not every
// broker admits to a refusal.
func testACL(t *testing.T, s *site, addr string) {
	w := mustDial(t, options(addr, worker, s.workerTLS(t, worker)).SetOrderMatters(true))
	b := mustDial(t, options(addr, kioskB, s.kioskTLS(t, kioskB, time.Now())).SetOrderMatters(true))
	dialA := func(t *testing.T) (paho.Client, chan error) {
		lost := make(chan error, 1)
		return mustDial(t, options(addr, kioskA, s.kioskTLS(t, kioskA, time.Now())).SetOrderMatters(true).
			SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })), lost
	}
	heardByW := inbox{make(chan paho.Message, 1000)}
	heardByB := inbox{make(chan paho.Message, 1000)}
	for _, c := range ups {
		w.Subscribe(wire.Filter("", c), 1, func(_ paho.Client, m paho.Message) { heardByW.ch <- m }).WaitTimeout(wait)
	}
	for _, c := range downs {
		b.Subscribe(wire.Topic(kioskB, c), 1, func(_ paho.Client, m paho.Message) { heardByB.ch <- m }).WaitTimeout(wait)
	}
	heardAlone := func(t *testing.T, in inbox, fence string) string {
		t.Helper()
		first := fence
		for {
			switch got := string(in.next(t).Payload()); got {
			case fence:
				return first
			case "after":
			default:
				first = got
			}
		}
	}

	t.Run("publish", func(t *testing.T) {
		var topics []string
		for _, id := range []string{kioskA, kioskB} {
			for _, c := range append(append([]wire.Channel{}, ups...), downs...) {
				topics = append(topics, wire.Topic(id, c))
			}
		}
		for i, topic := range topics {
			kiosk, c, err := wire.ParseTopic(topic)
			if err != nil {
				t.Fatal(err)
			}
			a, lost := dialA(t)
			name := fmt.Sprintf("A publishes %d", i)
			token := a.Publish(topic, 1, false, name)
			select {
			case <-token.Done():
				// mochi acknowledges before it delivers; by the next one it has.
				a.Publish(wire.Topic(kioskA, wire.UpResult), 1, false, "after").WaitTimeout(wait)
			case <-lost:
			case <-time.After(wait):
				t.Fatalf("Publish(%s) did not end", topic)
			}
			a.Disconnect(0)
			in, fence := heardByW, fmt.Sprintf("fence %d", i)
			if c.Up() {
				publish(t, b, wire.Topic(kioskB, wire.UpBeat), false, fence)
			} else if in = heardByB; kiosk == kioskB {
				publish(t, w, wire.Topic(kioskB, wire.DownBeat), false, fence)
			} else {
				continue // nobody hears what A would say to itself
			}
			want := kiosk == kioskA && c.Up()
			if got := heardAlone(t, in, fence) != fence; got != want {
				t.Errorf("A publishes on %s: heard %t, want %t", topic, got, want)
			}
		}
	})

	t.Run("subscribe", func(t *testing.T) {
		own := wire.Topic(kioskA, wire.DownReceipt)
		others := wire.Topic(kioskB, wire.DownReceipt)
		batch := wire.Topic(kioskB, wire.UpBatch)
		for i, tt := range []struct {
			filter, topic string
			want          bool
		}{
			{own, own, true},
			{"qrgate/v1/" + kioskA + "/down/#", own, true},
			{others, others, false},
			{batch, batch, false},
			{"#", others, false},
			{"#", batch, false},
			{"+/+/+/#", others, false},
			{"qrgate/v1/#", batch, false},
			{"qrgate/v1/+/down/receipt", others, false},
			{wire.Filter("", wire.UpBatch), batch, false},
			{"$share/thief/" + others, others, false},
			{"$share/thief/#", others, false},
			{wire.Filter("thief", wire.UpBatch), batch, false},
			{"$SHARE/thief/" + others, others, false},
		} {
			a, _ := dialA(t)
			in := inbox{make(chan paho.Message, 100)}
			hear := func(_ paho.Client, m paho.Message) { in.ch <- m }
			a.Subscribe(wire.Topic(kioskA, wire.DownBeat), 1, hear).WaitTimeout(wait)
			a.Subscribe(tt.filter, 1, hear).WaitTimeout(wait)
			fence := fmt.Sprintf("fence %d", i)
			if _, c, _ := wire.ParseTopic(tt.topic); c.Up() {
				publish(t, b, tt.topic, false, "probe")
				publish(t, b, wire.Topic(kioskB, wire.UpResult), false, "after")
			} else {
				publish(t, w, tt.topic, false, "probe")
			}
			publish(t, w, wire.Topic(kioskA, wire.DownBeat), false, fence)
			if got := heardAlone(t, in, fence) != fence; got != tt.want {
				t.Errorf("A subscribes to %s: hears %s %t, want %t", tt.filter, tt.topic, got, tt.want)
			}
			a.Disconnect(0)
		}
	})
}

// TestRandomTopics compares the broker with the rule in words: a kiosk speaks on
// its own up channels and status, and hears its own down channels.
func TestRandomTopics(t *testing.T) {
	s := newSite(t, kioskA)
	b := s.start(t, broker.Options{})
	k := mustDial(t, options(b.Addr().String(), kioskA, s.kioskTLS(t, kioskA, time.Now())))
	speak, hear := map[string]bool{}, map[string]bool{"qrgate/v1/" + kioskA + "/down/#": true}
	for _, c := range ups {
		speak[wire.Topic(kioskA, c)] = true
	}
	for _, c := range downs {
		hear[wire.Topic(kioskA, c)] = true
	}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	topic := func(wild bool) string {
		s := pick("", "", "", "", "", "/", "$share/g/", "$SYS/") + pick("qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v2/", "Qrgate/v1/", "qrgate//") +
			pick(kioskA, kioskA, kioskA, kioskB, kioskA+"x", "", kioskA+"/"+kioskB) + pick("/", "/", "/", "/", "//", "") +
			pick("up/batch", "up/beat", "up/result", "status", "down/receipt", "down/beat", "down/config", "down/keys", "down/list", "down/event", "down/order", "down", "up/", "x")
		if wild {
			s = pick(s, s, "qrgate/v1/"+kioskA+"/"+pick("down/#", "up/#", "#", "+", "+/+", "down/+"), "qrgate/v1/"+pick("+", "#", kioskB+"/down/#"), "#", "+/#")
		}
		return s
	}
	const n = 5000
	for range n {
		f := topic(true)
		token := k.Subscribe(f, 1, nil).(*paho.SubscribeToken)
		if !token.WaitTimeout(wait) {
			t.Fatalf("Subscribe(%q) did not end", f)
		}
		if got := granted(token) < 0x80; got != hear[f] {
			t.Fatalf("Subscribe(%q): granted %t, want %t", f, got, hear[f])
		}
	}
	// mochi drops a topic that begins with $SYS before it asks.
	before, want := b.Stats().RefusedPublish, int64(0)
	for range n {
		f := topic(false)
		if !speak[f] && (len(f) < 4 || f[:4] != "$SYS") {
			want++
		}
		k.Publish(f, 0, false, "x").WaitTimeout(wait)
	}
	publish(t, k, wire.Topic(kioskA, wire.UpBeat), false, "fence")
	if got := b.Stats().RefusedPublish - before; got != want {
		t.Errorf("%d of %d publishes were refused, want %d", got, n, want)
	}
}

func TestMosquittoACL(t *testing.T) {
	got := broker.MosquittoACL("server-a-ingest", "server-a-fleet")
	path := filepath.Join("testdata", "mosquitto.acl")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("MosquittoACL differs from %s (-want +got):\n%s", path, diff)
	}
}
