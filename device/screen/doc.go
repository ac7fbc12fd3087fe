// Package screen is what a visitor sees and hears beside the lamps: a page that
// follows the door, and tones and a voice.
//
// Its promise: nobody needs to see colours, to read, or to hear. Each state of
// the door has a shape, a colour, words in two languages, a rhythm and a voice of
// its own; no two share any of them, and words have at least seven times the
// contrast that they need. A green page is never older than its time: it goes by
// itself, even if this program is gone, and then says that.
//
//	screen := screen.New(screen.Options{Place: "Chợ Đông Ba", ...}, log)
//	sound := screen.NewSound(screen.SoundOptions{Command: []string{"aplay", "-q", "-"}, ...}, log)
//	door, err := kiosk.New(kiosk.Door{Faces: []kiosk.Face{screen, sound}, ...}, log)
//	go screen.Run(ctx, "127.0.0.1:8088", door)
//	go sound.Run(ctx)
//
// While the door is ready and a camera sees a code that it cannot read, the page
// says what would help: [Screen.Advise].
//
// The page is for a browser in kiosk mode on the same machine: it is served on a
// loopback address only, loads nothing from elsewhere, and follows the door by
// server-sent events. What is entered on it is taken only from that page, not
// from another site in the same browser. No name of a visitor gets here: an
// answer does not hold one. Where no page is seen, another program of the machine is told
// how the door is ([Brief]) and says it (package bare).
//
// It leaves out what lamps, buzzer and relay do (hw/panel), what the door decides
// (device/kiosk) and what is said in words (sync/words). The rhythm of a tone is
// that of the panel's buzzer.
package screen
