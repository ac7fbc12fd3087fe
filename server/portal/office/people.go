package office

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// A granted is a role as a page shows it.
type granted struct {
	Role  qrgate.Role
	Scope qrgate.Scope
	Where string // the scope in words
}

// A personLine is an account in the list.
type personLine struct {
	register.Holder
	Roles []granted
}

// granted returns roles in words. Names of organisations are looked up once in
// names.
func (o *Office) granted(r *http.Request, v *page.View, grants []qrgate.Grant, names map[string]string) ([]granted, error) {
	var all []granted
	for _, g := range grants {
		shown := granted{Role: g.Role, Scope: g.Scope}
		switch g.Scope.Kind {
		case qrgate.Everywhere:
			shown.Where = v.T("office.everywhere")
		case qrgate.InSector:
			shown.Where = page.SectorName(v.Lang, g.Scope.ID)
		case qrgate.InArea:
			shown.Where = page.AreaName(v.Lang, g.Scope.ID)
		case qrgate.InOrganisation:
			name, known := names[g.Scope.ID]
			if !known {
				org, err := o.reg.Organisation(r.Context(), g.Scope.ID)
				if err != nil && !isNotFound(err) {
					return nil, err
				}
				if name = g.Scope.ID; err == nil {
					name = org.Name
				}
				names[g.Scope.ID] = name
			}
			shown.Where = name
		}
		all = append(all, shown)
	}
	slices.SortStableFunc(all, func(a, b granted) int {
		return slices.Index(qrgate.Roles(), a.Role) - slices.Index(qrgate.Roles(), b.Role)
	})
	return all, nil
}

// people lists accounts: without a question those that hold an office.
func (o *Office) people(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f := page.NewForm(fields(r, "tim", "vai"))
	q := register.HolderQuery{Text: f.Text("tim", 80, false), Page: pageNo(r), Size: perPage}
	if role := qrgate.Role(f.Values.Get("vai")); slices.Contains(qrgate.Roles(), role) {
		q.Role = role
	}
	q.Office = q.Text == "" && q.Role == ""
	list, total, err := o.reg.Holders(r.Context(), q)
	if err != nil {
		return err
	}
	names := map[string]string{}
	var lines []personLine
	for _, h := range list {
		roles, err := o.granted(r, v, h.Grants, names)
		if err != nil {
			return err
		}
		lines = append(lines, personLine{h, roles})
	}
	return v.Render(w, "people", struct {
		Form   *page.Form
		Role   qrgate.Role
		Roles  []qrgate.Role
		People []personLine
		Office bool
		Pager  pager
	}{f, q.Role, qrgate.Roles(), lines, q.Office, newPager(r, len(list), total)})
}

type personPage struct {
	personLine
	Self    bool
	Trouble string // why something was refused, in words
}

func (o *Office) showPerson(w http.ResponseWriter, r *http.Request, v *page.View, status int, trouble string) error {
	h, err := o.reg.Holder(r.Context(), page.ID(r))
	if err != nil {
		return err
	}
	roles, err := o.granted(r, v, h.Grants, map[string]string{})
	if err != nil {
		return err
	}
	return v.RenderStatus(w, status, "person", personPage{personLine{*h, roles}, h.ID == v.Who.Account.ID, trouble})
}

func (o *Office) person(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return o.showPerson(w, r, v, http.StatusOK, "")
}

// A roleChoice is a role that may be given, or why not.
type roleChoice struct {
	Role  qrgate.Role
	Apart qrgate.Role // one that is held and must not meet it, or ""
}

// A scopeChoice is a kind of scope within which a role may be held, with what to
// choose from.
type scopeChoice struct {
	Kind    qrgate.ScopeKind
	Options []option // none for everywhere
	Search  string   // what was searched for among organisations
}

type rolePage struct {
	register.Holder
	Choices []roleChoice
	Role    qrgate.Role // that was chosen, or ""
	Scopes  []scopeChoice
	Trouble string
}

// mostOrganisations is how many organisations a search offers.
const mostOrganisations = 20

// chooseRole lets choose a role, and then within what.
func (o *Office) chooseRole(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q := r.URL.Query()
	return o.showRoles(w, r, v, http.StatusOK, qrgate.Role(q.Get("vai")), q.Get("tim"), "")
}

