package register_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestOrganisations(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh := w.account("lan"), w.account("minh")
		o := register.Organisation{Name: "Chợ Đông Ba", Sector: "trade", Phone: "+84905123456", Email: "cho@example.vn"}
		if err := w.AddOrganisation(ctx, lan, &o); err != nil {
			t.Fatal(err)
		}
		w.organisation(minh, "Bệnh viện Trung ương Huế")
		got, err := w.Organisation(ctx, o.ID)
		if err != nil || !cmp.Equal(*got, o) {
			t.Errorf("Organisation = %+v, %v, want %+v", got, err, o)
		}
		if all, err := w.Organisations(ctx, lan); err != nil || len(all) != 1 || all[0].ID != o.ID {
			t.Errorf("Organisations = %+v, %v", all, err)
		}
		for text, want := range map[string]int{"dong ba": 1, "Đông Ba": 1, "%": 0, "_": 0, "": 2} {
			if all, err := w.FindOrganisations(ctx, text, 10); err != nil || len(all) != want {
				t.Errorf("FindOrganisations(%q) = %+v, %v, want %d", text, all, err, want)
			}
		}
		o.Name = "Chợ Đông Ba mới"
		if err := w.SaveOrganisation(ctx, lan, &o); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Organisation(ctx, o.ID); err != nil || got.Name != o.Name {
			t.Errorf("saved: %+v, %v", got, err)
		}
		if _, err := w.Organisation(ctx, "none"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Organisation(none) = %v", err)
		}
		if err := w.SaveOrganisation(ctx, lan, &register.Organisation{ID: "none"}); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("SaveOrganisation(none) = %v", err)
		}
	})
}

func TestMembersComeByInvitation(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh, hoa := w.account("lan"), w.account("minh"), w.account("hoa")
		o := w.organisation(lan, "Chợ")
		if err := w.Invite(ctx, lan, []byte("link"), o, qrgate.Administrator, ""); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("Invite as administrator = %v", err)
		}
		for _, link := range []string{"link", "other"} {
			if err := w.Invite(ctx, lan, []byte(link), o, qrgate.Staff, "anh Minh"); err != nil {
				t.Fatal(err)
			}
		}
		waiting, err := w.Invitations(ctx, o)
		if err != nil || len(waiting) != 2 {
			t.Fatalf("Invitations = %+v, %v", waiting, err)
		}
		if i, err := w.Accept(ctx, minh, []byte("link")); err != nil || i.Organisation != o || i.Role != qrgate.Staff {
			t.Fatalf("Accept = %+v, %v", i, err)
		}
		if _, err := w.Accept(ctx, hoa, []byte("link")); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Accept again = %v", err)
		}
		left, err := w.Invitations(ctx, o)
		if err != nil || len(left) != 1 {
			t.Fatalf("left: %+v, %v", left, err)
		}
		if err := w.TakeBack(ctx, lan, "another", left[0].ID); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("TakeBack of another organisation = %v", err)
		}
		if err := w.TakeBack(ctx, lan, o, left[0].ID); err != nil {
			t.Errorf("TakeBack = %v", err)
		}
		if err := w.Invite(ctx, lan, []byte("late"), o, qrgate.Guard, ""); err != nil {
			t.Fatal(err)
		}
		w.pass(register.InvitationFor)
		if _, err := w.Accept(ctx, hoa, []byte("late")); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Accept late = %v", err)
		}
		members, err := w.Members(ctx, o)
		want := []register.Member{
			{Account: lan, Name: "lan", Display: "Display of lan", Roles: []qrgate.Role{qrgate.Owner}, Since: w.time().Add(-register.InvitationFor)},
			{Account: minh, Name: "minh", Display: "Display of minh", Roles: []qrgate.Role{qrgate.Staff}, Since: w.time().Add(-register.InvitationFor)},
		}
		if diff := cmp.Diff(want, members, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
			t.Errorf("Members: %v %s", err, diff)
		}
	})
}

