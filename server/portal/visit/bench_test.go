package visit_test

import (
	"database/sql"
	"html/template"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// load asks a handler for one page again and again, from as many goroutines as
// there are processors.
func load(b *testing.B, h http.Handler, path string) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Accept-Encoding", "gzip")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatalf("GET %s = %d", path, w.Code)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
}

// BenchmarkCheckinPage is the page of a poster with everything around it: route,
// session, the place from the database, the texts in both languages.
func BenchmarkCheckinPage(b *testing.B) {
	s := newSite(b)
	load(b, s.handler, "/p/"+s.code)
}

// BenchmarkBarePage is the least that a page with the same place costs: a
// template, and one row of SQLite by its key.
func BenchmarkBarePage(b *testing.B) { load(b, barePage(b), "/") }

func barePage(b *testing.B) http.Handler {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	for _, q := range []string{
		"CREATE TABLE places (no INTEGER PRIMARY KEY, name TEXT NOT NULL, street TEXT NOT NULL)",
		"INSERT INTO places VALUES (1, 'Chợ Đông Ba', '2 Trần Hưng Đạo')",
	} {
		if _, err := db.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	read, err := db.Prepare("SELECT name, street FROM places WHERE no = ?")
	if err != nil {
		b.Fatal(err)
	}
	page := template.Must(template.New("page").Parse(`<!doctype html><html lang="vi"><title>{{.Name}}</title><h1>{{.Name}}</h1><p>{{.Street}}</p>
<form method="post"><label>Số điện thoại <input name="phone"></label><label>Họ và tên <input name="name"></label><button>Vào</button></form></html>`))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p struct{ Name, Street string }
		if err := read.QueryRowContext(r.Context(), 1).Scan(&p.Name, &p.Street); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page.Execute(w, p)
	})
}
