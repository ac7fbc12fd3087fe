package wedge_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/hw/wedge"
)

// event returns one struct input_event of the given size, followed by a report
// as the kernel sends it.
func event(size int, typ, code uint16, value uint32) []byte {
	b := make([]byte, 2*size)
	e := b[size-8:]
	binary.NativeEndian.PutUint16(e, typ)
	binary.NativeEndian.PutUint16(e[2:], code)
	binary.NativeEndian.PutUint32(e[4:], value)
	return b
}

// keys writes key codes as events: "30" is a press and a release, "+42" a press,
// "-42" a release, "~30" a repeat, "alt:0225" digits on the keypad under Alt,
// "lost" the kernel's word that events are missing.
func keys(size int, spec string) []byte {
	var b []byte
	for _, w := range strings.Fields(spec) {
		if digits, ok := strings.CutPrefix(w, "alt:"); ok {
			b = append(b, keys(size, "+56")...)
			for _, c := range digits {
				b = append(b, keys(size, fmt.Sprint([]int{82, 79, 80, 81, 75, 76, 77, 71, 72, 73}[c-'0']))...)
			}
			b = append(b, keys(size, "-56")...)
			continue
		}
		if w == "lost" {
			b = append(b, event(size, 0, 3, 0)...)
			continue
		}
		code, err := strconv.ParseUint(strings.TrimLeft(w, "+-~"), 10, 16)
		if err != nil {
			panic(err)
		}
		switch w[0] {
		case '+':
			b = append(b, event(size, 1, uint16(code), 1)...)
		case '-':
			b = append(b, event(size, 1, uint16(code), 0)...)
		case '~':
			b = append(b, event(size, 1, uint16(code), 2)...)
		default:
			b = append(b, event(size, 1, uint16(code), 1)...)
			b = append(b, event(size, 1, uint16(code), 0)...)
		}
	}
	return b
}

func decoder(t testing.TB, l wedge.Layout, size int) *wedge.Decoder {
	t.Helper()
	d, err := wedge.NewDecoder(l, size)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecoder(t *testing.T) {
	tests := []struct {
		name   string
		layout wedge.Layout
		keys   string
		want   string
	}{
		{"letters and digits", "", "16 34 2 11 28", "qg10\r"},
		{"shift", "us", "+42 16 34 2 -42 +54 43 -54 2 28", "QG!|1\r"},
		{"shift held twice", "us", "+42 +54 -42 16 -54 16", "Qq"},
		{"caps lock", "us", "58 16 2 +42 16 2 -42 58 16", "Q1q!q"},
		{"ends", "us", "28 96 15", "\r\r\t"},
		{"keypad", "us", "82 79 80 81 75 76 77 71 72 73 98 55 74 78 83", "0123456789/*-+."},
		{"num lock", "us", "69 2 69", "1"},
		{"repeats", "us", "+30 ~30 ~30 ~30 -30", "a"},
		{"group separator", "us", "2 +29 27 -29 3", "1\x1d2"},
		{"stx and etx", "us", "+97 48 -97 2 +29 46 -29", "\x021\x03"},
		{"control of a digit", "us", "+29 2 -29", "\x00"},
		{"escape, arrows, F1", "us", "1 103 59", "\x00\x00\x00"},
		{"meta", "us", "+125 19 -125 19", "\x00r"},
		{"alt with a letter", "us", "+56 33 -56 33", "\x00f"},
		{"events missing", "us", "+42 16 lost 16", "Q\x00q"},

		{"alt ascii", "us", "alt:083 alt:0124 alt:65", "S|A"},
		{"alt in one report", "us", "+56 +82 +72 +81 -56 -82 -72 -81", "S"},
		{"alt end", "us", "2 alt:013", "1\r"},
		{"alt windows-1252", "us", "35 22 alt:0234 28", "huê\r"},
		{"alt euro", "us", "alt:0128 2", "€1"},
		{"alt latin-1", "us", "alt:234 2", "ê1"},
		{"alt utf-8", "us", "49 34 22 21 alt:0225 alt:0187 alt:0133 49", "nguyễn"},
		{"alt utf-8 without zero", "us", "49 34 22 21 alt:225 alt:187 alt:133 49", "nguyễn"},
		{"alt two of windows-1252", "us", "alt:0227 alt:0234 2", "ãê1"},
		{"alt unicode", "us", "49 34 22 21 alt:7877 49", "nguy\u1ec5n"},
		{"alt surrogate", "us", "alt:55357", "\x00"},
		{"alt too large", "us", "alt:1114112 alt:99999999999999999999", "\x00\x00"},
		{"alt nothing", "us", "+56 -56 2", "1"},
		{"alt at the end of a code", "us", "alt:0225 alt:0187 alt:0133", "ễ"},

		{"azerty letters", "fr", "16 17 30 44 39", "azqwm"},
		{"azerty digits", "fr", "+42 2 3 11 -42 2 3 4 5 6 7 8 9 10 11 12 13", `120&é"'(-è_çà)=`},
		{"azerty bar", "fr", "+100 7 9 4 5 6 11 12 13 10 -100", `|\#{[@]}^`},
		{"azerty altgr as ctrl alt", "fr", "+29 +56 7 -56 -29", "|"},
		{"azerty caps lock", "fr", "58 16 3 58", "Aé"},
		{"azerty dead key", "fr", "26 18 26 57 +42 26 -42 18 26 45", "ê^ë^x"},
		{"azerty dead at the end", "fr", "26 28", "^\r"},
		{"azerty dead twice", "fr", "26 26 18", "^ê"},
		{"azerty nothing there", "fr", "+100 16 -100", "\x00"},
		{"azerty altgr dead", "fr", "+100 8 -100 57 +100 3 -100 49", "`ñ"},

		{"qwertz", "de", "21 44 26 39 40 12", "zyüöäß"},
		{"qwertz shift", "de", "+42 2 3 4 5 6 7 8 9 10 11 12 -42", `!"§$%&/()=?`},
		{"qwertz altgr", "de", "+100 86 12 8 9 10 11 16 18 27 50 -100", `|\{[]}@€~µ`},
		{"qwertz punctuation", "de", "51 52 53 43 86 +42 51 52 53 43 86 -42", ",.-#<;:_'>"},
		{"qwertz dead", "de", "13 18 41 57 +42 13 -42 30", "é^à"},
		{"qwertz caps lock", "de", "58 26 12", "Üß"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{16, 24} {
				d := decoder(t, tt.layout, size)
				got := d.Flush(d.Feed(nil, keys(size, tt.keys)))
				if string(got) != tt.want {
					t.Errorf("keys %q with events of %d bytes = %q, want %q", tt.keys, size, got, tt.want)
				}
			}
		})
	}
}

