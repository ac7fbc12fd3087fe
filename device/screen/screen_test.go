package screen_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

var quietLog = slog.New(slog.DiscardHandler)

// doorReasons are those that a visitor may be told.
func doorReasons() []wire.Reason {
	return slices.DeleteFunc(wire.Reasons(), func(r wire.Reason) bool { return r >= wire.ReasonVersion })
}

// answers returns every answer that a door can give, by name.
func answers() map[string]kiosk.Answer {
	all := map[string]kiosk.Answer{
		"typed":       {State: words.Admitted, Typed: true, Seq: 4, MayBring: true},
		"typed wrong": {State: words.Refused, Typed: true, Reason: wire.ReasonMalformed},
		"phone wrong": {State: words.Refused, Typed: true, Phone: true, Reason: wire.ReasonMalformed},
		"phone wait":  {State: words.Refused, Typed: true, Phone: true, Reason: wire.ReasonTries},
		"card first":  {State: words.Refused, CardFirst: true},
		"test card":   {State: words.Admitted, Test: true, Seq: 1},
		"companions":  {State: words.Admitted, Seq: 4, Brought: 5},
		"may bring":   {State: words.Admitted, Seq: 4, MayBring: true},
	}
	for _, s := range words.States() {
		all[string(s)] = kiosk.Answer{State: s}
	}
	for _, r := range doorReasons() {
		all["refused "+r.String()] = kiosk.Answer{State: words.Refused, Reason: r}
	}
	return all
}

// A touchLog is a door that notes what is entered.
type touchLog struct {
	entered chan string
	err     error
}

func (d *touchLog) Enter(_ context.Context, code string) error {
	d.entered <- code
	return d.err
}

func (d *touchLog) EnterPhone(_ context.Context, number string) error {
	d.entered <- "phone " + number
	return d.err
}

func (d *touchLog) Bring(_ context.Context, with uint64, n int) error {
	d.entered <- fmt.Sprintf("%d more with %d", n, with)
	return d.err
}

func newDoor() *touchLog { return &touchLog{entered: make(chan string, 10)} }

// serve serves a screen's page until the test ends.
func serve(t testing.TB, s *screen.Screen, door screen.Door) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(s.Handler(door))
	t.Cleanup(func() { stop(srv) })
	return srv
}

// stop ends a server though a page still follows it.
func stop(srv *httptest.Server) {
	srv.Listener.Close()
	srv.CloseClientConnections()
	srv.Close()
}

func get(t testing.TB, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(b)
}

type said struct{ Head, Do string }

// A shown is what the page is told.
type shown struct {
	Number int
	State  words.State
	Left   int64
	VI, EN said
	Bring  uint64
	Time   string
	Date   string
	Inside string
	List   string
}

// follow returns what a page is told, one event after the other.
func follow(t testing.TB, url string) func() shown {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return func() shown {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var s shown
				if err := json.Unmarshal([]byte(data), &s); err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
		t.Fatalf("the events ended: %v", lines.Err())
		return shown{}
	}
}

func TestPageIsToldEveryAnswerInWords(t *testing.T) {
	s := screen.New(screen.Options{Place: "Chợ Đông Ba", Companions: true}, quietLog)
	next := follow(t, serve(t, s, newDoor()).URL)
	if got := next(); got.State != words.Starting || got.VI.Head == "" {
		t.Errorf("before the first answer the page is told %+v, want starting", got)
	}
	number := 0
	for _, name := range slices.Sorted(maps.Keys(answers())) {
		a := answers()[name]
		s.Show(a)
		got := next()
		for got.Number == number { // a beat
			got = next()
		}
		number = got.Number
		if got.State != a.State || got.VI.Head == "" || got.VI.Do == "" || got.EN.Head == "" || got.EN.Do == "" || got.Bring != 0 != a.MayBring {
			t.Errorf("%s: the page is told %+v", name, got)
		}
		if got.Time != "" || got.Inside != "" {
			t.Errorf("%s: the page shows the time %q and %q inside, which nobody knows", name, got.Time, got.Inside)
		}
	}
}

func TestAnswersGoBackByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := screen.New(screen.Options{Reset: 3 * time.Second, Explain: 7 * time.Second}, quietLog)
		events := recordEvents(t, s)
		for name, a := range answers() {
			s.Show(kiosk.Answer{State: words.Ready})
			time.Sleep(time.Second)
			s.Show(a)
			synctest.Wait()
			want := 3 * time.Second
			switch a.State {
			case words.Ready, words.Fault, words.Locked, words.Starting:
				want = 0
			case words.Again, words.Refused, words.Amber, words.Full, words.WrongLane, words.Reading, words.Ordered, words.Here:
				want = 7 * time.Second
			}
			if got := events.last(); got.State != a.State || got.Left != want.Milliseconds() {
				t.Errorf("%s is shown as %s for %d ms, want %v", name, got.State, got.Left, want)
			}
			if want == 0 {
				continue
			}
			time.Sleep(want - time.Millisecond)
			synctest.Wait()
			if got := events.last().State; got != a.State {
				t.Errorf("%s: a millisecond before its end the page shows %s", name, got)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got := events.last().State; got != words.Ready {
				t.Errorf("%s: at its end the page shows %s, want ready", name, got)
			}
		}
	})
}

func TestFaultStandsBehindAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := screen.New(screen.Options{}, quietLog)
		events := recordEvents(t, s)
		s.Show(kiosk.Answer{State: words.Fault})
		s.Show(kiosk.Answer{State: words.Amber})
		time.Sleep(screen.DefaultExplain)
		synctest.Wait()
		if got := events.last().State; got != words.Fault {
			t.Errorf("after amber the page shows %s, want fault", got)
		}
	})
}

func TestHintIsShownWhileTheDoorIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := screen.New(screen.Options{}, quietLog)
		events := recordEvents(t, s)
		expect := func(when string, state words.State, head string) {
			t.Helper()
			synctest.Wait()
			if got := events.last(); got.State != state || got.VI.Head != head {
				t.Errorf("%s the page shows %s, %q, want %s, %q", when, got.State, got.VI.Head, state, head)
			}
		}
		of := func(state words.State) string { return words.Door(words.Vietnamese, state).Head }
		s.Advise("closer")
		expect("while it starts", words.Starting, of(words.Starting))
		s.Show(kiosk.Answer{State: words.Ready})
		for _, h := range words.Hints() {
			s.Advise(h)
			expect("with a hint", words.Reading, words.Hint(words.Vietnamese, h).Head)
		}
		s.Show(kiosk.Answer{State: words.Admitted})
		expect("with an answer", words.Admitted, of(words.Admitted))
		time.Sleep(screen.DefaultReset)
		expect("after it", words.Reading, words.Hint(words.Vietnamese, "light").Head)
		s.Advise("")
		expect("when there is nothing more to say", words.Ready, of(words.Ready))
		s.Show(kiosk.Answer{State: words.Fault})
		s.Advise("tilt")
		expect("when the door cannot read", words.Fault, of(words.Fault))
	})
}

// An eventLog is a page's connection without a network.
type eventLog struct {
	header http.Header
	events chan shown
	seen   shown
	t      *testing.T
}

