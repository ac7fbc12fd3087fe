//go:build full

package screen_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// sizes are those of the screens that kiosks have, in pixels. Letters are judged
// as if each were of seven inches.
var sizes = [][2]int{{800, 480}, {1024, 600}, {1280, 800}, {480, 800}, {600, 1024}, {800, 1280}}

// At three metres an eye of 6/12, which may still drive, reads letters of ten
// minutes of arc, and one of 6/6 those of five.
const (
	headMM = 8.7
	doMM   = 4.35
)

var fullOptions = screen.Options{
	Place: "Bệnh viện Trung ương Huế", Gate: "A1", HelpLine: "19001075", Typed: true, Phone: true, Companions: true,
	Reset: time.Minute, Explain: time.Minute,
	Now:    func() (time.Time, bool) { return time.Date(2026, 11, 26, 8, 5, 0, 0, time.UTC), true },
	Inside: func() (int, int, bool) { return 112, 118, true },
	// Two digits: longer than it ever should be.
	ListAge: func() (time.Duration, bool) { return 45 * 24 * time.Hour, true },
}

// show shows an answer and waits until it is drawn.
func show(tab *browser.Tab, s *screen.Screen, a kiosk.Answer) {
	s.Show(a)
	tab.Wait(fmt.Sprintf(`document.body.dataset.state === %q && document.getElementById("vi-head").textContent === %q`, a.State, screen.Words(words.Vietnamese, a).Head))
}

func TestEveryStateIsReadOnEveryScreen(t *testing.T) {
	chromium := browser.Start(t)
	s := screen.New(fullOptions, quietLog)
	srv := serve(t, s, newDoor())
	tab := chromium.Open() // one: each has a stream of events, and a browser no more than six connections to a server
	for _, size := range sizes {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		mm := 7 * 25.4 / math.Hypot(float64(size[0]), float64(size[1]))
		tab.Look(size[0], size[1], "light")
		tab.Visit(srv.URL + "/")
		tab.Wait(`document.fonts.status === "loaded"`)
		for _, what := range slices.Sorted(maps.Keys(answers())) {
			a := answers()[what]
			show(tab, s, a)
			if f := faults(t, tab, mm); len(f) > 0 {
				t.Errorf("%s, %s: %s", name, what, strings.Join(f, "; "))
			}
			if a.Reason == wire.NoReason || slices.Contains([]wire.Reason{wire.ReasonExpired, wire.ReasonKey, wire.ReasonKind}, a.Reason) {
				tab.Shoot(strings.ReplaceAll(what, " ", "_") + "-" + name)
			}
		}
		show(tab, s, kiosk.Answer{State: words.Ready})
		tab.Click("Gõ mã")
		tab.Eval(`document.querySelectorAll("#keys [data-key]").forEach((b, i) => { if (i % 5 === 0) b.click(); })`)
		if f := faults(t, tab, mm); len(f) > 0 {
			t.Errorf("%s, keys: %s", name, strings.Join(f, "; "))
		}
		tab.Shoot("keys-" + name)
		tab.Eval(`document.querySelector("#keys [data-does=close]").click()`)
		tab.Click("Nhập số điện thoại")
		tab.Eval(`document.querySelectorAll("#digits [data-key]").forEach((b) => b.click())`)
		if f := faults(t, tab, mm); len(f) > 0 {
			t.Errorf("%s, digits: %s", name, strings.Join(f, "; "))
		}
		tab.Shoot("digits-" + name)
		tab.Eval(`document.querySelector("#digits [data-does=close]").click()`)
	}
	if c := chromium.Complaints(); len(c) > 0 {
		t.Errorf("the console complains: %q", c)
	}
}

// A measured is one thing on the page as it is drawn.
type measured struct {
	ID, Text, Ink, Paper  string
	Left, Top, Right, End float64 // edges in pixels
	Cap                   float64 // height of a capital in pixels
	Button, Inside        bool
}

