package portal_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/portal/card"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A desk takes every visit and remembers it.
type desk struct {
	mu     sync.Mutex
	visits []ingest.Visit
}

func (d *desk) Visit(_ context.Context, v ingest.Visit) (ingest.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.visits = append(d.visits, v)
	now := time.Now()
	return ingest.Receipt{Happened: now, Earliest: now, Latest: now, Received: now, People: len(v.People) + v.Unnamed}, nil
}

// A world is a portal and what is behind it.
type world struct {
	*portal.Portal
	t     *testing.T
	store *store.Store
	reg   *register.Register
	vault *vault.Vault
	desk  *desk
	log   record
}

// A record keeps what the portal logs.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func newWorld(t *testing.T, o portal.Options) *world {
	t.Helper()
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: s, reg: register.New(s, time.Now), desk: &desk{}}
	o.HelpLine, o.Retention = "19001075", 21*24*time.Hour
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(keys, master, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cards := &portal.Cards{Keys: pass.Keys{1: {Public: public}}, Sign: issue.With(1, private), Quotas: &card.Quotas{
		Kept: issuing.New(s, time.Now), Limits: map[wire.Purpose]issuing.Limits{wire.ForCard: {Batch: 10, Day: 10}, wire.ForEvent: {Batch: 10, Day: 10}},
	}}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	signer, people := proof.Signer{ID: 1, Key: private}, rights.New(s, time.Now)
	protection := &portal.Protection{
		Rights: people,
		Keeper: retention.New(retention.Parts{Store: s, Rights: people, Register: w.reg, Vault: v, Sign: signer, Log: log}, retention.Options{}),
		Sealer: &retention.Sealer{Store: s, Rights: people, Sign: signer, Keys: proof.Keys{1: public}, Log: log},
	}
	w.vault = v
	parts := portal.Parts{
		Protection: protection,
		Store:      s, Register: w.reg, Vault: v, Desk: w.desk, Feed: ingest.NewFeed(nil), Key: master.Derive, Cards: cards, Log: log,
	}
	withKiosks(t, &parts, s, master)
	w.Portal, err = portal.New(parts, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newPortal(t *testing.T, o portal.Options) http.Handler {
	t.Helper()
	o.Live.Open = true
	return newWorld(t, o)
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest(method, path, nil))
	return r
}

func TestOtherAnswers(t *testing.T) {
	h := newPortal(t, portal.Options{})
	tests := []struct {
		method, path string
		status       int
		holds        string
	}{
		{"HEAD", "/truc-tiep", 200, ""},
		{"HEAD", "/live", 500, ""}, // the recorder is no stream
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/nothing", 404, "Không có trang này"},
		{"GET", "/nothing", 404, "There is no such page"},
		{"GET", "/assets/nothing.js", 404, "There is no such page"},
		{"GET", "/assets/live.html", 404, "There is no such page"},
		{"GET", "/assets/", 404, "There is no such page"},
		{"GET", "/live/more", 404, "19001075"},
		{"POST", "/truc-tiep", 405, "không nhận cách gửi"},
		{"PUT", "/live", 405, "does not take"},
		{"DELETE", "/nothing", 404, "no such page"},
		{"OPTIONS", "/assets/live.js", 405, "does not take"},
	}
	for _, tt := range tests {
		r := get(h, tt.method, tt.path)
		if r.Code != tt.status || !strings.Contains(r.Body.String(), tt.holds) {
			t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, r.Code, r.Body, tt.status, tt.holds)
		}
		if tt.status == http.StatusMethodNotAllowed && r.Header().Get("Allow") != "GET" {
			t.Errorf("%s %s allows %q", tt.method, tt.path, r.Header().Get("Allow"))
		}
		csp := r.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s %s has the policy %q", tt.method, tt.path, csp)
		}
		if r.Header().Get("X-Content-Type-Options") != "nosniff" || r.Header().Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s %s has the headers %v", tt.method, tt.path, r.Header())
		}
	}
}

func TestReadiness(t *testing.T) {
	var o portal.Options
	var err error
	o.Ready = func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("Ready has no deadline")
		}
		return err
	}
	h := newPortal(t, o)
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

// A server whose clock is not believed says so, and goes on being sent to.
func TestReadinessOfAWrongClock(t *testing.T) {
	w := newWorld(t, portal.Options{})
	err := w.store.Write(t.Context(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO audit_seals (no, first, last, newest, at, previous, hash, key, signature) VALUES (1, 1, 1, ?, 0, ?, ?, 1, ?)",
			time.Now().AddDate(0, 0, -10).UnixMilli(), []byte{}, []byte{}, []byte{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := get(w, "GET", "/readyz"); r.Code != http.StatusOK || !strings.HasPrefix(r.Body.String(), "ready, but the clock says ") || !strings.Contains(r.Body.String(), "nothing is dropped") {
		t.Errorf("ready = %d %q", r.Code, r.Body)
	}
}

// Every file that a page loads comes under an address of its own content, to be
// kept for ever; under any other it is asked for anew.
func TestAssets(t *testing.T) {
	h := newPortal(t, portal.Options{})
	page := get(h, "GET", "/truc-tiep").Body.String()
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
