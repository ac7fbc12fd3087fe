package register_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// A people is a world with what tests of accounts need.
type people struct {
	*testing.T
	*world
}

func eachPeople(t *testing.T, test func(p *people)) {
	onEach(t, func(t *testing.T, w *world) { test(&people{t, w}) })
}

func (p *people) add(name string, grants ...qrgate.Grant) *register.Account {
	p.Helper()
	a := &register.Account{Name: name, Display: name, Password: "hash"}
	if err := p.AddAccount(p.Context(), "", a, grants...); err != nil {
		p.Fatal(err)
	}
	return a
}

func (p *people) exec(query string, args ...any) {
	p.Helper()
	err := p.s.Write(p.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err })
	if err != nil {
		p.Fatal(err)
	}
}

func sum(text string) []byte { s := sha256.Sum256([]byte(text)); return s[:] }

func TestUserName(t *testing.T) {
	for typed, want := range map[string]string{
		"Nguyen.Van-A_1": "nguyen.van-a_1", "  lan  ": "lan", "0905 123 456": "0905123456", "+84 905.123.456": "0905123456", "0905123456": "0905123456",
		"": "", "ab": "", strings.Repeat("a", 41): "", strings.Repeat("a", 40): strings.Repeat("a", 40), "lan anh": "", "lân": "", "a\x00bc": "", "a\nbc": "",
		".abc": "", "abc-": "", "a@b.vn": "", "\xff\xfe\xfd": "", "ａｂｃ": "", "---": "",
	} {
		got, err := register.UserName(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("UserName(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
}

func TestReservedName(t *testing.T) {
	for name, want := range map[string]bool{"admin": true, "admin1": true, "quan.tri": true, "ubnd-2": true, "lan": false, "administration": false, "0905123456": false} {
		if got := register.ReservedName(name); got != want {
			t.Errorf("ReservedName(%q) = %v", name, got)
		}
	}
}

func TestAccounts(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
		if err := p.AddAccount(ctx, "", &register.Account{Name: "lan"}); !errors.Is(err, qrgate.ErrConflict) {
			p.Errorf("the same name twice: %v", err)
		}
		if err := p.AddAccount(ctx, "", &register.Account{Name: "LAN2"}); !errors.Is(err, qrgate.ErrInvalid) {
			p.Errorf("a name that is not folded: %v", err)
		}
		if err := p.AddAccount(ctx, "", &register.Account{Name: "mai"}, qrgate.Grant{Role: qrgate.Owner, Scope: qrgate.All}); !errors.Is(err, qrgate.ErrInvalid) {
			p.Errorf("a role in a wrong scope: %v", err)
		}
		if _, err := p.AccountNamed(ctx, "mai"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("an account whose role is wrong was added: %v", err)
		}
		if err := p.SetDetails(ctx, a.ID, a.ID, "Lan Anh", "+84905123456"); err != nil {
			p.Fatal(err)
		}
		got, err := p.AccountNamed(ctx, "lan")
		if err != nil {
			p.Fatal(err)
		}
		want := &register.Account{ID: a.ID, Name: "lan", Display: "Lan Anh", Phone: "+84905123456", Password: "hash", Created: p.time()}
		if diff := cmp.Diff(want, got); diff != "" {
			p.Errorf("AccountNamed (-want +got):\n%s", diff)
		}
		if all, err := p.Accounts(ctx); err != nil || len(all) != 1 {
			p.Errorf("Accounts = %v, %v", all, err)
		}
		grants, err := p.Grants(ctx, a.ID)
		if err != nil || len(grants) != 1 || grants[0].Role != qrgate.Administrator {
			p.Errorf("Grants = %v, %v", grants, err)
		}
		if _, err := p.Account(ctx, "nobody"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("Account of nobody: %v", err)
		}
	})
}

func TestPasswordEndsSignIns(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan")
		var ids []string
		for range 3 {
			id, err := p.Begin(ctx, a.ID, "Firefox · Linux", false, p.time().Add(time.Hour))
			if err != nil {
				p.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := p.EndSignIn(ctx, a.ID, ids[2]); err != nil {
			p.Fatal(err)
		}
		if err := p.EndSignIn(ctx, a.ID, ids[2]); err != nil {
			p.Errorf("ending what has ended: %v", err)
		}
		if err := p.SetPassword(ctx, a.ID, a.ID, "another", ids[0]); err != nil {
			p.Fatal(err)
		}
		all, err := p.SignIns(ctx, a.ID)
		if err != nil || len(all) != 1 || all[0].ID != ids[0] {
			p.Errorf("SignIns = %+v, %v, want %s alone", all, err, ids[0])
		}
		if err := p.Rehash(ctx, a.ID, "hash", "wrong"); err != nil {
			p.Fatal(err)
		}
		if got, _ := p.Account(ctx, a.ID); got.Password != "another" {
			p.Errorf("Rehash of an old password replaced the new one: %q", got.Password)
		}
		p.pass(30 * time.Minute)
		p.exec("UPDATE signins SET seen = seen - 7200000")
		if s, err := p.SignedIn(ctx, ids[0]); err != nil || !s.Seen.Equal(p.time()) {
			p.Errorf("SignedIn after a while = %+v, %v", s, err)
		}
		if err := p.EndSignIns(ctx, a.ID, a.ID, ""); err != nil {
			p.Fatal(err)
		}
		if _, err := p.SignedIn(ctx, ids[0]); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("SignedIn after the end: %v", err)
		}
	})
}

