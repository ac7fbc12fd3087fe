package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/archive"
	"github.com/qrgate/qrgate/sync/deliver"
)

// A BackupReport says what a backup holds.
type BackupReport struct {
	ID         string
	Generation uint64
	Made       int64 // Unix milliseconds
	Rows       uint64
	Digest     []byte       // SHA-256 of its content
	GivenUp    []qrgate.Day // held by it, of which kiosks forget nothing by it: see [GaveUpDay]

	safe     []safePoint
	subjects map[qrgate.Day][2]qrgate.Subject
	firsts   []firstOf
	part     bool // some of it cannot be opened
}

// Subjects returns, of a backup that was verified, two of each day that holds somebody:
// whoever opens them has the day's key.
func (r BackupReport) Subjects() map[qrgate.Day][2]qrgate.Subject { return r.subjects }

// A safePoint is how far an epoch's records are in a backup.
type safePoint struct {
	epochNo int64
	through uint64
	carried bool // it has brought records of its kiosk's others, which stay under their numbers
}

// A firstOf is the first of an epoch's check-ins that hold somebody on a day.
type firstOf struct {
	day     qrgate.Day
	epochNo int64
	seq     uint64
}

// Without returns what may be made safe by a backup whose check-ins of some days nobody
// could open: of an epoch nothing from the first of these on, and nothing at all if it
// may have brought such records of another.
func (r BackupReport) Without(days []qrgate.Day) BackupReport {
	if len(days) == 0 {
		return r
	}
	r = r.before(days)
	r.part = true
	return r
}

// before leaves of each epoch what comes before its first check-in of these days.
func (r BackupReport) before(days []qrgate.Day) BackupReport {
	ends, kiosks := map[int64]uint64{}, map[int64]bool{}
	for _, f := range r.firsts {
		if slices.Contains(days, f.day) {
			if end, ok := ends[f.epochNo]; !ok || f.seq < end {
				ends[f.epochNo] = f.seq
			}
			kiosks[f.epochNo/epochsPerKiosk] = true
		}
	}
	all := r.safe
	r.safe = nil
	for _, p := range all {
		if p.carried && kiosks[p.epochNo/epochsPerKiosk] {
			continue
		}
		if end, ok := ends[p.epochNo]; ok && p.through >= end {
			if end == 0 {
				continue
			}
			p.through = end - 1
		}
		r.safe = append(r.safe, p)
	}
	return r
}

// VerifyBackup reads a backup to its end, restores it into a temporary database
// in dir and counts what arrived there. A file that is no whole backup is
// ErrBackup.
func VerifyBackup(ctx context.Context, r io.Reader, dir string) (BackupReport, error) {
	report, err := verifyBackup(ctx, r, dir)
	if err != nil {
		return report, fmt.Errorf("store: verify backup: %w", err)
	}
	return report, nil
}

func verifyBackup(ctx context.Context, r io.Reader, dir string) (report BackupReport, err error) {
	tmp, err := os.MkdirTemp(dir, "verify-*")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(tmp)
	s, err := Open(ctx, "sqlite:"+filepath.Join(tmp, "copy.db"), Options{})
	if err != nil {
		return report, err
	}
	defer s.Close()
	if report, err = s.restore(ctx, r); err != nil {
		return report, err
	}
	arrived := uint64(0)
	for _, t := range tables {
		var n uint64
		if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.Name).Scan(&n); err != nil {
			return report, err
		}
		arrived += n
	}
	if arrived != report.Rows {
		return report, fmt.Errorf("%w: %d of %d rows arrived", ErrBackup, arrived, report.Rows)
	}
	if report.safe, err = s.safePoints(ctx); err != nil {
		return report, err
	}
	if err := s.whose(ctx, &report); err != nil {
		return report, err
	}
	if report.GivenUp, err = s.givenUp(ctx, report.subjects); err != nil {
		return report, err
	}
	for _, day := range report.GivenUp {
		delete(report.subjects, day)
	}
	return report.before(report.GivenUp), nil
}

