package card

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// find takes what a clerk has typed or a keyboard scanner has: an own card, a card
// of health insurance, the code under a card, its number, the number of a paper, or
// words of a name; or what the page's camera has read. It is never part of an address.
func (p *Pages) find(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	return p.look(w, r, v, form, form.Values.Get("card.find"), form.Values.Get("card.by") == "camera")
}

// look goes on with what was typed or read. What was read whole, by a camera or a
// scanner that is no keyboard, has its Vietnamese letters.
func (p *Pages) look(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, typed string, whole bool) error {
	typed = strings.TrimRight(typed, "\r\n\t ")
	if whole {
		form.Values.Del("card.find")
	}
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
	case err == nil && (scanned.Kind == pass.BHYT || scanned.Kind == pass.CCCD || scanned.Kind == pass.National):
		return p.scannedPaper(w, r, v, scanned, typed, whole)
	case errors.Is(err, pass.ErrMalformed):
		// What a code is like may still be said: most often a scanner of another
		// keyboard has garbled it.
		form.Values.Del("card.find")
		if scanned.Kind == pass.CCCD && !whole {
			return p.again(w, r, v, form, "card.scan.cccd")
		}
		return p.again(w, r, v, form, "card.scan.garbled")
	case err == nil, whole && !isTyped(typed):
		form.Values.Del("card.find")
		return p.again(w, r, v, form, "card.scan.other")
	}
	return p.typed(w, r, v, form, typed)
}

// isTyped reports whether a text is the short code of a card.
func isTyped(s string) bool {
	_, err := pass.ParseTyped(s)
	return err == nil
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
func (p *Pages) scannedPaper(w http.ResponseWriter, r *http.Request, v *page.View, scanned pass.Pass, text string, whole bool) error {
	h, err := p.cards.HolderOf(r.Context(), scanned.Kind, scanned.Subject.Number)
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
	data := holderPage{Offices: own, Communes: communes(), Form: page.NewForm(fill(scanned, text, whole)), Read: whole, Desk: p.scanners(r, v)}
	data.Desk.Asks = true
	// A keyboard scanner types no Vietnamese: of such a code only digits are sure.
	data.Marks = scanned.Kind == pass.CCCD && !whole
	data.Capitals = scanned.Kind == pass.National
	d := register.Details{Name: data.Form.Values.Get("card.name"), Born: scanned.Subject.Born, Area: data.Form.Values.Get("card.area"),
		Identity: data.Form.Values.Get("card.identity"), Insurance: data.Form.Values.Get("card.insurance")}
	if data.Known, data.KnownOwn, err = p.known(r, v, &d); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return v.Render(w, "card_holder_form", data)
}

// fill returns the form's values that a paper tells.
func fill(scanned pass.Pass, text string, whole bool) url.Values {
	s := scanned.Subject
	values := url.Values{"card.relative": {"self"}}
	if s.Born != 0 {
		values.Set("card.born", strconv.Itoa(s.Born))
	}
	parts := strings.Split(text, "|")
	switch {
	case scanned.Kind == pass.BHYT:
		values.Set("card.insurance", s.Number)
		values.Set("card.sex", map[string]string{"1": "m", "2": "f"}[parts[3]])
	case scanned.Kind == pass.CCCD:
		values.Set("card.identity", s.Number)
		// The fourth digit of the number says sex and century.
		values.Set("card.sex", map[byte]string{'0': "m", '1': "f", '2': "m", '3': "f"}[s.Number[3]])
		if !whole {
			return values
		}
	}
	values.Set("card.name", titled(s.Name))
	street, commune := splitAddress(s.Address)
	values.Set("card.street", street)
	if commune != nil {
		values.Set("card.commune", commune.Label())
		values.Set("card.area", commune.ID.String())
	}
	return values
}

// splitAddress finds the commune in an address of Huế, as papers write it: from the
// smallest to the largest, with commas. Without one all of it is the street.
func splitAddress(address string) (street string, commune *area.Unit) {
	parts := strings.Split(address, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if !slices.ContainsFunc(parts, func(s string) bool { return strings.HasSuffix(area.Fold(s), "hue") }) {
		return address, nil
	}
	for i := len(parts) - 1; i >= 0; i-- {
		u, _ := page.FindCommune(parts[i], "", "")
		if u != nil && (area.Fold(parts[i]) == area.Fold(u.Name) || area.Fold(parts[i]) == area.Fold(u.FullName)) {
			return strings.Join(parts[:i], ", "), u
		}
	}
	return address, nil
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
