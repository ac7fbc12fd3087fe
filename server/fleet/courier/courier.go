// Package courier leaves with the broker, for each kiosk, the newest configuration
// that it is to run with, signed for that kiosk.
//
//	c := courier.New(configs, sign, courier.Options{})
//	go c.Run(ctx, link)
//	c.Up()                    // after each connection of the link
//	c.Beat(id, beat, answer)  // in package ingest, with each beat
//
// The promise: what is there after a change or a connection is left with the broker
// without anybody asking, a few at a time, and goes on where it was cut off. A kiosk
// that says in its beat that it does not know of it gets it again, so it does not
// matter which of several servers comes last, or what a broker has forgotten.
//
// What is in a document is the business of packages fleet/configs and store/configs.
package courier

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Link carries messages to kiosks.
type Link interface {
	Publish(ctx context.Context, topic string, payload []byte, retain bool) error
}

// A Source makes documents; *configs.Configs is one.
type Source interface {
	Mark(ctx context.Context) (configs.Mark, error)
	Refresh(ctx context.Context) ([]configs.Document, error)
}

// Options are the optional parts of a Courier. The zero value is right.
type Options struct {
	Every time.Duration // between two looks into the database; default 1 s
	Log   *slog.Logger  // default: nothing is logged
}

// atOnce is how many documents are under way. A broker has more to do.
const atOnce = 8

// lookAnyway is how often documents are made though nothing seems to have changed.
const lookAnyway = time.Minute

// A Courier is safe for concurrent use.
type Courier struct {
	source     Source
	generation uint64
	sign       func() (id uint32, key ed25519.PrivateKey, err error)
	o          Options
	news       chan struct{}

	mu    sync.Mutex
	newly map[string]configs.Document // newest of each kiosk
	left  map[string]uint64           // version that this server has left with the broker it is connected to
	ups   int                         // connections
}

// New returns a courier of the documents of a store in its generation. sign returns
// the key that signs configurations today.
func New(source Source, generation uint64, sign func() (uint32, ed25519.PrivateKey, error), o Options) *Courier {
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Courier{
		source: source, generation: generation, sign: sign, o: o, news: make(chan struct{}, 1),
		newly: map[string]configs.Document{}, left: map[string]uint64{},
	}
}

// Up says that the link is connected anew, to a broker that may have forgotten
// everything. It does not wait.
func (c *Courier) Up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.left)
	c.ups++
	c.wake()
}

func (c *Courier) wake() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Beat takes a kiosk's word for what it was told. It does not wait.
func (c *Courier) Beat(kiosk string, b *wire.Beat, _ *wire.BeatAnswer) {
	if b.Config == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.newly[kiosk]; ok && c.stamp(d).Newer(b.Config.Wanted) && c.left[kiosk] != 0 {
		delete(c.left, kiosk)
		c.wake()
	}
}

func (c *Courier) stamp(d configs.Document) wire.Stamp {
	return wire.Stamp{Generation: c.generation, Version: d.Version}
}

// Document returns the newest configuration of a kiosk, signed, for one that has no link;
// nil if this server knows of none.
func (c *Courier) Document(kiosk string) ([]byte, error) {
	c.mu.Lock()
	d, ok := c.newly[kiosk]
	c.mu.Unlock()
	if !ok {
		return nil, nil
	}
	id, key, err := c.sign()
	if err != nil {
		return nil, fmt.Errorf("courier: %w", err)
	}
	return c.seal(d, id, key), nil
}

func (c *Courier) seal(d configs.Document, id uint32, key ed25519.PrivateKey) []byte {
	doc := *d.Body
	doc.Stamp = c.stamp(d)
	return wire.Seal(wire.ForConfig, id, key, doc)
}

// Run makes and leaves documents until ctx ends, and then returns nil.
func (c *Courier) Run(ctx context.Context, link Link) error {
	tick := time.NewTicker(c.o.Every)
	defer tick.Stop()
	var seen configs.Mark
	var read time.Time
	said := ""
	for {
		err := c.look(ctx, &seen, &read)
		if err == nil {
			err = c.leave(ctx, link)
		}
		if ctx.Err() != nil {
			return nil
		}
		// Once, not each second, until it works again or fails otherwise.
		if err != nil && err.Error() != said {
			c.o.Log.Warn("configurations wait", "err", err)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.news:
		}
	}
}

// look makes documents if something has changed since it last did.
func (c *Courier) look(ctx context.Context, seen *configs.Mark, read *time.Time) error {
	mark, err := c.source.Mark(ctx)
	if err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	if !read.IsZero() && mark == *seen && time.Since(*read) < lookAnyway {
		return nil
	}
	all, err := c.source.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	*seen, *read = mark, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.newly)
	for _, d := range all {
		c.newly[d.Kiosk] = d
	}
	return nil
}

// leave leaves with the broker what it may not have.
func (c *Courier) leave(ctx context.Context, link Link) error {
	c.mu.Lock()
	var due []configs.Document
	ups := c.ups
	for id, d := range c.newly {
		if c.left[id] != d.Version {
			due = append(due, d)
		}
	}
	c.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	id, key, err := c.sign()
	if err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	tasks, ctx := errgroup.WithContext(ctx) // which ends with the first that fails: the link is down
	tasks.SetLimit(atOnce)
	for _, d := range due {
		if ctx.Err() != nil {
			break
		}
		tasks.Go(func() error {
			if err := link.Publish(ctx, wire.Topic(d.Kiosk, wire.DownConfig), c.seal(d, id, key), true); err != nil {
				return fmt.Errorf("courier: %w", err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.ups == ups {
				c.left[d.Kiosk] = d.Version
			}
			return nil
		})
	}
	return tasks.Wait()
}
