package broker_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/broker"
)

// Who acts in a tuple: by which certificate.
const (
	revoked  = "kiosk-000r"
	worker2  = "server-test-1"
	auditor  = "server-test-9" // hears all that an external broker lets through
	expired  = "expired"       // kioskA's, of last year
	stranger = "stranger"      // kioskA's, by another CA
)

// What a broker knows of, beside whose topic is whose.
type powers struct {
	revocation bool // it asks for the kiosk's row
	names      bool // it knows what a kiosk's name looks like
	filters    bool // it judges a subscription, and not each message alone
	limits     bool // it limits what is retained, and what a will is
	sessions   bool // it keeps them for those who ask
}

// A tuple is one thing that somebody tries.
type tuple struct {
	who, op string
	topic   string // or filter
	probe   string // of a subscription: what is published then
	qos     byte
	retain  bool
	size    int
}

var (
	upward   = []string{"up/batch", "up/beat", "up/result", "status"}
	downward = []string{"down/receipt", "down/beat", "down/config", "down/keys", "down/list", "down/event", "down/order"}
)

// The reference: slow, in words of its own, and with nothing of the broker's.

func (w powers) mayConnect(who string) bool {
	return who != expired && who != stranger && (who != revoked || !w.revocation)
}

func (w powers) mayPublish(who, topic string) bool {
	id, rest, ok := parts(topic)
	if !ok || !w.mayConnect(who) {
		return false
	}
	if isServer(who) {
		return slices.Contains(downward, rest) && w.anyKiosk(who, id)
	}
	return id == who && slices.Contains(upward, rest)
}

func (w powers) mayHear(who, topic string) bool {
	id, rest, ok := parts(topic)
	if !ok || !w.mayConnect(who) {
		return false
	}
	if isServer(who) {
		return slices.Contains(upward, rest) && w.anyKiosk(who, id)
	}
	return id == who && slices.Contains(downward, rest)
}

func (w powers) anyKiosk(server, id string) bool {
	if !w.names {
		return id != server
	}
	return isName(id)
}

func (w powers) maySubscribe(who, filter string) bool {
	if isServer(who) {
		if group, rest, shared := cutShare(filter); shared && group != "" {
			filter = rest
		}
		id, rest, ok := parts(filter)
		return ok && slices.Contains(upward, rest) && (id == "+" || isName(id))
	}
	id, rest, ok := parts(filter)
	return ok && id == who && w.mayConnect(who) && (rest == "down/#" || slices.Contains(downward, rest))
}

// hears tells whether who, having subscribed to filter, hears topic.
func (w powers) hears(who, filter, topic string) bool {
	bare := filter
	if _, rest, shared := cutShare(filter); shared {
		bare = rest
	}
	return w.mayHear(who, topic) && fits(bare, topic) && (!w.filters || w.maySubscribe(who, filter))
}

func (w powers) mayRetain(topic string, size int) bool {
	_, rest, _ := parts(topic)
	return !w.limits || rest == "status" && size <= 256 || rest == "down/config" || rest == "down/keys"
}

func (w powers) mayWill(x tuple) bool {
	if !w.limits {
		return w.mayPublish(x.who, x.topic)
	}
	return w.mayConnect(x.who) && !isServer(x.who) && x.topic == "qrgate/v1/"+x.who+"/status" && x.retain && x.size <= 256
}

func parts(topic string) (id, rest string, ok bool) {
	p := strings.Split(topic, "/")
	if len(p) < 4 || p[0] != "qrgate" || p[1] != "v1" {
		return "", "", false
	}
	return p[2], strings.Join(p[3:], "/"), true
}

func cutShare(filter string) (group, rest string, ok bool) {
	p := strings.SplitN(filter, "/", 3)
	if len(p) < 3 || p[0] != "$share" {
		return "", "", false
	}
	return p[1], p[2], true
}

func isServer(who string) bool { return strings.HasPrefix(who, "server-") }

