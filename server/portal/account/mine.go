package account

import (
	"context"
	"errors"
	"net/http"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

type minePage struct {
	Account  *register.Account
	Form     *page.Form
	Fields   []page.Field
	SignIns  []register.SignIn
	Here     string
	Links    []link
	Offered  []provider
	HasMail  bool
	Recovery int
	Required bool // the second factor is
}

type link struct {
	register.Outside
	Label string
}

func (d *Desk) mine(w http.ResponseWriter, r *http.Request, v *page.View) error {
	a := &v.Who.Account
	form := page.NewForm(map[string][]string{"account_display": {a.Display}, "account_phone": {page.ShowPhone(a.Phone)}})
	return d.showMine(w, r, v, http.StatusOK, form)
}

func (d *Desk) showMine(w http.ResponseWriter, r *http.Request, v *page.View, status int, form *page.Form) error {
	ctx, a := r.Context(), &v.Who.Account
	p := minePage{Account: a, Form: form, Here: v.Who.ID, HasMail: d.o.Mail != nil}
	p.Fields = []page.Field{
		field(form, "account_display", "text", "required", "autocomplete=name", "maxlength=80"),
		field(form, "account_phone", "tel", "autocomplete=tel", "maxlength=24"),
	}
	outsides, err := d.reg.Outsides(ctx, a.ID)
	if err != nil {
		return err
	}
	linked := map[string]bool{}
	for _, o := range outsides {
		l := link{o, o.Issuer}
		for _, known := range d.providers {
			if known.Issuer == o.Issuer {
				l.Label = known.Label
			}
		}
		linked[o.Issuer] = true
		p.Links = append(p.Links, l)
	}
	for _, known := range d.providers {
		if !linked[known.Issuer] {
			p.Offered = append(p.Offered, known)
		}
	}
	if p.SignIns, err = d.reg.SignIns(ctx, a.ID); err != nil {
		return err
	}
	codes, err := d.reg.Secrets(ctx, a.ID, register.ForRecovery)
	if err != nil {
		return err
	}
	p.Recovery = len(codes)
	if p.Required, err = d.needsSecond(ctx, a.ID); err != nil {
		return err
	}
	return v.RenderStatus(w, status, "account_mine", p)
}

func (d *Desk) saveMine(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	display, phone := form.Text("account_display", maxDisplay, true), form.Phone("account_phone", false)
	if !form.OK() {
		return d.showMine(w, r, v, http.StatusUnprocessableEntity, form)
	}
	id := v.Who.Account.ID
	if err := d.reg.SetDetails(r.Context(), id, id, display, phone); err != nil {
		return err
	}
	return v.Go(w, minePath, "account.saved")
}

// proofFields are what an account shows before something that matters.
func (d *Desk) proofFields(v *page.View, form *page.Form) []page.Field {
	if v.Who.Account.Password == "" {
		return nil
	}
	return []page.Field{passwordField(form)}
}

// prove checks the account's own password in a form. Who has none must have
// signed in just now.
func (d *Desk) prove(ctx context.Context, w http.ResponseWriter, v *page.View, form *page.Form) (limit bool, err error) {
	a, now := &v.Who.Account, d.f.Now()
	if a.Password == "" {
		if now.Sub(v.Who.Made) > freshFor {
			form.Fail("account_password", "account.not_fresh")
		}
		return false, nil
	}
	try, wait := d.tries.Try(now, a.Name, v.Address())
	if wait > 0 {
		limited(w, form, "account_password", wait)
		return true, nil
	}
	_, err = d.hasher.Verify(ctx, a.Password, form.Values.Get("account_password"))
	if errors.Is(err, signin.ErrWrongPassword) {
		form.Fail("account_password", "account.wrong_password")
		return false, nil
	}
	if err == nil {
		try.Refund(now)
	}
	return false, err
}

// A deed is what a form does that asks for the password.
type deed struct {
	sheet func(*page.Form) sheet
	// read reads the other fields, before the password is compared.
	read func(*page.Form)
	do   func() error
}

// carry shows a deed's form again until all is right, and then does it.
func (d *Desk) carry(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, what deed) error {
	if what.read != nil {
		what.read(form)
	}
	limit := false
	if form.OK() {
		var err error
		if limit, err = d.prove(r.Context(), w, v, form); err != nil {
			return err
		}
	}
	if !form.OK() {
		return v.RenderStatus(w, status(limit), "account_sheet", what.sheet(cleared(form)))
	}
	return what.do()
}

func (d *Desk) passwordSheet(v *page.View, form *page.Form) sheet {
	return sheet{
		Title: "account.password", Intro: "account.password.intro", Form: form, Fields: append(d.proofFields(v, form), newPasswordField(form)),
		User: v.Who.Account.Name, Action: minePath + "/mat-khau", Button: "account.save", Back: minePath,
	}
}

func (d *Desk) password(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "account_sheet", d.passwordSheet(v, page.NewForm(nil)))
}

