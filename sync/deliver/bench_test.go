package deliver_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// The server's part for one batch without a database: read the ledger, take,
// write it back.
func BenchmarkTake(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(n, " records"), func(b *testing.B) {
			h := history{}.grow(n, "a")
			blob := new(deliver.Ledger).Marshal()
			for b.Loop() {
				var l deliver.Ledger
				if err := l.Unmarshal(blob); err != nil {
					b.Fatal(err)
				}
				if got, err := l.Take(h.batch(1, n), nil); err != nil || len(got.Fresh) != n {
					b.Fatalf("Take = %+v, %v", got, err)
				}
				l.Marshal()
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// An instantLine answers every batch before Publish returns.
type instantLine struct {
	b  *testing.B
	fn func(string, []byte)
	mu sync.Mutex
	l  deliver.Ledger
}

func (i *instantLine) Publish(_ context.Context, _ string, payload []byte, _ bool) error {
	b, err := wire.OpenBatch(payload, kioskID, kioskKey.Public().(ed25519.PublicKey))
	if err != nil {
		i.b.Error(err)
		return err
	}
	i.mu.Lock()
	_, err = i.l.Take(b, nil)
	r := i.l.Receipt(kioskID, b.Epoch, i.l.Through())
	i.mu.Unlock()
	if err != nil {
		i.b.Error(err)
		return err
	}
	r.Generation = 1
	i.fn("", r.Seal(7, serverKey))
	return nil
}

func (i *instantLine) Subscribe(_ context.Context, _ string, fn func(string, []byte)) error {
	i.fn = fn
	return nil
}

// A backlog from the outbox's file to its receipts, over a line without delay:
// reading, signing and verifying of both sides on one machine.
func BenchmarkDrain(b *testing.B) {
	const records = 20_000
	for b.Loop() {
		b.StopTimer()
		q, err := outbox.Open(b.Context(), filepath.Join(b.TempDir(), "outbox"), outbox.Options{Now: reading, NoSync: true})
		if err != nil {
			b.Fatal(err)
		}
		putCheckins(b, q, rand.New(rand.NewPCG(1, 1)), 1, records)
		s := deliver.NewSender(kioskID, kioskKey, q, &instantLine{b: b}, receiptKeys, deliver.SenderOptions{})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		b.StartTimer()
		s.Connected(true)
		go func() { done <- s.Run(ctx) }()
		for q.Stats().Unsent > 0 {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		cancel()
		if err := errors.Join(<-done, q.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(records*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