const measure = `JSON.stringify([...document.querySelectorAll("header p, header strong, h1, main p, footer p, section p, output, button, #shape svg")].filter((e) => e.checkVisibility() && (e.tagName === "svg" || e.textContent.trim())).map((e) => {
	const box = e.getBoundingClientRect(), style = getComputedStyle(e);
	let on = e;
	while (getComputedStyle(on).backgroundColor === "rgba(0, 0, 0, 0)") on = on.parentElement;
	const pen = document.createElement("canvas").getContext("2d");
	pen.font = style.fontWeight + " " + style.fontSize + " " + style.fontFamily;
	const pad = document.querySelector(".pad:not([hidden])"), covered = pad && !pad.contains(e);
	return covered ? null : {id: e.id || e.tagName, text: e.textContent, ink: style.color, paper: getComputedStyle(on).backgroundColor,
		left: box.left, top: box.top, right: Math.max(box.right, e.tagName === "svg" ? 0 : box.left + e.scrollWidth), end: box.bottom, cap: pen.measureText("H").actualBoundingBoxAscent,
		button: e.tagName === "BUTTON", inside: box.left >= -.5 && box.top >= -.5 && box.right <= innerWidth + .5 && box.bottom <= innerHeight + .5};
}).filter((m) => m))`

var rgb = regexp.MustCompile(`^rgb\((\d+), (\d+), (\d+)\)$`)

func hex(t *testing.T, colour string) string {
	t.Helper()
	m := rgb.FindStringSubmatch(colour)
	if m == nil {
		t.Fatalf("colour %q", colour)
	}
	out := "#"
	for _, part := range m[1:] {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%02x", n)
	}
	return out
}

// faults returns what of the page cannot be read: outside the window, upon
// something else, of too little contrast, too small.
func faults(t *testing.T, tab *browser.Tab, mm float64) (all []string) {
	t.Helper()
	var things []measured
	if err := json.Unmarshal([]byte(tab.Eval(measure).(string)), &things); err != nil {
		t.Fatal(err)
	}
	bad := func(m measured, format string, args ...any) {
		all = append(all, fmt.Sprintf("%s %q %s", m.ID, strings.TrimSpace(m.Text), fmt.Sprintf(format, args...)))
	}
	for i, m := range things {
		if !m.Inside {
			bad(m, "is outside the window: %.0f, %.0f to %.0f, %.0f", m.Left, m.Top, m.Right, m.End)
		}
		if c := contrast(t, hex(t, m.Ink), hex(t, m.Paper)); c < 7 {
			bad(m, "has contrast %.1f", c)
		}
		if h := m.Cap * mm; m.ID == "vi-head" && h < headMM || m.ID == "vi-do" && h < doMM {
			bad(m, "has letters of %.1f mm", h)
		}
		if m.Button && (m.Right-m.Left < 48 || m.End-m.Top < 48) {
			bad(m, "is a button of %.0f x %.0f pixels", m.Right-m.Left, m.End-m.Top)
		}
		if m.ID == "svg" && min(m.Right-m.Left, m.End-m.Top)*mm < 30 {
			bad(m, "is a shape of %.0f mm", min(m.Right-m.Left, m.End-m.Top)*mm)
		}
		for _, o := range things[i+1:] {
			within := m.ID == "clock" && o.ID == "time"
			if !within && m.Left+1 < o.Right && o.Left+1 < m.Right && m.Top+1 < o.End && o.Top+1 < m.End {
				bad(m, "lies on %s", o.ID)
			}
		}
	}
	return all
}

func TestPageSaysThatTheKioskIsGoneAndComesBack(t *testing.T) {
	tab := browser.Start(t).Open()
	s := screen.New(screen.Options{Place: "Chợ Đông Ba", Reset: time.Second}, quietLog)
	srv := httptest.NewUnstartedServer(s.Handler(newDoor()))
	srv.Start()
	listen := srv.Listener.Addr().String()
	s.Show(kiosk.Answer{State: words.Ready})
	tab.Look(800, 480, "light")
	tab.Visit(srv.URL + "/")
	tab.Wait(`document.body.dataset.state === "ready"`) // or it would not know what to go back to
	show(tab, s, kiosk.Answer{State: words.Admitted})
	stop(srv)
	// Green goes by itself, though nobody says so.
	tab.Wait(`document.body.dataset.state === "ready"`)
	tab.Wait(`document.body.dataset.state === "starting" && document.querySelector("h1").textContent === "Máy đang khởi động lại"`)
	tab.Shoot("gone")
	// Another process: the page loads itself again, with the new token.
	next := screen.New(screen.Options{Place: "Chợ Đông Ba"}, quietLog)
	next.Show(kiosk.Answer{State: words.Ready})
	door := newDoor()
	again := restart(t, listen, next, door)
	defer again()
	tab.Wait(`document.body.dataset.state === "ready"`)
	show(tab, next, kiosk.Answer{State: words.Admitted})
}

