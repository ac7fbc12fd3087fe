//go:build full

package e2e_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

var layouts = []string{"duplex", "fold", "large", "single"}

// From print to scan: what a clerk prints in the portal, every layout of it, is read
// by the kiosk's own reader as a camera sees it and admitted; what is no good is
// refused in the right words.
func TestPrintToScan(t *testing.T) {
	t.Parallel()
	screen, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, clerk := setCards(t, fmt.Sprintf("[screen]\nlisten = %q\nexplain = \"1s\"\n", screen))
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Nguyễn Văn An", "Trần Thị Bình", "Lê Văn Cường"} {
		clerk.issue(name, "card")
	}
	page := clerk.post("/the/kiem-tra", url.Values{"card.tests": {"10"}, "card.days": {"30"}})
	batch := regexp.MustCompile(`/the/dot/[a-z2-7]{26}`).FindString(page)

	frames := t.TempDir()
	texts := map[string]map[uint32]string{} // of a layout by number
	for _, layout := range layouts {
		pages := raster(t, clerk.print(batch, layout), filepath.Join(t.TempDir(), layout))
		for n := 1; n <= 3; n++ {
			pages = append(pages, raster(t, clerk.print(fmt.Sprintf("/the/so/%d", n), layout), filepath.Join(frames, fmt.Sprintf("%s-%d", layout, n)))...)
		}
		texts[layout] = map[uint32]string{}
		for _, text := range decode(t, programs.Kiosk, bands(t, pages)) {
			if c, err := pass.Parse(text); err == nil && c.Kind.Own() {
				texts[layout][c.Card.Number] = text
			}
		}
		if len(texts[layout]) != 13 {
			t.Errorf("%s: %d cards are read, want 3 and 10 test cards", layout, len(texts[layout]))
		}
		for number, text := range texts[layout] {
			if text != texts[layouts[0]][number] {
				t.Errorf("%s: card %d has another text than in the layout %s", layout, number, layouts[0])
			}
		}
	}

	t.Log("camera frames")
	k, err := p.stage.AddKiosk(t.Context(), "ben-xe-phia-nam", "Bến xe phía Nam", fmt.Sprintf("[[camera]]\nkind = \"files\"\npath = %q\nrate = 2.0\n", frames))
	if err != nil {
		t.Fatal(err)
	}
	camera := &visited{Kiosk: k, t: t}
	camera.start()
	p.until("all three were admitted by their print", func() bool { return len(subjects(p.rows(camera))) == 3 })
	camera.stop()
	if _, reds := camera.lamps(); reds > 0 {
		t.Errorf("%d red lights for cards that are good", reds)
	}

	t.Log("serial bytes")
	views := watch(t, t.Context(), "http://"+screen+"/events")
	for _, text := range texts["duplex"] {
		p.kiosk.show(text)
	}
	an, binh := texts["single"][1], texts["single"][2]
	clerk.revoke(1)
	clerk.replace(2, 1)
	p.told(3)
	again := texts["single"][2]
	for _, text := range decode(t, programs.Kiosk, raster(t, clerk.print("/the/so/2", "large"), filepath.Join(t.TempDir(), "again"))) {
		again = text
	}
	p.kiosk.show(again)
	p.kiosk.show(strings.ToLower(texts["fold"][3])) // CapsLock

	other, err := stage.New(t.Context(), t.TempDir(), programs, stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Card(t.Context(), 3, "")
	if err != nil {
		t.Fatal(err)
	}
	_, unlisted, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	today := pass.DayOf(time.Now())
	unknown, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 250, Number: 3, Issue: 1, First: today, Last: today + 9}, unlisted)
	if err != nil {
		t.Fatal(err)
	}
	good := texts["duplex"][3]
	for _, tt := range []struct {
		name, text string
		want       wire.Reason
	}{
		{"revoked", an, wire.ReasonRevoked},
		{"replaced", binh, wire.ReasonRevoked},
		{"expired", p.command("card", "-number", "3", "-first", "2020-01-01", "-days", "30"), wire.ReasonExpired},
		{"not yet valid", p.command("card", "-number", "3", "-first", time.Now().AddDate(0, 1, 0).Format(time.DateOnly)), wire.ReasonNotYet},
		{"another authority's", foreign, wire.ReasonSignature},
		{"unknown key", unknown, wire.ReasonKey},
		{"mixed case", good[:50] + strings.ToLower(good[50:]), wire.ReasonMalformed},
		{"padded", good + "=", wire.ReasonMalformed},
		{"cut off", good[:len(good)-1], wire.ReasonMalformed},
		{"a space within", good[:40] + " " + good[41:], wire.ReasonMalformed},
		{"a digit that is no digit of it", good[:40] + "1" + good[41:], wire.ReasonMalformed},
	} {
		p.kiosk.refused(tt.text)
		want := words.Reason(words.Vietnamese, tt.want)
		if got := refusal(t, views); got != want {
			t.Errorf("%s: the screen says %q, want %q", tt.name, got, want)
		}
	}

	t.Log("every bit flipped")
	before := reasons(p)
	token, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(good[3:])
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(token) * 8 {
		bad := bytes.Clone(token)
		bad[bit/8] ^= 1 << (bit % 8)
		p.kiosk.refused("QG1" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bad))
	}
	p.until("every refusal is stored", func() bool {
		n := 0
		for reason, count := range reasons(p) {
			switch count -= before[reason]; reason {
			case "signature", "key", "unknown": // the altered kind, the altered key, all the others
				n += count
			default:
				if count > 0 {
					t.Fatalf("%d refused as %s", count, reason)
				}
			}
		}
		return n == len(token)*8
	})
}

