package event_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/event"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/e2e/phone"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A world is a portal with the pages of events, and what doors have told.
type world struct {
	*pagetest.World
	events  *events.Events
	vault   *vault.Vault
	keys    pass.Keys
	letters []mail.Message
	told    []qrgate.Checkin
	log     lines
}

// lines are what was logged.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

func (w *world) Send(m mail.Message) error { w.letters = append(w.letters, m); return nil }

// CheckinsAt is what a store has of a place.
func (w *world) CheckinsAt(_ context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	for i := range w.told {
		if c := &w.told[i]; c.PlaceNo == at.No && c.Latest >= from && c.Earliest <= to {
			if err := fn(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.vault, err = vault.Open(keys, master, vault.Options{}); err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.keys = pass.Keys{2: {Public: public, Events: true}}
	w.World = pagetest.NewOver(t, "http://qrgate.example", func(p *pagetest.World, f *page.Frame) []page.Route {
		w.events = events.New(p.Store, w.vault, time.Now)
		return event.New(f, p.Reg, w.events, event.Options{
			Checkins: w, Persons: w.vault, Sign: issue.With(2, key),
			Links: master.Derive("event passes"), Mail: w, HelpLine: "19001075", Controller: "Sở Y tế", RetentionDays: 21, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		}).Routes()
	})
	return w
}

// tomorrow is an event's form as an organiser fills it in.
func (w *world) tomorrow() url.Values {
	day := qrgate.DayOf(time.Now().Add(24 * time.Hour)).String()
	return url.Values{
		"event.place": {fmt.Sprint(w.Place.No)}, "event.name": {"Đêm nhạc Trịnh"}, "event.about": {"Có ghế ngồi"}, "event.day": {day}, "event.from": {"19:00"},
		"event.last": {""}, "event.to": {"22:00"}, "event.early": {"60"}, "event.capacity": {"500"}, "event.reentry": {"1"},
		"event.is.delegate": {"1"}, "event.gates.delegate": {"A1, VIP"}, "event.quota.delegate": {"100"}, "event.is.public": {"1"}, "event.called.public": {"Vé mời"},
	}
}

func (w *world) open(form url.Values) string {
	w.T.Helper()
	status, body, header := w.Post("owner", "/su-kien/moi", form)
	if status != 303 {
		w.T.Fatalf("open an event: %d\n%s", status, body)
	}
	return header.Get("Location")
}

func (w *world) page(who, path string) string {
	w.T.Helper()
	status, body, _ := w.Get(who, path)
	if status != 200 {
		w.T.Fatalf("GET %s as %s = %d", path, who, status)
	}
	return body
}

func TestFromEventToPass(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	for who, sees := range map[string]bool{"owner": true, "guard": true, "trade": true, "commune": true, "foreign": false, "tourism": false} {
		if status, _, _ := w.Get(who, at); (status == 200) != sees {
			t.Errorf("%s looks at the event: %d", who, status)
		}
		if listed := strings.Contains(w.page(who, "/su-kien"), "Đêm nhạc Trịnh"); listed != sees {
			t.Errorf("%s sees the event listed: %v", who, listed)
		}
	}
	for _, who := range []string{"guard", "trade", "commune", "foreign", "tourism"} {
		for _, path := range []string{"/khach", "/sua", "/huy"} {
			if status, _, _ := w.Get(who, at+path); status != 404 && status != 403 {
				t.Errorf("%s at %s%s: %d", who, at, path, status)
			}
		}
	}
	guest := url.Values{"event.guest": {"Nguyễn Thị Lan"}, "event.of": {"Báo Huế"}, "event.category": {"4"}, "event.phone": {"0905 123 456"}, "event.email": {"lan@example.vn"}}
	if status, body, _ := w.Post("owner", at+"/khach", guest); status != 303 {
		t.Fatalf("invite: %d\n%s", status, body)
	}
	if status, _, _ := w.Post("owner", at+"/gui", nil); status != 303 || len(w.letters) != 1 {
		t.Fatalf("send: %d, %d letters", status, len(w.letters))
	}
	if status, _, _ := w.Post("owner", at+"/gui", nil); status != 303 || len(w.letters) != 1 {
		t.Errorf("send again: %d, %d letters", status, len(w.letters))
	}
	link := regexp.MustCompile(`http://qrgate\.example(/ve/[a-z2-7]+)`).FindStringSubmatch(w.letters[0].Text)
	if link == nil || w.letters[0].To != "lan@example.vn" {
		t.Fatalf("the letter: %+v", w.letters[0])
	}

	// The guest opens the link without an account, and the code on it is a valid pass.
	if body := w.page("", link[1]); !strings.Contains(body, "Vé mời") || strings.Contains(body, "Nguyễn Thị Lan") {
		t.Errorf("the pass's page should name the category and nobody:\n%s", body)
	}
	p, err := pass.Parse(w.code(link[1]))
	if err != nil {
		t.Fatal(err)
	}
	tomorrow := pass.DayOf(time.Now().Add(24 * time.Hour))
	if err := pass.Verify(p, w.keys, tomorrow); err != nil {
		t.Errorf("the pass on its day: %v", err)
	}
	if err := pass.Verify(p, w.keys, tomorrow+1); err == nil {
		t.Error("the pass is valid on the day after")
	}

	// A new pass voids the old link; a withdrawn invitation has no code.
	no := p.Card.Number
	if status, _, _ := w.Post("owner", fmt.Sprintf("%s/khach/%d/doi", at, no), url.Values{"issue": {"1"}}); status != 303 {
		t.Fatalf("replace: %d", status)
	}
	if status, _, _ := w.Post("owner", fmt.Sprintf("%s/khach/%d/doi", at, no), url.Values{"issue": {"1"}}); status != 409 {
		t.Errorf("replace by an older page: %d", status)
	}
	if status, _, _ := w.Get("", link[1]); status != 404 {
		t.Errorf("the old link: %d", status)
	}
	fresh := regexp.MustCompile(`http://qrgate\.example(/ve/[a-z2-7]+)`).FindStringSubmatch(w.page("owner", at+"/khach"))
	if fresh == nil || fresh[1] == link[1] {
		t.Fatal("no new link")
	}
	if status, _, _ := w.Post("owner", fmt.Sprintf("%s/khach/%d/rut", at, no), url.Values{"issue": {"2"}}); status != 303 {
		t.Fatalf("withdraw: %d", status)
	}
	if body := w.page("", fresh[1]); !strings.Contains(body, "đã được rút") {
		t.Errorf("a withdrawn invitation:\n%s", body)
	}
	if status, _, _ := w.Get("", fresh[1]+"/ma.png"); status != 404 {
		t.Errorf("code of a withdrawn invitation: %d", status)
	}
	e, err := w.events.Event(t.Context(), p.Card.Event)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.Post("owner", at+"/huy", url.Values{"version": {fmt.Sprint(e.Version)}}); status != 303 {
		t.Fatalf("cancel: %d", status)
	}
	if body := w.page("", fresh[1]); !strings.Contains(body, "Sự kiện đã hủy") {
		t.Errorf("a pass of a cancelled event:\n%s", body)
	}
}

// code reads the code on a pass's page.
func (w *world) code(link string) string {
	w.T.Helper()
	status, body, _ := w.Get("", link+"/ma.png")
	if status != 200 {
		w.T.Fatalf("code of a pass: %d", status)
	}
	img, err := png.Decode(strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	text, err := phone.Read(img)
	if err != nil {
		w.T.Fatal(err)
	}
	return text
}

func TestLinksAreNotGuessed(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	if status, _, _ := w.Post("owner", at+"/khach", url.Values{"event.guest": {"Lan"}, "event.category": {"4"}, "event.phone": {"0905123456"}}); status != 303 {
		t.Fatal(status)
	}
	link := regexp.MustCompile(`/ve/([a-z2-7]+)`).FindStringSubmatch(w.page("owner", at+"/khach"))[1]
	for i := range len(link) {
		other := []byte(link)
		if other[i]++; other[i] > 'z' {
			other[i] = '2'
		}
		if status, _, _ := w.Get("", "/ve/"+string(other)); status != 404 {
			t.Errorf("link with another letter %d: %d", i, status)
		}
	}
	for _, bad := range []string{"a", strings.ToUpper(link), link + "a", "%00", strings.Repeat("a", 5000)} {
		if status, _, _ := w.Get("", "/ve/"+bad); status != 404 && status != 400 {
			t.Errorf("link %.20q: %d", bad, status)
		}
	}
}

func TestWhatIsTypedWrong(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(url.Values){
		"no name":         func(f url.Values) { f.Set("event.name", " ") },
		"no day":          func(f url.Values) { f.Set("event.day", "mai") },
		"no clock":        func(f url.Values) { f.Set("event.from", "7 giờ") },
		"ends first":      func(f url.Values) { f.Set("event.to", "18:00") },
		"long ago":        func(f url.Values) { f.Set("event.day", "2020-01-01") },
		"too long":        func(f url.Values) { f.Set("event.last", "2099-01-01") },
		"no category":     func(f url.Values) { f.Del("event.is.delegate"); f.Del("event.is.public") },
		"capacity":        func(f url.Values) { f.Set("event.capacity", "-5") },
		"gate too long":   func(f url.Values) { f.Set("event.gates.delegate", "cổng phía đông bắc") },
		"others' place":   func(f url.Values) { f.Set("event.place", fmt.Sprint(w.Other.No)) },
		"letters":         func(f url.Values) { f.Set("event.name", "a\x00b") },
		"not a character": func(f url.Values) { f.Set("event.about", "\xff\xfe") },
	} {
		form := w.tomorrow()
		change(form)
		status, body, _ := w.Post("owner", "/su-kien/moi", form)
		if status != 422 || !strings.Contains(body, `class="wrong`) {
			t.Errorf("%s: %d", name, status)
		}
	}
	at := w.open(w.tomorrow())
	for name, form := range map[string]url.Values{
		"no name":     {"event.category": {"4"}, "event.phone": {"0905123456"}},
		"no contact":  {"event.guest": {"Lan"}, "event.category": {"4"}},
		"no category": {"event.guest": {"Lan"}, "event.phone": {"0905123456"}},
		"phone":       {"event.guest": {"Lan"}, "event.category": {"4"}, "event.phone": {"12"}},
		"email":       {"event.guest": {"Lan"}, "event.category": {"4"}, "event.email": {"lan@"}},
	} {
		if status, _, _ := w.Post("owner", at+"/khach", form); status != 422 {
			t.Errorf("guest: %s: %d", name, status)
		}
	}
	// Somebody else has saved meanwhile: what was typed is shown again, and saved when asked.
	form := w.tomorrow()
	form.Set("version", "1")
	if status, _, _ := w.Post("owner", at+"/sua", form); status != 303 {
		t.Fatal(status)
	}
	form.Set("event.name", "Đêm nhạc Văn Cao")
	status, body, _ := w.Post("owner", at+"/sua", form)
	if status != 422 || !strings.Contains(body, "Đêm nhạc Văn Cao") {
		t.Errorf("edit of an older version: %d", status)
	}
	form.Set("version", regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(body)[1])
	if status, _, _ := w.Post("owner", at+"/sua", form); status != 303 {
		t.Errorf("edit once it was seen: %d", status)
	}
}

func workbook(t *testing.T, rows ...[]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, row := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGuestsFromASpreadsheet(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	head := []any{"Họ và tên", "Đơn vị", "Nhóm khách", "Điện thoại", "E-mail"}
	good := []any{"Nguyễn Thị Lan", "Báo Huế", "Đại biểu", "905123456", ""}
	status, body, _ := w.Upload("owner", at+"/nhap", "event.file", workbook(t, head, good, []any{"Trần Văn Huy", "", "vé mời", "", "huy@example.vn"}, []any{"Ai đó", "", "VIP", "", ""}), nil)
	if status != 422 || !strings.Contains(body, "1 dòng sai") {
		t.Errorf("a sheet with a wrong row: %d", status)
	}
	if e, err := w.events.Event(t.Context(), 1); err != nil || e.Guests != 0 {
		t.Errorf("after a wrong sheet %d are invited, %v", e.Guests, err)
	}
	status, _, _ = w.Upload("owner", at+"/nhap", "event.file", workbook(t, head, good, []any{"Trần Văn Huy", "=HYPERLINK(1)", "vé mời", "", "huy@example.vn"}), nil)
	if status != 303 {
		t.Fatalf("a good sheet: %d", status)
	}
	if status, _, _ := w.Upload("owner", at+"/nhap", "event.file", workbook(t, head, good, good), nil); status != 422 {
		t.Errorf("a row twice: %d", status)
	}
	for name, file := range map[string][]byte{"nothing": {}, "no sheet": []byte("\x00\x01\x02"), "no column": workbook(t, []any{"Cột"}, []any{"x"}), "no row": workbook(t, head)} {
		if status, _, _ := w.Upload("owner", at+"/nhap", "event.file", file, nil); status != 422 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, body, _ := w.Get("owner", at+"/nhap.xlsx"); status != 200 || len(body) < 1000 {
		t.Errorf("the form: %d", status)
	}
	status, body, _ = w.Get("owner", at+"/khach.xlsx")
	if status != 200 {
		t.Fatalf("the list: %d", status)
	}
	f, err := excelize.OpenReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows(f.GetSheetName(0))
	if err != nil || len(rows) != 3 || rows[1][0] != "Nguyễn Thị Lan" {
		t.Errorf("the list: %v, %v", rows, err)
	}
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range z.File {
		if strings.Contains(part.Name, "sheet1") {
			r, err := part.Open()
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			b.ReadFrom(r)
			if strings.Contains(b.String(), "<f>") {
				t.Error("a cell of the list is a formula")
			}
		}
	}
	if status, pdf, _ := w.Post("owner", at+"/in", nil); status != 200 || !strings.HasPrefix(pdf, "%PDF") {
		t.Errorf("passes to print: %d", status)
	}
}

// tell is a door's check-in of a guest.
func (w *world) tell(g *events.Guest, gate string, d wire.Direction, at time.Time) {
	w.T.Helper()
	day := qrgate.DayOf(at)
	subject, err := w.vault.Subject(day, g.Person)
	if err != nil {
		w.T.Fatal(err)
	}
	w.told = append(w.told, qrgate.Checkin{
		Kiosk: "kiosk-" + gate, PlaceNo: w.Place.No, Gate: gate, Direction: d, Day: day, Subject: subject, Pass: pass.Event, Verdict: wire.Admitted,
		Earliest: at.UnixMilli(), Latest: at.UnixMilli(), Received: at.UnixMilli(),
	})
}

func TestWhoCame(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	var guests []*events.Guest
	for i := range 4 {
		guests = append(guests, &events.Guest{Category: uint8(1 + i%2*3), Details: events.Details{Name: fmt.Sprint("Khách ", i), Phone: "+84905123456"}})
	}
	if err := w.events.Invite(t.Context(), "owner", 1, guests); err != nil {
		t.Fatal(err)
	}
	e, err := w.events.Event(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	clock := func(minutes int) time.Time { return e.Starts.Add(time.Duration(minutes) * time.Minute) }
	w.tell(guests[0], "A1", wire.In, clock(0))
	w.tell(guests[0], "A1", wire.Out, clock(30)) // went
	w.tell(guests[1], "A2", wire.In, clock(1))
	w.tell(guests[2], "A1", wire.In, clock(2))
	w.tell(guests[2], "A2", wire.In, clock(9)) // a copy
	w.told = append(w.told, qrgate.Checkin{PlaceNo: w.Place.No, Pass: pass.Event, Verdict: wire.Refused, Reason: wire.ReasonEvent, Earliest: clock(3).UnixMilli(), Latest: clock(3).UnixMilli()})
	w.told = append(w.told, qrgate.Checkin{PlaceNo: w.Place.No, Pass: pass.CCCD, Verdict: wire.Admitted, Direction: wire.In, Earliest: clock(3).UnixMilli(), Latest: clock(3).UnixMilli()})
	body := w.page("guard", at+"/co-mat")
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"all.invited": "4", "all.came": "3", "all.inside": "2", "1.invited": "2", "1.came": "2", "1.inside": "1", "4.came": "1", "4.inside": "1", "denied": "1", "copies": "1", "unopened": "0",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
	if page := w.page("owner", at); !strings.Contains(page, fmt.Sprintf("Vé %d, lần sau", guests[2].Number)) || !strings.Contains(page, "A1, A2") {
		t.Error("the copied pass is not shown")
	} else if !strings.Contains(page, got["told"]) || !strings.Contains(got["told"], "28/11/2026 19:") {
		t.Errorf("the page and %q do not say the same time", got["told"])
	} else if !strings.Contains(page, `<span data-figure="all.inside">2</span> / 500`) {
		t.Error("a newer figure of who is inside takes the place of the capacity too")
	}
}

// invited returns the first event, and a guest of it.
func (w *world) invited() (*events.Event, *events.Guest) {
	w.T.Helper()
	lan := &events.Guest{Category: 1, Details: events.Details{Name: "Lan", Phone: "+84905123456"}}
	if err := w.events.Invite(w.T.Context(), "owner", 1, []*events.Guest{lan}); err != nil {
		w.T.Fatal(err)
	}
	e, err := w.events.Event(w.T.Context(), 1)
	if err != nil {
		w.T.Fatal(err)
	}
	return e, lan
}

// A key that was lost, or a subject that was damaged, is one guest less and not an
// event without figures.
func TestWhoCameThoughOneDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	e, lan := w.invited()
	w.tell(lan, "A1", wire.In, e.Starts)
	damaged, lost := w.told[0], w.told[0]
	damaged.Subject = qrgate.Subject{1}
	lost.Day++ // has no key
	w.told = append(w.told, damaged, lost)
	if figures := w.page("guard", at+"/co-mat"); !strings.Contains(figures, `"all.came":"1"`) {
		t.Errorf("figures = %s, want one guest who came", figures)
	}
	if page := w.page("owner", at); !strings.Contains(page, "2 lượt quét không mở được") {
		t.Error("the page does not say that two check-ins cannot be opened")
	}
	if n := w.log.count("do not open"); n != 1 {
		t.Errorf("the log says so %d times, want once", n)
	}
}

// Somebody who asks for a large file and does not read it holds up nobody.
func TestWhoDoesNotReadHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	var guests []*events.Guest
	for i := range 100 {
		guests = append(guests, &events.Guest{Category: 1, Details: events.Details{Name: fmt.Sprint("Khách ", i), Phone: "+84905123456"}})
	}
	if err := w.events.Invite(t.Context(), "owner", 1, guests); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.Served)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4096)
		return ctx
	}
	server.Start()
	defer func() {
		server.CloseClientConnections()
		server.Close()
	}()
	// The window is agreed on with the connection.
	little := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, set)
	}}
	slow, err := little.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	r, err := http.NewRequest("POST", server.URL+at+"/in", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range w.People["owner"].Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	if err := r.Write(slow); err != nil {
		t.Fatal(err)
	}
	began := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(slow, began); err != nil || string(began) != "HTTP/1.1 200" {
		t.Fatalf("passes to print = %q, %v", began, err)
	}
	if status, _, _ := w.Get("owner", at+"/khach.xlsx"); status != 200 {
		t.Errorf("the list beside somebody who does not read = %d, want 200", status)
	}
}
