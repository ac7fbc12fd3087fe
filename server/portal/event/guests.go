package event

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/sync/wire"
)

// A guestsPage shows who is invited, and asks for more.
type guestsPage struct {
	*events.Event
	Form       *page.Form
	Sheet      *page.Form
	Categories []option
	Remarks    []rowRemarks
	Rows       []guestRow
	Total      int // that were found
	Found      string
	Mail       bool
	Unsent     int
}

// A guestRow is a guest as the page shows them.
type guestRow struct {
	*events.Guest
	Category string
	Phone    string // as it is shown
	Link     string
}

// A rowRemarks is what is wrong with a row of a spreadsheet.
type rowRemarks struct {
	No      int
	Name    string
	Remarks []string
}

// maxShown is how many guests or remarks the page shows.
const maxShown = 200

func (p *Pages) guestsPage(r *http.Request, v *page.View, e *events.Event) (guestsPage, error) {
	data := guestsPage{Event: e, Form: page.NewForm(nil), Sheet: page.NewForm(nil), Mail: p.o.Mail != nil}
	called := names(v, e)
	for _, c := range e.Categories {
		data.Categories = append(data.Categories, option{strconv.Itoa(int(c.No)), called[c.No]})
	}
	data.Found = strings.ToValidUTF8(r.URL.Query().Get("tim"), "")
	wanted := area.Fold(data.Found)
	err := p.events.Guests(r.Context(), e.No, func(g *events.Guest) error {
		if g.Cancelled.IsZero() && g.Sent.IsZero() && g.Details.Email != "" {
			data.Unsent++
		}
		if wanted != "" && !strings.Contains(area.Fold(g.Details.Name+" "+g.Details.From), wanted) && strconv.FormatUint(uint64(g.Number), 10) != data.Found {
			return nil
		}
		if data.Total++; data.Total <= maxShown {
			row := guestRow{Guest: g, Category: called[g.Category], Phone: page.ShowPhone(g.Details.Phone)}
			if g.Cancelled.IsZero() {
				row.Link = p.link(g)
			}
			data.Rows = append(data.Rows, row)
		}
		return nil
	})
	return data, err
}

func (p *Pages) guests(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	data, err := p.guestsPage(r, v, e)
	if err != nil {
		return err
	}
	return v.Render(w, "event_guests", data)
}

// readGuest reads what was typed of a guest.
func readGuest(form *page.Form, categories []option) *events.Guest {
	var values []string
	for _, c := range categories {
		values = append(values, c.Value)
	}
	if len(values) == 1 && form.Values.Get("event.category") == "" {
		form.Values.Set("event.category", values[0])
	}
	g := &events.Guest{Details: events.Details{
		Name: form.Text("event.guest", 100, true), From: form.Text("event.of", 120, false),
		Phone: form.Phone("event.phone", false), Email: form.Email("event.email", false),
	}}
	no, _ := strconv.ParseUint(form.Choice("event.category", true, values...), 10, 8)
	g.Category = uint8(no)
	if form.OK() && g.Details.Phone == "" && g.Details.Email == "" {
		// Somebody must be able to reach them when a case is found.
		form.Fail("event.phone", "event.contact.must")
	}
	return g
}

func (p *Pages) invite(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	data, err := p.guestsPage(r, v, e)
	if err != nil {
		return err
	}
	if data.Form, err = page.ReadForm(r); err != nil {
		return err
	}
	g := readGuest(data.Form, data.Categories)
	if data.Form.OK() {
		err := p.events.Invite(r.Context(), v.Who.Account.ID, e.No, []*events.Guest{g})
		switch {
		case errors.Is(err, events.ErrGuests):
			data.Form.Fail("event.guest", "event.guests.many", "most", page.Number(wire.MaxEventPasses))
		case err != nil:
			return err
		default:
			return v.Go(w, path(e.No)+"/khach", "event.invited", "n", 1)
		}
	}
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "event_guests", data)
}

// maxSheet is the largest file in bytes.
const maxSheet = 4 << 20

