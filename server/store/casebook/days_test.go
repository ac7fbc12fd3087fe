package casebook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/sync/wire"
)

// keyed is a watched world whose check-ins are under keys of the vault, and whose
// last run knew the days up to today.
func keyed(w *world) *watched {
	w.t.Helper()
	x := watch(w)
	for _, day := range []qrgate.Day{x.today - 1, x.today} {
		_, err := w.v.Subject(day, 1)
		w.must(err)
	}
	var err error
	x.subject, err = w.v.Subject(x.today, 1)
	w.must(err)
	x.all[0].Subject = x.subject
	_, err = x.trace(w.t.Context(), "lan")
	w.must(err)
	return x
}

// A kiosk without a clock delivers after days: what it wrote is kept under the day on
// which it came, of which the run did not know.
func TestWatchNoticesAStayUnderALaterDay(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := keyed(w)
		w.pass(72 * time.Hour)
		later, err := w.v.Subject(x.today+3, 1)
		w.must(err)
		c := qrgate.Checkin{Seq: 50, Digest: wire.Digest{50}, Day: x.today + 3, Subject: later, PlaceNo: 99, Earliest: x.time().UnixMilli() - 1000, Latest: x.time().UnixMilli()}
		x.all = append(x.all, c)
		if late := x.watch(casebook.WatchOptions{}); late != nil {
			t.Errorf("the person went somewhere after the case's window, and Watch = %v", late)
		}
		c.Seq, c.Digest, c.Earliest = 51, wire.Digest{51}, x.time().Add(-100*time.Hour).UnixMilli()
		x.all = append(x.all, c)
		if d := cmp.Diff([]string{x.c.ID}, x.watch(casebook.WatchOptions{})); d != "" {
			t.Errorf("a stay that may have been within the window (-want +got):\n%s", d)
		}
	})
}

// A day is dropped in steps, which takes a while: half of it is no news either.
func TestWatchForgetsDaysThatAreBeingDropped(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		x := keyed(w)
		w.pass(24 * time.Hour)
		_, err := w.v.Subject(x.today+1, 1)
		w.must(err)
		w.must(w.v.Shred(x.today - 1))
		w.must(w.v.Shred(x.today))
		x.all = x.all[1:]
		if late := x.watch(casebook.WatchOptions{Full: true}); late != nil {
			t.Errorf("Watch = %v", late)
		}
	})
}
