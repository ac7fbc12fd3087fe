package cases_test

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/rights"
)

// restrain lets somebody restrict the use of their data, or object to it.
func (w *world) restrain(p qrgate.Person, kind rights.Kind) {
	w.t.Helper()
	requests, err := rights.New(w.s, w.time).Requests(bytes.Repeat([]byte{1}, 32))
	w.must(err)
	n := &rights.Request{Kind: kind, Office: qrgate.All, Asker: &rights.Asker{Name: "x", Contact: "x", Relation: "self", Checked: "cccd", Person: p}}
	w.must(requests.Add(w.t.Context(), "thu", n))
	w.must(requests.Finish(w.t.Context(), "mai", n.ID, n.Version, ""))
}

var pageOfChi = regexp.MustCompile(`href="(/ca-benh/[^"]*/tiep-xuc/[a-z2-7]+)"><bdi>Lê Thị Chi`)

// Whoever restricted the use of their data is on no page and in no file of a case
// until it says why, and the data-protection officer reads that.
func TestRestrictedOnPages(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	chi := w.found(lan.want(200, lan.get(at+"/tiep-xuc?trang=1"), "Lê Thị Chi"), pageOfChi)
	w.restrain(w.people["chi"], rights.Objection)

	export := func(as string) string {
		a := lan.post(at+"/xuat", url.Values{"cases.export.for": {"calls"}, "cases.format": {as}, "cases.export.sure": {"1"}})
		return lan.want(200, a)
	}
	shown := func(where, body string, want bool) {
		t.Helper()
		if strings.Contains(body, "Lê Thị Chi") != want || strings.Contains(body, "45 Chi Lăng") && !want {
			t.Errorf("%s names who restricted their data: %v, want %v", where, !want, want)
		}
	}
	for _, path := range []string{"/tiep-xuc", "/goi", "/xuat"} {
		shown(path, lan.want(200, lan.get(at+path), "1 người"), false)
	}
	shown("CSV", export("csv"), false)
	shown("SORMAS", export("json"), false)
	a := lan.get(chi)
	if a.status != 403 || !strings.Contains(a.body, "cần có lý do") {
		t.Errorf("their page = %d:\n%.800s", a.status, plainText(a.body))
	}
	shown("their page", a.body, false)
	for _, path := range []string{"/nhan", "/vong-hai", "/gop", ""} {
		if a := lan.post(chi+path, url.Values{"version": {"1"}, "cases.by": {"sms"}, "cases.status": {"reached"}}); a.status != 403 {
			t.Errorf("POST %s = %d, want 403", path, a.status)
		}
	}
	// Of the two who have no telephone one gets a letter.
	lan.post(at+"/thu", nil)
	if n := len(w.audit("call person")); n != 1 {
		t.Errorf("%d are written to, want 1", n)
	}
	found := lan.want(200, lan.post(lan.open("measles")+"/tim", url.Values{"cases.by": {"cccd"}, "cases.find": {"046139004444"}}), "Người đã hạn chế")
	shown("a search", found, false)

	body := lan.want(200, lan.get(at), "han-che")
	use := url.Values{"version": {w.found(body, ver)}}
	if a := lan.post(at+"/han-che", use); a.status != 422 {
		t.Errorf("without a reason = %d, want 422", a.status)
	}
	use.Set("cases.restrained", "Tiếp xúc gần ca sởi, phải báo để tiêm")
	if a := lan.post(at+"/han-che", use); a.status != 422 {
		t.Errorf("without being sure = %d, want 422", a.status)
	}
	use.Set("cases.restrained.sure", "1")
	for who, want := range map[string]int{"hoa": 404, "duc": 403, "mai": 403, "vien": 403, "thu": 403, "dan": 403} {
		if a := w.as(who).post(at+"/han-che", use); a.status != want {
			t.Errorf("%s uses restricted data = %d, want %d", who, a.status, want)
		}
	}
	if a := lan.foreign(at+"/han-che", use); a.status != 403 {
		t.Errorf("from another site = %d, want 403", a.status)
	}
	lan.want(200, lan.post(at+"/han-che", use), "Đã ghi lý do")
	if a := lan.post(at+"/han-che", use); a.status != 409 {
		t.Errorf("a form of before = %d, want 409", a.status)
	}
	shown("contacts with a reason", lan.want(200, lan.get(at+"/tiep-xuc"), "Phản đối"), true)
	shown("calls with a reason", lan.want(200, lan.get(at+"/goi"), "Phản đối"), true)
	shown("CSV with a reason", export("csv"), true)
	lan.want(200, lan.get(chi), "đã phản đối", "chỉ dùng cho đúng việc ấy")

	mai := w.as("mai")
	mai.want(200, mai.get("/ca-benh-khan-cap"), "Tiếp xúc gần ca sởi", "Dùng dữ liệu của 1 người")
	for _, r := range w.audit() {
		if strings.Contains(r.Note, "sởi") || strings.Contains(r.Object+r.Note, "Chi") {
			t.Errorf("an audit row says %v", r)
		}
	}
	if n := len(w.audit("use restricted data")); n != 2 { // the case, and the person
		t.Errorf("%d rows say that restricted data was used, want 2", n)
	}
}

// A case about somebody who restricted the use of their data waits for a reason.
func TestRestrictedIndex(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	w.restrain(w.people["an"], rights.Restriction)
	for _, path := range []string{"/tiep-xuc", "/lich-trinh", "/goi", "/xuat", "/thay-doi"} {
		a := lan.get(at + path)
		if strings.Contains(a.body, "Nguyễn Văn An") || strings.Contains(a.body, "0905 123 456") || path != "/goi" && a.status != 403 {
			t.Errorf("%s = %d and names the person: %v", path, a.status, strings.Contains(a.body, "Nguyễn Văn An"))
		}
	}
	body := lan.want(200, lan.get(at), "Người đã hạn chế việc dùng dữ liệu")
	lan.want(200, lan.post(at+"/han-che", url.Values{
		"version": {w.found(body, ver)}, "cases.restrained": {"Ca đã xác định, phải tìm người tiếp xúc"}, "cases.restrained.sure": {"1"},
	}), "Đã ghi lý do", "Nguyễn Văn An")
	lan.want(200, lan.get(at+"/tiep-xuc"), "Trần Thị Bình")
}
