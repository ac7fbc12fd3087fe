package cases_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestCaseFromOpeningToCallList(t *testing.T) {
	w := newWorld(t)
	lan, duc := w.as("lan"), w.as("duc")

	lan.want(200, lan.get("/ca-benh"), "Chưa có ca nào")
	lan.want(200, lan.get("/ca-benh/moi"), "Sởi", "tìm lại 21 ngày", "Cần người thứ hai duyệt")
	lan.want(422, lan.post("/ca-benh/moi", url.Values{"cases.profile": {"measles"}}), "Xin xem lại", "Mục đích truy vết")
	at := lan.open("suspected")
	lan.want(200, lan.get(at), "Nghi ngờ", "Tìm người")

	// Finds An by the card, and sees no more than what tells people apart.
	body := lan.want(200, lan.post(at+"/tim", url.Values{"cases.by": {"card"}, "cases.find": {w.cardText()}}), "Nguyễn Văn An", "… 456")
	if strings.Contains(body, "0905 123 456") || strings.Contains(body, "12 Lê Lợi") || strings.Contains(body, "046048001234") {
		t.Errorf("a search shows more than what tells people apart:\n%s", plainText(body))
	}
	lan.want(200, lan.post(at+"/nguoi", url.Values{"version": {w.found(body, ver)}, "nguoi": {w.found(body, refs)}}), "Đã chọn người", "0905 123 456")

	// Nothing of where they were before it is approved.
	lan.want(403, lan.get(at+"/lich-trinh"), "cần người thứ hai duyệt")
	body = lan.want(200, lan.get(at), "Xin duyệt")
	lan.want(200, lan.post(at+"/xin-duyet", url.Values{"version": {w.found(body, ver)}}), "Đang chờ người thứ hai duyệt")
	duc.want(200, duc.get("/ca-benh"), "Xin xem và duyệt")
	body = duc.want(200, duc.get(at), "Duyệt ca này", "trạm y tế báo")
	if strings.Contains(body, "Nguyễn Văn An") {
		t.Error("who approves sees the person")
	}
	duc.want(200, duc.post(at+"/duyet", url.Values{"version": {w.found(body, ver)}, "cases.decision": {"approve"}}), "Đã duyệt")

	// Stays.
	lan.want(200, lan.get(at+"/lich-trinh"), "Chợ Đông Ba", "Bến xe phía Bắc", "từ 13:59 đến 14:05", "không ai thấy ra", "Máy ở cửa", "thẻ cá nhân", "máy đọc tại cửa", "<svg", "đáng ngờ")

	// Contacts.
	lan.want(200, lan.post(at+"/truy-vet", nil), "Trần Thị Bình", "Chắc chắn", "Lê Thị Chi", "chung số điện thoại", "Không có điện thoại", "tel:&#43;84914222333", "Kết quả chưa đủ", "1 trong", "im lặng từ 26/11/2026 07:00 (2 giờ)", "không rõ còn giữ bao nhiêu")
	lan.want(200, lan.get(at+"/goi"), "Phạm Dũng", "Cần gọi")
}

// Whoever was not seen to leave may still be there: nothing is said of what has not
// been yet. Two without a name are told apart.
func TestWhoMayStillBeThere(t *testing.T) {
	w := newWorld(t)
	w.people["ai"] = w.named("")
	w.checkin("an", "ben-xe-bac", wire.In, w.time().Add(-20*time.Minute), 0)
	w.checkin("ai", "ben-xe-bac", wire.In, w.time().Add(-10*time.Minute), 0)
	lan := w.as("lan")
	at := lan.traced()
	body := plainText(lan.want(200, lan.get(at+"/lich-trinh"), "có thể vẫn còn ở đó", "Ở lại nhiều nhất 20 phút"))
	if strings.Contains(body, "ngày 27/11") || strings.Contains(body, "muộn nhất 09:2") {
		t.Errorf("the stays tell of what is to come: %s", body)
	}
	ref := regexp.MustCompile(`tiep-xuc/([a-z2-7]{4})([a-z2-7]{4})[a-z2-7]{18}"><bdi>Chưa biết tên`)
	for _, page := range []string{"/tiep-xuc", "/goi"} {
		body := lan.want(200, lan.get(at+page), "Chưa biết tên")
		m := ref.FindStringSubmatch(body)
		if m == nil || !strings.Contains(body, strings.ToUpper(m[1]+"-"+m[2])) {
			t.Errorf("%s does not tell who has no name apart: %q", page, m)
		}
	}
	if body := plainText(lan.get(at + "/tiep-xuc").body); !strings.Contains(body, "nhiều nhất 10 phút") {
		t.Errorf("the contacts tell of what is to come: %s", body)
	}
}

