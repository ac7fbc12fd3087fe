package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
)

// Retention in days.
const (
	DefaultDays = 21
	MaxDays     = 30
	// DefaultBackupDays is how long a data backup is kept: it holds names of people
	// who were forgotten after it was made.
	DefaultBackupDays = 7
)

// Parts are what a Keeper works on.
type Parts struct {
	Store    *store.Store
	Rights   *rights.Rights
	Register *register.Register
	Vault    *vault.Vault
	Sign     proof.Signer
	Log      *slog.Logger
	// Sweeps drop what else has ended: of cases, for instance. Each is called at
	// every run.
	Sweeps map[string]func(context.Context) error
	// Needed calls fn with the persons that something else needs until its own end,
	// such as those whom an open case is about; nil if nothing does.
	Needed func(ctx context.Context, fn func(qrgate.Person)) error
	// Selves returns everybody who is one human with a person, and them; nil if nobody
	// says so. Part says that a person is one with nobody after all; object is what the
	// audit row names.
	Selves func(ctx context.Context, p qrgate.Person) ([]qrgate.Person, error)
	Part   func(ctx context.Context, by, object string, p qrgate.Person) error
	// Events are what people are invited to; nil if nobody invites.
	Events *events.Events
	// Uninvite takes back the invitations, to what is still to come, of the people
	// whom match knows by name and telephone; nil if nobody invites.
	Uninvite func(ctx context.Context, by string, match func(name, phone string) bool) error
	// Looks returns who has seen a person, the latest first; nil if nobody can.
	Looks func(context.Context, qrgate.Person) ([]Look, error)
	// Told writes down that somebody did something with a person, where Looks finds
	// it; nil if that is not known of persons.
	Told func(ctx context.Context, by, action string, p qrgate.Person) error
	// Keys are copies of the keys of days, which are destroyed with them; nil if there
	// are none.
	Keys *vault.Copied
}

// Options are the optional parts of a Keeper. The zero value is right.
type Options struct {
	Days       int      // how long a check-in is kept; default DefaultDays
	Backups    string   // folder of data backups that is looked after; empty means none
	BackupDays int      // how long a backup is kept; default DefaultBackupDays, at most Days
	Erased     string   // folder that remembers, outside of the database, who was erased and whose data is not used; empty means none
	Clock      string   // file that remembers when the clock was believed last; empty means none
	Logs       string   // folder of this server's logs that is looked after; empty means none
	Copies     []string // names of copies of the database that somebody must confirm, such as a replica
	Server     string   // this server's name; default "server-1"
	Controller string   // who answers for the data
	Now        func() time.Time
	Passed     func() time.Duration // by the clock of the machine that nobody sets; default since New
}

// A Keeper drops what is past its retention. It is safe for concurrent use.
type Keeper struct {
	Parts
	o Options

	swept atomic.Int64 // when people were last looked for, Unix milliseconds
	dirty atomic.Bool  // something was deleted that the database has not let go of
	done  atomic.Int64 // when all was done last, Unix milliseconds

	mu      sync.Mutex    // of the clock
	held    kept          // what its file holds
	kept    kept          // what it is to hold
	known   time.Time     // when it was at least, zero before anybody asked,
	knownAt time.Duration // and what had passed then
	fresh   bool          // nothing is known so far
	behind  bool          // that was said
}

// New returns a keeper.
func New(p Parts, o Options) *Keeper {
	if o.Days == 0 {
		o.Days = DefaultDays
	}
	if o.BackupDays == 0 {
		o.BackupDays = DefaultBackupDays
	}
	o.BackupDays = min(o.BackupDays, o.Days)
	if o.Server == "" {
		o.Server = "server-1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Passed == nil {
		begun := time.Now()
		o.Passed = func() time.Duration { return time.Since(begun) }
	}
	return &Keeper{Parts: p, o: o}
}

const (
	// runEvery is how often it is looked for something to drop.
	runEvery = time.Hour
	// leaseFor is how long a server that has died keeps others from going on.
	leaseFor = 10 * time.Minute
	leaseOf  = "retention"
)

// Start is for a server that is about to listen: its database may have been
// restored. It destroys the keys of days that are past their retention and erases
// again whom a backup has brought back, which takes a moment; the rest is Run's. A
// clock that is not believed destroys nothing and is no reason not to listen.
func (k *Keeper) Start(ctx context.Context) error {
	if _, err := k.shred(ctx); errors.Is(err, ErrClock) {
		k.Log.Error("no key is destroyed", "err", err)
	} else if err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	if err := k.again(ctx); err != nil {
		return fmt.Errorf("retention: erase again: %w", err)
	}
	if err := k.copyKeys(); err != nil { // a disk that is not there is no reason not to listen
		k.Log.Error("keys of days not copied", "err", err)
	}
	return nil
}

