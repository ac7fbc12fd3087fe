package cases

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
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// A known is what is known of a person, opened for one page.
type known struct {
	Code          string // stands for the person in this case alone
	Name          string
	Born          int
	Sex           string
	Phone         string // E.164
	Relative      bool   // the telephone is a relative's
	Email         string
	Street        string
	Commune       string // its name
	Insurance     string
	Guardian      string
	GuardianPhone string
	Address       string // as a pass says it
	Restraint     string // restriction or objection, if they asked for it
	Withheld      bool   // and so nothing is said of them
}

func knownOf(c *casebook.Card) *known {
	k := &known{
		Code: c.Ref.String(), Name: c.Name, Born: c.Born, Sex: c.Sex, Phone: c.Phone, Relative: c.Relative, Street: c.Street,
		Guardian: c.Guardian, GuardianPhone: c.GuardianPhone, Address: c.Address,
		Restraint: string(c.Restraint), Withheld: c.Withheld,
	}
	if c.Area != "" {
		k.Commune = page.AreaName("vi", c.Area)
	}
	return k
}

// Shown is the telephone as people write it.
func (k *known) Shown() string { return page.ShowPhone(k.Phone) }

// ShownGuardian is the guardian's.
func (k *known) ShownGuardian() string { return page.ShowPhone(k.GuardianPhone) }

// Short is the code that stands for the person on letters, and in lists for who has no
// name.
func (k *known) Short() string { return shortCode(k.Code) }

// Where is where the person lives, in one line.
func (k *known) Where() string {
	var parts []string
	for _, s := range []string{k.Street, k.Commune} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return k.Address
	}
	return strings.Join(parts, ", ")
}

// A foundPage is who was found, with no more than what tells them apart.
type foundPage struct {
	People []foundRow
	Wide   bool // everybody was looked through
	Many   bool // there may be more
}

// A foundRow hides most of a telephone: it tells people apart and calls nobody.
type foundRow struct {
	Code, Name, Phone, Commune string
	Born                       int
	Withheld                   bool
}

func found(cards []casebook.Card, wide bool) *foundPage {
	f := &foundPage{Wide: wide, Many: len(cards) >= casebook.MaxFound}
	for i := range cards {
		k := knownOf(&cards[i])
		f.People = append(f.People, foundRow{Code: k.Code, Name: k.Name, Born: k.Born, Phone: tail(k.Phone), Commune: k.Commune, Withheld: k.Withheld})
	}
	return f
}

// tail leaves the end of a number.
func tail(phone string) string {
	if len(phone) < 6 {
		return ""
	}
	return "… " + phone[len(phone)-3:]
}

