package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// The codec that package wire shares between all must not be made inside one
// test's bubble of time.
func TestMain(m *testing.M) {
	list := listed(1, 1)
	for len(list.Keys) < wire.MaxKeys {
		list.Keys = append(list.Keys, list.Keys[0])
	}
	if _, err := wire.OpenKeyList(signedKeys(rootKey, list), public(rootKey)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// truth is the server's time when a test begins.
var truth = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type message struct {
	channel wire.Channel
	payload []byte
	retain  bool
	at      time.Duration // since the test began
}

// A line is a Link to a server in the same process. What the server says in
// answer to a message arrives while the message is still being published, so a
// receiver that waits for the sender hangs.
type line struct {
	t       *testing.T
	begun   time.Time
	refuse  error // of Subscribe
	publish error // of Publish

	mu     sync.Mutex
	subs   map[string]func(topic string, payload []byte)
	sent   []message
	server func(m message)
}

func (l *line) Subscribe(_ context.Context, filter string, fn func(string, []byte)) error {
	if l.refuse != nil {
		return l.refuse
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs[filter] = fn
	return nil
}

func (l *line) Publish(_ context.Context, topic string, payload []byte, retain bool) error {
	kiosk, c, err := wire.ParseTopic(topic)
	if err != nil || kiosk != kioskID || !c.Up() {
		l.t.Errorf("Publish(%q), which is not the kiosk's: %v", topic, err)
	}
	if l.publish != nil {
		return l.publish
	}
	m := message{c, payload, retain, time.Since(l.begun)}
	l.mu.Lock()
	l.sent = append(l.sent, m)
	server := l.server
	l.mu.Unlock()
	if server != nil {
		server(m)
	}
	return nil
}

// down brings a message from the server.
func (l *line) down(c wire.Channel, payload []byte) {
	l.mu.Lock()
	fn := l.subs[wire.Topic(kioskID, c)]
	l.mu.Unlock()
	if fn == nil {
		l.t.Errorf("the kiosk has not subscribed to %s", c)
		return
	}
	fn(wire.Topic(kioskID, c), payload)
}

// on returns what was sent on a channel.
func (l *line) on(c wire.Channel) []message {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []message
	for _, m := range l.sent {
		if m.channel == c {
			all = append(all, m)
		}
	}
	return all
}

// A world is an agent, its line and what it works with.
type world struct {
	*line
	dir   string
	id    *agent.Identity
	state *agent.State
	list  *agent.List
	queue *outbox.Queue
	clock *when.Clock
	agent *agent.Agent
	log   *bytes.Buffer
	end   func() error // stops the agent and returns what Run returned
}

// bubble runs fn with an agent that is running, and with its own time.
func bubble(t *testing.T, prepare func(w *world), fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if prepare != nil {
			prepare(w)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.agent.Run(ctx, w.line) }()
		var once sync.Once
		var err error
		w.end = func() error {
			once.Do(func() { cancel(); err = <-ended })
			return err
		}
		defer w.end()
		synctest.Wait()
		fn(t, w)
	})
}

func newWorld(t *testing.T) *world {
	w := &world{
		line: &line{t: t, begun: time.Now(), subs: map[string]func(string, []byte){}},
		dir:  enrolled(t, nil), log: new(bytes.Buffer),
	}
	w.id = readIdentity(t, w.dir)
	w.state = openState(t, filepath.Join(w.dir, "agent.json"))
	w.list = openList(t, filepath.Join(w.dir, "void.list"), w.state.List)
	since := func() time.Duration { return time.Minute + time.Since(w.begun) }
	w.clock = when.NewClock(when.Boot{1}, since, func() time.Time { return time.Unix(0, 0) }, truth.AddDate(0, 0, -9))
	var err error
	w.queue, err = outbox.Open(t.Context(), filepath.Join(w.dir, "outbox.db"), outbox.Options{
		Now: w.clock.Read, Limit: outbox.MinLimit, NoSync: true, // no power is cut here
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.queue.Close() })
	w.agent = agent.New(w.id, w.state, w.list, w.queue, w.clock, since, health, slog.New(slog.NewTextHandler(w.log, nil)))
	return w
}

// health has more scanners than a beat takes.
func health(b *wire.Beat) {
	b.Release, b.Uptime = "1.2.3", 60
	b.Scanners = make([]wire.ScannerBeat, wire.MaxScanners+4)
}

// now is the server's time.
func (w *world) now() time.Time { return truth.Add(time.Since(w.begun)) }

// floor returns the floor on disk.
func (w *world) floor() time.Time {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "agent.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var s agent.State
	if err := json.Unmarshal(b, &s); err != nil {
		w.t.Fatal(err)
	}
	return s.Floor
}

// beats returns the beats that have been sent, opened as the server does.
func (w *world) beats() []wire.Beat {
	w.t.Helper()
	var all []wire.Beat
	for _, m := range w.on(wire.UpBeat) {
		b, err := wire.OpenBeat(m.payload, public(kioskKey))
		if err != nil {
			w.t.Fatalf("OpenBeat error = %v", err)
		}
		all = append(all, *b)
	}
	return all
}

// anchors returns those in the ledger.
func (w *world) anchors() []wire.Header {
	w.t.Helper()
	var all []wire.Header
	run, err := w.queue.Peek(1, wire.MaxBatchRecords)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range run.Records {
		_, h, err := wire.DecodeRecord(b)
		if err != nil {
			w.t.Fatal(err)
		}
		if h.Kind == wire.KindAnchor {
			all = append(all, h)
		}
	}
	return all
}

func (w *world) answer(nonce [16]byte) wire.BeatAnswer {
	return wire.BeatAnswer{V: wire.Version, Kiosk: kioskID, Nonce: nonce, Time: w.now().UnixMilli()}
}

func seal(a wire.BeatAnswer) []byte { return wire.Seal(wire.ForBeat, 7, receiptKey, a) }

// answerAll has the server answer every beat at once.
func (w *world) answerAll() {
	w.server = func(m message) {
		if m.channel != wire.UpBeat {
			return
		}
		b, err := wire.OpenBeat(m.payload, public(kioskKey))
		if err != nil {
			w.t.Errorf("OpenBeat error = %v", err)
			return
		}
		w.down(wire.DownBeat, seal(w.answer(b.Nonce)))
	}
}

func TestBeatEachHalfMinute(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		if n := len(w.on(wire.UpBeat)); n != 0 {
			t.Errorf("%d beats before the link is up, want none", n)
		}
		w.agent.Will()
		w.agent.Up()
		synctest.Wait()
		time.Sleep(95 * time.Second)
		synctest.Wait()
		nonces := map[[16]byte]bool{}
		sent := w.on(wire.UpBeat)
		s := w.queue.Stats()
		for i, b := range w.beats() {
			if b.Nonce == ([16]byte{}) || nonces[b.Nonce] {
				t.Errorf("beat %d has nonce %x, want one of its own", i, b.Nonce)
			}
			nonces[b.Nonce] = true
			if b.Release != "1.2.3" || len(b.Scanners) != wire.MaxScanners || b.Epoch != s.Epoch || b.Last != s.Last || b.Queued != s.Unsent || b.Limit != s.Limit {
				t.Errorf("beat %d = %+v, want the health and the queue's %+v", i, b, s)
			}
			if b.State != when.Floor || b.Boot != (when.Boot{1}) || b.Session == 0 {
				t.Errorf("beat %d = clock %s, boot %s, session %d, want an unsynced clock", i, b.State, b.Boot, b.Session)
			}
			if at := sent[i].at.Round(time.Second); sent[i].retain || at != time.Duration(i)*30*time.Second {
				t.Errorf("beat %d sent after %s, retained %t", i, at, sent[i].retain)
			}
		}
		if len(nonces) != 4 {
			t.Errorf("%d beats in 95 s, want 4", len(nonces))
		}
	})
}

