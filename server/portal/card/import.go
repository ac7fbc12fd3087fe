package card

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// maxSheet is the largest file in bytes.
const maxSheet = 8 << 20

// people is what a sheet of people is like.
var people = sheet.Form{
	Heading: "card.sheet.", Must: "name",
	MaxRows: register.MaxBatch, MaxBytes: maxSheet, MaxUnpacked: 32 << 20, MaxTags: 1_500_000,
	Columns: []sheet.Column{
		{Key: "name", Known: []string{"ten", "ho ten", "ho va ten", "name", "full name"}, Width: 30},
		{Key: "born", Known: []string{"nam sinh", "ngay sinh", "sinh", "born", "year of birth", "birth"}, Width: 12},
		{Key: "sex", Known: []string{"gioi tinh", "gioi", "sex"}, Width: 10},
		{Key: "phone", Known: []string{"dien thoai", "so dien thoai", "sdt", "phone"}, Width: 15},
		{Key: "relative", Known: []string{"dien thoai nguoi than", "sdt nguoi than", "phone of a relative"}, Width: 20},
		{Key: "commune", Known: []string{"xa", "phuong", "xa phuong", "phuong xa", "phuong/xa", "commune", "ward"}, Width: 24},
		{Key: "street", Known: []string{"dia chi", "so nha", "duong", "thon", "street", "address"}, Width: 30},
		{Key: "identity", Known: []string{"cccd", "so cccd", "so dinh danh", "cmnd", "identity card"}, Width: 16},
		{Key: "insurance", Known: []string{"bhyt", "so bhyt", "the bhyt", "ma so bhyt", "health insurance"}, Width: 18},
		{Key: "guardian", Known: []string{"giam ho", "guardian"}, Width: 24},
		{Key: "guardian_phone", Known: []string{"sdt giam ho", "dien thoai giam ho", "guardian phone"}, Width: 18},
		{Key: "people", Known: []string{"so nguoi", "people"}, Width: 10},
	},
}

// A checked is one row of an upload with what was found in it.
type checked struct {
	No     int               `json:"no"`
	Name   string            `json:"name"`
	Holder *register.Details `json:"holder,omitempty"` // nil if something is wrong
	People uint8             `json:"people,omitempty"`
	Wrong  []sheet.Remark    `json:"wrong,omitempty"`
	Fixed  []sheet.Remark    `json:"fixed,omitempty"` // what was understood otherwise, or may be a mistake
}

// readLine reads a row as if it had been typed into the form.
func readLine(l sheet.Line, kind pass.Kind, now time.Time) checked {
	c := checked{No: l.No, Name: l.Cells["name"]}
	v := url.Values{}
	for _, col := range people.Columns {
		if cell := l.Cells[col.Key]; cell != "" {
			v.Set("card."+col.Key, cell)
		}
	}
	v.Set("card.relative", "self")
	if other := l.Cells["relative"]; other != "" && l.Cells["phone"] == "" {
		v.Set("card.phone", other)
		v.Set("card.relative", "relative")
	}
	for _, field := range []string{"card.born", "card.people", "card.identity", "card.insurance"} { // a workbook's numbers may come as 1948.0
		v.Set(field, strings.TrimSuffix(v.Get(field), ".0"))
	}
	for _, field := range []string{"card.phone", "card.guardian_phone"} { // and have lost the zero at their beginning
		if s := v.Get(field); len(s) == 9 && s[0] != '0' && s[0] != '1' && strings.Trim(s, "0123456789") == "" {
			v.Set(field, "0"+s)
			c.Fixed = append(c.Fixed, sheet.About("field."+field, "import.zero"))
		}
	}
	if s := v.Get("card.identity"); len(s) == digitsOfID-1 && strings.Trim(s, "0123456789") == "" {
		v.Set("card.identity", "0"+s)
		c.Fixed = append(c.Fixed, sheet.About("field.card.identity", "import.zero"))
	}
	if s := v.Get("card.born"); len(s) == 5 && strings.Trim(s, "0123456789") == "" { // a date, as a workbook counts days
		if days, err := strconv.Atoi(s); err == nil && days > 10_000 {
			v.Set("card.born", strconv.Itoa(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, days).Year()))
		}
	}
	v.Set("card.sex", sexes[area.Fold(v.Get("card.sex"))])
	form := page.NewForm(v)
	commune := v.Get("card.commune")
	d, found := readHolder(form, now)
	if d.Area != "" && area.Fold(communeName(d.Area)) != area.Fold(commune) {
		c.Fixed = append(c.Fixed, sheet.About("field.card.commune", "import.commune", "name", communeName(d.Area)))
	}
	if kind == pass.Family {
		if c.People = uint8(form.Int("card.people", 2, maxPeople)); c.People == 0 {
			form.Fail("card.people", "wrong.empty")
		}
	}
	for _, w := range form.Wrong {
		m := sheet.Remark{Field: "field." + w.Field, Key: w.Key, Args: map[string]string{}}
		for i := 0; i+1 < len(w.Args); i += 2 {
			m.Args[fmt.Sprint(w.Args[i])] = fmt.Sprint(w.Args[i+1])
		}
		if w.Key == "place.commune.several" {
			var names []string
			for _, f := range found[:min(4, len(found))] {
				names = append(names, f.Unit.Label())
			}
			m.Key, m.Args["names"] = "import.several", strings.Join(names, "; ")
		}
		c.Wrong = append(c.Wrong, m)
	}
	if len(c.Wrong) == 0 {
		c.Name, c.Holder = d.Name, &d
	}
	return c
}

