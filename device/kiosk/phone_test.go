package kiosk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

func TestTelephoneNumberIsStatedAndSealed(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Accept = append(s.door.Config.Accept, pass.Phone)
	k, src, face := s.live(t)
	if err := k.EnterPhone(t.Context(), "0905123456"); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Admitted || !a.Phone || !a.MayBring {
		t.Errorf("a number is answered %+v", a)
	}
	headers, subjects := s.records(t)
	if h := headers[0]; h.Pass != pass.Phone || h.Presence != wire.Typed || h.Verdict != wire.Admitted {
		t.Errorf("recorded as %+v", h)
	}
	if diff := cmp.Diff(wire.Subject{Kind: pass.Phone, Number: "+84905123456"}, *subjects[0]); diff != "" {
		t.Errorf("sealed (-want +got):\n%s", diff)
	}
	// No scanner says a number.
	src <- scan.Scan{Text: "0905123457", At: time.Now()}
	if a := <-face; a.State != words.Refused || a.Reason != wire.ReasonUnknown {
		t.Errorf("a number that was scanned is answered %+v", a)
	}
}

func TestTelephoneNumberWhereItIsNotTaken(t *testing.T) {
	k, _, face := newSite(t, 0).live(t)
	if err := k.EnterPhone(t.Context(), "0905123456"); err != nil {
		t.Fatal(err)
	}
	if a := <-face; a.State != words.Refused || a.Reason != wire.ReasonKind {
		t.Errorf("answered %+v, want refused: kind", a)
	}
}

func TestNumbersAreTakenNoFasterThanPeopleType(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Accept = append(s.door.Config.Accept, pass.Phone)
	k, _, face := s.live(t)
	got := map[wire.Reason]int{}
	for n := range 12 {
		number := fmt.Sprintf("09051234%02d", n)
		if n%4 == 3 {
			number = "0105123456"
		}
		if err := k.EnterPhone(t.Context(), number+strings.Repeat(" ", n)); err != nil {
			t.Fatal(err)
		}
		got[(<-face).Reason]++
	}
	want := map[wire.Reason]int{wire.NoReason: 6, wire.ReasonMalformed: 2, wire.ReasonTries: 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("twelve numbers within a minute, of which three cannot be (-want +got):\n%s", diff)
	}
}

func TestCodeOnTheWallAddsCompanions(t *testing.T) {
	s := newSite(t, 0)
	k, src, face := s.live(t)
	show := func(text string, at time.Time) kiosk.Answer {
		src <- scan.Scan{Text: text, At: at}
		return <-face
	}
	card := func(number uint32) string { return s.sign(t, pass.Card, number, today, today.AddDate(1, 0, 0)) }
	now := time.Now()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }

	if a := show(pass.CompanionCode(2), at(0)); a.State != words.Refused || a.Reason != wire.ReasonUnknown {
		t.Errorf("where no companions are taken: %+v", a)
	}
	k.TakeCompanions(true)
	if a := show(pass.CompanionCode(2), at(10)); !a.CardFirst || a.State != words.Refused {
		t.Errorf("before any card: %+v", a)
	}
	first := show(card(7), at(12))
	if a := show(strings.ToLower(pass.CompanionCode(3)), at(14)); a.State != words.Admitted || a.Brought != 3 || a.Seq != first.Seq {
		t.Errorf("after a card: %+v", a)
	}
	if a := show(pass.CompanionCode(1), at(16)); !a.CardFirst {
		t.Errorf("a second time: %+v", a)
	}
	show(card(8), at(18))
	if a := show(pass.CompanionCode(1), at(18).Add(kiosk.BringTime+time.Second)); !a.CardFirst {
		t.Errorf("too late: %+v", a)
	}
	show(card(9), at(60))
	if a := show(pass.CompanionCode(3), at(62)); a.Brought != 3 {
		t.Errorf("another family: %+v", a)
	}
	headers, subjects := s.records(t)
	with := map[uint64]int{}
	for i, h := range headers {
		if h.With == 0 {
			continue
		}
		with[h.With]++
		if h.Verdict != wire.Admitted || h.Presence != wire.Claimed || subjects[i] != nil {
			t.Errorf("a companion is recorded as %+v with a subject %t", h, subjects[i] != nil)
		}
	}
	if with[first.Seq] != 3 || len(with) != 2 {
		t.Errorf("companions by check-in: %v", with)
	}
}
