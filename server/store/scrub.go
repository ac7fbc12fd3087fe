package store

import (
	"context"
	"fmt"
	"time"
)

// Scrub makes the engine let go of what was deleted: SQLite overwrites deleted rows
// in its file (secure_delete), but its log still has the pages as they were, and is
// emptied here; PostgreSQL frees dead rows, whose bytes it overwrites as it needs
// the space. It waits for readers for a while; if some do not end, it does what it
// can.
func (s *Store) Scrub(ctx context.Context) error {
	if s.dialect == postgres {
		for _, table := range []string{"checkins", "details", "people", "identities", "dead_letters", "visits"} {
			if _, err := s.writing.ExecContext(ctx, "VACUUM "+table); err != nil {
				return fmt.Errorf("store: scrub %s: %w", table, err)
			}
		}
		return nil
	}
	// Most of the log goes into the file while intakes go on.
	if err := s.shrinkLog(ctx); err != nil {
		return fmt.Errorf("store: scrub: %w", err)
	}
	for try := 1; ; try++ {
		busy, err := s.emptyLog(ctx)
		if err != nil {
			return fmt.Errorf("store: scrub: %w", err)
		}
		if !busy || try == tries {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

// shrinkLog writes what SQLite's log has into the file, as far as no reader needs it
// yet. Nobody waits for it.
func (s *Store) shrinkLog(ctx context.Context) error {
	if s.dialect == postgres {
		return nil
	}
	_, err := s.read.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

func (s *Store) emptyLog(ctx context.Context) (busy bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	// Readers that go on for long must not keep intakes waiting as the pragma's own
	// patience would.
	ctx = context.WithoutCancel(ctx)
	if _, err := s.writer.ExecContext(ctx, "PRAGMA busy_timeout = 50"); err != nil {
		return false, err
	}
	defer s.writer.ExecContext(ctx, "PRAGMA busy_timeout = 10000")
	var log, done int
	err = s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	return busy, err
}
