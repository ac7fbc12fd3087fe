package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// Options are the optional parts of a Store. The zero value is right.
type Options struct {
	Now func() time.Time // default time.Now
	// Together is how many check-ins SQLite files at once at most, of about 200 bytes of
	// memory each; default 200,000. What only fills a store with millions of a day takes
	// all of a day: they come in the order of the tables, and no page is written twice.
	Together int
}

// A Store is an open database. It is safe for concurrent use, also by several
// servers where the engine is PostgreSQL.
type Store struct {
	dialect dialect
	now     func() time.Time
	read    *sql.DB // for SQLite, of connections that cannot write
	writing *sql.DB

	readings readings

	// SQLite has one writer. Its statements are prepared once, because parsing
	// an insert of a hundred rows costs as much as running it.
	mu       sync.Mutex
	writer   *sql.Conn
	prepared map[string]*sql.Stmt
	when     haste // of its transactions

	intake    sync.Mutex // held by Intake and Tidy, guards what follows
	books     map[string]*Book
	contended int // intakes that still lock their kiosks first
	tray      tray

	filing sync.Mutex // held before any other lock, guards run
	run    *filing    // nil if none is under way

	waiting waitingRoom

	dating atomic.Int64 // kiosk whose check-ins were dated again last

	fileMost, fileLimit int // check-ins
}

// Connections at once: PostgreSQL has a hundred for all servers, and each of
// SQLite has its cache.
const (
	openConns = 20
	idleConns = 5
)

type dialect string

const (
	sqlite   dialect = "sqlite"
	postgres dialect = "postgres"
)

// Open opens the database and brings its schema to this version. dsn is
// "sqlite:PATH", whose file is made if it is missing, or a URL
// "postgres://...".
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	s := &Store{now: o.Now, books: map[string]*Book{}, prepared: map[string]*sql.Stmt{}, when: durably, tray: tray{epochs: map[int64][]arrived{}}}
	if s.now == nil {
		s.now = time.Now
	}
	s.fileMost = cmp.Or(o.Together, fileMost)
	s.fileLimit = 2 * s.fileMost // waiting; beyond it an intake files some itself
	err := s.open(ctx, dsn)
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("store: open: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dsn string) (err error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && path != "" {
		s.dialect = sqlite
		if s.writing, err = sql.Open("sqlite", sqliteDSN(path, false)); err != nil {
			return err
		}
		s.writing.SetMaxOpenConns(1)
		if s.read, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
			return err
		}
		s.read.SetMaxOpenConns(openConns)
		s.read.SetMaxIdleConns(idleConns)
		return nil
	}
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		// The text may hold a password.
		return errors.New(`the data source is neither "sqlite:PATH" nor "postgres://..."`)
	}
	s.dialect = postgres
	if s.writing, err = sql.Open("pgx", dsn); err != nil {
		return err
	}
	s.writing.SetMaxOpenConns(openConns)
	s.writing.SetMaxIdleConns(idleConns)
	s.read = s.writing
	return s.read.PingContext(ctx)
}

func sqliteDSN(path string, reader bool) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)",
		"journal_mode(wal)",
		// With NORMAL, rows that were receipted are gone after a power cut.
		"synchronous(full)",
		"foreign_keys(on)",
		"secure_delete(on)",
		"journal_size_limit(67108864)",
	}}
	if reader {
		q["_txlock"] = []string{"deferred"}
		q["_pragma"] = append(q["_pragma"], "query_only(on)", "cache_size(-8192)")
	} else {
		// A page that is written many times goes from the log into the file once.
		q["_pragma"] = append(q["_pragma"], "cache_size(-65536)", "wal_autocheckpoint(16384)")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// migrate brings the schema to this version.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations/"+string(s.dialect))
	if err != nil {
		return err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	gd := goose.DialectSQLite3
	if s.dialect == postgres {
		gd = goose.DialectPostgres
		// A row, not an advisory lock, which engines that only speak PostgreSQL's
		// protocol lack.
		l, err := lock.NewPostgresTableLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithLocker(l))
	}
	p, err := goose.NewProvider(gd, s.writing, dir, opts...)
	if err != nil {
		return err
	}
	// A server that is older than the database runs beside a newer one.
	for try := 1; ; try++ {
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		// Of two processes that open a new SQLite file at once, one finds the
		// tables that the other has just made.
		if s.dialect == postgres || try == tries || ctx.Err() != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
}

// prepare takes the writer and gives a new database its generation.
func (s *Store) prepare(ctx context.Context) (err error) {
	if s.dialect == sqlite {
		if s.writer, err = s.writing.Conn(ctx); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO meta (id, generation) VALUES (1, ?) ON CONFLICT (id) DO NOTHING", s.now().UnixMilli())
		return err
	})
}

// Close closes the database. Nothing may be under way.
func (s *Store) Close() error {
	errs := []error{s.readings.close()}
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.writing != nil && s.writing != s.read {
		errs = append(errs, s.writing.Close())
	}
	return errors.Join(errs...)
}

// Healthy reports whether the database answers a read.
func (s *Store) Healthy(ctx context.Context) error {
	if _, err := s.Generation(ctx); err != nil {
		return fmt.Errorf("store: health: %w", err)
	}
	return nil
}

// Generation returns the database's generation, which is higher after each
// restore; see wire.Stamp.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	var g int64
	err := s.read.QueryRowContext(ctx, "SELECT generation FROM meta").Scan(&g)
	if err != nil {
		return 0, fmt.Errorf("store: generation: %w", err)
	}
	return uint64(g), nil
}
