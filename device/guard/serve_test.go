package guard_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/guard"
)

// The page is there while it is switched on, and not a moment before; a terminal gets a
// code of it then, and has it forget its telephones.
func TestServe(t *testing.T) {
	w := newWorld(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir, err := os.MkdirTemp("", "guard") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dir = filepath.Join(dir, "g")
	if _, err := guard.AskOffer(t.Context(), dir); err != guard.ErrNotRunning {
		t.Errorf("a kiosk that does not run is asked for a code: %v", err)
	}
	g, err := guard.Open(guard.Options{Dir: dir, Kiosk: kioskID, Listen: addr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g.Use(w.guard.Station)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	served := func() bool {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("still waiting until %s", what)
			}
		}
	}
	until("a terminal is answered", func() bool { _, err := guard.AskOffer(ctx, dir); return err != guard.ErrNotRunning })
	if _, err := guard.AskOffer(ctx, dir); err == nil || served() {
		t.Errorf("a page that is off gives a code: %v", err)
	}
	if _, on := g.Look(); on {
		t.Error("a beat says that it is on")
	}
	g.Serve(true)
	until("the page is there", served)
	o, err := guard.AskOffer(ctx, dir)
	if shown, ok := g.Offered(); err != nil || !ok || o != shown {
		t.Errorf("a terminal gets %+v, %v, the screen shows %+v", o, err, shown)
	}
	if err := guard.AskForget(ctx, dir); err != nil {
		t.Error(err)
	}
	g.Serve(false)
	until("the page is gone", func() bool { return !served() })
	if _, ok := g.Offered(); ok {
		t.Error("the screen shows the code of a page that is off")
	}
	g.Serve(true)
	until("the page is there again", served)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}
