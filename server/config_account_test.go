package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/account"
)

func TestParseMailAndSignIn(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(strings.ReplaceAll(`
[mail]
host = "smtp.example.vn"
from = "qr@example.vn"
from_name = "QRGate Huế"
user = "qr"
password_file = "SECRET"
[[sign_in]]
name = "hue-s"
label = "Hue-S"
issuer = "https://id.example.vn"
client_id = "qrgate"
client_secret_file = "SECRET"
[[sign_in]]
name = "local"
label = "Thử"
issuer = "http://127.0.0.1:9000/realm"
client_id = "qrgate"
`, "SECRET", secret))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&mail.Config{Host: "smtp.example.vn", Security: mail.StartTLS, User: "qr", Password: "hush hush", From: "qr@example.vn", FromName: "QRGate Huế"}, c.Mail); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	want := []account.Provider{
		{Name: "hue-s", Label: "Hue-S", Issuer: "https://id.example.vn", ClientID: "qrgate", ClientSecret: "hush hush"},
		{Name: "local", Label: "Thử", Issuer: "http://127.0.0.1:9000/realm", ClientID: "qrgate"},
	}
	if diff := cmp.Diff(want, c.Providers); diff != "" {
		t.Errorf("sign_in (-want +got):\n%s", diff)
	}
}

// The section that the reference only tells of is sound.
func TestReferenceSignIn(t *testing.T) {
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	at := strings.Index(text, "# [[sign_in]]")
	section, rest, _ := strings.Cut(text[at:], "\n\n")
	section = strings.ReplaceAll("\n"+section, "\n# ", "\n")
	c, err := parseConfig(text[:at] + section + "\n\n" + rest)
	if err != nil || len(c.Providers) != 1 || c.Providers[0].Name != "hue-s" {
		t.Errorf("reference.toml with sign_in = %+v, %v", c.Providers, err)
	}
}

func TestParseMailAndSignInMistakes(t *testing.T) {
	const signIn = "[[sign_in]]\nname = \"a\"\nlabel = \"A\"\nissuer = \"https://a.example\"\nclient_id = \"x\"\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no host", "[mail]\nfrom = \"a@b.vn\"", "mail.host"},
		{"no sender", "[mail]\nhost = \"a\"", "from"},
		{"security", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nsecurity = \"ssl\"", "ssl"},
		{"messages without a telephone", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nsms_address = \"x@sms.vn\"", "mail.sms_address"},
		{"messages without mail", "[mail]\nsms_address = \"{phone}@sms.example.vn\"", "mail.host"},
		{"port", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nport = 70000", "70000"},
		{"no password", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nuser = \"u\"", "password_file"},
		{"missing password file", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nuser = \"u\"\npassword_file = \"/does/not/exist\"", "mail.password_file"},
		{"password in clear", "[mail]\nhost = \"a\"\nfrom = \"a@b.vn\"\nsecurity = \"none\"\nuser = \"u\"\npassword_file = \"config.go\"", "tls"},
		{"unknown key", "[mail]\npassword = \"x\"", "mail.password"},
		{"name", strings.Replace(signIn, `"a"`, `"A b"`, 1), "sign_in 1: name"},
		{"twice", signIn + signIn, "sign_in 2"},
		{"no label", strings.Replace(signIn, `"A"`, `""`, 1), "label"},
		{"issuer in clear", strings.Replace(signIn, "https:", "http:", 1), "issuer"},
		{"no client", strings.Replace(signIn, `"x"`, `""`, 1), "client_id"},
		{"missing secret file", signIn + "client_secret_file = \"/does/not/exist\"", "client_secret_file"},
		{"unknown key of a section", signIn + "scope = \"x\"", "sign_in.scope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseConfig(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseConfig(%q) error = %v, want one that names %s", tt.text, err, tt.want)
			}
		})
	}
}
