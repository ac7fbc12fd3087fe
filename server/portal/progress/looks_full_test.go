//go:build full

package progress_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// furnish fills a world with places that have come differently far.
func (w *world) furnish() (reportAt string) {
	w.t.Helper()
	today := w.today()
	kinds, names := []string{"market", "shop", "restaurant", "shopping"}, []string{"Chợ", "Cửa hàng tạp hóa", "Quán cơm hến", "Siêu thị"}
	var list []rollout.Listed
	for i, u := range area.Current() {
		for k := range 4 {
			name := fmt.Sprintf("%s %s %d", names[k], u.Name, i)
			if (i+k)%5 == 0 {
				list = append(list, rollout.Listed{Name: name, Sector: "trade", Kind: kinds[k], Area: u.ID.String(), AreaNow: u.ID.String(), Street: "12 Lê Lợi", Phone: "+84905123456"})
				continue
			}
			p := w.place("mine", name, []string{"trade", "health", "education"}[(i+k)%3], kinds[k], u.ID.String())
			w.exec("UPDATE places SET created = ? WHERE no = ?", (today - qrgate.Day(5*((i*7+k)%12))).Start().UnixMilli(), int64(p.No))
			if (i+k)%4 > 0 {
				w.exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 0, ?, '')", int64(p.No), (today - qrgate.Day((i+k)%20)).Start().UnixMilli())
			}
			if (i*3+k)%3 > 0 {
				for d := range 20 {
					if (i+k)%7 != 1 || d > 16 {
						w.tally(p, today-qrgate.Day(d), 4+(i*11+k*17+d*5)%90)
					}
				}
			}
		}
	}
	id, err := w.reg.AddUpload(w.t.Context(), "admin", "x", []byte("{}"))
	if err == nil {
		_, err = w.kept.TakeList(w.t.Context(), "admin", id, list)
	}
	for _, g := range []rollout.Target{
		{Sector: "trade", Kind: "market", Target: report.Target{Stage: report.Active, Percent: 80, Begun: today - 20, Due: today + 40}, Note: "Theo kế hoạch 15/KH-UBND"},
		{Target: report.Target{Stage: report.Registered, Percent: 95, Begun: today - 40, Due: today - 3}},
	} {
		if err == nil {
			err = w.kept.AddTarget(w.t.Context(), "admin", &g)
		}
	}
	for i, in := range []rollout.Inspection{
		{Result: rollout.Fix, Note: "Áp phích treo sau cửa, khách không thấy. Chuyển ra cổng chính.", Due: today + 5, People: 48, Scanned: 31},
		{Result: rollout.Bad, Note: "Máy quét tắt, không ai biết bật.", Due: today - 2},
		{Result: rollout.Good, People: 60, Scanned: 52},
	} {
		in.Place = []uint32{w.market.No, w.hotel.No, w.clinic.No}[i]
		in.Checks = map[rollout.Check]rollout.Answer{"poster": rollout.Yes, "readable": rollout.Yes, "kiosk": rollout.None, "staff": rollout.No}
		if err == nil {
			err = w.kept.AddInspection(w.t.Context(), "inspector", &in)
		}
	}
	d := register.Difficulty{Category: "print", Place: w.market.No, Text: "Máy in cắt mất mép dưới."}
	if err == nil {
		err = w.reg.AddDifficulty(w.t.Context(), &d, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	status, to := w.post("admin", "/bao-cao/moi", url.Values{
		"progress_title": {"Kết quả triển khai mã QR phục vụ quản lý dịch bệnh trên địa bàn thành phố"}, "progress_agency": {"Sở Khoa học và Công nghệ"}, "progress_superior": {"Ủy ban nhân dân thành phố Huế"},
		"progress_number": {"Số: 112/BC-SKHCN"}, "progress_town": {"Huế"}, "progress_lang": {"vi"}, "progress_from": {"2026-11-01"}, "progress_to": {"2026-11-26"},
		"progress_intro": {"Thực hiện Công văn số 840/UBND-CN ngày 27 tháng 01 năm 2021, cơ quan báo cáo kết quả như sau:"}, "progress_recipients": {"Ủy ban nhân dân thành phố;\nCác sở, ngành;\nLưu: VT."},
		"progress_difficulties": {"Một số chợ ở vùng núi chưa có mạng ổn định; máy quét gửi muộn.\nNgười cao tuổi chưa quen dùng thẻ."}, "progress_proposals": {"Đề nghị Sở Công Thương hỗ trợ in áp phích cho các chợ loại 3."},
		"progress_signed_as": {"Giám đốc"}, "progress_signed": {"Nguyễn Văn An"},
	})
	if status != 303 {
		w.t.Fatalf("report = %d %s", status, to)
	}
	return to
}

// associate lets the places be those of six organisations, which are members of an
// association.
func (w *world) associate() {
	w.t.Helper()
	w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('hoi', 'Hiệp hội Doanh nghiệp thành phố Huế', 'hoi', 'association', '', '', 0)")
	for i := range 6 {
		id := fmt.Sprintf("hv%d", i)
		w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'trade', '', '', 0)", id, id, id)
		w.exec("UPDATE places SET organisation = ? WHERE no % 6 = ? AND no > 3", id, i)
		if err := w.reg.SetMember(w.t.Context(), "admin", "hoi", id, true); err != nil {
			w.t.Fatal(err)
		}
	}
	w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES ('hoi', 'hoi', 'Người của hội', '', 0, '', 1, 0, 0)")
	w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES ('hoi', 'association', 'organisation:hoi', '', 0)")
}

