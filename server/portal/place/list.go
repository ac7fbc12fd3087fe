package place

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// perPage is how many places a page of the list has.
const perPage = 25

// A listPage is the list of QR codes.
type listPage struct {
	Form     *page.Form
	Rows     []row
	Kinds    []option
	Sectors  []option // to filter by, of officers
	Areas    []option
	States   []option
	Sorts    []option
	Mine     []register.Organisation // to filter by, of members of several
	Filtered bool
	Adds     bool
	Counts   *counts      // of officers
	Query    template.URL // for the exports

	From, To, All int
	Before, After string
}

// A row is a place in the list.
type row struct {
	*qrgate.Place
	Kind, Address string
	Printed       bool
	Edits, Drops  bool
	Undo          bool
}

// counts are how many places an officer has, in all and by sector and area.
type counts struct {
	All              count
	BySector, ByArea []count
}

type count struct {
	Name                     string
	Places, Printed, Deleted int
}

var sortNames = []register.PlaceSort{"", register.PlaceNewest, register.PlaceChanged, register.PlaceNumber}

var stateNames = []register.PlaceState{"", register.PlacePrinted, register.PlaceUnprinted, register.PlaceDeleted}

// asked returns what a list's or an export's address asks for. What cannot be
// asked is left out: an address is typed, copied and kept for years.
func (s *Pages) asked(r *http.Request, v *page.View) (register.Query, url.Values) {
	in := page.NewForm(r.URL.Query())
	q := register.Query{Within: v.Places(seers...)}
	q.Text = in.Text("q", 120, false)
	q.Kind = in.Choice("loai", false, values(kinds(v.Lang))...)
	q.Organisation = in.Text("to_chuc", 64, false)
	q.State = register.PlaceState(in.Choice("trang_thai", false, string(register.PlacePrinted), string(register.PlaceUnprinted), string(register.PlaceDeleted)))
	q.Sort = register.PlaceSort(in.Choice("xep", false, string(register.PlaceNewest), string(register.PlaceChanged), string(register.PlaceNumber)))
	if sector := in.Choice("nganh", false, values(s.sectors(v.Lang))...); sector != "" {
		q.Sectors = qrgate.SectorIDs(sector, s.f.Now())
	}
	if id := in.Text("khu", 32, false); id != "" {
		if _, ok := lookup(id); ok {
			q.Areas = []string{id}
		}
	}
	kept := url.Values{}
	for _, field := range []string{"q", "loai", "to_chuc", "trang_thai", "xep", "nganh", "khu"} {
		if value := in.Values.Get(field); value != "" && !slices.ContainsFunc(in.Wrong, func(w page.Wrong) bool { return w.Field == field }) {
			kept.Set(field, value)
		}
	}
	return q, kept
}

func (s *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, kept := s.asked(r, v)
	q.Size = perPage
	if n, err := strconv.Atoi(r.URL.Query().Get("trang")); err == nil && n > 1 && n < 1<<20 {
		q.Page = n - 1
	}
	places, total, err := s.reg.Places(r.Context(), q)
	if err != nil {
		return err
	}
	nos := make([]uint32, len(places))
	for i, p := range places {
		nos[i] = p.No
	}
	printed, err := s.reg.Printed(r.Context(), nos...)
	if err != nil {
		return err
	}
	data := listPage{
		Form: page.NewForm(kept), Kinds: kinds(v.Lang), Query: template.URL(kept.Encode()), Filtered: len(kept) > 0, Adds: len(v.Scopes(keepers...)) > 0,
		All: total, From: q.Page*perPage + 1, To: q.Page*perPage + len(places),
	}
	for _, p := range places {
		data.Rows = append(data.Rows, row{
			Place: p, Kind: kindName(v.Lang, p.Kind), Address: page.Address(p), Printed: printed[p.No],
			Edits: v.May(p, editors...), Drops: v.May(p, keepers...), Undo: s.undoable(v, p),
		})
	}
	turn := func(n int) string {
		to := url.Values{}
		for k, vs := range kept {
			to[k] = vs
		}
		to.Set("trang", strconv.Itoa(n))
		return "/dia-diem?" + to.Encode()
	}
	if q.Page > 0 {
		data.Before = turn(min(q.Page, (total+perPage-1)/perPage))
	}
	if data.To < total && len(places) > 0 {
		data.After = turn(q.Page + 2)
	}
	if data.Mine, err = s.mine(r, v, members...); err != nil {
		return err
	}
	for _, state := range stateNames {
		data.States = append(data.States, option{Value: string(state), Text: v.T("place.state." + named(string(state)))})
	}
	for _, sort := range sortNames {
		data.Sorts = append(data.Sorts, option{Value: string(sort), Text: v.T("place.sort." + named(string(sort)))})
	}
	if err := s.count(r, v, &data); err != nil {
		return err
	}
	return v.Render(w, "place_list", data)
}

// named returns what catalogues call a value that may be empty.
func named(value string) string {
	if value == "" {
		return "default"
	}
	return value
}

// count adds the figures of an officer's places, and the filters by sector and
// area.
func (s *Pages) count(r *http.Request, v *page.View, data *listPage) error {
	if !slices.ContainsFunc(v.Scopes(seers...), func(in qrgate.Scope) bool { return in.Kind != qrgate.InOrganisation }) {
		return nil
	}
	all, err := s.reg.CountPlaces(r.Context(), v.Places(seers...))
	if err != nil {
		return err
	}
	c := counts{}
	sectors, areas := map[string]*count{}, map[string]*count{}
	add := func(of map[string]*count, id string, n register.PlaceCounts) {
		if of[id] == nil {
			of[id] = &count{}
		}
		of[id].Places, of[id].Printed, of[id].Deleted = of[id].Places+n.Places, of[id].Printed+n.Printed, of[id].Deleted+n.Deleted
	}
	for _, n := range all {
		sector := n.Sector
		if now, err := qrgate.SectorNow(sector, s.f.Now()); err == nil {
			sector = now.ID
		}
		add(sectors, sector, n)
		add(areas, n.Area, n)
		c.All.Places, c.All.Printed, c.All.Deleted = c.All.Places+n.Places, c.All.Printed+n.Printed, c.All.Deleted+n.Deleted
	}
	data.Sectors, c.BySector = listed(v.Lang, sectors, page.SectorName)
	data.Areas, c.ByArea = listed(v.Lang, areas, page.AreaName)
	data.Counts = &c
	return nil
}

func listed(lang text.Lang, of map[string]*count, name func(text.Lang, string) string) (options []option, counts []count) {
	for id, n := range of {
		n.Name = name(lang, id)
		options = append(options, option{Value: id, Text: n.Name})
		counts = append(counts, *n)
	}
	slices.SortFunc(options, func(a, b option) int { return strings.Compare(area.Fold(a.Text), area.Fold(b.Text)) })
	slices.SortFunc(counts, func(a, b count) int { return strings.Compare(area.Fold(a.Name), area.Fold(b.Name)) })
	return options, counts
}
