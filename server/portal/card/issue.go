package card

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// issue gives a holder a card.
func (p *Pages) issue(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.holder(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	o := p.readOrder(form)
	o.Office = h.Office
	if o.Kind == pass.Family {
		n := form.Int("card.people", 2, maxPeople)
		if n == 0 {
			form.Fail("card.people", "wrong.empty")
		}
		o.People = []uint8{uint8(n)}
	}
	if !form.OK() {
		return p.renderHolder(w, r, v, h, form, http.StatusUnprocessableEntity)
	}
	b, err := p.cards.Issue(r.Context(), v.Who.Account.ID, o, h.ID)
	if errors.Is(err, register.ErrObjected) {
		form.Fail("card.kind", "card.objected")
		return p.renderHolder(w, r, v, h, form, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/the/dot/"+b.ID, "card.issued")
}

// A testPage asks how many test cards to make.
type testPage struct {
	Form    *page.Form
	Offices []option
}

// maxTests is how many test cards may be made at once: a place needs one.
const maxTests = 200

func (p *Pages) testForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	own, err := p.own(r, v)
	if err != nil {
		return err
	}
	return v.Render(w, "card_test", testPage{page.NewForm(url.Values{"card.tests": {"1"}, "card.days": {"365"}}), own})
}

func (p *Pages) issueTests(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	own, err := p.own(r, v)
	if err != nil {
		return err
	}
	o := register.Order{Office: readOffice(form, own), Kind: pass.Test, First: pass.DayOf(p.f.Now())}
	if o.Tests = form.Int("card.tests", 1, maxTests); o.Tests == 0 {
		form.Fail("card.tests", "wrong.number", "least", "1", "most", page.Number(maxTests))
	}
	o.Last = p.readDays(form)
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "card_test", testPage{form, own})
	}
	b, err := p.cards.Issue(r.Context(), v.Who.Account.ID, o)
	if err != nil {
		return err
	}
	return v.Go(w, "/the/dot/"+b.ID, "card.issued")
}

// A cardPage is the page of one card.
type cardPage struct {
	*register.Card
	Code    string
	Until   time.Time
	Ended   bool
	Form    *page.Form
	Where   string
	Reasons []option
	Print   printForm
}

func (p *Pages) showCard(w http.ResponseWriter, r *http.Request, v *page.View) error {
	c, err := p.card(r, v)
	if err != nil {
		return err
	}
	return p.renderCard(w, r, v, c, page.NewForm(url.Values{"card.days": {strconv.Itoa(usualDays)}}), http.StatusOK)
}

func (p *Pages) renderCard(w http.ResponseWriter, r *http.Request, v *page.View, c *register.Card, form *page.Form, status int) error {
	where, err := p.officeName(r, c.Office)
	if err != nil {
		return err
	}
	data := cardPage{
		Card: c, Code: pass.TypedCode(c.Number), Until: dateOf(c.Last), Ended: c.Ended(p.f.Now()), Form: form, Where: where,
		Print: newPrintForm(v, cardPath(c.Number)+"/in", form),
	}
	for _, reason := range register.Reasons() {
		data.Reasons = append(data.Reasons, option{string(reason), v.T("card.reason." + string(reason))})
	}
	return v.RenderStatus(w, status, "card_card", data)
}

// reissue replaces a card: the one that is out there is void.
func (p *Pages) reissue(w http.ResponseWriter, r *http.Request, v *page.View) error {
	c, err := p.card(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	issue, err := strconv.ParseUint(form.Values.Get("issue"), 10, 8)
	if err != nil {
		return qrgate.ErrInvalid
	}
	last := p.readDays(form)
	if !form.OK() {
		return p.renderCard(w, r, v, c, form, http.StatusUnprocessableEntity)
	}
	err = p.cards.Reissue(r.Context(), v.Who.Account.ID, c.Number, uint8(issue), pass.DayOf(p.f.Now()), last)
	switch {
	case errors.Is(err, qrgate.ErrRevoked), errors.Is(err, qrgate.ErrConflict):
		return qrgate.ErrConflict
	case err != nil:
		return err
	}
	return v.Go(w, cardPath(c.Number), "card.reissued", "n", issue+1)
}

func (p *Pages) revoke(w http.ResponseWriter, r *http.Request, v *page.View) error {
	c, err := p.card(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	var reasons []string
	for _, reason := range register.Reasons() {
		reasons = append(reasons, string(reason))
	}
	why := form.Choice("card.reason", true, reasons...)
	if !form.OK() {
		return p.renderCard(w, r, v, c, form, http.StatusUnprocessableEntity)
	}
	if err := p.cards.Revoke(r.Context(), v.Who.Account.ID, c.Number, register.Reason(why)); err != nil {
		return err
	}
	return v.Go(w, cardPath(c.Number), "card.revoked")
}
