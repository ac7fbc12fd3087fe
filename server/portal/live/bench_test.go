package live_test

import (
	"database/sql"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// BenchmarkLivePage compares the page with the least that a page with a database
// read can be: a small template and one row by its key. "each reads" asks the
// database for every page; "shared" is what runs, one read a second.
func BenchmarkLivePage(b *testing.B) {
	b.Run("bare", func(b *testing.B) { request(b, bare(b), "/") })
	for _, kiosks := range []int{2, 50, 500} {
		w := newWorld(b)
		for i := range kiosks {
			id := fmt.Sprintf("kiosk-%04d", i)
			w.kiosk(id, "Bệnh viện Trung ương Huế")
			w.online(id, true, 1, today)
			w.beat(id, wire.Beat{Queued: uint64(i), State: when.Synced, Error: 40}, today)
		}
		for range 50 {
			w.checkin("kiosk-0000", "Bệnh viện Trung ương Huế", 1, store.Sighting{})
		}
		for _, o := range []struct {
			name    string
			refresh time.Duration
		}{{"each reads", time.Nanosecond}, {"shared", time.Second}} {
			b.Run(fmt.Sprintf("%d kiosks/%s", kiosks, o.name), func(b *testing.B) {
				request(b, w.handler(live.Options{Open: true, Refresh: o.refresh}), "/truc-tiep")
			})
		}
	}
}

// BenchmarkLivePageLatency asks for the page 2,000 times a second over real
// connections while check-ins are stored. A request's time counts from when it
// was due, so that a late one is not hidden by the ones before it.
func BenchmarkLivePageLatency(b *testing.B) {
	const rate, viewers = 2000, 64
	w := newWorld(b)
	for i := range 50 {
		w.kiosk(fmt.Sprintf("kiosk-%04d", i), "Bệnh viện Trung ương Huế")
	}
	url := w.serve(live.Options{Open: true}) + "/truc-tiep"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: viewers}}
	done := make(chan struct{})
	var storing, asking sync.WaitGroup
	storing.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
				w.checkin(fmt.Sprintf("kiosk-%04d", n%50), "Bệnh viện Trung ương Huế", 10, store.Sighting{Received: today.UnixMilli() + int64(n)})
			}
		}
	})
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	b.ResetTimer()
	begin := time.Now()
	for range viewers {
		asking.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				due := begin.Add(time.Duration(i) * time.Second / rate)
				<-time.After(time.Until(due))
				r, err := client.Get(url)
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK {
					b.Errorf("page = %s, %v", r.Status, err)
				}
				r.Body.Close()
				took[i] = time.Since(due)
			}
		})
	}
	asking.Wait()
	b.StopTimer()
	close(done)
	storing.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
}

func bare(b *testing.B) http.Handler {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(wal)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if _, err := db.Exec("CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO places VALUES (1, 'Chợ Đông Ba')"); err != nil {
		b.Fatal(err)
	}
	page := template.Must(template.New("").Parse(`<!doctype html><html lang="vi"><title>{{.}}</title><body><h1>{{.}}</h1></body></html>`))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var name string
		if err := db.QueryRowContext(r.Context(), "SELECT name FROM places WHERE id = ?", 1).Scan(&name); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		page.Execute(w, name)
	})
}

func request(b *testing.B, h http.Handler, path string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRecorder()
			h.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
			if r.Code != http.StatusOK {
				b.Fatalf("GET %s = %d %s", path, r.Code, r.Body)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
}
