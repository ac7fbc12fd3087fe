package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Tx is a write transaction of a package below store, which keeps more SQL
// than fits into one room. Statements are written for SQLite with ? for each
// argument and must mean the same to PostgreSQL.
type Tx struct{ t *tx }

// Write runs fn in a durable transaction, again where another one was in its
// way: only what its last call did counts. fn's error undoes it.
func (s *Store) Write(ctx context.Context, fn func(Tx) error) error {
	return kindOf(s.write(ctx, func(t *tx) error { return fn(Tx{t}) }))
}

// Exec runs a statement and returns how many rows it changed.
func (t Tx) Exec(query string, args ...any) (int64, error) {
	n, err := t.t.exec(query, args...)
	return n, kindOf(err)
}

// Each runs a query and calls scan with each of its rows.
func (t Tx) Each(scan func(*sql.Rows) error, query string, args ...any) error {
	return kindOf(t.t.each(scan, query, args...))
}

// Audit writes down who did what to which object, in the transaction that does
// it. actor is an account's id, or empty for a command at the server; note must
// not name a person.
func (t Tx) Audit(actor, action, object, note string) error {
	return t.t.auditBy(actor, action, object, note)
}

// AuditAll is [Tx.Audit] for each of several objects.
func (t Tx) AuditAll(actor, action string, objects []string, note string) error {
	return kindOf(t.t.auditAll(actor, action, objects, note))
}

// Read runs a query outside a transaction and calls scan with each of its rows.
func (s *Store) Read(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	return kindOf(s.readOnce(ctx, scan, query, args))
}

func (s *Store) readOnce(ctx context.Context, scan func(*sql.Rows) error, query string, args []any) error {
	stmt, err := s.readings.of(ctx, s, query)
	if err != nil {
		return err
	}
	if stmt == nil {
		return s.each(ctx, scan, query, args...)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// maxReadings bounds the queries that are kept prepared: those that are put
// together for a search are of any number.
const maxReadings = 200

// readings are queries that SQLite has parsed, which costs more than most of them
// do. PostgreSQL's driver keeps its own.
type readings struct {
	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

// of returns the query prepared, or nil if it is to be run as it is.
func (r *readings) of(ctx context.Context, s *Store, query string) (*sql.Stmt, error) {
	if s.dialect == postgres {
		return nil, nil
	}
	r.mu.Lock()
	stmt, full := r.kept[query], len(r.kept) >= maxReadings
	r.mu.Unlock()
	if stmt != nil || full {
		return stmt, nil
	}
	stmt, err := s.read.PrepareContext(ctx, s.bind(query))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.kept[query]; first != nil {
		return first, stmt.Close()
	}
	if r.kept == nil {
		r.kept = map[string]*sql.Stmt{}
	}
	r.kept[query] = stmt
	return stmt, nil
}

func (r *readings) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, stmt := range r.kept {
		errs = append(errs, stmt.Close())
	}
	r.kept = nil
	return errors.Join(errs...)
}

// kindOf makes [qrgate.ErrConflict] of what both engines say when a row is there
// already, and [qrgate.ErrUnavailable] of what is said when nobody answers.
func kindOf(err error) error {
	const primaryKey, unique = 1555, 2067
	var lite *sqlite3.Error
	switch {
	case err == nil || errors.Is(err, qrgate.ErrConflict) || errors.Is(err, qrgate.ErrUnavailable):
		return err
	case pgCode(err) == uniqueViolation || errors.As(err, &lite) && (lite.Code() == primaryKey || lite.Code() == unique):
		return errors.Join(qrgate.ErrConflict, err)
	case unanswered(err):
		return errors.Join(qrgate.ErrUnavailable, err)
	}
	return err
}

// unanswered reports whether the database was not there, has gone, or was too
// busy for longer than anybody waits.
func unanswered(err error) bool {
	const busy, connection, tooMany, shutdown = 5, "08", "53300", "57P"
	var dial *pgconn.ConnectError
	var wire *net.OpError
	var lite *sqlite3.Error
	if errors.As(err, &dial) || errors.As(err, &wire) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if errors.As(err, &lite) {
		return lite.Code()&0xff == busy
	}
	code := pgCode(err)
	return strings.HasPrefix(code, connection) || strings.HasPrefix(code, shutdown) || code == tooMany || code == lockTimeout
}

// Lock makes other transactions wait that lock the same table, until this one
// ends. SQLite has one writer anyway.
func (t Tx) Lock(table string) error {
	if t.t.s.dialect != postgres {
		return nil
	}
	_, err := t.t.exec("LOCK TABLE " + table + " IN SHARE ROW EXCLUSIVE MODE")
	return err
}
