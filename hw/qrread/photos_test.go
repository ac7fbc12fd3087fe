package qrread_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// photographs counts what read makes of the committed photographs: by set, how many
// are read right. A wrong text fails the test.
func photographs(t *testing.T, frames []frame, read func(i int) []string) map[string]int {
	t.Helper()
	right := make(map[string]int)
	for i, f := range frames {
		got := read(i)
		if f.wrong(got) {
			t.Errorf("%s: read %q, want only %q", f.name, got, f.texts)
		}
		if f.right(got) {
			right[f.condition]++
		}
	}
	return right
}

// All of them are read.
func TestPhotographs(t *testing.T) {
	r := patient()
	frames := loadFrames(t, committedPhotos, 0)
	got := photographs(t, frames, func(i int) []string { return texts(r.Read(frames[i].img)) })
	if d := cmp.Diff(map[string]int{"qrcode-1": 20, "qrcode-3": 42, "qrcode-4": 48}, got); d != "" {
		t.Errorf("read of each set (-want +got)\n%s", d)
	}
}
