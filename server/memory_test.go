package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	for used, want := range map[uint64]int{0: 100, 40 << 20: 100, 128 << 20: 75, 512 << 20: 15, 8 << 30: 15} {
		if got := garbagePercent(used); got != want {
			t.Errorf("garbagePercent(%d) = %d, want %d", used, got, want)
		}
	}
}
