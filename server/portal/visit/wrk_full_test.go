//go:build full

package visit_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// BenchmarkOverTheWire asks for the page and for the bare one as browsers do,
// over connections, with Debian's wrk.
func BenchmarkOverTheWire(b *testing.B) {
	s := newSite(b)
	for _, page := range []struct {
		name    string
		handler http.Handler
		path    string
	}{{"page", s.handler, "/p/" + s.code}, {"bare", barePage(b), "/"}} {
		b.Run(page.name, func(b *testing.B) {
			server := httptest.NewServer(page.handler)
			defer server.Close()
			for b.Loop() {
				out, err := exec.Command("wrk", "-t1", "-c16", "-d4s", "--latency", "-H", "Accept-Encoding: gzip", server.URL+page.path).CombinedOutput()
				if err != nil {
					b.Fatalf("wrk (apt-get install wrk): %v: %s", err, out)
				}
				if refused := regexp.MustCompile(`Non-2xx.*`).Find(out); refused != nil {
					b.Fatalf("%s", refused)
				}
				rate, err := strconv.ParseFloat(string(regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindSubmatch(out)[1]), 64)
				if err != nil {
					b.Fatal(err)
				}
				p99, err := time.ParseDuration(string(regexp.MustCompile(`99%\s+(\S+)`).FindSubmatch(out)[1]))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(rate, "requests/s")
				b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
			}
		})
	}
}
