package progress_test

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// form returns values of a form by names and values in turn.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// with returns v with other values.
func with(v url.Values, pairs ...string) url.Values {
	all := url.Values{}
	for k, s := range v {
		all[k] = s
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		all.Set(pairs[i], pairs[i+1])
	}
	return all
}

var draft = form("progress_title", "Tháng 11", "progress_sector", "trade", "progress_agency", "Sở Công Thương", "progress_lang", "vi",
	"progress_from", "2026-11-01", "progress_to", "2026-11-26", "progress_difficulties", "Mưa lớn.", "progress_proposals", "In thêm áp phích.",
	"progress_recipients", "UBND thành phố;\n- Lưu: VT.")

func TestCockpitCountsWhatTheViewerMayKnow(t *testing.T) {
	w := newWorld(t)
	w.tally(w.market, w.today()-20, 40)
	w.tally(w.clinic, w.today()-1, 7) // too few to tell
	w.tally(w.hotel, w.today(), 200)
	for who, tt := range map[string]struct {
		holds []string
	}{
		"trade":     {[]string{"Ngành Công Thương", "1 địa điểm cần đăng ký", "Chợ Đông Ba", "0905 123 456", butNot, "Sông Hương", "Minh Tâm"}},
		"health":    {[]string{"1 địa điểm cần đăng ký", "&lt;10 lượt vào", butNot, "Chợ Đông Ba"}},
		"commune":   {[]string{"2 địa điểm cần đăng ký", "Chợ Đông Ba", "0905 123 456", "≥\u00a041 lượt vào"}},
		"inspector": {[]string{"1 địa điểm cần đăng ký", "0905 123 456", butNot, "Lập báo cáo"}},
		"reporter":  {[]string{"3 địa điểm cần đăng ký", "Chợ Đông Ba", "≥\u00a0241 lượt vào", butNot, "0905 123 456", "Nguyễn Thị Lan"}},
		"admin":     {[]string{"3 địa điểm cần đăng ký", butNot, "0905 123 456", "Nguyễn Thị Lan"}},
	} {
		status, body := w.get(who, "/tien-do")
		w.want(who, status, body, 200, tt.holds...)
	}
	status, body := w.get("admin", "/tien-do?nganh=tourism&den=2026-11-26&tu=2026-11-20")
	w.want("filter", status, body, 200, "Ngành Du lịch", "1 địa điểm cần đăng ký", "200 lượt vào", "So với 19/11/2026")
	// The report is about what the cockpit showed.
	to := regexp.MustCompile(`href="(/bao-cao/moi\?[^"]*)"`).FindStringSubmatch(body)
	if to == nil {
		t.Fatal("the cockpit leads to no report")
	}
	status, body = w.get("admin", html.UnescapeString(to[1]))
	w.want("report", status, body, 200, `value="2026-11-20"`, `value="2026-11-26"`, `<option value="tourism" selected>`)
	for _, bad := range []string{"nganh=nonsense", "nganh=%FF", "khu=0", "tu=2026-13-45", "tu=2020-01-01", "den=2030-01-01", "tu=2026-11-20&den=2026-11-01", "loai=%00", "khu=" + strings.Repeat("a", 3000)} {
		status, body := w.get("admin", "/tien-do?"+bad)
		w.want(bad, status, body, 200, "đã bỏ qua")
	}
	// What lies outside of a scope cannot be asked for.
	status, body = w.get("health", "/tien-do?nganh=trade")
	w.want("another's sector", status, body, 200, "đã bỏ qua", butNot, "Chợ Đông Ba")
}

