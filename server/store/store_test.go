package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store"
)

func TestOpenTwice(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s, err := store.Open(context.Background(), dsn, store.Options{Now: func() time.Time { return dawn }})
		if err != nil {
			t.Fatal(err)
		}
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		intake(t, s, dawn.Add(time.Hour), k.all())
		want := checkins(t, s, k.id)
		if err := s.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		again := open(t, dsn)
		if g, err := again.Generation(context.Background()); err != nil || g != uint64(dawn.UnixMilli()) {
			t.Errorf("Generation() = %d, %v, want that of the first opening, %d", g, err, dawn.UnixMilli())
		}
		if err := again.Healthy(context.Background()); err != nil {
			t.Errorf("Healthy() = %v", err)
		}
		if diff := cmp.Diff(want, checkins(t, again, k.id)); diff != "" || len(want) != 3 {
			t.Errorf("check-ins after opening again (-before +after):\n%s", diff)
		}
	})
}

// Several servers may start at once on an empty database.
func TestOpenAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		type opened struct {
			s   *store.Store
			err error
		}
		all := make(chan opened)
		for range 4 {
			go func() {
				s, err := store.Open(context.Background(), dsn, store.Options{})
				all <- opened{s, err}
			}()
		}
		generations := map[uint64]bool{}
		for range 4 {
			o := <-all
			if o.err != nil {
				t.Errorf("Open() = %v", o.err)
				continue
			}
			g, err := o.s.Generation(context.Background())
			if err != nil {
				t.Error(err)
			}
			generations[g] = true
			if err := o.s.Close(); err != nil {
				t.Error(err)
			}
		}
		if len(generations) != 1 {
			t.Errorf("generations %v, want one", generations)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "server.db", "mysql://root:secret@localhost/x", "sqlite:/nowhere/at/all/x.db", "postgres://u:secret@127.0.0.1:1/x?connect_timeout=1"} {
		s, err := store.Open(context.Background(), dsn, store.Options{})
		if err == nil {
			s.Close()
			t.Errorf("Open(%q) succeeded", dsn)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v: shows the password", dsn, err)
		}
	}
}

func TestHealthyAfterClose(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s, err := store.Open(context.Background(), e.dsn(t), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Healthy(context.Background()); err == nil {
			t.Error("Healthy() = nil of a closed store")
		}
	})
}
