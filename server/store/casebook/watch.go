package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/vault"
)

// slack is how long before a run's beginning a check-in may have been received that
// the run did not read: it was committed later.
const slack = 10 * time.Minute

// WatchOptions are the optional parts of [Book.Watch].
type WatchOptions struct {
	// Full asks for everything again, not only where something was received: an
	// anchor that comes late narrows the times of check-ins that were there. Once
	// a day is enough.
	Full bool
	// Again traces once more, reading through the recorder: then the difference is
	// kept, who is new stands on the call list, and who opened the case is told if
	// there is one.
	Again func(ctx context.Context, task *Task, rows *Recorder) (*Result, error)
}

// Watch finds the cases whose last runs would read something else now, marks them
// as late and tells their officers. It returns their ids. Several servers may watch
// at once: each case is told of once.
//
// It is cheap where nothing came: it looks at when each place's check-ins were last
// received, and asks for check-ins where that is later than the run.
func (b *Book) Watch(ctx context.Context, rows trace.Rows, o WatchOptions) ([]string, error) {
	watched, err := b.watched(ctx)
	if err != nil {
		return nil, fmt.Errorf("casebook: watch: %w", err)
	}
	var late []string
	var failed error // of one case, which keeps nobody from the others
	for _, w := range watched {
		touched, err := b.touched(ctx, rows, w, o.Full)
		if err == nil && touched {
			late = append(late, w.id)
			err = b.touch(ctx, rows, w, o)
		}
		// A case that ended or changed meanwhile is another server's, or the next
		// watch's.
		if err != nil && !ended(err) {
			failed = errors.Join(failed, fmt.Errorf("casebook: watch %s: %w", object(w.id), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return slices.Compact(late), failed
}

// A watched run is one whose fingerprint is kept.
type watchedRun struct {
	id string
	no int
}

func (b *Book) watched(ctx context.Context) (all []watchedRun, err error) {
	err = b.s.Read(ctx, func(rows *sql.Rows) error {
		var w watchedRun
		err := rows.Scan(&w.id, &w.no)
		all = append(all, w)
		return err
	}, `SELECT r.case_id, r.no FROM case_runs r JOIN cases c ON c.id = r.case_id
		WHERE r.fingerprint IS NOT NULL AND c.late IS NULL AND c.ends > ? AND c.state IN (?, ?) ORDER BY r.case_id, r.no`,
		b.now().UnixMilli(), string(Suspected), string(Confirmed))
	return all, err
}

// touched reports whether a run would read something else now.
func (b *Book) touched(ctx context.Context, rows trace.Rows, w watchedRun, full bool) (bool, error) {
	f, err := b.read(b.reading(ctx), w.id)
	if err != nil || f.Erased {
		return false, orEnded(err)
	}
	var began time.Time
	var sealed []byte
	err = b.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan((*store.Milli)(&began), &sealed) },
		"SELECT began, fingerprint FROM case_runs WHERE case_id = ? AND no = ? AND fingerprint IS NOT NULL", w.id, w.no)
	if err != nil || sealed == nil {
		return false, orEnded(err)
	}
	var readings []reading
	if err := unseal(f.key, fieldFingerprint(w.no), sealed, &readings); err != nil {
		return false, err
	}
	start := b.now()
	end := (qrgate.DayOf(f.Case.To) + 1).Start().UnixMilli()
	news := map[qrgate.Spot]bool{}
	if !full {
		if news, err = b.news(ctx, readings, began.Add(-slack)); err != nil {
			return false, err
		}
	}
	asked := false
	for i := range readings {
		q := &readings[i]
		if !full && q.Subjects == nil && !news[q.At] {
			continue
		}
		asked = asked || q.Subjects == nil
		now, err := q.read(ctx, rows, func(*qrgate.Checkin) error { return nil })
		if err != nil {
			return false, err
		}
		days, err := b.v.Days()
		if err != nil {
			return false, err
		}
		if q.changed(now, days) {
			return true, nil
		}
		came, err := b.cameUnder(ctx, rows, q, days, end)
		if err != nil || came {
			return came, err
		}
	}
	if !asked {
		return false, nil
	}
	// What came was nothing to the run, and need not be asked for again.
	return false, b.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE case_runs SET began = ? WHERE case_id = ? AND no = ? AND began < ?", start.UnixMilli(), w.id, w.no, start.UnixMilli())
		return err
	})
}

// cameUnder reports whether check-ins of whom a reading asks about have come under days
// that it does not know: a kiosk without a clock delivers after days, and what it wrote
// is kept under the day on which it came. What is after end is not asked about.
func (b *Book) cameUnder(ctx context.Context, rows trace.Rows, q *reading, days []qrgate.Day, end int64) (came bool, err error) {
	var who qrgate.Person
	known := map[qrgate.Day]bool{}
	for _, s := range q.Subjects {
		known[s.Day] = true
		if p, err := b.v.Person(s.Day, s.Subject); err == nil {
			who = p
		}
	}
	if who == 0 {
		return false, nil
	}
	others := map[qrgate.Day]qrgate.Subject{}
	for _, day := range days {
		if known[day] {
			continue
		}
		switch s, err := b.v.Subject(day, who); {
		case err == nil:
			others[day] = s
		case !errors.Is(err, vault.ErrShredded): // a moment ago
			return false, err
		}
	}
	if len(others) == 0 {
		return false, nil
	}
	err = rows.CheckinsOf(ctx, others, func(c *qrgate.Checkin) error { came = came || c.Earliest < end; return nil })
	return came, err
}

