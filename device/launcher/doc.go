// Package launcher starts the kiosk's program in the version that has proven itself,
// tries a newer one when the program asks for it, and returns by itself when that one
// does not keep up.
//
// The launcher and one version of the program come with the package of the system and
// are never replaced from here. Other versions lie in one folder, each in one file:
//
//	qrgate-kiosk-1.4.0   a version; made whole by the program (Versions.Keep)
//	launcher.json        what runs for good, what is tried and how often; only by the launcher
//	next.json            what shall be tried; only by the program
//	*.part, *.new        what was under way when the power went; may be removed
//
// The promise: whatever moment the power goes at, the next start finds a version
// that has run before. A version is tried at most [Tries] times, counted on disk
// before each start, and stays only after it has said that it is ready and has run on
// for a while. One that the disk failed ([ExitStorage]) was not tried: it is put off,
// or starts again if it runs for good. A disk that cannot be written tries nothing new. When nothing in the
// folder can be used, the packaged program runs.
//
//	slots := launcher.OpenSlots(dir, launcher.Packaged{Program: path, Version: version})
//	err := launcher.Run(ctx, slots, args, launcher.Options{Log: log})
//
// However a version ends, the packaged program is then run once with release, which takes
// the current from the relay: no line that keeps its level holds people in until the next
// start.
//
// The program says that it is ready, and that it is alive, as it would to systemd
// (sd_notify); the launcher hears it and passes it on. Where versions come from and
// whether they may be trusted is package update's matter.
package launcher
