package page_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

func newFrame(t *testing.T, base string) *page.Frame {
	t.Helper()
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return page.New(page.Options{Register: register.New(s, time.Now), Log: slog.New(slog.DiscardHandler), HelpLine: "19001075", Base: base})
}

func answer(http.ResponseWriter, *http.Request, *page.View) error { return nil }

// What no handler answers still has an answer that says what to do.
func TestProblems(t *testing.T) {
	f := newFrame(t, "http://127.0.0.1")
	h := f.Handler([]page.Route{
		{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: answer},
		{Pattern: "GET /mine", Allow: page.Member(), Handler: answer},
		{Pattern: "POST /form", Allow: page.Anybody(), Handler: func(_ http.ResponseWriter, r *http.Request, _ *page.View) error {
			_, err := page.ReadForm(r)
			return err
		}},
		{Pattern: "GET /boom", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { panic("boom") }},
		{Pattern: "GET /conflict", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return qrgate.ErrConflict }},
		{Pattern: "GET /nobody", Handler: answer},
	})
	for _, tt := range []struct {
		method, path, body, site string
		status                   int
		holds                    string
	}{
		{"GET", "/", "", "", 200, ""},
		{"GET", "/nothing", "", "", 404, "Không có trang này"},
		{"GET", "/mine", "", "", 303, ""},
		{"GET", "/nobody", "", "", 303, ""},
		{"PUT", "/form", "", "", 405, "không nhận cách gửi"},
		{"POST", "/form", "a=1", "cross-site", 403, "không đến từ trang này"},
		{"POST", "/form", "a=1", "same-origin", 200, ""},
		{"POST", "/form", "a=%zz", "", 400, "Yêu cầu chưa đúng"},
		{"POST", "/form", "a=" + strings.Repeat("x", 70_000), "", 413, "quá lớn"},
		{"GET", "/boom", "", "", 500, "19001075"},
		{"GET", "/conflict", "", "", 409, "thay đổi trước"},
		{"GET", "/?" + strings.Repeat("x", 5000), "", "", 400, "Yêu cầu chưa đúng"},
		{"GET", "/assets/nothing.js", "", "", 404, "Không có trang này"},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		if tt.body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Result().Body)
		if w.Code != tt.status || !strings.Contains(string(body), tt.holds) || strings.Contains(string(body), "⟦") {
			t.Errorf("%s %.40s = %d %.2000s, want %d with %q", tt.method, tt.path, w.Code, body, tt.status, tt.holds)
		}
	}
}

func TestHTTPS(t *testing.T) {
	h := newFrame(t, "https://qr.example.vn").Handler([]page.Route{{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: answer}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://evil.example/?a=1", nil))
	if w.Code != 308 || w.Header().Get("Location") != "https://qr.example.vn/?a=1" {
		t.Errorf("in clear = %d, %s", w.Code, w.Header().Get("Location"))
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "https://qr.example.vn/", nil))
	if w.Code != 200 || w.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS = %d, %v", w.Code, w.Header())
	}
}

func TestBack(t *testing.T) {
	for to, want := range map[string]string{
		"/dia-diem?trang=2": "/dia-diem?trang=2", "": "/x", "https://evil.example": "/x", "//evil.example": "/x", `/\evil.example`: "/x", "evil": "/x", "/a\nb": "/x",
		"/.//evil.example": "/x", "/a/..//evil.example": "/x", "/\xff": "/x", "/": "/",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Form = map[string][]string{"ve": {to}}
		if got := page.Back(r, "/x"); got != want {
			t.Errorf("Back(%q) = %q, want %q", to, got, want)
		}
	}
}

// A token's id that is no UTF-8 was asked of PostgreSQL, which answered with 500.
func TestIDIsOneThatDatabasesTake(t *testing.T) {
	for in, want := range map[string]string{"emcascwhzjm54z6ze2utsiqadm": "emcascwhzjm54z6ze2utsiqadm", "\xff": "", "a\x00": "", "a b": "", strings.Repeat("a", 65): ""} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetPathValue("id", in)
		if got := page.ID(r); got != want {
			t.Errorf("ID of %q = %q, want %q", in, got, want)
		}
	}
}

func TestPhone(t *testing.T) {
	for in, want := range map[string]string{
		"0905 123 456": "+84905123456", "+84 905.123.456": "+84905123456", "19001075": "+8419001075", "0234 3822 123": "+842343822123",
		"113": "", "nothing": "", "0905 123 45": "", "+1 202 555 0100": "+12025550100",
	} {
		got, ok := page.Phone(in)
		if ok != (want != "") || got != want {
			t.Errorf("Phone(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	if got := page.ShowPhone("+84905123456"); got != "0905 123 456" {
		t.Errorf("ShowPhone = %q", got)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1.000", 1234567: "1.234.567", -1234: "-1.234"} {
		if got := page.Number(n); got != want {
			t.Errorf("Number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestTurns(t *testing.T) {
	turns := page.NewTurns(1, time.Millisecond)
	done, err := turns.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var busy page.Busy
	if _, err := turns.Take(t.Context()); !errors.As(err, &busy) || busy.After != time.Millisecond {
		t.Errorf("a second turn beside the first = %v, want Busy", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := page.NewTurns(0, time.Hour).Take(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a turn for who has gone = %v, want %v", err, context.Canceled)
	}
	done()
	next, err := turns.Take(t.Context())
	if err != nil {
		t.Fatalf("a turn after the first = %v", err)
	}
	done() // as whoever ends a turn early does again when they return
	if _, err := turns.Take(t.Context()); !errors.As(err, &busy) {
		t.Errorf("a turn beside the second, when the first was ended twice = %v, want Busy", err)
	}
	next()
}
