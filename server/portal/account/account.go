package account

import (
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages
var pages embed.FS

// Purposes of the keys that these pages want of [Options.Key].
const (
	keyCodes  = "account codes"
	keySecond = "account second factors"
	keyState  = "account sign-in elsewhere"
)

// NewCodes returns the codes as the pages know them, for a command that makes
// one.
func NewCodes(key func(purpose string) []byte) *signin.Codes { return signin.NewCodes(key(keyCodes)) }

// A Mailer takes letters and does not wait for a mail server.
type Mailer interface{ Send(mail.Message) error }

// A Provider is another system whose accounts may sign in here.
type Provider struct {
	Name         string // in the address of its pages: a-z, 0-9, hyphen
	Label        string // as people know it: Hue-S
	Issuer       string
	ClientID     string
	ClientSecret string
}

// Options are what the pages need. Register and Key must be given.
type Options struct {
	Register *register.Register
	// Key returns 32 bytes for a purpose, the same on every server:
	// vault.Master.Derive.
	Key       func(purpose string) []byte
	Hasher    *signin.Hasher // default one of its own
	Mail      Mailer         // nil if this server sends no mail
	Providers []Provider
	Log       *slog.Logger  // default none
	Service   string        // as an authenticator app shows it; default QRGate
	Floor     time.Duration // answers that could tell of an account by their time take this long; default 400 ms
}

// A Desk is the pages.
type Desk struct {
	f         *page.Frame
	o         Options
	reg       *register.Register
	hasher    *signin.Hasher
	codes     *signin.Codes
	providers []provider

	tries   *signin.Limiter // passwords and codes
	letters *signin.Limiter // forgotten passwords: each may send mail
	births  *signin.Limiter // new accounts
	staff   *signin.Limiter // one-time codes
}

type provider struct {
	Provider
	client *signin.Provider
}

// New returns the pages, whose templates and texts it adds to f. The error names
// a provider that is no provider.
func New(f *page.Frame, o Options) (*Desk, error) {
	if o.Service == "" {
		o.Service = "QRGate"
	}
	if o.Floor == 0 {
		o.Floor = 400 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Hasher == nil {
		o.Hasher = signin.NewHasher(signin.HashOptions{})
	}
	d := &Desk{
		f: f, o: o, reg: o.Register, hasher: o.Hasher, codes: NewCodes(o.Key),
		tries:   signin.NewLimiter(signin.LimitOptions{}),
		letters: signin.NewLimiter(signin.LimitOptions{Account: signin.Rate{Burst: 3, Every: 20 * time.Minute}, Network: signin.Rate{Burst: 60, Every: 30 * time.Second}}),
		births:  signin.NewLimiter(signin.LimitOptions{Account: signin.Rate{Burst: 30, Every: 10 * time.Second}, Network: signin.Rate{Burst: 40, Every: time.Minute}}),
		staff:   signin.NewLimiter(signin.LimitOptions{Account: signin.Rate{Burst: 20, Every: 2 * time.Minute}}),
	}
	for _, p := range o.Providers {
		client, err := signin.NewProvider(signin.ProviderConfig{
			Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: f.Base() + oidcPath + p.Name + "/xong",
		})
		if err != nil {
			return nil, fmt.Errorf("account: %s: %w", p.Name, err)
		}
		d.providers = append(d.providers, provider{p, client})
	}
	f.Add(pages, "pages/*.html")
	return d, nil
}

// Addresses that a command prints.
const (
	ForgotPath = "/quen-mat-khau"    // takes a one-time code
	ResetPath  = "/dat-lai-mat-khau" // takes a token as "ma"
)

// Addresses of the other pages.
const (
	signInPath   = "/dang-nhap"
	secondPath   = "/dang-nhap/xac-thuc"
	oidcPath     = "/dang-nhap/oidc/"
	linkPath     = "/dang-nhap/lien-ket"
	registerPath = "/dang-ky"
	confirmPath  = "/xac-nhan"
	minePath     = "/tai-khoan"
	oncePath     = "/ho-tro/ma-mot-lan"
)

// Routes returns the pages' rows of the portal's table.
func (d *Desk) Routes() []page.Route {
	get := func(path string, allow page.Allow, h page.Handler) page.Route {
		return page.Route{Pattern: "GET " + path, Allow: allow, Handler: h}
	}
	post := func(path string, allow page.Allow, h page.Handler) page.Route {
		return page.Route{Pattern: "POST " + path, Allow: allow, Handler: h}
	}
	in := func(menu string, r page.Route) page.Route { r.Menu = menu; return r }
	anybody, member := page.Anybody(), page.Member()
	helps := page.Only(qrgate.AreaOfficer, qrgate.Clerk, qrgate.Administrator)
	return []page.Route{
		in("menu.account", get(minePath, member, d.mine)),
		post(minePath, member, d.saveMine),
		get(minePath+"/mat-khau", member, d.password),
		post(minePath+"/mat-khau", member, d.savePassword),
		get(minePath+"/thu", member, d.email),
		post(minePath+"/thu", member, d.saveEmail),
		post(minePath+"/dang-nhap", member, d.endSignIns),
		post(minePath+"/bo-lien-ket", member, d.unlink),
		get(minePath+"/ma-khoi-phuc", member, d.recovery),
		post(minePath+"/ma-khoi-phuc", member, d.makeRecovery),
		get(minePath+"/bo-xac-thuc", member, d.dropSecond),
		post(minePath+"/bo-xac-thuc", member, d.saveDropSecond),
		get(minePath+"/xoa", member, d.deletion),
		post(minePath+"/xoa", member, d.delete),

		in("menu.out.sign_in", get(signInPath, anybody, d.signIn)),
		post(signInPath, anybody, d.takeSignIn),
		get(secondPath, anybody, d.second),
		post(secondPath, anybody, d.takeSecond),
		get(secondPath+"/ma.png", member, d.secondCode),
		get(oidcPath+"{provider}", anybody, d.elsewhere),
		get(oidcPath+"{provider}/xong", anybody, d.fromElsewhere),
		get(linkPath, anybody, d.unknown),
		post(linkPath, anybody, d.takeUnknown),
		in("menu.out.register", get(registerPath, anybody, d.register)),
		post(registerPath, anybody, d.takeRegister),
		post("/dang-xuat", anybody, d.signOut),
		post("/ngon-ngu", anybody, d.language),

		get(ForgotPath, anybody, d.forgot),
		post(ForgotPath, anybody, d.takeForgot),
		get(ResetPath, anybody, d.reset),
		post(ResetPath, anybody, d.takeReset),
		get(confirmPath, anybody, d.confirm),
		post(confirmPath, anybody, d.takeConfirm),

		in("menu.once", get(oncePath, helps, d.once)),
		post(oncePath, helps, d.makeOnce),
	}
}

// floor waits until the answer to a request that began at the given time may be
// sent without telling by its haste that there was nothing to do.
func (d *Desk) floor(r *http.Request, began time.Time) {
	wait := time.NewTimer(time.Until(began.Add(d.o.Floor)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
}

// limited says in the header and in the form how long to wait.
func limited(w http.ResponseWriter, form *page.Form, field string, wait time.Duration) {
	seconds := int(wait/time.Second) + 1
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	form.Fail(field, "account.wait", "minutes", (seconds+59)/60)
}

// cleared returns the form without what must not be sent back.
func cleared(form *page.Form) *page.Form {
	for name := range form.Values {
		if strings.Contains(name, "password") || strings.Contains(name, "code") {
			form.Values.Del(name)
		}
	}
	return form
}

// status is that of a form which is shown again.
func status(limit bool) int {
	if limit {
		return http.StatusTooManyRequests
	}
	return http.StatusUnprocessableEntity
}

// toSums returns sums as package signin compares them.
func toSums(stored [][]byte) []signin.Sum {
	sums := make([]signin.Sum, len(stored))
	for i, s := range stored {
		copy(sums[i][:], s)
	}
	return sums
}

func toBytes(sums []signin.Sum) [][]byte {
	stored := make([][]byte, len(sums))
	for i := range sums {
		stored[i] = sums[i][:]
	}
	return stored
}
