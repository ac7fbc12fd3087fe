// Package lists hands each kiosk what it lacks of the list of void cards: the whole
// list, in parts, or what has changed since the version that it holds.
//
// Its promise: the work is done once a version, not once a kiosk. What is sent is
// the same for all, signed when the first one asks, and read from the database as
// a change; a kiosk that asks costs a look into memory.
//
//	l := lists.New(void.New(store, time.Now), wire.Signer{ID: id, Key: key}, lists.Options{})
//	go l.Run(ctx)
//	newest, parts := l.Answer(beat.List) // in package ingest, with each beat
//
// Several servers on one database hand out the same versions, so a kiosk may get
// each part from another one.
package lists

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// PartsAtOnce is how many parts a kiosk gets for one beat, so that a long list
// neither fills a slow line nor the broker's queue.
const PartsAtOnce = 4

// wholeFor is how long a whole list that takes several beats is handed out before
// it is made anew. Until then what is new comes as a change after it: a kiosk can
// finish what it has begun.
const wholeFor = 10 * time.Minute

// maxChanges bounds the changes that are kept signed.
const maxChanges = 256

// Options are the optional parts of a Lists. The zero value is right.
type Options struct {
	Every time.Duration // between two looks into the database; default 2 s
	Now   func() time.Time
	Doubt func() error // an error while the clock is not believed; default: it always is
	Log   *slog.Logger // default: nothing is logged
}

// A Lists is the newest list and what leads to it. It is safe for concurrent use.
type Lists struct {
	source *void.List
	sign   wire.Signer
	o      Options
	newest atomic.Pointer[edition]
	news   chan struct{}
}