func TestSecondFactor(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan")
		id, err := p.Begin(ctx, a.ID, "", false, p.time().Add(time.Hour))
		if err != nil {
			p.Fatal(err)
		}
		if err := p.SetSecond(ctx, a.ID, a.ID, []byte("sealed"), 7, [][]byte{sum("one"), sum("two")}); err != nil {
			p.Fatal(err)
		}
		if err := p.SetSecond(ctx, a.ID, a.ID, []byte("other"), 9, nil); !errors.Is(err, qrgate.ErrConflict) {
			p.Errorf("a second factor in place of another: %v", err)
		}
		if _, err := p.SignedIn(ctx, id); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a sign-in without the factor goes on: %v", err)
		}
		if err := p.UseStep(ctx, a.ID, 8); err != nil {
			p.Error(err)
		}
		if err := p.UseStep(ctx, a.ID, 8); !errors.Is(err, qrgate.ErrConflict) {
			p.Errorf("a step twice: %v", err)
		}
		if err := p.UseRecovery(ctx, a.ID, sum("one")); err != nil {
			p.Error(err)
		}
		if err := p.UseRecovery(ctx, a.ID, sum("one")); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a recovery code twice: %v", err)
		}
		if err := p.RemoveSecond(ctx, a.ID, a.ID); err != nil {
			p.Fatal(err)
		}
		got, err := p.Account(ctx, a.ID)
		left, _ := p.Secrets(ctx, a.ID, register.ForRecovery)
		if err != nil || got.TOTP != nil || len(left) != 0 {
			p.Errorf("after RemoveSecond: %+v, %v codes, %v", got, len(left), err)
		}
	})
}

