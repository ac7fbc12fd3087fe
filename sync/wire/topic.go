package wire

import (
	"fmt"
	"regexp"
	"strings"
)

const topicRoot = "qrgate/v1/"

// A Channel is the last part of a topic: what a message is.
type Channel string

// The channels of a kiosk. Up is from kiosk to server.
const (
	UpBatch     Channel = "up/batch"
	UpBeat      Channel = "up/beat"
	UpResult    Channel = "up/result"
	Status      Channel = "status" // retained; the kiosk's last will
	DownReceipt Channel = "down/receipt"
	DownBeat    Channel = "down/beat"
	DownConfig  Channel = "down/config" // retained
	DownKeys    Channel = "down/keys"   // retained
	DownList    Channel = "down/list"
	DownEvent   Channel = "down/event"
	DownOrder   Channel = "down/order"
)

var channels = map[Channel]struct{ up bool }{
	UpBatch: {true}, UpBeat: {true}, UpResult: {true}, Status: {true},
	DownReceipt: {}, DownBeat: {}, DownConfig: {}, DownKeys: {}, DownList: {}, DownEvent: {}, DownOrder: {},
}

// Up reports whether a kiosk publishes on c; on the others the server does.
func (c Channel) Up() bool { return channels[c].up }

var kioskID = regexp.MustCompile(`^[a-z0-9-]{8,40}$`)

// ValidKiosk reports whether id may name a kiosk: 8 to 40 of a-z, 0-9 and
// hyphen, so that no id can carry a topic wildcard or separator.
func ValidKiosk(id string) bool { return kioskID.MatchString(id) }

// Topic returns the topic of one kiosk's channel.
func Topic(kiosk string, c Channel) string { return topicRoot + kiosk + "/" + string(c) }

// DownFilter returns the one wildcard that a kiosk may subscribe to: all that is told
// to it.
func DownFilter(kiosk string) string { return topicRoot + kiosk + "/down/#" }

// Filter returns the subscription for one channel of all kiosks. A group name
// makes it a shared subscription, of which each message goes to one member.
func Filter(group string, c Channel) string {
	f := topicRoot + "+/" + string(c)
	if group != "" {
		f = "$share/" + group + "/" + f
	}
	return f
}

// ParseTopic splits a topic into kiosk and channel. It refuses everything that
// [Topic] does not make.
func ParseTopic(topic string) (kiosk string, c Channel, err error) {
	rest, ok := strings.CutPrefix(topic, topicRoot)
	if !ok {
		return "", "", fmt.Errorf("wire: topic %q: not under %s", topic, topicRoot)
	}
	kiosk, last, _ := strings.Cut(rest, "/")
	c = Channel(last)
	if _, known := channels[c]; !known || !ValidKiosk(kiosk) {
		return "", "", fmt.Errorf("wire: topic %q: unknown kiosk or channel", topic)
	}
	return kiosk, c, nil
}
