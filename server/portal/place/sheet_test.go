package place_test

import (
	"archive/zip"
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/qrgate"
)

const header = "Tên địa điểm,Loại địa điểm,\"Xã, phường\",Người phụ trách,Điện thoại,Giờ mở cửa\r\n"

// report is where an upload is looked at and taken in.
var report = regexp.MustCompile(`/nhap-dia-diem/[a-z0-9]+`)

// importing uploads a sheet and returns the page that follows.
func (c *client) importing(name string, file []byte) (status int, body string) {
	c.w.t.Helper()
	return c.upload("/dia-diem/nhap", url.Values{"place.org": {c.w.market}}, "place.file", name, file)
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	w.place(w.market, "Chợ Đông Ba")
	lan := w.as("lan")
	status, body := lan.get("/dia-diem/nhap")
	w.want("form", status, body, 200, "Tải bảng mẫu", "2.000")
	status, body = lan.importing("cho.csv", []byte("\ufeff"+header+
		"Chợ An Cựu,Chợ,Phường Phú Xuân,Minh,0905 123 456,T2-T6 07:00-17:00; T7 cả ngày\r\n"+
		"Chợ Cũ,,thuan loc,Minh,905123456,\r\n"+
		"\r\n"+
		"CHO DONG BA,Chợ,Phường Phú Xuân,Minh,0905 123 456,\r\n"+
		"CHO AN CUU,Chợ,Phường Phú Xuân,Minh,0905 123 456,\r\n"+
		"Chợ ở đâu,Chợ,phong,Minh,0905 123 456,\r\n"+
		"<i>Sai</i>,mặt trăng,Không đâu cả,,12,bao giờ cũng được\r\n"))
	w.want("report", status, body, 200,
		"<strong>2</strong> dòng nhập được", "<strong>4</strong> dòng sai", "Nhập 2 địa điểm",
		"nay là Phường Phú Xuân", "thêm số 0", "hiểu là “Nơi khác”",
		"cùng tên ở xã, phường này: số 1", "Trùng với dòng 2", "xin ghi rõ: ",
		"&lt;i&gt;Sai", "Không tìm thấy", "Số điện thoại chưa đúng", "Xin ghi như", `data-label="Dòng">8<`)
	if n := len(w.all()); n != 1 {
		t.Fatalf("%d places before the button is pressed", n)
	}
	to := report.FindString(body)
	status, body = w.as("minh").post(to, nil)
	w.want("another presses", status, body, 200, "Không có gì bị ghi hai lần")
	status, body = lan.post(to, nil)
	w.want("imported", status, body, 200, "Đã nhập 2 địa điểm")
	status, body = lan.post(to, nil)
	w.want("pressed twice", status, body, 200, "Không có gì bị ghi hai lần")
	all := w.all()
	if len(all) != 3 || all[1].Name != "Chợ An Cựu" || all[1].Hours[0].Days != 0b111110 || all[2].Area != "19753@2025-01-01" || all[2].AreaNow != phuXuan || all[2].Phones[0] != "+84905123456" {
		t.Errorf("stored %+v", all)
	}
}

