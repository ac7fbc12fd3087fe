package retention_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store"
)

const (
	oneDay   = 24 * time.Hour
	oneWeek  = 7 * oneDay
	tenYears = 3652 * oneDay
)

// jump sets the clock, while no time passes.
func (w *world) jump(by time.Duration) { w.now.Add(by.Milliseconds()) }

// restart has the server start again, from what it remembers.
func (w *world) restart() {
	w.t.Helper()
	w.passed.Store(0)
	w.Keeper = w.started(retention.Options{})
}

// serves has the server write down what it does, with its clock as it is: audit rows
// that are sealed, and when a kiosk came.
func (w *world) serves() {
	w.t.Helper()
	w.did(2)
	if err := w.sealer().Seal(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	err := w.s.Write(w.t.Context(), func(t store.Tx) error {
		_, err := t.Exec("UPDATE epochs SET received = ?", w.time().UnixMilli())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// waits checks that nothing is dropped, and that it is said why.
func (w *world) waits(when string) {
	w.t.Helper()
	if err := w.Once(w.t.Context()); !errors.Is(err, retention.ErrClock) || !strings.Contains(err.Error(), "confirm clock") {
		w.t.Errorf("%s: Once = %v, want %v and what to do", when, err, retention.ErrClock)
	}
	state, err := w.State(w.t.Context(), 10)
	if err != nil || !state.Clock.Waits || state.Clock.Behind() || len(state.Overdue()) != 0 {
		w.t.Errorf("%s: State = %+v, %v", when, state, err)
	}
}

// keyed checks that the key of a day on which a human came is there.
func (w *world) keyed(when string, day int, h *human) {
	w.t.Helper()
	if p, err := w.v.Person(dayOf(day), h.subjects[0]); err != nil || p != h.person {
		w.t.Errorf("%s: the check-in of day %d opens as %d, %v", when, day, p, err)
	}
}

// A clock that jumped ahead by ten years destroys nothing: not in a server that runs
// on and writes rows that are dated so, and not in one that starts again with it.
func TestClockThatJumpedAhead(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		w.backup("b")
		w.write("logs/qrgate-1.log", "", w.time())
		w.to(3)
		w.once()
		w.jump(tenYears)
		w.serves()
		w.waits("while it runs")
		w.serves()
		w.restart()
		w.waits("after a start")
		w.serves()
		w.to(4 + 3652) // a day passes
		w.restart()
		w.waits("after another start")
		w.keyed("while the clock is wrong", 1, h)
		if !w.has("backups/b") || !w.has("logs/qrgate-1.log") || !slices.Equal(w.days(), []int{1}) {
			t.Error("something was dropped")
		}
		if log := w.log.String(); !strings.Contains(log, "no key is destroyed") {
			t.Errorf("the log says %s", log)
		}
		w.jump(-tenYears)
		w.once()
		w.to(23)
		w.once()
		if got := w.days(); got != nil {
			t.Errorf("with the right clock days %v are left", got)
		}
		w.forgotten(h)
	})
}

// New check-ins came under days whose keys had been destroyed, once a clock that had
// jumped ahead came back: however far it was ahead, the keys of its own time are there.
func TestBackFilesUnderShreddedDay(t *testing.T) {
	for _, days := range []int{1, 5, 21, retention.MaxDays} {
		w := newWorld(t, sqlite.dsn(t))
		w.Keeper = w.started(retention.Options{Days: days})
		h := humanOf(1)
		w.comes(h)
		w.once()
		most := min(oneWeek, time.Duration(days)*oneDay)
		w.jump(most)
		w.once() // which is believed
		for _, far := range []time.Duration{time.Millisecond, oneDay, 40 * oneDay, tenYears} {
			w.jump(far)
			w.waits("ahead by more")
			w.jump(-far)
		}
		w.jump(-most)
		h.subjects = nil
		w.comes(h)
		w.keyed("when it has come back", 1, h)
	}
}

// A clock that gains again and again is not believed for ever because each time it is
// little.
func TestClockThatGains(t *testing.T) {
	w := newWorld(t, sqlite.dsn(t))
	w.comes(humanOf(1))
	w.once()
	for range 7 {
		w.jump(oneDay)
		w.once()
	}
	w.jump(oneDay)
	w.waits("ahead by eight days")
}

// A server that was off goes on by itself after a week, and after five weeks once
// somebody says that its clock is right, who knows what day it is.
func TestServerThatWasOff(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		h := humanOf(1)
		w.comes(h)
		w.to(3)
		w.once()
		w.jump(oneWeek - time.Hour)
		w.restart()
		w.once()
		w.jump(35 * oneDay)
		w.restart()
		w.waits("after five weeks")
		serving := w.Keeper
		w.restart() // the command that confirms is another process
		today := qrgate.DayOf(w.time())
		if err := w.ConfirmClock(ctx, "operator-1", today-35); !errors.Is(err, qrgate.ErrInvalid) || !strings.Contains(err.Error(), today.String()) {
			t.Errorf("ConfirmClock of another day = %v", err)
		}
		w.waits("after a wrong day was said")
		if err := w.ConfirmClock(ctx, "operator-1", today); err != nil {
			t.Fatal(err)
		}
		if err := serving.Once(ctx); err != nil {
			t.Errorf("Once of the server that runs = %v", err)
		}
		w.once()
		w.forgotten(h)
		said := 0
		err := w.s.Read(ctx, func(r *sql.Rows) error { said++; return nil }, "SELECT 1 FROM audit WHERE action = 'confirm clock' AND actor = 'operator-1'")
		if err != nil || said != 1 {
			t.Errorf("%d audit rows say who confirmed, %v", said, err)
		}
	})
}