// find looks for the person of a case. What was typed is never part of an address.
func (p *Pages) find(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.load(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	l := p.readLookup(form)
	if !form.OK() {
		return p.render(w, r, v, h, form, "find", http.StatusUnprocessableEntity)
	}
	cards, err := p.book.Find(r.Context(), v.Who.Account.ID, h.ID, l)
	if errors.Is(err, casebook.ErrTooMany) {
		form.Fail("cases.find", "cases.find.too_many", "n", casebook.LookupsPerHour)
		return p.render(w, r, v, h, form, "find", http.StatusTooManyRequests)
	}
	if err != nil {
		return err
	}
	d, err := p.showPage(r, v, h)
	if err != nil {
		return err
	}
	d.Form, d.Field, d.Found = form, "find", found(cards, l.Thorough)
	return v.Render(w, "cases_case", d)
}

// The ways to find somebody.
var lookups = []string{"card", "phone", "cccd", "bhyt", "name"}

// readLookup reads whom to find: a card as scanned or the code under it, a
// telephone, a number of a paper, or a name with its year of birth.
func (p *Pages) readLookup(form *page.Form) casebook.Lookup {
	l := casebook.Lookup{Thorough: form.Values.Get("cases.thorough") == "1"}
	by := form.Choice("cases.by", true, lookups...)
	typed := ""
	if by != "name" && by != "" {
		typed = readScan(form, "cases.find")
	}
	switch by {
	case "card":
		l.Kind, l.Number = p.readCard(form, typed)
	case "phone":
		if typed != "" {
			e164, ok := page.Phone(typed)
			if !ok {
				form.Fail("cases.find", "wrong.phone")
			}
			l.Kind, l.Number = pass.Phone, e164
		}
		l.Name = form.Text("cases.name", 100, false)
	case "cccd":
		l.Kind, l.Number = pass.CCCD, readNumber(form, typed, "0123456789", 9, 12)
	case "bhyt":
		n := readNumber(form, strings.ToUpper(typed), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10, 15)
		l.Kind, l.Number = pass.BHYT, n[max(0, len(n)-10):]
	case "name":
		l.Name = form.Text("cases.name", 100, true)
		l.Born = form.Int("cases.born", 1900, p.f.Now().In(qrgate.Zone).Year())
		if l.Born == 0 {
			form.Fail("cases.born", "cases.born.must")
		}
		if l.Name != "" && len(strings.Fields(l.Name)) < 2 {
			form.Fail("cases.name", "cases.name.whole")
		}
	}
	return l
}

// readScan reads a field into which a keyboard scanner may have typed.
func readScan(form *page.Form, field string) string {
	typed := strings.TrimSpace(form.Values.Get(field))
	switch {
	case typed == "":
		form.Fail(field, "wrong.empty")
	case len(typed) > pass.MaxText, !utf8.ValidString(typed), strings.ContainsFunc(typed, unicode.IsControl):
		form.Values.Del(field)
		form.Fail(field, "wrong.letters")
	default:
		return typed
	}
	return ""
}

// readCard reads the text of a code that was scanned, the code under a card, or its
// number.
func (p *Pages) readCard(form *page.Form, typed string) (pass.Kind, string) {
	if typed == "" {
		return 0, ""
	}
	number := uint32(0)
	scanned, err := pass.Parse(typed)
	switch {
	case err == nil && (scanned.Kind == pass.CCCD || scanned.Kind == pass.BHYT):
		form.Values.Del("cases.find")
		return scanned.Kind, scanned.Subject.Number
	case err == nil && scanned.Kind.Own():
		form.Values.Del("cases.find")
		err := pass.Verify(scanned, p.o.Keys, pass.DayOf(p.f.Now()))
		if errors.Is(err, pass.ErrUnknownKey) || errors.Is(err, pass.ErrSignature) {
			form.Fail("cases.find", "card.scan.false")
		}
		number = scanned.Card.Number
	default:
		if n, err := strconv.ParseUint(typed, 10, 32); err == nil && len(typed) < 9 {
			number = uint32(n)
		} else if t, err := pass.ParseTyped(typed); err == nil {
			number = t.Card.Number
		}
	}
	if number == 0 {
		form.Fail("cases.find", "cases.card.wrong")
		return 0, ""
	}
	return pass.Card, strconv.FormatUint(uint64(number), 10)
}

// readNumber reads the number of a paper of one of two lengths, as people group it.
func readNumber(form *page.Form, typed, letters string, short, long int) string {
	s := strings.NewReplacer(" ", "", ".", "", "-", "").Replace(typed)
	if s != "" && (len(s) != short && len(s) != long || strings.Trim(s, letters) != "") {
		form.Fail("cases.find", "cases.number.wrong", "short", short, "long", long)
		return ""
	}
	return s
}

func (p *Pages) choosePerson(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "find", "cases.person.chosen", func(h *head, form *page.Form, n int) error {
		ref, err := casebook.ParseRef(form.Values.Get("nguoi"))
		if err != nil {
			return err
		}
		return p.book.SetIndex(r.Context(), v.Who.Account.ID, h.ID, n, ref)
	})
}

// maxPlaces is how many places one search shows.
const maxPlaces = 20

// A placePage finds the place of an outbreak.
type placePage struct {
	*head
	Form   *page.Form
	Places []placeRow
	Total  int
}

type placeRow struct {
	No            uint32
	Name, Address string
}

// findPlace looks for a place by name: places are public, so what was typed may be
// in the address.
func (p *Pages) findPlace(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.load(r, v)
	if err != nil {
		return err
	}
	d := placePage{head: h, Form: page.NewForm(url.Values{"cases.place": {r.URL.Query().Get("ten")}})}
	text := d.Form.Text("cases.place", 120, false)
	if !d.Form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "cases_place", d)
	}
	if text != "" {
		places, total, err := p.reg.Places(r.Context(), register.Query{Within: v.Places(officers...), Text: text, Size: maxPlaces})
		if err != nil {
			return err
		}
		d.Total = total
		for _, q := range places {
			d.Places = append(d.Places, placeRow{q.No, q.Name, page.Address(q)})
		}
	}
	return v.Render(w, "cases_place", d)
}

func (p *Pages) choosePlace(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "find", "cases.place.chosen", func(h *head, form *page.Form, n int) error {
		no, err := strconv.ParseUint(form.Values.Get("noi"), 10, 32)
		if err != nil || no == 0 {
			return qrgate.ErrInvalid
		}
		place, err := p.reg.Place(r.Context(), uint32(no))
		if err == nil && !v.May(place, officers...) {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		return p.book.SetPlace(r.Context(), v.Who.Account.ID, h.ID, n, qrgate.Spot{No: place.No})
	})
}
