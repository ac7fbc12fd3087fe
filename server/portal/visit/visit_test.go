package visit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"image"
	_ "image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/visit"
	"github.com/qrgate/qrgate/server/portal/visit/visittest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A site is the pages in front of a world.
type site struct {
	*visittest.World
	t       testing.TB
	handler http.Handler
	place   *qrgate.Place
	code    string
}

type about struct{}

func (about) Introduction(_ context.Context, no uint32) (template.HTML, bool) {
	return template.HTML(fmt.Sprintf("<p>About %d</p>", no)), true
}

func newSite(t testing.TB, change ...func(*visit.Options)) *site {
	t.Helper()
	w := visittest.New(t)
	f := page.New(page.Options{Register: w.Register, Log: slog.New(slog.DiscardHandler), HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế"})
	o := visit.Options{Frame: f, Register: w.Register, Desk: w.Ingest, HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", Introduction: about{}, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	routes := visit.New(o).Routes()
	// What another package's page does: sign the browser in.
	routes = append(routes, page.Route{Pattern: "POST /test/sign-in", Allow: page.Anybody(), Handler: func(w http.ResponseWriter, r *http.Request, v *page.View) error {
		if err := v.SignIn(r, r.FormValue("account"), false, false); err != nil {
			return err
		}
		return v.Go(w, "/", "")
	}})
	s := &site{World: w, t: t, handler: f.Handler(routes), place: w.Place("Chợ Đông Ba")}
	s.code = pass.PosterCode(s.place.No, 1)
	return s
}

// ask sends a request and returns the answer and its body.
func (s *site) ask(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "⟦") {
		s.t.Errorf("%s %s lacks a text: %s", method, path, w.Body)
	}
	return w.Result(), w.Body.String()
}

func (s *site) get(path string) (*http.Response, string) {
	s.t.Helper()
	return s.ask("GET", path, nil)
}

func (s *site) post(path string, form url.Values, headers ...string) (*http.Response, string) {
	s.t.Helper()
	return s.ask("POST", path, strings.NewReader(form.Encode()), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

var keyField = regexp.MustCompile(`name="key" value="([^"]+)"`)

func visitor() url.Values {
	return url.Values{"phone": {"0905 123 456"}, "name": {"Nguyễn Văn An"}, "direction": {"in"}}
}

// A visitor without script: the page, the form, the confirmation.
func TestForm(t *testing.T) {
	s := newSite(t)
	resp, body := s.get("/p/" + s.code)
	if resp.StatusCode != 200 {
		t.Fatalf("page = %d %s", resp.StatusCode, body)
	}
	for _, part := range []string{
		"Chợ Đông Ba", "2 Trần Hưng Đạo, Phường Phú Xuân", "19001075", "Sở Y tế thành phố Huế", "21 ngày", "21 days", "Check-in / Vào", ">Ra <",
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	form := visitor()
	form.Set("key", keyField.FindStringSubmatch(body)[1])
	form.Set("others", "3")
	form.Set("names", "Trần Thị Bình\nnguyễn văn an\n")
	resp, body = s.post("/p/"+s.code, form)
	to := resp.Header.Get("Location")
	if resp.StatusCode != 303 || !strings.HasPrefix(to, "/p/"+s.code+"/xong?x=") {
		t.Fatalf("form = %d %s %s", resp.StatusCode, to, body)
	}
	// Sent again it is the same visit.
	if resp, _ := s.post("/p/"+s.code, form); resp.StatusCode != 303 {
		t.Errorf("form again = %d", resp.StatusCode)
	}
	resp, body = s.get(to)
	for _, part := range []string{"Đã ghi nhận", "Chợ Đông Ba", "4 người", "About 1", "/p/" + s.code + "?ra"} {
		if resp.StatusCode != 200 || !strings.Contains(body, part) {
			t.Errorf("confirmation = %d, lacks %q", resp.StatusCode, part)
		}
	}
	if strings.Contains(body, "Nguyễn") || strings.Contains(to, "905") {
		t.Error("the confirmation names the visitor")
	}
	rows := s.Rows()
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	named := 0
	for _, r := range rows {
		if r.Pass != pass.Phone || r.Direction != wire.In || r.PlaceNo != s.place.No || r.Lane != 1 || r.Presence != wire.Claimed {
			t.Errorf("row = %+v", r)
		}
		if r.Subject != (qrgate.Subject{}) {
			named++
		}
	}
	if named != 2 {
		t.Errorf("%d of the rows have a person, want 2: the one of the visitor's own name is only counted", named)
	}

	form.Set("key", "")
	form.Set("direction", "out")
	if resp, _ := s.post("/p/"+s.code, form); resp.StatusCode != 303 {
		t.Errorf("check-out = %d", resp.StatusCode)
	}
	if rows := s.Rows(); len(rows) != 8 || rows[7].Direction != wire.Out {
		t.Errorf("%d rows after the check-out", len(rows))
	}
}

// A page that was kept is of the place as it is now, and each has a key of its own.
// Who went back to a form that was sent and entered their mother was told that she
// is recorded, and she was not.
func TestFormSentAgainForAnotherPerson(t *testing.T) {
	s := newSite(t)
	_, body := s.get("/p/" + s.code)
	form := visitor()
	form.Set("key", keyField.FindStringSubmatch(body)[1])
	if resp, body := s.post("/p/"+s.code, form); resp.StatusCode != 303 {
		t.Fatalf("form = %d %s", resp.StatusCode, body)
	}
	for field, value := range map[string]string{"phone": "0905 654 321", "name": "Trần Thị Mẹ"} {
		other := visitor()
		other.Set("key", form.Get("key"))
		other.Set(field, value)
		resp, body := s.post("/p/"+s.code, other)
		key := keyField.FindStringSubmatch(body)
		if resp.StatusCode != 409 || key == nil || key[1] == form.Get("key") || !strings.Contains(body, value) {
			t.Fatalf("another %s under the same key = %d %s, want 409 and the form with another key", field, resp.StatusCode, body)
		}
		other.Set("key", key[1])
		if resp, body := s.post("/p/"+s.code, other); resp.StatusCode != 303 {
			t.Errorf("once more = %d %s", resp.StatusCode, body)
		}
	}
	if rows := s.Rows(); len(rows) != 3 {
		t.Errorf("%d rows, want 3", len(rows))
	}
}

func TestPageFollowsThePlace(t *testing.T) {
	s := newSite(t)
	_, first := s.get("/p/" + s.code)
	_, second := s.get("/p/" + s.code)
	if a, b := keyField.FindStringSubmatch(first), keyField.FindStringSubmatch(second); a[1] == b[1] || strings.Replace(first, a[1], b[1], 1) != second {
		t.Errorf("keys %q and %q, on pages that are else the same", a[1], b[1])
	}
	s.place.Name = `Chợ <b>"Đông Ba"</b> mới`
	if err := s.Register.SavePlace(t.Context(), "", s.place, ""); err != nil {
		t.Fatal(err)
	}
	if _, third := s.get("/p/" + s.code); !strings.Contains(third, "Chợ &lt;b&gt;&#34;Đông Ba&#34;&lt;/b&gt; mới") || strings.Contains(third, "<b>") {
		t.Errorf("after the place has another name: %s", third)
	}
	if _, leave := s.get("/p/" + s.code + "?ra"); !strings.Contains(leave, `class="go leave"`) {
		t.Error("the page to leave is that to enter")
	}
}

func TestFormShowsWhatIsWrong(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct{ field, value, says string }{
		{"phone", "12", "Số điện thoại chưa đúng"},
		{"phone", "", "Xin điền chỗ này"},
		{"phone", "+012345678", "Số điện thoại chưa đúng"},
		{"name", "", "Please fill this in"},
		{"name", strings.Repeat("ả", 101), "nhiều nhất 100"},
		{"name", "An\x00", "Có ký tự không dùng được"},
		{"name", "\xff\xfe", "Có ký tự không dùng được"},
		{"name", "a\r\nb", "Có ký tự không dùng được"},
		{"names", strings.Repeat("Bình\n", 10), "Dài quá"},
		{"names", strings.Repeat("b", 101), "Dài quá"},
	} {
		form := visitor()
		form.Set(tt.field, tt.value)
		resp, body := s.post("/p/"+s.code, form)
		if resp.StatusCode != 422 || !strings.Contains(body, tt.says) {
			t.Errorf("%s=%.20q = %d, want 422 with %q", tt.field, tt.value, resp.StatusCode, tt.says)
		}
		if tt.field != "name" && !strings.Contains(body, "Nguyễn Văn An") {
			t.Errorf("%s=%.20q: what was typed is gone", tt.field, tt.value)
		}
	}
	for _, form := range []url.Values{{}, {"direction": {"up"}}, {"others": {"99"}, "phone": {"0905123456"}, "name": {"An"}, "direction": {"in"}}} {
		if resp, _ := s.post("/p/"+s.code, form); resp.StatusCode != 422 {
			t.Errorf("%v = %d, want 422", form, resp.StatusCode)
		}
	}
	if n := len(s.Rows()); n != 0 {
		t.Errorf("%d rows of wrong forms", n)
	}
}

func TestCodes(t *testing.T) {
	s := newSite(t)
	gone := s.Place("Quán cũ")
	s.Delete(gone, time.Now().Add(-time.Hour))
	spaced := strings.ToLower(s.code[:4]) + " " + strings.ToLower(s.code[4:8]) + "-1"
	for _, tt := range []struct {
		path   string
		status int
		holds  string // of the body, or of where it leads
	}{
		{"/p/" + s.code, 200, "Chợ Đông Ba"},
		{"/p/" + strings.ToLower(s.code), 303, "/p/" + s.code},
		{"/p/" + url.PathEscape(spaced), 303, "/p/" + s.code},
		{"/p?ma=" + url.QueryEscape(" "+spaced+" "), 303, "/p/" + s.code},
		{"/p?ma=" + url.QueryEscape("https://qr.example.vn/p/"+s.code), 303, "/p/" + s.code},
		{"/p", 200, "Nhập mã của điểm"},
		{"/p?ma=nothing", 404, "Mã này không có"},
		{"/p?ma=" + strings.Repeat("x", 2000), 404, "19001075"},
		{"/p?ma=%ff%00", 404, "Mã này không có"},
		{"/p/AAAAAAAA-1", 404, `name="ma"`},
		{"/p/" + pass.PosterCode(4_000_000_000, 3), 404, "19001075"},
		{"/p/" + s.code + "9", 404, "Mã này không có"},
		{"/p/%00", 400, ""},
		{"/p/" + pass.PosterCode(gone.No, 1), 410, "Điểm này đã ngừng"},
		{"/p/" + s.code + "/xong", 303, "/p/" + s.code},
		{"/p/" + s.code + "/xong?x=AAAA", 303, "/p/" + s.code},
		{"/p/nothing/xong", 404, "Mã này không có"},
		{"/quet", 200, "Quét mã QR của điểm"},
		{"/nhat-ky", 200, "Nhật ký trên máy này"},
		{"/ngoai-mang", 200, "Đang không có mạng"},
		{"/icon/64.png", 404, ""},
	} {
		resp, body := s.get(tt.path)
		if to := resp.Header.Get("Location"); to != "" {
			body = to
		}
		if resp.StatusCode != tt.status || !strings.Contains(body, tt.holds) {
			t.Errorf("GET %.60s = %d %.1500s, want %d with %q", tt.path, resp.StatusCode, body, tt.status, tt.holds)
		}
	}
	if resp, body := s.post("/p/"+pass.PosterCode(gone.No, 1), visitor()); resp.StatusCode != 410 {
		t.Errorf("check-in where it has closed = %d %s", resp.StatusCode, body)
	}
}

func (s *site) send(m map[string]any) (int, map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, body := s.ask("POST", "/p/"+s.code+"/gui", bytes.NewReader(b), "Content-Type", "application/json")
	var say map[string]any
	if err := json.Unmarshal([]byte(body), &say); err != nil {
		s.t.Fatalf("answer %d %s: %v", resp.StatusCode, body, err)
	}
	return resp.StatusCode, say
}

// What a phone kept is dated by its own clock, however wrong that is.
func TestSentLater(t *testing.T) {
	s := newSite(t)
	wrong := time.Date(2019, 1, 1, 8, 0, 0, 0, time.UTC)
	m := map[string]any{
		"key": "AAECAwQFBgcICQoLDA0ODw", "direction": "in", "phone": "0905123456", "name": "An", "account": false, "others": 0, "names": []string{""},
		"said": wrong.UnixMilli(), "sent": wrong.Add(3 * time.Hour).UnixMilli(),
	}
	status, say := s.send(m)
	happened := time.UnixMilli(int64(say["at"].(float64)))
	if ago := time.Since(happened); status != 200 || ago < 3*time.Hour-time.Minute || ago > 3*time.Hour+time.Minute {
		t.Errorf("sent 3 h later = %d %v", status, say)
	}
	m["sent"] = wrong.Add(4 * time.Hour).UnixMilli()
	if status, say := s.send(m); status != 200 || say["again"] != true {
		t.Errorf("sent again = %d %v", status, say)
	}
	if n := len(s.Rows()); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	m["direction"] = "out"
	if status, say := s.send(m); status != 409 || say["problem"] != "conflict" {
		t.Errorf("another visit under the key = %d %v", status, say)
	}
	m["key"], m["sent"] = "BAECAwQFBgcICQoLDA0ODw", wrong.Add(30*24*time.Hour).UnixMilli()
	if status, say := s.send(m); status != 422 || say["problem"] != "late" {
		t.Errorf("sent 30 days later = %d %v", status, say)
	}

	// The place has closed meanwhile: who was there before is taken.
	s.Delete(s.place, time.Now().Add(-time.Hour))
	m["key"], m["sent"] = "CAECAwQFBgcICQoLDA0ODw", wrong.Add(2*time.Hour).UnixMilli()
	if status, say := s.send(m); status != 200 {
		t.Errorf("before it closed = %d %v", status, say)
	}
	m["key"], m["sent"] = "DAECAwQFBgcICQoLDA0ODw", wrong.UnixMilli()
	if status, say := s.send(m); status != 410 || say["problem"] != "gone" {
		t.Errorf("after it closed = %d %v", status, say)
	}
}

func TestBadMessages(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		path, kind, body string
		status           int
	}{
		{s.code, "text/plain", "{}", 415},
		{s.code, "", "{}", 415},
		{s.code, "application/json", "", 400},
		{s.code, "application/json", "[]", 400},
		{s.code, "application/json", `{"more":1}`, 400},
		{s.code, "application/json", `{"said":1}`, 400},
		{s.code, "application/json", `{"said":9e18,"sent":1}`, 400},
		{s.code, "application/json", `{"said":-5,"sent":1}`, 400},
		{s.code, "application/json", `{"direction":"in","phone":"0905123456","name":"a\u0000"}`, 422},
		{s.code, "application/json", `{"direction":"in","phone":"0905123456","name":"` + strings.Repeat("x", 1000) + `"}`, 422},
		{s.code, "application/json", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413},
		{s.code, "application/json", `{}`, 422},
		{"AAAAAAAA-1", "application/json", `{}`, 404},
	} {
		resp, body := s.ask("POST", "/p/"+tt.path+"/gui", strings.NewReader(tt.body), "Content-Type", tt.kind)
		if resp.StatusCode != tt.status || !strings.HasPrefix(body, `{"problem":`) {
			t.Errorf("%s %.60s = %d %.100s, want %d", tt.kind, tt.body, resp.StatusCode, body, tt.status)
		}
	}
	resp, _ := s.ask("POST", "/p/"+s.code+"/gui", strings.NewReader("{}"), "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")
	if resp.StatusCode != 403 {
		t.Errorf("from another site = %d, want 403", resp.StatusCode)
	}
}

// Somebody who is signed in checks in as who they are.
func TestAccount(t *testing.T) {
	s := newSite(t)
	a := &register.Account{Name: "lan.le", Display: "Lê Thị Lan", Phone: "+84905000111"}
	if err := s.Register.AddAccount(t.Context(), "", a); err != nil {
		t.Fatal(err)
	}
	resp, body := s.post("/test/sign-in", url.Values{"account": {a.ID}})
	if len(resp.Cookies()) == 0 {
		t.Fatalf("sign in = %d %s", resp.StatusCode, body)
	}
	cookie := resp.Cookies()[0].String()
	resp, body = s.ask("GET", "/p/"+s.code, nil, "Cookie", cookie)
	if !strings.Contains(body, "Lê Thị Lan") || strings.Contains(body, `name="phone"`) || resp.Header.Get("Qrgate-Keep") != "" {
		t.Errorf("the page of who is signed in: %v %s", resp.Header, body)
	}
	form := url.Values{"account": {"1"}, "direction": {"in"}, "key": {keyField.FindStringSubmatch(body)[1]}}
	if resp, body := s.post("/p/"+s.code, form, "Cookie", cookie); resp.StatusCode != 303 {
		t.Errorf("check-in = %d %s", resp.StatusCode, body)
	}
	if rows := s.Rows(); len(rows) != 1 || rows[0].Pass != pass.Account || rows[0].Level != qrgate.Stated {
		t.Errorf("rows = %+v", rows)
	}
	// The sign-in has ended: the form asks.
	if resp, body := s.post("/p/"+s.code, form); resp.StatusCode != 422 || !strings.Contains(body, `name="phone"`) {
		t.Errorf("without the sign-in = %d", resp.StatusCode)
	}
	if err := s.Register.Link(t.Context(), a.ID, "https://hue-s.example", "7"); err != nil {
		t.Fatal(err)
	}
	form.Set("key", "")
	s.post("/p/"+s.code, form, "Cookie", cookie)
	if rows := s.Rows(); len(rows) != 2 || rows[1].Level != qrgate.Checked {
		t.Errorf("rows of an account of another system = %+v", rows)
	}
}

// A visit that waits on a shared phone is not somebody else's who has signed in there
// meanwhile.
func TestAnotherAccount(t *testing.T) {
	s := newSite(t)
	signIn := func(name, display string) (a *register.Account, cookie string) {
		a = &register.Account{Name: name, Display: display}
		if err := s.Register.AddAccount(t.Context(), "", a); err != nil {
			t.Fatal(err)
		}
		resp, _ := s.post("/test/sign-in", url.Values{"account": {a.ID}})
		return a, resp.Cookies()[0].String()
	}
	lan, _ := signIn("lan.le", "Lê Thị Lan")
	_, cookie := signIn("binh.tran", "Trần Văn Bình")
	form := url.Values{"account": {lan.ID}, "direction": {"in"}, "key": {"AAECAwQFBgcICQoLDA0ODw"}}
	resp, body := s.post("/p/"+s.code, form, "Cookie", cookie)
	if resp.StatusCode != 422 || !strings.Contains(body, "tài khoản khác") || !strings.Contains(body, "Trần Văn Bình") {
		t.Errorf("Lan's form while Bình is signed in = %d %s", resp.StatusCode, body)
	}
	send := func(phone string) (int, string) {
		m := `{"key":"AAECAwQFBgcICQoLDA0ODw","direction":"in","account":true,"phone":"` + phone + `","name":"Lan"}`
		resp, body := s.ask("POST", "/p/"+s.code+"/gui", strings.NewReader(m), "Qrgate-Account", lan.ID, "Cookie", cookie, "Content-Type", "application/json")
		return resp.StatusCode, body
	}
	if status, body := send(""); status != 422 || !strings.Contains(body, "fields") {
		t.Errorf("Lan's visit while Bình is signed in = %d %s", status, body)
	}
	if n := len(s.Rows()); n != 0 {
		t.Fatalf("%d rows of whoever was signed in", n)
	}
	if status, body := send("0905000111"); status != 200 {
		t.Errorf("with the number that the phone remembers = %d %s", status, body)
	}
	if rows := s.Rows(); len(rows) != 1 || rows[0].Pass != pass.Phone {
		t.Errorf("rows = %+v", rows)
	}
}

// A desk that has no room, or answers nothing.
type desk struct{ err error }

func (d desk) Visit(context.Context, ingest.Visit) (ingest.Receipt, error) {
	return ingest.Receipt{}, d.err
}

func TestBusy(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		says   string
	}{
		{ingest.ErrBusy, 503, "không bị ghi hai lần"},
		{context.DeadlineExceeded, 503, "không bị ghi hai lần"},
		{qrgate.ErrConflict, 409, "bấm lại lần nữa"},
		{qrgate.ErrInvalid, 422, ""},
		{io.ErrUnexpectedEOF, 500, "19001075"},
	} {
		s := newSite(t, func(o *visit.Options) { o.Desk = desk{tt.err} })
		form := visitor()
		form.Set("key", "AAECAwQFBgcICQoLDA0ODw")
		resp, body := s.post("/p/"+s.code, form)
		if resp.StatusCode != tt.status || !strings.Contains(body, tt.says) || tt.status == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%v = %d %v, want %d with %q", tt.err, resp.StatusCode, resp.Header, tt.status, tt.says)
		}
		if tt.status == 503 && (!strings.Contains(body, "AAECAwQFBgcICQoLDA0ODw") || !strings.Contains(body, "Nguyễn Văn An")) {
			t.Error("what was typed, or its key, is gone")
		}
	}
}

func TestLimit(t *testing.T) {
	s := newSite(t)
	var resp *http.Response
	for range 31 {
		resp, _ = s.post("/p/"+s.code, visitor())
	}
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the 31st check-in of one number = %d %v, want 429", resp.StatusCode, resp.Header)
	}
	other := visitor()
	other.Set("phone", "0905 123 457")
	if resp, _ := s.post("/p/"+s.code, other); resp.StatusCode != 303 {
		t.Errorf("another number = %d", resp.StatusCode)
	}
}

func TestApp(t *testing.T) {
	s := newSite(t)
	resp, body := s.get("/manifest.webmanifest")
	var m struct {
		Icons []struct{ Src, Sizes string }
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || len(m.Icons) != 4 {
		t.Fatalf("manifest %v %s: %v", resp.Header, body, err)
	}
	for _, i := range m.Icons {
		resp, body := s.get(i.Src)
		c, kind, err := image.DecodeConfig(strings.NewReader(body))
		if err != nil || kind != "png" || fmt.Sprintf("%dx%d", c.Width, c.Height) != i.Sizes {
			t.Errorf("%s = %d, %v of %s, %v", i.Src, resp.StatusCode, c, kind, err)
		}
	}
	_, worker := s.get("/sw.js")
	if strings.Contains(worker, "VERSION") || strings.Contains(worker, "FILES") {
		t.Error("the service worker was not completed")
	}
	list := regexp.MustCompile(`const files = (\[.*\]);`).FindStringSubmatch(worker)
	var files []string
	if list == nil || json.Unmarshal([]byte(list[1]), &files) != nil {
		t.Fatalf("the worker's files: %v", list)
	}
	for _, f := range files {
		if resp, _ := s.get(f); resp.StatusCode != 200 {
			t.Errorf("GET %s = %d", f, resp.StatusCode)
		}
	}
}

// Whatever the style sheet loads is kept for good, because its address changes
// with it.
func TestStyleNamesFonts(t *testing.T) {
	s := newSite(t)
	_, css := s.get("/assets/checkin.css")
	urls := regexp.MustCompile(`url\("([^"]+)"\)`).FindAllStringSubmatch(css, -1)
	if len(urls) != 2 {
		t.Fatalf("%d files in the style sheet", len(urls))
	}
	for _, u := range urls {
		if resp, _ := s.get("/assets/" + u[1]); !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is not its address: it should end in v= and %s", u[1], resp.Header.Get("ETag"))
		}
	}
}