func TestSecrets(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a, b := p.add("lan"), p.add("mai")
		until := p.time().Add(time.Hour)
		for _, text := range []string{"1", "2", "3", "4"} {
			if err := p.AddSecret(ctx, "", a.ID, register.ForReset, "", sum(text), until); err != nil {
				p.Fatal(err)
			}
			p.pass(time.Minute)
		}
		if _, _, err := p.SecretOf(ctx, register.ForReset, sum("1")); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("the oldest of four links holds: %v", err)
		}
		if _, _, err := p.SecretOf(ctx, register.ForConfirm, sum("4")); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a link of one kind is good for another: %v", err)
		}
		if got, err := p.ResetPassword(ctx, register.ForReset, sum("4"), "fresh"); err != nil || got.ID != a.ID {
			p.Errorf("ResetPassword = %+v, %v", got, err)
		}
		for _, text := range []string{"4", "3"} {
			if _, err := p.ResetPassword(ctx, register.ForReset, sum(text), "again"); !errors.Is(err, qrgate.ErrNotFound) {
				p.Errorf("link %s after the password was set: %v", text, err)
			}
		}
		if err := p.AddSecret(ctx, "", b.ID, register.ForReset, "", sum("5"), p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		p.pass(time.Hour)
		if _, err := p.ResetPassword(ctx, register.ForReset, sum("5"), "late"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a link whose time has gone: %v", err)
		}

		if err := p.AddOneTime(ctx, "", b.ID, sum("once"), true, p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		for range 5 {
			if n, _ := p.Secrets(ctx, b.ID, register.ForOnce); len(n) != 1 {
				p.Fatalf("one-time code ended early")
			}
			if err := p.WrongOnce(ctx, b.ID); err != nil {
				p.Fatal(err)
			}
		}
		if n, _ := p.Secrets(ctx, b.ID, register.ForOnce); len(n) != 0 {
			p.Error("a one-time code outlives five wrong ones")
		}
		if err := p.SetSecond(ctx, b.ID, b.ID, []byte("sealed"), 1, nil); err != nil {
			p.Fatal(err)
		}
		if err := p.AddOneTime(ctx, "", b.ID, sum("twice"), true, p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		if got, err := p.ResetPassword(ctx, register.ForOnce, sum("twice"), "fresh"); err != nil || got.TOTP != nil {
			p.Errorf("a code for the second factor too: %+v, %v", got, err)
		}
		if got, _ := p.Account(ctx, b.ID); got.TOTP != nil || got.Password != "fresh" {
			p.Errorf("account after it: %+v", got)
		}
		p.exec("UPDATE accounts SET state = 2 WHERE id = ?", b.ID)
		if err := p.AddSecret(ctx, "", b.ID, register.ForReset, "", sum("6"), p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		if _, err := p.ResetPassword(ctx, register.ForReset, sum("6"), "x"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a blocked account gets a password: %v", err)
		}
	})
}

func TestConfirm(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan")
		if err := p.AddSecret(ctx, a.ID, a.ID, register.ForConfirm, "lan@example.vn", sum("a"), p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		if _, err := p.AccountsAt(ctx, "lan@example.vn"); err != nil {
			p.Fatal(err)
		}
		before, email, err := p.Confirm(ctx, sum("a"))
		if err != nil || before.Email != "" || email != "lan@example.vn" {
			p.Errorf("Confirm = %+v, %q, %v", before, email, err)
		}
		if all, err := p.AccountsAt(ctx, "lan@example.vn"); err != nil || len(all) != 1 {
			p.Errorf("AccountsAt = %v, %v", all, err)
		}
		if _, _, err := p.Confirm(ctx, sum("a")); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("Confirm twice: %v", err)
		}
		if err := p.RemoveEmail(ctx, a.ID, a.ID); err != nil {
			p.Fatal(err)
		}
		if all, _ := p.AccountsAt(ctx, "lan@example.vn"); len(all) != 0 {
			p.Error("the address is still there")
		}
	})
}

