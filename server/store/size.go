package store

import (
	"context"
	"fmt"
)

// Size returns how many bytes the database takes up on disk. Of SQLite's it does not
// count what is still in the log.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	query := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.dialect == postgres {
		query = "SELECT pg_database_size(current_database())"
	}
	if err := s.read.QueryRowContext(ctx, query).Scan(&bytes); err != nil {
		return 0, fmt.Errorf("store: size: %w", err)
	}
	return bytes, nil
}
