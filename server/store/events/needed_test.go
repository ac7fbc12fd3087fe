package events_test

import (
	"errors"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// A case finds a guest by name and telephone, also after the event has forgotten them.
func TestCaseKnowsGuests(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		cards := register.New(w.s, w.time).Cards(w.v)
		e := w.add()
		all := w.invite(e, "Nguyễn Thị Lan", "Trần Văn Huy")
		known := func(when string, g int, want string) {
			t.Helper()
			details, err := cards.DetailsOf(ctx, all[g].Person)
			if err != nil {
				t.Fatal(err)
			}
			if d := details[all[g].Person]; want == "" && d != nil || want != "" && (d == nil || d.Name != want || d.Phone != all[g].Details.Phone) {
				t.Errorf("%s: a case knows of the guest %+v, want %q, %q", when, d, want, all[g].Details.Phone)
			}
		}
		known("invited", 0, "Nguyễn Thị Lan")
		w.pass(40 * 24 * time.Hour)
		for range 2 {
			if err := w.Purge(ctx, w.time().Add(-21*24*time.Hour), func(p qrgate.Person) bool { return p == all[0].Person }); err != nil {
				t.Fatal(err)
			}
		}
		known("needed", 0, "Nguyễn Thị Lan")
		known("not needed", 1, "")
		for _, g := range all {
			if _, err := w.Guest(ctx, g.Number); !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("the event still knows pass %d: %v", g.Number, err)
			}
		}
	})
}
