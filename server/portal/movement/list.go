package movement

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/area"
	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

func attribution(v *page.View) string {
	if v.Lang == text.English {
		return area.AttributionEN
	}
	return area.Attribution
}

// A flowList is the page of all flows.
type flowList struct {
	asked
	Rows          []flowRow
	Moves         int
	Unnamed       int // people whose commune of origin has no figure
	From, To, All int
	Before, After string
}

func (p *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	a, q, s, form, err := p.answer(r, v)
	if errors.Is(err, errNothing) {
		return p.empty(r.Context(), w, v)
	}
	if err != nil {
		return err
	}
	d := flowList{asked: p.asked(v, a, q, s, form), Moves: s.moves, Unnamed: s.moves, All: len(s.flows)}
	for _, f := range s.flows {
		d.Unnamed -= f.people
	}
	no := 0
	if n, err := strconv.Atoi(r.URL.Query().Get("trang")); err == nil && n > 1 {
		no = min(n-1, max(0, (len(s.flows)-1)/perPage))
	}
	rows := s.flows[no*perPage : min((no+1)*perPage, len(s.flows))]
	for i, f := range rows {
		d.Rows = append(d.Rows, flowRow{
			No: no*perPage + i + 1, People: f.people, From: a.name(v.Lang, f.from), To: a.name(v.Lang, f.to), Inside: f.from == f.to,
			Share: max(1, f.people*100/s.flows[0].people),
		})
	}
	d.From, d.To = no*perPage+1, no*perPage+len(rows)
	turn := func(n int) string { return "/di-chuyen/luong?" + with(form.Values, "trang", strconv.Itoa(n)) }
	if no > 0 {
		d.Before = turn(no)
	}
	if d.To < d.All {
		d.After = turn(no + 2)
	}
	return v.Render(w, "movement_flows", d)
}

// export returns the figures within a question, summed over its days, as rows.
func (p *Pages) export(r *http.Request, v *page.View) (rows [][]string, err error) {
	rows = [][]string{{
		v.T("move.col.what"), v.T("move.col.from"), v.T("move.col.to"), v.T("move.col.sector"), v.T("move.col.when"), v.T("move.col.people"),
		v.T("move.col.first"), v.T("move.col.last"),
	}}
	first, last, ok, err := p.flows.Bounds(r.Context())
	if err != nil || !ok {
		return rows, err
	}
	a := p.ledger.of(p.f.Now())
	q, _ := a.ask(r, v, first, last)
	leaves, err := p.ledger.read(r.Context(), a, q.from, q.to)
	if err != nil {
		return nil, err
	}
	areaName := func(no uint16, otherwise string) string {
		if no == several {
			return otherwise
		}
		return a.name(v.Lang, no)
	}
	sectorName := func(no uint16) string {
		if no == several {
			return v.T("move.several")
		}
		return page.SectorName(v.Lang, a.sectors[no].ID)
	}
	for _, kind := range []struct {
		what, from string
		of         func(*leaf) []entry
	}{
		{v.T("move.arrivals"), "", func(l *leaf) []entry { return l.arrivals }},
		{v.T("move.moves"), v.T("move.several"), func(l *leaf) []entry { return l.moves }},
	} {
		sums := map[entry]int{}
		for _, l := range leaves {
			for _, e := range kind.of(l) {
				if q.holds(&e) {
					key := e
					key.people = 0
					sums[key] += int(e.people)
				}
			}
		}
		keys := make([]entry, 0, len(sums))
		for e := range sums {
			keys = append(keys, e)
		}
		slices.SortFunc(keys, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.sector, b.sector), cmp.Compare(a.span, b.span))
		})
		for _, e := range keys {
			rows = append(rows, []string{
				kind.what, areaName(e.from, kind.from), areaName(e.to, v.T("move.several")), sectorName(e.sector), spanText(v.Lang, e.span),
				strconv.Itoa(sums[e]), dateText(q.from), dateText(q.to),
			})
		}
	}
	return append(rows, []string{v.T("move.hidden", "sign", hiddenSign, "least", counted.Least)}), nil
}

func dateText(d qrgate.Day) string { return d.Start().Format("02/01/2006") }

func (p *Pages) exportXLSX(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.send(w, r, v, page.Workbook, "di-chuyen.xlsx", func(out *bytes.Buffer, rows [][]string) error {
		return sheet.WriteWorkbook(out, v.T("menu.movement"), []float64{14, 26, 26, 28, 18, 10, 12, 12}, rows, "")
	})
}

func (p *Pages) exportCSV(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.send(w, r, v, "text/csv; charset=utf-8", "di-chuyen.csv", func(out *bytes.Buffer, rows [][]string) error {
		return sheet.WriteText(out, rows)
	})
}

func (p *Pages) send(w http.ResponseWriter, r *http.Request, v *page.View, kind, name string, write func(*bytes.Buffer, [][]string) error) error {
	done, err := p.sheets.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	rows, err := p.export(r, v)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := write(&out, rows); err != nil {
		return fmt.Errorf("movement: export: %w", err)
	}
	done()
	page.Send(w, kind, name, out.Bytes())
	return nil
}