func isName(id string) bool {
	for _, r := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", r) {
			return false
		}
	}
	return len(id) >= 8 && len(id) <= 40
}

// fits is MQTT's own matching, level by level.
func fits(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		switch {
		case level == "#":
			return i == len(f)-1 && i <= len(t)
		case i >= len(t) || level != "+" && level != t[i]:
			return false
		}
	}
	return len(f) == len(t)
}

// draw makes a tuple. Most topics are right or nearly so.
func draw(r *rand.Rand) tuple {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	x := tuple{size: []int{0, 10, 256, 257, 5000}[r.IntN(5)], retain: r.IntN(8) > 0}
	switch n := r.IntN(100); {
	case n < 44:
		x.who = kioskA
	case n < 64:
		x.who = kioskB
	case n < 88:
		x.who = worker2
	case n < 92:
		x.who = revoked
	case n < 96:
		x.who = expired
	default:
		x.who = stranger
	}
	switch n := r.IntN(100); {
	case n < 45:
		x.op = "publish"
	case n < 67:
		x.op = "subscribe"
	case n < 80:
		x.op = "share"
	case n < 91:
		x.op = "retain"
	case n < 96:
		x.op = "will"
	default:
		x.op = "resume"
	}
	if r.IntN(12) == 0 {
		x.qos = 1
	}
	own := x.who
	if x.who == expired || x.who == stranger {
		own = kioskA
	}
	id := pick(own, own, own, kioskA, kioskB, revoked, "kiosk-none", kioskA+"x", "x", "", "$", strings.ToUpper(kioskA))
	channel := pick(append(slices.Concat(upward, downward, upward, downward), "down", "up", "up/", "down/", "up/batch/", "up/batch/x", "down/x", "Status", "status/x", "")...)
	root := pick("qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v1/", "qrgate/v2/", "/qrgate/v1/", "qrgate//", "$SYS/", "Qrgate/v1/")
	if x.op == "will" && r.IntN(3) == 0 {
		root, id, channel = "qrgate/v1/", own, "status"
	}
	if r.IntN(3) == 0 {
		// Right in all but perhaps one thing.
		root = "qrgate/v1/"
		right := upward
		if isServer(x.who) == (x.op == "publish" || x.op == "retain" || x.op == "will") {
			right = downward
		}
		if channel = pick(right...); x.op == "retain" {
			channel = pick("status", "status", channel)
			if isServer(x.who) {
				channel = pick("down/config", "down/keys", channel)
			}
		}
		if id = pick(own, own, own, own, kioskB); isServer(x.who) {
			id = pick(kioskA, kioskB, kioskA, kioskB, "kiosk-none")
		}
	}
	x.topic = root + id + "/" + channel
	if x.op == "subscribe" || x.op == "share" || x.op == "resume" {
		switch r.IntN(6) {
		case 0:
			x.topic = pick("#", "+/#", "+/+/+/#", "qrgate/#", "qrgate/v1/#", "qrgate/v1/+/#", "qrgate/v1/"+id+"/#", "qrgate/v1/"+id+"/+", "qrgate/v1/"+id+"/+/+", "+/v1/"+id+"/"+channel)
		case 1:
			x.topic = root + pick("+", "+", own) + "/" + pick(slices.Concat(upward, downward, []string{"down/#", "up/#", "down/+", "up/+", "#"})...)
		}
		if x.op == "share" {
			x.topic = pick("$share/g/", "$share/g/", "$share/g/", "$share/ingest/", "$SHARE/g/", "$share//") + x.topic
		}
		// Channels that tuples do not use otherwise: what comes on the others is heard anyhow.
		var fit []string
		for _, id := range []string{kioskA, kioskB} {
			for _, c := range []string{"up/batch", "up/result", "status", "down/receipt", "down/config", "down/keys", "down/list", "down/event", "down/order"} {
				fit = append(fit, "qrgate/v1/"+id+"/"+c)
			}
		}
		x.probe = pick(fit...)
		bare := x.topic
		if _, rest, shared := cutShare(bare); shared {
			bare = rest
		}
		if fit = slices.DeleteFunc(fit, func(t string) bool { return !fits(bare, t) }); len(fit) > 0 && r.IntN(4) > 0 {
			x.probe = pick(fit...)
		}
	}
	return x
}

