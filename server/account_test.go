package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// typed makes text what the program reads.
func typed(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdin
	os.Stdin = f
	t.Cleanup(func() { os.Stdin = before; f.Close() })
}

func TestAccountCommands(t *testing.T) {
	d := newDesk(t)
	d.must("init", "-root", filepath.Join(d.dir, "root.key"))
	link := strings.TrimSpace(d.must("account", "add", "Chief", "-role", "administrator", "-scope", "all"))
	u, err := url.Parse(link)
	if err != nil || u.Path != account.ResetPath || u.Host != "127.0.0.1:8080" {
		t.Fatalf("account add printed %q", link)
	}
	typed(t, "con trâu là đầu cơ nghiệp\n")
	if out := d.must("account", "add", "0905 123 456", "-stdin", "-role", "area_officer", "-scope", "area:19753@2025-07-01"); out != "" {
		t.Errorf("account add -stdin printed %q", out)
	}
	list := d.must("account", "list")
	for _, want := range []string{"chief", "administrator/all", "0905123456", "area_officer/area:19753@2025-07-01"} {
		if !strings.Contains(list, want) {
			t.Errorf("account list lacks %s: %s", want, list)
		}
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"account"}, exitUsage, "add NAME"},
		{[]string{"account", "paint"}, exitUsage, "add NAME"},
		{[]string{"account", "add", "lân"}, exitUsage, "user name"},
		{[]string{"account", "add", "lan", "-role", "king"}, exitUsage, "administrator"},
		{[]string{"account", "add", "lan", "-role", "owner"}, exitUsage, "owner"},
		{[]string{"account", "add", "lan", "-role", "area_officer", "-scope", "area:00000@2025-07-01"}, exitUsage, "not found"},
		{[]string{"account", "add", "lan", "-role", "sector_officer", "-scope", "sector:nothing"}, exitUsage, "not found"},
		{[]string{"account", "add", "lan", "-role", "owner", "-scope", "organisation:nothing"}, exitFailed, "not found"},
		{[]string{"account", "add", "chief"}, exitFailed, "already"},
		{[]string{"account", "recover", "nobody"}, exitFailed, "not found"},
	} {
		code, _, errs := d.run(tt.args...)
		if code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%v: exit status %d, %q, want %d and %q", tt.args, code, errs, tt.code, tt.want)
		}
	}
	typed(t, "12345678\n")
	if code, _, errs := d.run("account", "add", "lan", "-stdin"); code != exitFailed || !strings.Contains(errs, "many people use") {
		t.Errorf("a bad password: exit status %d, %q", code, errs)
	}
	code, _, _ := strings.Cut(d.must("account", "recover", "0905123456", "-second"), "\n")

	// The pages take what the commands print.
	h := d.pages()
	for _, tt := range []struct {
		path string
		form url.Values
	}{
		{account.ResetPath, url.Values{"ma": {u.Query().Get("ma")}, "account_new_password": {"mật khẩu hoàn toàn mới"}}},
		{account.ForgotPath, url.Values{"cach": {"ma"}, "account_name": {"0905123456"}, "account_code": {code}, "account_new_password": {"mật khẩu hoàn toàn mới"}}},
	} {
		r := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/dang-nhap" {
			t.Errorf("%s = %d %s", tt.path, w.Code, w.Body)
		}
	}
}

// pages are those of accounts over the desk's database.
func (d desk) pages() http.Handler {
	d.Helper()
	c, err := readConfig(d.config)
	if err != nil {
		d.Fatal(err)
	}
	master, err := vault.ReadMaster(c.Master)
	if err != nil {
		d.Fatal(err)
	}
	s, err := store.Open(d.Context(), c.Store, store.Options{})
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { s.Close() })
	reg := register.New(s, time.Now)
	f := page.New(page.Options{Register: reg, Base: c.PortalURL})
	a, err := account.New(f, account.Options{Register: reg, Key: master.Derive})
	if err != nil {
		d.Fatal(err)
	}
	return f.Handler(a.Routes())
}
