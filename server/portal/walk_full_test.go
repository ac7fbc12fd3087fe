//go:build full

package portal_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	chromium "github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/e2e/stage"
)

var server = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "qrgate-server-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "qrgate-server")
	if out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput(); err != nil {
		return path, fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := server(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

var pictures = flag.Bool("pictures", false, "renew the pictures of the guide")

// guide names the pictures that the guide shows, by those of the walk.
var guide = map[string]string{
	"checkin": "visitor-2", "checkin-done": "visitor-3", "register": "owner-1", "organisation-new": "owner-2", "place-which": "owner-3", "poster": "owner-4",
	"page-": "owner-6",
}

// startServer starts the real program and returns its portal's address.
func startServer(t *testing.T) string {
	t.Helper()
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	s, err := stage.New(t.Context(), t.TempDir(), stage.Programs{Server: path}, stage.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the server said:\n%s", log)
		}
	})
	if _, err := s.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	return "http://" + s.Portal
}

// A new user walks the letter's five steps and then a visitor's, in Vietnamese, by
// the words on the page alone: on a phone, a tablet and a desk, with and without
// script.
func TestWalk(t *testing.T) {
	home := startServer(t)
	b := chromium.Start(t)
	for i, size := range []struct {
		name          string
		width, height int
	}{{"phone", 360, 740}, {"tablet", 768, 1024}, {"desk", 1280, 900}} {
		for _, script := range []bool{true, false} {
			name := size.name
			if !script {
				name += "-still"
			}
			t.Run(name, func(t *testing.T) {
				w := &walk{t: t, Tab: b.For(t).Private(), home: home, user: fmt.Sprintf("cho.dongba.%d.%s", i, map[bool]string{true: "a", false: "b"}[script])}
				w.look = func(p *chromium.Tab) {
					p.Look(size.width, size.height, "light")
					p.Script(script)
				}
				w.look(w.Tab)
				w.all()
			})
		}
	}
}

type walk struct {
	*chromium.Tab
	t          *testing.T
	home, user string
	look       func(*chromium.Tab)
	shots      int
}

// see checks that the page says something, that nothing of it is cut off, and
// leaves a picture.
func (w *walk) see(name, says string) {
	w.t.Helper()
	if text := fmt.Sprint(w.Eval("document.body.innerText")); !strings.Contains(text, says) || strings.Contains(text, "⟦") {
		w.t.Fatalf("%s does not say %q but:\n%s", name, says, text)
	}
	if over := w.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"); over != 0.0 {
		w.t.Errorf("%s scrolls sideways by %v", name, over)
	}
	if picture, ok := guide[name]; ok && w.t.Name() == "TestWalk/phone" {
		forGuide(w.t, w.Tab, picture)
	}
	w.shots++
	w.ShootAll(fmt.Sprintf("%02d-%s", w.shots, name))
}

func (w *walk) all() {
	const password = "mua xuan chin mot tram"
	// 1: opens the portal and registers.
	w.Visit(w.home + "/")
	w.see("home", "Quét mã QR ở cửa")
	w.Press("Đăng ký")
	w.see("register", "Đăng ký")
	w.Fill("Tên đăng nhập", w.user)
	w.Fill("Mật khẩu", "123")
	w.Fill("Họ và tên", "Nguyễn Thị Hoa")
	w.Eval(`document.querySelector("main form").noValidate = true`)
	w.Press("Đăng ký")
	w.see("register-wrong", "Xin xem lại")
	w.Fill("Mật khẩu", password)
	w.Press("Đăng ký")
	w.see("organisation-new", "Tổ chức mới")
	w.Fill("Tên tổ chức", "Ban quản lý chợ Đông Ba")
	w.Fill("Ngành", "Công Thương")
	w.Fill("Điện thoại", "0234 3523 991")
	w.Press("Lưu")

	// 2: signs in again, as the letter's form says.
	w.Press("Đăng xuất")
	w.Press("Đăng nhập")
	w.see("sign-in", "Nhớ tôi")
	w.Fill("Tên đăng nhập", w.user)
	w.Fill("Mật khẩu", "khong phai mat khau nay")
	w.Press("ĐĂNG NHẬP")
	w.see("sign-in-wrong", "Bạn quên mật khẩu?")
	w.Fill("Tên đăng nhập", w.user)
	w.Fill("Mật khẩu", password)
	w.Press("ĐĂNG NHẬP")
	w.see("home-member", "Thêm địa điểm đầu tiên")

	// 3: adds a place.
	w.Press("Thêm mới địa điểm")
	w.Fill("Tên địa điểm", "Chợ Đông Ba")
	w.Press("Lưu")
	w.see("place-wrong", "Xin xem lại")
	w.Fill("Loại địa điểm", "Chợ")
	w.Fill("Xã, phường", "phu xuan")
	w.Fill("Số nhà", "2 Trần Hưng Đạo")
	w.Fill("Người phụ trách", "Trần Văn Ba")
	w.Fill("Điện thoại", "0905 123 456")
	w.Fill("Sức chứa", "2.000")
	w.Press("Lưu")
	w.see("place-which", "Xã Phú Xuân (đến 30/06/2025)")
	w.Fill("Phường Phú Xuân", "")
	w.Press("Lưu")
	w.see("poster-none", "Đã thêm “Chợ Đông Ba”")

	// 4: prints its poster.
	w.Press("Tạo mã QR")
	w.see("poster", "PDF")
	code := fmt.Sprint(w.Eval(`document.querySelector("[data-code]")?.dataset.code ?? document.body.innerText.match(/\b[A-Z2-7]{8}-[0-9]+\b/)?.[0]`))
	// An introduction, which the visitor will see.
	w.Visit(w.home + fmt.Sprint(w.Eval(`location.pathname.replace(/\/in$/, "/gioi-thieu")`)))
	w.see("introduction", "Giới thiệu")

	w.visitor(code)

	// 5: looks after the list: edits, deletes, takes back.
	w.Visit(w.home + "/dia-diem")
	w.Press("Sửa")
	w.Fill("Tên địa điểm", "Chợ Đông Ba, cổng Trần Hưng Đạo")
	w.see("place-edit", "Lưu")
	w.Press("Lưu")
	w.see("list-edited", "cổng Trần Hưng Đạo")
	w.Press("Xóa địa điểm")
	w.see("delete", "Nếu xóa nhầm")
	w.Press("Xóa địa điểm")
	w.see("list-deleted", "Có thể khôi phục")
	w.Visit(w.home + "/p/" + code)
	w.see("place-stopped", "Điểm này đã ngừng")
	w.Visit(w.home + "/dia-diem?trang_thai=deleted")
	w.Press("Khôi phục")
	w.Visit(w.home + "/p/" + code)
	w.see("place-again", "Chợ Đông Ba")
	for _, page := range []string{"/to-chuc", "/tai-khoan", "/huong-dan", "/vuong-mac", "/"} {
		w.Visit(w.home + page)
		w.see("page"+strings.ReplaceAll(page, "/", "-"), "")
	}
}

