package connect_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/connect"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

type site struct {
	t       *testing.T
	reg     *register.Register
	handler http.Handler
	cookie  string
}

func newSite(t *testing.T, grants ...qrgate.Grant) *site {
	t.Helper()
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	reg := register.New(s, time.Now)
	a := &register.Account{Name: "quan.tri", Display: "Quản trị"}
	if err := reg.AddAccount(t.Context(), "", a, grants...); err != nil {
		t.Fatal(err)
	}
	f := page.New(page.Options{Register: reg, Log: slog.New(slog.DiscardHandler), HelpLine: "19001075"})
	routes := append(connect.New(f, reg).Routes(), page.Route{Pattern: "POST /test", Allow: page.Anybody(), Handler: func(w http.ResponseWriter, r *http.Request, v *page.View) error {
		if err := v.SignIn(r, a.ID, true, false); err != nil {
			return err
		}
		return v.Go(w, "/", "")
	}})
	x := &site{t: t, reg: reg, handler: f.Handler(routes)}
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, httptest.NewRequest("POST", "/test", nil))
	x.cookie = w.Result().Cookies()[0].String()
	return x
}

func (s *site) ask(method, path string, form url.Values) (*http.Response, string) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", s.cookie)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.Contains(string(body), "⟦") {
		s.t.Errorf("%s %s lacks a text: %s", method, path, body)
	}
	return w.Result(), string(body)
}

var secret = regexp.MustCompile(`qrg_[A-Za-z0-9_-]{32}`)

func TestTokens(t *testing.T) {
	s := newSite(t, qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	if resp, body := s.ask("GET", "/ket-noi", nil); resp.StatusCode != 200 || !strings.Contains(body, "Chưa có mã kết nối nào") {
		t.Fatalf("empty = %d %s", resp.StatusCode, body)
	}
	form := url.Values{"token_system": {"Hue-S"}, "token_checkin": {"1"}, "token_lasts": {"365"}}
	resp, body := s.ask("POST", "/ket-noi", form)
	if resp.StatusCode != 200 || len(secret.FindAllString(body, -1)) != 1 {
		t.Fatalf("made = %d %s", resp.StatusCode, body)
	}
	if _, body := s.ask("GET", "/ket-noi", nil); secret.MatchString(body) || !strings.Contains(body, "Hue-S") || !strings.Contains(body, "Đang dùng được") {
		t.Errorf("the list shows the secret again, or not the token: %s", body)
	}
	all, err := s.reg.Tokens(t.Context())
	if err != nil || len(all) != 1 || !all[0].May(register.CheckinWrite) || all[0].May(register.PlaceRead) {
		t.Fatalf("Tokens() = %+v, %v", all, err)
	}
	if resp, _ := s.ask("POST", "/ket-noi/"+all[0].ID+"/thu-hoi", nil); resp.StatusCode != 303 {
		t.Errorf("take back = %d", resp.StatusCode)
	}
	if _, body := s.ask("GET", "/ket-noi", nil); !strings.Contains(body, "Đã thu hồi") {
		t.Errorf("the list after it was taken back: %s", body)
	}
	if resp, _ := s.ask("POST", "/ket-noi/nothing/thu-hoi", nil); resp.StatusCode != 404 {
		t.Errorf("take back what is not there = %d", resp.StatusCode)
	}
	for field, value := range map[string]string{"token_system": "", "token_checkin": "", "token_lasts": "9999"} {
		wrong := url.Values{"token_system": {"Hue-S"}, "token_checkin": {"1"}, "token_lasts": {"365"}}
		wrong.Set(field, value)
		if resp, body := s.ask("POST", "/ket-noi", wrong); resp.StatusCode != 422 || secret.MatchString(body) {
			t.Errorf("%s=%s = %d", field, value, resp.StatusCode)
		}
	}
}

func TestOnlyAdministrators(t *testing.T) {
	s := newSite(t, qrgate.Grant{Role: qrgate.Operator, Scope: qrgate.All})
	for _, method := range []string{"GET", "POST"} {
		if resp, _ := s.ask(method, "/ket-noi", nil); resp.StatusCode != 403 {
			t.Errorf("%s by an operator = %d", method, resp.StatusCode)
		}
	}
}
