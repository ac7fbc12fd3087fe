package place

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// A checked is one row of an upload with what was found in it. It waits in the
// register, so that what is written is what was shown.
type checked struct {
	No    int            `json:"no"`
	Name  string         `json:"name"`
	Place *qrgate.Place  `json:"place,omitempty"` // nil if something is wrong
	Wrong []sheet.Remark `json:"wrong,omitempty"`
	Fixed []sheet.Remark `json:"fixed,omitempty"` // what was understood otherwise than written
}

// readLines checks the rows of a sheet for an organisation. have are its places.
func readLines(lines []sheet.Line, organisation string, have []*qrgate.Place, now time.Time) []checked {
	known := map[string]uint32{}
	key := func(p *qrgate.Place) string { return area.Fold(p.Name) + "\x00" + p.AreaNow }
	for _, p := range have {
		known[key(p)] = p.No
	}
	rows := map[string]int{}
	var all []checked
	for _, l := range lines {
		c := readLine(l, organisation, now)
		if c.Place != nil {
			k := key(c.Place)
			if no, ok := known[k]; ok {
				c.Wrong = append(c.Wrong, sheet.Remark{Key: "import.known", Args: map[string]string{"no": strconv.Itoa(int(no))}})
			} else if row, ok := rows[k]; ok {
				c.Wrong = append(c.Wrong, sheet.Remark{Key: "import.twice", Args: map[string]string{"row": strconv.Itoa(row)}})
			}
			rows[k] = l.No
			if len(c.Wrong) > 0 {
				c.Place = nil
			}
		}
		all = append(all, c)
	}
	return all
}

// readLine reads a row as if it had been typed into the form.
func readLine(l sheet.Line, organisation string, now time.Time) checked {
	c := checked{No: l.No, Name: l.Cells["name"]}
	fix := func(field, key string, args ...string) {
		m := sheet.Remark{Field: field, Key: key, Args: map[string]string{}}
		for i := 0; i+1 < len(args); i += 2 {
			m.Args[args[i]] = args[i+1]
		}
		c.Fixed = append(c.Fixed, m)
	}
	v := url.Values{}
	for _, col := range columns {
		if cell := l.Cells[col.Key]; cell != "" && col.Key != "hours" {
			v.Set("place."+col.Key, cell)
		}
	}
	for _, number := range []string{"capacity", "doors"} { // a workbook's numbers may come as 3.0
		v.Set("place."+number, strings.TrimSuffix(v.Get("place."+number), ".0"))
	}
	for _, phone := range phoneFields { // and have lost the zero at their beginning
		if s := v.Get(phone); len(s) == 9 && s[0] != '0' && s[0] != '1' && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
			v.Set(phone, "0"+s)
			fix("field."+phone, "import.zero")
		}
	}
	if id := findNamed(kindNames(), v.Get("place.kind")); id != "" {
		v.Set("place.kind", id)
	} else if v.Get("place.kind") == "" {
		v.Set("place.kind", "other")
		fix("field.place.kind", "import.kind", "kind", kindName(text.Vietnamese, "other"))
	}
	if s := v.Get("place.sector"); s != "" {
		if id := findNamed(sectorNames(), s); id != "" {
			v.Set("place.sector", id)
		}
	}
	commune := v.Get("place.commune")
	v.Set("place.area", "")
	form := page.NewForm(v)
	p := qrgate.Place{Organisation: organisation}
	found := readPlace(form, &p, now)
	if u, ok := lookup(p.Area); ok && commune != u.FullName {
		today := page.AreaName(text.Vietnamese, p.AreaNow)
		if u.InForce() {
			fix("field.place.commune", "import.commune", "name", u.FullName)
		} else {
			fix("field.place.commune", "import.commune.old", "name", u.Label(), "today", today)
		}
	}
	if s := l.Cells["hours"]; s != "" {
		hours, err := readHours(s)
		if err != nil {
			form.Fail("place.hours", "import.hours")
		}
		p.Hours = hours
	}
	if p.At != nil {
		if lies, metres, ok := area.Nearest(p.At.Lat, p.At.Lon); ok && p.AreaNow != "" && (metres > 0 || lies.ID.String() != p.AreaNow) {
			fix("field.place.lat", "import.point", "name", lies.FullName)
		}
	}
	for _, w := range form.Wrong {
		m := sheet.Remark{Field: "field." + w.Field, Key: w.Key, Args: map[string]string{}}
		for i := 0; i+1 < len(w.Args); i += 2 {
			m.Args[fmt.Sprint(w.Args[i])] = fmt.Sprint(w.Args[i+1])
		}
		if w.Key == "place.commune.several" {
			var names []string
			for _, f := range found {
				names = append(names, f.Unit.Label())
			}
			m.Key, m.Args["names"] = "import.several", strings.Join(names[:min(4, len(names))], "; ")
		}
		c.Wrong = append(c.Wrong, m)
	}
	if len(c.Wrong) == 0 {
		c.Name, c.Place = p.Name, &p
	}
	return c
}

