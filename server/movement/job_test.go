package movement_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A keeper keeps runs as package flows does, in memory; its tests are there.
type keeper struct {
	seen   map[qrgate.Day]int64
	runs   []movement.Run
	days   []*movement.Day
	taken  bool
	busy   bool // it is another server's turn
	forgot qrgate.Day
	fail   error
}

func (k *keeper) Turn(context.Context, time.Time) (bool, error) {
	k.taken = !k.busy
	return !k.busy, nil
}
func (k *keeper) EndTurn(context.Context) error { k.taken = false; return nil }
func (k *keeper) Seen(_ context.Context, from, to qrgate.Day) (map[qrgate.Day]int64, error) {
	seen := maps.Clone(k.seen)
	maps.DeleteFunc(seen, func(d qrgate.Day, _ int64) bool { return d < from || d > to })
	return seen, k.fail
}
func (k *keeper) Runs(context.Context, qrgate.Day, qrgate.Day) (map[qrgate.Day]movement.Run, error) {
	runs := map[qrgate.Day]movement.Run{}
	for _, r := range k.runs {
		runs[r.Day] = r
	}
	return runs, nil
}
func (k *keeper) Places(context.Context) (map[uint32]movement.Place, error) { return places(), nil }
func (k *keeper) Save(_ context.Context, r movement.Run, d *movement.Day) error {
	for _, is := range k.runs {
		if is.Day == r.Day && is.No == r.No {
			return qrgate.ErrConflict
		}
	}
	k.runs, k.days = append(k.runs, r), append(k.days, d)
	return nil
}
func (k *keeper) Forget(_ context.Context, before qrgate.Day) error { k.forgot = before; return nil }

func job(k *keeper, rows movement.Rows, now time.Time) *movement.Job {
	return &movement.Job{Rows: rows, Keeper: k, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
}

// TestJob walks through the nights after a day: too early, counted, counted again
// because of what came late, and too late.
func TestJob(t *testing.T) {
	var all list
	for p := 1; p <= 20; p++ {
		all = append(all, at(p, 1, 8*time.Hour, wire.In))
	}
	for p := 101; p <= 112; p++ {
		c := at(p, 2, 9*time.Hour, wire.In)
		c.Received = (day + 3).Start().UnixMilli()
		all = append(all, c)
	}
	k := &keeper{seen: map[qrgate.Day]int64{day: 20, day + 1: 0, day - 30: 7}}
	night := (day + 1).Start()
	for _, tt := range []struct {
		now  time.Time
		seen int64
		runs int
	}{
		{day.Start().Add(23 * time.Hour), 20, 0},         // the day has not ended
		{night.Add(time.Hour), 20, 0},                    // kiosks are still delivering
		{night.Add(2 * time.Hour), 20, 1},                //
		{night.Add(27 * time.Hour), 29, 1},               // nine more are no figure
		{(day + 3).Start().Add(2 * time.Hour), 32, 2},    //
		{(day + 3).Start().Add(8 * time.Hour), 5000, 2},  // not twice in a night
		{(day + 40).Start().Add(8 * time.Hour), 5000, 2}, // its check-ins are gone
	} {
		k.seen[day] = tt.seen
		if err := job(k, all, tt.now).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(k.runs) != tt.runs || k.taken {
			t.Errorf("at %s there are %d runs, want %d; turn kept %v", tt.now, len(k.runs), tt.runs, k.taken)
		}
	}
	var people []int
	for _, d := range k.days {
		people = append(people, movement.Sum(d.Arrivals, movement.Any()))
	}
	if diff := cmp.Diff([]int{20, 12}, people); diff != "" {
		t.Errorf("people in runs (-want +got)\n%s", diff)
	}
	if k.forgot < day-400 || k.forgot > day-390 {
		t.Errorf("figures before %s are forgotten", k.forgot)
	}
}

func TestJobOfTwoServers(t *testing.T) {
	k := &keeper{seen: map[qrgate.Day]int64{day: 20}, busy: true}
	j := job(k, list{}, (day + 1).Start().Add(3*time.Hour))
	if err := j.Once(t.Context()); err != nil || len(k.runs) != 0 {
		t.Errorf("Once() = %v with %d runs, want to leave it to the other server", err, len(k.runs))
	}
	k.busy, k.fail = false, errors.New("no database")
	if err := j.Once(t.Context()); !errors.Is(err, k.fail) {
		t.Errorf("Once() = %v, want %v", err, k.fail)
	}
}

// TestJobLeavesDoubtsOut is of a kiosk that scans sixty people in a second.
func TestJobLeavesDoubtsOut(t *testing.T) {
	var all list
	for p := 1; p <= 30; p++ {
		all = append(all, at(p, 1, 8*time.Hour+time.Duration(p)*time.Second, wire.In))
	}
	for p := 101; p <= 160; p++ {
		all = append(all, at(p, 1, 9*time.Hour, wire.In))
	}
	k := &keeper{seen: map[qrgate.Day]int64{day: 90}}
	if err := job(k, all, (day + 1).Start().Add(3*time.Hour)).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := movement.Sum(k.days[0].Arrivals, movement.Any()); got != 30 || k.days[0].Doubted != 60 {
		t.Errorf("%d arrivals, %d doubted; want 30 and 60", got, k.days[0].Doubted)
	}
}

func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := job(&keeper{}, list{}, day.Start()).Run(ctx); err != nil {
		t.Errorf("Run() = %v", err)
	}
}
