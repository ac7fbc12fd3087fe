// Package place is the pages of organisations and of their places: who belongs
// to an organisation and how people come to it, the list of places with their QR
// codes, the form of a place with the map on which it is picked, sheets of many
// places that come in and go out.
//
//	pages := place.New(frame, reg)
//	table = append(table, pages.Routes()...)
//
// The promise: nobody sees or changes a place that their roles do not reach, and
// who may not see persons sees none; what was typed is never lost, whether it was
// wrong or somebody else was faster; a sheet is shown row by row before anything
// of it is written, and is written once and whole.
//
// Everything works without script: a commune is found by its name, old or new,
// when the form is sent, and the map is a button that sends where it was hit.
//
// Posters and introductions have packages of their own; the links to them are
// here.
package place
