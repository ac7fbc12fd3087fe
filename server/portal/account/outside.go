package account

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// An outside is somebody whom another system knows and no account of ours is
// linked to.
type outside struct {
	Provider, Label string
	Issuer, Subject string
	Name            string
	Email, Phone    string
	Back            string
	Until           time.Time
}

const (
	keyOutside = "account.outside"
	outsideFor = 15 * time.Minute
)

func (d *Desk) outside(ctx context.Context, v *page.View) (who outside, ok bool) {
	held := v.Session(ctx, keyOutside)
	return who, held != "" && json.Unmarshal([]byte(held), &who) == nil && d.f.Now().Before(who.Until)
}

type unknownPage struct {
	outside
	Link     string // of this page, to come back to
	Form     *page.Form
	Password *page.Field // asked for unless whoever links has just signed in
}

func (d *Desk) unknownPage(v *page.View, who outside, form *page.Form) unknownPage {
	p := unknownPage{outside: who, Link: linkPath, Form: form}
	if !d.justIn(v) {
		field := passwordField(form)
		p.Password = &field
	}
	return p
}

// justIn reports whether whoever looks has signed in just now. A session that was
// left open, or taken, must not get a way in that outlives it.
func (d *Desk) justIn(v *page.View) bool {
	return v.Who == nil || d.f.Now().Sub(v.Who.Made) <= freshFor
}

// unknown asks what to do with somebody whom no account is linked to.
func (d *Desk) unknown(w http.ResponseWriter, r *http.Request, v *page.View) error {
	who, ok := d.outside(r.Context(), v)
	if !ok {
		return v.Go(w, signInPath, "")
	}
	return v.Render(w, "account_unknown", d.unknownPage(v, who, page.NewForm(nil)))
}

// takeUnknown links the account that is signed in, or makes one.
func (d *Desk) takeUnknown(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	who, ok := d.outside(ctx, v)
	if !ok {
		return v.Go(w, signInPath, "")
	}
	if v.Who != nil {
		if !d.justIn(v) {
			form, err := page.ReadForm(r)
			if err != nil {
				return err
			}
			limit, err := d.prove(ctx, w, v, form)
			if err != nil {
				return err
			}
			if !form.OK() {
				status := http.StatusUnprocessableEntity
				if limit {
					status = http.StatusTooManyRequests
				}
				return v.RenderStatus(w, status, "account_unknown", d.unknownPage(v, who, form))
			}
		}
		err := d.reg.Link(ctx, v.Who.Account.ID, who.Issuer, who.Subject)
		if errors.Is(err, qrgate.ErrConflict) {
			return d.alert(w, v, http.StatusConflict, minePath, "account.linked_other", "label", who.Label)
		}
		if err != nil {
			return err
		}
		v.SetSession(ctx, keyOutside, "")
		d.notify(&v.Who.Account, "linked")
		return v.Go(w, minePath, "account.linked", "label", who.Label)
	}
	if _, wait := d.births.Try(d.f.Now(), who.Issuer+" "+who.Subject, v.Address()); wait > 0 {
		return d.alert(w, v, http.StatusTooManyRequests, linkPath, "account.wait", "minutes", int(wait/time.Minute)+1)
	}
	a := register.Account{Name: outsideName(who.Provider), Display: who.Name}
	if a.Display == "" {
		a.Display = who.Label
	}
	if phone, ok := page.Phone(who.Phone); ok {
		a.Phone = phone
	}
	// That the other system has seen a letter arrive there is its word, and an
	// address here lets choose a password.
	if email, err := addressOf(who.Email); err == nil {
		a.Email = email
	}
	err := d.reg.AddLinked(ctx, &a, who.Issuer, who.Subject)
	if errors.Is(err, qrgate.ErrConflict) {
		return d.alert(w, v, http.StatusConflict, linkPath, "account.linked_other", "label", who.Label)
	}
	if err != nil {
		return err
	}
	if _, err := d.askToConfirm(ctx, v, &a, a.Email); err != nil {
		return err
	}
	v.SetSession(ctx, keyOutside, "")
	if err := d.begin(r, v, &a, false, false); err != nil {
		return err
	}
	back := who.Back
	if back == "/" {
		back = newPage
	}
	return v.Go(w, back, "account.registered", "name", a.Name)
}

// outsideName returns a user name for who has not chosen one.
func outsideName(provider string) string {
	var b [5]byte
	rand.Read(b[:])
	return provider + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
