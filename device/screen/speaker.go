package screen

import (
	"os"
	"path/filepath"
	"strings"
)

// asound is where the kernel lists what can sound.
const asound = "/proc/asound"

// environ returns the environment of a player. A board calls its own sockets the first
// card, whether or not something is plugged in there: a loudspeaker on USB was bought to be
// heard, unless somebody has named another card.
func environ() []string {
	all := os.Environ()
	if os.Getenv("ALSA_CARD") == "" && os.Getenv("ALSA_PCM_CARD") == "" {
		if card := USBSpeaker(asound); card != "" {
			all = append(all, "ALSA_CARD="+card)
		}
	}
	return all
}

// USBSpeaker returns the number of the first USB card that plays, as the kernel lists
// cards below dir; "" is none. A camera with a microphone is a card, too, and plays nothing.
func USBSpeaker(dir string) string {
	cards, _ := filepath.Glob(filepath.Join(dir, "card*", "usbid")) // the pattern is well-formed
	for _, c := range cards {
		card := filepath.Dir(c)
		if outs, _ := filepath.Glob(filepath.Join(card, "pcm*p")); len(outs) > 0 {
			return strings.TrimPrefix(filepath.Base(card), "card")
		}
	}
	return ""
}
