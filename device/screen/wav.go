package screen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Rate is the sample rate of everything that is played, in hertz.
const Rate = 16000

// maxClip bounds a recording: nobody at a door listens for longer.
const maxClip = 20 * Rate

// ErrSound is returned for a file that is no recording this program can play.
var ErrSound = errors.New("screen: not a WAV recording of 16 kHz, mono, PCM of 8 or 16 bits")

// A Clip is sound: samples at Rate, mono.
type Clip []int16

// ParseWAV reads a recording: PCM, mono, 16 kHz, 8 or 16 bits, 20 seconds at
// most. The error is ErrSound.
func ParseWAV(b []byte) (Clip, error) {
	bad := func(format string, args ...any) (Clip, error) {
		return nil, fmt.Errorf("%w: %s", ErrSound, fmt.Sprintf(format, args...))
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return bad("no RIFF header")
	}
	bits := 0
	for rest := b[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if id != "data" && size > int64(len(rest)) {
			return bad("chunk %q is cut off", id)
		}
		switch id {
		case "fmt ":
			if size < 16 {
				return bad("format of %d bytes", size)
			}
			format, channels := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:])
			rate := binary.LittleEndian.Uint32(rest[4:])
			bits = int(binary.LittleEndian.Uint16(rest[14:]))
			if format != 1 || channels != 1 || rate != Rate || bits != 8 && bits != 16 {
				return bad("format %d, %d channels, %d Hz, %d bits", format, channels, rate, bits)
			}
		case "data":
			if bits == 0 {
				return bad("data before their format")
			}
			// A program that wrote to a pipe did not know the size.
			return samples(rest[:min(size, int64(len(rest)))], bits)
		}
		rest = rest[min(size+size%2, int64(len(rest))):]
	}
	return bad("no data")
}

func samples(b []byte, bits int) (Clip, error) {
	n := len(b) * 8 / bits
	if n > maxClip {
		return nil, fmt.Errorf("%w: longer than %d seconds", ErrSound, maxClip/Rate)
	}
	c := make(Clip, n)
	for i := range c {
		if bits == 8 {
			c[i] = (int16(b[i]) - 128) << 8
		} else {
			c[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}
	return c, nil
}

// WAV returns the clip as a file of 16 bits.
func (c Clip) WAV() []byte {
	b := make([]byte, 0, 44+2*len(c))
	size := uint32(2 * len(c))
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, 36+size)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1} { // PCM, mono
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, Rate)
	b = binary.LittleEndian.AppendUint32(b, 2*Rate)
	for _, v := range []uint16{2, 16} { // bytes and bits of a sample
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, size)
	for _, s := range c {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// at returns the clip at a volume in percent. Loudness is not heard as a straight
// line: half is a quarter of the samples' height.
func (c Clip) at(volume int) Clip {
	gain := math.Pow(float64(volume)/100, 2)
	out := make(Clip, len(c))
	for i, s := range c {
		out[i] = int16(float64(s) * gain)
	}
	return out
}

func silence(d time.Duration) Clip { return make(Clip, int(d.Seconds()*Rate)) }

// Tone returns beeps of the given rhythm, on and off in turn, each at its pitch in
// hertz; the last pitch goes on.
func Tone(rhythm []time.Duration, pitch []float64) Clip {
	var c Clip
	for i, d := range rhythm {
		if i%2 == 1 || len(pitch) == 0 {
			c = append(c, silence(d)...)
			continue
		}
		c = append(c, beep(d, pitch[min(i/2, len(pitch)-1)])...)
	}
	return c
}

// beep is a tone with the second and third harmonic, by which an old ear or a
// small loudspeaker hears it; it fades in and out, so that it does not click.
func beep(d time.Duration, hertz float64) Clip {
	const fade = Rate / 125
	c := silence(d)
	for i := range c {
		t := 2 * math.Pi * hertz * float64(i) / Rate
		v := .6*math.Sin(t) + .25*math.Sin(2*t) + .15*math.Sin(3*t)
		edge := min(float64(i)/fade, float64(len(c)-1-i)/fade, 1)
		c[i] = int16(.8 * math.MaxInt16 * v * edge)
	}
	return c
}
