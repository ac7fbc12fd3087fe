package account

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
)

// stateCookie holds the sealed state of who is at another system.
const stateCookie = "qrgate-elsewhere"

func (d *Desk) provider(r *http.Request) (provider, error) {
	for _, p := range d.providers {
		if p.Name == r.PathValue("provider") {
			return p, nil
		}
	}
	return provider{}, qrgate.ErrNotFound
}

// elsewhere sends the browser to another system. It is a link and no form, whose
// way to another site the pages' policy would stop.
func (d *Desk) elsewhere(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := d.provider(r)
	if err != nil {
		return err
	}
	back := page.Back(r, "/")
	address, state, err := p.client.Begin(r.Context(), d.f.Now(), back)
	if err != nil {
		d.o.Log.Warn("sign-in elsewhere not begun", "provider", p.Name, "err", err)
		return d.alert(w, v, http.StatusServiceUnavailable, back, "account.elsewhere_down", "label", p.Label)
	}
	sealed, err := state.Seal(d.o.Key(keyState))
	if err != nil {
		return err
	}
	d.setState(w, sealed, int(signin.StateFor/time.Second))
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

func (d *Desk) setState(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: stateCookie, Value: value, Path: oidcPath, MaxAge: age, HttpOnly: true, Secure: strings.HasPrefix(d.f.Base(), "https:"), SameSite: http.SameSiteLaxMode,
	})
}

// fromElsewhere takes who comes back from another system.
func (d *Desk) fromElsewhere(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	p, err := d.provider(r)
	if err != nil {
		return err
	}
	sealed := ""
	if c, err := r.Cookie(stateCookie); err == nil {
		sealed = c.Value
	}
	d.setState(w, "", -1) // an answer counts once
	state, err := signin.OpenState(d.o.Key(keyState), sealed)
	var who signin.Identity
	if err == nil {
		who, err = p.client.Finish(ctx, d.f.Now(), state, r.URL.Query())
	}
	back := signin.SafePath(state.Return)
	switch {
	case err == nil:
	case errors.Is(err, signin.ErrDenied):
		return d.alert(w, v, http.StatusBadRequest, back, "account.elsewhere_denied", "label", p.Label)
	case errors.Is(err, signin.ErrState), errors.Is(err, signin.ErrExpired):
		return d.alert(w, v, http.StatusBadRequest, back, "account.elsewhere_state", "label", p.Label)
	case errors.Is(err, signin.ErrUnavailable):
		d.o.Log.Warn("sign-in elsewhere not finished", "provider", p.Name, "err", err)
		return d.alert(w, v, http.StatusServiceUnavailable, back, "account.elsewhere_down", "label", p.Label)
	default:
		d.o.Log.Warn("sign-in elsewhere refused", "provider", p.Name, "err", err)
		return d.alert(w, v, http.StatusBadRequest, back, "account.elsewhere_refused", "label", p.Label)
	}
	a, err := d.reg.AccountLinked(ctx, who.Issuer, who.Subject)
	switch {
	case errors.Is(err, qrgate.ErrNotFound):
		return d.keepOutside(w, ctx, v, p, who, back)
	case err != nil:
		return err
	case v.Who != nil && v.Who.Account.ID == a.ID:
		return v.Go(w, back, "account.linked_already", "label", p.Label)
	case v.Who != nil:
		return d.alert(w, v, http.StatusConflict, back, "account.linked_other", "label", p.Label)
	case a.Blocked:
		return d.alert(w, v, http.StatusForbidden, back, "account.blocked")
	}
	return d.enter(w, r, v, a, false, back)
}

func (d *Desk) keepOutside(w http.ResponseWriter, ctx context.Context, v *page.View, p provider, who signin.Identity, back string) error {
	held, err := json.Marshal(outside{
		Provider: p.Name, Label: p.Label, Issuer: who.Issuer, Subject: who.Subject, Name: plain(who.Name, maxDisplay),
		Email: plain(who.Email, 254), Phone: plain(who.Phone, 24), Back: back, Until: d.f.Now().Add(outsideFor),
	})
	if err != nil {
		return err
	}
	v.SetSession(ctx, keyOutside, string(held))
	return v.Go(w, linkPath, "")
}

// plain returns what another system says of somebody as one line.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(s, "")))
	letters := []rune(strings.TrimSpace(s))
	return string(letters[:min(most, len(letters))])
}
