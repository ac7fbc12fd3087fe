package enrolment

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	store "github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/store/register"
)

// found is how many places a search shows.
const found = 20

type newPage struct {
	Form     *page.Form
	Search   string
	Places   []*qrgate.Place // to choose from, if none is chosen
	More     bool            // there are more of them
	Place    *qrgate.Place   // chosen
	Kiosks   []choice        // of it, that may be replaced
	Lanes    []choice
	Ways     []choice
	Waiting  []*store.Offer // that the viewer may see
	Replaces string
	Many     bool // may revoke many

	Restored time.Time // when the database was, if new kiosks wait for a confirmation
	Confirms bool      // may give it
}

// begin asks for the place, and then for the door.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q := r.URL.Query()
	f := page.NewForm(nil)
	f.Values.Set("enrol_place", q.Get("dia_diem"))
	f.Values.Set("enrol_replaces", q.Get("thay"))
	f.Values.Set("enrol_gate", q.Get("cong"))
	f.Values.Set("enrol_direction", "vao")
	return p.showNew(w, r, v, http.StatusOK, f)
}

func (p *Pages) showNew(w http.ResponseWriter, r *http.Request, v *page.View, status int, f *page.Form) error {
	ctx := r.Context()
	tends := len(v.Scopes(tended...)) > 0
	restored, err := p.Enrolments.Restored(ctx)
	if err != nil {
		return err
	}
	d := newPage{Form: f, Ways: directions(v), Many: tends, Restored: restored, Confirms: tends}
	if no := number(f.Values.Get("enrol_place")); no != 0 {
		place, err := p.Register.Place(ctx, no)
		if err != nil {
			return err
		}
		if !v.May(place, adds...) || !place.Deleted.IsZero() {
			return qrgate.ErrNotFound
		}
		d.Place = place
		all, err := p.Enrolments.Identities(ctx)
		if err != nil {
			return err
		}
		for _, k := range all {
			if k.Kiosk.PlaceNo == no && k.ReplacedBy == "" {
				text := k.Kiosk.ID
				if k.Gate != "" {
					text = k.Gate + " · " + text
				}
				d.Kiosks = append(d.Kiosks, choice{k.Kiosk.ID, text})
			}
		}
		for lane := range 9 {
			d.Lanes = append(d.Lanes, choice{strconv.Itoa(lane), strconv.Itoa(lane)})
		}
		return v.RenderStatus(w, status, "enrol_new", &d)
	}
	query := page.NewForm(r.URL.Query())
	d.Search = query.Text("tim", 120, false)
	var total int
	d.Places, total, err = p.Register.Places(ctx, register.Query{Within: v.Places(adds...), Text: d.Search, Size: found})
	if err != nil {
		return err
	}
	d.More = total > len(d.Places)
	waiting, err := p.Enrolments.Waiting(ctx)
	if err != nil {
		return err
	}
	for _, o := range waiting {
		ok, err := p.may(ctx, v, o.PlaceNo, adds)
		if err != nil {
			return err
		}
		if ok {
			d.Waiting = append(d.Waiting, o)
		}
	}
	return v.RenderStatus(w, status, "enrol_new", &d)
}

