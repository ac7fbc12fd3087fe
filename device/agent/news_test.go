package agent_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/agent"
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

// What a part has to tell is told within seconds, though filling in a beat is what
// tells it.
func TestNewsOfAPartIsToldAtOnce(t *testing.T) {
	var version, told atomic.Uint64
	version.Store(1)
	bubble(t, func(w *world) {
		w.agent.Add(agent.Part{
			Fill: func(b *wire.Beat) {
				told.Store(version.Load())
				b.Config = &wire.ConfigBeat{Running: wire.Stamp{Version: told.Load()}}
			},
			News: func() bool { return told.Load() != version.Load() },
		})
	}, func(t *testing.T, w *world) {
		w.answerAll()
		w.agent.Will()
		w.agent.Up()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		w.beats()
		version.Store(2)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if beats := w.beats(); len(beats) == 0 || beats[len(beats)-1].Config.Running.Version != 2 {
			t.Errorf("within three seconds of news: %+v", beats)
		}
	})
}
