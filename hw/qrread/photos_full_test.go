//go:build full && linux

package qrread_test

import "testing"

// Of photographs no set is read less than by zxing-cpp.
func TestPhotographsBesideZxingCpp(t *testing.T) {
	frames := loadFrames(t, committedPhotos, 0)
	r := patient()
	ours := photographs(t, frames, func(i int) []string { return texts(r.Read(frames[i].img)) })
	results := zxing(t, writeFrames(t, frames))
	theirs := make(map[string]int)
	for i, f := range frames {
		if f.right(results[i].texts) { // its wrong texts are no fault of ours
			theirs[f.condition]++
		}
	}
	t.Logf("read by us %v, by zxing-cpp %v", ours, theirs)
	for set, n := range theirs {
		if ours[set] < n {
			t.Errorf("%s: %d photographs read, want at least zxing-cpp's %d", set, ours[set], n)
		}
	}
}
