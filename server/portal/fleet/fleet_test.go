package fleet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

var kioskLink = regexp.MustCompile(`data-kiosk="([^"]*)"`)

// kiosksOn returns the kiosks that a list names.
func kiosksOn(page string) (all []string) {
	for _, m := range kioskLink.FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestWhoSeesWhich(t *testing.T) {
	w := newWorld(t)
	w.beat(market, true, healthy(time.Now()), time.Now())
	all := []string{market, hotel, nobody}
	sees := map[string][]string{
		"owner": {market}, "foreign": {hotel}, "trade": {market}, "tourism": {hotel}, "commune": {market, hotel}, "admin": all,
		"guard": nil, "reporter": nil, "health": nil, "": nil,
	}
	for who, want := range sees {
		status, body, _ := w.Get(who, "/thiet-bi")
		allowed := map[bool]int{true: 200, false: 403}[want != nil]
		if who == "" {
			allowed = 303
		}
		got := kiosksOn(body)
		if status != allowed || len(got) != len(want) {
			t.Errorf("%q sees %d: %v, want %d: %v", who, status, got, allowed, want)
		}
		for _, id := range all {
			may := strings.Contains(strings.Join(want, " "), id)
			expect := map[bool]int{true: 200, false: 404}[may]
			if want == nil {
				expect = allowed
			}
			status, body, _ := w.Get(who, "/thiet-bi/"+id)
			if status != expect {
				t.Errorf("%q gets %s: %d, want %d", who, id, status, expect)
			}
			if keeps := strings.Contains(body, "/lenh"); keeps != (who == "admin") {
				t.Errorf("%q is offered orders to %s: %t", who, id, keeps)
			}
		}
	}
	for _, id := range []string{"gate-unknown", "A", "kiosk'--", "%00", strings.Repeat("a", 5000), "..%2f"} {
		if status, _, _ := w.Get("admin", "/thiet-bi/"+id); status != 404 && status != 400 && status != 414 {
			t.Errorf("kiosk %.20q = %d", id, status)
		}
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.beat(market, true, sick(now), now)
	w.beat(hotel, false, healthy(now), now)
	w.alarm(market, judge.IsHot, now, 83_900, "")
	w.alarm(hotel, judge.IsSilent, now, 300, "")
	for query, want := range map[string][]string{
		"":                                 {hotel, market, nobody}, // what is grave first
		"?tim=dong+ba":                     {market},
		"?tim=SONG-HUONG-0":                {hotel},
		"?tim=cho-dong":                    {market},
		"?tim=%00%ff":                      nil,
		"?trang=online":                    {market},
		"?trang=offline":                   {hotel},
		"?trang=unseen":                    {nobody},
		"?trang=canh-bao":                  {hotel, market},
		"?trang=nang":                      {hotel},
		"?trang=no-such":                   nil,
		"?nganh=tourism":                   {hotel},
		"?khu=19753@2025-07-01":            {hotel, market},
		"?khu=%22%3E%3Cscript%3E":          nil,
		"?so=99":                           {hotel, market, nobody},
		"?so=-1":                           {hotel, market, nobody},
		"?tim=" + strings.Repeat("a", 300): nil,
	} {
		status, body, _ := w.Get("admin", "/thiet-bi"+query)
		if got := kiosksOn(body); status != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%.40s: %d, %v, want %v", query, status, got, want)
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("%s comes back unescaped", query)
		}
	}
}

// A world of its own: one read of the kiosks serves for as long as it was costly.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.town(120)
	_, first, _ := w.Get("admin", "/thiet-bi")
	_, last, _ := w.Get("admin", "/thiet-bi?so=3")
	if a, b := kiosksOn(first), kiosksOn(last); len(a) != 50 || len(b) != 23 || !strings.Contains(first, "so=2") || strings.Contains(last, "so=4") {
		t.Errorf("pages of %d and %d kiosks, want 50 and 23", len(a), len(b))
	}
}

// Who looks after kiosks is told of those without a network that nobody goes to.
func TestKiosksThatNobodyGoesTo(t *testing.T) {
	w := newWorld(t)
	w.add("gate-far-1", 1)
	w.must(w.Store.NoteCarried(t.Context(), "", "gate-far-1", 1, 1))
	says := func(who string) bool {
		_, body, _ := w.Get(who, "/thiet-bi")
		return strings.Contains(body, "1 thiết bị không có mạng")
	}
	if says("admin") {
		t.Error("somebody was there just now")
	}
	w.exec("UPDATE audit SET at = ? WHERE action = 'carry'", time.Now().AddDate(0, 0, -15).UnixMilli())
	if !says("admin") || says("owner") {
		t.Errorf("an administrator is told: %t, an owner: %t", says("admin"), says("owner"))
	}
}

