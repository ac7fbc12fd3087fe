package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

// A snapshot is the first event of a stream.
type snapshot struct {
	Figures, Kiosks, Checkins string
}

func (v *viewer) snapshot() snapshot {
	v.t.Helper()
	e, ok := v.next()
	if !ok || e.Name != "snapshot" {
		v.t.Fatalf("first event = %+v, %t, want a snapshot", e, ok)
	}
	var s snapshot
	if err := json.Unmarshal([]byte(e.Data), &s); err != nil {
		v.t.Fatalf("snapshot %q: %v", e.Data, err)
	}
	return s
}

var countCell = regexp.MustCompile(`data-kiosk="([^"]*)"(?s:.*?)class="count">([0-9.]*)<`)

// counts reads the counts of rows of the table of kiosks.
func counts(html string) map[string]int64 {
	all := map[string]int64{}
	for _, m := range countCell.FindAllStringSubmatch(html, -1) {
		n, _ := strconv.ParseInt(strings.ReplaceAll(m[2], ".", ""), 10, 64)
		all[m[1]] = n
	}
	return all
}

func TestStreamTellsWhatIsNew(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	w.kiosk("gate-0002", "Bến xe phía Nam")
	w.checkin("gate-0001", "Chợ Đông Ba", 2, store.Sighting{})
	v := watch(t, w.serve(brisk()))

	s := v.snapshot()
	if got := counts(s.Kiosks); got["gate-0001"] != 2 || got["gate-0002"] != 0 || len(got) != 2 {
		t.Errorf("counts in the snapshot = %v, want 2 and 0", got)
	}
	if n := strings.Count(s.Checkins, "<li"); n != 2 {
		t.Errorf("the snapshot has %d check-ins, want 2", n)
	}
	if !strings.Contains(s.Figures, "<strong>2</strong>") {
		t.Errorf("figures in the snapshot = %q, want a sum of 2", s.Figures)
	}

	w.checkin("gate-0002", "Bến xe phía Nam", 1234, store.Sighting{Gate: "Cổng 2", Direction: wire.Out})
	if e := v.until("checkin", "Cổng 2"); strings.Count(e.Data, "<li") != 50 {
		t.Errorf("event after 1,234 check-ins has %d, want 50", strings.Count(e.Data, "<li"))
	}
	v.until("figures", "<strong>1.236</strong>")
	// The first batch of a kiosk is also its first contact, which is more than a
	// count.
	if got := counts(v.until("kiosks", "gate-0002").Data); got["gate-0002"] != 1234 || len(got) != 1 {
		t.Errorf("rows after 1,234 check-ins = %v, want gate-0002 alone", got)
	}
	w.checkin("gate-0002", "Bến xe phía Nam", 6, store.Sighting{})
	if e := v.until("count", "gate"); e.Data != `{"gate-0002":1240}` {
		t.Errorf("count after 6 more = %s, want all of the kiosk", e.Data)
	}

	w.online("gate-0001", true, 1, today)
	v.until("figures", `<strong>1<span class="of">/2</span></strong>`)
	if e := v.until("kiosks", "Trực tuyến"); strings.Contains(e.Data, "gate-0002") {
		t.Errorf("rows after one kiosk came = %q, want its row alone", e.Data)
	}
}

