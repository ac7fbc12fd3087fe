package rights_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	pages "github.com/qrgate/qrgate/server/portal/rights"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
)

const requests = "/bao-ve-du-lieu/yeu-cau"

// Who may use which page.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	here := w.take("hoa", asks("access", "", ""))
	for path, may := range map[string][]string{
		"/bao-ve-du-lieu": {"lan", "tra"}, "/bao-ve-du-lieu/tra-cuu": {"lan", "tra"}, "/bao-ve-du-lieu/luu-giu": {"lan", "tra"},
		"/bao-ve-du-lieu/nhat-ky": {"lan", "tra"}, "/bao-ve-du-lieu/danh-gia": {"lan", "tra"}, "/bao-ve-du-lieu/su-co": {"lan", "tra"},
		requests: {"lan", "hoa", "thu"}, requests + "/moi": {"lan", "hoa", "thu"}, here: {"lan", "hoa"}, "/bao-ve-du-lieu/ai-da-xem": {"lan", "hoa", "thu"},
	} {
		for who := range w.people {
			code, _, h := w.get(who, path)
			want := 403
			switch {
			case slices.Contains(may, who):
				want = 200
			case who == "":
				want = 303
			case path == here && who == "thu":
				want = 404 // of another office
			}
			if code != want {
				t.Errorf("GET %s as %q = %d %s, want %d", path, who, code, h.Get("Location"), want)
			}
		}
	}
	for _, path := range []string{"/tra-loi", "/xong", "/tai-ve", "/xoa"} {
		for _, who := range []string{"hoa", "tra", "an", "minh"} {
			if code, _, _ := w.post(who, here+path, url.Values{"version": {"1"}}); code != 403 {
				t.Errorf("POST %s as %s = %d, want 403", path, who, code)
			}
		}
	}
	// Without the second factor nobody is a clerk or an officer.
	w.people["weak"] = browser()
	w.post("weak", "/as/lan", url.Values{"second": {"no"}})
	if code, _, h := w.get("weak", "/bao-ve-du-lieu"); code != 303 || !strings.HasPrefix(h.Get("Location"), "/dang-nhap/xac-thuc") {
		t.Errorf("without a second factor = %d %s", code, h.Get("Location"))
	}
}

