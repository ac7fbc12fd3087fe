package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/account"
)

type rawMail struct {
	Host         string
	Port         int
	Security     string
	From         string
	FromName     string `toml:"from_name"`
	User         string
	PasswordFile string `toml:"password_file"`
	SMSAddress   string `toml:"sms_address"`
}

// parseSMS returns where text messages go as letters, or "" if they do not.
func (raw rawMail) parseSMS(bad func(format string, args ...any)) string {
	if raw.SMSAddress == "" {
		return ""
	}
	if raw.Host == "" {
		bad("mail.sms_address: needs mail.host")
	}
	if _, err := mail.Address(strings.ReplaceAll(raw.SMSAddress, "{phone}", "84905123456")); err != nil || strings.Count(raw.SMSAddress, "{phone}") != 1 {
		bad("mail.sms_address: must be an address with {phone} once, not %q", raw.SMSAddress)
	}
	return raw.SMSAddress
}

// parse returns how letters leave, or nil if they do not. bad is called for what
// is wrong.
func (raw rawMail) parse(bad func(format string, args ...any)) *mail.Config {
	if raw.Host == "" {
		if raw.From != "" || raw.FromName != "" || raw.User != "" || raw.PasswordFile != "" || raw.Port != 0 {
			bad("mail.host: is missing")
		}
		return nil
	}
	c := mail.Config{
		Host: raw.Host, Port: raw.Port, Security: mail.Security(raw.Security), User: raw.User, From: raw.From, FromName: raw.FromName,
	}
	if (raw.User == "") != (raw.PasswordFile == "") {
		bad("mail: user and password_file go together")
	}
	var err error
	if c.Password, err = readSecret(raw.PasswordFile); err != nil {
		bad("mail.password_file: %w", err)
	}
	if _, err := mail.New(c, slog.New(slog.DiscardHandler), mail.Options{}); err != nil {
		bad("[mail]: %w", err)
	}
	return &c
}

type rawSignIn struct {
	Name             string
	Label            string
	Issuer           string
	ClientID         string `toml:"client_id"`
	ClientSecretFile string `toml:"client_secret_file"`
}

// parseSignIn returns the other systems whose accounts sign in.
func parseSignIn(sections []rawSignIn, bad func(format string, args ...any)) []account.Provider {
	var all []account.Provider
	for i, raw := range sections {
		p := account.Provider{Name: raw.Name, Label: raw.Label, Issuer: raw.Issuer, ClientID: raw.ClientID}
		at := fmt.Sprintf("sign_in %d", i+1)
		if raw.Name == "" || len(raw.Name) > 20 || strings.Trim(raw.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(raw.Name, "-") != raw.Name {
			bad("%s: name: must be of a-z, 0-9 and hyphens, not %q", at, raw.Name)
		}
		if slices.ContainsFunc(all, func(o account.Provider) bool { return o.Name == raw.Name || o.Issuer == raw.Issuer }) {
			bad("%s: name or issuer is that of another section", at)
		}
		if n := utf8.RuneCountInString(raw.Label); n == 0 || n > 40 || strings.ContainsFunc(raw.Label, unicode.IsControl) {
			bad("%s: label: must be 1 to 40 characters", at)
		}
		if !goodIssuer(raw.Issuer) {
			bad("%s: issuer: must be https://host, not %q", at, raw.Issuer)
		}
		if raw.ClientID == "" {
			bad("%s: client_id: is missing", at)
		}
		var err error
		if p.ClientSecret, err = readSecret(raw.ClientSecretFile); err != nil {
			bad("%s: client_secret_file: %w", at, err)
		}
		all = append(all, p)
	}
	return all
}

// goodIssuer reports whether an issuer can be trusted to be itself: it has TLS,
// or is on this machine.
func goodIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	if u.Scheme == "http" {
		addr, err := netip.ParseAddr(u.Hostname())
		return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	}
	return u.Scheme == "https"
}

// readSecret returns what a file holds without the line end, or "" for no file.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}
