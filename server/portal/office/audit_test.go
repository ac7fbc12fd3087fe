package office_test

import (
	"context"
	"encoding/csv"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
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

// Somebody who asks for the whole file and does not read it keeps nothing from others.
func TestWhoDoesNotReadTheAuditHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	b := w.as(w.person("kiem", all(qrgate.Auditor)))
	err := w.s.Write(t.Context(), func(t store.Tx) error {
		_, err := t.Exec(`INSERT INTO audit (id, at, action, object) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
			SELECT randomblob(16), ?, 'look', printf('%0100d', i) FROM n`, w.now.Load())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.web.Config.Handler)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4096)
		return ctx
	}
	server.Start()
	defer func() {
		server.CloseClientConnections()
		server.Close()
	}()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // a server reads with as many connections
		slow, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", server.URL+"/nhat-ky-he-thong/tai-ve", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range b.c.Jar.Cookies(address) {
			r.AddCookie(c)
		}
		if err := r.Write(slow); err != nil {
			t.Fatal(err)
		}
		began := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(slow, began); err != nil || string(began) != "HTTP/1.1 200" {
			t.Fatalf("export = %q, %v", began, err)
		}
	}
	b.c.Timeout = 20 * time.Second
	b.get("/nhat-ky-he-thong?tu=2027-01-01").want(t, "beside those who do not read", 200, "Không có dòng nào")
}