// Run does what Once does, now and each hour until ctx ends. What fails is tried
// again.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(runEvery)
	defer tick.Stop()
	for {
		if err := k.Once(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("retention incomplete", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// oldest returns the oldest day whose check-ins are kept at a time.
func (k *Keeper) oldest(now time.Time) qrgate.Day { return qrgate.DayOf(k.ago(now, k.o.Days)) }

func (k *Keeper) ago(now time.Time, days int) time.Time {
	return now.Add(-time.Duration(days) * 24 * time.Hour)
}

// Once drops all that is past its retention. If another server is at it, that one
// does, and only keys are destroyed here. The error is ErrClock, and nothing is
// dropped, while the clock is not believed.
func (k *Keeper) Once(ctx context.Context) error {
	if err := k.once(ctx); err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	return nil
}

func (k *Keeper) once(ctx context.Context) error {
	due, err := k.shred(ctx)
	if errors.Is(err, ErrClock) {
		// Whom a backup has brought back is of no time. A lease would be.
		return errors.Join(err, step("people", k.again(ctx)))
	}
	if err != nil {
		return err
	}
	held, err := k.Rights.Lease(ctx, leaseOf, k.o.Server, leaseFor)
	if err != nil || !held {
		return err
	}
	defer k.Rights.Lease(context.WithoutCancel(ctx), leaseOf, k.o.Server, 0)
	for _, day := range due {
		if err := k.drop(ctx, day); err != nil {
			return fmt.Errorf("day %s: %w", day, err)
		}
	}
	// What one step cannot do is no reason to leave the others undone; but somebody
	// may have set the clock since.
	var errs []error
	for _, s := range []struct {
		name string
		do   func(ctx context.Context, now time.Time) error
	}{
		{"people", func(ctx context.Context, _ time.Time) error { return k.again(ctx) }},
		{"people", func(ctx context.Context, _ time.Time) error { return k.sweep(ctx, due) }},
		{"rest", k.rest},
		{"backups", k.deleteBackups},
		{"logs", k.deleteLogs},
		{"marks", k.deleteMarks},
		{"database", func(ctx context.Context, _ time.Time) error { return k.scrub(ctx) }},
		{"certificates", func(ctx context.Context, _ time.Time) error { return k.certify(ctx) }},
	} {
		now, err := k.believe(ctx)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, step(s.name, s.do(ctx, now)))
	}
	if err = errors.Join(errs...); err == nil {
		k.done.Store(k.o.Now().UnixMilli())
	}
	return err
}

// Done returns when this keeper last did all of it, zero if it has not: where
// several servers run, one of them does.
func (k *Keeper) Done() time.Time {
	if ms := k.done.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func step(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// shred destroys the keys of all days that are past their retention, and returns
// the days of which something is left to drop.
func (k *Keeper) shred(ctx context.Context) ([]qrgate.Day, error) {
	now, err := k.believe(ctx)
	if err != nil {
		return nil, err
	}
	oldest := k.oldest(now)
	keyed, err := k.Vault.Days()
	if err != nil {
		return nil, err
	}
	stored, err := k.Store.Days(ctx)
	if err != nil {
		return nil, err
	}
	begun, err := k.Rights.Drops(ctx, vault.DaysBack+MaxDays)
	if err != nil {
		return nil, err
	}
	due := map[qrgate.Day]bool{}
	for _, day := range slices.Concat(keyed, stored) {
		if day < oldest {
			due[day] = true
		}
	}
	for _, d := range begun {
		if d.Done.IsZero() {
			due[d.Day] = true
		}
	}
	var all []qrgate.Day
	for day := range due {
		k.dirty.Store(true)
		// Also of a day that has no key here: it shall never get one.
		if err := k.Vault.Shred(day); err != nil {
			return nil, err
		}
		if err := k.Rights.Shredded(ctx, day); err != nil {
			return nil, err
		}
		all = append(all, day)
	}
	slices.Sort(all)
	if len(all) > 0 {
		k.Log.Info("days past their retention", "from", all[0], "to", all[len(all)-1], "keys", "destroyed")
	}
	return all, nil
}

// drop drops the rows of a day.
func (k *Keeper) drop(ctx context.Context, day qrgate.Day) error {
	total := int64(0)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var n int64
		var err error
		if n, more, err = k.Store.DropDay(ctx, day); err != nil {
			return err
		}
		total += n
		if err := k.Rights.AddDropped(ctx, day, n, 0, 0); err != nil {
			return err
		}
		if _, err := k.Rights.Lease(ctx, leaseOf, k.o.Server, leaseFor); err != nil {
			return err
		}
	}
	letters, err := k.forgetLetters(ctx, day+1)
	if err != nil {
		return err
	}
	if err := k.Rights.AddDropped(ctx, day, 0, letters, 0); err != nil {
		return err
	}
	if err := k.Rights.Dropped(ctx, day); err != nil {
		return err
	}
	k.Log.Info("day dropped", "day", day, "rows", total, "letters", letters)
	return nil
}

// forgetLetters drops the messages that came before a day and could not be used.
func (k *Keeper) forgetLetters(ctx context.Context, before qrgate.Day) (all int64, err error) {
	for more := true; more; {
		var n int64
		if n, more, err = k.Rights.ForgetLetters(ctx, before.Start()); err != nil {
			return all, err
		}
		if all += n; n > 0 {
			k.dirty.Store(true)
		}
	}
	return all, nil
}

// rest drops what is of no day but has ended too.
func (k *Keeper) rest(ctx context.Context, now time.Time) error {
	_, err := k.forgetLetters(ctx, k.oldest(now)) // also where no check-in came on their day
	errs := []error{err, k.Rights.ForgetAskers(ctx), k.Register.Forget(ctx), k.Register.PurgePlaces(ctx)}
	// Those that would be too late if they came again.
	before := k.ago(now, k.o.Days+2)
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = k.Store.ForgetVisits(ctx, before); err != nil {
			errs, more = append(errs, err), false
		}
	}
	for name, sweep := range k.Sweeps {
		errs = append(errs, step(name, sweep(ctx)))
	}
	return errors.Join(errs...)
}

// scrub makes the database let go of what was deleted.
func (k *Keeper) scrub(ctx context.Context) error {
	if !k.dirty.Load() {
		return nil
	}
	err := k.Store.Scrub(ctx)
	if err == nil {
		k.dirty.Store(false)
	}
	return err
}