// list is what a sheet of guests is like.
var list = sheet.Form{
	Heading: "event.sheet.", Must: "guest",
	MaxRows: wire.MaxEventPasses, MaxBytes: maxSheet, MaxUnpacked: 32 << 20, MaxTags: 1_500_000,
	Columns: []sheet.Column{
		{Key: "guest", Known: []string{"ten", "ho ten", "ho va ten", "khach", "khach moi", "name", "guest", "full name"}, Width: 30},
		{Key: "of", Known: []string{"don vi", "co quan", "to chuc", "organisation", "organization", "company"}, Width: 30},
		{Key: "category", Known: []string{"loai", "nhom", "loai khach", "thanh phan", "category"}, Width: 18},
		{Key: "phone", Known: []string{"dien thoai", "so dien thoai", "sdt", "phone"}, Width: 15},
		{Key: "email", Known: []string{"email", "e-mail", "thu dien tu", "mail"}, Width: 26},
	},
}

func (p *Pages) sheetForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	var heads []string
	var widths []float64
	for _, c := range list.Columns {
		heads, widths = append(heads, v.T(list.Heading+c.Key)), append(widths, c.Width)
	}
	var categories []string
	called := names(v, e)
	for _, c := range e.Categories {
		categories = append(categories, called[c.No])
	}
	var b bytes.Buffer
	err = sheet.WriteWorkbook(&b, v.T("event.guests"), widths, [][]string{heads}, v.T("event.sheet.lists"), sheet.List{Column: 2, Values: categories})
	if err != nil {
		return err
	}
	page.Send(w, page.Workbook, "khach-moi.xlsx", b.Bytes())
	return nil
}

// upload takes a spreadsheet: all of it, or nothing and a report of what is wrong.
func (p *Pages) upload(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	data, err := p.guestsPage(r, v, e)
	if err != nil {
		return err
	}
	again := func() error { return v.RenderStatus(w, http.StatusUnprocessableEntity, "event_guests", data) }
	if data.Sheet, err = page.ReadForm(r); err != nil {
		return err
	}
	_, body, err := page.ReadFile(r, "event.file", maxSheet)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		data.Sheet.Fail("event.file", "import.no_file")
		return again()
	}
	lines, err := p.read(r.Context(), body)
	if key := fileProblem(err); key != "" {
		data.Sheet.Fail("event.file", key, "most", page.Number(list.MaxRows))
		return again()
	}
	if err != nil {
		return err
	}
	guests, wrong := readLines(v, lines, data.Categories)
	if len(wrong) > 0 {
		data.Remarks = wrong[:min(len(wrong), maxShown)]
		data.Sheet.Fail("event.file", "event.sheet.wrong", "n", len(wrong))
		return again()
	}
	err = p.events.Invite(r.Context(), v.Who.Account.ID, e.No, guests)
	switch {
	case errors.Is(err, events.ErrGuests):
		data.Sheet.Fail("event.file", "event.guests.many", "most", page.Number(wire.MaxEventPasses))
		return again()
	case err != nil:
		return err
	}
	return v.Go(w, path(e.No)+"/khach", "event.invited", "n", page.Number(len(guests)))
}

// read is the form's Read in turn.
func (p *Pages) read(ctx context.Context, body []byte) ([]sheet.Line, error) {
	done, err := p.turns.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return list.Read(body)
}

// fileProblem returns what to say of a file as a whole.
func fileProblem(err error) string {
	for is, key := range map[error]string{
		sheet.ErrFile: "import.bad.sheet", sheet.ErrLetters: "import.bad.letters", sheet.ErrColumns: "event.sheet.columns",
		sheet.ErrRows: "event.sheet.rows", sheet.ErrEmpty: "import.bad.empty",
	} {
		if errors.Is(err, is) {
			return key
		}
	}
	return ""
}

// readLines reads rows as if each had been typed into the form.
func readLines(v *page.View, lines []sheet.Line, categories []option) (guests []*events.Guest, wrong []rowRemarks) {
	rows := map[string]int{} // where somebody is already
	for _, l := range lines {
		values := url.Values{}
		for _, c := range list.Columns {
			values.Set("event."+c.Key, l.Cells[c.Key])
		}
		if s := values.Get("event.phone"); len(s) == 9 && s[0] != '0' && s[0] != '1' && strings.Trim(s, "0123456789") == "" {
			values.Set("event.phone", "0"+s) // a workbook took it for a number
		}
		values.Set("event.category", categoryOf(values.Get("event.category"), categories))
		form := page.NewForm(values)
		g := readGuest(form, categories)
		key := area.Fold(g.Details.Name) + "\x00" + g.Details.Phone + "\x00" + strings.ToLower(g.Details.Email)
		row := rowRemarks{No: l.No, Name: l.Cells["guest"]}
		for _, w := range form.Wrong {
			row.Remarks = append(row.Remarks, v.T("field."+w.Field)+": "+v.T(w.Key, w.Args...))
		}
		if before, twice := rows[key]; twice && form.OK() {
			row.Remarks = append(row.Remarks, v.T("import.twice", "row", before))
		}
		if rows[key] = l.No; len(row.Remarks) > 0 {
			wrong = append(wrong, row)
			continue
		}
		guests = append(guests, g)
	}
	return guests, wrong
}