func recordEvents(t *testing.T, s *screen.Screen) *eventLog {
	l := &eventLog{header: http.Header{}, events: make(chan shown, 1000), t: t}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() {
		defer close(done)
		s.Handler(newDoor()).ServeHTTP(l, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8088/events", nil))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func (l *eventLog) Header() http.Header { return l.header }
func (l *eventLog) WriteHeader(int)     {}
func (l *eventLog) FlushError() error   { return nil }
func (l *eventLog) Write(b []byte) (int, error) {
	var s shown
	if err := json.Unmarshal(b[len("data: "):], &s); err != nil {
		l.t.Errorf("event %q: %v", b, err)
	}
	l.events <- s
	return len(b), nil
}

func (l *eventLog) last() shown {
	for {
		select {
		case l.seen = <-l.events:
		default:
			return l.seen
		}
	}
}

func TestTimeAndCountAreShownWhereTheyAreKnown(t *testing.T) {
	now := func() (time.Time, bool) { return time.Date(2026, 11, 26, 8, 5, 0, 0, time.UTC), true }
	least, most := 10, 12
	s := screen.New(screen.Options{Now: now, Inside: func() (int, int, bool) { return least, most, true }}, quietLog)
	next := follow(t, serve(t, s, newDoor()).URL)
	if got := next(); got.Time != "08:05" || got.Date != "Thứ Năm 26/11/2026" || got.Inside != "Bên trong: 10–12 người" {
		t.Errorf("shown: %q, %q, %q", got.Time, got.Date, got.Inside)
	}
	least = 12
	s.Show(kiosk.Answer{State: words.Ready})
	if got := next(); got.Inside != "Bên trong: 12 người" {
		t.Errorf("exact count is shown as %q", got.Inside)
	}
}

func TestAgainSaysWhenIfItMay(t *testing.T) {
	at := time.Date(2026, 11, 26, 1, 5, 0, 0, time.UTC)
	for _, tt := range []struct {
		lang words.Lang
		at   time.Time
		want string
	}{
		{words.Vietnamese, at, "Đã ghi nhận lúc 08:05"}, {words.English, at, "Recorded at 08:05"}, {words.Vietnamese, time.Time{}, "Đã ghi nhận rồi"},
	} {
		got := screen.Words(tt.lang, kiosk.Answer{State: words.Again, At: tt.at})
		if got.Head != tt.want || got.Do != words.Door(tt.lang, words.Again).Do {
			t.Errorf("Words(again at %s) = %+v, want %q", tt.at, got, tt.want)
		}
	}
}

func TestAgeOfTheListIsShownWhenItMatters(t *testing.T) {
	age, known := time.Duration(0), false
	s := screen.New(screen.Options{ListAge: func() (time.Duration, bool) { return age, known }}, quietLog)
	next := follow(t, serve(t, s, newDoor()).URL)
	if got := next(); got.List != "Chưa có danh sách thẻ" {
		t.Errorf("of a list that never came is said: %q", got.List)
	}
	known = true
	for _, tt := range []struct {
		age  time.Duration
		want string
	}{
		{0, ""}, {24*time.Hour - 1, ""}, {24 * time.Hour, "Danh sách thẻ: 1 ngày trước"}, {240 * time.Hour, "Danh sách thẻ: 10 ngày trước"},
	} {
		age = tt.age
		s.Show(kiosk.Answer{State: words.Ready})
		if got := next(); got.List != tt.want {
			t.Errorf("of a list %s old is said: %q, want %q", tt.age, got.List, tt.want)
		}
	}
}

var (
	tokenTag = regexp.MustCompile(`name="token" content="([A-Z2-7]+)"`)
	loadTag  = regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*"([^"]*)"`)
)

func TestEntriesAreTakenFromThePageAlone(t *testing.T) {
	door := newDoor()
	s := screen.New(screen.Options{Typed: true, Companions: true}, quietLog)
	srv := serve(t, s, door)
	token := tokenTag.FindStringSubmatch(get(t, srv.URL+"/"))[1]
	other := tokenTag.FindStringSubmatch(get(t, serve(t, screen.New(screen.Options{}, quietLog), door).URL+"/"))[1]
	good := http.Header{"X-Qrgate-Token": {token}, "Origin": {srv.URL}, "Sec-Fetch-Site": {"same-origin"}}
	with := func(key, value string) http.Header {
		h := good.Clone()
		h.Set(key, value)
		return h
	}
	for _, tt := range []struct {
		name, path, body string
		header           http.Header
		err              error
		status           int
		entered          string
	}{
		{"code", "/code", `{"code":"ABCDEFGH"}`, good, nil, 204, "ABCDEFGH"},
		{"companions", "/companions", `{"with":7,"number":3}`, good, nil, 204, "3 more with 7"},
		{"too late", "/companions", `{"with":7,"number":3}`, good, kiosk.ErrLate, 409, "3 more with 7"},
		{"door ends", "/code", `{"code":"ABCDEFGH"}`, good, context.Canceled, 503, "ABCDEFGH"},
		{"no token", "/code", `{"code":"ABCDEFGH"}`, http.Header{}, nil, 403, ""},
		{"an earlier process's token", "/code", `{"code":"ABCDEFGH"}`, with("X-QRGate-Token", other), nil, 403, ""},
		{"another site", "/code", `{"code":"ABCDEFGH"}`, with("Sec-Fetch-Site", "cross-site"), nil, 403, ""},
		{"another site of an old browser", "/code", `{"code":"ABCDEFGH"}`, http.Header{"X-Qrgate-Token": {token}, "Origin": {"http://evil.example"}}, nil, 403, ""},
		{"name pointed here", "/code", `{"code":"ABCDEFGH"}`, with("Host", "evil.example:80"), nil, 421, ""},
		{"address of a network", "/code", `{"code":"ABCDEFGH"}`, with("Host", "192.168.1.5:8088"), nil, 421, ""},
		{"no entry", "/code", `{"code":7}`, good, nil, 400, ""},
		{"unknown field", "/code", `{"cod":"A"}`, good, nil, 400, ""},
		{"too long", "/code", `{"code":"` + strings.Repeat("A", 600) + `"}`, good, nil, 400, ""},
		{"nothing", "/code", ``, good, nil, 400, ""},
		{"negative", "/companions", `{"with":-7,"number":3}`, good, nil, 400, ""},
	} {
		door.err = tt.err
		req, err := http.NewRequest(http.MethodPost, srv.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tt.header
		req.Host = tt.header.Get("Host")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := ""
		select {
		case got = <-door.entered:
		default:
		}
		if resp.StatusCode != tt.status || got != tt.entered {
			t.Errorf("%s: status %d, entered %q; want %d, %q", tt.name, resp.StatusCode, got, tt.status, tt.entered)
		}
	}
}

func TestEntriesThatAreSwitchedOff(t *testing.T) {
	srv := serve(t, screen.New(screen.Options{}, quietLog), newDoor())
	page := get(t, srv.URL+"/")
	for _, path := range []string{"/code", "/companions"} {
		req, err := http.NewRequest(http.MethodPost, srv.URL+path, strings.NewReader(`{"code":"ABCDEFGH"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-QRGate-Token", tokenTag.FindStringSubmatch(page)[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %s, want not found", path, resp.Status)
		}
	}
	if strings.Contains(page, "<button") {
		t.Error("there is something to press on a page that takes nothing")
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	srv := serve(t, screen.New(screen.Options{Place: `<b>"Chợ`, HelpLine: "19001075", Typed: true, Companions: true}, quietLog), newDoor())
	resp, err := http.Get(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	page := get(t, srv.URL+"/")
	if strings.Contains(page, "<b>") || !strings.Contains(page, "Hỗ trợ: 19001075") {
		t.Error("the page does not escape the place's name, or lacks the help line")
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "onclick") {
		t.Error("the page has styles or scripts that its own policy forbids")
	}
	css := get(t, srv.URL+"/assets/screen.css")
	loads := append(loadTag.FindAllStringSubmatch(page, -1), loadTag.FindAllStringSubmatch(css, -1)...)
	if len(loads) != 4 {
		t.Errorf("%d loads, want style, script and two fonts", len(loads))
	}
	for _, l := range loads {
		path := l[1]
		if !strings.HasPrefix(path, "/") {
			path = "/assets/" + path
		}
		get(t, srv.URL+path)
	}
}

func TestScreenListensToThisMachineAlone(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8088": true, "127.9.9.9:1": true, "[::1]:8088": true, "localhost:80": true,
		":8088": false, "0.0.0.0:8088": false, "192.168.1.2:80": false, "[::]:80": false, "kiosk.local:80": false, "127.0.0.1": false, "": false,
	} {
		if err := screen.CheckListen(addr); (err == nil) != want {
			t.Errorf("CheckListen(%q) = %v", addr, err)
		}
	}
}

func TestRunServesUntilItEnds(t *testing.T) {
	s := screen.New(screen.Options{}, quietLog)
	probe := httptest.NewServer(nil) // holds the port
	addr := probe.Listener.Addr().String()
	probe.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, addr, newDoor()) }()
	for {
		if resp, err := http.Get("http://" + addr + "/"); err == nil {
			resp.Body.Close()
			break
		}
		select {
		case err := <-done:
			t.Fatalf("Run = %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	next := follow(t, "http://"+addr) // a page that stays does not hold it
	next()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// Colours

var stateRule = regexp.MustCompile(`\[data-state="([a-z_]+)"\] \{ --bg: (#[0-9a-f]{6}); --ink: (#[0-9a-f]{6}); \}`)

// contrast is that of WCAG 2, of two colours as #rrggbb.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	l := func(c string) (sum float64) {
		for i, weight := range []float64{.2126, .7152, .0722} {
			n, err := strconv.ParseUint(c[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			v := float64(n) / 255
			if v <= .04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum
	}
	return (max(l(a), l(b)) + .05) / (min(l(a), l(b)) + .05)
}

func TestEveryStateHasItsOwnShapeAndColourOfEnoughContrast(t *testing.T) {
	css, err := os.ReadFile("assets/screen.css")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	found, colours := map[words.State]bool{}, map[string]string{}
	for _, m := range stateRule.FindAllStringSubmatch(string(css), -1) {
		state, bg, ink := m[1], m[2], m[3]
		found[words.State(state)] = true
		if c := contrast(t, bg, ink); c < 7 {
			t.Errorf("%s: contrast %.1f, want 7", state, c)
		}
		if other, ok := colours[bg]; ok {
			t.Errorf("%s and %s have the same colour", state, other)
		}
		colours[bg] = state
	}
	shapes := map[string]words.State{}
	for _, s := range words.States() {
		if !found[s] {
			t.Errorf("%s has no colours", s)
		}
		shape := regexp.MustCompile(`(?s)<svg data-for="` + string(s) + `"[^>]*>(.*?)</svg>`).FindSubmatch(page)
		if shape == nil {
			t.Errorf("%s has no shape", s)
			continue
		}
		if other, ok := shapes[string(shape[1])]; ok {
			t.Errorf("%s and %s have the same shape", s, other)
		}
		shapes[string(shape[1])] = s
	}
	if n := len(regexp.MustCompile(`#[0-9a-f]{3,8}\b`).FindAll(css, -1)); n != 2*len(found)+2 {
		t.Errorf("%d colours in screen.css; those beside the states' are not measured here", n)
	}
}

// Where no page is seen another program says how the door is.
func TestBrief(t *testing.T) {
	s := screen.New(screen.Options{Place: "Chợ Đông Ba", HelpLine: "0234 3 822 500"}, slog.New(slog.DiscardHandler))
	srv := serve(t, s, newDoor())
	for _, tt := range []struct {
		show []words.State
		want screen.Brief
	}{
		{nil, screen.Brief{State: words.Starting, Help: "0234 3 822 500"}},
		{[]words.State{words.Ready, words.Admitted}, screen.Brief{State: words.Ready, Help: "0234 3 822 500"}},
		{[]words.State{words.Fault}, screen.Brief{State: words.Fault, Help: "0234 3 822 500"}},
	} {
		for _, state := range tt.show {
			s.Show(kiosk.Answer{State: state})
		}
		var got screen.Brief
		if err := json.Unmarshal([]byte(get(t, srv.URL+"/brief")), &got); err != nil || got != tt.want {
			t.Errorf("after %v: brief = %+v, %v, want %+v", tt.show, got, err, tt.want)
		}
	}
}
