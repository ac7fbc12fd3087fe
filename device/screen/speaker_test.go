package screen_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/device/screen"
)

// With a loudspeaker on USB and a camera with a microphone the board's own socket is
// still the first card, and nobody would hear a word.
func TestALoudspeakerOnUSBIsHeard(t *testing.T) {
	dir := t.TempDir()
	plug := func(paths ...string) {
		t.Helper()
		for _, p := range paths {
			p = filepath.Join(dir, p)
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	plug("card0/id", "card0/pcm0p/info", "card1/usbid", "card1/pcm0c/info")
	if got := screen.USBSpeaker(dir); got != "" {
		t.Errorf("with a camera alone the speaker is card %q", got)
	}
	plug("card2/usbid", "card2/pcm0p/info")
	if got := screen.USBSpeaker(dir); got != "2" {
		t.Errorf("the speaker is card %q, want 2", got)
	}
}
