package guard_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	kioskID = "dong-ba-gate-1"
	goodPIN = "280914"
)

// today is the day on which the door stands.
var today = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// A scanner hands out what a test scans.
type scanner chan scan.Scan

func (s scanner) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case one := <-s:
		return one, nil
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	}
}

// A face says when the door has answered.
type face chan kiosk.Answer

func (f face) Show(a kiosk.Answer) {
	if a.State != "ready" && a.State != "reading" {
		f <- a
	}
}

// A world is a door that runs, with its guard's page.
type world struct {
	t      testing.TB
	dir    string
	guard  *guard.Guard
	door   *kiosk.Kiosk
	queue  *outbox.Queue
	clock  *when.Clock
	room   *room.Room
	opener *seal.Opener
	card   ed25519.PrivateKey
	scans  scanner
	faces  face
	health []scan.Health
	tests  order.Outcome
	srv    *httptest.Server
	at     time.Time // of the next scan
	stop   func()
}

func newWorld(t testing.TB, dir string) *world {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	w := &world{t: t, dir: dir, scans: make(scanner), faces: make(face, 100), at: time.Now()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.card = ed25519.NewKeyFromSeed([]byte(strings.Repeat("c", 32)))
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(err)
	sealer, err := seal.New(1, key.PublicKey().Bytes())
	must(err)
	w.opener, err = seal.NewOpener(map[uint32][]byte{1: key.Bytes()})
	must(err)
	w.clock = when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today.AddDate(0, 0, -30))
	w.queue, err = outbox.Open(t.Context(), filepath.Join(dir, "outbox.db"), outbox.Options{Now: w.clock.Read})
	must(err)
	w.room, err = room.Open(filepath.Join(dir, "room.db"), w.card)
	must(err)
	log := slog.New(slog.DiscardHandler)
	since := func() time.Duration { return time.Hour }
	orders, err := order.Open(filepath.Join(dir, "orders.json"), order.Options{
		Kiosk: kioskID, Key: w.card, Keys: func(uint32) ed25519.PublicKey { return nil }, Clock: w.clock, Since: since, Queue: w.queue,
	})
	must(err)
	w.guard, err = guard.Open(guard.Options{Dir: filepath.Join(dir, "guard"), Kiosk: kioskID, Listen: ":8443", Log: log})
	must(err)
	w.door, err = kiosk.New(kiosk.Door{
		ID: kioskID, Source: w.scans, Queue: w.queue, Sealer: sealer, Clock: w.clock, Room: w.room, Orders: orders, Faces: []kiosk.Face{w.faces},
		Panel: panel.NewRecorder(io.Discard, panel.Config{}, log), Witness: w.guard.Journal(),
		Keys: func() pass.Keys {
			return pass.Keys{1: {Public: w.card.Public().(ed25519.PublicKey), From: pass.DayOf(today.AddDate(-1, 0, 0))}}
		},
		Config: wire.KioskConfig{
			Place: "Chợ Đông Ba", Gate: "A1", Lane: 2, Direction: wire.In, OnFault: wire.AdmitUnrecorded, HelpLine: "19001075",
			Accept: []pass.Kind{pass.Card, pass.CCCD}, Repeat: 4 * time.Second, Reset: 3 * time.Second,
		},
	}, log)
	must(err)
	w.health = []scan.Health{{Source: "USB 1", Present: true, Scans: 12}}
	w.tests = order.Outcome{Checks: []wire.Check{{Name: "scanner", OK: true, Detail: "usb: 12 codes"}, {Name: "clock", Detail: "floor"}}, Faulty: true}
	w.guard.Use(guard.Station{
		Door: w.door, Orders: orders, Room: w.room, Queue: w.queue, Clock: w.clock,
		Scanners: func() []scan.Health { return w.health }, SelfTest: func(context.Context) order.Outcome { return w.tests },
	})
	w.guard.Serve(true)
	must(w.guard.Journal().Read(w.queue))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.door.Run(ctx) }()
	w.srv = httptest.NewTLSServer(w.guard.Handler())
	w.stop = func() {
		w.srv.CloseClientConnections()
		w.srv.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("door.Run = %v", err)
		}
		w.room.Close()
		w.queue.Close()
	}
	stopped := false
	stop := w.stop
	w.stop = func() {
		if !stopped {
			stopped = true
			stop()
		}
	}
	t.Cleanup(w.stop)
	return w
}

