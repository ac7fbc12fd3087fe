// Package camera delivers grey frames and the codes that are read in them. It
// owns where frames come from, how a picture is unpacked within bounds, and
// what tells a camera that sees from one that is covered, dark or hung.
//
// Its promise: whatever arrives in place of a picture - a bomb, half a frame, a
// pulled cable, a panic of a decoder - costs that frame or opens the camera
// again, and never ends the program; and what is read is always the newest
// picture that has arrived, however long the one before has taken.
//
//	open := func() (camera.Frames, error) { return camera.Start(program, log) }
//	src := camera.NewSource("door", open, qrread.Options{}, log)
//	defer src.Close()
//	s, err := src.Next(ctx)
//
// [Source.Hint] is what to tell who holds up a card that is not read, and
// [Source.Dark] whether a light would help. Who shows the one and switches the
// other is decided elsewhere.
//
// Frames come from [OpenFiles] (pictures from a folder, for the demo and for
// tests), from [Start] (the pipe of a camera program such as rpicam-vid) and
// from package v4l2 (USB cameras).
//
// Frames are looked at and forgotten. Nothing here writes one to a disk, and
// nothing should: they show faces.
package camera
