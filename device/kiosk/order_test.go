package kiosk_test

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// withOrders gives a site a table of orders, and cards for it.
func (s *site) withOrders(t *testing.T) (table *order.Table, card func(kind wire.OrderKind, arg uint64) string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("o", 32)))
	table, err := order.Open(filepath.Join(t.TempDir(), "orders.json"), order.Options{
		Kiosk: kioskID, Key: key, Clock: s.door.Clock, Since: func() time.Duration { return time.Hour }, Queue: s.queue,
		Keys: func(uint32) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.door.Orders = table
	serial := uint32(0)
	return table, func(kind wire.OrderKind, arg uint64) string {
		serial++
		text, err := pass.SignCommand(pass.CommandCard{
			Order: uint8(kind), Key: 1, Scope: pass.ForKiosk, Target: pass.KioskTarget(kioskID), Serial: serial, Arg: arg,
			From: pass.HourOf(today), Until: pass.HourOf(today) + 48,
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func TestCommandCardTurnsTheLane(t *testing.T) {
	s := newSite(t, 0)
	table, card := s.withOrders(t)
	table.Add(order.Row{Kind: wire.OrderDirection, Card: true, Do: func(_ context.Context, a wire.OrderArgs) order.Outcome {
		if err := table.Turn(a); err != nil {
			return order.Failed(err)
		}
		return order.Outcome{}
	}})
	s.door.Config.OnFault = wire.Refuse
	_, src, face := s.live(t)
	at := time.Now()
	show := func(text string) kiosk.Answer {
		at = at.Add(time.Minute)
		src <- scan.Scan{Text: text, At: at}
		return <-face
	}
	visitor := func(n uint32) string { return s.sign(t, pass.Card, n, today, today.AddDate(1, 0, 0)) }
	got := []words.State{
		show(visitor(1)).State,
		show(card(wire.OrderDirection, wire.CardArg(wire.OrderDirection, wire.OrderArgs{Direction: wire.Out}, 4))).State,
		show(visitor(2)).State,
		show(card(wire.OrderDirection, 0)).State,
		show(visitor(3)).State,
		show(card(wire.OrderDirection, 0)[:90]).State,
	}
	if diff := cmp.Diff([]words.State{words.Admitted, words.Ordered, words.Leaving, words.Ordered, words.Admitted, words.Refused}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	headers, _ := s.records(t)
	var dirs []wire.Direction
	for _, h := range headers {
		dirs = append(dirs, h.Direction)
	}
	if diff := cmp.Diff([]wire.Direction{wire.In, wire.Out, wire.In}, dirs); diff != "" {
		t.Errorf("check-ins (-want +got):\n%s", diff)
	}
}

// A card that lies before the scanner is followed once.
func TestCommandCardThatLiesStill(t *testing.T) {
	s := newSite(t, 0)
	table, card := s.withOrders(t)
	n := 0
	table.Add(order.Row{Kind: wire.OrderTally, Card: true, Do: func(context.Context, wire.OrderArgs) order.Outcome { n++; return order.Outcome{} }})
	_, src, face := s.live(t)
	text, at := card(wire.OrderTally, 2), time.Now()
	for i := range 5 {
		src <- scan.Scan{Text: text, At: at.Add(time.Duration(i) * 100 * time.Millisecond)}
	}
	src <- scan.Scan{Text: "nothing", At: at.Add(time.Minute)}
	if a := <-face; a.State != words.Ordered || a.Order != wire.OrderTally {
		t.Errorf("answered %+v", a)
	}
	<-face
	if n != 1 {
		t.Errorf("followed %d times, want once", n)
	}
}

// Who was checked in by mistake is taken back, and may come in at once; nobody is taken
// back twice, or long after.
func TestUndo(t *testing.T) {
	s := newSite(t, 0)
	s.withRoom(t, false)
	k, src, face := s.live(t)
	show := func(n uint32, at time.Time) kiosk.Answer {
		src <- scan.Scan{Text: s.sign(t, pass.Card, n, today, today.AddDate(1, 0, 0)), At: at}
		return <-face
	}
	inside := func() uint64 {
		c := s.door.Room.Beat().Counts[0].Count
		return c.In - c.Out
	}
	if _, err := k.Undo(time.Now()); err == nil {
		t.Error("somebody was taken back where nobody came")
	}
	at := time.Now()
	first := show(1, at)
	if inside() != 1 {
		t.Fatalf("%d inside", inside())
	}
	seq, err := k.Undo(at.Add(time.Second))
	if err != nil || seq != first.Seq || inside() != 0 {
		t.Errorf("Undo = %d, %v, %d inside; want %d and nobody", seq, err, inside(), first.Seq)
	}
	if a := show(1, at.Add(2*time.Second)); a.State != words.Admitted {
		t.Errorf("the same card at once is answered %s", a.State)
	}
	if _, err := k.Undo(at.Add(kiosk.UndoTime + time.Minute)); err == nil {
		t.Error("somebody was taken back after a long time")
	}
	if _, err := k.Undo(at.Add(3 * time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := k.Undo(at.Add(4 * time.Second)); err == nil {
		t.Error("somebody was taken back twice")
	}
}

// A kiosk that was locked takes nobody in, but a way out is never locked, and cards that
// command it are followed.
func TestLockedKiosk(t *testing.T) {
	for _, dir := range []wire.Direction{wire.In, wire.Out} {
		s := newSite(t, 0)
		s.door.Config.Direction = dir
		s.door.Config.Accept = append(s.door.Config.Accept, pass.Typed)
		table, card := s.withOrders(t)
		table.Add(order.Row{Kind: wire.OrderTally, Card: true, Do: func(context.Context, wire.OrderArgs) order.Outcome { return order.Outcome{} }})
		if err := table.Lock(true); err != nil {
			t.Fatal(err)
		}
		k, src, face := s.live(t)
		stood := words.Locked
		if dir == wire.Out {
			stood = words.Leaving
		} else if a := <-face; a.State != words.Locked {
			t.Errorf("a locked kiosk shows %s", a.State)
		}
		at := time.Now()
		src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: at}
		if a := <-face; a.State != stood {
			t.Errorf("%s: a card is answered %s, want %s", dir, a.State, stood)
		}
		if err := k.Enter(t.Context(), pass.TypedCode(8)); err != nil {
			t.Fatal(err)
		}
		if a := <-face; a.State != stood {
			t.Errorf("%s: a code is answered %s, want %s", dir, a.State, stood)
		}
		src <- scan.Scan{Text: card(wire.OrderTally, 2), At: at.Add(time.Minute)}
		if a := <-face; a.State != words.Ordered {
			t.Errorf("%s: a command card is answered %s", dir, a.State)
		}
		headers, subjects := s.records(t)
		for i, h := range headers {
			if dir == wire.In && (h.Reason != wire.ReasonLocked || subjects[i] != nil) {
				t.Errorf("recorded %+v with %v", h, subjects[i])
			}
		}
		if len(headers) != 2 {
			t.Errorf("%d records, want 2", len(headers))
		}
	}
}

// Who looks for a kiosk does not take away what a visitor is told.
func TestKioskShowsItselfWhileNobodyIsAnswered(t *testing.T) {
	s := newSite(t, 0)
	k, src, face := s.live(t)
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	<-face
	if k.Here() {
		t.Error("the kiosk showed itself in place of an answer")
	}
}
