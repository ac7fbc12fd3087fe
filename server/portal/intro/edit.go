package intro

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// Bounds of what is written.
const (
	maxAbout  = 4000
	maxOffers = 50
	maxLinks  = 10
	spare     = 3 // empty rows for more
	moreRows  = 5 // that a button adds
)

// A cell is an input in a row: rows repeat, so their fields' names have numbers.
type cell struct {
	Name, Label, Type, Mode, Value string
	Most                           int
	Wrong                          *page.Wrong
}

// A row is one product or one link on the form.
type row struct {
	No    int
	Cells []cell
}

// columns of a row. A name is made of its prefix, the row's number and its own.
type column struct {
	name, kind, mode string
	most             int
}

var (
	offerColumns = []column{{"name", "text", "text", 100}, {"price", "text", "text", 60}, {"note", "text", "text", 300}, {"link", "text", "url", 300}}
	linkColumns  = []column{{"title", "text", "text", 100}, {"url", "text", "url", 300}}
)

func cellName(prefix string, no int, name string) string {
	return fmt.Sprintf("%s_%d_%s", prefix, no, name)
}

// An editor is the form as its page shows it.
type editor struct {
	Place        *qrgate.Place
	Introduction *register.Introduction // as it is stored
	Form         *page.Form
	Offers       []row
	Links        []row
	Wrong        []wrongLine
	Version      int
	Conflict     bool
	Tab          string
	MayWrite     bool
	Public       string
	Price        string // an example
}

// A wrongLine leads to a field that has to be corrected.
type wrongLine struct {
	Field, Label string
	Row          int // 0 if it is in none
	Key          string
	Args         []any
}

func (x *Intro) editor(p *qrgate.Place, in *register.Introduction, f *page.Form) *editor {
	e := &editor{
		Place: p, Introduction: in, Form: f, Version: in.Version, Tab: "edit", MayWrite: true, Public: x.f.Base() + publicPath(p.No),
		Offers: rows(f, "offer", offerColumns, rowsOf(f, "offers", maxOffers)),
		Links:  rows(f, "link", linkColumns, rowsOf(f, "links", maxLinks)),
	}
	for _, w := range f.Wrong {
		line := wrongLine{Field: w.Field, Label: "field.intro_" + w.Field, Key: w.Key, Args: w.Args}
		if part := strings.Split(w.Field, "_"); len(part) == 3 {
			line.Row, _ = strconv.Atoi(part[1])
			line.Label = "field." + part[0] + "_" + part[2]
		}
		e.Wrong = append(e.Wrong, line)
	}
	return e
}

// rowsOf returns how many rows the form has: it says so itself.
func rowsOf(f *page.Form, field string, most int) int {
	n, err := strconv.Atoi(f.Values.Get(field))
	if err != nil || n < spare {
		n = spare
	}
	return min(n, most)
}

func rows(f *page.Form, prefix string, columns []column, n int) []row {
	all := make([]row, n)
	for i := range all {
		all[i].No = i + 1
		for _, c := range columns {
			name := cellName(prefix, i+1, c.name)
			one := cell{Name: name, Label: "field." + prefix + "_" + c.name, Type: c.kind, Mode: c.mode, Value: f.Values.Get(name), Most: c.most}
			for w := range f.Wrong {
				if f.Wrong[w].Field == name {
					one.Wrong = &f.Wrong[w]
				}
			}
			all[i].Cells = append(all[i].Cells, one)
		}
	}
	return all
}

// formOf returns the form of an introduction as it is stored.
func formOf(in *register.Introduction) *page.Form {
	values := url.Values{
		"about": {in.About}, "phone": {page.ShowPhone(in.Phone)}, "email": {in.Email},
		"offers": {strconv.Itoa(min(len(in.Offers)+spare, maxOffers))}, "links": {strconv.Itoa(min(len(in.Links)+spare, maxLinks))},
	}
	for i, o := range in.Offers {
		price := o.Terms
		if o.Price > 0 {
			price = page.Number(o.Price)
		}
		for name, value := range map[string]string{"name": o.Name, "price": price, "note": o.Note, "link": o.Link} {
			values.Set(cellName("offer", i+1, name), value)
		}
	}
	for i, l := range in.Links {
		values.Set(cellName("link", i+1, "title"), l.Title)
		values.Set(cellName("link", i+1, "url"), l.URL)
	}
	return page.NewForm(values)
}

