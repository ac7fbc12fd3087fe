//go:build full

package cases_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// An officer is told that somebody restricted the use of their data, says why the
// case needs it, and the data-protection officer reads that, by the words on the
// pages alone.
func TestWalkOfRestrictedData(t *testing.T) {
	b := browser.Start(t)
	for _, size := range []struct {
		name          string
		width, height int
	}{{"phone", 360, 740}, {"tablet", 768, 1024}, {"desk", 1280, 900}} {
		t.Run(size.name, func(t *testing.T) {
			w := newWorld(t)
			at := w.as("lan").traced()
			w.restrain(w.people["chi"], rights.Objection)
			w.restrain(w.people["binh"], rights.Restriction)
			k := &walk{Tab: b.For(t).Private(), t: t, w: w, name: "restricted-" + size.name}
			k.Look(size.width, size.height, "light")
			k.signIn("lan")
			k.Visit(w.url + at + "/tiep-xuc")
			k.see("contacts", "2 người đã hạn chế")
			k.Press("Ghi lý do")
			k.see("case", "Vì sao ca này phải dùng")
			k.Press("Dùng dữ liệu bị hạn chế")
			k.see("wrong", "Xin xem lại")
			k.Fill("Vì sao ca này phải dùng", "Tiếp xúc gần ca sởi, phải báo để tiêm trong 72 giờ")
			k.Fill("Tôi hiểu đây là dữ liệu bị hạn chế", "1")
			k.Press("Dùng dữ liệu bị hạn chế")
			k.see("used", "Đã ghi lý do")
			k.Press("Gọi điện")
			k.see("calls", "Phản đối")
			k.Press("Lê Thị Chi")
			k.see("contact", "chỉ dùng cho đúng việc ấy")
			k.signIn("mai")
			k.Visit(w.url + "/ca-benh-khan-cap")
			k.see("review", "Dùng dữ liệu của 2 người")
		})
	}
}
