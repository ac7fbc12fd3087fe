package main

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
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

// A newer key list names another key to seal to: the door goes over to it as it runs.
func TestSealsToTheNewKeyWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		id := beEnrolled(t, dir, "dong-ba-gate-1")
		s := &station{id: id, clock: when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, time.Now, time.Time{})}
		first, err := id.SealKey(s.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		if s.sealer, err = seal.New(first.ID, first.Public); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.keepSealer(ctx, newLog(io.Discard, 0)) }()
		sealedTo := func() uint32 {
			time.Sleep(2 * time.Minute)
			box, _, err := s.sealer.Seal(time.Now(), nil, []byte("who"))
			if err != nil {
				t.Fatal(err)
			}
			return box.Key
		}
		if got := sealedTo(); got != first.ID {
			t.Errorf("sealed to key %d, want %d", got, first.ID)
		}
		err = id.ReplaceKeys(wire.Seal(wire.ForKeys, 0, everybody, wire.KeyList{
			V: wire.Version, Stamp: wire.Stamp{Generation: 1, Version: 2}, Keys: []wire.Key{
				{ID: 7, Purpose: wire.ForReceipt, Public: everybody.Public().(ed25519.PublicKey)},
				{ID: first.ID + 1, Purpose: wire.ForSeal, Public: key.PublicKey().Bytes()},
			},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := sealedTo(); got != first.ID+1 {
			t.Errorf("after a newer key list sealed to key %d, want %d", got, first.ID+1)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("keepSealer() = %v", err)
		}
	})
}
