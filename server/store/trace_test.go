package store_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/wire"
)

var _ trace.Rows = (*store.Store)(nil)

// A tester is a test, or a history of one.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// checkinsAt returns what is read of a place, sorted.
func checkinsAt(t tester, s *store.Store, at qrgate.Spot, from, to int64) []qrgate.Checkin {
	t.Helper()
	var all []qrgate.Checkin
	err := s.CheckinsAt(context.Background(), at, from, to, func(c *qrgate.Checkin) error { all = append(all, *c); return nil })
	if err != nil {
		t.Fatalf("CheckinsAt(%v, %d, %d) = %v", at, from, to, err)
	}
	return sorted(all)
}

func checkinsOf(t tester, s *store.Store, subjects map[qrgate.Day]qrgate.Subject) []qrgate.Checkin {
	t.Helper()
	var all []qrgate.Checkin
	err := s.CheckinsOf(context.Background(), subjects, func(c *qrgate.Checkin) error { all = append(all, *c); return nil })
	if err != nil {
		t.Fatalf("CheckinsOf() = %v", err)
	}
	return sorted(all)
}

func sorted(all []qrgate.Checkin) []qrgate.Checkin {
	slices.SortFunc(all, func(a, b qrgate.Checkin) int {
		return cmp.Or(cmp.Compare(a.Kiosk, b.Kiosk), bytes.Compare(a.Epoch[:], b.Epoch[:]), cmp.Compare(a.Seq, b.Seq), bytes.Compare(a.Digest[:], b.Digest[:]))
	})
	return all
}

// only returns the check-ins for which keep is true.
func only(all []qrgate.Checkin, keep func(*qrgate.Checkin) bool) []qrgate.Checkin {
	var kept []qrgate.Checkin
	for i := range all {
		if keep(&all[i]) {
			kept = append(kept, all[i])
		}
	}
	return kept
}

// compare is quick where nothing differs.
func compare(t tester, want, got []qrgate.Checkin, format string, args ...any) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf(format+" (-want +got):\n%s", append(args, gocmp.Diff(want, got))...)
	}
}

func spotOf(c *qrgate.Checkin) qrgate.Spot { return qrgate.Spot{No: c.PlaceNo, Name: c.Place} }

// checkReads compares what is read of subjects, places and days with all that
// there is.
func checkReads(t tester, s *store.Store, all []qrgate.Checkin, windows ...[2]int64) {
	t.Helper()
	sorted(all)
	spots := map[qrgate.Spot]bool{{No: 999}: true, {Name: "nowhere"}: true}
	subjects := map[qrgate.Day]qrgate.Subject{}
	for i := range all {
		spots[spotOf(&all[i])] = true
		if all[i].Subject != (qrgate.Subject{}) {
			subjects[all[i].Day] = all[i].Subject
		}
	}
	for at := range spots {
		for _, w := range windows {
			want := only(all, func(c *qrgate.Checkin) bool {
				return w[0] <= w[1] && spotOf(c) == at && c.Earliest <= w[1] && c.Latest >= w[0]
			})
			for i := range want {
				want[i].Said, want[i].Clock, want[i].Error = 0, 0, 0
			}
			compare(t, want, checkinsAt(t, s, at, w[0], w[1]), "CheckinsAt(%v, %d, %d)", at, w[0], w[1])
		}
	}
	want := only(all, func(c *qrgate.Checkin) bool { return c.Subject != (qrgate.Subject{}) && subjects[c.Day] == c.Subject })
	compare(t, want, checkinsOf(t, s, subjects), "CheckinsOf(%d subjects)", len(subjects))
}

// Whoever asks for a place gets what every kiosk that stood there and all phones
// say of it, filed or not, and nothing of other places.
func TestCheckinsAtAPlace(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		ctx := context.Background()
		a, b := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002")
		a.scans(dawn, 5)
		a.gate = "side"
		a.scans(dawn.Add(time.Minute), 5)
		b.scans(dawn, 5)
		intake(t, s, dawn.Add(time.Hour), a.all(), b.all())
		// b moves to a registered place, at which phones check in too.
		if err := s.MoveKiosk(ctx, b.id, dongBa); err != nil {
			t.Fatal(err)
		}
		b.scans(dawn.Add(2*time.Hour), 5)
		intake(t, s, dawn.Add(3*time.Hour), b.all())
		for i := range byte(6) {
			at := []store.Where{dongBa, {No: 7, Name: "Bến xe phía Nam"}}[i%2]
			addVisit(t, s, i+1, at, wire.In, dawn.Add(time.Duration(i)*20*time.Hour))
		}
		// An hour late, and with people.
		b.write(dawn.Add(100*time.Hour), wire.Header{Kind: wire.KindCheckin, Gate: "main", Direction: wire.In, Verdict: wire.Admitted, With: 3})
		intake(t, s, dawn.Add(101*time.Hour), b.all())
		all := slices.Concat(checkins(t, s, a.id), checkins(t, s, b.id), checkins(t, s, "phones@server-1"))
		if got := len(only(all, func(c *qrgate.Checkin) bool { return c.With == 3 && c.PlaceNo != 0 })); got != 1 {
			t.Errorf("%d companions are stored, want 1", got)
		}
		at := func(h float64) int64 { return dawn.Add(time.Duration(h * float64(time.Hour))).UnixMilli() }
		windows := [][2]int64{
			{at(0), at(0)}, {at(1), at(0)}, {at(0), at(1)}, {at(2), at(200)}, {at(19.9), at(20)}, {at(-30), at(0)}, {at(99), at(101)},
			{math.MinInt64, math.MaxInt64}, {math.MinInt64, 0}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, at(1)}, {at(1), math.MaxInt64},
			{math.MaxInt64, math.MinInt64},
		}
		checkReads(t, s, all, windows...)
		tidyAll(t, s)
		checkReads(t, s, all, windows...)
	})
}

