package intro

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// export answers with a workbook of the introductions in the viewer's scope: one
// sheet of places and one of their products.
func (x *Intro) export(w http.ResponseWriter, r *http.Request, v *page.View) error {
	all, err := x.reg.Introduced(r.Context(), v.Places(counts...))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := x.workbook(&out, v, all); err != nil {
		return err
	}
	page.Send(w, page.Workbook, "gioi-thieu-"+qrgate.DayOf(x.f.Now()).String()+".xlsx", out.Bytes())
	return nil
}

// workbook writes the sheets. Every text is a cell of text, which no program
// takes for a formula.
func (x *Intro) workbook(out *bytes.Buffer, v *page.View, all []register.Introduced) error {
	places := [][]any{headings(v, "no", "place", "kind", "sector", "address", "shown", "about", "offers", "pictures", "phone", "email", "links", "page", "changed")}
	offers := [][]any{headings(v, "no", "place", "offer", "price", "terms", "note", "link")}
	for _, one := range all {
		p, in := one.Place, one.Introduction
		row := []any{int(p.No), p.Name, kindName(v.Lang, p.Kind), page.SectorName(v.Lang, p.Sector), page.Address(p)}
		if in == nil {
			places = append(places, append(row, v.T("intro.no")))
			continue
		}
		var links []string
		for _, l := range in.Links {
			links = append(links, l.URL)
		}
		places = append(places, append(row, v.T("intro.yes"), in.About, len(in.Offers), one.Pictures, page.ShowPhone(in.Phone), in.Email,
			strings.Join(links, "\n"), x.f.Base()+publicPath(p.No), in.Changed.In(qrgate.Zone).Format("02/01/2006")))
		for _, o := range in.Offers {
			price := any("")
			if o.Price > 0 {
				price = o.Price
			}
			offers = append(offers, []any{int(p.No), p.Name, o.Name, price, o.Terms, o.Note, o.Link})
		}
	}
	book := excelize.NewFile()
	defer book.Close()
	if err := book.SetSheetName("Sheet1", v.T("intro.sheet.places")); err != nil {
		return err
	}
	if _, err := book.NewSheet(v.T("intro.sheet.offers")); err != nil {
		return err
	}
	bold, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return err
	}
	for name, rows := range map[string][][]any{v.T("intro.sheet.places"): places, v.T("intro.sheet.offers"): offers} {
		if err := fill(book, name, bold, rows); err != nil {
			return err
		}
	}
	return book.Write(out)
}

// fill writes rows into a sheet, the first as its head.
func fill(book *excelize.File, sheet string, head int, rows [][]any) error {
	s, err := book.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	if err := s.SetColWidth(2, 16, 24); err != nil {
		return err
	}
	if err := s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for i, row := range rows {
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return err
		}
		var opts []excelize.RowOpts
		if i == 0 {
			opts = append(opts, excelize.RowOpts{StyleID: head})
			for c := range row {
				row[c] = excelize.Cell{StyleID: head, Value: row[c]}
			}
		}
		if err := s.SetRow(at, row, opts...); err != nil {
			return err
		}
	}
	return s.Flush()
}

func headings(v *page.View, names ...string) []any {
	row := make([]any, len(names))
	for i, name := range names {
		row[i] = v.T("intro.column." + name)
	}
	return row
}
