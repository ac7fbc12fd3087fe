package main

import (
	"os"
	"runtime/debug"
)

// spareMemory lets the garbage of a server with an embedded broker grow to half of what
// is in use: ten thousand kiosks that are connected leave little garbage and need much.
// An administrator who has set GOGC knows better.
func spareMemory() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
