package office_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
)

func TestPeople(t *testing.T) {
	w := newWorld(t)
	root := w.person("root", all(qrgate.Administrator))
	lan, mai := w.person("lan"), w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "health"))
	market := w.organisation(lan, "Chợ Đông Ba")
	b := w.as(root)
	b.get("/nguoi-dung").want(t, "officers", 200, "Tên của mai", "Cán bộ ngành", "Y tế", "Tên của root", "!Tên của lan", "Người duyệt truy vết")
	if n := strings.Count(b.get("/nguoi-dung").body, "Đang hoạt động"); n != 2 {
		t.Errorf("%d active officers, want 2", n)
	}
	b.get("/nguoi-dung?tim=TEN+CUA+LAN").want(t, "by name", 200, "Tên của lan", "Chủ tổ chức", "Chợ Đông Ba", "!Tên của mai")
	b.get("/nguoi-dung?vai=sector_officer").want(t, "by role", 200, "Tên của mai", "!Tên của lan")
	b.get("/nguoi-dung?tim=%ff%00&vai=king&trang=-5").want(t, "nonsense", 200)
	b.get("/nguoi-dung?tim=khong+co").want(t, "nobody", 200, "Không có ai như vậy")

	path := "/nguoi-dung/" + lan
	b.get(path+"/vai-tro").want(t, "roles", 200, "Trông coi máy đọc", "!disabled")
	b.get(path+"/vai-tro?vai=sector_officer").want(t, "sectors", 200, `value="sector:health"`, "!sector:transport", "!area:")
	b.get(path+"/vai-tro?vai=area_officer").want(t, "areas", 200, `value="area:`+phuXuan+`"`, "!sector:")
	b.get(path+"/vai-tro?vai=clerk&tim=cho+dong").want(t, "organisations", 200, `value="organisation:`+market+`"`, "area:")
	b.get(path+"/vai-tro?vai=staff&tim=khong+co").want(t, "no organisation", 200, "Không có tổ chức nào")
	b.get(path+"/vai-tro?vai=auditor").want(t, "everywhere", 200, `name="pham_vi" value="all"`)

	b.post(path+"/vai-tro", "vai", "sector_officer", "pham_vi", "").want(t, "no scope", 422, "Xin chọn phạm vi")
	b.follow(b.post(path+"/vai-tro", "vai", "sector_officer", "pham_vi", "sector:tourism")).want(t, "given", 200, "Đã giao vai trò: Cán bộ ngành", "Du lịch")
	for _, bad := range [][2]string{
		{"king", "all"}, {"auditor", "sector:health"}, {"sector_officer", "sector:moon"}, {"area_officer", "area:1"}, {"staff", "organisation:nobody"},
		{"staff", "organisation:\xff"}, {"staff", "organisation:a\x00"}, {"", ""}, {"auditor", "sun:1"},
	} {
		b.post(path+"/vai-tro", "vai", bad[0], "pham_vi", bad[1]).want(t, "give "+bad[0]+" "+bad[1], 400)
	}
	b.follow(b.post(path+"/thu-hoi", "vai", "sector_officer", "pham_vi", "sector:tourism")).want(t, "taken", 200, "Đã thu hồi", "!Du lịch")
	b.post(path+"/thu-hoi", "vai", "sector_officer", "pham_vi", "sector:tourism").want(t, "taken twice", 404)
	b.post(path+"/thu-hoi", "vai", "owner", "pham_vi", "organisation:"+market).want(t, "the last owner", 422, "chủ cuối cùng")
	for _, id := range []string{"nobody", "%ff", "a%20b", strings.Repeat("a", 500)} {
		b.get("/nguoi-dung/"+id).want(t, "account "+id, 404)
		b.post("/nguoi-dung/"+id+"/vai-tro", "vai", "auditor", "pham_vi", "all").want(t, "role of account "+id, 404)
		b.post("/nguoi-dung/"+id+"/khoa").want(t, "block account "+id, 404)
	}

	// The machines' people see no persons, and who traces does not approve.
	b.follow(b.post(path+"/vai-tro", "vai", "health_officer", "pham_vi", "all")).want(t, "health officer", 200, "Đã giao")
	for _, role := range []string{"approver", "operator", "administrator"} {
		b.post(path+"/vai-tro", "vai", role, "pham_vi", "all").want(t, role+" as well", 422, "không được là cùng một người")
	}
	b.get(path+"/vai-tro").want(t, "roles of a health officer", 200, "disabled", "Cán bộ y tế truy vết và Người duyệt truy vết không được là cùng một người")

	officer := w.as(mai)
	officer.get("/").want(t, "an officer", 200, "Tên của mai")
	b.follow(b.post("/nguoi-dung/"+mai+"/khoa")).want(t, "blocked", 200, "Đã khóa", "Mở khóa")
	b.get("/nguoi-dung?tim=mai").want(t, "blocked in the list", 200, "state-blocked", "!state-active")
	officer.get("/").want(t, "a blocked officer", 200, "!Tên của mai", "/dang-nhap")
	b.follow(b.post("/nguoi-dung/"+mai+"/mo-khoa")).want(t, "unblocked", 200, "Đã mở khóa")
	b.post("/nguoi-dung/"+root+"/khoa").want(t, "oneself", 422, "tự khóa")
	b.post("/nguoi-dung/"+root+"/thu-hoi", "vai", "administrator", "pham_vi", "all").want(t, "the last administrator", 422, "quản trị viên cuối cùng")

	// With another one left, an administrator may go.
	other := w.person("khac", all(qrgate.Administrator))
	if a := b.post("/nguoi-dung/"+root+"/thu-hoi", "vai", "administrator", "pham_vi", "all"); a.status != 303 || a.to != "/" {
		t.Errorf("going = %d to %s", a.status, a.to)
	}
	b.get("/nguoi-dung").want(t, "gone", 403)
	grants, err := w.Grants(t.Context(), other)
	if err != nil || !slices.Contains(grants, all(qrgate.Administrator)) {
		t.Errorf("the other administrator holds %v, %v", grants, err)
	}
}

func TestOnlyAdministratorsSeePeople(t *testing.T) {
	w := newWorld(t)
	lan := w.person("lan")
	for _, role := range qrgate.Roles() {
		g := all(role)
		for _, s := range []qrgate.Scope{{Kind: qrgate.InSector, ID: "health"}, {Kind: qrgate.InArea, ID: phuXuan}, {Kind: qrgate.InOrganisation, ID: "x"}} {
			if g.Check() != nil {
				g.Scope = s
			}
		}
		b := w.as(w.person("as-"+strings.ReplaceAll(string(role), "_", "-"), g))
		want := 403
		if role == qrgate.Administrator {
			want = 200
		}
		b.get("/nguoi-dung").want(t, "list as "+string(role), want)
		b.get("/nguoi-dung/"+lan).want(t, "person as "+string(role), want)
		if want == 403 {
			b.post("/nguoi-dung/"+lan+"/vai-tro", "vai", "auditor", "pham_vi", "all").want(t, "give as "+string(role), 403)
		}
		b.get("/").want(t, "home as "+string(role), 200)
	}
}
