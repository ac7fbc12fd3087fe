package rights

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
)

// An option is a choice in a form.
type option struct{ Value, Text string }

func options(v *page.View, prefix string, values ...string) (all []option) {
	for _, value := range values {
		all = append(all, option{value, v.T(prefix + value)})
	}
	return all
}

// What forms let choose from.
var (
	relations = []string{"self", "guardian", "authorised"}
	papers    = []string{"cccd", "vneid", "card", "birth", "other"}
	numbers   = map[string]pass.Kind{"card": pass.Card, "phone": pass.Phone, "cccd": pass.CCCD, "bhyt": pass.BHYT, "event": pass.Event}
	numbered  = []string{"card", "phone", "cccd", "bhyt", "event"} // in the order in which people are shown them
)

func kindNames() (all []string) {
	for _, k := range rights.Kinds() {
		all = append(all, string(k))
	}
	return all
}

func reasonNames() (all []string) {
	for _, r := range rights.Reasons() {
		all = append(all, string(r))
	}
	return all
}

// perPage is how many requests a page shows.
const perPage = 25

// A pager is the links to the pages of a list, as the part of that name shows it.
type pager struct {
	Before, After string
	From, To, All int
}

func newPager(r *http.Request, path string, shown, all int) (no int, p pager) {
	no, err := strconv.Atoi(r.FormValue("trang"))
	if err != nil || no < 0 || no > 1e6 {
		no = 0
	}
	p = pager{From: no*perPage + 1, To: no*perPage + shown, All: all}
	if no > 0 {
		p.Before = path + "?trang=" + strconv.Itoa(no-1)
	}
	if p.To < all {
		p.After = path + "?trang=" + strconv.Itoa(no+1)
	}
	return no, p
}

// offices returns those whose requests somebody may see: nil is all.
func offices(v *page.View) []qrgate.Scope {
	if len(v.Scopes(qrgate.Protection)) > 0 {
		return nil
	}
	return append([]qrgate.Scope{}, v.Scopes(qrgate.Clerk)...)
}

func (p *Pages) requests(w http.ResponseWriter, r *http.Request, v *page.View) error {
	no, _ := newPager(r, "", 0, 0)
	list, all, err := p.Requests.List(r.Context(), offices(v), no, perPage)
	if err != nil {
		return err
	}
	_, links := newPager(r, base+"/yeu-cau", len(list), all)
	return v.Render(w, "rights-requests", struct {
		List    []*rights.Request
		Pager   pager
		Now     time.Time
		Officer bool
	}{list, links, p.f.Now(), len(v.Scopes(qrgate.Protection)) > 0})
}

// A requestForm is the page on which a request is taken.
type requestForm struct {
	Form                               *page.Form
	Kinds, Relations, Papers, Numbered []option
}

func newRequestForm(v *page.View, f *page.Form) requestForm {
	return requestForm{f, options(v, "rights.kind.", kindNames()...), options(v, "rights.relation.", relations...),
		options(v, "rights.paper.", papers...), options(v, "rights.number.", numbered...)}
}

func (p *Pages) newRequest(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "rights-new", newRequestForm(v, page.NewForm(nil)))
}

func (p *Pages) addRequest(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	q := &rights.Request{Kind: rights.Kind(f.Choice("rights.kind", true, kindNames()...)), Asker: &rights.Asker{
		Name: f.Text("rights.name", 100, true), Contact: f.Text("rights.contact", 200, true),
		Relation: f.Choice("rights.relation", true, relations...), Checked: f.Choice("rights.paper", true, papers...),
		Text: f.Lines("rights.text", 2000, false), Of: f.Text("rights.of", 100, false),
	}}
	if f.Choice("rights.checked", false, "1") == "" {
		f.Fail("rights.checked", "rights.wrong.checked")
	}
	kind, number := readNumber(f)
	if q.Asker.Relation == "self" {
		q.Asker.Of = ""
	} else if kind == pass.Phone && q.Asker.Of == "" {
		f.Fail("rights.of", "rights.wrong.of")
	}
	if f.OK() && number != "" {
		if err := p.search(r.Context(), q.Asker, kind, number); err != nil {
			return err
		}
	}
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "rights-new", newRequestForm(v, f))
	}
	q.Office = qrgate.All
	if own := v.Scopes(qrgate.Clerk); len(own) > 0 {
		q.Office = own[0]
	}
	if err := p.Requests.Add(r.Context(), v.Who.Account.ID, q); err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.taken", "at", q.AnswerBy.In(qrgate.Zone).Format("02/01/2006"))
}

