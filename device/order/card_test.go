package order_test

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func aCard() pass.CommandCard {
	from := pass.HourOf(begin)
	return pass.CommandCard{
		Order: uint8(wire.OrderTally), Key: 1, Scope: pass.ForKiosk, Target: pass.KioskTarget(kioskID), Serial: 42,
		Arg: wire.CardArg(wire.OrderTally, wire.OrderArgs{Count: 3}, 0), From: from, Until: from + 24,
	}
}

func (s *site) card(c pass.CommandCard, key ed25519.PrivateKey) string {
	s.t.Helper()
	text, err := pass.SignCommand(c, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// show holds a card up, twice: what is refused is reported once.
func (s *site) show(text string) (first wire.OrderState, reason wire.Reason) {
	s.t.Helper()
	said, err := s.table.Card(s.t.Context(), text)
	if err != nil {
		s.t.Fatal(err)
	}
	return said.State, said.Reason
}

func TestCards(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name   string
		sync   bool
		later  time.Duration
		alter  func(*pass.CommandCard)
		key    ed25519.PrivateKey
		text   func(string) string
		state  wire.OrderState
		reason wire.Reason
	}{
		{name: "genuine", sync: true, state: wire.OrderDone},
		{name: "genuine, and the clock is not certain", state: wire.OrderDone},
		{name: "in lower case", sync: true, text: func(s string) string { return "qgc1" + string(slices.Collect(lower(s[4:]))) }, state: wire.OrderDone},
		{name: "forged", sync: true, key: otherKey, state: wire.OrderRefused, reason: wire.ReasonSignature},
		{name: "altered", sync: true, text: func(s string) string { return s[:20] + other(s[20]) + s[21:] }, state: wire.OrderRefused, reason: wire.ReasonSignature},
		{name: "cut", sync: true, text: func(s string) string { return s[:100] }, state: wire.OrderRefused, reason: wire.ReasonMalformed},
		{name: "with a key that is not listed", sync: true, alter: func(c *pass.CommandCard) { c.Key = 2 }, state: wire.OrderRefused, reason: wire.ReasonKey},
		{name: "of another kiosk", sync: true, alter: func(c *pass.CommandCard) { c.Target = pass.KioskTarget("dong-ba-gate-2") }, state: wire.OrderRefused, reason: wire.ReasonKiosk},
		{name: "of this place", sync: true, alter: func(c *pass.CommandCard) { c.Scope, c.Target = pass.ForPlace, pass.PlaceTarget(7) }, state: wire.OrderDone},
		{name: "of another place", sync: true, alter: func(c *pass.CommandCard) { c.Scope, c.Target = pass.ForPlace, pass.PlaceTarget(8) }, state: wire.OrderRefused, reason: wire.ReasonKiosk},
		{name: "of no place", sync: true, alter: func(c *pass.CommandCard) { c.Scope, c.Target = pass.ForPlace, pass.PlaceTarget(0) }, state: wire.OrderRefused, reason: wire.ReasonKiosk},
		{name: "expired", sync: true, later: day, state: wire.OrderExpired, reason: wire.ReasonExpired},
		{name: "in its last second", sync: true, later: day - time.Second, state: wire.OrderDone},
		{name: "not yet valid", sync: true, alter: func(c *pass.CommandCard) { c.From++ }, state: wire.OrderRefused, reason: wire.ReasonNotYet},
		{name: "not yet valid, for all that is known", alter: func(c *pass.CommandCard) { c.From++ }, state: wire.OrderDone},
		{name: "expired before the floor", alter: func(c *pass.CommandCard) { c.From, c.Until = c.From-200, c.From-100 }, state: wire.OrderExpired, reason: wire.ReasonExpired},
		{name: "of a later release", sync: true, alter: func(c *pass.CommandCard) { c.Order, c.Arg = 99, 0 }, state: wire.OrderUnknown, reason: wire.ReasonOrder},
		{name: "that only a message may bring", sync: true, alter: func(c *pass.CommandCard) { c.Order, c.Arg = uint8(wire.OrderDoor), 0 }, state: wire.OrderUnknown, reason: wire.ReasonOrder},
		{name: "that says what does not belong to it", sync: true, alter: func(c *pass.CommandCard) { c.Arg = 1000 }, state: wire.OrderRefused, reason: wire.ReasonOrder},
		{name: "that was printed and tells the time", sync: true, alter: func(c *pass.CommandCard) {
			c.Order, c.Arg = uint8(wire.OrderFloor), uint64(begin.Add(5*day).Unix())
		}, state: wire.OrderRefused, reason: wire.ReasonOrder},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.table.Part().Answered(&wire.BeatAnswer{Orders: &wire.OrderAnswer{Place: 7}})
			if tt.sync {
				s.sync()
			}
			s.pass(tt.later)
			c, key := aCard(), serverKey
			if tt.alter != nil {
				tt.alter(&c)
			}
			if tt.key != nil {
				key = tt.key
			}
			text := s.card(c, key)
			if tt.text != nil {
				text = tt.text(text)
			}
			state, reason := s.show(text)
			if state != tt.state || reason != tt.reason {
				t.Errorf("answered %s %s, want %s %s", state, reason, tt.state, tt.reason)
			}
			if got := s.done(); len(got) > 0 != (tt.state == wire.OrderDone) {
				t.Errorf("followed %v", got)
			}
			if tt.state != wire.OrderDone {
				s.show(text)
			}
			if got := s.uses(); len(got) != 1 {
				t.Errorf("the ledger says %q, want one entry", got)
			}
		})
	}
}