// A court has every actor connected and watches what comes through.
type court struct {
	*testing.T
	powers  powers
	addr    string
	configs map[string]*tls.Config
	peers   map[string]*peer
	refused func() int64 // publishes that the broker says it refused; nil if it says nothing
	watched bool         // the auditor is there
	fences  int
}

// fenceTopic is where p hears that all before it has arrived.
func fenceTopic(who string) string {
	if isServer(who) {
		return "qrgate/v1/" + kioskB + "/up/beat"
	}
	return "qrgate/v1/" + who + "/down/beat"
}

// get returns who's connection, made anew if the broker ended it.
func (c *court) get(who string) *peer {
	c.Helper()
	if p := c.peers[who]; p != nil && p.alive() {
		return p
	}
	p, err := c.dial(who, intro{})
	if err != nil {
		c.Fatalf("%s does not connect: %v", who, err)
	}
	c.peers[who] = p
	filters := []string{fenceTopic(who)}
	switch who {
	case worker:
		filters = nil
		for _, u := range upward {
			filters = append(filters, "qrgate/v1/+/"+u)
		}
	case auditor:
		filters = []string{"#"}
	}
	for _, f := range filters {
		if code := p.subscribe(c, f, 0); code >= 0x80 {
			c.Fatalf("%s may not subscribe to %s", who, f)
		}
	}
	return p
}

func (c *court) dial(who string, hello intro) (*peer, error) {
	hello.id = who
	if who == expired || who == stranger {
		hello.id = kioskA
	}
	return dialPeer(c.addr, c.configs[who], hello)
}

// fence returns what who has heard until now.
func (c *court) fence(who string) map[string]bool {
	c.Helper()
	p := c.get(who)
	c.fences++
	mark := fmt.Sprintf("fence %d", c.fences)
	from := worker
	if isServer(who) {
		from = kioskB
	}
	c.get(from).publish(fenceTopic(who), 0, false, []byte(mark))
	heard := map[string]bool{}
	timeout := time.After(wait)
	for {
		select {
		case m := <-p.heard:
			if string(m.Payload) == mark {
				return heard
			}
			key := string(m.Payload)
			if m.Retain {
				key = "kept " + key
			}
			heard[key] = true
		case <-p.gone:
			return heard
		case <-timeout:
			c.Fatalf("%s does not hear %s", who, mark)
		}
	}
}

// leave ends who's subscription, unless fences come through it.
func (c *court) leave(who, filter string) {
	c.Helper()
	if filter != fenceTopic(who) {
		c.get(who).unsubscribe(c, filter)
	}
}

// audience is who may hear a topic, "" if nobody here.
func (c *court) audience(topic string) string {
	for _, who := range []string{kioskA, kioskB} {
		if c.powers.mayHear(who, topic) {
			return who
		}
	}
	if c.powers.mayHear(worker, topic) {
		return worker
	}
	return ""
}

// speaker is who may publish on a topic that tuples probe with.
func (c *court) speaker(topic string) string {
	for _, who := range []string{kioskA, kioskB, revoked} {
		if c.powers.mayPublish(who, topic) {
			return who
		}
	}
	return worker
}

