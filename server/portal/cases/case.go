package cases

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// An option is one line of a list to choose from.
type option struct{ Value, Text string }

// A profileOption is a disease as the form of a new case explains it.
type profileOption struct{ ID, Name, About string }

func profiles(v *page.View) []profileOption {
	var all []profileOption
	for _, q := range trace.Profiles() {
		all = append(all, profileOption{q.ID, diseaseName(v, q.ID), aboutProfile(v, q)})
	}
	return all
}

func aboutProfile(v *page.View, q trace.Profile) string {
	least := v.T("cases.profile.any")
	if q.Minimum > 0 {
		least = sayLong(v, q.Minimum)
	}
	about := v.T("cases.profile.about", "days", q.Days, "minimum", least)
	if q.After > 0 {
		about += v.T("cases.profile.after", "after", sayLong(v, q.After))
	}
	if q.Approve {
		about += v.T("cases.profile.approve")
	}
	return about
}

// scopeOptions are where an officer may open a case, if there is a choice.
func scopeOptions(v *page.View) []option {
	var all []option
	for _, s := range v.Scopes(officers...) {
		all = append(all, option{s.String(), scopeName(v, s)})
	}
	return all
}

func scopeName(v *page.View, s qrgate.Scope) string {
	if s.Kind == qrgate.InArea {
		return page.AreaName(v.Lang, s.ID)
	}
	return v.T("cases.everywhere")
}

// A newPage is the form of a new case.
type newPage struct {
	Form     *page.Form
	Profiles []profileOption
	Scopes   []option
	Today    string
	States   []casebook.State
}

func (p *Pages) newPage(v *page.View, form *page.Form) newPage {
	return newPage{form, profiles(v), scopeOptions(v), qrgate.DayOf(p.f.Now()).String(), []casebook.State{casebook.Suspected, casebook.Confirmed}}
}

func (p *Pages) newCase(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "cases_new", p.newPage(v, page.NewForm(url.Values{"cases.state": {string(casebook.Suspected)}, "cases.profile": {trace.Suspected}})))
}

func (p *Pages) open(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	data := p.newPage(v, form)
	var o casebook.Opening
	o.State = casebook.State(form.Choice("cases.state", true, string(casebook.Suspected), string(casebook.Confirmed)))
	var ids []string
	for _, q := range data.Profiles {
		ids = append(ids, q.ID)
	}
	o.Profile = form.Choice("cases.profile", true, ids...)
	o.Purpose = readReason(form, "cases.purpose")
	o.From, o.To = p.readWindow(form)
	if len(data.Scopes) == 1 {
		form.Values.Set("cases.scope", data.Scopes[0].Value)
	}
	var scopes []string
	for _, s := range data.Scopes {
		scopes = append(scopes, s.Value)
	}
	o.Scope, _ = qrgate.ParseScope(form.Choice("cases.scope", true, scopes...))
	if form.Values.Get("cases.duty") != "1" {
		form.Fail("cases.duty", "cases.duty.must")
	}
	if !form.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "cases_new", data)
	}
	c, err := p.book.Open(r.Context(), v.Who.Account.ID, o)
	if err != nil {
		return err
	}
	return v.Go(w, casePath(c.ID), "cases.opened", "number", c.Number)
}

// readReason reads why something is done, in words that another officer can judge.
func readReason(form *page.Form, field string) string {
	s := form.Lines(field, casebook.MaxText, true)
	if s != "" && len([]rune(s)) < casebook.MinReason {
		form.Fail(field, "cases.reason.short", "least", casebook.MinReason)
		return ""
	}
	return s
}

