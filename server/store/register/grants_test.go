package register_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

func everywhere(r qrgate.Role) qrgate.Grant { return qrgate.Grant{Role: r, Scope: qrgate.All} }

func TestGiveAndTakeRoles(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss, lan := w.account("boss"), w.account("lan")
		market := w.organisation(lan, "Chợ Đông Ba")
		if err := w.GiveRole(ctx, "", boss, everywhere(qrgate.Administrator)); err != nil {
			t.Fatal(err)
		}
		sector := qrgate.Grant{Role: qrgate.SectorOfficer, Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "health"}}
		for _, tt := range []struct {
			account string
			g       qrgate.Grant
			err     error
		}{
			{lan, sector, nil},
			{lan, sector, nil}, // again
			{lan, qrgate.Grant{Role: qrgate.AreaOfficer, Scope: qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2021-07-01"}}, nil},
			{lan, qrgate.Grant{Role: qrgate.AreaOfficer, Scope: qrgate.Scope{Kind: qrgate.InArea, ID: "99999@2021-07-01"}}, qrgate.ErrInvalid},
			{lan, qrgate.Grant{Role: qrgate.SectorOfficer, Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "moon"}}, qrgate.ErrInvalid},
			{lan, qrgate.Grant{Role: qrgate.Staff, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: "nobody"}}, qrgate.ErrInvalid},
			{lan, qrgate.Grant{Role: qrgate.Staff, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: market}}, nil},
			{lan, everywhere(qrgate.Owner), qrgate.ErrInvalid},
			{lan, everywhere("king"), qrgate.ErrInvalid},
			{"nobody", everywhere(qrgate.Auditor), qrgate.ErrNotFound},
		} {
			if err := w.GiveRole(ctx, boss, tt.account, tt.g); !errors.Is(err, tt.err) {
				t.Errorf("GiveRole(%s, %v) = %v, want %v", tt.account, tt.g, err, tt.err)
			}
		}
		got, err := w.Holder(ctx, lan)
		if err != nil || len(got.Grants) != 4 || !slices.Contains(got.Grants, sector) || got.Name != "lan" {
			t.Errorf("Holder(lan) = %+v, %v", got, err)
		}
		if err := w.TakeRole(ctx, boss, lan, sector); err != nil {
			t.Error(err)
		}
		if err := w.TakeRole(ctx, boss, lan, sector); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("taken twice: %v", err)
		}
		if err := w.TakeRole(ctx, boss, lan, qrgate.Grant{Role: qrgate.Owner, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: market}}); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("the last owner taken: %v", err)
		}
		var notes []string
		err = w.Audit(ctx, register.AuditQuery{Object: lan}, 0, 100, func(a register.AuditRow) error {
			notes = append(notes, a.Actor+" "+a.Action+" "+a.Note)
			return nil
		})
		slices.Sort(notes)
		want := []string{
			"boss give role area_officer area:19753@2021-07-01", "boss give role sector_officer sector:health",
			"boss give role staff organisation:" + market, "boss take role sector_officer sector:health",
		}
		if d := cmp.Diff(want, notes); d != "" || err != nil {
			t.Errorf("audit rows (-want +got):\n%s%v", d, err)
		}
	})
}

