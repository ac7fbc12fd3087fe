package card

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
)

// find takes what a clerk has typed or a keyboard scanner has: an own card, a card
// of health insurance, the code under a card, its number, the number of a paper, or
// words of a name. It is never part of an address.
func (p *Pages) find(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	typed := strings.TrimRight(form.Values.Get("card.find"), "\r\n\t ")
	if len(typed) > pass.MaxText || !utf8.ValidString(typed) || strings.ContainsFunc(typed, unicode.IsControl) {
		form.Fail("card.find", "wrong.letters")
		form.Values.Del("card.find")
		return p.again(w, r, v, form, "")
	}
	typed = strings.TrimSpace(typed)
	if typed == "" {
		form.Fail("card.find", "wrong.empty")
		return p.again(w, r, v, form, "")
	}
	scanned, err := pass.Parse(typed)
	switch {
	case err == nil && scanned.Kind.Own():
		return p.scannedOwn(w, r, v, form, scanned)
	case err == nil && (scanned.Kind == pass.BHYT || scanned.Kind == pass.CCCD):
		return p.scannedPaper(w, r, v, scanned)
	case errors.Is(err, pass.ErrMalformed):
		// What a code is like may still be said: most often a scanner of another
		// keyboard has garbled it.
		form.Values.Del("card.find")
		if scanned.Kind == pass.CCCD {
			return p.again(w, r, v, form, "card.scan.cccd")
		}
		return p.again(w, r, v, form, "card.scan.garbled")
	case err == nil:
		form.Values.Del("card.find")
		return p.again(w, r, v, form, "card.scan.other")
	}
	return p.typed(w, r, v, form, typed)
}

// again shows the first page with what is to be said.
func (p *Pages) again(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, said string) error {
	data, err := p.homeOf(r, v, form, "")
	if err != nil {
		return err
	}
	data.Said = said
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "card_home", data)
}

// scannedOwn leads to the card, if it is genuine and the viewer's.
func (p *Pages) scannedOwn(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, scanned pass.Pass) error {
	form.Values.Del("card.find")
	err := pass.Verify(scanned, p.o.Keys, pass.DayOf(p.f.Now()))
	if errors.Is(err, pass.ErrUnknownKey) || errors.Is(err, pass.ErrSignature) {
		return p.again(w, r, v, form, "card.scan.false")
	}
	c, _, err := p.cards.Card(r.Context(), scanned.Card.Number)
	if errors.Is(err, qrgate.ErrNotFound) || err == nil && !covers(v, c.Office) {
		return p.again(w, r, v, form, "card.scan.elsewhere")
	}
	if err != nil {
		return err
	}
	said := ""
	if scanned.Card.Issue != c.Issue {
		said = "card.scan.old"
	}
	return v.Go(w, cardPath(c.Number), said)
}

// scannedPaper leads to whom a paper names, or to a form that is filled in with
// what it says.
func (p *Pages) scannedPaper(w http.ResponseWriter, r *http.Request, v *page.View, scanned pass.Pass) error {
	s := scanned.Subject
	h, err := p.cards.HolderOf(r.Context(), scanned.Kind, s.Number)
	if err == nil && covers(v, h.Office) {
		return v.Go(w, p.path(h), "card.scan.known")
	}
	if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	own, err := p.own(r, v)
	if err != nil {
		return err
	}
	values := url.Values{"card.born": {strconv.Itoa(s.Born)}, "card.relative": {"self"}}
	data := holderPage{Offices: own, Communes: communes()}
	if scanned.Kind == pass.BHYT {
		values.Set("card.name", titled(s.Name))
		values.Set("card.insurance", s.Number)
		values.Set("card.street", s.Address)
	} else {
		// A keyboard scanner types no Vietnamese: of the code only digits are sure.
		values.Set("card.identity", s.Number)
		data.Marks = true
	}
	data.Form = page.NewForm(values)
	return v.Render(w, "card_holder_form", data)
}

// titled writes a name in capitals as names are written.
func titled(name string) string {
	if name != strings.ToUpper(name) {
		return name
	}
	words := strings.Fields(strings.ToLower(name))
	for i, w := range words {
		r, n := utf8.DecodeRuneInString(w)
		words[i] = string(unicode.ToUpper(r)) + w[n:]
	}
	return strings.Join(words, " ")
}

// typed looks for what a person has typed.
func (p *Pages) typed(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, typed string) error {
	ctx := r.Context()
	number := uint32(0)
	if n, err := strconv.ParseUint(typed, 10, 32); err == nil && len(typed) < digitsOfOld {
		number = uint32(n)
	} else if t, err := pass.ParseTyped(typed); err == nil {
		number = t.Card.Number
	}
	if number != 0 {
		c, _, err := p.cards.Card(ctx, number)
		if err == nil && covers(v, c.Office) {
			return v.Go(w, cardPath(number), "")
		}
		if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return err
		}
	}
	papers := page.NewForm(url.Values{"card.identity": {typed}, "card.insurance": {typed}})
	for _, paper := range []struct {
		kind   pass.Kind
		number string
	}{
		{pass.CCCD, readDigits(papers, "card.identity", digitsOfID, digitsOfOld)}, {pass.BHYT, lastTen(readInsurance(papers))},
	} {
		if paper.number == "" {
			continue
		}
		h, err := p.cards.HolderOf(ctx, paper.kind, paper.number)
		if err == nil && covers(v, h.Office) {
			return v.Go(w, p.path(h), "")
		}
		if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return err
		}
	}
	name := form.Text("card.find", maxName, true)
	if !form.OK() {
		return p.again(w, r, v, form, "")
	}
	data, err := p.homeOf(r, v, form, name)
	if err != nil {
		return err
	}
	return v.Render(w, "card_home", data)
}

func lastTen(s string) string { return s[max(0, len(s)-10):] }