func TestOnlyAnEchoedNonceIsATime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent.Up()
		synctest.Wait()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		beats := w.beats()
		older, newest := beats[0].Nonce, beats[1].Nonce
		good := w.answer(newest)
		changed := func(change func(*wire.BeatAnswer)) wire.BeatAnswer {
			a := good
			change(&a)
			return a
		}
		for _, bad := range []struct {
			name string
			data []byte
		}{
			{"an older beat's", seal(w.answer(older))},
			{"no nonce", seal(w.answer([16]byte{}))},
			{"an invented nonce", seal(w.answer([16]byte{1, 2, 3}))},
			{"another kiosk's", seal(changed(func(a *wire.BeatAnswer) { a.Kiosk = "kiosk-00002" }))},
			{"a later version", seal(changed(func(a *wire.BeatAnswer) { a.V = 2 }))},
			{"a key that is not listed", wire.Seal(wire.ForBeat, 8, strange, good)},
			{"another key under a listed id", wire.Seal(wire.ForBeat, 7, strange, good)},
			{"a key of another purpose", wire.Seal(wire.ForBeat, 4, cardKey, good)},
			{"the kiosk's own key", wire.Seal(wire.ForBeat, 0, kioskKey, good)},
			{"signed as a receipt", wire.Seal(wire.ForReceipt, 7, receiptKey, good)},
			{"the beat itself", w.on(wire.UpBeat)[1].payload},
			{"noise", []byte("noise")},
			{"nothing", nil},
		} {
			w.down(wire.DownBeat, bad.data)
			synctest.Wait()
			if r := w.clock.Read(); r.State != when.Floor {
				t.Fatalf("clock after an answer with %s = %+v, want it unsynced", bad.name, r)
			}
		}
		if a := w.anchors(); len(a) != 0 {
			t.Fatalf("anchors = %+v, want none", a)
		}

		time.Sleep(2 * time.Second)
		w.down(wire.DownBeat, seal(w.answer(newest)))
		synctest.Wait()
		r := w.clock.Read()
		if off := r.Wall - w.now().UnixMilli(); r.State != when.Synced || max(off, -off) > r.Error || r.Error > 1100 {
			t.Errorf("clock after the answer = %+v, off by %d ms, want it synced within a second", r, off)
		}
		a := w.anchors()
		if len(a) != 1 || a[0].Boot != (when.Boot{1}) || a[0].Since != 91_000 || a[0].Anchor.Error < 1000 {
			t.Fatalf("anchors = %+v, want one in the middle of the round trip, 91,000 ms after boot", a)
		}
		if off := a[0].Anchor.Server - a[0].Wall; max(off, -off) > 10 {
			t.Errorf("anchor believes %d and ties %d, want the same moment", a[0].Wall, a[0].Anchor.Server)
		}

		// Played again with a time of its own it would lead the clock astray.
		ahead := changed(func(a *wire.BeatAnswer) { a.Time += 86_400_000 })
		w.down(wire.DownBeat, seal(ahead))
		synctest.Wait()
		if again := w.clock.Read(); again.Wall-r.Wall > 1000 || len(w.anchors()) != 1 {
			t.Errorf("clock after a second answer to one beat = %+v, was %+v", again, r)
		}
	})
}

