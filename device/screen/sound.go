package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/device/dist"
	"github.com/qrgate/qrgate/device/kiosk"
)

// A Quiet is what is heard in quiet hours.
type Quiet string

// What may be heard in quiet hours.
const (
	QuietTone    Quiet = "tone"
	QuietNothing Quiet = "nothing"
)

// Hours are a time of each day, from and to since midnight. They go over midnight
// if to is before from; equal are no hours.
type Hours struct{ From, To time.Duration }

// ParseHours reads hours as "22:00-06:00"; "" is none.
func ParseHours(s string) (Hours, error) {
	if s == "" {
		return Hours{}, nil
	}
	var h Hours
	if len(s) == len("22:00-06:00") && s[5] == '-' {
		from, err1 := time.Parse("15:04", s[:5])
		to, err2 := time.Parse("15:04", s[6:])
		h = Hours{sinceMidnight(from), sinceMidnight(to)}
		if err1 == nil && err2 == nil && h.From != h.To {
			return h, nil
		}
	}
	return Hours{}, fmt.Errorf(`screen: hours are written as "22:00-06:00", not %q`, s)
}

func sinceMidnight(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// Holds reports whether t is within the hours.
func (h Hours) Holds(t time.Time) bool {
	d := sinceMidnight(t)
	if h.From <= h.To {
		return d >= h.From && d < h.To
	}
	return d >= h.From || d < h.To
}

// SoundOptions say what is heard.
type SoundOptions struct {
	Command    []string // that plays a WAV file from its standard input until it is ended
	Recordings fs.FS    // NAME.wav, each in place of the program's own voice; may be nil or lack any
	Volume     int      // percent
	Quiet      Hours
	InQuiet    Quiet

	// Now returns the local time, and false if it is not certain: then no hour
	// is quiet. Nil is never certain.
	Now func() (time.Time, bool)
}

// An Audible is what is heard, as far as it changes while a sound runs.
type Audible struct {
	Volume  int // percent
	Quiet   Hours
	InQuiet Quiet
}

// A Sound plays a tone and a voice for each answer, never two at once.
type Sound struct {
	o       SoundOptions
	audible atomic.Pointer[Audible]
	log     *slog.Logger
	own     fs.FS
	next    chan utterance // holds the newest alone
	broken  bool           // playing has failed, and that was said
}

// An utterance is what is heard at once: a tone, and a line that is spoken after it.
type utterance struct {
	tone Clip
	line string // "" is the tone alone
}

// NewSound returns a sound that plays through a command.
func NewSound(o SoundOptions, log *slog.Logger) *Sound {
	s := &Sound{o: o, log: log, own: dist.Voices(), next: make(chan utterance, 1)}
	s.Reconfigure(Audible{o.Volume, o.Quiet, o.InQuiet})
	return s
}

// Reconfigure makes a what is heard from the next answer on.
func (s *Sound) Reconfigure(a Audible) { s.audible.Store(&a) }

// Show implements kiosk.Face. An answer that is heard cuts the one before.
func (s *Sound) Show(a kiosk.Answer) {
	if line := Line(a); line != "" {
		s.Say(Tone(rhythm(a.State), looks[a.State].pitch), line)
	}
}

// Say has a tone and a line heard that are no answer of a door, as at a first start; the
// line is the name of a file without ".wav", and either may be empty. What is heard
// cuts what was before. Only one goroutine at a time may call Show or Say.
func (s *Sound) Say(tone Clip, line string) {
	select { // what was not begun is not begun any more
	case <-s.next:
	default:
	}
	s.next <- utterance{tone, line}
}

// Run plays until ctx ends.
func (s *Sound) Run(ctx context.Context) error {
	var a utterance
	waiting := false
	for {
		if !waiting {
			select {
			case <-ctx.Done():
				return nil
			case a = <-s.next:
			}
		}
		a, waiting = s.play(ctx, a)
	}
}

// play plays until it is over, ctx ends or something else is to be heard, which it
// returns.
func (s *Sound) play(ctx context.Context, a utterance) (next utterance, waiting bool) {
	clip := s.clip(a)
	if len(clip) == 0 || len(s.o.Command) == 0 {
		return a, false
	}
	playing, cut := context.WithCancel(ctx)
	defer cut()
	cmd := exec.CommandContext(playing, s.o.Command[0], s.o.Command[1:]...)
	cmd.Env, cmd.Stdin = environ(), bytes.NewReader(clip.WAV())
	cmd.WaitDelay = time.Second // for a child that holds its pipe
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	select {
	case next = <-s.next:
		waiting = true
		cut()
		<-done
	case err := <-done:
		s.say(ctx, err)
	}
	return next, waiting
}

// say logs once that nothing can be heard, and once that it can again.
func (s *Sound) say(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil || (err != nil) == s.broken:
		return
	case err != nil:
		s.log.Warn("no sound", "command", s.o.Command[0], "err", err)
	default:
		s.log.Info("sound again")
	}
	s.broken = err != nil
}

// pause is between the tone and the voice.
const pause = 120 * time.Millisecond

// clip returns what is heard of an utterance now; nothing is empty.
func (s *Sound) clip(a utterance) Clip {
	is := *s.audible.Load()
	if is.Volume == 0 {
		return nil
	}
	tone, quiet := a.tone, s.quiet(is.Quiet)
	switch {
	case quiet && is.InQuiet == QuietNothing:
		return nil
	case quiet || a.line == "":
		return tone.at(is.Volume)
	}
	voice, err := s.voice(a.line)
	if err != nil {
		// The tone says the most important.
		s.log.Warn("voice cannot be played", "err", err)
		return tone.at(is.Volume)
	}
	return append(append(tone, silence(pause)...), voice...).at(is.Volume)
}

func (s *Sound) quiet(of Hours) bool {
	if s.o.Now == nil || of == (Hours{}) {
		return false
	}
	now, certain := s.o.Now()
	return certain && of.Holds(now)
}

// voice returns the recording of a line: the place's if there is one that can be
// played, else the program's own, else, for a reason of a later release, that of
// any refusal.
func (s *Sound) voice(line string) (Clip, error) {
	var errs []error
	for _, name := range []string{line, "refused"} {
		for _, files := range []fs.FS{s.o.Recordings, s.own} {
			if files == nil {
				continue
			}
			b, err := fs.ReadFile(files, name+".wav")
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			var c Clip
			if err == nil {
				c, err = ParseWAV(b)
			}
			if err == nil {
				return c, nil
			}
			errs = append(errs, fmt.Errorf("%s.wav: %w", name, err))
		}
	}
	return nil, errors.Join(errs...)
}
