//go:build full

package pgtest_test

import (
	"database/sql"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/pgtest"
)

func TestDSNIsDurableAndEmpty(t *testing.T) {
	for range 2 {
		db, err := sql.Open("pgx", pgtest.DSN(t))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("CREATE TABLE one (n BIGINT)"); err != nil {
			t.Error(err)
		}
		for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			var got string
			if err := db.QueryRow("SHOW " + setting).Scan(&got); err != nil || got != "on" {
				t.Errorf("%s = %q, %v, want on", setting, got, err)
			}
		}
	}
}