// sexes are what a cell may say.
var sexes = map[string]string{"nam": "m", "trai": "m", "m": "m", "male": "m", "nu": "f", "gai": "f", "f": "f", "female": "f", "khac": "x", "x": "x", "other": "x"}

// readLines checks the rows of a sheet: also whether one is there twice, or is of
// somebody who is registered already.
func (p *Pages) readLines(ctx context.Context, v *page.View, lines []sheet.Line, kind pass.Kind) ([]checked, error) {
	all := make([]checked, 0, len(lines))
	var details []*register.Details
	var of []int
	numbers, alike := map[string]int{}, map[string]int{}
	for _, l := range lines {
		c := readLine(l, kind, p.f.Now())
		if d := c.Holder; d != nil {
			for _, key := range []string{"i" + d.Identity, "b" + lastTen(d.Insurance), "p" + d.Phone + "\x00" + area.Fold(d.Name)} {
				if len(key) < 8 || strings.HasPrefix(key, "p\x00") {
					continue
				}
				if row, twice := numbers[key]; twice {
					c.Wrong, c.Holder = append(c.Wrong, sheet.About("", "import.twice", "row", strconv.Itoa(row))), nil
					break
				}
				numbers[key] = c.No
			}
			key := area.Fold(d.Name) + "\x00" + strconv.Itoa(d.Born) + d.Area
			if row, ok := alike[key]; ok && c.Holder != nil {
				c.Fixed = append(c.Fixed, sheet.About("", "card.import.alike.row", "row", strconv.Itoa(row)))
			}
			alike[key] = c.No
		}
		if c.Holder != nil {
			details, of = append(details, c.Holder), append(of, len(all))
		}
		all = append(all, c)
	}
	known, err := p.cards.Known(ctx, details)
	if err != nil {
		return nil, err
	}
	for i, k := range known {
		c := &all[of[i]]
		switch own := covers(v, k.Office); {
		case k.Sure && own:
			c.Wrong, c.Holder = append(c.Wrong, sheet.About("", "card.import.known")), nil
		case k.Sure:
			c.Wrong, c.Holder = append(c.Wrong, sheet.About("", "card.import.elsewhere")), nil
		case own:
			c.Fixed = append(c.Fixed, sheet.About("", "card.import.alike"))
		}
	}
	return all, nil
}

// A waiting is an upload as it waits, sealed.
type waiting struct {
	File   string    `json:"file"`
	Office string    `json:"office"`
	Kind   pass.Kind `json:"kind"`
	Days   int       `json:"days"`
	At     int64     `json:"at"` // when somebody said that the people have agreed
	Rows   []checked `json:"rows"`
}

func (p *Pages) seal(account string, w *waiting) ([]byte, error) {
	plain, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(p.o.Wrap)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(account)), nil
}