// A place's few visitors cannot be had by asking for one day after the other, for
// a kind or a commune.
func TestFewPeopleAreNeverTold(t *testing.T) {
	w := newWorld(t)
	day := w.today() - 3
	w.tally(w.clinic, day, 7)
	w.tally(w.clinic, day-1, 1234)
	for _, q := range []string{"", "nganh=health", "khu=" + phuXuan, "loai=clinic", "loai=clinic&khu=" + phuXuan} {
		for _, days := range [][2]qrgate.Day{{day, day}, {day - 1, day}, {day - 1, day - 1}, {day - 5, day + 1}} {
			status, body := w.get("admin", fmt.Sprintf("/tien-do?%s&tu=%s&den=%s", q, days[0], days[1]))
			w.want(q, status, body, 200, butNot, ">7<", " 7 lượt", "1.241")
		}
	}
	status, to := w.post("admin", "/bao-cao/moi", with(draft, "progress_sector", ""))
	w.want("report", status, to, 303)
	status, body := w.get("admin", to)
	w.want("report", status, body, 200, "≥\u00a01.235", butNot, "1.241")
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	_, at := w.post("trade", "/bao-cao/moi", draft)
	g := rollout.Target{Sector: "trade", Target: report.Target{Stage: report.Active, Percent: 80, Begun: w.today(), Due: w.today() + 9}}
	i := rollout.Inspection{Place: w.market.No, Result: rollout.Fix, Due: w.today() + 3}
	if err := w.kept.AddTarget(t.Context(), "trade", &g); err != nil {
		t.Fatal(err)
	}
	if err := w.kept.AddInspection(t.Context(), "inspector", &i); err != nil {
		t.Fatal(err)
	}
	market := path("/kiem-tra/dia-diem/%d", w.market.No)
	for _, tt := range []struct {
		who, path string
		want      int
	}{
		{"", "/tien-do", 303}, {"tracer", "/tien-do", 403}, {"owner", "/tien-do", 403}, {"guard", "/kiem-tra", 403},
		{"owner", market, 200}, {"foreign", market, 404}, {"guard", market, 403}, {"inspector", market, 200}, {"health", market, 404}, {"reporter", market, 200},
		{"inspector", market + "/moi", 200}, {"owner", market + "/moi", 403}, {"trade", market + "/moi", 403},
		{"inspector", path("/kiem-tra/dia-diem/%d/moi", w.hotel.No), 404}, {"inspector", "/kiem-tra/dia-diem/99999999999", 404}, {"inspector", "/kiem-tra/dia-diem/x", 404},
		{"trade", at, 200}, {"admin", at, 200}, {"reporter", at, 200}, {"health", at, 404}, {"commune", at, 404}, {"inspector", at, 403}, {"owner", at, 403},
		{"health", at + "/bao-cao.pdf", 404}, {"health", at + "/sua", 404}, {"trade", "/bao-cao/nichts", 404}, {"trade", "/bao-cao/%FF", 404}, {"trade", "/bao-cao/%00", 400},
		{"inspector", "/tien-do/danh-sach/nhap", 403}, {"reporter", "/tien-do/danh-sach/nhap", 403}, {"reporter", "/tien-do/danh-sach", 200},
	} {
		status, body := w.get(tt.who, tt.path)
		w.want(tt.who+" "+tt.path, status, body, tt.want)
	}
	for _, tt := range []struct {
		who, path string
		form      url.Values
		want      int
	}{
		{"health", "/tien-do/muc-tieu/" + g.ID, form("version", "1", "lam", "bo"), 404},
		{"inspector", "/tien-do/muc-tieu/" + g.ID, form("version", "1", "lam", "bo"), 403},
		{"trade", "/tien-do/muc-tieu/" + g.ID, form("version", "7", "lam", "bo"), 409},
		{"trade", "/tien-do/muc-tieu/" + g.ID, form("version", "1", "progress_percent", "101", "progress_due", "2027-01-01"), 400},
		{"commune", "/tien-do/muc-tieu", form("progress_stage", "active", "progress_percent", "80", "progress_due", "2027-01-01", "progress_sector", "trade"), 422}, // all of the sector
		{"health", "/bao-cao/moi", draft, 422},
		{"health", at + "/sua", with(draft, "version", "1"), 404},
		{"health", at + "/ban-hanh", form("version", "1"), 404},
		{"owner", "/kiem-tra/" + i.ID + "/xong", nil, 403},
		{"health", "/kiem-tra/" + i.ID + "/xong", nil, 404},
		{"inspector", "/kiem-tra/" + i.ID + "/xong", nil, 303},
		{"inspector", "/kiem-tra/" + i.ID + "/xong", nil, 409},
		{"inspector", "/kiem-tra/none/xong", nil, 404},
	} {
		status, body := w.post(tt.who, tt.path, tt.form)
		w.want("POST "+tt.who+" "+tt.path, status, body, tt.want)
	}
}

