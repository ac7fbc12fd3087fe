package mqttlink

import (
	"fmt"
	"net"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// maxPacket is the largest MQTT packet that is read: the largest payload with
// its topic.
const maxPacket = wire.MaxMessage + 1024

const (
	suback       = 9 // packet type
	subackLength = 3 // packet id and one return code: each SUBSCRIBE of ours has one filter
)

// A guard stands between paho and the network for what paho does not do: it
// refuses a packet by its declared length (paho allocates up to 256 MiB for five
// bytes) and an answer to more subscriptions than were asked for (paho panics),
// and it bounds every write (paho's pings have no deadline, so a peer that stops
// reading would silence the very check for it).
type guard struct {
	net.Conn
	timeout time.Duration

	skip   int // bytes left of the packet whose header has been read
	length int // declared length, while its bytes are read
	shift  int
	inside bool // the packet's first byte has been read, its length not yet
	first  byte
}

func newGuard(c net.Conn, timeout time.Duration) *guard { return &guard{Conn: c, timeout: timeout} }

func (g *guard) Write(b []byte) (int, error) {
	if err := g.SetWriteDeadline(time.Now().Add(g.timeout)); err != nil {
		return 0, err
	}
	return g.Conn.Write(b)
}

func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if bad := g.follow(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// follow reads packet headers as they pass.
func (g *guard) follow(b []byte) error {
	for len(b) > 0 {
		switch {
		case g.skip > 0:
			n := min(g.skip, len(b))
			g.skip -= n
			b = b[n:]
		case !g.inside:
			g.inside, g.first, g.length, g.shift = true, b[0], 0, 0
			b = b[1:]
		default:
			g.length |= int(b[0]&0x7f) << g.shift
			g.shift += 7
			if g.length > maxPacket || g.shift > 28 {
				return fmt.Errorf("mqttlink: broker announces a packet of %d bytes: %w", g.length, wire.ErrTooLarge)
			}
			if b[0] < 0x80 {
				if g.first>>4 == suback && g.length != subackLength {
					return fmt.Errorf("mqttlink: broker answers one subscription in %d bytes: %w", g.length, wire.ErrMalformed)
				}
				g.inside, g.skip = false, g.length
			}
			b = b[1:]
		}
	}
	return nil
}
