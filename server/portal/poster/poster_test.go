package poster_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/e2e/phone"
	"github.com/qrgate/qrgate/sync/pass"
)

func (w *world) own() string { return fmt.Sprintf("/dia-diem/%d/in", w.Place.No) }

// read returns what a PNG's code says.
func read(t *testing.T, file string) string {
	t.Helper()
	img, err := png.Decode(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := phone.Read(img)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The first poster is made, fetched, and goes on saying what it said.
func TestPoster(t *testing.T) {
	w := newWorld(t)
	url1 := "http://127.0.0.1:8080" + pass.PosterPath + pass.PosterCode(w.Place.No, 1)
	code, body, _ := w.Get("owner", w.own())
	if code != 200 || !strings.Contains(body, "Chưa có mã để in") || !strings.Contains(body, url1) {
		t.Fatalf("before it was made = %d %s", code, body)
	}
	if code, body, head := w.Get("owner", w.own()+"/xem/a4.png?ban=0"); code != 200 || head.Get("Content-Type") != "image/png" || read(t, body) != url1 {
		t.Errorf("preview before it was made = %d %v", code, head)
	}
	if code, _, _ := w.Get("owner", w.own()+"/a4.pdf"); code != 404 {
		t.Errorf("fetched before it was made = %d", code)
	}
	// The codes for those who come along belong to no version.
	if code, body, head := w.Get("owner", w.own()+"/nguoi-di-cung.pdf"); code != 200 || head.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(body, "%PDF-") {
		t.Errorf("codes for companions = %d %v", code, head)
	}
	if code, _, _ := w.Post("owner", w.own(), url.Values{"version": {"0"}}); code != 303 {
		t.Fatalf("make = %d", code)
	}
	if code, body, _ := w.Get("owner", w.own()); code != 200 || !strings.Contains(body, "Đã tạo bản 1") || !strings.Contains(body, "Tên và địa chỉ trên bản 1 vẫn đúng") || !strings.Contains(body, "chưa") {
		t.Errorf("after it was made = %d %s", code, body)
	}
	// An impatient finger makes no second version.
	w.Post("owner", w.own(), url.Values{"version": {"0"}})
	if all := w.posters(); len(all) != 1 {
		t.Fatalf("posters = %+v", all)
	}
	for file, kind := range map[string]string{"a4.pdf": "application/pdf", "stand.svg": "image/svg+xml", "sticker.png": "image/png", "post.pdf": "application/pdf"} {
		code, body, head := w.Get("guard", w.own()+"/"+file+"?ban=1")
		if code != 200 || head.Get("Content-Type") != kind || !strings.HasPrefix(head.Get("Content-Disposition"), `attachment; filename="qr-1-ban-1-`) {
			t.Errorf("%s = %d %v", file, code, head)
		}
		if file == "sticker.png" && read(t, body) != url1 {
			t.Errorf("sticker says %q", read(t, body))
		}
	}
	all := w.posters()
	slices.Sort(all[0].Formats)
	if all[0].Printed.IsZero() || strings.Join(all[0].Formats, " ") != "a4.pdf post.pdf stand.svg sticker.png" {
		t.Errorf("printed = %+v", all[0])
	}
	if code, body, _ := w.Get("owner", w.own()); code != 200 || strings.Contains(body, "<dd>chưa") {
		t.Errorf("page after print = %d", code)
	}

	w.Place.Name = "Chợ Đông Ba mới"
	w.save(w.Place)
	code, body, _ = w.Get("owner", w.own())
	if code != 200 || !strings.Contains(body, "Tên đã đổi: trên bản đã in là “Chợ Đông Ba”, nay là “Chợ Đông Ba mới”") || !strings.Contains(body, "Cần in lại") {
		t.Errorf("after another name = %d %s", code, body)
	}
	if code, _, _ := w.Post("trade", w.own(), url.Values{"version": {"1"}, "loai": {"a5"}}); code != 303 {
		t.Errorf("new version by an officer = %d", code)
	}
	code, body, _ = w.Get("owner", w.own()+"?loai=a5")
	if code != 200 || !strings.Contains(body, "Không cần in lại") || !strings.Contains(body, "a5.pdf?ban=2") || !strings.Contains(body, "Các bản trước") {
		t.Errorf("after the new version = %d %s", code, body)
	}
	_, file, _ := w.Get("owner", w.own()+"/a4.svg?ban=1")
	if !strings.Contains(file, `aria-label="Chợ Đông Ba"`) {
		t.Error("version 1 says something else than it did")
	}
	if _, file, _ := w.Get("owner", w.own()+"/xem/a5.png"); read(t, file) == url1 {
		t.Error("version 2 has the code of version 1")
	}
}

func TestWhoMay(t *testing.T) {
	w := newWorld(t)
	w.Post("owner", w.own(), url.Values{"version": {"0"}})
	for who, want := range map[string][4]int{ // page, file, new version, many
		"": {303, 303, 303, 303}, "owner": {200, 200, 303, 200}, "guard": {200, 200, 403, 403}, "foreign": {404, 404, 404, 200}, "trade": {200, 200, 303, 403},
		"tourism": {404, 404, 404, 403}, "commune": {200, 200, 303, 403}, "reporter": {403, 403, 403, 403}, "admin": {200, 200, 403, 403}, "health": {403, 403, 403, 403},
	} {
		var got [4]int
		got[0], _, _ = w.Get(who, w.own())
		got[1], _, _ = w.Get(who, w.own()+"/sticker.svg")
		got[2], _, _ = w.Post(who, w.own(), url.Values{"version": {"7"}})
		got[3], _, _ = w.Get(who, "/dia-diem/in")
		if got != want {
			t.Errorf("%s = %v, want %v", who, got, want)
		}
	}
	for path, want := range map[string]int{
		w.own() + "/a4.exe": 404, w.own() + "/a9.pdf": 404, w.own() + "/a4": 404, w.own() + "/a4.pdf?ban=2": 404, w.own() + "/a4.pdf?ban=x": 404, w.own() + "/a4.pdf?ban=-1": 404,
		w.own() + "/xem/a4.pdf": 404, w.own() + "/xem/%ff.png": 404, "/dia-diem/9/in": 404, "/dia-diem/x/in": 404, w.own() + "?loai=%00x": 200, "/dia-diem/in?trang=-1": 200,
		"/dia-diem/in?trang=99999999999999": 200, "/dia-diem/in?to-chuc=others": 200,
	} {
		if code, body, _ := w.Get("owner", path); code != want || strings.Contains(body, "Sông Hương") {
			t.Errorf("GET %s = %d, want %d", path, code, want)
		}
	}
	for _, version := range []string{"", "x", "-1"} {
		if code, _, _ := w.Post("owner", w.own(), url.Values{"version": {version}}); code != 400 {
			t.Errorf("version %q = %d", version, code)
		}
	}
}

// The version is one byte of the code.
func TestLastVersion(t *testing.T) {
	w := newWorld(t)
	for n := range 255 {
		if code, _, _ := w.Post("owner", w.own(), url.Values{"version": {fmt.Sprint(n)}}); code != 303 {
			t.Fatalf("version %d = %d", n+1, code)
		}
	}
	if code, _, _ := w.Post("owner", w.own(), url.Values{"version": {"255"}}); code != 303 || len(w.posters()) != 255 {
		t.Errorf("version 256 = %d, %d posters", code, len(w.posters()))
	}
	if _, body, _ := w.Get("owner", w.own()); !strings.Contains(body, "Đã hết số bản") || strings.Contains(body, "Làm bản mới") {
		t.Error("a new version is offered")
	}
}

func TestMany(t *testing.T) {
	w := newWorld(t)
	var numbers []string
	for i := range 4 {
		p := *w.Place
		p.Name = fmt.Sprintf("Quầy %d", i+1)
		if err := w.Reg.AddPlace(t.Context(), "", &p); err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, fmt.Sprint(p.No))
	}
	w.Post("owner", w.own(), url.Values{"version": {"0"}})
	w.Place.Name = "Chợ Đông Ba mới"
	w.save(w.Place)
	pages := func(form url.Values) (int, int) {
		code, body, head := w.Post("owner", "/dia-diem/in", form)
		if code == 200 && head.Get("Content-Type") != "application/pdf" {
			t.Errorf("book is %s", head.Get("Content-Type"))
		}
		return code, strings.Count(body, "/Type /Page\n")
	}
	if code, n := pages(url.Values{"loai": {"sticker"}, "which": {"some"}, "place": numbers[:2]}); code != 200 || n != 2 {
		t.Errorf("two = %d with %d pages", code, n)
	}
	if code, n := pages(url.Values{"loai": {"a5"}, "which": {"all"}}); code != 200 || n != 5 {
		t.Errorf("all = %d with %d pages", code, n)
	}
	if all := w.posters(); len(all) != 1 || len(all[0].Formats) != 1 {
		t.Errorf("without wish for new versions = %+v", all)
	}
	if code, n := pages(url.Values{"loai": {"a5"}, "which": {"all"}, "fresh": {"1"}}); code != 200 || n != 5 {
		t.Errorf("all afresh = %d with %d pages", code, n)
	}
	if all := w.posters(); len(all) != 2 || all[0].Name != "Chợ Đông Ba mới" {
		t.Errorf("with wish for new versions = %+v", all)
	}
	for _, tt := range []struct {
		form url.Values
		want int
	}{
		{url.Values{"loai": {"a5"}, "which": {"some"}}, 422},
		{url.Values{"loai": {"a5"}}, 422},
		{url.Values{"loai": {"a9"}, "which": {"all"}}, 400},
		{url.Values{"which": {"all"}}, 400},
		{url.Values{"loai": {"a5"}, "place": {"x"}}, 400},
		{url.Values{"loai": {"a5"}, "place": {"-1"}}, 400},
		{url.Values{"loai": {"a5"}, "place": {fmt.Sprint(w.Other.No)}}, 404},
		{url.Values{"loai": {"a5"}, "place": {numbers[0], fmt.Sprint(w.Other.No)}}, 404},
		{url.Values{"loai": {"a5"}, "place": slices.Repeat([]string{numbers[0]}, 300)}, 200},
		{url.Values{"loai": {"a5"}, "which": {"all"}, "trang": {"999999999999999999999"}}, 422},
	} {
		if code, _ := pages(tt.form); code != tt.want {
			t.Errorf("%.60v = %d, want %d", tt.form, code, tt.want)
		}
	}
	if code, body, _ := w.Get("owner", "/dia-diem/in"); code != 200 || !strings.Contains(body, "Quầy 4") {
		t.Errorf("page = %d", code)
	}
}

// emblem is a PNG of a disc.
func emblem(t *testing.T, side int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTemplate(t *testing.T) {
	w := newWorld(t)
	w.Post("owner", w.own(), url.Values{"version": {"0"}})
	if code, body, _ := w.Get("admin", "/mau-ap-phich"); code != 200 || !strings.Contains(body, "Đang dùng mẫu có sẵn") || !strings.Contains(body, "BAN CHỈ ĐẠO") {
		t.Fatalf("page = %d %s", code, body)
	}
	for _, version := range []string{"0"} {
		if code, file, _ := w.Get("admin", "/mau-ap-phich/"+version+"/xem.png"); code != 200 || !strings.HasPrefix(read(t, file), "http://127.0.0.1:8080/p/") {
			t.Errorf("picture = %d", code)
		}
	}
	form := map[string]string{
		"version": "0", "do": "preview", "heading_vi": "ỦY BAN NHÂN DÂN\nBAN CHỈ ĐẠO", "heading_en": "PEOPLE'S COMMITTEE", "sentences_vi": "Xin đeo khẩu trang.",
		"poster_controller": "Sở Y tế", "notice_vi": "Xem thêm tại trang của Sở.", "must_reprint": "1", "template_note": "đổi tên cơ quan",
	}
	code, body, _ := w.Upload("admin", "/mau-ap-phich", "emblem_file", emblem(t, 700), form)
	kept, _, _ := strings.Cut(after(body, `name="emblem_kept" value="`), `"`)
	if code != 200 || !strings.Contains(body, `<img src="data:image/png;base64,`) || kept == "" || len(w.templates()) != 0 {
		t.Fatalf("preview = %d with emblem %.20q, %d templates", code, kept, len(w.templates()))
	}
	form["do"], form["emblem_kept"] = "save", strings.ReplaceAll(kept, "&#43;", "+")
	if code, body, _ := w.Upload("admin", "/mau-ap-phich", "emblem_file", nil, form); code != 303 {
		t.Fatalf("save = %d %s", code, body)
	}
	if got, err := w.Reg.Template(t.Context(), 1); err != nil || got.Heading[0].EN != "PEOPLE'S COMMITTEE" || len(got.Heading) != 2 || !got.Must || len(got.Emblem) == 0 || got.Controller != "Sở Y tế" {
		t.Errorf("template = %+v, %v", got, err)
	}
	if code, body, _ := w.Upload("admin", "/mau-ap-phich", "emblem_file", nil, form); code != 409 || !strings.Contains(body, "đổi tên cơ quan") || len(w.templates()) != 1 {
		t.Errorf("of an older version = %d", code)
	}
	if _, body, _ := w.Get("owner", w.own()); !strings.Contains(body, "in lại theo mẫu 1: đổi tên cơ quan") {
		t.Error("the place is not told to print again")
	}
	code, body, _ = w.Get("admin", "/mau-ap-phich/in-lai")
	if code != 200 || !strings.Contains(body, "Công Thương") || !strings.Contains(body, "Phường Phú Xuân") || !strings.Contains(body, "Chợ Đông Ba") {
		t.Errorf("who prints again = %d %s", code, body)
	}
	for who, want := range map[string]int{"admin": 2, "trade": 2, "tourism": 1, "commune": 2, "reporter": 2} {
		code, body, _ := w.Get(who, "/mau-ap-phich/in-lai.xlsx")
		if code != 200 {
			t.Errorf("%s: export = %d", who, code)
			continue
		}
		book, err := excelize.OpenReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := book.GetRows(book.GetSheetList()[0]); err != nil || len(rows) != want {
			t.Errorf("%s exports %v, %v", who, rows, err)
		}
	}
	w.Post("owner", w.own(), url.Values{"version": {"1"}})
	if _, body, _ := w.Get("admin", "/mau-ap-phich"); !strings.Contains(body, "Không nơi nào phải in lại") {
		t.Error("the list does not get shorter")
	}
	if _, file, _ := w.Get("owner", w.own()+"/a4.svg"); !strings.Contains(file, "Xin đeo khẩu trang.") || !strings.Contains(file, "Sở Y tế.") {
		t.Error("the new version does not follow the template")
	}
	form["version"], form["emblem_none"] = "1", "1"
	delete(form, "must_reprint")
	if code, _, _ := w.Upload("admin", "/mau-ap-phich", "emblem_file", nil, form); code != 303 {
		t.Errorf("second = %d", code)
	}
	if _, body, _ := w.Get("owner", w.own()); !strings.Contains(body, "Đã có mẫu 2, nhưng không bắt buộc") {
		t.Error("the place is not told why it need not print again")
	}
	if got, err := w.Reg.Template(t.Context(), 2); err != nil || got.Emblem != nil {
		t.Errorf("emblem is kept: %v", err)
	}
}

func TestTemplateRefuses(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name  string
		form  map[string]string
		file  []byte
		code  int
		holds string
	}{
		{"no note", map[string]string{"version": "0", "do": "save"}, nil, 422, "Lý do thay đổi"},
		{"five lines", map[string]string{"version": "0", "do": "save", "template_note": "x", "heading_vi": "a\nb\nc\nd\ne"}, nil, 422, "nhiều nhất 4 dòng"},
		{"a long line", map[string]string{"version": "0", "do": "save", "template_note": "x", "heading_vi": strings.Repeat("ơ", 91)}, nil, 422, "nhiều nhất 90"},
		{"no emblem", map[string]string{"version": "0", "do": "preview"}, []byte("GIF89a"), 422, "Không dùng được tệp này"},
		{"large emblem", map[string]string{"version": "0", "do": "preview"}, emblem(t, 2001), 422, "Không dùng được tệp này"},
		{"kept by somebody else", map[string]string{"version": "0", "do": "preview", "emblem_kept": "!!"}, nil, 400, ""},
		{"kept what is no PNG", map[string]string{"version": "0", "do": "preview", "emblem_kept": "AAAA"}, nil, 400, ""},
		{"no version", map[string]string{"do": "save"}, nil, 400, ""},
		{"no wish", map[string]string{"version": "0"}, nil, 400, ""},
		{"bad letters", map[string]string{"version": "0", "do": "preview", "notice_vi": "\xff"}, nil, 422, "không dùng được"},
		{"4 MB", map[string]string{"version": "0", "do": "preview", "notice_vi": strings.Repeat("x", 4<<20)}, nil, 413, ""},
	} {
		if code, body, _ := w.Upload("admin", "/mau-ap-phich", "emblem_file", tt.file, tt.form); code != tt.code || !strings.Contains(body, tt.holds) {
			t.Errorf("%s = %d, want %d with %q", tt.name, code, tt.code, tt.holds)
		}
	}
	for who, want := range map[string]int{"": 303, "owner": 403, "trade": 403, "reporter": 403} {
		if code, _, _ := w.Get(who, "/mau-ap-phich"); code != want {
			t.Errorf("%s = %d, want %d", who, code, want)
		}
		if code, _, _ := w.Upload(who, "/mau-ap-phich", "emblem_file", nil, map[string]string{"version": "0", "do": "save", "template_note": "x"}); code != want {
			t.Errorf("%s: save = %d, want %d", who, code, want)
		}
	}
	for _, path := range []string{"/mau-ap-phich/7/xem.png", "/mau-ap-phich/x/xem.png", "/mau-ap-phich/-1/xem.png"} {
		if code, _, _ := w.Get("admin", path); code != 404 {
			t.Errorf("GET %s = %d", path, code)
		}
	}
}

func after(s, mark string) string { _, rest, _ := strings.Cut(s, mark); return rest }

func (w *world) save(p *qrgate.Place) {
	w.T.Helper()
	is, err := w.Reg.Place(w.T.Context(), p.No)
	if err != nil {
		w.T.Fatal(err)
	}
	is.Name = p.Name
	if err := w.Reg.SavePlace(w.T.Context(), "", is, ""); err != nil {
		w.T.Fatal(err)
	}
}
