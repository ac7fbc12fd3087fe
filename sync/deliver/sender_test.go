package deliver_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// scale is how many times as long the long tests run.
func scale(t *testing.T) int {
	s := os.Getenv("QRGATE_SCALE")
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("QRGATE_SCALE=%q is no positive number", s)
	}
	return n
}

// Everything at once, for hours: rows == puts, none double, no gap that is none.
func TestBadLine(t *testing.T) {
	for seed := range uint64(8 * scale(t)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, seed, func(w *world) {
				w.line.drop, w.line.double, w.line.lie = w.rand.Float64()/2, w.rand.Float64()/3, w.rand.Float64()/4
				w.line.delay = time.Duration(w.rand.Int64N(int64(20 * time.Second)))
				w.server.unanswered = w.rand.Float64() / 3
				copied := w.path + ".copy"
				haveCopy := false
				for range 50 {
					w.scan(w.rand.IntN(1 + w.rand.IntN(150)))
					switch w.rand.IntN(12) {
					case 0, 1, 2, 3:
						w.line.connect(true)
					case 4, 5:
						w.line.connect(false)
					case 6:
						w.line.connect(false)
						w.line.connect(true)
					case 7:
						w.server.save()
					case 8:
						w.server.restore()
					case 9: // the kiosk is switched off and on
						w.line.connect(false)
						w.stop()
						w.start()
					case 10:
						if !haveCopy {
							w.line.connect(false)
							w.stop()
							w.copyFile(copied, w.path)
							haveCopy = true
							w.start()
						}
					case 11: // the copy is put back; what only the card had would be gone
						if haveCopy {
							w.quiet()
							w.drain()
							w.server.save()
							w.line.connect(false)
							w.stop()
							w.copyFile(w.path, copied)
							haveCopy = false
							w.start()
						}
					}
					time.Sleep(time.Duration(w.rand.Int64N(int64(2 * time.Minute))))
				}
				w.quiet()
				w.scan(1)
				w.drain()
				w.check()
			})
		})
	}
}

// DESIGN, forks: copy the state at 100, go on to 200, put the copy back, scan 50.
func TestCopyPutBackIsFork(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.delay = 100 * time.Millisecond
		w.line.connect(true)
		w.scan(100)
		w.drain()
		w.line.connect(false)
		w.stop()
		copied := w.path + ".copy"
		w.copyFile(copied, w.path)
		w.start()
		w.line.connect(true)
		w.scan(100)
		w.drain()
		first := w.q.Stats().Epoch
		w.line.connect(false)
		w.stop()
		w.copyFile(w.path, copied)
		w.start()
		w.line.connect(true)
		w.scan(50)
		w.drain()
		w.check()
		if n := len(w.server.store.rows); n != 250 {
			t.Errorf("%d rows, want 250", n)
		}
		st := w.q.Stats()
		if st.Epoch == first || st.By != wire.OpenedFork || w.sender.Stats().Forks != 1 {
			t.Errorf("outbox %+v after %d forks; want one new epoch by fork", st, w.sender.Stats().Forks)
		}
	})
}

// Two kiosks from one card: what the copy delivered beyond a gap turns out to be
// of another history when the gap closes. Both sides' rows stay.
func TestRunBeyondGapOfAnotherHistory(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.connect(true)
		w.scan(100)
		w.drain()
		w.line.connect(false)
		w.stop()
		copied := w.path + ".copy"
		w.copyFile(copied, w.path)
		w.start()
		// The copy's own records, of which the server gets only the last.
		w.scan(60)
		run, err := w.q.Peek(w.q.Stats().Last-9, 10)
		if err != nil {
			t.Fatal(err)
		}
		b := &wire.Batch{V: wire.Version, Kiosk: kioskID, Epoch: run.Epoch, First: run.First, Prev: run.Prev, Last: run.End(), Contexts: run.Contexts, Records: run.Records}
		if w.server.handle(b.Seal(kioskKey)) == nil {
			t.Fatal("the run beyond the gap was not taken")
		}
		w.stop()
		w.copyFile(w.path, copied)
		w.start()
		w.scan(200)
		w.line.connect(true)
		w.drain()
		for id := uint64(101); id <= 150; id++ {
			if w.server.store.rows[id] > 0 {
				t.Errorf("check-in %d, which never left the copy, has a row", id)
			}
			w.server.store.rows[id] = 1
		}
		w.check()
		if n := w.sender.Stats().Forks; n != 1 {
			t.Errorf("Forks = %d, want 1", n)
		}
	})
}