// A clock that is behind drops what is past its retention late, and that is said. If it
// was wrong before and is right now, somebody says that.
func TestClockThatIsBehind(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		w.to(22)
		w.once()
		behind := func() bool {
			t.Helper()
			c, err := w.Clock(t.Context())
			if err != nil || c.Waits || c.Behind() != (c.String() != "") {
				t.Errorf("Clock = %+v %q, %v", c, c, err)
			}
			return c.Behind()
		}
		if behind() {
			t.Error("a right clock is behind")
		}
		w.to(23)
		w.jump(-2 * oneDay)
		w.once()
		if !behind() || !slices.Equal(w.days(), []int{1}) {
			t.Errorf("two days behind: %v, left are days %v", behind(), w.days())
		}
		if log := w.log.String(); strings.Count(log, "the clock is behind") != 1 {
			t.Errorf("the log says %s", log)
		}
		w.jump(2 * oneDay)
		w.once()
		if behind() {
			t.Error("a clock that was set right is behind")
		}
		w.forgotten(h)
		w.jump(-20 * oneDay)
		if err := w.ConfirmClock(t.Context(), "", qrgate.DayOf(w.time())); err != nil || behind() {
			t.Errorf("ConfirmClock = %v, behind %v", err, behind())
		}
		w.jump(8 * oneDay)
		w.waits("ahead of what was confirmed")
	})
}

// A server that remembers nothing of its clock, because it is of an older version or
// its file is damaged, goes by its database, as that was before a wrong clock wrote
// there.
func TestClockThatNothingIsRememberedOf(t *testing.T) {
	for name, forget := range map[string]func(path string) error{
		"no file":      os.Remove,
		"damaged file": func(path string) error { return os.WriteFile(path, []byte(`{"known":`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sqlite.dsn(t))
			h := humanOf(1)
			w.comes(h)
			w.once()
			if err := forget(filepath.Join(w.dir, "clock")); err != nil {
				t.Fatal(err)
			}
			w.jump(tenYears)
			w.restart()
			w.waits("at the first start")
			w.serves()
			w.restart()
			w.waits("at the second")
			w.keyed("then", 1, h)
		})
	}
}

// A new server may start before it has its first right time.
func TestClockOfANewServer(t *testing.T) {
	w := newWorld(t, sqlite.dsn(t))
	w.once()
	w.jump(2 * tenYears)
	w.once()
	w.comes(humanOf(1))
	w.once()
	w.jump(tenYears)
	w.waits("once it has something")
}