func (p *Pages) unseal(account string, sealed []byte) (*waiting, error) {
	aead, err := chacha20poly1305.NewX(p.o.Wrap)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, qrgate.ErrNotFound
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(account))
	if err != nil {
		return nil, qrgate.ErrNotFound // an upload of another page
	}
	w := new(waiting)
	return w, json.Unmarshal(plain, w)
}

// An importPage asks for a file.
type importPage struct {
	Form    *page.Form
	Offices []option
	Kinds   []option
	MaxRows int
}

func (p *Pages) importPage(r *http.Request, v *page.View, form *page.Form) (importPage, error) {
	own, err := p.own(r, v)
	return importPage{form, own, kindOptions(v), p.o.Batch}, err
}

func (p *Pages) importForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	data, err := p.importPage(r, v, page.NewForm(url.Values{"card.kind": {"card"}, "card.days": {strconv.Itoa(usualDays)}}))
	if err != nil {
		return err
	}
	return v.Render(w, "card_import", data)
}

func (p *Pages) upload(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data, err := p.importPage(r, v, form)
	if err != nil {
		return err
	}
	again := func() error {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "card_import", data)
	}
	office := readOffice(form, data.Offices)
	o := p.readOrder(form)
	if form.Values.Get("card.consent") != "1" {
		form.Fail("card.consent", "card.consent.must")
	}
	name, body, err := page.ReadFile(r, "card.file", maxSheet)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		form.Fail("card.file", "import.no_file")
	}
	if !form.OK() {
		return again()
	}
	lines, err := p.read(ctx, body)
	if len(lines) > p.o.Batch {
		err = sheet.ErrRows
	}
	for _, bad := range []struct {
		err error
		key string
	}{
		{sheet.ErrFile, "import.bad.sheet"}, {sheet.ErrLetters, "import.bad.letters"}, {sheet.ErrColumns, "card.import.columns"},
		{sheet.ErrRows, "card.import.rows"}, {sheet.ErrEmpty, "import.bad.empty"},
	} {
		if errors.Is(err, bad.err) {
			form.Fail("card.file", bad.key, "most", page.Number(p.o.Batch))
			return again()
		}
	}
	if err != nil {
		return err
	}
	rows, err := p.readLines(ctx, v, lines, o.Kind)
	if err != nil {
		return err
	}
	kept, err := p.seal(v.Who.Account.ID, &waiting{name, office.String(), o.Kind, int(o.Last-o.First) + 1, p.f.Now().UnixMilli(), rows})
	if err != nil {
		return err
	}
	// A file may be called after a person: its name waits sealed, too.
	id, err := p.reg.AddUpload(ctx, v.Who.Account.ID, "", kept)
	if err != nil {
		return err
	}
	return v.Go(w, "/nhap-the/"+id, "")
}

// read is the form's Read in turn: one sheet may take a hundred megabytes.
func (p *Pages) read(ctx context.Context, body []byte) ([]sheet.Line, error) {
	done, err := p.sheets.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return people.Read(body)
}

// waits returns what an upload of the viewer's holds.
func (p *Pages) waits(r *http.Request, v *page.View) (*waiting, qrgate.Scope, error) {
	_, body, err := p.reg.Upload(r.Context(), v.Who.Account.ID, strings.ToValidUTF8(r.PathValue("id"), ""))
	if err != nil {
		return nil, qrgate.Scope{}, err
	}
	all, err := p.unseal(v.Who.Account.ID, body)
	if err != nil {
		return nil, qrgate.Scope{}, err
	}
	office, err := qrgate.ParseScope(all.Office)
	if err == nil && !slices.Contains(v.Scopes(qrgate.Clerk), office) { // the role may have gone since
		err = qrgate.ErrNotFound
	}
	return all, office, err
}

// A reportPage says of each row of an upload what would become of it.
type reportPage struct {
	ID, File    string
	Office      string
	Kind        string
	Until       time.Time
	Rows        []reportRow
	Good, Fixed int
	Wrong       int
	More        int // good rows that are not listed
}

