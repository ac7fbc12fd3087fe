package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestRecent(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		if got, err := s.Recent(ctx, 10); err != nil || len(got) != 0 {
			t.Errorf("Recent() = %v, %v of an empty store", got, err)
		}
		a, b := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002")
		b.gate = "side"
		a.scans(dawn, 30)
		b.scans(dawn, 3)
		at := func(minute int) time.Time { return dawn.Add(time.Hour + time.Duration(minute)*time.Minute) }
		intake(t, s, at(1), a.batch(a.id, 1, 20))
		intake(t, s, at(2), b.batch(b.id, 1, 2))
		intake(t, s, at(3), a.batch(a.id, 21, 2))
		intake(t, s, at(4), b.batch(b.id, 3, 1))
		got, err := s.Recent(ctx, 7)
		if err != nil {
			t.Fatal(err)
		}
		var brief []string
		for _, v := range got {
			brief = append(brief, fmt.Sprintf("%s %s %d", v.Kiosk, v.Gate, (v.Received-at(0).UnixMilli())/60_000))
		}
		want := []string{"gate-0002 side 4", "gate-0001 main 3", "gate-0001 main 3", "gate-0002 side 2", "gate-0002 side 2", "gate-0001 main 1", "gate-0001 main 1"}
		if diff := cmp.Diff(want, brief); diff != "" {
			t.Errorf("Recent(7) (-want +got):\n%s", diff)
		}
		last := got[0]
		wantLast := store.Sighting{
			Kiosk: b.id, Place: "Cho Dong Ba", Gate: "side", Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Reason: 2,
			Said: dawn.Add(2*time.Second).UnixMilli() + 1234, Earliest: last.Earliest, Latest: last.Latest, Received: at(4).UnixMilli(),
		}
		if diff := cmp.Diff(wantLast, last); diff != "" {
			t.Errorf("the last (-want +got):\n%s", diff)
		}
		if got, err := s.Recent(ctx, 100); err != nil || len(got) != 25 {
			t.Errorf("Recent(100) = %d, %v, want 25", len(got), err)
		}
	})
}

// No query of check-ins that a server runs while it serves reads all of them.
func TestPlans(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		const days = 10
		var batches [days][]*wire.Batch
		for i := range 40 { // small tables are scanned with good reason
			k := addKiosk(t, s, fmt.Sprintf("gate-%04d", i))
			for day := range batches {
				k.scans(dawn.AddDate(0, 0, day), 50)
				batches[day] = append(batches[day], k.batch(k.id, 50*day+1, 50))
			}
		}
		for day, all := range batches {
			intake(t, s, dawn.AddDate(0, 0, day).Add(time.Hour), all...)
		}
		db := raw(t, dsn)
		if e.name == "postgres" { // which does that by itself, after a while
			if _, err := db.Exec("ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		for name, q := range store.Queries(e.name, 5<<16+1) {
			explain := "EXPLAIN QUERY PLAN "
			if e.name == "postgres" {
				explain = "EXPLAIN "
			}
			rows, err := db.Query(explain+q.Text, q.Args...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var plan []string
			for rows.Next() {
				var step string
				into := []any{&step}
				if e.name == "sqlite" {
					into = []any{new(any), new(any), new(any), &step}
				}
				if err := rows.Scan(into...); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, step)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if whole := strings.Join(plan, "\n"); !strings.Contains(whole, q.Index) {
				t.Errorf("%s: no %s in\n%s", name, q.Index, whole)
			}
			for _, step := range plan {
				for _, scan := range []string{"SCAN c", "Seq Scan on checkins", "USE TEMP B-TREE"} {
					if strings.HasPrefix(strings.TrimLeft(step, " ->"), scan) {
						t.Errorf("%s: %q in\n%s", name, scan, strings.Join(plan, "\n"))
					}
				}
			}
		}
	})
}
