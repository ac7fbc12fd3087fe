package signin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// An idp is a real OpenID provider on a port of its own, which may be down.
type idp struct {
	url  string
	down atomic.Bool
	asks atomic.Int64
}

// newIDP starts a provider at which the clients qrgate and other may let users
// sign in, for the site at redirect.
func newIDP(t *testing.T, redirect string) *idp {
	t.Helper()
	users, err := storage.StoreFromFile("testdata/users.json")
	if err != nil {
		t.Fatal(err)
	}
	p := new(idp)
	var op http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asks.Add(1)
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		op.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	op = exampleop.SetupServer(p.url, storage.NewStorageWithClients(users, map[string]*storage.Client{
		"qrgate": storage.WebClient("qrgate", "hush", redirect),
		"other":  storage.WebClient("other", "hush", redirect),
	}), nil, false)
	return p
}

// A site is ours: two pages, and a browser that keeps cookies.
type site struct {
	url      string
	provider *signin.Provider
	browser  *http.Client
	now      time.Time
	longer   time.Duration               // that states hold
	tamper   func(answer map[string]any) // with what the token endpoint says
	cookie   string                      // the sealed state, as the site reads it

	who      signin.Identity
	err      error
	returned string
	idToken  string // of the last answer, as the provider gave it
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{now: time.Now()}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.browser = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.redirect()) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		address, state, err := s.provider.Begin(r.Context(), s.now, r.FormValue("return"))
		if err != nil {
			s.err = err
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		state.Ends = state.Ends.Add(s.longer)
		sealed, err := state.Seal(stateKey)
		if err != nil {
			t.Error(err)
		}
		http.SetCookie(w, &http.Cookie{Name: "login", Value: sealed, Path: "/callback", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, address, http.StatusFound)
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		sealed, err := r.Cookie("login")
		if err != nil {
			t.Errorf("no cookie: %v", err)
			return
		}
		s.cookie = sealed.Value
		state, err := signin.OpenState(stateKey, sealed.Value)
		if err != nil {
			s.err = err
			return
		}
		s.returned = state.Return
		s.who, s.err = s.provider.Finish(r.Context(), s.now, state, r.URL.Query())
	})
	return s
}

func (s *site) redirect() string { return s.url + "/callback" }

