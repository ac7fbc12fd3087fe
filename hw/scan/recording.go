package scan

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// A Recording is what a device sent, with its timing. As text it is a line
// "qrgate-recording 1" and then one line for each read: microseconds since the
// one before, a space, the bytes in hex. Lines that begin with '#' are remarks.
//
// A recording holds whatever people showed to the scanner. It is for the
// workbench: a program makes one only when started with an explicit option,
// which the configuration of a release does not have.
type Recording []Chunk

// A Chunk is one read of a Recording.
type Chunk struct {
	After time.Duration // since the chunk before; microseconds count
	Bytes []byte
}

const (
	recordingHead = "qrgate-recording 1"
	maxPause      = 24 * time.Hour
)

// MarshalText implements encoding.TextMarshaler.
func (r Recording) MarshalText() ([]byte, error) {
	b := []byte(recordingHead + "\n")
	for _, c := range r {
		b = c.append(b)
	}
	return b, nil
}

func (c Chunk) append(b []byte) []byte {
	b = strconv.AppendInt(b, c.After.Microseconds(), 10)
	b = append(b, ' ')
	b = hex.AppendEncode(b, c.Bytes)
	return append(b, '\n')
}

// UnmarshalText implements encoding.TextUnmarshaler. It refuses pauses of more
// than a day.
func (r *Recording) UnmarshalText(text []byte) error {
	var rec Recording
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSuffix(line, []byte("\n"))
		switch {
		case n == 1:
			if string(line) != recordingHead {
				return fmt.Errorf("scan: recording: line 1 is not %q", recordingHead)
			}
			continue
		case len(line) == 0 || line[0] == '#':
			continue
		}
		after, digits, _ := bytes.Cut(line, []byte(" "))
		us, err := strconv.ParseUint(string(after), 10, 63)
		if err != nil || us > uint64(maxPause.Microseconds()) {
			return fmt.Errorf("scan: recording: line %d: pause is not a number of microseconds within a day", n)
		}
		b, err := hex.AppendDecode(nil, digits)
		if err != nil {
			return fmt.Errorf("scan: recording: line %d: %w", n, err)
		}
		rec = append(rec, Chunk{After: time.Duration(us) * time.Microsecond, Bytes: b})
	}
	if n == 0 {
		return fmt.Errorf("scan: recording: line 1 is not %q", recordingHead)
	}
	*r = rec
	return nil
}

// Play writes the recording to w, as a virtual scanner does, with the timing
// of the original. It returns when all is written, or with the error of w or ctx.
func (r Recording) Play(ctx context.Context, w io.Writer) error {
	for _, c := range r {
		if err := wait(ctx, c.After); err != nil {
			return err
		}
		if _, err := w.Write(c.Bytes); err != nil {
			return fmt.Errorf("scan: play: %w", err)
		}
	}
	return nil
}

// wait returns after d, or sooner with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// A Recorder writes what passes through readers as a Recording. It is not safe
// for concurrent use.
type Recorder struct {
	w    io.Writer
	last time.Time // of the newest chunk; zero before the first
	err  error
}

// NewRecorder returns a Recorder that writes to w.
func NewRecorder(w io.Writer) *Recorder {
	r := &Recorder{w: w}
	r.write([]byte(recordingHead + "\n"))
	return r
}

// Tap returns a reader that reads from src and records what it reads. A
// recording that cannot be written never disturbs the reading; see Err.
func (r *Recorder) Tap(src io.Reader) io.Reader { return tap{r, src} }

// Err returns the error that ended the recording, or nil.
func (r *Recorder) Err() error { return r.err }

func (r *Recorder) write(b []byte) {
	if r.err != nil {
		return
	}
	if _, err := r.w.Write(b); err != nil {
		r.err = fmt.Errorf("scan: record: %w", err)
	}
}

type tap struct {
	rec *Recorder
	src io.Reader
}

func (t tap) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	if n > 0 {
		now := time.Now()
		c := Chunk{Bytes: p[:n]}
		if !t.rec.last.IsZero() {
			c.After = min(now.Sub(t.rec.last), maxPause)
		}
		t.rec.last = now
		t.rec.write(c.append(nil))
	}
	return n, err
}

// A Replay is a Source that reads a Recording in place of a device.
type Replay struct {
	name    string
	rest    Recording
	timed   bool
	framer  *Framer
	meter   *Meter
	now     time.Time // on the recording's clock
	waiting []Frame
}

// NewReplay returns a Source called name that frames rec by p. With timed it
// takes as long as the original; otherwise it goes through it at once, and only
// the times of the scans are those of the original.
func NewReplay(name string, rec Recording, p Profile, timed bool) (*Replay, error) {
	framer, err := NewFramer(p)
	if err != nil {
		return nil, err
	}
	return &Replay{name: name, rest: slices.Clone(rec), timed: timed, framer: framer, meter: NewMeter(name)}, nil
}

// Next implements Source. After the last scan it returns io.EOF.
func (r *Replay) Next(ctx context.Context) (Scan, error) {
	if r.now.IsZero() {
		r.now = time.Now()
		r.meter.Plug(r.now)
	}
	for {
		for len(r.waiting) > 0 {
			f := r.waiting[0]
			r.waiting = r.waiting[1:]
			if f.Err != nil {
				r.meter.Drop(f.At, f.Err)
				continue
			}
			r.meter.Scan(f.Text, f.At)
			return Scan{Text: f.Text, At: f.At, Source: r.name, Symbology: f.AIM}, nil
		}
		if len(r.rest) == 0 && !r.framer.Pending() {
			r.meter.Unplug(r.now, io.EOF)
			return Scan{}, io.EOF
		}
		if err := r.step(ctx); err != nil {
			return Scan{}, err
		}
	}
}

// Health implements Checker.
func (r *Replay) Health() Health { return r.meter.Health() }

// step goes on to the next chunk, or to the pause that ends a frame before it.
func (r *Replay) step(ctx context.Context) error {
	gap := r.framer.p.Gap
	pause := r.framer.Pending() && (len(r.rest) == 0 || r.rest[0].After >= gap)
	after := gap
	if !pause {
		after = r.rest[0].After
	}
	if r.timed {
		if err := wait(ctx, after); err != nil {
			return err
		}
	} else if err := ctx.Err(); err != nil {
		return err
	}
	r.now = r.now.Add(after)
	if pause {
		r.waiting = r.framer.Idle(r.now)
		if len(r.rest) > 0 {
			r.rest[0].After -= gap
		}
		return nil
	}
	r.waiting = r.framer.Feed(r.rest[0].Bytes, r.now)
	r.rest = r.rest[1:]
	return nil
}
