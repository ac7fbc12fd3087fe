package place_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// typed is a form as somebody fills it in.
func typed(organisation string, change ...string) url.Values {
	v := url.Values{
		"do": {"save"}, "place.org": {organisation}, "place.name": {"Chợ An Cựu"}, "place.kind": {"market"}, "place.commune": {"phuong phu xuan"},
		"place.street": {"1 Hùng Vương"}, "place.person": {"Trần Văn Minh"}, "place.phone1": {"0905 123 456"}, "place.doors": {"2"},
		"place.hours1.days": {"1", "2"}, "place.hours1.from": {"07:00"}, "place.hours1.to": {"17:30"}, "place.hours2.all": {"1"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
	}
	return v
}

func (w *world) all() []*qrgate.Place {
	w.t.Helper()
	all, _, err := w.reg.Places(w.t.Context(), register.Query{Within: register.Within{All: true}, Sort: register.PlaceNumber})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestAddPlace(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	status, body := lan.get("/dia-diem/moi")
	w.want("form", status, body, 200, "Thêm mới địa điểm", ">Lưu<", "Phường Phú Xuân")
	// The page of the poster, to which one goes on, is another package's.
	status, _ = lan.post("/dia-diem/moi", typed(w.market))
	if all := w.all(); status != 404 || len(all) != 1 {
		t.Fatalf("add: %d, %d places", status, len(all))
	}
	p := w.all()[0]
	if p.Name != "Chợ An Cựu" || p.Sector != "trade" || p.Area != phuXuan || p.AreaNow != phuXuan || p.Phones[0] != "+84905123456" || p.Doors != 2 || p.Organisation != w.market {
		t.Errorf("stored %+v", p)
	}
	if len(p.Hours) != 2 || p.Hours[0].Days != 0b110 || p.Hours[0].Open != 420 || p.Hours[0].Close != 1050 || p.Hours[1].Days != qrgate.EveryDay || p.Hours[1].Open != p.Hours[1].Close {
		t.Errorf("hours %+v", p.Hours)
	}
	// An old commune stays what was chosen, and is found in the one of today.
	lan.post("/dia-diem/moi", typed(w.market, "place.name", "Cũ", "place.commune", "p. Thuận Lộc"))
	if old := w.all()[1]; old.Area != "19753@2025-01-01" || old.AreaNow != phuXuan {
		t.Errorf("old commune: %q, %q", old.Area, old.AreaNow)
	}
}

func TestWrongPlace(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	for _, tt := range []struct{ field, value, says string }{
		{"place.name", "", "Xin điền chỗ này"},
		{"place.name", strings.Repeat("x", 121), "nhiều nhất 120"},
		{"place.name", "a\x00b", "ký tự không dùng được"},
		{"place.name", "a\xffb", "ký tự không dùng được"},
		{"place.name", "a\r\nb", "ký tự không dùng được"},
		{"place.kind", "moon", "chọn một mục"},
		{"place.sector", "moon", "chọn một mục"},
		{"place.commune", "Sài Gòn 9", "Không tìm thấy"},
		{"place.commune", "phong", "chọn một nơi trong danh sách"},
		{"place.lat", "north", "Vĩ độ là một số"},
		{"place.lat", "16.4", "Xin điền chỗ này"},
		{"place.lon", "NaN", "Kinh độ là một số"},
		{"place.person", "", "Xin điền chỗ này"},
		{"place.phone1", "12", "Số điện thoại chưa đúng"},
		{"place.email", "lan", "thư điện tử chưa đúng"},
		{"place.capacity", "-1", "từ 0 đến"},
		{"place.doors", "1e9", "từ 0 đến"},
		{"place.hours1.to", "", "cả giờ mở và giờ đóng"},
		{"place.hours1.days", "9", "chọn một mục"},
	} {
		status, body := lan.post("/dia-diem/moi", typed(w.market, tt.field, tt.value))
		w.want(fmt.Sprintf("%s=%.20q", tt.field, tt.value), status, body, 422, tt.says)
		if tt.field != "place.person" && !strings.Contains(body, "Trần Văn Minh") {
			t.Errorf("%s: what was typed is lost", tt.field)
		}
	}
	status, body := lan.post("/dia-diem/moi", typed(w.clinic))
	w.want("another's organisation", status, body, 422)
	status, body = lan.post("/dia-diem/moi", typed(w.market, "place.name", strings.Repeat("x", 1<<20)))
	w.want("too long", status, body, 413)
	if n := len(w.all()); n != 0 {
		t.Errorf("%d places were stored", n)
	}
}

func TestWarningsPassTheSecondTime(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	w.place(w.market, "CHO AN CUU")
	form := typed(w.market, "place.lat", "16,45", "place.lon", "107.60")
	status, body := lan.post("/dia-diem/moi", form)
	w.want("warned", status, body, 422, "Vị trí nằm ở", "cùng tên ở xã, phường này: số 1", "bấm Lưu lần nữa")
	warned := regexp.MustCompile(`name="warned" value="([^"]*)"`).FindStringSubmatch(body)
	if warned == nil {
		t.Fatal("no warnings to confirm")
	}
	form.Set("warned", strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`).Replace(warned[1]))
	lan.post("/dia-diem/moi", form)
	if all := w.all(); len(all) != 2 || all[1].At == nil || all[1].At.Lat != 16.45 {
		t.Errorf("stored %+v", all)
	}
}

func TestMapWithoutScript(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	form := typed(w.market, "place.commune", "", "place.map.s.x", "135", "place.map.s.y", "80")
	form.Del("do")
	status, body := lan.post("/dia-diem/moi", form)
	w.want("map", status, body, 200, `name="place.lat" type="text" value="16.`, `name="place.lon" type="text" value="107.`, "khu=")
	if area := regexp.MustCompile(`name="place.area" value="([^"]+)"`).FindStringSubmatch(body); area == nil {
		t.Error("the map proposes no commune")
	}
	form.Set("place.map.s.x", "0")
	form.Set("place.map.s.y", "0")
	status, body = lan.post("/dia-diem/moi", form)
	w.want("map by keyboard", status, body, 200, "Xin ghi vĩ độ và kinh độ")
	form.Set("place.map.s.x", "-99999999999999999999")
	status, body = lan.post("/dia-diem/moi", form)
	w.want("map of nowhere", status, body, 200)
	for _, query := range []string{"", "?khu=" + url.QueryEscape(phuXuan) + "&vd=16.47&kd=107.58", "?khu=x&vd=NaN&kd=%00", "?khu=19753@2021-07-01"} {
		status, body = lan.get("/ban-do.svg" + query)
		w.want("picture "+query, status, body, 200, "<svg", "</svg>")
	}
	form = typed(w.market, "do", "find", "place.commune", "thuan loc")
	status, body = lan.post("/dia-diem/moi", form)
	w.want("find", status, body, 200, "Phường Thuận Lộc")
	status, body = lan.get("/dia-danh?q=thuan+loc")
	w.want("suggestions", status, body, 200, `"id":"19753@`, `"now":"Phường Phú Xuân"`)
	status, body = lan.get("/dia-danh?vd=16.4698&kd=107.5796")
	w.want("commune of a point", status, body, 200, phuXuan)
	for _, query := range []string{"", "?q=", "?q=" + strings.Repeat("x", 3000), "?q=%ff%00", "?vd=999&kd=1"} {
		status, body = lan.get("/dia-danh" + query)
		w.want("suggestions of "+query[:min(10, len(query))], status, body, 200, "[]")
	}
}