func (d *Desk) savePassword(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, a := r.Context(), &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	password := ""
	return d.carry(w, r, v, form, deed{
		sheet: func(form *page.Form) sheet { return d.passwordSheet(v, form) },
		read:  func(form *page.Form) { password = newPassword(form, a.Name, a.Email, a.Phone) },
		do: func() error {
			hash, err := d.hasher.Hash(ctx, password)
			if err != nil {
				return err
			}
			if err := d.reg.SetPassword(ctx, a.ID, a.ID, hash, v.Who.ID); err != nil {
				return err
			}
			d.notify(a, "password_changed")
			return v.Go(w, minePath, "account.password_saved")
		},
	})
}

func (d *Desk) emailSheet(v *page.View, form *page.Form) sheet {
	s := sheet{
		Title: "account.email", Intro: "account.email.intro", Form: form,
		Fields: append([]page.Field{field(form, "account_email", "email", "autocomplete=email", "maxlength=254")}, d.proofFields(v, form)...),
		User:   v.Who.Account.Name, Action: minePath + "/thu", Button: "account.save", Back: minePath,
	}
	if d.o.Mail == nil {
		s.Intro, s.Button = "account.no_mail", ""
	}
	return s
}

func (d *Desk) email(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	form := page.NewForm(map[string][]string{"account_email": {v.Who.Account.Email}})
	return v.Render(w, "account_sheet", d.emailSheet(v, form))
}

func (d *Desk) saveEmail(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, a := r.Context(), &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if d.o.Mail == nil {
		return qrgate.ErrInvalid
	}
	email := ""
	return d.carry(w, r, v, form, deed{
		sheet: func(form *page.Form) sheet { return d.emailSheet(v, form) },
		read:  func(form *page.Form) { email = emailOf(form, false) },
		do: func() error {
			if email == "" {
				if err := d.reg.RemoveEmail(ctx, a.ID, a.ID); err != nil {
					return err
				}
				d.notify(a, "email_changed")
				return v.Go(w, minePath, "account.saved")
			}
			_, wait := d.letters.Try(d.f.Now(), "change "+a.ID, v.Address())
			if wait == 0 {
				var err error
				if wait, err = d.askToConfirm(ctx, v, a, email); err != nil {
					return err
				}
			}
			if wait > 0 {
				limited(w, form, "account_email", wait)
				return v.RenderStatus(w, http.StatusTooManyRequests, "account_sheet", d.emailSheet(v, cleared(form)))
			}
			return v.Go(w, minePath, "account.email_sent", "email", email)
		},
	})
}

func (d *Desk) endSignIns(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, a := r.Context(), &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	switch id := form.Text("id", 64, false); {
	case !form.OK():
		return qrgate.ErrInvalid
	case id == "":
		err = d.reg.EndSignIns(ctx, a.ID, a.ID, v.Who.ID)
	case id == v.Who.ID:
		return d.signOut(w, r, v)
	default:
		err = d.reg.EndSignIn(ctx, a.ID, id)
	}
	if err != nil {
		return err
	}
	return v.Go(w, minePath, "account.ended")
}

func (d *Desk) unlink(w http.ResponseWriter, r *http.Request, v *page.View) error {
	a := &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if err := d.reg.Unlink(r.Context(), a.ID, form.Text("issuer", 1000, true), form.Text("subject", 255, true)); err != nil {
		return err
	}
	d.notify(a, "unlinked")
	return v.Go(w, minePath, "account.unlinked")
}

func (d *Desk) recoverySheet(v *page.View, form *page.Form) sheet {
	s := sheet{
		Title: "account.recovery", Intro: "account.recovery.intro", Form: form, Fields: d.proofFields(v, form),
		User: v.Who.Account.Name, Action: minePath + "/ma-khoi-phuc", Button: "account.recovery.button", Back: minePath,
	}
	if v.Who.Account.TOTP != nil {
		s.Intro = "account.recovery.second"
	}
	return s
}