// at makes s a client of the provider at issuer, whose answers pass through
// tamper.
func (s *site) at(t *testing.T, issuer, client string) {
	t.Helper()
	p, err := signin.NewProvider(signin.ProviderConfig{
		Issuer: issuer, ClientID: client, ClientSecret: "hush", RedirectURL: s.redirect(),
		Client: &http.Client{Timeout: 10 * time.Second, Transport: s},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.provider = p
}

// RoundTrip makes s the transport of its own provider's requests.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || r.Method != http.MethodPost || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	defer resp.Body.Close()
	answer := make(map[string]any)
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	s.idToken, _ = answer["id_token"].(string)
	if s.tamper != nil {
		s.tamper(answer)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// signIn walks from our page through the provider's and returns the address at
// which it sends the browser back.
func (s *site) signIn(t *testing.T, back string) *url.URL {
	t.Helper()
	resp, err := s.browser.Get(s.url + "/login?return=" + url.QueryEscape(back))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	form := resp.Request.URL
	id := form.Query().Get("authRequestID")
	if resp.StatusCode != http.StatusOK || id == "" {
		t.Fatalf("the way to the provider ends at %s: %s", form, resp.Status)
	}
	resp, err = s.browser.PostForm(form.String(), url.Values{"id": {id}, "username": {"thu"}, "password": {"cây đa bến nước"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	address, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider's form answers %s: %v", resp.Status, err)
	}
	return address
}

// comeBack follows an address to our page, which then has an identity or an error.
func (s *site) comeBack(t *testing.T, address *url.URL) {
	t.Helper()
	s.who, s.err = signin.Identity{}, nil
	resp, err := s.browser.Get(address.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestSignInWithAccountOfAnotherSystem(t *testing.T) {
	s := newSite(t)
	p := newIDP(t, s.redirect())
	s.at(t, p.url, "qrgate")
	address := s.signIn(t, "/places?page=2")
	s.comeBack(t, address)
	if s.err != nil {
		t.Fatalf("Finish = %v", s.err)
	}
	want := signin.Identity{
		Issuer: p.url, Subject: "7d1f", Name: "Trần Thị Thu",
		Email: "thu@hue.example", EmailVerified: true, Phone: "+84905123456",
	}
	if diff := cmp.Diff(want, s.who); diff != "" {
		t.Errorf("Finish (-want +got):\n%s", diff)
	}
	if s.returned != "/places?page=2" {
		t.Errorf("the user returns to %q", s.returned)
	}

	s.comeBack(t, address)
	if !errors.Is(s.err, signin.ErrCode) {
		t.Errorf("Finish of a replayed code = %v, want %v", s.err, signin.ErrCode)
	}
	s.comeBack(t, s.signIn(t, "//example.org"))
	if s.err != nil || s.returned != "/" {
		t.Errorf("Begin with a foreign return path: error %v, the user returns to %q, want /", s.err, s.returned)
	}
}

// Each answer is one that the provider gave, or would have if it were honest,
// in a place where it does not belong.
func TestForeignAnswers(t *testing.T) {
	s := newSite(t)
	p, stranger := newIDP(t, s.redirect()), newIDP(t, s.redirect())

	// ID tokens that are genuine, each for another occasion.
	token := func(issuer, client string) string {
		s.at(t, issuer, client)
		s.comeBack(t, s.signIn(t, "/"))
		if s.err != nil {
			t.Fatalf("sign-in of %s at %s: %v", client, issuer, s.err)
		}
		return s.idToken
	}
	ofStranger, ofOther, ofEarlier := token(stranger.url, "qrgate"), token(p.url, "other"), token(p.url, "qrgate")
	s.at(t, p.url, "qrgate")

	swap := func(token string) func(map[string]any) {
		return func(answer map[string]any) { answer["id_token"] = token }
	}
	tests := []struct {
		name   string
		err    error
		tamper func(map[string]any)
		query  func(url.Values)
		later  time.Duration
	}{
		{name: "nothing foreign"},
		{name: "nonce of an earlier sign-in", err: signin.ErrNonce, tamper: swap(ofEarlier)},
		{name: "issued by another provider", err: signin.ErrIssuer, tamper: swap(ofStranger)},
		{name: "made for another client", err: signin.ErrAudience, tamper: swap(ofOther)},
		{name: "another subject under the same signature", err: signin.ErrIdentity, tamper: func(a map[string]any) {
			a["id_token"] = altered(t, a["id_token"].(string), 1, `"7d1f"`, `"7d20"`)
		}},
		{name: "unsigned", err: signin.ErrIdentity, tamper: func(a map[string]any) {
			unsigned := altered(t, a["id_token"].(string), 0, `RS256`, `none`)
			a["id_token"] = unsigned[:strings.LastIndex(unsigned, ".")+1]
		}},
		{name: "no identity", err: signin.ErrIdentity, tamper: func(a map[string]any) { delete(a, "id_token") }},
		{name: "identity that is no token", err: signin.ErrIdentity, tamper: swap("x")},
		{name: "other state", err: signin.ErrState, query: func(q url.Values) { q.Set("state", "x") }},
		{name: "no state", err: signin.ErrState, query: func(q url.Values) { q.Del("state") }},
		{name: "no code", err: signin.ErrState, query: func(q url.Values) { q.Del("code") }},
		{name: "made-up code", err: signin.ErrCode, query: func(q url.Values) { q.Set("code", "x") }},
		{name: "cancelled", err: signin.ErrDenied, query: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }},
		{name: "answer of another provider", err: signin.ErrIssuer, query: func(q url.Values) { q.Set("iss", stranger.url) }},
		{name: "just in time", later: signin.StateFor - time.Second},
		{name: "too late", err: signin.ErrExpired, later: signin.StateFor},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := s.signIn(t, "/")
			q := address.Query()
			if tt.query != nil {
				tt.query(q)
			}
			address.RawQuery = q.Encode()
			s.tamper, s.now = tt.tamper, s.now.Add(tt.later)
			s.comeBack(t, address)
			s.tamper, s.now = nil, s.now.Add(-tt.later)
			if !errors.Is(s.err, tt.err) {
				t.Errorf("Finish = %v, want %v", s.err, tt.err)
			}
			if (tt.err == nil) != (s.who.Subject == "7d1f") {
				t.Errorf("Finish returns %+v", s.who)
			}
		})
	}
}

// A state that was begun at one provider, or that says nothing, finishes at none.
func TestFinishNeedsItsOwnState(t *testing.T) {
	s := newSite(t)
	p := newIDP(t, s.redirect())
	s.at(t, p.url, "qrgate")
	address := s.signIn(t, "/")
	s.comeBack(t, address)
	state, err := signin.OpenState(stateKey, s.cookie)
	if err != nil {
		t.Fatal(err)
	}
	state.Issuer = "https://elsewhere.example"
	for _, foreign := range []signin.State{{}, {Issuer: p.url, Ends: s.now.Add(time.Hour)}, state} {
		for _, q := range []url.Values{nil, address.Query(), {"code": {"x"}}} {
			if _, err := s.provider.Finish(t.Context(), s.now, foreign, q); !errors.Is(err, signin.ErrState) {
				t.Errorf("Finish of %+v = %v, want %v", foreign, err, signin.ErrState)
			}
		}
	}
}

func TestIdentityOutOfDate(t *testing.T) {
	s := newSite(t)
	p := newIDP(t, s.redirect())
	s.at(t, p.url, "qrgate")
	s.longer = 10 * time.Hour
	address := s.signIn(t, "/")
	s.now = s.now.Add(2 * time.Hour) // the provider's tokens hold for one
	s.comeBack(t, address)
	if !errors.Is(s.err, signin.ErrIdentity) {
		t.Errorf("Finish with an identity that has expired = %v, want %v", s.err, signin.ErrIdentity)
	}
}

func TestProviderIsDownAtStart(t *testing.T) {
	s := newSite(t)
	p := newIDP(t, s.redirect())
	p.down.Store(true)
	s.at(t, p.url, "qrgate")
	for range 100 {
		if _, _, err := s.provider.Begin(t.Context(), s.now, "/"); !errors.Is(err, signin.ErrUnavailable) {
			t.Fatalf("Begin while the provider is down = %v, want %v", err, signin.ErrUnavailable)
		}
	}
	if n := p.asks.Load(); n != 1 {
		t.Errorf("100 users had the provider asked %d times, want once", n)
	}
	p.down.Store(false)
	s.now = s.now.Add(6 * time.Second)
	address := s.signIn(t, "/")
	p.down.Store(true)
	s.comeBack(t, address)
	if !errors.Is(s.err, signin.ErrUnavailable) {
		t.Errorf("Finish while the provider is down = %v, want %v", s.err, signin.ErrUnavailable)
	}
	p.down.Store(false)
	s.comeBack(t, address)
	if s.err != nil {
		t.Errorf("Finish after the provider came back = %v", s.err)
	}
}

func TestProviderOfAnotherName(t *testing.T) {
	s := newSite(t)
	p := newIDP(t, s.redirect())
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	s.at(t, "http://localhost:"+u.Port(), "qrgate")
	if _, _, err := s.provider.Begin(t.Context(), s.now, "/"); !errors.Is(err, signin.ErrIssuer) {
		t.Errorf("Begin at a provider that calls itself otherwise = %v, want %v", err, signin.ErrIssuer)
	}
}

func TestProviderConfig(t *testing.T) {
	good := signin.ProviderConfig{Issuer: "https://id.hue.example", ClientID: "qrgate", RedirectURL: "https://qr.hue.example/callback"}
	if _, err := signin.NewProvider(good); err != nil {
		t.Errorf("NewProvider = %v", err)
	}
	for _, change := range []func(*signin.ProviderConfig){
		func(c *signin.ProviderConfig) { c.Issuer = "" },
		func(c *signin.ProviderConfig) { c.Issuer = "id.hue.example" },
		func(c *signin.ProviderConfig) { c.RedirectURL = "/callback" },
		func(c *signin.ProviderConfig) { c.RedirectURL = "javascript://x" },
		func(c *signin.ProviderConfig) { c.ClientID = "" },
		func(c *signin.ProviderConfig) { c.Scopes = []string{"email"} },
	} {
		bad := good
		change(&bad)
		if _, err := signin.NewProvider(bad); err == nil {
			t.Errorf("NewProvider(%+v) accepts", bad)
		}
	}
}

// altered returns token with one of its parts changed and its signature as it
// was.
func altered(t *testing.T, token string, part int, old, new string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	plain, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil || !bytes.Contains(plain, []byte(old)) {
		t.Fatalf("part %d of the token is %q, %v", part, plain, err)
	}
	parts[part] = base64.RawURLEncoding.EncodeToString(bytes.ReplaceAll(plain, []byte(old), []byte(new)))
	return strings.Join(parts, ".")
}