// search finds whose data it is that is asked for, under all that number and name
// find.
func (p *Pages) search(ctx context.Context, a *rights.Asker, kind pass.Kind, number string) error {
	done, err := p.searches.Take(ctx)
	if err != nil {
		return err
	}
	defer done()
	name := a.Of
	if a.Relation == "self" {
		name = a.Name
	}
	found, others, err := p.Keeper.Search(ctx, kind, number, name)
	if len(found) > 0 {
		a.Person, a.Also = found[0], found[1:]
	}
	a.Others = others
	return err
}

// readNumber reads the number in a form; "" if there is none, or it is wrong.
func readNumber(f *page.Form) (pass.Kind, string) {
	kind := f.Choice("rights.number_kind", false, numbered...)
	number := f.Text("rights.number", 60, kind != "")
	if kind == "" && number != "" {
		f.Fail("rights.number_kind", "wrong.empty")
	}
	if kind == "" || number == "" {
		return 0, ""
	}
	if kind == "phone" {
		number = f.Phone("rights.number", true)
	} else {
		number = strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(number))
		if kind == "card" || kind == "event" {
			no, err := strconv.ParseUint(number, 10, 32)
			if err != nil || no == 0 {
				f.Fail("rights.number", "rights.wrong.card")
			}
			number = strconv.FormatUint(no, 10)
		}
	}
	return numbers[kind], number
}

// load returns a request that somebody may see.
func (p *Pages) load(r *http.Request, v *page.View) (*rights.Request, error) {
	q, err := p.Requests.Request(r.Context(), page.ID(r))
	if err != nil {
		return nil, err
	}
	in := offices(v)
	if in == nil {
		return q, nil
	}
	for _, o := range in {
		if o == q.Office {
			return q, nil
		}
	}
	return nil, qrgate.ErrNotFound
}

// A requestPage is the page of a request.
type requestPage struct {
	*rights.Request
	Form    *page.Form
	Officer bool // who sees it may act
	Held    bool // something is held of the person
	// Whose are all that the person is known as, Merged those of them that were not
	// found and can be parted, by their number among all.
	Whose  retention.Identities
	Merged []option
	Needed bool // by an open case; not said to a clerk, who may have typed in a neighbour's number
	Proof  bool // of an erasure
	// Standing says that what was restricted is restricted still, Restrains that to
	// fulfil it keeps data from being used.
	Standing, Restrains bool
	Reasons             []option
	Took                string // name of who took it
	Did                 string // and of who did the last
	Now                 time.Time
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View, q *rights.Request, f *page.Form, status int) error {
	d := requestPage{Request: q, Form: f, Officer: len(v.Scopes(qrgate.Protection)) > 0, Reasons: options(v, "rights.reason.", reasonNames()...), Now: p.f.Now()}
	names := map[string]string{}
	var err error
	if d.Took, err = p.nameOf(r.Context(), names, q.Clerk); err != nil {
		return err
	}
	if d.Did, err = p.nameOf(r.Context(), names, q.Officer); err != nil {
		return err
	}
	if d.Whose, err = p.Keeper.Identities(r.Context(), q.Asker.Persons()...); err != nil {
		return err
	}
	for i, one := range d.Whose {
		if one.Why == retention.Merged {
			no := strconv.Itoa(i + 1)
			d.Merged = append(d.Merged, option{no, no + ". " + v.T("identity.what."+string(one.What))})
		}
	}
	if d.Held = len(d.Whose) > 0; d.Held && d.Officer {
		if d.Needed, err = p.Keeper.NeededBy(r.Context(), d.Whose); err != nil {
			return err
		}
	}
	d.Restrains = q.Kind.Restrains()
	if d.Standing, err = p.Rights.Standing(r.Context(), q.ID); err != nil {
		return err
	}
	if _, err := p.Rights.ProofOf(r.Context(), q.ID); err == nil {
		d.Proof = true
	} else if !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	return v.RenderStatus(w, status, "rights-request", d)
}

func (p *Pages) request(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, err := p.load(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, v, q, page.NewForm(nil), http.StatusOK)
}

// act reads a form about a request, of the version that its page showed.
func (p *Pages) act(r *http.Request, v *page.View) (*rights.Request, *page.Form, int, error) {
	f, err := page.ReadForm(r)
	if err != nil {
		return nil, nil, 0, err
	}
	q, err := p.load(r, v)
	if err != nil {
		return nil, nil, 0, err
	}
	version, err := strconv.Atoi(f.Values.Get("version"))
	if err != nil {
		return nil, nil, 0, qrgate.ErrInvalid
	}
	return q, f, version, nil
}

