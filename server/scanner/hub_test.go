package scanner_test

import (
	"context"
	"crypto/ecdh"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/server/scanner"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
)

// A world is a hub and what desks seal to it with.
type world struct {
	*testing.T
	*scanner.Hub
	to *seal.Sealer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	private := make([]byte, 32)
	private[0] = 7
	opener, err := seal.NewOpener(map[uint32][]byte{1: private})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	to, err := seal.New(1, key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, scanner.New(scanner.Options{Opener: opener, Portal: "https://qr.example.vn"}), to}
}

func (w *world) offer(account string) *scanner.Line {
	w.Helper()
	l, err := w.Offer(account)
	if err != nil {
		w.Fatal(err)
	}
	return l
}

// says sends what a desk says over the line of a code.
func (w *world) says(c pairing.Code, desk byte, no uint64, text string) error {
	w.Helper()
	b, err := c.SealDesk(w.to, time.Now(), pairing.DeskScan{Desk: [16]byte{desk}, No: no, Text: text})
	if err != nil {
		w.Fatal(err)
	}
	return w.Receive(b)
}

func (w *world) want(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("error = %v, want %v", err, want)
	}
}

func TestScanGoesToOneAccountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.offer("hoa")
		other := w.offer("thu")
		if got := l.Now(); got.State != scanner.Offered || got.Waiting != 0 {
			t.Errorf("new line is %+v", got)
		}
		w.want(w.says(l.Code(), 1, 1, ""), nil)
		w.want(w.says(l.Code(), 2, 1, "stolen"), scanner.ErrTaken)
		seen := l.Now()
		if seen.State != scanner.Joined {
			t.Errorf("joined line is %+v", seen)
		}
		woken := make(chan scanner.News)
		go func() { woken <- l.Wait(t.Context(), seen.Version) }()
		synctest.Wait()
		w.want(w.says(l.Code(), 1, 2, "one"), nil)
		if got := <-woken; got.Waiting != 1 {
			t.Errorf("woken with %+v, want one code", got)
		}
		w.want(w.says(l.Code(), 1, 2, "one"), nil) // its answer was lost
		if w.Line(l.ID(), "thu") != nil || w.Line(l.ID(), "hoa") != l || w.Line("", "hoa") != nil || w.Line(other.ID(), "hoa") != nil {
			t.Error("a line is not found by its own account alone")
		}
		if text, ok := l.Take(); text != "one" || !ok {
			t.Errorf("Take = %q, %v", text, ok)
		}
		if text, ok := l.Take(); ok {
			t.Errorf("second Take = %q", text)
		}
		if _, ok := other.Take(); ok {
			t.Error("another account got it")
		}
		for no := range uint64(4) {
			w.want(w.says(l.Code(), 1, 3+no, "more"), nil)
		}
		w.want(w.says(l.Code(), 1, 7, "too many"), scanner.ErrFull)
		time.Sleep(2 * time.Minute) // of the bubble
		if _, ok := l.Take(); ok {
			t.Error("what was not taken for two minutes is still there")
		}
		if got := l.Now().State; got != scanner.Lost {
			t.Errorf("silent line is %s", got)
		}
		w.want(w.says(l.Code(), 1, 7, "late"), nil)
		if got := l.Now(); got.State != scanner.Joined || got.Waiting != 1 {
			t.Errorf("line that came back is %+v", got)
		}
		l.End()
		w.want(w.says(l.Code(), 1, 8, "after"), scanner.ErrEnded)
		if got := l.Wait(t.Context(), 0); got.State != scanner.Ended || got.Waiting != 0 {
			t.Errorf("ended line is %+v", got)
		}
		time.Sleep(5 * time.Minute) // what was planned for has run
	})
}

func TestLinesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		unread := w.offer("hoa")
		time.Sleep(scanner.OfferedFor + time.Second)
		w.want(w.says(unread.Code(), 1, 1, ""), scanner.ErrEnded)
		first := w.offer("hoa")
		second := w.offer("hoa")
		w.want(w.says(first.Code(), 1, 1, ""), scanner.ErrEnded)
		w.want(w.says(second.Code(), 1, 1, ""), nil)
		time.Sleep(29 * time.Minute)
		second.Now() // somebody looks
		time.Sleep(29 * time.Minute)
		w.want(w.says(second.Code(), 1, 2, ""), nil)
		time.Sleep(2 * time.Minute)
		w.want(w.says(second.Code(), 1, 3, ""), scanner.ErrEnded)
		forged := second.Code()
		forged.Token[0]++
		w.want(w.says(forged, 1, 1, "x"), scanner.ErrEnded)
		w.want(w.Receive([]byte("no message")), scanner.ErrMalformed)
		quiet, stop := context.WithCancel(t.Context())
		stop()
		l := w.offer("hoa")
		if got := l.Wait(quiet, l.Now().Version); got.State != scanner.Offered {
			t.Errorf("Wait until ctx ends = %+v", got)
		}
	})
}