// Whoever traces does not approve, and whoever runs the system sees nobody.
func TestRolesApart(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.account("spare")
		if err := w.GiveRole(t.Context(), "", "spare", everywhere(qrgate.Administrator)); err != nil {
			t.Fatal(err)
		}
		persons := []qrgate.Role{qrgate.HealthOfficer, qrgate.Approver, qrgate.Protection}
		machines := []qrgate.Role{qrgate.Operator, qrgate.Administrator}
		refused := [][2]qrgate.Role{{qrgate.HealthOfficer, qrgate.Approver}}
		for _, p := range persons {
			for _, m := range machines {
				refused = append(refused, [2]qrgate.Role{p, m})
			}
		}
		for _, a := range append(persons, machines...) {
			for _, b := range append(persons, machines...) {
				name := w.account(string(a) + "-" + string(b))
				if err := w.GiveRole(t.Context(), "", name, everywhere(a)); err != nil {
					t.Fatal(err)
				}
				err := w.GiveRole(t.Context(), "", name, everywhere(b))
				var apart register.Apart
				want := slices.Contains(refused, [2]qrgate.Role{a, b}) || slices.Contains(refused, [2]qrgate.Role{b, a})
				if errors.As(err, &apart) != want || want && apart != (register.Apart{Held: a, Wanted: b}) || !want && err != nil {
					t.Errorf("%s and then %s: %v, want apart %v", a, b, err, want)
				}
			}
		}
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.account("a"), w.account("b")
		g := everywhere(qrgate.Administrator)
		for _, name := range []string{a, b} {
			if err := w.GiveRole(ctx, "", name, g); err != nil {
				t.Fatal(err)
			}
		}
		id, err := w.Begin(ctx, b, "browser", true, w.time().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Block(ctx, a, b, true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.SignedIn(ctx, id); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("a blocked account is signed in: %v", err)
		}
		// The other one cannot sign in: it does not count.
		if err := w.TakeRole(ctx, b, a, g); !errors.Is(err, register.ErrLastAdministrator) {
			t.Errorf("TakeRole of the last = %v", err)
		}
		if err := w.Block(ctx, b, a, true); !errors.Is(err, register.ErrLastAdministrator) {
			t.Errorf("Block of the last = %v", err)
		}
		if err := w.Block(ctx, a, b, false); err != nil {
			t.Fatal(err)
		}
		// Both at once: one of them stays.
		fail := make(chan error, 2)
		go func() { fail <- w.TakeRole(ctx, a, b, g) }()
		go func() { fail <- w.TakeRole(ctx, b, a, g) }()
		first, second := <-fail, <-fail
		if (first == nil) == (second == nil) || first != nil && !errors.Is(first, register.ErrLastAdministrator) || second != nil && !errors.Is(second, register.ErrLastAdministrator) {
			t.Errorf("both taken at once: %v, %v", first, second)
		}
		if err := w.Block(ctx, a, "nobody", true); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Block(nobody) = %v", err)
		}
	})
}

func TestFindHolders(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range []string{"an", "binh", "chi", "dung"} {
			w.account(id)
		}
		err := w.s.Write(ctx, func(t store.Tx) error {
			_, err := t.Exec("UPDATE accounts SET display = ? WHERE id = ?", "Đặng Thị Bình", "binh")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.organisation("an", "Chợ An Cựu")
		if err := w.GiveRole(ctx, "", "chi", everywhere(qrgate.Auditor)); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			q     register.HolderQuery
			want  []string
			total int
		}{
			{register.HolderQuery{}, []string{"an", "binh", "chi", "dung"}, 4},
			{register.HolderQuery{Text: "thi  DANG"}, []string{"binh"}, 1},
			{register.HolderQuery{Text: "Bình"}, []string{"binh"}, 1},
			{register.HolderQuery{Text: "%"}, nil, 0},
			{register.HolderQuery{Text: "\x00\xff"}, []string{"an", "binh", "chi", "dung"}, 4},
			{register.HolderQuery{Office: true}, []string{"chi"}, 1},
			{register.HolderQuery{Role: qrgate.Owner}, []string{"an"}, 1},
			{register.HolderQuery{Page: 1, Size: 3}, []string{"dung"}, 4},
			{register.HolderQuery{Page: 9, Size: 3}, nil, 4},
		} {
			page, total, err := w.Holders(ctx, tt.q)
			var got []string
			for _, h := range page {
				got = append(got, h.Name)
			}
			if d := cmp.Diff(tt.want, got); d != "" || total != tt.total || err != nil {
				t.Errorf("Holders(%+v) = %v of %d, %v, want %v of %d", tt.q, got, total, err, tt.want, tt.total)
			}
		}
		if _, err := w.Holder(ctx, "nobody"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Holder(nobody) = %v", err)
		}
	})
}
