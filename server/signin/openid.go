package signin

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Why an account of another system is not accepted, besides [ErrState].
var (
	// ErrExpired means that the user took longer than [StateFor].
	ErrExpired = errors.New("signin: sign-in took too long")
	// ErrDenied means that the provider sent the user back without signing in,
	// mostly because they chose to cancel.
	ErrDenied = errors.New("signin: denied by the provider")
	// ErrUnavailable means that the provider does not answer as it should now.
	ErrUnavailable = errors.New("signin: provider is not available")
	// ErrCode means that the provider refused the code, as it does when a code
	// is used again.
	ErrCode = errors.New("signin: code refused by the provider")
	// ErrIdentity means that what the provider said of the user does not hold:
	// it is badly signed, out of date, or not made for this sign-in.
	ErrIdentity = errors.New("signin: identity does not hold")
	// ErrIssuer, ErrAudience and ErrNonce are kinds of ErrIdentity.
	ErrIssuer   = fmt.Errorf("%w: other issuer", ErrIdentity)
	ErrAudience = fmt.Errorf("%w: made for another client", ErrIdentity)
	ErrNonce    = fmt.Errorf("%w: made for another sign-in", ErrIdentity)
)

// A ProviderConfig names an OpenID Connect provider, and what we are there.
type ProviderConfig struct {
	Issuer       string // URL, as the provider's own configuration says it
	ClientID     string
	ClientSecret string   // "" for a public client
	RedirectURL  string   // of the page that calls [Provider.Finish]
	Scopes       []string // default openid, profile, email, phone
	// Client makes the requests; default is one that ends them after ten
	// seconds.
	Client *http.Client
}

// An Identity is a user as a provider knows them. Issuer and Subject together
// are the account, for ever; the rest is what the provider says today, to fill a
// form with, and may be empty.
type Identity struct {
	Issuer        string
	Subject       string
	Name          string
	Email         string
	EmailVerified bool
	Phone         string
	PhoneVerified bool
}

// discoverAgain bounds how often a provider that is down is asked for its
// configuration, and so how many pages wait for it.
const discoverAgain = 5 * time.Second

// A Provider signs users in with accounts of another system. It is safe for
// concurrent use.
type Provider struct {
	config ProviderConfig

	mu    sync.Mutex // held while asking, so that one request serves all
	found *oidc.Provider
	err   error     // of the last attempt
	again time.Time // when the next may be made
}

// NewProvider returns a Provider. The provider itself is asked for its
// configuration when somebody signs in, and again until it answers, so that it
// may be down when this server starts.
func NewProvider(c ProviderConfig) (*Provider, error) {
	for name, value := range map[string]string{"issuer": c.Issuer, "redirect URL": c.RedirectURL} {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("signin: provider: %s %q is not a URL", name, value)
		}
	}
	if c.ClientID == "" {
		return nil, errors.New("signin: provider: no client id")
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, "profile", "email", "phone"}
	}
	if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		return nil, fmt.Errorf("signin: provider: scopes lack %q", oidc.ScopeOpenID)
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	return &Provider{config: c}, nil
}

// Begin returns where to send the browser, and what it must keep meanwhile. The
// user shall return to path afterwards, see [SafePath]. The error is
// [ErrUnavailable] if the provider does not answer.
func (p *Provider) Begin(ctx context.Context, now time.Time, path string) (address string, s State, err error) {
	found, err := p.discover(ctx, now)
	if err != nil {
		return "", State{}, err
	}
	s = State{
		Issuer:   p.config.Issuer,
		State:    base64.RawURLEncoding.EncodeToString(random(18)),
		Nonce:    base64.RawURLEncoding.EncodeToString(random(18)),
		Verifier: oauth2.GenerateVerifier(),
		Return:   SafePath(path),
		Ends:     now.Add(StateFor),
	}
	c := p.oauth2(found)
	return c.AuthCodeURL(s.State, oauth2.S256ChallengeOption(s.Verifier), oidc.Nonce(s.Nonce)), s, nil
}