// us holds the key code of each character of a US keyboard, negative with Shift.
var us = func() map[rune]int {
	m := map[rune]int{' ': 57, '\r': 28, '`': 41, '~': -41, '\\': 43, '|': -43}
	for first, row := range map[int][2]string{
		2:  {"1234567890-=", "!@#$%^&*()_+"},
		16: {"qwertyuiop[]", "QWERTYUIOP{}"},
		30: {"asdfghjkl;'", `ASDFGHJKL:"`},
		44: {"zxcvbnm,./", "ZXCVBNM<>?"},
	} {
		for i := range row[0] {
			m[rune(row[0][i])], m[rune(row[1][i])] = first+i, -(first + i)
		}
	}
	return m
}()

// typing returns the events of a US scanner that types text.
func typing(size int, text string) []byte {
	var b []byte
	for _, c := range text {
		switch k := us[c]; {
		case k > 0:
			b = append(b, keys(size, fmt.Sprint(k))...)
		case k < 0:
			b = append(b, keys(size, fmt.Sprintf("+42 %d -42", -k))...)
		default:
			b = append(b, keys(size, fmt.Sprintf("alt:%d", c))...)
		}
	}
	return b
}

func TestTypedTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([ -~\r]|[ếễộữĐ]){0,60}`).Draw(t, "text")
		d, err := wedge.NewDecoder(wedge.US, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for in := typing(wedge.EventSize, text); len(in) > 0; {
			n := rapid.IntRange(1, len(in)).Draw(t, "read")
			got = d.Feed(got, in[:n])
			in = in[n:]
		}
		if string(got) != text {
			t.Fatalf("typed %q, decoded %q", text, got)
		}
	})
}

func TestStuckKey(t *testing.T) {
	d := decoder(t, wedge.US, 0)
	d.Feed(nil, keys(wedge.EventSize, "+30"+strings.Repeat(" ~30", 20)))
	if d.Stuck() {
		t.Error("Stuck() after 20 repeats = true")
	}
	d.Feed(nil, keys(wedge.EventSize, strings.Repeat(" ~30", 60)))
	if !d.Stuck() {
		t.Error("Stuck() after 80 repeats = false")
	}
	d.Feed(nil, keys(wedge.EventSize, "-30"))
	if d.Stuck() {
		t.Error("Stuck() after the release = true")
	}
}

func FuzzDecoder(f *testing.F) {
	layouts := []wedge.Layout{wedge.US, wedge.FR, wedge.DE}
	for i, spec := range []string{
		"+42 16 -42 2 28", "+56 82 72 81 -56 alt:0225 alt:0187 alt:0133", "26 18 +100 7 -100 lost 3", "58 26 13 18 ~18",
	} {
		f.Add(keys(16, spec), byte(i), byte(7))
	}
	f.Fuzz(func(t *testing.T, events []byte, which, cut byte) {
		l := layouts[int(which)%len(layouts)]
		d := decoder(t, l, 16)
		whole := d.Flush(d.Feed(nil, events))
		if !utf8.Valid(whole) {
			t.Errorf("layout %s: events %x decoded to invalid UTF-8 %q", l, events, whole)
		}
		d = decoder(t, l, 16)
		n := min(int(cut), len(events))
		split := d.Flush(d.Feed(d.Feed(nil, events[:n]), events[n:]))
		if string(split) != string(whole) {
			t.Errorf("layout %s: events %x cut at %d decoded to %q, whole to %q", l, events, n, split, whole)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	d := decoder(b, wedge.US, 0)
	in := typing(wedge.EventSize, "QG1"+strings.Repeat("A", 128)+"\r")
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = d.Feed(out[:0], in)
	}
	if len(out) != 132 {
		b.Fatalf("decoded %d bytes, want 132", len(out))
	}
}
