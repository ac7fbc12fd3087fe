package card_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// person is what a clerk types of somebody.
func person(change ...string) url.Values {
	v := url.Values{
		"card.name": {"Nguyễn Văn An"}, "card.born": {"12/03/1948"}, "card.sex": {"m"}, "card.phone": {"0905 123 456"}, "card.relative": {"self"},
		"card.commune": {"Phường Phú Xuân"}, "card.street": {"12 Lê Lợi"}, "card.identity": {"046 048 001 234"}, "card.consent": {"1"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
	}
	return v
}

var (
	holderPath = regexp.MustCompile(`/the/nguoi/[a-z2-7]{26}`)
	batchPath  = regexp.MustCompile(`/the/dot/[a-z2-7]{26}`)
	jobPath    = regexp.MustCompile(`/the/viec/[0-9a-f]{32}`)
	reportPath = regexp.MustCompile(`/nhap-the/[a-z2-7]{26}`)
)

// register registers somebody and returns the address of their page.
func (c *client) register(change ...string) string {
	c.w.t.Helper()
	status, body := c.post("/the/nguoi/moi", person(change...))
	c.w.want("register", status, body, 200, "Đã đăng ký")
	return holderPath.FindString(body)
}

// issued gives a holder a card and returns its batch's address.
func (c *client) issued(holder string, kind string) string {
	c.w.t.Helper()
	status, body := c.post(holder+"/cap", url.Values{"card.kind": {kind}, "card.days": {"365"}, "card.people": {"4"}})
	c.w.want("issue", status, body, 200, "Đã cấp", "In thẻ")
	return batchPath.FindString(body)
}

// pdf prints and returns the file.
func (c *client) pdf(to, layout, names string) []byte {
	c.w.t.Helper()
	status, body := c.post(to+"/in", url.Values{"card.layout": {layout}, "card.names": {names}})
	c.w.want("print", status, body, 200)
	job := c.job
	for deadline := time.Now().Add(2 * time.Minute); ; {
		status, body = c.get(job)
		if status != 200 || strings.Contains(body, "Không làm được") || time.Now().After(deadline) {
			c.w.t.Fatalf("job = %d: %s", status, body)
		}
		if strings.Contains(body, job+"/the.pdf") {
			break
		}
		status, said := c.get(job + "/tien-do")
		c.w.want("progress", status, said, 200, `"total":`)
		time.Sleep(20 * time.Millisecond)
	}
	status, body = c.get(job + "/the.pdf")
	c.w.want("file", status, body[:min(len(body), 100)], 200, "%PDF-")
	return []byte(body)
}

func TestClerkRegistersIssuesReplacesAndRevokes(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	status, body := hoa.get("/the")
	w.want("first page", status, body, 200, "Chưa đăng ký ai", "Quét thẻ")
	status, body = hoa.get("/the/nguoi/moi")
	w.want("form", status, body, 200, "Phường Phú Xuân", "Sở Y tế giữ các thông tin")
	status, body = hoa.post("/the/nguoi/moi", person("card.name", "", "card.born", "1700", "card.commune", "phong", "card.identity", "12", "card.insurance", "x", "card.phone", "1", "card.consent", ""))
	w.want("wrong", status, body, 422, "Xin xem lại 7 chỗ", "từ 1900 đến 2026", "12 chữ số", "10 chữ số", "Số điện thoại chưa đúng", "được đồng ý trước", `value="phong"`)
	status, body = hoa.post("/the/nguoi/moi", person("card.born", "2020", "card.phone", ""))
	w.want("child", status, body, 422, "Dưới 16 tuổi cần người giám hộ", "Cần một số điện thoại")

	an := hoa.register()
	status, body = hoa.get(an)
	w.want("holder", status, body, 200, "Nguyễn Văn An", "1948", "0905 123 456", "12 Lê Lợi", "046048001234", "Chưa có thẻ", "Phường Phú Xuân")
	status, body = hoa.post("/the/nguoi/moi", person("card.name", "Ng V An"))
	w.want("the same number", status, body, 422, "đã đăng ký", an)
	status, body = w.as("thu").post("/the/nguoi/moi", person("card.name", "Ng V An"))
	w.want("the same number elsewhere", status, body, 422, "đăng ký ở nơi khác")
	if strings.Contains(body, an) {
		t.Error("another office is told which record it is")
	}
	other := person("card.identity", "", "card.phone", "")
	status, body = hoa.post("/the/nguoi/moi", other)
	w.want("a namesake", status, body, 422, "cùng tên, cùng năm sinh", "đây là người khác", an)
	other.Set("known", an[len("/the/nguoi/"):])
	status, body = hoa.post("/the/nguoi/moi", other)
	w.want("all the same", status, body, 200, "Đã đăng ký")

	status, body = hoa.get(an + "/sua")
	w.want("edit", status, body, 200, `value="046048001234"`, `value="0905 123 456"`)
	status, body = hoa.post(an+"/sua", person("version", "1", "card.street", "14 Lê Lợi", "card.insurance", "GD4460400012345"))
	w.want("edited", status, body, 200, "Đã lưu", "14 Lê Lợi")
	status, body = hoa.post(an+"/sua", person("version", "1", "card.street", "16 Lê Lợi"))
	w.want("edited twice", status, body, 409)

	status, body = hoa.post(an+"/cap", url.Values{"card.kind": {"family"}, "card.days": {"0"}})
	w.want("wrong order", status, body, 422, "Xin điền chỗ này", "Xin ghi một số từ 1")
	batch := hoa.issued(an, "family")
	status, body = hoa.get(an)
	w.want("with a card", status, body, 200, "Thẻ số 1, lần 1", "Thẻ gia đình (4)", "Dùng được", "25/11/2027")
	status, body = hoa.get("/the")
	w.want("first page with a batch", status, body, 200, batch, an, "2 người đã đăng ký")

	status, body = hoa.get("/the/so/1")
	w.want("card", status, body, 200, pass.TypedCode(1), "Nguyễn Văn An", "Cấp lại thẻ", "Khóa thẻ")
	status, body = hoa.post("/the/so/1/cap-lai", url.Values{"issue": {"1"}, "card.days": {"730"}})
	w.want("replaced", status, body, 200, "nay là lần 2", "Thẻ số 1, lần 2")
	status, body = hoa.post("/the/so/1/cap-lai", url.Values{"issue": {"1"}, "card.days": {"730"}})
	w.want("replaced twice", status, body, 409)
	status, body = hoa.post("/the/so/1/khoa", url.Values{})
	w.want("revoked for no reason", status, body, 422, "Xin chọn một mục")
	if void := w.void(); !void.Contains(1, 1) || void.Contains(1, 2) {
		t.Errorf("after replacing, the first issue is void: %v, the second %v", void.Contains(1, 1), void.Contains(1, 2))
	}
	status, body = hoa.post("/the/so/1/khoa", url.Values{"card.reason": {"lost"}})
	w.want("revoked", status, body, 200, "Đã khóa thẻ", "Mất, 26/11/2026")
	if !w.void().Contains(1, 2) {
		t.Error("a revoked card is not in the list")
	}
	status, body = hoa.post("/the/so/1/in", url.Values{"card.layout": {"single"}, "card.names": {"name"}})
	w.want("print a revoked card", status, body, 409)
	status, body = hoa.post("/the/so/1/cap-lai", url.Values{"issue": {"2"}, "card.days": {"730"}})
	w.want("replace a revoked card", status, body, 409)

	status, body = hoa.post("/the/kiem-tra", url.Values{"card.tests": {"0"}, "card.days": {"30"}})
	w.want("no test cards", status, body, 422)
	status, body = hoa.post("/the/kiem-tra", url.Values{"card.tests": {"3"}, "card.days": {"30"}})
	w.want("test cards", status, body, 200, "Đợt 3 thẻ", "Thẻ kiểm tra")
}

func TestOtherOfficesDoNotExist(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	an := hoa.register()
	batch := hoa.issued(an, "card")
	hoa.pdf(batch, "single", "name")
	for _, who := range []string{"thu", "minh"} {
		c := w.as(who)
		for _, path := range []string{an, an + "/sua", batch, "/the/so/1", hoa.job, hoa.job + "/the.pdf", hoa.job + "/tien-do", "/nhap-the/x"} {
			if status, body := c.get(path); status != 404 || strings.Contains(body, "Nguyễn Văn An") {
				t.Errorf("GET %s as %s = %d", path, who, status)
			}
		}
		for _, path := range []string{an + "/sua", an + "/cap", batch + "/in", "/the/so/1/cap-lai", "/the/so/1/khoa", "/the/so/1/in", "/nhap-the/x"} {
			if status, _ := c.post(path, url.Values{"issue": {"1"}, "card.days": {"9"}, "card.reason": {"lost"}, "card.kind": {"card"}, "card.layout": {"fold"}, "card.names": {"name"}}); status != 404 {
				t.Errorf("POST %s as %s = %d", path, who, status)
			}
		}
		for _, asked := range []string{"an", "1", pass.TypedCode(1), "046048001234"} {
			status, body := c.post("/the/tim", url.Values{"card.find": {asked}})
			w.want("search of "+who, status, body, 200, "Không thấy ai")
		}
	}
	status, body := w.as("tinh").get(an)
	w.want("the province", status, body, 200, "Nguyễn Văn An")
	status, body = w.as("lan").post("/the/nguoi/moi", person("card.name", "B", "card.identity", ""))
	w.want("which of two offices", status, body, 422, "Nơi cấp", "Xin chọn một mục")
	for _, path := range []string{"/the", "/the/nguoi/moi", "/the/nhap"} {
		if status, _ := w.as("stranger").get(path); status != 403 {
			t.Errorf("GET %s as a member without the role = %d", path, status)
		}
	}
}

func TestScannerTypesIntoThePage(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	bhyt := "DN4460400012345|" + hex.EncodeToString([]byte("TRẦN THỊ BƯỞI")) + "|01/02/1950|2|" + hex.EncodeToString([]byte("Thủy Vân, Huế")) + "|46 - 001|01/01/2025|-|31/12/2026|4600000|-|-|-|-|$"
	status, body := hoa.post("/the/tim", url.Values{"card.find": {bhyt + "\r"}})
	w.want("BHYT", status, body, 200, `value="Trần Thị Bưởi"`, `value="1950"`, `value="0400012345"`, "Thủy Vân")
	status, body = hoa.post("/the/tim", url.Values{"card.find": {"046048001234|191234567|Nguyen Van An|12031948|Nam|12 Le Loi, Hue|01012022"}})
	w.want("CCCD", status, body, 200, "làm mất dấu", `value="046048001234"`, `value="1948"`)
	if strings.Contains(body, "Nguyen Van An") {
		t.Error("a name without marks was filled in")
	}
	status, body = hoa.post("/the/tim", url.Values{"card.find": {"046048001234|191234567|Nguyen Van An|12x31948|Nam|12 Le Loi, Hue|01012022"}})
	w.want("garbled CCCD", status, body, 422, "không gõ được dấu")

	an := hoa.register("card.insurance", "0400012345")
	hoa.issued(an, "card")
	for what, typed := range map[string]string{"BHYT": bhyt, "CCCD": "046048001234||Nguyễn Văn An|12031948|Nam|Huế|01012022", "number of a paper": "046048001234", "insurance": "DN4460400012345"} {
		status, body = hoa.post("/the/tim", url.Values{"card.find": {typed}})
		w.want(what+" of somebody known", status, body, 200, an+"/sua", "Nguyễn Văn An")
	}
	status, body = hoa.post("/the/tim", url.Values{"card.find": {"van an"}})
	w.want("name", status, body, 200, "Tìm thấy 1 người", an)
	for _, typed := range []string{"1", pass.TypedCode(1), strings.ToLower(pass.TypedCode(1)[:4] + " " + pass.TypedCode(1)[4:]), w.text(1, 1), strings.ToLower(w.text(1, 1))} {
		status, body = hoa.post("/the/tim", url.Values{"card.find": {typed}})
		w.want("own card", status, body, 200, "Thẻ số 1, lần 1")
	}
	status, body = hoa.post("/the/so/1/cap-lai", url.Values{"issue": {"1"}, "card.days": {"730"}})
	w.want("replaced", status, body, 200)
	status, body = hoa.post("/the/tim", url.Values{"card.find": {w.text(1, 1)}})
	w.want("old card", status, body, 200, "bản cũ của thẻ")
	genuine := w.text(1, 2)
	last := byte('A')
	if genuine[len(genuine)-1] == last {
		last = 'B'
	}
	for typed, said := range map[string]string{
		genuine[:len(genuine)-1] + string(last): "không phải do hệ thống cấp", w.text(77, 1): "nơi khác cấp", "QG1ABC": "Mã bị đọc sai",
		"WIFI:S:x;;": "không phải của người", "https://qr.example.vn/p/AAAA": "không phải của người", "": "Xin điền chỗ này", "a\x00b": "Có ký tự không dùng được", "\xff": "Có ký tự không dùng được",
		strings.Repeat("a", 5000): "Có ký tự không dùng được",
	} {
		status, body = hoa.post("/the/tim", url.Values{"card.find": {typed}})
		w.want(fmt.Sprintf("scan %.20q", typed), status, body, 422, said)
	}
}

const sheetHead = "Họ và tên,Năm sinh,Giới tính,Điện thoại,Điện thoại người thân,\"Xã, phường\",Số căn cước,Người giám hộ,Số người\r\n"

func TestImport(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	hoa.register()
	status, body := hoa.get("/the/nhap")
	w.want("form", status, body, 200, "Tải bảng mẫu", "10.000")
	status, body = hoa.get("/the/nhap.xlsx")
	w.want("sample", status, body[:4], 200, "PK")
	order := url.Values{"card.kind": {"card"}, "card.days": {"365"}, "card.consent": {"1"}}
	file := []byte("\ufeff" + sheetHead +
		"Lê Thị Canary,1950,nữ,905111222,,thuan loc,,,\r\n" +
		"Trần Văn Ba,01/05/1939,Nam,,0905 333 444,Phường Phú Xuân,046039000001,,\r\n" +
		"Ai Cũng Biết,1948,,,,Phường Phú Xuân,046048001234,,\r\n" +
		"Trùng Số,1960,,,,Phường Phú Xuân,046039000001,,\r\n" +
		"Cháu Bé,2019,nữ,,0905 333 444,Phường Phú Xuân,,,\r\n" +
		"Nguyễn Văn An,1948,,,,Phường Phú Xuân,,,\r\n" +
		"<i>Sai</i>,xyz,,12,,Không đâu cả,9,,\r\n")
	status, body = hoa.upload("/the/nhap", order, "card.file", "Canary.csv", file)
	w.want("report", status, body, 200, "<strong>3</strong> dòng nhập được", "<strong>4</strong> dòng sai", "Đăng ký và cấp 3 thẻ", "thêm số 0", "đã đăng ký ở đây",
		"Trùng với dòng 3", "Dưới 16 tuổi", "đã có người cùng tên", "&lt;i&gt;Sai", "Không tìm thấy")
	to := reportPath.FindString(body)
	if got, total, err := w.reg.Cards(w.vault).Holders(t.Context(), offices(), "", 0, 100); err != nil || total != 1 {
		t.Errorf("%d holders before the button is pressed: %v, %v", total, got, err)
	}
	if status, _ := w.as("lan").post(to, nil); status != 404 {
		t.Errorf("another account takes the upload in = %d", status)
	}
	w.clear("while the sheet waits", "Canary", "905111222", "046039000001", "Trần Văn")
	status, body = hoa.post(to, nil)
	w.want("taken in", status, body, 200, "Đã đăng ký và cấp 3 thẻ", "Đợt 3 thẻ")
	if status, _ := hoa.post(to, nil); status != 404 {
		t.Errorf("taken in twice = %d", status)
	}
	w.clear("in the end", "Canary", "905111222", "046039000001", "Trần Văn", "046048001234")

	for what, tt := range map[string]struct {
		file []byte
		said string
	}{
		"no file":     {nil, "Xin chọn một tệp"},
		"no heading":  {[]byte("a,b\r\n1,2\r\n"), "Không thấy cột"},
		"no rows":     {[]byte(sheetHead), "không có dòng nào"},
		"not UTF-8":   {[]byte(sheetHead + "\xff\xfe,1\r\n"), "không theo UTF-8"},
		"no workbook": {[]byte("PK\x03\x04nothing"), "Không đọc được"},
		"too many":    {[]byte(sheetHead + strings.Repeat("A,1950,,,,Phường Phú Xuân,,,\r\n", 10_001)), "Bảng quá lớn"},
	} {
		status, body = hoa.upload("/the/nhap", order, "card.file", "x.csv", tt.file)
		w.want(what, status, body, 422, tt.said)
	}
	status, body = hoa.upload("/the/nhap", url.Values{"card.kind": {"card"}}, "card.file", "x.csv", file)
	w.want("nobody was asked", status, body, 422, "được đồng ý trước")
	family := url.Values{"card.kind": {"family"}, "card.days": {"365"}, "card.consent": {"1"}}
	status, body = hoa.upload("/the/nhap", family, "card.file", "x.csv", []byte(sheetHead+"Nhà Năm,1950,,,,Phường Phú Xuân,,,5\r\nNhà Không,1951,,,,Phường Phú Xuân,,,\r\n"))
	w.want("families", status, body, 200, "<strong>1</strong> dòng nhập được", "Số người: Xin điền")
	status, body = hoa.post(reportPath.FindString(body), nil)
	w.want("families taken in", status, body, 200, "cấp 1 thẻ")
	if c, _, err := w.reg.Cards(w.vault).Card(t.Context(), 4); err != nil || c.People != 5 {
		t.Errorf("the family's card = %+v, %v", c, err)
	}
}

// clear fails the test if files of the database, or the log, hold any of these.
func (w *world) clear(when string, canaries ...string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, canary := range canaries {
			if bytes.Contains(b, []byte(canary)) {
				w.t.Errorf("%s, %s holds %q", when, filepath.Base(name), canary)
			}
			if strings.Contains(w.log.String(), canary) {
				w.t.Errorf("%s, the log holds %q", when, canary)
			}
		}
	}
}

// A print that an account has forgotten makes room for the next, and no file
// outlives its hour.
func TestFilesDoNotStay(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	batch := hoa.issued(hoa.register(), "card")
	var jobs []string
	for range 4 {
		hoa.job = ""
		hoa.pdf(batch, "fold", "initials")
		jobs = append(jobs, hoa.job)
	}
	if status, _ := hoa.get(jobs[0] + "/the.pdf"); status != 404 {
		t.Errorf("the first of four files = %d", status)
	}
	w.now.Add((61 * time.Minute).Milliseconds())
	if status, _ := hoa.get(jobs[3] + "/the.pdf"); status != 404 {
		t.Errorf("a file after an hour = %d", status)
	}
	status, body := hoa.post(batch+"/in", url.Values{"card.layout": {"x"}, "card.names": {"y"}})
	w.want("no such layout", status, body, 422, "Xin chọn một mục")
	audited := 0
	err := w.reg.Audit(t.Context(), register.AuditQuery{Action: "print cards"}, 0, 10, func(register.AuditRow) error { audited++; return nil })
	if err != nil || audited != 4 {
		t.Errorf("%d prints are audited, %v", audited, err)
	}
}