// Whoever had the password or the mailbox for a while must not get the account back by
// a link that they asked for then.
func TestLinksEndWithWhatTheyRestOn(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan")
		until := p.time().Add(time.Hour)
		ask := func(kind register.SecretKind, address, text string) {
			if err := p.AddSecret(ctx, a.ID, a.ID, kind, address, sum(text), until); err != nil {
				p.Fatal(err)
			}
		}
		holds := func(kind register.SecretKind, text string) bool {
			_, _, err := p.SecretOf(ctx, kind, sum(text))
			if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
				p.Fatal(err)
			}
			return err == nil
		}
		ask(register.ForConfirm, "lan@example.vn", "own")
		if _, _, err := p.Confirm(ctx, sum("own")); err != nil {
			p.Fatal(err)
		}
		ask(register.ForConfirm, "lan@example.vn", "own again")
		ask(register.ForConfirm, "thief@example.vn", "thief")
		if err := p.SetPassword(ctx, a.ID, a.ID, "fresh", ""); err != nil {
			p.Fatal(err)
		}
		if holds(register.ForConfirm, "thief") {
			p.Error("who knew the old password may still confirm an address of their own")
		}
		if !holds(register.ForConfirm, "own again") {
			p.Error("the account's own address cannot be confirmed after a password was set")
		}
		ask(register.ForReset, "", "reset")
		if err := p.RemoveEmail(ctx, a.ID, a.ID); err != nil {
			p.Fatal(err)
		}
		if holds(register.ForReset, "reset") || holds(register.ForConfirm, "own again") {
			p.Error("a link that went to an address outlives it")
		}
		ask(register.ForConfirm, "thief@example.vn", "before")
		ask(register.ForReset, "", "reset too")
		ask(register.ForOnce, "", "code")
		root := &register.Account{Name: "quan.tri"}
		if err := p.AddAccount(ctx, "", root, qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All}); err != nil {
			p.Fatal(err)
		}
		if err := p.Block(ctx, root.ID, a.ID, true); err != nil {
			p.Fatal(err)
		}
		if _, _, err := p.Confirm(ctx, sum("before")); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("a blocked account gets an address: %v", err)
		}
		if holds(register.ForReset, "reset too") || holds(register.ForOnce, "code") {
			p.Error("what a blocked account was sent counts once it is let in again")
		}
		if err := p.RemoveEmail(ctx, "", "nobody"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("RemoveEmail(nobody) = %v", err)
		}
	})
}

func TestOutsideAccounts(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a := p.add("lan")
		if err := p.Link(ctx, a.ID, "https://id.example", "1"); err != nil {
			p.Fatal(err)
		}
		if err := p.Link(ctx, a.ID, "https://id.example", "1"); !errors.Is(err, qrgate.ErrConflict) {
			p.Errorf("Link twice: %v", err)
		}
		if got, err := p.AccountLinked(ctx, "https://id.example", "1"); err != nil || got.ID != a.ID {
			p.Errorf("Linked = %+v, %v", got, err)
		}
		if _, err := p.AccountLinked(ctx, "https://other.example", "1"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("the same subject elsewhere: %v", err)
		}
		b := &register.Account{Name: "ids-1", Display: "Mai"}
		if err := p.AddLinked(ctx, b, "https://id.example", "2"); err != nil {
			p.Fatal(err)
		}
		if err := p.AddLinked(ctx, &register.Account{Name: "ids-2"}, "https://id.example", "2"); !errors.Is(err, qrgate.ErrConflict) {
			p.Errorf("two accounts of one: %v", err)
		}
		if err := p.Unlink(ctx, b.ID, "https://id.example", "2"); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("an account without a way in: %v", err)
		}
		if err := p.Unlink(ctx, a.ID, "https://id.example", "1"); err != nil {
			p.Error(err)
		}
		if all, err := p.Outsides(ctx, a.ID); err != nil || len(all) != 0 {
			p.Errorf("Outsides = %v, %v", all, err)
		}
	})
}

