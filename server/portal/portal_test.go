package portal_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

// golden compares a page with the one in testdata, but for the hashes of the
// files that it loads.
func golden(t *testing.T, name, page string) {
	t.Helper()
	page = regexp.MustCompile(`\?v=[0-9a-f]+`).ReplaceAllString(page, "?v=HASH")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), page); d != "" {
		t.Errorf("page differs from %s (-want +got):\n%s", file, d)
	}
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest(method, path, nil))
	return r
}

// The story has a kiosk in each state and a check-in of each sort.
func TestLivePage(t *testing.T) {
	w := newWorld(t)
	const market, station, hospital, harbour, school = "Chợ Đông Ba", "Bến xe phía Nam", "Bệnh viện Trung ương Huế", "Cảng Thuận An", "Trường Quốc Học"
	w.kiosk("cho-dong-ba-1", market)
	w.kiosk("ben-xe-nam-1", station)
	w.kiosk("benh-vien-a1", hospital)
	w.kiosk("cang-thuan-an", harbour)
	w.kiosk("quoc-hoc-01", school)

	w.online("cho-dong-ba-1", true, 1, today.Add(-5*time.Hour))
	w.beat("cho-dong-ba-1", wire.Beat{Queued: 12, State: when.Synced, Error: 240}, today.Add(-20*time.Second))
	w.online("ben-xe-nam-1", false, 1, today.Add(-30*time.Hour))
	w.beat("ben-xe-nam-1", wire.Beat{Queued: 3120, State: when.Holding, Error: 65_000}, today.Add(-31*time.Hour))
	w.online("benh-vien-a1", true, 1, today.Add(-5*time.Hour))
	w.beat("benh-vien-a1", wire.Beat{State: when.Chip}, today.Add(-10*time.Minute))
	if err := w.store.RevokeKiosk(t.Context(), "quoc-hoc-01"); err != nil {
		t.Fatal(err)
	}

	ago := func(d time.Duration) int64 { return today.Add(-d).UnixMilli() }
	w.checkin("cho-dong-ba-1", market, 1500, store.Sighting{Received: ago(8 * time.Minute)})
	w.checkin("ben-xe-nam-1", station, 1, store.Sighting{Received: ago(7 * time.Minute), Said: ago(27*time.Hour + 5*time.Minute), Pass: pass.CCCD})
	w.checkin("ben-xe-nam-1", station, 1, store.Sighting{
		Received: ago(6 * time.Minute), Said: ago(500 * 24 * time.Hour), Earliest: ago(48 * time.Hour), Latest: ago(6 * time.Minute), Direction: wire.Out,
	})
	w.checkin("cho-dong-ba-1", market, 1, store.Sighting{Received: ago(4 * time.Minute), Verdict: wire.Again})
	w.checkin("cho-dong-ba-1", market, 1, store.Sighting{Received: ago(3 * time.Minute), Verdict: wire.Refused, Reason: wire.ReasonExpired, Gate: "Cổng sau"})
	w.checkin("benh-vien-a1", hospital, 1, store.Sighting{Received: ago(11 * time.Minute), Said: ago(17 * time.Minute), Verdict: wire.Unrecorded, Reason: wire.ReasonDisk, Pass: pass.BHYT})
	w.checkin("benh-vien-a1", hospital, 1, store.Sighting{Received: ago(11 * time.Minute), Pass: pass.Kind(99), Direction: wire.Direction(9)})

	r := get(w.handler(brisk()), "GET", "/")
	if r.Code != http.StatusOK || r.Header().Get("Content-Type") != "text/html; charset=utf-8" || r.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("GET / = %d, %v", r.Code, r.Header())
	}
	// Forty times the same line would only be long.
	page := r.Body.String()
	line := regexp.MustCompile(`(?s)<li class="good">.*?</li>\n`).FindAllString(page, -1)
	for _, again := range line[4:] {
		page = strings.Replace(page, again, "", 1)
	}
	golden(t, "live.golden.html", page)
}

func TestEmptyPage(t *testing.T) {
	w := newWorld(t)
	o := brisk()
	o.HelpLine = ""
	golden(t, "empty.golden.html", get(w.handler(o), "GET", "/").Body.String())
}

