package camera

import (
	"hash/maphash"
	"image"
	"time"
)

// What keeps a camera that delivers frames from seeing: the words of
// scan.Health.Blind.
const (
	Black  = "black"  // covered, or its sensor is dead
	Dark   = "dark"   // too little light to read a card by
	Bright = "bright" // most of the picture is burnt out
	Frozen = "frozen" // the same picture again and again: every sensor has noise
)

// Grey values that no picture of a lit entrance comes near. The darkest of the
// rendered frames that the reader is developed on have 86 among their brightest
// hundredth; cameras that use the range of television call 16 black.
const (
	blackBelow  = 24  // the brightest hundredth of a black picture
	darkBelow   = 60  // the brightest hundredth of a dark one
	brightAbove = 230 // three quarters of a bright one
)

// How long it takes until a picture counts. A hand before the lens, or a camera
// that is still setting its exposure, is no fault.
const (
	blindAfter  = 3 * time.Second
	frozenAfter = 5 * time.Second
)

// sight judges pictures, one after the other.
type sight struct {
	seed  maphash.Seed
	last  uint64    // hash of the newest picture
	moved time.Time // when the picture last changed
	blind time.Time // since when its light is no good, zero while it is
}

func newSight() *sight { return &sight{seed: maphash.MakeSeed()} }

// look takes the next picture and returns what keeps the camera from seeing, or "".
func (s *sight) look(img *image.Gray, at time.Time) string {
	if h := s.hash(img); h != s.last || s.moved.IsZero() {
		s.last, s.moved = h, at
	}
	light := lightOf(img)
	if light == "" {
		s.blind = time.Time{}
	} else if s.blind.IsZero() {
		s.blind = at
	}
	switch {
	case light != "" && at.Sub(s.blind) >= blindAfter:
		return light
	case at.Sub(s.moved) >= frozenAfter:
		return Frozen
	}
	return ""
}

func (s *sight) hash(img *image.Gray) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for y := range img.Rect.Dy() {
		h.Write(img.Pix[y*img.Stride:][:img.Rect.Dx()])
	}
	return h.Sum64()
}

// lightOf returns what is wrong with the light of a picture, or "". It looks at
// every sixteenth pixel.
func lightOf(img *image.Gray) string {
	var count [256]int
	n := 0
	for y := 0; y < img.Rect.Dy(); y += 4 {
		line := img.Pix[y*img.Stride:][:img.Rect.Dx()]
		for x := 0; x < len(line); x += 4 {
			count[line[x]]++
			n++
		}
	}
	at := func(rank int) int { // the grey value of that rank, darkest first
		for v, c := range count {
			if rank -= c; rank < 0 {
				return v
			}
		}
		return 255
	}
	switch brightest := at(n - 1 - n/100); {
	case brightest < blackBelow:
		return Black
	case brightest < darkBelow:
		return Dark
	case at(n/4) > brightAbove:
		return Bright
	}
	return ""
}
