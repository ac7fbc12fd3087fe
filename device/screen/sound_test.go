package screen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/qrgate/qrgate/device/dist"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// The stand-in of an audio device is this program, called with a directory: it
// keeps each file that it is given to play, and plays until it is told to end if
// the file "hold" is there.
const standIn = "QRGATE_STAND_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(standIn); dir != "" {
		play(dir)
		return
	}
	os.Exit(m.Run())
}

func play(dir string) {
	playing := filepath.Join(dir, "playing") // holds who plays
	if b, err := os.ReadFile(playing); err == nil {
		if pid, err := strconv.Atoi(string(b)); err != nil || syscall.Kill(pid, 0) == nil {
			os.WriteFile(filepath.Join(dir, "twice"), nil, 0o600)
		}
	}
	os.WriteFile(playing, []byte(strconv.Itoa(os.Getpid())), 0o600)
	heard, err := io.ReadAll(os.Stdin)
	if err == nil {
		temp := filepath.Join(dir, "temp")
		os.WriteFile(temp, heard, 0o600)
		err = os.Rename(temp, filepath.Join(dir, fmt.Sprintf("%d.heard", time.Now().UnixNano())))
	}
	if _, held := os.Stat(filepath.Join(dir, "hold")); held == nil {
		<-time.After(time.Hour) // it is ended before
	}
	os.Remove(playing)
	if err != nil {
		os.Exit(1)
	}
}

// A loudspeaker is the stand-in's directory.
type loudspeaker struct{ dir string }

func newLoudspeaker(t *testing.T) loudspeaker { return loudspeaker{t.TempDir()} }

func (l loudspeaker) command() []string {
	return []string{"/usr/bin/env", standIn + "=" + l.dir, os.Args[0]}
}

