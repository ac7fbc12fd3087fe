package place

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// An organisationPage is one organisation as a member sees it.
type organisationPage struct {
	All     []register.Organisation // of which the viewer is a member
	One     *register.Organisation
	Me      string // account
	Owner   bool   // the viewer is
	Members []register.Member
	Waiting []register.Invitation
	Roles   []qrgate.Role // that may be given
	Sectors []option
	Form    *page.Form // of its details
	Invite  *page.Form
	Link    string // of an invitation that was just made
	Refused string // key of why something was not done
	// Associations see figures of the organisation, with those of others.
	Associations []register.Organisation
}

// Path returns where the page is.
func (o organisationPage) Path() string { return organisationPath(o.One.ID) }

func organisationPath(id string) string { return "/to-chuc?" + url.Values{"ma": {id}}.Encode() }

// wanted returns the organisation that a request is about, if the viewer holds
// one of the roles there.
func (s *Pages) wanted(v *page.View, id string, roles ...qrgate.Role) error {
	if !slices.Contains(v.Scopes(members...), qrgate.Scope{Kind: qrgate.InOrganisation, ID: id}) {
		return qrgate.ErrNotFound
	}
	if !slices.Contains(v.Scopes(roles...), qrgate.Scope{Kind: qrgate.InOrganisation, ID: id}) {
		return qrgate.ErrForbidden
	}
	return nil
}

func (s *Pages) readOrganisation(r *http.Request, v *page.View, id string) (*organisationPage, error) {
	all, err := s.mine(r, v, members...)
	if err != nil {
		return nil, err
	}
	if id == "" && len(all) > 0 {
		id = all[0].ID
	}
	if err := s.wanted(v, id, members...); err != nil {
		return nil, err
	}
	o := organisationPage{All: all, Me: v.Who.Account.ID, Roles: members, Sectors: s.sectors(v.Lang), Invite: page.NewForm(nil)}
	if o.One, err = s.reg.Organisation(r.Context(), id); err != nil {
		return nil, err
	}
	o.Owner = s.wanted(v, id, qrgate.Owner) == nil
	if o.Members, err = s.reg.Members(r.Context(), id); err != nil {
		return nil, err
	}
	if o.Associations, err = s.reg.AssociationsOf(r.Context(), id); err != nil {
		return nil, err
	}
	if o.Owner {
		if o.Waiting, err = s.reg.Invitations(r.Context(), id); err != nil {
			return nil, err
		}
	}
	o.Form = page.NewForm(url.Values{
		"org.name": {o.One.Name}, "org.sector": {o.One.Sector}, "org.phone": {page.ShowPhone(o.One.Phone)}, "org.email": {o.One.Email},
	})
	return &o, nil
}

func (s *Pages) organisation(w http.ResponseWriter, r *http.Request, v *page.View) error {
	o, err := s.readOrganisation(r, v, r.URL.Query().Get("ma"))
	if err != nil {
		return err
	}
	return v.Render(w, "organisation", o)
}

func (s *Pages) newOrganisation(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "organisation_new", &organisationPage{Form: page.NewForm(nil), Sectors: s.sectors(v.Lang)})
}

func (s *Pages) addOrganisation(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	var o register.Organisation
	s.readDetails(form, &o)
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "organisation_new", &organisationPage{Form: form, Sectors: s.sectors(v.Lang)})
	}
	if err := s.reg.AddOrganisation(r.Context(), v.Who.Account.ID, &o); err != nil {
		return err
	}
	return v.Go(w, "/dia-diem/moi", "org.added", "name", o.Name)
}

func (s *Pages) readDetails(form *page.Form, o *register.Organisation) {
	o.Name = form.Text("org.name", 120, true)
	o.Sector = form.Choice("org.sector", true, values(s.sectors("vi"))...)
	o.Phone = form.Phone("org.phone", true)
	o.Email = form.Email("org.email", false)
}

// changeOrganisation does what one of the forms of the page asks for.
func (s *Pages) changeOrganisation(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	id, by := form.Values.Get("ma"), v.Who.Account.ID
	if err := s.wanted(v, id, qrgate.Owner); err != nil {
		return err
	}
	ctx := r.Context()
	switch form.Values.Get("do") {
	case "save":
		return s.saveOrganisation(w, r, v, form, id)
	case "invite":
		return s.invite(w, r, v, form, id)
	case "take_back":
		err := s.reg.TakeBack(ctx, by, id, form.Text("invitation", 64, true))
		if err != nil && !errors.Is(err, qrgate.ErrNotFound) { // somebody has just used it
			return err
		}
		return v.Go(w, organisationPath(id), "org.taken_back")
	case "leave_association":
		if err := s.reg.SetMember(ctx, by, form.Text("hoi", 64, true), id, false); err != nil {
			return err
		}
		return v.Go(w, organisationPath(id), "org.association.left")
	case "roles":
		return s.setRoles(w, r, v, form, id)
	case "remove", "transfer":
		return s.partWith(w, r, v, form, id)
	}
	return qrgate.ErrInvalid
}

