package event

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
)

// An option is one line of a list to choose from.
type option struct{ Value, Text string }

// A formPage asks for what an event is.
type formPage struct {
	Form   *page.Form
	Event  *events.Event // nil of a new one
	Places []option
	Kinds  []events.Kind
}

// maxPlaces is how many places somebody may choose from: who has more begins at the
// place's own page.
const maxPlaces = 200

func (p *Pages) formPage(r *http.Request, v *page.View, form *page.Form, e *events.Event) (formPage, error) {
	data := formPage{Form: form, Event: e, Kinds: events.Kinds()}
	if e != nil {
		return data, nil
	}
	places, _, err := p.reg.Places(r.Context(), register.Query{Within: v.Places(mayOpen...), Size: maxPlaces})
	if err != nil {
		return data, err
	}
	for i := range places {
		data.Places = append(data.Places, option{strconv.FormatUint(uint64(places[i].No), 10), places[i].Name})
	}
	return data, nil
}

func (p *Pages) newForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	values := url.Values{
		"event.place": {r.URL.Query().Get("dia-diem")}, "event.from": {"08:00"}, "event.to": {"11:00"}, "event.early": {"60"},
		"event.reentry": {"1"}, "event.is.delegate": {"1"}, "event.is.public": {"1"},
	}
	data, err := p.formPage(r, v, page.NewForm(values), nil)
	if err != nil {
		return err
	}
	return v.Render(w, "event_form", data)
}

// readEvent reads what was typed into e.
func (p *Pages) readEvent(form *page.Form, e *events.Event) {
	e.Name, e.About = form.Text("event.name", 120, true), form.Lines("event.about", 2000, false)
	e.Starts = readTime(form, "event.day", "event.from")
	if form.Values.Get("event.last") == "" {
		form.Values.Set("event.last", form.Values.Get("event.day"))
	}
	e.Ends = readTime(form, "event.last", "event.to")
	if form.OK() {
		switch {
		case !e.Ends.After(e.Starts):
			form.Fail("event.to", "event.ends.first")
		case e.Ends.Sub(e.Starts) > events.MaxLength:
			form.Fail("event.last", "event.too.long", "days", int(events.MaxLength/(24*time.Hour)))
		case e.Ends.Before(p.f.Now()):
			form.Fail("event.day", "event.past")
		}
	}
	e.Early = time.Duration(form.Int("event.early", 0, int(events.MaxEarly/time.Minute))) * time.Minute
	e.Capacity = form.Int("event.capacity", 0, events.MaxCapacity)
	e.Open, e.Reentry = form.Values.Get("event.open") == "1", form.Values.Get("event.reentry") == "1"
	e.Categories = nil
	for i, k := range events.Kinds() {
		field := func(name string) string { return "event." + name + "." + string(k) }
		if form.Values.Get(field("is")) != "1" {
			continue
		}
		c := events.Category{No: uint8(i + 1), Kind: k, Name: form.Text(field("called"), 60, false), Quota: form.Int(field("quota"), 0, events.MaxCapacity)}
		c.Gates = readGates(form, field("gates"))
		e.Categories = append(e.Categories, c)
	}
	if len(e.Categories) == 0 {
		form.Fail("event.is.delegate", "event.no.category")
	}
}

func readTime(form *page.Form, day, clock string) time.Time {
	d, err := qrgate.ParseDay(strings.TrimSpace(form.Values.Get(day)))
	if err != nil {
		form.Fail(day, "event.day.wrong")
	}
	at, err := time.Parse("15:04", strings.TrimSpace(form.Values.Get(clock)))
	if err != nil {
		form.Fail(clock, "event.clock.wrong")
	}
	return d.Start().Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
}

// maxGate is the longest name of a gate in bytes, as kiosks have it.
const maxGate = 16

