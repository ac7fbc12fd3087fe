package wedge_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/wedge"
)

// Each press of any key counts once, however long it is held and whatever it types.
func TestPresses(t *testing.T) {
	var h hub
	w := h.plug(t)
	pressed := make(chan struct{}, 16)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- wedge.Presses(ctx, wedge.Config{Device: device(t)}, slog.New(slog.DiscardHandler), wedge.Options{Open: h.open}, func() { pressed <- struct{}{} })
	}()
	for i := range 4 {
		write(t, w, keys(wedge.EventSize, []string{"48", "+28 ~28 ~28 -28", "57", "30"}[i]))
		select {
		case <-pressed:
		case <-time.After(patience):
			t.Fatalf("press %d was not counted", i+1)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Presses = %v", err)
	}
	if len(pressed) != 0 {
		t.Errorf("%d presses too many", len(pressed))
	}
}
