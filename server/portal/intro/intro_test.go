package intro_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func (w *world) own() string { return fmt.Sprintf("/dia-diem/%d/gioi-thieu", w.Place.No) }

func (w *world) public() string { return fmt.Sprintf("/gt/%d", w.Place.No) }

// written is a form that is right.
func written() url.Values {
	return url.Values{
		"version": {"0"}, "offers": {"3"}, "links": {"3"}, "do": {"save"},
		"about": {"Chợ lớn nhất Huế.\r\nMở từ 1899.\r\n\r\nMời quý khách ghé thăm <b>tầng hai</b>."},
		"phone": {"0234 3822 123"}, "email": {"cho@dongba.vn"},
		"offer_1_name": {"Nón lá"}, "offer_1_price": {"45.000 đ"}, "offer_1_note": {"bài thơ"}, "offer_1_link": {"dongba.vn/non"},
		"offer_2_name": {"Mè xửng"}, "offer_2_price": {"theo thỏa thuận"},
		"link_1_title": {"Trang nhà"}, "link_1_url": {"https://dongba.vn"},
	}
}

// An owner writes, looks, publishes and takes back.
func TestIntroduction(t *testing.T) {
	w := newWorld(t)
	if code, body, _ := w.Get("", w.public()); code != 404 || !strings.Contains(body, "chưa có trang giới thiệu") {
		t.Errorf("public page before it was written = %d", code)
	}
	if code, body, _ := w.Get("owner", w.own()); code != 200 || !strings.Contains(body, "Vài lời về địa điểm") {
		t.Errorf("form = %d %s", code, body)
	}
	if code, body, _ := w.Post("owner", w.own(), written()); code != 303 {
		t.Fatalf("save = %d %s", code, body)
	}
	code, body, _ := w.Get("owner", w.own()+"/xem")
	for _, want := range []string{
		"Đã lưu", "Chưa hiện", "<p>Chợ lớn nhất Huế.<br>Mở từ 1899.</p><p>Mời", "&lt;b&gt;tầng hai", "45.000 đ", "theo thỏa thuận", `href="https://dongba.vn/non" rel="nofollow noopener ugc"`,
		"tel:&#43;842343822123", "02343822123", "Thứ Hai – Thứ Sáu", "06:00–19:00", "Thứ Bảy, Chủ nhật", "cả ngày", "Phường Phú Xuân", "openstreetmap.org",
	} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("preview = %d without %q: %s", code, want, body[strings.Index(body, "<main"):])
		}
	}
	if code, _, _ := w.Get("", w.public()); code != 404 {
		t.Errorf("public page of a draft = %d", code)
	}
	if _, ok := w.intro.Introduction(t.Context(), w.Place.No); ok {
		t.Error("a draft is shown after check-in")
	}
	if code, _, _ := w.Post("owner", w.own()+"/hien", url.Values{"shown": {"1"}}); code != 303 {
		t.Errorf("publish = %d", code)
	}
	code, body, head := w.Get("", w.public())
	if code != 200 || !strings.Contains(body, "Chợ lớn nhất Huế") || head.Get("Cache-Control") != "public, max-age=60" || head.Get("Set-Cookie") != "" {
		t.Errorf("public page = %d %v", code, head)
	}
	if part, ok := w.intro.Introduction(t.Context(), w.Place.No); !ok || !strings.Contains(string(part), "Products and services") {
		t.Errorf("after check-in = %q, %v", part, ok)
	}
	if code, _, _ := w.Post("owner", w.own()+"/hien", url.Values{"shown": {"0"}}); code != 303 {
		t.Errorf("take back = %d", code)
	}
	if code, _, head := w.Get("", w.public()); code != 404 || head.Get("Cache-Control") != "no-store" {
		t.Errorf("public page taken back = %d %v", code, head)
	}
}

// A form that two people have opened is not overwritten in silence.
func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.Post("owner", w.own(), written())
	mine := written()
	mine.Set("about", "của tôi")
	code, body, _ := w.Post("trade", w.own(), mine)
	if code != 409 || !strings.Contains(body, "của tôi") || !strings.Contains(body, "vừa sửa") || !strings.Contains(body, `name="version" value="1"`) {
		t.Fatalf("older version = %d %s", code, body)
	}
	mine.Set("version", "1")
	if code, _, _ := w.Post("trade", w.own(), mine); code != 303 {
		t.Errorf("again = %d", code)
	}
	if _, body, _ := w.Get("owner", w.own()); !strings.Contains(body, "của tôi") {
		t.Error("the second click did not win")
	}
}