func TestOtherAnswers(t *testing.T) {
	h := newWorld(t).handler(brisk())
	tests := []struct {
		method, path string
		status       int
		holds        string
	}{
		{"HEAD", "/", 200, ""},
		{"HEAD", "/live", 500, ""}, // the recorder is no stream
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/nothing", 404, "Không có trang này"},
		{"GET", "/nothing", 404, "There is no such page"},
		{"GET", "/assets/nothing.js", 404, "There is no such page"},
		{"GET", "/assets/live.html", 404, "There is no such page"},
		{"GET", "/assets/", 404, "There is no such page"},
		{"GET", "/live/more", 404, "19001075"},
		{"POST", "/", 405, "Trang này chỉ để xem"},
		{"PUT", "/live", 405, "can only be looked at"},
		{"DELETE", "/nothing", 405, "can only be looked at"},
		{"OPTIONS", "/assets/live.js", 405, "can only be looked at"},
	}
	for _, tt := range tests {
		r := get(h, tt.method, tt.path)
		if r.Code != tt.status || !strings.Contains(r.Body.String(), tt.holds) {
			t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, r.Code, r.Body, tt.status, tt.holds)
		}
		if tt.status == http.StatusMethodNotAllowed && r.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s allows %q", tt.method, tt.path, r.Header().Get("Allow"))
		}
		csp := r.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s %s has the policy %q", tt.method, tt.path, csp)
		}
		if r.Header().Get("X-Content-Type-Options") != "nosniff" || r.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s %s has the headers %v", tt.method, tt.path, r.Header())
		}
	}
}

func TestReadiness(t *testing.T) {
	w := newWorld(t)
	o := brisk()
	var err error
	o.Ready = func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("Ready has no deadline")
		}
		return err
	}
	h := w.handler(o)
	if r := get(h, "GET", "/readyz"); r.Code != http.StatusOK {
		t.Errorf("ready = %d %q", r.Code, r.Body)
	}
	err = errors.New("no connection to the broker\nand more")
	r := get(h, "GET", "/readyz")
	if r.Code != http.StatusServiceUnavailable || r.Body.String() != "not ready: no connection to the broker\n" {
		t.Errorf("not ready = %d %q", r.Code, r.Body)
	}
	if r := get(h, "GET", "/healthz"); r.Code != http.StatusOK {
		t.Errorf("healthz while not ready = %d", r.Code)
	}
}

// Every file that a page loads comes under an address of its own content, to be
// kept for ever; under any other it is asked for anew.
func TestAssets(t *testing.T) {
	h := newWorld(t).handler(brisk())
	page := get(h, "GET", "/").Body.String()
	loaded := regexp.MustCompile(`(?:href|src)="(/assets/[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(loaded) < 3 {
		t.Fatalf("the page loads %v", loaded)
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, m := range loaded {
		address := m[1]
		r := get(h, "GET", address)
		if r.Code != http.StatusOK || !strings.Contains(r.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("GET %s = %d, %v", address, r.Code, r.Header())
		}
		bare, _, _ := strings.Cut(address, "?")
		if got, want := r.Header().Get("Content-Type"), types[filepath.Ext(bare)]; got != want {
			t.Errorf("type of %s = %q, want %q", bare, got, want)
		}
		for _, old := range []string{bare, bare + "?v=0123456789abcdef"} {
			r := get(h, "GET", old)
			if r.Code != http.StatusOK || r.Header().Get("Cache-Control") != "no-cache" {
				t.Errorf("GET %s = %d, Cache-Control %q, want no-cache", old, r.Code, r.Header().Get("Cache-Control"))
			}
			req := httptest.NewRequest("GET", old, nil)
			req.Header.Set("If-None-Match", r.Header().Get("ETag"))
			again := httptest.NewRecorder()
			h.ServeHTTP(again, req)
			if again.Code != http.StatusNotModified {
				t.Errorf("GET %s that the browser has = %d, want 304", old, again.Code)
			}
		}
	}
}

// The zero Options are right.
func TestZeroOptions(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	url := w.serve(portal.Options{})
	watch(t, url).snapshot()
	for _, path := range []string{"/", "/readyz"} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusOK || err != nil || strings.Contains(string(body), "tel:") {
			t.Errorf("GET %s = %s, %v, %q", path, r.Status, err, body)
		}
	}
}