// A batch that was held up somewhere arrives after its records were carried into
// a later epoch, and once more.
func TestBatchAfterItsRecordsWereCarried(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.connect(true)
		w.scan(100)
		w.drain()
		w.line.connect(false)
		w.scan(50)
		var late [][]byte
		for e, err := range deliver.Envelopes(kioskID, kioskKey, w.q) {
			if err != nil {
				t.Fatal(err)
			}
			late = append(late, e)
		}
		if err := w.q.NewEpoch(wire.OpenedSalvage); err != nil {
			t.Fatal(err)
		}
		w.line.connect(true)
		w.drain()
		w.check()
		for range 2 {
			for _, e := range late {
				w.server.handle(e)
			}
		}
		w.check()
	})
}

// An order begins an epoch behind the sender's back, while the link stays up and
// nothing is under way: the new one is delivered all the same, its carried records
// as backlog and those of people who come as live.
func TestEpochByOrderOnQuietLink(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.connect(true)
		w.scan(100)
		w.drain()
		w.server.save()
		w.scan(1) // its receipt says what is in the backup, and so need not be carried
		w.drain()
		before := len(w.line.batches())
		if err := w.q.NewEpoch(wire.OpenedOrder); err != nil {
			t.Fatal(err)
		}
		w.drain()
		w.scan(1)
		w.drain()
		w.check()
		for _, b := range w.line.batches()[before:] {
			if want := b.First <= 1+w.q.Stats().Carried; b.Epoch != w.q.Stats().Epoch || b.Backlog != want {
				t.Errorf("batch from %d of epoch %s: backlog %t, want %t in epoch %s", b.First, b.Epoch, b.Backlog, want, w.q.Stats().Epoch)
			}
		}
	})
}

func TestLiveBeforeBacklog(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.scan(5000)
		w.line.delay = 400 * time.Millisecond
		w.line.connect(true)
		time.Sleep(time.Second)
		if w.q.Stats().Unsent < 2500 {
			t.Fatalf("Unsent = %d a second after the connection: the line is too fast for this test", w.q.Stats().Unsent)
		}
		for range 100 {
			w.scan(1)
			seq := w.q.Stats().Last
			synctest.Wait()
			sent := w.line.batches()
			if b := sent[len(sent)-1]; b.First != seq || b.Backlog {
				t.Fatalf("live record %d is put and waits; the last batch sent is %d..%d", seq, b.First, b.End())
			}
			for !w.q.Received(seq) {
				time.Sleep(10 * time.Millisecond)
			}
		}
		w.drain()
		w.check()
		for _, b := range w.line.batches() {
			if b.Backlog != (b.First <= 5001) { // 1 is the opening record
				t.Fatalf("batch %d..%d: Backlog = %t", b.First, b.End(), b.Backlog)
			}
		}
	})
}

// More live records than the line takes must not keep the backlog from the
// server for ever.
func TestBacklogBesideLive(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.scan(1500)
		w.line.delay = 200 * time.Millisecond
		w.line.connect(true)
		synctest.Wait()
		before := len(w.line.batches())
		w.scan(4000)
		w.drain()
		w.check()
		live, backlog := 0, 0
		for _, b := range w.line.batches()[before:] {
			if b.Backlog {
				backlog++
			} else if live++; live == 15 {
				break
			}
		}
		if backlog < 2 {
			t.Errorf("%d batches of backlog beside the first %d live ones, want at least 2", backlog, live)
		}
	})
}

// A line that resets on every message over a size gets smaller ones.
func TestLostLinkHalvesBatch(t *testing.T) {
	for _, over := range []int{8000, 1200, 0} {
		t.Run(fmt.Sprint(over, " bytes"), func(t *testing.T) {
			bubble(t, 1, func(w *world) {
				w.scan(600)
				w.line.cutOver = over
				w.line.delay = 50 * time.Millisecond
				w.line.connect(true)
				least := wire.MaxBatchRecords
				for began := time.Now(); w.q.Stats().Unsent > 0; time.Sleep(20 * time.Millisecond) {
					least = min(least, w.sender.Stats().Limit)
					if time.Since(began) > time.Hour {
						t.Fatalf("after 1 h: outbox %+v, sender %+v", w.q.Stats(), w.sender.Stats())
					}
				}
				w.check()
				if (over == 0) != (least == wire.MaxBatchRecords) {
					t.Errorf("smallest Limit = %d", least)
				}
				t.Logf("smallest limit %d, %d connections lost", least, w.line.lost)
				w.quiet()
				w.scan(3000)
				w.drain()
				if n := w.sender.Stats().Limit; n < 64 {
					t.Errorf("Limit = %d after 3,000 more on a good line, want it grown again", n)
				}
			})
		})
	}
}

