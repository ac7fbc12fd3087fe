package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store/register"
)

// Paths of the server's files when the configuration names no others.
const (
	defaultConfig = "/etc/qrgate/server.toml"
	defaultState  = "/var/lib/qrgate-server"
)

// A Config is the server's checked settings; reference.toml shows every key.
type Config struct {
	State    string // directory of everything that is the server's own
	Master   string // file of the master key
	Store    string // data source name, see store.Open
	LogLevel slog.Level

	Broker       string   // address to listen on; empty with an external broker
	Names        []string // that kiosks and servers reach the broker under
	BrokerURL    string   // that this server connects to
	BrokerReload []string // command that has an external broker read its list of revoked certificates
	KioskURL     string   // that new kiosks are told; empty for the broker's port at the portal's host
	Client       string   // this server's own name at the broker

	Portal      string // address that the portal listens on
	PortalURL   string // what posters and messages say
	Certificate string // PEM files of the portal; empty without TLS of its own
	Key         string
	Redirect    string // address that sends http:// on; empty means none
	Proxies     []netip.Prefix
	HelpLine    string
	Controller  string
	LiveOpen    bool   // anybody sees the live page
	Metrics     string // address of metrics; empty means none

	Mail      *mail.Config       // nil if this server sends none
	SMS       string             // e-mail address of a gateway of text messages, with {phone}; empty if there is none
	Providers []account.Provider // whose accounts sign in

	Workers    int
	Retention  time.Duration
	BackupDays int      // how long a data backup is kept
	Backups    string   // folder of data backups; empty means none
	KeyCopies  string   // folder of copies of the keys in daysDir; empty means none
	Logs       string   // folder of logs; empty means none
	Copies     []string // of the database, that somebody must confirm
	CardBatch  int      // cards that may be issued at once
	Issue      issueConfig
	Releases   string // folder of releases; empty is below State
}

// Directories and files below State.
func (c Config) keysDir() string { return filepath.Join(c.State, "keys") }
func (c Config) daysDir() string { return filepath.Join(c.State, "days") }
func (c Config) tlsDir() string  { return filepath.Join(c.State, "tls") }

// revokedDir remembers, outside the database, which kiosks are revoked; see package
// store/enrolment.
func (c Config) revokedDir() string { return filepath.Join(c.State, "revoked") }

// releasesDir is the repository that kiosks fetch newer versions from.
func (c Config) releasesDir() string {
	if c.Releases != "" {
		return c.Releases
	}
	return filepath.Join(c.State, "releases")
}

// erasedDir, clockFile and sealFile remember, outside the database, who was erased and
// whose data is not used, when the clock was believed last, and which seal of audit rows
// is the newest; see package retention.
func (c Config) erasedDir() string { return filepath.Join(c.State, "erased") }
func (c Config) clockFile() string { return filepath.Join(c.State, "clock") }
func (c Config) sealFile() string  { return filepath.Join(c.State, "audit.head") }

