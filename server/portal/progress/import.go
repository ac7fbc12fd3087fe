package progress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/qrgate"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

// Limits of a list that somebody uploads.
const (
	maxRows  = 5000
	maxSheet = 2 << 20
)

// lists is what a sheet of places that ought to register is like.
var lists = sheet.Form{
	Columns: []sheet.Column{
		{Key: "name", Known: []string{"ten", "ten dia diem", "ten co so", "name", "place"}, Width: 36},
		{Key: "sector", Known: []string{"nganh", "linh vuc", "sector"}, Width: 24},
		{Key: "kind", Known: []string{"loai", "loai hinh", "kind", "type"}, Width: 24},
		{Key: "commune", Known: []string{"xa", "phuong", "xa phuong", "phuong xa", "commune", "ward"}, Width: 26},
		{Key: "street", Known: []string{"dia chi", "duong", "so nha", "address", "street"}, Width: 34},
		{Key: "phone", Known: []string{"dien thoai", "so dien thoai", "sdt", "phone"}, Width: 16},
	},
	Heading: "progress.sheet.", Must: "name",
	MaxRows: maxRows, MaxBytes: maxSheet, MaxUnpacked: 16 << 20, MaxTags: 800_000,
}

// A checked is one row of an upload with what was found in it. It waits in the
// register, so that what is written is what was shown.
type checked struct {
	No    int             `json:"no"`
	Name  string          `json:"name"`
	Place *rollout.Listed `json:"place,omitempty"` // nil if something is wrong
	Wrong []sheet.Remark  `json:"wrong,omitempty"`
	Notes []sheet.Remark  `json:"notes,omitempty"`
}

// readLine reads a row. sector is that of rows that name none.
func readLine(l sheet.Line, sector string) checked {
	c := checked{No: l.No, Name: l.Cells["name"]}
	note := func(field, key string, args ...string) { c.Notes = append(c.Notes, sheet.About(field, key, args...)) }
	phone := l.Cells["phone"]
	if len(phone) == 9 && phone[0] != '0' && strings.Trim(phone, "0123456789") == "" { // a workbook has taken its zero
		phone = "0" + phone
	}
	f := plainForm(map[string]string{"progress_name": c.Name, "progress_street": l.Cells["street"], "progress_phone": phone})
	row := rollout.Listed{Name: f.Text("progress_name", 160, true), Sector: sector, Street: f.Text("progress_street", 200, false)}
	if phone != "" {
		e164, ok := page.Phone(phone)
		if !ok {
			note("field.progress_phone", "progress.note.phone")
		}
		row.Phone = e164
	}
	if s := l.Cells["sector"]; s != "" {
		if row.Sector = findSector(s); row.Sector == "" {
			f.Fail("progress_sector", "progress.wrong.sector")
		}
	}
	if row.Sector == "" && f.OK() {
		f.Fail("progress_sector", "progress.wrong.no_sector")
	}
	if s := l.Cells["kind"]; s != "" {
		if row.Kind = findKind(s); row.Kind == "" {
			note("field.progress_kind", "progress.note.kind")
		}
	}
	commune := l.Cells["commune"]
	switch u, found := page.FindCommune(commune, "", ""); {
	case commune == "":
		f.Fail("progress_commune", "wrong.empty")
	case u != nil:
		row.Area = u.ID.String()
		row.AreaNow = area.CurrentOf(u.ID)[0].ID.String()
		if row.AreaNow != row.Area {
			note("field.progress_commune", "progress.note.commune", "name", u.Label(), "today", page.AreaName(vi, row.AreaNow))
		}
	case len(found) > 0:
		var names []string
		for _, m := range found[:min(4, len(found))] {
			names = append(names, m.Unit.Label())
		}
		f.Fail("progress_commune", "progress.wrong.several", "names", strings.Join(names, "; "))
	default:
		f.Fail("progress_commune", "progress.wrong.commune")
	}
	for _, w := range f.Wrong {
		m := sheet.Remark{Field: "field." + w.Field, Key: w.Key, Args: map[string]string{}}
		for i := 0; i+1 < len(w.Args); i += 2 {
			m.Args[fmt.Sprint(w.Args[i])] = fmt.Sprint(w.Args[i+1])
		}
		c.Wrong = append(c.Wrong, m)
	}
	if len(c.Wrong) == 0 {
		c.Name, c.Place = row.Name, &row
	}
	return c
}