// readGates reads names of gates with commas between them.
func readGates(form *page.Form, field string) []string {
	var gates []string
	for _, s := range strings.FieldsFunc(form.Text(field, 200, false), func(r rune) bool { return r == ',' || r == ';' }) {
		s = strings.TrimSpace(s)
		switch {
		case s == "":
		case len(s) > maxGate || !utf8.ValidString(s):
			form.Fail(field, "event.gate.long", "most", maxGate)
		default:
			gates = append(gates, s)
		}
	}
	if len(gates) > events.MaxGates {
		form.Fail(field, "event.gates.many", "most", events.MaxGates)
	}
	return gates
}

// typed returns an event as its form shows it.
func typed(e *events.Event) url.Values {
	at := func(t time.Time, layout string) []string { return []string{t.In(qrgate.Zone).Format(layout)} }
	values := url.Values{
		"event.name": {e.Name}, "event.about": {e.About}, "event.day": at(e.Starts, "2006-01-02"), "event.from": at(e.Starts, "15:04"),
		"event.last": at(e.Ends, "2006-01-02"), "event.to": at(e.Ends, "15:04"), "event.early": {strconv.Itoa(int(e.Early / time.Minute))},
		"version": {strconv.Itoa(e.Version)},
	}
	if e.Capacity > 0 {
		values.Set("event.capacity", strconv.Itoa(e.Capacity))
	}
	for field, is := range map[string]bool{"event.open": e.Open, "event.reentry": e.Reentry} {
		if is {
			values.Set(field, "1")
		}
	}
	for _, c := range e.Categories {
		values.Set("event.is."+string(c.Kind), "1")
		values.Set("event.called."+string(c.Kind), c.Name)
		values.Set("event.gates."+string(c.Kind), strings.Join(c.Gates, ", "))
		if c.Quota > 0 {
			values.Set("event.quota."+string(c.Kind), strconv.Itoa(c.Quota))
		}
	}
	return values
}

func (p *Pages) add(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data, err := p.formPage(r, v, form, nil)
	if err != nil {
		return err
	}
	var e events.Event
	no, _ := strconv.ParseUint(form.Values.Get("event.place"), 10, 32)
	place, err := p.reg.Place(r.Context(), uint32(no))
	switch {
	case errors.Is(err, qrgate.ErrNotFound), err == nil && (!place.Deleted.IsZero() || !v.May(place, mayOpen...)):
		form.Fail("event.place", "wrong.choice")
	case err != nil:
		return err
	default:
		e.Place, e.Organisation = place.No, place.Organisation
	}
	p.readEvent(form, &e)
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "event_form", data)
	}
	if err := p.events.Add(r.Context(), v.Who.Account.ID, &e); err != nil {
		return err
	}
	return v.Go(w, path(e.No), "event.added")
}

func (p *Pages) editForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	data, err := p.formPage(r, v, page.NewForm(typed(e)), e)
	if err != nil {
		return err
	}
	return v.Render(w, "event_form", data)
}

func (p *Pages) change(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data, err := p.formPage(r, v, form, e)
	if err != nil {
		return err
	}
	changed := *e
	if changed.Version, err = strconv.Atoi(form.Values.Get("version")); err != nil {
		return qrgate.ErrInvalid
	}
	p.readEvent(form, &changed)
	if form.OK() {
		err = p.events.Save(r.Context(), v.Who.Account.ID, &changed)
		switch {
		case errors.Is(err, events.ErrCategory):
			form.Fail("event.is.delegate", "event.category.guests")
		case errors.Is(err, qrgate.ErrConflict) && e.Cancelled.IsZero():
			// What was typed stays; it is saved over what somebody else has saved once
			// the viewer has seen that.
			form.Values.Set("version", fmt.Sprint(e.Version))
			form.Fail("event.name", "event.changed.meanwhile")
		case err != nil:
			return err
		default:
			return v.Go(w, path(e.No), "event.saved")
		}
	}
	return v.RenderStatus(w, http.StatusUnprocessableEntity, "event_form", data)
}