// actOn is act on all that the person is known as.
func (p *Pages) actOn(r *http.Request, v *page.View) (q *rights.Request, f *page.Form, version int, of retention.Identities, err error) {
	if q, f, version, err = p.act(r, v); err == nil {
		of, err = p.Keeper.Identities(r.Context(), q.Asker.Persons()...)
	}
	return q, f, version, of, err
}

func (p *Pages) answer(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, _, version, err := p.act(r, v)
	if err != nil {
		return err
	}
	if err := p.Requests.Answer(r.Context(), v.Who.Account.ID, q.ID, version); err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.answered")
}

func (p *Pages) finish(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, f, version, err := p.act(r, v)
	if err != nil {
		return err
	}
	var reason rights.Reason
	if f.Choice("rights.end", true, "done", "refused") == "refused" {
		reason = rights.Reason(f.Choice("rights.reason", true, reasonNames()...))
	} else if q.Kind == rights.Erasure && len(q.Asker.Persons()) > 0 {
		f.Fail("rights.end", "rights.wrong.erase") // it is done by erasing
	}
	if !f.OK() {
		return p.show(w, r, v, q, f, http.StatusUnprocessableEntity)
	}
	if q.Version != version {
		return qrgate.ErrConflict
	}
	by, of := v.Who.Account.ID, q.Asker.Persons()
	finish := func() error { return p.Requests.Finish(r.Context(), by, q.ID, version, reason) }
	if q.Kind.Restrains() && reason == "" && q.Open() && len(of) > 0 {
		if q.Kind == rights.Objection {
			all, err := p.Keeper.Identities(r.Context(), of...)
			if err == nil {
				err = p.Keeper.Object(r.Context(), by, all)
			}
			if err != nil {
				return err
			}
		}
		err = p.Keeper.Restrain(r.Context(), by, q.ID, q.Kind, of, finish)
	} else {
		err = finish()
	}
	if err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.finished")
}

// lift lets data be used again, because who restricted it says so.
func (p *Pages) lift(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, f, _, err := p.act(r, v)
	if err != nil {
		return err
	}
	if f.Choice("rights.lift.sure", false, "1") == "" {
		f.Fail("rights.lift.sure", "rights.wrong.sure")
		return p.show(w, r, v, q, f, http.StatusUnprocessableEntity)
	}
	if err := p.Keeper.Lift(r.Context(), v.Who.Account.ID, q.ID); err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.lifted")
}

// export sends all that is held of the person.
func (p *Pages) export(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, f, _, of, err := p.actOn(r, v)
	if err != nil {
		return err
	}
	if !q.Open() || len(of) == 0 {
		return qrgate.ErrConflict
	}
	d, err := p.Keeper.Export(r.Context(), v.Who.Account.ID, rights.RequestObject(q.ID), of)
	if err != nil {
		return err
	}
	if f.Values.Get("dang") == "json" {
		file, err := p.Keeper.File(d)
		if err != nil {
			return err
		}
		page.Send(w, "application/json", "qrgate-du-lieu-ca-nhan.json", file)
		return nil
	}
	if f.Values.Get("dang") == "pdf" {
		file, err := d.PDF(text.Vietnamese)
		if err != nil {
			return err
		}
		page.Send(w, "application/pdf", "qrgate-du-lieu-ca-nhan.pdf", file)
		return nil
	}
	sheet, err := d.HTML(text.Vietnamese)
	if err != nil {
		return err
	}
	page.Send(w, "text/html; charset=utf-8", "qrgate-du-lieu-ca-nhan.html", sheet)
	return nil
}

