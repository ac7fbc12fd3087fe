package main

import (
	"bytes"
	"encoding/json"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// decodeFrame is a committed frame with one code in it.
const decodeFrame = "nominal2_token_480.jpg"

func TestDecodeExplains(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "testdata", "qr", decodeFrame))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "card.jpg"), filepath.Join(dir, "notes.txt")
	for path, data := range map[string][]byte{good: source, bad: []byte("no picture")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, stderr bytes.Buffer
	if status := run(t.Context(), []string{"decode", "--explain", good, bad}, nil, &out, &stderr); status != exitFailed {
		t.Errorf("decode of a card and a text ends with %d, want %d: %s", status, exitFailed, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("decode prints %q, want two lines", lines)
	}
	var got struct {
		File, Error, Explained string
		Texts                  []string
		MS                     float64
	}
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Texts) != 1 || got.File != good || got.MS <= 0 || !strings.HasPrefix(got.Explained, "1 codes read") {
		t.Errorf("decode prints %+v, want one text", got)
	}
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil || got.Error == "" {
		t.Errorf("decode of a text prints %s, want an error", lines[1])
	}
	file, err := os.Open(good + ".explain.png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[color.Color]int)
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			count[img.At(x, y)]++
		}
	}
	if count[colourRead] < 100 || count[colourFinder] < 50 {
		t.Errorf("the picture has %d pixels of a read code and %d of finders", count[colourRead], count[colourFinder])
	}
	if _, err := os.Stat(bad + ".explain.png"); err == nil {
		t.Error("a text was explained")
	}
}

// Whoever asks why a card is not read is told what the kiosk's screen would say.
func TestDecodeExplainsWhatIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.png")
	var picture bytes.Buffer
	if err := png.Encode(&picture, cornersOnly()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, picture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ patience, want string }{
		{"1h", "3 corners found of 4.0 to 4.0 pixels a module, hint Please hold the code still: "},
		{"1ns", "0 codes read, 0 attempts at symbols that failed, 0 corners found, given up before all was tried: "},
	} {
		var out, stderr bytes.Buffer
		if status := run(t.Context(), []string{"decode", "--explain", "-patience", tt.patience, path}, nil, &out, &stderr); status != exitOK {
			t.Fatalf("decode ends with %d: %s", status, &stderr)
		}
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("decode with %s of patience prints %s, want %q", tt.patience, &out, tt.want)
		}
	}
}

func TestDecodeWritesNothingUnasked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "card.jpg")
	data, err := os.ReadFile(filepath.Join("..", "testdata", "qr", decodeFrame))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	if status := run(t.Context(), []string{"decode", path}, nil, &out, &stderr); status != exitOK {
		t.Fatalf("decode ends with %d: %s", status, &stderr)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("decode left %d files, want the one it read", len(files))
	}
}
