// Package desk makes a computer at a clerk's desk send what its scanners read to the
// clerk's page in the portal.
//
//	d := desk.New(desk.Options{Say: say})
//	err := d.Run(ctx, source)          // the scanner reads the code on the clerk's screen
//	err := d.Run(ctx, source, code)    // or somebody has typed it
//
// The promise: what is read leaves this computer only over TLS whose certificate is
// believed, sealed besides to the server that the code on the clerk's screen names by
// its fingerprint; it is held in memory until the server has it, a minute at the most,
// and is in no file, in no log and in nothing that is said.
//
// Which scanners there are is the caller's matter; who may see what they read, the
// portal's.
package desk
