package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// keyFresh holds the sealed secret of a second factor that is being set up.
const keyFresh = "account.fresh"

// freshFor is how long after signing in nobody is asked for the password again.
const freshFor = 10 * time.Minute

// rememberedMin is longer than a sign-in that is not remembered lasts.
const rememberedMin = 24 * time.Hour

// sealSecret returns a secret as it is stored, bound to its account.
func (d *Desk) sealSecret(account string, s signin.Secret) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(d.o.Key(keySecond))
	if err != nil {
		return nil, fmt.Errorf("account: seal: %w", err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(s)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, s, []byte(account)), nil
}

func (d *Desk) openSecret(account string, sealed []byte) (signin.Secret, error) {
	aead, err := chacha20poly1305.NewX(d.o.Key(keySecond))
	if err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("account: second factor is cut off")
	}
	s, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(account))
	if err != nil {
		return nil, fmt.Errorf("account: second factor does not open: %w", err)
	}
	return s, nil
}

// fresh returns the secret that the viewer is setting up; a new one if make.
func (d *Desk) fresh(ctx context.Context, v *page.View, make bool) (signin.Secret, error) {
	id := v.Who.Account.ID
	if held := v.Session(ctx, keyFresh); held != "" {
		if sealed, err := base64.RawStdEncoding.DecodeString(held); err == nil {
			if s, err := d.openSecret(id, sealed); err == nil {
				return s, nil
			}
		}
	}
	if !make {
		return nil, qrgate.ErrNotFound
	}
	s := signin.NewSecret()
	sealed, err := d.sealSecret(id, s)
	if err != nil {
		return nil, err
	}
	v.SetSession(ctx, keyFresh, base64.RawStdEncoding.EncodeToString(sealed))
	return s, nil
}

type setUpPage struct {
	Form     *page.Form
	Fields   []page.Field
	Back     string
	Secret   string
	Required bool
}

// second shows the step that is to be taken: to show the second factor, or to
// make one.
func (d *Desk) second(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return d.showSecond(w, r, v, http.StatusOK, page.NewForm(nil))
}

func (d *Desk) showSecond(w http.ResponseWriter, r *http.Request, v *page.View, status int, form *page.Form) error {
	ctx, back := r.Context(), page.Back(r, "/")
	a, _, err := d.halfway(ctx, v)
	if err != nil {
		return err
	}
	switch {
	case a != nil || v.Who != nil && v.Who.Account.TOTP != nil && !v.Who.Second:
		return v.RenderStatus(w, status, "account_sheet", sheet{
			Title: "account.second", Intro: "account.second.intro", Form: form, Fields: []page.Field{codeField(form)},
			Hidden: map[string]string{"ve": back}, Action: secondPath, Button: "account.second.button",
		})
	case v.Who == nil:
		return v.Go(w, signInPath+"?"+url.Values{"ve": {back}}.Encode(), "")
	case v.Who.Second:
		return v.Go(w, back, "")
	}
	secret, err := d.fresh(ctx, v, true)
	if err != nil {
		return err
	}
	needs, err := d.needsSecond(ctx, v.Who.Account.ID)
	if err != nil {
		return err
	}
	fields := []page.Field{codeField(form)}
	if d.asksPassword(v) {
		fields = append(fields, passwordField(form))
	}
	return v.RenderStatus(w, status, "account_second_new", setUpPage{Form: form, Fields: fields, Back: back, Secret: secret.Text(), Required: needs})
}

// asksPassword reports whether a second factor is only made with the password:
// not right after signing in.
func (d *Desk) asksPassword(v *page.View) bool {
	return v.Who.Account.Password != "" && d.f.Now().Sub(v.Who.Made) > freshFor
}

