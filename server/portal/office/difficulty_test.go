package office_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// Somebody without an account reports, keeps the link, and reads the answer.
func TestAStrangerReports(t *testing.T) {
	w := newWorld(t)
	org := w.organisation(w.person("lan"), "Hộ Lan")
	p := w.shop(org, "Phòng khám Lan", "health")
	b := w.stranger()
	form := b.get("/vuong-mac?trang=/p/ABC%3Fx=1")
	form.want(t, "form", 200, `name="difficulty_page" value="/p/ABC"`, "difficulty_code", "!difficulty_place", "19001075")

	code := pass.PosterCode(p.No, 3)
	for _, typed := range []string{strings.ToLower(code), " " + code[:4] + " " + code[4:], "https://qr.example.vn/p/" + code} {
		b.post("/vuong-mac", "difficulty_category", "scanner", "difficulty_code", typed, "difficulty_text", "").
			want(t, "code "+typed+" without a text", 422, "Xin xem lại 1 chỗ", `value="scanner" selected`)
	}
	sent := b.post("/vuong-mac", "difficulty_page", "/p/ABC", "difficulty_category", "scanner", "difficulty_code", code,
		"difficulty_text", "Máy <không> đọc.\nThẻ mới.", "difficulty_contact", "0905 123 456")
	shown := b.follow(sent)
	shown.want(t, "after sending", 200, w.web.URL+"/vuong-mac/tra-loi?ma=")
	if strings.Contains(sent.to, "ma=") {
		t.Errorf("the secret is in %s", sent.to)
	}
	again := b.get("/vuong-mac/da-gui")
	if again.status != 303 || again.to != "/vuong-mac" {
		t.Errorf("shown twice: %d to %s", again.status, again.to)
	}
	_, link, _ := strings.Cut(shown.body, `href="`+w.web.URL+"/vuong-mac/tra-loi")
	link, _, _ = strings.Cut(link, `"`)
	reply := "/vuong-mac/tra-loi" + link

	other := w.stranger() // another browser with the link
	a := other.get(reply)
	a.want(t, "before the answer", 200, "Máy &lt;không&gt; đọc.", "Chờ trả lời", "Phòng khám Lan", "!0905")
	if got := a.header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy of the link's page = %s", got)
	}
	for _, bad := range []string{"", "?ma=", "?ma=x", "?ma=" + strings.Repeat("A", 32), "?ma=%00%ff"} {
		other.get("/vuong-mac/tra-loi"+bad).want(t, "link "+bad, 404, "!Máy")
	}

	mai := w.as(w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "health")))
	list := mai.get("/vuong-mac/danh-sach")
	list.want(t, "desk", 200, "Máy &lt;không&gt; đọc.", "Phòng khám Lan")
	_, path, _ := strings.Cut(list.body, `<th scope="row"><a href="`)
	path, _, _ = strings.Cut(path, `"`)
	if id := strings.TrimPrefix(path, "/vuong-mac/"); strings.Contains(link, id) {
		t.Error("the id leads to the link")
	}
	one := mai.get(path)
	one.want(t, "case", 200, "0905 123 456", "/p/ABC", "Y tế", "Phường Phú Xuân", `href="/dia-diem/1"`)
	seen := one.hidden(t, "seen")
	mai.post(path+"/tra-loi", "seen", seen, "difficulty_answer", " ").want(t, "empty answer", 422, "Xin điền chỗ này")
	mai.follow(mai.post(path+"/tra-loi", "seen", seen, "difficulty_answer", "Xin lau thẻ.")).want(t, "answered", 200, "Đã gửi trả lời")
	other.get(reply).want(t, "after the answer", 200, "Đã trả lời", "Xin lau thẻ.")

	// A colleague still has the old page open.
	mai.post(path+"/tra-loi", "seen", seen, "difficulty_answer", "Câu trả lời khác").want(t, "too late", 409, "Có người vừa xử lý", "Câu trả lời khác")
	other.get(reply).want(t, "after the late answer", 200, "Xin lau thẻ.", "!khác")

	seen = mai.get(path).hidden(t, "seen")
	mai.follow(mai.post(path+"/dong", "seen", seen)).want(t, "closed", 200, "Đã khép lại")
	mai.get(path).want(t, "closed case", 200, "!0905", "!<textarea", "Xin lau thẻ.")
	mai.get("/vuong-mac/danh-sach?tinh_trang=closed&loai=scanner").want(t, "closed ones", 200, "Máy &lt;không&gt; đọc.")
	mai.get("/vuong-mac/danh-sach?tinh_trang=closed&loai=card").want(t, "closed ones of another category", 200, "!không&gt;")
}