// A namedThing is what a cell may name by its id or by a name.
type namedThing struct {
	id    string
	names []string
}

func kindNames() (all []namedThing) {
	for _, k := range qrgate.PlaceKinds() {
		all = append(all, namedThing{k.ID, append([]string{k.Name, k.English}, strings.Split(k.Name, ", ")...)})
	}
	return all
}

func sectorNames() (all []namedThing) {
	for _, s := range qrgate.Sectors() {
		all = append(all, namedThing{s.ID, []string{s.Name, s.English, s.Department}})
	}
	return all
}

func findNamed(things []namedThing, cell string) string {
	folded := area.Fold(cell)
	for _, t := range things {
		if folded != "" && (folded == t.id || slices.ContainsFunc(t.names, func(n string) bool { return area.Fold(n) == folded })) {
			return t.id
		}
	}
	return ""
}

// A waiting is an upload as the register keeps it.
type waiting struct {
	Organisation string    `json:"organisation"`
	Rows         []checked `json:"rows"`
}

// An importPage asks for a file.
type importPage struct {
	Form          *page.Form
	Organisations []register.Organisation
	MaxRows       int
}

func (s *Pages) importForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, err := s.mine(r, v, keepers...)
	if err != nil {
		return err
	}
	return v.Render(w, "place_import", importPage{page.NewForm(nil), all, maxRows})
}

func (s *Pages) upload(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	shown := importPage{Form: form, MaxRows: maxRows}
	if shown.Organisations, err = s.mine(r, v, keepers...); err != nil {
		return err
	}
	var ids []string
	for _, o := range shown.Organisations {
		ids = append(ids, o.ID)
	}
	again := func() error {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "place_import", shown)
	}
	organisation := form.Choice("place.org", true, ids...)
	name, body, err := page.ReadFile(r, "place.file", maxSheet)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		form.Fail("place.file", "import.no_file")
	}
	if !form.OK() {
		return again()
	}
	lines, err := s.read(ctx, body)
	for _, bad := range []struct {
		err error
		key string
	}{{sheet.ErrFile, "import.bad.sheet"}, {sheet.ErrLetters, "import.bad.letters"}, {sheet.ErrColumns, "import.bad.columns"}, {sheet.ErrRows, "import.bad.rows"}, {sheet.ErrEmpty, "import.bad.empty"}} {
		if errors.Is(err, bad.err) {
			form.Fail("place.file", bad.key, "most", page.Number(maxRows))
			return again()
		}
	}
	if err != nil {
		return err
	}
	have, _, err := s.reg.Places(ctx, register.Query{Within: register.Within{Organisations: []string{organisation}}})
	if err != nil {
		return err
	}
	kept, err := json.Marshal(waiting{organisation, readLines(lines, organisation, have, s.f.Now())})
	if err != nil {
		return fmt.Errorf("place: upload: %w", err)
	}
	id, err := s.reg.AddUpload(ctx, v.Who.Account.ID, name, kept)
	if err != nil {
		return err
	}
	return v.Go(w, "/nhap-dia-diem/"+id, "")
}

// read is the form's Read in turn.
func (s *Pages) read(ctx context.Context, body []byte) ([]sheet.Line, error) {
	done, err := s.sheets.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return places.Read(body)
}

// A reportPage says of each row of an upload what would become of it.
type reportPage struct {
	ID, File     string
	Organisation string
	Rows         []reportRow
	Good, Fixed  int
	Wrong        int
}

type reportRow struct {
	No           int
	Name         string
	Kind         string
	Address      string
	Wrong, Fixed []string
}

