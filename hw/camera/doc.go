// Package camera delivers grey frames: from a V4L2 camera, from the pipe of a
// camera program, or from image files.
package camera
