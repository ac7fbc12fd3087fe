package print_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/report"
)

// monthly is a report as officers make it.
func monthly() *report.Document {
	number := func(n int) string { return fmt.Sprint(n) }
	rows := [][]report.Value{}
	for i := range 45 {
		rows = append(rows, []report.Value{report.Words(fmt.Sprintf("Phường Vỹ Dạ số %d và các tổ dân phố quanh chợ", i)), report.Amount(1000+i, number), report.Amount(i, number), report.Words("<10")})
	}
	return &report.Document{
		Lang: "vi", Nation: "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", Motto: "Độc lập - Tự do - Hạnh phúc",
		Superior: "Ủy ban nhân dân thành phố Huế", Agency: "Sở Công Thương", Number: "Số: 12/BC-SCT", Dated: "Huế, ngày 26 tháng 11 năm 2026",
		Kind: "BÁO CÁO", Subject: "Kết quả triển khai mã QR tại các địa điểm ngành Công Thương, từ ngày 01/11/2026 đến ngày 26/11/2026",
		Parts: []report.Part{
			{Heading: "1. Kết quả chung", Level: 1, Text: strings.Repeat("Thực hiện Công văn số 840/UBND-CN ngày 27 tháng 01 năm 2021 về triển khai giải pháp QR phục vụ quản lý dịch bệnh. ", 30) + "\nĐoạn thứ hai, ≥ 1.240 lượt."},
			{Heading: "2. Theo xã, phường", Level: 1, Table: &report.Table{Caption: "Bảng 1. Theo xã, phường", Head: []string{"Xã, phường", "Đăng ký", "Đã in", "Lượt vào"}, Wide: []float64{4, 1, 1, 1}, Rows: rows, Note: "Số dưới 10 được ghi là <10."}},
			{Chart: report.BarChart("a", "Biểu đồ 1", "", []report.Bar{{Label: "Cần đăng ký", Value: 120, Text: "120 (100 %)"}, {Label: "Đã đăng ký", Value: 90, Text: "90 (75 %)"}, {Label: "Đang dùng", Value: 40, Text: "40 (33 %)"}})},
			{Chart: report.PercentChart("b", "Biểu đồ 2", "", report.Days(20_000, 20_007, 20_014, 20_021, 20_028), report.Series{Label: "Đăng ký", Values: []int{10, 20, 40, 50, 90}}, report.Series{Label: "Đã quét", Values: []int{5, 10, 20, 30, 40}}, report.Series{Label: "Đang dùng", Values: []int{5, 8, 18, 20, 35}})},
			{Chart: report.Map("c", "Bản đồ", "", map[string]int{"19753@2025-07-01": 80, "19789@2025-07-01": 30}, report.MapWords{None: "chưa có địa điểm", Source: "Ranh giới chỉ để minh họa."})},
		},
		To: "Nơi nhận:", Recipients: []string{"UBND thành phố (để báo cáo);", "Sở Khoa học và Công nghệ;", "Lưu: VT."},
		SignedAs: "Giám đốc", Signed: "Nguyễn Văn An", Foot: "Do Trần Thị Bình lập lúc 26/11/2026 09:00, bản 3.", Draft: "DỰ THẢO",
		Made: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC),
	}
}

func TestReportIsTheSameFileEachTime(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := print.Report(w, monthly()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.HasPrefix(a.Bytes(), []byte("%PDF-")) || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("two files of %d and %d bytes", a.Len(), b.Len())
	}
}

// Whatever is written into a report, it can be set.
func TestReportTakesAnything(t *testing.T) {
	for _, s := range []string{"", " ", "\x00\x01", "\xff\xfe", strings.Repeat("a", 20_000), strings.Repeat("ế ", 20_000), "😀\u202e", "\n\n\n"} {
		d := monthly()
		d.Superior, d.Agency, d.Number, d.Dated, d.Kind, d.Subject, d.Nation, d.Motto = s, s, s, s, s, s, s, s
		d.SignedAs, d.Signed, d.Foot, d.Draft, d.To, d.Recipients = s, s, s, s, s, []string{s, s}
		d.Parts = []report.Part{{Heading: s, Text: s}, {Table: &report.Table{Caption: s, Head: []string{s, s}, Rows: [][]report.Value{{report.Words(s)}, {}, {report.Words(s), report.Words(s), report.Words(s)}}, Note: s, Sum: true}}, {Table: &report.Table{}}, {Chart: &report.Drawing{}}}
		var out bytes.Buffer
		if err := print.Report(&out, d); err != nil {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func BenchmarkReportPDF(b *testing.B) {
	d := monthly()
	for b.Loop() {
		var out bytes.Buffer
		if err := print.Report(&out, d); err != nil {
			b.Fatal(err)
		}
	}
}
