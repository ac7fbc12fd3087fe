package card

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// Limits of what is known of a holder.
const (
	maxName     = 100
	maxStreet   = 200
	oldest      = 1900
	childUnder  = 16 // years: the law wants a guardian
	digitsOfID  = 12
	digitsOfOld = 9 // of the identity cards before
)

// A holderPage is the form of a holder.
type holderPage struct {
	Form     *page.Form
	Holder   *register.CardHolder // nil for a new one
	Offices  []option
	Communes []string
	Found    []area.Match // communes to choose from
	Known    *register.Known
	KnownOwn bool // the viewer may see who is known
	Marks    bool // a CCCD was scanned by keyboard: the name has lost its marks
	Capitals bool // what was scanned has the name without marks
	Read     bool // a scanner or camera has filled it in
	Desk     scanners
}

// Sexes returns what may be chosen.
func (holderPage) Sexes() []string { return sexValues }

var sexValues = []string{"m", "f", "x"}

// values returns a holder's details as the form shows them.
func formOf(h *register.CardHolder) url.Values {
	d := &h.Details
	v := url.Values{
		"version": {strconv.Itoa(h.Version)}, "card.name": {d.Name}, "card.born": {strconv.Itoa(d.Born)}, "card.sex": {d.Sex}, "card.phone": {page.ShowPhone(d.Phone)},
		"card.commune": {communeName(d.Area)}, "card.area": {d.Area}, "card.street": {d.Street}, "card.identity": {d.Identity}, "card.insurance": {d.Insurance},
		"card.guardian": {d.Guardian}, "card.guardian_phone": {page.ShowPhone(d.GuardianPhone)}, "card.relative": {"self"},
	}
	if d.Relative {
		v.Set("card.relative", "relative")
	}
	if d.Area == "" {
		v.Del("card.commune")
	}
	if d.Born == 0 {
		v.Del("card.born")
	}
	return v
}

// readHolder reads all that is known of a holder. found are the communes to choose
// from if the one that was typed is not clear.
func readHolder(form *page.Form, now time.Time) (d register.Details, found []area.Match) {
	d.Name = strings.Join(strings.Fields(form.Text("card.name", maxName, true)), " ")
	d.Born = readYear(form, now)
	d.Sex = form.Choice("card.sex", false, sexValues...)
	d.Phone = form.Phone("card.phone", false)
	d.Relative = form.Choice("card.relative", false, "self", "relative") == "relative"
	if typed := form.Text("card.commune", maxName, true); typed != "" {
		var u *area.Unit
		if u, found = page.FindCommune(typed, form.Values.Get("card.area"), form.Values.Get("card.pick")); u != nil {
			d.Area, found = u.ID.String(), nil
			form.Values.Set("card.area", d.Area)
			form.Values.Set("card.commune", u.Label())
			form.Values.Del("card.pick")
		} else if form.Values.Del("card.area"); found == nil {
			form.Fail("card.commune", "place.commune.none")
		} else {
			form.Fail("card.commune", "place.commune.several")
		}
	}
	d.Street = form.Text("card.street", maxStreet, false)
	d.Identity = readDigits(form, "card.identity", digitsOfID, digitsOfOld)
	d.Insurance = readInsurance(form)
	child := d.Born != 0 && now.In(qrgate.Zone).Year()-d.Born < childUnder
	d.Guardian = form.Text("card.guardian", maxName, false)
	d.GuardianPhone = form.Phone("card.guardian_phone", false)
	if child && d.Guardian == "" {
		form.Fail("card.guardian", "card.guardian.must")
	}
	if child && d.GuardianPhone == "" && d.Phone == "" {
		form.Fail("card.guardian_phone", "card.guardian.phone")
	}
	return d, found
}

// readYear reads the year of birth, also out of a whole date.
func readYear(form *page.Form, now time.Time) int {
	s := form.Text("card.born", 20, true)
	if s == "" {
		return 0
	}
	if fields := strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '-' || r == '.' }); len(fields) == 3 {
		s = fields[2]
		if len(fields[0]) == 4 {
			s = fields[0]
		}
	}
	year, err := strconv.Atoi(s)
	if this := now.In(qrgate.Zone).Year(); err != nil || year < oldest || year > this {
		form.Fail("card.born", "card.born.wrong", "least", oldest, "most", this)
		return 0
	}
	return year
}

// readDigits reads a number of so many digits, as people group them.
func readDigits(form *page.Form, field string, lengths ...int) string {
	s := strings.NewReplacer(" ", "", ".", "", "-", "").Replace(form.Text(field, 40, false))
	if s == "" {
		return ""
	}
	for _, n := range lengths {
		if len(s) == n && strings.Trim(s, "0123456789") == "" {
			return s
		}
	}
	form.Fail(field, field+".wrong")
	return ""
}