// erase erases the person who asked for it.
func (p *Pages) erase(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, f, version, of, err := p.actOn(r, v)
	if err != nil {
		return err
	}
	// Who is erased is who the officer was shown.
	if !q.Open() || q.Kind != rights.Erasure || len(of) == 0 || q.Version != version || f.Values.Get("ai") != of.Mark() {
		return qrgate.ErrConflict
	}
	if f.Choice("rights.sure", false, "1") == "" {
		f.Fail("rights.sure", "rights.wrong.sure")
		return p.show(w, r, v, q, f, http.StatusUnprocessableEntity)
	}
	_, err = p.Keeper.Erase(r.Context(), v.Who.Account.ID, rights.RequestObject(q.ID), of)
	if errors.Is(err, retention.ErrNeeded) {
		f.Fail("rights.sure", "rights.wrong.needed")
		return p.show(w, r, v, q, f, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	if err := p.Requests.Finish(r.Context(), v.Who.Account.ID, q.ID, version, ""); err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.erased")
}

// part says that one whom somebody has merged with the person is another human.
func (p *Pages) part(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, f, version, of, err := p.actOn(r, v)
	if err != nil {
		return err
	}
	if !q.Open() || q.Version != version || f.Values.Get("ai") != of.Mark() {
		return qrgate.ErrConflict
	}
	no, err := strconv.Atoi(f.Values.Get("rights.part"))
	if err != nil || no < 1 || no > len(of) || of[no-1].Why != retention.Merged {
		f.Fail("rights.part", "wrong.choice")
	}
	if f.Choice("rights.part.sure", false, "1") == "" {
		f.Fail("rights.part.sure", "rights.wrong.part")
	}
	if !f.OK() {
		return p.show(w, r, v, q, f, http.StatusUnprocessableEntity)
	}
	if err := p.Keeper.Part(r.Context(), v.Who.Account.ID, rights.RequestObject(q.ID), of[no-1].Person); err != nil {
		return err
	}
	return v.Go(w, base+"/yeu-cau/"+q.ID, "rights.parted")
}

// proof sends the signed file of what was erased.
func (p *Pages) proof(w http.ResponseWriter, r *http.Request, v *page.View) error {
	q, err := p.load(r, v)
	if err != nil {
		return err
	}
	file, err := p.Rights.ProofOf(r.Context(), q.ID)
	if err != nil {
		return err
	}
	page.Send(w, "application/json", "qrgate-da-xoa.json", file)
	return nil
}

// A looksPage is the page on which a holder is told who looked.
type looksPage struct {
	Form     *page.Form
	Numbered []option
	Asked    bool
	Known    bool
	Lines    []toldLook
}

type toldLook struct {
	retention.Look
	Said string
}

func (p *Pages) askLooks(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "rights-seen", looksPage{Form: page.NewForm(nil), Numbered: options(v, "rights.number.", numbered...)})
}

// What one clerk may ask within an hour: whoever is not the person guesses.
const (
	toldPerHour    = 30
	refusedPerHour = 5
)

// tellLooks tells a holder who has looked at them, on the word of a clerk who has seen
// a paper and only if the holder knows more of themselves than one number.
func (p *Pages) tellLooks(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	ctx, me := r.Context(), v.Who.Account.ID
	d := looksPage{Form: f, Numbered: options(v, "rights.number.", numbered...)}
	kind := f.Choice("rights.number_kind", true, numbered...)
	if kind == "" {
		f.Text("rights.number", 60, true)
	}
	second := f.Text("rights.second", 100, true)
	if f.Choice("rights.checked", false, "1") == "" {
		f.Fail("rights.checked", "rights.wrong.checked")
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	status, err := p.mayTell(ctx, me, f)
	if err != nil {
		return err
	}
	var person qrgate.Person
	if f.OK() {
		if by, number := readNumber(f); f.OK() {
			if person, err = p.Keeper.Find(ctx, by, number); err != nil && !errors.Is(err, qrgate.ErrNotFound) {
				return err
			}
		}
	}
	if person != 0 {
		knows, err := p.Keeper.Knows(ctx, person, numbers[kind], second)
		if err != nil {
			return err
		}
		if !knows {
			if err := p.Register.Looked(ctx, me, "refuse looks", ""); err != nil {
				return err
			}
			f.Fail("rights.second", "rights.wrong.second")
		}
	}
	if !f.OK() {
		return v.RenderStatus(w, status, "rights-seen", d)
	}
	if d.Asked, d.Known = true, person != 0; !d.Known {
		if err := p.Register.Looked(ctx, me, "tell looks", ""); err != nil {
			return err
		}
		return v.Render(w, "rights-seen", d)
	}
	looks, err := p.Keeper.LooksAt(ctx, person)
	if err == nil {
		err = p.Keeper.Tell(ctx, me, person)
	}
	if err != nil {
		return err
	}
	for _, l := range looks {
		d.Lines = append(d.Lines, toldLook{l, said(v, "rights.look.", l.Action)})
	}
	return v.Render(w, "rights-seen", d)
}

// mayTell fails a form of who has asked too often, and returns the status of a page
// that refuses.
func (p *Pages) mayTell(ctx context.Context, by string, f *page.Form) (int, error) {
	since := p.f.Now().Add(-time.Hour)
	for action, most := range map[string]int{"tell looks": toldPerHour, "refuse looks": refusedPerHour} {
		n, err := p.Rights.Tries(ctx, by, action, since)
		if err != nil {
			return 0, err
		}
		if n >= most {
			f.Fail("rights.second", "rights.wrong.often")
			return http.StatusTooManyRequests, nil
		}
	}
	return http.StatusUnprocessableEntity, nil
}
