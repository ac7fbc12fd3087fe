package wedge

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// EventSize is the size of a struct input_event on this machine: a time, which
// is two words of the C long, then type, code and value.
const EventSize = int(unsafe.Sizeof(unix.Timeval{})) + 8

// Event types, codes and values of linux/input-event-codes.h.
const (
	evSyn      = 0
	synReport  = 0
	synDropped = 3

	evKey     = 1
	released  = 0
	pressed   = 1
	repeating = 2

	keyTab        = 15
	keyEnter      = 28
	keyLeftCtrl   = 29
	keyLeftShift  = 42
	keyRightShift = 54
	keyLeftAlt    = 56
	keySpace      = 57
	keyCapsLock   = 58
	keyNumLock    = 69
	keyScrollLock = 70
	keyKPEnter    = 96
	keyRightCtrl  = 97
	keyRightAlt   = 100
	keyLeftMeta   = 125
	keyRightMeta  = 126
)

// lost is what the decoder writes for a key that is not part of any code. No
// frame may contain it, so the code under way is dropped and counted.
const lost = 0x00

// stuckRepeats is how many repeats of one key make it stuck: about two seconds.
const stuckRepeats = 60

// A Decoder turns the key events of one keyboard into the bytes that a serial
// scanner would have sent: UTF-8 text, with CR for Enter. It is not safe for
// concurrent use.
type Decoder struct {
	caps      map[uint16]keycap
	eventSize int
	rest      []byte // of an event that was read in part

	down     map[uint16]bool // modifiers
	capsLock bool
	dropped  bool // events are missing up to the next report
	repeats  int

	dead rune // combining mark of a dead key that waits for its letter

	// Alt with keypad digits: a scanner that is set to "ALT mode" types each
	// character so, and some type the bytes of its UTF-8.
	code      rune // number so far
	digits    int
	zero      bool   // it began with a 0
	run       []byte // high bytes typed so, until they can be judged together
	runAsText []rune // what each of them is on its own
}

// NewDecoder returns a Decoder for l. Events are eventSize bytes long; zero
// means EventSize, and 16 reads recordings from a 32-bit machine on any other.
func NewDecoder(l Layout, eventSize int) (*Decoder, error) {
	caps, err := l.keycaps()
	if err != nil {
		return nil, err
	}
	if eventSize == 0 {
		eventSize = EventSize
	}
	return &Decoder{caps: caps, eventSize: eventSize, down: make(map[uint16]bool)}, nil
}

// Feed takes bytes of struct input_event, cut anywhere, and appends to dst the
// text that they type. All of it is valid UTF-8; characters typed as Alt codes
// may come only with the next key, or with Flush.
func (d *Decoder) Feed(dst, events []byte) []byte {
	d.rest = append(d.rest, events...)
	b := d.rest
	for ; len(b) >= d.eventSize; b = b[d.eventSize:] {
		e := b[d.eventSize-8:]
		dst = d.event(dst, binary.NativeEndian.Uint16(e), binary.NativeEndian.Uint16(e[2:]), binary.NativeEndian.Uint32(e[4:]))
	}
	d.rest = append(d.rest[:0], b...)
	return dst
}

// Flush appends what still waits for a further key. It is called after a pause.
func (d *Decoder) Flush(dst []byte) []byte { return d.flushDead(d.flushRun(dst)) }

// Stuck reports whether a key is held down without end.
func (d *Decoder) Stuck() bool { return d.repeats >= stuckRepeats }

func (d *Decoder) event(dst []byte, typ, code uint16, value uint32) []byte {
	switch {
	case typ == evSyn && code == synDropped:
		// The kernel's buffer overflowed. What was typed is unknown, and which
		// modifiers are down.
		clear(d.down)
		d.digits = 0
		d.dropped = true
		return append(d.Flush(dst), lost)
	case typ == evSyn && code == synReport:
		d.dropped = false
		return dst
	case typ != evKey || d.dropped:
		return dst
	}
	switch value {
	case pressed:
		d.repeats = 0
		return d.press(dst, code)
	case released:
		d.repeats = 0
		return d.release(dst, code)
	case repeating:
		// Scanners type each character by a press of its own.
		d.repeats = min(d.repeats+1, stuckRepeats)
	}
	return dst
}

