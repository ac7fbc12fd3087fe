package progress

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages parts assets
var files embed.FS

// Pages are the pages.
type Pages struct {
	f    *page.Frame
	reg  *register.Register
	kept *rollout.Progress
	// Counting all of a province, and reading a sheet, take a processor for seconds.
	turns *page.Turns
}

// New adds the pages' templates and files to the frame.
func New(f *page.Frame, reg *register.Register, kept *rollout.Progress) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(files, "assets")
	return &Pages{f, reg, kept, page.NewTurns(2, 20*time.Second)}
}

// Who may do what. Within which scope each role is held decides about which places.
var (
	// seers see the cockpit and visits.
	seers = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Inspector, qrgate.Reporter, qrgate.Administrator}
	// callers also see whom to call: administrators and reporters do not.
	callers = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Inspector}
	// leaders say what ought to be, and report.
	leaders = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Administrator}
	writers = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter, qrgate.Administrator}
	// visitors visit places, settlers say that something was put right.
	visitors = []qrgate.Role{qrgate.Inspector}
	settlers = []qrgate.Role{qrgate.Inspector, qrgate.SectorOfficer, qrgate.AreaOfficer}
	// owners see what was found at their places.
	owners = []qrgate.Role{qrgate.Owner, qrgate.Staff}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	see, lead, write := page.Only(seers...), page.Only(leaders...), page.Only(writers...)
	visit, settle, found := page.Only(visitors...), page.Only(settlers...), page.Only(slices.Concat(owners, seers)...)
	return []page.Route{
		{Pattern: "GET /tien-do", Allow: see, Menu: "menu.progress", Handler: p.cockpit},
		{Pattern: "GET /tien-do/danh-sach", Allow: see, Handler: p.list},
		{Pattern: "GET /tien-do/danh-sach/nhap", Allow: lead, Handler: p.importForm},
		{Pattern: "POST /tien-do/danh-sach/nhap", Allow: lead, Handler: p.upload, MaxBody: maxSheet + 64<<10},
		{Pattern: "GET /tien-do/danh-sach/mau.xlsx", Allow: lead, Handler: p.sheetForm},
		{Pattern: "GET /tien-do/danh-sach/nhap/{id}", Allow: lead, Handler: p.importReport},
		{Pattern: "POST /tien-do/danh-sach/nhap/{id}", Allow: lead, Handler: p.takeIn},
		{Pattern: "GET /tien-do/danh-sach/{id}", Allow: lead, Handler: p.listed},
		{Pattern: "POST /tien-do/danh-sach/{id}", Allow: lead, Handler: p.match},
		{Pattern: "GET /tien-do/muc-tieu", Allow: see, Handler: p.targets},
		{Pattern: "POST /tien-do/muc-tieu", Allow: lead, Handler: p.addTarget},
		{Pattern: "POST /tien-do/muc-tieu/{id}", Allow: lead, Handler: p.changeTarget},

		{Pattern: "GET /hoi-vien", Allow: page.Only(associations...), Menu: "menu.members", Handler: p.members},

		{Pattern: "GET /kiem-tra", Allow: see, Menu: "menu.inspections", Handler: p.visits},
		{Pattern: "POST /kiem-tra/tim", Allow: visit, Handler: p.find},
		{Pattern: "GET /kiem-tra/dia-diem/{no}", Allow: found, Handler: p.place},
		{Pattern: "GET /kiem-tra/dia-diem/{no}/moi", Allow: visit, Handler: p.visitForm},
		{Pattern: "POST /kiem-tra/dia-diem/{no}/moi", Allow: visit, Handler: p.visit},
		{Pattern: "POST /kiem-tra/{id}/xong", Allow: settle, Handler: p.settle},

		{Pattern: "GET /bao-cao", Allow: write, Menu: "menu.reports", Handler: p.reports},
		{Pattern: "GET /bao-cao/moi", Allow: write, Handler: p.newReport},
		{Pattern: "POST /bao-cao/moi", Allow: write, Handler: p.addReport},
		{Pattern: "GET /bao-cao/{id}", Allow: write, Handler: p.report},
		{Pattern: "GET /bao-cao/{id}/sua", Allow: write, Handler: p.editReport},
		{Pattern: "POST /bao-cao/{id}/sua", Allow: write, Handler: p.saveReport},
		{Pattern: "POST /bao-cao/{id}/ban-hanh", Allow: write, Handler: p.issueReport},
		{Pattern: "GET /bao-cao/{id}/bao-cao.pdf", Allow: write, Handler: p.reportPDF},
		{Pattern: "GET /bao-cao/{id}/bao-cao.xlsx", Allow: write, Handler: p.reportXLSX},
	}
}