// GaveUpDay is the audit's word for a day whose key was lost for good; its object is "day "
// and the day. Such a day has two keys: two of its subjects do not tell whether the rest
// can be opened, and who came before is known to kiosks alone, as long as they hold it.
const GaveUpDay = "give up day"

// givenUp returns which of the days were given up.
func (s *Store) givenUp(ctx context.Context, of map[qrgate.Day][2]qrgate.Subject) (days []qrgate.Day, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		var object string
		if err := r.Scan(&object); err != nil {
			return err
		}
		day, err := qrgate.ParseDay(strings.TrimPrefix(object, "day "))
		if err != nil {
			return err
		}
		if _, held := of[day]; held {
			days = append(days, day)
		}
		return nil
	}, "SELECT DISTINCT object FROM audit WHERE action = ? ORDER BY object", GaveUpDay)
	return days, err
}

// whose says of which days there are check-ins that hold somebody, and where they begin.
func (s *Store) whose(ctx context.Context, report *BackupReport) error {
	report.subjects = map[qrgate.Day][2]qrgate.Subject{}
	err := s.each(ctx, func(r *sql.Rows) error {
		var d int64
		var first, last []byte
		err := r.Scan(&d, &first, &last)
		var two [2]qrgate.Subject
		copy(two[0][:], first)
		copy(two[1][:], last)
		report.subjects[qrgate.Day(d)] = two
		return err
	}, "SELECT day, MIN(subject), MAX(subject) FROM subjects GROUP BY day")
	if err != nil {
		return err
	}
	return s.each(ctx, func(r *sql.Rows) error {
		var d, epoch, seq int64
		err := r.Scan(&d, &epoch, &seq)
		report.firsts = append(report.firsts, firstOf{qrgate.Day(d), epoch, uint64(seq)})
		return err
	}, "SELECT day, epoch_no, MIN(seq) FROM subjects GROUP BY day, epoch_no")
}

// safePoints returns how far each epoch is held without a gap.
func (s *Store) safePoints(ctx context.Context) (all []safePoint, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		var no int64
		var held []byte
		var carried bool
		if err := r.Scan(&no, &held, &carried); err != nil {
			return err
		}
		var l deliver.Ledger
		if err := l.Unmarshal(held); err != nil {
			return fmt.Errorf("%w: epoch %d: %w", ErrBackup, no, err)
		}
		all = append(all, safePoint{no, l.Through(), carried})
		return nil
	}, "SELECT no, ledger, carried > 0 FROM epochs")
	return all, err
}

var saveSafe = bulkOf("UPDATE epochs SET safe = v.column2 FROM (VALUES ", "(CAST(? AS BIGINT), CAST(? AS BIGINT))",
	") AS v WHERE epochs.no = v.column1 AND epochs.safe < v.column2")

// MarkSafe lets kiosks forget what a verified backup of this database holds. A
// backup of another generation is refused with qrgate.ErrConflict. One of which some
// cannot be opened does not count as verified, but may be later.
func (s *Store) MarkSafe(ctx context.Context, r BackupReport) error {
	var safe []any
	for _, p := range r.safe {
		safe = append(safe, p.epochNo, int64(p.through))
	}
	err := s.write(ctx, func(t *tx) error {
		if s.dialect == postgres { // as an intake locks them
			nothing := func(*sql.Rows) error { return nil }
			if err := t.each(nothing, `SELECT no FROM kiosks ORDER BY id COLLATE "C" FOR NO KEY UPDATE`); err != nil {
				return err
			}
		}
		var g uint64
		if err := t.each(func(r *sql.Rows) error { return r.Scan(&g) }, "SELECT generation FROM meta"); err != nil {
			return err
		}
		if g != r.Generation {
			return fmt.Errorf("backup is of generation %d, the database of %d: it was made before this database was restored, or by another server; make one now and verify that: %w", r.Generation, g, qrgate.ErrConflict)
		}
		if _, err := t.run(saveSafe, safe, nil); err != nil {
			return err
		}
		// Every server shall read the books anew.
		if _, err := t.exec("UPDATE kiosks SET version = version + 1"); err != nil {
			return err
		}
		verified := s.now().UnixMilli()
		if r.part {
			verified = 0
		}
		_, err := t.exec(`INSERT INTO backups (id, generation, made, verified, rows, digest) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET verified = excluded.verified WHERE backups.verified = 0`,
			r.ID, int64(r.Generation), r.Made, verified, int64(r.Rows), r.Digest)
		if err != nil {
			return err
		}
		return t.audit("verify backup", r.ID)
	})
	if err != nil {
		return fmt.Errorf("store: mark safe: %w", err)
	}
	return nil
}