func (l loudspeaker) heard(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(l.dir, "twice")); err == nil {
		t.Error("two sounds were played at once")
	}
	all, err := filepath.Glob(filepath.Join(l.dir, "*.heard"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// await returns what was played once n files were.
func (l loudspeaker) await(t *testing.T, n int) screen.Clip {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(2 * time.Millisecond) {
		all := l.heard(t)
		if len(all) >= n {
			b, err := os.ReadFile(all[n-1])
			if err != nil {
				t.Fatal(err)
			}
			c, err := screen.ParseWAV(b)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sounds in a minute, want %d", len(all), n)
		}
	}
}

func runSound(t *testing.T, o screen.SoundOptions) *screen.Sound {
	t.Helper()
	s := screen.NewSound(o, quietLog)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

func own(t *testing.T, line string) screen.Clip {
	t.Helper()
	b, err := fs.ReadFile(dist.Voices(), line+".wav")
	if err != nil {
		t.Fatal(err)
	}
	c, err := screen.ParseWAV(b)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return c
}

func endsWith(c, end screen.Clip) bool {
	return len(c) > len(end) && slices.Equal(c[len(c)-len(end):], end)
}

// Whatever the door decides, there is a tone of its rhythm and a voice that says
// what the screen says.
func TestEveryOutcomeIsHeard(t *testing.T) {
	speaker := newLoudspeaker(t)
	s := runSound(t, screen.SoundOptions{Command: speaker.command(), Volume: 100})
	heard := 0
	for name, a := range answers() {
		line := screen.Line(a)
		s.Show(a)
		if a.State == words.Ready || a.State == words.Reading || a.State == words.Starting {
			if line != "" {
				t.Errorf("%s says %s", name, line)
			}
			continue
		}
		heard++
		got := speaker.await(t, heard)
		if _, err := fs.Stat(dist.Voices(), line+".wav"); err != nil {
			switch a.Reason { // these are never refusals, but states of their own
			case wire.ReasonFull, wire.ReasonWrongLane, wire.ReasonDisk, wire.ReasonSpace, wire.ReasonLocked:
				line = "refused"
			default:
				t.Errorf("%s has no voice %s.wav", name, line)
				continue
			}
		}
		voice := own(t, line)
		if !endsWith(got, voice) {
			t.Errorf("%s: what was heard does not end with %s.wav", name, line)
			continue
		}
		if tone := got[:len(got)-len(voice)]; silent(tone) {
			t.Errorf("%s: no tone before the voice", name)
		}
	}
}

func silent(c screen.Clip) bool {
	return !slices.ContainsFunc(c, func(s int16) bool { return s > 1000 })
}

// The voice says the words of the screen. After a change of words voices.sh
// renders it again.
func TestVoicesSayTheWordsOfTheScreen(t *testing.T) {
	b, err := fs.ReadFile(dist.Voices(), "LINES.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ".wav = ")
		lines[name] = text
	}
	said := map[string]bool{}
	for n := 1; n <= kiosk.MaxCompanions; n++ {
		said[fmt.Sprintf("brought.%d", n)] = true
	}
	for name, a := range answers() {
		line := screen.Line(a)
		text, ok := lines[line]
		if !ok {
			continue // TestEveryOutcomeIsHeard says whether that is right
		}
		said[line] = true
		w := screen.Words(words.Vietnamese, a)
		want := w.Head + ". " + w.Do
		if a.Test || a.Brought > 0 {
			want = w.Do
		}
		if text != want {
			t.Errorf("%s: the screen says %q, %s.wav says %q: run device/dist/voices.sh", name, want, line, text)
		}
	}
	var size int
	files, err := fs.Glob(dist.Voices(), "*.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".wav")
		size += len(own(t, name))
		if !said[name] {
			t.Errorf("nothing says %s", f)
		}
	}
	if size > 2_050_000 {
		t.Errorf("the voices are %d bytes, want at most 2,050,000", size)
	}
}

// Rhythms differ so much that somebody who hears no pitch tells one from another.
func TestTonesDifferInRhythm(t *testing.T) {
	speaker := newLoudspeaker(t)
	s := runSound(t, screen.SoundOptions{
		Command: speaker.command(), Volume: 100, Quiet: screen.Hours{From: 0, To: 24 * time.Hour}, InQuiet: screen.QuietTone,
		Now: func() (time.Time, bool) { return time.Now(), true },
	})
	rhythms := map[string]words.State{}
	heard := 0
	for _, state := range words.States() {
		if state == words.Ready || state == words.Reading || state == words.Starting {
			continue
		}
		s.Show(kiosk.Answer{State: state})
		heard++
		r := onOff(speaker.await(t, heard))
		if other, ok := rhythms[r]; ok {
			t.Errorf("%s and %s have the same rhythm %s", state, other, r)
		}
		rhythms[r] = state
	}
}

// onOff writes a tone as # and . for each 20 ms.
func onOff(c screen.Clip) string {
	var b strings.Builder
	for part := range slices.Chunk(c, screen.Rate/50) {
		if silent(part) {
			b.WriteByte('.')
		} else {
			b.WriteByte('#')
		}
	}
	return b.String()
}

func TestNewOutcomeCutsTheOld(t *testing.T) {
	speaker := newLoudspeaker(t)
	if err := os.WriteFile(filepath.Join(speaker.dir, "hold"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := runSound(t, screen.SoundOptions{Command: speaker.command(), Volume: 100})
	for i, state := range []words.State{words.Admitted, words.Refused, words.Again} {
		s.Show(kiosk.Answer{State: state})
		if got := speaker.await(t, i+1); !endsWith(got, own(t, string(state))) {
			t.Errorf("%s is not what was heard", state)
		}
	}
}

func TestVolumeAndQuietHours(t *testing.T) {
	night := func() (time.Time, bool) { return time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC), true }
	unsure := func() (time.Time, bool) { now, _ := night(); return now, false }
	hours, err := screen.ParseHours("22:00-06:00")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		o           screen.SoundOptions
		tone, voice bool
	}{
		{"day", screen.SoundOptions{Volume: 100}, true, true},
		{"silent", screen.SoundOptions{Volume: 0}, false, false},
		{"night", screen.SoundOptions{Volume: 100, Quiet: hours, InQuiet: screen.QuietTone, Now: night}, true, false},
		{"night without a sound", screen.SoundOptions{Volume: 100, Quiet: hours, InQuiet: screen.QuietNothing, Now: night}, false, false},
		{"a clock that nobody vouches for", screen.SoundOptions{Volume: 100, Quiet: hours, InQuiet: screen.QuietNothing, Now: unsure}, true, true},
	} {
		speaker := newLoudspeaker(t)
		tt.o.Command = speaker.command()
		s := runSound(t, tt.o)
		s.Show(kiosk.Answer{State: words.Admitted})
		if !tt.tone {
			// What is heard next would be heard after it.
			tt.o.Volume, tt.o.Quiet = 100, screen.Hours{}
			runSound(t, tt.o).Show(kiosk.Answer{State: words.Locked})
			if got := speaker.await(t, 1); !endsWith(got, own(t, "locked")) {
				t.Errorf("%s: something was heard", tt.name)
			}
			continue
		}
		if got := speaker.await(t, 1); silent(got) || endsWith(got, own(t, "admitted")) != tt.voice {
			t.Errorf("%s: voice = %v, want %v", tt.name, !tt.voice, tt.voice)
		}
	}
	loud, soft := newLoudspeaker(t), newLoudspeaker(t)
	runSound(t, screen.SoundOptions{Command: loud.command(), Volume: 100}).Show(kiosk.Answer{State: words.Admitted})
	runSound(t, screen.SoundOptions{Command: soft.command(), Volume: 50}).Show(kiosk.Answer{State: words.Admitted})
	if a, b := slices.Max(loud.await(t, 1)), slices.Max(soft.await(t, 1)); b >= a/2 || b < a/8 {
		t.Errorf("full volume reaches %d, half %d", a, b)
	}
}

func TestRecordingsTakeThePlaceOfTheOwnVoice(t *testing.T) {
	mine := screen.Tone([]time.Duration{time.Second}, []float64{500})
	speaker := newLoudspeaker(t)
	s := runSound(t, screen.SoundOptions{Command: speaker.command(), Volume: 100, Recordings: fstest.MapFS{
		"admitted.wav": {Data: mine.WAV()},
		"again.wav":    {Data: []byte("ID3 an MP3")},
	}})
	for i, tt := range []struct {
		state words.State
		want  screen.Clip
	}{{words.Admitted, mine}, {words.Again, own(t, "again")}, {words.Refused, own(t, "refused")}} {
		s.Show(kiosk.Answer{State: tt.state})
		if got := speaker.await(t, i+1); !endsWith(got, tt.want) {
			t.Errorf("%s: another voice was heard", tt.state)
		}
	}
}

func TestNoAudioDeviceStopsNothing(t *testing.T) {
	s := runSound(t, screen.SoundOptions{Command: []string{"/no/such/player"}, Volume: 100})
	for range 3 {
		s.Show(kiosk.Answer{State: words.Admitted})
	}
}

func TestHours(t *testing.T) {
	for _, tt := range []struct {
		hours, in, out string
	}{
		{"22:00-06:00", "22:00 23:59 00:00 05:59", "06:00 12:00 21:59"},
		{"12:00-13:30", "12:00 13:29", "13:30 11:59 00:00"},
		{"", "", "00:00 12:00"},
	} {
		h, err := screen.ParseHours(tt.hours)
		if err != nil {
			t.Fatal(err)
		}
		for want, times := range map[bool]string{true: tt.in, false: tt.out} {
			for _, text := range strings.Fields(times) {
				at, err := time.Parse("15:04", text)
				if err != nil {
					t.Fatal(err)
				}
				if h.Holds(at) != want {
					t.Errorf("%q holds %s = %v, want %v", tt.hours, text, !want, want)
				}
			}
		}
	}
	for _, bad := range []string{"22-06", "22:00-25:00", "22:00-22:00", "22:00 06:00", "8:00-9:00"} {
		if _, err := screen.ParseHours(bad); err == nil {
			t.Errorf("ParseHours(%q) succeeded", bad)
		}
	}
}

func FuzzParseWAV(f *testing.F) {
	f.Add(screen.Tone([]time.Duration{20 * time.Millisecond}, []float64{400}).WAV())
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x80\x3e\x00\x00\x01\x00\x08\x00LIST\x03\x00\x00\x00abc\x00data\xff\xff\xff\xff\x80\x90"))
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEdata\x01\x00\x00\x00\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := screen.ParseWAV(b)
		if err != nil {
			if !errors.Is(err, screen.ErrSound) {
				t.Errorf("ParseWAV = %v, want ErrSound", err)
			}
			return
		}
		again, err := screen.ParseWAV(c.WAV())
		if err != nil || !slices.Equal(c, again) {
			t.Errorf("a clip does not survive its own file: %v", err)
		}
	})
}

func TestFilesThatAreNoRecordings(t *testing.T) {
	good := screen.Tone([]time.Duration{20 * time.Millisecond}, []float64{400}).WAV()
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"stereo": change(22, 2), "MP3 in WAV": change(20, 0x55), "44.1 kHz": change(24, 0x44), "24 bits": change(34, 24),
		"no header": good[:20], "no data": good[:36], "no RIFF": change(0, 'X'),
		"a minute": make(screen.Clip, 60*screen.Rate).WAV(),
	} {
		if _, err := screen.ParseWAV(b); !errors.Is(err, screen.ErrSound) {
			t.Errorf("%s: %v, want ErrSound", name, err)
		}
	}
}