// publish returns whether what x publishes comes through.
func (c *court) publish(x tuple, payload []byte) (got, want bool) {
	c.Helper()
	to := c.audience(x.topic)
	if to != "" && to != worker {
		c.get(to).subscribe(c, x.topic, 0)
	}
	var before int64
	if c.refused != nil {
		before = c.refused()
	}
	p := c.get(x.who)
	p.publish(x.topic, x.qos, false, payload)
	p.settle(c)
	want = c.powers.mayPublish(x.who, x.topic)
	switch {
	case to != "":
		got = c.fence(to)[string(payload)]
		if to != worker {
			c.leave(to, x.topic)
		}
	case c.watched:
		got = c.fence(auditor)[string(payload)]
	case c.refused != nil:
		// mochi drops what begins with $ and what no topic can be before it asks.
		got = c.refused() == before && !strings.HasPrefix(x.topic, "$") && p.alive()
	}
	return got, want
}

// subscribe returns whether who hears x's probe after subscribing.
func (c *court) subscribe(x tuple, payload []byte) (got, want bool) {
	c.Helper()
	p := c.get(x.who)
	code := p.subscribe(c, x.topic, 0)
	want = c.powers.hears(x.who, x.topic, x.probe)
	if granted := code < 0x80; c.powers.filters && granted != c.powers.maySubscribe(x.who, x.topic) {
		c.Errorf("%+v: granted %t, want %t", x, granted, !granted)
	}
	from := c.get(c.speaker(x.probe))
	from.publish(x.probe, 0, false, payload)
	from.settle(c)
	got = c.fence(x.who)[string(payload)]
	c.leave(x.who, x.topic)
	return got, want
}

// retain returns whether what x publishes is there for who comes later.
func (c *court) retain(x tuple, payload []byte) (got, want bool) {
	c.Helper()
	p := c.get(x.who)
	p.publish(x.topic, x.qos, true, payload)
	p.settle(c)
	want = c.powers.mayPublish(x.who, x.topic) && c.powers.mayRetain(x.topic, len(payload))
	return c.kept(x, payload), want && c.audience(x.topic) != ""
}

func (c *court) kept(x tuple, payload []byte) bool {
	c.Helper()
	to := c.audience(x.topic)
	if to == "" {
		return false
	}
	c.fence(to)
	p := c.get(to)
	p.subscribe(c, x.topic, 0)
	p.settle(c) // what is kept comes after the SUBACK
	got := c.fence(to)["kept "+string(payload)]
	if to != worker {
		c.leave(to, x.topic)
	}
	if got {
		from := c.get(c.speaker(x.topic))
		from.publish(x.topic, 0, true, nil)
		from.settle(c)
	}
	return got
}

// will returns whether the last will of a connection that breaks comes through.
func (c *court) will(x tuple, payload []byte) (got, want bool) {
	c.Helper()
	want = c.powers.mayWill(x)
	to := c.audience(x.topic)
	if to == x.who {
		to = "" // it is not there to hear it
	}
	if to != "" && to != worker {
		c.get(to).subscribe(c, x.topic, 0)
	}
	p, err := c.dial(x.who, intro{will: x.topic, payload: payload, retain: x.retain})
	if c.powers.limits && (err == nil) != want {
		c.Errorf("%+v: connect = %v, want allowed %t", x, err, want)
	}
	if err == nil {
		p.drop()
	}
	if want && to != "" {
		// It comes when the broker has seen that the cable is out.
		heard := c.get(to)
		for end := time.After(wait); !got; {
			select {
			case m := <-heard.heard:
				got = string(m.Payload) == string(payload)
			case <-end:
				return false, true
			}
		}
	} else {
		delete(c.peers, x.who) // what the broker ends anyhow, when the name comes again
		if c.powers.mayConnect(x.who) {
			c.get(x.who)
		}
		if to != "" {
			got = c.fence(to)[string(payload)]
		}
		want = want && to != ""
	}
	if to != "" && to != worker {
		c.leave(to, x.topic)
	}
	if x.retain && to != "" && got {
		from := c.get(c.speaker(x.topic))
		from.publish(x.topic, 0, true, nil)
		from.settle(c)
		c.fence(to)
	}
	return got, want
}