// Restore fills an empty database from a backup and gives it a new generation,
// so that kiosks send again what the backup lacks. A database that is not empty
// is qrgate.ErrConflict, a file that is no whole backup ErrBackup; then the
// database stays empty.
func (s *Store) Restore(ctx context.Context, r io.Reader) (BackupReport, error) {
	report, err := s.restore(ctx, r)
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.audit("restore backup", report.ID) })
	}
	if err != nil {
		return report, fmt.Errorf("store: restore: %w", err)
	}
	return report, nil
}

// Empty returns qrgate.ErrConflict if the database holds anything.
func (s *Store) Empty(ctx context.Context) error {
	return wrap("store", s.write(ctx, (*tx).empty))
}

func (s *Store) restore(ctx context.Context, r io.Reader) (report BackupReport, err error) {
	in, err := archive.NewReader(r)
	if err != nil {
		return report, err
	}
	defer in.Close()
	err = s.writeOnce(ctx, func(t *tx) error { // for in can be read but once
		if err := t.empty(); err != nil {
			return err
		}
		indexes, err := t.dropIndexes("checkins")
		if err != nil {
			return err
		}
		if report, err = t.restore(ctx, in); err != nil {
			return err
		}
		if s.dialect == sqlite {
			_, err = t.exec("INSERT INTO subjects SELECT day, subject, epoch_no, seq, digest FROM checkins WHERE subject IS NOT NULL ORDER BY 1, 2, 3, 4, 5")
			if err != nil {
				return err
			}
		}
		for _, create := range indexes { // sorting once is quicker than keeping order
			if _, err := t.exec(create); err != nil {
				return err
			}
		}
		next := max(int64(report.Generation)+1, s.now().UnixMilli())
		if _, err := t.exec("UPDATE meta SET generation = ?, restored = ?", next, s.now().UnixMilli()); err != nil {
			return err
		}
		// Arrivals of another database are none of this one's.
		if _, err = t.exec("UPDATE redates SET arrived = 0"); err != nil {
			return err
		}
		// What a lost backup made safe is safe no more; this one has no verdict yet.
		_, err = t.exec("UPDATE epochs SET safe = 0")
		return err
	})
	return report, err
}

// empty refuses a database in which there is something.
func (t *tx) empty() error {
	if _, err := t.exec("UPDATE meta SET generation = generation"); err != nil { // one restore at a time
		return err
	}
	for _, table := range tables {
		found := false
		err := t.each(func(*sql.Rows) error { found = true; return nil }, "SELECT 1 FROM "+table.Name+" LIMIT 1")
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("the database is not empty: there are %s: %w", table.Name, qrgate.ErrConflict)
		}
	}
	return nil
}

