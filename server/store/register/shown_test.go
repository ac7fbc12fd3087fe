package register_test

import (
	"errors"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
)

func TestShownPlace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		owner := w.account("owner")
		p := w.shop(w.organisation(owner, "Chợ"), "Chợ Đông Ba", "trade")
		if err := w.DeletePlace(t.Context(), owner, p.No, p.Version); err != nil {
			t.Fatal(err)
		}
		all, err := w.Place(t.Context(), p.No)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.ShownPlace(t.Context(), p.No)
		if err != nil || got.No != all.No || got.Name != all.Name || got.Street != all.Street || got.AreaNow != all.AreaNow || !got.Deleted.Equal(all.Deleted) || got.Deleted.IsZero() {
			t.Errorf("ShownPlace() = %+v, %v, want it as in %+v", got, err, all)
		}
		if _, err := w.ShownPlace(t.Context(), 4_000_000_000); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("ShownPlace() of none: %v", err)
		}
	})
}
