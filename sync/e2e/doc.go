// Package e2e lets both programs act out scenarios together: its tests run the
// real binaries as processes, with real serial bytes, a real broker over TLS
// and real stores, and compare what the lamps said with what the server holds.
// It also tests the rules that keep device and server apart.
//
// It holds no code of its own; see package stage for what the scenarios and
// the demonstration share.
package e2e
