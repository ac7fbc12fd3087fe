package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestMine(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	b.wants(b.post("/tai-khoan", "account_display", "", "account_phone", "x"), 422, "Xin xem lại 2 chỗ")
	b.wants(b.post("/tai-khoan", "account_display", "Nguyễn Thị Lan", "account_phone", "0905 123 456"), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, `value="0905 123 456"`)
	for _, path := range []string{"", "/mat-khau", "/thu", "/ma-khoi-phuc", "/xoa"} {
		b.wants(b.get("/tai-khoan"+path), 200, "</h1>")
		c := w.browser()
		c.wants(c.get("/tai-khoan"+path), 303, "/dang-nhap?ve=%2Ftai-khoan"+strings.ReplaceAll(path, "/", "%2F"))
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	w.confirmed(w.account("lan"), "lan@example.vn")
	b, other := w.browser().in("lan"), w.browser().in("lan")
	b.wants(b.post("/tai-khoan/mat-khau", "account_password", "wrong", "account_new_password", "mật khẩu hoàn toàn mới"), 422, "Mật khẩu chưa đúng")
	b.wants(b.post("/tai-khoan/mat-khau", "account_password", goodPassword, "account_new_password", "lan@example.vn"), 422, "dễ bị đoán")
	b.wants(b.post("/tai-khoan/mat-khau", "account_password", goodPassword, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "Đã đổi mật khẩu")
	other.wants(other.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	if told := w.box.take(); len(told) != 1 || told[0].To != "lan@example.vn" {
		t.Errorf("letters = %+v", told)
	}
	// Who stands before a screen that was left open does not guess it either.
	limited := 0
	for range 12 {
		if a := b.post("/tai-khoan/mat-khau", "account_password", "wrong", "account_new_password", "mật khẩu hoàn toàn khác"); a.status == 429 {
			limited++
		}
	}
	if limited == 0 {
		t.Error("twelve passwords were tried")
	}
}

func TestChangeEmail(t *testing.T) {
	w := newWorld(t)
	w.confirmed(w.account("lan"), "old@example.vn")
	b := w.browser().in("lan")
	b.wants(b.post("/tai-khoan/thu", "account_email", "new@example.vn"), 422, "Mật khẩu chưa đúng")
	b.wants(b.post("/tai-khoan/thu", "account_email", "new@", "account_password", goodPassword), 422, "chưa đúng")
	b.wants(b.post("/tai-khoan/thu", "account_email", "new@example.vn", "account_password", goodPassword), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "old@example.vn") // until the other is confirmed
	letters := w.box.take()
	if len(letters) != 1 || letters[0].To != "new@example.vn" {
		t.Fatalf("letters = %+v", letters)
	}
	_, token, _ := strings.Cut(w.linkIn(letters[0]), "ma=")
	b.wants(b.post("/xac-nhan", "ma", token), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "new@example.vn")
	if told := w.box.take(); len(told) != 1 || told[0].To != "old@example.vn" {
		t.Errorf("the old address is told %+v", told)
	}
	b.wants(b.post("/tai-khoan/thu", "account_email", "", "account_password", goodPassword), 303, "/tai-khoan")
	if told := w.box.take(); len(told) != 1 || told[0].To != "new@example.vn" {
		t.Errorf("the address that was taken away is told %+v", told)
	}
}

func TestWithoutMail(t *testing.T) {
	w := newWorld(t, func(_ *world, o *account.Options) { o.Mail = nil })
	w.account("lan")
	b := w.browser()
	a := b.wants(b.get("/quen-mat-khau"), 200, "Dùng mã")
	if strings.Contains(a.body, "Gửi thư") {
		t.Error("a server without mail offers letters")
	}
	b.wants(b.post("/quen-mat-khau", "cach", "thu", "account_who", "lan"), 400, "")
	b.in("lan")
	b.wants(b.get("/tai-khoan/thu"), 200, "không gửi thư")
	b.wants(b.post("/tai-khoan/thu", "account_email", "a@example.vn", "account_password", goodPassword), 400, "")
}

func TestSignIns(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	w.account("hoanganh")
	b, other, third := w.browser().in("lan"), w.browser().in("lan"), w.browser().in("lan")
	stranger := w.browser().in("hoanganh")
	body := b.wants(b.get("/tai-khoan"), 200, "Firefox · Linux").body
	if n := strings.Count(body, "(nơi này)"); n != 1 || strings.Count(body, `name="id"`) != 3 {
		t.Errorf("%d sign-ins are here", n)
	}
	var id string
	for _, part := range strings.Split(body, `name="id" value="`)[1:] {
		if row, _, _ := strings.Cut(part, `"`); !strings.Contains(strings.Split(body, row)[0], "(nơi này)") || id == "" {
			id = row
		}
	}
	stranger.wants(stranger.post("/tai-khoan/dang-nhap", "id", id), 303, "/tai-khoan")
	if n := strings.Count(b.get("/tai-khoan").body, `name="id"`); n != 3 {
		t.Errorf("somebody else ended a sign-in: %d are left", n)
	}
	// PostgreSQL takes no such text, and the page told of a fault of the server.
	for _, id := range []string{strings.Repeat("x", 1000), "\x00", "\xff"} {
		stranger.wants(stranger.post("/tai-khoan/dang-nhap", "id", id), 400, "")
	}
	b.wants(b.post("/tai-khoan/dang-nhap"), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "Đã đăng xuất")
	for _, o := range []*visitor{other, third} {
		o.wants(o.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	}
	own := b.find(b.get("/tai-khoan").body, `name="id" value="([^"]+)"`)
	b.wants(b.post("/tai-khoan/dang-nhap", "id", own), 303, "/")
	b.wants(b.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
}

func TestDeletion(t *testing.T) {
	w := newWorld(t)
	lan := w.account("lan")
	o := register.Organisation{Name: "Chợ Đông Ba", Sector: "trade", Phone: "+84905123456"}
	if err := w.reg.AddOrganisation(t.Context(), lan.ID, &o); err != nil {
		t.Fatal(err)
	}
	if err := w.reg.AddPlace(t.Context(), lan.ID, &qrgate.Place{Organisation: o.ID, Name: "Cổng chợ", Sector: "trade"}); err != nil {
		t.Fatal(err)
	}
	b := w.browser().in("lan")
	b.wants(b.get("/tai-khoan/xoa"), 200, "Chợ Đông Ba")
	b.wants(b.post("/tai-khoan/xoa", "account_password", goodPassword), 409, "Chợ Đông Ba")

	w.account("chief", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	c := w.browser().in("chief")
	c.wants(c.post("/tai-khoan/xoa", "account_password", goodPassword), 409, "quản trị viên duy nhất")

	w.account("hoanganh")
	d := w.browser().in("hoanganh")
	d.wants(d.post("/tai-khoan/xoa", "account_password", "wrong"), 422, "Mật khẩu chưa đúng")
	d.wants(d.post("/tai-khoan/xoa", "account_password", goodPassword), 303, "/")
	d.wants(d.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	d.wants(d.signIn("hoanganh", goodPassword), 422, "chưa đúng")
}

// Who has no password shows that it is them by having signed in just now.
func TestAccountWithoutPassword(t *testing.T) {
	w := newWorld(t)
	a := w.account("lan")
	b := w.browser().in("lan")
	if err := w.reg.SetPassword(t.Context(), "", a.ID, "", b.signInID(a.ID)); err != nil {
		t.Fatal(err)
	}
	b.wants(b.get("/tai-khoan"), 200, "Chưa đặt")
	w.pass(11 * time.Minute)
	b.wants(b.post("/tai-khoan/mat-khau", "account_new_password", "mật khẩu hoàn toàn mới"), 422, "đăng nhập lại")
	b.wants(b.signIn("lan", ""), 422, "")
	b.wants(b.signIn("lan", goodPassword), 422, "chưa đúng")
}

func (w *world) signInID(account string) string {
	w.t.Helper()
	all, err := w.reg.SignIns(w.t.Context(), account)
	if err != nil || len(all) == 0 {
		w.t.Fatalf("SignIns = %v, %v", all, err)
	}
	return all[0].ID
}
