package camera_test

import (
	"bytes"
	"hash/crc32"
	"image"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
)

func crc(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// sound fails the test if img is not what a reader may rely on.
func sound(t *testing.T, img *image.Gray) {
	t.Helper()
	w, h := img.Rect.Dx(), img.Rect.Dy()
	if w <= 0 || h <= 0 || w*h > camera.MaxPixels || img.Stride < w || len(img.Pix) < (h-1)*img.Stride+w {
		t.Fatalf("picture %v of %d bytes, %d a line", img.Rect, len(img.Pix), img.Stride)
	}
}

func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := camera.Decode(data)
		if err != nil {
			if strings.Contains(err.Error(), "panicked") {
				t.Fatal(err)
			}
			return
		}
		sound(t, img)
	})
}

func FuzzPGM(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := camera.Decode(append([]byte("P5"), data...))
		if err != nil {
			if strings.Contains(err.Error(), "panicked") {
				t.Fatal(err)
			}
			return
		}
		sound(t, img)
		again, err := camera.Decode(asPGM(img))
		if diff := cmp.Diff(img, again); err != nil || diff != "" {
			t.Errorf("written and read again: %v\n%s", err, diff)
		}
	})
}

// cut returns the pictures in a stream that arrives in pieces of n bytes.
func cut(stream []byte, n int) [][]byte {
	var c camera.Cutter
	var all [][]byte
	for len(stream) > 0 {
		p := stream[:min(n, len(stream))]
		c.Feed(p, func(jpeg []byte) { all = append(all, bytes.Clone(jpeg)) })
		stream = stream[len(p):]
	}
	return all
}

func FuzzCutter(f *testing.F) {
	good := asJPEG(f, ramp(8, 8))
	after := bytes.Repeat(good, 65536/len(good)+3)
	f.Fuzz(func(t *testing.T, stream []byte, piece uint16) {
		n := int(piece)%64 + 1
		whole, split := cut(stream, len(stream)+1), cut(stream, n)
		if !slices.EqualFunc(whole, split, bytes.Equal) {
			t.Errorf("%q is cut into %q whole, and into %q in pieces of %d bytes", stream, whole, split, n)
		}
		rest := stream
		for _, jpeg := range whole {
			i := bytes.Index(rest, jpeg)
			if i < 0 {
				t.Fatalf("picture %q is not in the stream, or not where it should be", jpeg)
			}
			if !bytes.HasPrefix(jpeg, []byte("\xff\xd8")) || !bytes.HasSuffix(jpeg, []byte("\xff\xd9")) {
				t.Errorf("picture %q does not begin or end as one", jpeg)
			}
			rest = rest[i+len(jpeg):]
		}
		// Whatever came before, the stream is found again behind one segment.
		var c camera.Cutter
		found := false
		last := func(jpeg []byte) { found = bytes.Equal(jpeg, good) }
		c.Feed(stream, last)
		found = false
		c.Feed(after, last)
		if !found {
			t.Errorf("after %q the stream is lost", stream)
		}
	})
}