func TestDeleteAccount(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		in := func(id string) qrgate.Scope { return qrgate.Scope{Kind: qrgate.InOrganisation, ID: id} }
		for _, id := range []string{"market", "empty"} {
			p.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, '', '', '', 0)", id, id, id)
		}
		a := p.add("lan", qrgate.Grant{Role: qrgate.Owner, Scope: in("market")}, qrgate.Grant{Role: qrgate.Owner, Scope: in("empty")})
		if err := p.AddPlace(ctx, a.ID, &qrgate.Place{Organisation: "market", Name: "Chợ"}); err != nil {
			p.Fatal(err)
		}
		if err := p.DeleteAccount(ctx, a.ID, a.ID); !errors.Is(err, register.ErrLastOwner) {
			p.Errorf("the last owner: %v", err)
		}
		if names, err := p.SoleOwner(ctx, a.ID); err != nil || !cmp.Equal(names, []string{"market"}) {
			p.Errorf("SoleOwner = %v, %v", names, err)
		}
		b := p.add("mai", qrgate.Grant{Role: qrgate.Owner, Scope: in("market")}, qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
		if _, err := p.Begin(ctx, a.ID, "", false, p.time().Add(time.Hour)); err != nil {
			p.Fatal(err)
		}
		if err := p.DeleteAccount(ctx, a.ID, a.ID); err != nil {
			p.Fatal(err)
		}
		if _, err := p.Account(ctx, a.ID); !errors.Is(err, qrgate.ErrNotFound) {
			p.Errorf("after DeleteAccount: %v", err)
		}
		if err := p.DeleteAccount(ctx, b.ID, b.ID); !errors.Is(err, register.ErrLastOwner) {
			p.Errorf("who is now the last owner: %v", err)
		}
		p.add("hoa", qrgate.Grant{Role: qrgate.Owner, Scope: in("market")})
		if err := p.DeleteAccount(ctx, b.ID, b.ID); !errors.Is(err, register.ErrLastAdministrator) {
			p.Errorf("the last administrator: %v", err)
		}
	})
}

func TestBeyond(t *testing.T) {
	eachPeople(t, func(p *people) {
		ctx := p.Context()
		a, staff, free := p.add("lan"), p.add("hoa"), p.add("mai")
		org := p.organisation(a.ID, "Chợ")
		p.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, 'staff', ?, ?, 0)", staff.ID, "organisation:"+org, a.ID)
		here, there := register.Within{Areas: []string{"1@2025-07-01"}}, register.Within{Areas: []string{"2@2025-07-01"}}
		both := register.Within{Areas: slices.Concat(here.Areas, there.Areas)}
		named := register.Within{Organisations: []string{org}}
		wants := func(who string, w register.Within, want bool) {
			p.Helper()
			if got, err := p.Beyond(ctx, w, who); err != nil || got != want {
				p.Errorf("Beyond(%+v, %s) = %v, %v, want %v", w, who, got, err, want)
			}
		}
		add := func(name, area string) *qrgate.Place {
			p.Helper()
			place := &qrgate.Place{Organisation: org, Name: name, Sector: "trade", AreaNow: area}
			if err := p.AddPlace(ctx, a.ID, place); err != nil {
				p.Fatal(err)
			}
			return place
		}
		// Nobody knows yet in whose area it will have places.
		wants(a.ID, here, true)
		wants(staff.ID, named, false)
		wants(a.ID, register.Within{All: true}, false)

		add("Cổng", "1@2025-07-01")
		wants(a.ID, here, false)
		wants(a.ID, there, true)
		wants(a.ID, register.Within{}, true)
		wants(a.ID, register.Within{Sectors: []string{"trade"}}, false)
		wants(free.ID, there, false)

		// One place of a chain is not all of it.
		far := add("Chi nhánh", "2@2025-07-01")
		for _, who := range []string{a.ID, staff.ID} {
			wants(who, here, true)
			wants(who, there, true)
			wants(who, both, false)
		}
		if err := p.DeletePlace(ctx, a.ID, far.No, far.Version); err != nil {
			p.Fatal(err)
		}
		wants(a.ID, here, false)

		// Who is held within the organisation may do less there than its owner.
		wants(staff.ID, named, false)
		wants(a.ID, named, true)
		wants(a.ID, register.Within{Organisations: named.Organisations, Areas: here.Areas}, false)
	})
}