func TestAMemberReports(t *testing.T) {
	w := newWorld(t)
	lan := w.person("lan")
	org := w.organisation(lan, "Hộ Lan")
	w.shop(org, "Quán Lan", "trade")
	w.shop(w.organisation(w.person("minh"), "Hộ Minh"), "Quán Minh", "trade")
	b := w.as(lan)
	b.get("/vuong-mac").want(t, "form", 200, `<option value="1">Quán Lan`, "!Quán Minh", "!difficulty_code")
	b.post("/vuong-mac", "difficulty_category", "print", "difficulty_place", "2", "difficulty_text", "x").want(t, "foreign place", 422, "Xin chọn một mục")
	b.follow(b.post("/vuong-mac", "difficulty_category", "print", "difficulty_place", "1", "difficulty_text", "Không in được.")).
		want(t, "mine", 200, "Đã gửi", "Không in được.", "Quán Lan")
	b.get("/").want(t, "home", 200, "Vướng mắc bạn đã báo")
	w.as(w.person("nga")).get("/vuong-mac/cua-toi").want(t, "another's", 200, "!Không in được.", "Chưa báo vướng mắc nào")
	if s := w.stranger().get("/vuong-mac/cua-toi"); s.status != 303 || !strings.HasPrefix(s.to, "/dang-nhap") {
		t.Errorf("a stranger's own = %d to %s", s.status, s.to)
	}
}

// A difficulty is seen by those to whom it is routed, and moves with its sector.
func TestWhoSeesADifficulty(t *testing.T) {
	w := newWorld(t)
	org := w.organisation(w.person("lan"), "Hộ Lan")
	p := w.shop(org, "Quán Lan", "trade")
	routed := register.Difficulty{Category: "print", Place: p.No, Text: "có nơi"}
	loose := register.Difficulty{Category: "other", Text: "không nơi"}
	for _, d := range []*register.Difficulty{&routed, &loose} {
		if err := w.AddDifficulty(t.Context(), d, nil); err != nil {
			t.Fatal(err)
		}
	}
	trade := w.as(w.person("thu", in(qrgate.SectorOfficer, qrgate.InSector, "trade")))
	health := w.as(w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "health")))
	here := w.as(w.person("nam", in(qrgate.AreaOfficer, qrgate.InArea, phuXuan)))
	elsewhere := w.as(w.person("xuan", in(qrgate.AreaOfficer, qrgate.InArea, "19777@2025-07-01")))
	root := w.as(w.person("root", all(qrgate.Administrator)))
	for _, tt := range []struct {
		name          string
		b             *visitor
		routed, loose int
	}{
		{"trade", trade, 200, 404}, {"health", health, 404, 404}, {"here", here, 200, 404}, {"elsewhere", elsewhere, 404, 404}, {"root", root, 200, 200},
	} {
		tt.b.get("/vuong-mac/"+routed.ID).want(t, tt.name+": routed", tt.routed)
		tt.b.get("/vuong-mac/"+loose.ID).want(t, tt.name+": loose", tt.loose)
		a := tt.b.get("/vuong-mac/danh-sach")
		if strings.Contains(a.body, "có nơi") != (tt.routed == 200) || strings.Contains(a.body, "không nơi") != (tt.loose == 200) {
			t.Errorf("list of %s:\n%s", tt.name, mainOf(a.body))
		}
		if tt.routed == 404 {
			for _, do := range []string{"/tra-loi", "/chuyen", "/dong"} {
				tt.b.post("/vuong-mac/"+routed.ID+do, "seen", "open trade 0", "difficulty_answer", "x", "difficulty_sector", "health").want(t, tt.name+do, 404)
			}
		}
	}
	for _, who := range []*visitor{w.as(w.person("chu", in(qrgate.Owner, qrgate.InOrganisation, org))), w.as(w.person("kiem", all(qrgate.Auditor)))} {
		who.get("/vuong-mac/danh-sach").want(t, "without the role", 403)
	}

	seen := root.get("/vuong-mac/"+loose.ID).hidden(t, "seen")
	root.post("/vuong-mac/"+loose.ID+"/chuyen", "seen", seen, "difficulty_sector", "moon").want(t, "to the moon", 422)
	root.follow(root.post("/vuong-mac/"+loose.ID+"/chuyen", "seen", seen, "difficulty_sector", "health")).want(t, "passed on", 200, "Đã chuyển")
	health.get("/vuong-mac/"+loose.ID).want(t, "passed to health", 200, "không nơi")
}

