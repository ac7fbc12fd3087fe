//go:build image

package main_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// cuts is how often the power goes.
func cuts() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 50
	}
	return 4
}

// TestCuts cuts the power at random moments: of the first start, when the data are made,
// of later ones, and of the door being open. Each time the card must start again, and what
// was green must be on the server in the end.
func TestCuts(t *testing.T) {
	c := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	w.serve()
	r := chance()
	// How long a start takes on this machine says between which moments to cut.
	m := c.start()
	whole := m.said(slow, "qrgate-init: data: made")
	m.cut(r)
	for range max(2, cuts()/5) {
		c2 := newCard(t, build(t, first)+".img")
		m := c2.start()
		time.Sleep(time.Duration(r.Int64N(int64(whole))) + whole/4)
		lost := m.cut(r)
		m = c2.start()
		m.said(slow, firstStart)
		t.Logf("first start cut, %d sectors unflushed: it starts again", lost)
		m.kill()
	}
	m = c.start()
	m.said(slow, firstStart)
	w.enrol(m)
	for n := range cuts() {
		w.check(m, n+1)
		lost := m.cut(r)
		m = c.start()
		if n%2 == 1 {
			time.Sleep(time.Duration(r.Int64N(int64(whole))))
			lost += m.cut(r)
			m = c.start()
		}
		whole = m.said(slow, "door open")
		t.Logf("cut %d, %d sectors unflushed: the door is open again after %s", n+1, lost, whole)
	}
}

// TestCutsOfAnUpdate cuts the power at random moments from the first start with a stick
// that brings a newer system until that one has opened the door. Each time the card must
// start again, from whichever slot, and open the door.
func TestCutsOfAnUpdate(t *testing.T) {
	enrolled := newCard(t, build(t, first)+".img")
	w := newWorld(t)
	w.sign(newer, map[string]string{machineOf: build(t, newer) + ".system"})
	w.serve()
	m := enrolled.start()
	m.said(slow, firstStart)
	w.enrol(m)
	m.said(slow, rootKept)
	m.run("systemctl", "stop", "qrgate-kiosk") // what it holds is on the card
	m.kill()
	stick := w.stick()

	c := enrolled.copy()
	c.stick = stick
	begun := time.Now()
	if !c.start().restarted(2 * slow) {
		t.Fatal("the card did not try the newer system")
	}
	m = c.start()
	m.said(slow, "door open")
	whole := time.Since(begun)
	m.kill() // the stick is the next card's
	t.Logf("power to the door open in the newer system: %s", whole)
	r := chance()
	for n := range cuts() {
		c := enrolled.copy()
		c.stick = stick
		after := time.Duration(r.Int64N(int64(whole)))
		m := c.lives(after)
		slot, lost := m.slot, m.cut(r)
		m = c.opens()
		t.Logf("cut %d, after %s in slot %s, %d sectors unflushed: the door is open again %s after its start, in slot %s", n+1, after, slot, lost, time.Since(m.begun), m.slot)
		m.kill()
	}
}

// lives starts the card, and again whenever it ends by itself, until so much time has
// passed, and returns its last start.
func (c *card) lives(most time.Duration) *machine {
	c.Helper()
	late := time.After(most)
	for {
		m := c.start()
		select {
		case <-late:
			return m
		case <-m.done:
			m.restarted(slow)
		}
	}
}

// opens starts the card, and again if it ends by itself to try another system before that,
// until the door is open, or a card that is new begins its first start.
func (c *card) opens() *machine {
	c.Helper()
	for range 1 + tries {
		m := c.start()
		open := func() bool {
			said := m.console.String()
			return strings.Contains(said, "door open") || strings.Contains(said, firstStart)
		}
		if m.either(slow, "door open", open) {
			return m
		}
		m.restarted(slow)
	}
	c.Fatal("the card starts again and again")
	return nil
}
