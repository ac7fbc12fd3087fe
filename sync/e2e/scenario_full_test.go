//go:build full

package e2e_test

import (
	"database/sql"
	"io"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/pgtest"
	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// The same on the parts that a province runs: PostgreSQL, and Mosquitto.
func TestScenarioPostgresMosquitto(t *testing.T) {
	t.Parallel()
	addr, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dsn := pgtest.DSN(t)
	scenario(t, backend{
		scans:   manyScans,
		servers: 2,
		options: stage.Options{Store: dsn, Broker: "tls://" + addr},
		broker: func(t *testing.T, s *stage.Stage) {
			stop, err := stage.StartMosquitto(filepath.Join(s.ServerState(), "tls"), addr, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
		},
		wipe: func(t *testing.T, _ *stage.Stage) {
			db, err := sql.Open("pgx", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
				t.Fatal(err)
			}
		},
		files: func(*stage.Stage) []string {
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			return []string{filepath.Join(u.Query().Get("host"), "data", "base"), filepath.Join(u.Query().Get("host"), "data", "pg_wal")}
		},
	})
}
