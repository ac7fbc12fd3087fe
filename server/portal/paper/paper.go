// Package paper has the pages for hours without a machine: sheets on which visitors
// write themselves, and the form by which they are typed in later.
//
//	GET  /dia-diem/{no}/so-giay        type a sheet in
//	GET  /dia-diem/{no}/so-giay/in     sheets to print before they are needed
//
// Each sheet has a code and each row a number. The promise: a row has one effect
// however often it is typed in, and one that is typed in otherwise than before is
// refused and shown; what was typed right is kept although another row is wrong.
package paper

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

// A Desk takes check-ins. It returns once they are on disk.
type Desk interface {
	Visit(ctx context.Context, v ingest.Visit) (ingest.Receipt, error)
}

// Pages is the pages of paper hours.
type Pages struct {
	f    *page.Frame
	desk Desk
}

// New returns the pages of paper hours in f.
func New(f *page.Frame, desk Desk) *Pages {
	f.Add(files, "pages/*.html")
	return &Pages{f, desk}
}

var (
	may = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard}
	see = []qrgate.Role{qrgate.Organiser, qrgate.Inspector, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter, qrgate.Administrator}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	only := page.Only(may...)
	return []page.Route{
		{Pattern: "GET /dia-diem/{no}/so-giay", Allow: only, Handler: p.form},
		{Pattern: "POST /dia-diem/{no}/so-giay", Allow: only, Handler: p.enter},
		{Pattern: "GET /dia-diem/{no}/so-giay/in", Allow: only, Handler: p.print},
	}
}

const (
	rows      = 20 // of a sheet
	maxSheets = 20 // that are printed at a time
	// usualError is how wrong the time on paper is if nobody says: clocks on walls differ,
	// and people round.
	usualError = 15
)

// sheetCode is what stands on a sheet: five of 32 letters and digits that are not mistaken
// for each other, so that no two sheets of a place have the same.
var sheetCode = regexp.MustCompile(`^[A-Z2-7]{5}$`)

func newCode() string {
	var b [5]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])[:5]
}

// A formPage asks for what stands on a sheet.
type formPage struct {
	Place *qrgate.Place
	Form  *page.Form
	Rows  []rowForm
	Saved int // rows that are on disk
}

// A rowForm is one row as it was typed.
type rowForm struct {
	No                      int
	Time, Name, Phone, Away string
	People                  string
	Wrong                   string // what to do about it
	Done                    bool
}

func emptyRows() []rowForm {
	all := make([]rowForm, rows)
	for i := range all {
		all[i].No = i + 1
	}
	return all
}

func (p *Pages) form(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := v.Place(may, see)
	if err != nil {
		return err
	}
	values := url.Values{"paper.day": {qrgate.DayOf(p.f.Now()).String()}, "paper.error": {strconv.Itoa(usualError)}}
	return v.Render(w, "paper_form", formPage{Place: place, Form: page.NewForm(values), Rows: emptyRows()})
}