func TestListOfCases(t *testing.T) {
	w := newWorld(t)
	lan, minh, hoa, tinh := w.as("lan"), w.as("minh"), w.as("hoa"), w.as("tinh")
	at := lan.open("measles")
	for _, tt := range []struct {
		c    *client
		path string
		sees bool
	}{
		{lan, "/ca-benh", true}, {minh, "/ca-benh", false}, {minh, "/ca-benh?xem=tat-ca", true}, {hoa, "/ca-benh?xem=tat-ca", false}, {tinh, "/ca-benh?xem=tat-ca", true},
		{lan, "/ca-benh?xem=thay-doi", false}, {lan, "/ca-benh?so=CB-2026-000001", true}, {minh, "/ca-benh?so=1", true}, {lan, "/ca-benh?so=2", false},
	} {
		body := tt.c.want(200, tt.c.get(tt.path))
		if got := strings.Contains(body, at+`"`); got != tt.sees {
			t.Errorf("%s as %s shows the case: %v, want %v", tt.path, tt.c.who, got, tt.sees)
		}
	}
}

func (w *world) cardText() string {
	w.t.Helper()
	today := pass.DayOf(w.time())
	text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 3, Number: w.card, Issue: 1, First: today, Last: today + 365}, w.key)
	w.must(err)
	return text
}

// What was left out because it is doubtful is told, and counts again when the officer
// says so.
func TestDoubtfulCheckinsComeBack(t *testing.T) {
	w := newWorld(t)
	w.people["lap"] = w.visitor("+84936000999", "Khách Quét Nhiều")
	for i := range 8 { // one person more often than anybody comes
		w.checkin("lap", "cho-cua-a", wire.In, time.Date(2026, 11, 20, 8, 10+i, 0, 0, qrgate.Zone), 20*time.Second)
	}
	lan := w.as("lan")
	at := lan.index("measles")
	body := lan.want(200, lan.post(at+"/truy-vet", nil), "Lượt đáng ngờ, không được tính", "7 lượt.", "Một thẻ quét quá nhiều lần")
	form := url.Values{"version": {w.found(body, ver)}, "lan": {"1"}, "nhom": {"0"}}
	for _, bad := range []url.Values{{"version": form["version"], "lan": {"1"}, "nhom": {"9"}}, {"version": form["version"], "lan": {"7"}, "nhom": {"0"}}, {"version": form["version"], "lan": {"1"}, "nhom": {"-1"}}} {
		lan.want(404, lan.post(at+"/nghi-ngo", bad))
	}
	lan.want(200, lan.post(at+"/nghi-ngo", form), "Các lượt này được tính")
	if body := lan.want(200, lan.post(at+"/truy-vet", nil), "Khách Quét Nhiều"); strings.Contains(body, "Lượt đáng ngờ") {
		t.Error("check-ins that count again are still left out")
	}
}

// Whom another case says the traced person to be too stands on the page of a case that
// was approved, and is traced after an officer's yes and another approval.
func TestWhoIsTracedIsSomebodyElseToo(t *testing.T) {
	w := newWorld(t)
	lan, duc := w.as("lan"), w.as("duc")
	at := lan.index("suspected")
	approve := func() {
		t.Helper()
		lan.want(200, lan.post(at+"/xin-duyet", url.Values{"version": {w.found(lan.get(at).body, ver)}}), "Đang chờ")
		duc.want(200, duc.post(at+"/duyet", url.Values{"version": {w.found(duc.get(at).body, ver)}, "cases.decision": {"approve"}}), "Đã duyệt")
	}
	approve()
	lan.want(200, lan.post(at+"/truy-vet", nil), "Trần Văn Bông")
	an, bong := w.people["an"], w.people["bong"]
	w.exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, 'tinh', 0)", int64(min(an, bong)), int64(max(an, bong)))

	lan.want(200, lan.post(at+"/truy-vet", nil), "Trần Văn Bông") // still somebody whom An met
	body := lan.want(200, lan.get(at), "Hồ sơ khác của người được truy vết: 1", "Trần Văn Bông", "1990", "chưa được truy vết")
	form := url.Values{"version": {w.found(body, ver)}}
	lan.want(422, lan.post(at+"/them-nguoi", form), "Xin kiểm tra trước")
	form.Set("cases.wider.sure", "1")
	duc.want(403, duc.post(at+"/them-nguoi", form))
	lan.want(200, lan.post(at+"/them-nguoi", form), "phải được xin duyệt lại")
	lan.want(403, lan.post(at+"/truy-vet", nil), "cần người thứ hai duyệt")
	approve()
	lan.want(200, lan.post(at+"/truy-vet", nil))
	if body := lan.want(200, lan.get(at+"/tiep-xuc"), "Trần Thị Bình"); strings.Contains(body, "Trần Văn Bông") {
		t.Error("the traced person is one whom they met")
	}
	if body := lan.want(200, lan.get(at)); strings.Contains(body, "them-nguoi") {
		t.Error("what was approved waits still")
	}
	lan.want(409, lan.post(at+"/them-nguoi", url.Values{"version": {w.found(lan.get(at).body, ver)}, "cases.wider.sure": {"1"}}))
}
