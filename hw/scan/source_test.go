package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/scan"
)

func load(t testing.TB, name string) scan.Recording {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var rec scan.Recording
	if err := rec.UnmarshalText(text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rec
}

func TestRecordingsOfScanners(t *testing.T) {
	const (
		cccd = "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân, Thành phố Huế, Thừa Thiên Huế|10052021"
		bhyt = "TE1462012345678|4e677579e1bb856e2056c4836e2041|01/02/2019|1|4875e1babf|46 - 001|01/07/2021|30/06/2022|15/06/2021|04612345678901|-|4|01/07/2026|0123456789abcdef-1234|$"
	)
	// Long codes are compared by their first letters and their length.
	short := func(s string) string {
		if s == cccd || s == bhyt || len(s) < 40 {
			return s
		}
		return fmt.Sprintf("%s+%d", s[:3], len(s)-3)
	}
	const card = "QG1+128"
	tests := []struct {
		file, profile string
		want          []string
		bad           uint64
	}{
		{"uart-9600-cr.rec", "default", []string{card, cccd}, 0},
		{"cdc-crlf.rec", "default", []string{bhyt, cccd}, 0},
		{"cdc-two-in-one.rec", "default", []string{card, bhyt, card}, 0},
		{"stx-etx.rec", "stx-etx", []string{card, bhyt}, 2},
		{"stx-etx.rec", "default", []string{card, bhyt}, 2},
		{"aim.rec", "aim", []string{card, `a\b`, "01089312345678901\x1d21ABC"}, 0},
		{"gm65.rec", "gm65", []string{card, bhyt}, 0},
		{"split.rec", "default", []string{cccd}, 0},
		{"unplugged.rec", "default", []string{card}, 1},
		{"no-suffix.rec", "silence", []string{card, bhyt}, 0},
		{"no-suffix.rec", "default", nil, 2},
		{"wrong-baud.rec", "default", []string{card}, 5},
		{"certificate.rec", "default", []string{"HC1+1701", "Hu\xea"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.file+" as "+tt.profile, func(t *testing.T) {
			for _, timed := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					rec := load(t, tt.file)
					start := time.Now()
					r, err := scan.NewReplay("replay:"+tt.file, rec, profile(t, tt.profile), timed)
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for {
						s, err := r.Next(t.Context())
						if err == io.EOF {
							break
						}
						if err != nil {
							t.Fatalf("Next() error = %v", err)
						}
						got = append(got, short(s.Text))
					}
					if diff := cmp.Diff(tt.want, got); diff != "" {
						t.Errorf("timed %v: scans (-want +got):\n%s", timed, diff)
					}
					if h := r.Health(); h.Bad != tt.bad || h.Scans != uint64(len(tt.want)) {
						t.Errorf("timed %v: Health() = %+v, want %d bad", timed, h, tt.bad)
					}
					var length time.Duration
					for _, c := range rec {
						length += c.After
					}
					if took := time.Since(start); timed && took < length || !timed && took > 0 {
						t.Errorf("timed %v: took %v, the recording lasts %v", timed, took, length)
					}
				})
			}
		})
	}
}

func TestRecordAndPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := load(t, "gm65.rec")
		pr, pw := io.Pipe()
		var played sync.WaitGroup
		played.Go(func() {
			if err := rec.Play(t.Context(), pw); err != nil {
				t.Errorf("Play() = %v", err)
			}
			pw.Close()
		})
		var text bytes.Buffer
		recorder := scan.NewRecorder(&text)
		if _, err := io.Copy(io.Discard, recorder.Tap(pr)); err != nil {
			t.Fatal(err)
		}
		played.Wait()
		var again scan.Recording
		if err := again.UnmarshalText(text.Bytes()); err != nil {
			t.Fatalf("UnmarshalText of what was recorded: %v", err)
		}
		if diff := cmp.Diff(rec, again); diff != "" {
			t.Errorf("recorded (-played +recorded):\n%s", diff)
		}
	})
}