func (d *Desk) recovery(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "account_sheet", d.recoverySheet(v, page.NewForm(nil)))
}

func (d *Desk) makeRecovery(w http.ResponseWriter, r *http.Request, v *page.View) error {
	a := &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	return d.carry(w, r, v, form, deed{
		sheet: func(form *page.Form) sheet { return d.recoverySheet(v, form) },
		do: func() error {
			printed, sums := d.codes.Recovery()
			if err := d.reg.SetRecovery(r.Context(), a.ID, a.ID, toBytes(sums)); err != nil {
				return err
			}
			return d.showRecovery(w, v, printed, minePath)
		},
	})
}

func (d *Desk) dropSheet(v *page.View, form *page.Form, needs bool) sheet {
	s := sheet{
		Title: "account.second_drop", Intro: "account.second_drop.intro", Form: form, Fields: append(d.proofFields(v, form), codeField(form)),
		User: v.Who.Account.Name, Action: minePath + "/bo-xac-thuc", Button: "account.second_drop.button", Danger: true, Back: minePath,
	}
	if needs {
		s.Intro, s.Button = "account.second_drop.needed", ""
	}
	return s
}

func (d *Desk) dropSecond(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if v.Who.Account.TOTP == nil {
		return v.Go(w, minePath, "")
	}
	needs, err := d.needsSecond(r.Context(), v.Who.Account.ID)
	if err != nil {
		return err
	}
	return v.Render(w, "account_sheet", d.dropSheet(v, page.NewForm(nil), needs))
}

func (d *Desk) saveDropSecond(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, a := r.Context(), &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	needs, err := d.needsSecond(ctx, a.ID)
	if err != nil {
		return err
	}
	if needs || a.TOTP == nil {
		return v.RenderStatus(w, http.StatusConflict, "account_sheet", d.dropSheet(v, page.NewForm(nil), true))
	}
	return d.carry(w, r, v, form, deed{
		sheet: func(form *page.Form) sheet { return d.dropSheet(v, form, false) },
		do: func() error {
			_, limit, err := d.checkSecond(ctx, w, v, a, form)
			if err != nil {
				return err
			}
			if !form.OK() {
				return v.RenderStatus(w, status(limit), "account_sheet", d.dropSheet(v, cleared(form), false))
			}
			if err := d.reg.RemoveSecond(ctx, a.ID, a.ID); err != nil {
				return err
			}
			d.notify(a, "second_off")
			return v.Go(w, minePath, "account.second_dropped")
		},
	})
}

func (d *Desk) deletionSheet(v *page.View, form *page.Form, owned []string) sheet {
	s := sheet{
		Title: "account.deletion", Intro: "account.deletion.intro", Form: form, Fields: d.proofFields(v, form),
		User: v.Who.Account.Name, Action: minePath + "/xoa", Button: "account.deletion.button", Danger: true, Back: minePath,
	}
	if owned != nil {
		s.Intro, s.Items, s.Button, s.Fields = "account.deletion.owner", owned, "", nil
	}
	return s
}

func (d *Desk) deletion(w http.ResponseWriter, r *http.Request, v *page.View) error {
	owned, err := d.reg.SoleOwner(r.Context(), v.Who.Account.ID)
	if err != nil {
		return err
	}
	return v.Render(w, "account_sheet", d.deletionSheet(v, page.NewForm(nil), owned))
}

func (d *Desk) delete(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, a := r.Context(), &v.Who.Account
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	return d.carry(w, r, v, form, deed{
		sheet: func(form *page.Form) sheet { return d.deletionSheet(v, form, nil) },
		do: func() error {
			err := d.reg.DeleteAccount(ctx, a.ID, a.ID)
			switch {
			case errors.Is(err, register.ErrLastOwner):
				owned, err := d.reg.SoleOwner(ctx, a.ID)
				if err != nil {
					return err
				}
				return v.RenderStatus(w, http.StatusConflict, "account_sheet", d.deletionSheet(v, page.NewForm(nil), owned))
			case errors.Is(err, register.ErrLastAdministrator):
				s := d.deletionSheet(v, page.NewForm(nil), []string{})
				s.Intro = "account.deletion.administrator"
				return v.RenderStatus(w, http.StatusConflict, "account_sheet", s)
			case err != nil:
				return err
			}
			d.notify(a, "deleted")
			if err := v.Forget(ctx); err != nil {
				return err
			}
			return v.Go(w, "/", "account.deleted")
		},
	})
}
