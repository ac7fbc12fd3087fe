package progress_test

import (
	"fmt"
	"strings"
	"testing"
)

// An association sees figures of its members together, of no fewer than three, and
// of nobody else's places.
func TestAssociation(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"hoi", "hoi-khac"} {
		w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'tourism', '', '', 0)", id, "Hiệp hội "+id, id)
		who := "of " + id
		w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", id, id, who)
		w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, 'association', ?, '', 0)", id, "organisation:"+id)
		w.people[id] = w.browser()
		if status, _ := w.post(id, "/as/"+id, nil); status != 303 {
			t.Fatalf("sign in as %s: %d", id, status)
		}
	}
	member := func(association, organisation string, is bool) {
		t.Helper()
		if err := w.reg.SetMember(t.Context(), "admin", association, organisation, is); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		id := fmt.Sprintf("ks%d", i)
		w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'tourism', '', '', 0)", id, "Khách sạn Số "+id, id)
		p := w.place(id, "Nhà nghỉ "+id, "tourism", "lodging", thuanHoa)
		w.tally(p, w.today()-1, 20)
		if i < 2 {
			member("hoi", id, true)
		}
	}
	w.tally(w.hotel, w.today()-1, 500) // of no member
	w.tally(w.market, w.today()-1, 70)

	// figures is the page without what may be chosen.
	figures := func(who, path string) (int, string) {
		status, body := w.get(who, path)
		_, after, _ := strings.Cut(body, `name="ky" value="thang"`)
		head, _, _ := strings.Cut(body, `role="search"`)
		_, head, _ = strings.Cut(head, "<main")
		return status, head + after
	}
	status, body := figures("hoi", "/hoi-vien")
	w.want("of two members", status, body, 200, "Chưa đủ 3 hội viên", butNot, "Khách sạn Số", ">40<")
	member("hoi", "ks2", true)
	member("hoi", "mine", true) // the market, the only one of its sector
	status, body = figures("hoi", "/hoi-vien")
	w.want("of four members", status, body, 200, ">≥\u00a060<", "Các nơi khác, gộp chung", "không được tính vào đây", butNot, "560", "130", ">70<", "Nhà nghỉ", "Khách sạn", "Chợ Đông Ba", "Công Thương</th>")
	if !strings.Contains(body, "Thuận Hoá</th>") || strings.Contains(body, "Phú Xuân</th>") {
		t.Error("a commune with one member is told apart, or one with three is not")
	}
	status, body = figures("hoi", "/hoi-vien?nganh=trade")
	w.want("of one sector with one member", status, body, 200, "Chưa đủ 3 hội viên", butNot, ">70<")
	status, body = figures("hoi", "/hoi-vien?hoi=hoi-khac")
	w.want("another association", status, body, 200, "Hiệp hội hoi<", butNot, "hoi-khac")
	status, body = figures("hoi-khac", "/hoi-vien?hoi=hoi")
	w.want("of no members", status, body, 200, "Chưa đủ 3 hội viên", butNot, "Thuận Hoá</th>")
	member("hoi", "ks1", false)
	status, body = figures("hoi", "/hoi-vien?nganh=tourism")
	w.want("after one has left", status, body, 200, "Chưa đủ 3 hội viên")
	for who := range w.roles() {
		if status, _ := w.get(who, "/hoi-vien"); status != 403 {
			t.Errorf("%s sees members: %d, want 403", who, status)
		}
	}
	for _, path := range []string{"/tien-do", "/bao-cao", "/kiem-tra", "/tien-do/danh-sach"} {
		if status, _ := w.get("hoi", path); status != 403 {
			t.Errorf("an association reads %s: %d, want 403", path, status)
		}
	}
	if err := w.reg.SetMember(t.Context(), "admin", "hoi", "hoi", true); err == nil {
		t.Error("an association is its own member")
	}
	if err := w.reg.SetMember(t.Context(), "admin", "hoi", "nobody", true); err == nil {
		t.Error("what there is not is a member")
	}
}
