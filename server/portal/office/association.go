package office

import (
	"net/http"
	"slices"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// An associationsPage lists associations, and organisations that may become ones.
type associationsPage struct {
	Search string
	Found  []register.Organisation
	All    []register.Association
}

func (o *Office) associations(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f := page.NewForm(fields(r, "tim"))
	d := associationsPage{Search: f.Text("tim", 120, false)}
	var err error
	if d.All, err = o.reg.Associations(r.Context()); err != nil {
		return err
	}
	if d.Search != "" {
		if d.Found, err = o.reg.FindOrganisations(r.Context(), d.Search, mostOrganisations); err != nil {
			return err
		}
	}
	return v.Render(w, "associations", d)
}

// An associationPage is an association with its members, and who may become one.
type associationPage struct {
	*register.Organisation
	Search  string
	Found   []register.Organisation // that are no members
	Members []register.Organisation
}

func (o *Office) association(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f := page.NewForm(fields(r, "tim"))
	d := associationPage{Search: f.Text("tim", 120, false)}
	var err error
	if d.Organisation, err = o.reg.Organisation(r.Context(), page.ID(r)); err != nil {
		return err
	}
	if d.Members, err = o.reg.MembersOf(r.Context(), d.ID); err != nil {
		return err
	}
	if d.Search != "" {
		found, err := o.reg.FindOrganisations(r.Context(), d.Search, mostOrganisations)
		if err != nil {
			return err
		}
		d.Found = slices.DeleteFunc(found, func(x register.Organisation) bool {
			return x.ID == d.ID || slices.ContainsFunc(d.Members, func(m register.Organisation) bool { return m.ID == x.ID })
		})
	}
	return v.Render(w, "association", d)
}

// setMember makes an organisation a member, or no longer one.
func (o *Office) setMember(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	in := f.Choice("viec", true, "them", "bo") == "them"
	member := f.Text("to_chuc", 40, true)
	if !f.OK() {
		return qrgate.ErrInvalid
	}
	if err := o.reg.SetMember(r.Context(), v.Who.Account.ID, page.ID(r), member, in); err != nil {
		return err
	}
	notice := "office.member.gone"
	if in {
		notice = "office.member.added"
	}
	return v.Go(w, "/hiep-hoi/"+page.ID(r), notice)
}
