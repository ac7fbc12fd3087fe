package courier_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/server/fleet/courier"
	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

const generation = 7

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))

// A source has documents, and a mark that rises when they change.
type source struct {
	mu   sync.Mutex
	docs []configs.Document
	err  error
	made int // calls of Refresh
}

// Mark never changes: what a real one sees is the test of the store.
func (s *source) Mark(context.Context) (configs.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return configs.Mark{}, s.err
}

func (s *source) Refresh(context.Context) ([]configs.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return slices.Clone(s.docs), s.err
}

func (s *source) set(versions ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs = nil
	for i, v := range versions {
		s.docs = append(s.docs, configs.Document{Kiosk: fmt.Sprintf("gate-%04d", i+1), Version: v, Body: &wire.ConfigDoc{
			V: 1, Kiosk: fmt.Sprintf("gate-%04d", i+1),
			Door: wire.KioskConfig{Place: "Chợ", Gate: "A1", Direction: wire.In, OnFault: wire.AdmitUnrecorded, Accept: []pass.Kind{pass.Card}, Repeat: time.Second, Reset: time.Second},
		}})
	}
}

// A broker holds what is left with it, while it is there.
type broker struct {
	t    *testing.T
	mu   sync.Mutex
	down bool
	most int // it takes before it is down; 0 is all
	held map[string]wire.Stamp
	got  int
}

func (b *broker) Publish(_ context.Context, topic string, payload []byte, retain bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || b.most > 0 && b.got == b.most {
		return errors.New("down")
	}
	kiosk, channel, err := wire.ParseTopic(topic)
	if err != nil || channel != wire.DownConfig || !retain {
		b.t.Errorf("published on %s, retained %t: %v", topic, retain, err)
	}
	d, err := wire.OpenConfig(payload, kiosk, func(id uint32) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) })
	if err != nil || d.Validate() != nil {
		b.t.Errorf("kiosk %s would not take it: %v", kiosk, err)
		return nil
	}
	b.held[kiosk] = d.Stamp
	b.got++
	return nil
}

func (b *broker) set(down bool, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down, b.most, b.got = down, most, 0
	if down {
		clear(b.held) // as an embedded one does
	}
}

func (b *broker) want(versions ...uint64) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, v := range versions {
		id := fmt.Sprintf("gate-%04d", i+1)
		if got, ok := b.held[id]; ok != (v > 0) || got.Version != v || ok && got.Generation != generation {
			b.t.Errorf("the broker holds %v of %s, want version %d", got, id, v)
		}
	}
}

func (b *broker) wantMessages(n int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got != n {
		b.t.Errorf("%d messages, want %d", b.got, n)
	}
	b.got = 0
}

func run(t *testing.T) (*courier.Courier, *source, *broker) {
	s, b := new(source), &broker{t: t, held: map[string]wire.Stamp{}}
	c := courier.New(s, generation, func() (uint32, ed25519.PrivateKey, error) { return 1, key, nil }, courier.Options{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx, b) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return c, s, b
}

// wait lets d go by.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWhatChangedIsLeftOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, b := run(t)
		s.set(1, 4)
		wait(2 * time.Minute)
		b.want(1, 4)
		b.wantMessages(2)
		s.set(1, 5)
		wait(2 * time.Minute)
		b.want(1, 5)
		b.wantMessages(1)
		s.mu.Lock()
		if s.made > 6 { // nothing marked a change: once a minute
			t.Errorf("documents were made %d times", s.made)
		}
		s.mu.Unlock()
	})
}

func TestItGoesOnWhereItWasCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, b := run(t)
		s.set(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		b.set(false, 5)
		wait(2 * time.Minute)
		b.wantMessages(5)
		b.set(false, 0)
		wait(2 * time.Second)
		b.wantMessages(15)
		b.want(slices.Repeat([]uint64{1}, 20)...)

		// A broker that began anew has forgotten all of it.
		b.set(true, 0)
		wait(time.Minute)
		b.set(false, 0)
		c.Up()
		wait(0)
		b.want(slices.Repeat([]uint64{1}, 20)...)
	})
}

func TestAKioskThatDoesNotKnowGetsItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, b := run(t)
		s.set(3)
		wait(2 * time.Minute)
		b.wantMessages(1)
		told := func(wanted, generation uint64) {
			c.Beat("gate-0001", &wire.Beat{Config: &wire.ConfigBeat{Wanted: wire.Stamp{Generation: generation, Version: wanted}}}, nil)
			wait(0)
		}
		told(3, generation)
		b.wantMessages(0)
		told(2, generation)
		b.wantMessages(1)
		told(3, generation-1) // before the server was restored
		b.wantMessages(1)
		c.Beat("gate-0001", &wire.Beat{}, nil) // of a release that takes no configuration
		c.Beat("gate-0099", &wire.Beat{Config: &wire.ConfigBeat{}}, nil)
		wait(time.Second)
		b.wantMessages(0)
	})
}

func TestDatabaseThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, b := run(t)
		s.mu.Lock()
		s.err = errors.New("no database")
		s.mu.Unlock()
		wait(5 * time.Minute)
		b.wantMessages(0)
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		s.set(1)
		wait(2 * time.Minute)
		b.want(1)
	})
}

// A kiosk without a link gets by hand what the broker would have for it.
func TestDocumentByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.set(3)
		c := courier.New(s, generation, func() (uint32, ed25519.PrivateKey, error) { return 1, key, nil }, courier.Options{})
		if b, err := c.Document("gate-0001"); b != nil || err != nil {
			t.Errorf("Document() before the first look = %d bytes, %v", len(b), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx, &broker{t: t, down: true, held: map[string]wire.Stamp{}}) }()
		synctest.Wait()
		b, err := c.Document("gate-0001")
		if err != nil {
			t.Fatal(err)
		}
		d, err := wire.OpenConfig(b, "gate-0001", func(uint32) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) })
		if err != nil || d.Stamp != (wire.Stamp{Generation: generation, Version: 3}) {
			t.Errorf("Document() = %+v, %v", d, err)
		}
		if b, err := c.Document("gate-0002"); b != nil || err != nil {
			t.Errorf("Document(of another) = %d bytes, %v", len(b), err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
