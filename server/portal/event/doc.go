// Package event has the pages of gatherings: an organiser opens one at a place,
// invites guests one by one or by a spreadsheet, sends and prints their passes, and
// sees who came. A guest sees the pass on a telephone.
//
//	GET  /su-kien              what is coming, and what was
//	GET  /su-kien/{no}         one event, who is inside now
//	GET  /ve/{pass}            a guest's pass, by a link that nobody can guess
//
// The promise: who came is counted from what the doors recorded, whichever door was
// cut off when; a pass that was used by two is shown as such, not counted twice in
// silence.
package event
