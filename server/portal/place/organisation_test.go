package place_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func (w *world) roles(organisation, name string) []qrgate.Role {
	w.t.Helper()
	members, err := w.reg.Members(w.t.Context(), organisation)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(members, func(m register.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return members[i].Roles
}

func TestNewOrganisation(t *testing.T) {
	w := newWorld(t)
	c := w.as("stranger")
	status, body := c.get("/to-chuc/moi")
	w.want("form", status, body, 200, "Tổ chức mới", "Lưu")
	status, body = c.post("/to-chuc/moi", url.Values{"org.name": {"Chợ"}, "org.sector": {"moon"}, "org.phone": {"1"}})
	w.want("wrong", status, body, 422, "chọn một mục", "Số điện thoại chưa đúng", `value="Chợ"`)
	status, body = c.post("/to-chuc/moi", url.Values{"org.name": {"Chợ Bến Ngự"}, "org.sector": {"trade"}, "org.phone": {"0905123456"}})
	w.want("made", status, body, 200, "Đã tạo “Chợ Bến Ngự”", "Thêm mới địa điểm")
	status, body = c.get("/to-chuc")
	w.want("its page", status, body, 200, "Chợ Bến Ngự", "Display of stranger", "Chủ")
	if status, _ := w.as("").get("/to-chuc"); status != http.StatusNotFound { // the page of sign-in is another package's
		t.Errorf("nobody: %d", status)
	}
	status, body = c.get("/to-chuc?ma=" + w.market)
	w.want("another's page", status, body, 404)
	for _, do := range []string{"save", "invite", "roles", "remove", "transfer", "take_back", "nothing"} {
		status, body = c.post("/to-chuc", url.Values{"ma": {w.market}, "do": {do}, "account": {w.ids["lan"]}, "role": {"guard"}})
		w.want("another's "+do, status, body, 404)
	}
	status, body = w.as("lan").post("/to-chuc", url.Values{"ma": {w.market}, "do": {"nothing"}})
	w.want("nothing", status, body, 400)
}

// Whoever is a member of an association sees it, and its owner may leave.
func TestAssociationOfOrganisation(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	hoi := register.Organisation{Name: "Hiệp hội Du lịch", Sector: "tourism", Phone: "0905123456"}
	if err := w.reg.AddOrganisation(t.Context(), w.ids["stranger"], &hoi); err != nil {
		t.Fatal(err)
	}
	if err := w.reg.SetMember(t.Context(), "", hoi.ID, w.market, true); err != nil {
		t.Fatal(err)
	}
	status, body := lan.get("/to-chuc?ma=" + w.market)
	w.want("a member", status, body, 200, "Hiệp hội Du lịch", "Ra khỏi hội")
	status, body = w.as("stranger").post("/to-chuc", url.Values{"ma": {w.market}, "do": {"leave_association"}, "hoi": {hoi.ID}})
	w.want("another's", status, body, 404)
	status, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"leave_association"}, "hoi": {hoi.ID}})
	w.want("left", status, body, 200, "không còn là hội viên")
	if strings.Contains(body, "Hiệp hội Du lịch") {
		t.Error("the association is still there")
	}
	status, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"leave_association"}, "hoi": {"nobody"}})
	w.want("an association that there is not", status, body, 404)
}

func TestSaveOrganisation(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	status, body := lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"save"}, "org.name": {""}, "org.sector": {"trade"}, "org.phone": {"0905123456"}})
	w.want("wrong", status, body, 422, "Xin điền chỗ này")
	status, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"save"}, "org.name": {"Chợ mới"}, "org.sector": {"trade"}, "org.phone": {"0905123456"}})
	w.want("saved", status, body, 200, "Đã lưu thông tin", "Chợ mới")
}

// link is an invitation's, and its code.
var link = regexp.MustCompile(`value="(http://127\.0\.0\.1/loi-moi#([^"]+))"`)

