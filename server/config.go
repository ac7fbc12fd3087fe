package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
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

	Broker    string   // address to listen on; empty with an external broker
	Names     []string // that kiosks and servers reach the broker under
	BrokerURL string   // that this server connects to
	Client    string   // this server's own name at the broker

	Portal   string // address of the portal
	Metrics  string // address of metrics; empty means none
	HelpLine string

	Workers   int
	Retention time.Duration
}

// Directories and files below State.
func (c Config) keysDir() string { return filepath.Join(c.State, "keys") }
func (c Config) daysDir() string { return filepath.Join(c.State, "days") }
func (c Config) tlsDir() string  { return filepath.Join(c.State, "tls") }

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
		Client string
	}
	Portal struct {
		Listen   string
		HelpLine string `toml:"help_line"`
	}
	Metrics struct{ Listen string }
	Ingest  struct {
		Workers       int
		RetentionDays int `toml:"retention_days"`
	}
}

// readConfig reads path, or only the defaults if path is the default and is not
// there.
func readConfig(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == defaultConfig {
		b, err = nil, nil
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
	raw.Portal.Listen = "127.0.0.1:8080"
	raw.Metrics.Listen = "127.0.0.1:9464"
	raw.Ingest.RetentionDays = 21
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
		Portal: raw.Portal.Listen, Metrics: raw.Metrics.Listen, HelpLine: raw.Portal.HelpLine,
		Workers: raw.Ingest.Workers, Retention: time.Duration(raw.Ingest.RetentionDays) * 24 * time.Hour,
	}
	if !filepath.IsAbs(c.State) {
		bad("state: must be an absolute path, not %q", c.State)
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
		_, port, err := net.SplitHostPort(c.Broker)
		if err != nil {
			bad("broker.listen: %w", err)
		}
		c.BrokerURL = "tls://localhost:" + port
	}
	if u, err := url.Parse(c.BrokerURL); err != nil || u.Scheme != "tls" || u.Port() == "" {
		bad("broker.url: must be tls://host:port, not %q", c.BrokerURL)
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
	for key, addr := range map[string]string{"portal.listen": c.Portal, "metrics.listen": c.Metrics} {
		if _, _, err := net.SplitHostPort(addr); err != nil && addr != "" {
			bad("%s: %w", key, err)
		}
	}
	if c.Workers < 0 || c.Workers > 64 {
		bad("ingest.workers: must be 0 (one a processor) to 64")
	}
	if d := raw.Ingest.RetentionDays; d < 1 || d > 30 {
		bad("ingest.retention_days: must be 1 to 30, not %d", d)
	}
	return c, errors.Join(errs...)
}
