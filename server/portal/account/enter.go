package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

type signInPage struct {
	Form                     *page.Form
	Name, Password, Remember page.Field
	Back                     string
	Alert                    string // key of what went wrong before
	Args                     []any
	Providers                []provider
}

func (d *Desk) signInPage(form *page.Form, back string) signInPage {
	return signInPage{
		Form: form, Name: nameField(form), Password: passwordField(form), Remember: field(form, "account_remember", "checkbox"),
		Back: back, Providers: d.providers,
	}
}

func (d *Desk) signIn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	back := page.Back(r, "/")
	if v.Who != nil {
		return v.Go(w, back, "")
	}
	return v.Render(w, "account_sign_in", d.signInPage(page.NewForm(nil), back))
}

// alert shows the page to sign in with what went wrong on another way.
func (d *Desk) alert(w http.ResponseWriter, v *page.View, status int, back, key string, args ...any) error {
	p := d.signInPage(page.NewForm(nil), back)
	p.Alert, p.Args = key, args
	return v.RenderStatus(w, status, "account_sign_in", p)
}

func (d *Desk) takeSignIn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, now := r.Context(), d.f.Now()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	back := page.Back(r, "/")
	again := func(limit bool) error {
		return v.RenderStatus(w, status(limit), "account_sign_in", d.signInPage(cleared(form), back))
	}
	password := form.Values.Get("account_password")
	a, try, wait, err := d.named(ctx, v, form.Values.Get("account_name"))
	if err != nil {
		return err
	}
	if wait > 0 {
		limited(w, form, "account_name", wait)
		return again(true)
	}
	form.Text("account_name", 200, true)
	if password == "" {
		form.Fail("account_password", "wrong.empty")
	}
	if !form.OK() {
		return again(false)
	}
	stored := ""
	if a != nil {
		stored = a.Password
	}
	rehash, err := d.hasher.Verify(ctx, stored, password)
	if errors.Is(err, signin.ErrWrongPassword) {
		form.Fail("account_name", "account.wrong")
		return again(false)
	}
	if err != nil {
		return err
	}
	try.Refund(now)
	if a.Blocked {
		form.Fail("account_name", "account.blocked")
		return again(false)
	}
	if rehash {
		hash, err := d.hasher.Hash(ctx, password)
		if err != nil {
			return err
		}
		if err := d.reg.Rehash(ctx, a.ID, a.Password, hash); err != nil {
			return err
		}
		a.Password = hash
	}
	return d.enter(w, r, v, a, form.Values.Get("account_remember") == "1", back)
}

// named counts a try at the account with a user name and returns it, or nil if
// there is none.
func (d *Desk) named(ctx context.Context, v *page.View, typed string) (*register.Account, signin.Try, time.Duration, error) {
	name, bad := register.UserName(typed)
	if bad != nil {
		name = typed
	}
	try, wait := d.tries.Try(d.f.Now(), name, v.Address())
	if wait > 0 || bad != nil {
		return nil, try, wait, nil
	}
	a, err := d.reg.AccountNamed(ctx, name)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, try, 0, nil
	}
	return a, try, 0, err
}

// A halfway is somebody whose first factor was right and who has to show the
// second one.
type halfway struct {
	Account  string
	Password string // sum of the hash that was compared: another password ends it
	Remember bool
	Until    time.Time
}

const (
	keyHalfway = "account.halfway"
	halfwayFor = 10 * time.Minute
)

// enter signs somebody in whose first factor is right, or sends them on to the
// second one.
func (d *Desk) enter(w http.ResponseWriter, r *http.Request, v *page.View, a *register.Account, remember bool, back string) error {
	ctx := r.Context()
	next := secondPath + "?" + url.Values{"ve": {back}}.Encode()
	if a.TOTP != nil {
		held, err := json.Marshal(halfway{a.ID, passwordSum(a), remember, d.f.Now().Add(halfwayFor)})
		if err != nil {
			return err
		}
		if err := v.Renew(ctx); err != nil {
			return err
		}
		v.SetSession(ctx, keyHalfway, string(held))
		return v.Go(w, next, "")
	}
	if err := d.begin(r, v, a, false, remember); err != nil {
		return err
	}
	needs, err := d.needsSecond(ctx, a.ID)
	if err != nil {
		return err
	}
	if needs {
		return v.Go(w, next, "")
	}
	return v.Go(w, back, "")
}

// begin makes the browser's session the account's, in place of another one's.
func (d *Desk) begin(r *http.Request, v *page.View, a *register.Account, second, remember bool) error {
	ctx := r.Context()
	if v.Who != nil {
		if err := d.reg.EndSignIn(ctx, v.Who.Account.ID, v.Who.ID); err != nil {
			return err
		}
	}
	v.SetSession(ctx, keyHalfway, "")
	v.SetSession(ctx, keyFresh, "")
	return v.SignIn(r, a.ID, second, remember)
}

// needsSecond reports whether an account holds a role that asks for a second
// factor.
func (d *Desk) needsSecond(ctx context.Context, account string) (bool, error) {
	grants, err := d.reg.Grants(ctx, account)
	return slices.ContainsFunc(grants, func(g qrgate.Grant) bool { return g.Role.SecondFactor() }), err
}

func passwordSum(a *register.Account) string {
	sum := sha256.Sum256([]byte(a.Password))
	return hex.EncodeToString(sum[:8])
}

// halfway returns the account whose second factor this browser is to show, or
// nil.
func (d *Desk) halfway(ctx context.Context, v *page.View) (*register.Account, halfway, error) {
	var h halfway
	held := v.Session(ctx, keyHalfway)
	if held == "" || json.Unmarshal([]byte(held), &h) != nil || !d.f.Now().Before(h.Until) {
		return nil, h, nil
	}
	a, err := d.reg.Account(ctx, h.Account)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, h, nil
	}
	if err != nil {
		return nil, h, err
	}
	if a.Blocked || a.TOTP == nil || passwordSum(a) != h.Password {
		return nil, h, nil
	}
	return a, h, nil
}

func (d *Desk) signOut(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	if v.Who != nil {
		if err := d.reg.EndSignIn(ctx, v.Who.Account.ID, v.Who.ID); err != nil {
			return err
		}
	}
	if err := v.Forget(ctx); err != nil {
		return err
	}
	return v.Go(w, "/", "")
}

func (d *Desk) language(w http.ResponseWriter, r *http.Request, v *page.View) error {
	lang := text.Lang(r.FormValue("lang"))
	if !slices.Contains(text.Langs(), lang) {
		return qrgate.ErrInvalid
	}
	text.Choose(w, lang, strings.HasPrefix(d.f.Base(), "https:"))
	return v.Go(w, page.Back(r, "/"), "")
}
