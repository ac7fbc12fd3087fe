package casebook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
)

// every is how often somebody looks whether cases need anything.
const every = time.Minute

// mailsAtOnce is how many notices are mailed before somebody looks again.
const mailsAtOnce = 100

// A Job does what cases need without anybody's asking: it erases those whose end
// has passed, notices check-ins that come late, and mails notices. Every server
// runs one.
type Job struct {
	Book *Book
	Rows trace.Rows
	// Again traces once more; see [WatchOptions]. It may be nil.
	Again func(ctx context.Context, task *Task, rows *Recorder) (*Result, error)
	// Mail sends a notice to its account, or does nothing for one that has no
	// address. It must not wait for a mail server. It may be nil. A notice whose
	// mail fails is not mailed again: the portal shows it too.
	Mail func(ctx context.Context, n Notice) error
	Now  func() time.Time
	Log  *slog.Logger

	full qrgate.Day // when everything was asked for last
}

// Run does what is due, now and then, until ctx ends.
func (j *Job) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := j.Once(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("cases not looked after", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once does what is due now. What fails does not keep the rest from being done.
// Once a day everything that cases have read is asked for again.
func (j *Job) Once(ctx context.Context) error {
	erased, err := j.Book.Expire(ctx)
	if erased > 0 {
		j.Log.Info("cases erased", "n", erased)
	}
	today := qrgate.DayOf(j.Now())
	late, failed := j.Book.Watch(ctx, j.Rows, WatchOptions{Full: j.full != today, Again: j.Again})
	if failed == nil {
		j.full = today
	}
	for _, id := range late {
		j.Log.Info("late check-ins", "case", id)
	}
	return errors.Join(err, failed, j.mail(ctx))
}

func (j *Job) mail(ctx context.Context) error {
	if j.Mail == nil {
		return nil
	}
	waiting, err := j.Book.Unmailed(ctx, mailsAtOnce)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range waiting {
		mine, err := j.Book.Mailed(ctx, n.ID)
		if err == nil && len(mine) > 0 {
			err = j.Mail(ctx, n)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("casebook: mail notice: %w", err))
		}
	}
	return errors.Join(errs...)
}