func TestListFromUploadToMatch(t *testing.T) {
	w := newWorld(t)
	csv := "Tên địa điểm,Ngành,Loại địa điểm,Xã phường,Địa chỉ,Điện thoại\n" +
		"Chợ Đông Ba,Công Thương,Chợ,Phường Phú Xuân,,\n" +
		"Chợ An Cựu,,Chợ,Phường Vỹ Dạ,2 Hùng Vương,905123456\n" +
		"=cmd|' /C calc'!A0,Công Thương,,Phường Phú Xuân,,12\n" +
		"Chợ không xã,Công Thương,Chợ,,,\n" +
		"Trạm y tế,Y tế,,Phường Phú Xuân,,\n" +
		"Chợ An Cựu,,Chợ,Phường Vỹ Dạ,,\n" +
		"Chợ Lộc,Ngành lạ,Chợ,Nơi không có,,\n"
	status, to := w.upload("trade", "/tien-do/danh-sach/nhap", "progress_file", []byte(csv), map[string]string{"progress_sector": "trade"})
	w.want("upload", status, to, 303)
	status, body := w.get("trade", to)
	w.want("report", status, body, 200, "Đã đăng ký: địa điểm số 1", "Trùng với dòng 3", "Nằm ngoài phạm vi", "Không có ngành này", "Xin điền chỗ này", "Ghi 3 dòng")
	if _, total, err := w.kept.ListedPlaces(t.Context(), rollout.Query{Within: register.Within{All: true}}, false, 0, 9); err != nil || total != 0 {
		t.Fatalf("%d rows were written before somebody said so, %v", total, err)
	}
	for _, other := range []string{"admin", "health"} {
		if status, at := w.get(other, to); status != 303 {
			t.Errorf("another's upload as %s = %d %s", other, status, at)
		}
	}
	status, at := w.post("trade", to, nil)
	w.want("take", status, at, 303)
	status, body = w.get("trade", at)
	w.want("list", status, body, 200, "Đã ghi 3 dòng, trong đó 3 dòng mới.", "Chợ An Cựu", "0905 123 456", butNot, `">Chợ Đông Ba</a>`)
	if status, at := w.post("trade", to, nil); status != 303 || at != "/tien-do/danh-sach" {
		t.Errorf("taken twice = %d %s", status, at)
	}
	status, body = w.get("reporter", "/tien-do/danh-sach?xem=tat-ca")
	w.want("a reporter's list", status, body, 200, "Chợ An Cựu", "Chợ Đông Ba", butNot, "0905 123 456")
	status, body = w.get("health", "/tien-do/danh-sach")
	w.want("another sector's list", status, body, 200, butNot, "Chợ An Cựu")

	list, _, err := w.kept.ListedPlaces(t.Context(), rollout.Query{Within: register.Within{All: true}}, true, 0, 9)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	one := "/tien-do/danh-sach/" + list[1].ID
	for _, tt := range []struct {
		who   string
		form  url.Values
		want  int
		holds string
	}{
		{"health", form("progress_place", "1"), 404, ""}, {"inspector", form("progress_place", "1"), 403, ""},
		{"trade", form("progress_place", ""), 422, ""}, {"trade", form("progress_place", "99"), 422, "Không có địa điểm này"},
		{"trade", form("progress_place", fmt.Sprint(w.hotel.No)), 422, "Không có địa điểm này"}, // may not know of it
		{"trade", form("progress_place", "\xff\x00"), 422, ""}, {"trade", form("progress_place", strings.Repeat("9", 500)), 422, ""},
		{"trade", form("progress_place", "http://x"+pass.PosterPath+pass.PosterCode(w.market.No, 1)), 303, ""},
	} {
		status, body := w.post(tt.who, one, tt.form)
		w.want(fmt.Sprint(tt.who, tt.form), status, body, tt.want, tt.holds)
	}
	status, body = w.get("trade", one)
	w.want("matched", status, body, 200, "Đã đăng ký", "Chợ Đông Ba")
	status, at = w.post("trade", one, form("lam", "bo"))
	w.want("drop", status, at, 303)
	status, body = w.get("trade", one)
	w.want("dropped", status, body, 404)
	for name, file := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 100), "no columns": []byte("a,b\n1,2\n"), "not UTF-8": []byte("Tên,x\n\xff\xfe,1\n"), "no zip": []byte("PK\x03\x04nonsense"), "long": []byte("Tên\n" + strings.Repeat("x\n", 6000))} {
		status, body := w.upload("trade", "/tien-do/danh-sach/nhap", "progress_file", file, nil)
		w.want(name, status, body, 422)
	}
	status, body = w.get("trade", "/tien-do/danh-sach/mau.xlsx")
	w.want("template", status, body[:2], 200, "PK")
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	good := form("progress_stage", "active", "progress_percent", "80", "progress_due", "2026-12-31", "progress_sector", "trade", "progress_kind", "market", "progress_note", "Kế hoạch")
	for _, bad := range []url.Values{
		{}, with(good, "progress_stage", "listed"), with(good, "progress_percent", ""), with(good, "progress_percent", "0"), with(good, "progress_percent", "-3"),
		with(good, "progress_due", "2026-11-26"), with(good, "progress_due", "31.12."), with(good, "progress_sector", "health"), with(good, "progress_sector", ""),
		with(good, "progress_kind", "\x00"), with(good, "progress_note", strings.Repeat("a", 301)), with(good, "progress_area", "\xff"),
	} {
		status, body := w.post("trade", "/tien-do/muc-tieu", bad)
		w.want(fmt.Sprint(bad), status, body, 422)
	}
	status, to := w.post("trade", "/tien-do/muc-tieu", good)
	w.want("add", status, to, 303)
	status, body := w.get("trade", to)
	w.want("targets", status, body, 200, "Đã đặt mục tiêu.", "80 % Đang dùng", "31/12/2026", "Kế hoạch", "0 trong 1")
	status, body = w.get("health", to)
	w.want("another sector's", status, body, 200, butNot, "Kế hoạch")
	w.tally(w.market, w.today(), 50)
	status, body = w.get("admin", "/tien-do")
	w.want("cockpit", status, body, 200, "Đã đạt", "80 % Đang dùng")
	all, err := w.kept.Targets(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	status, to = w.post("trade", "/tien-do/muc-tieu/"+all[0].ID, form("version", "1", "progress_percent", "90", "progress_due", "2027-01-15"))
	w.want("move", status, to, 303)
	status, to = w.post("trade", "/tien-do/muc-tieu/"+all[0].ID, form("version", "2", "lam", "bo"))
	w.want("drop", status, to, 303)
}