func TestInvitation(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	status, body := lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"invite"}, "org.role": {"administrator"}})
	w.want("a role beyond the organisation", status, body, 422, "chọn một mục")
	status, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"invite"}, "org.role": {"staff"}, "org.note": {"anh Minh"}})
	w.want("invited", status, body, 200, "Đã tạo liên kết mời", "anh Minh", "Hủy lời mời")
	link := link.FindStringSubmatch(body)
	if link == nil {
		t.Fatal("no link")
	}
	if _, body := lan.get("/to-chuc"); strings.Contains(body, link[2]) {
		t.Error("the link is shown again")
	}
	// Without a sign-in the code is kept until there is one.
	guest := w.as("")
	status, body = guest.get("/loi-moi")
	w.want("asks for the code", status, body, 200, "Mã lời mời")
	for _, code := range []string{"", "x", "a\x00", strings.Repeat("a", 32), strings.Repeat("a", 1000)} {
		status, body = guest.post("/loi-moi", url.Values{"org.code": {code}})
		if status != 422 && status != 200 || strings.Contains(body, "Tham gia<") {
			t.Errorf("code %.40q = %d", code, status)
		}
	}
	status, body = guest.post("/loi-moi", url.Values{"org.code": {link[1]}})
	w.want("shown", status, body, 200, "Ban quản lý chợ Đông Ba", "Nhân viên", "/dang-nhap?ve=%2Floi-moi")
	if status, _ := guest.post("/loi-moi", url.Values{"do": {"join"}}); status != 404 { // on to sign in
		t.Errorf("join without a sign-in = %d", status)
	}
	guest.post("/as/stranger", nil)
	status, body = guest.post("/loi-moi", url.Values{"do": {"join"}})
	w.want("joined", status, body, 200, "Đã tham gia", "Display of lan")
	if got := w.roles(w.market, "stranger"); !slices.Equal(got, []qrgate.Role{qrgate.Staff}) {
		t.Errorf("roles %v", got)
	}
	minh := w.as("minh")
	status, body = minh.post("/loi-moi", url.Values{"org.code": {link[2]}})
	w.want("used before", status, body, 422, "đã dùng rồi")
	status, body = minh.post("/loi-moi", url.Values{"do": {"join"}})
	w.want("join nothing", status, body, 422)
	// Staff does not invite.
	if status, _ := w.as("stranger").post("/to-chuc", url.Values{"ma": {w.market}, "do": {"invite"}, "org.role": {"owner"}}); status != http.StatusForbidden {
		t.Errorf("staff invites: %d", status)
	}
	_, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"invite"}, "org.role": {"guard"}})
	id := regexp.MustCompile(`name="invitation" value="([^"]+)"`).FindStringSubmatch(body)
	if id == nil {
		t.Fatal("no invitation waits")
	}
	for range 2 {
		status, body = lan.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"take_back"}, "invitation": {id[1]}})
		w.want("taken back", status, body, 200, "Đã hủy lời mời")
	}
}

// Each code that somebody made up was kept in a session of its own for 90 days:
// a row, and a write to disk, for whoever asked.
func TestNoSessionForACodeThatIsNone(t *testing.T) {
	w := newWorld(t)
	r, err := http.PostForm(w.url+"/loi-moi", url.Values{"org.code": {strings.Repeat("a", 32)}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusUnprocessableEntity || len(r.Cookies()) > 0 {
		t.Errorf("a code that is none = %d with the cookies %v, want 422 and none", r.StatusCode, r.Cookies())
	}
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	w.account("hoa", qrgate.Grant{Role: qrgate.Staff, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: w.market}})
	lan := w.as("lan")
	post := func(form ...string) (int, string) {
		v := url.Values{"ma": {w.market}}
		for i := 0; i+1 < len(form); i += 2 {
			v.Add(form[i], form[i+1])
		}
		return lan.post("/to-chuc", v)
	}
	status, body := post("do", "roles", "account", w.ids["hoa"], "role", "guard", "role", "organiser")
	w.want("roles", status, body, 200, "Đã lưu vai trò")
	if got := w.roles(w.market, "hoa"); !slices.Equal(got, []qrgate.Role{qrgate.Guard, qrgate.Organiser}) {
		t.Errorf("roles %v", got)
	}
	status, body = post("do", "roles", "account", w.ids["hoa"], "role", "administrator")
	w.want("a role beyond the organisation", status, body, 400)
	status, body = post("do", "roles", "account", w.ids["lan"], "role", "staff")
	w.want("the last owner", status, body, 409, "ít nhất một chủ")
	status, body = post("do", "roles", "account", w.ids["minh"], "role", "staff")
	w.want("a stranger", status, body, 404)
	status, body = lan.post("/to-chuc/roi", url.Values{"ma": {w.market}})
	w.want("leave?", status, body, 200, "Rời tổ chức?")
	status, body = lan.post("/to-chuc/roi", url.Values{"ma": {w.market}, "sure": {"1"}})
	w.want("the last owner leaves", status, body, 409, "ít nhất một chủ")
	status, body = post("do", "transfer", "account", w.ids["hoa"])
	w.want("transfer?", status, body, 200, "Chuyển quyền chủ cho người này?", "Display of hoa")
	if !slices.Contains(w.roles(w.market, "lan"), qrgate.Owner) {
		t.Error("asking transfers")
	}
	status, body = post("do", "transfer", "account", w.ids["hoa"], "sure", "1")
	w.want("transferred", status, body, 200, "Đã chuyển quyền chủ")
	status, body = post("do", "remove", "account", w.ids["hoa"], "sure", "1")
	w.want("staff removes", status, body, 403)
	hoa := w.as("hoa")
	status, body = hoa.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"remove"}, "account": {w.ids["lan"]}})
	w.want("remove?", status, body, 200, "Cho người này rời tổ chức?")
	status, body = hoa.post("/to-chuc", url.Values{"ma": {w.market}, "do": {"remove"}, "account": {w.ids["lan"]}, "sure": {"1"}})
	w.want("removed", status, body, 200, "Đã cho rời")
	if got := w.roles(w.market, "lan"); got != nil {
		t.Errorf("removed, and still %v", got)
	}
	if status, _ := lan.get("/to-chuc"); status != http.StatusForbidden {
		t.Errorf("who was removed: %d", status)
	}
}