// categoryOf returns the value of the category that a cell names: what the event calls
// it, or what its kind is called in either language.
func categoryOf(cell string, categories []option) string {
	cell = area.Fold(cell)
	for _, c := range categories {
		called := []string{c.Text}
		if no, err := strconv.Atoi(c.Value); err == nil && no >= 1 && no <= len(events.Kinds()) {
			for _, lang := range []text.Lang{text.Vietnamese, text.English} {
				called = append(called, text.Of(lang, "event.kind."+string(events.Kinds()[no-1])))
			}
		}
		if slices.ContainsFunc(called, func(s string) bool { return area.Fold(s) == cell }) {
			return c.Value
		}
	}
	return ""
}

// guest returns the guest of the request's path, if they are the event's.
func (p *Pages) guest(r *http.Request, e *events.Event) (*events.Guest, error) {
	no, err := strconv.ParseUint(r.PathValue("pass"), 10, 32)
	if err != nil {
		return nil, qrgate.ErrNotFound
	}
	g, err := p.events.Guest(r.Context(), uint32(no))
	if err == nil && g.Event != e.No {
		err = qrgate.ErrNotFound
	}
	return g, err
}

func (p *Pages) replace(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.changeGuest(w, r, v, "event.replaced", p.events.Replace)
}

func (p *Pages) withdraw(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.changeGuest(w, r, v, "event.withdrawn", p.events.Withdraw)
}

func (p *Pages) changeGuest(w http.ResponseWriter, r *http.Request, v *page.View, notice string, change func(context.Context, string, *events.Guest) error) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	g, err := p.guest(r, e)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	// A button of an older page must not change what somebody has changed since.
	if form.Values.Get("issue") != strconv.Itoa(int(g.Issue)) {
		return qrgate.ErrConflict
	}
	if err := change(r.Context(), v.Who.Account.ID, g); err != nil {
		return err
	}
	return v.Go(w, path(e.No)+"/khach", notice)
}

// export answers with who was invited and who came, as a workbook.
func (p *Pages) export(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	present, err := p.attend(r.Context(), e)
	if err != nil {
		return err
	}
	called := names(v, e)
	clock := func(ms int64) string {
		if ms == 0 {
			return ""
		}
		return time.UnixMilli(ms).In(qrgate.Zone).Format("02/01/2006 15:04")
	}
	rows := [][]string{{v.T("event.sheet.guest"), v.T("event.sheet.of"), v.T("event.sheet.category"), v.T("event.sheet.phone"), v.T("event.sheet.email"),
		v.T("event.pass"), v.T("event.came.at"), v.T("event.went.at"), v.T("event.gate")}}
	err = p.events.Guests(r.Context(), e.No, func(g *events.Guest) error {
		came := present.guests[g.Person]
		rows = append(rows, []string{g.Details.Name, g.Details.From, called[g.Category], page.ShowPhone(g.Details.Phone), g.Details.Email,
			strconv.FormatUint(uint64(g.Number), 10), clock(came.first), clock(came.left), strings.Join(came.gates, ", ")})
		return nil
	})
	if err != nil {
		return err
	}
	if present.Unopened > 0 {
		rows = append(rows, []string{v.T("event.unopened", "n", page.Number(present.Unopened))})
	}
	if err := p.reg.Looked(r.Context(), v.Who.Account.ID, "export guests", "event "+strconv.Itoa(int(e.No))); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := sheet.WriteWorkbook(&b, v.T("event.guests"), []float64{30, 30, 18, 15, 26, 12, 18, 18, 14}, rows, ""); err != nil {
		return err
	}
	done()
	page.Send(w, page.Workbook, "khach-moi-"+strconv.Itoa(int(e.No))+".xlsx", b.Bytes())
	return nil
}
