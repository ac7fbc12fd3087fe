package account_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestRegister(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.wants(b.get("/dang-ky"), 200, "Đăng ký")
	for _, tt := range []struct {
		name, password, display, email, phone, want string
	}{
		{"", "", "", "", "", "Xin xem lại 3 chỗ"},
		{"lân", goodPassword, "Lân", "", "", "từ 3 đến 40 ký tự"},
		{"admin", goodPassword, "Lân", "", "", "đã có người dùng"},
		{"lan", "zq#9", "Lân", "", "", "ít nhất 8 ký tự"},
		{"lan", "12345678", "Lân", "", "", "dễ bị đoán"},
		{"lan.nguyen", "Lan.Nguyen", "Lân", "", "", "dễ bị đoán"},
		{"lan", goodPassword, "Lân", "lan", "", "Địa chỉ thư điện tử chưa đúng"},
		{"lan", goodPassword, "Lân", "a@b.vn\r\nBcc: c@d.vn", "", "Có ký tự không dùng được"},
		{"lan", goodPassword, "Lân", "", "12", "Số điện thoại chưa đúng"},
		{"lan", goodPassword, "\xff", "", "", "Có ký tự không dùng được"},
	} {
		a := b.post("/dang-ky", "account_name", tt.name, "account_new_password", tt.password, "account_display", tt.display, "account_email", tt.email, "account_phone", tt.phone)
		b.wants(a, 422, tt.want)
		if tt.password != "" && strings.Contains(a.body, tt.password) {
			t.Errorf("the password comes back: %q", tt)
		}
		if tt.email == "lan" && !strings.Contains(a.body, `value="lan"`) {
			t.Error("what was typed is gone")
		}
	}
	b.wants(b.post("/dang-ky", "account_name", "0905 123 456", "account_new_password", goodPassword, "account_display", "Lân", "account_email", "lan@example.vn", "account_phone", "0905 123 456"), 303, "/to-chuc/moi")
	b.wants(b.get("/tai-khoan"), 200, "Tên đăng nhập là 0905123456")
	letters := w.box.take()
	if len(letters) != 1 || letters[0].To != "lan@example.vn" {
		t.Fatalf("letters = %+v", letters)
	}
	c := w.browser()
	c.wants(c.post("/dang-ky", "account_name", "+84905123456", "account_new_password", goodPassword, "account_display", "Mai"), 422, "đã có người dùng")
	// A mail program looks at the link before its reader does.
	link := w.linkIn(letters[0])
	for range 2 {
		c.wants(c.get(link), 200, "Bấm nút để xác nhận")
	}
	_, token, _ := strings.Cut(link, "ma=")
	c.wants(c.post("/xac-nhan", "ma", token), 303, "/tai-khoan")
	c.wants(c.post("/xac-nhan", "ma", token), 404, "không còn dùng được")
	b.wants(b.get("/tai-khoan"), 200, "đã xác nhận")
}

func TestRegisterIsFewToEachNetwork(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser()
	for range 50 {
		a := b.post("/dang-ky", "account_name", "lan", "account_new_password", goodPassword, "account_display", "Lân")
		if a.status == 429 {
			b.wants(a, 429, "Xin chờ")
			return
		}
	}
	t.Error("fifty names were tried")
}

// A telephone number is one name in many spellings, and each had letters of its
// own until the limit.
func TestForgotIsFewToEachAccount(t *testing.T) {
	w := newWorld(t)
	w.confirmed(w.account("0905123456"), "lan@example.vn")
	b := w.browser()
	for _, name := range []string{"0905123456", "0905 123 456", "0905.123.456", "0905-123-456", "+84905123456", "+84 905 123 456", "lan@example.vn", "LAN@example.vn"} {
		b.wants(b.post("/quen-mat-khau", "cach", "thu", "account_who", name), 200, "")
	}
	if letters := w.box.take(); len(letters) != 3 {
		t.Errorf("%d letters, want 3", len(letters))
	}
}