func (s *Pages) saveOrganisation(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, id string) error {
	o := register.Organisation{ID: id}
	s.readDetails(form, &o)
	if !form.OK() {
		again, err := s.readOrganisation(r, v, id)
		if err != nil {
			return err
		}
		again.Form = form
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "organisation", again)
	}
	if err := s.reg.SaveOrganisation(r.Context(), v.Who.Account.ID, &o); err != nil {
		return err
	}
	return v.Go(w, organisationPath(id), "org.saved")
}

// invite makes an invitation and shows its link, which nobody can see again.
func (s *Pages) invite(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, id string) error {
	role := form.Choice("org.role", true, roleIDs(members)...)
	note := form.Text("org.note", 80, false)
	link := ""
	status := http.StatusUnprocessableEntity
	if form.OK() {
		token, sum := signin.NewToken()
		if err := s.reg.Invite(r.Context(), v.Who.Account.ID, sum[:], id, qrgate.Role(role), note); err != nil {
			return err
		}
		// What follows # stays in the browser: no log of a server has it.
		link, status = s.f.Base()+"/loi-moi#"+token, http.StatusOK
		form = page.NewForm(nil)
	}
	o, err := s.readOrganisation(r, v, id)
	if err != nil {
		return err
	}
	o.Link, o.Invite = link, form
	return v.RenderStatus(w, status, "organisation", o)
}

func roleIDs(roles []qrgate.Role) []string {
	all := make([]string, len(roles))
	for i, r := range roles {
		all[i] = string(r)
	}
	return all
}

func (s *Pages) setRoles(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, id string) error {
	var roles []qrgate.Role
	for _, role := range form.Values["role"] {
		if !slices.Contains(members, qrgate.Role(role)) {
			return qrgate.ErrInvalid
		}
		if !slices.Contains(roles, qrgate.Role(role)) {
			roles = append(roles, qrgate.Role(role))
		}
	}
	account := form.Text("account", 64, true)
	if len(roles) == 0 { // that is removal, which is asked about
		return s.partWith(w, r, v, form, id)
	}
	err := s.reg.SetRoles(r.Context(), v.Who.Account.ID, id, account, roles...)
	if errors.Is(err, qrgate.ErrConflict) {
		return s.refuse(w, r, v, id, "org.last_owner")
	}
	if err != nil {
		return err
	}
	return v.Go(w, organisationPath(id), "org.roles_set")
}

// refuse shows the organisation again with why something was not done.
func (s *Pages) refuse(w http.ResponseWriter, r *http.Request, v *page.View, id, key string) error {
	o, err := s.readOrganisation(r, v, id)
	if err != nil {
		return err
	}
	o.Refused = key
	return v.RenderStatus(w, http.StatusConflict, "organisation", o)
}

// A parting is asked about before it is done.
type parting struct {
	Do, Action string
	One        *register.Organisation
	Member     register.Member
}

// partWith asks whether a member shall go, or take over, and then does it.
func (s *Pages) partWith(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, id string) error {
	ctx, account := r.Context(), form.Text("account", 64, true)
	do := "remove"
	if form.Values.Get("do") == "transfer" {
		do = "transfer"
	}
	if form.Values.Get("sure") == "" {
		return s.ask(w, r, v, do, "/to-chuc", id, account)
	}
	var err error
	notice := "org.removed"
	if do == "transfer" {
		notice = "org.transferred"
		err = s.reg.Transfer(ctx, v.Who.Account.ID, id, account)
	} else {
		err = s.reg.SetRoles(ctx, v.Who.Account.ID, id, account)
	}
	if errors.Is(err, qrgate.ErrConflict) {
		return s.refuse(w, r, v, id, "org.last_owner")
	}
	if err != nil {
		return err
	}
	return v.Go(w, organisationPath(id), notice)
}

func (s *Pages) ask(w http.ResponseWriter, r *http.Request, v *page.View, do, action, id, account string) error {
	o, err := s.readOrganisation(r, v, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(o.Members, func(m register.Member) bool { return m.Account == account })
	if i < 0 || do == "transfer" && account == o.Me {
		return qrgate.ErrNotFound
	}
	return v.Render(w, "organisation_ask", parting{Do: do, Action: action, One: o.One, Member: o.Members[i]})
}

// leave ends the viewer's own membership.
func (s *Pages) leave(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	id, me := form.Values.Get("ma"), v.Who.Account.ID
	if err := s.wanted(v, id, members...); err != nil {
		return err
	}
	if form.Values.Get("sure") == "" {
		return s.ask(w, r, v, "leave", "/to-chuc/roi", id, me)
	}
	err = s.reg.SetRoles(r.Context(), me, id, me)
	if errors.Is(err, qrgate.ErrConflict) {
		return s.refuse(w, r, v, id, "org.last_owner")
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/", "org.left")
}
