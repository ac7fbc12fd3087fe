package account

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// confirmFor is how long a link holds that confirms an address.
const confirmFor = 3 * 24 * time.Hour

// newPage is where somebody goes who has just made an account.
const newPage = "/to-chuc/moi"

const maxDisplay = 80

func registerSheet(form *page.Form, back string) sheet {
	name := nameField(form)
	name.Label = "field.account_new_name"
	name.Attrs["minlength"] = "3"
	password := newPasswordField(form)
	password.Label = "field.account_first_password"
	return sheet{
		Title: "account.register", Intro: "account.register.intro", Form: form, Hidden: map[string]string{"ve": back},
		Fields: []page.Field{
			name, password,
			field(form, "account_display", "text", "required", "autocomplete=name", "maxlength=80"),
			field(form, "account_email", "email", "autocomplete=email", "maxlength=254"),
			field(form, "account_phone", "tel", "autocomplete=tel", "maxlength=24"),
		},
		Action: registerPath, Button: "account.register.button", Back: signInPath,
	}
}

func (d *Desk) register(w http.ResponseWriter, r *http.Request, v *page.View) error {
	back := page.Back(r, newPage)
	if v.Who != nil {
		return v.Go(w, back, "")
	}
	return v.Render(w, "account_sheet", registerSheet(page.NewForm(nil), back))
}

func (d *Desk) takeRegister(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	back := page.Back(r, newPage)
	again := func(limit bool) error {
		return v.RenderStatus(w, status(limit), "account_sheet", registerSheet(cleared(form), back))
	}
	a := register.Account{Display: form.Text("account_display", maxDisplay, true), Email: emailOf(form, false), Phone: form.Phone("account_phone", false)}
	a.Name = newName(form)
	password := newPassword(form, a.Name, a.Email, a.Phone, form.Values.Get("account_phone"))
	if !form.OK() {
		return again(false)
	}
	// Nobody finds out here which names there are, but for a few.
	if _, wait := d.births.Try(d.f.Now(), a.Name, v.Address()); wait > 0 {
		limited(w, form, "account_name", wait)
		return again(true)
	}
	_, err = d.reg.AccountNamed(ctx, a.Name)
	if err == nil {
		form.Fail("account_name", "account.name_taken")
		return again(false)
	}
	if !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	if a.Password, err = d.hasher.Hash(ctx, password); err != nil {
		return err
	}
	err = d.reg.AddAccount(ctx, "", &a)
	if errors.Is(err, qrgate.ErrConflict) {
		form.Fail("account_name", "account.name_taken")
		return again(false)
	}
	if err != nil {
		return err
	}
	if _, err := d.askToConfirm(ctx, v, &a, a.Email); err != nil {
		return err
	}
	if err := d.begin(r, v, &a, false, false); err != nil {
		return err
	}
	return v.Go(w, back, "account.registered", "name", a.Name)
}

// newName reads the user name that somebody has chosen.
func newName(form *page.Form) string {
	typed := form.Text("account_name", 60, true)
	if typed == "" {
		return ""
	}
	name, err := register.UserName(typed)
	switch {
	case err != nil:
		form.Fail("account_name", "account.name_letters", "least", register.MinUserName, "most", register.MaxUserName)
	case register.ReservedName(name):
		form.Fail("account_name", "account.name_taken")
	}
	return name
}

// newPassword reads the password that somebody has chosen. names are what others
// know of the account.
func newPassword(form *page.Form, names ...string) string {
	const name = "account_new_password"
	password := form.Values.Get(name)
	for err, key := range map[error]string{
		signin.ErrTooShort: "account.password_short", signin.ErrTooLong: "account.password_long", signin.ErrCommon: "account.password_common",
		signin.ErrUserName: "account.password_name", signin.ErrCharacters: "wrong.letters",
	} {
		if errors.Is(signin.CheckPassword(password, names...), err) {
			form.Fail(name, key, "least", signin.MinPassword, "most", signin.MaxPassword)
			return ""
		}
	}
	return password
}

// addressOf returns an address as accounts have it. By its letter what stands
// before the @ is the receiving server's business; no server that people use
// tells great letters from small ones there, and phones write a great one first.
func addressOf(typed string) (string, error) {
	address, err := mail.Address(typed)
	return strings.ToLower(address), err
}

// emailOf reads an address to which letters can be sent.
func emailOf(form *page.Form, required bool) string {
	typed := form.Email("account_email", required)
	if typed == "" {
		return ""
	}
	address, err := addressOf(typed)
	if err != nil {
		form.Fail("account_email", "wrong.email")
	}
	return address
}

// askToConfirm sends a link to an address that an account is to have, unless so
// many were sent there, for whichever accounts, that it must wait.
func (d *Desk) askToConfirm(ctx context.Context, v *page.View, a *register.Account, email string) (wait time.Duration, err error) {
	if email == "" || d.o.Mail == nil {
		return 0, nil
	}
	if _, wait := d.letters.Try(d.f.Now(), "confirm "+email, v.Address()); wait > 0 {
		return wait, nil
	}
	token, sum := signin.NewToken()
	if err := d.reg.AddSecret(ctx, a.ID, a.ID, register.ForConfirm, email, sum[:], d.f.Now().Add(confirmFor)); err != nil {
		return 0, err
	}
	d.letter(email, "confirm", d.link(confirmPath, token), "name", a.Name)
	return 0, nil
}

func (d *Desk) confirm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	token := r.URL.Query().Get("ma")
	sum, err := signin.TokenSum(token)
	if err == nil {
		_, _, err = d.reg.SecretOf(r.Context(), register.ForConfirm, sum[:])
	}
	if errors.Is(err, qrgate.ErrNotFound) || errors.Is(err, qrgate.ErrInvalid) {
		return d.gone(w, v, minePath)
	}
	if err != nil {
		return err
	}
	// A mail program that looks at links before people do must not use them up.
	return v.Render(w, "account_sheet", sheet{
		Title: "account.confirm", Intro: "account.confirm.intro", Form: page.NewForm(nil),
		Hidden: map[string]string{"ma": token}, Action: confirmPath, Button: "account.confirm.button",
	})
}

func (d *Desk) takeConfirm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	sum, err := signin.TokenSum(form.Values.Get("ma"))
	if err != nil {
		return d.gone(w, v, minePath)
	}
	before, email, err := d.reg.Confirm(r.Context(), sum[:])
	if errors.Is(err, qrgate.ErrNotFound) {
		return d.gone(w, v, minePath)
	}
	if err != nil {
		return err
	}
	if before.Email != email {
		d.notify(before, "email_changed")
	}
	return v.Go(w, minePath, "account.confirmed")
}

// gone tells that a link does not hold any more.
func (d *Desk) gone(w http.ResponseWriter, v *page.View, back string) error {
	return v.RenderStatus(w, http.StatusNotFound, "account_sheet", sheet{Title: "account.gone", Intro: "account.gone.do", Back: back})
}