// Whoever makes accounts with a stranger's address does not fill their letterbox.
func TestConfirmIsFewToEachAddress(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"mot", "hai", "ba.ba", "bon", "nam"} {
		b := w.browser()
		b.wants(b.post("/dang-ky", "account_name", name, "account_new_password", goodPassword, "account_display", "Lân", "account_email", "Stranger@example.vn"), 303, "/to-chuc/moi")
	}
	if letters := w.box.take(); len(letters) != 3 {
		t.Errorf("%d letters, want 3", len(letters))
	}
	w.account("lan")
	b := w.browser().in("lan")
	b.wants(b.post("/tai-khoan/thu", "account_email", "stranger@example.vn", "account_password", goodPassword), 429, "Xin chờ")
}

// Whether there is an account is not told to who says that the password is
// forgotten.
func TestForgotTellsNothing(t *testing.T) {
	w := newWorld(t)
	w.confirmed(w.account("lan"), "lan@example.vn")
	w.account("hoanganh")
	said := map[string]string{}
	for _, who := range []string{"lan", "lan@example.vn", "hoanganh", "nobody", "nobody@example.vn", "không phải tên", "@", "..."} {
		a := w.browser().post("/quen-mat-khau", "cach", "thu", "account_who", who)
		if a.status != 200 {
			t.Errorf("%s: %d", who, a.status)
		}
		said[who] = main(a.body)
		if diff := cmp.Diff(said["lan"], said[who]); diff != "" {
			t.Errorf("what is said to lan and to %s: %s", who, diff)
		}
	}
	if letters := w.box.take(); len(letters) != 2 {
		t.Errorf("%d letters, want one for each way that lan was named", len(letters))
	}
	var limited answer
	for range 4 {
		limited = w.browser().post("/quen-mat-khau", "cach", "thu", "account_who", "nobody")
	}
	if limited.status != 429 || limited.header.Get("Retry-After") == "" {
		t.Errorf("the fifth letter within a minute: %d", limited.status)
	}
}

// The limit of a network, too, counts everybody alike: whoever counts how many tries
// are left learns nothing, and the last one of a full network has a letter.
func TestForgotCountsEverybodyAlike(t *testing.T) {
	w := newWorld(t)
	w.confirmed(w.account("lan"), "lan@example.vn")
	b := w.browser()
	ask := func(who string) int { return b.post("/quen-mat-khau", "cach", "thu", "account_who", who).status }
	if status := ask("lan"); status != 200 {
		t.Fatalf("the first: %d", status)
	}
	for i := range 58 {
		if status := ask(fmt.Sprint("nobody", i)); status != 200 {
			t.Fatalf("try %d: %d", i+2, status)
		}
	}
	if status := ask("lan@example.vn"); status != 200 {
		t.Errorf("the sixtieth: %d", status)
	}
	if letters := w.box.take(); len(letters) != 2 {
		t.Errorf("%d letters, want the last one too", len(letters))
	}
	if status := ask("nobody"); status != 429 {
		t.Errorf("one too many: %d", status)
	}
}

func TestForgotTakesAsLong(t *testing.T) {
	const floor = 300 * time.Millisecond
	w := newWorld(t, func(_ *world, o *account.Options) { o.Floor = floor })
	w.confirmed(w.account("lan"), "lan@example.vn")
	for _, who := range []string{"lan", "nobody"} {
		began := time.Now()
		w.browser().post("/quen-mat-khau", "cach", "thu", "account_who", who)
		if took := time.Since(began); took < floor {
			t.Errorf("the answer about %s took %v", who, took)
		}
	}
}