// check reads all rows, and says of each whether the viewer may list it, and what
// is known of it.
func (p *Pages) check(ctx context.Context, v *page.View, lines []sheet.Line, sector string) ([]checked, error) {
	places, _, err := p.reg.Places(ctx, register.Query{Within: v.Places(leaders...)})
	if err != nil {
		return nil, err
	}
	key := func(name, in string) string { return area.Fold(name) + "\x00" + in }
	known := map[string]uint32{}
	for _, q := range places {
		known[key(q.Name, q.AreaNow)] = q.No
	}
	rows := map[string]int{}
	var all []checked
	for _, l := range lines {
		c := readLine(l, sector)
		if c.Place != nil {
			k := c.Place.Sector + "\x00" + key(c.Place.Name, c.Place.AreaNow)
			if row, twice := rows[k]; twice {
				c.Wrong = append(c.Wrong, sheet.About("", "progress.wrong.twice", "row", strconv.Itoa(row)))
			} else if !p.covers(v, c.Place.Sector, c.Place.AreaNow, leaders...) {
				c.Wrong = append(c.Wrong, sheet.About("", "progress.wrong.scope"))
			}
			rows[k] = l.No
			if no := known[key(c.Place.Name, c.Place.AreaNow)]; no > 0 {
				c.Notes = append(c.Notes, sheet.About("", "progress.note.registered", "no", strconv.Itoa(int(no))))
			}
			if len(c.Wrong) > 0 {
				c.Place = nil
			}
		}
		all = append(all, c)
	}
	return all, nil
}

type importPage struct {
	Form    *page.Form
	Sectors []option
	MaxRows int
}

func (p *Pages) importForm(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	d := importPage{Form: formOf(), Sectors: p.sectors(v, leaders...), MaxRows: maxRows}
	if len(d.Sectors) == 1 {
		d.Form.Values.Set("progress_sector", d.Sectors[0].Value)
	}
	return v.Render(w, "progress_import", d)
}

func (p *Pages) upload(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	d := importPage{Form: f, Sectors: p.sectors(v, leaders...), MaxRows: maxRows}
	again := func() error { return v.RenderStatus(w, http.StatusUnprocessableEntity, "progress_import", d) }
	sector := f.Choice("progress_sector", false, values(d.Sectors)...)
	name, body, err := page.ReadFile(r, "progress_file", maxSheet)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		f.Fail("progress_file", "import.no_file")
	}
	if !f.OK() {
		return again()
	}
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	lines, err := lists.Read(body)
	for _, bad := range []struct {
		err error
		key string
	}{{sheet.ErrFile, "import.bad.sheet"}, {sheet.ErrLetters, "import.bad.letters"}, {sheet.ErrColumns, "import.bad.columns"}, {sheet.ErrRows, "import.bad.rows"}, {sheet.ErrEmpty, "import.bad.empty"}} {
		if errors.Is(err, bad.err) {
			f.Fail("progress_file", bad.key, "most", page.Number(maxRows))
			return again()
		}
	}
	if err != nil {
		return err
	}
	rows, err := p.check(r.Context(), v, lines, sector)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(waiting{listKind, rows})
	if err != nil {
		return fmt.Errorf("progress: upload: %w", err)
	}
	id, err := p.reg.AddUpload(r.Context(), v.Who.Account.ID, name, kept)
	if err != nil {
		return err
	}
	return v.Go(w, "/tien-do/danh-sach/nhap/"+id, "")
}

// A waiting is an upload as the register keeps it, beside those of other kinds.
type waiting struct {
	Kind string    `json:"kind"`
	Rows []checked `json:"listed"`
}

