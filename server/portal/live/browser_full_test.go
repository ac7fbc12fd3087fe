//go:build full

package live_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestBrowserShowsACheckinWithoutReload(t *testing.T) {
	w := newWorld(t)
	const market = "Chợ Đông Ba <b>&amp;</b>"
	w.kiosk("gate-0001", market)
	p := browser.Start(t).Open()
	p.Visit(w.serve(brisk()) + "/truc-tiep")
	p.Wait(`!document.querySelector("[data-when=live]").hidden`)
	p.Eval(`window.sameDocument = true`)

	w.checkin("gate-0001", market, 1, store.Sighting{Gate: "Cổng chính"})
	p.Wait(`document.querySelector("#checkins li .where").innerText.includes("Cổng chính")`)
	p.Wait(`document.querySelector("#figures strong").innerText === "1"`)
	w.checkin("gate-0001", market, 1233, store.Sighting{Gate: "Cổng sau"})
	p.Wait(`document.querySelector("[data-kiosk=gate-0001] .count").innerText === "1.234"`)
	p.Wait(`document.querySelectorAll("#checkins li:not(.none)").length === 50`)
	w.kiosk("gate-0002", "Bến xe phía Nam")
	w.online("gate-0002", true, 1, today)
	p.Wait(`document.querySelectorAll("#kiosks tr").length === 2 && document.querySelector("[data-kiosk=gate-0002]").innerText.includes("Trực tuyến")`)

	if got := p.Eval(`document.querySelector("[data-kiosk=gate-0001] th bdi").textContent`); got != market {
		t.Errorf("the page shows the place as %q, want %q", got, market)
	}
	if p.Eval(`window.sameDocument`) != true {
		t.Error("the page was loaded again")
	}
	if c := p.Complaints(); c != nil {
		t.Errorf("the browser complains: %v", c)
	}
}

// A page that lost its server says so, comes back by itself, and then shows what
// was stored meanwhile, once.
func TestBrowserComesBack(t *testing.T) {
	w := newWorld(t)
	const market = "Chợ Đông Ba"
	w.kiosk("gate-0001", market)
	w.checkin("gate-0001", market, 3, store.Sighting{})
	var server *httptest.Server
	url := w.serve(brisk(), func(s *httptest.Server) { server = s }) + "/truc-tiep"
	p := browser.Start(t).Open()
	p.Visit(url)
	p.Wait(`!document.querySelector("[data-when=live]").hidden`)
	p.Eval(`window.sameDocument = true`)

	for n := range int64(2) {
		p.Eval(`window.lost = new Promise((done) => new MutationObserver(() => { if (!document.querySelector("[data-when=lost]").hidden) done(true); }).observe(document.querySelector("#link"), {attributes: true, subtree: true})); 0`)
		server.CloseClientConnections()
		w.checkin("gate-0001", market, 2, store.Sighting{Gate: fmt.Sprintf("C%d", n)})
		p.Eval(`window.lost`)
		p.Wait(`!document.querySelector("[data-when=live]").hidden`)
		p.Wait(fmt.Sprintf(`document.querySelector("[data-kiosk=gate-0001] .count").innerText === "%d"`, 5+2*n))
		if got := p.Eval(`document.querySelectorAll("#checkins li:not(.none)").length`); got != float64(5+2*n) {
			t.Errorf("after coming back the page lists %v check-ins, want %d", got, 5+2*n)
		}
	}
	if p.Eval(`window.sameDocument`) != true {
		t.Error("the page was loaded again")
	}
}

// longName is as long as a place's name may be.
const longName = "Trung tâm Kiểm soát bệnh tật và Chăm sóc sức khỏe cộng đồng phường Thuận Hóa, thành phố Huế (cơ sở 2, đường Nguyễn Trường Tộ)"