// make makes a code and shows it.
func (p *Pages) make(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	no := number(f.Values.Get("enrol_place"))
	place, err := p.Register.Place(r.Context(), no)
	if err != nil {
		return err
	}
	if !v.May(place, adds...) || !place.Deleted.IsZero() {
		return qrgate.ErrNotFound
	}
	door := store.Door{
		PlaceNo: no, Place: place.Name, Gate: f.Text("enrol_gate", 16, true), Lane: uint8(f.Int("enrol_lane", 0, 255)),
		Direction: directionOf(f.Choice("enrol_direction", true, "vao", "ra")),
	}
	if len(door.Gate) > 16 { // bytes, on the kiosk
		f.Fail("enrol_gate", "wrong.long", "most", 16)
	}
	replaces := f.Text("enrol_replaces", 40, false)
	if !f.OK() {
		return p.showNew(w, r, v, http.StatusUnprocessableEntity, f)
	}
	o, err := p.Desk.Offer(r.Context(), v.Who.Account.ID, door, replaces)
	if errors.Is(err, qrgate.ErrInvalid) {
		f.Fail("enrol_replaces", "wrong.choice")
		return p.showNew(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if errors.Is(err, store.ErrClosed) {
		return p.showNew(w, r, v, http.StatusConflict, f) // which says so
	}
	if err != nil {
		return err
	}
	return v.Go(w, newPath+"/ma/"+o.ID, "")
}

// confirm says that new kiosks may come after a restore.
func (p *Pages) confirm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if err := p.Enrolments.Confirm(r.Context(), v.Who.Account.ID); err != nil {
		return err
	}
	return v.Go(w, newPath, "enrol.restored.notice")
}

// offered returns the code in the request's path, if the viewer may see it.
func (p *Pages) offered(r *http.Request, v *page.View) (*store.Offer, error) {
	id := page.ID(r)
	if id == "" {
		return nil, qrgate.ErrNotFound
	}
	o, err := p.Enrolments.Offered(r.Context(), id)
	if err != nil {
		return nil, err
	}
	ok, err := p.may(r.Context(), v, o.PlaceNo, adds)
	if err == nil && !ok {
		err = qrgate.ErrNotFound
	}
	return o, err
}

type codePage struct {
	*store.Offer
	Stage   string       // offered, asked, granted, collected, refused, contested, ended
	Picture template.URL // of the QR
	Text    string
	Out     bool
	Again   string // where another code for the same door is made
	Left    int    // minutes
}

func stage(o *store.Offer, now time.Time) string {
	switch {
	case o.State == store.Granted && !o.Collected.IsZero():
		return "collected"
	case o.State == store.Granted:
		return "granted"
	case o.State == store.Refused:
		return "refused"
	case o.State == store.Contested:
		return "contested"
	case !o.Open(now):
		return "ended"
	case o.State == store.Asked:
		return "asked"
	}
	return "offered"
}

// code shows a code, then the words of the kiosk that has read it, then how it ended.
func (p *Pages) code(w http.ResponseWriter, r *http.Request, v *page.View) error {
	o, err := p.offered(r, v)
	if err != nil {
		return err
	}
	return p.showCode(w, r, v, http.StatusOK, o)
}

func (p *Pages) showCode(w http.ResponseWriter, _ *http.Request, v *page.View, status int, o *store.Offer) error {
	now := p.f.Now()
	d := codePage{Offer: o, Stage: stage(o, now), Out: o.Direction == directionOf("ra")}
	d.Again = newPath + "?" + url.Values{"dia_diem": {strconv.Itoa(int(o.PlaceNo))}, "cong": {o.Gate}, "thay": {o.Replaces}}.Encode()
	d.Left = int(o.Until.Sub(now)/time.Minute) + 1
	if d.Stage == "offered" {
		d.Text = p.Desk.Code(o).String()
		var b bytes.Buffer
		if err := print.Code(&b, d.Text); err != nil {
			return err
		}
		d.Picture = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	return v.RenderStatus(w, status, "enrol_code", &d)
}

// state tells the page's script whether there is something new.
func (p *Pages) state(w http.ResponseWriter, r *http.Request, v *page.View) error {
	o, err := p.offered(r, v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]string{"state": stage(o, p.f.Now())})
}

// decide says whether the words were the same.
func (p *Pages) decide(grant bool) page.Handler {
	return func(w http.ResponseWriter, r *http.Request, v *page.View) error {
		f, err := page.ReadForm(r)
		if err != nil {
			return err
		}
		o, err := p.offered(r, v)
		if err != nil {
			return err
		}
		decided, err := p.Enrolments.Decide(r.Context(), v.Who.Account.ID, o.ID, f.Values.Get("words"), grant)
		if errors.Is(err, qrgate.ErrConflict) {
			// Shown as it stands now: with other words, or with none.
			if o, err = p.offered(r, v); err != nil {
				return err
			}
			return p.showCode(w, r, v, http.StatusConflict, o)
		}
		if err != nil {
			return err
		}
		if grant && decided.Replaces != "" {
			p.after(decided.Replaces)
		}
		return v.Go(w, newPath+"/ma/"+o.ID, "")
	}
}
