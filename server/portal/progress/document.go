package progress

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
)

// document returns a report as it is set: what was frozen when it was issued, or
// what is counted now.
func (p *Pages) document(ctx context.Context, x *rollout.Report) (*report.Document, error) {
	if x.Frozen != nil {
		return x.Frozen, nil
	}
	f, err := p.gather(ctx, p.queryOf(everywhere, x.Sector, x.Area, ""), period{x.From, x.To})
	if err != nil {
		return nil, err
	}
	say := words{text.Lang(x.Lang)}
	if !slices.Contains(text.Langs(), say.lang) {
		say.lang = text.Vietnamese
	}
	b := &book{words: say, figures: f, now: p.f.Now(), numbered: true}
	at := p.f.Now().In(qrgate.Zone)
	d := &report.Document{
		Lang: string(say.lang), Nation: say.t("progress.doc.nation"), Motto: say.t("progress.doc.motto"), Superior: x.Superior, Agency: x.Agency, Number: x.Number,
		Dated: say.t("progress.doc.dated", "town", x.Town, "day", at.Format("02"), "month", at.Format("01"), "year", at.Format("2006")),
		Kind:  say.t("progress.doc.kind"), Subject: x.Title, To: say.t("progress.doc.to"), SignedAs: x.SignedAs, Signed: x.Signed,
		Foot:  say.t("progress.doc.foot", "who", x.Changer, "when", x.Changed.In(qrgate.Zone).Format("02/01/2006 15:04"), "version", x.Version),
		Draft: say.t("progress.doc.draft"), Made: p.f.Now(),
	}
	for line := range strings.SplitSeq(x.Recipients, "\n") {
		if line = strings.TrimLeft(strings.TrimSpace(line), "-– "); line != "" {
			d.Recipients = append(d.Recipients, line)
		}
	}
	no := 0
	section := func(key string, parts ...report.Part) {
		no++
		d.Parts = append(d.Parts, report.Part{Heading: numbered(no, say.t(key)), Level: 1})
		d.Parts = append(d.Parts, parts...)
	}
	orNone := func(s string) string {
		if strings.TrimSpace(s) == "" {
			return say.t("progress.doc.none")
		}
		return s
	}
	about := say.t("progress.doc.about", "scope", scopeName(say, x.Sector, x.Area), "from", say.day(x.From), "to", say.day(x.To))
	d.Parts = append(d.Parts, report.Part{Text: strings.TrimSpace(x.Intro + "\n" + about)})
	section("progress.doc.results", report.Part{Text: b.summary()}, b.funnel(), b.way(), b.doors())
	if x.Sector == "" {
		section("progress.doc.by.sector", b.bySector())
	}
	// A single commune is the whole: nothing is to be told apart.
	if areas := p.queryOf(everywhere, "", x.Area, "").Areas; x.Area == "" || len(areas) > 1 {
		section("progress.doc.by.area", b.byDistrict(), b.byCommune())
	}
	section("progress.doc.work", b.work(), b.difficultiesBy())
	section("progress.doc.difficulties", report.Part{Text: orNone(x.Difficulties)})
	section("progress.doc.proposals", report.Part{Text: orNone(x.Proposals)})
	return d, nil
}

// workbook writes a document as a workbook: what is said on the first sheet, and
// each table on one of its own, with numbers that can be counted with.
func workbook(w io.Writer, say words, d *report.Document) (err error) {
	f := excelize.NewFile()
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			err = fmt.Errorf("progress: workbook: %w", err)
		}
	}()
	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCEBE4"}}, Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return err
	}
	sum, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	wrap, err := f.NewStyle(&excelize.Style{Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return err
	}
	first := say.t("progress.sheet.first")
	if err := f.SetSheetName("Sheet1", first); err != nil {
		return err
	}
	row := 0
	line := func(style int, s string) {
		row++
		at := fmt.Sprintf("A%d", row)
		if err == nil {
			err = f.SetCellStr(first, at, sheet.Harmless(s))
		}
		if err == nil {
			err = f.SetCellStyle(first, at, at, style)
		}
	}
	if err := f.SetColWidth(first, "A", "A", 110); err != nil {
		return err
	}
	for _, s := range []string{d.Superior, d.Agency, d.Number, d.Dated} {
		line(wrap, s)
	}
	line(bold, d.Kind+": "+d.Subject)
	tables := 0
	for _, part := range d.Parts {
		if part.Heading != "" {
			line(bold, part.Heading)
		}
		for paragraph := range strings.SplitSeq(part.Text, "\n") {
			if strings.TrimSpace(paragraph) != "" {
				line(wrap, paragraph)
			}
		}
		if part.Table == nil {
			continue
		}
		tables++
		line(wrap, part.Table.Caption)
		if err == nil {
			err = tableSheet(f, say.t("progress.sheet.table", "n", tables), part.Table, bold, sum)
		}
	}
	line(wrap, d.SignedAs)
	line(wrap, d.Signed)
	line(wrap, d.Foot)
	if err != nil {
		return err
	}
	return f.Write(w)
}

// tableSheet writes a table on a sheet of its own.
func tableSheet(f *excelize.File, name string, t *report.Table, bold, sum int) error {
	if _, err := f.NewSheet(name); err != nil {
		return err
	}
	cell := func(column, row int) string {
		at, err := excelize.CoordinatesToCellName(column+1, row)
		if err != nil {
			panic(err) // of our own making
		}
		return at
	}
	if err := f.SetCellStr(name, "A1", sheet.Harmless(t.Caption)); err != nil {
		return err
	}
	for i, h := range t.Head {
		if err := f.SetCellStr(name, cell(i, 2), sheet.Harmless(h)); err != nil {
			return err
		}
		letter, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		width := 14.0
		if i == 0 {
			width = 42
		}
		if err := f.SetColWidth(name, letter, letter, width); err != nil {
			return err
		}
	}
	if err := f.SetCellStyle(name, "A2", cell(len(t.Head)-1, 2), bold); err != nil {
		return err
	}
	for n, row := range t.Rows {
		for i, v := range row {
			var err error
			if v.Numeric {
				err = f.SetCellFloat(name, cell(i, n+3), v.Number, -1, 64)
			} else {
				err = f.SetCellStr(name, cell(i, n+3), sheet.Harmless(v.Text))
			}
			if err != nil {
				return err
			}
		}
	}
	if t.Sum && len(t.Rows) > 0 {
		last := len(t.Rows) + 2
		if err := f.SetCellStyle(name, cell(0, last), cell(len(t.Head)-1, last), sum); err != nil {
			return err
		}
	}
	if t.Note != "" {
		return f.SetCellStr(name, cell(0, len(t.Rows)+4), sheet.Harmless(t.Note))
	}
	return nil
}
