package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// When check-ins are filed. The more are filed at once, the more of them share a
// page; the fewer wait, the less a reader decodes.
const (
	fileFrom  = 1 << 16          // as soon as so many wait
	fileAfter = 10 * time.Second // or one has waited so long
	fileMost  = 200_000          // and about so many at once, if nobody asks for another number

	// fileStep is how many one transaction files: an intake waits for no more.
	fileStep = 1024
)

// A filing is a run of arrivals that is being filed, sorted in memory. It may be
// cut off anywhere and begun anew: what is filed already makes no second row, and
// arrivals are deleted last.
type filing struct {
	nos      []int64    // of the arrivals
	last     int64      // the last of them
	rows     []*checkin // in the order of checkins
	subjects []*checkin
	values   []any // of one step
}

var (
	fileRows     = bulkOf("INSERT OR IGNORE INTO checkins ("+rowColumns+") VALUES ", "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "")
	fileSubjects = bulkOf("INSERT OR IGNORE INTO subjects (day, subject, epoch_no, seq, digest) VALUES ", "(?, ?, ?, ?, ?)", "")
)

// file takes one step of filing, and reports whether there is more to do now.
// Arrivals up to the number must are filed also if it is early for that.
func (s *Store) file(ctx context.Context, must int64) (more bool, err error) {
	if s.dialect == postgres {
		return false, nil
	}
	s.filing.Lock()
	defer s.filing.Unlock()
	if s.run == nil {
		if s.run, err = s.gather(ctx, must); err != nil || s.run == nil {
			return false, err
		}
	}
	err = s.transact(ctx, lazily, s.run.step)
	if errors.Is(err, errFiled) {
		s.run = nil
		return true, nil
	}
	if err != nil {
		s.run = nil // how far it came is not known
		return false, err
	}
	if len(s.run.nos) == 0 {
		s.intake.Lock()
		s.tray.drop(s.run.last + 1)
		s.intake.Unlock()
		s.waiting.drop(s.run.last + 1)
		s.run = nil
	}
	return true, nil
}

// gather reads and sorts the oldest arrivals, or returns nil if it is early for
// that.
func (s *Store) gather(ctx context.Context, must int64) (*filing, error) {
	var first, waiting, oldest int64
	err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&first, &waiting, &oldest) },
		"SELECT COALESCE(MIN(no), 0), COALESCE(SUM(checkins), 0), COALESCE(MIN(received), 0) FROM arrivals")
	if err != nil || waiting == 0 {
		return nil, err
	}
	if first > must && waiting < fileFrom && s.now().UnixMilli()-oldest < fileAfter.Milliseconds() {
		return nil, nil
	}
	// An arrival may bring more than is asked for.
	all := make([]checkin, 0, min(int(waiting), s.fileMost+s.fileMost/4))
	f := new(filing)
	enough := errors.New("enough")
	err = s.each(ctx, func(r *sql.Rows) error {
		var no int64
		var rows []byte
		if err := r.Scan(&no, &rows); err != nil {
			return err
		}
		f.nos = append(f.nos, no)
		if err := decode(rows, func(c *checkin) { all = append(all, *c) }); err != nil {
			return fmt.Errorf("arrival %d: %w", no, err)
		}
		if len(all) >= s.fileMost {
			return enough
		}
		return nil
	}, "SELECT no, rows FROM arrivals ORDER BY no")
	if err != nil && err != enough {
		return nil, err
	}
	f.last = f.nos[len(f.nos)-1]
	f.rows = make([]*checkin, len(all))
	f.subjects = make([]*checkin, 0, len(all))
	for i := range all {
		c := &all[i]
		f.rows[i] = c
		if c.known {
			f.subjects = append(f.subjects, c)
		}
	}
	slices.SortFunc(f.rows, func(a, b *checkin) int { return a.key().compare(b.key()) })
	slices.SortFunc(f.subjects, func(a, b *checkin) int {
		return cmp.Or(cmp.Compare(a.n[day], b.n[day]), bytes.Compare(a.subject[:], b.subject[:]))
	})
	return f, nil
}

// errFiled ends a filing that another process has finished.
var errFiled = errors.New("filed by another process")

// step files some check-ins, or then some subjects, or then forgets an arrival.
func (f *filing) step(t *tx) (err error) {
	// Who filed all of it may have dropped some since: that must not come again.
	here := false
	err = t.each(func(*sql.Rows) error { here = true; return nil }, "SELECT 1 FROM arrivals WHERE no = ?", f.nos[0])
	if err == nil && !here {
		err = errFiled
	}
	if err != nil {
		return err
	}
	f.values = f.values[:0]
	switch {
	case len(f.rows) > 0:
		n := min(fileStep, len(f.rows))
		for _, c := range f.rows[:n] {
			f.values = c.values(f.values)
		}
		_, err = t.run(fileRows, f.values, nil)
		f.rows = f.rows[n:]
	case len(f.subjects) > 0:
		n := min(2*fileStep, len(f.subjects))
		for _, c := range f.subjects[:n] {
			f.values = append(f.values, c.n[day], c.subject[:], c.n[epochNo], c.n[seq], c.n[digest])
		}
		_, err = t.run(fileSubjects, f.values, nil)
		f.subjects = f.subjects[n:]
	default:
		_, err = t.exec("DELETE FROM arrivals WHERE no = ?", f.nos[0])
		f.nos = f.nos[1:]
	}
	return err
}