func TestKioskPageSaysWhatTheBeatSays(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.beat(market, true, sick(now), now)
	w.alarm(market, judge.HasScanner, now.Add(-time.Hour), 0, "serial-1: babbling")
	w.history(market)
	_, body, _ := w.Get("admin", "/thiet-bi/"+market)
	for _, want := range []string{
		"Trực tuyến", "1.4.2", "Raspberry Pi 4", "5f0c1b7a9d3e4f60", "83,9 °C", "Đang thiếu điện áp", "9 ngày", "Chưa đối chiếu", "± 38 ms", "3.120", "1 giờ 30 phút",
		"3,1 MB", "Chỉ đọc được", "thẻ nhớ đến từ máy khác", "Gửi dữ liệu rác", "Camera quá tối", "64 %", "đưa gần hơn: 1.204, nghiêng tránh lóa: 7", "310 thẻ, bản 12", "serial-1: gửi dữ liệu rác",
		`id="chart-temperature-t"`, `id="chart-scans-t"`, "Mất kết nối",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// A beat that says little leaves out the rest.
	w.beat(hotel, true, wire.Beat{}, now)
	_, body, _ = w.Get("admin", "/thiet-bi/"+hotel)
	for _, not := range []string{"°C", "Nguồn điện", "Bộ nhớ", "chart-"} {
		if strings.Contains(body, not) {
			t.Errorf("of a kiosk that says nothing the page says %q", not)
		}
	}
	for _, span := range []string{"6g", "14n", "90n", "x'"} {
		if status, _, _ := w.Get("owner", "/thiet-bi/"+market+"?ky="+url.QueryEscape(span)); status != 200 {
			t.Errorf("span %q = %d", span, status)
		}
	}
}

func TestEveryFaultOfAScannerHasWords(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	b := healthy(now)
	b.Scanners = nil
	for _, fault := range []string{"absent", "silent", "stuck", "babbling", "black", "dark", "bright", "frozen"} {
		b.Scanners = append(b.Scanners, wire.ScannerBeat{Name: "camera:1", Present: true, Fault: fault})
	}
	w.beat(market, true, b, now)
	if _, body, _ := w.Get("admin", "/thiet-bi/"+market); strings.Contains(body, "Lỗi: ") || !strings.Contains(body, "Camera đứng hình") {
		t.Error("the page shows a fault by its name, not in words")
	}
}

func TestHostileBeat(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	b := healthy(now)
	b.Release, b.Model, b.Serial = "<script>alert(1)</script>", strings.Repeat("ế", 26), "\u202e'\""
	b.Queued, b.Oldest, b.Used, b.Limit, b.Uptime, b.Temperature, b.Error, b.RoundTrip, b.Links = 1<<64-1, 1<<63-1, 1<<63-1, 1, 1<<63-1, -1<<31, 1<<63-1, 1<<63-1, 1<<32-1
	least := int64(-1 << 63)
	b.Offset, b.Lost, b.Unrecorded = &least, 1<<64-1, 1<<64-1
	b.Scanners = []wire.ScannerBeat{{Name: "<b>x</b>\r\n\r\nevent: x", Fault: "</td><script>", Scans: 1<<64 - 1, Bad: 1<<64 - 1, LastScan: 1<<63 - 1, Share: 255}}
	w.beat(market, true, b, now)
	w.alarm(market, judge.HasScanner, now, 1<<62, "<i>\r\ndata: x")
	for _, path := range []string{"/thiet-bi", "/thiet-bi/" + market, "/thiet-bi/canh-bao"} {
		status, body, _ := w.Get("admin", path)
		if status != 200 || strings.Contains(body, "<script>alert") || strings.Contains(body, "</td><script>") || strings.Contains(body, "<i>") || strings.Contains(body, "<b>x") {
			t.Errorf("%s = %d, or it is not escaped", path, status)
		}
	}
}

func TestAcknowledgeAndMute(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.beat(market, true, sick(now), now)
	w.alarm(market, judge.IsHot, now.Add(-time.Hour), 83_900, "")
	w.alarm("", judge.Outage, now, 12, "")
	of := func(kiosk, kind string, more ...string) url.Values {
		v := url.Values{"kiosk": {kiosk}, "loai": {kind}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	for _, who := range []string{"owner", "commune", "trade", "health", "guard"} {
		for _, path := range []string{"/thiet-bi/canh-bao", "/thiet-bi/canh-bao/tat"} {
			if status, _, _ := w.Post(who, path, of(market, "hot", "gio", "24")); status != 403 {
				t.Errorf("%s by %s = %d, want 403", path, who, status)
			}
		}
	}
	for name, v := range map[string]url.Values{
		"no kind": of(market, ""), "another kind": of(market, "outage"), "no kiosk": of("", "hot"), "unknown": of("gate-9999", "hot"), "noise": of("\x00\xff", "hot"),
	} {
		if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao", v); status != 400 && status != 404 {
			t.Errorf("acknowledge with %s = %d", name, status)
		}
	}
	if status, _, h := w.Post("admin", "/thiet-bi/canh-bao", of(market, "hot", "ve", "/thiet-bi/"+market)); status != 303 || h.Get("Location") != "/thiet-bi/"+market {
		t.Errorf("acknowledge = %d, to %s", status, h.Get("Location"))
	}
	if _, body, _ := w.Get("owner", "/thiet-bi/"+market); !strings.Contains(body, "đã có người nhận") {
		t.Error("the owner does not see that somebody sees to it")
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao", of(market, "hot")); status != 409 {
		t.Errorf("acknowledge again = %d, want 409", status)
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao", of("", "outage")); status != 303 {
		t.Errorf("acknowledge the outage = %d", status)
	}

	for _, hours := range []string{"721", "-1", "x"} {
		if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao/tat", of(market, "", "gio", hours)); status != 400 {
			t.Errorf("mute for %q = %d", hours, status)
		}
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao/tat", of(market, "", "gio", "12")); status != 303 {
		t.Errorf("mute = %d", status)
	}
	if mutes, _ := w.kept.Mutes(t.Context(), now); len(mutes) != 1 || mutes[0].By != "admin" {
		t.Errorf("Mutes() = %v", mutes)
	}
	if _, body, _ := w.Get("admin", "/thiet-bi/"+market); !strings.Contains(body, "Không báo gì về thiết bị này") {
		t.Error("the page does not say that the kiosk is muted")
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao/tat", of(market, "", "gio", "0")); status != 303 {
		t.Errorf("unmute = %d", status)
	}
	if mutes, _ := w.kept.Mutes(t.Context(), now); len(mutes) != 0 {
		t.Errorf("after it Mutes() = %v", mutes)
	}
	// An officer sees the alarms of their scope only.
	if _, body, _ := w.Get("tourism", "/thiet-bi/canh-bao"); strings.Contains(body, market) || strings.Contains(body, "12 thiết bị") {
		t.Error("an officer of another sector sees the market's alarm, or the network's")
	}
	if _, body, _ := w.Get("trade", "/thiet-bi/canh-bao"); !strings.Contains(body, market) {
		t.Error("the officer of the sector does not see the market's alarm")
	}
}

func TestSubscribing(t *testing.T) {
	w := newWorld(t)
	const path = "/thiet-bi/canh-bao/dang-ky"
	form := func(scope, way, address string) url.Values {
		return url.Values{"pham_vi": {scope}, "cach": {way}, "dia_chi": {address}, "nang": {"1"}}
	}
	if status, body, _ := w.Post("owner", path, form("organisation:mine", "thu", "")); status != 422 || !strings.Contains(body, "chưa có địa chỉ thư") {
		t.Errorf("subscribed without an address: %d", status)
	}
	w.exec("UPDATE accounts SET email = name || '@example.vn', confirmed = 1")
	for name, tt := range map[string]struct {
		who  string
		form url.Values
		want int
	}{
		"somebody else's scope": {"owner", form("organisation:others", "thu", ""), 422},
		"everything":            {"owner", form("all", "thu", ""), 422},
		"an owner's webhook":    {"owner", form("organisation:mine", "web", "https://example.vn/"), 403},
		"a guard":               {"guard", form("organisation:mine", "thu", ""), 403},
		"no way":                {"admin", form("all", "", ""), 422},
		"in clear":              {"admin", form("all", "web", "http://example.vn/"), 422},
		"no address":            {"admin", form("all", "web", ""), 422},
		"with a password":       {"admin", form("all", "web", "https://a:b@example.vn/"), 422},
		"a script":              {"admin", form("all", "web", "javascript:alert(1)"), 422},
		"noise":                 {"admin", form("all\x00", "web", "\xff"), 400},
		"own":                   {"owner", form("organisation:mine", "thu", ""), 303},
		"the same again":        {"commune", form("area:19753@2025-07-01", "thu", ""), 303},
		"a webhook":             {"admin", form("all", "web", "https://alarms.example.vn/hook/secret"), 303},
	} {
		if status, _, _ := w.Post(tt.who, path, tt.form); status != tt.want && (tt.want != 400 || status != 422) {
			t.Errorf("%s = %d, want %d", name, status, tt.want)
		}
	}
	if status, _, _ := w.Post("owner", path, form("organisation:mine", "thu", "")); status != 409 {
		t.Errorf("twice = %d, want 409", status)
	}
	subs, err := w.kept.Subscriptions(t.Context())
	if err != nil || len(subs) != 3 {
		t.Fatalf("Subscriptions() = %+v, %v", subs, err)
	}
	_, body, _ := w.Get("admin", "/thiet-bi/canh-bao")
	for _, s := range subs {
		if secret := string(judge.Secret([]byte("key"), s.ID)); strings.Contains(body, secret) != (s.Account == "admin") {
			t.Errorf("the page shows the secret of %s: %t", s.Account, s.Account != "admin")
		}
		if s.Account == "admin" {
			if status, _, _ := w.Post("owner", "/thiet-bi/canh-bao/huy", url.Values{"ma": {s.ID}}); status != 404 {
				t.Errorf("ended by somebody else = %d", status)
			}
			if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao/huy", url.Values{"ma": {s.ID}}); status != 303 {
				t.Errorf("ended = %d", status)
			}
		}
	}
	if strings.Contains(body, "/hook/secret") {
		t.Error("the page shows the path of an address")
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/canh-bao/huy", url.Values{"ma": {"' OR 1=1\x00"}}); status != 404 && status != 400 {
		t.Errorf("ended what is none = %d", status)
	}
}

