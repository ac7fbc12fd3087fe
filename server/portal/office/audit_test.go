package office_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

func TestAudit(t *testing.T) {
	w := newWorld(t)
	auditor, root, lan := w.person("kiem", all(qrgate.Auditor)), w.person("root", all(qrgate.Administrator)), w.person("lan")
	w.pass(24 * time.Hour)
	w.organisation(lan, "Hộ Lan")
	if err := w.Looked(t.Context(), lan, "=SUM(A1)", "@place"); err != nil {
		t.Fatal(err)
	}
	b := w.as(auditor)
	b.get("/nhat-ky-he-thong").want(t, "auditor", 200, "Thêm tổ chức", "Giao vai trò", lan, "!Tên của lan", "!Hộ Lan")
	b.get("/nhat-ky-he-thong?hanh_dong=add+organisation").want(t, "by action", 200, "<td>Thêm tổ chức</td>", "!<td>Đăng nhập</td>")
	b.get("/nhat-ky-he-thong?nguoi=LAN").want(t, "by user name", 200, "<td>Thêm tổ chức</td>", "!<td>Đăng nhập</td>")
	b.get("/nhat-ky-he-thong?nguoi="+lan).want(t, "by id", 200, "<td>Thêm tổ chức</td>", "!<td>Đăng nhập</td>")
	b.get("/nhat-ky-he-thong?doi_tuong=%40place").want(t, "by object", 200, "=SUM(A1)", "!<td>Thêm tổ chức</td>")
	b.get("/nhat-ky-he-thong?den=2026-11-26").want(t, "until yesterday", 200, "<td>Giao vai trò</td>", "!<td>Thêm tổ chức</td>")
	b.get("/nhat-ky-he-thong?tu=2027-01-01").want(t, "from next year", 200, "Không có dòng nào")
	for _, bad := range []string{"tu=tomorrow", "tu=2026-13-40", "den=%ff", "doi_tuong=%00", "hanh_dong=%ff", "nguoi=" + strings.Repeat("x", 100)} {
		b.get("/nhat-ky-he-thong?"+bad).want(t, bad, 422)
		name, value, _ := strings.Cut(bad, "=")
		if strings.Contains(value, "%") {
			value = "\xff"
		}
		b.post("/nhat-ky-he-thong/tai-ve", name, value).want(t, "export of "+bad, 400)
	}

	// An administrator reads what they did, and settings.
	a := w.as(root)
	a.get("/nhat-ky-he-thong").want(t, "administrator", 200, "<td>Giao vai trò</td>", "<td>Đăng nhập</td>", "!<td>Thêm tổ chức</td>", "!=SUM")
	a.get("/nhat-ky-he-thong?nguoi="+lan).want(t, "administrator about another", 200, "!<td>Thêm tổ chức</td>")
	for _, who := range []*visitor{w.as(lan), w.as(w.person("mai", in(qrgate.SectorOfficer, qrgate.InSector, "health")))} {
		who.get("/nhat-ky-he-thong").want(t, "without the role", 403)
		who.post("/nhat-ky-he-thong/tai-ve").want(t, "export without the role", 403)
	}

	file := b.post("/nhat-ky-he-thong/tai-ve", "tu", "2026-11-27", "den", "2026-11-27")
	if file.status != 200 || !strings.HasPrefix(file.body, "\ufeff") || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("export = %d %v", file.status, file.header)
	}
	rows, err := csv.NewReader(strings.NewReader(file.body[3:])).ReadAll()
	if err != nil || len(rows) < 3 {
		t.Fatalf("export: %v, %v", rows, err)
	}
	found := false
	for _, row := range rows {
		for _, cell := range row {
			if strings.ContainsAny(cell[:min(len(cell), 1)], "=+-@") {
				t.Errorf("cell %q is a formula", cell)
			}
			found = found || cell == "'=SUM(A1)"
		}
	}
	if !found {
		t.Errorf("rows %v", rows)
	}
	b.get("/nhat-ky-he-thong?hanh_dong=export+audit+rows").want(t, "the export's own row", 200, "<td>Tải nhật ký về</td>", auditor)
	if got := a.post("/nhat-ky-he-thong/tai-ve"); got.status != 200 || strings.Contains(got.body, "add organisation") {
		t.Errorf("administrator's export = %d %s", got.status, got.body)
	}
}

// Pages of a list lead to each other and hold every row once.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for range 60 {
		w.pass(time.Second)
		if err := w.Looked(t.Context(), "x", "look", "thing"); err != nil {
			t.Fatal(err)
		}
	}
	b := w.as(w.person("kiem", all(qrgate.Auditor)))
	rows := 0
	path := "/nhat-ky-he-thong?hanh_dong=look"
	for pages := 0; path != ""; pages++ {
		a := b.get(path)
		a.want(t, path, 200, "trong 60")
		rows += strings.Count(a.body, "<td>look</td>")
		_, next, more := strings.Cut(a.body, `rel="next" href="`)
		if path, _, _ = strings.Cut(next, `"`); !more {
			path = ""
		}
		path = strings.ReplaceAll(path, "&amp;", "&")
		if pages > 5 {
			t.Fatal("no end")
		}
	}
	if rows != 60 {
		t.Errorf("%d rows on all pages, want 60", rows)
	}
	b.get("/nhat-ky-he-thong?hanh_dong=look&trang=9").want(t, "beyond the end", 200, "Không có dòng nào")
}
