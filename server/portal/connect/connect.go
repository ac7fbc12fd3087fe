// Package connect is the page on which administrators give other systems their
// tokens for the API.
//
//	routes := connect.New(frame, reg).Routes()
//
// The promise: a token's secret is shown once, on the page that answers the form
// which made it, and is kept nowhere but as a hash. What tokens open is package
// api's matter.
package connect

import (
	"embed"
	"net/http"
	"strconv"

	"github.com/qrgate/qrgate/server/api"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// Pages are the pages. They are safe for concurrent use.
type Pages struct {
	f   *page.Frame
	reg *register.Register
}

//go:embed pages
var pages embed.FS

// New returns the pages, whose templates it adds to the frame.
func New(f *page.Frame, reg *register.Register) *Pages {
	f.Add(pages, "pages/*.html")
	return &Pages{f, reg}
}

const path = "/ket-noi"

// Routes returns the rows of the portal's table.
func (p *Pages) Routes() []page.Route {
	administrator := page.Only(qrgate.Administrator)
	return []page.Route{
		{Pattern: "GET " + path, Allow: administrator, Menu: "menu.tokens", Handler: p.List},
		{Pattern: "POST " + path, Allow: administrator, Handler: p.Add},
		{Pattern: "POST " + path + "/{id}/thu-hoi", Allow: administrator, Handler: p.Revoke},
	}
}

// lasts are how long a token may work, in days.
var lasts = []string{"90", "365", "730"}

type list struct {
	Form   *page.Form
	Lasts  []choice
	Tokens []row
	Secret string // of the token that was just made
	System string
}

type choice struct{ Value, Text string }

type row struct {
	register.Token
	Works bool
	Ended bool
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View, status int, l list) error {
	all, err := p.reg.Tokens(r.Context())
	if err != nil {
		return err
	}
	for _, t := range all {
		l.Tokens = append(l.Tokens, row{t, t.Works(p.f.Now()), t.Revoked.IsZero() && !t.Works(p.f.Now())})
	}
	for _, days := range lasts {
		l.Lasts = append(l.Lasts, choice{days, v.T("token.days", "n", days)})
	}
	return v.RenderStatus(w, status, "connect", &l)
}

// List answers with every token.
func (p *Pages) List(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f := page.NewForm(nil)
	f.Values.Set("token_lasts", "365")
	return p.show(w, r, v, http.StatusOK, list{Form: f})
}

// Add makes a token and shows it, this once. The answer is no redirect: nothing
// then has to keep the secret on the way to another page.
func (p *Pages) Add(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	t := register.Token{System: f.Text("token_system", 60, true)}
	if f.Values.Get("token_checkin") == "1" {
		t.Scopes = append(t.Scopes, register.CheckinWrite)
	}
	if f.Values.Get("token_place") == "1" {
		t.Scopes = append(t.Scopes, register.PlaceRead)
	}
	if len(t.Scopes) == 0 {
		f.Fail("token_checkin", "token.scope.none")
	}
	if days, err := strconv.Atoi(f.Choice("token_lasts", true, lasts...)); err == nil {
		t.Until = p.f.Now().AddDate(0, 0, days)
	}
	if !f.OK() {
		return p.show(w, r, v, http.StatusUnprocessableEntity, list{Form: f})
	}
	secret, hash := api.NewToken()
	if err := p.reg.AddToken(r.Context(), v.Who.Account.ID, &t, hash); err != nil {
		return err
	}
	empty := page.NewForm(nil)
	empty.Values.Set("token_lasts", "365")
	return p.show(w, r, v, http.StatusOK, list{Form: empty, Secret: secret, System: t.System})
}

// Revoke takes a token back.
func (p *Pages) Revoke(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if err := p.reg.RevokeToken(r.Context(), v.Who.Account.ID, page.ID(r)); err != nil {
		return err
	}
	return v.Go(w, path, "token.revoked.notice")
}
