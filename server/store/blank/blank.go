// Package blank hands tests databases that have this version's tables and nothing in
// them, not even a generation.
//
//	s, err := store.Open(ctx, blank.SQLite(t), store.Options{})
//
// The promise: what a test is given is as if [store.Open] had just made it. The tables are
// made once in a test's process and copied from then on; to make them takes longer than
// most tests. It is for tests alone.
package blank

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/qrgate/qrgate/server/store"
)

// SQLite returns the data source name of an SQLite database in the test's folder.
func SQLite(t testing.TB) string {
	t.Helper()
	return At(t, filepath.Join(t.TempDir(), "qrgate.db"))
}

// At makes an SQLite database at path, and returns its data source name.
func At(t testing.TB, path string) string {
	t.Helper()
	file, err := sqlite()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatalf("blank: %v", err)
	}
	return "sqlite:" + path
}

var sqlite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "qrgate-blank-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "qrgate.db")
	if err := fill("sqlite:"+path, "sqlite", path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// fill makes the tables. Each store gives its own database a generation when it opens it.
func fill(dsn, driver, source string) error {
	s, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		return err
	}
	s.Close()
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	_, err = db.Exec("DELETE FROM meta")
	return errors.Join(err, db.Close())
}
