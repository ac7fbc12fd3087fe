package place

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
)

func (s *Pages) exportXLSX(w http.ResponseWriter, r *http.Request, v *page.View) error {
	done, err := s.sheets.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	rows, widths, err := s.export(r, v)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := sheet.WriteWorkbook(&out, v.T("sheet.title"), widths, rows, ""); err != nil {
		return fmt.Errorf("place: export: %w", err)
	}
	done()
	page.Send(w, page.Workbook, "dia-diem.xlsx", out.Bytes())
	return nil
}

func (s *Pages) exportCSV(w http.ResponseWriter, r *http.Request, v *page.View) error {
	done, err := s.sheets.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	rows, _, err := s.export(r, v)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := sheet.WriteText(&out, rows); err != nil {
		return fmt.Errorf("place: export: %w", err)
	}
	done()
	page.Send(w, "text/csv; charset=utf-8", "dia-diem.csv", out.Bytes())
	return nil
}

// export returns the places that the list shows, all pages of it, in columns
// that can come in again.
func (s *Pages) export(r *http.Request, v *page.View) (rows [][]string, widths []float64, err error) {
	q, _ := s.asked(r, v)
	places, _, err := s.reg.Places(r.Context(), q)
	if err != nil {
		return nil, nil, err
	}
	head := []string{v.T("sheet.no")}
	widths = []float64{8}
	for _, c := range columns {
		head, widths = append(head, v.T("sheet."+c.Key)), append(widths, c.Width)
	}
	rows = append(rows, append(head, v.T("sheet.org"), v.T("sheet.today"), v.T("sheet.code"), v.T("sheet.deleted")))
	widths = append(widths, 30, 26, 44, 12)
	organisations := map[string]string{}
	for _, p := range places {
		if _, ok := organisations[p.Organisation]; !ok {
			o, err := s.reg.Organisation(r.Context(), p.Organisation)
			if err != nil {
				return nil, nil, err
			}
			organisations[p.Organisation] = o.Name
		}
		cells := append([]string{strconv.Itoa(int(p.No))}, exported(v, p)...)
		code, deleted := "", ""
		if p.Poster > 0 {
			code = s.f.Base() + pass.PosterPath + pass.PosterCode(p.No, uint8(p.Poster))
		}
		if !p.Deleted.IsZero() {
			deleted = p.Deleted.In(qrgate.Zone).Format("02/01/2006")
		}
		rows = append(rows, append(cells, organisations[p.Organisation], page.AreaName(v.Lang, p.AreaNow), code, deleted))
	}
	return rows, widths, nil
}

// exported returns a place's cells in the order of [columns].
func exported(v *page.View, p *qrgate.Place) []string {
	form := formOf(p)
	calls := v.May(p, callers...)
	cells := make([]string, len(columns))
	for i, c := range columns {
		switch c.Key {
		case "kind":
			cells[i] = kindName(v.Lang, p.Kind)
		case "sector":
			cells[i] = page.SectorName(v.Lang, p.Sector)
		case "hours":
			cells[i] = writeHours(v.Lang, p.Hours)
		case "person", "phone1", "phone2", "phone3", "email":
			if calls {
				cells[i] = form.Values.Get("place." + c.Key)
			}
		default:
			cells[i] = form.Values.Get("place." + c.Key)
		}
	}
	return cells
}
