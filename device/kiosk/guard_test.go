package kiosk_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A diary is a witness that forgets nothing.
type diary struct {
	mu     sync.Mutex
	judged []kiosk.Judged
	undone []uint64
}

func (d *diary) Judged(j kiosk.Judged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judged = append(d.judged, j)
}

func (d *diary) Undone(_ wire.Epoch, seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.undone = append(d.undone, seq)
}

// codes returns the short codes that were told, in turn.
func (d *diary) codes() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.judged {
		all = append(all, j.Code)
	}
	return all
}

// A guard lets in by hand whoever has a code that is dirty, though the door takes none
// from its screen, and whoever has nothing; and takes back what was a mistake.
func TestGuardAdmits(t *testing.T) {
	s := newSite(t, 0)
	var err error
	if s.door.Room, err = room.Open(t.TempDir()+"/room.db", s.card); err != nil {
		t.Fatal(err)
	}
	defer s.door.Room.Close()
	d := &diary{}
	s.door.Witness = d
	k, src, face := s.live(t)
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	<-face

	admit := func(code string) kiosk.Answer {
		done := make(chan kiosk.Answer, 1)
		go func() {
			a, err := k.Admit(t.Context(), code)
			if err != nil {
				t.Errorf("Admit(%q): %v", code, err)
			}
			done <- a
		}()
		if a := <-face; a.State == words.Reading {
			<-face
		}
		return <-done
	}
	typed := admit(pass.TypedCode(9))
	if typed.State != words.Admitted || typed.Seq == 0 {
		t.Errorf("a code that a guard types is answered %+v", typed)
	}
	if a := admit("AAAA2222"); a.State != words.Refused || a.Reason != wire.ReasonMalformed {
		t.Errorf("a wrong code is answered %+v", a)
	}
	first, second := admit(""), admit("")
	if first.State != words.Admitted || second.State != words.Admitted || first.Seq == second.Seq {
		t.Errorf("two without a card are answered %+v, %+v", first, second)
	}
	if err := k.UndoThat(first.Seq, time.Now()); err != kiosk.ErrUndo {
		t.Errorf("UndoThat of one before the last: %v", err)
	}
	if seq, ok := k.MayUndo(time.Now()); !ok || seq != second.Seq {
		t.Errorf("MayUndo = %d, %t, want %d", seq, ok, second.Seq)
	}
	if err := k.UndoThat(second.Seq, time.Now()); err != nil {
		t.Errorf("UndoThat of the last: %v", err)
	}
	if err := k.UndoThat(second.Seq, time.Now()); err != kiosk.ErrUndo {
		t.Errorf("UndoThat twice: %v", err)
	}
	if diff := cmp.Diff([]string{pass.TypedCode(7), pass.TypedCode(9), "", "", ""}, d.codes()); diff != "" {
		t.Errorf("codes that a witness hears (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{second.Seq}, d.undone); diff != "" {
		t.Errorf("a witness hears as undone (-want +got):\n%s", diff)
	}
	headers, _ := s.records(t)
	if h := headers[len(headers)-1]; h.Presence != wire.Claimed || h.Verdict != wire.Admitted || h.Pass != 0 {
		t.Errorf("somebody without a card is recorded as %+v", h)
	}
	for _, tt := range []struct{ people, change int }{{40, 37}, {40, 0}, {2, -38}} {
		if got, err := k.SetInside(tt.people); err != nil || got != tt.change {
			t.Errorf("SetInside(%d) = %d, %v, want %d", tt.people, got, err, tt.change)
		}
	}
	if _, err := k.SetInside(kiosk.MaxChange + 100); err == nil {
		t.Error("a digit too many is taken")
	}
}

// What a guard writes is sealed: the card's holder's name is not on the disk.
func TestGuardReports(t *testing.T) {
	s := newSite(t, 0)
	k, _, _ := s.live(t)
	d := wire.Difficulty{Category: "scanner", Text: "Bà Nguyễn Thị Canary không quét được", Contact: "0905"}
	if err := k.Report(d); err != nil {
		t.Fatal(err)
	}
	if err := k.Report(wire.Difficulty{Category: "scanner"}); err == nil {
		t.Error("an empty difficulty is taken")
	}
	run, err := s.queue.Peek(s.queue.Stats().Last, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, h, err := wire.DecodeRecord(run.Records[0])
	if err != nil || h.Kind != wire.KindDifficulty {
		t.Fatalf("the last record is %+v, %v", h, err)
	}
	plain, err := s.open.Open(run.Contexts[0], wire.AdditionalData(kioskID, run.Epoch, r.Header), r.Sealed())
	if err != nil {
		t.Fatal(err)
	}
	var got wire.Difficulty
	if err := wire.Decode(plain, &got); err != nil || got != d {
		t.Errorf("the server reads %#v, %v", got.Text, err)
	}
}