// serverName is what the broker's certificate must be for.
func (c Config) serverName() string {
	if c.Broker != "" {
		return c.Names[0]
	}
	u, err := url.Parse(c.BrokerURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// serverNames are the names that servers may have at a broker. An external
// broker's list of rules holds them all, so that a second server can be added
// without touching it.
var serverNames = []string{"server-1", "server-2", "server-3", "server-4", "server-5", "server-6", "server-7", "server-8", "server-9"}

type rawConfig struct {
	State    string
	Master   string
	LogLevel string `toml:"log_level"`
	Store    struct {
		DSN     string `toml:"dsn"`
		DSNFile string `toml:"dsn_file"`
	}
	Broker struct {
		Listen string
		Names  []string
		URL    string
		Kiosks string
		Client string
		Reload []string
	}
	Portal struct {
		Listen      string
		URL         string
		Certificate string
		Key         string
		Redirect    string
		Proxies     []string
		HelpLine    string `toml:"help_line"`
		Controller  string
		Live        string
	}
	Mail    rawMail
	SignIn  []rawSignIn `toml:"sign_in"`
	Metrics struct{ Listen string }
	Ingest  struct{ Workers int }
	Release struct{ Dir string }
	Cards   struct{ Batch int }
	Issue   rawIssue

	Retention rawRetention
}

// readConfig reads path, or only the defaults if path is the default and is not
// there.
func readConfig(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == defaultConfig {
		b, err = nil, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("configuration: %w; write one, in which the line state = \"/an/empty/folder\" is enough", err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	c, err := parseConfig(string(b))
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads a configuration strictly: a key that it does not know is an
// error that names it.
func parseConfig(text string) (Config, error) {
	var raw rawConfig
	raw.State, raw.LogLevel = defaultState, "info"
	raw.Broker.Listen, raw.Broker.Names = ":8883", []string{"localhost", "127.0.0.1", "::1"}
	raw.Broker.Client = serverNames[0]
	raw.Portal.Listen, raw.Portal.Live = "127.0.0.1:8080", "staff"
	raw.Mail.Security = string(mail.StartTLS)
	raw.Metrics.Listen = "127.0.0.1:9464"
	raw.Retention.Days, raw.Retention.BackupDays = retention.DefaultDays, retention.DefaultBackupDays
	raw.Cards.Batch, raw.Issue = register.MaxBatch, defaultIssue
	md, err := toml.Decode(text, &raw)
	if err != nil {
		return Config{}, err
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = k.String()
		}
		return Config{}, fmt.Errorf("unknown key %s", strings.Join(names, ", "))
	}

	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c := Config{
		State: raw.State, Master: raw.Master, Store: raw.Store.DSN,
		Broker: raw.Broker.Listen, Names: raw.Broker.Names, BrokerURL: raw.Broker.URL, Client: raw.Broker.Client,
		Portal: raw.Portal.Listen, PortalURL: strings.TrimSuffix(raw.Portal.URL, "/"), Certificate: raw.Portal.Certificate, Key: raw.Portal.Key,
		Redirect: raw.Portal.Redirect, HelpLine: raw.Portal.HelpLine, Controller: raw.Portal.Controller, LiveOpen: raw.Portal.Live == "anybody",
		Metrics: raw.Metrics.Listen, Releases: raw.Release.Dir,
		Workers: raw.Ingest.Workers, CardBatch: raw.Cards.Batch,
	}
	if c.CardBatch < 1 || c.CardBatch > register.MaxBatch {
		bad("cards.batch: 1 to %d, not %d", register.MaxBatch, c.CardBatch)
	}
	if !filepath.IsAbs(c.State) {
		bad("state: must be an absolute path, not %q", c.State)
	}
	if c.Releases != "" && !filepath.IsAbs(c.Releases) {
		bad("release.dir: must be an absolute path, not %q", c.Releases)
	}
	if c.Master == "" {
		c.Master = filepath.Join(c.State, "master.key")
	}
	if err := c.LogLevel.UnmarshalText([]byte(raw.LogLevel)); err != nil {
		bad("log_level: must be debug, info, warn or error, not %q", raw.LogLevel)
	}
	switch {
	case raw.Store.DSN != "" && raw.Store.DSNFile != "":
		bad("store: dsn and dsn_file exclude each other")
	case raw.Store.DSNFile != "":
		b, err := os.ReadFile(raw.Store.DSNFile)
		if err != nil {
			bad("store.dsn_file: %w", err)
		}
		c.Store = strings.TrimSpace(string(b))
	case raw.Store.DSN == "":
		c.Store = "sqlite:" + filepath.Join(c.State, "qrgate.db")
	}
	if c.Broker != "" && c.BrokerURL != "" {
		bad(`broker: url names an external broker; set listen = "" to switch the embedded one off`)
	}
	if c.BrokerURL == "" {
		host, port, err := net.SplitHostPort(c.Broker)
		if err != nil {
			bad("broker.listen: %w", err)
		}
		if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
			host = "127.0.0.1" // a number, because not every machine knows localhost
		}
		c.BrokerURL = "tls://" + net.JoinHostPort(host, port)
	}
	if u, err := url.Parse(c.BrokerURL); err != nil || u.Scheme != "tls" || u.Port() == "" {
		bad("broker.url: must be tls://host:port, not %q", c.BrokerURL)
	}
	if c.KioskURL = raw.Broker.Kiosks; c.KioskURL != "" {
		if u, err := url.Parse(c.KioskURL); err != nil || u.Scheme != "tls" || u.Port() == "" {
			bad("broker.kiosks: must be tls://host:port, not %q", c.KioskURL)
		}
	}
	if c.BrokerReload = raw.Broker.Reload; len(c.BrokerReload) > 0 && c.Broker != "" {
		bad("broker.reload: only with an external broker")
	} else if len(c.BrokerReload) > 0 && c.BrokerReload[0] == "" {
		bad("broker.reload: the command has no name")
	}
	if !slices.Contains(serverNames, c.Client) {
		bad("broker.client: must be one of server-1 to server-9, not %q", c.Client)
	}
	if len(c.Names) == 0 {
		bad("broker.names: at least one host name or address is needed")
	}
	if c.Portal == "" {
		bad("portal.listen: must be host:port")
	}
	if c.PortalURL == "" {
		c.PortalURL = "http://" + c.Portal
	} else if u, err := url.Parse(c.PortalURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		bad("portal.url: must be https://host, not %q", raw.Portal.URL)
	}
	if (c.Certificate == "") != (c.Key == "") {
		bad("portal: certificate and key go together")
	}
	if c.Redirect != "" && !strings.HasPrefix(c.PortalURL, "https:") {
		bad("portal.redirect: only with an https:// url")
	}
	if l := raw.Portal.Live; l != "staff" && l != "anybody" {
		bad("portal.live: must be staff or anybody, not %q", l)
	}
	for _, text := range raw.Portal.Proxies {
		p, err := netip.ParsePrefix(text)
		if a, bare := netip.ParseAddr(text); bare == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			bad("portal.proxies: %q is neither an address nor a network", text)
			continue
		}
		c.Proxies = append(c.Proxies, p)
	}
	for key, addr := range map[string]string{"portal.listen": c.Portal, "portal.redirect": c.Redirect, "metrics.listen": c.Metrics} {
		if _, _, err := net.SplitHostPort(addr); err != nil && addr != "" {
			bad("%s: %w", key, err)
		}
	}
	c.Mail, c.Providers = raw.Mail.parse(bad), parseSignIn(raw.SignIn, bad)
	c.SMS = raw.Mail.parseSMS(bad)
	if c.Workers < 0 || c.Workers > 64 {
		bad("ingest.workers: must be 0 (one a processor) to 64")
	}
	raw.Retention.parse(&c, bad)
	raw.Issue.parse(&c, bad)
	return c, errors.Join(errs...)
}
