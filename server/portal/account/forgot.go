package account

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// resetFor is how long a link holds with which to choose a password.
const resetFor = time.Hour

// Ways of the page for who forgot the password.
const (
	byMail = "thu"
	byCode = "ma"
)

type forgotPage struct {
	HasMail      bool
	Mail, Code   *page.Form
	MailField    page.Field
	CodeFields   []page.Field
	Told         bool // a letter is on its way, or there is nobody to send one to
	ByMail, ByCd string
}

func (d *Desk) forgotPage(way string, form *page.Form) forgotPage {
	p := forgotPage{HasMail: d.o.Mail != nil, Mail: page.NewForm(nil), Code: page.NewForm(nil), ByMail: byMail, ByCd: byCode}
	if way == byMail {
		p.Mail = form
	} else if form != nil {
		p.Code = form
	}
	p.MailField = field(p.Mail, "account_who", "text", "required", "autocomplete=username", "autocapitalize=none", "spellcheck=false", "maxlength=254")
	p.CodeFields = []page.Field{nameField(p.Code), codeField(p.Code), newPasswordField(p.Code)}
	return p
}

func (d *Desk) forgot(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "account_forgot", d.forgotPage("", nil))
}

func (d *Desk) takeForgot(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	switch way := form.Values.Get("cach"); {
	case way == byMail && d.o.Mail != nil:
		return d.forgotByMail(w, r, v, form)
	case way == byCode:
		return d.forgotByCode(w, r, v, form)
	}
	return qrgate.ErrInvalid
}

// forgotByMail sends a link to whoever is known by what was typed. Its answer is
// the same for everybody.
func (d *Desk) forgotByMail(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form) error {
	ctx, began := r.Context(), time.Now()
	typed := form.Text("account_who", 254, true)
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "account_forgot", d.forgotPage(byMail, form))
	}
	if _, wait := d.letters.Try(d.f.Now(), strings.ToLower(typed), v.Address()); wait > 0 {
		limited(w, form, "account_who", wait)
		return v.RenderStatus(w, http.StatusTooManyRequests, "account_forgot", d.forgotPage(byMail, form))
	}
	known, err := d.known(ctx, typed)
	if err != nil {
		return err
	}
	for _, a := range known {
		if a.Blocked || !a.Confirmed {
			continue
		}
		// A telephone number is one name in many spellings.
		if d.letters.TryAgain(d.f.Now(), "reset "+a.ID) > 0 {
			continue
		}
		token, sum := signin.NewToken()
		if err := d.reg.AddSecret(ctx, "", a.ID, register.ForReset, "", sum[:], d.f.Now().Add(resetFor)); err != nil {
			return err
		}
		d.letter(a.Email, "reset", d.link(ResetPath, token), "name", a.Name)
	}
	d.floor(r, began)
	p := d.forgotPage("", nil)
	p.Told = true
	return v.Render(w, "account_forgot", p)
}

// known returns the accounts with this user name or address.
func (d *Desk) known(ctx context.Context, typed string) ([]register.Account, error) {
	if strings.Contains(typed, "@") {
		address, err := addressOf(typed)
		if err != nil {
			return nil, nil
		}
		return d.reg.AccountsAt(ctx, address)
	}
	name, err := register.UserName(typed)
	if err != nil {
		return nil, nil
	}
	a, err := d.reg.AccountNamed(ctx, name)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []register.Account{*a}, nil
}

// forgotByCode takes a recovery code or a one-time code and the password that
// somebody chooses with it.
func (d *Desk) forgotByCode(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form) error {
	ctx, began := r.Context(), time.Now()
	again := func(limit bool) error {
		return v.RenderStatus(w, status(limit), "account_forgot", d.forgotPage(byCode, cleared(form)))
	}
	typed := form.Text("account_name", 60, true)
	code := form.Text("account_code", 60, true)
	password := newPassword(form, typed)
	if !form.OK() {
		return again(false)
	}
	a, try, wait, err := d.named(ctx, v, typed)
	if err != nil {
		return err
	}
	if wait > 0 {
		limited(w, form, "account_name", wait)
		return again(true)
	}
	// For everybody, since it takes the time.
	hash, err := d.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	done, err := d.resetByCode(ctx, a, code, hash)
	if err != nil {
		return err
	}
	if done == nil {
		d.floor(r, began)
		form.Fail("account_code", "account.code_or_name_wrong")
		return again(false)
	}
	try.Refund(d.f.Now())
	d.notify(done, "password_changed")
	return v.Go(w, signInPath, "account.password_set")
}

// resetByCode sets a password if a code is one of the account's, and returns the
// account then.
func (d *Desk) resetByCode(ctx context.Context, a *register.Account, code, hash string) (*register.Account, error) {
	id := ""
	if a != nil {
		id = a.ID
	}
	for _, kind := range []register.SecretKind{register.ForOnce, register.ForRecovery} {
		sums, err := d.reg.Secrets(ctx, id, kind)
		if err != nil {
			return nil, err
		}
		i := d.codes.Find(toSums(sums), code)
		// A printed code is not both factors at once.
		if i < 0 || a == nil || kind == register.ForRecovery && a.TOTP != nil {
			continue
		}
		done, err := d.reg.ResetPassword(ctx, kind, sums[i], hash)
		if !errors.Is(err, qrgate.ErrNotFound) {
			return done, err
		}
	}
	return nil, d.reg.WrongOnce(ctx, id)
}

func (d *Desk) resetSheet(form *page.Form, token string, a *register.Account) sheet {
	return sheet{
		Title: "account.reset", Intro: "account.reset.intro", Args: []any{"name", a.Name}, Form: form, Fields: []page.Field{newPasswordField(form)},
		Hidden: map[string]string{"ma": token}, User: a.Name, Action: ResetPath, Button: "account.save",
	}
}

// resetOf returns the account whose password a link lets choose, or nil.
func (d *Desk) resetOf(ctx context.Context, token string) (*register.Account, signin.Sum, error) {
	sum, err := signin.TokenSum(token)
	var id string
	if err == nil {
		id, _, err = d.reg.SecretOf(ctx, register.ForReset, sum[:])
	}
	var a *register.Account
	if err == nil {
		a, err = d.reg.Account(ctx, id)
	}
	if errors.Is(err, qrgate.ErrNotFound) || errors.Is(err, qrgate.ErrInvalid) || err == nil && a.Blocked {
		return nil, sum, nil
	}
	return a, sum, err
}

func (d *Desk) reset(w http.ResponseWriter, r *http.Request, v *page.View) error {
	token := r.URL.Query().Get("ma")
	a, _, err := d.resetOf(r.Context(), token)
	if err != nil {
		return err
	}
	if a == nil {
		return d.gone(w, v, ForgotPath)
	}
	return v.Render(w, "account_sheet", d.resetSheet(page.NewForm(nil), token, a))
}

func (d *Desk) takeReset(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	token := form.Values.Get("ma")
	a, sum, err := d.resetOf(ctx, token)
	if err != nil {
		return err
	}
	if a == nil {
		return d.gone(w, v, ForgotPath)
	}
	password := newPassword(form, a.Name, a.Email, a.Phone)
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "account_sheet", d.resetSheet(cleared(form), token, a))
	}
	hash, err := d.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	done, err := d.reg.ResetPassword(ctx, register.ForReset, sum[:], hash)
	if errors.Is(err, qrgate.ErrNotFound) {
		return d.gone(w, v, ForgotPath)
	}
	if err != nil {
		return err
	}
	d.notify(done, "password_changed")
	return v.Go(w, signInPath, "account.password_set")
}
