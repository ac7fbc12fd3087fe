package casebook_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// Somebody chose one of two stays. What came late is neither: it counts, and so does
// what was chosen by its exit when a late check-in gives it an entry.
func TestStaysThatCameLateCount(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.holder(an)
		c := w.approved()
		id := func(n uint64) trace.ID { return trace.ID{Seq: n} }
		w.must(w.Choose(t.Context(), "lan", c.ID, c.Version, []trace.ID{id(1)}, id(2)))
		task, err := w.Task(t.Context(), "lan", c.ID)
		w.must(err)
		older := casebook.Task{Chosen: []trace.ID{id(1)}} // of a version that kept no others
		for _, tt := range []struct {
			name        string
			stay        trace.Stay
			want, older bool
		}{
			{"chosen by its exit", trace.Stay{Exit: id(1)}, true, true},
			{"with a late entry", trace.Stay{Entry: id(9), Exit: id(1)}, true, true},
			{"left out", trace.Stay{Entry: id(2)}, false, false},
			{"left out, with a late exit", trace.Stay{Entry: id(2), Exit: id(8)}, false, false},
			{"nobody knew it", trace.Stay{Entry: id(3)}, true, false},
		} {
			if got := task.Counts(&tt.stay); got != tt.want {
				t.Errorf("%s: Counts = %v, want %v", tt.name, got, tt.want)
			}
			if got := older.Counts(&tt.stay); got != tt.older {
				t.Errorf("%s, of an older version: Counts = %v, want %v", tt.name, got, tt.older)
			}
		}
	})
}
