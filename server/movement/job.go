package movement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Keeper keeps figures: package flows.
type Keeper interface {
	// Turn reports whether it is this server's turn to count, which it then is
	// until the time given, or until EndTurn.
	Turn(ctx context.Context, until time.Time) (bool, error)
	EndTurn(ctx context.Context) error
	// Seen returns how many check-ins each day has that has any, of those from
	// one day to another.
	Seen(ctx context.Context, from, to qrgate.Day) (map[qrgate.Day]int64, error)
	// Runs returns the last run of each day that has one.
	Runs(ctx context.Context, from, to qrgate.Day) (map[qrgate.Day]Run, error)
	Places(ctx context.Context) (map[uint32]Place, error)
	// Save keeps what a run counted. It fails with [qrgate.ErrConflict] if there
	// is such a run.
	Save(ctx context.Context, r Run, d *Day) error
	// Forget drops the figures of the days before one.
	Forget(ctx context.Context, before qrgate.Day) error
}

// A Run is one counting of a day.
type Run struct {
	Day  qrgate.Day
	No   int   // from 1
	Upto int64 // when the server had received what was counted, in Unix milliseconds
	Seen int64 // check-ins of the day then
	Made time.Time
}

const (
	// settle is how long after its end a day is counted. Most kiosks have
	// delivered by then, and nobody is at work.
	settle = 2 * time.Hour
	// again is how long after a run the same day may be counted again.
	again = 20 * time.Hour
	// commits is how long a check-in may be on its way into the database after
	// the moment that it says it was received.
	commits = 10 * time.Minute
	// turn is how long a server may count before another believes it dead.
	turn = time.Hour
	// every is how often somebody looks whether there is something to count.
	every = 15 * time.Minute
	// back is how many days may still be counted: their check-ins are there.
	back = 20
)

// Ready returns when a day is first counted.
func Ready(day qrgate.Day) time.Time { return (day + 1).Start().Add(settle) }

// A Job counts the days.
type Job struct {
	Rows   Rows
	Keeper Keeper
	Now    func() time.Time
	Log    *slog.Logger
}

// Run counts what is due, now and then, until ctx ends.
func (j *Job) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := j.Once(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("movement not counted", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once counts what is due now, unless another server does. The days are counted
// one by one: what was counted stays when a later one fails.
func (j *Job) Once(ctx context.Context) (err error) {
	now := j.Now()
	due, err := j.due(ctx, now)
	if err != nil {
		return fmt.Errorf("movement: %w", err)
	}
	if len(due) == 0 {
		return nil
	}
	mine, err := j.Keeper.Turn(ctx, now.Add(turn))
	if err != nil || !mine {
		return err
	}
	defer func() { err = errors.Join(err, j.Keeper.EndTurn(context.WithoutCancel(ctx))) }()
	// Another server may have counted them a moment ago.
	if due, err = j.due(ctx, now); err != nil {
		return fmt.Errorf("movement: %w", err)
	}
	if err := j.Keeper.Forget(ctx, qrgate.DayOf(now.Add(-KeepFor))); err != nil {
		return err
	}
	places, err := j.Keeper.Places(ctx)
	if err != nil {
		return err
	}
	for _, d := range due {
		if mine, err := j.Keeper.Turn(ctx, j.Now().Add(turn)); err != nil || !mine {
			return err
		}
		if err := j.count(ctx, d, places); err != nil {
			return err
		}
	}
	return nil
}

// A task is a run that is due, and when the one before it ended.
type task struct {
	Run
	after int64
}

// due returns the runs that are due, the newest day first.
func (j *Job) due(ctx context.Context, now time.Time) ([]task, error) {
	today := qrgate.DayOf(now)
	seen, err := j.Keeper.Seen(ctx, today-back, today-1)
	if err != nil {
		return nil, err
	}
	runs, err := j.Keeper.Runs(ctx, today-back, today-1)
	if err != nil {
		return nil, err
	}
	var due []task
	for day := today - 1; day >= today-back; day-- {
		n := seen[day]
		last, counted := runs[day]
		switch {
		case n == 0, now.Before(Ready(day)):
			continue
		// Fewer than ten are no figure, whatever they did.
		case counted && (n < last.Seen+Least || now.Before(last.Made.Add(again))):
			continue
		}
		due = append(due, task{Run{Day: day, No: last.No + 1, Upto: now.Add(-commits).UnixMilli(), Seen: n, Made: now}, last.Upto})
	}
	return due, nil
}

func (j *Job) count(ctx context.Context, t task, places map[uint32]Place) error {
	begun := j.Now()
	doubtful, err := Doubts(ctx, j.Rows, t.Day, places)
	if err != nil {
		return err
	}
	d, err := Count(ctx, j.Rows, t.Day, Window{After: t.after, Until: t.Upto}, Options{Places: places, Doubtful: doubtful})
	if err != nil {
		return err
	}
	switch err := j.Keeper.Save(ctx, t.Run, d); {
	case errors.Is(err, qrgate.ErrConflict):
		return nil // by another server that was believed dead
	case err != nil:
		return err
	}
	j.Log.Info("movement counted", "day", t.Day, "run", t.No, "arrivals", len(d.Arrivals), "moves", len(d.Moves), "crowds", len(d.Crowds), "took", j.Now().Sub(begun))
	return nil
}
