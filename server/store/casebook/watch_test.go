package casebook_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/wire"
)

// rows are check-ins in memory that count what is asked of them.
type rows struct {
	mu    sync.Mutex
	all   []qrgate.Checkin
	asked int // of places
}

func (r *rows) CheckinsOf(ctx context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error {
	return r.each(func(c *qrgate.Checkin) bool { return subjects[c.Day] == c.Subject && c.Subject != (qrgate.Subject{}) }, fn)
}

func (r *rows) CheckinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	return r.each(func(c *qrgate.Checkin) bool {
		return at == qrgate.Spot{No: c.PlaceNo, Name: c.Place} && c.Earliest <= to && c.Latest >= from
	}, fn)
}

func (r *rows) each(want func(*qrgate.Checkin) bool, fn func(*qrgate.Checkin) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		if c := r.all[i]; want(&c) {
			if err := fn(&c); err != nil {
				return err
			}
		}
	}
	return nil
}

// A watched world is one with a case about An whose run read one place and An's
// own check-ins.
type watched struct {
	*world
	rows
	c       *casebook.Case
	subject qrgate.Subject
	today   qrgate.Day
}

const watchedPlace = 7

func watch(w *world) *watched {
	w.t.Helper()
	w.holder(an)
	w.must(w.s.AddKiosk(context.Background(), qrgate.Kiosk{ID: "cho-dong-ba-1", Place: "Chợ", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()}))
	x := &watched{world: w, subject: qrgate.Subject{1}, today: qrgate.DayOf(w.time())}
	x.come(time.Hour, x.subject)
	x.come(2*time.Hour, qrgate.Subject{2})
	w.pass(time.Hour)
	x.c = w.approved()
	_, err := x.trace(w.t.Context(), "lan")
	w.must(err)
	return x
}

// come lets somebody check in so long ago.
func (x *watched) come(ago time.Duration, s qrgate.Subject) {
	n := uint64(len(x.all) + 1)
	at := x.time().Add(-ago).UnixMilli()
	x.all = append(x.all, qrgate.Checkin{Seq: n, Digest: wire.Digest{byte(n)}, Day: x.today, Subject: s, PlaceNo: watchedPlace, Earliest: at, Latest: at})
}

// receive says of a place that something was received there now.
func (x *watched) receive(place int) {
	x.exec(`INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, (SELECT MIN(no) FROM kiosks), 1, 0, ?, ?)
		ON CONFLICT (place_no, day, kiosk_no) DO UPDATE SET last = excluded.last`, place, int64(x.today), x.time().UnixMilli(), x.time().UnixMilli())
}

// read does what a tracer does: its contacts are all at the place but An.
func (x *watched) read(ctx context.Context, r trace.Rows) (*casebook.Result, error) {
	found := &casebook.Result{Ring: 1}
	err := r.CheckinsOf(ctx, map[qrgate.Day]qrgate.Subject{x.today: x.subject}, func(*qrgate.Checkin) error { return nil })
	if err == nil {
		err = r.CheckinsAt(ctx, qrgate.Spot{No: watchedPlace}, x.c.From.UnixMilli(), x.c.To.UnixMilli(), func(c *qrgate.Checkin) error {
			if c.Subject != x.subject {
				found.Found.Contacts = append(found.Found.Contacts, met(qrgate.Person(c.Subject[0]), 10))
			}
			return nil
		})
	}
	return found, err
}

func (x *watched) trace(ctx context.Context, by string) (*casebook.Run, error) {
	r := casebook.Record(&x.rows, x.time)
	found, err := x.read(ctx, r)
	if err != nil {
		return nil, err
	}
	found.Read = r
	return x.SaveRun(ctx, by, x.c.ID, found)
}

func (x *watched) watch(o casebook.WatchOptions) []string {
	x.t.Helper()
	late, err := x.Watch(x.t.Context(), &x.rows, o)
	x.must(err)
	return late
}