// readInsurance reads the number on a card of health insurance: fifteen signs, or
// the ten of the person.
func readInsurance(form *page.Form) string {
	s := strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(form.Text("card.insurance", 40, false)))
	switch {
	case s == "":
		return ""
	case len(s) == 10 && strings.Trim(s, "0123456789") == "":
		return s
	case len(s) == 15 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && strings.Trim(s[5:], "0123456789") == "":
		return s
	}
	form.Fail("card.insurance", "card.insurance.wrong")
	return ""
}

func communes() []string {
	var names []string
	for _, u := range area.Current() {
		names = append(names, u.FullName)
	}
	return names
}

func (p *Pages) newHolder(w http.ResponseWriter, r *http.Request, v *page.View) error {
	own, err := p.own(r, v)
	if err != nil {
		return err
	}
	return v.Render(w, "card_holder_form", holderPage{Form: page.NewForm(url.Values{"card.relative": {"self"}}), Offices: own, Communes: communes(), Desk: p.scanners(r, v)})
}

func (p *Pages) addHolder(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data := holderPage{Form: form, Communes: communes(), Desk: p.scanners(r, v)}
	data.Desk.Asks = true
	if data.Offices, err = p.own(r, v); err != nil {
		return err
	}
	h := &register.CardHolder{Office: readOffice(form, data.Offices)}
	h.Details, data.Found = readHolder(form, p.f.Now())
	if form.Values.Get("card.consent") != "1" {
		form.Fail("card.consent", "card.consent.must")
	}
	h.Details.Consent = p.f.Now().UnixMilli()
	if form.OK() {
		if data.Known, data.KnownOwn, err = p.known(r, v, &h.Details); err != nil {
			return err
		}
		if data.Known == nil || !data.Known.Sure && form.Values.Get("known") == data.Known.Holder {
			switch err := p.cards.AddHolders(r.Context(), v.Who.Account.ID, []*register.CardHolder{h}); {
			case errors.Is(err, qrgate.ErrConflict): // a colleague, at the same moment
				if data.Known, data.KnownOwn, err = p.known(r, v, &h.Details); err != nil {
					return err
				}
			case err != nil:
				return err
			default:
				return v.Go(w, p.path(h), "card.holder.added")
			}
		}
	}
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "card_holder_form", data)
}

// known returns whether somebody is registered already, and whether the viewer may
// see them.
func (p *Pages) known(r *http.Request, v *page.View, d *register.Details) (*register.Known, bool, error) {
	known, err := p.cards.Known(r.Context(), []*register.Details{d})
	if err != nil {
		return nil, false, err
	}
	k, ok := known[0]
	if !ok {
		return nil, false, nil
	}
	own := covers(v, k.Office)
	if !k.Sure && !own {
		return nil, false, nil // of another office's namesakes nothing is told
	}
	return &k, own, nil
}

func (p *Pages) editHolder(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.holder(r, v)
	if err != nil {
		return err
	}
	return v.Render(w, "card_holder_form", holderPage{Form: page.NewForm(formOf(h)), Holder: h, Communes: communes()})
}

func (p *Pages) changeHolder(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.holder(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data := holderPage{Form: form, Holder: h, Communes: communes()}
	changed := *h
	if changed.Version, err = strconv.Atoi(form.Values.Get("version")); err != nil {
		return qrgate.ErrInvalid
	}
	changed.Details, data.Found = readHolder(form, p.f.Now())
	changed.Details.Consent = h.Details.Consent
	if form.OK() {
		err := p.cards.ChangeHolder(r.Context(), v.Who.Account.ID, &changed)
		if err == nil {
			return v.Go(w, p.path(h), "card.holder.changed")
		}
		if !errors.Is(err, register.ErrKnown) {
			return err
		}
		if data.Known, data.KnownOwn, err = p.known(r, v, &changed.Details); err != nil {
			return err
		}
	}
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "card_holder_form", data)
}

// A shownHolder is the page of a holder.
type shownHolder struct {
	holderRow
	Cards []register.Card
	Form  *page.Form
	Kinds []option
	Now   time.Time
	Sex   string
	Phone string
}

func (p *Pages) showHolder(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.holder(r, v)
	if err != nil {
		return err
	}
	return p.renderHolder(w, r, v, h, page.NewForm(url.Values{"card.kind": {"card"}, "card.days": {strconv.Itoa(usualDays)}}), http.StatusOK)
}

func (p *Pages) renderHolder(w http.ResponseWriter, r *http.Request, v *page.View, h *register.CardHolder, form *page.Form, status int) error {
	row, err := p.row(r, h)
	if err != nil {
		return err
	}
	cards, err := p.cards.CardsOf(r.Context(), h.ID)
	if err != nil {
		return err
	}
	data := shownHolder{holderRow: row, Cards: cards, Form: form, Kinds: kindOptions(v), Now: p.f.Now(), Phone: page.ShowPhone(h.Details.Phone)}
	if h.Details.Sex != "" {
		data.Sex = v.T("card.sex." + h.Details.Sex)
	}
	return v.RenderStatus(w, status, "card_holder", data)
}
