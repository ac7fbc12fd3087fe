package page

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Turns let few at a time do what takes much memory: reading a sheet, drawing a
// poster.
type Turns struct {
	free     chan struct{}
	patience time.Duration
}

// NewTurns returns turns for n at a time. Whoever waits for longer than patience
// is told to come again.
func NewTurns(n int, patience time.Duration) *Turns {
	return &Turns{make(chan struct{}, n), patience}
}

var errTurns = errors.New("page: too many before it")

// Take waits for a turn, which ends when the caller first calls done. It is to end
// before anything is sent to or read from whoever asked: they may take their time,
// and others wait. The error is a [Busy] when patience has ended, or ctx's.
func (t *Turns) Take(ctx context.Context) (done func(), err error) {
	late := time.NewTimer(t.patience)
	defer late.Stop()
	select {
	case t.free <- struct{}{}:
		return sync.OnceFunc(func() { <-t.free }), nil
	case <-late.C:
		return nil, Busy{Err: errTurns, After: t.patience}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
