package office

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// overseers are the roles that count places beyond one organisation.
var overseers = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Inspector, qrgate.Reporter, qrgate.Administrator}

// A task is a step on the way to the first check-in. Its texts are
// home.task.NAME and home.task.NAME.do.
type task struct {
	Name string
	Done bool
	Next bool   // the first that is not done
	Path string // where it is done
}

// An ownHome is what a member of an organisation sees.
type ownHome struct {
	Tasks  []task // nil for whom they are not
	Done   int    // of Tasks
	Total  register.Figures
	Places []register.PlaceFigures
}

// A scopeHome is what an officer sees.
type scopeHome struct {
	Scopes []string // in words
	Total  register.Figures
	Open   int // difficulties without an answer
	Desk   bool
}

type homePage struct {
	Own      *ownHome
	Scope    *scopeHome
	Reported []register.Difficulty // the viewer's own that are not closed
	Second   bool                  // a role waits for the second factor
}

// mostOnHome is how many places, and difficulties, the first page lists.
const mostOnHome = 10

func (o *Office) home(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if v.Who == nil {
		return v.Render(w, "home_stranger", nil)
	}
	var d homePage
	var err error
	for _, g := range v.Who.Grants {
		d.Second = d.Second || g.Role.SecondFactor() && !v.Who.Second
	}
	if d.Scope, err = o.scopeHome(r, v); err != nil {
		return err
	}
	// Whoever holds no role at all is about to make an organisation.
	if len(v.Scopes(memberRoles...)) > 0 || len(v.Who.Grants) == 0 {
		if d.Own, err = o.ownHome(r, v); err != nil {
			return err
		}
	}
	reported, err := o.reg.DifficultiesOf(r.Context(), v.Who.Account.ID, mostOnHome)
	if err != nil {
		return err
	}
	d.Reported = slices.DeleteFunc(reported, func(d register.Difficulty) bool { return d.State == register.DifficultyClosed })
	return v.Render(w, "home", d)
}

func (o *Office) ownHome(r *http.Request, v *page.View) (*ownHome, error) {
	within, today := v.Places(memberRoles...), qrgate.DayOf(o.f.Now())
	var h ownHome
	var err error
	if h.Total, err = o.reg.Figures(r.Context(), within, today); err != nil {
		return nil, err
	}
	if h.Places, err = o.reg.PlaceFigures(r.Context(), within, today, mostOnHome); err != nil {
		return nil, err
	}
	builds := v.Scopes(qrgate.Owner, qrgate.Staff)
	if len(builds) == 0 && len(v.Who.Grants) > 0 {
		return &h, nil // a guard or organiser: others put up the posters
	}
	poster, scan := "/dia-diem", "/dia-diem"
	for _, p := range slices.Backward(h.Places) {
		path := "/dia-diem/" + strconv.Itoa(int(p.No)) + "/in"
		if !p.Printed {
			poster = path
		}
		if p.First.IsZero() {
			scan = path
			if p.Poster > 0 {
				scan = pass.PosterPath + pass.PosterCode(p.No, uint8(p.Poster))
			}
		}
	}
	h.Tasks = []task{
		{Name: "organisation", Done: len(builds) > 0, Path: "/to-chuc/moi"},
		{Name: "place", Done: h.Total.Places > 0, Path: "/dia-diem/moi"},
		{Name: "poster", Done: h.Total.Printed > 0, Path: poster},
		{Name: "checkin", Done: h.Total.Seen > 0, Path: scan},
	}
	for i := range h.Tasks {
		t := &h.Tasks[i]
		if t.Done {
			h.Done++
		} else if h.Done == i {
			t.Next = true
		}
	}
	return &h, nil
}

func (o *Office) scopeHome(r *http.Request, v *page.View) (*scopeHome, error) {
	scopes := v.Scopes(overseers...)
	if len(scopes) == 0 {
		return nil, nil
	}
	var h scopeHome
	for _, s := range scopes {
		switch s.Kind {
		case qrgate.Everywhere:
			h.Scopes = append(h.Scopes, v.T("office.everywhere"))
		case qrgate.InSector:
			h.Scopes = append(h.Scopes, page.SectorName(v.Lang, s.ID))
		case qrgate.InArea:
			h.Scopes = append(h.Scopes, page.AreaName(v.Lang, s.ID))
		}
	}
	var err error
	if h.Total, err = o.reg.Figures(r.Context(), v.Places(overseers...), qrgate.DayOf(o.f.Now())); err != nil {
		return nil, err
	}
	if h.Desk = len(v.Scopes(deskRoles...)) > 0; h.Desk {
		_, h.Open, err = o.reg.Difficulties(r.Context(), register.DifficultyQuery{Within: v.Places(deskRoles...), State: register.DifficultyOpen, Size: 1})
		if err != nil {
			return nil, err
		}
	}
	return &h, nil
}