func TestTypedCodeAndCompanionsByTouch(t *testing.T) {
	tab := browser.Start(t).Open()
	door := newDoor()
	s := screen.New(fullOptions, quietLog)
	s.Show(kiosk.Answer{State: words.Ready})
	tab.Look(1024, 600, "light")
	tab.Visit(serve(t, s, door).URL + "/")
	tab.Wait(`document.body.dataset.state === "ready"`)
	tab.Click("Gõ mã")
	press := func(codes string) {
		for _, c := range codes {
			tab.Eval(fmt.Sprintf(`document.querySelector('.pad:not([hidden]) [data-key="%c"]').click()`, c))
		}
	}
	press("AAAAAAHX")
	tab.Eval(`document.querySelector("#keys [data-does=erase]").click()`)
	press("ZZZ") // the last two are too many
	tab.Eval(`document.querySelector("#keys [data-does=enter]").click()`)
	if got := <-door.entered; got != "AAAAAAHZ" {
		t.Errorf("entered %q, want AAAAAAHZ", got)
	}
	tab.Wait(`document.getElementById("keys").hidden`)
	if tab.Eval(`document.getElementById("bring").hidden`) != true {
		t.Error("companions are asked for though nobody was let in")
	}
	show(tab, s, kiosk.Answer{State: words.Admitted, Seq: 41, MayBring: true})
	tab.Click("+3")
	if got := <-door.entered; got != "3 more with 41" {
		t.Errorf("entered %q", got)
	}
	show(tab, s, kiosk.Answer{State: words.Ready})
	tab.Click("Nhập số điện thoại")
	press("09051234")
	tab.Eval(`document.querySelector("#digits [data-does=enter]").click()`) // two digits are missing
	press("569")
	tab.Eval(`document.querySelector("#digits [data-does=erase]").click()`)
	press("6")
	tab.Eval(`document.querySelector("#digits [data-does=enter]").click()`)
	if got := <-door.entered; got != "phone 0905123456" {
		t.Errorf("entered %q", got)
	}
	// A card that is shown closes the keys of whoever went away.
	show(tab, s, kiosk.Answer{State: words.Ready})
	tab.Click("Gõ mã")
	show(tab, s, kiosk.Answer{State: words.Admitted})
	tab.Wait(`document.getElementById("keys").hidden`)
}

