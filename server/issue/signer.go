package issue

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Signer signs what offices ask for. It is for one Run.
type Signer struct {
	Kept *issuing.Issuing
	// Key returns the key that signs for a purpose today, and its id.
	Key    func(wire.Purpose) (id uint32, key ed25519.PrivateKey, err error)
	Limits map[wire.Purpose]issuing.Limits
	Nudge  <-chan struct{} // of an office in this process; may be nil
	Now    func() time.Time
	Log    *slog.Logger
}

// Times of a signer.
const (
	lookEvery  = 200 * time.Millisecond // for what another process asks
	sweepEvery = time.Minute
	troubledBy = 2 * time.Second // after something went wrong
)

// Run signs until ctx ends. What it does not get to is gone on with by the next one.
func (s *Signer) Run(ctx context.Context) error {
	look, sweep := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	for {
		if err := s.all(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("passes not signed", "err", err, "retry_in", troubledBy)
			select {
			case <-ctx.Done():
			case <-time.After(troubledBy):
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-s.Nudge:
		case <-sweep.C:
			if err := s.Kept.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("old orders not swept", "err", err)
			}
		}
	}
}

// all signs until nothing waits.
func (s *Signer) all(ctx context.Context) error {
	for {
		o, err := s.Kept.Next(ctx, s.Limits)
		if err != nil || o == nil {
			return err
		}
		for more := true; more; {
			more, err = s.Kept.Sign(ctx, o, func(no int, passes []pass.OwnCard) ([]byte, error) { return s.sign(o, no, passes) })
			if errors.Is(err, errHopeless) { // and stands in nobody else's way
				s.Log.Error("order of passes given up", "object", o.Object, "err", err)
				err = s.Kept.Fail(ctx, o.ID)
			}
			if err != nil {
				return err
			}
		}
	}
}

// errHopeless marks an order that the office is told of, since others wait behind it: what
// it lacks may come, but not while it waits.
var errHopeless = errors.New("issue: not an order that can be signed")

// sign returns the answer to one part.
func (s *Signer) sign(o *issuing.Order, no int, passes []pass.OwnCard) ([]byte, error) {
	id, key, err := s.Key(o.Purpose)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHopeless, err)
	}
	if id > 255 {
		return nil, fmt.Errorf("%w: %s key %d does not fit on a pass", errHopeless, o.Purpose, id)
	}
	texts, err := signAll(uint8(id), key, passes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHopeless, err)
	}
	to, err := seal.New(answerKey, o.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHopeless, err)
	}
	box, context, err := to.Seal(s.Now(), sealedFor(o.ID, no), []byte(strings.Join(texts, "\n")))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHopeless, err)
	}
	return wire.Encode(answer{context, box}), nil
}