func (d *Decoder) press(dst []byte, code uint16) []byte {
	switch code {
	case keyLeftShift, keyRightShift, keyLeftCtrl, keyRightCtrl, keyRightAlt, keyLeftMeta, keyRightMeta:
		d.down[code] = true
		return dst
	case keyLeftAlt:
		d.down[code] = true
		d.code, d.digits, d.zero = 0, 0, false
		return dst
	case keyCapsLock:
		d.capsLock = !d.capsLock
		return dst
	case keyNumLock, keyScrollLock:
		return dst
	}
	if n := keypadDigit(code); n >= 0 && d.down[keyLeftAlt] {
		d.zero = d.zero || d.digits == 0 && n == 0
		d.digits++
		// More than the largest code point is as good as infinite.
		d.code = min(d.code*10+n, utf8.MaxRune+1)
		return dst
	}
	dst = d.flushRun(dst)
	r := d.typed(code)
	switch {
	case spacing(r) != 0:
		dst = d.flushDead(dst)
		d.dead = r
		return dst
	case d.dead != 0 && r == ' ':
		return d.flushDead(dst)
	case d.dead != 0:
		if s := norm.NFC.String(string([]rune{r, d.dead})); utf8.RuneCountInString(s) == 1 {
			d.dead = 0
			return append(dst, s...)
		}
		dst = d.flushDead(dst)
	}
	return utf8.AppendRune(dst, r)
}

func (d *Decoder) release(dst []byte, code uint16) []byte {
	delete(d.down, code)
	if code != keyLeftAlt || d.digits == 0 {
		return dst
	}
	d.digits = 0
	dst = d.flushDead(dst)
	switch {
	case d.code < utf8.RuneSelf:
		return append(d.flushRun(dst), byte(d.code))
	case d.code > 0xff:
		r := d.code
		if !utf8.ValidRune(r) {
			r = lost
		}
		return utf8.AppendRune(d.flushRun(dst), r)
	}
	r := d.code
	if d.zero {
		r = charmap.Windows1252.DecodeByte(byte(d.code))
	}
	d.run = append(d.run, byte(d.code))
	d.runAsText = append(d.runAsText, r)
	if len(d.run) < 64 {
		return dst
	}
	return d.flushRun(dst) // nothing that we read has so many; memory stays bounded
}

// flushRun appends the high bytes typed as Alt codes: as the UTF-8 that they
// form together, or else each as the character it is on its own.
func (d *Decoder) flushRun(dst []byte) []byte {
	if utf8.Valid(d.run) {
		dst = append(dst, d.run...)
	} else {
		dst = append(dst, string(d.runAsText)...)
	}
	d.run, d.runAsText = d.run[:0], d.runAsText[:0]
	return dst
}

func (d *Decoder) flushDead(dst []byte) []byte {
	if d.dead != 0 {
		dst = utf8.AppendRune(dst, spacing(d.dead))
		d.dead = 0
	}
	return dst
}

// typed returns what the key types with the modifiers that are down.
func (d *Decoder) typed(code uint16) rune {
	ctrl := d.down[keyLeftCtrl] || d.down[keyRightCtrl]
	altGr := d.down[keyRightAlt] || ctrl && d.down[keyLeftAlt] // the same to Windows
	if d.down[keyLeftMeta] || d.down[keyRightMeta] || d.down[keyLeftAlt] && !altGr {
		return lost
	}
	k, ok := d.caps[code]
	if !ok {
		return fixed(code)
	}
	switch shift := d.down[keyLeftShift] || d.down[keyRightShift]; {
	case altGr:
		return k.altGr
	case ctrl:
		return control(k.base)
	case shift != (d.capsLock && k.isLetter()):
		return k.shift
	}
	return k.base
}

// control returns the control character that Ctrl makes of a key: scanners
// send GS as Ctrl+] and CR as Ctrl+M.
func control(base rune) rune {
	if base >= '[' && base <= ']' || base >= 'a' && base <= 'z' {
		return base & 0x1f
	}
	return lost
}

// fixed returns what the keys type that are the same in every layout.
func fixed(code uint16) rune {
	switch code {
	case keyEnter, keyKPEnter:
		return '\r'
	case keyTab:
		return '\t'
	case keySpace:
		return ' '
	case 55:
		return '*'
	case 74:
		return '-'
	case 78:
		return '+'
	case 83:
		return '.'
	case 98:
		return '/'
	}
	if n := keypadDigit(code); n >= 0 {
		return '0' + n
	}
	return lost
}

// keypadDigit returns the digit of a keypad key, or -1. NumLock is taken to be on.
func keypadDigit(code uint16) rune {
	switch {
	case code >= 71 && code <= 73:
		return rune(code) - 71 + 7
	case code >= 75 && code <= 77:
		return rune(code) - 75 + 4
	case code >= 79 && code <= 81:
		return rune(code) - 79 + 1
	case code == 82:
		return 0
	}
	return -1
}