// A viewer is an open stream.
type viewer struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (w *world) watch(t *testing.T, who, query string) *viewer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", w.URL+"/thiet-bi/dong"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.People[who].Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("stream = %d, %q", resp.StatusCode, got)
	}
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 4<<20)
	return &viewer{t, s}
}

// until returns the HTML of the first event of that name that holds text.
func (v *viewer) until(name, text string) string {
	v.t.Helper()
	event := ""
	for v.lines.Scan() {
		field, value, _ := strings.Cut(v.lines.Text(), ": ")
		switch field {
		case "event":
			event = value
		case "data":
			var html string
			if err := json.Unmarshal([]byte(value), &html); err != nil {
				v.t.Fatalf("event %s is no JSON: %v", event, err)
			}
			if event == name && strings.Contains(html, text) {
				return html
			}
		}
	}
	v.t.Fatalf("the stream ended before %s with %q: %v", name, text, v.lines.Err())
	return ""
}

func TestStream(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.beat(market, true, healthy(now), now)
	owner, admin := w.watch(t, "owner", ""), w.watch(t, "admin", "?trang=canh-bao")
	first := owner.until("rows", market)
	if strings.Contains(first, hotel) {
		t.Error("an owner's stream begins with others' kiosks")
	}
	admin.until("rows", "Không có thiết bị nào như vậy")
	w.beat(market, false, healthy(now), now.Add(time.Second))
	if row := owner.until("row", "Mất liên lạc"); len(kiosksOn(row)) != 1 {
		t.Errorf("one kiosk went, and the stream has %v", kiosksOn(row))
	}
	w.alarm(market, judge.IsSilent, now, 300, "")
	w.alarm(hotel, judge.IsHot, now, 90_000, "")
	if rows := admin.until("rows", hotel); fmt.Sprint(kiosksOn(rows)) != fmt.Sprint([]string{market, hotel}) && len(kiosksOn(rows)) != 1 {
		t.Errorf("alarmed are %v", kiosksOn(rows))
	}
	w.alarm("", judge.Outage, now, 12, "")
	owner.until("figures", "12 thiết bị cùng mất liên lạc")
	w.linked.Store(0)
	owner.until("figures", "Máy chủ đang mất liên lạc")

	// There is a bound, and whoever is over it is told when to come again.
	w.watch(t, "admin", "")
	if status, _, h := w.Get("admin", "/thiet-bi/dong"); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a stream too many = %d", status)
	}
	if status, _, _ := w.Get("guard", "/thiet-bi/dong"); status != 403 {
		t.Errorf("a guard's stream = %d", status)
	}
}

