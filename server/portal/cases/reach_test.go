package cases_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// contact returns the path of a contact by name.
func (c *client) contact(at, name string) string {
	c.w.t.Helper()
	body := c.want(200, c.get(at+"/tiep-xuc"), name)
	m := regexp.MustCompile(`href="(` + at + `/tiep-xuc/[a-z2-7]{26})"><bdi>` + regexp.QuoteMeta(name)).FindStringSubmatch(body)
	if m == nil {
		c.w.t.Fatalf("no link to %s", name)
	}
	return m[1]
}

func TestLateCheckinsAreShownExactly(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, qrgate.Zone)
	// The gate that was silent delivers: somebody new, and that Chi went earlier.
	w.now.Add(time.Hour.Milliseconds())
	w.people["muon"] = w.visitor("+84988000111", "Võ Thị Muộn")
	w.stay("muon", "cho-cua-a", day.Add(8*time.Hour+20*time.Minute), day.Add(9*time.Hour))
	w.checkin("chi", "cho-cua-a", wire.Out, day.Add(9*time.Hour+15*time.Minute), 0)
	w.must(w.pages.Watch(t.Context(), false))
	if n := len(w.audit("late check-ins")); n != 1 {
		t.Errorf("%d cases are late, want 1", n)
	}
	lan.want(200, lan.get("/ca-benh"), "Có lượt đến muộn")
	lan.want(200, lan.get(at+"/thay-doi"), "Thêm 1 người", "Võ Thị Muộn", "Đổi 1 người", "Lê Thị Chi", "Trước:", "Bây giờ:")
	lan.want(200, lan.get(at+"/tiep-xuc"), "thêm 1, bớt 0, đổi 1 người", "Máy chủ")
	// Whom the server has found by itself can be called at once.
	lan.want(200, lan.get(lan.contact(at, "Võ Thị Muộn")), "0988 000 111", "Chưa ai gọi")
	lan.want(200, lan.get(at+"/goi?xem=to_call"), "Võ Thị Muộn")
}