// readWindow reads the days that a case asks about; without them it is as many as
// the disease says, until now.
func (p *Pages) readWindow(form *page.Form) (from, to time.Time) {
	now := p.f.Now()
	first, last := readDay(form, "cases.from"), readDay(form, "cases.to")
	if !first.IsZero() {
		from = first
	}
	if !last.IsZero() {
		to = last.AddDate(0, 0, 1)
		if to.After(now) {
			to = now
		}
	}
	end := to
	if end.IsZero() {
		end = now
	}
	switch {
	case !last.IsZero() && last.After(now):
		form.Fail("cases.to", "cases.window.future")
	case !from.IsZero() && !from.Before(end):
		form.Fail("cases.from", "cases.window.order")
	case !from.IsZero() && end.Sub(from) > casebook.MaxWindow:
		form.Fail("cases.from", "cases.window.long", "days", int(casebook.MaxWindow/(24*time.Hour)))
	}
	return from, to
}

func readDay(form *page.Form, field string) time.Time {
	s := form.Text(field, 10, false)
	if s == "" {
		return time.Time{}
	}
	d, err := qrgate.ParseDay(s)
	if err != nil {
		form.Fail(field, "wrong.date")
		return time.Time{}
	}
	return d.Start()
}

// A showPage is a case with what is to be done next.
type showPage struct {
	*head
	Form     *page.Form
	Field    string // whose form it is, so that others do not show its mistakes
	Person   *known // who is traced, nil before somebody is found
	Where    *spotName
	OpenedBy string
	Decided  string // who approved or refused
	Profile  string // what it means
	GlassBy  string
	Found    *foundPage
	Mine     bool   // the viewer has opened it
	Own      bool   // the viewer may not approve it
	Refused  string // key of why a page of persons was not shown
	Approver bool
	Officer  bool
	Now      time.Time
	States   []casebook.State
	Diseases []option   // that it may turn out to be
	Last     qrgate.Day // last day of the window
	Withheld int        // people whose data the case must not use without a reason
	Wider    []*known   // who is the traced person too, as another case says, and is not traced yet
}

// Ways are how somebody may be found.
func (d *showPage) Ways() []string { return lookups }

// CanBreak reports whether the viewer may look without waiting for approval.
func (d *showPage) CanBreak() bool {
	return d.Officer && !d.Open && !d.Ended && (d.Person != nil || d.Where != nil) && (d.Approval == casebook.Needed || d.Approval == casebook.Asked) &&
		(d.Glass == nil || !d.Glass.Reviewed.IsZero())
}

func (p *Pages) showPage(r *http.Request, v *page.View, h *head) (*showPage, error) {
	ctx, me := r.Context(), v.Who.Account.ID
	d := &showPage{head: h, Form: page.NewForm(nil), Now: p.f.Now(), Mine: h.OpenedBy == me, Officer: h.Working, Approver: len(v.Scopes(qrgate.Approver)) > 0}
	d.Own = d.Mine || h.Glass != nil && h.Glass.By == me
	d.Last = qrgate.DayOf(h.To.Add(-time.Millisecond))
	var err error
	if d.OpenedBy, err = p.accountName(ctx, v, h.OpenedBy); err != nil {
		return nil, err
	}
	if h.DecidedBy != "" {
		if d.Decided, err = p.accountName(ctx, v, h.DecidedBy); err != nil {
			return nil, err
		}
	}
	if h.Glass != nil {
		if d.GlassBy, err = p.accountName(ctx, v, h.Glass.By); err != nil {
			return nil, err
		}
	}
	if q, ok := trace.FindProfile(h.Case.Profile); ok {
		d.Profile = aboutProfile(v, q)
	}
	for _, s := range casebook.States() {
		if s != h.State {
			d.States = append(d.States, s)
		}
	}
	for _, q := range trace.Profiles() {
		if q.ID != h.Case.Profile {
			d.Diseases = append(d.Diseases, option{q.ID, diseaseName(v, q.ID)})
		}
	}
	if h.Place != (qrgate.Spot{}) {
		s, err := p.name(ctx, v, spots{}, h.Place)
		if err != nil {
			return nil, err
		}
		d.Where = &s
	}
	if h.Index != (casebook.Ref{}) && d.Officer && !h.Ended {
		cards, err := p.book.Cards(ctx, me, h.ID, h.Index)
		if err != nil {
			return nil, err
		}
		d.Person = knownOf(&cards[0])
	}
	if !d.Officer || !h.Open || h.Ended {
		return d, nil
	}
	if d.Withheld, err = p.book.Withheld(ctx, me, h.ID); err != nil {
		return nil, err
	}
	wider, err := p.book.Widening(ctx, me, h.ID)
	for i := range wider {
		d.Wider = append(d.Wider, knownOf(&wider[i]))
	}
	return d, err
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.load(r, v)
	if err != nil {
		return err
	}
	if err := p.book.SeeNotices(r.Context(), v.Who.Account.ID, h.ID); err != nil {
		return err
	}
	return p.render(w, r, v, h, nil, "", http.StatusOK)
}

