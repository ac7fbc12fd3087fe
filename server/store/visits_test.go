package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var dongBa = store.Where{No: 48211, Name: "Chợ Đông Ba"}

func visitKey(n byte) store.VisitKey { return store.VisitKey{0: n, 15: 1} }

// addVisit stores a check-in by phone with its answer.
func addVisit(t testing.TB, s *store.Store, n byte, at store.Where, direction wire.Direction, now time.Time) store.Answer {
	t.Helper()
	ctx := context.Background()
	id, err := s.Phones(ctx, "server-1")
	if err != nil {
		t.Fatal(err)
	}
	ms := now.UnixMilli()
	answer := store.Answer{Place: at.No, Direction: direction, People: 1, Happened: ms - 5, Earliest: ms - 9, Latest: ms, Received: ms}
	err = s.Intake(ctx, []string{id}, func(in *store.Intake) error {
		if err := in.ExpectVisits([]store.VisitKey{visitKey(n)}); err != nil {
			return err
		}
		e, err := in.Book(id).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		h := wire.Header{
			Seq: uint64(n), Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(n), Wall: ms, Gate: "poster", Lane: 3, Direction: direction,
			Pass: pass.Phone, Verdict: wire.Admitted, Presence: wire.Claimed,
		}
		in.Add(store.Row{
			Under: e, Written: e, Header: h, Digest: wire.Digest{n}, Day: qrgate.DayOf(now), Subject: &qrgate.Subject{n},
			When: when.Interval{Earliest: ms - 9, Latest: ms}, Received: now, Level: qrgate.Contacted, Where: at,
		})
		in.Answer(visitKey(n), answer)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// answers returns what is kept for the keys of visits 1..n.
func answers(t testing.TB, s *store.Store, n byte) map[byte]store.Answer {
	t.Helper()
	var all map[byte]store.Answer
	err := s.Intake(context.Background(), nil, func(in *store.Intake) error {
		all = map[byte]store.Answer{}
		var keys []store.VisitKey
		for i := range n {
			keys = append(keys, visitKey(i+1))
		}
		if err := in.ExpectVisits(keys); err != nil {
			return err
		}
		for i := range n {
			if a, ok := in.Answered(visitKey(i + 1)); ok {
				all[i+1] = a
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPhones(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		ctx := context.Background()
		var tasks errgroup.Group
		for i := range 10 {
			tasks.Go(func() error { _, err := stores[i%2].Phones(ctx, "server-1"); return err })
		}
		if err := tasks.Wait(); err != nil {
			t.Fatal(err)
		}
		one, err := stores[0].Phones(ctx, "server-1")
		if err != nil || one != "phones@server-1" || wire.ValidKiosk(one) {
			t.Errorf("Phones() = %q, %v", one, err)
		}
		for _, name := range []string{"", "Server", "a b", "a@b", strings.Repeat("x", 41)} {
			if id, err := stores[0].Phones(ctx, name); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("Phones(%q) = %q, %v, want %v", name, id, err, qrgate.ErrInvalid)
			}
		}
		addKiosk(t, stores[0], "gate-0001")
		if all, err := stores[1].Kiosks(ctx); err != nil || len(all) != 1 {
			t.Errorf("Kiosks() = %+v, %v, want one", all, err)
		}
	})
}

func TestForgetVisits(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		want := map[byte]store.Answer{}
		for n := byte(1); n <= 4; n++ {
			want[n] = addVisit(t, s, n, dongBa, wire.In, dawn.Add(time.Duration(n)*time.Hour))
		}
		if diff := cmp.Diff(want, answers(t, s, 9)); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		more, err := s.ForgetVisits(context.Background(), dawn.Add(3*time.Hour))
		if more || err != nil {
			t.Errorf("ForgetVisits() = %v, %v, want false", more, err)
		}
		delete(want, 1)
		delete(want, 2)
		if diff := cmp.Diff(want, answers(t, s, 9)); diff != "" {
			t.Errorf("answers afterwards (-want +got):\n%s", diff)
		}
	})
}

func TestCounts(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		hospital := store.Where{No: 7, Name: "Bệnh viện"}
		at := func(days, hours int) time.Time { return dawn.AddDate(0, 0, days).Add(time.Duration(hours) * time.Hour) }
		for i, v := range []struct {
			at        store.Where
			direction wire.Direction
			when      time.Time
		}{
			{dongBa, wire.In, at(-21, 0)}, {dongBa, wire.In, at(-20, 0)}, {dongBa, wire.In, at(-7, 0)}, {dongBa, wire.In, at(-6, 0)},
			{dongBa, wire.Out, at(-6, 1)}, {dongBa, wire.In, at(0, 1)}, {dongBa, wire.In, at(0, 2)}, {dongBa, wire.Out, at(0, 3)},
			{hospital, wire.Out, at(0, 1)}, {store.Where{Name: "nowhere"}, wire.In, at(0, 1)}, {dongBa, wire.In, at(1, 0)},
		} {
			addVisit(t, s, byte(i+1), v.at, v.direction, v.when)
		}
		var many []uint32
		for i := range uint32(1200) {
			many = append(many, i)
		}
		got, err := s.Counts(ctx, qrgate.DayOf(dawn), append(many, dongBa.No, dongBa.No)...)
		want := map[uint32]store.Counts{
			dongBa.No: {In: 2, Out: 1, Inside: 1, Week: 3, Weeks: 5, Days: 4, First: at(-21, 0), Last: at(1, 0)},
			7:         {Out: 1, Days: 1, First: at(0, 1), Last: at(0, 1)},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Counts() error %v (-want +got):\n%s", err, diff)
		}
		if got, err := s.Counts(ctx, qrgate.DayOf(dawn)); len(got) != 0 || err != nil {
			t.Errorf("Counts() of no place = %+v, %v", got, err)
		}
		day := qrgate.DayOf(dawn)
		tallies, err := s.Tallies(ctx, day-6, day, dongBa.No, 7)
		wantTallies := []store.Tally{{7, day, 0, 1}, {dongBa.No, day - 6, 1, 1}, {dongBa.No, day, 2, 1}}
		if diff := cmp.Diff(wantTallies, tallies); diff != "" || err != nil {
			t.Errorf("Tallies() error %v (-want +got):\n%s", err, diff)
		}
		// Filing them changes nothing.
		tidyAll(t, s)
		again, err := s.Counts(ctx, day, dongBa.No, 7)
		if diff := cmp.Diff(want, again); diff != "" || err != nil {
			t.Errorf("Counts() after filing, error %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestMoveKiosk(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 4)
		intake(t, s, dawn.Add(time.Hour), k.batch(k.id, 1, 2))
		if err := s.MoveKiosk(ctx, k.id, dongBa); err != nil {
			t.Fatal(err)
		}
		intake(t, s, dawn.Add(time.Hour), k.batch(k.id, 3, 2))
		var at []uint32
		for _, c := range checkins(t, s, k.id) {
			at = append(at, c.PlaceNo)
		}
		if diff := cmp.Diff([]uint32{0, 0, dongBa.No, dongBa.No}, at); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
		if got := status(t, s, k.id); got.Place != dongBa.Name || got.PlaceNo != dongBa.No {
			t.Errorf("Kiosks() says %q, %d", got.Place, got.PlaceNo)
		}
		if err := s.MoveKiosk(ctx, "gate-0009", dongBa); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("MoveKiosk of an unknown one = %v, want %v", err, qrgate.ErrNotFound)
		}
		if err := s.MoveKiosk(ctx, k.id, store.Where{No: 1}); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("MoveKiosk to a place without name = %v, want %v", err, qrgate.ErrInvalid)
		}
	})
}

// Check-ins that an earlier release had not filed yet have no level, or no
// companions.
func TestArrivalsOfEarlierReleases(t *testing.T) {
	for _, version := range []byte{1, 2} {
		testArrivalsOf(t, version)
	}
}

func testArrivalsOf(t *testing.T, version byte) {
	dsn := sqlite.dsn(t)
	s := open(t, dsn)
	k := addKiosk(t, s, "gate-0001")
	k.scans(dawn, 6)
	intake(t, s, dawn.Add(time.Hour), k.batch(k.id, 1, 3))
	db := raw(t, dsn)
	var no int64
	var rows []byte
	if err := db.QueryRow("SELECT no, rows FROM arrivals").Scan(&no, &rows); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE arrivals SET rows = ? WHERE no = ?", store.EncodeAs(version, rows), no); err != nil {
		t.Fatal(err)
	}
	want := checkins(t, s, k.id)
	if len(want) != 3 {
		t.Fatalf("%d check-ins, want 3", len(want))
	}
	newer := open(t, dsn)
	intake(t, newer, dawn.Add(time.Hour), k.all())
	for range 2 {
		got := checkins(t, newer, k.id)
		if len(got) != 6 {
			t.Fatalf("%d check-ins, want 6", len(got))
		}
		if diff := cmp.Diff(want, got[:3]); diff != "" {
			t.Errorf("check-ins (-before +after):\n%s", diff)
		}
		tidyAll(t, newer)
	}
}