// covers reports whether one of the viewer's roles reaches over all places of a
// sector and an area, each empty for all.
func (p *Pages) covers(v *page.View, sector, in string, roles ...qrgate.Role) bool {
	return slices.ContainsFunc(v.Scopes(roles...), func(s qrgate.Scope) bool {
		switch s.Kind {
		case qrgate.Everywhere:
			return true
		case qrgate.InSector:
			return sector != "" && slices.Contains(qrgate.SectorIDs(s.ID, p.f.Now()), sector)
		case qrgate.InArea:
			scope, err := area.ParseID(s.ID)
			unit, wrong := area.ParseID(in)
			return err == nil && wrong == nil && area.Covers(scope, unit)
		}
		return false
	})
}

// An option is one line of a list to choose from.
type option struct{ Value, Text, Group string }

func values(options []option) []string {
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = o.Value
	}
	return all
}

func inLang(lang text.Lang, vi, en string) string {
	if lang == text.English {
		return en
	}
	return vi
}

// sectors returns the sectors of today that somebody may choose from: those of
// their scopes, or all if one of them is an area.
func (p *Pages) sectors(v *page.View, roles ...qrgate.Role) []option {
	scopes := v.Scopes(roles...)
	var all []option
	for _, s := range qrgate.SectorsOn(p.f.Now()) {
		if slices.ContainsFunc(scopes, func(c qrgate.Scope) bool {
			now, err := qrgate.SectorNow(c.ID, p.f.Now())
			return c.Kind != qrgate.InSector || err == nil && now.ID == s.ID
		}) {
			all = append(all, option{Value: s.ID, Text: page.SectorName(v.Lang, s.ID)})
		}
	}
	return all
}

// areas returns the districts that were and the communes of today that somebody
// may choose from: those of which their scopes have a part, or all if one of them
// is a sector.
func (p *Pages) areas(v *page.View, roles ...qrgate.Role) []option {
	within := v.Places(roles...)
	every := within.All || len(within.Sectors) > 0
	all := []option{}
	for _, d := range report.Districts() {
		if every || slices.ContainsFunc(v.Scopes(roles...), func(s qrgate.Scope) bool {
			id, err := area.ParseID(s.ID)
			return s.Kind == qrgate.InArea && err == nil && area.Covers(id, d.ID)
		}) {
			all = append(all, option{Value: d.ID.String(), Text: page.AreaName(v.Lang, d.ID.String()), Group: "district"})
		}
	}
	for _, u := range area.Current() {
		if every || slices.Contains(within.Areas, u.ID.String()) {
			all = append(all, option{Value: u.ID.String(), Text: page.AreaName(v.Lang, u.ID.String()), Group: "commune"})
		}
	}
	return all
}

func kinds(lang text.Lang) []option {
	var all []option
	for _, k := range qrgate.PlaceKinds() {
		all = append(all, option{Value: k.ID, Text: inLang(lang, k.Name, k.English)})
	}
	return all
}

func kindName(lang text.Lang, id string) string {
	k, err := qrgate.FindPlaceKind(id)
	if err != nil {
		return id
	}
	return inLang(lang, k.Name, k.English)
}

