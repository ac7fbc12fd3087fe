package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
)

// A check of a large ledger may take as long as it likes while it gets on; one that
// does not get on is ended.
func TestASlowCheckIsNoDamage(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		stalled      time.Duration
		want         string
		heard        int
	}{
		{"slow", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo reading on; sleep 1; done", 10 * time.Second, "", 12},
		{"stalled", "echo reading on; exec sleep 600", 5 * time.Second, errStalled.Error(), 1},
		{"damaged", "echo page 7 is torn >&2; exit 1", time.Minute, "page 7 is torn", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			heard := 0
			err := checkBy(t.Context(), program, "outbox.db", tt.stalled, func() { heard++ })
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("checkBy() error = %v, want %q", err, tt.want)
			}
			if heard < min(tt.heard, 1) || heard > tt.heard {
				t.Errorf("heard of %d times that it gets on, want up to %d", heard, tt.heard)
			}
		})
	}
}

// What the disk did is told apart from what the program did: a launcher holds only the
// latter against a version.
func TestADisksFaultHasItsExitStatus(t *testing.T) {
	for err, want := range map[error]bool{
		&os.PathError{Op: "open", Path: "outbox.db.lock", Err: syscall.EROFS}: true,
		fmt.Errorf("agent: state: %w", syscall.ENOSPC):                        true,
		&os.PathError{Op: "read", Path: "void.list", Err: syscall.EIO}:        true,
		&os.PathError{Op: "open", Path: "kiosk.key", Err: syscall.ENOENT}:     false,
		errors.New("agent: keys.cbor: wrong signature"):                       false,
		outbox.ErrLocked: false,
	} {
		if got := ofDisk(err); got != want {
			t.Errorf("ofDisk(%v) = %t", err, got)
		}
	}
}
