package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"slices"

	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/sync/words"
)

// The colours of an explanation.
var (
	colourRead   = color.RGBA{0, 200, 0, 255}   // a code that was read
	colourUnread = color.RGBA{230, 0, 0, 255}   // a symbol that was found and could not be read
	colourFinder = color.RGBA{255, 170, 0, 255} // what looks like the square in a corner of a symbol
)

// explain writes beside an image a picture that shows what was found in it: codes
// that were read in green, symbols that were not in red, squares in orange. It
// returns in words what it shows.
func explain(name string, img *image.Gray, codes []qrread.Code, found qrread.Explanation) (string, error) {
	canvas := image.NewRGBA(image.Rect(0, 0, img.Rect.Dx(), img.Rect.Dy()))
	draw.Draw(canvas, canvas.Rect, img, img.Rect.Min, draw.Src)
	for _, u := range found.Unread {
		outline(canvas, u.Corners, colourUnread)
	}
	for _, f := range found.Finders {
		h := 3.5 * f.Module
		x, y := f.Centre.X, f.Centre.Y
		outline(canvas, [4]qrread.Point{{X: x - h, Y: y - h}, {X: x + h, Y: y - h}, {X: x + h, Y: y + h}, {X: x - h, Y: y + h}}, colourFinder)
	}
	for _, c := range codes {
		outline(canvas, c.Corners, colourRead)
	}
	path := name + ".explain.png"
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := png.Encode(file, canvas); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %s", inWords(codes, found), path), nil
}

// inWords returns what was found, and what a kiosk's screen would say to whoever holds
// up what was not read.
func inWords(codes []qrread.Code, found qrread.Explanation) string {
	said := fmt.Sprintf("%d codes read, %d attempts at symbols that failed, %d corners found", len(codes), len(found.Unread), len(found.Finders))
	if len(found.Finders) > 0 {
		least := slices.MinFunc(found.Finders, func(a, b qrread.Finder) int { return cmp.Compare(a.Module, b.Module) }).Module
		most := slices.MaxFunc(found.Finders, func(a, b qrread.Finder) int { return cmp.Compare(a.Module, b.Module) }).Module
		said += fmt.Sprintf(" of %.1f to %.1f pixels a module", least, most)
	}
	if found.Late {
		said += ", given up before all was tried"
	}
	if found.Hint != qrread.NoHint {
		said += ", hint " + words.Hint(words.English, string(found.Hint)).Head
	}
	return said
}

// outline draws a frame through four corners, which may lie outside of the picture.
func outline(canvas *image.RGBA, corners [4]qrread.Point, c color.RGBA) {
	for k, a := range corners {
		b := corners[(k+1)%4]
		// A pose of a symbol that could not be read may run through the horizon.
		steps := max(math.Abs(b.X-a.X), math.Abs(b.Y-a.Y))
		if !(steps < maxOutline) {
			continue
		}
		for s := 0.0; s <= steps; s++ {
			t := s / max(steps, 1)
			x, y := int(a.X+t*(b.X-a.X)), int(a.Y+t*(b.Y-a.Y))
			canvas.SetRGBA(x, y, c)
			canvas.SetRGBA(x+1, y, c)
			canvas.SetRGBA(x, y+1, c)
		}
	}
}

// maxOutline is the longest line that is drawn, in pixels.
const maxOutline = 1 << 14
