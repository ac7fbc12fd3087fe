package camera

import "bytes"

// MaxFrame is the largest JPEG that is cut out of a stream.
const MaxFrame = 4 << 20

// A Cutter cuts a stream of JPEGs, one after the other with anything between,
// into single ones. It follows the pictures' own structure: the end marker of a
// preview within a picture does not end the picture. It does not unpack them.
//
// After garbage or half a picture it finds a later one: a lie about a length
// can cost it 64 KiB of what follows, and a picture larger than MaxFrame is
// dropped whole. The zero value is ready.
type Cutter struct {
	state   cutState
	buf     []byte // the picture so far
	inScan  bool   // a zero after 0xff is data
	opens   bool   // the segment at hand opens a scan
	left    int    // bytes of the segment still to come
	dropped uint64
}

type cutState int

const (
	hunting  cutState = iota // for 0xff
	starting                 // after 0xff, outside of a picture
	between                  // segments: 0xff is next
	marking                  // after 0xff, inside of a picture
	lengthHigh
	lengthLow
	segment
	scanning // compressed pixels, up to 0xff
)

// Feed takes the next bytes of the stream and calls each with every picture
// that they complete. The picture is valid until each returns.
func (c *Cutter) Feed(p []byte, each func(jpeg []byte)) {
	for len(p) > 0 {
		n := 1 // bytes that belong to this state
		switch c.state {
		case hunting:
			n = bytes.IndexByte(p, 0xff) + 1
			if n == 0 {
				return
			}
			c.state = starting
			p = p[n:]
			continue
		case starting:
			c.start(p[0])
			p = p[n:]
			continue
		case segment:
			n = min(c.left, len(p))
		case scanning:
			n = bytes.IndexByte(p, 0xff) + 1
			if n == 0 {
				n = len(p)
			}
		}
		if len(c.buf)+n > MaxFrame {
			c.drop()
		} else {
			c.buf = append(c.buf, p[:n]...)
			c.follow(p[n-1], n, each)
		}
		p = p[n:]
	}
}

// Dropped returns how many pictures were begun and given up.
func (c *Cutter) Dropped() uint64 { return c.dropped }

func (c *Cutter) start(b byte) {
	switch b {
	case markerSOI:
		c.buf = append(c.buf[:0], 0xff, markerSOI)
		c.state, c.inScan = between, false
	case 0xff:
	default:
		c.state = hunting
	}
}

// follow goes one step on inside of a picture: n bytes were kept, b was the last.
func (c *Cutter) follow(b byte, n int, each func([]byte)) {
	switch c.state {
	case between:
		if b != 0xff {
			c.drop()
			return
		}
		c.state = marking
	case marking:
		c.mark(b, each)
	case lengthHigh:
		c.left = int(b) << 8
		c.state = lengthLow
	case lengthLow:
		c.left += int(b) - 2 // it counts itself
		if c.left < 0 {
			c.drop()
			return
		}
		c.state = segment
		c.endSegment()
	case segment:
		c.left -= n
		c.endSegment()
	case scanning:
		if b == 0xff {
			c.state = marking
		}
	}
}

func (c *Cutter) mark(b byte, each func([]byte)) {
	switch {
	case b == 0xff: // fill
	case b == markerSOI: // the one before was cut off
		c.dropped++
		c.start(b)
	case b == markerEOI:
		each(c.buf)
		c.state = hunting
	case b == 0 && !c.inScan:
		c.drop()
	case b == 0 || b == markerTEM || b >= markerRST && b < markerRST+8:
		c.state = between
		if c.inScan {
			c.state = scanning
		}
	default:
		c.opens, c.inScan = b == markerSOS, false
		c.state = lengthHigh
	}
}

// endSegment goes on to what follows a segment, if it is whole.
func (c *Cutter) endSegment() {
	switch {
	case c.left > 0:
	case c.opens:
		c.state, c.inScan = scanning, true
	default:
		c.state = between
	}
}

func (c *Cutter) drop() {
	c.dropped++
	c.state = hunting
}
