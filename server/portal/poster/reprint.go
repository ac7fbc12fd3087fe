package poster

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// A tally is how many places of one sector or commune have to print again.
type tally struct {
	Name string
	N    int
}

// A due is the page of those who have to print again.
type due struct {
	Template *register.Template // that demands it, nil if none does
	N        int
	Sectors  []tally
	Areas    []tally
	Rows     []register.Postered // the first of them
}

// shownRows is how many places the page lists; the sheet has all.
const shownRows = 100

// toReprint returns the places in the viewer's scope whose posters are older than
// the latest template that every poster must follow, and that template.
func (x *Posters) toReprint(ctx context.Context, v *page.View, templates []register.Template) ([]register.Postered, *register.Template, error) {
	i := slices.IndexFunc(templates, func(t register.Template) bool { return t.Must })
	if i < 0 {
		return nil, nil, nil
	}
	all, err := x.reg.ToReprint(ctx, v.Places(counts...), templates[i].Version)
	return all, &templates[i], err
}

// reprints shows who has to print again.
func (x *Posters) reprints(w http.ResponseWriter, r *http.Request, v *page.View) error {
	templates, err := x.reg.Templates(r.Context())
	if err != nil {
		return err
	}
	all, t, err := x.toReprint(r.Context(), v, templates)
	if err != nil {
		return err
	}
	return v.Render(w, "poster_reprints", due{
		Template: t, N: len(all), Rows: all[:min(len(all), shownRows)],
		Sectors: tallies(all, func(p *qrgate.Place) string { return page.SectorName(v.Lang, x.sectorNow(p.Sector)) }),
		Areas:   tallies(all, func(p *qrgate.Place) string { return page.AreaName(v.Lang, p.AreaNow) }),
	})
}

// sectorNow returns the sector that looks after a place today.
func (x *Posters) sectorNow(id string) string {
	if s, err := qrgate.SectorNow(id, x.f.Now()); err == nil {
		return s.ID
	}
	return id
}

// tallies counts places by name, the most first.
func tallies(all []register.Postered, name func(*qrgate.Place) string) []tally {
	n := map[string]int{}
	for _, p := range all {
		n[name(p.Place)]++
	}
	var list []tally
	for name, n := range n {
		list = append(list, tally{name, n})
	}
	slices.SortFunc(list, func(a, b tally) int { return cmp.Or(b.N-a.N, cmp.Compare(a.Name, b.Name)) })
	return list
}

// exportReprints answers with a workbook of who has to print again.
func (x *Posters) exportReprints(w http.ResponseWriter, r *http.Request, v *page.View) error {
	templates, err := x.reg.Templates(r.Context())
	if err != nil {
		return err
	}
	all, _, err := x.toReprint(r.Context(), v, templates)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := x.workbook(&out, v, all); err != nil {
		return err
	}
	page.Send(w, page.Workbook, "in-lai-"+qrgate.DayOf(x.f.Now()).String()+".xlsx", out.Bytes())
	return nil
}

// workbook writes the places, every text as a cell of text, which no program
// takes for a formula.
func (x *Posters) workbook(out *bytes.Buffer, v *page.View, all []register.Postered) error {
	book := excelize.NewFile()
	defer book.Close()
	sheet := v.T("poster.sheet")
	if err := book.SetSheetName("Sheet1", sheet); err != nil {
		return err
	}
	s, err := book.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	if err := s.SetColWidth(2, 8, 24); err != nil {
		return err
	}
	var head []any
	for _, name := range []string{"no", "place", "sector", "area", "address", "version", "template", "printed"} {
		head = append(head, v.T("poster.column."+name))
	}
	if err := s.SetRow("A1", head); err != nil {
		return err
	}
	for i, p := range all {
		printed := ""
		if !p.Poster.Printed.IsZero() {
			printed = p.Poster.Printed.In(qrgate.Zone).Format("02/01/2006")
		}
		at, err := excelize.CoordinatesToCellName(1, i+2)
		if err != nil {
			return err
		}
		row := []any{int(p.Place.No), p.Place.Name, page.SectorName(v.Lang, x.sectorNow(p.Place.Sector)), page.AreaName(v.Lang, p.Place.AreaNow), page.Address(p.Place), p.Poster.Version, p.Poster.Template, printed}
		if err := s.SetRow(at, row); err != nil {
			return err
		}
	}
	if err := s.Flush(); err != nil {
		return err
	}
	return book.Write(out)
}