// A removed owner came back with another account, by a link of their own.
func TestInvitationsEndWithTheirMaker(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh, hoa := w.account("lan"), w.account("minh"), w.account("hoa")
		o := w.organisation(lan, "Chợ")
		if err := w.Invite(ctx, lan, []byte("owner"), o, qrgate.Owner, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(ctx, minh, []byte("owner")); err != nil {
			t.Fatal(err)
		}
		if err := w.Invite(ctx, minh, []byte("back"), o, qrgate.Owner, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.SetRoles(ctx, lan, o, minh, qrgate.Staff); err != nil {
			t.Fatal(err)
		}
		if left, err := w.Invitations(ctx, o); err != nil || len(left) != 0 {
			t.Errorf("Invitations = %+v, %v, want none of who is no owner", left, err)
		}
		if _, err := w.Accept(ctx, hoa, []byte("back")); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Accept of an invitation by who is no owner any more = %v", err)
		}
	})
}

// A clerk works in an organisation and is no member of it.
func TestNobodyTransfersToAClerk(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, hoa := w.account("lan"), w.account("hoa")
		o := w.organisation(lan, "Chợ")
		if err := w.GiveRole(ctx, "", hoa, qrgate.Grant{Role: qrgate.Clerk, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: o}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Transfer(ctx, lan, o, hoa); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Transfer to a clerk = %v", err)
		}
	})
}

// The staff of an organisation that ended with its owner kept it going: nobody
// could be called about its places.
func TestOrganisationEndsForAllOfItsMembers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh := w.account("lan"), w.account("minh")
		ended, other := w.organisation(lan, "Chợ cũ"), w.organisation(minh, "Chợ mới")
		if err := w.Invite(ctx, lan, []byte("link"), ended, qrgate.Staff, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(ctx, minh, []byte("link")); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteAccount(ctx, lan, lan); err != nil {
			t.Fatal(err)
		}
		if all, err := w.Organisations(ctx, minh); err != nil || len(all) != 1 || all[0].ID != other {
			t.Errorf("Organisations = %+v, %v, want only the one that has an owner", all, err)
		}
		if all, err := w.FindOrganisations(ctx, "cho", 10); err != nil || len(all) != 1 || all[0].ID != other {
			t.Errorf("FindOrganisations = %+v, %v, want only the one that has an owner", all, err)
		}
	})
}

// An organisation never loses its last owner, also when two leave at once.
func TestLastOwnerStays(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan, minh, hoa := w.account("lan"), w.account("minh"), w.account("hoa")
		o := w.organisation(lan, "Chợ")
		if err := w.SetRoles(ctx, lan, o, lan); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("the last owner leaves: %v", err)
		}
		if err := w.SetRoles(ctx, lan, o, hoa, qrgate.Staff); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("SetRoles of a stranger = %v", err)
		}
		if err := w.SetRoles(ctx, lan, o, lan, qrgate.Owner, qrgate.Auditor); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("SetRoles auditor = %v", err)
		}
		if err := w.Invite(ctx, lan, []byte("a"), o, qrgate.Staff, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(ctx, minh, []byte("a")); err != nil {
			t.Fatal(err)
		}
		if err := w.Transfer(ctx, lan, o, hoa); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Transfer to a stranger = %v", err)
		}
		if err := w.Transfer(ctx, minh, o, lan); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Transfer by staff = %v", err)
		}
		if err := w.Transfer(ctx, lan, o, lan); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Transfer to oneself = %v", err)
		}
		if err := w.Transfer(ctx, lan, o, minh); err != nil {
			t.Fatal(err)
		}
		members, err := w.Members(ctx, o)
		if err != nil || len(members) != 2 || !cmp.Equal(members[0].Roles, []qrgate.Role{qrgate.Staff}) || !members[1].Is(qrgate.Owner) {
			t.Fatalf("after transfer: %+v, %v", members, err)
		}
		if err := w.SetRoles(ctx, minh, o, lan, qrgate.Owner); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, who := range []string{lan, minh} {
			wg.Go(func() { errs[i] = w.SetRoles(ctx, who, o, who) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("both owners leave at once: %v", errs)
		}
	})
}
