package card

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/wire"
)

// quotaPath is the page on which an administrator sees how much is signed.
const quotaPath = "/the/han-muc"

// Quotas are how much may be signed, and what was.
type Quotas struct {
	Kept   *issuing.Issuing
	Limits map[wire.Purpose]issuing.Limits // of any day
}

func (p *Pages) quotaRoutes() []page.Route {
	if p.o.Quotas == nil {
		return nil
	}
	only := page.Only(qrgate.Administrator)
	return []page.Route{
		{Pattern: "GET " + quotaPath, Allow: only, Menu: "menu.quotas", Handler: p.showQuotas},
		{Pattern: "POST " + quotaPath, Allow: only, Handler: p.raiseQuota},
	}
}

// purposes are what quotas are of.
var purposes = []wire.Purpose{wire.ForCard, wire.ForEvent}

// A quotaPage shows the quotas, each with the form that raises it.
type quotaPage struct{ Rows []quotaRow }

type quotaRow struct {
	issuing.Quota
	Purpose wire.Purpose
	Usual   issuing.Limits // of a day on which nothing is raised
	Form    *page.Form
}

func batchField(p wire.Purpose) string { return "quota.batch_" + string(p) }
func dayField(p wire.Purpose) string   { return "quota.day_" + string(p) }

// BatchField is the name of the field of one batch's quota.
func (r quotaRow) BatchField() string { return batchField(r.Purpose) }

// DayField is the name of the field of the day's quota.
func (r quotaRow) DayField() string { return dayField(r.Purpose) }

func (p *Pages) showQuotas(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.renderQuotas(w, r, v, "", nil, http.StatusOK)
}

// renderQuotas shows the form of one purpose as it was filled in.
func (p *Pages) renderQuotas(w http.ResponseWriter, r *http.Request, v *page.View, of wire.Purpose, form *page.Form, status int) error {
	var d quotaPage
	for _, purpose := range purposes {
		q, err := p.o.Quotas.Kept.Quota(r.Context(), purpose, p.o.Quotas.Limits[purpose])
		if err != nil {
			return err
		}
		row := quotaRow{q, purpose, p.o.Quotas.Limits[purpose], form}
		if purpose != of {
			row.Form = page.NewForm(url.Values{batchField(purpose): {strconv.Itoa(q.Batch)}, dayField(purpose): {strconv.Itoa(q.Day)}})
		}
		d.Rows = append(d.Rows, row)
	}
	return v.RenderStatus(w, status, "card_quota", d)
}

func (p *Pages) raiseQuota(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	purpose := wire.Purpose(form.Values.Get("purpose"))
	usual, ok := p.o.Quotas.Limits[purpose]
	if !ok {
		return qrgate.ErrInvalid
	}
	batch, day := batchField(purpose), dayField(purpose)
	to := issuing.Limits{Batch: form.Int(batch, usual.Batch, issuing.MaxQuota), Day: form.Int(day, usual.Day, issuing.MaxQuota)}
	for field, n := range map[string]int{batch: to.Batch, day: to.Day} {
		if n == 0 && form.Values.Get(field) == "" {
			form.Fail(field, "wrong.empty")
		}
	}
	if !form.OK() {
		return p.renderQuotas(w, r, v, purpose, form, http.StatusUnprocessableEntity)
	}
	if err := p.o.Quotas.Kept.Raise(r.Context(), v.Who.Account.ID, purpose, to); err != nil {
		return err
	}
	return v.Go(w, quotaPath, "card.quota.raised")
}
