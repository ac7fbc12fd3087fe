package card_test

import (
	"bytes"
	"encoding/hex"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
)

var deskCode = regexp.MustCompile(`<code>(QGS1[^<]*)</code>`)

// A seat is the computer at a clerk's desk, with its scanner.
type seat struct {
	w    *world
	code pairing.Code
	to   *seal.Sealer
	no   uint64
}

// sit joins a scanner to a clerk's page.
func (c *client) sit() *seat {
	c.w.t.Helper()
	status, body := c.post("/the/may-quet", nil)
	c.w.want("offer", status, body, 200, "Chờ máy quét", "qrgate-kiosk desk")
	return c.w.sit(html.UnescapeString(deskCode.FindStringSubmatch(body)[1]))
}

// sit joins a scanner to the page that shows a code.
func (w *world) sit(text string) *seat {
	w.t.Helper()
	code, err := pairing.ParseDesk(text)
	if err != nil {
		w.t.Fatal(err)
	}
	to, err := seal.New(1, sealing.PublicKey().Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	s := &seat{w: w, code: code, to: to}
	s.scan("", http.StatusNoContent)
	return s
}

func (s *seat) scan(text string, want int) {
	s.w.t.Helper()
	s.no++
	body, err := s.code.SealDesk(s.to, time.Now(), pairing.DeskScan{Desk: [16]byte{1}, No: s.no, Text: text})
	if err != nil {
		s.w.t.Fatal(err)
	}
	resp, err := http.Post(s.w.url+pairing.DeskPath, "application/cbor", bytes.NewReader(body))
	if err != nil {
		s.w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		s.w.t.Errorf("scan = %d, want %d", resp.StatusCode, want)
	}
}

// value is what a field of a form is filled in with.
func value(body, field string) string {
	m := regexp.MustCompile(`name="` + regexp.QuoteMeta(field) + `"[^>]*? value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

const citizen = "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân, Thành phố Huế, Thừa Thiên Huế|10052021"

func insurance(name, address string) string {
	return "TE1462012345678|" + hex.EncodeToString([]byte(name)) + "|01/02/2019|1|" + hex.EncodeToString([]byte(address)) +
		"|46 - 001|01/07/2021|30/06/2022|15/06/2021|04612345678901|-|4|01/07/2026|0123456789abcdef-1234|$"
}

func TestScannerAtTheDeskFillsTheForm(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	status, body := hoa.get("/the")
	w.want("first page", status, body, 200, "Nối máy quét tại bàn", "máy ảnh")
	desk := hoa.sit()
	status, body = hoa.get("/the/may-quet/cho")
	w.want("state", status, body, 200, `"state":"joined"`, `"waiting":0`)
	desk.scan(citizen, http.StatusNoContent)
	status, body = hoa.get("/the/may-quet/cho?thay=1")
	w.want("state", status, body, 200, `"waiting":1`)
	status, body = hoa.get("/the")
	w.want("first page", status, body, 200, "1 mã chờ lấy")

	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("take", status, body, 200, "Xin xem lại từng ô", `<option value="f" selected>`)
	for field, want := range map[string]string{
		"card.name": "Nguyễn Thị Hoa Mai", "card.born": "1990", "card.identity": "046190001234", "card.street": "Tổ 3",
	} {
		if got := value(body, field); got != want {
			t.Errorf("%s = %q, want %q", field, got, want)
		}
	}
	if got := value(body, "card.commune"); !strings.HasSuffix(got, " Xuân") {
		t.Errorf("commune = %q", got)
	}
	form := url.Values{"card.consent": {"1"}, "card.sex": {"f"}, "card.relative": {"self"}}
	for _, field := range []string{"card.name", "card.born", "card.identity", "card.street", "card.commune", "card.area"} {
		form.Set(field, value(body, field))
	}
	status, body = hoa.post("/the/nguoi/moi", form)
	w.want("register", status, body, 200, "Đã đăng ký")
	mai := holderPath.FindString(body)

	// Read again she is known, and a paper of hers with another number is seen to be alike.
	desk.scan(citizen, http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("known", status, body, 200, "Người này đã đăng ký", mai)
	desk.scan(insurance("NGUYỄN THỊ HOA MAI", "Tổ 3, Thủy Xuân, Huế"), http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("a child", status, body, 200, "Nguyễn Thị Hoa Mai", `<option value="m" selected>`)
	desk.scan(strings.Replace(citizen, "046190001234", "046190009999", 1), http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("alike", status, body, 200, "cùng tên, cùng năm sinh", mai)
	desk.scan("******001234|NGUYEN THI HOA MAI|1990-**-**|0|VNQID0001|", http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("national", status, body, 200, "không dấu", "Nguyen Thi Hoa Mai")

	batch := hoa.issued(mai, "card")
	if batch == "" {
		t.Fatal("no batch")
	}
	desk.scan(w.text(1, 1), http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("own card", status, body, 200, "Thẻ số 1")
	desk.scan("what is this", http.StatusNoContent)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("unknown", status, body, 422, "không phải của người")
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("nothing", status, body, 200, "Chưa có mã nào")

	// It is this clerk's alone, and ends when she says so.
	thu := w.as("thu")
	desk.scan(citizen, http.StatusNoContent)
	status, body = thu.post("/the/may-quet/lay", nil)
	w.want("another clerk", status, body, 200, "không còn nối")
	status, body = hoa.post("/the/may-quet/dung", nil)
	w.want("end", status, body, 200, "Đã ngắt")
	desk.scan(citizen, http.StatusGone)
	status, body = hoa.post("/the/may-quet/lay", nil)
	w.want("after the end", status, body, 200, "không còn nối")
	status, body = hoa.get("/the/may-quet/cho?thay=1")
	w.want("after the end", status, body, 200, `"state":"ended"`)
	if logged := w.log.String(); strings.Contains(logged, "Hoa Mai") || strings.Contains(logged, "046190001234") {
		t.Errorf("the log names somebody:\n%s", logged)
	}
}

func TestCameraOfThePage(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	status, body := hoa.post("/the/tim", url.Values{"card.find": {citizen}, "card.by": {"camera"}})
	w.want("by camera", status, body, 200, "Nguyễn Thị Hoa Mai", "Xin xem lại từng ô")
	status, body = hoa.post("/the/tim", url.Values{"card.find": {citizen}})
	w.want("by keyboard", status, body, 200, "mất dấu", "046190001234")
	if value(body, "card.name") != "" {
		t.Errorf("a keyboard's name is taken: %q", value(body, "card.name"))
	}
	status, body = hoa.post("/the/tim", url.Values{"card.find": {"https://example.com/x"}, "card.by": {"camera"}})
	w.want("no paper", status, body, 422, "không phải của người")
}
