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

	mu     sync.Mutex
	ended  map[int]error // sources that broke for good, by index
	endedT map[int]time.Time
}

// Many returns the group of the sources, in order. Nothing is read before Run.
func Many(sources ...Source) *Group {
	return &Group{
		sources: sources,
		scans:   make(chan Scan),
		done:    make(chan struct{}),
		ended:   make(map[int]error),
		endedT:  make(map[int]time.Time),
	}
}

// Run reads every source in a goroutine of its own and waits for all of them.
// It returns nil when ctx ends. A source that is broken for good ends alone and
// shows in Health; Run returns an error only when every source is. Run is called once.
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
					g.ended[i], g.endedT[i] = err, time.Now()
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
	if ctx.Err() != nil {
		return nil
	}
	return g.err()
}

func (g *Group) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for i := range g.sources {
		if err := g.ended[i]; err != nil {
			errs = append(errs, err)
		}
	}
	return fmt.Errorf("scan: every source ended: %w", errors.Join(errs...))
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
		if err := g.ended[i]; err != nil {
			h.Present, h.Since, h.LastError = false, g.endedT[i], err.Error()
		}
		g.mu.Unlock()
		all = append(all, h)
	}
	return all
}
