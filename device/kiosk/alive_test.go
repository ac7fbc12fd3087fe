package kiosk_test

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A stuckFace hangs with the first person.
type stuckFace struct{ reached, release chan struct{} }

func (f stuckFace) Show(a kiosk.Answer) {
	if a.State == words.Reading {
		close(f.reached)
		<-f.release
	}
}

func TestDoorThatHangsIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 0)
		face := stuckFace{make(chan struct{}), make(chan struct{})}
		s.door.Faces = append(s.door.Faces, face)
		k, err := kiosk.New(s.door, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if !k.Alive(now) {
			t.Error("a door at which nobody is counts as hung")
		}
		s.src.scans = []scan.Scan{{Text: s.sign(t, pass.Card, 1, today, today.AddDate(1, 0, 0)), At: now}}
		ended := make(chan error)
		go func() { ended <- k.Run(t.Context()) }()
		<-face.reached
		for after, want := range map[time.Duration]bool{time.Second: true, 15 * time.Second: true, 25 * time.Second: false} {
			if got := k.Alive(now.Add(after)); got != want {
				t.Errorf("Alive after %s with one person = %t", after, got)
			}
		}
		// Who waits for a ledger that is written anew waits for work that gets on.
		time.Sleep(time.Minute)
		if err := s.queue.NewEpoch(wire.OpenedOrder); err != nil {
			t.Fatal(err)
		}
		worked := s.queue.Worked()
		for after, want := range map[time.Duration]bool{15 * time.Second: true, 25 * time.Second: false} {
			if got := k.Alive(worked.Add(after)); got != want {
				t.Errorf("Alive %s after the ledger got on = %t", after, got)
			}
		}
		close(face.release)
		if err := <-ended; !errors.Is(err, io.EOF) { // there are no more scans
			t.Fatal(err)
		}
		if !k.Alive(worked.Add(time.Hour)) {
			t.Error("a door that goes on counts as hung")
		}
	})
}

func TestDoorWithoutALedgerIsAlive(t *testing.T) {
	s := newSite(t, 0)
	s.door.Queue = nil
	k, err := kiosk.New(s.door, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if !k.Alive(time.Now()) {
		t.Error("a door at which nobody is counts as hung")
	}
}