func TestCallsNoticesAndLetters(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	binh := lan.contact(at, "Trần Thị Bình")
	form := func(path string, more ...string) url.Values {
		f := url.Values{"version": {w.found(lan.want(200, lan.get(path)), ver)}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	lan.want(200, lan.get(binh), "tel:&#43;84914222333", "7 Nguyễn Trãi", "Chưa ai gọi")
	lan.want(200, lan.post(binh, form(binh, "cases.status", "asked_to_test", "cases.channel", "phone", "cases.note", "Hẹn xét nghiệm sáng mai")), "Đã mời xét nghiệm", "Hẹn xét nghiệm sáng mai", "Cán bộ lan")
	lan.want(422, lan.post(binh, form(binh, "cases.status", "eaten")), "Xin chọn một mục")

	// By e-mail and by text message, which say nothing of anybody's health.
	lan.want(200, lan.post(binh+"/nhan", form(binh, "cases.by", "email", "cases.email", "binh@hue.example")), "Đã gửi")
	lan.want(200, lan.post(binh+"/nhan", form(binh, "cases.by", "sms")), "Đã gửi")
	if len(w.post.sent) != 2 || w.post.sent[0].To != "binh@hue.example" || w.post.sent[1].To != "84914222333@sms.example.vn" {
		t.Fatalf("sent %+v", w.post.sent)
	}
	for _, m := range w.post.sent {
		if !strings.Contains(m.Text, "19001075") || len(m.Subject) == 0 {
			t.Errorf("a notice is %+v", m)
		}
		for _, never := range []string{"Sởi", "sởi", "Bình", "An", "Chợ", "0914"} {
			if strings.Contains(m.Text+m.Subject, never) {
				t.Errorf("a notice says %q: %+v", never, m)
			}
		}
	}
	if n := len(w.post.sent[1].Text); n > 160 {
		t.Errorf("a text message has %d letters", n)
	}
	// Who calls back says the code, and whoever works on the case finds them by it.
	code := regexp.MustCompile(`doc ma ([A-Z2-7]{4}-[A-Z2-7]{4})`).FindStringSubmatch(w.post.sent[1].Text)
	if code == nil {
		t.Fatalf("a text message says no code: %q", w.post.sent[1].Text)
	}
	minh := w.as("minh")
	for _, said := range []string{code[1], strings.ToLower(strings.ReplaceAll(code[1], "-", " "))} {
		if minh.want(200, minh.get("/ca-benh?so="+url.QueryEscape(said)), "0914 222 333"); minh.at != binh {
			t.Errorf("the code %q leads to %s, want %s", said, minh.at, binh)
		}
	}
	for _, other := range []string{"hoa", "duc"} {
		c := w.as(other)
		if body := c.want(200, c.get("/ca-benh?so="+code[1])); strings.Contains(body, "Bình") || strings.Contains(c.at, "tiep-xuc") {
			t.Errorf("the code leads %s to %s", other, c.at)
		}
	}
	w.post.full = true
	lan.want(422, lan.post(binh+"/nhan", form(binh, "cases.by", "sms")), "Chưa gửi được")
	w.post.full = false
	chi := lan.contact(at, "Lê Thị Chi")
	lan.want(422, lan.post(chi+"/nhan", form(chi, "cases.by", "sms")), "thiếu số điện thoại")

	// A letter to one, and to all who have no telephone: Chi and the bad one.
	a := lan.want(200, lan.post(at+"/thu", url.Values{"ai": {strings.TrimPrefix(binh, at+"/tiep-xuc/")}, "noi": {"1"}}))
	if lan.head.Get("Content-Type") != "application/pdf" || lan.head.Get("Cache-Control") != "no-store" || pages(a) != 1 {
		t.Errorf("a letter is %q of %d pages", lan.head.Get("Content-Type"), pages(a))
	}
	if a = lan.want(200, lan.post(at+"/thu", nil)); pages(a) != 2 {
		t.Errorf("%d letters, want 2", pages(a))
	}
	lan.want(200, lan.post(at+"/thu", nil), "Không có ai cần thư")
	lan.want(200, lan.get(at+"/goi"), "● Chắc chắn · ở gần lần cuối Thứ Sáu 20/11")
	lan.want(200, lan.get(chi), "thư giấy", "Đã gửi thông báo")
	lan.want(200, lan.get(at+"/goi?xem=asked_to_test"), "Không có ai")
	lan.want(200, lan.get(at+"/goi?xem=notified"), "Lê Thị Chi", "Trần Thị Bình")
}

// Of somebody without telephone and address no letter is printed, and they are still
// to be found.
func TestNoLetterToNowhere(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, qrgate.Zone)
	w.people["vo"] = w.named("Vô Gia Cư")
	w.stay("vo", "cho-cua-a", day.Add(8*time.Hour+20*time.Minute), day.Add(9*time.Hour))
	at := lan.traced()
	if a := lan.want(200, lan.post(at+"/thu", nil)); pages(a) != 2 {
		t.Errorf("%d letters, want those of Chi and the bad one", pages(a))
	}
	lan.want(200, lan.get(at+"/goi?xem=to_call"), "Vô Gia Cư", "Không có điện thoại và không rõ nơi ở")
	// One by one an officer may print it, and bring it.
	if a := lan.want(200, lan.post(at+"/thu", url.Values{"ai": {strings.TrimPrefix(lan.contact(at, "Vô Gia Cư"), at+"/tiep-xuc/")}})); pages(a) != 1 {
		t.Errorf("%d letters, want one", pages(a))
	}
}

// A text message is in the language of who gets it.
func TestTextMessageIsVietnamese(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	binh := lan.contact(lan.traced(), "Trần Thị Bình")
	url0, err := url.Parse(w.url)
	w.must(err)
	lan.Jar.SetCookies(url0, []*http.Cookie{{Name: "lang", Value: "en", Path: "/"}})
	body := lan.want(200, lan.get(binh), "Nobody has called yet")
	lan.want(200, lan.post(binh+"/nhan", url.Values{"version": {w.found(body, ver)}, "cases.by": {"sms"}}), "Sent.")
	if len(w.post.sent) != 1 || !strings.Contains(w.post.sent[0].Text, "Nganh y te") {
		t.Errorf("sent %+v", w.post.sent)
	}
}

// A suspicion becomes a disease, with its days, in the case that there is.
func TestDiseaseIsNamedLater(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.index("influenza")
	body := lan.want(200, lan.get(at), "Đổi bệnh", "tìm lại 8 ngày")
	lan.want(422, lan.post(at+"/benh", url.Values{"version": {w.found(body, ver)}}), "Xin xem lại")
	lan.want(422, lan.post(at+"/benh", url.Values{"version": {w.found(body, ver)}, "cases.profile": {"influenza"}}))
	lan.want(200, lan.post(at+"/benh", url.Values{"version": {w.found(body, ver)}, "cases.profile": {"measles"}}), "Đã đổi bệnh", "tìm lại 21 ngày", "05/11/2026")
	lan.want(409, lan.post(at+"/benh", url.Values{"version": {w.found(body, ver)}, "cases.profile": {"cholera"}}))
	lan.want(200, lan.post(at+"/truy-vet", nil), "Đã truy vết", "Sởi")
	body = lan.want(200, lan.get(at))
	lan.want(200, lan.post(at+"/benh", url.Values{"version": {w.found(body, ver)}, "cases.profile": {"tuberculosis"}}), "Xin duyệt")
	lan.want(403, lan.get(at+"/tiep-xuc"), "cần người thứ hai duyệt")
	var notes []string
	for _, r := range w.audit("set disease of case") {
		notes = append(notes, r.Note)
	}
	if slices.Sort(notes); !slices.Equal(notes, []string{"influenza to measles", "measles to tuberculosis"}) {
		t.Errorf("written down are %q", notes)
	}
}

func pages(pdf string) int { return strings.Count(pdf, "/MediaBox[") }

func TestExports(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	lan.want(200, lan.get(at+"/xuat"), "Tệp có tên, điện thoại và nơi ở của")
	export := func(as string) []byte {
		t.Helper()
		return []byte(lan.want(200, lan.post(at+"/xuat", url.Values{"cases.export.for": {"report"}, "cases.format": {as}, "cases.export.sure": {"1"}})))
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(export("csv"), []byte("\ufeff")))).ReadAll()
	w.must(err)
	byName := map[string][]string{}
	for _, row := range rows {
		byName[row[2]] = row
		for _, cell := range row {
			if formula(cell) {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	if got := byName["Trần Thị Bình"]; got == nil || got[5] != "0914 222 333" || got[3] != "1961" || got[11] != "Chắc chắn" || !strings.Contains(got[13], "Chợ Đông Ba, Thứ Sáu 20/11/2026") || got[15] != "20/11/2026" {
		t.Errorf("Bình is exported as %q", got)
	}
	if got := byName["Hồ Gia Em"]; got != nil && (got[7] != "Hồ Văn Cha" || got[8] != "0905 777 888") {
		t.Errorf("a child is exported as %q", got)
	}
	f, err := excelize.OpenReader(bytes.NewReader(export("xlsx")))
	w.must(err)
	defer f.Close()
	for _, sheet := range f.GetSheetList() {
		cells, err := f.GetRows(sheet)
		w.must(err)
		for y, row := range cells {
			for x, cell := range row {
				name, _ := excelize.CoordinatesToCellName(x+1, y+1)
				if got, _ := f.GetCellFormula(sheet, name); got != "" || formula(cell) {
					t.Errorf("%s!%s is %q, formula %q", sheet, name, cell, got)
				}
			}
		}
	}
	if got := f.GetSheetList(); len(got) != 3 {
		t.Errorf("sheets are %q", got)
	}
	var file struct {
		Persons []struct {
			UUID, FirstName, LastName, Sex string
			BirthdateYYYY                  int
		}
		Cases []struct {
			UUID, Disease, CaseClassification string
			Person                            struct{ UUID string }
		}
		Events []struct {
			UUID, EventStatus, EventTitle      string
			StartDate, EndDate, ReportDateTime time.Time
		}
		Contacts []struct {
			Caze, Person                                      struct{ UUID string }
			MultiDayContact                                   bool
			FirstContactDate, LastContactDate, ReportDateTime time.Time
		}
		EventParticipants []struct {
			UUID          string
			Event         struct{ UUID string }
			Person        struct{ UUID string }
			ResultingCase *struct{ UUID string }
		}
	}
	body := export("json")
	w.must(json.Unmarshal(body, &file))
	if len(file.Cases) != 1 || file.Cases[0].Disease != "MEASLES" || file.Cases[0].CaseClassification != "SUSPECT" || len(file.Contacts) != len(rows)-1 || len(file.Persons) != len(rows) || len(file.Events) < 2 {
		t.Errorf("the file has %d cases, %d contacts, %d persons, %d events for %d rows", len(file.Cases), len(file.Contacts), len(file.Persons), len(file.Events), len(rows)-1)
	}
	people, events := map[string]bool{}, map[string]bool{}
	for _, q := range file.Persons {
		if people[q.UUID] || len(q.UUID) != 29 || q.FirstName == "" {
			t.Errorf("a person is %+v", q)
		}
		people[q.UUID] = true
	}
	for _, e := range file.Events {
		events[e.UUID] = true
		if e.EndDate.Before(e.StartDate) || e.EndDate.After(e.ReportDateTime) {
			t.Errorf("an event is of %+v", e)
		}
	}
	for _, c := range file.Contacts {
		if c.Caze.UUID != file.Cases[0].UUID || !people[c.Person.UUID] {
			t.Errorf("a contact is %+v", c)
		}
		if c.LastContactDate.Before(c.FirstContactDate) || c.LastContactDate.After(c.ReportDateTime) || c.MultiDayContact != (qrgate.DayOf(c.FirstContactDate) != qrgate.DayOf(c.LastContactDate)) {
			t.Errorf("a contact is of %+v", c)
		}
	}
	// The case took part in each event, and is known there as the case.
	index := 0
	for _, q := range file.EventParticipants {
		if !events[q.Event.UUID] || !people[q.Person.UUID] {
			t.Errorf("a participant is %+v", q)
		}
		if q.ResultingCase != nil {
			index++
			if q.ResultingCase.UUID != file.Cases[0].UUID || q.Person.UUID != file.Cases[0].Person.UUID {
				t.Errorf("the case takes part as %+v", q)
			}
		}
	}
	if index != len(file.Events) {
		t.Errorf("the case took part in %d of %d events", index, len(file.Events))
	}
	if !bytes.Equal(body, export("json")) {
		t.Error("the same case is another file each time")
	}
	if n := len(w.audit("export contacts")); n != 4 {
		t.Errorf("%d exports were written down, want 4", n)
	}
}

func TestOutbreakAtAPlace(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.open("measles")
	body := lan.want(200, lan.get(at+"/noi?ten=cho+dong"), "Chợ Đông Ba", "2 Trần Hưng Đạo")
	if strings.Contains(body, "Chợ A Lưới") {
		t.Error("a place of elsewhere is offered")
	}
	lan.want(200, lan.post(at+"/noi", url.Values{"version": {w.found(body, ver)}, "noi": {"1"}}), "Nơi có ổ dịch")
	lan.want(200, lan.get(at+"/lich-trinh"), "người đã ở đây", "Số người theo từng 15 phút", "Đông nhất lúc", "<svg")
	lan.want(200, lan.post(at+"/truy-vet", nil), "Nguyễn Văn An", "Lê Thị Chi", "Phạm Dũng")
	lan.want(200, lan.get(at+"/goi"), "Cần gọi")
	body = lan.want(200, lan.post(at+"/xuat", url.Values{"cases.export.for": {"calls"}, "cases.format": {"json"}, "cases.export.sure": {"1"}}))
	if !strings.Contains(body, `"eventTitle": "Chợ Đông Ba"`) || !strings.Contains(body, `"cases": []`) {
		t.Errorf("an outbreak is exported as %.600s", body)
	}
}

func TestDoubtsSecondRingAndMerge(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.index("measles")
	body := lan.want(200, lan.get(at+"/lich-trinh"), "Không ai đi nhanh đến thế")
	// The bus station is left out until an officer says otherwise.
	doubt := regexp.MustCompile(`name="luot" value="([0-9a-f]+\.[0-9a-z]+\.[0-9a-f]+)"><input type="hidden" name="tinh" value="1"`).FindStringSubmatch(body)
	if doubt == nil {
		t.Fatalf("no doubtful stay in %.4000s", plainText(body))
	}
	if body := lan.want(200, lan.post(at+"/truy-vet", nil)); strings.Contains(body, "Hồ Gia Em") {
		t.Error("a doubtful stay is traced")
	}
	body = lan.want(200, lan.get(at+"/lich-trinh"))
	lan.want(200, lan.post(at+"/luot", url.Values{"version": {w.found(body, ver)}, "luot": {doubt[1]}, "tinh": {"1"}}), "vẫn tính")
	lan.want(200, lan.post(at+"/truy-vet", nil), "Hồ Gia Em", "Thêm 1 người")
	em := lan.contact(at, "Hồ Gia Em")
	lan.want(200, lan.get(em), "người giám hộ", "Hồ Văn Cha", "0905 777 888")

	// Only the first stay.
	body = lan.want(200, lan.get(at+"/lich-trinh"))
	first := regexp.MustCompile(`type="checkbox" name="luot" value="([^"]+)"`).FindStringSubmatch(body)[1]
	lan.want(200, lan.post(at+"/lich-trinh", url.Values{"version": {w.found(body, ver)}, "luot": {first}}), "trong 1 lượt")
	lan.want(200, lan.post(at+"/truy-vet", nil), "Bớt", "Hồ Gia Em")
	lan.want(200, lan.get(em), "không còn người này")

	chi := lan.contact(at, "Lê Thị Chi")
	lan.want(200, lan.post(chi+"/vong-hai", nil), "Vòng hai quanh", "Lê Thị Chi", "Phạm Dũng")
	// Its file holds whom it found, and calls nobody of them a contact of the case.
	second := regexp.MustCompile(`href="(/ca-benh/[^"]+/xuat\?lan=\d+)"`).FindStringSubmatch(lan.get(lan.at).body)
	if second == nil {
		t.Fatal("the second ring has no file")
	}
	lan.want(200, lan.get(second[1]), "Xuất vòng hai", second[1])
	for as, holds := range map[string]string{"csv": "Phạm Dũng", "json": `"contacts": []`} {
		file := lan.want(200, lan.post(second[1], url.Values{"cases.export.for": {"calls"}, "cases.format": {as}, "cases.export.sure": {"1"}}))
		if !strings.Contains(file, holds) || !strings.Contains(lan.head.Get("Content-Disposition"), "-vong-2-") {
			t.Errorf("the second ring as %s is %.300s of %q", as, file, lan.head.Get("Content-Disposition"))
		}
	}
	// Somebody whom only the second ring finds has a page too.
	w.now.Add(time.Hour.Milliseconds())
	w.people["xa"] = w.visitor("+84988000222", "Ngô Thị Xa")
	w.stay("xa", "cho-cua-b", time.Date(2026, 11, 20, 9, 45, 0, 0, qrgate.Zone), time.Date(2026, 11, 20, 12, 0, 0, 0, qrgate.Zone))
	body = lan.want(200, lan.post(chi+"/vong-hai", nil), "Ngô Thị Xa")
	xa := regexp.MustCompile(`href="(` + at + `/tiep-xuc/[a-z2-7]{26})"><bdi>Ngô Thị Xa`).FindStringSubmatch(body)
	if body := lan.want(200, lan.get(xa[1]), "0988 000 222", "Chợ Đông Ba"); strings.Contains(body, "không còn người này") {
		t.Error("whom the second ring found is said to be gone")
	}

	// Bình and Bông share a telephone, and turn out to be one.
	lan.want(200, lan.post(at+"/truy-vet", nil), "Ngô Thị Xa")
	binh := lan.contact(at, "Trần Thị Bình")
	body = lan.want(200, lan.get(binh), "Trần Văn Bông, 1990")
	bong := regexp.MustCompile(`<option value="([a-z2-7]{26})">Trần Văn Bông`).FindStringSubmatch(body)[1]
	v := regexp.MustCompile(`gop" novalidate><input type="hidden" name="version" value="(\d+)"`).FindStringSubmatch(body)[1]
	lan.want(200, lan.post(binh+"/gop", url.Values{"version": {v}, "cases.same": {bong}, "cases.same.sure": {"1"}}), "Đã lưu")
	before := len(met.FindAllString(lan.get(at+"/tiep-xuc").body, -1))
	lan.want(200, lan.post(at+"/truy-vet", nil))
	if after := len(met.FindAllString(lan.get(at+"/tiep-xuc").body, -1)); after != before-1 {
		t.Errorf("%d contacts after a merge of two of %d", after, before)
	}
}

func TestHostileInputs(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	evil := []string{"\x00", "\xff\xfe", strings.Repeat("ế", 20_000), "a\r\nb", "<script>alert(1)</script>", "'; DROP TABLE cases; --", "../../etc/passwd", "%00", "\u202e"}
	for _, s := range evil {
		for _, path := range []string{
			"/ca-benh/" + url.PathEscape(s), at + "/tiep-xuc/" + url.PathEscape(s), "/ca-benh?xem=" + url.QueryEscape(s), "/ca-benh?so=" + url.QueryEscape(s) + "&trang=" + url.QueryEscape(s),
			at + "/tiep-xuc?lan=" + url.QueryEscape(s), at + "/noi?ten=" + url.QueryEscape(s), at + "/goi?xem=" + url.QueryEscape(s),
		} {
			if len(path) > 4000 {
				continue
			}
			if a := lan.get(path); strings.Contains(a.body, "<script>alert") {
				t.Errorf("%.60q gives back a script", path)
			}
		}
		for _, path := range []string{"/ca-benh/moi", at + "/tim", at + "/nguoi", at + "/noi", at + "/khan-cap", at + "/tinh-trang", at + "/thoi-han", at + "/khoang", at + "/lich-trinh", at + "/luot", at + "/thu", at + "/xuat"} {
			f := url.Values{}
			for _, field := range []string{
				"version", "cases.state", "cases.profile", "cases.purpose", "cases.from", "cases.to", "cases.scope", "cases.by", "cases.find", "cases.name", "cases.born", "nguoi", "noi", "luot", "ai",
				"cases.glass", "cases.ends", "cases.export.for", "cases.format",
			} {
				f.Set(field, s)
			}
			if len(s) > 1000 { // not all of them at once
				f = url.Values{"version": {"1"}, "cases.purpose": {s}}
			}
			a := lan.post(path, f)
			if a.status < 400 && path != at+"/thu" && path != at+"/noi" || strings.Contains(a.body, "<script>alert") {
				t.Errorf("POST %s with %.20q = %d", path, s, a.status)
			}
		}
	}
	for _, by := range []string{"card", "phone", "cccd", "bhyt", "name"} {
		for _, s := range evil {
			if a := lan.post(at+"/tim", url.Values{"cases.by": {by}, "cases.find": {s}, "cases.name": {s}, "cases.born": {s}}); a.status != 422 && a.status != 413 {
				t.Errorf("a search by %s for %.20q = %d", by, s, a.status)
			}
		}
	}
}