func TestResetByLink(t *testing.T) {
	w := newWorld(t)
	a := w.account("lan")
	w.confirmed(a, "lan@example.vn")
	signedIn := w.browser().in("lan")
	b := w.browser()
	b.post("/quen-mat-khau", "cach", "thu", "account_who", "lan@example.vn")
	letters := w.box.take()
	if len(letters) != 1 || !strings.Contains(letters[0].Subject, "Đặt mật khẩu mới / Choose") {
		t.Fatalf("letters = %+v", letters)
	}
	link := w.linkIn(letters[0])
	_, token, _ := strings.Cut(link, "ma=")
	b.wants(b.get(link), 200, "tài khoản lan")
	b.wants(b.post("/dat-lai-mat-khau", "ma", token, "account_new_password", "12345678"), 422, "dễ bị đoán")
	b.wants(b.post("/dat-lai-mat-khau", "ma", token, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap")
	b.wants(b.get("/dang-nhap"), 200, "Đã đặt mật khẩu mới")
	signedIn.wants(signedIn.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	b.wants(b.signIn("lan", goodPassword), 422, "chưa đúng")
	b.wants(b.signIn("lan", "mật khẩu hoàn toàn mới"), 303, "/")
	b.wants(b.get(link), 404, "không còn dùng được")
	b.wants(b.post("/dat-lai-mat-khau", "ma", token, "account_new_password", goodPassword), 404, "không còn dùng được")
	if told := w.box.take(); len(told) != 1 || !strings.Contains(told[0].Subject, "Mật khẩu đã đổi") {
		t.Errorf("letters after it = %+v", told)
	}
	for _, token := range []string{"", "x", strings.Repeat("a", 4000), "\x00", "%%%"} {
		b.wants(b.post("/dat-lai-mat-khau", "ma", token, "account_new_password", goodPassword), 404, "không còn dùng được")
	}
	b.wants(b.get("/xac-nhan?ma="+token), 404, "không còn dùng được") // a link for something else

	b.post("/quen-mat-khau", "cach", "thu", "account_who", "lan")
	link = w.linkIn(w.box.take()[0])
	w.pass(time.Hour)
	b.wants(b.get(link), 404, "không còn dùng được")
}

func TestResetByRecoveryCode(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	b.wants(b.post("/tai-khoan/ma-khoi-phuc", "account_password", "wrong"), 422, "Mật khẩu chưa đúng")
	page := b.wants(b.post("/tai-khoan/ma-khoi-phuc", "account_password", goodPassword), 200, "chỉ hiện một lần").body
	code := b.find(page, `<li><code>([^<]+)</code>`)
	c := w.browser()
	said := main(c.wants(c.post("/quen-mat-khau", "cach", "ma", "account_name", "nobody", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng").body)
	wrong := main(c.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", "CCCC-CCCC-CCCC-CCCC", "account_new_password", "mật khẩu hoàn toàn mới").body)
	if said != wrong {
		t.Errorf("nobody is told %s, lan %s", said, wrong)
	}
	c.wants(c.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap")
	c.wants(c.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng")
	c.wants(c.signIn("lan", "mật khẩu hoàn toàn mới"), 303, "/")
	c.wants(c.post("/quen-mat-khau", "cach", "khac"), 400, "")

	// With a second factor a sheet of paper is not both factors.
	w.account("hoanganh")
	d := w.browser().in("hoanganh")
	_, recovery := d.secondOn()
	c.wants(c.post("/quen-mat-khau", "cach", "ma", "account_name", "hoanganh", "account_code", recovery[0], "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng")
}

// area of Phường Phú Xuân.
const phuXuan = "19753@2025-07-01"

func TestOneTimeCode(t *testing.T) {
	w := newWorld(t)
	area := qrgate.Scope{Kind: qrgate.InArea, ID: phuXuan}
	w.account("officer", qrgate.Grant{Role: qrgate.AreaOfficer, Scope: area})
	w.account("chief", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	w.account("reporter", qrgate.Grant{Role: qrgate.Reporter, Scope: qrgate.All})
	lan := w.account("lan")
	w.confirmed(lan, "lan@example.vn")
	stranger := w.browser().in("lan")
	stranger.wants(stranger.get("/ho-tro/ma-mot-lan"), 403, "")

	o := w.browser().in("officer")
	o.wants(o.get("/ho-tro/ma-mot-lan"), 303, "/dang-nhap/xac-thuc?ve=%2Fho-tro%2Fma-mot-lan")
	o.secondOn()
	o.wants(o.get("/ho-tro/ma-mot-lan"), 200, "Tạo mã")
	for name, want := range map[string]string{
		"": "Xin điền", "nobody": "Không có tài khoản", "officer": "chính mình", "reporter": "Chỉ quản trị viên", "chief": "Chỉ quản trị viên", "\xff": "ký tự",
	} {
		o.wants(o.post("/ho-tro/ma-mot-lan", "account_name", name), 422, want)
	}
	made := o.wants(o.post("/ho-tro/ma-mot-lan", "account_name", "LAN", "account_lost_second", "1"), 200, "Mã cho Display of lan")
	code := o.find(made.body, `class="big"><code>([^<]+)</code>`)
	if told := w.box.take(); len(told) != 1 || told[0].To != "lan@example.vn" {
		t.Errorf("lan is told %+v", told)
	}
	b := w.browser()
	b.wants(b.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap")
	b.wants(b.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng")
	b.wants(b.signIn("lan", "mật khẩu hoàn toàn mới"), 303, "/")

	// A code ends after some minutes, and after some wrong ones.
	code = o.find(o.post("/ho-tro/ma-mot-lan", "account_name", "lan").body, `class="big"><code>([^<]+)</code>`)
	w.pass(16 * time.Minute)
	b.wants(b.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng")
	w.pass(time.Hour)
	code = o.find(o.post("/ho-tro/ma-mot-lan", "account_name", "lan").body, `class="big"><code>([^<]+)</code>`)
	for range 5 {
		b.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", "CCCC-CCCC", "account_new_password", "mật khẩu hoàn toàn mới")
	}
	b.wants(b.post("/quen-mat-khau", "cach", "ma", "account_name", "lan", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 422, "mã chưa đúng")

	// An administrator helps who holds a role and lost the phone too.
	r := w.browser().in("reporter")
	r.secondOn()
	c := w.browser().in("chief")
	c.secondOn()
	code = c.find(c.post("/ho-tro/ma-mot-lan", "account_name", "reporter", "account_lost_second", "1").body, `class="big"><code>([^<]+)</code>`)
	b.wants(b.post("/quen-mat-khau", "cach", "ma", "account_name", "reporter", "account_code", code, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap")
	b.wants(b.signIn("reporter", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap/xac-thuc?ve=%2F")
	b.wants(b.get("/dang-nhap/xac-thuc"), 200, "Vai trò của bạn")
}

// Who helps with a password could sign in with it, so it is only of those who may
// do nothing that the helper is not in charge of.
func TestOneTimeCodeOfAChain(t *testing.T) {
	w := newWorld(t)
	w.account("officer", qrgate.Grant{Role: qrgate.AreaOfficer, Scope: qrgate.Scope{Kind: qrgate.InArea, ID: phuXuan}})
	owner, staff := w.account("owner"), w.account("staff")
	chain := &register.Organisation{Name: "Chuỗi nhà thuốc", Sector: "health", Phone: "+84905123456"}
	if err := w.reg.AddOrganisation(t.Context(), owner.ID, chain); err != nil {
		t.Fatal(err)
	}
	within := qrgate.Scope{Kind: qrgate.InOrganisation, ID: chain.ID}
	w.account("clerk", qrgate.Grant{Role: qrgate.Clerk, Scope: within})
	if err := w.reg.GiveRole(t.Context(), owner.ID, staff.ID, qrgate.Grant{Role: qrgate.Staff, Scope: within}); err != nil {
		t.Fatal(err)
	}
	opened := func(area string) {
		t.Helper()
		p := &qrgate.Place{Organisation: chain.ID, Name: "Nhà thuốc", Sector: "health", Area: area, AreaNow: area}
		if err := w.reg.AddPlace(t.Context(), owner.ID, p); err != nil {
			t.Fatal(err)
		}
	}
	officer, clerk := w.browser().in("officer"), w.browser().in("clerk")
	officer.secondOn()
	clerk.secondOn()
	const made, elsewhere = "Mã cho Display of", "Chỉ quản trị viên"
	refused := func(b *visitor, name, why string) {
		t.Helper()
		a := b.wants(b.post("/ho-tro/ma-mot-lan", "account_name", name), 422, why)
		if strings.Contains(a.body, made) {
			t.Errorf("a code for %s all the same", name)
		}
	}
	refused(officer, "owner", elsewhere) // it has no place yet
	opened(phuXuan)
	officer.wants(officer.post("/ho-tro/ma-mot-lan", "account_name", "owner"), 200, made)
	opened("19774@2025-07-01")
	refused(officer, "owner", elsewhere)
	refused(officer, "staff", elsewhere)
	refused(clerk, "owner", "chủ của tổ chức mà bạn chỉ cấp thẻ")
	clerk.wants(clerk.post("/ho-tro/ma-mot-lan", "account_name", "staff"), 200, made)
}