func TestWatch(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		asked := x.asked
		w.pass(time.Hour)
		if late := x.watch(casebook.WatchOptions{}); late != nil || x.asked != asked {
			t.Errorf("nothing came, and Watch = %v after asking for %d places", late, x.asked-asked)
		}
		x.receive(watchedPlace + 1)
		if late := x.watch(casebook.WatchOptions{}); late != nil || x.asked != asked {
			t.Errorf("something came elsewhere, and Watch = %v after asking for %d places", late, x.asked-asked)
		}
		x.receive(watchedPlace) // of now, after what the case asks about
		x.come(0, qrgate.Subject{3})
		if late := x.watch(casebook.WatchOptions{}); late != nil || x.asked != asked+1 {
			t.Errorf("something came that is not asked about, and Watch = %v after asking for %d places", late, x.asked-asked)
		}
		// Once more, for what was committed while it was asked, and then no more.
		w.pass(time.Hour)
		x.watch(casebook.WatchOptions{})
		x.watch(casebook.WatchOptions{})
		if x.asked != asked+2 {
			t.Errorf("what was nothing is asked for %d times", x.asked-asked)
		}

		x.come(30*time.Hour, qrgate.Subject{4})
		x.receive(watchedPlace)
		if d := cmp.Diff([]string{x.c.ID}, x.watch(casebook.WatchOptions{})); d != "" {
			t.Errorf("a late check-in (-want +got):\n%s", d)
		}
		if c := w.get("lan", x.c.ID); c.Late.IsZero() {
			t.Error("the case is not marked as late")
		}
		if d := cmp.Diff([]casebook.Kind{casebook.LateCheckins, casebook.Decided}, w.kinds("lan")); d != "" {
			t.Errorf("the officer is told (-want +got):\n%s", d)
		}
		if late := x.watch(casebook.WatchOptions{}); late != nil {
			t.Errorf("Watch of a case that is late already = %v", late)
		}
		run, err := x.trace(t.Context(), "lan")
		w.must(err)
		if d := cmp.Diff(casebook.Difference{Since: 1, New: []qrgate.Person{4}}, run.Difference); d != "" {
			t.Errorf("the difference (-want +got):\n%s", d)
		}
		if c := w.get("lan", x.c.ID); !c.Late.IsZero() {
			t.Error("the case is still late after it was traced again")
		}
		if late := x.watch(casebook.WatchOptions{Full: true}); late != nil {
			t.Errorf("Watch after tracing again = %v", late)
		}
	})
}

// What the person did is asked for each time, so that a stay at a place that the
// case does not know is found.
func TestWatchNoticesANewStay(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		x.come(3*time.Hour, x.subject)
		x.all[2].PlaceNo = 99
		if d := cmp.Diff([]string{x.c.ID}, x.watch(casebook.WatchOptions{})); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// Times that are known better than before are noticed when everything is asked for.
func TestWatchNoticesTimesThatAreKnownBetter(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		x.all[1].Latest += 1000
		if late := x.watch(casebook.WatchOptions{}); late != nil {
			t.Errorf("Watch = %v", late)
		}
		if d := cmp.Diff([]string{x.c.ID}, x.watch(casebook.WatchOptions{Full: true})); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// A day that is dropped at the end of its retention is no news.
func TestWatchForgetsDroppedDays(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		x.all = nil
		if late := x.watch(casebook.WatchOptions{Full: true}); late != nil {
			t.Errorf("Watch = %v", late)
		}
	})
}

// The server traces again by itself, and says what is different. Of several servers
// one does.
func TestWatchTracesAgain(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		_, err := x.trace(t.Context(), "minh") // who is on duty tonight
		w.must(err)
		x.come(30*time.Hour, qrgate.Subject{4})
		x.receive(watchedPlace)
		var mu sync.Mutex
		again := 0
		o := casebook.WatchOptions{Full: true, Again: func(ctx context.Context, task *casebook.Task, r *casebook.Recorder) (*casebook.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			again++
			return x.read(ctx, r)
		}}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := x.Watch(context.Background(), &x.rows, o); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if again != 1 {
			t.Errorf("it was traced again %d times, want once", again)
		}
		run, err := w.Run(t.Context(), "lan", x.c.ID, 0)
		w.must(err)
		if d := cmp.Diff(casebook.Difference{Since: 2, New: []qrgate.Person{4}}, run.Difference); d != "" || run.By != "" {
			t.Errorf("the difference (-want +got):\n%s of %q", d, run.By)
		}
		calls, err := w.Calls(t.Context(), "lan", x.c.ID)
		if err != nil || !slices.ContainsFunc(calls, func(c casebook.Call) bool { return c.Ref == run.Ref(4) && c.Status == casebook.ToCall }) {
			t.Errorf("who is new is not to be called: %+v, %v", calls, err)
		}
		told := w.kinds("lan")
		slices.Sort(told)
		if d := cmp.Diff([]casebook.Kind{casebook.Decided, casebook.Different, casebook.LateCheckins}, told); d != "" {
			t.Errorf("the officer is told (-want +got):\n%s", d)
		}
		told = w.kinds("minh")
		slices.Sort(told)
		if d := cmp.Diff([]casebook.Kind{casebook.Different, casebook.LateCheckins}, told); d != "" {
			t.Errorf("the officer who traced last is told (-want +got):\n%s", d)
		}
	})
}