func TestReducedMotionStandsStill(t *testing.T) {
	tab := browser.Start(t).Open()
	s := screen.New(fullOptions, quietLog)
	s.Show(kiosk.Answer{State: words.Ready})
	url := serve(t, s, newDoor()).URL
	const moving = `document.getAnimations().length > 0`
	tab.Look(800, 480, "light")
	tab.Visit(url + "/")
	tab.Wait(`document.body.dataset.state === "ready" && ` + moving)
	tab.Call(tab.Session, "Emulation.setEmulatedMedia", browser.Args{"features": []browser.Args{{"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
	tab.Wait("!(" + moving + ")")
}

// restart serves another screen on the address of one that has ended.
func restart(t *testing.T, addr string, s *screen.Screen, door screen.Door) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, addr, door) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// A drawn is a face that waits until the browser has drawn an answer.
type drawn struct {
	*screen.Screen
	tab   *browser.Tab
	began time.Time
	took  []time.Duration
}

func (d *drawn) Show(a kiosk.Answer) {
	switch a.State {
	case words.Reading:
		// The green of the card before is not this one's.
		d.Screen.Show(kiosk.Answer{State: words.Ready})
		d.tab.Wait(`document.body.dataset.state === "ready"`)
		d.began = time.Now()
		d.Screen.Show(a)
	case words.Admitted:
		d.Screen.Show(a)
		d.tab.Eval("drawn()")
		d.took = append(d.took, time.Since(d.began))
	default:
		d.Screen.Show(a)
	}
}

// BenchmarkScanToScreen measures from the text of a card, through verifying,
// sealing and the fsync of the test's disk, to the frame in which a browser has
// drawn green: what the visitor waits for. The answer of the browser on its way
// back to the test is in it.
func BenchmarkScanToScreen(b *testing.B) {
	s := screen.New(screen.Options{Place: "Chợ Đông Ba"}, quietLog)
	tab := browser.Start(b).Open()
	tab.Look(800, 480, "light")
	tab.Visit(serve(b, s, newDoor()).URL + "/")
	// Drawn is when the second frame begins after the state is green.
	tab.Eval(`window.drawn = () => new Promise((done) => {
		const look = () => document.body.dataset.state === "admitted" ? requestAnimationFrame(() => requestAnimationFrame(done)) : requestAnimationFrame(look);
		look();
	})`)
	face := &drawn{Screen: s, tab: tab}
	door, cards := newBenchDoor(b, face, b.N)
	b.ResetTimer()
	cards(door)
	b.StopTimer()
	if len(face.took) != b.N {
		b.Fatalf("%d green pages for %d cards", len(face.took), b.N)
	}
	slices.Sort(face.took)
	b.ReportMetric(float64(face.took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(face.took[b.N*99/100].Microseconds())/1000, "p99-ms")
}

// newBenchDoor returns a door with one face and a function that shows it n cards
// and ends.
func newBenchDoor(b *testing.B, face kiosk.Face, n int) (*kiosk.Kiosk, func(*kiosk.Kiosk)) {
	b.Helper()
	pub, card, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sealKey, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sealer, err := seal.New(1, sealKey.PublicKey().Bytes())
	if err != nil {
		b.Fatal(err)
	}
	today := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	clock := when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today)
	q, err := outbox.Open(b.Context(), filepath.Join(b.TempDir(), "outbox.db"), outbox.Options{Now: clock.Read})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { q.Close() })
	src := make(scans, n)
	at := time.Now()
	for i := range n {
		text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 1, Number: uint32(i + 1), Issue: 1, First: pass.DayOf(today), Last: pass.DayOf(today.AddDate(1, 0, 0))}, card)
		if err != nil {
			b.Fatal(err)
		}
		src <- scan.Scan{Text: text, At: at}
	}
	close(src)
	door, err := kiosk.New(kiosk.Door{
		ID: "dong-ba-gate-1", Source: src, Queue: q, Sealer: sealer, Clock: clock, Faces: []kiosk.Face{face},
		Panel: panel.NewRecorder(io.Discard, panel.Config{}, quietLog), Keys: func() pass.Keys { return pass.Keys{1: {Public: pub}} },
		Config: wire.KioskConfig{
			Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In, OnFault: wire.Refuse,
			Accept: []pass.Kind{pass.Card}, Repeat: 4 * time.Second, Reset: 3 * time.Second,
		},
	}, quietLog)
	if err != nil {
		b.Fatal(err)
	}
	return door, func(k *kiosk.Kiosk) { k.Run(b.Context()) }
}

// scans are codes that are held up one after the other.
type scans chan scan.Scan

func (s scans) Next(context.Context) (scan.Scan, error) {
	one, ok := <-s
	if !ok {
		return scan.Scan{}, io.EOF
	}
	return one, nil
}

// The longest that whoever looks after a kiosk is told has room beside everything else.
func TestNoticesHaveRoom(t *testing.T) {
	tab := browser.Start(t).Open()
	for _, key := range []words.Key{words.LeaseSoon, words.LeaseEnded, words.CarryDone} {
		o := fullOptions
		o.Notice = func() string { return words.Of(words.Vietnamese, key, "days", "7", "count", "123456") }
		s := screen.New(o, quietLog)
		s.Show(kiosk.Answer{State: words.Ready})
		url := serve(t, s, newDoor()).URL
		for _, size := range [][2]int{{800, 480}, {480, 800}} {
			tab.Look(size[0], size[1], "light")
			tab.Visit(url + "/")
			tab.Wait(`document.body.dataset.state === "ready" && document.fonts.status === "loaded"`)
			if f := faults(t, tab, 7*25.4/math.Hypot(800, 480)); len(f) > 0 {
				t.Errorf("%s at %v: %s", key, size, strings.Join(f, "; "))
			}
			tab.Shoot(fmt.Sprintf("%s-%dx%d", key, size[0], size[1]))
		}
	}
}