// resume returns whether a session that was left hears x's probe.
func (c *court) resume(x tuple, payload []byte) (got, want bool) {
	c.Helper()
	want = c.powers.sessions && c.powers.hears(x.who, x.topic, x.probe)
	first, err := c.dial(x.who, intro{keep: true})
	if err != nil {
		c.Fatalf("%+v: %v", x, err)
	}
	first.subscribe(c, x.topic, 1)
	first.leave()
	delete(c.peers, x.who)
	speaker := c.speaker(x.probe)
	if speaker != x.who {
		from := c.get(speaker)
		from.publish(x.probe, 1, false, payload)
		from.settle(c)
	} else {
		want = false
	}
	second, err := c.dial(x.who, intro{keep: true})
	if err != nil {
		c.Fatalf("%+v: %v", x, err)
	}
	if code := second.subscribe(c, fenceTopic(x.who), 0); code >= 0x80 {
		c.Fatalf("%+v: no fence", x)
	}
	c.peers[x.who] = second
	got = c.fence(x.who)[string(payload)]
	second.leave()
	// A clean session ends the one that was kept.
	delete(c.peers, x.who)
	c.get(x.who)
	return got, want
}

// try tries n tuples of a seed and counts what was wrongly allowed and denied.
func (c *court) try(n int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 11))
	allowed, denied, granted := 0, 0, 0
	ops := map[string]int{}
	for i := range n {
		x := draw(r)
		ops[x.op]++
		payload := fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", max(0, x.size-len(fmt.Sprint(i))-1)))
		var got, want bool
		switch {
		case !c.powers.mayConnect(x.who):
			// Whatever it wants to do, it does not get that far.
			p, err := c.dial(x.who, intro{keep: x.op == "resume"})
			if got = err == nil; got {
				p.drop()
			}
		case x.op == "publish":
			got, want = c.publish(x, payload)
		case x.op == "retain":
			got, want = c.retain(x, payload)
		case x.op == "will":
			got, want = c.will(x, payload)
		case x.op == "resume":
			got, want = c.resume(x, payload)
		default:
			got, want = c.subscribe(x, payload)
		}
		if want {
			granted++
		}
		switch {
		case got && !want:
			allowed++
		case want && !got:
			denied++
		default:
			continue
		}
		c.Errorf("%d: %+v: %t, want %t", i, x, got, want)
		if allowed+denied > 10 {
			break
		}
	}
	c.Logf("%d tuples %v, %d of them allowed: %d wrongly allowed, %d wrongly denied", n, ops, granted, allowed, denied)
}

// newCourt enrols everybody at a new site.
func newCourt(t *testing.T, w powers) (*court, *site) {
	s := newSite(t, kioskA, kioskB, revoked)
	s.auth.revoke(revoked)
	other := newSite(t, kioskA)
	now := time.Now()
	foreign := other.kioskTLS(t, kioskA, now)
	foreign.RootCAs = s.ca.Pool()
	c := &court{T: t, powers: w, peers: map[string]*peer{}, configs: map[string]*tls.Config{
		kioskA: s.kioskTLS(t, kioskA, now), kioskB: s.kioskTLS(t, kioskB, now), revoked: s.kioskTLS(t, revoked, now),
		worker: s.workerTLS(t, worker), worker2: s.workerTLS(t, worker2), auditor: s.workerTLS(t, auditor),
		expired: s.kioskTLS(t, kioskA, now.Add(-400*24*time.Hour)), stranger: foreign,
	}}
	for _, config := range c.configs {
		// Resumed handshakes are checked like others, and cost less.
		config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	t.Cleanup(func() {
		for _, p := range c.peers {
			p.conn.Close()
		}
	})
	return c, s
}

func TestTuples(t *testing.T) {
	c, s := newCourt(t, powers{revocation: true, names: true, filters: true, limits: true})
	b := s.start(t, broker.Options{})
	c.addr, c.refused = b.Addr().String(), func() int64 { return b.Stats().RefusedPublish }
	c.try(tuples, 1)
}