// A boot without anchor over two midnights is kept under the day on which it
// arrived; found it must be on the days before.
func TestCheckinsAtAPlaceKeptUnderALaterDay(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		k.anchor(dawn.Add(10 * time.Second))
		arrived := dawn.AddDate(0, 0, 40)
		intake(t, s, arrived, k.batch(k.id, 1, 3))
		all := checkins(t, s, k.id)
		if all[0].Day != qrgate.DayOf(arrived) {
			t.Fatalf("kept under %v, want %v", all[0].Day, qrgate.DayOf(arrived))
		}
		windows := [][2]int64{{dawn.UnixMilli(), dawn.UnixMilli() + 5000}, {dawn.AddDate(0, 0, 2).UnixMilli(), dawn.AddDate(0, 0, 2).UnixMilli()}}
		checkReads(t, s, all, windows...)
		// The boot's anchor dates it. What was said of the day stays.
		intake(t, s, arrived, k.all())
		tidyAll(t, s)
		all = checkins(t, s, k.id)
		if all[0].Latest > dawn.UnixMilli()+60_000 || all[0].Day != qrgate.DayOf(arrived) {
			t.Errorf("dated again it is %+v", all[0])
		}
		checkReads(t, s, all, windows...)
	})
}

// Anchors that contradict each other may move a check-in to days after the one
// under which it is kept.
func TestCheckinsAtAPlaceMovedPastTheirDay(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 3)
		k.anchor(dawn.Add(10 * time.Second))
		arrived := dawn.AddDate(0, 0, 10)
		moved := dawn.AddDate(0, 0, 5)
		k.write(dawn.Add(20*time.Second), wire.Header{Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: moved.UnixMilli(), Error: 5}})
		intake(t, s, arrived, k.batch(k.id, 1, 4))
		intake(t, s, arrived, k.all())
		tidyAll(t, s)
		all := checkins(t, s, k.id)
		if c := all[0]; c.Day != qrgate.DayOf(dawn) || c.Earliest > dawn.UnixMilli() || c.Latest < moved.UnixMilli()-60_000 {
			t.Fatalf("dated again it is %+v", c)
		}
		at := moved.AddDate(0, 0, -1).UnixMilli()
		checkReads(t, s, all, [2]int64{at, at}, [2]int64{dawn.UnixMilli(), dawn.UnixMilli()})
		if len(checkinsAt(t, s, qrgate.Spot{Name: "Cho Dong Ba"}, at, at)) != 3 {
			t.Error("they are not found on the days between")
		}
	})
}

var errEnough = errors.New("enough")

// A reader that has enough ends the reading, and hears its own error.
func TestReadsEnd(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 10)
		intake(t, s, dawn.Add(time.Hour), k.all())
		ctx, cancel := context.WithCancel(context.Background())
		enough := func(*qrgate.Checkin) error { return errEnough }
		known := only(checkins(t, s, k.id), func(c *qrgate.Checkin) bool { return c.Subject != (qrgate.Subject{}) })[0]
		of := map[qrgate.Day]qrgate.Subject{known.Day: known.Subject}
		for _, filed := range []bool{false, true} {
			if err := s.CheckinsAt(ctx, qrgate.Spot{Name: "Cho Dong Ba"}, 0, math.MaxInt64, enough); !errors.Is(err, errEnough) {
				t.Errorf("CheckinsAt() = %v, filed %v", err, filed)
			}
			if err := s.CheckinsOf(ctx, of, enough); !errors.Is(err, errEnough) {
				t.Errorf("CheckinsOf() = %v, filed %v", err, filed)
			}
			tidyAll(t, s)
		}
		cancel()
		if err := s.CheckinsAt(ctx, qrgate.Spot{Name: "Cho Dong Ba"}, 0, math.MaxInt64, enough); !errors.Is(err, context.Canceled) {
			t.Errorf("CheckinsAt() = %v of a ctx that ended", err)
		}
		if err := s.CheckinsOf(ctx, of, enough); !errors.Is(err, context.Canceled) {
			t.Errorf("CheckinsOf() = %v of a ctx that ended", err)
		}
	})
}
