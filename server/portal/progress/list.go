package progress

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

type listRow struct {
	rollout.Listed
	SectorName, AreaName, KindName string
	Phone                          string
	Leads                          bool
}

type listPage struct {
	Form           *page.Form
	Sectors, Areas []option
	Rows           []listRow
	Missing        bool
	Leads          bool
	Pager          pager
}

// rowOf returns a listed place as the viewer may see it.
func (p *Pages) rowOf(v *page.View, l rollout.Listed) listRow {
	row := listRow{
		Listed: l, SectorName: page.SectorName(v.Lang, l.Sector), AreaName: page.AreaName(v.Lang, l.AreaNow),
		Leads: p.covers(v, l.Sector, l.AreaNow, leaders...),
	}
	if l.Kind != "" {
		row.KindName = kindName(v.Lang, l.Kind)
	}
	if p.covers(v, l.Sector, l.AreaNow, callers...) {
		row.Phone = page.ShowPhone(l.Phone)
	}
	row.Listed.Phone = ""
	return row
}

func (p *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	query := r.URL.Query()
	d := listPage{Sectors: p.sectors(v, seers...), Areas: p.areas(v, seers...), Missing: query.Get("xem") != "tat-ca", Leads: len(v.Scopes(leaders...)) > 0}
	pick := func(name string, from []option) string {
		if s := query.Get(name); slices.Contains(values(from), s) {
			return s
		}
		return ""
	}
	sector, in := pick("nganh", d.Sectors), pick("khu", d.Areas)
	d.Form = formOf("nganh", sector, "khu", in)
	list, total, err := p.kept.ListedPlaces(r.Context(), p.queryOf(v.Places(seers...), sector, in, ""), d.Missing, pageNo(r), perPage)
	if err != nil {
		return err
	}
	for _, l := range list {
		d.Rows = append(d.Rows, p.rowOf(v, l))
	}
	d.Pager = newPager(r, len(list), total)
	return v.Render(w, "progress_list", d)
}

// mostAlike is how many places are offered as what a listed one may be.
const mostAlike = 12

type listedPage struct {
	listRow
	Form  *page.Form
	Alike []*qrgate.Place
}

// listedOf returns the listed place of a request, if the viewer may say what it is.
func (p *Pages) listedOf(r *http.Request, v *page.View) (*rollout.Listed, error) {
	l, err := p.kept.ListedPlace(r.Context(), page.ID(r))
	switch {
	case err != nil:
		return nil, err
	case p.covers(v, l.Sector, l.AreaNow, leaders...):
		return l, nil
	case p.covers(v, l.Sector, l.AreaNow, seers...):
		return nil, qrgate.ErrForbidden
	}
	return nil, qrgate.ErrNotFound
}

func (p *Pages) listed(w http.ResponseWriter, r *http.Request, v *page.View) error {
	l, err := p.listedOf(r, v)
	if err != nil {
		return err
	}
	return p.showListed(w, r, v, http.StatusOK, l, formOf())
}

// showListed shows a listed place with the places of its commune whose names have
// a word of its own in common.
func (p *Pages) showListed(w http.ResponseWriter, r *http.Request, v *page.View, status int, l *rollout.Listed, f *page.Form) error {
	d := listedPage{listRow: p.rowOf(v, *l), Form: f}
	seen := map[uint32]bool{}
	words := strings.Fields(l.Name)
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, word := range words[:min(len(words), 4)] {
		found, _, err := p.reg.Places(r.Context(), register.Query{Within: v.Places(leaders...), Areas: []string{l.AreaNow}, Text: word, Size: mostAlike})
		if err != nil {
			return err
		}
		for _, q := range found {
			if !seen[q.No] && len(d.Alike) < mostAlike {
				seen[q.No] = true
				d.Alike = append(d.Alike, q)
			}
		}
	}
	return v.RenderStatus(w, status, "progress_listed", d)
}

// match says which place a listed one is, or takes it from the list.
func (p *Pages) match(w http.ResponseWriter, r *http.Request, v *page.View) error {
	l, err := p.listedOf(r, v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Values.Get("lam") == "bo" {
		if err := p.kept.Unlist(r.Context(), v.Who.Account.ID, l.ID); err != nil {
			return err
		}
		return v.Go(w, "/tien-do/danh-sach", "progress.listed.dropped")
	}
	no := uint32(0)
	if s := f.Text("progress_place", 200, true); s != "" {
		place, err := p.typed(r, v, s, leaders)
		switch {
		case isNotFound(err):
			f.Fail("progress_place", "progress.wrong.place")
		case err != nil:
			return err
		default:
			no = place.No
		}
	}
	if !f.OK() {
		return p.showListed(w, r, v, http.StatusUnprocessableEntity, l, f)
	}
	if err := p.kept.Match(r.Context(), v.Who.Account.ID, l.ID, no); err != nil {
		return err
	}
	return v.Go(w, "/tien-do/danh-sach", "progress.listed.matched")
}

// typed returns the place whose number, poster code or poster's address somebody
// has typed or scanned, if they hold one of the roles for it.
func (p *Pages) typed(r *http.Request, v *page.View, s string, roles []qrgate.Role) (*qrgate.Place, error) {
	s = strings.Join(strings.Fields(s), "")
	if i := strings.LastIndex(s, pass.PosterPath); i >= 0 {
		s = s[i+len(pass.PosterPath):]
	}
	no, _, err := pass.ParsePosterCode(s)
	if err != nil {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return nil, qrgate.ErrNotFound
		}
		no = uint32(n)
	}
	place, err := p.reg.Place(r.Context(), no)
	if err != nil {
		return nil, err
	}
	if !place.Deleted.IsZero() || !v.May(place, roles...) {
		return nil, qrgate.ErrNotFound
	}
	return place, nil
}

// findNamed returns the id of the thing that a cell names by it or by a name.
func findNamed(cell string, each func(yield func(id string, names ...string) bool)) (id string) {
	folded := area.Fold(cell)
	each(func(known string, names ...string) bool {
		for _, n := range append(names, known) {
			if folded != "" && area.Fold(n) == folded {
				id = known
				return false
			}
		}
		return true
	})
	return id
}

func findKind(cell string) string {
	return findNamed(cell, func(yield func(string, ...string) bool) {
		for _, k := range qrgate.PlaceKinds() {
			if !yield(k.ID, append([]string{k.Name, k.English}, strings.Split(k.Name, ", ")...)...) {
				return
			}
		}
	})
}

func findSector(cell string) string {
	return findNamed(cell, func(yield func(string, ...string) bool) {
		for _, s := range qrgate.Sectors() {
			if !yield(s.ID, s.Name, s.English, s.Department) {
				return
			}
		}
	})
}

func texts(options []option) []string {
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = o.Text
	}
	return all
}

func currentNames() (names []string) {
	for _, u := range area.Current() {
		names = append(names, u.FullName)
	}
	return names
}

// vi is the language in which what is remarked names things: the remark itself is
// said in the reader's.
const vi = text.Vietnamese

// plainForm is a form of values that were not typed into one.
func plainForm(pairs map[string]string) *page.Form {
	v := url.Values{}
	for k, s := range pairs {
		v.Set(k, s)
	}
	return page.NewForm(v)
}