func (o *Office) showRoles(w http.ResponseWriter, r *http.Request, v *page.View, status int, role qrgate.Role, search, trouble string) error {
	h, err := o.reg.Holder(r.Context(), page.ID(r))
	if err != nil {
		return err
	}
	d := rolePage{Holder: *h, Trouble: trouble}
	for _, one := range qrgate.Roles() {
		c := roleChoice{Role: one}
		for _, g := range h.Grants {
			if register.AreApart(g.Role, one) {
				c.Apart = g.Role
			}
		}
		d.Choices = append(d.Choices, c)
	}
	if !slices.Contains(qrgate.Roles(), role) {
		return v.RenderStatus(w, status, "person_role", d)
	}
	d.Role = role
	for _, kind := range []qrgate.ScopeKind{qrgate.Everywhere, qrgate.InSector, qrgate.InArea, qrgate.InOrganisation} {
		try := qrgate.Grant{Role: role, Scope: qrgate.Scope{Kind: kind, ID: "x"}}
		if kind == qrgate.Everywhere {
			try.Scope = qrgate.All
		}
		if try.Check() != nil {
			continue
		}
		c := scopeChoice{Kind: kind}
		switch kind {
		case qrgate.InSector:
			for _, s := range o.sectors(v.Lang) {
				c.Options = append(c.Options, option{qrgate.Scope{Kind: kind, ID: s.Value}.String(), s.Text})
			}
		case qrgate.InArea:
			today := qrgate.DayOf(o.f.Now())
			for _, u := range append(area.InForce(today, area.Province), area.InForce(today, area.Commune)...) {
				c.Options = append(c.Options, option{qrgate.Scope{Kind: kind, ID: u.ID.String()}.String(), unitName(v.Lang, u)})
			}
		case qrgate.InOrganisation:
			if c.Search = strings.TrimSpace(search); c.Search != "" {
				found, err := o.reg.FindOrganisations(r.Context(), c.Search, mostOrganisations)
				if err != nil {
					return err
				}
				for _, org := range found {
					c.Options = append(c.Options, option{qrgate.Scope{Kind: kind, ID: org.ID}.String(), org.Name})
				}
			}
		}
		d.Scopes = append(d.Scopes, c)
	}
	return v.RenderStatus(w, status, "person_role", d)
}

// grantOf reads a role and its scope.
func grantOf(f *page.Form) (qrgate.Grant, error) {
	g := qrgate.Grant{Role: qrgate.Role(f.Text("vai", 40, true))}
	scope := f.Text("pham_vi", 100, true)
	if !f.OK() {
		return g, qrgate.ErrInvalid
	}
	var err error
	if g.Scope, err = qrgate.ParseScope(scope); err == nil {
		err = g.Check()
	}
	return g, err
}

func personPath(r *http.Request) string { return "/nguoi-dung/" + page.ID(r) }

func (o *Office) giveRole(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	role := qrgate.Role(f.Values.Get("vai"))
	if slices.Contains(qrgate.Roles(), role) && f.Values.Get("pham_vi") == "" {
		return o.showRoles(w, r, v, http.StatusUnprocessableEntity, role, f.Values.Get("tim"), v.T("office.choose_scope"))
	}
	g, err := grantOf(f)
	if err != nil {
		return err
	}
	err = o.reg.GiveRole(r.Context(), v.Who.Account.ID, page.ID(r), g)
	var apart register.Apart
	if errors.As(err, &apart) {
		return o.showPerson(w, r, v, http.StatusUnprocessableEntity,
			v.T("office.apart", "held", v.T("office.role."+string(apart.Held)), "wanted", v.T("office.role."+string(apart.Wanted))))
	}
	if err != nil {
		return err
	}
	return v.Go(w, personPath(r), "office.given", "role", v.T("office.role."+string(g.Role)))
}

func (o *Office) takeRole(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	g, err := grantOf(f)
	if err != nil {
		return err
	}
	err = o.reg.TakeRole(r.Context(), v.Who.Account.ID, page.ID(r), g)
	switch {
	case errors.Is(err, register.ErrLastAdministrator):
		return o.showPerson(w, r, v, http.StatusUnprocessableEntity, v.T("office.last_administrator"))
	case errors.Is(err, qrgate.ErrConflict):
		return o.showPerson(w, r, v, http.StatusUnprocessableEntity, v.T("office.last_owner"))
	case err != nil:
		return err
	}
	to := personPath(r)
	if page.ID(r) == v.Who.Account.ID && g.Role == qrgate.Administrator {
		to = "/"
	}
	return v.Go(w, to, "office.taken", "role", v.T("office.role."+string(g.Role)))
}

func (o *Office) block(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if page.ID(r) == v.Who.Account.ID {
		return o.showPerson(w, r, v, http.StatusUnprocessableEntity, v.T("office.block_self"))
	}
	return o.setBlocked(w, r, v, true, "office.blocked")
}

func (o *Office) unblock(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return o.setBlocked(w, r, v, false, "office.unblocked")
}

func (o *Office) setBlocked(w http.ResponseWriter, r *http.Request, v *page.View, blocked bool, notice string) error {
	err := o.reg.Block(r.Context(), v.Who.Account.ID, page.ID(r), blocked)
	if errors.Is(err, register.ErrLastAdministrator) {
		return o.showPerson(w, r, v, http.StatusUnprocessableEntity, v.T("office.last_administrator"))
	}
	if err != nil {
		return err
	}
	return v.Go(w, personPath(r), notice)
}