// render shows the case, with a form that is to be corrected if there is one.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, v *page.View, h *head, form *page.Form, field string, status int) error {
	d, err := p.showPage(r, v, h)
	if err != nil {
		return err
	}
	if form != nil {
		d.Form, d.Field = form, field
	}
	return v.RenderStatus(w, status, "cases_case", d)
}

// change reads a form that changes a case and lets fn do it.
func (p *Pages) change(w http.ResponseWriter, r *http.Request, v *page.View, field, notice string, fn func(h *head, form *page.Form, version int) error) error {
	h, err := p.load(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	n, err := version(form)
	if err != nil {
		return err
	}
	if err := fn(h, form, n); err != nil {
		return err
	}
	if !form.OK() {
		return p.render(w, r, v, h, form, field, http.StatusUnprocessableEntity)
	}
	return v.Go(w, h.Path(), notice)
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "ask", "cases.asked", func(h *head, _ *page.Form, n int) error {
		return p.book.Ask(r.Context(), v.Who.Account.ID, h.ID, n)
	})
}

func (p *Pages) decide(w http.ResponseWriter, r *http.Request, v *page.View) error {
	notice := "cases.refused"
	if r.PostFormValue("cases.decision") == "approve" {
		notice = "cases.approved"
	}
	return p.change(w, r, v, "decide", notice, func(h *head, form *page.Form, n int) error {
		yes := form.Choice("cases.decision", true, "approve", "refuse") == "approve"
		if !form.OK() {
			return nil
		}
		return p.book.Decide(r.Context(), v.Who.Account.ID, h.ID, n, yes)
	})
}

func (p *Pages) breakGlass(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "glass", "cases.glass.broken", func(h *head, form *page.Form, n int) error {
		reason := readReason(form, "cases.glass")
		if form.Values.Get("cases.glass.sure") != "1" {
			form.Fail("cases.glass.sure", "cases.glass.sure.must")
		}
		if !form.OK() {
			return nil
		}
		return p.book.BreakGlass(r.Context(), v.Who.Account.ID, h.ID, n, reason)
	})
}

// widen lets those be traced too who are the traced person, as another case says.
func (p *Pages) widen(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "wider", "cases.wider.done", func(h *head, form *page.Form, n int) error {
		if form.Values.Get("cases.wider.sure") != "1" {
			form.Fail("cases.wider.sure", "cases.same.sure.must")
			return nil
		}
		return p.book.Widen(r.Context(), v.Who.Account.ID, h.ID, n)
	})
}

// useRestricted lets the case use data whose use people had restricted.
func (p *Pages) useRestricted(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "restrained", "cases.restrained.used", func(h *head, form *page.Form, n int) error {
		reason := readReason(form, "cases.restrained")
		if form.Values.Get("cases.restrained.sure") != "1" {
			form.Fail("cases.restrained.sure", "cases.restrained.sure.must")
		}
		if !form.OK() {
			return nil
		}
		_, err := p.book.UseRestricted(r.Context(), v.Who.Account.ID, h.ID, n, reason)
		return err
	})
}

func (p *Pages) setState(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "state", "cases.saved", func(h *head, form *page.Form, n int) error {
		var states []string
		for _, s := range casebook.States() {
			states = append(states, string(s))
		}
		s := form.Choice("cases.state", true, states...)
		if !form.OK() {
			return nil
		}
		return p.book.SetState(r.Context(), v.Who.Account.ID, h.ID, n, casebook.State(s))
	})
}

