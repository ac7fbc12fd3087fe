package twin

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
)

// A History is what machines wrote to a disk from a moment on, in their order, and when
// they flushed. From it comes what a power cut at any moment would have left.
type History struct {
	path  string // of the disk as it was
	steps []step
}

// A step is a write, a flush, or the loss of what was not flushed.
type step struct {
	at   int64
	b    []byte // nothing if it is no write
	lost bool
}

func (h *History) add(s step) {
	if h != nil {
		h.steps = append(h.steps, s)
	}
}

// Record begins a history, with the disk as it is now in a new file at path.
func (d *Disk) Record(path string) (*History, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("twin: history: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(d.media))); err != nil {
		return nil, fmt.Errorf("twin: history: %w", err)
	}
	const piece = 1 << 20
	zero := make([]byte, piece)
	for at := 0; at < len(d.media); at += piece {
		b := d.media[at:min(at+piece, len(d.media))]
		if !slices.Equal(b, zero[:len(b)]) { // most of a card is empty
			if _, err := f.WriteAt(b, int64(at)); err != nil {
				return nil, fmt.Errorf("twin: history: %w", err)
			}
		}
	}
	d.kept = &History{path: path}
	for at, b := range d.loose {
		d.kept.add(step{at: at, b: b})
	}
	return d.kept, nil
}

// Steps returns how many writes and flushes there were.
func (h *History) Steps() int { return len(h.steps) }

// Cuts calls check for n moments drawn by r, spread over all, in their order, while the
// file of the history is as a cut then would have left it, with so many sectors not
// flushed; check must not write to it. The machines must be dead.
func (h *History) Cuts(r *rand.Rand, n int, check func(unflushed int) error) error {
	f, err := os.OpenFile(h.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("twin: history: %w", err)
	}
	defer f.Close()
	moments, all := make([]int, n), len(h.steps)+1
	for i := range moments { // one of each n-th of all, so that neither end is left out
		moments[i] = (i*all + r.IntN(all)) / n
	}
	loose := map[int64][]byte{}
	for after := range all {
		for len(moments) > 0 && moments[0] == after {
			moments = moments[1:]
			if err := cut(f, loose, r, check); err != nil {
				return fmt.Errorf("after %d of %d steps: %w", after, len(h.steps), err)
			}
		}
		if after == len(h.steps) {
			break
		}
		if err := h.steps[after].do(f, loose); err != nil {
			return fmt.Errorf("twin: history: %w", err)
		}
	}
	return nil
}

// do does a step again, to the file of a disk and the sectors that it has not flushed.
func (s step) do(f *os.File, loose map[int64][]byte) error {
	for at := 0; at < len(s.b); at += sector {
		loose[s.at+int64(at)] = s.b[at:min(at+sector, len(s.b))]
	}
	if len(s.b) > 0 {
		return nil
	}
	if !s.lost {
		for at, b := range loose {
			if _, err := f.WriteAt(b, at); err != nil {
				return err
			}
		}
	}
	clear(loose)
	return nil
}

// cut writes what survives to f while check runs.
func cut(f *os.File, loose map[int64][]byte, r *rand.Rand, check func(unflushed int) error) error {
	before := map[int64][]byte{}
	for at, b := range survivors(loose, r) {
		old := make([]byte, len(b))
		if _, err := f.ReadAt(old, at); err != nil {
			return fmt.Errorf("twin: history: %w", err)
		}
		before[at] = old
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("twin: history: %w", err)
		}
	}
	err := check(len(loose))
	for at, b := range before {
		if _, errW := f.WriteAt(b, at); errW != nil {
			return fmt.Errorf("twin: history: %w", errW)
		}
	}
	return err
}