// Finish returns who signed in, from the query with which the provider sent the
// browser back and the state that Begin gave it.
func (p *Provider) Finish(ctx context.Context, now time.Time, s State, query url.Values) (Identity, error) {
	// An empty state would equal a missing one.
	if s.State == "" || s.Issuer != p.config.Issuer ||
		subtle.ConstantTimeCompare([]byte(s.State), []byte(query.Get("state"))) != 1 {
		return Identity{}, ErrState
	}
	if !now.Before(s.Ends) {
		return Identity{}, ErrExpired
	}
	// RFC 9207: an answer that says it is another provider's was led here to
	// have its code sent to this one.
	if iss := query.Get("iss"); iss != "" && iss != p.config.Issuer {
		return Identity{}, ErrIssuer
	}
	if query.Has("error") {
		return Identity{}, fmt.Errorf("%w: %q", ErrDenied, cut(query.Get("error"), 64))
	}
	if query.Get("code") == "" {
		return Identity{}, fmt.Errorf("%w: no code", ErrState)
	}
	found, err := p.discover(ctx, now)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.config.Client)
	token, err := p.oauth2(found).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(s.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Identity{}, fmt.Errorf("%w: no id_token", ErrIdentity)
	}
	verifier := found.VerifierContext(ctx, &oidc.Config{ClientID: p.config.ClientID, Now: func() time.Time { return now }})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, p.identityError(raw, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(s.Nonce)) != 1 {
		return Identity{}, ErrNonce
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return Identity{}, fmt.Errorf("%w: claims: %w", ErrIdentity, err)
	}
	// With several audiences the token says to whom it was handed.
	if len(id.Audience) > 1 && c.Party != p.config.ClientID || c.Party != "" && c.Party != p.config.ClientID {
		return Identity{}, ErrAudience
	}
	if id.Subject == "" || len(id.Subject) > 255 {
		return Identity{}, fmt.Errorf("%w: subject", ErrIdentity)
	}
	if c.Name == "" && c.Email == "" && c.Phone == "" && found.UserInfoEndpoint() != "" {
		// Providers may keep these out of the token. They only fill a form, so
		// that a provider which does not hand them out is no reason to turn
		// its user away.
		info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err == nil {
			if info.Subject != id.Subject {
				return Identity{}, fmt.Errorf("%w: user information of another subject", ErrIdentity)
			}
			if info.Claims(&c) != nil {
				c = claims{}
			}
		}
	}
	return Identity{
		Issuer: p.config.Issuer, Subject: id.Subject, Name: c.Name,
		Email: c.Email, EmailVerified: bool(c.EmailVerified), Phone: c.Phone, PhoneVerified: bool(c.PhoneVerified),
	}, nil
}

type claims struct {
	Party         string `json:"azp"`
	Name          string `json:"name"`
	Email         string `json:"email"`
	EmailVerified truth  `json:"email_verified"`
	Phone         string `json:"phone_number"`
	PhoneVerified truth  `json:"phone_number_verified"`
}

// A truth is a boolean that some providers write as a string.
type truth bool

func (t *truth) UnmarshalJSON(b []byte) error {
	*t = string(b) == "true" || string(b) == `"true"`
	return nil
}

func (p *Provider) oauth2(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     p.config.ClientID,
		ClientSecret: p.config.ClientSecret,
		Endpoint:     found.Endpoint(),
		RedirectURL:  p.config.RedirectURL,
		Scopes:       p.config.Scopes,
	}
}

func (p *Provider) discover(ctx context.Context, now time.Time) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if now.Before(p.again) && p.again.Sub(now) <= discoverAgain { // not if the clock was put back
		return nil, p.err
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.config.Client), p.config.Issuer)
	if err == nil {
		p.found = found
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err()) // says nothing of the provider
	}
	p.err, p.again = fmt.Errorf("%w: %w", ErrUnavailable, err), now.Add(discoverAgain)
	if mismatch := new(oidc.IssuerMismatchError); errors.As(err, &mismatch) {
		p.err = fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	return nil, p.err
}

// exchangeError tells a refused code from a provider that is ill.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.ErrorCode == "invalid_grant" {
		return ErrCode
	}
	if errors.As(err, &answer) && answer.Response != nil {
		// The body is left out: it may repeat what we sent.
		return fmt.Errorf("%w: token endpoint: %s %q", ErrUnavailable, answer.Response.Status, cut(answer.ErrorCode, 64))
	}
	return fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, err)
}

// identityError gives a name to what the library refused, from what the refused
// token says of itself; nothing else of it is believed.
func (p *Provider) identityError(raw string, cause error) error {
	var said struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
	}
	parts := strings.Split(raw, ".")
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(payload, &said) // what cannot be read gets the general name
		}
	}
	var one string
	var many []string
	switch {
	case said.Issuer != "" && said.Issuer != p.config.Issuer:
		return fmt.Errorf("%w: %w", ErrIssuer, cause)
	case json.Unmarshal(said.Audience, &one) == nil && one != p.config.ClientID,
		json.Unmarshal(said.Audience, &many) == nil && !slices.Contains(many, p.config.ClientID):
		return fmt.Errorf("%w: %w", ErrAudience, cause)
	}
	return fmt.Errorf("%w: %w", ErrIdentity, cause)
}

// cut shortens what a stranger wrote before it goes into an error.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