// news returns at which places of the readings something was received since, of
// the days that are asked about.
func (b *Book) news(ctx context.Context, readings []reading, since time.Time) (map[qrgate.Spot]bool, error) {
	// A day is that of a check-in's latest moment as it was known first, which may
	// be weeks after what is asked about where a kiosk did not know the time, and a
	// day before.
	first := qrgate.Day(0)
	var places []any
	seen, named := map[qrgate.Spot]bool{}, []string{}
	for i := range readings {
		q := &readings[i]
		if q.Subjects != nil || seen[q.At] {
			continue
		}
		seen[q.At] = true
		if day := qrgate.DayOfMilli(q.From) - 1; first == 0 || day < first {
			first = day
		}
		if q.At.No != 0 {
			places = append(places, int64(q.At.No))
		} else {
			named = append(named, q.At.Name)
		}
	}
	news := map[qrgate.Spot]bool{}
	for some := range slices.Chunk(places, 200) {
		err := b.s.Read(ctx, func(rows *sql.Rows) error {
			var no uint32
			err := rows.Scan(&no)
			news[qrgate.Spot{No: no}] = true
			return err
		}, "SELECT DISTINCT place_no FROM tallies WHERE place_no IN (?"+strings.Repeat(", ?", len(some)-1)+") AND day >= ? AND last > ?",
			append(slices.Clone(some), int64(first), since.UnixMilli())...)
		if err != nil {
			return nil, err
		}
	}
	// What stands at no registered place is not counted: its kiosks' last batches
	// say less, but enough.
	for _, name := range named {
		err := b.s.Read(ctx, func(rows *sql.Rows) error { news[qrgate.Spot{Name: name}] = true; return nil },
			`SELECT 1 FROM kiosks k JOIN epochs e ON e.kiosk_no = k.no WHERE e.received > ?
				AND (k.place = ? OR EXISTS (SELECT 1 FROM gates g WHERE g.kiosk_no = k.no AND g.place = ?)) LIMIT 1`,
			since.UnixMilli(), name, name)
		if err != nil {
			return nil, err
		}
	}
	return news, nil
}

// touch marks a case as late and tells its officers, unless another server has.
func (b *Book) touch(ctx context.Context, rows trace.Rows, w watchedRun, o WatchOptions) error {
	first := false
	err := b.s.Write(ctx, func(t store.Tx) error {
		now := b.now().UnixMilli()
		n, err := t.Exec("UPDATE cases SET late = ?, version = version + 1 WHERE id = ? AND late IS NULL", now, w.id)
		if first = n > 0; err != nil || !first {
			return err
		}
		// The case is this transaction's now. Another server may have traced again since
		// the run was compared.
		newest := false
		if err := t.Each(func(*sql.Rows) error { newest = true; return nil }, "SELECT 1 FROM case_runs WHERE case_id = ? AND no = ? AND fingerprint IS NOT NULL", w.id, w.no); err != nil {
			return err
		}
		if !newest {
			return ErrChanged
		}
		f, err := b.read(t.Each, w.id)
		if err != nil {
			return err
		}
		officers, err := b.workers(t, f)
		if err != nil {
			return err
		}
		if err := b.tell(t, w.id, LateCheckins, officers...); err != nil {
			return err
		}
		return t.Audit("", "late check-ins", object(w.id), fmt.Sprintf("run %d", w.no))
	})
	if err != nil || !first || o.Again == nil {
		return err
	}
	return b.again(ctx, rows, w, o)
}

// again traces once more what a run traced, if persons of the case may be seen
// without anybody's having broken the glass.
func (b *Book) again(ctx context.Context, rows trace.Rows, w watchedRun, o WatchOptions) error {
	q := b.reading(ctx)
	f, err := b.self(q, "", w.id)
	if err != nil {
		return orEnded(err)
	}
	run, err := b.run(q, f, w.no)
	if err != nil || run == nil {
		return orEnded(err)
	}
	for range tracings {
		if err = b.traceAgain(ctx, rows, w.id, run.Of, o); !errors.Is(err, ErrOutdated) {
			break
		}
	}
	return err
}

// tracings is how often the server traces again what officers change meanwhile, before
// it leaves the case late.
const tracings = 3

func (b *Book) traceAgain(ctx context.Context, rows trace.Rows, id string, of Ref, o WatchOptions) error {
	task, err := b.task(ctx, "", id, b.self, of)
	if err != nil {
		return err
	}
	recorder := Record(rows, b.now)
	result, err := o.Again(ctx, task, recorder)
	if err != nil {
		return err
	}
	result.Read, result.Task = recorder, task
	q := b.reading(ctx)
	f, err := b.self(q, "", id)
	if err == nil {
		err = b.current(q, f, task)
	}
	if err != nil {
		return err
	}
	// Whom nobody has called yet waits on the list before an officer has read of it. If
	// that fails, the case stays late and somebody traces it by hand.
	found := &Run{Result: *result, f: f}
	if err := b.join(q, f, &found.Result); err != nil {
		return err
	}
	if _, err := b.addCalls(ctx, "", id, found.Refs(), b.self); err != nil {
		return err
	}
	_, err = b.saveRun(ctx, "", id, result, b.self)
	return err
}

// self loads a case for the server itself.
func (b *Book) self(q query, _, id string) (*file, error) {
	f, err := b.read(q, id)
	switch {
	case err != nil:
		return nil, err
	case !f.working():
		return nil, ErrEnded
	case f.Approval != NotNeeded && f.Approval != Approved:
		return nil, ErrApproval
	}
	f.Open = true
	return f, nil
}
