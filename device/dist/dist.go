// Package dist holds what is installed beside the kiosk's program. It is Go only
// to embed what the program carries in itself: what the kiosk says when it has no
// recordings, see voices.sh.
package dist

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed sounds
var sounds embed.FS

//go:embed start
var start embed.FS

// Voices returns the files of what the kiosk says in Vietnamese: NAME.wav, and
// LINES.txt that says which words each holds.
func Voices() fs.FS { return in(sounds, "sounds") }

// StartVoices returns those of what it says at its first start.
func StartVoices() fs.FS { return in(start, "start") }

//go:embed qrgate.txt
var bootFile []byte

// BootFile returns the sample of the file that lies on the boot partition of an image,
// see package bootfile.
func BootFile() []byte { return slices.Clone(bootFile) }

func in(all fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(all, dir)
	if err != nil { // only if the name were invalid
		panic(err)
	}
	return sub
}
