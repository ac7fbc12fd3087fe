package casebook_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store/casebook"
)

// The job notices what came late, asks for everything once a day, mails each notice
// once, and erases what has ended; a mail that fails stops nothing.
func TestJob(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := watch(w)
		failed := errors.New("no mail server")
		var mailed []string
		newJob := func() *casebook.Job {
			return &casebook.Job{Book: w.Book, Rows: &x.rows, Now: w.time, Log: slog.New(slog.DiscardHandler), Mail: func(_ context.Context, n casebook.Notice) error {
				mailed = append(mailed, n.Account+" "+string(n.Kind))
				if n.Kind == casebook.ToApprove {
					return failed
				}
				return nil
			}}
		}
		job, other := newJob(), newJob()
		asked := x.asked
		if err := job.Once(t.Context()); !errors.Is(err, failed) {
			t.Errorf("Once = %v, want %v", err, failed)
		}
		w.must(other.Once(t.Context()))
		w.must(job.Once(t.Context()))
		slices.Sort(mailed)
		if d := cmp.Diff([]string{"duc to_approve", "lan decided"}, mailed); d != "" {
			t.Errorf("mailed (-want +got):\n%s", d)
		}
		if x.asked != asked+2 {
			t.Errorf("two servers asked for places %d times in a day, want twice", x.asked-asked)
		}
		x.all[1].Latest += 1000 // known better, which only asking for everything notices
		w.pass(24 * time.Hour)
		w.must(job.Once(t.Context()))
		if d := cmp.Diff("lan late_checkins", mailed[len(mailed)-1]); d != "" {
			t.Errorf("mailed (-want +got):\n%s", d)
		}
		w.pass(casebook.Life)
		w.must(job.Once(t.Context()))
		if c := w.get("lan", x.c.ID); !c.Erased {
			t.Error("the case is not erased")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := job.Run(ctx); err != nil {
			t.Errorf("Run with an ended context = %v", err)
		}
	})
}
