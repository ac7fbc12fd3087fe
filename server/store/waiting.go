package store

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"sync"

	"github.com/qrgate/qrgate/server/qrgate"
)

// waitingMost is how many check-ins that are not filed yet are kept decoded, of
// about 200 bytes each. They are as many only while more comes than is filed.
const waitingMost = 1 << 18

// A waitingRoom keeps arrivals decoded for those who trace: one trace asks for
// tens of places, and to decode what has arrived within some seconds takes longer
// than to read all that is filed of them.
type waitingRoom struct {
	mu    sync.Mutex
	last  int64      // number of the last arrival that was read
	all   []*waiters // in order, without a gap
	count int
}

// waiters are the check-ins of one arrival. Nobody changes them.
type waiters struct {
	no   int64
	rows []checkin
	// desks are runs of rows at one gate, as a rule those of a batch, in the order
	// of gates.
	desks []waitersAt
}

type waitersAt struct {
	deskNo
	from, to int
}

func (w waitersAt) compare(no deskNo) int {
	return cmp.Or(cmp.Compare(w.epoch, no.epoch), cmp.Compare(w.gate, no.gate))
}

func newWaiters(no int64, n int, encoded []byte) (*waiters, error) {
	w := &waiters{no: no, rows: make([]checkin, 0, n)}
	err := decode(encoded, func(c *checkin) {
		at := deskNo{c.n[epochNo], c.n[gateNo]}
		if last := len(w.desks) - 1; last >= 0 && w.desks[last].deskNo == at {
			w.desks[last].to++
		} else {
			w.desks = append(w.desks, waitersAt{at, len(w.rows), len(w.rows) + 1})
		}
		w.rows = append(w.rows, *c)
	})
	if err != nil {
		return nil, fmt.Errorf("arrival %d: %w", no, err)
	}
	slices.SortFunc(w.desks, func(a, b waitersAt) int { return a.compare(b.deskNo) })
	return w, nil
}

// drop forgets arrivals before the given number.
func (r *waitingRoom) drop(before int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropLocked(before)
}

func (r *waitingRoom) dropLocked(before int64) {
	for len(r.all) > 0 && r.all[0].no < before {
		r.count -= len(r.all[0].rows)
		r.all[0] = nil
		r.all = r.all[1:]
	}
}

// arrivals returns the arrivals that the view sees.
func (v *view) arrivals() ([]*waiters, error) {
	if v.s.dialect == postgres {
		return nil, nil
	}
	all, err := v.s.waiting.read(v)
	if err != nil {
		return nil, fmt.Errorf("arrivals: %w", err)
	}
	return all, nil
}

func (r *waitingRoom) read(v *view) ([]*waiters, error) {
	// The oldest are filed first, so that those that are left follow each other.
	var first, last int64
	err := v.each(func(r *sql.Rows) error { return r.Scan(&first, &last) },
		"SELECT COALESCE((SELECT MIN(no) FROM arrivals), 0), COALESCE((SELECT MAX(no) FROM arrivals), 0)")
	if err != nil || first == 0 {
		return nil, err // what was kept of those that were has been dropped with them
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) > 0 && r.all[0].no > first { // the view is older than what others have read
		all, _, err := v.decode(first, last)
		return all, err
	}
	r.dropLocked(first)
	if len(r.all) == 0 {
		r.last = first - 1
	}
	if r.last < last {
		more, n, err := v.decode(r.last+1, last)
		if err != nil {
			return nil, err
		}
		all := append(r.all[:len(r.all):len(r.all)], more...)
		if r.count+n > waitingMost {
			return all, nil
		}
		r.all, r.count, r.last = all, r.count+n, last
	}
	end := len(r.all)
	for end > 0 && r.all[end-1].no > last {
		end--
	}
	return r.all[:end:end], nil
}

// decode reads arrivals from one to another.
func (v *view) decode(from, to int64) (all []*waiters, rows int, err error) {
	err = v.each(func(r *sql.Rows) error {
		var no int64
		var n int
		var encoded sql.RawBytes
		if err := r.Scan(&no, &n, &encoded); err != nil {
			return err
		}
		w, err := newWaiters(no, n, encoded)
		if err != nil {
			return err
		}
		all, rows = append(all, w), rows+len(w.rows)
		return nil
	}, "SELECT no, checkins, rows FROM arrivals WHERE no BETWEEN ? AND ? ORDER BY no", from, to)
	return all, rows, err
}

// A waitingSet is check-ins that are not filed yet, or not all of them are. Of
// one that is filed already its row counts, which may be dated better.
type waitingSet map[rowKey]*checkin

// waiting returns those of a kind.
func (v *view) waiting(is func(*checkin) bool) (waitingSet, error) {
	arrivals, err := v.arrivals()
	all := waitingSet{}
	for _, w := range arrivals {
		for i := range w.rows {
			if c := &w.rows[i]; is(c) {
				all[c.key()] = c
			}
		}
	}
	return all, err
}

// waitingAt returns those at some gates that may have happened between two
// moments.
func (v *view) waitingAt(desks map[deskNo]*desk, from, to int64) (waitingSet, error) {
	arrivals, err := v.arrivals()
	all := waitingSet{}
	for _, w := range arrivals {
		for no := range desks {
			i, _ := slices.BinarySearchFunc(w.desks, no, waitersAt.compare)
			for ; i < len(w.desks) && w.desks[i].deskNo == no; i++ {
				for j := w.desks[i].from; j < w.desks[i].to; j++ {
					if c := &w.rows[j]; c.n[earliest] <= to && c.n[latest] >= from {
						all[c.key()] = c
					}
				}
			}
		}
	}
	return all, err
}

// waitingOn returns those that are kept under a day.
func (v *view) waitingOn(d qrgate.Day) (waitingSet, error) {
	return v.waiting(func(c *checkin) bool { return c.n[day] == int64(d) })
}
