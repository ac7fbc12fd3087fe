package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/hw/scan"
)

var epoch = time.Date(2021, 12, 1, 7, 0, 0, 0, time.UTC)

func profile(t testing.TB, name string) scan.Profile {
	t.Helper()
	p, err := scan.ProfileNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func framer(t testing.TB, p scan.Profile) *scan.Framer {
	t.Helper()
	f, err := scan.NewFramer(p)
	if err != nil {
		t.Fatalf("NewFramer(%+v) = %v", p, err)
	}
	return f
}

// brief writes frames as a reader of a failed test wants them.
func brief(frames []scan.Frame) []string {
	var all []string
	for _, f := range frames {
		switch {
		case f.Err != nil:
			all = append(all, "!"+f.Err.Error())
		case f.AIM != "":
			all = append(all, f.AIM+" "+f.Text)
		default:
			all = append(all, f.Text)
		}
	}
	return all
}

func TestFramer(t *testing.T) {
	const (
		long    = "!frame is too long"
		control = "!control character in frame"
		cut     = "!frame without an end"
		prefix  = "!frame without its prefix"
		answer  = "!damaged device answer"
		baud    = "\x02\x00\x00\x02\x39\x01\xc1\x4c"
		written = "\x02\x00\x00\x01\x00\x33\x31"
	)
	tests := []struct {
		name    string
		profile scan.Profile
		in      string // ends with silence
		want    []string
	}{
		{"cr", scan.Profile{}, "one\rtwo\r", []string{"one", "two"}},
		{"lf", scan.Profile{}, "one\ntwo\n", []string{"one", "two"}},
		{"crlf", scan.Profile{}, "one\r\ntwo\r\n", []string{"one", "two"}},
		{"etx", scan.Profile{}, "one\x03two\x03", []string{"one", "two"}},
		{"stx without being asked for", scan.Profile{}, "\x02one\x03\x02two\x03", []string{"one", "two"}},
		{"tab is not an end", scan.Profile{}, "one\ttwo\r", []string{control}},
		{"tab is an end", scan.Profile{Ends: scan.EndTab}, "one\ttwo\t", []string{"one", "two"}},
		{"rest of a longer suffix", scan.Profile{Ends: scan.EndTab}, "one\t\r\ntwo\t\r\n", []string{"one", "two"}},
		{"empty", scan.Profile{}, "\r\r\n\n\x03\x02\x03", nil},
		{"unterminated", scan.Profile{}, "one\rtw", []string{"one", cut}},
		{"silence ends", profile(t, "silence"), "one", []string{"one"}},
		{"silence and suffix", profile(t, "silence"), "one\r\ntwo", []string{"one", "two"}},
		{"bad at silence", profile(t, "silence"), "o\x00ne", []string{control}},
		{"group separator", scan.Profile{}, "0108\x1d21\r", []string{"0108\x1d21"}},
		{"utf-8", scan.Profile{}, "Huế\r", []string{"Huế"}},
		{"latin-1", scan.Profile{}, "Hu\xea\r", []string{"Hu\xea"}},
		{"nul", scan.Profile{}, "a\x00b\rc\r", []string{control, "c"}},
		{"delete", scan.Profile{}, "a\x7fb\rc\r", []string{control, "c"}},
		{"escape", scan.Profile{}, "\x1b[A\rc\r", []string{control, "c"}},
		{"longest", scan.Profile{MaxBytes: 3}, "abc\r", []string{"abc"}},
		{"too long", scan.Profile{MaxBytes: 3}, "abcdefghijkl\rok\r", []string{long, "ok"}},
		{"too long, no end", scan.Profile{MaxBytes: 3}, "abcdefghijkl", []string{long}},
		{"too long after control", scan.Profile{MaxBytes: 3}, "\x00bcdefghijkl\rok\r", []string{control, "ok"}},
		{"too long by prefix", scan.Profile{MaxBytes: 3, Prefix: "~~"}, "~~abc\r~~abcd\r", []string{"abc", long}},
		{"lost etx", scan.Profile{}, "\x02one\x02two\x03", []string{cut, "two"}},
		{"stx ends an overlong frame", scan.Profile{MaxBytes: 3}, "abcdefgh\x02ok\x03", []string{long, "ok"}},
		{"noise outside", profile(t, "stx-etx"), "noise\x02one\x03\r\n\x02two\x03", []string{prefix, "one", "two"}},
		{"prefix", scan.Profile{Prefix: "Q:"}, "Q:one\rtwo\rQ\rQ:\rQ:three\r", []string{"one", prefix, prefix, "three"}},
		{"stx before prefix", scan.Profile{Prefix: "Q:"}, "\x02Q:one\x03", []string{"one"}},
		{"aim kept", scan.Profile{}, "]Q1one\r", []string{"]Q1one"}},
		{"aim", scan.Profile{StripAIM: true}, "]Q1one\r]C0two\r]zCthree\r", []string{"Q1 one", "C0 two", "zC three"}},
		{"no aim", scan.Profile{StripAIM: true}, "one\r]\r]Q\r]1Qx\r]QZx\r", []string{"one", "]", "]Q", "]1Qx", "]QZx"}},
		{"aim alone", scan.Profile{StripAIM: true}, "]Q1\r]Q1one\r", []string{"Q1 one"}},
		{"aim eci", scan.Profile{StripAIM: true}, `]Q2\000026a\\b\` + "\r", []string{`Q2 a\b\`}},
		{"aim eci short", scan.Profile{StripAIM: true}, `]Q2\00002\12345x` + "\r", []string{`Q2 \00002\12345x`}},
		{"aim without eci", scan.Profile{StripAIM: true}, `]Q1a\\b` + "\r", []string{`Q1 a\\b`}},
		{"answer alone", profile(t, "gm65"), written, nil},
		{"answer inside", profile(t, "gm65"), "on" + baud + "e\r" + written + "two\r", []string{"one", "two"}},
		{"answer with ends in it", profile(t, "gm65"), "\x02\x00\x00\x01\x0d\xe2\x9c" + "one\r", []string{"one"}},
		{"answer cut", profile(t, "gm65"), "one\r" + baud[:5], []string{"one", answer}},
		{"answer damaged", profile(t, "gm65"), baud[:7] + "?one\rtwo\r", []string{answer, "two"}},
		{"answer of another type", profile(t, "gm65"), "\x02\x00\x01one\rtwo\r", []string{answer, "two"}},
		{"stx though answers", profile(t, "gm65"), "\x02one\x03", []string{"one"}},
		{"answers not asked for", scan.Profile{}, "on" + written + "e\r", []string{cut, control}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, len(tt.in)} {
				f := framer(t, tt.profile)
				got := brief(feed(f, []byte(tt.in), size))
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("frames of %q in reads of %d bytes (-want +got):\n%s", tt.in, size, diff)
				}
			}
		})
	}
}

// feed feeds in by pieces of size bytes, then silence.
func feed(f *scan.Framer, in []byte, size int) []scan.Frame {
	var all []scan.Frame
	for piece := range slices.Chunk(in, max(size, 1)) {
		all = append(all, f.Feed(piece, epoch)...)
	}
	return append(all, f.Idle(epoch.Add(time.Minute))...)
}

func TestFramerTime(t *testing.T) {
	ms := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

	t.Run("short pause", func(t *testing.T) {
		f := framer(t, scan.Profile{})
		f.Feed([]byte("on"), ms(0))
		if got := f.Idle(ms(299)); len(got) != 0 {
			t.Errorf("Idle after 299 ms = %q, want nothing", brief(got))
		}
		got := f.Feed([]byte("e\r"), ms(350))
		if diff := cmp.Diff([]scan.Frame{{Text: "one", At: ms(350)}}, got); diff != "" {
			t.Errorf("Feed after a pause without Idle (-want +got):\n%s", diff)
		}
	})
	t.Run("long pause", func(t *testing.T) {
		f := framer(t, scan.Profile{})
		f.Feed([]byte("on"), ms(0))
		want := []scan.Frame{{At: ms(300), Err: scan.ErrUnterminated}}
		if diff := cmp.Diff(want, f.Idle(ms(300)), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("Idle after 300 ms (-want +got):\n%s", diff)
		}
		if got := brief(f.Feed([]byte("two\r"), ms(400))); !slices.Equal(got, []string{"two"}) {
			t.Errorf("Feed after the pause = %q, want [two]", got)
		}
	})
	t.Run("two visitors are never joined", func(t *testing.T) {
		// Nobody called Idle: the reader was held up between the two.
		f := framer(t, scan.Profile{})
		f.Feed([]byte("046190001234|19"), ms(0))
		got := brief(f.Feed([]byte("046291005678|\r"), ms(3000)))
		want := []string{"!frame without an end", "046291005678|"}
		if !slices.Equal(got, want) {
			t.Errorf("Feed 3 s after a fragment = %q, want %q", got, want)
		}
	})
	t.Run("drop", func(t *testing.T) {
		f := framer(t, scan.Profile{})
		f.Feed([]byte("frag"), ms(0))
		if got := f.Drop(ms(1)); len(got) != 1 || !errors.Is(got[0].Err, scan.ErrUnterminated) {
			t.Errorf("Drop = %q, want one unterminated frame", brief(got))
		}
		if got := f.Drop(ms(2)); len(got) != 0 {
			t.Errorf("second Drop = %q, want nothing", brief(got))
		}
	})
}

// TestFramerEndlessStream is what a stuck or wrongly wired line sends.
func TestFramerEndlessStream(t *testing.T) {
	for _, c := range []byte{'A', 0x00, 0xff} {
		f := framer(t, scan.Profile{})
		block := bytes.Repeat([]byte{c}, 64<<10)
		bad := 0
		feedAll := func() {
			for range 1 << 8 { // 16 MiB
				bad += len(f.Feed(block, epoch))
			}
		}
		// One allocation each for the text and the frame, once.
		if n := testing.AllocsPerRun(1, feedAll); n > 20 {
			t.Errorf("endless %#02x: %v allocations, want a handful", c, n)
		}
		if bad != 1 || !f.Overlong() {
			t.Errorf("endless %#02x: %d bad frames, overlong %v; want 1, true", c, bad, f.Overlong())
		}
		got := brief(f.Feed([]byte("\rone\r"), epoch))
		if !slices.Equal(got, []string{"one"}) || f.Overlong() {
			t.Errorf("after endless %#02x: frames %q, overlong %v; want [one], false", c, got, f.Overlong())
		}
	}
}

func TestFramerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.StringMatching(`[ -~\x1dếỗĐ]{1,200}`)).Draw(t, "texts")
		suffix := rapid.SampledFrom([]string{"\r", "\n", "\r\n", "\x03"}).Draw(t, "suffix")
		prefix := rapid.SampledFrom([]string{"", "\x02"}).Draw(t, "prefix")
		var in []byte
		for _, s := range texts {
			in = append(in, prefix+s+suffix...)
		}
		f, err := scan.NewFramer(scan.Profile{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for len(in) > 0 {
			n := rapid.IntRange(1, len(in)).Draw(t, "read")
			got = append(got, brief(f.Feed(in[:n], epoch))...)
			in = in[n:]
		}
		if !slices.Equal(got, texts) {
			t.Fatalf("frames = %q, want %q", got, texts)
		}
	})
}

func FuzzFramer(f *testing.F) {
	names := []string{"default", "keyboard", "tab", "stx-etx", "aim", "silence", "gm65"}
	f.Add([]byte("\x02one\x03two\r\nthree"), byte(3), byte(0))
	f.Add([]byte("on\x02\x00\x00\x01\x00\x33\x31e\r"), byte(9), byte(6))
	f.Add([]byte("]Q2\\000026a\\\\b\r"), byte(5), byte(4))
	f.Fuzz(func(t *testing.T, in []byte, cut, which byte) {
		p := profile(t, names[int(which)%len(names)])
		p.MaxBytes = 64
		whole := feed(framer(t, p), in, len(in))
		split := feed(framer(t, p), in, int(cut)%16+1)
		if !slices.Equal(whole, split) {
			t.Errorf("profile %s: frames of %q = %q whole, %q in reads of %d bytes", p.Name, in, brief(whole), brief(split), int(cut)%16+1)
		}
		for _, fr := range whole {
			if fr.Err != nil {
				continue
			}
			if len(fr.Text) > p.MaxBytes {
				t.Errorf("profile %s: frame of %d bytes, longest allowed %d", p.Name, len(fr.Text), p.MaxBytes)
			}
			if i := strings.IndexFunc(fr.Text, func(r rune) bool { return (r < ' ' && r != 0x1d) || r == 0x7f }); i >= 0 {
				t.Errorf("profile %s: control character in %q", p.Name, fr.Text)
			}
			if p.StripAIM {
				continue // what is left of ECI text does not come back the same
			}
			end := "\x03"
			if p.Name == "tab" {
				end = "\t"
			}
			again := brief(feed(framer(t, p), []byte(p.Prefix+fr.Text+end), 5))
			if !slices.Equal(again, []string{fr.Text}) {
				t.Errorf("profile %s: %q framed again = %q", p.Name, fr.Text, again)
			}
		}
	})
}

func TestProfileCheck(t *testing.T) {
	for _, name := range []string{"default", "keyboard", "tab", "stx-etx", "aim", "silence", "gm65"} {
		if err := profile(t, name).Check(); err != nil {
			t.Errorf("ProfileNamed(%q).Check() = %v", name, err)
		}
	}
	if _, err := scan.ProfileNamed("nosuch"); err == nil {
		t.Error(`ProfileNamed("nosuch") = nil error`)
	}
	tests := []struct {
		p    scan.Profile
		want string // part of the error
	}{
		{scan.Profile{Gap: time.Millisecond}, "gap 1ms"},
		{scan.Profile{Gap: time.Minute}, "gap 1m0s"},
		{scan.Profile{MaxBytes: -1}, "max bytes -1"},
		{scan.Profile{MaxBytes: 1 << 20}, "max bytes 1048576"},
		{scan.Profile{Prefix: strings.Repeat("x", 17)}, "prefix is longer"},
		{scan.Profile{Prefix: "a\r"}, "prefix byte 0x0d"},
		{scan.Profile{Prefix: "a\x02"}, "prefix byte 0x02"},
		{scan.Profile{Prefix: "\x00"}, "prefix byte 0x00"},
		{scan.Profile{Ends: 1 << 7}, "unknown end"},
		{scan.Profile{Probe: "?"}, "probe needs answers"},
	}
	for _, tt := range tests {
		err := tt.p.Check()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check(%+v) = %v, want %q", tt.p, err, tt.want)
		}
		if _, err := scan.NewFramer(tt.p); err == nil {
			t.Errorf("NewFramer(%+v) took what Check refuses", tt.p)
		}
	}
}

func BenchmarkFramer(b *testing.B) {
	f := framer(b, scan.Profile{})
	code := []byte("QG1" + strings.Repeat("A", 128) + "\r")
	b.SetBytes(int64(len(code)))
	b.ReportAllocs()
	for b.Loop() {
		if n := len(f.Feed(code, epoch)); n != 1 {
			b.Fatal(fmt.Errorf("%d frames, want 1", n))
		}
	}
}
