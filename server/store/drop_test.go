package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// checkDays compares what is read of days with all that there is.
func checkDays(t tester, s *store.Store, all []qrgate.Checkin) {
	t.Helper()
	ctx := context.Background()
	byDay, subjects := map[qrgate.Day][]qrgate.Checkin{}, map[qrgate.Day]map[qrgate.Subject]bool{}
	for _, c := range sorted(all) {
		if subjects[c.Day] == nil {
			subjects[c.Day] = map[qrgate.Subject]bool{}
		}
		if c.Subject != (qrgate.Subject{}) {
			subjects[c.Day][c.Subject] = true
		}
		c.Boot = when.Boot{}
		byDay[c.Day] = append(byDay[c.Day], c)
	}
	days, err := s.Days(ctx)
	if want := slices.Sorted(maps.Keys(byDay)); err != nil || !slices.Equal(days, want) {
		t.Errorf("Days() = %v, %v, want %v", days, err, want)
	}
	for _, d := range append(days, 1) {
		var got []qrgate.Checkin
		if err := s.EachOfDay(ctx, d, func(c *qrgate.Checkin) error { got = append(got, *c); return nil }); err != nil {
			t.Fatalf("EachOfDay(%s) = %v", d, err)
		}
		compare(t, byDay[d], sorted(got), "EachOfDay(%s)", d)
		found := map[qrgate.Subject]bool{}
		if err := s.SubjectsOn(ctx, d, func(s qrgate.Subject) error { found[s] = true; return nil }); err != nil {
			t.Fatalf("SubjectsOn(%s) = %v", d, err)
		}
		if !maps.Equal(found, subjects[d]) {
			t.Errorf("SubjectsOn(%s) = %d, want %d", d, len(found), len(subjects[d]))
		}
	}
}

// drop drops a day to its end and returns how many check-ins it had.
func drop(t tester, s *store.Store, d qrgate.Day) (n int64) {
	t.Helper()
	for {
		some, more, err := s.DropDay(context.Background(), d)
		if err != nil {
			t.Fatalf("DropDay(%s) = %v", d, err)
		}
		if n += some; !more {
			return n
		}
	}
}

// A day that was dropped is gone, whether it was filed or not. It neither comes
// again nor is it missing.
func TestDropDay(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		var left []qrgate.Checkin
		for i, filed := range []bool{false, true} {
			dawn := dawn.AddDate(0, 0, 10*i)
			a, b := addKiosk(t, s, fmt.Sprintf("gate-%d-big", i)), addKiosk(t, s, fmt.Sprintf("gate-%d-small", i))
			const days, each = 3, 400
			for d := range days {
				a.scans(dawn.AddDate(0, 0, d), each)
				b.scans(dawn.AddDate(0, 0, d), 10)
				intake(t, s, dawn.AddDate(0, 0, d).Add(time.Hour), a.batch(a.id, d*each+1, each), b.batch(b.id, d*10+1, 10))
			}
			if filed {
				tidyAll(t, s)
			}
			all := append(checkins(t, s, a.id), checkins(t, s, b.id)...)
			checkDays(t, s, slices.Concat(left, all))
			gone := qrgate.DayOf(dawn.AddDate(0, 0, 1))
			if n := drop(t, s, gone); n != each+10 {
				t.Errorf("DropDay() = %d, want %d", n, each+10)
			}
			all = only(all, func(c *qrgate.Checkin) bool { return c.Day != gone })
			left = append(left, all...)
			check := func() {
				t.Helper()
				checkDays(t, s, left)
				checkReads(t, s, left, [2]int64{math.MinInt64, math.MaxInt64})
				compare(t, sorted(all), sorted(append(checkins(t, s, a.id), checkins(t, s, b.id)...)), "what is left")
			}
			check()
			// The kiosks do not know what was received, and bring it all again.
			taken := intake(t, s, dawn.AddDate(0, 0, days), a.all(), b.all())
			if len(taken[0].Fresh) != 0 || len(taken[1].Fresh) != 0 || taken[0].Fork || taken[1].Fork {
				t.Errorf("taken again: %+v", taken)
			}
			tidyAll(t, s)
			check()
			if gaps, err := s.Gaps(context.Background(), dawn.AddDate(0, 0, days)); err != nil || len(gaps) != 0 {
				t.Errorf("Gaps() = %+v, %v", gaps, err)
			}
			if n := drop(t, s, gone); n != 0 {
				t.Errorf("DropDay() = %d of a day that is dropped", n)
			}
		}
	})
}

