package place

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// keyInvitation is where the session keeps the sum of an invitation's link while
// its bearer signs in.
const keyInvitation = "invitation"

// An invitationPage is an invitation as its bearer sees it; without One it asks
// for the code.
type invitationPage struct {
	Form *page.Form
	One  *register.Organisation
	Role qrgate.Role
	In   bool // the bearer has signed in
}

// invitation shows the invitation whose link this browser brought. The code
// itself comes by POST, for addresses are written down on their way.
func (s *Pages) invitation(w http.ResponseWriter, r *http.Request, v *page.View) error {
	data := invitationPage{Form: page.NewForm(nil), In: v.Who != nil}
	sum, err := hex.DecodeString(v.Session(r.Context(), keyInvitation))
	if err != nil || len(sum) == 0 {
		return v.Render(w, "invitation", data)
	}
	i, err := s.reg.Invitation(r.Context(), sum)
	if errors.Is(err, qrgate.ErrNotFound) {
		v.SetSession(r.Context(), keyInvitation, "")
		return s.noInvitation(w, v, data)
	}
	if err != nil {
		return err
	}
	if data.One, err = s.reg.Organisation(r.Context(), i.Organisation); err != nil {
		return err
	}
	data.Role = i.Role
	return v.Render(w, "invitation", data)
}

func (s *Pages) noInvitation(w http.ResponseWriter, v *page.View, data invitationPage) error {
	data.Form.Fail("org.code", "org.code.gone")
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "invitation", data)
}

// accept takes an invitation's code, or, of one that was shown, that its bearer
// joins.
func (s *Pages) accept(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	data := invitationPage{Form: form, In: v.Who != nil}
	if form.Values.Get("do") != "join" {
		code := form.Text("org.code", 300, true)
		// People paste the whole link.
		if _, after, ok := strings.Cut(code, "#"); ok {
			code = after
		}
		sum, err := signin.TokenSum(code)
		if err != nil {
			return s.noInvitation(w, v, data)
		}
		// Only what is one is kept: a session is a row, and anybody may come here.
		if _, err := s.reg.Invitation(ctx, sum[:]); errors.Is(err, qrgate.ErrNotFound) {
			return s.noInvitation(w, v, data)
		} else if err != nil {
			return err
		}
		v.SetSession(ctx, keyInvitation, hex.EncodeToString(sum[:]))
		return v.Go(w, "/loi-moi", "")
	}
	if v.Who == nil {
		return v.Go(w, "/dang-nhap?ve=%2Floi-moi", "")
	}
	sum, err := hex.DecodeString(v.Session(ctx, keyInvitation))
	if err != nil || len(sum) == 0 {
		return s.noInvitation(w, v, data)
	}
	v.SetSession(ctx, keyInvitation, "")
	i, err := s.reg.Accept(ctx, v.Who.Account.ID, sum)
	if errors.Is(err, qrgate.ErrNotFound) {
		return s.noInvitation(w, v, data)
	}
	if err != nil {
		return err
	}
	return v.Go(w, organisationPath(i.Organisation), "org.joined")
}
