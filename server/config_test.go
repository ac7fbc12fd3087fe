package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The reference configuration is what the program does without any.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseConfig(string(b))
	if err != nil {
		t.Fatalf("parseConfig(reference.toml) error = %v", err)
	}
	want, err := parseConfig("")
	if err != nil {
		t.Fatalf("parseConfig(empty) error = %v", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("reference.toml is not the defaults (-defaults +reference):\n%s", diff)
	}
	if want.Retention != 21*24*time.Hour || want.BrokerURL != "tls://127.0.0.1:8883" || want.serverName() != "localhost" {
		t.Errorf("defaults = %+v", want)
	}
}

func TestParseConfig(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsn, []byte("postgres://user:secret@host/db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig("[store]\ndsn_file = \"" + dsn + "\"\n[broker]\nlisten = \"\"\nurl = \"tls://broker.example:8883\"\nclient = \"server-2\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Store != "postgres://user:secret@host/db" || c.Broker != "" || c.serverName() != "broker.example" || c.Client != "server-2" {
		t.Errorf("parseConfig = %+v", c)
	}
}

// Each mistake is named by its key, several at once.
func TestParseConfigMistakes(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "[portal]\nlissten = \"x\"", []string{"portal.lissten"}},
		{"not TOML", "state =", []string{"line 1"}},
		{"relative state", "state = \"here\"", []string{"state"}},
		{"level", "log_level = \"loud\"", []string{"log_level", "loud"}},
		{"two sources", "[store]\ndsn = \"sqlite:/x\"\ndsn_file = \"/y\"", []string{"dsn_file"}},
		{"missing file", "[store]\ndsn_file = \"/does/not/exist\"", []string{"store.dsn_file"}},
		{"two brokers", "[broker]\nurl = \"tls://a:1\"", []string{"broker"}},
		{"no broker", "[broker]\nlisten = \"\"", []string{"broker.listen"}},
		{"plain broker", "[broker]\nlisten = \"\"\nurl = \"mqtt://a:1883\"", []string{"broker.url"}},
		{"no names", "[broker]\nnames = []", []string{"broker.names"}},
		{"client", "[broker]\nclient = \"kiosk-0001\"", []string{"broker.client"}},
		{"portal", "[portal]\nlisten = \"8080\"", []string{"portal.listen"}},
		{"no portal", "[portal]\nlisten = \"\"", []string{"portal.listen"}},
		{"workers", "[ingest]\nworkers = 65", []string{"ingest.workers"}},
		{"several", "[ingest]\nworkers = -1\n[retention]\ndays = 31", []string{"ingest.workers", "retention.days"}},
		{"retention", "[retention]\nbackup_days = 0\nbackups = \"here\"\nlogs = \"there\"\nkeys = \"away\"\ncopies = [\"a b\", \"keys\"]",
			[]string{"retention.backup_days", "retention.backups", "retention.logs", "retention.keys", `"a b" is no name`, `"keys" is what`}},
		{"cards", "[cards]\nbatch = 0", []string{"cards.batch"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseConfig(tt.text)
			if err == nil {
				t.Fatalf("parseConfig(%q) error = nil", tt.text)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("parseConfig(%q) error = %q, does not name %s", tt.text, err, want)
				}
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("[store]\ndsn = \"postgres://x\"\n")
	f.Add("[broker]\nlisten = \"\"\nurl = \"tls://[::1]:8883\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(text)
		if err != nil {
			return
		}
		if !filepath.IsAbs(c.State) || c.Master == "" || c.Store == "" || c.serverName() == "" || c.Retention <= 0 {
			t.Errorf("parseConfig(%q) = %+v, which cannot serve", text, c)
		}
	})
}
