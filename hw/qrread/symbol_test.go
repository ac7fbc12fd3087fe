package qrread_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

var levels = []decoder.ErrorCorrectionLevel{
	decoder.ErrorCorrectionLevel_L, decoder.ErrorCorrectionLevel_M, decoder.ErrorCorrectionLevel_Q, decoder.ErrorCorrectionLevel_H,
}

// Every version and level goes through the library's writer, our drawing and
// our reader: places of modules, masks, blocks and tables must all agree.
func TestEveryVersionAndLevel(t *testing.T) {
	r := patient()
	for version := 1; version <= 24; version++ {
		for _, level := range levels {
			v, err := decoder.Version_GetVersionForNumber(version)
			if err != nil {
				t.Fatal(err)
			}
			room := v.GetTotalCodewords() - v.GetECBlocksForLevel(level).GetTotalECCodewords()
			rnd := rand.New(rand.NewPCG(uint64(version), 1))
			var text strings.Builder
			for range max(room-4, 1) {
				text.WriteByte(byte('a' + rnd.IntN(26)))
			}
			s := encode(t, text.String(), level, version)
			side := 4*len(s) + 40
			img := blank(side, side)
			drawSymbol(img, s, view{module: 3, turn: float64(version), x: float64(side) / 2, y: float64(side) / 2})
			if d := cmp.Diff([]string{text.String()}, texts(r.Read(img))); d != "" {
				t.Errorf("version %d, level %s: (-want +got)\n%s", version, level, d)
			}
		}
	}
}

// Codes are read from small to as large as the frame.
func TestEverySize(t *testing.T) {
	r := patient()
	s := encode(t, "https://example.org/a", decoder.ErrorCorrectionLevel_M, 0)
	for module := 2.0; module < 460/float64(len(s)+2); module *= 1.2 {
		img := blank(640, 480)
		drawSymbol(img, s, view{module: module, turn: 5, x: 318, y: 241})
		if d := cmp.Diff([]string{"https://example.org/a"}, texts(r.Read(img))); d != "" {
			t.Errorf("%.1f pixels a module: (-want +got)\n%s", module, d)
		}
	}
}

func TestTexts(t *testing.T) {
	r := patient()
	for _, text := range []string{
		"0123456789012345678901234567890", "HTTPS://EXAMPLE.ORG/%20", ownCard, "a", " ",
		"001099012345|123456789|Nguyễn Thị Ánh|01012000|Nữ|12 Đường Lê Lợi, Huế|05062021",
		"\x00\x01\x02", "line\nline",
	} {
		img := blank(400, 400)
		drawSymbol(img, encode(t, text, decoder.ErrorCorrectionLevel_M, 0), view{module: 5, turn: 3, x: 200, y: 200})
		codes := r.Read(img)
		if d := cmp.Diff([]string{text}, texts(codes)); d != "" {
			t.Errorf("Read: (-want +got)\n%s", d)
			continue
		}
		if raw := string(codes[0].Raw); raw != text && raw != "" {
			t.Errorf("Raw of %q = %q", text, raw)
		}
	}
}

// Modules that are wrong are repaired or the symbol is not read at all: never
// is another text returned.
func TestDamagedSymbols(t *testing.T) {
	r := patient()
	const text = "damaged but honest"
	for _, level := range levels {
		read := 0
		for n := range 20 {
			s := encode(t, text, level, 0)
			rnd := rand.New(rand.NewPCG(uint64(n), 7))
			for range n * 5 {
				y, x := rnd.IntN(len(s)), rnd.IntN(len(s))
				s[y][x] = !s[y][x]
			}
			img := blank(200, 200)
			drawSymbol(img, s, view{module: 4.5, x: 100, y: 100})
			for _, got := range texts(r.Read(img)) {
				if got != text {
					t.Fatalf("%d modules turned over at level %s: Read = %q, want %q or nothing", n*5, level, got, text)
				}
				read++
			}
		}
		if read < 3 {
			t.Errorf("level %s: read %d of 20 damaged symbols, want at least 3", level, read)
		}
	}
}

// A symbol of random modules with everything in place that a reader looks for
// is no text.
func TestSymbolsOfNoise(t *testing.T) {
	r := patient()
	s := encode(t, ownCard, decoder.ErrorCorrectionLevel_M, 0)
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		for y := 9; y < len(s)-8; y++ {
			for x := 9; x < len(s); x++ {
				s[y][x] = rnd.IntN(2) == 0
			}
		}
		img := blank(240, 240)
		drawSymbol(img, s, view{module: 4.5, x: 120, y: 120})
		if got := r.Read(img); got != nil {
			t.Errorf("seed %d: Read = %+v, want nothing", seed, got)
		}
	}
	if r.Stats().Attempts == 0 {
		t.Error("no grid was handed to error correction: the test tests nothing")
	}
}