// dropIndexes drops a table's indexes but its primary key, and returns the
// statements that make them again.
func (t *tx) dropIndexes(table string) (create []string, err error) {
	query := "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
	if t.s.dialect == postgres {
		query = `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ?
			AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	}
	var names []string
	err = t.each(func(r *sql.Rows) error {
		var name, sql string
		err := r.Scan(&name, &sql)
		names, create = append(names, name), append(create, sql)
		return err
	}, query, table)
	for _, name := range names {
		if err == nil {
			_, err = t.exec("DROP INDEX " + name)
		}
	}
	return create, err
}

func (t *tx) restore(ctx context.Context, in *archive.Reader) (BackupReport, error) {
	report := BackupReport{ID: in.Head.ID, Generation: in.Head.Generation, Made: in.Head.Made}
	if report.Generation >= math.MaxInt64 {
		return report, fmt.Errorf("%w: generation %d", ErrBackup, report.Generation)
	}
	into, err := inserts(in.Head.Tables)
	if err != nil {
		return report, err
	}
	var last *insert
	for {
		table, values, err := in.Next()
		if err == io.EOF {
			report.Rows, report.Digest = in.Rows(), in.Digest()
			return report, last.flush(t)
		}
		if err != nil {
			return report, err
		}
		if next := into[table]; next != last || next.full() {
			if err := last.flush(t); err != nil {
				return report, err
			}
			if err := ctx.Err(); err != nil {
				return report, err
			}
			last = next
		}
		if err := last.add(values); err != nil {
			return report, err
		}
	}
}

// An insert gathers rows of one table of a backup.
type insert struct {
	bulk  *bulk
	table string
	kinds []string
	held  []any
	bytes int
}

// inserts returns an insert for each table of a backup, all of which must be
// ours. One may lack columns: then it is an earlier release's.
func inserts(of []archive.Table) ([]*insert, error) {
	var all []*insert
	for _, t := range of {
		i := slices.IndexFunc(tables, func(known table) bool { return known.Name == t.Name })
		if i < 0 {
			return nil, fmt.Errorf("%w: table %q is not known to this release", ErrBackup, t.Name)
		}
		if len(t.Columns) == 0 || slices.ContainsFunc(all, func(in *insert) bool { return in.table == t.Name }) {
			return nil, fmt.Errorf("%w: table %q is there twice or has no columns", ErrBackup, t.Name)
		}
		in := &insert{table: t.Name}
		for n, c := range t.Columns {
			kind, ok := tables[i].kinds[c]
			if !ok || slices.Contains(t.Columns[:n], c) {
				return nil, fmt.Errorf("%w: column %q of table %q is there twice or not known to this release", ErrBackup, c, t.Name)
			}
			in.kinds = append(in.kinds, kind)
		}
		in.bulk = insertOf(t.Name, strings.Join(t.Columns, ", "), "")
		all = append(all, in)
	}
	return all, nil
}

// full reports whether it is time to insert what is held: a megabyte, or a
// statement's rows.
func (in *insert) full() bool {
	return in.bytes > 1<<20 || len(in.held) >= portions[0]*in.bulk.width
}

// add holds a row.
func (in *insert) add(values []any) error {
	for i, v := range values {
		kind := in.kinds[i] // NULL is for the table to refuse
		switch v := v.(type) {
		case int64:
			kind = ""
		case string:
			kind = "t"
			if strings.Contains(v, "\x00") { // PostgreSQL takes none, so no backup has one
				kind = "?"
			}
			in.bytes += len(v)
		case []byte:
			kind = "b"
			in.bytes += len(v)
		}
		if kind != in.kinds[i] {
			return fmt.Errorf("%w: %s: value %d is none of its column", ErrBackup, in.table, i)
		}
	}
	in.held = append(in.held, values...)
	return nil
}

func (in *insert) flush(t *tx) error {
	if in == nil {
		return nil
	}
	_, err := t.run(in.bulk, in.held, nil)
	in.held, in.bytes = in.held[:0], 0
	if err != nil && refused(err) {
		return fmt.Errorf("%w: %s: %w", ErrBackup, in.table, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", in.table, err)
	}
	return nil
}

// refused reports whether the engine refused what it was given: the wrong type,
// the same row twice, a row that names another which is not there.
func refused(err error) bool {
	if code := pgCode(err); code != "" {
		const dataException, integrity = "22", "23"
		return code[:2] == dataException || code[:2] == integrity
	}
	var lite *sqlite3.Error
	if errors.As(err, &lite) {
		const constraint, mismatch = 19, 20
		return lite.Code()&0xff == constraint || lite.Code()&0xff == mismatch
	}
	return false
}
