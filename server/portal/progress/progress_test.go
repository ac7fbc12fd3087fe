package progress_test

import (
	"net/url"
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	w := newWorld(t)
	w.tally(w.market, w.today()-2, 40)
	for _, p := range []string{"/tien-do", "/tien-do/danh-sach", "/tien-do/danh-sach/nhap", "/tien-do/muc-tieu", "/kiem-tra", path("/kiem-tra/dia-diem/%d", w.market.No), "/bao-cao", "/bao-cao/moi"} {
		status, body := w.get("trade", p)
		w.want(p, status, body, 200)
	}
	status, to := w.post("trade", "/bao-cao/moi", url.Values{"progress_title": {"Tháng 11"}, "progress_sector": {"trade"}, "progress_agency": {"Sở Công Thương"}, "progress_lang": {"vi"}, "progress_from": {"2026-11-01"}, "progress_to": {"2026-11-26"}})
	w.want("save", status, to, 303)
	status, body := w.get("trade", to)
	w.want("report", status, body, 200)
	status, body = w.get("trade", to+"/bao-cao.pdf")
	w.want("pdf", status, strings.ToValidUTF8(body[:5], ""), 200, "%PDF")
	status, body = w.get("trade", to+"/bao-cao.xlsx")
	w.want("xlsx", status, body[:2], 200, "PK")
}
