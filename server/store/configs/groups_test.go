package configs_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
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
		w.must(w.Join(ctx, other, []string{"gate-0001"}, "hoa"))
		w.save(configs.Group(other), 0, "door.help_line", "115")
		w.must(w.RenameGroup(ctx, other, "Y tế", "hoa"))
		if err := w.RenameGroup(ctx, other, "Chợ", "hoa"); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("RenameGroup to a name that is taken = %v", err)
		}
		w.must(w.RemoveGroup(ctx, other, "hoa"))
		for what, err := range map[string]error{"removed again": w.RemoveGroup(ctx, other, "hoa"), "renamed": w.RenameGroup(ctx, other, "A", "hoa"), "joined": w.Join(ctx, other, []string{"gate-0001"}, "hoa")} {
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

// Kiosks join together, each of them once however often it is named, with an audit row
// for each; one that is not there keeps those beside it out.
func TestManyKiosksJoinAGroup(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		all := []string{"gate-0002"} // named twice
		var added []qrgate.Kiosk
		for i := range 601 {
			id := fmt.Sprintf("gate-%04d", i+2)
			if all = append(all, id); i >= 2 {
				added = append(added, qrgate.Kiosk{ID: id, Place: "Chợ", PlaceNo: 5, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: today})
			}
		}
		w.must(w.s.AddKiosks(ctx, added))
		a, err := w.AddGroup(ctx, "A", "hoa")
		w.must(err)
		b, err := w.AddGroup(ctx, "B", "hoa")
		w.must(err)
		w.must(w.Join(ctx, a, []string{"gate-0001", "gate-0003"}, "hoa"))
		w.must(w.Join(ctx, b, all, "hoa"))
		members := func() map[int64]int {
			t.Helper()
			n := map[int64]int{}
			groups, err := w.Groups(ctx)
			w.must(err)
			for _, g := range groups {
				n[g.ID] = g.Kiosks
			}
			return n
		}
		if d := cmp.Diff(map[int64]int{a: 1, b: 601}, members()); d != "" {
			t.Errorf("kiosks in groups (-want +got):\n%s", d)
		}
		audits := 0
		w.must(w.s.Read(ctx, func(r *sql.Rows) error { return r.Scan(&audits) },
			"SELECT COUNT(DISTINCT object) FROM audit WHERE action = 'move kiosk to group' AND actor = 'hoa' AND note = ?", string(configs.Group(b))))
		if audits != 601 {
			t.Errorf("%d kiosks have an audit row, want 601", audits)
		}
		if err := w.Join(ctx, a, []string{"gate-0002", "nobody-01"}, "hoa"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Join of one that is not there = %v, want ErrNotFound", err)
		}
		w.must(w.Join(ctx, 0, all[:3], "hoa"))
		if d := cmp.Diff(map[int64]int{a: 1, b: 599}, members()); d != "" {
			t.Errorf("kiosks in groups (-want +got):\n%s", d)
		}
	})
}