func TestRecorderNeverDisturbsReading(t *testing.T) {
	full := errors.New("disk full")
	recorder := scan.NewRecorder(failingWriter{full})
	got, err := io.ReadAll(iotest.OneByteReader(recorder.Tap(strings.NewReader("one\r"))))
	if string(got) != "one\r" || err != nil {
		t.Errorf("reading = %q, %v; want %q, nil", got, err, "one\r")
	}
	if !errors.Is(recorder.Err(), full) {
		t.Errorf("Err() = %v, want %v", recorder.Err(), full)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rec := scan.Recording{{After: time.Hour, Bytes: []byte("x")}}
		if err := rec.Play(ctx, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Play() = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func FuzzRecording(f *testing.F) {
	f.Add([]byte("qrgate-recording 1\n0 6f6e65\n# remark\n\n8333 0d\n"))
	f.Add([]byte("qrgate-recording 1\n-1 00\n"))
	f.Add([]byte("qrgate-recording 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var rec, again scan.Recording
		if rec.UnmarshalText(text) != nil {
			return
		}
		out, err := rec.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText(out); err != nil {
			t.Fatalf("UnmarshalText(MarshalText()) = %v for %q", err, out)
		}
		if diff := cmp.Diff(rec, again); diff != "" {
			t.Errorf("round trip of %q:\n%s", text, diff)
		}
	})
}

// A wire is a Line in memory whose reads take as long as those of a device.
type wire struct {
	bytes chan []byte
	gone  chan error

	mu    sync.Mutex
	wrote []byte
}

func newWire() *wire { return &wire{bytes: make(chan []byte, 16), gone: make(chan error, 1)} }

func (w *wire) Read(p []byte) (int, error) {
	select {
	case b := <-w.bytes:
		return copy(p, b), nil
	default:
	}
	select {
	case b := <-w.bytes:
		return copy(p, b), nil
	case err := <-w.gone:
		return 0, err
	case <-time.After(100 * time.Millisecond):
		return 0, nil
	}
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = append(w.wrote, p...)
	return len(p), nil
}

func (w *wire) written() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.wrote)
}

func (w *wire) Close() error { return nil }

// A socket is where wires are plugged in.
type socket struct {
	mu   sync.Mutex
	wire *wire
	fail error
}

func (s *socket) plug(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire = w
}

func (s *socket) dial() (scan.Line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil {
		return nil, s.fail
	}
	return s.wire, nil
}

// run reads src in a goroutine that ends with the test, and returns its scans.
func run(t *testing.T, src scan.Source) <-chan scan.Scan {
	ctx, cancel := context.WithCancel(t.Context())
	scans := make(chan scan.Scan, 100)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			s, err := src.Next(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				t.Errorf("Next() error = %v", err)
				return
			}
			scans <- s
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return scans
}

func TestStreamUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		sock := &socket{fail: errors.New("no such device")}
		s, err := scan.NewStream("serial:x", sock.dial, scan.Profile{}, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		scans := run(t, s)
		time.Sleep(time.Minute)
		if h := s.Health(); h.Present || h.LastError != "no such device" || h.Unplugs != 0 {
			t.Errorf("before the scanner is plugged in: Health() = %+v", h)
		}

		w := newWire()
		sock.plug(w)
		time.Sleep(3 * time.Second)
		if h := s.Health(); !h.Present || h.Faulty() || h.LastError != "" {
			t.Errorf("3 s after plugging in: Health() = %+v", h)
		}
		w.bytes <- []byte("one\rfragm")
		want := scan.Scan{Text: "one", Source: "serial:x", At: time.Now()}
		if diff := cmp.Diff(want, <-scans); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}

		sock.plug(nil)
		w.gone <- errors.New("input/output error")
		time.Sleep(10 * time.Second)
		if h := s.Health(); h.Present || h.Unplugs != 1 || h.Bad != 1 || h.BadShare != 0.5 {
			t.Errorf("after unplugging amid a code: Health() = %+v", h)
		}

		w = newWire()
		sock.plug(w)
		w.bytes <- []byte("ent\rtwo\r") // the tail is a frame of its own: it cannot be told
		for _, want := range []string{"ent", "two"} {
			if got := <-scans; got.Text != want {
				t.Errorf("scan after plugging in again = %q, want %q", got.Text, want)
			}
		}
		// Absent, ready, unplugged and absent, ready: once each, not once an attempt.
		synctest.Wait()
		if got := strings.Count(logged.String(), "\n"); got != 5 {
			t.Errorf("log has %d lines, want 5:\n%s", got, &logged)
		}
	})
}

func TestStreamWithALoosePlugIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		dials := 0
		dial := func() (scan.Line, error) {
			dials++
			if dials%3 == 0 {
				return nil, errors.New("no such device")
			}
			w := newWire()
			w.gone <- errors.New("input/output error")
			return w, nil
		}
		s, err := scan.NewStream("serial:x", dial, scan.Profile{}, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		run(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Count(logged.String(), "\n"); got != 2 {
			t.Errorf("log has %d lines, want one for each reason:\n%s", got, &logged)
		}
		if dials > 50 {
			t.Errorf("%d dials in a minute, want one in 1.5 s or so", dials)
		}
		if h := s.Health(); h.Unplugs < 10 {
			t.Errorf("Health() = %+v, want many unplugs", h)
		}
	})
}

func TestStreamFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		sock := &socket{wire: w}
		s, err := scan.NewStream("serial:x", sock.dial, profile(t, "gm65"), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		scans := run(t, s)
		check := func(when string, silent, stuck, babbling bool) {
			t.Helper()
			synctest.Wait()
			if h := s.Health(); h.Silent != silent || h.Stuck != stuck || h.Babbling != babbling {
				t.Errorf("%s: Health() = %+v, want silent %v, stuck %v, babbling %v", when, h, silent, stuck, babbling)
			}
		}
		send := func(b string) { w.bytes <- []byte(b); time.Sleep(50 * time.Millisecond) }

		time.Sleep(15 * time.Second)
		check("no answer to probes", true, false, false)
		if ask := "\x7e\x00\x07\x01\x00\x2a\x02\xd8\x0f"; w.written() != ask+ask+ask {
			t.Errorf("wrote %q, want three times %q", w.written(), ask)
		}
		send("\x02\x00\x00\x02\x39\x01\xc1\x4c")
		check("an answer", false, false, false)

		for range 25 {
			send("same\r")
			<-scans
			time.Sleep(450 * time.Millisecond)
		}
		check("the same code for 12 s", false, true, false)
		send("other\r")
		<-scans
		check("another code", false, false, false)

		for range 30 {
			send(strings.Repeat("x", 1000))
		}
		check("no end of a code", false, false, true)
		send("\rgood\r")
		<-scans
		check("a good code", false, false, false)

		for range 5 {
			send("\x00\r")
		}
		check("five bad frames", false, false, true)
		time.Sleep(6 * time.Second)
		check("and then peace", false, false, false)
		if h := s.Health(); h.Bad != 6 {
			t.Errorf("Health() = %+v, want 6 bad", h)
		}
	})
}