// What a page shows is never more than was stored, never goes back, and is all
// of it in the end, however often the page loses its stream and however late
// ingest announces what it has committed.
func TestFiguresAreExactHoweverOftenThePageReconnects(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	url := w.serve(brisk())

	const all = 300
	var begun atomic.Int64 // a commit of the n-th has begun, or is over
	var late sync.WaitGroup
	late.Go(func() {
		var last []store.Sighting
		for n := range int64(all) {
			begun.Store(n + 1)
			told := w.commit("gate-0001", "Chợ Đông Ba", 1, store.Sighting{})
			// Announced only when the next has been committed.
			if last != nil {
				w.feed.Stored(map[string]int{"gate-0001": 1}, last)
			}
			last = told
		}
		w.feed.Stored(map[string]int{"gate-0001": 1}, last)
	})

	shown := int64(0)
	see := func(n int64) {
		if most := begun.Load(); n > most {
			t.Errorf("the page shows %d check-ins, %d are stored", n, most)
		}
		if n < shown {
			t.Errorf("the page shows %d check-ins after %d", n, shown)
		}
		shown = n
	}
	for shown < all {
		v := watch(t, url)
		see(counts(v.snapshot().Kiosks)["gate-0001"])
		for events := 0; events < 6 && shown < all; {
			e, ok := v.next()
			if !ok {
				t.Fatal("the stream ended")
			}
			switch e.Name {
			case "kiosks":
				see(counts(e.Data)["gate-0001"])
				events++
			case "count":
				var c map[string]int64
				if err := json.Unmarshal([]byte(e.Data), &c); err != nil {
					t.Fatalf("count %q: %v", e.Data, err)
				}
				see(c["gate-0001"])
				events++
			}
		}
		v.leave()
	}
	late.Wait()
}

// A carriage return ends a line of a stream, and html/template lets it through.
func TestHostileNamesStayText(t *testing.T) {
	const place = "Chợ <script>alert(1)</script>\"><img src=x onerror=alert(1)>\r\revent: figures\rdata: 0\r\n\r\nevent: kiosks\ndata: gone\n\n"
	w := newWorld(t)
	w.kiosk("gate-0001", place)
	w.checkin("gate-0001", place, 1, store.Sighting{Gate: "</li><b>"})
	url := w.serve(brisk())
	v := watch(t, url)
	s := v.snapshot()
	w.checkin("gate-0001", place, 1, store.Sighting{Gate: "<i>&"})
	w.online("gate-0001", true, 1, today)

	harmless := func(what, html string) {
		t.Helper()
		for _, tag := range []string{"<script>", "<img src=x", "<b>", "<i>"} {
			if strings.Contains(html, tag) {
				t.Errorf("%s holds %s: %q", what, tag, html)
			}
		}
		if !strings.Contains(html, "&lt;script&gt;") {
			t.Errorf("%s does not show the place's name: %q", what, html)
		}
	}
	harmless("snapshot", s.Kiosks)
	harmless("snapshot", s.Checkins)
	harmless("event checkin", v.until("checkin", "&lt;i&gt;").Data)
	for {
		e, ok := v.next()
		if !ok {
			t.Fatal("the stream ended before the kiosk came online")
		}
		if e.Name == "figures" && e.Data == "0" || e.Name == "kiosks" && strings.Contains(e.Data, "gone") && !strings.Contains(e.Data, "<tr") {
			t.Fatalf("the place's name has made an event of its own: %+v", e)
		}
		if e.Name == "kiosks" && strings.Contains(e.Data, "Trực tuyến") {
			harmless("event kiosks", e.Data)
			break
		}
	}
	r, err := http.Get(url + "/truc-tiep")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	harmless("page", string(page))
}

func TestKiosksAreReadAtMostOnceInARefresh(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	o := brisk()
	o.Refresh = 200 * time.Millisecond
	begin := time.Now()
	v := watch(t, w.serve(o))
	v.snapshot()
	done := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		for n := uint64(1); ; n++ {
			select {
			case <-done:
				return
			default:
				w.beat("gate-0001", wire.Beat{Queued: n}, today.Add(time.Duration(n)*time.Millisecond))
			}
		}
	})
	const events = 5
	for range events {
		v.until("kiosks", "gate-0001")
	}
	took := time.Since(begin)
	close(done)
	beats.Wait()
	if least := (events - 1) * o.Refresh; took < least {
		t.Errorf("%d events of kiosks came in %v, want at least %v", events, took, least)
	}
}

// The time-outs that the caller sets are those of requests.
func TestStreamOutlivesTheServersTimeouts(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	const timeout = 100 * time.Millisecond
	v := watch(t, w.serve(brisk(), func(s *httptest.Server) {
		s.Config.ReadTimeout, s.Config.WriteTimeout = timeout, timeout
	}))
	v.snapshot()
	for begin, n := time.Now(), uint64(1); time.Since(begin) < 3*timeout; n++ {
		w.beat("gate-0001", wire.Beat{Queued: n}, today.Add(time.Duration(n)*time.Second))
		v.until("kiosks", "gate-0001")
	}
}