func lower(s string) func(func(byte) bool) {
	return func(yield func(byte) bool) {
		for i := range len(s) {
			c := s[i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if !yield(c) {
				return
			}
		}
	}
}

func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestSingleUseCardIsFollowedOnce(t *testing.T) {
	s := newSite(t)
	s.sync()
	c := aCard()
	c.Single = true
	text := s.card(c, serverKey)
	if state, _ := s.show(text); state != wire.OrderDone {
		t.Fatalf("the first time: %s", state)
	}
	s.start() // what was used stays used
	for range 2 {
		if state, reason := s.show(text); state != wire.OrderRefused || reason != wire.ReasonRepeated {
			t.Errorf("again: %s %s, want refused repeated", state, reason)
		}
	}
	if got := s.done(); len(got) != 1 {
		t.Errorf("followed %v", got)
	}
	if diff := cmp.Diff([]string{"tally done none", "tally refused repeated"}, s.uses()); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
	another := c
	another.Serial++
	if state, _ := s.show(s.card(another, serverKey)); state != wire.OrderDone {
		t.Error("another card of its kind is refused")
	}
}

// A telephone tells the time by the number that the screen shows now, once.
func TestTimeByTelephone(t *testing.T) {
	s := newSite(t)
	nonce := s.table.Nonce()
	answer := aCard()
	answer.Order, answer.Arg, answer.Scope, answer.Target = uint8(wire.OrderFloor), uint64(begin.Unix()), pass.ForNonce, nonce
	answer.Single = true
	other := answer
	other.Target = pass.Target{1}
	if state, reason := s.show(s.card(other, serverKey)); state != wire.OrderRefused || reason != wire.ReasonKiosk {
		t.Errorf("another screen's number: %s %s", state, reason)
	}
	if state, _ := s.show(s.card(answer, otherKey)); state != wire.OrderRefused {
		t.Errorf("forged: %s", state)
	}
	if state, reason := s.show(s.card(answer, serverKey)); state != wire.OrderDone {
		t.Errorf("the time: %s %s", state, reason)
	}
	if state, _ := s.show(s.card(answer, serverKey)); state != wire.OrderRefused {
		t.Errorf("the time, played again: %s", state)
	}
	late := s.table.Nonce()
	if late == nonce {
		t.Error("the screen shows the same number after its answer")
	}
	s.pass(6 * time.Minute)
	answer.Target = late
	if state, _ := s.show(s.card(answer, serverKey)); state != wire.OrderRefused {
		t.Errorf("an answer to a number of long ago: %s", state)
	}
	if s.table.Nonce() == late {
		t.Error("the screen shows the same number for ever")
	}
	// A number answers nothing but the time.
	tally := aCard()
	tally.Scope, tally.Target = pass.ForNonce, s.table.Nonce()
	if state, _ := s.show(s.card(tally, serverKey)); state != wire.OrderRefused {
		t.Errorf("another order by the screen's number: %s", state)
	}
}