// The workbook that is given away comes in again, filled in.
func TestTemplate(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	_, file := lan.get("/dia-diem/nhap.xlsx")
	f, err := excelize.OpenReader(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := f.GetDataValidations("Địa điểm"); err != nil || len(v) != 3 {
		t.Errorf("lists to choose from: %+v, %v", v, err)
	}
	if rows, err := f.GetRows("Danh mục"); err != nil || len(rows) != 40 {
		t.Errorf("%d rows of lists, %v", len(rows), err)
	}
	for cell, value := range map[string]any{"A2": "Chợ An Cựu", "B2": "Chợ", "D2": "Phường Phú Xuân", "H2": "Minh", "I2": 905123456, "M2": 500, "F2": 16.4698, "G2": 107.5796} {
		if err := f.SetCellValue("Địa điểm", cell, value); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}
	status, body := lan.importing("mau.xlsx", out.Bytes())
	w.want("report", status, body, 200, "<strong>1</strong> dòng nhập được", "<strong>0</strong> dòng sai")
	lan.post(report.FindString(body), nil)
	if all := w.all(); len(all) != 1 || all[0].Capacity != 500 || all[0].At == nil {
		t.Errorf("stored %+v", all)
	}
}

// bomb returns a workbook whose one part repeats text.
func bomb(t *testing.T, times int, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	part, err := z.Create("xl/sharedStrings.xml")
	for range times {
		if err == nil {
			_, err = part.Write([]byte(text))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBadSheets(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	many := strings.Repeat("Chợ,Chợ,Phường Phú Xuân,Minh,0905123456,\r\n", 2001)
	for _, tt := range []struct {
		name, says string
		file       []byte
		status     int
	}{
		{"nothing", "Xin chọn một tệp", nil, 422},
		{"a picture", "Không đọc được", []byte("\x89PNG\r\n\x1a\n\x00\x00"), 422},
		{"a broken workbook", "Không đọc được", []byte("PK\x03\x04 broken"), 422},
		{"a bomb", "quá lớn", bomb(t, 20, strings.Repeat(" ", 1<<20)), 422},
		{"a bomb of attributes", "quá lớn", bomb(t, 10, "<sst"+strings.Repeat(` a=""`, 1<<20/5)+">"), 422},
		{"another alphabet in a workbook", "không theo UTF-8", bomb(t, 1, `<?xml version="1.0" encoding='UTF-16'?>`), 422},
		{"a bomb of strings", "quá lớn", bomb(t, 5, strings.Repeat("<si><t>a</t></si>", 1<<20/17)), 422},
		{"another encoding", "không theo UTF-8", []byte("T\xean,Lo\xe1i\r\n"), 422},
		{"no heading", "Không thấy cột", []byte("a,b\r\nc,d\r\n"), 422},
		{"a heading alone", "không có dòng nào", []byte(header), 422},
		{"too many rows", "quá lớn", []byte(header + many), 422},
		{"many empty lines", "không có dòng nào", []byte(header + strings.Repeat("\n", 100_000)), 422},
		{"too large", "quá lớn", bytes.Repeat([]byte("a,b\n"), 1<<20), 413},
		{"an open quote", "không có dòng nào", []byte("\"Tên địa điểm\",\"\r\n"), 422},
	} {
		status, body := lan.importing("x", tt.file)
		w.want(tt.name, status, body, tt.status, tt.says)
	}
	status, body := lan.upload("/dia-diem/nhap", url.Values{"place.org": {w.clinic}}, "place.file", "x.csv", []byte(header+many[:60]))
	w.want("another's organisation", status, body, 422, "chọn một mục")
	if n := len(w.all()); n != 0 {
		t.Errorf("%d places", n)
	}
	for _, path := range []string{"/nhap-dia-diem/none", "/nhap-dia-diem/%ff"} {
		status, body = lan.get(path)
		w.want(path, status, body, 200, "Không có gì bị ghi hai lần")
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	p := w.place(w.market, `=HYPERLINK("http://evil.example")`)
	w.place(w.market, "@SUM(A1)")
	lan := w.as("lan")
	status, body := lan.get("/dia-diem.csv")
	w.want("csv", status, body, 200, "\ufeffSố,Tên địa điểm", `"'=HYPERLINK(""http://evil.example"")"`, "'@SUM(A1)", "Hằng ngày 05:00-19:00", "0905 123 456")
	status, body = lan.get("/dia-diem.xlsx")
	if status != 200 {
		t.Fatalf("xlsx = %d", status)
	}
	f, err := excelize.OpenReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Địa điểm")
	if err != nil || len(rows) != 3 || rows[1][1] != p.Name {
		t.Errorf("rows %q, %v", rows, err)
	}
	if formula, err := f.GetCellFormula("Địa điểm", "B2"); err != nil || formula != "" {
		t.Errorf("formula %q, %v", formula, err)
	}
	// What goes out comes in again.
	minh := w.as("minh")
	_, csv := lan.get("/dia-diem.csv")
	status, body = minh.upload("/dia-diem/nhap", url.Values{"place.org": {w.clinic}}, "place.file", "x.csv", []byte(csv))
	w.want("comes in again", status, body, 200, "<strong>2</strong> dòng nhập được", "=HYPERLINK")
	status, body = lan.get("/dia-diem.csv?q=nothing")
	w.want("csv of nothing", status, body, 200)
	if n := strings.Count(body, "\n"); n != 1 {
		t.Errorf("%d lines of nothing", n)
	}
	if err := w.reg.DeletePlace(t.Context(), "", p.No, 1); err != nil {
		t.Fatal(err)
	}
	status, body = lan.get("/dia-diem.csv?trang_thai=deleted")
	w.want("csv of deleted", status, body, 200, qrgate.DayOf(p.Created).Start().Format("02/01/2006"))
}