// What is wrong is said beside its field, and nothing typed is lost.
func TestWrong(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ field, value, says string }{
		{"about", strings.Repeat("x", 4001), "nhiều nhất 4000"},
		{"about", "a\x00b", "không dùng được"},
		{"about", "\xff\xfe", "không dùng được"},
		{"phone", "gọi tôi", "Số điện thoại chưa đúng"},
		{"email", "cho", "thư điện tử chưa đúng"},
		{"offer_1_name", "", "Xin điền chỗ này"},
		{"offer_1_price", "999999999999999", "Giá lớn quá"},
		{"offer_1_link", "javascript://x.y/%0aalert(1)", "Địa chỉ chưa đúng"},
		{"offer_1_link", "http://a:b@dongba.vn", "Địa chỉ chưa đúng"},
		{"link_1_url", "", "Xin điền chỗ này"},
		{"link_1_url", "data://text.html/x", "Địa chỉ chưa đúng"},
	} {
		form := written()
		form.Set(tt.field, tt.value)
		code, body, _ := w.Post("owner", w.own(), form)
		if code != 422 || !strings.Contains(body, tt.says) || !strings.Contains(body, "Mè xửng") || !strings.Contains(body, `href="#f-`+tt.field) {
			t.Errorf("%s = %.20q: %d, want 422 with %q", tt.field, tt.value, code, tt.says)
		}
	}
	for _, version := range []string{"", "x", "-1"} {
		form := written()
		form.Set("version", version)
		if code, _, _ := w.Post("owner", w.own(), form); code != 400 {
			t.Errorf("version %q = %d", version, code)
		}
	}
	form := written()
	form.Set("do", "offers")
	code, body, _ := w.Post("owner", w.own(), form)
	if n := len(regexp.MustCompile(`name="offer_\d+_name"`).FindAllString(body, -1)); code != 200 || n != 8 || !strings.Contains(body, "Mè xửng") {
		t.Errorf("more rows = %d with %d rows", code, n)
	}
	form.Set("offers", "999999999")
	if code, body, _ := w.Post("owner", w.own(), form); code != 200 || strings.Count(body, `_price"`) > 400 {
		t.Errorf("very many rows = %d", code)
	}
	if code, _, _ := w.Post("owner", w.own(), url.Values{"about": {strings.Repeat("x", 2<<20)}}); code != 413 {
		t.Errorf("2 MB = %d", code)
	}
}

func TestWhoMay(t *testing.T) {
	w := newWorld(t)
	w.Post("owner", w.own(), written())
	for who, want := range map[string][2]int{ // the form, the preview
		"": {303, 303}, "owner": {200, 200}, "guard": {403, 200}, "foreign": {404, 404}, "trade": {200, 200}, "tourism": {404, 404},
		"commune": {200, 200}, "reporter": {403, 403}, "admin": {403, 200}, "health": {403, 403},
	} {
		edit, _, _ := w.Get(who, w.own())
		look, _, _ := w.Get(who, w.own()+"/xem")
		if got := [2]int{edit, look}; got != want {
			t.Errorf("%s: form and preview = %v, want %v", who, got, want)
		}
		save, _, _ := w.Post(who, w.own()+"/hien", url.Values{"shown": {"0"}})
		if edit == 200 && save != 303 || edit > 400 && save != edit {
			t.Errorf("%s: publish = %d, form = %d", who, save, edit)
		}
	}
	for _, path := range []string{"/dia-diem/999/gioi-thieu", "/dia-diem/x/gioi-thieu", "/dia-diem/-1/gioi-thieu/xem", "/dia-diem/4294967296/gioi-thieu/anh", "/gt/99999999999", "/gt/x", "/anh/x", "/anh/%00", "/anh/%ff"} {
		if code, _, _ := w.Get("owner", path); code != 404 && code != 400 {
			t.Errorf("GET %s = %d", path, code)
		}
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	form := written()
	form.Set("offer_1_name", "=1+1")
	w.Post("owner", w.own(), form)
	if books := w.sheets("owner"); len(books[0]) != 2 || books[0][1][5] != "chưa" || len(books[1]) != 1 {
		t.Errorf("sheets of a draft = %q", books)
	}
	w.Post("owner", w.own()+"/hien", url.Values{"shown": {"1"}})
	books := w.sheets("owner")
	if len(books[0]) != 2 || books[0][1][1] != "Chợ Đông Ba" || books[0][1][5] != "có" || len(books[1]) != 3 || books[1][1][2] != "=1+1" || books[1][1][3] != "45000" {
		t.Errorf("sheets = %q", books)
	}
	for who, rows := range map[string]int{"trade": 2, "tourism": 2, "commune": 3, "reporter": 3, "foreign": 2} {
		if got := w.sheets(who); len(got[0]) != rows {
			t.Errorf("%s exports %q", who, got[0])
		}
	}
	for who, want := range map[string]int{"": 303, "guard": 403, "admin": 403, "health": 403} {
		if code, _, _ := w.Get(who, "/bao-cao/gioi-thieu.xlsx"); code != want {
			t.Errorf("%s: export = %d, want %d", who, code, want)
		}
	}
}
