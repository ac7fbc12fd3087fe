package account_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/qrgate/qrgate/server/portal/account"
)

// A system is a real OpenID provider, whose answers a test may alter on the way.
type system struct {
	url string

	mu     sync.Mutex
	down   bool
	tamper func(answer map[string]any)
	token  string // the last ID token, as it was given
}

func newSystem(t *testing.T, redirect string) *system {
	t.Helper()
	users, err := storage.StoreFromFile("testdata/users.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(system)
	var op http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		down := s.down
		s.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/token") {
			op.ServeHTTP(w, r)
			return
		}
		said := httptest.NewRecorder()
		op.ServeHTTP(said, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(said.Code)
		var answer map[string]any
		if said.Code != http.StatusOK || json.Unmarshal(said.Body.Bytes(), &answer) != nil {
			w.Write(said.Body.Bytes())
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.token, _ = answer["id_token"].(string)
		if s.tamper != nil {
			s.tamper(answer)
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	op = exampleop.SetupServer(s.url, storage.NewStorageWithClients(users, map[string]*storage.Client{
		"qrgate": storage.WebClient("qrgate", "hush", redirect),
	}), nil, false)
	return s
}

func (s *system) set(down bool, tamper func(map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.tamper = down, tamper
}

func (s *system) lastToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

const callback = "/dang-nhap/oidc/hue/xong"

// newLinkedWorld is a world whose pages know a system.
func newLinkedWorld(t *testing.T) (*world, *system) {
	t.Helper()
	var s *system
	w := newWorld(t, func(w *world, o *account.Options) {
		s = newSystem(t, w.server.URL+callback)
		o.Providers = []account.Provider{{Name: "hue", Label: "Huế điện tử", Issuer: s.url, ClientID: "qrgate", ClientSecret: "hush"}}
	})
	return w, s
}

// at signs in at the system and returns the page of ours where it sends the
// browser.
func (b *visitor) at(s *system, back string) string {
	b.t.Helper()
	to := b.get("/dang-nhap/oidc/hue?ve=" + url.QueryEscape(back)).to
	for !strings.Contains(to, "authRequestID") {
		if !strings.HasPrefix(to, "http") {
			to = s.url + to
		}
		next := b.get(to).to
		if next == "" {
			b.t.Fatalf("the way to the system ends at %s", to)
		}
		to = next
	}
	if !strings.HasPrefix(to, "http") {
		to = s.url + to
	}
	form, err := url.Parse(to)
	if err != nil {
		b.t.Fatal(err)
	}
	values := url.Values{"id": {form.Query().Get("authRequestID")}, "username": {"thu"}, "password": {"cây đa bến nước"}}
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", to, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	to = b.do(r).to
	for !strings.HasPrefix(to, callback) {
		if to == "" {
			b.t.Fatal("the system does not send the browser back")
		}
		if !strings.HasPrefix(to, "http") {
			to = s.url + to
		}
		to = b.get(to).to
	}
	return to
}

func TestSignInElsewhere(t *testing.T) {
	w, s := newLinkedWorld(t)
	b := w.browser()
	b.wants(b.get("/dang-nhap"), 200, "Đăng nhập bằng tài khoản Huế điện tử")
	b.wants(b.get("/dang-nhap/lien-ket"), 303, "/dang-nhap")
	b.wants(b.get("/dang-nhap/oidc/nobody"), 404, "")

	// Nobody is linked: a new account at once.
	b.wants(b.get(b.at(s, "/tai-khoan")), 303, "/dang-nhap/lien-ket")
	b.wants(b.get("/dang-nhap/lien-ket"), 200, "Chưa có tài khoản liên kết")
	b.wants(b.post("/dang-nhap/lien-ket"), 303, "/tai-khoan")
	page := b.wants(b.get("/tai-khoan"), 200, "Trần Thị Thu").body
	if !strings.Contains(page, "0905 123 456") || !strings.Contains(page, "chờ xác nhận") {
		t.Errorf("what the system says of its user: %.3000s", main(page))
	}
	if letters := w.box.take(); len(letters) != 1 || letters[0].To != "thu@hue.example" {
		t.Errorf("letters = %+v", letters)
	}

	// From then on it signs in, here and on another browser.
	c := w.browser()
	c.wants(c.get(c.at(s, "/tai-khoan")), 303, "/tai-khoan")
	c.wants(c.get("/tai-khoan"), 200, "Trần Thị Thu")

	// Without a password it cannot be unlinked.
	issuer, subject := c.find(page, `name="issuer" value="([^"]+)"`), c.find(page, `name="subject" value="([^"]+)"`)
	c.wants(c.post("/tai-khoan/bo-lien-ket", "issuer", issuer, "subject", subject), 404, "")
	c.wants(c.post("/tai-khoan/mat-khau", "account_new_password", goodPassword), 303, "/tai-khoan")
	c.wants(c.post("/tai-khoan/bo-lien-ket", "issuer", issuer, "subject", subject), 303, "/tai-khoan")
	c.wants(c.get("/tai-khoan"), 200, "Liên kết với Huế điện tử")
}

func TestLinkElsewhere(t *testing.T) {
	w, s := newLinkedWorld(t)
	w.account("lan")
	w.account("hoanganh")
	b := w.browser()
	b.wants(b.get(b.at(s, "/")), 303, "/dang-nhap/lien-ket")
	b.wants(b.signIn("lan", goodPassword, "ve", "/dang-nhap/lien-ket"), 303, "/dang-nhap/lien-ket")
	b.wants(b.get("/dang-nhap/lien-ket"), 200, "Liên kết tài khoản Huế điện tử ấy với tài khoản Display of lan")
	b.wants(b.post("/dang-nhap/lien-ket"), 303, "/tai-khoan")
	b.wants(b.get("/tai-khoan"), 200, "Đã liên kết với Huế điện tử")
	b.wants(b.get(b.at(s, "/tai-khoan")), 303, "/tai-khoan")

	other := w.browser().in("hoanganh")
	other.wants(other.get(other.at(s, "/tai-khoan")), 409, "một tài khoản khác")

	// By this way too nobody gets round the second factor.
	b.secondOn()
	c := w.browser()
	c.wants(c.get(c.at(s, "/tai-khoan")), 303, "/dang-nhap/xac-thuc?ve=%2Ftai-khoan")
	c.wants(c.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
}

// A session that was left open must not get a way in that outlives it.
func TestLinkElsewhereAsksForThePassword(t *testing.T) {
	w, s := newLinkedWorld(t)
	w.account("lan")
	b := w.browser().in("lan")
	w.pass(20 * time.Minute)
	b.wants(b.get(b.at(s, "/tai-khoan")), 303, "/dang-nhap/lien-ket")
	b.wants(b.get("/dang-nhap/lien-ket"), 200, `type="password"`)
	b.wants(b.post("/dang-nhap/lien-ket"), 422, "Xin xem lại")
	b.wants(b.post("/dang-nhap/lien-ket", "account_password", "khong phai"), 422, "Xin xem lại")
	b.wants(b.post("/dang-nhap/lien-ket", "account_password", goodPassword), 303, "/tai-khoan")
}

func TestForeignAnswersElsewhere(t *testing.T) {
	w, s := newLinkedWorld(t)
	a := w.account("lan")
	if err := w.reg.Link(t.Context(), a.ID, s.url, "7d1f"); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.wants(b.get(b.at(s, "/")), 303, "/")
	earlier := s.lastToken()
	// A token of the same user at another system, made for a client of our name.
	var stranger *system
	w2 := newWorld(t, func(w2 *world, o *account.Options) {
		stranger = newSystem(t, w2.server.URL+callback)
		o.Providers = []account.Provider{{Name: "hue", Label: "X", Issuer: stranger.url, ClientID: "qrgate", ClientSecret: "hush"}}
	})
	d := w2.browser()
	d.get(d.at(stranger, "/"))
	swap := func(token string) func(map[string]any) {
		return func(answer map[string]any) { answer["id_token"] = token }
	}
	for name, tt := range map[string]struct {
		tamper func(map[string]any)
		query  func(url.Values)
		later  time.Duration
		status int
		want   string
	}{
		"nothing foreign":         {status: 303, want: "/"},
		"nonce of another time":   {tamper: swap(earlier), status: 400, want: "Không tin được"},
		"of another system":       {tamper: swap(stranger.lastToken()), status: 400, want: "Không tin được"},
		"no identity":             {tamper: func(a map[string]any) { delete(a, "id_token") }, status: 400, want: "Không tin được"},
		"says another system":     {query: func(q url.Values) { q.Set("iss", stranger.url) }, status: 400, want: "Không tin được"},
		"other state":             {query: func(q url.Values) { q.Set("state", "x") }, status: 400, want: "không bắt đầu từ trình duyệt này"},
		"no code":                 {query: func(q url.Values) { q.Del("code") }, status: 400, want: "không bắt đầu từ trình duyệt này"},
		"made-up code":            {query: func(q url.Values) { q.Set("code", "x") }, status: 400, want: "Không tin được"},
		"cancelled":               {query: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, status: 400, want: "bấm hủy"},
		"after a quarter of hour": {later: 16 * time.Minute, status: 400, want: "quá lâu"},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.browser()
			address, err := url.Parse(c.at(s, "/"))
			if err != nil {
				t.Fatal(err)
			}
			q := address.Query()
			if tt.query != nil {
				tt.query(q)
			}
			address.RawQuery = q.Encode()
			s.set(false, tt.tamper)
			w.pass(tt.later)
			c.wants(c.get(address.String()), tt.status, tt.want)
			w.pass(-tt.later)
			s.set(false, nil)
			signedIn := c.get("/tai-khoan").status == 200
			if signedIn != (tt.status == 303) {
				t.Errorf("signed in: %v", signedIn)
			}
		})
	}
}

// What a browser brings back counts once, and only in the browser that began.
func TestReplayElsewhere(t *testing.T) {
	w, s := newLinkedWorld(t)
	a := w.account("lan")
	if err := w.reg.Link(t.Context(), a.ID, s.url, "7d1f"); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	back := b.at(s, "/")
	state := b.client.Jar.Cookies(must(url.Parse(w.server.URL + callback)))
	thief := w.browser()
	thief.wants(thief.get(back), 400, "không bắt đầu từ trình duyệt này")
	b.wants(b.get(back), 303, "/")
	b.post("/dang-xuat")
	b.wants(b.get(back), 400, "không bắt đầu từ trình duyệt này")
	// Even with the state the system refuses its code a second time.
	thief.client.Jar.SetCookies(must(url.Parse(w.server.URL+callback)), state)
	thief.wants(thief.get(back), 400, "Không tin được")
	thief.wants(thief.get("/tai-khoan"), 303, "/dang-nhap?ve=%2Ftai-khoan")
}

func TestElsewhereIsDown(t *testing.T) {
	w, s := newLinkedWorld(t)
	s.set(true, nil)
	b := w.browser()
	b.wants(b.get("/dang-nhap/oidc/hue"), 503, "chưa trả lời")
	s.set(false, nil)
	w.pass(time.Minute)
	back := b.at(s, "/")
	s.set(true, nil)
	b.wants(b.get(back), 503, "chưa trả lời")
}

func must(u *url.URL, err error) *url.URL {
	if err != nil {
		panic(err)
	}
	return u
}