// A person asks to see their data: taken by a clerk, answered, handed over by the
// officer.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	at := w.take("hoa", asks("access", "phone", "0905 111 222"))
	_, list, _ := w.get("hoa", requests)
	if !strings.Contains(list, "Nguyễn Thị Hoa") {
		t.Error("the clerk's list does not name who asked")
	}
	if _, other, _ := w.get("thu", requests); strings.Contains(other, "Nguyễn Thị Hoa") {
		t.Error("another office's list names who asked")
	}
	_, body, _ := w.get("lan", at)
	if !strings.Contains(body, "Có lưu dữ liệu") || strings.Contains(body, "/xoa\"") {
		t.Errorf("the officer's page says %s", body)
	}
	if _, mine, _ := w.get("hoa", at); strings.Contains(mine, "/tai-ve") {
		t.Error("a clerk may hand over")
	}
	if code, _, _ := w.post("lan", at+"/tra-loi", url.Values{"version": {"1"}}); code != 303 {
		t.Errorf("answer = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/tra-loi", url.Values{"version": {"1"}}); code != 409 {
		t.Errorf("answer of an old version = %d, want 409", code)
	}
	code, file, h := w.post("lan", at+"/tai-ve", url.Values{"version": {"2"}, "dang": {"json"}})
	var d retention.Dossier
	if err := proof.Open(proof.Export, []byte(file), signer.Keys(), &d); code != 200 || err != nil || d.Details.Name != "Nguyễn Thị Hoa" || len(d.Checkins) != 1 {
		t.Errorf("export = %d, %v: %+v", code, err, d)
	}
	if !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("Cache-Control") != "no-store" {
		t.Errorf("export has header %v", h)
	}
	code, sheet, _ := w.post("lan", at+"/tai-ve", url.Values{"version": {"2"}, "dang": {"html"}})
	for _, want := range []string{"Nguyễn Thị Hoa", "Chợ Đông Ba", "12 Lê Lợi", "CB-2026-000001", "Cán bộ an"} {
		if code != 200 || !strings.Contains(sheet, want) {
			t.Errorf("the sheet (%d) lacks %q", code, want)
		}
	}
	if code, file, _ := w.post("lan", at+"/tai-ve", url.Values{"version": {"2"}, "dang": {"pdf"}}); code != 200 || !strings.HasPrefix(file, "%PDF-") {
		t.Errorf("the PDF = %d, %.8q", code, file)
	}
	if strings.Contains(sheet, "<script") || strings.Contains(sheet, "http://") {
		t.Error("the sheet loads something")
	}
	if code, body, _ := w.post("lan", at+"/xong", url.Values{"version": {"2"}}); code != 422 || !strings.Contains(body, "e-rights.end") {
		t.Errorf("end without a result = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"2"}, "rights.end": {"done"}}); code != 303 {
		t.Errorf("end = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/tai-ve", url.Values{"version": {"3"}}); code != 409 {
		t.Errorf("export after the end = %d, want 409", code)
	}
	_, looks, _ := w.get("tra", "/bao-ve-du-lieu/tra-cuu")
	if !strings.Contains(looks, "Cán bộ lan") || !strings.Contains(looks, "Theo yêu cầu của người dân") {
		t.Errorf("the looks do not say who exported: %s", looks)
	}
}

// A person asks to be forgotten.
func TestErasure(t *testing.T) {
	w := newWorld(t)
	p := w.holder("Nguyễn Thị Hoa", "+84905111222")
	w.holder("Lê Văn Bình", "+84905333444")
	at := w.take("hoa", asks("erasure", "phone", "0905111222"))
	unsure := w.sure(at, "1")
	unsure.Del("rights.sure")
	if code, body, _ := w.post("lan", at+"/xoa", unsure); code != 422 || !strings.Contains(body, "Xin đánh dấu") {
		t.Errorf("erase without being sure = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/xong", url.Values{"version": {"1"}, "rights.end": {"done"}}); code != 422 {
		t.Errorf("end without erasing = %d, want 422", code)
	}
	w.needed.Store(uint64(p))
	if code, body, _ := w.post("lan", at+"/xoa", w.sure(at, "1")); code != 422 || !strings.Contains(body, "ca bệnh đang mở") {
		t.Errorf("erase whom a case needs = %d", code)
	}
	w.needed.Store(0)
	if code, _, _ := w.post("lan", at+"/xoa", w.sure(at, "7")); code != 409 {
		t.Errorf("erase of another version = %d, want 409", code)
	}
	if code, _, _ := w.post("lan", at+"/xoa", w.sure(at, "1")); code != 303 {
		t.Errorf("erase = %d", code)
	}
	_, body, _ := w.get("hoa", at)
	if strings.Contains(body, "Nguyễn Thị Hoa") || !strings.Contains(body, "/bang-chung") || !strings.Contains(body, "đã được xóa") {
		t.Errorf("the page says %s", body)
	}
	_, file, _ := w.get("hoa", at+"/bang-chung")
	var e retention.Erasure
	id := idOf.FindStringSubmatch(at)[1]
	if err := proof.Open(proof.Erasure, []byte(file), signer.Keys(), &e); err != nil || e.Rows["holders"] != 1 || e.Rows["checkins"] != 1 || e.Object != "request "+id {
		t.Errorf("the proof says %+v, %v", e, err)
	}
	if code, _, _ := w.get("thu", at+"/bang-chung"); code != 404 {
		t.Errorf("another office's proof = %d", code)
	}
	of, err := w.keeper.Identities(t.Context(), p)
	w.must(err)
	d, err := w.keeper.Export(t.Context(), "", "test", of)
	if err != nil || d.Known {
		t.Errorf("left is %+v, %v", d, err)
	}
	other := w.take("hoa", asks("access", "phone", "0905333444"))
	if _, body, _ := w.get("lan", other); !strings.Contains(body, "Có lưu dữ liệu") {
		t.Error("another person is gone too")
	}
	if gone := w.take("hoa", asks("access", "phone", "0905111222")); !strings.Contains(third(w.get("lan", gone)), "Không lưu dữ liệu") {
		t.Error("the erased person is found")
	}
}

// Whoever asks gets all that they are known as, and the officer sees which before
// anything is erased: who was merged with them, and guests with their telephone and
// name. One that was merged by mistake is parted first.
func TestAllThatSomebodyIsKnownAs(t *testing.T) {
	w := newWorld(t)
	holder := func(name, phone string) qrgate.Person {
		w.now.Add(2000) // each has another check-in
		return w.holder(name, phone)
	}
	hoa, second, wrong := holder("Nguyễn Thị Hoa", "+84905111222"), holder("Nguyễn Hoa", "+84905111333"), holder("Lê Văn Bình", "+84905333444")
	guest, sister := w.invite("nguyen thi hoa", "+84905111222"), w.invite("Nguyễn Thị Lan", "+84905111333")
	w.merge(hoa, second)
	w.merge(second, wrong)
	at := w.take("hoa", asks("erasure", "phone", "0905111222"))
	_, body, _ := w.get("hoa", at)
	for _, want := range []string{"Hồ sơ thuộc yêu cầu này: 4", "Khách mời của một sự kiện", "cán bộ y tế đã xác nhận là cùng một người", "Không thể tự tìm ra"} {
		if !strings.Contains(body, want) {
			t.Errorf("the clerk's page lacks %q: %s", want, body)
		}
	}
	if strings.Contains(body, "/tach") || strings.Contains(body, "Nguyễn Hoa") {
		t.Error("a clerk sees more than what somebody is known as")
	}
	_, body, _ = w.get("lan", at)
	if !strings.Contains(body, "Cả 4 hồ sơ") {
		t.Errorf("the officer is not told that all are erased: %s", body)
	}
	old := w.sure(at, "1")

	part := w.sure(at, "1")
	no := ""
	for i, p := range order(t, w, hoa, guest.Person) {
		if p == wrong {
			no = strconv.Itoa(i + 1)
		}
	}
	part.Set("rights.part", no)
	for who, want := range map[string]int{"lan": 422, "hoa": 403, "tra": 403, "an": 403} {
		if code, _, _ := w.post(who, at+"/tach", part); code != want {
			t.Errorf("%s parts one without having checked = %d, want %d", who, code, want)
		}
	}
	part.Set("rights.part.sure", "1")
	for _, found := range []string{"1", "0", "5", "x", ""} {
		form := maps.Clone(part)
		form.Set("rights.part", found)
		if code, _, _ := w.post("lan", at+"/tach", form); code != 422 {
			t.Errorf("part number %q, who was not merged = %d, want 422", found, code)
		}
	}
	if code, _, _ := w.post("lan", at+"/tach", part); code != 303 {
		t.Fatalf("part = %d", code)
	}
	if code, _, _ := w.post("lan", at+"/tach", part); code != 409 {
		t.Errorf("part by what an old page showed = %d, want 409", code)
	}
	if code, _, _ := w.post("lan", at+"/xoa", old); code != 409 {
		t.Errorf("erase whom an old page showed = %d, want 409", code)
	}
	code, file, _ := w.post("lan", at+"/tai-ve", url.Values{"version": {"1"}, "dang": {"json"}})
	var d retention.Dossier
	if err := proof.Open(proof.Export, []byte(file), signer.Keys(), &d); code != 200 || err != nil || len(d.Identities) != 3 || len(d.Invitations) != 1 || len(d.Checkins) != 2 {
		t.Errorf("export = %d, %v: %+v", code, err, d)
	}
	if code, _, _ := w.post("lan", at+"/xoa", w.sure(at, "1")); code != 303 {
		t.Errorf("erase = %d", code)
	}
	for p, held := range map[qrgate.Person]bool{hoa: false, second: false, guest.Person: false, wrong: true, sister.Person: true} {
		of, err := w.keeper.Identities(t.Context(), p)
		w.must(err)
		if d, err := w.keeper.Export(t.Context(), "", "test", of); err != nil || d.Known != held {
			t.Errorf("held of %d: %v, %v, want %v", p, d.Known, err, held)
		}
	}
	rows := auditOf(t, w.s)
	if n := len(slices.DeleteFunc(slices.Clone(rows), func(r [4]string) bool { return r[0] != "unmerge person" || r[2] != "lan" })); n != 2 {
		t.Errorf("the parting is written down of %d, want both", n)
	}
}

// order returns somebody's identities as pages number them.
func order(t *testing.T, w *world, found ...qrgate.Person) []qrgate.Person {
	t.Helper()
	of, err := w.keeper.Identities(t.Context(), found...)
	w.must(err)
	return of.Persons()
}

// A guest without a card is found by telephone and name, for whoever asks for them too,
// and one who gave neither by the number of the pass.
func TestGuestAsks(t *testing.T) {
	w := newWorld(t)
	g := w.invite("Trần Bé", "+84905111222")
	w.invite("Trần Mẹ", "+84905111223")
	mother := asks("access", "phone", "0905111222")
	mother.Set("rights.name", "Trần Mẹ")
	mother.Set("rights.relation", "guardian")
	if code, body, _ := w.post("hoa", requests+"/moi", mother); code != 422 || !strings.Contains(body, "e-rights.of") && !strings.Contains(body, "một số điện thoại có thể là của cả nhà") {
		t.Errorf("for somebody without a name = %d", code)
	}
	mother.Set("rights.of", "tran be")
	at := w.take("hoa", mother)
	if _, body, _ := w.get("lan", at); !strings.Contains(body, "Khách mời của một sự kiện") || !strings.Contains(body, "tran be") {
		t.Errorf("the guest is not found: %s", body)
	}
	// The number is not theirs who asks for themselves.
	if _, body, _ := w.get("lan", w.take("hoa", asks("access", "phone", "0905111222"))); !strings.Contains(body, "Không lưu dữ liệu") || !strings.Contains(body, "1 hồ sơ khác dùng cùng số điện thoại") {
		t.Errorf("another name finds the guest: %s", body)
	}
	if _, body, _ := w.get("lan", w.take("hoa", asks("access", "event", strconv.FormatUint(uint64(g.Number), 10)))); !strings.Contains(body, "Hồ sơ thuộc yêu cầu này: 1") {
		t.Errorf("the pass does not find the guest: %s", body)
	}
	// The name stands on the pass, so that it proves nothing beside it.
	looks := url.Values{"rights.number_kind": {"event"}, "rights.number": {strconv.FormatUint(uint64(g.Number), 10)}, "rights.checked": {"1"}, "rights.second": {"Trần Bé"}}
	if code, _, _ := w.post("hoa", "/bao-ve-du-lieu/ai-da-xem", looks); code != 422 {
		t.Errorf("who says what stands on the pass = %d, want 422", code)
	}
	looks.Set("rights.second", "0905 111 222")
	if code, _, _ := w.post("hoa", "/bao-ve-du-lieu/ai-da-xem", looks); code != 200 {
		t.Errorf("who says the telephone = %d, want 200", code)
	}
}

func third(_ int, body string, _ http.Header) string { return body }

// A request that is not right is shown again with everything that was typed.
func TestWrongRequests(t *testing.T) {
	w := newWorld(t)
	set := func(field, value string) url.Values {
		f := asks("access", "phone", "0905111222")
		if value == "-" {
			f.Del(field)
		} else {
			f.Set(field, value)
		}
		return f
	}
	long := strings.Repeat("a", 5000)
	for _, f := range []url.Values{
		set("rights.kind", "-"), set("rights.kind", "everything"), set("rights.name", ""), set("rights.name", long), set("rights.name", "a\x00b"),
		set("rights.name", "\xff\xfe"), set("rights.contact", ""), set("rights.relation", "friend"), set("rights.paper", "-"), set("rights.checked", "-"),
		set("rights.number", ""), set("rights.number", "12"), set("rights.number_kind", "-"), set("rights.number_kind", "x"), set("rights.text", long),
		asks("access", "card", "12x"), asks("access", "card", "99999999999"), asks("access", "card", "0"),
	} {
		code, body, _ := w.post("hoa", requests+"/moi", f)
		if code != 422 || !strings.Contains(body, `class="wrongs"`) {
			t.Errorf("%v = %d, want 422 with what is wrong", f, code)
		}
		if f.Get("rights.contact") != "" && !strings.Contains(body, "0905 111 222") {
			t.Errorf("%v: what was typed is gone", f)
		}
	}
	if code, _, _ := w.post("hoa", requests+"/moi", url.Values{"rights.text": {strings.Repeat("a", 1<<20)}}); code != 413 && code != 400 {
		t.Errorf("a megabyte = %d", code)
	}
	for _, id := range []string{"x", "..%2f..", strings.Repeat("a", 26), "%ff", "%00", strings.Repeat("a", 3000), "a%0d%0aSet-Cookie:x"} {
		for _, path := range []string{"", "/bang-chung"} {
			if code, _, _ := w.get("lan", requests+"/"+id+path); code != 404 && code != 400 {
				t.Errorf("GET %s%s = %d", id, path, code)
			}
		}
		if code, _, _ := w.post("lan", requests+"/"+id+"/xoa", url.Values{"version": {"1"}, "rights.sure": {"1"}}); code < 400 {
			t.Errorf("POST %s/xoa = %d", id, code)
		}
		if code, _, _ := w.get("lan", "/bao-ve-du-lieu/luu-giu/"+id); code != 404 && code != 400 {
			t.Errorf("GET certificate %s = %d", id, code)
		}
	}
	for _, f := range []url.Values{nil, {"loai": {"backup"}, "ma": {"nothing"}}, {"loai": {"place"}, "ma": {"1"}}, {"loai": {"kiosk"}, "ma": {"\xff"}}} {
		if code, _, _ := w.post("lan", "/bao-ve-du-lieu/luu-giu/xac-nhan", f); code != 400 {
			t.Errorf("confirm %v = %d, want 400", f, code)
		}
	}
	if code, _, _ := w.get("lan", requests+"?trang=-5"); code != 200 {
		t.Errorf("page -5 = %d", code)
	}
	if code, _, _ := w.get("lan", "/bao-ve-du-lieu/tra-cuu?ngay=1000000"); code != 200 {
		t.Errorf("a million days = %d", code)
	}
	at := w.take("hoa", asks("access", "", ""))
	if code, _, _ := w.post("lan", at+"/tra-loi", url.Values{"version": {"x"}}); code != 400 {
		t.Errorf("version x = %d, want 400", code)
	}
}

// A holder learns who looked, who knows more of themselves than one number, and the
// asking is written down.
func TestWhoLooked(t *testing.T) {
	w := newWorld(t)
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	const path = "/bao-ve-du-lieu/ai-da-xem"
	ask := url.Values{"rights.number_kind": {"phone"}, "rights.number": {"0905111222"}, "rights.second": {"1980"}}
	if code, _, _ := w.post("hoa", path, ask); code != 422 {
		t.Errorf("without looking at a paper = %d, want 422", code)
	}
	ask.Set("rights.checked", "1")
	code, body, _ := w.post("hoa", path, ask)
	if code != 200 || !strings.Contains(body, "Cán bộ an") || !strings.Contains(body, "CB-2026-000001") {
		t.Errorf("who looked = %d %s", code, body)
	}
	ask.Set("rights.number", "0905999999")
	if code, body, _ := w.post("hoa", path, ask); code != 200 || !strings.Contains(body, "Không lưu dữ liệu") {
		t.Errorf("of nobody = %d", code)
	}
	rows := func(action string) (n int) {
		t.Helper()
		w.must(w.s.Read(t.Context(), func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM audit WHERE action = ? AND actor = 'hoa'", action))
		return n
	}
	if told := rows("tell looks"); told != 2 {
		t.Errorf("%d askings are written down, want 2", told)
	}
	// The number again, the name that stands on the card, and guesses of the year: a
	// card that was found tells nobody, and after a few nobody is asked.
	ask.Set("rights.number", "0905111222")
	for i, second := range []string{"", "0905 111 222", "Nguyễn Thị Hoa", "1979", "1981", "46", "1980"} {
		ask.Set("rights.second", second)
		want := 422
		if i == 6 {
			want = 429
		}
		if code, body, _ := w.post("hoa", path, ask); code != want || strings.Contains(body, "Cán bộ an") {
			t.Errorf("who says %q = %d, want %d", second, code, want)
		}
	}
	// A CCCD's number holds the year of birth.
	other := url.Values{"rights.number_kind": {"cccd"}, "rights.number": {"046180111222"}, "rights.checked": {"1"}, "rights.second": {"1980"}}
	if code, _, _ := w.post("lan", path, other); code != 422 {
		t.Errorf("who says the year that is in the number of a card = %d, want 422", code)
	}
	other.Set("rights.second", "0905 111 222")
	if code, body, _ := w.post("lan", path, other); code != 200 || !strings.Contains(body, "Cán bộ an") {
		t.Errorf("who says another number = %d, want 200", code)
	}
	if refused := rows("refuse looks"); refused != 5 {
		t.Errorf("%d wrong answers are written down, want 5", refused)
	}
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu/tra-cuu"); !strings.Contains(body, "không đúng người") {
		t.Error("the data-protection officer does not see who guesses")
	}
}

// The officer sees what is late, what is held, what was dropped and who has not
// confirmed.
func TestOverview(t *testing.T) {
	w := newWorld(t)
	w.take("hoa", asks("access", "", ""))
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	k := qrgate.Kiosk{ID: "kiosk-0001", Place: "Chợ", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time()}
	w.must(w.s.AddKiosk(t.Context(), k))
	w.must(w.s.RevokeKiosk(t.Context(), "kiosk-0001"))
	w.pass(22)
	w.must(w.keeper.Once(t.Context()))
	_, body, _ := w.get("lan", "/bao-ve-du-lieu")
	for _, want := range []string{"1 yêu cầu đã quá hạn", "2 lần xem khẩn cấp", "2 nơi chưa xác nhận", "Chưa kiểm tra"} {
		if !strings.Contains(body, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	_, body, _ = w.get("lan", "/bao-ve-du-lieu/luu-giu")
	if !strings.Contains(body, "26/11/2026") || !strings.Contains(body, "kiosk-0001") || !strings.Contains(body, "xac-nhan") {
		t.Errorf("retention says %s", body)
	}
	for _, want := range []string{"bản sao này không còn dữ liệu", "thẻ nhớ của máy này đã bị hủy"} {
		if !strings.Contains(body, want) {
			t.Errorf("a confirmation does not ask whether %q", want)
		}
	}
	if _, body, _ := w.get("tra", "/bao-ve-du-lieu/luu-giu"); strings.Contains(body, "xac-nhan") {
		t.Error("an auditor may confirm")
	}
	code, file, _ := w.get("tra", "/bao-ve-du-lieu/luu-giu/2026-11-26")
	var c retention.Certificate
	if err := proof.Open(proof.Retention, []byte(file), signer.Keys(), &c); code != 200 || err != nil || c.Checkins != 1 || len(c.Waiting.Kiosks) != 1 {
		t.Errorf("certificate = %d, %v: %+v", code, err, c)
	}
	if !strings.Contains(body, `name="ngay" value="2026-11-26"`) {
		t.Errorf("a copy is confirmed without the day that was seen: %s", body)
	}
	if code, _, _ := w.post("lan", "/bao-ve-du-lieu/luu-giu/xac-nhan", url.Values{"loai": {"copy"}, "ma": {"replica-2"}, "ngay": {"2026-11-25"}}); code != 400 {
		t.Errorf("confirm a copy for days before those that were dropped = %d, want 400", code)
	}
	for kind, id := range map[string]string{"kiosk": "kiosk-0001", "copy": "replica-2"} {
		if code, _, _ := w.post("tra", "/bao-ve-du-lieu/luu-giu/xac-nhan", url.Values{"loai": {kind}, "ma": {id}}); code != 403 {
			t.Errorf("an auditor confirms a %s = %d, want 403", kind, code)
		}
		if code, _, _ := w.post("lan", "/bao-ve-du-lieu/luu-giu/xac-nhan", url.Values{"loai": {kind}, "ma": {id}, "ngay": {"2026-11-26"}}); code != 303 {
			t.Errorf("confirm a %s = %d", kind, code)
		}
	}
	if code, _, _ := w.post("lan", "/bao-ve-du-lieu/luu-giu/xac-nhan", url.Values{"loai": {"copy"}, "ma": {"no such copy"}}); code != 400 {
		t.Errorf("confirm a copy that there is not = %d, want 400", code)
	}
	w.must(w.keeper.Once(t.Context()))
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu"); !strings.Contains(body, "Mọi nơi đã xác nhận") {
		t.Error("the kiosk is still waited for")
	}
}

// A byte that somebody changed is found on the page.
func TestChain(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.take("hoa", asks("access", "", ""))
	}
	check := func() string {
		t.Helper()
		if code, _, _ := w.post("tra", "/bao-ve-du-lieu/nhat-ky", nil); code != 303 {
			t.Fatalf("check = %d", code)
		}
		_, body, _ := w.get("tra", "/bao-ve-du-lieu/nhat-ky")
		return body
	}
	if body := check(); !strings.Contains(body, "Nguyên vẹn") {
		t.Errorf("the chain is not whole: %s", body)
	}
	w.exec("UPDATE audit SET note = 'acces' WHERE link = 3")
	if body := check(); !strings.Contains(body, "Một dòng đã bị sửa") {
		t.Errorf("the change is not found: %s", body)
	}
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu"); !strings.Contains(body, "1 chỗ không khớp") {
		t.Error("the overview does not say so")
	}
}

// Every table is in the inventory or is said to hold nothing of people, once.
func TestInventoryIsWhole(t *testing.T) {
	w := newWorld(t)
	listed := map[string]int{}
	for _, e := range pages.Inventory() {
		for _, table := range e.Tables {
			listed[table]++
		}
	}
	for _, table := range pages.Nameless() {
		listed[table]++
	}
	err := w.s.Read(t.Context(), func(r *sql.Rows) error {
		var table string
		err := r.Scan(&table)
		if listed[table] != 1 && table != "goose_db_version" && table != "sqlite_sequence" {
			t.Errorf("table %s is listed %d times", table, listed[table])
		}
		return err
	}, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := w.get("lan", "/bao-ve-du-lieu/danh-gia")
	if !strings.Contains(body, "Sở Y tế thành phố Huế") || !strings.Contains(body, "21 ngày") {
		t.Error("the assessment lacks who answers for it and how long data is kept")
	}
}

// No page of another reader, and no log line, names a person.
func TestNobodyIsNamedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	at := w.take("hoa", asks("erasure", "phone", "0905111222"))
	w.post("lan", at+"/tai-ve", url.Values{"version": {"1"}})
	w.post("lan", at+"/xoa", w.sure(at, "1"))
	w.must(w.keeper.Once(t.Context()))
	for _, path := range []string{"/bao-ve-du-lieu", "/bao-ve-du-lieu/tra-cuu", "/bao-ve-du-lieu/luu-giu", "/bao-ve-du-lieu/nhat-ky"} {
		if _, body, _ := w.get("tra", path); strings.Contains(body, "Nguyễn Thị Hoa") || strings.Contains(body, "905111222") {
			t.Errorf("%s names somebody", path)
		}
	}
	if log := w.log.String(); strings.Contains(log, "Hoa") || strings.Contains(log, "905111222") {
		t.Errorf("the log names somebody: %s", log)
	}
	rows, _ := json.Marshal(auditOf(t, w.s))
	if strings.Contains(string(rows), "Hoa") || strings.Contains(string(rows), "905111222") {
		t.Errorf("the audit rows name somebody: %s", rows)
	}
}

func auditOf(t *testing.T, s *store.Store) (all [][4]string) {
	t.Helper()
	err := s.Read(context.Background(), func(r *sql.Rows) error {
		var row [4]string
		err := r.Scan(&row[0], &row[1], &row[2], &row[3])
		all = append(all, row)
		return err
	}, "SELECT action, object, actor, note FROM audit")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// That the server's clock is not believed is on the pages, and the officer confirms it
// who knows what day it is.
func TestClockIsConfirmed(t *testing.T) {
	w := newWorld(t)
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	w.must(w.keeper.Once(t.Context()))
	const path, kept = "/bao-ve-du-lieu/luu-giu/dong-ho", "/bao-ve-du-lieu/luu-giu"
	w.off.Store(35 * 24 * 3600 * 1000) // to 31 December
	w.pass(0)
	for _, page := range []string{"/bao-ve-du-lieu", kept} {
		_, body, _ := w.get("lan", page)
		if !strings.Contains(body, "Đồng hồ máy chủ chỉ 31/12/2026 09:00") || !strings.Contains(body, "mới là 26/11/2026 09:00") || strings.Contains(body, "chưa xóa xong") {
			t.Errorf("%s does not say what is wrong: %s", page, body)
		}
	}
	if _, body, _ := w.get("tra", kept); strings.Contains(body, path) {
		t.Error("an auditor may confirm")
	}
	day := func(s string) url.Values { return url.Values{"rights.clock.today": {s}} }
	if code, _, _ := w.post("tra", path, day("2026-12-31")); code != 403 {
		t.Errorf("an auditor confirms = %d, want 403", code)
	}
	for said, want := range map[string]string{"": "e-rights.clock.today", "soon": "Ngày chưa đúng", "2026-11-26": "chỉ một ngày khác"} {
		if code, body, _ := w.post("lan", path, day(said)); code != 422 || !strings.Contains(body, want) {
			t.Errorf("confirm %q = %d, want 422 and %q", said, code, want)
		}
	}
	if err := w.keeper.Once(t.Context()); !errors.Is(err, retention.ErrClock) {
		t.Errorf("Once = %v, want %v", err, retention.ErrClock)
	}
	if code, _, _ := w.post("lan", path, day("2026-12-31")); code != 303 {
		t.Errorf("confirm = %d", code)
	}
	w.must(w.keeper.Once(t.Context()))
	if _, body, _ := w.get("lan", kept); strings.Contains(body, "Đồng hồ máy chủ") || !strings.Contains(body, "26/11/2026") {
		t.Errorf("after it was confirmed: %s", body)
	}
	w.off.Store(0)
	w.pass(0)
	if _, body, _ := w.get("lan", kept); !strings.Contains(body, "chậm hơn giờ") || !strings.Contains(body, path) {
		t.Errorf("a clock that is behind is not named: %s", body)
	}
}

// Backups that are named go when they are old.
func TestBackupIsNamed(t *testing.T) {
	w := newWorld(t)
	w.holder("Nguyễn Thị Hoa", "+84905111222")
	w.pass(20)
	w.must(os.MkdirAll(filepath.Join(w.dir, "backups"), 0o700))
	f, err := os.Create(filepath.Join(w.dir, "backups", "b"))
	w.must(err)
	w.must(w.s.Backup(t.Context(), f))
	w.must(f.Close())
	w.pass(2)
	w.must(w.keeper.Once(t.Context()))
	if _, body, _ := w.get("lan", "/bao-ve-du-lieu/luu-giu"); !strings.Contains(body, "Bản sao lưu ngày 16/12/2026") || !strings.Contains(body, "23/12/2026") {
		t.Errorf("the backup is not named: %s", body)
	}
}
