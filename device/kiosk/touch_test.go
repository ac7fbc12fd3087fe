package kiosk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A liveSource hands out scans as they come.
type liveSource chan scan.Scan

func (s liveSource) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case one := <-s:
		return one, nil
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	}
}

// A faceLog passes on every answer but those that wait.
type faceLog chan kiosk.Answer

func (f faceLog) Show(a kiosk.Answer) {
	if a.State != words.Ready && a.State != words.Reading {
		f <- a
	}
}

// live runs the site's door with a live source until the test ends.
func (s *site) live(t *testing.T) (*kiosk.Kiosk, liveSource, faceLog) {
	t.Helper()
	src, face := make(liveSource), make(faceLog, 100)
	s.door.Source, s.door.Faces = src, []kiosk.Face{face}
	k, err := kiosk.New(s.door, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return k, src, face
}

func TestTypedCodeIdentifiesAndProvesNothing(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Accept = append(s.door.Config.Accept, pass.Typed)
	k, _, face := s.live(t)
	if err := k.Enter(t.Context(), strings.ToLower(pass.TypedCode(7))); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Admitted || !a.Typed || !a.MayBring {
		t.Errorf("a right code is answered %+v, want admitted, typed, may bring", a)
	}
	headers, subjects := s.records(t)
	want := wire.Subject{Kind: pass.Typed, Card: 7}
	if h := headers[0]; h.Pass != pass.Typed || h.Presence != wire.Typed || h.Verdict != wire.Admitted || *subjects[0] != want {
		t.Errorf("recorded as %+v", h)
	}
}

func TestTypedCodeWhereItIsNotTaken(t *testing.T) {
	k, _, face := newSite(t, 0).live(t)
	if err := k.Enter(t.Context(), pass.TypedCode(7)); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Refused || a.Reason != wire.ReasonKind {
		t.Errorf("answered %+v, want refused: kind", a)
	}
}

func TestFiveWrongCodesCloseTheEntry(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Accept = append(s.door.Config.Accept, pass.Typed)
	k, src, face := s.live(t)
	var got []wire.Reason
	for n := range 7 {
		code := fmt.Sprintf("AAAAAA%02d", n+22)
		if n == 6 {
			code = pass.TypedCode(7)
		}
		if err := k.Enter(t.Context(), code); err != nil {
			t.Fatal(err)
		}
		got = append(got, (<-face).Reason)
	}
	want := []wire.Reason{2, 2, 2, 2, 2, wire.ReasonTries, wire.ReasonTries}
	if !slices.Equal(got, want) {
		t.Errorf("reasons of six wrong codes and a right one: %v, want %v", got, want)
	}
	// A card is read all the same.
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	if a := <-face; a.State != words.Admitted {
		t.Errorf("then a card is answered %+v, want admitted", a)
	}
}

func TestCompanionsAreCheckInsThatNameNobody(t *testing.T) {
	s := newSite(t, 0)
	k, src, face := s.live(t)
	show := func(number uint32, at time.Time) kiosk.Answer {
		src <- scan.Scan{Text: s.sign(t, pass.Card, number, today, today.AddDate(1, 0, 0)), At: at}
		return <-face
	}
	first := show(7, time.Now())
	if !first.MayBring {
		t.Fatalf("%+v may bring nobody", first)
	}
	if err := k.Bring(t.Context(), first.Seq, 3); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Admitted || a.Brought != 3 {
		t.Errorf("three companions are answered %+v", a)
	}
	second := show(8, time.Now())
	old := show(9, time.Now().Add(-kiosk.BringTime-time.Second))
	for name, err := range map[string]error{
		"a second time":    k.Bring(t.Context(), first.Seq, 1),
		"of somebody gone": k.Bring(t.Context(), second.Seq, 1),
		"much later":       k.Bring(t.Context(), old.Seq, 1),
		"of nobody":        k.Bring(t.Context(), 0, 1),
	} {
		if !errors.Is(err, kiosk.ErrLate) {
			t.Errorf("companions %s: %v, want ErrLate", name, err)
		}
	}
	for _, n := range []int{-1, 0, 6} {
		if err := k.Bring(t.Context(), old.Seq, n); err == nil {
			t.Errorf("%d companions were recorded", n)
		}
	}
	headers, subjects := s.records(t)
	if len(headers) != 6 {
		t.Fatalf("%d records, want three cards and three companions", len(headers))
	}
	for i, h := range headers {
		companion := i >= 1 && i <= 3
		if (h.With == first.Seq) != companion || (subjects[i] == nil) != companion || companion && (h.Presence != wire.Claimed || h.Verdict != wire.Admitted) {
			t.Errorf("record %d: %+v, subject %v", i+1, h, subjects[i])
		}
	}
}

func TestWhoLeavesIsToldSo(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Direction = wire.Out
	_, src, face := s.live(t)
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	if a := <-face; a.State != words.Leaving || a.MayBring {
		t.Errorf("answered %+v, want leaving", a)
	}
}

// The lamps know nothing of words: every state but the one without a program has
// its signal, and only who is on disk sees green.
func TestStatesHaveTheirSignals(t *testing.T) {
	for _, s := range words.States() {
		got := kiosk.Signal(s)
		if s != words.Leaving && s != words.Starting && got.String() != string(s) {
			t.Errorf("Signal(%s) = %s", s, got)
		}
	}
	if kiosk.Signal(words.Leaving) != panel.Admitted {
		t.Error("who leaves does not see green")
	}
}

// Companions who went in behind one whom the storage did not take were counted as one, and
// as nobody who is inside.
func TestCompanionsWhomTheStorageDoesNotTake(t *testing.T) {
	s := newSite(t, outbox.MinLimit)
	s.withRoom(t, false)
	owed := 0
	s.door.Amber = func(wire.Header) { owed++ }
	k, src, face := s.live(t)
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	seq := (<-face).Seq
	inside := s.door.Room.Own(today)
	s.fill(t)
	if err := k.Bring(t.Context(), seq, 3); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Amber {
		t.Errorf("answered %+v, want amber", a)
	}
	if n := k.Unrecorded(); n != 3 || owed != 3 {
		t.Errorf("%d unrecorded, %d to be recorded later, want 3", n, owed)
	}
	if n := s.door.Room.Own(today) - inside; n != 3 {
		t.Errorf("%d more inside, want 3", n)
	}
}
