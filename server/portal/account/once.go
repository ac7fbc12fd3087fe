package account

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

type oncePage struct {
	Form     *page.Form
	Name     page.Field
	Second   page.Field
	May      bool // take the second factor away too
	Code     string
	Whose    *register.Account
	Until    time.Time
	Minutes  int
	ForLogin string
}

func (d *Desk) oncePage(v *page.View, form *page.Form) oncePage {
	name := field(form, "account_name", "text", "required", "autocomplete=off", "autocapitalize=none", "spellcheck=false", "maxlength=60")
	return oncePage{
		Form: form, Name: name, Second: field(form, "account_lost_second", "checkbox"), May: len(v.Scopes(qrgate.Administrator)) > 0,
		Minutes: int(signin.OneTimeFor / time.Minute), ForLogin: d.f.Base() + ForgotPath,
	}
}

func (d *Desk) once(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "account_once", d.oncePage(v, page.NewForm(nil)))
}

// makeOnce makes a code that an officer tells somebody who stands before them or
// is on the phone.
func (d *Desk) makeOnce(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, now := r.Context(), d.f.Now()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	again := func(limit bool) error {
		return v.RenderStatus(w, status(limit), "account_once", d.oncePage(v, form))
	}
	typed := form.Text("account_name", 60, true)
	if !form.OK() {
		return again(false)
	}
	if _, wait := d.staff.Try(now, v.Who.Account.ID, v.Address()); wait > 0 {
		limited(w, form, "account_name", wait)
		return again(true)
	}
	var a *register.Account
	if name, bad := register.UserName(typed); bad == nil {
		if a, err = d.reg.AccountNamed(ctx, name); err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return err
		}
	}
	p := d.oncePage(v, form)
	switch {
	case a == nil:
		form.Fail("account_name", "account.once.nobody")
	case a.Blocked:
		form.Fail("account_name", "account.once.blocked")
	case a.ID == v.Who.Account.ID:
		form.Fail("account_name", "account.once.self")
	case !p.May:
		key, err := d.beyond(r, v, a)
		if err != nil {
			return err
		}
		if key != "" {
			form.Fail("account_name", key)
		}
	}
	if !form.OK() {
		return again(false)
	}
	printed, sum := d.codes.OneTime()
	second := p.May && form.Values.Get("account_lost_second") == "1"
	p.Until = now.Add(signin.OneTimeFor)
	if err := d.reg.AddOneTime(ctx, v.Who.Account.ID, a.ID, sum[:], second, p.Until); err != nil {
		return err
	}
	d.notify(a, "once")
	p.Code, p.Whose, p.Form = printed, a, page.NewForm(nil)
	p.Name.Form, p.Second.Form = p.Form, p.Form
	return v.Render(w, "account_once", p)
}

// beyond returns why an officer may not help with an account, who could sign in
// with what they tell: it may do more than they, or somewhere else as well.
func (d *Desk) beyond(r *http.Request, v *page.View, a *register.Account) (key string, err error) {
	grants, err := d.reg.Grants(r.Context(), a.ID)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(grants, func(g qrgate.Grant) bool { return g.Role.SecondFactor() || g.Scope.Kind != qrgate.InOrganisation }) {
		return "account.once.role", nil
	}
	within := v.Places(qrgate.AreaOfficer, qrgate.Clerk)
	beyond, err := d.reg.Beyond(r.Context(), within, a.ID)
	if err != nil || !beyond {
		return "", err
	}
	if slices.ContainsFunc(grants, func(g qrgate.Grant) bool {
		return g.Role == qrgate.Owner && slices.Contains(within.Organisations, g.Scope.ID)
	}) {
		return "account.once.owner", nil
	}
	return "account.once.elsewhere", nil
}
