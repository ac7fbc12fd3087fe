package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// The first answer sets the clock; that is told within seconds, once, and not
// only with the next beat.
func TestChangeIsToldAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.answerAll()
		w.agent.Will()
		w.agent.Up()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		beats := w.beats()
		if len(beats) != 2 || beats[0].State == when.Synced || beats[1].State != when.Synced {
			t.Fatalf("beats in the first five seconds = %+v, want one unsynced, one synced", beats)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(w.beats()); n != 2 {
			t.Errorf("%d beats in 25 s in which nothing changed, want 2", n)
		}
		// A record without a receipt is no news.
		_, err := w.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			return wire.NewRecord(wire.Header{Seq: seq, Kind: wire.KindCheckin, Verdict: wire.Admitted}, wire.Sealed{}), wire.Context{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := len(w.beats()); n != 2 {
			t.Errorf("%d beats after a check-in, want 2", n)
		}
	})
}
