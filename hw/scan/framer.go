package scan

import (
	"strings"
	"time"
)

// A Frame is one code, or the reason why there is none.
type Frame struct {
	Text string    // empty when Err is set
	AIM  string    // AIM identifier without ']', if the profile strips it
	At   time.Time // of the read that ended the frame
	Err  error     // one of the Err values of this package, else nil
}

// A Framer cuts a stream of bytes into frames. Where reads begin and end does
// not matter. It is not safe for concurrent use.
type Framer struct {
	p        Profile
	frames   []Frame   // made by the call under way
	text     []byte    // of the frame under way, with its prefix
	size     int       // bytes of the frame under way, also those not kept
	open     bool      // a byte of a frame has been seen
	overlong bool      // the frame under way is too long and has been reported
	bad      error     // why the frame under way is lost; the rest of it is dropped
	answer   []byte    // a device answer under way, from its STX
	last     time.Time // of the newest byte
}

// staleGaps is how many gaps after its last byte an unfinished frame is given
// up by Feed itself. It is far more than one, because a loaded machine may
// read late what arrived in time; only Idle knows that the line was silent.
const staleGaps = 10

// NewFramer returns a Framer for p, or what Check finds wrong with it.
func NewFramer(p Profile) (*Framer, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &Framer{p: p.withDefaults()}, nil
}

// Feed takes bytes that were read at now and returns the frames that they end.
// The result is valid until the next call.
func (f *Framer) Feed(b []byte, now time.Time) []Frame {
	f.frames = f.frames[:0]
	if len(b) == 0 {
		return f.frames
	}
	if f.Pending() && now.Sub(f.last) >= staleGaps*f.p.Gap {
		f.silence(now)
	}
	f.last = now
	for _, c := range b {
		f.feed(c, now)
	}
	return f.frames
}

// Idle tells the Framer that a read has ended without a byte, and returns the
// frame that the pause ends. The result is valid until the next call.
func (f *Framer) Idle(now time.Time) []Frame {
	f.frames = f.frames[:0]
	if f.Pending() && now.Sub(f.last) >= f.p.Gap {
		f.silence(now)
	}
	return f.frames
}

// Drop gives up the frame under way, because the line is gone or bytes were
// lost, and returns it as a bad frame. The result is valid until the next call.
func (f *Framer) Drop(now time.Time) []Frame {
	f.frames = f.frames[:0]
	f.lose(ErrUnterminated, now)
	return f.frames
}

// Pending reports whether a frame is under way.
func (f *Framer) Pending() bool { return f.open || len(f.answer) > 0 }

// Overlong reports whether the frame under way has exceeded MaxBytes. It has
// then been returned as bad, and is dropped up to its end.
func (f *Framer) Overlong() bool { return f.overlong }

func (f *Framer) feed(c byte, now time.Time) {
	switch {
	case len(f.answer) > 0:
		f.feedAnswer(c, now)
	case c == stx && f.p.Answers:
		f.answer = append(f.answer, c)
	case c == stx:
		f.start(now)
	case f.p.Ends.has(c):
		f.end(now)
	default:
		f.put(c, now)
	}
}

// start begins a frame at an STX. No code contains one: what came before has
// lost its end.
func (f *Framer) start(now time.Time) {
	f.lose(ErrUnterminated, now)
	if f.p.Prefix != "" && f.p.Prefix[0] == stx {
		f.put(stx, now)
	}
}

func (f *Framer) put(c byte, now time.Time) {
	if !f.open && (c == '\r' || c == '\n' || c == '\t') {
		return // the rest of a longer suffix
	}
	f.open = true
	if f.overlong {
		return
	}
	if f.size++; f.size > len(f.p.Prefix)+f.p.MaxBytes {
		// Said at once, because the end of such a stream may never come.
		f.overlong = true
		f.spoil(ErrTooLong)
		f.frames = append(f.frames, Frame{At: now, Err: f.bad})
		return
	}
	switch n := len(f.text); {
	case f.bad != nil:
	case n < len(f.p.Prefix) && c != f.p.Prefix[n]:
		f.spoil(ErrPrefix)
	case n >= len(f.p.Prefix) && !textByte(c):
		f.spoil(ErrControl)
	default:
		f.text = append(f.text, c)
	}
}

