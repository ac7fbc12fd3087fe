package enrolment

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	store "github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/sync/wire"
)

// known returns the kiosk in the request's path, if the viewer holds one of the roles
// for it. Who may only see it is told so; to others it does not exist.
func (p *Pages) known(r *http.Request, v *page.View, roles []qrgate.Role) (*store.Identity, error) {
	id := kiosk(r)
	if id == "" {
		return nil, qrgate.ErrNotFound
	}
	i, err := p.Enrolments.Identity(r.Context(), id)
	if err != nil {
		return nil, err
	}
	ok, err := p.may(r.Context(), v, i.PlaceNo, roles)
	if err != nil || ok {
		return i, err
	}
	if sees, err := p.may(r.Context(), v, i.PlaceNo, sees); err != nil || sees {
		return nil, errors.Join(err, qrgate.ErrForbidden)
	}
	return nil, qrgate.ErrNotFound
}

type identityPage struct {
	*store.Identity
	Out      bool
	Active   bool
	Key      string // the first bytes of its hash
	Gates    []*store.Identity
	Adds     bool
	Tends    bool
	Restores bool
	Next     string // where a code is made for hardware that takes its gate over
}

// identity shows what is known of a kiosk's identity.
func (p *Pages) identity(w http.ResponseWriter, r *http.Request, v *page.View) error {
	i, err := p.known(r, v, sees)
	if err != nil {
		return err
	}
	d := identityPage{Identity: i, Active: i.Kiosk.State == qrgate.KioskActive, Out: i.Direction == directionOf("ra"), Tends: len(v.Scopes(tended...)) > 0}
	if d.Adds, err = p.may(r.Context(), v, i.PlaceNo, adds); err != nil {
		return err
	}
	sum := sha256.Sum256(i.Kiosk.Public)
	d.Key = hex.EncodeToString(sum[:8])
	if i.Gate != "" {
		if d.Gates, err = p.Enrolments.AtGate(r.Context(), i.PlaceNo, i.Gate); err != nil {
			return err
		}
	}
	replaced := false
	for _, g := range d.Gates {
		replaced = replaced || g.Kiosk.ID == i.ReplacedBy && g.Kiosk.State == qrgate.KioskActive
	}
	d.Restores = d.Tends && !d.Active && i.Wiped.IsZero() && !replaced
	if i.PlaceNo != 0 {
		d.Next = newPath + "?" + url.Values{"dia_diem": {strconv.Itoa(int(i.PlaceNo))}, "cong": {i.Gate}, "thay": {i.Kiosk.ID}}.Encode()
	}
	return v.Render(w, "enrol_identity", &d)
}

func pathOf(kiosk string) string { return "/thiet-bi/" + kiosk + "/danh-tinh" }

// revoke ends a kiosk's right to connect, and its connection.
func (p *Pages) revoke(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	i, err := p.known(r, v, adds)
	if err != nil {
		return err
	}
	wipe := f.Values.Get("enrol_wipe") == "1" && len(v.Scopes(tended...)) > 0
	if err := p.Enrolments.Revoke(r.Context(), v.Who.Account.ID, wipe, i.Kiosk.ID); err != nil {
		return err
	}
	p.after(i.Kiosk.ID)
	return v.Go(w, pathOf(i.Kiosk.ID), "enrol.revoked.notice")
}

// reinstate takes a mistake back.
func (p *Pages) reinstate(w http.ResponseWriter, r *http.Request, v *page.View) error {
	i, err := p.known(r, v, tended)
	if err != nil {
		return err
	}
	if err := p.Enrolments.Reinstate(r.Context(), v.Who.Account.ID, i.Kiosk.ID); err != nil {
		return err
	}
	return v.Go(w, pathOf(i.Kiosk.ID), "enrol.reinstated.notice")
}

// settle says that somebody has looked into a clone.
func (p *Pages) settle(w http.ResponseWriter, r *http.Request, v *page.View) error {
	i, err := p.known(r, v, tended)
	if err != nil {
		return err
	}
	if err := p.Enrolments.Settle(r.Context(), v.Who.Account.ID, i.Kiosk.ID); err != nil {
		return err
	}
	return v.Go(w, pathOf(i.Kiosk.ID), "enrol.settled.notice")
}

type manyPage struct {
	Form *page.Form
	Rows []*store.Identity
}

// many shows all kiosks that may connect, to revoke some of them at once.
func (p *Pages) many(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.showMany(w, r, v, http.StatusOK, page.NewForm(nil))
}

func (p *Pages) showMany(w http.ResponseWriter, r *http.Request, v *page.View, status int, f *page.Form) error {
	all, err := p.Enrolments.Identities(r.Context())
	if err != nil {
		return err
	}
	d := manyPage{Form: f}
	for _, i := range all {
		if i.Kiosk.State == qrgate.KioskActive {
			d.Rows = append(d.Rows, i)
		}
	}
	return v.RenderStatus(w, status, "enrol_many", &d)
}

// maxMany is more kiosks than one case needs.
const maxMany = 1000

func (p *Pages) revokeMany(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	ids := f.Values["enrol_kiosk"]
	if len(ids) == 0 || len(ids) > maxMany {
		f.Fail("enrol_kiosk", "enrol.many.none")
	}
	if f.Values.Get("enrol_sure") != "1" {
		f.Fail("enrol_sure", "wrong.empty")
	}
	if !f.OK() {
		return p.showMany(w, r, v, http.StatusUnprocessableEntity, f)
	}
	for _, id := range ids {
		if !wire.ValidKiosk(id) {
			return qrgate.ErrNotFound
		}
		i, err := p.Enrolments.Identity(r.Context(), id)
		if err != nil {
			return err
		}
		if ok, err := p.may(r.Context(), v, i.PlaceNo, tended); err != nil || !ok {
			return errors.Join(err, qrgate.ErrNotFound)
		}
	}
	if err := p.Enrolments.Revoke(r.Context(), v.Who.Account.ID, f.Values.Get("enrol_wipe") == "1", ids...); err != nil {
		return err
	}
	p.after(ids...)
	return v.Go(w, manyPath, "enrol.many.notice", "n", len(ids))
}