// A viewer that does not read loses its stream, and holds up nobody.
func TestSlowViewerIsLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	w.checkin("gate-0001", "Chợ Đông Ba", 50, store.Sighting{})
	o := brisk()
	o.Streams, o.Patience = 2, 200*time.Millisecond
	url := w.serve(o, func(s *httptest.Server) {
		s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			c.(*net.TCPConn).SetWriteBuffer(4096)
			return ctx
		}
	})
	// The window is agreed on with the connection.
	little := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, set)
	}}
	slow, err := little.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /live HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}

	quick := watch(t, url)
	quick.snapshot()
	w.checkin("gate-0001", "Chợ Đông Ba", 50, store.Sighting{Gate: "B2"})
	quick.until("checkin", "B2")

	// Two streams are all there may be, so a third one comes when the slow one
	// has been ended.
	for {
		r, err := http.Get(url + "/live")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			break
		}
	}
	w.checkin("gate-0001", "Chợ Đông Ba", 1, store.Sighting{Gate: "C3"})
	quick.until("checkin", "C3")
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	o := brisk()
	o.Streams = 2
	url := w.serve(o)
	first := watch(t, url)
	first.snapshot()
	watch(t, url).snapshot()
	r, err := http.Get(url + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("third of two streams = %s, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
	// A page is no stream.
	if r, err := http.Get(url + "/truc-tiep"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("page beside two streams = %v, %v", r, err)
	}
	first.leave()
	for {
		r, err := http.Get(url + "/live")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return
		}
	}
}

// Who may not look any more does not look on.
func TestStreamEndsWithTheRole(t *testing.T) {
	for name, change := range map[string]string{
		"signed out":       "DELETE FROM signins WHERE account = 'admin'",
		"blocked":          "UPDATE accounts SET state = 2 WHERE id = 'admin'",
		"without the role": "DELETE FROM grants WHERE account = 'admin'",
	} {
		t.Run(name, func(t *testing.T) {
			w := pagetest.NewOver(t, "http://127.0.0.1", func(p *pagetest.World, f *page.Frame) []page.Route {
				o := live.Options{Refresh: 5 * time.Millisecond, Recheck: 20 * time.Millisecond}
				return live.New(f, p.Store, ingest.NewFeed(nil), slog.New(slog.DiscardHandler), o).Routes()
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "GET", w.URL+"/live", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := w.People["admin"].Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
				t.Fatalf("GET /live = %s, %q", resp.Status, got)
			}
			if err := w.Store.Write(ctx, func(t store.Tx) error { _, err := t.Exec(change); return err }); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Errorf("the stream ended with %v, want that the server ended it", err)
			}
			if status, _, _ := w.Get("admin", "/live"); status == http.StatusOK {
				t.Error("there is another stream for the asking")
			}
		})
	}
}

func TestShutdownEndsStreams(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, end := context.WithCancel(t.Context())
	server := &http.Server{Handler: w.handler(brisk()), BaseContext: func(net.Listener) context.Context { return serving }}
	var served sync.WaitGroup
	served.Go(func() { server.Serve(l) })
	url := "http://" + l.Addr().String()
	v := watch(t, url)
	v.snapshot()

	end()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown with an open stream: %v", err)
	}
	for {
		if _, ok := v.next(); !ok {
			break
		}
	}
	served.Wait()
}

// While the database is away, a page says so and no stream begins; neither is
// an answer with the figures of before.
func TestNoFiguresWithoutTheDatabase(t *testing.T) {
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	f := page.New(page.Options{Register: register.New(s, time.Now), Log: log})
	h := f.Handler(live.New(f, s, ingest.NewFeed(nil), log, live.Options{Open: true}).Routes())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/truc-tiep", "/live"} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		if r.Code != http.StatusServiceUnavailable || !strings.Contains(r.Body.String(), "Máy chủ đang rất bận") {
			t.Errorf("GET %s without a database = %d %q", path, r.Code, r.Body)
		}
	}
}
