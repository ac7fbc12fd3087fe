package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Group is several sources at once.
type Group struct {
	sources []Source
	scans   chan Scan
	done    chan struct{} // closed when Run has ended

	mu    sync.Mutex
	ended []ending // by index of the source
}

// An ending is how and when a source broke for good; the zero value is not yet.
type ending struct {
	err error
	at  time.Time
}

var errStopped = errors.New("scan: group has stopped")

// Many returns the group of the sources, in order. Nothing is read before Run.
func Many(sources ...Source) *Group {
	return &Group{
		sources: sources,
		scans:   make(chan Scan),
		done:    make(chan struct{}),
		ended:   make([]ending, len(sources)),
	}
}

// Run reads every source in a goroutine of its own and waits for all of them.
// It returns nil when ctx ends. A source that is broken for good ends alone and
// shows in Health; Run returns an error only when every source is. A group of no
// sources waits for the end of ctx. Run is called once.
func (g *Group) Run(ctx context.Context) error {
	defer close(g.done)
	var wg sync.WaitGroup
	for i, src := range g.sources {
		wg.Go(func() {
			for {
				s, err := src.Next(ctx)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					g.mu.Lock()
					g.ended[i] = ending{err, time.Now()}
					g.mu.Unlock()
					return
				}
				select {
				case g.scans <- s:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
	if len(g.sources) == 0 {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil
	}
	return g.err()
}

// err tells why Run has ended.
func (g *Group) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for _, end := range g.ended {
		if end.err != nil {
			errs = append(errs, end.err)
		}
	}
	if len(errs) < len(g.sources) || len(errs) == 0 {
		return errStopped // by the end of ctx
	}
	return fmt.Errorf("scan: every source has ended: %w", errors.Join(errs...))
}

// Next returns the next scan of any source. It fails when ctx ends or when Run has ended.
func (g *Group) Next(ctx context.Context) (Scan, error) {
	select {
	case s := <-g.scans:
		return s, nil
	case <-ctx.Done():
		return Scan{}, ctx.Err()
	case <-g.done:
		return Scan{}, g.err()
	}
}

// Health returns the state of each source that has one, in the order given to Many.
func (g *Group) Health() []Health {
	var all []Health
	for i, src := range g.sources {
		c, ok := src.(Checker)
		if !ok {
			continue
		}
		h := c.Health()
		g.mu.Lock()
		if end := g.ended[i]; end.err != nil {
			h.Present, h.Since, h.LastError = false, end.at, end.err.Error()
		}
		g.mu.Unlock()
		all = append(all, h)
	}
	return all
}