// edit shows the form.
func (x *Intro) edit(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	in, err := x.reg.Introduction(r.Context(), p.No)
	if err != nil {
		return err
	}
	return v.Render(w, "intro_edit", x.editor(p, in, formOf(in)))
}

// save stores what was written, or adds rows to write more.
func (x *Intro) save(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	stored, err := x.reg.Introduction(r.Context(), p.No)
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(f.Values.Get("version"))
	if err != nil || version < 0 {
		return qrgate.ErrInvalid
	}
	for _, list := range []string{"offers", "links"} {
		if f.Values.Get("do") == list {
			n, _ := strconv.Atoi(f.Values.Get(list))
			f.Values.Set(list, strconv.Itoa(min(max(n, spare), maxOffers)+moreRows))
			e := x.editor(p, stored, f)
			e.Version = version
			return v.Render(w, "intro_edit", e)
		}
	}
	in := read(f)
	in.Place, in.Version = p.No, version
	if !f.OK() {
		e := x.editor(p, stored, f)
		e.Version = version
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "intro_edit", e)
	}
	err = x.reg.SaveIntroduction(r.Context(), v.Who.Account.ID, in)
	if errors.Is(err, qrgate.ErrConflict) {
		// With the version of today the next click wins, and the page says so.
		if stored, err = x.reg.Introduction(r.Context(), p.No); err != nil {
			return err
		}
		e := x.editor(p, stored, f)
		e.Conflict = true
		return v.RenderStatus(w, http.StatusConflict, "intro_edit", e)
	}
	if err != nil {
		return err
	}
	return v.Go(w, ownPath(p)+"/xem", "intro.saved")
}

// read reads an introduction. Rows without a name are left out.
func read(f *page.Form) *register.Introduction {
	in := &register.Introduction{About: f.Lines("about", maxAbout, false), Phone: f.Phone("phone", false), Email: f.Email("email", false)}
	for i := range rowsOf(f, "offers", maxOffers) {
		name := func(s string) string { return cellName("offer", i+1, s) }
		o := register.Offer{
			Name: f.Text(name("name"), 100, false), Note: f.Text(name("note"), 300, false), Link: linkField(f, name("link")),
		}
		if o.Price, o.Terms = price(f.Text(name("price"), 60, false)); o.Price > maxPrice {
			f.Fail(name("price"), "intro.wrong.price")
		}
		switch {
		case o == register.Offer{}:
		case o.Name == "":
			f.Fail(name("name"), "wrong.empty")
		default:
			in.Offers = append(in.Offers, o)
		}
	}
	for i := range rowsOf(f, "links", maxLinks) {
		l := register.WebLink{Title: f.Text(cellName("link", i+1, "title"), 100, false), URL: linkField(f, cellName("link", i+1, "url"))}
		switch {
		case l == register.WebLink{}:
		case l.URL == "":
			f.Fail(cellName("link", i+1, "url"), "wrong.empty")
		default:
			in.Links = append(in.Links, l)
		}
	}
	return in
}

// maxPrice is a hundred thousand million đồng.
const maxPrice = 100_000_000_000

// price reads a price in đồng as people write it, "45.000 đ", or in words.
func price(s string) (dong int, terms string) {
	digits := strings.ToLower(s)
	for _, unit := range []string{"vnđ", "vnd", "đồng", "đ"} {
		digits = strings.TrimSpace(strings.TrimSuffix(digits, unit))
	}
	digits = strings.NewReplacer(".", "", ",", "", " ", "", "\u00a0", "").Replace(digits)
	if n, err := strconv.ParseUint(digits, 10, 62); err == nil && n > 0 {
		return int(min(n, maxPrice+1)), ""
	}
	return 0, s
}

// linkField reads the address of a page elsewhere. Most people leave out what
// browsers hide.
func linkField(f *page.Form, field string) string {
	s := f.Text(field, 300, false)
	if s == "" {
		return ""
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !strings.Contains(strings.Trim(u.Hostname(), "."), ".") || strings.ContainsAny(s, " \t\n\"'<>\\`") {
		f.Fail(field, "intro.wrong.link")
		return ""
	}
	return u.String()
}