func TestAnswerAfterTheNextBeatIsLate(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.server = func(m message) {
			if m.channel != wire.UpBeat {
				return
			}
			b, err := wire.OpenBeat(m.payload, public(kioskKey))
			if err != nil {
				t.Error(err)
				return
			}
			late := seal(w.answer(b.Nonce))
			time.AfterFunc(31*time.Second, func() { w.down(wire.DownBeat, late) })
		}
		w.agent.Up()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if r := w.clock.Read(); r.State != when.Floor || len(w.anchors()) != 0 {
			t.Errorf("clock on a link with a round trip of 31 s = %+v, %d anchors, want it unsynced", r, len(w.anchors()))
		}
		w.mu.Lock()
		w.server = nil
		w.mu.Unlock()
		time.Sleep(time.Minute) // until the last answer has come
	})
}

func TestAnchorsAndFloorAreKept(t *testing.T) {
	bubble(t, (*world).answerAll, func(t *testing.T, w *world) {
		w.agent.Up()
		synctest.Wait()
		if floor := w.floor(); floor.Sub(truth).Abs() > time.Second {
			t.Errorf("floor on disk after the first answer = %s, want %s: a power cut within the hour loses it", floor, truth)
		}
		time.Sleep(13 * time.Hour)
		synctest.Wait()
		if n := len(w.anchors()); n != 3 {
			t.Errorf("%d anchors after 13 hours of beats, want 3: the first, and one each six hours", n)
		}
		if floor := w.floor(); w.now().Sub(floor) > time.Hour+time.Minute {
			t.Errorf("floor on disk = %s, want at most an hour before %s", floor, w.now())
		}
		time.Sleep(40 * time.Minute)
		if err := w.end(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if floor := w.floor(); w.now().Sub(floor) > time.Minute {
			t.Errorf("floor on disk after the end = %s, want %s", floor, w.now())
		}
	})
}

func TestRefusedSubscriptionDoesNotEndTheDoor(t *testing.T) {
	bubble(t, func(w *world) { w.refuse = errors.New("refused by the broker") }, func(t *testing.T, w *world) {
		w.agent.Up()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := len(w.beats()); n != 3 {
			t.Errorf("%d beats in a minute, want 3", n)
		}
		if err := w.end(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if !bytes.Contains(w.log.Bytes(), []byte("subscription refused")) {
			t.Errorf("log says nothing of the refusal:\n%s", w.log)
		}
	})
}

func TestDeadLinkIsNoError(t *testing.T) {
	bubble(t, func(w *world) { w.publish = errors.New("link is down") }, func(t *testing.T, w *world) {
		w.agent.Up()
		time.Sleep(10 * time.Minute)
		if err := w.end(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestFullOutboxGoesWithoutAnchor(t *testing.T) {
	fill := func(w *world) {
		for n := uint64(0); ; n++ {
			_, err := w.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
				c := wire.NewContext(1, bytes.Repeat([]byte{byte(n), byte(n >> 8)}, 16))
				h := wire.Header{Seq: seq, Kind: wire.KindCheckin}
				return wire.NewRecord(h, wire.Sealed{Key: 1, Context: c.ID, Box: make([]byte, 7000)}), c, nil
			})
			if errors.Is(err, outbox.ErrFull) {
				return
			}
			if err != nil {
				w.t.Fatal(err)
			}
		}
	}
	bubble(t, func(w *world) { fill(w); w.answerAll() }, func(t *testing.T, w *world) {
		w.agent.Up()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if r := w.clock.Read(); r.State != when.Synced {
			t.Errorf("clock = %+v, want it synced although the outbox is full", r)
		}
		if err := w.end(); err != nil {
			t.Errorf("Run with a full outbox = %v, want nil", err)
		}
	})
}

func TestOutboxThatCannotRecordEndsRun(t *testing.T) {
	bubble(t, (*world).answerAll, func(t *testing.T, w *world) {
		if err := w.queue.Close(); err != nil {
			t.Fatal(err)
		}
		w.agent.Up()
		synctest.Wait()
		if err := w.end(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Run = %v, want the outbox's error", err)
		}
	})
}

func TestKeyListsArriveByLink(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		for _, step := range []struct {
			root ed25519.PrivateKey
			list wire.KeyList
			want wire.Stamp
		}{
			{rootKey, listed(1, 6), wire.Stamp{Generation: 1, Version: 6}},
			{rootKey, listed(1, 5), wire.Stamp{Generation: 1, Version: 6}},
			{strange, listed(9, 9), wire.Stamp{Generation: 1, Version: 6}},
			{rootKey, listed(2, 1), wire.Stamp{Generation: 2, Version: 1}},
		} {
			w.down(wire.DownKeys, signedKeys(step.root, step.list))
			synctest.Wait()
			if got := w.id.Keys().Stamp; got != step.want {
				t.Errorf("list in force after %+v = %+v, want %+v", step.list.Stamp, got, step.want)
			}
			if got := readIdentity(t, w.dir).Keys().Stamp; got != step.want {
				t.Errorf("list on disk after %+v = %+v, want %+v", step.list.Stamp, got, step.want)
			}
		}
		// A revoked receipt key is not believed from the next message on.
		w.agent.Up()
		synctest.Wait()
		revoked := listed(2, 2)
		revoked.Keys[0] = wire.Key{ID: 8, Purpose: wire.ForReceipt, Public: public(strange)}
		w.down(wire.DownKeys, signedKeys(rootKey, revoked))
		synctest.Wait()
		beats := w.beats()
		a := w.answer(beats[len(beats)-1].Nonce)
		w.down(wire.DownBeat, seal(a))
		synctest.Wait()
		if r := w.clock.Read(); r.State != when.Floor {
			t.Errorf("clock = %+v after an answer under a revoked key, want it unsynced", r)
		}
		w.down(wire.DownBeat, wire.Seal(wire.ForBeat, 8, strange, a))
		synctest.Wait()
		if r := w.clock.Read(); r.State != when.Synced {
			t.Errorf("clock = %+v after an answer under the new key, want it synced", r)
		}
	})
}

// A link hands over one message after the other: what it brings must not wait
// for an agent that is busy.
func TestFloodDoesNotHoldTheLink(t *testing.T) {
	bubble(t, func(w *world) {
		w.server = func(m message) {
			for n := range uint64(100) {
				w.down(wire.DownKeys, signedKeys(rootKey, listed(3, n)))
				w.down(wire.DownBeat, []byte("noise"))
			}
		}
	}, func(t *testing.T, w *world) {
		w.agent.Up()
		synctest.Wait()
		if got, want := w.id.Keys().Stamp, (wire.Stamp{Generation: 3, Version: 99}); got != want {
			t.Errorf("list in force = %+v, want the newest, %+v", got, want)
		}
	})
}

func TestDamagedStateIsLogged(t *testing.T) {
	bubble(t, func(w *world) { w.state.Damaged = errors.New("agent.json: unexpected end") }, func(t *testing.T, w *world) {
		w.end()
		if !bytes.Contains(w.log.Bytes(), []byte("agent.json: unexpected end")) {
			t.Errorf("log says nothing of the damage:\n%s", w.log)
		}
	})
}
