//go:build full

package visit_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A line is the network between a phone and the server: it can be cut, and
// counts what goes over it.
type line struct {
	net.Listener
	cut   atomic.Bool
	bytes atomic.Int64 // sent by the server, headers and all

	mu    sync.Mutex
	conns []net.Conn
	asked []string
}

func (l *line) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.cut.Load() {
			c.Close()
			continue
		}
		counted := &conn{c, l}
		l.mu.Lock()
		l.conns = append(l.conns, counted)
		l.mu.Unlock()
		return counted, nil
	}
}

// sever ends what is under way, and lets nothing through until it is mended.
func (l *line) sever() {
	l.cut.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func (l *line) mend() { l.cut.Store(false) }

func (l *line) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.asked...)
}

type conn struct {
	net.Conn
	line *line
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.line.bytes.Add(int64(n))
	return n, err
}

// serve puts a site behind a line.
func (s *site) serve() (*line, string) {
	s.t.Helper()
	l := &line{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.asked = append(l.asked, r.Method+" "+r.URL.Path)
		l.mu.Unlock()
		s.handler.ServeHTTP(w, r)
	}))
	l.Listener = server.Listener
	server.Listener = l
	server.Start()
	s.t.Cleanup(server.Close)
	return l, server.URL
}

// cutFrom cuts the line of a tab, or mends it, as its browser sees it too.
func (l *line) cutFrom(tab *browser.Tab, cut bool) {
	if cut {
		l.sever()
	} else {
		l.mend()
	}
	tab.Call(tab.Session, "Network.enable", browser.Args{}, nil)
	tab.Call(tab.Session, "Network.emulateNetworkConditions", browser.Args{"offline": cut, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
}

const (
	press   = `document.querySelector('button[value=%s]').click()`
	fill    = `document.getElementById('phone').value='0905 123 456'; document.getElementById('name').value='Nguyễn Văn An'; true`
	visible = `(() => { const e = document.querySelector('%s'); return !!e && e.checkVisibility() })()`
)

func see(selector string) string { return fmt.Sprintf(visible, selector) }

// The page is there after three requests, with its fonts it costs less than 60 kB, and neither fonts nor the app keep anybody waiting.
func TestPageIsSmall(t *testing.T) {
	s := newSite(t)
	l, base := s.serve()
	tab := browser.Start(t).Open()
	tab.Look(360, 640, "light")
	tab.Visit(base + "/p/" + s.code)
	tab.Wait(see("button[value=in]"))
	tab.Wait(`document.fonts.status === "loaded"`)
	page := int(tab.Eval(`performance.getEntries().reduce((n, e) => n + (e.transferSize ?? 0), 0)`).(float64))
	blocking := tab.Eval(`JSON.stringify(performance.getEntriesByType("resource").filter((r) => r.renderBlockingStatus === "blocking").map((r) => new URL(r.name).pathname))`)
	if blocking != `["/assets/checkin.css"]` {
		t.Errorf("rendering waits for %v", blocking)
	}
	needed := tab.Eval(`1 + performance.getEntriesByType("resource").filter((r) => ["link", "script"].includes(r.initiatorType) && /\.(css|js)$/.test(new URL(r.name).pathname)).length`)
	if needed != 3.0 {
		t.Errorf("%v requests before the page is usable, want 3: %v", needed, l.requests())
	}
	tab.Wait(`navigator.serviceWorker.ready.then((r) => !!r.active)`)
	tab.Wait(`caches.match(location.pathname).then((r) => !!r)`)
	all := l.bytes.Load()
	t.Logf("the page with fonts and icon: %d bytes; with the app that opens without a network: %d bytes in %d requests", page, all, len(l.requests()))
	if page > 60_000 || all > 75_000 {
		t.Errorf("%d bytes, want 60,000 at most, and %d with the app, want 75,000; asked for %v", page, all, l.requests())
	}
	if faults := tab.Complaints(); len(faults) > 0 {
		t.Errorf("the browser complains: %v", faults)
	}
}

// A phone records without a network, and what it recorded is sent once after the
// network is back.
func TestWithoutNetwork(t *testing.T) {
	s := newSite(t)
	other := s.Place("Bến xe phía Nam")
	l, base := s.serve()
	tab := browser.Start(t).Open()
	tab.Look(360, 780, "light")

	// The first time, with a network.
	tab.Visit(base + "/p/" + s.code)
	tab.Wait(see("#remember"))
	tab.Shoot("first")
	tab.Eval(fill)
	tab.Eval(fmt.Sprintf(press, "in"))
	tab.Wait(`location.pathname.endsWith("/xong") && document.readyState === "complete"`)
	tab.Shoot("done")
	if rows := s.Rows(); len(rows) != 1 {
		t.Fatalf("%d rows after the first check-in", len(rows))
	}

	// The phone remembers, also which pages it has seen.
	tab.Visit(base + "/p/" + s.code)
	tab.Wait(see("#you"))
	tab.Wait(`navigator.serviceWorker.ready.then(() => caches.match(location.pathname)).then((r) => !!r)`)
	tab.Wait(`!!navigator.serviceWorker.controller`)

	before := time.Now()
	l.cutFrom(tab, true)
	tab.Visit(base + "/p/" + s.code)
	tab.Wait(see("#you"))
	tab.Wait(see("#offline"))
	tab.Shoot("offline")
	tab.Eval(fmt.Sprintf(press, "out"))
	tab.Wait(see("#saved-waiting"))
	tab.Shoot("saved")
	after := time.Now()

	// A poster that it has never seen, and one that cannot be.
	tab.Visit(base + "/p/AAAAAAAA-1")
	tab.Wait(`!(` + see("#checkin") + `)`)
	tab.Eval(fmt.Sprintf("location.assign(%q); true", "/p?ma="+url.QueryEscape(strings.ToLower(pass.PosterCode(other.No, 1)))))
	tab.Wait(see("#unknown"))
	tab.Shoot("unknown")
	tab.Eval(fmt.Sprintf(press, "in"))
	tab.Wait(see("#saved-waiting"))
	if rows := s.Rows(); len(rows) != 1 {
		t.Fatalf("%d rows while the line is cut", len(rows))
	}

	l.cutFrom(tab, false)
	tab.Wait(see("#saved-sent"))
	tab.Shoot("sent")
	tab.Visit(base + "/nhat-ky")
	tab.Wait(`document.querySelectorAll("#diary .sent").length === 3`)
	tab.Shoot("diary")
	rows := s.Rows()
	if len(rows) != 3 {
		t.Fatalf("%d rows after the network is back, want 3", len(rows))
	}
	for i, row := range rows[1:] {
		if row.PlaceNo == s.place.No && (row.Direction != wire.Out || row.Latest < before.UnixMilli() || row.Earliest > after.UnixMilli()) {
			t.Errorf("row %d = %+v, not of when the visitor pressed: %d to %d", i+2, row, before.UnixMilli(), after.UnixMilli())
		}
	}
	// Nothing is sent again, and the phone keeps no number with what was sent.
	tab.Visit(base + "/p/" + s.code)
	tab.Eval(`outbox.deliverAll()`)
	if left := tab.Eval(`outbox.all().then((all) => all.filter((v) => v.body || v.state !== "sent").length)`); left != 0.0 {
		t.Errorf("%v visits on the phone still hold what was sent", left)
	}
	posts := 0
	for _, r := range l.requests() {
		if strings.HasPrefix(r, "POST ") {
			posts++
		}
	}
	if posts != 3 || len(s.Rows()) != 3 {
		t.Errorf("%d requests and %d rows, want 3 and 3", posts, len(s.Rows()))
	}

	tab.Eval(`document.getElementById("forget").click(); true`)
	if kept := tab.Eval(`localStorage.getItem("qrgate.me")`); kept != nil {
		t.Errorf("a phone that was told to forget remembers %v", kept)
	}
	tab.Wait(see("#phone"))
}

// An answer that was lost on the way is asked for again, and has no second
// effect.
func TestLostAnswer(t *testing.T) {
	s := newSite(t)
	inner := s.handler
	var lose atomic.Int32
	lose.Store(1)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && lose.Add(-1) >= 0 {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			http.Error(w, "something between has no answer", http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(w, r)
	})
	_, base := s.serve()
	tab := browser.Start(t).Open()
	tab.Look(360, 780, "light")
	tab.Visit(base + "/p/" + s.code)
	tab.Wait(see("#remember"))
	tab.Eval(fill)
	tab.Eval(fmt.Sprintf(press, "in"))
	tab.Wait(see("#saved"))
	tab.Eval(`document.getElementById("again").click(); true`)
	tab.Wait(see("#saved-sent"))
	if n := len(s.Rows()); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// Every page without script and at every width, to be looked at.
func TestLooks(t *testing.T) {
	s := newSite(t)
	gone := s.Place("Quán cũ")
	s.Delete(gone, time.Now().Add(-time.Hour))
	_, base := s.serve()
	tab := browser.Start(t).Open()
	for _, look := range []struct {
		width  int
		scheme string
		script bool
	}{{360, "light", true}, {360, "dark", false}, {768, "light", false}, {1280, "light", true}} {
		tab.Look(look.width, 900, look.scheme)
		tab.Script(look.script)
		for name, path := range map[string]string{
			"page": "/p/" + s.code, "leave": "/p/" + s.code + "?ra", "wrong-code": "/p/AAAAAAAA-1", "gone": "/p/" + pass.PosterCode(gone.No, 1), "scan": "/quet", "diary": "/nhat-ky", "type": "/p",
		} {
			tab.Visit(base + path)
			if wide := tab.Eval(`document.documentElement.scrollWidth > innerWidth`); wide != false {
				t.Errorf("%s is wider than %d", path, look.width)
			}
			small := tab.Eval(`[...document.querySelectorAll("a, button, input, select, summary")].filter((e) => e.checkVisibility() && e.type !== "checkbox" && e.getBoundingClientRect().height < 43.5 && !e.closest("p:not(.help)")).map((e) => e.outerHTML.slice(0, 80)).join("; ")`)
			if small != "" {
				t.Errorf("%s at %d: too small to hit: %v", path, look.width, small)
			}
			tab.Shoot(fmt.Sprintf("%s-%d-%s-script-%v", name, look.width, look.scheme, look.script))
		}
	}
	// The whole way without script.
	tab.Look(360, 780, "light")
	tab.Script(false)
	tab.Visit(base + "/p/" + s.code)
	tab.Eval(fill)
	tab.Eval(fmt.Sprintf(press, "in"))
	tab.Wait(`location.pathname.endsWith("/xong") && document.readyState === "complete"`)
	tab.Shoot("done-without-script")
	if n := len(s.Rows()); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}