// enter takes the rows of a sheet that are filled in.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := v.Place(may, see)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data := formPage{Place: place, Form: form, Rows: emptyRows()}
	sheet := strings.ToUpper(form.Text("paper.sheet", 20, true))
	if form.OK() && !sheetCode.MatchString(sheet) {
		form.Fail("paper.sheet", "paper.sheet.wrong")
	}
	day, err := qrgate.ParseDay(strings.TrimSpace(form.Values.Get("paper.day")))
	if err != nil {
		form.Fail("paper.day", "event.day.wrong")
	}
	wrong := form.Int("paper.error", 1, int(ingest.MaxPaper/time.Minute))
	if wrong == 0 {
		form.Fail("paper.error", "wrong.number", "least", "1", "most", page.Number(int(ingest.MaxPaper/time.Minute)))
	}
	filled, bad := 0, 0
	for i := range data.Rows {
		row := &data.Rows[i]
		field := func(name string) string {
			return strings.TrimSpace(form.Values.Get(fmt.Sprintf("%s.%d", name, row.No)))
		}
		row.Time, row.Name, row.Phone, row.People, row.Away = field("time"), field("name"), field("phone"), field("people"), field("away")
		if row.Time+row.Name+row.Phone+row.People == "" {
			continue
		}
		filled++
		visit, key, args := readRow(row, day)
		if key == "" && form.OK() {
			visit.Place, visit.Gate, visit.Paper = store.Where{Name: place.Name, No: place.No}, "paper", time.Duration(wrong)*time.Minute
			sum := sha256.Sum256(fmt.Appendf(nil, "qrgate paper v1\x00%d\x00%s\x00%d", place.No, sheet, row.No))
			visit.Key, visit.Client = [16]byte(sum[:]), "paper"
			visit.Body = visit.Digest(fmt.Appendf(nil, "%d\x00%s\x00%s\x00%s\x00%s\x00%s", day, row.Time, row.Name, row.Phone, row.People, row.Away))
			key, err = p.take(r.Context(), visit)
			if err != nil {
				return err
			}
			if key == "" {
				row.Done = true
				data.Saved++
			}
		}
		if key != "" {
			bad++
			row.Wrong = v.T(key, args...)
		}
	}
	switch {
	case filled == 0:
		form.Fail("paper.sheet", "paper.empty")
	case form.OK() && bad == 0:
		return v.Go(w, fmt.Sprintf("/dia-diem/%d/so-giay", place.No), "paper.saved", "n", data.Saved)
	}
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "paper_form", data)
}

// take records a visit and returns the key of what to say if it was not taken.
func (p *Pages) take(ctx context.Context, visit ingest.Visit) (string, error) {
	_, err := p.desk.Visit(ctx, visit)
	switch {
	case errors.Is(err, ingest.ErrTooLate):
		return "paper.late", nil
	case errors.Is(err, qrgate.ErrConflict):
		return "paper.otherwise", nil
	case errors.Is(err, qrgate.ErrInvalid): // all but the time was read before
		return "paper.future", nil
	}
	return "", err
}

// readRow returns the visit of a row, or the key of what is wrong with it.
func readRow(row *rowForm, day qrgate.Day) (v ingest.Visit, key string, args []any) {
	at, err := time.Parse("15:04", strings.ReplaceAll(strings.ReplaceAll(row.Time, "h", ":"), ".", ":"))
	if err != nil {
		return v, "event.clock.wrong", nil
	}
	v.Said = day.Start().Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
	typed := page.NewForm(url.Values{"name": {row.Name}, "phone": {row.Phone}, "people": {row.People}})
	name, phone, people := typed.Text("name", 100, true), typed.Phone("phone", true), typed.Int("people", 1, ingest.MaxPeople)
	if len(typed.Wrong) > 0 {
		return v, typed.Wrong[0].Key, typed.Wrong[0].Args
	}
	v.People, v.Unnamed = []ingest.Visitor{{Kind: pass.Phone, Number: phone, Name: name, Level: qrgate.Stated}}, max(0, people-1)
	if v.Direction = wire.In; row.Away == "1" {
		v.Direction = wire.Out
	}
	return v, "", nil
}

// A printPage is sheets to print.
type printPage struct {
	Place   *qrgate.Place
	Address string
	Sheets  []string
	Rows    []int
	Form    *page.Form
}

func (p *Pages) print(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := v.Place(may, see)
	if err != nil {
		return err
	}
	form := page.NewForm(url.Values{"to": {r.URL.Query().Get("to")}})
	n := max(1, form.Int("to", 1, maxSheets))
	data := printPage{Place: place, Address: page.Address(place), Form: form}
	for range n {
		data.Sheets = append(data.Sheets, newCode())
	}
	for i := range rows {
		data.Rows = append(data.Rows, i+1)
	}
	return v.Render(w, "paper_print", data)
}
