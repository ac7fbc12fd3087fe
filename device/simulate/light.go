package simulate

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/wire"
)

const beatEvery = 30 * time.Second // as a kiosk's

// light keeps the connection of a kiosk and beats.
func (r *run) light(ctx context.Context, n int, id *agent.Identity) error {
	clock, since := r.clock(n, time.Time{})
	var links atomic.Uint64
	start := uint64(time.Now().Unix()) << 32 / 10
	session := func() uint64 { return start + links.Load() }
	up := make(chan struct{}, 1)
	link, err := r.link(n, id, clock, mqttlink.Options{
		Will: func() mqttlink.Will {
			links.Add(1)
			return mqttlink.Will{Topic: wire.Topic(id.Kiosk, wire.Status), Payload: wire.Encode(wire.Online{V: wire.Version, Session: session()})}
		},
		OnUp: func(context.Context) {
			r.connected(true)
			select {
			case up <- struct{}{}:
			default:
			}
		},
		OnDown: func(error) { r.connected(false) },
		Log:    r.o.Log.With("kiosk", id.Kiosk),
	})
	if err != nil {
		return err
	}
	// What a kiosk hears.
	for _, c := range []wire.Channel{wire.DownReceipt, wire.DownBeat, wire.DownKeys, wire.DownList, wire.DownEvent} {
		if err := link.Subscribe(ctx, wire.Topic(id.Kiosk, c), func(string, []byte) {}); err != nil {
			return err
		}
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return link.Run(ctx) })
	tasks.Go(func() error {
		epoch := wire.NewEpoch()
		beat := time.NewTimer(mathrand.N(beatEvery))
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-up:
				// A link that has gone again says so itself.
				_ = link.Publish(ctx, wire.Topic(id.Kiosk, wire.Status), wire.Encode(wire.Online{V: wire.Version, Up: true, Session: session()}), true)
			case <-beat.C:
				beat.Reset(beatEvery)
				now := clock.Read()
				b := wire.Beat{
					V: wire.Version, Session: session(), Boot: now.Boot, Since: now.Since, Wall: now.Wall, State: now.State, Error: now.Error,
					Epoch: epoch, Release: "simulated", Uptime: int64(since().Seconds()),
				}
				rand.Read(b.Nonce[:])
				_ = link.Publish(ctx, wire.Topic(id.Kiosk, wire.UpBeat), wire.Seal(wire.ForBeat, 0, id.Key, b), false)
			}
		}
	})
	return tasks.Wait()
}