// spoil marks the frame under way as lost; the first reason stays.
func (f *Framer) spoil(err error) {
	f.open = true
	if f.bad == nil {
		f.bad = err
	}
}

// end delivers the frame under way. An empty one is no frame: it is the LF
// after a CR, or a scanner's sign of life.
func (f *Framer) end(now time.Time) {
	if !f.open {
		return
	}
	n := len(f.p.Prefix)
	if len(f.text) < n {
		f.spoil(ErrPrefix)
	}
	fr := Frame{At: now, Err: f.bad}
	if f.bad == nil {
		fr.Text = string(f.text[n:])
		if f.p.StripAIM {
			fr.AIM, fr.Text = splitAIM(fr.Text)
		}
	}
	if fr.Text != "" || f.bad != nil && !f.overlong {
		f.frames = append(f.frames, fr)
	}
	f.text, f.size, f.open, f.overlong, f.bad = f.text[:0], 0, false, false, nil
}

// lose ends whatever is under way as a bad frame.
func (f *Framer) lose(why error, now time.Time) {
	if !f.Pending() {
		return
	}
	f.answer = f.answer[:0]
	f.spoil(why)
	f.end(now)
}

func (f *Framer) silence(now time.Time) {
	switch {
	case len(f.answer) > 0:
		f.lose(ErrAnswer, now)
	case f.p.Ends&EndSilence != 0:
		f.end(now)
	default:
		f.lose(ErrUnterminated, now)
	}
}

// A device answer is STX 00, type 00, a length, so many bytes, and a CRC-16 of
// all after the first two bytes.
const (
	answerHead = 4
	answerCRC  = 2
)

func (f *Framer) feedAnswer(c byte, now time.Time) {
	n := len(f.answer)
	if n == 1 && c != 0 {
		// A plain STX after all.
		f.answer = f.answer[:0]
		f.start(now)
		f.feed(c, now)
		return
	}
	if n == 2 && c != 0 {
		f.answer = f.answer[:0]
		f.spoil(ErrAnswer)
		f.feed(c, now)
		return
	}
	f.answer = append(f.answer, c)
	if n+1 < answerHead || n+1 < answerHead+int(f.answer[answerHead-1])+answerCRC {
		return
	}
	body, sum := f.answer[2:n-1], uint16(f.answer[n-1])<<8|uint16(f.answer[n])
	if crc16(body) != sum {
		// The length may be what was damaged, and part of a code be swallowed.
		f.spoil(ErrAnswer)
	}
	f.answer = f.answer[:0]
}

// crc16 is the CRC-16 of the modules' manuals: polynomial 0x1021, start 0.
func crc16(b []byte) uint16 {
	var r uint16
	for _, c := range b {
		r ^= uint16(c) << 8
		for range 8 {
			if r&0x8000 != 0 {
				r = r<<1 ^ 0x1021
			} else {
				r <<= 1
			}
		}
	}
	return r
}

// splitAIM takes an AIM identifier off the text. Text without one stays as it is.
func splitAIM(s string) (aim, text string) {
	if len(s) < 3 || s[0] != ']' || !isLetter(s[1]) || !isModifier(s[2]) {
		return "", s
	}
	aim, text = s[1:3], s[3:]
	switch aim {
	case "Q2", "Q4", "Q6": // QR sent with the ECI protocol
		text = undoECI(text)
	}
	return aim, text
}

func isLetter(c byte) bool   { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isModifier(c byte) bool { return isDigit(c) || c >= 'A' && c <= 'C' }

// undoECI undoes the ECI protocol: a doubled backslash is one, and a backslash
// with six digits announces a character set. The announcement is dropped: the
// codes we know are UTF-8, with or without saying so.
func undoECI(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if s[i+1] == '\\' {
				i++
			} else if i+6 < len(s) && allDigits(s[i+1:i+7]) {
				i += 6
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
