package progress

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

type reportRow struct {
	rollout.Report
	Scope string
}

func (p *Pages) reports(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, err := p.kept.Reports(r.Context())
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(x rollout.Report) bool { return !p.covers(v, x.Sector, x.Area, writers...) })
	total, no := len(all), pageNo(r)
	all = all[min(no*perPage, total):min((no+1)*perPage, total)]
	var rows []reportRow
	for _, x := range all {
		rows = append(rows, reportRow{x, scopeName(words{v.Lang}, x.Sector, x.Area)})
	}
	return v.Render(w, "progress_reports", struct {
		Rows  []reportRow
		Pager pager
	}{rows, newPager(r, len(rows), total)})
}

// A writePage is the form of a report.
type writePage struct {
	ID             string // empty of a new one
	Form           *page.Form
	Sectors, Areas []option
	Langs          []option
	Scope          string // of one that has been saved: it stays
	Since          bool   // somebody has saved another version meanwhile
	Changer        string
}

// Longest texts of a report.
const (
	maxLine = 300
	maxText = 20_000
)

// fieldsOf are the lines and texts of a report, by field of the form.
func fieldsOf(b *rollout.Body) (lines, texts map[string]*string) {
	return map[string]*string{
			"progress_title": &b.Title, "progress_superior": &b.Superior, "progress_agency": &b.Agency, "progress_number": &b.Number,
			"progress_town": &b.Town, "progress_signed_as": &b.SignedAs, "progress_signed": &b.Signed,
		}, map[string]*string{
			"progress_recipients": &b.Recipients, "progress_intro": &b.Intro, "progress_difficulties": &b.Difficulties, "progress_proposals": &b.Proposals,
		}
}

func (p *Pages) formPage(v *page.View, f *page.Form, r *rollout.Report) writePage {
	d := writePage{Form: f, Sectors: p.sectors(v, writers...), Areas: p.areas(v, writers...)}
	for _, l := range text.Langs() {
		d.Langs = append(d.Langs, option{Value: string(l), Text: text.Of(l, "shell.this_language")})
	}
	if r != nil {
		d.ID, d.Scope = r.ID, scopeName(words{v.Lang}, r.Sector, r.Area)
	}
	return d
}

// newReport shows the form with what the cockpit showed and what can be known.
func (p *Pages) newReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	a := p.asked(r, v, p.sectors(v, writers...), p.areas(v, writers...))
	say := words{v.Lang}
	if only := p.sectors(v, writers...); a.Sector == "" && len(only) == 1 {
		a.Sector = only[0].Value
	}
	if a.Area == "" && a.Sector == "" && !p.covers(v, "", "", writers...) {
		if only := p.areas(v, writers...); len(only) > 0 {
			a.Area = only[0].Value
		}
	}
	agency := ""
	if s, err := qrgate.FindSector(a.Sector); err == nil {
		agency = inLang(v.Lang, s.Department, s.DepartmentEN)
	} else if a.Area != "" {
		agency = say.t("progress.default.commune", "name", page.AreaName(v.Lang, a.Area))
	}
	f := formOf(
		"progress_sector", a.Sector, "progress_area", a.Area, "progress_from", a.From.String(), "progress_to", a.To.String(), "progress_lang", string(v.Lang),
		"progress_title", say.t("progress.default.title", "scope", scopeName(say, a.Sector, a.Area)),
		"progress_superior", say.t("progress.default.superior"), "progress_agency", agency, "progress_town", say.t("progress.default.town"),
		"progress_number", say.t("progress.default.number"), "progress_recipients", say.t("progress.default.recipients"), "progress_intro", say.t("progress.default.intro"),
	)
	return v.Render(w, "progress_write", p.formPage(v, f, nil))
}

// readBody reads a report's form.
func readBody(f *page.Form, today qrgate.Day) (b rollout.Body) {
	lines, texts := fieldsOf(&b)
	for name, into := range lines {
		*into = f.Text(name, maxLine, name == "progress_title" || name == "progress_agency")
	}
	for name, into := range texts {
		*into = f.Lines(name, maxText, false)
	}
	var langs []string
	for _, l := range text.Langs() {
		langs = append(langs, string(l))
	}
	b.Lang = f.Choice("progress_lang", true, langs...)
	b.From, b.To = dayField(f, "progress_from", true), dayField(f, "progress_to", true)
	switch {
	case !f.OK():
	case b.To > today:
		f.Fail("progress_to", "progress.wrong.future")
	case b.From > b.To:
		f.Fail("progress_to", "progress.wrong.order")
	case b.To-b.From >= mostDays:
		f.Fail("progress_from", "progress.wrong.period", "days", mostDays)
	}
	slices.SortStableFunc(f.Wrong, func(a, b page.Wrong) int { return slices.Index(order, a.Field) - slices.Index(order, b.Field) })
	return b
}

// order is that of the fields on the page.
var order = []string{
	"progress_title", "progress_sector", "progress_area", "progress_from", "progress_to", "progress_lang", "progress_superior", "progress_agency", "progress_number",
	"progress_town", "progress_intro", "progress_difficulties", "progress_proposals", "progress_recipients", "progress_signed_as", "progress_signed",
}

