package kiosk_test

import (
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A voidList is a list that was checked at a time, or never.
type voidList struct {
	*pass.Revocations
	checked time.Time
}

func (l voidList) Void(number uint32, issue uint8) bool { return l.Contains(number, issue) }
func (l voidList) Checked() (time.Time, bool)           { return l.checked, !l.checked.IsZero() }

func newVoidList(t *testing.T, checked time.Time, cards ...pass.Revocation) voidList {
	t.Helper()
	r, err := pass.NewRevocations(cards)
	if err != nil {
		t.Fatal(err)
	}
	return voidList{r, checked}
}

// issue returns the text of one issue of a card that is valid for a year.
func (s *site) issue(t *testing.T, kind pass.Kind, number uint32, issue uint8) string {
	t.Helper()
	c := pass.OwnCard{Kind: kind, Key: 1, Number: number, Issue: issue, First: pass.DayOf(today), Last: pass.DayOf(today.AddDate(1, 0, 0))}
	if kind == pass.Event {
		c.Key = 2
	}
	text, err := pass.Sign(c, s.card)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVoidCardsAreRefused(t *testing.T) {
	s := newSite(t, 0)
	s.keys[2] = pass.Key{Public: s.keys[1].Public, Events: true}
	s.door.Config.Accept = []pass.Kind{pass.Card, pass.Family, pass.Staff, pass.Event}
	s.door.List = newVoidList(t, today,
		pass.Revocation{Number: 7, Through: pass.AllIssues}, pass.Revocation{Number: 8, Through: 2}, pass.Revocation{Number: 9, Through: pass.AllIssues})
	ended := s.sign(t, pass.Card, 7, today.AddDate(-1, 0, 0), today.AddDate(0, 0, -40))
	forged := []byte(s.issue(t, pass.Card, 7, 1))
	if forged[60]++; forged[60] > 'Z' || forged[60] < 'A' {
		forged[60] = 'A'
	}
	for _, tt := range []struct {
		name, text string
		want       wire.Reason
	}{
		{"revoked", s.issue(t, pass.Card, 7, 1), wire.ReasonRevoked},
		{"revoked, later issue", s.issue(t, pass.Card, 7, 3), wire.ReasonRevoked},
		{"replaced", s.issue(t, pass.Card, 8, 1), wire.ReasonRevoked},
		{"replaced twice", s.issue(t, pass.Card, 8, 2), wire.ReasonRevoked},
		{"the new one", s.issue(t, pass.Card, 8, 3), wire.NoReason},
		{"family", s.issue(t, pass.Family, 9, 1), wire.ReasonRevoked},
		{"staff", s.issue(t, pass.Staff, 9, 1), wire.ReasonRevoked},
		{"test card", s.issue(t, pass.Test, 9, 1), wire.ReasonRevoked},
		{"another", s.issue(t, pass.Family, 10, 1), wire.NoReason},
		{"revoked and ended", ended, wire.ReasonExpired},
		{"forged and revoked", string(forged), wire.ReasonSignature},
		{"pass of an event, of another row of numbers", s.issue(t, pass.Event, 7, 1), wire.NoReason},
	} {
		before, _ := s.records(t)
		s.lamps.b.Reset()
		s.src.scans = nil
		answer := s.serve(t, tt.text)
		headers, subjects := s.records(t)
		if len(headers) != len(before)+1 {
			t.Fatalf("%s: %d records more", tt.name, len(headers)-len(before))
		}
		h, who := headers[len(headers)-1], subjects[len(headers)-1]
		want := "admitted"
		if tt.want != wire.NoReason {
			want = "refused"
		}
		if answer[0] != want || h.Reason != tt.want || want == "refused" && who != nil {
			t.Errorf("%s: %v, recorded %s of %v, want %s, %s", tt.name, answer, h.Reason, who, want, tt.want)
		}
	}
}

func TestTypedCodesOfVoidCards(t *testing.T) {
	s := newSite(t, 0)
	s.door.Config.Accept = append(s.door.Config.Accept, pass.Typed)
	s.door.List = newVoidList(t, today, pass.Revocation{Number: 7, Through: pass.AllIssues}, pass.Revocation{Number: 8, Through: 2})
	k, _, face := s.live(t)
	for _, tt := range []struct {
		number uint32
		state  words.State
		reason wire.Reason
	}{
		{7, words.Refused, wire.ReasonRevoked},
		{8, words.Admitted, wire.NoReason}, // the same code stands on the new card
		{9, words.Admitted, wire.NoReason},
	} {
		if err := k.Enter(t.Context(), pass.TypedCode(tt.number)); err != nil {
			t.Fatal(err)
		}
		if a := <-face; a.State != tt.state || a.Reason != tt.reason {
			t.Errorf("code of card %d: %+v, want %s, %s", tt.number, a, tt.state, tt.reason)
		}
	}
}

func TestStaleList(t *testing.T) {
	const day = 24 * time.Hour
	// The clock of these doors is not bound to the server's: certain is the floor.
	floor := today.AddDate(0, 0, -30)
	for _, tt := range []struct {
		name    string
		policy  wire.OnStale
		checked time.Time
		synced  bool
		want    string
	}{
		{"admits, never checked", wire.AdmitStale, time.Time{}, false, "admitted"},
		{"admits by default", "", time.Time{}, false, "admitted"},
		{"refuses, never checked", wire.RefuseStale, time.Time{}, false, "refused"},
		{"refuses, too old for certain", wire.RefuseStale, floor.Add(-8 * day), false, "refused"},
		{"refuses, may be too old", wire.RefuseStale, floor.Add(-6 * day), false, "admitted"},
		{"refuses, checked after the floor", wire.RefuseStale, today, false, "admitted"},
		{"refuses, synced, fresh", wire.RefuseStale, today.Add(-6 * day), true, "admitted"},
		{"refuses, synced, too old", wire.RefuseStale, today.Add(-8 * day), true, "refused"},
	} {
		s := newSite(t, 0)
		s.door.Config.StaleList, s.door.Config.StaleAfter, s.door.Config.OnFault = tt.policy, 7*day, wire.Refuse
		s.door.Config.Accept = append(s.door.Config.Accept, pass.Typed)
		s.door.List = newVoidList(t, tt.checked)
		if tt.synced {
			s.door.Clock = when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, floor)
			s.door.Clock.Sample(time.Hour-time.Second, time.Hour, today)
		}
		s.src.scans = nil
		foreign := "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân|10052021"
		answers := s.serve(t, s.issue(t, pass.Card, 7, 1), foreign)
		headers, _ := s.records(t)
		if answers[0] != tt.want || (headers[0].Reason == wire.ReasonStaleList) != (tt.want == "refused") {
			t.Errorf("%s: %s, recorded %s, want %s", tt.name, answers[0], headers[0].Reason, tt.want)
		}
		if answers[1] != "admitted" {
			t.Errorf("%s: an identity card is %s", tt.name, answers[1])
		}
		k, _, face := s.live(t)
		if err := k.Enter(t.Context(), pass.TypedCode(7)); err != nil {
			t.Fatal(err)
		}
		if a := <-face; (a.Reason == wire.ReasonStaleList) != (tt.want == "refused") {
			t.Errorf("%s: a typed code is answered %+v", tt.name, a)
		}
		age, known := k.ListAge()
		if known == tt.checked.IsZero() || known && tt.synced && age.Round(day) != today.Sub(tt.checked) {
			t.Errorf("%s: ListAge() = %v, %t", tt.name, age, known)
		}
	}
}

// A key that is taken from the list is trusted no more, though the door runs on.
func TestRevokedKeyIsRefusedAtOnce(t *testing.T) {
	s := newSite(t, 0)
	asked := 0
	s.door.Keys = func() pass.Keys {
		if asked++; asked > 1 {
			return pass.Keys{}
		}
		return s.keys
	}
	got := s.serve(t, s.issue(t, pass.Card, 7, 1), s.issue(t, pass.Card, 8, 1))
	if want := []string{panel.Admitted.String(), panel.Refused.String()}; !slices.Equal(got, want) {
		t.Errorf("answers before and after the key was revoked = %v, want %v", got, want)
	}
}