// Two processes file on one file. What one of them holds in memory must not bring
// back a day that the other has dropped.
func TestDropDayWhileAnotherProcessFiles(t *testing.T) {
	dsn := sqlite.dsn(t)
	one, other := open(t, dsn), open(t, dsn)
	k := addKiosk(t, one, "gate-0001")
	k.scans(dawn, 1200)
	intake(t, one, dawn.Add(time.Hour), k.all())
	if more, err := one.Tidy(context.Background()); !more || err != nil { // its first step
		t.Fatalf("Tidy() = %v, %v", more, err)
	}
	if n := drop(t, other, qrgate.DayOf(dawn)); n != 1200 {
		t.Errorf("DropDay() = %d, want 1200", n)
	}
	tidyAll(t, one)
	if left := checkins(t, one, k.id); len(left) != 0 {
		t.Errorf("%d check-ins have come back", len(left))
	}
}

// personOf makes a person with identity and details who checks in at the given
// times, at one kiosk.
func personOf(t testing.TB, s *store.Store, n int, k *kiosk, at ...time.Time) map[qrgate.Day]qrgate.Subject {
	t.Helper()
	subjects := map[qrgate.Day]qrgate.Subject{}
	for _, now := range at {
		k.scan(now)
		err := s.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error { return checkIn(in, n, k, now, subjects) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return subjects
}

// checkIn enters the last record of k as one of person n.
func checkIn(in *store.Intake, n int, k *kiosk, now time.Time, subjects map[qrgate.Day]qrgate.Subject) error {
	p, isNew, err := in.Person(identityOf(n), func() qrgate.Person { return qrgate.Person(n) })
	if err != nil {
		return err
	}
	if isNew {
		if err := in.Detail(p, []byte("key"), []byte("name")); err != nil {
			return err
		}
	}
	e, err := in.Book(k.id).Epoch(k.epoch)
	if err != nil {
		return err
	}
	r, h, err := wire.DecodeRecord(k.records[len(k.records)-1])
	if err != nil {
		return err
	}
	row := row(e, e, h, r.Digest(), now, false)
	row.Subject = &qrgate.Subject{byte(p), byte(row.Day), 7}
	subjects[row.Day] = *row.Subject
	in.Add(row)
	return nil
}

// remains counts what is left of people.
func remains(t testing.TB, dsn string) (n [3]int) {
	t.Helper()
	db := raw(t, dsn)
	for i, table := range []string{"identities", "people", "details"} {
		if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n[i]); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func forgotten(t testing.TB, s *store.Store) (n uint64) {
	t.Helper()
	if err := s.Intake(context.Background(), nil, func(in *store.Intake) error { n = in.Forgotten; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestForgetPerson(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		ctx := context.Background()
		k := addKiosk(t, s, "gate-0001")
		one := personOf(t, s, 1, k, dawn, dawn.Add(time.Hour), dawn.AddDate(0, 0, 1))
		tidyAll(t, s)
		maps.Copy(one, personOf(t, s, 1, k, dawn.AddDate(0, 0, 2))) // waits
		two := personOf(t, s, 2, k, dawn.Add(time.Minute), dawn.AddDate(0, 0, 2))
		before := checkins(t, s, k.id)
		count := forgotten(t, s)

		if _, err := s.ForgetPerson(ctx, 1, one, func(store.Tx) error { return errEnough }); !errors.Is(err, errEnough) {
			t.Errorf("ForgetPerson() = %v, want the error of the caller", err)
		}
		if got := remains(t, dsn); got != [3]int{2, 2, 2} || forgotten(t, s) != count || len(checkinsOf(t, s, one)) != 4 {
			t.Errorf("after an error %v is left of people, and %d check-ins", got, len(checkinsOf(t, s, one)))
		}
		n, err := s.ForgetPerson(ctx, 1, one, func(tx store.Tx) error { return tx.Audit("", "forget", "request 1", "") })
		if n != 4 || err != nil {
			t.Errorf("ForgetPerson() = %d, %v, want 4", n, err)
		}
		if got := remains(t, dsn); got != [3]int{1, 1, 1} || forgotten(t, s) == count {
			t.Errorf("%v is left of people, want one of each; who remembers is told %v", got, forgotten(t, s) != count)
		}
		if got := checkinsOf(t, s, one); len(got) != 0 {
			t.Errorf("%d check-ins are left of who was forgotten", len(got))
		}
		if got := checkinsOf(t, s, two); len(got) != 2 {
			t.Errorf("%d check-ins of somebody else, want 2", len(got))
		}
		for i := range before {
			if one[before[i].Day] == before[i].Subject {
				before[i].Subject = qrgate.Subject{}
			}
		}
		tidyAll(t, s)
		compare(t, before, checkins(t, s, k.id), "check-ins")
		checkDays(t, s, before)
	})
}

// A check-in that another server is taking in has found its person already. It is
// stored before the person is forgotten, and so is nobody's afterwards.
func TestForgetPersonDuringAnIntake(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		one, other := open(t, dsn), open(t, dsn)
		ctx := context.Background()
		k := addKiosk(t, one, "gate-0001")
		subjects := personOf(t, one, 1, k, dawn)
		known := maps.Clone(subjects)
		k.scan(dawn.Add(time.Hour))
		forgot := make(chan error, 1)
		begin := make(chan struct{})
		go func() {
			<-begin
			_, err := other.ForgetPerson(ctx, 1, known, nil)
			forgot <- err
		}()
		begun := false
		err := one.Intake(ctx, []string{k.id}, func(in *store.Intake) error {
			if _, err := in.Book(k.id).Epoch(k.epoch); err != nil {
				return err
			}
			if err := in.Expect([][16]byte{identityOf(1)}); err != nil {
				return err
			}
			if !begun {
				begun = true
				close(begin)
			}
			return checkIn(in, 1, k, dawn.Add(time.Hour), subjects)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-forgot; err != nil {
			t.Fatal(err)
		}
		if got := remains(t, dsn); got != [3]int{} {
			t.Errorf("%v is left of people", got)
		}
		if got := checkinsOf(t, one, subjects); len(got) != 0 {
			t.Errorf("%d check-ins of a person of whom nothing else is known", len(got))
		}
	})
}

// Nothing of whoever was forgotten stays in the files.
func TestScrub(t *testing.T) {
	dsn := sqlite.dsn(t)
	s := open(t, dsn)
	ctx := context.Background()
	canary := []byte("a name under the key of a person")
	err := s.Intake(ctx, nil, func(in *store.Intake) error {
		p, _, err := in.Person(identityOf(1), func() qrgate.Person { return 1 })
		if err != nil {
			return err
		}
		return in.Detail(p, canary, canary)
	})
	if err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		t.Helper()
		path := strings.TrimPrefix(dsn, "sqlite:")
		for _, file := range []string{path, path + "-wal"} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, canary) {
				return true
			}
		}
		return false
	}
	if !there() {
		t.Error("the files do not have what was stored")
	}
	if _, err := s.ForgetPerson(ctx, 1, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Scrub(ctx); err != nil {
		t.Fatal(err)
	}
	if there() {
		t.Error("the files still have what was forgotten")
	}
}