// refusal returns what the screen says when it next refuses somebody.
func refusal(t *testing.T, views <-chan shown) words.Sentence {
	t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case v, ok := <-views:
			if v.State == words.Refused {
				for next := range views { // the same answer may be told twice
					if next.State != words.Refused {
						return v.VI
					}
				}
			}
			if !ok {
				t.Fatal("the screen is gone")
			}
		case <-late:
			t.Fatal("the screen refuses nobody")
		}
	}
}

// reasons counts why the kiosk has refused, as the server has it.
func reasons(p *play) map[string]int {
	p.Helper()
	all := map[string]int{}
	for line := range strings.Lines(p.command("checkins", p.kiosk.ID)) {
		var r struct{ Reason string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			p.Fatal(err)
		}
		if r.Reason != "" {
			all[r.Reason]++
		}
	}
	return all
}

// Dots to the inch of a raster.
const dpi = 150

// bands cuts pages into pieces, each of which shows some cards whole: the reader
// takes at most four codes of a picture, and a sheet has ten.
func bands(t *testing.T, pages []string) (pieces []string) {
	t.Helper()
	const height, step = 90 * dpi * 10 / 254, 30 * dpi * 10 / 254
	dir := t.TempDir()
	for _, page := range pages {
		f, err := os.Open(page)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		whole := img.Bounds()
		for top := 0; top == 0 || top+height-step < whole.Max.Y; top += step {
			band := image.NewGray(image.Rect(0, 0, whole.Max.X, min(height, whole.Max.Y-top)))
			draw.Draw(band, band.Bounds(), img, image.Pt(0, top), draw.Src)
			path := filepath.Join(dir, fmt.Sprintf("%d.png", len(pieces)))
			out, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(png.Encode(out, band), out.Close()); err != nil {
				t.Fatal(err)
			}
			pieces = append(pieces, path)
		}
	}
	return pieces
}

// raster returns the pages of a PDF as pictures, whose names begin with path.
func raster(t *testing.T, pdf []byte, path string) []string {
	t.Helper()
	cmd := exec.Command("pdftoppm", "-r", fmt.Sprint(dpi), "-gray", "-png", "-", path)
	cmd.Stdin = bytes.NewReader(pdf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pdftoppm: %v: %s", err, out)
	}
	pages, err := filepath.Glob(path + "-*.png")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages of %s: %v", path, err)
	}
	return pages
}

// decode returns the texts that the kiosk reads in pictures.
func decode(t *testing.T, kiosk string, pictures []string) (texts []string) {
	t.Helper()
	cmd := exec.Command(kiosk, append([]string{"decode", "-patience", "20s"}, pictures...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	for line := range bytes.Lines(out) {
		var l struct{ Texts []string }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, l.Texts...)
	}
	return texts
}
