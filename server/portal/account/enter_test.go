package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
)

// The labels that the letter fixes.
func TestSignInPage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	a := b.wants(b.get("/dang-nhap?ve=/dia-diem"), 200, "Đăng nhập")
	for _, want := range []string{
		`>Tên đăng nhập</label>`, `>Mật khẩu</label>`, `>Nhớ tôi</label>`, `>ĐĂNG NHẬP</button>`, `<a href="/dang-ky">Đăng ký</a>`,
		`<a href="/quen-mat-khau">Bạn quên mật khẩu?</a>`, `value="/dia-diem"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page to sign in lacks %s", want)
		}
	}
	b.wants(b.get("/dang-nhap?ve=//evil.example"), 200, `name="ve" value="/"`)
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	a := w.account("lan")
	b := w.browser()
	b.wants(b.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	before := b.cookie()
	b.wants(b.signIn("LAN ", goodPassword, "ve", "/tai-khoan"), 303, "/tai-khoan")
	if after := b.cookie(); after == "" || after == before {
		t.Errorf("the session kept its name: %q", after)
	}
	b.wants(b.get("/tai-khoan"), 200, a.Display)
	b.wants(b.get("/dang-nhap?ve=/tai-khoan"), 303, "/tai-khoan")
	session := b.cookie()
	b.wants(b.post("/dang-xuat"), 303, "/")
	b.wants(b.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	// Neither does the old cookie work.
	thief := w.browser()
	thief.setCookie(session)
	thief.wants(thief.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
}

func TestRemember(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	short, long := w.browser(), w.browser()
	a := short.signIn("lan", goodPassword)
	if c := a.header.Get("Set-Cookie"); strings.Contains(c, "Expires") || strings.Contains(c, "Max-Age") || !strings.Contains(c, "HttpOnly") {
		t.Errorf("cookie of who is not to be remembered: %s", c)
	}
	a = long.signIn("lan", goodPassword, "account_remember", "1")
	if c := a.header.Get("Set-Cookie"); !strings.Contains(c, "Expires") {
		t.Errorf("cookie of who is to be remembered: %s", c)
	}
	w.pass(13 * time.Hour)
	short.wants(short.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	long.wants(long.get("/tai-khoan"), 200, "Tài khoản của tôi")
}

// What is said of a wrong password and of nobody is letter by letter the same.
func TestNobodyIsToldWhoExists(t *testing.T) {
	w := newWorld(t)
	w.account("chief", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	w.account("lan")
	blocked := w.account("quangtrung")
	if err := w.reg.Block(t.Context(), "", blocked.ID, true); err != nil {
		t.Fatal(err)
	}
	said := func(name string) (all []string) {
		b := w.browser()
		for range 12 {
			a := b.signIn(name, "wrong password")
			all = append(all, strings.ReplaceAll(main(a.body), name, "NAME"), a.header.Get("Retry-After"))
			if a.status != 422 && a.status != 429 {
				t.Errorf("%s: %d", name, a.status)
			}
		}
		return all
	}
	want := said("nobody")
	for _, name := range []string{"lan", "quangtrung"} {
		if diff := cmp.Diff(want, said(name)); diff != "" {
			t.Errorf("what is said of nobody and of %s (-nobody +%s):\n%s", name, name, diff)
		}
	}
	if last := want[len(want)-1]; last == "" || want[0] == want[len(want)-2] {
		t.Errorf("after twelve tries: Retry-After %q, said %q", last, want[len(want)-2])
	}
	// Not even the right password gets in until the time is over.
	b := w.browser()
	b.wants(b.signIn("lan", goodPassword), 429, "Xin chờ")
	w.pass(2 * time.Minute)
	b.wants(b.signIn("lan", goodPassword), 303, "/")
	b.wants(w.browser().signIn("quangtrung", goodPassword), 422, "đang bị khóa")
}

func TestBlockedIsOut(t *testing.T) {
	w := newWorld(t)
	w.account("chief", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	a := w.account("lan")
	b := w.browser().in("lan")
	if err := w.reg.Block(t.Context(), "", a.ID, true); err != nil {
		t.Fatal(err)
	}
	b.wants(b.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
}

func TestLanguage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.wants(b.post("/ngon-ngu", "lang", "en", "ve", "/dang-nhap"), 303, "/dang-nhap")
	b.wants(b.get("/dang-nhap"), 200, "Forgot your password?")
	b.wants(b.post("/ngon-ngu", "lang", "xx"), 400, "")
	b.wants(b.post("/ngon-ngu", "lang", "vi", "ve", "https://evil.example"), 303, "/")
}

func TestHostileSignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, name := range []string{"", "\x00", "\xff\xfe", "a\r\nSet-Cookie: x=1", strings.Repeat("a", 50_000), "' OR 1=1 --", "ＬＡＮ", "\u202elan"} {
		if a := b.signIn(name, "some password"); a.status != 422 {
			t.Errorf("sign in as %.20q = %d", name, a.status)
		}
	}
	if a := b.signIn("lan", strings.Repeat("x", 60_000)); a.status != 422 {
		t.Errorf("a long password = %d", a.status)
	}
	if a := b.signIn("lan", strings.Repeat("x", 1<<20)); a.status != 413 {
		t.Errorf("a field of a megabyte = %d", a.status)
	}
}

func TestSecondFactor(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	other := w.browser().in("lan")
	secret, recovery := b.secondOn()
	other.wants(other.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "Đang bật")
	b.wants(b.get("/dang-nhap/xac-thuc"), 303, "/")

	// The password alone opens nothing.
	c := w.browser()
	c.wants(c.get("/dang-nhap/xac-thuc"), 303, "/dang-nhap?ve=%2F")
	c.wants(c.signIn("lan", goodPassword, "ve", "/tai-khoan"), 303, "/dang-nhap/xac-thuc?ve=%2Ftai-khoan")
	c.wants(c.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
	c.wants(c.get("/dang-nhap/xac-thuc?ve=/tai-khoan"), 200, "ứng dụng xác thực")
	c.wants(c.post("/dang-nhap/xac-thuc", "account_code", "000000"), 422, "Mã chưa đúng")
	c.wants(c.post("/dang-nhap/xac-thuc", "account_code", w.totp(secret)), 422, "đã dùng rồi") // it set the factor up
	w.pass(30 * time.Second)
	before := c.cookie()
	c.wants(c.post("/dang-nhap/xac-thuc", "account_code", w.totp(secret), "ve", "/tai-khoan"), 303, "/tai-khoan")
	if c.cookie() == before {
		t.Error("the session kept its name")
	}
	c.wants(c.get("/tai-khoan"), 200, "Tài khoản của tôi")

	// Without the phone, each printed code works once.
	for i, want := range []int{303, 422} {
		e := w.browser()
		e.wants(e.signIn("lan", goodPassword), 303, "/dang-nhap/xac-thuc?ve=%2F")
		a := e.post("/dang-nhap/xac-thuc", "account_code", " "+strings.ToLower(recovery[3])+" ", "ve", "/tai-khoan")
		e.wants(a, want, "")
		if i == 0 {
			e.wants(e.get("/tai-khoan"), 200, "Còn 9 mã")
		}
	}
	// Ten minutes are enough to take out a phone.
	e := w.browser()
	e.signIn("lan", goodPassword)
	w.pass(11 * time.Minute)
	e.wants(e.post("/dang-nhap/xac-thuc", "account_code", w.totp(secret)), 303, "/dang-nhap?ve=%2F")

	// Guessing ends.
	e.signIn("lan", goodPassword)
	limited := false
	for range 15 {
		if a := e.post("/dang-nhap/xac-thuc", "account_code", "123456"); a.status == 429 {
			limited = a.header.Get("Retry-After") != ""
		}
	}
	if !limited {
		t.Error("fifteen codes were tried")
	}
}

// A role beyond one organisation is held only with a second factor.
// Who had planted a session in a browser was asked for the second factor after
// its owner had typed the password.
func TestPasswordGivesTheSessionAnotherName(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	b.secondOn()
	c := w.browser()
	c.wants(c.signIn("lan", goodPassword), 303, "/dang-nhap/xac-thuc?ve=%2F")
	planted := c.cookie()
	c.wants(c.signIn("lan", goodPassword), 303, "/dang-nhap/xac-thuc?ve=%2F")
	thief := w.browser()
	thief.setCookie(planted)
	thief.wants(thief.get("/dang-nhap/xac-thuc"), 303, "/dang-nhap?ve=%2F")
	c.wants(c.get("/dang-nhap/xac-thuc"), 200, "ứng dụng xác thực")
}

func TestRoleNeedsSecondFactor(t *testing.T) {
	w := newWorld(t)
	w.account("lan", qrgate.Grant{Role: qrgate.Reporter, Scope: qrgate.All})
	b := w.browser()
	b.wants(b.signIn("lan", goodPassword, "ve", "/office"), 303, "/dang-nhap/xac-thuc?ve=%2Foffice")
	b.wants(b.get("/office"), 303, "/dang-nhap/xac-thuc?ve=%2Foffice")
	b.wants(b.get("/dang-nhap/xac-thuc?ve=/office"), 200, "Vai trò của bạn")
	b.wants(b.post("/dang-nhap/xac-thuc", "account_code", "123456"), 422, "Mã chưa khớp")
	secret, _ := b.secondOn()
	b.wants(b.get("/office"), 200, "secret of the office")
	b.wants(b.get("/tai-khoan/bo-xac-thuc"), 200, "không tắt được")
	w.pass(time.Minute)
	b.wants(b.post("/tai-khoan/bo-xac-thuc", "account_password", goodPassword, "account_code", w.totp(secret)), 409, "không tắt được")
}

// Somebody at a screen that was left open cannot lock its owner out.
func TestSecondFactorLaterAsksPassword(t *testing.T) {
	w := newWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	w.pass(11 * time.Minute)
	secret := b.find(b.wants(b.get("/dang-nhap/xac-thuc?ve=/tai-khoan"), 200, "Mật khẩu").body, `class="secret">([^<]+)<`)
	b.wants(b.post("/dang-nhap/xac-thuc", "account_code", w.totp(secret)), 422, "Mật khẩu chưa đúng")
	b.wants(b.post("/dang-nhap/xac-thuc", "account_code", w.totp(secret), "account_password", goodPassword), 200, "Mã khôi phục")
	b.wants(b.get("/tai-khoan/bo-xac-thuc"), 200, "Tắt lớp bảo vệ")
	b.wants(b.post("/tai-khoan/bo-xac-thuc", "account_password", goodPassword, "account_code", "000000"), 422, "Mã chưa đúng")
	w.pass(time.Minute)
	b.wants(b.post("/tai-khoan/bo-xac-thuc", "account_password", goodPassword, "account_code", w.totp(secret)), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "Bật lớp bảo vệ thứ hai")
}
