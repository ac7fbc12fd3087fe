package screen_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/screen"
)

// A page that is open loads itself again when what it shows beside answers has
// changed, and then shows that.
func TestReconfigureLoadsThePageAgain(t *testing.T) {
	s := screen.New(screen.Options{Place: "Chợ Đông Ba", Gate: "A1", HelpLine: "19001075"}, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(s.Handler(nil))
	t.Cleanup(server.Close)
	get := func(path string, r func(io.Reader) string) string {
		t.Helper()
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return r(resp.Body)
	}
	all := func(r io.Reader) string { b, _ := io.ReadAll(r); return string(b) }
	event := func(r io.Reader) string {
		b := make([]byte, 4096)
		n, _ := r.Read(b)
		return regexp.MustCompile(`"boot":"(\w+)"`).FindStringSubmatch(string(b[:n]))[1]
	}
	page, before := get("/", all), get("/events", event)
	if !strings.Contains(page, before) || !strings.Contains(page, "19001075") {
		t.Fatalf("page lacks its name %q or the help line", before)
	}
	s.Reconfigure(func(o *screen.Options) { o.Gate, o.HelpLine = "B2", "0234 3822 999" })
	after := get("/events", event)
	if after == before {
		t.Error("events name the same page as before")
	}
	if page = get("/", all); !strings.Contains(page, after) || !strings.Contains(page, "B2") || !strings.Contains(page, "0234 3822 999") || strings.Contains(page, "19001075") {
		t.Errorf("page after Reconfigure:\n%.900s", page)
	}
}
