//go:build image

package main_test

import (
	"fmt"
	"os"
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
	whole = m.said(slow, "door open")
	for n := range cuts() {
		card, err := w.stage.Card(t.Context(), n+1, "")
		w.must(err)
		m.scan(card)
		m.until(slow, fmt.Sprintf("check-in %d is on the server", n+1), func() bool { return w.rows() >= n+1 })
		lost := m.cut(r)
		m = c.start()
		if n%2 == 0 {
			time.Sleep(time.Duration(r.Int64N(int64(whole))))
			lost += m.cut(r)
			m = c.start()
		}
		whole = m.said(slow, "door open")
		t.Logf("cut %d, %d sectors unflushed: the door is open again after %s", n+1, lost, whole)
	}
}