// Every page fits phones, tablets and desks, in both schemes and languages, and the
// browser complains of nothing. Its pictures are among the test's artifacts.
func TestLooks(t *testing.T) {
	w := newWorld(t)
	at := w.furnish()
	w.associate()
	list, _, err := w.kept.ListedPlaces(t.Context(), rollout.Query{Within: register.Within{All: true}}, true, 0, 1)
	if err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	axe, err := os.ReadFile("../testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Network.enable", browser.Args{}, nil)
	for _, page := range []struct{ name, who, path string }{
		{"cockpit", "admin", "/tien-do"}, {"cockpit-trade", "trade", "/tien-do?loai=market&ky=thang"}, {"targets", "admin", "/tien-do/muc-tieu"}, {"list", "trade", "/tien-do/danh-sach"},
		{"listed", "trade", "/tien-do/danh-sach/" + list[0].ID}, {"import", "trade", "/tien-do/danh-sach/nhap"},
		{"visits", "inspector", "/kiem-tra"}, {"visit", "inspector", path("/kiem-tra/dia-diem/%d/moi", w.market.No)}, {"visited", "owner", path("/kiem-tra/dia-diem/%d", w.market.No)},
		{"reports", "admin", "/bao-cao"}, {"write", "admin", at + "/sua"}, {"report", "admin", at}, {"members", "hoi", "/hoi-vien"},
	} {
		tab.Look(1280, 900, "light")
		tab.Visit(w.url + "/blank")
		tab.Eval(fmt.Sprintf("fetch(%q, {method: 'POST'}).then(() => true)", "/as/"+page.who))
		for _, size := range []struct {
			width, height int
			scheme, lang  string
		}{{360, 3600, "light", "vi"}, {768, 2800, "dark", "vi"}, {1280, 2600, "light", "en"}} {
			tab.Call(tab.Session, "Network.setExtraHTTPHeaders", browser.Args{"headers": browser.Args{"Accept-Language": size.lang}}, nil)
			tab.Look(size.width, size.height, size.scheme)
			tab.Visit(w.url + page.path)
			if wide := tab.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(size.width) {
				t.Errorf("%s at %d px is %v px wide", page.name, size.width, wide)
			}
			cut := tab.Eval(`[...document.querySelectorAll(".progress-scroll")].filter(e => e.querySelectorAll("thead th").length < 5 && e.scrollWidth > e.clientWidth).map(e => e.innerText.slice(0, 80)).join("\n")`)
			if cut != "" {
				t.Errorf("%s at %d px cuts off a table of few columns: %s", page.name, size.width, cut)
			}
			small := tab.Eval(`[...document.querySelectorAll("main button, main .button, main input:not([type=hidden],[type=radio]), main select")]
				.filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80)).join("\n")`)
			if small != "" {
				t.Errorf("%s at %d px is too small to touch: %s", page.name, size.width, small)
			}
			tab.Eval(string(axe) + ";0")
			if found := tab.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact == "serious" || v.impact == "critical").map((v) => v.id + " " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")).join("\n"))`); found != "" {
				t.Errorf("%s at %d px, %s: %s", page.name, size.width, size.scheme, found)
			}
			tab.Shoot(fmt.Sprintf("%s-%d", page.name, size.width))
		}
	}
	if c := tab.Complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}