// visitor checks in and out by phone, with nothing but the poster.
func (w *walk) visitor(code string) {
	w.t.Helper()
	own := w.Tab
	defer func() { w.Tab = own }()
	w.Tab = own.Private()
	w.look(w.Tab)
	w.Visit(w.home + "/p/" + code)
	w.see("checkin", "Chợ Đông Ba")
	w.Eval(`document.querySelector("#checkin").noValidate = true`)
	w.Fill("Số điện thoại", "12")
	w.Click("Check-in / Vào")
	w.says("0905 123 456")
	w.see("checkin-wrong", "0905 123 456")
	w.Fill("Số điện thoại", "0905 111 222")
	w.Fill("Họ và tên", "Lê Thị Lan")
	w.Click("Check-in / Vào")
	w.says("Đã ghi nhận")
	w.Wait("document.getAnimations().every((a) => a.playState !== 'running')")
	w.see("checkin-done", "Đã ghi nhận")
	if at := fmt.Sprint(w.Eval("location.href")); strings.Contains(at, "0905") || strings.Contains(at, "Lan") {
		w.t.Errorf("the address %s names the visitor", at)
	}
	w.Press("Khi về, xin bấm Ra")
	w.see("checkout", "Chợ Đông Ba")
}

// says waits until the page says something.
func (w *walk) says(words string) {
	w.t.Helper()
	w.Wait(fmt.Sprintf("document.readyState === 'complete' && document.body.innerText.includes(%q)", words))
}

// forGuide renews a picture of the guide, if that is wanted.
func forGuide(t *testing.T, tab *chromium.Tab, picture string) {
	t.Helper()
	if !*pictures {
		return
	}
	dir, err := filepath.Abs("office/shots")
	if err != nil {
		t.Fatal(err)
	}
	tab.Shoot(filepath.Join(dir, "guide-"+picture))
}

// What the guide tells officers and administrators to do is there, on a phone.
func TestPagesOfTheGuide(t *testing.T) {
	c := newTown(t)
	tab := chromium.Start(t).Open()
	tab.Look(360, 740, "light")
	for _, p := range []struct{ picture, who, path, says string }{
		{"staff-1", "guard 0", "/", "Chào"},
		{"officer-2", "sector_officer 0", "/dia-diem", "Danh sách mã QR"},
		{"officer-4", "sector_officer 0", "/vuong-mac/danh-sach", "Vướng mắc"},
		{"administrator-2", "administrator", "/nguoi-dung", "Người dùng"},
		{"administrator-3", "administrator", "/nguoi-dung/" + c.people["guard 0"] + "/vai-tro", "vai trò"},
	} {
		c.enter(tab, p.who, "vi")
		tab.Visit(c.url + p.path)
		text := fmt.Sprint(tab.Eval("document.querySelector('main').innerText"))
		if !strings.Contains(strings.ToLower(text), strings.ToLower(p.says)) {
			t.Errorf("%s as %s does not say %q but:\n%s", p.path, p.who, p.says, text)
		}
		forGuide(t, tab, p.picture)
	}
}