// Anybody may become an owner, and keeps nobody who looks after kiosks from looking.
func TestOwnersLeaveStreamsToOthers(t *testing.T) {
	w := newWorld(t)
	w.watch(t, "owner", "")
	w.watch(t, "owner", "")
	if status, _, h := w.Get("owner", "/thiet-bi/dong"); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a third stream of owners, of three in all = %d", status)
	}
	w.watch(t, "admin", "")
}

// Who may not look any more does not look on.
func TestStreamEndsWithTheRole(t *testing.T) {
	w := newWorld(t)
	out, blocked, robbed := w.watch(t, "owner", ""), w.watch(t, "commune", ""), w.watch(t, "trade", "")
	for _, v := range []*viewer{out, blocked, robbed} {
		v.until("figures", "")
	}
	if err := w.Reg.EndSignIns(t.Context(), "owner", "owner", ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Reg.Block(t.Context(), "admin", "commune", true); err != nil {
		t.Fatal(err)
	}
	if err := w.Reg.TakeRole(t.Context(), "admin", "trade", w.Roles["trade"]); err != nil {
		t.Fatal(err)
	}
	for who, v := range map[string]*viewer{"signed out": out, "blocked": blocked, "without the role": robbed} {
		for v.lines.Scan() {
		}
		if err := v.lines.Err(); err != nil {
			t.Errorf("the stream of somebody %s ended with %v, want that the server ended it", who, err)
		}
	}
}

// Who has lost some of the kiosks, but not all, does not look on at those.
func TestStreamNarrowsWithTheScope(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.must(w.Reg.GiveRole(t.Context(), "admin", "trade", w.Roles["tourism"]))
	v := w.watch(t, "trade", "")
	if rows := v.until("rows", market); !strings.Contains(rows, hotel) {
		t.Fatalf("an officer of two sectors sees %v", kiosksOn(rows))
	}
	w.must(w.Reg.TakeRole(t.Context(), "admin", "trade", w.Roles["tourism"]))
	if rows := v.until("rows", market); fmt.Sprint(kiosksOn(rows)) != fmt.Sprint([]string{market}) {
		t.Errorf("once the other is taken away, the stream has %v", kiosksOn(rows))
	}
	w.beat(hotel, true, healthy(now), now)
	w.beat(market, false, healthy(now), now.Add(time.Second))
	if row := v.until("row", "Mất liên lạc"); strings.Contains(row, hotel) {
		t.Errorf("a kiosk of the other sector is in %v", kiosksOn(row))
	}
}

func TestLetter(t *testing.T) {
	since := time.Date(2026, 11, 26, 12, 0, 0, 0, qrgate.Zone)
	m := judge.Message{
		Subscription: judge.Subscription{Email: "a@example.vn"}, Made: since, More: 2,
		Begun: []judge.Item{{Kiosk: market, Place: "Chợ\r\nBcc: x", Kind: judge.IsHot, Value: 83_900, Since: since}},
		Ended: []judge.Item{{Kiosk: hotel, Place: "Khách sạn", Kind: judge.HasScanner, About: "serial-1: stuck", Since: since}},
	}
	l := fleet.Letter(m, "https://qr.example.vn")
	if l.To != "a@example.vn" || !strings.Contains(l.Subject, "3 cảnh báo mới") || strings.ContainsAny(l.Subject, "\r\n") {
		t.Errorf("letter to %s about %q", l.To, l.Subject)
	}
	for _, want := range []string{"- Chợ Bcc: x (cho-dong-ba-1), 26/11/2026 12:00: Nhiệt độ 83,9 °C", "1 cảnh báo đã hết", "Stuck at one code", "https://qr.example.vn/thiet-bi/canh-bao", "The temperature is"} {
		if !strings.Contains(l.Text, want) && !strings.Contains(l.Text, strings.ToLower(want[:1])+want[1:]) {
			t.Errorf("the letter does not say %q:\n%s", want, l.Text)
		}
	}
	if l := fleet.Letter(judge.Message{Outage: 60}, ""); !strings.Contains(l.Subject, "60 thiết bị cùng mất liên lạc") || len(l.Text) > 2000 {
		t.Errorf("letter of an outage: %q", l.Subject)
	}
	if l := fleet.Letter(judge.Message{Back: true}, ""); !strings.Contains(l.Subject, "liên lạc trở lại") {
		t.Errorf("letter of its end: %q", l.Subject)
	}
}