// setProfile says which disease it has turned out to be.
func (p *Pages) setProfile(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "profile", "cases.profile.set", func(h *head, form *page.Form, n int) error {
		var ids []string
		for _, q := range trace.Profiles() {
			if q.ID != h.Case.Profile {
				ids = append(ids, q.ID)
			}
		}
		id := form.Choice("cases.profile", true, ids...)
		if !form.OK() {
			return nil
		}
		return p.book.SetProfile(r.Context(), v.Who.Account.ID, h.ID, n, id)
	})
}

func (p *Pages) extend(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "ends", "cases.saved", func(h *head, form *page.Form, n int) error {
		ends := readDay(form, "cases.ends")
		last := h.Opened.Add(casebook.MaxLife)
		switch {
		case !form.OK():
			return nil
		case ends.IsZero():
			form.Fail("cases.ends", "wrong.empty")
			return nil
		case !ends.After(p.f.Now()) || ends.After(last):
			form.Fail("cases.ends", "cases.ends.wrong", "last", dayOf(qrgate.DayOf(last)))
			return nil
		}
		return p.book.Extend(r.Context(), v.Who.Account.ID, h.ID, n, ends)
	})
}

func (p *Pages) setWindow(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.change(w, r, v, "window", "cases.saved", func(h *head, form *page.Form, n int) error {
		from, to := p.readWindow(form)
		if from.IsZero() {
			form.Fail("cases.from", "wrong.empty")
		}
		if !form.OK() {
			return nil
		}
		if to.IsZero() {
			to = p.f.Now()
		}
		return p.book.SetWindow(r.Context(), v.Who.Account.ID, h.ID, n, from, to)
	})
}

// A glassRow is a time that somebody looked without approval, for whoever reviews it.
type glassRow struct {
	casebook.Glass
	Who string
}

type glassPage struct {
	Form   *page.Form
	Of     string // id of the one whose form is to be corrected
	Rows   []glassRow
	Others []glassRow // reviewed
	Blank  *page.Form // of the others
}

func (p *Pages) glassPage(r *http.Request, v *page.View) (*glassPage, error) {
	all, err := p.book.Glasses(r.Context(), v.Who.Account.ID, false)
	if err != nil {
		return nil, err
	}
	d := &glassPage{Form: page.NewForm(nil), Blank: page.NewForm(nil)}
	for _, g := range all {
		who, err := p.accountName(r.Context(), v, g.By)
		if err != nil {
			return nil, err
		}
		if g.Reviewed.IsZero() {
			d.Rows = append(d.Rows, glassRow{g, who})
		} else {
			d.Others = append(d.Others, glassRow{g, who})
		}
	}
	return d, nil
}

func (p *Pages) glasses(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d, err := p.glassPage(r, v)
	if err != nil {
		return err
	}
	for _, g := range d.Rows {
		if err := p.book.SeeNotices(r.Context(), v.Who.Account.ID, g.Case); err != nil {
			return err
		}
	}
	return v.Render(w, "cases_glasses", d)
}

func (p *Pages) review(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	id := page.ID(r)
	d, err := p.glassPage(r, v)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(d.Rows, func(g glassRow) bool { return g.ID == id }) && !slices.ContainsFunc(d.Others, func(g glassRow) bool { return g.ID == id }) {
		return qrgate.ErrNotFound
	}
	proper := form.Choice("cases.proper", true, "yes", "no") == "yes"
	verdict := readReason(form, "cases.verdict")
	if !form.OK() {
		d.Form, d.Of = form, id
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "cases_glasses", d)
	}
	if err := p.book.Review(r.Context(), v.Who.Account.ID, id, proper, verdict); err != nil {
		return err
	}
	return v.Go(w, "/ca-benh-khan-cap", "cases.reviewed")
}

func pageNo(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("trang"))
	if err != nil || n < 1 || n > 10_000 {
		return 0
	}
	return n - 1
}
