//go:build full

package store_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/e2e/pgtest"
)

// kill ends every other connection to the database, as a restart of PostgreSQL
// does.
func kill(t *testing.T, db *sql.DB) {
	t.Helper()
	const others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	if _, err := db.Exec(others); err != nil {
		t.Error(err)
	}
}

// settle reads until the pool has no dead connection left.
func settle(t *testing.T, s *store.Store) {
	t.Helper()
	for range 10 {
		if s.Healthy(context.Background()) == nil {
			return
		}
	}
	t.Error("the store does not recover")
}

// A pool between server and PostgreSQL may keep no prepared statements: rows come as text
// then, and say the same.
func TestRowsAsText(t *testing.T) {
	dsn := pgtest.DSN(t)
	s := open(t, dsn)
	k := addKiosk(t, s, "gate-0001")
	k.scans(dawn, 12)
	intake(t, s, dawn.Add(time.Hour), k.all())
	text := open(t, dsn+"&default_query_exec_mode=exec")
	checkReads(t, text, checkins(t, s, k.id), [2]int64{dawn.UnixMilli(), dawn.UnixMilli() + 5000})
}

func TestKilledConnection(t *testing.T) {
	dsn := pgtest.DSN(t)
	s := open(t, dsn)
	admin := raw(t, dsn)
	k := addKiosk(t, s, "gate-0001")
	k.scans(dawn, 10)
	intake(t, s, dawn.Add(time.Hour), k.batch(k.id, 1, 2))
	before := checkins(t, s, k.id)
	for name, fn := range map[string]func(*store.Intake) error{
		"at the end": func(in *store.Intake) error {
			_, err := take(in, k.all(), dawn.Add(time.Hour))
			kill(t, admin)
			return err
		},
		"between reads": func(in *store.Intake) error {
			kill(t, admin)
			_, _, err := in.Person([16]byte{1}, func() qrgate.Person { return 1 })
			return err
		},
	} {
		if err := s.Intake(context.Background(), []string{k.id}, fn); err == nil {
			t.Errorf("%s: Intake() = nil although its connection was killed", name)
		}
		settle(t, s)
		if diff := cmp.Diff(before, checkins(t, s, k.id)); diff != "" {
			t.Errorf("%s: check-ins (-before +after):\n%s", name, diff)
		}
	}
	// The next intake needs no repetition by its caller, although every
	// connection of the pool is dead.
	kill(t, admin)
	intake(t, s, dawn.Add(time.Hour), k.all())
	settle(t, s)
	if n := len(checkins(t, s, k.id)); n != 10 {
		t.Errorf("%d check-ins, want 10", n)
	}
}

// Of a commit whose answer is lost nobody knows: the same batches come again.
func TestKilledWhileCommitting(t *testing.T) {
	dsn := pgtest.DSN(t)
	s := open(t, dsn)
	admin := raw(t, dsn)
	k := addKiosk(t, s, "gate-0001")
	k.scans(dawn, 400)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				kill(t, admin)
			}
		}
	}()
	failed := 0
	for first := 1; first <= 400; first += 4 {
		for {
			err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
				taken, err := take(in, k.batch(k.id, first, 4), dawn.Add(time.Hour))
				if taken.Fork {
					t.Error("a fork")
				}
				return err
			})
			if err == nil {
				break
			}
			if failed++; failed == 100 { // enough of it
				close(stop)
				<-stopped
			}
		}
	}
	if failed < 100 {
		close(stop)
		<-stopped
	}
	t.Logf("%d intakes failed", failed)
	settle(t, s)
	if n := len(checkins(t, s, k.id)); n != 400 {
		t.Errorf("%d check-ins, want 400", n)
	}
	if st := status(t, s, k.id); st.Checkins != 400 {
		t.Errorf("Kiosks() counts %d check-ins, want 400", st.Checkins)
	}
}