// scan shows a card to the scanner, a minute after the last, and waits for the answer.
func (w *world) scan(number uint32) kiosk.Answer {
	w.t.Helper()
	return w.show(w.sign(number))
}

// sign returns what a card says.
func (w *world) sign(number uint32) string {
	w.t.Helper()
	text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 1, Number: number, Issue: 1, First: pass.DayOf(today), Last: pass.DayOf(today.AddDate(1, 0, 0))}, w.card)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) show(text string) kiosk.Answer {
	for len(w.faces) > 0 { // what a guard did was answered, too
		<-w.faces
	}
	w.scans <- scan.Scan{Text: text, At: w.at}
	w.at = w.at.Add(time.Second) // near now, so that it may be taken back
	return <-w.faces
}

// A phone is a browser.
type phone struct {
	*http.Client
	w *world
}

func (w *world) phone() *phone {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := *w.srv.Client()
	c.Jar = jar
	return &phone{&c, w}
}

func (p *phone) do(r *http.Request) (int, string) {
	p.w.t.Helper()
	resp, err := p.Do(r)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (p *phone) get(path string) (int, string) {
	p.w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.w.srv.URL+path, nil)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return p.do(r)
}

func (p *phone) post(path string, form url.Values) (int, string) {
	p.w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.w.srv.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.do(r)
}

var tokenIn = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

// send posts a form as its page does.
func (p *phone) send(path string, pairs ...string) (int, string) {
	p.w.t.Helper()
	_, page := p.get("/vuong-mac")
	m := tokenIn.FindStringSubmatch(page)
	if m == nil {
		p.w.t.Fatalf("no form on the page:\n%s", page)
	}
	form := url.Values{"token": {m[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return p.post(path, form)
}

// offer returns what a pairing code says, as the phone's browser asks for it.
func (w *world) offer() (path string, form url.Values) {
	w.t.Helper()
	o, ok := w.guard.Offer()
	u, err := url.Parse(o.URL)
	if err != nil || !ok {
		w.t.Fatal(err)
	}
	q := u.Query()
	return u.RequestURI(), url.Values{"t": {q.Get("t")}, "h": {q.Get("h")}, "pin": {goodPIN}, "pin2": {goodPIN}}
}

// paired returns a phone that is on the page.
func (w *world) paired() *phone {
	w.t.Helper()
	p := w.phone()
	_, form := w.offer()
	if code, page := p.post("/ghep", form); code != http.StatusOK || !strings.Contains(page, "Đang ở trong") {
		w.t.Fatalf("pairing ends in %d:\n%s", code, page)
	}
	return p
}

// headers returns the ledger.
func (w *world) headers() (all []wire.Header) {
	w.t.Helper()
	run, err := w.queue.Peek(1, wire.MaxBatchRecords)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range run.Records {
		_, h, err := wire.DecodeRecord(b)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

// uses returns what guards have done, as the ledger says.
func (w *world) uses() (all []wire.OrderUse) {
	for _, h := range w.headers() {
		if h.Kind == wire.KindOrder {
			all = append(all, *h.Order)
		}
	}
	return all
}

// wants reports each text that is not in a page.
func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, s := range slices.DeleteFunc(texts, func(s string) bool { return strings.Contains(page, s) }) {
		t.Errorf("the page lacks %q", s)
	}
	if t.Failed() {
		t.Logf("the page:\n%s", page)
	}
}

// synced has the server vouch for the time.
func (w *world) synced() {
	w.clock.Sample(time.Hour-40*time.Millisecond, time.Hour-20*time.Millisecond, today)
}
