package config

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	kept "github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// A row is one setting of a layer.
type row struct {
	configs.Setting
	Field page.Field
	May   bool
	Is    string   // in words, what counts; "" is what the kiosk's own file says
	From  string   // in words, who says that
	Here  bool     // this layer says it
	Given []string // values that may be chosen
}

// Named returns the value of a choice in words.
func (r row) Named(v *page.View, value string) string { return inWords(v, r.Setting, value) }

// Chosen reports whether a kind of pass is among those that are typed.
func (r row) Chosen(value string) bool { return slices.Contains(r.Field.Form.Values[r.Key], value) }

// inWords returns a value as people say it.
func inWords(v *page.View, s configs.Setting, value string) string {
	switch {
	case value == "":
		return ""
	case s.Kind == configs.Choice:
		return v.T("config.value." + s.Key + "." + value)
	case s.Kind == configs.Switch:
		return v.T("config.value." + value)
	case s.Kind == configs.Seconds:
		return v.T("config.seconds", "n", value)
	case s.Kind == configs.Passes:
		names := strings.Split(value, ",")
		for i, name := range names {
			names[i] = v.T("config.pass." + name)
		}
		return strings.Join(names, ", ")
	case s.Key == "sound.volume":
		return value + " %"
	case s.Key == "cards.stale_days", s.Key == "lease.days":
		return v.T("config.days", "n", value)
	}
	return value
}

// A section is settings that are shown together.
type section struct {
	Name string
	Rows []row
}

// A changed is one line of a difference.
type changed struct {
	configs.Setting
	Before, After string // in words; "" is not said
}

func changesOf(v *page.View, before, after configs.Settings) []changed {
	var all []changed
	for _, c := range configs.Diff(before, after) {
		all = append(all, changed{c.Setting, inWords(v, c.Setting, c.Before), inWords(v, c.Setting, c.After)})
	}
	return all
}

// shown is what a page of a layer shows; the rest follows from its subject.
type shown struct {
	Form     *page.Form // what is typed; nil is what the layer says
	Base     int        // that it is typed over
	Late     *kept.Version
	Problems []problem
	// The newest version, and its difference to what is typed where that is to be
	// confirmed.
	Newest  kept.Version
	Confirm bool
	Changes []changed
	Reaches int

	Subject  subject
	Sections []section
	Versions []kept.Version
	Groups   []kept.Group
	Others   int // settings that a later release has said
	State    *state
	View     *page.View
}

// A state is how far a kiosk is.
type state struct {
	configs.Status
	kept.State
	Newest  kept.Document // of version 0 if there is none
	Running uint64        // version
	Ahead   []changed     // from what runs to what is wanted
	Why     string        // why there is no document of what is said, or why it was refused
	Stale   bool          // what is said now makes no document: the one before stays
	Unsaid  bool          // for something has to be said first
}

func (p *Pages) layer(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := p.subject(r, v)
	if err != nil {
		return err
	}
	d := shown{}
	if no, err := strconv.Atoi(r.URL.Query().Get("ban")); err == nil && no > 0 && s.Keeps {
		return p.back(w, r, v, s, no)
	}
	return p.showLayer(w, r, v, http.StatusOK, s, d)
}

func (p *Pages) kiosk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.layer(w, r, v)
}

// back shows what it would change to return to a version.
func (p *Pages) back(w http.ResponseWriter, r *http.Request, v *page.View, s subject, no int) error {
	old, err := p.Version(r.Context(), s.ID, no)
	if err != nil {
		return err
	}
	newest, err := p.Version(r.Context(), s.ID, 0)
	if err != nil {
		return err
	}
	d := shown{Form: formOf(old.Settings), Base: newest.No, Confirm: true}
	d.Form.Values.Set("config_why", v.T("config.back.why", "n", strconv.Itoa(no)))
	return p.showLayer(w, r, v, http.StatusOK, s, d)
}

