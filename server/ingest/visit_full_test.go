//go:build full

package ingest_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/blank"
)

// PostgreSQL's connections die while two servers commit, so that now and then
// nobody knows what was committed. Phones ask again, and each visit is there once.
func TestVisitsWhileConnectionsDie(t *testing.T) {
	w := newWorld(t, engine{"postgres", blank.Postgres})
	servers := []*server{w.another(ingest.Options{Server: "server-1"}), w.another(ingest.Options{Server: "server-2"})}
	admin, err := sql.Open("pgx", w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	const visits = 400
	var failed [visits]int
	var tasks errgroup.Group
	tasks.SetLimit(20)
	killing, stop := context.WithCancel(t.Context())
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for killing.Err() == nil {
			const others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
			if _, err := admin.Exec(others); err != nil {
				t.Error(err)
			}
			select {
			case <-killing.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	for n := range visits {
		tasks.Go(func() error {
			for {
				_, err := servers[(n+failed[n])%2].Visit(t.Context(), visitOf(n, n%50))
				if err == nil {
					return nil
				}
				if errors.Is(err, qrgate.ErrInvalid) || errors.Is(err, qrgate.ErrConflict) || t.Context().Err() != nil {
					return err
				}
				if failed[n]++; failed[n] == 100 {
					stop() // enough of it
				}
			}
		})
	}
	if err := tasks.Wait(); err != nil {
		t.Error(err)
	}
	stop()
	<-killed
	w.until("the store recovers", func() bool { return w.store.Healthy(t.Context()) == nil })
	persons := map[qrgate.Person]bool{}
	rows := 0
	for _, id := range []string{"phones@server-1", "phones@server-2"} {
		for _, r := range w.rows(id) {
			rows++
			persons[w.person(r)] = true
		}
	}
	again := 0
	for _, n := range failed {
		again += n
	}
	t.Logf("%d visits failed and came again", again)
	if rows != visits || len(persons) != 50 {
		t.Errorf("%d rows of %d persons, want %d of 50", rows, len(persons), visits)
	}
	if c := w.counts(); c.In != visits {
		t.Errorf("Counts() = %+v, want %d in", c, visits)
	}
}