func (p *Pages) addReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	x := rollout.Report{
		Sector: f.Choice("progress_sector", false, values(p.sectors(v, writers...))...), Area: f.Choice("progress_area", false, values(p.areas(v, writers...))...),
	}
	x.Body = readBody(f, qrgate.DayOf(p.f.Now()))
	if f.OK() && !p.covers(v, x.Sector, x.Area, writers...) {
		f.Fail("progress_sector", "progress.wrong.scope")
	}
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "progress_write", p.formPage(v, f, nil))
	}
	if err := p.kept.SaveReport(r.Context(), v.Who.Account.ID, &x); err != nil {
		return err
	}
	return v.Go(w, "/bao-cao/"+x.ID, "progress.report.saved")
}

// reportOf returns the report of a request, in the version that it asks for, if the
// viewer's roles reach over all that it tells of.
func (p *Pages) reportOf(r *http.Request, v *page.View) (*rollout.Report, error) {
	version, err := strconv.Atoi(r.URL.Query().Get("ban"))
	if err != nil || version < 1 || version > 1_000_000 {
		version = 0
	}
	x, err := p.kept.Report(r.Context(), page.ID(r), version)
	if err == nil && !p.covers(v, x.Sector, x.Area, writers...) {
		err = qrgate.ErrNotFound
	}
	return x, err
}

// draftOf is reportOf for who will change the report: as it is now, and not issued.
func (p *Pages) draftOf(r *http.Request, v *page.View) (*rollout.Report, error) {
	x, err := p.kept.Report(r.Context(), page.ID(r), 0)
	switch {
	case err != nil:
		return nil, err
	case !p.covers(v, x.Sector, x.Area, writers...):
		return nil, qrgate.ErrNotFound
	case !x.Issued.IsZero():
		return nil, qrgate.ErrConflict
	}
	return x, nil
}

func (p *Pages) editReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.draftOf(r, v)
	if err != nil {
		return err
	}
	f := formOf("progress_from", x.From.String(), "progress_to", x.To.String(), "progress_lang", x.Lang, "version", strconv.Itoa(x.Version))
	lines, texts := fieldsOf(&x.Body)
	for _, fields := range []map[string]*string{lines, texts} {
		for name, value := range fields {
			f.Values.Set(name, *value)
		}
	}
	return v.Render(w, "progress_write", p.formPage(v, f, x))
}

func (p *Pages) saveReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.draftOf(r, v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	now := x.Version
	seen, err := strconv.Atoi(f.Values.Get("version"))
	if err != nil {
		return qrgate.ErrInvalid
	}
	x.Body, x.Version = readBody(f, qrgate.DayOf(p.f.Now())), seen
	d := p.formPage(v, f, x)
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "progress_write", d)
	}
	err = p.kept.SaveReport(r.Context(), v.Who.Account.ID, x)
	if isConflict(err) {
		// What was typed is shown again, and saved over what is there now if it is sent
		// once more: both versions are kept.
		d.Since, d.Changer = true, x.Changer
		f.Values.Set("version", strconv.Itoa(now))
		return v.RenderStatus(w, http.StatusConflict, "progress_write", d)
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/bao-cao/"+x.ID, "progress.report.saved")
}

type reportPage struct {
	*rollout.Report
	Scope    string
	Parts    []part
	Doc      *report.Document
	Versions []rollout.Version
	Old      bool // not the latest version
	Draft    bool
}

func (p *Pages) report(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.reportOf(r, v)
	if err != nil {
		return err
	}
	doc, err := p.document(r.Context(), x)
	if err != nil {
		return err
	}
	d := reportPage{Report: x, Scope: scopeName(words{v.Lang}, x.Sector, x.Area), Doc: doc, Draft: x.Frozen == nil}
	if d.Parts, err = partsOf(doc.Parts); err != nil {
		return err
	}
	if d.Versions, err = p.kept.Versions(r.Context(), x.ID); err != nil {
		return err
	}
	d.Old = len(d.Versions) > 0 && d.Versions[0].No != x.Version
	return v.Render(w, "progress_report", d)
}

// issueReport finishes a report: from now on it says what it says today.
func (p *Pages) issueReport(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.draftOf(r, v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Values.Get("version") != strconv.Itoa(x.Version) {
		return qrgate.ErrConflict
	}
	x.Changer = v.Who.Account.Display
	x.Changed = p.f.Now()
	doc, err := p.document(r.Context(), x)
	if err != nil {
		return err
	}
	doc.Draft = ""
	x.Frozen = doc
	if err := p.kept.SaveReport(r.Context(), v.Who.Account.ID, x); err != nil {
		return err
	}
	return v.Go(w, "/bao-cao/"+x.ID, "progress.report.issued")
}

func (p *Pages) reportPDF(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.reportOf(r, v)
	if err != nil {
		return err
	}
	doc, err := p.document(r.Context(), x)
	if err != nil {
		return err
	}
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	var out bytes.Buffer
	if err := print.Report(&out, doc); err != nil {
		return err
	}
	done()
	page.Send(w, "application/pdf", "bao-cao.pdf", out.Bytes())
	return nil
}

func (p *Pages) reportXLSX(w http.ResponseWriter, r *http.Request, v *page.View) error {
	x, err := p.reportOf(r, v)
	if err != nil {
		return err
	}
	doc, err := p.document(r.Context(), x)
	if err != nil {
		return err
	}
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	var out bytes.Buffer
	if err := workbook(&out, words{text.Lang(doc.Lang)}, doc); err != nil {
		return err
	}
	done()
	page.Send(w, page.Workbook, "bao-cao.xlsx", out.Bytes())
	return nil
}

// everywhere is the places of a report: whoever sees it may know of all that it
// tells of, and it says the same to each of them.
var everywhere = register.Within{All: true}