func TestInspectionFromCodeToOwner(t *testing.T) {
	w := newWorld(t)
	market := path("/kiem-tra/dia-diem/%d", w.market.No)
	for _, typed := range []string{pass.PosterCode(w.market.No, 3), "https://qr.example.vn" + pass.PosterPath + pass.PosterCode(w.market.No, 3), fmt.Sprint(w.market.No)} {
		status, to := w.post("inspector", "/kiem-tra/tim", form("progress_find", typed))
		if status != 303 || to != market {
			t.Errorf("find %q = %d %s", typed, status, to)
		}
	}
	status, body := w.post("inspector", "/kiem-tra/tim", form("progress_find", "dong ba"))
	w.want("find by name", status, body, 200, "Chợ Đông Ba")
	status, body = w.post("inspector", "/kiem-tra/tim", form("progress_find", fmt.Sprint(w.hotel.No)))
	w.want("find what one may not know of", status, body, 200, "Không tìm thấy", butNot, "Khách sạn")
	for _, bad := range []string{"", "\xff", "a\x00b", strings.Repeat("x", 1000)} {
		status, body := w.post("inspector", "/kiem-tra/tim", form("progress_find", bad))
		w.want(fmt.Sprintf("find %.9q", bad), status, body, 422)
	}

	visit := form("progress_check_poster", "yes", "progress_check_readable", "no", "progress_check_kiosk", "none", "progress_check_staff", "yes",
		"progress_people", "40", "progress_scanned", "30", "progress_result", "fix", "progress_note", "Thay áp phích.", "progress_due", "2026-12-03")
	for _, bad := range []url.Values{
		{}, with(visit, "progress_check_poster", "maybe"), with(visit, "progress_check_staff", ""), with(visit, "progress_scanned", "41"), with(visit, "progress_people", "-1"),
		with(visit, "progress_result", ""), with(visit, "progress_note", ""), with(visit, "progress_due", ""), with(visit, "progress_due", "2026-11-25"), with(visit, "progress_due", "2029-01-01"),
		with(visit, "progress_note", "a\x00"), with(visit, "progress_note", strings.Repeat("ế", 2001)),
	} {
		status, body := w.post("inspector", market+"/moi", bad)
		w.want(fmt.Sprintf("%.80v", bad), status, body, 422)
	}
	if status, body := w.post("inspector", market+"/moi", with(visit, "progress_note", strings.Repeat("x", 1<<20))); status != 413 {
		t.Errorf("a megabyte = %d %.200s", status, body)
	}
	status, to := w.post("inspector", market+"/moi", visit)
	w.want("visit", status, to, 303)
	status, body = w.get("owner", market)
	w.want("the owner's view", status, body, 200, "Cần khắc phục", "Thay áp phích.", "03/12/2026", butNot, "Display of inspector", "Đã khắc phục</button>")
	status, body = w.get("trade", "/kiem-tra")
	w.want("what is open", status, body, 200, "Chợ Đông Ba", "03/12/2026")
	w.now.Add((10 * 24 * time.Hour).Milliseconds())
	for _, who := range []string{"trade", "inspector"} {
		w.post(who, "/as/"+who, nil) // the night has ended their sessions
	}
	status, body = w.get("trade", "/kiem-tra")
	w.want("what is late", status, body, 200, "Quá hạn")
	status, to = w.post("inspector", market+"/moi", with(visit, "progress_result", "good", "progress_due", ""))
	w.want("good visit", status, to, 303)
	status, body = w.get("trade", "/kiem-tra")
	w.want("nothing open", status, body, 200, "Không còn việc nào", butNot, "Quá hạn")
	status, body = w.get("trade", "/kiem-tra?xem=tat-ca&trang=99999999")
	w.want("beyond the end", status, body, 200)
	status, body = w.get("trade", "/tien-do")
	w.want("coverage", status, body, 200, "75 %", "có cửa sẵn sàng")
}