// What an officer says while the server traces again is traced by, and where officers
// say more each time the case stays late for them.
func TestWatchTracesByWhatWasSaidMeanwhile(t *testing.T) {
	for _, tt := range []struct{ said, again int }{{0, 1}, {1, 2}, {9, 3}} {
		onEach(t, func(t *testing.T, w *world) {
			x := watch(w)
			x.come(30*time.Hour, qrgate.Subject{4})
			x.receive(watchedPlace)
			again := 0
			x.watch(casebook.WatchOptions{Full: true, Again: func(ctx context.Context, task *casebook.Task, r *casebook.Recorder) (*casebook.Result, error) {
				if again++; again <= tt.said {
					w.must(w.Restore(ctx, "lan", x.c.ID, w.get("lan", x.c.ID).Version, true, trace.ID{Seq: uint64(again)}))
				}
				return x.read(ctx, r)
			}})
			late, want := w.get("lan", x.c.ID), tt.said < tt.again
			if again != tt.again || late.Late.IsZero() != want || (late.Runs == 2) != want {
				t.Errorf("an officer says something %d times: traced %d times, want %d; %d runs, late %v", tt.said, again, tt.again, late.Runs, late.Late)
			}
			calls, err := w.Calls(t.Context(), "lan", x.c.ID)
			if err != nil || (len(calls) > 0) != want {
				t.Errorf("to be called are %v, %v", calls, err)
			}
		})
	}
}

// A case whose persons one officer saw without approval is not traced again by the
// server.
func TestWatchBreaksNoGlass(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		c := w.open("lan")
		w.must(w.SetPlace(t.Context(), "lan", c.ID, 1, qrgate.Spot{No: watchedPlace}))
		w.must(w.BreakGlass(t.Context(), "lan", c.ID, 2, why))
		x.c = c
		_, err := x.trace(t.Context(), "lan")
		w.must(err)
		w.must(w.SetState(t.Context(), "lan", w.first(), w.get("lan", w.first()).Version, casebook.Closed))
		x.come(30*time.Hour, qrgate.Subject{4})
		o := casebook.WatchOptions{Full: true, Again: func(context.Context, *casebook.Task, *casebook.Recorder) (*casebook.Result, error) {
			t.Error("it was traced again")
			return &casebook.Result{Ring: 1}, nil
		}}
		if d := cmp.Diff([]string{c.ID}, x.watch(o)); d != "" {
			t.Errorf("Watch (-want +got):\n%s", d)
		}
	})
}

// first returns the id of the first case.
func (w *world) first() string {
	w.t.Helper()
	all, _, err := w.Cases(w.t.Context(), "lan", casebook.Query{Number: "1"})
	w.must(err)
	return all[0].ID
}

func TestNotices(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		unmailed, err := w.Unmailed(ctx, 10)
		w.must(err)
		var ids []string
		for _, n := range unmailed {
			ids = append(ids, n.ID)
			if n.Case != c.ID || n.Number != c.Number {
				t.Errorf("a notice is %+v", n)
			}
		}
		mine, err := w.Mailed(ctx, ids...)
		if len(mine) != 2 || err != nil {
			t.Errorf("Mailed = %v, %v, want what approver and officer are told", mine, err)
		}
		if mine, err = w.Mailed(ctx, ids...); mine != nil || err != nil {
			t.Errorf("Mailed again = %v, %v", mine, err)
		}
		if unmailed, err = w.Unmailed(ctx, 10); unmailed != nil || err != nil {
			t.Errorf("Unmailed = %v, %v", unmailed, err)
		}
		w.must(w.SeeNotices(ctx, "duc", c.ID))
		if kinds := w.kinds("duc"); kinds != nil {
			t.Errorf("after seeing them %v are left", kinds)
		}
		if len(w.kinds("lan")) != 1 {
			t.Error("another one's notices were seen too")
		}
	})
}
