package cases

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
)

// oneContact returns the contact of the request's path: somebody whom a run of the
// case has found, and nobody else.
func (p *Pages) oneContact(r *http.Request, v *page.View) (h *head, ref casebook.Ref, call *casebook.Call, err error) {
	if h, err = p.seen(r, v); err != nil {
		return h, ref, nil, err
	}
	if ref, err = casebook.ParseRef(r.PathValue("code")); err != nil {
		return h, ref, nil, qrgate.ErrNotFound
	}
	list, err := p.book.Calls(r.Context(), v.Who.Account.ID, h.ID)
	if err != nil {
		return h, ref, nil, err
	}
	for i := range list {
		if list[i].Ref == ref {
			return h, ref, &list[i], nil
		}
	}
	// Who is not on the list any more, because they had their data restricted.
	cards, err := p.book.Cards(r.Context(), v.Who.Account.ID, h.ID, ref)
	if err != nil {
		return h, ref, nil, err
	}
	if cards[0].Withheld {
		return h, ref, nil, casebook.ErrRestrained
	}
	return h, ref, nil, qrgate.ErrNotFound
}

// A contactPage is one contact: how to reach them, where they were near, what was
// said.
type contactPage struct {
	*head
	contactRow
	Call     *casebook.Call
	Form     *page.Form
	Field    string
	Statuses []casebook.Status
	Channels []casebook.Channel
	Log      []attemptRow
	Same     []option // who may be the same human
	Gone     bool     // the latest run no longer finds them
	Mail     bool
	Text     bool
	Letter   string // the code that a letter has
}

// Row is the contact as lists show it.
func (d *contactPage) Row() *contactRow { return &d.contactRow }

type attemptRow struct {
	casebook.Attempt
	Who string
}

func (p *Pages) contact(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, ref, call, err := p.oneContact(r, v)
	if err != nil {
		return err
	}
	return p.renderContact(w, r, v, h, ref, call, page.NewForm(nil), "", http.StatusOK)
}

func (p *Pages) renderContact(w http.ResponseWriter, r *http.Request, v *page.View, h *head, ref casebook.Ref, call *casebook.Call, form *page.Form, field string, status int) error {
	ctx, me := r.Context(), v.Who.Account.ID
	d := &contactPage{
		head: h, Call: call, Form: form, Field: field, Statuses: casebook.Statuses(), Channels: casebook.Channels(), Letter: ref.Code(), Mail: p.o.Mail != nil, Text: p.o.Text != nil,
	}
	run, found, at, err := p.metBy(ctx, me, h.ID, ref)
	if err != nil {
		return err
	}
	homes := map[casebook.Ref]*casebook.Call{ref: call}
	if at >= 0 {
		rows, err := p.contactRows(ctx, v, h, run, found[at:at+1], homes, spots{})
		if err != nil {
			return err
		}
		d.contactRow = rows[0]
		d.contactRow.No = at + 1
	} else {
		cards, err := p.book.Cards(ctx, me, h.ID, ref)
		if err != nil {
			return err
		}
		d.Gone, d.contactRow = true, contactRow{known: knownOf(&cards[0]), Status: call.Status, Version: call.Version}
	}
	for _, a := range call.Attempts {
		who, err := p.accountName(ctx, v, a.By)
		if err != nil {
			return err
		}
		d.Log = append(d.Log, attemptRow{a, who})
	}
	if d.Same, err = p.alike(ctx, me, h, ref); err != nil {
		return err
	}
	return v.RenderStatus(w, status, "cases_contact", d)
}

// metBy returns the latest run that has found somebody, of the first ring before
// those of the second, whom it found, and where among them; -1 if none has.
func (p *Pages) metBy(ctx context.Context, by, id string, ref casebook.Ref) (*casebook.Run, []met, int, error) {
	numbers := []int{0}
	heads, err := p.book.Runs(ctx, by, id)
	if err != nil {
		return nil, nil, -1, err
	}
	for _, h := range heads {
		if h.Ring == 2 && len(numbers) < maxRings {
			numbers = append(numbers, h.No)
		}
	}
	for _, no := range numbers {
		run, err := p.book.Run(ctx, by, id, no)
		if err != nil {
			return nil, nil, -1, err
		}
		found := metIn(run)
		if at := slices.IndexFunc(found, func(m met) bool { return m.ref == ref }); at >= 0 {
			return run, found, at, nil
		}
	}
	return nil, nil, -1, nil
}

// maxRings is in how many runs somebody is looked for.
const maxRings = 10

// alike offers who may be the same human.
func (p *Pages) alike(ctx context.Context, by string, h *head, ref casebook.Ref) ([]option, error) {
	cards, err := p.book.Alike(ctx, by, h.ID, ref)
	if err != nil {
		return nil, err
	}
	var all []option
	for i := range cards {
		text := cards[i].Name
		if cards[i].Born > 0 {
			text += ", " + strconv.Itoa(cards[i].Born)
		}
		all = append(all, option{cards[i].Ref.String(), text})
	}
	return all, nil
}

func (p *Pages) saveCall(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, ref, call, err := p.oneContact(r, v)
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
	var statuses, channels []string
	for _, s := range casebook.Statuses() {
		statuses = append(statuses, string(s))
	}
	for _, c := range casebook.Channels() {
		channels = append(channels, string(c))
	}
	a := casebook.Attempt{
		Status: casebook.Status(form.Choice("cases.status", true, statuses...)), Channel: casebook.Channel(form.Choice("cases.channel", false, channels...)),
		Note: form.Lines("cases.note", casebook.MaxText, false),
	}
	if !form.OK() {
		return p.renderContact(w, r, v, h, ref, call, form, "call", http.StatusUnprocessableEntity)
	}
	if err := p.book.Called(r.Context(), v.Who.Account.ID, h.ID, ref, n, a); err != nil {
		return err
	}
	if form.Values.Get("ve") == "goi" {
		return v.Go(w, h.Path("goi"), "cases.called")
	}
	return v.Go(w, h.Path("tiep-xuc", ref.String()), "cases.called")
}

// merge says that a contact and somebody else are one human, or two after all.
func (p *Pages) merge(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, ref, call, err := p.oneContact(r, v)
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
	other, err := casebook.ParseRef(form.Values.Get("cases.same"))
	if err != nil {
		form.Fail("cases.same", "wrong.choice")
	}
	if form.Values.Get("cases.same.sure") != "1" {
		form.Fail("cases.same.sure", "cases.same.sure.must")
	}
	if !form.OK() {
		return p.renderContact(w, r, v, h, ref, call, form, "merge", http.StatusUnprocessableEntity)
	}
	if form.Values.Get("cases.apart") == "1" {
		err = p.book.Unmerge(r.Context(), v.Who.Account.ID, h.ID, n, ref, other)
	} else {
		err = p.book.Merge(r.Context(), v.Who.Account.ID, h.ID, n, ref, other, form.Values.Get("cases.everywhere") == "1")
	}
	if err != nil {
		return err
	}
	return v.Go(w, h.Path("tiep-xuc"), "cases.merged")
}