// crowd fills a store with n kiosks in every state and with check-ins of every
// sort.
func crowd(w *world, n int) {
	places := []string{"Chợ Đông Ba", longName, "Bến xe phía Nam", "Bệnh viện Trung ương Huế, cổng cấp cứu", "Trường THPT chuyên Quốc Học", "Cảng Chân Mây"}
	verdicts := []store.Sighting{
		{},
		{Verdict: wire.Again, Pass: pass.Family},
		{Verdict: wire.Refused, Reason: wire.ReasonExpired},
		{Verdict: wire.Unrecorded, Reason: wire.ReasonDisk, Pass: pass.BHYT},
		{Said: today.Add(-50 * time.Hour).UnixMilli(), Pass: pass.CCCD, Direction: wire.Out},
		{Said: 1, Earliest: today.Add(-90 * time.Hour).UnixMilli(), Latest: today.UnixMilli(), Pass: pass.Typed, Gate: "Cổng phụ số 2"},
	}
	for i := range n {
		id, place := fmt.Sprintf("kiosk-%04d", i), places[i%len(places)]
		if i == 7 {
			id = "trung-tam-kiem-soat-benh-tat-thuan-hoa-02"[:40]
		}
		w.kiosk(id, place)
		if i%9 != 8 {
			w.online(id, i%5 != 3, 1, today.Add(-time.Duration(i)*time.Hour))
			w.beat(id, wire.Beat{Queued: uint64(i * i * i * 31), State: when.State(4 - i%4), Error: int64(i * 700)}, today.Add(-time.Duration(i%7)*25*time.Second))
			w.checkin(id, place, 1+i*97%1300, verdicts[0])
		}
		if i%11 == 10 {
			if err := w.store.RevokeKiosk(w.t.Context(), id); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for i := range min(n, 1) * 24 {
		like := verdicts[i%len(verdicts)]
		like.Received = today.Add(time.Duration(i) * time.Second).UnixMilli()
		w.checkin("kiosk-0000", places[i%len(places)], 1, like)
	}
}

// No width makes the page scroll sideways, and nothing written is cut off.
func TestBrowserFitsEveryScreen(t *testing.T) {
	p := browser.Start(t).Open()
	for _, n := range []int{0, 2, 40} {
		w := newWorld(t)
		crowd(w, n)
		url := w.serve(brisk()) + "/truc-tiep"
		for _, size := range [][2]int{{320, 640}, {390, 844}, {703, 900}, {820, 1180}, {1100, 800}, {1440, 900}, {1920, 1080}} {
			p.Look(size[0], size[1], "light")
			p.Visit(url)
			p.Wait(`!document.querySelector("[data-when=live]").hidden`)
			name := fmt.Sprintf("live-%d-%dx%d", n, size[0], size[1])
			if over := p.Eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); over != 0.0 {
				t.Errorf("%s scrolls sideways by %v", name, over)
			}
			cut := p.Eval(`[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && e.clientWidth && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 200))`)
			if len(cut.([]any)) != 0 {
				t.Errorf("%s cuts off %q", name, cut)
			}
			p.Shoot(name + "-light")
			p.Look(size[0], size[1], "dark")
			p.Shoot(name + "-dark")
		}
	}
	if c := p.Complaints(); c != nil {
		t.Errorf("the browser complains: %v", c)
	}
}

// Without script the page says how it stays fresh, and does.
func TestBrowserWithoutScript(t *testing.T) {
	w := newWorld(t)
	w.kiosk("gate-0001", "Chợ Đông Ba")
	p := browser.Start(t).Open()
	p.Look(390, 844, "light")
	p.Script(false)
	p.Visit(w.serve(brisk()) + "/truc-tiep")
	if says := p.Eval(`document.querySelector("#link").innerText`); !strings.Contains(fmt.Sprint(says), "Tự tải lại") || strings.Contains(fmt.Sprint(says), "Trực tiếp") {
		t.Errorf("without script the page says %q", says)
	}
	p.Shoot("still")
	w.checkin("gate-0001", "Chợ Đông Ba", 1, store.Sighting{Gate: "Cổng chính"})
	p.Wait(`document.querySelector("#checkins").innerText.includes("Cổng chính")`)
}

func TestBrowserShowsWhatWentWrong(t *testing.T) {
	p := browser.Start(t).Open()
	w := newWorld(t)
	var server *httptest.Server
	url := w.serve(brisk(), func(s *httptest.Server) { server = s }) + "/truc-tiep"
	for _, scheme := range []string{"light", "dark"} {
		p.Look(390, 844, scheme)
		p.Visit(strings.TrimSuffix(url, "truc-tiep") + "nothing")
		p.Wait(`document.querySelector("h1").innerText.includes("Không có trang này")`)
		p.Shoot("missing-" + scheme)
	}
	p.Visit(url)
	p.Wait(`!document.querySelector("[data-when=live]").hidden`)
	server.Listener.Close()
	server.CloseClientConnections()
	p.Wait(`!document.querySelector("[data-when=lost]").hidden`)
	p.Shoot("lost")
}
