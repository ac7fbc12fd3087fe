package broker

import (
	"fmt"
	"strings"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/sync/wire"
)

// A rule is what may happen on one channel. Who publishes on it follows from
// wire.Channel.Up: kiosks on their own, or the server on any kiosk's; the other
// side hears it.
type rule struct {
	channel wire.Channel
	retain  int // largest retained payload in bytes; 0 is none
}

var rules = []rule{
	{wire.UpBatch, 0},
	{wire.UpBeat, 0},
	{wire.UpResult, 0},
	{wire.Status, wire.MaxStatus},
	{wire.DownReceipt, 0},
	{wire.DownBeat, 0},
	{wire.DownConfig, wire.MaxMessage},
	{wire.DownKeys, wire.MaxMessage},
	{wire.DownList, 0},
	{wire.DownEvent, 0},
	{wire.DownOrder, 0},
}

var byChannel = func() map[wire.Channel]rule {
	m := map[wire.Channel]rule{}
	for _, r := range rules {
		m[r.channel] = r
	}
	return m
}()

// allDown is the one wildcard that a kiosk may subscribe to.
const allDown = "down/#"

var topicRoot = strings.TrimSuffix(wire.Topic("", ""), "/")

// split cuts a topic or filter into the kiosk's name and the rest.
func split(topic string) (kiosk, rest string, ok bool) {
	if topic, ok = strings.CutPrefix(topic, topicRoot); !ok {
		return "", "", false
	}
	return strings.Cut(topic, "/")
}

// allowed reports whether a client may publish to (write) or hear a topic, or
// subscribe to a filter.
func allowed(role enrol.Role, id, topic string, write bool) bool {
	if role == enrol.RoleServer && !write {
		if shared, ok := strings.CutPrefix(topic, "$share/"); ok {
			var group string
			if group, topic, _ = strings.Cut(shared, "/"); group == "" {
				return false // no group that MQTT knows
			}
		}
	}
	kiosk, rest, ok := split(topic)
	if !ok {
		return false
	}
	_, known := byChannel[wire.Channel(rest)]
	up := wire.Channel(rest).Up()
	switch role {
	case enrol.RoleKiosk:
		return kiosk == id && (known && up == write || !write && rest == allDown)
	case enrol.RoleServer:
		return known && up == !write && (wire.ValidKiosk(kiosk) || !write && kiosk == "+")
	}
	return false
}

// mayRetain reports whether a message of size bytes may be retained on topic.
func mayRetain(topic string, size int) bool {
	_, rest, _ := split(topic)
	most := byChannel[wire.Channel(rest)].retain
	return most > 0 && size <= most
}

// MosquittoACL returns the same rules as an acl_file for Mosquitto, for the
// named servers (the names given to enrol's LinkTLS). Mosquitto has no rule for
// retaining and none for the size of one topic.
func MosquittoACL(servers ...string) string {
	var b strings.Builder
	b.WriteString("# QRGate. A user's name is the CN of its certificate.\n\n# every kiosk, on its own topics\n")
	line := func(kind, access, kiosk string, c wire.Channel) {
		fmt.Fprintf(&b, "%s %s %s\n", kind, access, wire.Topic(kiosk, c))
	}
	for _, r := range rules {
		if r.channel.Up() {
			line("pattern", "write", "%u", r.channel)
		} else {
			line("pattern", "read", "%u", r.channel)
		}
	}
	for _, s := range servers {
		// What kiosks may do under their own names, servers may not under theirs.
		fmt.Fprintf(&b, "\nuser %s\ntopic deny %s\n", s, wire.Topic(s, "#"))
		for _, r := range rules {
			if r.channel.Up() {
				line("topic", "read", "+", r.channel)
			} else {
				line("topic", "write", "+", r.channel)
			}
		}
	}
	return b.String()
}