const listKind = "listed places"

// waits returns what an upload of the viewer's holds.
func (p *Pages) waits(r *http.Request, v *page.View) (name string, rows []checked, err error) {
	name, body, err := p.reg.Upload(r.Context(), v.Who.Account.ID, page.ID(r))
	if err != nil {
		return "", nil, err
	}
	var all waiting
	if err := json.Unmarshal(body, &all); err != nil || all.Kind != listKind {
		return "", nil, qrgate.ErrNotFound
	}
	return name, all.Rows, nil
}

type importRow struct {
	No                         int
	Name, Sector, Area, Street string
	Wrong, Notes               []string
}

type importReportPage struct {
	ID, File           string
	Rows               []importRow
	Good, Noted, Wrong int
}

func (p *Pages) importReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	name, rows, err := p.waits(r, v)
	if isNotFound(err) {
		return v.Go(w, "/tien-do/danh-sach", "import.gone")
	}
	if err != nil {
		return err
	}
	d := importReportPage{ID: page.ID(r), File: name}
	for _, c := range rows {
		row := importRow{No: c.No, Name: c.Name}
		for _, m := range c.Wrong {
			row.Wrong = append(row.Wrong, m.Say(v.Lang))
		}
		for _, m := range c.Notes {
			row.Notes = append(row.Notes, m.Say(v.Lang))
		}
		if l := c.Place; l != nil {
			row.Sector, row.Area, row.Street = page.SectorName(v.Lang, l.Sector), page.AreaName(v.Lang, l.AreaNow), l.Street
			d.Good++
			if len(c.Notes) > 0 {
				d.Noted++
			}
		} else {
			d.Wrong++
		}
		d.Rows = append(d.Rows, row)
	}
	// What has to be corrected comes first.
	slices.SortStableFunc(d.Rows, func(a, b importRow) int {
		return min(1, len(b.Wrong)) - min(1, len(a.Wrong))
	})
	return v.Render(w, "progress_import_report", d)
}

func (p *Pages) takeIn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	_, rows, err := p.waits(r, v)
	if isNotFound(err) { // pressed twice, or too late
		return v.Go(w, "/tien-do/danh-sach", "import.gone")
	}
	if err != nil {
		return err
	}
	var list []rollout.Listed
	for _, c := range rows {
		// Roles may have gone since.
		if c.Place != nil && p.covers(v, c.Place.Sector, c.Place.AreaNow, leaders...) {
			list = append(list, *c.Place)
		}
	}
	if len(list) == 0 {
		return v.Go(w, "/tien-do/danh-sach/nhap", "import.nothing")
	}
	added, err := p.kept.TakeList(r.Context(), v.Who.Account.ID, page.ID(r), list)
	if isConflict(err) {
		return v.Go(w, "/tien-do/danh-sach", "import.gone")
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/tien-do/danh-sach", "progress.import.done", "n", page.Number(len(list)), "added", page.Number(added))
}

// sheetForm answers with the workbook to fill in.
func (p *Pages) sheetForm(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	head, widths := make([]string, len(lists.Columns)), make([]float64, len(lists.Columns))
	var choices []sheet.List
	for i, c := range lists.Columns {
		head[i], widths[i] = v.T(lists.Heading+c.Key), c.Width
		switch c.Key {
		case "kind":
			choices = append(choices, sheet.List{Column: i, Values: texts(kinds(v.Lang))})
		case "sector":
			choices = append(choices, sheet.List{Column: i, Values: texts(p.sectors(v, leaders...))})
		case "commune":
			choices = append(choices, sheet.List{Column: i, Values: currentNames()})
		}
	}
	var out bytes.Buffer
	if err := sheet.WriteWorkbook(&out, v.T("progress.sheet.title"), widths, [][]string{head}, v.T("sheet.lists"), choices...); err != nil {
		return fmt.Errorf("progress: sheet: %w", err)
	}
	page.Send(w, page.Workbook, "qrgate-danh-sach.xlsx", out.Bytes())
	return nil
}