func TestReportFromDraftToIssue(t *testing.T) {
	w := newWorld(t)
	w.tally(w.market, w.today()-1, 55)
	for _, bad := range []url.Values{
		{}, with(draft, "progress_title", ""), with(draft, "progress_title", strings.Repeat("a", 301)), with(draft, "progress_from", "x"), with(draft, "progress_to", "2030-01-01"),
		with(draft, "progress_from", "2026-11-27"), with(draft, "progress_from", "2025-01-01"), with(draft, "progress_lang", "fr"), with(draft, "progress_sector", "health"),
		with(draft, "progress_intro", "\xff"), with(draft, "progress_proposals", "a\x00"), with(draft, "progress_area", "nowhere"),
	} {
		status, body := w.post("trade", "/bao-cao/moi", bad)
		w.want(fmt.Sprintf("%.60v", bad), status, body, 422)
	}
	status, at := w.post("trade", "/bao-cao/moi", draft)
	w.want("add", status, at, 303)
	status, body := w.get("trade", at)
	w.want("report", status, body, 200, "BÁO CÁO", "Sở Công Thương", "Mưa lớn.", "In thêm áp phích.", "<li>Lưu: VT.</li>", "55", "Bản nháp")

	// Two write at the same time: nothing is lost.
	status, to := w.post("admin", at+"/sua", with(draft, "version", "1", "progress_difficulties", "Mất điện."))
	w.want("save", status, to, 303)
	status, body = w.post("trade", at+"/sua", with(draft, "version", "1", "progress_difficulties", "Gió to."))
	w.want("conflict", status, body, 409, "Display of admin", "Gió to.", `name="version" value="2"`)
	status, to = w.post("trade", at+"/sua", with(draft, "version", "2", "progress_difficulties", "Gió to. Mất điện."))
	w.want("save again", status, to, 303)
	status, body = w.get("trade", at+"?ban=2")
	w.want("earlier version", status, body, 200, "Mất điện.", "Đây là bản trước", butNot, "Gió to.")
	status, body = w.get("trade", at+"?ban=77")
	w.want("no such version", status, body, 404)
	status, body = w.post("trade", at+"/sua", with(draft, "version", "x"))
	w.want("no version", status, body, 400)

	status, body = w.post("trade", at+"/ban-hanh", form("version", "1"))
	w.want("issue an old version", status, body, 409)
	status, to = w.post("trade", at+"/ban-hanh", form("version", "3"))
	w.want("issue", status, to, 303)
	w.tally(w.market, w.today(), 1000)
	status, body = w.get("trade", at)
	w.want("issued", status, body, 200, "Đã ban hành", "55", butNot, "1.055", "BẢN NHÁP")
	for _, late := range []string{"/sua", "/ban-hanh"} {
		status, body = w.post("trade", at+late, with(draft, "version", "4"))
		w.want(late, status, body, 409)
	}
	status, body = w.get("trade", at+"/sua")
	w.want("edit what was issued", status, body, 409)
	status, body = w.get("trade", at+"/bao-cao.pdf")
	w.want("pdf", status, body[:5], 200, "%PDF-")

	status, at = w.post("commune", "/bao-cao/moi", with(draft, "progress_sector", "", "progress_area", phuXuan, "progress_lang", "en", "progress_title", "<script>alert(1)</script>"))
	w.want("a commune's", status, at, 303)
	status, body = w.get("commune", at)
	w.want("a commune's", status, body, 200, "REPORT", "As of 26/11/2026", "&lt;script&gt;alert", butNot, "<script>alert")
	status, body = w.get("commune", "/bao-cao/moi?khu="+phuXuan)
	w.want("form", status, body, 200, "Ủy ban nhân dân Phường Phú Xuân")
	status, body = w.get("trade", "/bao-cao")
	w.want("list", status, body, 200, "Tháng 11", butNot, "alert(1)")
}