// New returns a Lists that hands out nothing before [Lists.Refresh] or [Lists.Run].
func New(source *void.List, sign wire.Signer, o Options) *Lists {
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Doubt == nil {
		o.Doubt = func() error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Lists{source: source, sign: sign, o: o, news: make(chan struct{}, 1)}
}

// dropEvery is how often cards that ended long ago are looked for.
const dropEvery = time.Hour

// Run keeps the list up to date until ctx ends, and then returns nil.
func (l *Lists) Run(ctx context.Context) error {
	look, drop := time.NewTicker(l.o.Every), time.NewTicker(dropEvery)
	defer look.Stop()
	defer drop.Stop()
	failed := false
	for {
		err := l.Refresh(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			l.o.Log.Warn("list of void cards not read", "err", err, "retry_in", l.o.Every)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-drop.C:
			if err := l.Drop(ctx); err != nil && ctx.Err() == nil {
				l.o.Log.Warn("ended cards not dropped from the list", "err", err)
			}
		}
	}
}

// Drop takes cards that ended long ago out of the list. A clock that is not believed
// takes none: it may be years ahead, and the list would be empty.
func (l *Lists) Drop(ctx context.Context) error {
	err := l.o.Doubt()
	if err == nil {
		err = l.source.Drop(ctx)
	}
	if err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	return nil
}

// Refresh reads what has changed in the database. It is not for concurrent use.
func (l *Lists) Refresh(ctx context.Context) error {
	old := l.newest.Load()
	var held wire.Stamp
	if old != nil {
		held = old.Stamp
	}
	c, err := l.source.Since(ctx, held)
	if err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	if c.Stamp == held {
		return nil
	}
	if !c.Whole {
		c.Cards = merge(old.Cards, c.Cards)
	}
	e, err := newEdition(c, old)
	if err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	l.newest.Store(e)
	select {
	case l.news <- struct{}{}:
	default:
	}
	l.o.Log.Info("list of void cards", "generation", c.Stamp.Generation, "version", c.Stamp.Version, "cards", len(c.Cards))
	return nil
}

// merge returns cards with what is new in place of what was. Both are sorted by
// number.
func merge(cards, news []void.Card) []void.Card {
	all := make([]void.Card, 0, len(cards)+len(news))
	for _, n := range news {
		for len(cards) > 0 && cards[0].Number < n.Number {
			all, cards = append(all, cards[0]), cards[1:]
		}
		if len(cards) > 0 && cards[0].Number == n.Number {
			cards = cards[1:]
		}
		all = append(all, n)
	}
	return append(all, cards...)
}

// News receives when there is a newer version, for one who does not wait for beats.
func (l *Lists) News() <-chan struct{} { return l.news }

// Newest returns the version that kiosks shall hold and how many cards are in it;
// zero before the database was read.
func (l *Lists) Newest() (wire.Stamp, int) {
	e := l.newest.Load()
	if e == nil {
		return wire.Stamp{}, 0
	}
	return e.Stamp, len(e.Cards)
}

// Answer returns the newest version and the signed messages that bring a kiosk
// nearer to it, at most [PartsAtOnce]: none if it holds it.
func (l *Lists) Answer(held wire.ListBeat) (newest wire.Stamp, parts [][]byte) {
	e := l.newest.Load()
	if e == nil || !e.Stamp.Newer(held.Stamp) {
		newest, _ = l.Newest()
		return newest, nil
	}
	if held.Stamp.Generation == e.Stamp.Generation && held.Stamp.Version >= e.Base {
		e.mu.Lock()
		change := e.change(held.Stamp.Version, l.sign)
		e.mu.Unlock()
		if change != nil {
			return e.Stamp, [][]byte{change}
		}
	}
	w := l.whole(e)
	for i, p := range w.parts {
		if held.Getting == w.stamp && held.Has(i) {
			continue
		}
		if parts = append(parts, p); len(parts) == PartsAtOnce {
			break
		}
	}
	return e.Stamp, parts
}

// Whole returns the newest version and the signed messages that bring a kiosk to it
// whatever it holds, for one that cannot be asked: none before the database was read.
func (l *Lists) Whole() (newest wire.Stamp, parts [][]byte) {
	e := l.newest.Load()
	if e == nil {
		return wire.Stamp{}, nil
	}
	w := l.whole(e)
	parts = w.parts
	if w.stamp != e.Stamp {
		e.mu.Lock()
		defer e.mu.Unlock()
		parts = append(slices.Clip(parts), e.change(w.stamp.Version, l.sign))
	}
	return e.Stamp, parts
}

// An edition is one version of the list.
type edition struct {
	void.Change // the whole list
	list        *pass.Revocations
	digest      wire.Hash

	mu      sync.Mutex
	whole   *whole            // of this version or one not long before; nil until one is asked for
	changes map[uint64][]byte // signed, by the version they are from; nil of one that is too long
}

// A whole is a whole list, cut and signed.
type whole struct {
	stamp wire.Stamp
	parts [][]byte
	made  time.Time
}

// newEdition returns the edition that follows on old, which may be nil.
func newEdition(c void.Change, old *edition) (*edition, error) {
	list, err := c.Revocations()
	if err != nil {
		return nil, err
	}
	e := &edition{Change: c, list: list, digest: list.Digest(), changes: map[uint64][]byte{}}
	if old != nil && old.Stamp.Generation == c.Stamp.Generation {
		old.mu.Lock()
		defer old.mu.Unlock()
		if w := old.whole; w != nil && len(w.parts) > PartsAtOnce && w.stamp.Version >= c.Base {
			e.whole = w
		}
	}
	return e, nil
}

// whole returns the whole list to hand out.
func (l *Lists) whole(e *edition) *whole {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := l.o.Now()
	if w := e.whole; w != nil && (w.stamp == e.Stamp || now.Sub(w.made) < wholeFor && e.change(w.stamp.Version, l.sign) != nil) {
		return w
	}
	parts, fits := wire.SealList(l.sign.ID, l.sign.Key, e.head(0), e.list.Encode())
	if !fits {
		l.o.Log.Error("list of void cards is too long to be sent whole", "cards", len(e.Cards))
	}
	e.whole = &whole{e.Stamp, parts, now}
	return e.whole
}

func (e *edition) head(from uint64) wire.ListHead {
	return wire.ListHead{Stamp: e.Stamp, From: from, Digest: e.digest, Alone: e.Alone}
}

// change returns the signed change from a version, which is not older than the
// base, or nil if it does not fit into one message. e.mu is held.
func (e *edition) change(from uint64, sign wire.Signer) []byte {
	if signed, ok := e.changes[from]; ok {
		return signed
	}
	var lines []pass.Revocation
	for _, v := range e.Cards {
		if v.Version > from {
			lines = append(lines, v.Revocation)
		}
	}
	var signed []byte
	if news, err := pass.NewRevocations(lines); err == nil {
		if parts, fits := wire.SealList(sign.ID, sign.Key, e.head(from), news.Encode()); fits {
			signed = parts[0]
		}
	}
	if len(e.changes) < maxChanges {
		e.changes[from] = signed
	}
	return signed
}
