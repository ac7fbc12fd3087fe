//go:build full

package office_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// Every page fits phones, tablets and desks, in both schemes and languages, and the
// browser complains of nothing. Its pictures are among the test's artifacts.
func TestLooks(t *testing.T) {
	w := newWorld(t)
	lan, root := w.person("lan"), w.person("root", all(qrgate.Administrator), all(qrgate.Reporter))
	mai := w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "trade"), in(qrgate.AreaOfficer, qrgate.InArea, phuXuan))
	org := w.organisation(lan, "Ban quản lý chợ Đông Ba")
	first := w.shop(org, "Chợ Đông Ba, cổng chính phía đường Trần Hưng Đạo", "trade")
	w.shop(org, "Nhà hàng Sông Hương", "trade")
	w.tally(first.No, 1284, 967)
	err := w.s.Write(t.Context(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, 1, 0, '', '', '', 0, 1, '')", int64(first.No))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var one register.Difficulty
	for i, d := range []register.Difficulty{
		{Account: lan, Category: "print", Place: first.No, Page: "/dia-diem/1/in", Text: "Tải áp phích về nhưng máy in cắt mất mép dưới.\nĐã thử khổ A4 và A5.", Contact: "0905 123 456"},
		{Category: "scanner", Place: first.No, Text: "Máy quét ở cổng chính kêu nhưng không xanh với thẻ cũ của bà cụ bán hoa, dù đã lau thẻ và thử nhiều lần từ sáng tới trưa hôm nay."},
		{Account: lan, Category: "wrong_data", Place: first.No, Text: "Tên phường ghi cũ."},
	} {
		if err := w.AddDifficulty(t.Context(), &d, nil); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			one = d
		}
		if i == 2 {
			if err := w.AnswerDifficulty(t.Context(), mai, &d, "Đã sửa thành phường Phú Xuân. Cảm ơn chị đã báo."); err != nil {
				t.Fatal(err)
			}
		}
	}
	health := w.person("hoa", all(qrgate.HealthOfficer), in(qrgate.Staff, qrgate.InOrganisation, org))
	fresh := w.person("moi")

	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Network.enable", browser.Args{}, nil)
	for _, page := range []struct{ name, who, path string }{
		{"home-stranger", "", "/"}, {"report", "", "/vuong-mac?trang=/dia-diem"}, {"guide", "", "/huong-dan"}, {"guide-owner", "", "/huong-dan/chu-dia-diem"},
		{"home-new", fresh, "/"}, {"home-owner", lan, "/"}, {"mine", lan, "/vuong-mac/cua-toi"},
		{"home-officer", mai, "/"}, {"desk", mai, "/vuong-mac/danh-sach"}, {"case", mai, "/vuong-mac/" + one.ID},
		{"people", root, "/nguoi-dung"}, {"person", root, "/nguoi-dung/" + health}, {"roles", root, "/nguoi-dung/" + health + "/vai-tro"},
		{"scope", root, "/nguoi-dung/" + health + "/vai-tro?vai=clerk&tim=cho"}, {"audit", root, "/nhat-ky-he-thong"},
	} {
		tab.Look(1280, 900, "light")
		tab.Visit(w.web.URL + "/huong-dan")
		if page.who != "" {
			tab.Eval(fmt.Sprintf("fetch(%q, {method: 'POST', body: new URLSearchParams({second: '1'})}).then(() => true)", "/test/"+page.who))
		}
		for _, size := range []struct {
			width, height int
			scheme, lang  string
		}{{360, 740, "light", "vi"}, {768, 1000, "dark", "vi"}, {1280, 900, "light", "en"}} {
			tab.Call(tab.Session, "Network.setExtraHTTPHeaders", browser.Args{"headers": browser.Args{"Accept-Language": size.lang}}, nil)
			tab.Look(size.width, size.height, size.scheme)
			tab.Visit(w.web.URL + page.path)
			if wide := tab.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(size.width) {
				t.Errorf("%s at %d px is %v px wide", page.name, size.width, wide)
			}
			small := tab.Eval(`[...document.querySelectorAll("main button, main .button, main input:not([type=hidden],[type=radio]), main select")]
				.filter(e => e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80)).join("\n")`)
			if small != "" {
				t.Errorf("%s at %d px is too small to touch: %s", page.name, size.width, small)
			}
			tab.Shoot(fmt.Sprintf("%s-%d", page.name, size.width))
		}
	}
	if c := tab.Complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}