// secondCode draws the secret that the viewer is setting up, for an app to scan.
func (d *Desk) secondCode(w http.ResponseWriter, r *http.Request, v *page.View) error {
	secret, err := d.fresh(r.Context(), v, false)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := print.Code(&out, secret.URI(d.o.Service, v.Who.Account.Name)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(out.Bytes())
	return err
}

func (d *Desk) takeSecond(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	a, half, err := d.halfway(ctx, v)
	if err != nil {
		return err
	}
	remember := half.Remember
	switch {
	case a != nil:
	case v.Who == nil || v.Who.Second:
		return d.showSecond(w, r, v, http.StatusOK, form)
	case v.Who.Account.TOTP == nil:
		return d.setUp(w, r, v, form)
	default:
		a, remember = &v.Who.Account, v.Who.Until.Sub(v.Who.Made) > rememberedMin
	}
	left, limit, err := d.checkSecond(ctx, w, v, a, form)
	if err != nil {
		return err
	}
	if !form.OK() {
		return d.showSecond(w, r, v, status(limit), cleared(form))
	}
	if err := d.begin(r, v, a, true, remember); err != nil {
		return err
	}
	if left >= 0 {
		return v.Go(w, page.Back(r, "/"), "account.recovery_used", "left", left)
	}
	return v.Go(w, page.Back(r, "/"), "")
}

// checkSecond checks the code in a form: an app's, or a recovery code, which it
// uses up. left is how many recovery codes there are after it, or -1 if none was
// used.
func (d *Desk) checkSecond(ctx context.Context, w http.ResponseWriter, v *page.View, a *register.Account, form *page.Form) (left int, limit bool, err error) {
	now, typed := d.f.Now(), form.Values.Get("account_code")
	try, wait := d.tries.Try(now, "2 "+a.ID, v.Address())
	if wait > 0 {
		limited(w, form, "account_code", wait)
		return -1, true, nil
	}
	secret, err := d.openSecret(a.ID, a.TOTP)
	if err != nil {
		return -1, false, err
	}
	step, err := secret.Verify(typed, now, a.TOTPStep)
	if err == nil {
		// It may have been used on another server since it was read.
		err = d.reg.UseStep(ctx, a.ID, step)
	}
	switch {
	case err == nil:
		try.Refund(now)
		return -1, false, nil
	case errors.Is(err, signin.ErrUsedCode), errors.Is(err, qrgate.ErrConflict):
		form.Fail("account_code", "account.code_used")
		return -1, false, nil
	case !errors.Is(err, signin.ErrWrongCode):
		return -1, false, err
	}
	sums, err := d.reg.Secrets(ctx, a.ID, register.ForRecovery)
	if err != nil {
		return -1, false, err
	}
	i := d.codes.Find(toSums(sums), typed)
	if i < 0 {
		form.Fail("account_code", "account.code_wrong")
		return -1, false, nil
	}
	if err := d.reg.UseRecovery(ctx, a.ID, sums[i]); errors.Is(err, qrgate.ErrNotFound) {
		form.Fail("account_code", "account.code_used")
		return -1, false, nil
	} else if err != nil {
		return -1, false, err
	}
	try.Refund(now)
	return len(sums) - 1, false, nil
}

// setUp takes the first code of a second factor and shows the recovery codes.
func (d *Desk) setUp(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form) error {
	ctx, now, a := r.Context(), d.f.Now(), &v.Who.Account
	secret, err := d.fresh(ctx, v, false)
	if errors.Is(err, qrgate.ErrNotFound) {
		return d.showSecond(w, r, v, http.StatusOK, page.NewForm(nil))
	}
	if err != nil {
		return err
	}
	if d.asksPassword(v) {
		limit, err := d.prove(ctx, w, v, form)
		if err != nil {
			return err
		}
		if !form.OK() {
			return d.showSecond(w, r, v, status(limit), cleared(form))
		}
	}
	if _, wait := d.tries.Try(now, "2 "+a.ID, v.Address()); wait > 0 {
		limited(w, form, "account_code", wait)
		return d.showSecond(w, r, v, http.StatusTooManyRequests, cleared(form))
	}
	step, err := secret.Verify(form.Values.Get("account_code"), now, 0)
	if err != nil {
		form.Fail("account_code", "account.code_wrong_new")
		return d.showSecond(w, r, v, http.StatusUnprocessableEntity, cleared(form))
	}
	sealed, err := d.sealSecret(a.ID, secret)
	if err != nil {
		return err
	}
	printed, sums := d.codes.Recovery()
	if err := d.reg.SetSecond(ctx, a.ID, a.ID, sealed, step, toBytes(sums)); err != nil {
		return err
	}
	remember := v.Who.Until.Sub(v.Who.Made) > rememberedMin
	if err := d.begin(r, v, a, true, remember); err != nil {
		return err
	}
	d.notify(a, "second_on")
	return d.showRecovery(w, v, printed, page.Back(r, minePath))
}

type recoveryPage struct {
	Codes   []string
	Name    string
	Made    time.Time
	Back    string
	Service string
}

func (d *Desk) showRecovery(w http.ResponseWriter, v *page.View, printed []string, back string) error {
	return v.Render(w, "account_recovery", recoveryPage{printed, v.Who.Account.Name, d.f.Now(), back, d.o.Service})
}
