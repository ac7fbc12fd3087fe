package main

import (
	"context"
	"os"
	"runtime/debug"
	rtmetrics "runtime/metrics"
	"time"
)

// garbage is what a server may keep of it, in bytes, until it uses more than 640 MiB:
// little beside ten thousand connected kiosks, and enough for one that takes much in.
const garbage = 96 << 20

// spareMemory bounds the garbage of a server with an embedded broker until ctx ends.
// The runtime's own rule, as much again as is in use, would double what idle kiosks
// cost. An administrator who has set GOGC knows better.
func spareMemory(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	samples := []rtmetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	now := 0
	for {
		rtmetrics.Read(samples)
		want := garbagePercent(samples[0].Value.Uint64() + samples[1].Value.Uint64())
		if want != now { // to set it stops the world
			debug.SetGCPercent(want)
			now = want
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// garbagePercent is the share of what is in use, in bytes, that garbage may have: in
// steps of five, from 15, below which collecting never ends, to the runtime's 100.
func garbagePercent(used uint64) int {
	percent := int(garbage * 100 / max(used, 1))
	return min(max(percent/5*5, 15), 100)
}
