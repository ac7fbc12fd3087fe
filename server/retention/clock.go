package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/qrgate"
)

const (
	// maxPause is how far the clock may be ahead of what is known of the time and be
	// believed: so long a server may be off and go on by itself. Never longer than the
	// retention: so a clock that is wrong by all of it destroys no key of today.
	maxPause = 7 * 24 * time.Hour
	// maxBehind is how far it may be behind before that is said.
	maxBehind = time.Hour
)

// ErrClock means that the clock is too far ahead to be believed, so that nothing is
// dropped.
var ErrClock = errors.New("the clock is not believed")

// A Clock is what a server's clock says, and what is known of the time without it.
type Clock struct {
	Says  time.Time
	Known time.Time // it is at least this late
	// Waits says that the clock is not believed: nothing is dropped until it is set
	// right, or somebody says that it is right.
	Waits bool
}

// judge says whether a clock is believed when it is known that it is at least so
// late, in a server that keeps check-ins for some days.
func judge(says, known time.Time, days int) Clock {
	most := min(maxPause, time.Duration(days)*24*time.Hour)
	return Clock{Says: says, Known: known, Waits: says.Sub(known) > most}
}

// Ahead returns how far the clock is ahead of what is known, less than nothing if it
// is behind.
func (c Clock) Ahead() time.Duration { return c.Says.Sub(c.Known) }

// Behind reports whether the clock says less than it can be: what is past its
// retention is dropped, but late.
func (c Clock) Behind() bool { return c.Ahead() < -maxBehind }

// Time returns what the clock says, or what is known if it is not believed.
func (c Clock) Time() time.Time {
	if c.Waits {
		return c.Known
	}
	return c.Says
}

// String says in words what is wrong, or "".
func (c Clock) String() string {
	says, known := c.Says.In(qrgate.Zone).Format(time.DateTime), c.Known.In(qrgate.Zone).Format(time.DateTime)
	switch {
	case c.Waits:
		return fmt.Sprintf("the clock says %s and the newest time that is known is %s: nothing is dropped until the clock is set right, or somebody says that it is right, as after a long time without power: qrgate-server retention confirm clock TODAY", says, known)
	case c.Behind():
		return fmt.Sprintf("the clock says %s and it was %s before: what is past its retention is dropped late until the clock is set right; if it is right and was wrong before: qrgate-server retention confirm clock TODAY", says, known)
	}
	return ""
}

// A kept is what the file of the clock holds.
type kept struct {
	Known     time.Time `json:"known"`              // the newest time at which the clock was believed
	Confirmed time.Time `json:"confirmed,omitzero"` // when somebody said last that the clock is right
}

// Clock returns what the clock says and whether it is believed. What is known is
// never what a wrong clock has written: at the start it is the newest time at which
// this server believed its clock, and only where it has none yet the newest one in
// the database; from then on time passes as the machine counts it, not as the clock
// says.
func (k *Keeper) Clock(ctx context.Context) (Clock, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clock(ctx)
}

func (k *Keeper) clock(ctx context.Context) (Clock, error) {
	var err error
	if k.held, err = k.readClock(); err != nil {
		return Clock{}, err
	}
	// Without what the machine counts: the difference of two times would be that.
	says, passed := k.o.Now().UTC().Truncate(time.Millisecond), k.o.Passed()
	unknown := k.known.IsZero() || k.fresh
	switch {
	case !k.held.Known.IsZero() && (unknown || !k.held.Confirmed.Equal(k.kept.Confirmed)):
		k.kept, k.known, k.knownAt, k.fresh = k.held, k.held.Known, passed, false
	case unknown:
		newest, err := k.Rights.Newest(ctx)
		if err != nil {
			return Clock{}, err
		}
		// A new server has nothing to drop, and may be waiting for its first right time.
		if k.fresh = newest.IsZero(); k.fresh {
			k.known, k.knownAt = says, passed
			break
		}
		if since := k.known.Add(passed - k.knownAt); since.After(newest) {
			newest = since
		}
		k.kept.Known, k.known, k.knownAt = newest.UTC(), newest.UTC(), passed
	case k.held.Known.After(k.kept.Known): // another process of this server
		k.kept.Known = k.held.Known
	}
	return judge(says, k.known.Add(passed-k.knownAt), k.o.Days), nil
}

// Doubt returns ErrClock while the clock is not believed.
func (k *Keeper) Doubt(ctx context.Context) error {
	c, err := k.Clock(ctx)
	if err == nil && c.Waits {
		err = fmt.Errorf("%w: %s", ErrClock, c)
	}
	return err
}

// believe returns the time by which something may be dropped. Whatever cannot be
// undone asks it first. The error is ErrClock if the clock is not believed.
func (k *Keeper) believe(ctx context.Context) (time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := k.clock(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if !c.Waits && !k.fresh && c.Says.Sub(k.kept.Known) > time.Minute {
		k.kept.Known = c.Says
	}
	// Also while it is not believed: what the database says is what a wrong clock
	// writes there from now on.
	if err := k.writeClock(); err != nil {
		return time.Time{}, err
	}
	if c.Behind() != k.behind {
		if k.behind = c.Behind(); k.behind {
			k.Log.Warn("the clock is behind", "says", c.Says, "known", c.Known)
		}
	}
	if c.Waits {
		return time.Time{}, fmt.Errorf("%w: %s", ErrClock, c)
	}
	return c.Says, nil
}

// ConfirmClock notes that somebody has looked at the server's clock and says that it
// is right, whatever is known. today is the day by their own calendar; if it is
// another one for the server, the error is qrgate.ErrInvalid.
func (k *Keeper) ConfirmClock(ctx context.Context, by string, today qrgate.Day) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := k.clock(ctx)
	if err != nil {
		return fmt.Errorf("retention: confirm clock: %w", err)
	}
	if day := qrgate.DayOf(c.Says); day != today {
		return fmt.Errorf("retention: today is %s by the server's clock, not %s; set it right first: %w", day, today, qrgate.ErrInvalid)
	}
	if err := k.Rights.ClockConfirmed(ctx, by, c.Known, c.Says); err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	k.kept, k.known, k.knownAt, k.fresh = kept{c.Says, c.Says}, c.Says, k.o.Passed(), false
	if err := k.writeClock(); err != nil {
		return fmt.Errorf("retention: confirm clock: %w", err)
	}
	return nil
}

// readClock returns what the file holds, nothing if it is not there.
func (k *Keeper) readClock() (held kept, err error) {
	if k.o.Clock == "" {
		return held, nil
	}
	b, err := os.ReadFile(k.o.Clock)
	if errors.Is(err, fs.ErrNotExist) {
		return held, nil
	}
	if err != nil {
		return held, err
	}
	if err := json.Unmarshal(b, &held); err != nil {
		k.Log.Warn("file of the clock is damaged, and made again", "file", k.o.Clock, "err", err)
		return kept{}, nil
	}
	return held, nil
}

// writeClock writes the file if it does not say so already.
func (k *Keeper) writeClock() error {
	if k.o.Clock == "" || k.held == k.kept {
		return nil
	}
	b, err := json.Marshal(k.kept)
	if err == nil {
		err = durable.Replace(k.o.Clock, b)
	}
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	k.held = k.kept
	return nil
}
