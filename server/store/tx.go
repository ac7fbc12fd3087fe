package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A tx is a write transaction on one connection.
type tx struct {
	s    *Store
	ctx  context.Context // of its statements
	conn *sql.Conn
}

// errAgain ends a transaction that another server has overtaken. Tried again it
// sees what the other has written.
var errAgain = errors.New("overtaken by another server")

// tries is how often a transaction is begun before its conflict with others is
// the caller's.
const tries = 10

// write runs fn in a transaction, again where another one was in its way.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	for try := 1; ; try++ {
		err := s.writeOnce(ctx, fn)
		if try == tries || !overtaken(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(1+rand.IntN(5<<min(try, 5))) * time.Millisecond):
		}
	}
}

func overtaken(err error) bool {
	const serializationFailure, deadlock = "40001", "40P01"
	return errors.Is(err, errAgain) || errors.Is(err, errHeld) || errors.Is(err, errStale) || pgCode(err) == serializationFailure || pgCode(err) == deadlock || pgCode(err) == lockTimeout
}

// PostgreSQL's codes for a row that is there already, and for a lock that was not
// to be had in time; see holdIntakes.
const (
	uniqueViolation = "23505"
	lockTimeout     = "55P03"
)

// pgCode returns PostgreSQL's code of an error, or "".
func pgCode(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func (s *Store) writeOnce(ctx context.Context, fn func(*tx) error) error {
	return s.transact(ctx, durably, fn)
}

// A haste says when a transaction must be on disk.
type haste bool

const (
	durably haste = true  // when it commits
	lazily  haste = false // some time later, before any later one that commits durably
)

func (s *Store) transact(ctx context.Context, when haste, fn func(*tx) error) (err error) {
	defer func() {
		// The drivers have other words for it.
		if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
			err = fmt.Errorf("%w: %w", ended, err)
		}
	}()
	t := &tx{s: s, ctx: ctx}
	if s.dialect == sqlite {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.conn = s.writer
		// Of a statement that was interrupted nobody knows whether it ran, and
		// after a BEGIN that did the writer would be stuck. They are short.
		t.ctx = context.WithoutCancel(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.dialect == postgres {
		t.conn, err = s.connect(ctx)
		if err != nil {
			return err
		}
		defer t.conn.Close()
	} else if err := s.begin(t, when); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			t.rollback()
		}
	}()
	if err := fn(t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := t.conn.ExecContext(t.ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	done = true
	return nil
}

// begin begins a transaction of SQLite's writer.
func (s *Store) begin(t *tx, when haste) error {
	if when != s.when {
		level := "NORMAL"
		if when == durably {
			level = "FULL"
		}
		if _, err := t.conn.ExecContext(t.ctx, "PRAGMA synchronous = "+level); err != nil {
			return err
		}
		s.when = when
	}
	_, err := t.conn.ExecContext(t.ctx, "BEGIN IMMEDIATE")
	return err
}

// connect returns a connection of PostgreSQL in a transaction. Those in the pool
// are dead after the server was restarted, and a BEGIN that failed cost nothing.
func (s *Store) connect(ctx context.Context) (*sql.Conn, error) {
	for n := 0; ; n++ {
		c, err := s.writing.Conn(ctx)
		if err != nil {
			return nil, err
		}
		if _, err = c.ExecContext(ctx, "BEGIN"); err == nil {
			return c, nil
		}
		discard(c)
		c.Close()
		if n == idleConns || ctx.Err() != nil {
			return nil, err
		}
	}
}

// discard takes a connection out of the pool.
func discard(c *sql.Conn) { c.Raw(func(any) error { return driver.ErrBadConn }) }

func (t *tx) rollback() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
	defer cancel()
	// An SQLite connection whose COMMIT failed may have no transaction left.
	_, err := t.conn.ExecContext(ctx, "ROLLBACK")
	if err != nil && t.s.dialect == postgres {
		discard(t.conn)
	}
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	return t.execBound(t.s.bind(query), args)
}

func (t *tx) execBound(query string, args []any) (int64, error) {
	stmt, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	var r sql.Result
	if stmt != nil {
		r, err = stmt.ExecContext(t.ctx, args...)
	} else {
		r, err = t.conn.ExecContext(t.ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// each runs a query and calls scan with each of its rows.
func (t *tx) each(scan func(*sql.Rows) error, query string, args ...any) error {
	return t.eachBound(scan, t.s.bind(query), args)
}

func (t *tx) eachBound(scan func(*sql.Rows) error, query string, args []any) error {
	stmt, err := t.stmt(query)
	if err != nil {
		return err
	}
	var rows *sql.Rows
	if stmt != nil {
		rows, err = stmt.QueryContext(t.ctx, args...)
	} else {
		rows, err = t.conn.QueryContext(t.ctx, query, args...)
	}
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// snapshot returns a transaction that sees the database at one moment.
func (s *Store) snapshot(ctx context.Context) (*sql.Tx, error) { return s.snapshotOn(ctx, s.read) }

// snapshotOn is snapshot on the pool of readers or one of its connections.
func (s *Store) snapshotOn(ctx context.Context, on interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}) (*sql.Tx, error) {
	o := &sql.TxOptions{ReadOnly: true}
	if s.dialect == postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	return on.BeginTx(ctx, o)
}

// A querier is a pool, or one of its transactions.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each is tx.each outside a transaction.
func (s *Store) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	return s.eachIn(ctx, s.read, scan, query, args...)
}

func (s *Store) eachIn(ctx context.Context, in querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := in.QueryContext(ctx, s.bind(query), args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func eachRow(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// stmt returns the prepared statement of query, or nil where the driver keeps
// its own.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if t.s.dialect == postgres {
		return nil, nil
	}
	if stmt, ok := t.s.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.s.prepared[query] = stmt
	return stmt, nil
}

func (s *Store) bind(query string) string {
	if s.dialect == postgres {
		return rebind(query)
	}
	return query
}

// rebind turns each ? into PostgreSQL's $1, $2 and so on. No statement of ours
// has a question mark elsewhere.
func rebind(query string) string {
	var b strings.Builder
	b.Grow(len(query) + 32)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}
