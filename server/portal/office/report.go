package office

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// memberRoles are those of people of an organisation, who choose from its places.
var memberRoles = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.Organiser}

// Longest entries. A text is about a page of paper.
const (
	maxText    = 3000
	maxContact = 120
	maxPath    = 200
)

// mostPlaces is how many places are offered to choose from. Who has more types
// the code.
const mostPlaces = 100

type reportForm struct {
	Form       *page.Form
	Categories []option
	Places     []option // none: the code is typed
}

func (o *Office) reportForm(r *http.Request, v *page.View, f *page.Form) (reportForm, error) {
	d := reportForm{Form: f}
	for _, c := range register.Categories() {
		d.Categories = append(d.Categories, option{string(c), v.T("difficulty.category." + string(c))})
	}
	places, total, err := o.reg.Places(r.Context(), register.Query{Within: v.Places(memberRoles...), Size: mostPlaces})
	if err != nil {
		return d, err
	}
	if total <= mostPlaces {
		for _, p := range places {
			d.Places = append(d.Places, option{strconv.Itoa(int(p.No)), p.Name})
		}
	}
	return d, nil
}

// newReport shows the form. The page that somebody came from is kept with what
// they report, without its query.
func (o *Office) newReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d, err := o.reportForm(r, v, page.NewForm(url.Values{"difficulty_page": {pathOf(r.URL.Query().Get("trang"))}}))
	if err != nil {
		return err
	}
	return v.Render(w, "difficulty_new", d)
}

// pathOf returns s if it is a path of ours, or "".
func pathOf(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxPath || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(s, "//") || u.EscapedPath() != u.Path {
		return ""
	}
	return u.Path
}

func (o *Office) report(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	form, err := o.reportForm(r, v, f)
	if err != nil {
		return err
	}
	d := register.Difficulty{Page: pathOf(f.Values.Get("difficulty_page"))}
	d.Category = register.Category(f.Choice("difficulty_category", true, values(form.Categories)...))
	if len(form.Places) > 0 {
		no, _ := strconv.ParseUint(f.Choice("difficulty_place", false, values(form.Places)...), 10, 32)
		d.Place = uint32(no)
	} else if d.Place, err = o.typedPlace(r, f); err != nil {
		return err
	}
	d.Text = f.Lines("difficulty_text", maxText, true)
	d.Contact = f.Text("difficulty_contact", maxContact, false)
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "difficulty_new", form)
	}

	sender := v.Address().String()
	if v.Who != nil {
		d.Account, sender = v.Who.Account.ID, "account "+v.Who.Account.ID
	}
	if _, wait := o.reports.Try(o.f.Now(), sender, v.Address()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		f.Fail("difficulty_text", "difficulty.wait", "minutes", int(wait/time.Minute)+1)
		return v.RenderStatus(w, http.StatusTooManyRequests, "difficulty_new", form)
	}
	if v.Who != nil {
		if err := o.reg.AddDifficulty(r.Context(), &d, nil); err != nil {
			return err
		}
		return v.Go(w, "/vuong-mac/cua-toi", "difficulty.sent")
	}
	secret, sum := signin.NewToken()
	if err := o.reg.AddDifficulty(r.Context(), &d, sum[:]); err != nil {
		return err
	}
	v.SetSession(r.Context(), sentKey, secret)
	return v.Go(w, "/vuong-mac/da-gui", "")
}

// typedPlace reads the code that stands under a poster's QR, or its address.
func (o *Office) typedPlace(r *http.Request, f *page.Form) (uint32, error) {
	code := f.Text("difficulty_code", 200, false)
	if i := strings.LastIndex(code, pass.PosterPath); i >= 0 {
		code = code[i+len(pass.PosterPath):]
	}
	if code == "" {
		return 0, nil
	}
	no, _, err := pass.ParsePosterCode(strings.Join(strings.Fields(code), ""))
	if err == nil {
		_, err = o.reg.Place(r.Context(), no)
	}
	switch {
	case err == nil:
		return no, nil
	case isNotFound(err), isMalformed(err):
		f.Fail("difficulty_code", "difficulty.no_code")
		return 0, nil
	}
	return 0, fmt.Errorf("office: typed place: %w", err)
}

func values(options []option) (all []string) {
	for _, o := range options {
		all = append(all, o.Value)
	}
	return all
}

// sentKey is where a session keeps the secret of what was sent until it is shown.
const sentKey = "difficulty"

// reported shows, once, the link by which somebody without an account finds the
// answer.
func (o *Office) reported(w http.ResponseWriter, r *http.Request, v *page.View) error {
	secret := v.Session(r.Context(), sentKey)
	if secret == "" {
		return v.Go(w, "/vuong-mac", "difficulty.shown_once")
	}
	v.SetSession(r.Context(), sentKey, "")
	return v.Render(w, "difficulty_sent", struct{ Link string }{o.f.Base() + replyPath + "?ma=" + secret})
}

const replyPath = "/vuong-mac/tra-loi"

// reply shows a difficulty to who holds its link. The link must not get to other
// pages by the Referer header.
func (o *Office) reply(w http.ResponseWriter, r *http.Request, v *page.View) error {
	sum, err := signin.TokenSum(r.URL.Query().Get("ma"))
	if err != nil {
		return qrgate.ErrNotFound
	}
	d, err := o.reg.DifficultyBySum(r.Context(), sum[:])
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	return v.Render(w, "difficulty_mine", struct{ Mine []register.Difficulty }{[]register.Difficulty{*d}})
}

// mostMine is how many of somebody's own difficulties are shown.
const mostMine = 50

func (o *Office) mine(w http.ResponseWriter, r *http.Request, v *page.View) error {
	mine, err := o.reg.DifficultiesOf(r.Context(), v.Who.Account.ID, mostMine)
	if err != nil {
		return err
	}
	return v.Render(w, "difficulty_mine", struct{ Mine []register.Difficulty }{mine})
}
