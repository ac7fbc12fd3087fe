package progress

import (
	"net/http"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store/register"
)

// associations may see figures of their members together.
var associations = []qrgate.Role{qrgate.Association}

// A membersPage is the figures of an association's members.
type membersPage struct {
	asked
	Association           string // name
	All                   []option
	One                   string // of them, by id
	Scope                 string
	Members               int
	Few                   bool // there are too few to tell anything
	Rest                  int  // numbers of check-ins that are of too few members
	Fewest                int
	Sectors, Areas, Kinds []option
	Tiles                 []tile
	Funnel, Way           part
	BySector, Commune     part
}

// members shows an association the figures of its members: never of one alone, nor
// of a person.
func (p *Pages) members(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	d := membersPage{Sectors: p.everySector(v.Lang), Areas: everyArea(v.Lang), Kinds: kinds(v.Lang), Fewest: report.FewestMembers}
	for _, s := range v.Scopes(associations...) {
		o, err := p.reg.Organisation(ctx, s.ID)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		d.All = append(d.All, option{Value: o.ID, Text: o.Name})
		if o.ID == r.URL.Query().Get("hoi") || d.One == "" {
			d.One, d.Association = o.ID, o.Name
		}
	}
	if d.One == "" {
		return qrgate.ErrNotFound
	}
	all, err := p.reg.MembersOf(ctx, d.One)
	if err != nil {
		return err
	}
	var within register.Within
	for _, o := range all {
		within.Organisations = append(within.Organisations, o.ID)
	}
	d.asked, d.Members = p.asked(r, v, d.Sectors, d.Areas), len(all)
	d.query = p.queryOf(within, d.Sector, d.Area, d.Kind)
	d.Scope = scopeName(words{v.Lang}, d.Sector, d.Area)
	if err := p.fillMembers(r, v, &d); err != nil {
		return err
	}
	return v.Render(w, "progress_members", d)
}

func (p *Pages) fillMembers(r *http.Request, v *page.View, d *membersPage) error {
	owners, err := p.kept.Owners(r.Context(), d.query)
	if err != nil {
		return err
	}
	distinct := map[string]bool{}
	for _, o := range owners {
		distinct[o] = true
	}
	if d.Few = len(distinct) < report.FewestMembers; d.Few {
		return nil
	}
	f, err := p.gather(r.Context(), d.query, d.period)
	if err != nil {
		return err
	}
	f.Survey, f.Cells, d.Rest = report.Together(f.Survey, f.Cells, func(place uint32) string { return owners[place] })
	b := &book{words: words{v.Lang}, figures: f, now: p.f.Now()}
	parts, err := partsOf([]report.Part{b.funnel(), b.way(), b.bySector(), b.byCommune()})
	if err != nil {
		return err
	}
	d.Funnel, d.Way, d.BySector, d.Commune = parts[0], parts[1], parts[2], parts[3]
	last := f.Survey.Funnel(f.last(), nil)
	d.Tiles = []tile{
		{"progress.tile.members", count(len(distinct))},
		{"progress.tile.active", b.t("progress.of", "n", count(last.At(report.Active)), "all", count(last.At(report.Registered)))},
		{"progress.tile.checkins", report.Total(f.Cells, nil).Text(page.Number[int64])},
	}
	return nil
}

func (p *Pages) everySector(lang text.Lang) (all []option) {
	for _, s := range qrgate.SectorsOn(p.f.Now()) {
		all = append(all, option{Value: s.ID, Text: page.SectorName(lang, s.ID)})
	}
	return all
}

func everyArea(lang text.Lang) (all []option) {
	for _, u := range area.Current() {
		all = append(all, option{Value: u.ID.String(), Text: page.AreaName(lang, u.ID.String()), Group: "commune"})
	}
	return all
}