func TestSavePlace(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	p := w.place(w.market, "Chợ Đông Ba")
	path := fmt.Sprintf("/dia-diem/%d", p.No)
	status, body := lan.get(path)
	w.want("form", status, body, 200, "Chợ Đông Ba", "0905 123 456", "05:00", "Phường Phú Xuân")
	status, body = lan.post(path, typed("", "version", "1"))
	w.want("save", status, body, 200, "Đã lưu “Chợ An Cựu”")
	if got := w.all()[0]; got.Name != "Chợ An Cựu" || got.Organisation != w.market || got.Version != 2 {
		t.Errorf("stored %+v", got)
	}
	// Who was slower sees both, and may replace knowingly.
	status, body = lan.post(path, typed("", "version", "1", "place.name", "Của tôi"))
	w.want("conflict", status, body, 409, "Có người vừa sửa", "Chợ An Cựu", `value="Của tôi"`, `name="version" value="2"`)
	status, body = lan.post(path, typed("", "version", "2", "place.name", "Của tôi"))
	w.want("again", status, body, 200, "Đã lưu “Của tôi”")
	for _, path := range []string{"/dia-diem/99", "/dia-diem/x", "/dia-diem/-1", "/dia-diem/99999999999999999999", "/dia-diem/1%00"} {
		if status, body = lan.get(path); status != 404 && status != 400 {
			t.Errorf("GET %s = %d %.300s", path, status, body)
		}
	}
}