// queryOf returns the places of a sector, an area and a kind, each empty for all.
func (p *Pages) queryOf(within register.Within, sector, in, kind string) rollout.Query {
	q := rollout.Query{Within: within, Kind: kind}
	if sector != "" {
		q.Sectors = qrgate.SectorIDs(sector, p.f.Now())
	}
	if in != "" {
		q.Areas = []string{}
		if id, err := area.ParseID(in); err == nil {
			for _, u := range area.CurrentOf(id) {
				// What has a part in another district may be a neighbour's.
				if area.Covers(id, u.ID) {
					q.Areas = append(q.Areas, u.ID.String())
				}
			}
		}
	}
	return q
}

// scopeName says which places a sector and an area are.
func scopeName(say words, sector, in string) string {
	switch {
	case sector == "" && in == "":
		return say.t("progress.scope.all")
	case sector == "":
		return page.AreaName(say.lang, in)
	case in == "":
		return say.t("progress.scope.sector", "sector", page.SectorName(say.lang, sector))
	}
	return say.t("progress.scope.both", "sector", page.SectorName(say.lang, sector), "area", page.AreaName(say.lang, in))
}

// words are the texts of one language: a report has its own.
type words struct{ lang text.Lang }

func (w words) t(key string, args ...any) string { return text.Of(w.lang, key, args...) }

func (w words) day(d qrgate.Day) string { return d.Start().Format("02/01/2006") }

// perPage is how many rows a page of a list has.
const perPage = 25

// A pager leads from one page of a list to the others.
type pager struct {
	Before, After string
	From, To, All int
}

func pageNo(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("trang"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 0
	}
	return n - 1
}

func newPager(r *http.Request, n, all int) pager {
	no := pageNo(r)
	g := pager{From: min(no*perPage+1, all), To: no*perPage + n, All: all}
	to := func(no int) string {
		q := r.URL.Query()
		q.Set("trang", strconv.Itoa(no+1))
		return r.URL.Path + "?" + q.Encode()
	}
	if no > 0 {
		g.Before = to(min(no, (all+perPage-1)/perPage) - 1)
	}
	if n > 0 && g.To < all {
		g.After = to(no + 1)
	}
	if n == 0 {
		g.From, g.To = 0, 0
	}
	return g
}

// readDay reads a date as browsers send it, or as people type it.
func readDay(s string) (qrgate.Day, bool) {
	for _, layout := range []string{time.DateOnly, "02/01/2006", "2/1/2006"} {
		if t, err := time.ParseInLocation(layout, s, qrgate.Zone); err == nil && t.Year() >= 2020 && t.Year() < 2100 {
			return qrgate.DayOf(t), true
		}
	}
	return 0, false
}

// dayField reads a day of a form.
func dayField(f *page.Form, field string, required bool) qrgate.Day {
	s := f.Text(field, 20, required)
	if s == "" {
		return 0
	}
	d, ok := readDay(s)
	if !ok {
		f.Fail(field, "wrong.date")
	}
	return d
}

// A part is one of a document as a page shows it.
type part struct {
	report.Part
	SVG, HTML template.HTML // of its chart and its table
}

var tables = template.Must(template.ParseFS(files, "parts/table.html"))

func partsOf(all []report.Part) ([]part, error) {
	shown := make([]part, len(all))
	for i, one := range all {
		shown[i].Part = one
		if one.Chart != nil {
			shown[i].SVG = template.HTML(one.Chart.SVG()) // whose words it has escaped
		}
		if one.Table == nil {
			continue
		}
		var out strings.Builder
		if err := tables.Execute(&out, one.Table); err != nil {
			return nil, fmt.Errorf("progress: table: %w", err)
		}
		shown[i].HTML = template.HTML(out.String())
	}
	return shown, nil
}

func isNotFound(err error) bool { return errors.Is(err, qrgate.ErrNotFound) }
func isConflict(err error) bool { return errors.Is(err, qrgate.ErrConflict) }

func formOf(pairs ...string) *page.Form {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return page.NewForm(v)
}
