// Package update brings newer versions of the program onto a kiosk: from the server
// that it delivers to, or from a folder on a USB stick.
//
// Who may say what a kiosk runs is settled by the release's own keys (TUF, the go-tuf
// module), which no server holds: the server only picks among what they have signed.
// The kiosk starts from one root document, release-root.json in the folder of its
// identity, which came with the system's package, or which its server vouches for in
// its first answers. From there on it follows the roots that sign each other. Time, by
// which old metadata expires, is the clock's floor (package when): a clock that is set
// forward makes nothing expire, and one that is set back keeps nothing alive.
//
//	client := update.NewClient(versions, root, "arm64")
//	found, err := client.Find(ctx, source, update.Ask{Version: "1.4.0", Floor: floor})
//	err = client.Fetch(ctx, source, found)     // in pieces, goes on where it was cut off
//	err = versions.Ask(found.Version, found.Sum) // and the launcher tries it
//
// The promise: nothing is made a version that the release's keys have not signed, for
// this machine, as newer than what runs; and whatever a server or a stick sends,
// the door goes on. An [Updater] does all of this beside the door, in the place's
// quiet hours. Running a version and returning from it is package launcher's matter.
//
// In the folder of versions the file trust.json, with the newest metadata that was
// verified, is this package's, and update.lock keeps two programs apart.
package update
