package poster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// most is how many posters are printed at once.
const most = 200

// A choice is the page on which many posters are chosen.
type choice struct {
	Rows          []chosen
	Kinds         []print.Kind
	Kind          print.Kind
	Organisations []*register.Organisation // of which one can be chosen, if there are several
	Organisation  string
	Total, Page   int
	Before, After string
	From, To, All int
	Nothing       bool // nothing was chosen
}

// A chosen is a place on that page.
type chosen struct {
	register.Postered
	Verdict verdict
	Chosen  bool
}

// within returns the places that the viewer hangs posters in, of one organisation
// if it is named.
func within(v *page.View, organisation string) (register.Within, []string) {
	w := v.Places(hangs...)
	all := slices.Compact(slices.Sorted(slices.Values(w.Organisations)))
	if organisation != "" && slices.Contains(all, organisation) {
		return register.Within{Organisations: []string{organisation}}, all
	}
	return w, all
}

// many shows the places whose posters can be printed at once.
func (x *Posters) many(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q := r.URL.Query()
	n, _ := strconv.Atoi(q.Get("trang"))
	data, err := x.choice(r.Context(), v, q.Get("to-chuc"), max(n, 1))
	if err != nil {
		return err
	}
	return v.Render(w, "poster_many", data)
}

func (x *Posters) choice(ctx context.Context, v *page.View, organisation string, n int) (*choice, error) {
	in, organisations := within(v, organisation)
	n = min(n, 1<<20)
	rows, total, err := x.reg.Postered(ctx, in, (n-1)*most, most)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 && n > 1 { // places have gone since the page was linked to
		return x.choice(ctx, v, organisation, 1)
	}
	templates, err := x.reg.Templates(ctx)
	if err != nil {
		return nil, err
	}
	c := &choice{Kinds: print.Kinds[:], Kind: print.PosterA4, Total: total, Page: n, From: (n-1)*most + 1, To: (n-1)*most + len(rows), All: total}
	for _, p := range rows {
		row := chosen{Postered: p}
		if p.Poster != nil {
			row.Verdict = judge(p.Place, p.Poster, templates)
		}
		c.Rows = append(c.Rows, row)
	}
	if len(in.Organisations) == 1 && len(organisations) > 1 {
		c.Organisation = in.Organisations[0]
	}
	if len(organisations) > 1 {
		for _, id := range organisations {
			o, err := x.reg.Organisation(ctx, id)
			if err != nil {
				return nil, err
			}
			c.Organisations = append(c.Organisations, o)
		}
	}
	link := func(n int) string {
		q := url.Values{"trang": {strconv.Itoa(n)}}
		if c.Organisation != "" {
			q.Set("to-chuc", c.Organisation)
		}
		return "/dia-diem/in?" + q.Encode()
	}
	if n > 1 {
		c.Before = link(n - 1)
	}
	if n*most < total {
		c.After = link(n + 1)
	}
	return c, nil
}

// book answers with the chosen posters in one PDF. Places without a poster get
// their first; those whose poster has to be printed again get a new version if
// that is wished.
func (x *Posters) book(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	kind := print.Kind(f.Choice("loai", true, kindNames()...))
	n, _ := strconv.Atoi(f.Values.Get("trang"))
	organisation := f.Values.Get("to-chuc")
	if !f.OK() {
		return qrgate.ErrInvalid
	}
	in, _ := within(v, organisation)
	var rows []register.Postered
	if f.Values.Get("which") == "all" {
		rows, _, err = x.reg.Postered(r.Context(), in, (min(max(n, 1), 1<<20)-1)*most, most)
	} else {
		numbers, bad := numbersOf(f.Values["place"])
		if bad {
			return qrgate.ErrInvalid
		}
		rows, err = x.reg.PosteredAmong(r.Context(), in, numbers)
		if err == nil && len(rows) != len(numbers) {
			err = qrgate.ErrNotFound // one was deleted meanwhile, or was never theirs
		}
	}
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		c, err := x.choice(r.Context(), v, organisation, max(n, 1))
		if err != nil {
			return err
		}
		c.Nothing, c.Kind = true, kind
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "poster_many", c)
	}
	return x.sendBook(w, r, v, kind, rows, f.Values.Get("fresh") == "1")
}

func (x *Posters) sendBook(w http.ResponseWriter, r *http.Request, v *page.View, kind print.Kind, rows []register.Postered, fresh bool) error {
	ctx, by := r.Context(), v.Who.Account.ID
	templates, err := x.reg.Templates(ctx)
	if err != nil {
		return err
	}
	latest := 0
	if len(templates) > 0 {
		latest = templates[0].Version
	}
	var posters, made []*register.Poster
	for _, row := range rows {
		is := row.Poster
		if is == nil || fresh && judge(row.Place, is, templates).Reprint {
			is = x.next(row.Place, row.Place.Poster, latest)
			made = append(made, is)
		}
		posters = append(posters, is)
	}
	if len(made) > 0 {
		if err := x.reg.MakePosters(ctx, by, made...); err != nil {
			return err
		}
	}
	known := map[int]*register.Template{}
	var sheets []print.Sheet
	for _, is := range posters {
		if known[is.Template] == nil {
			if known[is.Template], err = x.templateOf(ctx, is.Template); err != nil {
				return err
			}
		}
		sheets = append(sheets, x.sheet(v, kind, is, known[is.Template]))
	}
	done, err := x.desk.Take(ctx)
	if err != nil {
		return err
	}
	defer done()
	var out bytes.Buffer
	if err := print.Book(&out, v.T("poster.book", "n", len(sheets)), sheets); err != nil {
		return err
	}
	if err := x.reg.PrintedPosters(ctx, by, string(kind)+".pdf", posters...); err != nil {
		return err
	}
	done()
	h := w.Header()
	h.Set("Content-Type", print.PDF.ContentType())
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="qr-%d-dia-diem-%s.pdf"`, len(sheets), kind))
	h.Set("Cache-Control", "no-store")
	return send(w, out.Bytes())
}

func kindNames() []string {
	var names []string
	for _, k := range print.Kinds {
		names = append(names, string(k))
	}
	return names
}

// numbersOf reads the numbers of the places that were chosen.
func numbersOf(values []string) (numbers []uint32, bad bool) {
	for _, s := range values {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || len(numbers) == most {
			return nil, true
		}
		if !slices.Contains(numbers, uint32(n)) {
			numbers = append(numbers, uint32(n))
		}
	}
	return numbers, false
}
