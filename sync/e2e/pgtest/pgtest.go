//go:build full

// Package pgtest runs a PostgreSQL of the test binary's own, from Debian's
// package postgresql, and hands out empty databases in it.
//
//	s, err := store.Open(ctx, pgtest.DSN(t), store.Options{})
//
// The promise: the cluster is in a temporary directory, is reached by a socket
// in it, so that it disturbs no other and none disturbs it, and is gone soon
// after the test binary has ended, however it ended. Nothing is tuned: a
// committed transaction is on disk. Where PostgreSQL is missing, tests fail.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// A cluster is a running PostgreSQL.
type cluster struct {
	dir string
	end io.Closer // held, because a pipe that nobody holds is closed
}

// start runs the cluster. A shell stops it and removes the directory when the
// pipe to its input closes, which is when this process ends: a test's cleanup
// would end it under the tests that follow.
var start = sync.OnceValues(func() (c cluster, err error) {
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(installed) == 0 {
		return c, errors.New("no /usr/lib/postgresql/*/bin: install Debian's package postgresql")
	}
	bin := installed[len(installed)-1]
	if c.dir, err = os.MkdirTemp("", "qrgate-pg-*"); err != nil {
		return c, err
	}
	as, err := owner(c.dir)
	if err != nil {
		return c, err
	}
	initdb := exec.Command(bin+"/initdb", "-D", c.dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, c.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return c, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(c.dir + "/log")
	if err != nil {
		return c, err
	}
	defer log.Close()
	const script = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= </dev/null & read end; kill -INT $!; wait; rm -rf "$2"`
	sh := exec.Command("/bin/sh", "-c", script, "pgtest", bin, c.dir)
	sh.SysProcAttr, sh.Dir, sh.Stdout, sh.Stderr = as, c.dir, log, log
	if c.end, err = sh.StdinPipe(); err != nil {
		return c, err
	}
	if err := sh.Start(); err != nil {
		return c, err
	}
	return c, answers(c.dir)
})

// owner gives dir to the user under whom PostgreSQL shall run, which is never
// root.
func owner(dir string) (*syscall.SysProcAttr, error) {
	// A group of its own: an interrupt of the tests reaches it by the pipe.
	as := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return as, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, os.Chown(dir, int(uid), int(gid))
}

// answers waits until the cluster takes connections.
func answers(dir string) error {
	db, err := sql.Open("pgx", dsn(dir, "postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(dir + "/log")
			return fmt.Errorf("postgres does not answer: %w\n%s", err, log)
		}
	}
}

func dsn(dir, database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}.Encode()
}

var databases atomic.Int64

// DSN returns the data source name of an empty database, which is dropped when
// the test ends.
func DSN(t testing.TB) string {
	t.Helper()
	return create(t, "template1")
}

// Copy returns the data source name of a copy of what fill fills, which is called once
// in a test's process for each name and leaves no connection open. The copy is dropped
// when the test ends.
func Copy(t testing.TB, name string, fill func(dsn string) error) string {
	t.Helper()
	made, _ := originals.LoadOrStore(name, sync.OnceValue(func() error {
		c, err := start()
		if err == nil {
			err = c.admin("CREATE DATABASE " + name)
		}
		if err == nil {
			err = fill(dsn(c.dir, name))
		}
		return err
	}))
	if err := made.(func() error)(); err != nil {
		t.Fatalf("pgtest: %s: %v", name, err)
	}
	return create(t, name)
}

var originals sync.Map // of name, func() error

func create(t testing.TB, from string) string {
	t.Helper()
	c, err := start()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("test%d", databases.Add(1))
	// Whoever filled the original may still be about to go.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err = c.admin("CREATE DATABASE " + name + " TEMPLATE " + from)
		if busy := new(pgconn.PgError); !errors.As(err, &busy) || busy.Code != "55006" || time.Now().After(deadline) { // object_in_use
			break
		}
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.admin("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return dsn(c.dir, name)
}

func (c cluster) admin(query string) error {
	db, err := sql.Open("pgx", dsn(c.dir, "postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(query)
	return err
}