// change shows what a form changes, and saves it once that was seen.
func (p *Pages) change(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := p.subject(r, v)
	if err != nil {
		return err
	}
	if !s.Changes() {
		return qrgate.ErrForbidden
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	newest, err := p.Version(r.Context(), s.ID, 0)
	if err != nil {
		return err
	}
	d := shown{Form: f}
	d.Base, _ = strconv.Atoi(f.Values.Get("base"))
	said := valuesOf(f, s, newest.Settings)
	why := f.Text("config_why", kept.MaxWhy/4, true)
	switch {
	case f.Values.Get("step") == "edit":
		f.Wrong = nil
		return p.showLayer(w, r, v, http.StatusOK, s, d)
	case d.Base != newest.No:
		d.Late, d.Base = &newest, newest.No
		return p.showLayer(w, r, v, http.StatusConflict, s, d)
	case !f.OK():
		return p.showLayer(w, r, v, http.StatusUnprocessableEntity, s, d)
	case len(configs.Diff(newest.Settings, said)) == 0:
		f.Fail("config_why", "config.same")
		return p.showLayer(w, r, v, http.StatusUnprocessableEntity, s, d)
	}
	if d.Problems, err = p.judge(r, v, s, said); err != nil {
		return err
	}
	if len(d.Problems) > 0 {
		return p.showLayer(w, r, v, http.StatusUnprocessableEntity, s, d)
	}
	if f.Values.Get("step") != "save" {
		d.Confirm = true
		return p.showLayer(w, r, v, http.StatusOK, s, d)
	}
	_, err = p.Save(r.Context(), kept.Change{Layer: s.ID, Base: d.Base, Settings: said, Why: why, By: v.Who.Account.ID})
	if errors.Is(err, qrgate.ErrConflict) { // somebody was faster by less than this took
		if newest, err = p.Version(r.Context(), s.ID, 0); err != nil {
			return err
		}
		d.Late, d.Base = &newest, newest.No
		return p.showLayer(w, r, v, http.StatusConflict, s, d)
	}
	if err != nil {
		return err
	}
	return v.Go(w, s.Path, "config.saved")
}

// mostProblems is how many kiosks are named that could not run with a change.
const mostProblems = 10

// judge returns the kiosks that could run with what is said now and could not with
// the change.
func (p *Pages) judge(r *http.Request, v *page.View, s subject, said configs.Settings) ([]problem, error) {
	kiosks, err := p.reached(r.Context(), s.ID)
	if err != nil {
		return nil, err
	}
	var problems []problem
	for _, k := range kiosks {
		_, err := k.With(s.ID, said).Document()
		if err == nil || errors.Is(err, configs.ErrUnsaid) && s.Kind != "kiosk" {
			continue
		}
		if _, before := k.Document(); before != nil && s.Kind != "kiosk" {
			continue // it is not this change's fault
		}
		if problems = append(problems, problem{k.ID, blame(v, err)}); len(problems) == mostProblems {
			break
		}
	}
	return problems, nil
}

// showLayer shows the page of a layer, or if d is to be confirmed what it changes.
func (p *Pages) showLayer(w http.ResponseWriter, r *http.Request, v *page.View, status int, s subject, d shown) error {
	ctx := r.Context()
	d.Subject, d.View = s, v
	versions, err := p.Versions(ctx, s.ID)
	if err != nil {
		return err
	}
	d.Versions, d.Newest = versions, kept.Version{Layer: s.ID, Settings: configs.Settings{}}
	if len(versions) > 0 {
		d.Newest = versions[0]
	}
	d.Others = len(d.Newest.Settings.Others())
	reached, err := p.reached(ctx, s.ID)
	if err != nil {
		return err
	}
	d.Reaches = len(reached)
	if d.Form == nil {
		d.Form, d.Base = formOf(d.Newest.Settings), d.Newest.No
	}
	if d.Confirm {
		d.Changes = changesOf(v, d.Newest.Settings, valuesOf(d.Form, s, d.Newest.Settings))
		return v.RenderStatus(w, status, "config_confirm", d)
	}
	if d.Groups, err = p.Groups(ctx); err != nil {
		return err
	}
	values, err := p.below(r, s)
	if err != nil {
		return err
	}
	d.Sections = p.sections(v, s, d, values)
	if s.Kiosk != nil {
		if d.State, err = p.state(r, v, *s.Kiosk); err != nil {
			return err
		}
	}
	return v.RenderStatus(w, status, "config_layer", d)
}

// below returns what counts for a layer's kiosks, as far as it is the same for all of
// them.
func (p *Pages) below(r *http.Request, s subject) ([]configs.Value, error) {
	if s.Kiosk != nil {
		return s.Kiosk.Values(), nil
	}
	var layers []configs.Layer
	for _, id := range []configs.LayerID{configs.Everywhere, s.ID} {
		newest, err := p.Version(r.Context(), id, 0)
		if err != nil {
			return nil, err
		}
		layers = append(layers, configs.Layer{ID: id, Settings: newest.Settings})
	}
	place := ""
	if s.Place != nil {
		place = s.Place.Name
	}
	return configs.Effective(place, layers...), nil
}

// sections returns the settings that can be said in a layer, or count for a kiosk.
func (p *Pages) sections(v *page.View, s subject, d shown, values []configs.Value) []section {
	var all []section
	for _, value := range values {
		if !s.ID.OfOne() && value.OfOne || s.Kiosk == nil && !s.Keeps && s.Changes() && !s.May(value.Setting) {
			continue // of the page of each kiosk
		}
		name, _, _ := strings.Cut(value.Key, ".")
		if len(all) == 0 || all[len(all)-1].Name != name {
			all = append(all, section{Name: name})
		}
		of, given := &all[len(all)-1], value.Choices
		if value.Kind == configs.Switch {
			given = []string{configs.Yes, configs.No}
		}
		of.Rows = append(of.Rows, row{
			Setting: value.Setting, Field: page.Field{Form: d.Form, Name: value.Key, Label: "config.set." + value.Key},
			May: s.May(value.Setting), Is: inWords(v, value.Setting, value.Value), From: p.from(v, s, d.Groups, value.From),
			Here: value.From == s.ID, Given: given,
		})
	}
	return all
}

// from says in words who says a value.
func (p *Pages) from(v *page.View, s subject, groups []kept.Group, id configs.LayerID) string {
	if g, ok := id.Group(); ok {
		for _, group := range groups {
			if group.ID == g {
				return v.T("config.from.group", "name", group.Name)
			}
		}
	}
	switch _, place := id.Place(); {
	case id == s.ID:
		return v.T("config.from.here")
	case place:
		return v.T("config.from.place")
	}
	return v.T("config.from." + string(id))
}

// state returns how far a kiosk is.
func (p *Pages) state(r *http.Request, v *page.View, k kept.Kiosk) (*state, error) {
	ctx := r.Context()
	st := new(state)
	var err error
	if st.State, err = p.State(ctx, k.ID); err != nil {
		return nil, err
	}
	if st.Newest, err = p.Document(ctx, k.ID, 0); err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return nil, err
	}
	generation, err := p.Generation(ctx)
	if err != nil {
		return nil, err
	}
	newest := wire.Stamp{Generation: generation, Version: st.Newest.Version}
	st.Status = configs.StatusOf(newest, st.Config)
	doc, err := k.Document()
	switch {
	case errors.Is(err, configs.ErrUnsaid):
		st.Unsaid, st.Stale, st.Why = true, st.Newest.Version > 0, blame(v, err)
	case err != nil:
		st.Stale, st.Why = true, blame(v, err)
	case st.Newest.Version == 0 || len(configs.Diff(configs.Said(st.Newest.Body), configs.Said(doc))) > 0:
		// The server has not got round to it: the next look makes a new version.
		st.Status = configs.StatusWaiting
	}
	if st.Config == nil {
		return st, nil
	}
	st.Running = st.Config.Running.Version
	if st.Status != configs.StatusRunning && st.Running > 0 && st.Newest.Version > 0 {
		was, err := p.Document(ctx, k.ID, st.Running)
		if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			st.Ahead = changesOf(v, configs.Said(was.Body), configs.Said(st.Newest.Body))
		}
	}
	return st, nil
}

// Ago returns the moment of a kiosk's last word.
func (s state) Ago() time.Time { return s.Contact }