func TestDeletePlace(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	p := w.place(w.market, "Chợ Đông Ba")
	path := fmt.Sprintf("/dia-diem/%d", p.No)
	status, body := lan.get(path + "/xoa")
	w.want("ask", status, body, 200, "Xóa địa điểm", "điểm này đã ngừng", "26/12/2026")
	if len(w.all()) != 1 {
		t.Fatal("asking deletes")
	}
	status, body = lan.post(path+"/xoa", url.Values{"version": {"9"}})
	w.want("of another version", status, body, 409)
	status, body = lan.post(path+"/xoa", url.Values{"version": {"x"}})
	w.want("of no version", status, body, 400)
	for range 2 {
		status, body = lan.post(path+"/xoa", url.Values{"version": {"1"}})
		w.want("delete", status, body, 200, "Khôi phục", "Đã xóa")
	}
	status, body = lan.get("/dia-diem")
	w.want("list", status, body, 200, "Chưa có địa điểm nào")
	status, body = lan.get("/dia-diem?trang_thai=deleted")
	w.want("deleted", status, body, 200, "Chợ Đông Ba", "khoi-phuc")
	status, body = lan.post(path, typed("", "version", "2"))
	w.want("save what is deleted", status, body, 409)
	status, body = lan.post(path+"/khoi-phuc", nil)
	w.want("take back", status, body, 200, "Đã khôi phục")
	lan.post(path+"/xoa", url.Values{"version": {"3"}})
	w.now.Add(qrgate.UndoFor.Milliseconds())
	lan = w.as("lan")
	status, body = lan.post(path+"/khoi-phuc", nil)
	w.want("take back too late", status, body, 409)
	status, body = lan.get(path)
	w.want("long deleted", status, body, 200, "Địa điểm đã xóa")
	if strings.Contains(body, "khoi-phuc") {
		t.Error("offers to take back what is too old")
	}
}

