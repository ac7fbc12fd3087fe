package casebook_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// noVenues knows nothing of places.
type noVenues struct{}

func (noVenues) Venues(context.Context, []qrgate.Spot) (map[qrgate.Spot]trace.Venue, error) {
	return nil, nil
}

// stored keeps a check-in at a place, which happened at a moment and came now.
func (w *world) stored(n byte, p qrgate.Person, place uint32, d wire.Direction, at time.Time) {
	w.t.Helper()
	ctx := context.Background()
	id, err := w.s.Phones(ctx, "server-1")
	w.must(err)
	ms, day := at.UnixMilli(), qrgate.DayOf(at)
	subject, err := w.v.Subject(day, p)
	w.must(err)
	w.must(w.s.Intake(ctx, []string{id}, func(in *store.Intake) error {
		e, err := in.Book(id).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		in.Add(store.Row{
			Under: e, Written: e, Digest: wire.Digest{n}, Day: day, Subject: &subject, When: when.Interval{Earliest: ms, Latest: ms}, Received: w.time(),
			Level: qrgate.Stated, Where: store.Where{No: place, Name: "Chợ"},
			Header: wire.Header{
				Seq: uint64(n), Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(n), Wall: ms, Gate: "poster", Lane: 1, Direction: d,
				Pass: pass.Phone, Verdict: wire.Admitted, Presence: wire.Claimed,
			},
		})
		return nil
	}))
}

// With the real store, vault and tracer: a check-in that comes late is noticed, the
// server traces again, and the difference is who it is of.
func TestLateCheckinOfAContact(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		early, late, far := w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000001", Name: "Sớm"}),
			w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000002", Name: "Muộn"}), w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000003", Name: "Xa"})
		noon := w.time().Add(-48 * time.Hour)
		stay := func(n byte, p qrgate.Person, place uint32, in time.Time) {
			w.stored(n, p, place, wire.In, in)
			w.stored(n+1, p, place, wire.Out, in.Add(time.Hour))
		}
		stay(1, index, 7, noon)
		stay(3, early, 7, noon.Add(10*time.Minute))
		stay(5, far, 8, noon)
		w.pass(time.Hour)

		trace1 := func(ctx context.Context, task *casebook.Task, rows *casebook.Recorder) (*casebook.Result, error) {
			tracer := trace.New(rows, w.v, noVenues{})
			r := &casebook.Result{Ring: task.Ring, Of: task.Of, Read: rows}
			var err error
			for _, p := range task.Persons {
				stays, err := tracer.Stays(ctx, p, qrgate.DayOf(task.From), qrgate.DayOf(task.To), task.Rules)
				if err != nil {
					return nil, err
				}
				r.Stays = append(r.Stays, stays...)
			}
			r.Found, err = tracer.Contacts(ctx, r.Stays, task.Profile, task.Rules)
			return r, err
		}
		c := w.approved()
		task, err := w.Task(ctx, "lan", c.ID)
		w.must(err)
		r, err := trace1(ctx, task, casebook.Record(w.s, w.time))
		w.must(err)
		run, err := w.SaveRun(ctx, "lan", c.ID, r)
		w.must(err)
		if d := cmp.Diff([]casebook.Ref{run.Ref(early)}, run.Refs()); d != "" {
			t.Fatalf("contacts (-want +got):\n%s", d)
		}
		w.pass(time.Hour)
		watch := func() []string {
			t.Helper()
			all, err := w.Watch(ctx, w.s, casebook.WatchOptions{Again: trace1})
			w.must(err)
			return all
		}
		stay(7, far, 8, noon.Add(3*time.Hour)) // late, and elsewhere
		stay(9, early, 7, w.time())            // not in the window
		if all := watch(); all != nil {
			t.Errorf("Watch = %v before anything came that matters", all)
		}
		stay(11, late, 7, noon.Add(30*time.Minute))
		if d := cmp.Diff([]string{c.ID}, watch()); d != "" {
			t.Errorf("Watch (-want +got):\n%s", d)
		}
		run, err = w.Run(ctx, "lan", c.ID, 0)
		w.must(err)
		if d := cmp.Diff(casebook.Difference{Since: 1, New: []qrgate.Person{late}}, run.Difference); d != "" || run.By != "" {
			t.Errorf("difference (-want +got):\n%s", d)
		}
		if all := watch(); all != nil {
			t.Errorf("Watch = %v after the server has traced again", all)
		}
	})
}