func TestStreamClose(t *testing.T) {
	w := newWire()
	s, err := scan.NewStream("serial:x", (&socket{wire: w}).dial, scan.Profile{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.bytes <- []byte("one\rfragm")
	if got, err := s.Next(t.Context()); got.Text != "one" || err != nil {
		t.Errorf("Next() = %+v, %v; want one", got, err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if h := s.Health(); h.Present || h.Bad != 1 {
		t.Errorf("Health() after Close = %+v, want absent, 1 bad", h)
	}
	w.bytes <- []byte("two\r")
	if got, err := s.Next(t.Context()); got.Text != "two" || err != nil {
		t.Errorf("Next() after Close = %+v, %v; want two", got, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := newWire()
		stream, err := scan.NewStream("serial:door", (&socket{wire: door}).dial, scan.Profile{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		replay, err := scan.NewReplay("replay", load(t, "split.rec"), scan.Profile{}, true)
		if err != nil {
			t.Fatal(err)
		}
		group := scan.Many(stream, replay)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := group.Run(ctx); err != nil {
				t.Errorf("Run() = %v, want nil at the end of ctx", err)
			}
		})

		for _, want := range []string{"serial:door", "replay", "serial:door"} {
			if want == "serial:door" {
				door.bytes <- []byte("one\r")
			}
			s, err := group.Next(ctx)
			if err != nil || s.Source != want {
				t.Errorf("Next() = %+v, %v; want one of %s", s, err, want)
			}
		}
		time.Sleep(time.Second)
		h := group.Health()
		if len(h) != 2 || !h[0].Present || h[1].Present || h[1].LastError != "EOF" {
			t.Errorf("Health() = %+v, want the first present and the second ended by EOF", h)
		}

		cancel()
		running.Wait()
		if _, err := group.Next(context.Background()); err == nil {
			t.Error("Next() after Run = nil error")
		}
	})
}

func TestManyOfWhichAllEnd(t *testing.T) {
	a, _ := scan.NewReplay("a", nil, scan.Profile{}, false)
	b, _ := scan.NewReplay("b", nil, scan.Profile{}, false)
	group := scan.Many(a, b)
	if err := group.Run(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Run() = %v, want io.EOF", err)
	}
	if _, err := group.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Next() = %v, want io.EOF", err)
	}
}

func TestManyOfNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := scan.Many().Run(ctx); err != nil || ctx.Err() == nil {
			t.Errorf("Run() = %v before the end of ctx, want nil at its end", err)
		}
	})
}

func TestRepeats(t *testing.T) {
	r := scan.NewRepeats(0)
	sec := time.Second
	steps := []struct {
		at   time.Duration
		text string
		ago  time.Duration
		seen bool
	}{
		{0 * sec, "a", 0, false},
		{3 * sec, "a", 3 * sec, true},
		{6 * sec, "a", 3 * sec, true}, // still in view: the window starts again
		{7 * sec, "b", 0, false},
		{9 * sec, "a", 3 * sec, true},
		{13 * sec, "a", 0, false},
		{13 * sec, "b", 0, false},
		{13 * sec, "b", 0, true},
	}
	for _, s := range steps {
		ago, seen := r.Seen(s.text, epoch.Add(s.at))
		if ago != s.ago || seen != s.seen {
			t.Errorf("Seen(%q) after %v = %v, %v; want %v, %v", s.text, s.at, ago, seen, s.ago, s.seen)
		}
	}
	r.Forget("b")
	if _, seen := r.Seen("b", epoch.Add(14*sec)); seen {
		t.Error(`Seen("b") after Forget("b") = true`)
	}
}

func TestRepeatsForgetsTheOldestFirst(t *testing.T) {
	r := scan.NewRepeats(time.Hour)
	for i := range 1000 {
		if _, seen := r.Seen(fmt.Sprint(i), epoch.Add(time.Duration(i)*time.Millisecond)); seen {
			t.Fatalf("Seen(%d) = true for a new text", i)
		}
	}
	// The newest 256 are 744 to 999. Asking for one that is gone pushes another out, so it comes last.
	for _, text := range []string{"999", "744", "743"} {
		want := text != "743"
		if _, seen := r.Seen(text, epoch.Add(time.Minute)); seen != want {
			t.Errorf("Seen(%s) of 1000 texts = %v, want %v", text, seen, want)
		}
	}
}
