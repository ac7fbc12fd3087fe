package camera_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
)

func TestCutter(t *testing.T) {
	var (
		one   = asJPEG(t, ramp(16, 8))
		two   = asJPEG(t, ramp(24, 16))
		body  = one[2:]
		start = []byte{0xff, 0xd8}
	)
	// A preview: a whole JPEG inside of a segment, end marker and all.
	preview := append([]byte{0xff, 0xe1, byte((len(two) + 2) >> 8), byte(len(two) + 2)}, two...)
	withPreview := bytes.Join([][]byte{start, preview, body}, nil)
	filled := bytes.Join([][]byte{start, {0xff, 0xff}, body}, nil) // fill bytes before a marker
	restarts := bytes.Replace(one, []byte{0xff, 0xd9}, []byte{1, 2, 0xff, 0xd3, 3, 0xff, 0, 4, 0xff, 0xd9}, 1)

	for _, tt := range []struct {
		name   string
		stream [][]byte
		want   [][]byte
	}{
		{"two in a row", [][]byte{one, two}, [][]byte{one, two}},
		{"padded", [][]byte{{0, 0, 0}, one, make([]byte, 100), two}, [][]byte{one, two}},
		{"a line of text first", [][]byte{[]byte("Preview window unavailable\n"), one}, [][]byte{one}},
		{"with a preview inside", [][]byte{withPreview, one}, [][]byte{withPreview, one}},
		{"fill bytes", [][]byte{filled, one}, [][]byte{filled, one}},
		{"restart markers and escaped data", [][]byte{restarts, one}, [][]byte{restarts, one}},
		{"cut off in its pixels", [][]byte{one[:len(one)-5], two}, [][]byte{two}},
		{"cut off in its header", [][]byte{one[:9], two, one, one}, [][]byte{one, one}},
		{"a false start", [][]byte{start, []byte("no"), one}, [][]byte{one}},
		{"a segment shorter than its length", [][]byte{start, {0xff, 0xe0, 0, 1}, one}, [][]byte{one}},
		{"0xff before a start", [][]byte{{0xff, 0xff}, one}, [][]byte{one}},
		{"unfinished", [][]byte{one, two[:len(two)-1]}, [][]byte{one}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stream := bytes.Join(tt.stream, nil)
			for _, n := range []int{1, 7, len(stream)} {
				if diff := cmp.Diff(tt.want, cut(stream, n)); diff != "" {
					t.Errorf("in pieces of %d bytes: -want +got\n%s", n, diff)
				}
			}
		})
	}
}

func TestCutterDropsPictureWithoutEnd(t *testing.T) {
	var c camera.Cutter
	var got [][]byte
	keep := func(jpeg []byte) { got = append(got, bytes.Clone(jpeg)) }
	one := asJPEG(t, ramp(16, 8))
	c.Feed(one[:len(one)-2], keep)
	block := make([]byte, 1<<20)
	for range 2 * camera.MaxFrame / len(block) {
		c.Feed(block, keep)
	}
	if c.Dropped() != 1 || len(got) != 0 {
		t.Errorf("after %d bytes without an end: %d dropped, %d pictures; want 1, 0", 2*camera.MaxFrame, c.Dropped(), len(got))
	}
	c.Feed(one, keep)
	if diff := cmp.Diff([][]byte{one}, got); diff != "" {
		t.Errorf("the next picture: -want +got\n%s", diff)
	}
}
