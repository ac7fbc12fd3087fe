//go:build image

package main_test

import (
	"encoding/json"
	"errors"
	"image/color"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestScreen starts a box with a screen and takes a picture of what is on it, once the
// browser has drawn the first start.
func TestScreen(t *testing.T) {
	c := newCard(t, build(t, first, "-screen")+".img")
	c.screen, c.memory = true, 1024
	w := newWorld(t)
	m := c.start()
	t.Logf("start to the kiosk waiting for a code: %s", m.said(2*slow, firstStart))
	m.read("/proc/uptime")
	path := filepath.Join(t.ArtifactDir(), "screen-first-start.png")
	var colours int
	defer func() { t.Logf("%s: %d colours", path, colours) }()
	m.until(2*slow, "the browser has drawn the page", func() bool {
		time.Sleep(5 * time.Second)
		var err error
		if colours, err = m.shoot(path); err != nil {
			t.Fatal(err)
		}
		return colours > drawn
	})
	t.Logf("start to the page on the screen: %s", time.Since(m.begun))
	w.memory(m, "with a screen")
}

// drawn is more colours than a console or an empty window has, and fewer than smooth
// letters have.
const drawn = 40

// shoot writes what is on the screen to path, and returns how many colours that has.
func (m *machine) shoot(path string) (colours int, err error) {
	conn, err := net.Dial("unix", filepath.Join(m.dir, "qmp"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var hello json.RawMessage
	if err := in.Decode(&hello); err != nil {
		return 0, err
	}
	for _, order := range []map[string]any{
		{"execute": "qmp_capabilities"},
		{"execute": "screendump", "arguments": map[string]any{"filename": path, "format": "png"}},
	} {
		if err := out.Encode(order); err != nil {
			return 0, err
		}
		for {
			var said struct {
				Event string
				Error *struct{ Desc string }
			}
			if err := in.Decode(&said); err != nil {
				return 0, err
			}
			if said.Error != nil {
				return 0, errors.New("qemu: " + said.Error.Desc)
			}
			if said.Event == "" {
				break
			}
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		return 0, err
	}
	seen := map[color.Color]bool{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			seen[picture.At(x, y)] = true
		}
	}
	return len(seen), nil
}