func TestReportsAreLimited(t *testing.T) {
	w := newWorld(t)
	b := w.stranger()
	send := func() answer {
		return b.post("/vuong-mac", "difficulty_category", "other", "difficulty_text", "chữ vẫn còn")
	}
	for range 5 {
		if a := send(); a.status != 303 {
			t.Fatalf("sent = %d", a.status)
		}
	}
	a := send()
	a.want(t, "the sixth at once", 429, "chữ vẫn còn", "Xin gửi lại sau")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.pass(3 * time.Minute)
	if a := send(); a.status != 303 {
		t.Errorf("later = %d", a.status)
	}
}

// Whatever is typed has a clear answer.
func TestHostileReports(t *testing.T) {
	w := newWorld(t)
	w.shop(w.organisation(w.person("lan"), "Hộ Lan"), "Quán Lan", "trade")
	for name, form := range map[string]url.Values{
		"nothing":       {},
		"invalid UTF-8": {"difficulty_category": {"\xff"}, "difficulty_text": {"\xff\xfe"}},
		"NUL":           {"difficulty_category": {"other"}, "difficulty_text": {"a\x00b"}},
		"CRLF":          {"difficulty_category": {"other"}, "difficulty_text": {"x"}, "difficulty_contact": {"a\r\nBcc: b"}},
		"long":          {"difficulty_category": {"other"}, "difficulty_text": {strings.Repeat("x", 3001)}},
		"no code":       {"difficulty_category": {"other"}, "difficulty_text": {"x"}, "difficulty_code": {"ABCDEFGH-1"}},
		"no place":      {"difficulty_category": {"other"}, "difficulty_text": {"x"}, "difficulty_code": {pass.PosterCode(999, 1)}},
		"script":        {"difficulty_category": {"<script>"}, "difficulty_text": {"<script>alert(1)</script>"}},
	} {
		w.stranger().do("POST", "/vuong-mac", form).want(t, name, 422, "!<script>alert")
	}
	w.stranger().post("/vuong-mac", "difficulty_text", strings.Repeat("x", 1<<20)).want(t, "1 MB", 413)
	for _, path := range []string{"//evil.example/x", "https://evil.example", `/\evil`, "/a%0d%0ab", "/" + strings.Repeat("a", 300)} {
		w.stranger().get("/vuong-mac?trang="+url.QueryEscape(path)).want(t, path, 200, `name="difficulty_page" value=""`)
	}
	root := w.as(w.person("root", all(qrgate.Administrator)))
	for _, path := range []string{"/vuong-mac/%ff", "/vuong-mac/a%20b", "/vuong-mac/nothing", "/vuong-mac/" + strings.Repeat("a", 2000)} {
		root.get(path).want(t, path, 404)
	}
	root.get("/vuong-mac/danh-sach?trang=-1&loai=%ff&tinh_trang=%00").want(t, "a list of nonsense", 200)
	root.get("/vuong-mac/danh-sach?trang=999999").want(t, "a page far away", 200)
}
