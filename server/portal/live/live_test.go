package live_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

// golden compares the main part of a page with the one in testdata.
func golden(t *testing.T, name, page string) {
	t.Helper()
	page = regexp.MustCompile(`(?s)<main.*</main>\n`).FindString(page)
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

	r := get(w.handler(brisk()), "GET", "/truc-tiep")
	if r.Code != http.StatusOK || r.Header().Get("Content-Type") != "text/html; charset=utf-8" || r.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("GET /truc-tiep = %d, %v", r.Code, r.Header())
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
	golden(t, "empty.golden.html", get(w.handler(brisk()), "GET", "/truc-tiep").Body.String())
}

// The zero Options are right, and keep strangers out.
func TestZeroOptions(t *testing.T) {
	h := newWorld(t).handler(live.Options{})
	for _, path := range []string{"/truc-tiep", "/live"} {
		if r := get(h, "GET", path); r.Code != http.StatusSeeOther {
			t.Errorf("GET %s by a stranger = %d", path, r.Code)
		}
	}
}
