//go:build image

package main_test

import (
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestScreen starts a box with a screen and takes pictures of what is on it: words until
// the browser has drawn the first start, that page, words when the browser has no memory,
// and the page again.
func TestScreen(t *testing.T) {
	c := newCard(t, build(t, first, "-screen")+".img")
	c.screen, c.memory = true, 1024
	w := newWorld(t)
	m := c.start()
	m.sees("starting", "words before there is a browser", func(p picture) bool { return p.words() })
	t.Logf("start to words on the screen: %s", time.Since(m.begun))
	t.Logf("start to the kiosk waiting for a code: %s", m.said(2*slow, firstStart))
	m.read("/proc/uptime")
	m.sees("first-start", "the browser has drawn the page", func(p picture) bool { return p.colours > drawn })
	t.Logf("start to the page on the screen: %s", time.Since(m.begun))
	w.memory(m, "with a screen")

	// The kernel ends a browser that has no memory, as often as it is started.
	m.run("systemctl", "set-property", "--runtime", "qrgate-screen.service", "MemoryMax=16M", "MemorySwapMax=0")
	m.said(slow, `said="Not enough memory for the page"`)
	p := m.sees("no-memory", "words in place of a page", func(p picture) bool { return p.words() && p.code(t) != "" })
	if got, want := p.code(t), "QRGate "+first+", M1, oom-kill"; !strings.HasPrefix(got, want) {
		t.Errorf("the code on the screen says %q, want %q", got, want)
	}
	if units := m.run("systemctl", "show", "--property=NRestarts", "qrgate-words.service"); strings.TrimSpace(units) != "NRestarts=0" {
		t.Errorf("what says so has ended: %s", units)
	}
	m.run("systemctl", "set-property", "--runtime", "qrgate-screen.service", "MemoryMax=infinity")
	m.sees("page-again", "the page is there again", func(p picture) bool { return p.colours > drawn })
}

// drawn is more colours than a console, an empty window or words of our own have, and
// fewer than smooth letters have.
const drawn = 40

// A picture is what was on a screen.
type picture struct {
	path    string
	image   image.Image
	colours int
}

// words reports whether the picture is one of our own, on their ground.
func (p picture) words() bool {
	size := p.image.Bounds().Size()
	for _, at := range []image.Point{{1, 1}, {size.X - 2, 1}, {1, size.Y - 2}, {size.X - 2, size.Y - 2}} {
		if color.RGBAModel.Convert(p.image.At(at.X, at.Y)) != (color.RGBA{0x0b, 0x25, 0x45, 0xff}) {
			return false
		}
	}
	return p.colours > 2 && p.colours <= drawn
}

// code returns what a telephone reads on the screen, "" if that is not one code.
func (p picture) code(t *testing.T) string {
	t.Helper()
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(programs.Kiosk, "decode", "-patience", "1m", p.path).Output()
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	var read struct{ Texts []string }
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Texts) != 1 {
		return ""
	}
	return read.Texts[0]
}

// sees waits until what is wanted is on the screen, and returns it; the last that was
// looked at is kept for who reads the test.
func (m *machine) sees(name, what string, wanted func(picture) bool) (p picture) {
	m.Helper()
	p.path = filepath.Join(m.ArtifactDir(), "screen-"+name+".png")
	defer func() { m.Logf("%s: %d colours", p.path, p.colours) }()
	m.until(2*slow, what, func() bool {
		time.Sleep(2 * time.Second)
		if err := m.shoot(&p); err != nil {
			m.Fatal(err)
		}
		return wanted(p)
	})
	return p
}

// shoot writes what is on the screen to the picture's path, and looks at it.
func (m *machine) shoot(p *picture) error {
	conn, err := net.Dial("unix", filepath.Join(m.dir, "qmp"))
	if err != nil {
		return err
	}
	defer conn.Close()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var hello json.RawMessage
	if err := in.Decode(&hello); err != nil {
		return err
	}
	for _, order := range []map[string]any{
		{"execute": "qmp_capabilities"},
		{"execute": "screendump", "arguments": map[string]any{"filename": p.path, "format": "png"}},
	} {
		if err := out.Encode(order); err != nil {
			return err
		}
		for {
			var said struct {
				Event string
				Error *struct{ Desc string }
			}
			if err := in.Decode(&said); err != nil {
				return err
			}
			if said.Error != nil {
				return errors.New("qemu: " + said.Error.Desc)
			}
			if said.Event == "" {
				break
			}
		}
	}
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.image, err = png.Decode(f); err != nil {
		return err
	}
	seen := map[color.Color]bool{}
	for y := range p.image.Bounds().Dy() {
		for x := range p.image.Bounds().Dx() {
			seen[p.image.At(x, y)] = true
		}
	}
	p.colours = len(seen)
	return nil
}