// Each role sees and does what it may with two places, of which one is in its
// scope, and with nothing else.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	mine, other := w.place(w.market, "Chợ Đông Ba"), w.place(w.clinic, "Phòng khám Minh Tâm")
	other.Sector, other.Kind, other.Area, other.AreaNow = "health", "clinic", thuanHoa, thuanHoa
	if err := w.reg.SavePlace(t.Context(), "", other, ""); err != nil {
		t.Fatal(err)
	}
	of := func(kind qrgate.ScopeKind, id string) qrgate.Scope { return qrgate.Scope{Kind: kind, ID: id} }
	for i, tt := range []struct {
		role                    qrgate.Role
		scope                   qrgate.Scope
		sees, calls, edits      bool
		adds, drops, seesOthers bool
	}{
		{qrgate.Owner, of(qrgate.InOrganisation, w.market), true, true, true, true, true, false},
		{qrgate.Staff, of(qrgate.InOrganisation, w.market), true, true, true, true, true, false},
		{qrgate.Guard, of(qrgate.InOrganisation, w.market), true, true, false, false, false, false},
		{qrgate.Organiser, of(qrgate.InOrganisation, w.market), true, false, false, false, false, false},
		{qrgate.Inspector, of(qrgate.InSector, "trade"), true, true, false, false, false, false},
		{qrgate.SectorOfficer, of(qrgate.InSector, "trade"), true, true, true, false, false, false},
		{qrgate.AreaOfficer, of(qrgate.InArea, phuXuan), true, true, true, false, false, false},
		{qrgate.AreaOfficer, of(qrgate.InArea, "19753@2021-07-01"), false, false, false, false, false, false},
		{qrgate.Reporter, qrgate.All, true, false, false, false, false, true},
		{qrgate.Administrator, qrgate.All, true, false, false, false, false, true},
		{qrgate.HealthOfficer, qrgate.All, false, false, false, false, false, false},
		{qrgate.Owner, of(qrgate.InOrganisation, "another"), false, false, false, true, false, false},
	} {
		name := fmt.Sprintf("%s%d", strings.ReplaceAll(string(tt.role), "_", "-"), i)
		w.account(name, qrgate.Grant{Role: tt.role, Scope: tt.scope})
		c := w.as(name)
		path := fmt.Sprintf("/dia-diem/%d", mine.No)
		_, list := c.get("/dia-diem")
		status, body := c.get(path)
		csvStatus, csv := c.get("/dia-diem.csv")
		if got := strings.Contains(list, "Chợ Đông Ba"); got != tt.sees || (status == 200) != tt.sees || strings.Contains(csv, "Chợ Đông Ba") != tt.sees {
			t.Errorf("%s sees in the list %v, page %d, sheet %d, want %v", name, got, status, csvStatus, tt.sees)
		}
		if got := strings.Contains(body, "0905 123 456"); got != tt.calls || strings.Contains(csv, "0905 123 456") != tt.calls || strings.Contains(csv, "lan@example.vn") != tt.calls {
			t.Errorf("%s sees whom to call %v, want %v", name, got, tt.calls)
		}
		if got := strings.Contains(list, "Phòng khám Minh Tâm"); got != tt.seesOthers || strings.Contains(csv, "Phòng khám Minh Tâm") != tt.seesOthers {
			t.Errorf("%s sees the other place %v, want %v", name, got, tt.seesOthers)
		}
		now := w.all()[0]
		status, _ = c.post(path, typed("", "version", fmt.Sprint(now.Version), "place.name", "Chợ Đông Ba", "place.street", name, "place.email", "lan@example.vn"))
		if got := w.all()[0].Street == name; got != tt.edits {
			t.Errorf("%s edits: %v (%d), want %v", name, got, status, tt.edits)
		}
		status, body = c.post(fmt.Sprintf("/dia-diem/%d", other.No), typed("", "version", "2", "place.name", "Stolen"))
		if status < 400 || w.all()[1].Name == "Stolen" || strings.Contains(body, "Minh Tâm") && !tt.seesOthers {
			t.Errorf("%s edits the other place: %d", name, status)
		}
		status, _ = c.get("/dia-diem/moi")
		if got := status == 200; got != tt.adds {
			t.Errorf("%s adds: %d, want %v", name, status, tt.adds)
		}
		status, _ = c.get(path + "/xoa")
		if got := status == 200; got != tt.drops {
			t.Errorf("%s deletes: %d, want %v", name, status, tt.drops)
		}
	}
	status, body := w.as("lan").get(fmt.Sprintf("/dia-diem/%d", mine.No))
	w.want("the owner", status, body, 200, "Sửa hộ bởi Display of area-officer6, cán bộ địa bàn", "Sửa hộ bởi Display of sector-officer5, cán bộ ngành")
	if status, _ := w.as("stranger").get("/dia-diem"); status != http.StatusForbidden {
		t.Errorf("a member of nothing: %d", status)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.place(w.market, fmt.Sprintf("Quầy %02d", i))
	}
	w.place(w.market, "<b>Đông Ba</b>")
	lan := w.as("lan")
	status, body := lan.get("/dia-diem")
	w.want("first page", status, body, 200, "&lt;b&gt;", "1–25 trong 61", "trang=2")
	status, body = lan.get("/dia-diem?trang=3")
	w.want("last page", status, body, 200, "51–61 trong 61", "trang=2")
	status, body = lan.get("/dia-diem?q=dong+BA")
	w.want("search", status, body, 200, "&lt;b&gt;")
	if strings.Contains(body, "Quầy 01") {
		t.Error("search finds others")
	}
	// The file that the page leads to holds what it shows.
	file := regexp.MustCompile(`href="(/dia-diem\.csv\?[^"]*)"`).FindStringSubmatch(body)
	if file == nil {
		t.Fatal("the list leads to no file")
	}
	status, sheet := lan.get(html.UnescapeString(file[1]))
	w.want("file", status, sheet, 200, "Đông Ba")
	if strings.Contains(sheet, "Quầy 01") {
		t.Error("the file of a search holds others")
	}
	for _, query := range []string{"trang=999999", "trang=-1", "trang=x", "q=%ff", "q=%00", "loai=x&xep=x&trang_thai=x&nganh=x&khu=x&to_chuc=x", "q=" + strings.Repeat("%25", 200)} {
		if status, body := lan.get("/dia-diem?" + query); status != 200 {
			t.Errorf("GET ?%.30s = %d %.500s", query, status, body)
		}
	}
	w.account("reporter", qrgate.Grant{Role: qrgate.Reporter, Scope: qrgate.All})
	status, body = w.as("reporter").get("/dia-diem")
	w.want("officer", status, body, 200, "Trong phạm vi phụ trách", "<strong>61</strong>", "Phường Phú Xuân", "Công Thương")
}