// Nothing answers: the kiosk asks less and less often, and at once when the link
// comes back.
func TestResendBacksOff(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.lie = 1
		w.line.connect(true)
		w.scan(1)
		time.Sleep(10 * time.Minute)
		sent := len(w.line.batches())
		if sent < 10 || sent > 40 { // opening record and check-in: 2, 4, 8, 16, 32, then 60 s each
			t.Errorf("%d publishes in 10 silent minutes, want 10 to 40", sent)
		}
		w.line.connect(false)
		time.Sleep(time.Second)
		w.quiet()
		time.Sleep(time.Second)
		if n := w.q.Stats().Unsent; n != 0 {
			t.Errorf("Unsent = %d a second after the link came back", n)
		}
		w.line.connect(false)
		w.scan(1)
		sent = len(w.line.batches())
		time.Sleep(24 * time.Hour)
		if n := len(w.line.batches()); n != sent {
			t.Errorf("%d publishes while the link was down", n-sent)
		}
	})
}

// A server that says fork to everything costs the card some new epochs, not one
// a second.
func TestForksAreRationed(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.server.answerFork(true)
		w.line.connect(true)
		w.scan(100)
		time.Sleep(6 * time.Hour)
		if n := w.sender.Stats().Forks; n < 2 || n > 12 {
			t.Errorf("Forks = %d in six hours, want 2 to 12", n)
		}
		w.server.answerFork(false)
		w.drain()
		w.check()
	})
}

func TestRestoredServerIsFilledAgain(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.connect(true)
		w.scan(300)
		w.drain()
		w.server.save()
		w.scan(700)
		w.drain()
		w.server.restore()
		w.scan(1) // the receipt shows the new generation
		w.drain()
		time.Sleep(time.Minute)
		w.drain()
		w.check()
		if g := w.q.Stats().Generation; g != 2 {
			t.Errorf("Generation = %d, want 2", g)
		}
	})
}

func TestReceiptMustVerify(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.scan(10)
		st := w.q.Stats()
		r := wire.Receipt{V: wire.Version, Kiosk: kioskID, Epoch: st.Epoch, Generation: 1, Through: st.Last, Hash: st.Hash, Time: 1_800_000_000_000}
		other := r
		other.Kiosk = "kiosk-00002"
		stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
		for _, e := range [][]byte{r.Seal(7, stranger), r.Seal(8, serverKey), other.Seal(7, serverKey), []byte("junk"), nil} {
			w.sender.Receipt(e)
		}
		time.Sleep(time.Second)
		if got := w.sender.Stats(); got.Refused != 5 || got.Receipts != 0 || w.q.Stats().Through != 0 || !w.heard.IsZero() {
			t.Errorf("after 5 forged receipts: %+v, through %d, hook %s", got, w.q.Stats().Through, w.heard)
		}
		w.sender.Receipt(r.Seal(7, serverKey)) // as from a USB stick
		time.Sleep(time.Second)
		if got := w.q.Stats().Through; got != st.Last || !w.heard.Equal(time.UnixMilli(r.Time)) {
			t.Errorf("Through = %d, hook %s; want %d, %s", got, w.heard, st.Last, time.UnixMilli(r.Time))
		}
		// An idle kiosk writes down what it was told.
		time.Sleep(time.Minute)
		w.copyFile(w.path+".snap", w.path)
		snap, err := outbox.Open(t.Context(), w.path+".snap", outbox.Options{Now: reading})
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Close()
		if got := snap.Stats().Through; got != st.Last {
			t.Errorf("Through = %d on disk after an idle minute, want %d", got, st.Last)
		}
	})
}

func TestEndWritesWhatReceiptsSaid(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.line.connect(true)
		w.scan(10)
		w.drain()
		w.stop()
		w.start()
		if st := w.q.Stats(); st.Through != st.Last {
			t.Errorf("Through = %d after a restart, want %d", st.Through, st.Last)
		}
	})
}

// The same batches by hand: nothing is lost or double when the line comes back.
func TestBundleByHand(t *testing.T) {
	bubble(t, 1, func(w *world) {
		w.scan(1000)
		var stick bytes.Buffer
		if err := deliver.WriteBundle(&stick, kioskID, deliver.Envelopes(kioskID, kioskKey, w.q)); err != nil {
			t.Fatalf("WriteBundle error = %v", err)
		}
		_, envelopes, err := readAll(stick.Bytes())
		if err != nil {
			t.Fatalf("ReadBundle error = %v", err)
		}
		var last []byte
		for _, e := range envelopes {
			last = w.server.handle(e)
		}
		w.check()
		if len(w.line.batches()) > 0 {
			t.Errorf("%d batches went by the line", len(w.line.batches()))
		}
		w.scan(10)
		w.line.connect(true)
		w.drain()
		w.check()
		w.sender.Receipt(last)
	})
}
