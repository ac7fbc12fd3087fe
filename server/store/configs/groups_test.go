package configs_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	kept "github.com/qrgate/qrgate/server/store/configs"
)

// A group that is removed says nothing any more, and the next one does not inherit what
// it said.
func TestGroupIsRenamedAndRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		markets, err := w.AddGroup(ctx, "Chợ", "hoa")
		w.must(err)
		other, err := w.AddGroup(ctx, "Bệnh viện", "hoa")
		w.must(err)
		w.must(w.Join(ctx, other, "hoa", "gate-0001"))
		w.save(configs.Group(other), 0, "door.help_line", "115")
		w.must(w.RenameGroup(ctx, other, "Y tế", "hoa"))
		if err := w.RenameGroup(ctx, other, "Chợ", "hoa"); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("RenameGroup to a name that is taken = %v", err)
		}
		w.must(w.RemoveGroup(ctx, other, "hoa"))
		for what, err := range map[string]error{"removed again": w.RemoveGroup(ctx, other, "hoa"), "renamed": w.RenameGroup(ctx, other, "A", "hoa"), "joined": w.Join(ctx, other, "hoa", "gate-0001")} {
			if !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("a group that is gone is %s: %v", what, err)
			}
		}
		if k, err := w.Kiosk(ctx, "gate-0001"); err != nil || k.Group != 0 {
			t.Errorf("its kiosk is in group %d, %v", k.Group, err)
		}
		again, err := w.AddGroup(ctx, "Y tế", "hoa")
		if err != nil || again == other {
			t.Errorf("AddGroup = %d, %v, want another than %d", again, err, other)
		}
		groups, err := w.Groups(ctx)
		if diff := cmp.Diff([]kept.Group{{ID: markets, Name: "Chợ"}, {ID: again, Name: "Y tế"}}, groups); diff != "" || err != nil {
			t.Errorf("Groups (-want +got), %v:\n%s", err, diff)
		}
		if v, err := w.Version(ctx, configs.Group(other), 0); err != nil || v.Settings == nil {
			t.Errorf("its history: %+v, %v", v, err)
		}
	})
}