type reportRow struct {
	No           int
	Name         string
	Born         int
	Commune      string
	Wrong, Fixed []string
	Good         bool
}

// Of rows that are right a few are enough to see that the columns were understood.
const (
	shownGood = 20
	shownAll  = 2000
)

func (p *Pages) report(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, office, err := p.waits(r, v)
	if err != nil {
		return err
	}
	data := reportPage{ID: r.PathValue("id"), File: all.File, Kind: v.T("card.kind." + all.Kind.String()), Until: dateOf(pass.DayOf(p.f.Now()) + pass.Day(all.Days) - 1)}
	if data.Office, err = p.officeName(r, office); err != nil {
		return err
	}
	for _, c := range all.Rows {
		row := reportRow{No: c.No, Name: c.Name, Good: c.Holder != nil}
		for _, m := range c.Wrong {
			row.Wrong = append(row.Wrong, m.Say(v.Lang))
		}
		for _, m := range c.Fixed {
			row.Fixed = append(row.Fixed, m.Say(v.Lang))
		}
		if c.Holder != nil {
			row.Born, row.Commune = c.Holder.Born, communeName(c.Holder.Area)
			data.Good++
			if len(c.Fixed) > 0 {
				data.Fixed++
			} else if data.Good-data.Fixed > shownGood {
				data.More++
				continue
			}
		} else {
			data.Wrong++
		}
		if len(data.Rows) == shownAll {
			data.More++
			continue
		}
		data.Rows = append(data.Rows, row)
	}
	// What has to be corrected comes first, then what has to be looked at.
	rank := func(r reportRow) int {
		switch {
		case !r.Good:
			return 0
		case len(r.Fixed) > 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(data.Rows, func(a, b reportRow) int { return rank(a) - rank(b) })
	return v.Render(w, "card_report", data)
}

// takeIn registers the good rows of an upload and issues their cards.
func (p *Pages) takeIn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, office, err := p.waits(r, v)
	if err != nil {
		return err
	}
	first := pass.DayOf(p.f.Now())
	o := register.Order{Office: office, Kind: all.Kind, First: first, Last: first + pass.Day(all.Days) - 1}
	var holders []*register.CardHolder
	for _, c := range all.Rows {
		if c.Holder == nil {
			continue
		}
		c.Holder.Consent = all.At
		holders = append(holders, &register.CardHolder{Office: office, Details: *c.Holder})
		if all.Kind == pass.Family {
			o.People = append(o.People, c.People)
		}
	}
	if len(holders) == 0 {
		return v.Go(w, "/the/nhap", "import.nothing")
	}
	b, err := p.cards.Import(r.Context(), v.Who.Account.ID, r.PathValue("id"), o, holders)
	switch {
	case errors.Is(err, register.ErrKnown): // registered since the report
		return v.Go(w, "/the/nhap", "card.import.again")
	case errors.Is(err, register.ErrObjected):
		return v.Go(w, "/the/nhap", "card.import.objected")
	case errors.Is(err, qrgate.ErrConflict):
		return v.Go(w, "/the", "import.gone")
	case err != nil:
		return err
	}
	return v.Go(w, "/the/dot/"+b.ID, "card.import.done", "n", page.Number(len(holders)))
}

// sheetForm answers with the workbook to fill in.
func (p *Pages) sheetForm(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	head, widths := make([]string, len(people.Columns)), make([]float64, len(people.Columns))
	var lists []sheet.List
	for i, c := range people.Columns {
		head[i], widths[i] = v.T(people.Heading+c.Key), c.Width
		switch c.Key {
		case "sex":
			lists = append(lists, sheet.List{Column: i, Values: []string{v.T("card.sex.m"), v.T("card.sex.f"), v.T("card.sex.x")}})
		case "commune":
			lists = append(lists, sheet.List{Column: i, Values: communes()})
		}
	}
	var out bytes.Buffer
	if err := sheet.WriteWorkbook(&out, v.T("card.sheet.title"), widths, [][]string{head}, v.T("sheet.lists"), lists...); err != nil {
		return fmt.Errorf("card: sheet: %w", err)
	}
	page.Send(w, page.Workbook, "qrgate-the-mau.xlsx", out.Bytes())
	return nil
}
