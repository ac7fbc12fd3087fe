//go:build full

package blank

import (
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/pgtest"
)

// Postgres returns the data source name of a PostgreSQL database, which is dropped when
// the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return pgtest.Copy(t, "blank", func(dsn string) error { return fill(dsn, "pgx", dsn) })
}