// waits returns what an upload of the viewer's holds.
func (s *Pages) waits(r *http.Request, v *page.View) (name string, all waiting, err error) {
	id := r.PathValue("id")
	if !utf8.ValidString(id) {
		return "", waiting{}, qrgate.ErrNotFound
	}
	name, body, err := s.reg.Upload(r.Context(), v.Who.Account.ID, id)
	if err != nil {
		return "", waiting{}, err
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return "", waiting{}, fmt.Errorf("place: upload: %w", err)
	}
	// Roles may have gone since.
	return name, all, s.wanted(v, all.Organisation, keepers...)
}

func (s *Pages) report(w http.ResponseWriter, r *http.Request, v *page.View) error {
	name, all, err := s.waits(r, v)
	if errors.Is(err, qrgate.ErrNotFound) {
		return v.Go(w, "/dia-diem", "import.gone")
	}
	if err != nil {
		return err
	}
	o, err := s.reg.Organisation(r.Context(), all.Organisation)
	if err != nil {
		return err
	}
	data := reportPage{ID: r.PathValue("id"), File: name, Organisation: o.Name}
	for _, c := range all.Rows {
		row := reportRow{No: c.No, Name: c.Name}
		for _, m := range c.Wrong {
			row.Wrong = append(row.Wrong, m.Say(v.Lang))
		}
		for _, m := range c.Fixed {
			row.Fixed = append(row.Fixed, m.Say(v.Lang))
		}
		if c.Place != nil {
			row.Kind, row.Address = kindName(v.Lang, c.Place.Kind), page.Address(c.Place)
		}
		switch {
		case c.Place == nil:
			data.Wrong++
		case len(c.Fixed) > 0:
			data.Fixed++
			data.Good++
		default:
			data.Good++
		}
		data.Rows = append(data.Rows, row)
	}
	// What has to be corrected comes first.
	slices.SortStableFunc(data.Rows, func(a, b reportRow) int { return min(1, len(b.Wrong)) - min(1, len(a.Wrong)) })
	return v.Render(w, "place_report", data)
}

// takeIn writes the good rows of an upload.
func (s *Pages) takeIn(w http.ResponseWriter, r *http.Request, v *page.View) error {
	_, all, err := s.waits(r, v)
	if errors.Is(err, qrgate.ErrNotFound) { // pressed twice, or too late
		return v.Go(w, "/dia-diem", "import.gone")
	}
	if err != nil {
		return err
	}
	var places []*qrgate.Place
	for _, c := range all.Rows {
		if c.Place != nil {
			c.Place.Organisation = all.Organisation
			places = append(places, c.Place)
		}
	}
	if len(places) == 0 {
		return v.Go(w, "/dia-diem/nhap", "import.nothing")
	}
	err = s.reg.ImportPlaces(r.Context(), v.Who.Account.ID, r.PathValue("id"), places)
	if errors.Is(err, qrgate.ErrConflict) {
		return v.Go(w, "/dia-diem", "import.gone")
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/dia-diem?xep=newest", "import.done", "n", page.Number(len(places)))
}

// sheetForm answers with the workbook to fill in.
func (s *Pages) sheetForm(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	head, widths := make([]string, len(columns)), make([]float64, len(columns))
	var lists []sheet.List
	for i, c := range columns {
		head[i], widths[i] = v.T("sheet."+c.Key), c.Width
		switch c.Key {
		case "kind":
			lists = append(lists, sheet.List{Column: i, Values: texts(kinds(v.Lang))})
		case "sector":
			lists = append(lists, sheet.List{Column: i, Values: texts(s.sectors(v.Lang))})
		case "commune":
			var names []string
			for _, u := range area.Current() {
				names = append(names, u.FullName)
			}
			lists = append(lists, sheet.List{Column: i, Values: names})
		}
	}
	var out bytes.Buffer
	if err := sheet.WriteWorkbook(&out, v.T("sheet.title"), widths, [][]string{head}, v.T("sheet.lists"), lists...); err != nil {
		return fmt.Errorf("place: sheet: %w", err)
	}
	page.Send(w, page.Workbook, "qrgate-mau.xlsx", out.Bytes())
	return nil
}

func texts(options []option) []string {
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = o.Text
	}
	return all
}
