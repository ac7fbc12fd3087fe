package cases

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// trace traces a task and returns what it came to, also as it is kept.
func (p *Pages) trace(ctx context.Context, task *casebook.Task, rows *casebook.Recorder) (*casebook.Result, error) {
	t := p.tracer(rows)
	stays, err := p.staysOf(ctx, t, task)
	if err != nil {
		return nil, err
	}
	res := &casebook.Result{Ring: task.Ring, Of: task.Of, Place: len(task.Persons) == 0, Read: rows}
	at := map[qrgate.Spot]bool{}
	if res.Place {
		at[task.At] = true
		res.Stays = slices.DeleteFunc(stays, func(s trace.Stay) bool {
			return s.Person == 0 || len(s.Doubts) > 0 && !task.Rules.Restored[s.Entry] && !task.Rules.Restored[s.Exit]
		})
	} else {
		if len(task.Chosen) > 0 {
			stays = slices.DeleteFunc(stays, func(s trace.Stay) bool { return !slices.Contains(task.Chosen, idOf(&s)) })
		}
		for i := range stays {
			at[stays[i].At] = true
		}
		res.Stays = stays
		if res.Found, err = t.Contacts(ctx, stays, task.Profile, task.Rules); err != nil {
			return nil, err
		}
	}
	c, err := p.complete(ctx, &res.Found, task.Rules, at, task.From, task.To)
	if err == nil {
		res.Completeness, err = c.bytes()
	}
	return res, err
}

// run traces the case and keeps what was found.
func (p *Pages) run(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	if h.Index == (casebook.Ref{}) && h.Place == (qrgate.Spot{}) {
		return v.Go(w, h.Path(), "cases.nobody_yet")
	}
	task, err := p.book.Task(r.Context(), v.Who.Account.ID, h.ID)
	if err != nil {
		return err
	}
	run, err := p.keep(r.Context(), v.Who.Account.ID, task)
	if err != nil {
		return err
	}
	if run.Difference.Since > 0 && !run.Difference.Empty() {
		return v.Go(w, h.Path("thay-doi"), "cases.run.changed")
	}
	return v.Go(w, h.Path("tiep-xuc"), "cases.run.done", "n", len(run.Refs()))
}

func (p *Pages) keep(ctx context.Context, by string, task *casebook.Task) (*casebook.Run, error) {
	res, err := p.trace(ctx, task, casebook.Record(p.o.Store, p.f.Now))
	if err != nil {
		return nil, err
	}
	run, err := p.book.SaveRun(ctx, by, task.Case, res)
	if err != nil {
		return nil, err
	}
	if _, err := p.book.AddCalls(ctx, by, task.Case, run.Refs()); err != nil {
		return nil, err
	}
	return run, nil
}

// Again traces once more for the server itself, when check-ins have come late: see
// [casebook.WatchOptions].
func (p *Pages) Again(ctx context.Context, task *casebook.Task, rows *casebook.Recorder) (*casebook.Result, error) {
	return p.trace(ctx, task, rows)
}

// restoreMany takes doubtful check-ins of one gate back in.
func (p *Pages) restoreMany(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
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
	no, err := strconv.Atoi(form.Values.Get("lan"))
	if err != nil {
		return qrgate.ErrInvalid
	}
	run, err := p.book.Run(r.Context(), v.Who.Account.ID, h.ID, no)
	if err != nil {
		return err
	}
	c, err := readCompleteness(run.Completeness)
	if err != nil {
		return err
	}
	group, err := strconv.Atoi(form.Values.Get("nhom"))
	if err != nil || c == nil || group < 0 || group >= len(c.Doubted) {
		return qrgate.ErrNotFound
	}
	if err := p.book.Restore(r.Context(), v.Who.Account.ID, h.ID, n, true, c.Doubted[group].IDs...); err != nil {
		return err
	}
	return v.Go(w, h.Path("tiep-xuc"), "cases.doubted.restored")
}

// second traces whom a contact met.
func (p *Pages) second(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, ref, _, err := p.oneContact(r, v)
	if err != nil {
		return err
	}
	task, err := p.book.Second(r.Context(), v.Who.Account.ID, h.ID, ref)
	if err != nil {
		return err
	}
	run, err := p.keep(r.Context(), v.Who.Account.ID, task)
	if err != nil {
		return err
	}
	return v.Go(w, h.Path("tiep-xuc")+"?lan="+strconv.Itoa(run.No), "cases.run.second", "n", len(run.Refs()))
}

// perPage is how many contacts one page opens.
const perPage = 40

// A contactRow is a contact in a list.
type contactRow struct {
	*known
	No       int // rank
	Status   casebook.Status
	Version  int
	Sure     bool
	Place    bool // of an outbreak's place: nobody is surer than others
	Long     string
	Shared   []sharedRow
	Together bool // they came with the traced person
	New      bool
	Changed  bool
}

// A sharedRow is one time that somebody was near.
type sharedRow struct {
	Of       int // number of the traced person's stay
	Day      string
	Place    spotName
	Within   string
	Long     string
	Sure     bool
	Gate     string
	SameGate bool
	Guess    bool
	Source   string
	Who      string
	There    string
}

// A group is contacts of one household.
type group struct {
	Together bool // more than one
	Rows     []contactRow
}

// A contactsPage is who was near.
type contactsPage struct {
	*head
	No       int
	At       time.Time
	By       string
	Second   *known // around whom it was traced
	Outbreak string // name of the place
	Certain  int
	Possible int
	People   int
	Unnamed  int
	Complete *completenessView
	Diff     *casebook.Difference
	Groups   []group
	From, To int
	Before   string
	After    string
	All      int
	Other    bool // not the latest run of the case
}

// Held is how many records the gates hold that have not delivered.
func (d *contactsPage) Held() int64 { return int64(d.Complete.Holds()) }

type completenessView struct {
	*completeness
	Rows   []missingRow
	Doubts []doubtedRow
}

// A doubtedRow is doubtful check-ins that did not count.
type doubtedRow struct {
	doubted
	No    int // in the run's list
	Place string
}

// A missingRow is a gate whose check-ins are not all here.
type missingRow struct {
	missingGate
	Place string
	Said  []string
}

func (p *Pages) completenessView(ctx context.Context, v *page.View, names spots, at time.Time, body []byte) (*completenessView, error) {
	c, err := readCompleteness(body)
	if err != nil || c == nil {
		return nil, err
	}
	d := &completenessView{completeness: c}
	for _, g := range c.Missing {
		s, err := p.name(ctx, v, names, g.At)
		if err != nil {
			return nil, err
		}
		row := missingRow{missingGate: g, Place: s.Name, Said: sayDelivery(v, &g, at)}
		d.Rows = append(d.Rows, row)
	}
	for i, g := range c.Doubted {
		s, err := p.name(ctx, v, names, g.At)
		if err != nil {
			return nil, err
		}
		d.Doubts = append(d.Doubts, doubtedRow{g, i, s.Name})
	}
	return d, nil
}

// sayDelivery tells what is missing of a gate, in the order of how much it matters.
func sayDelivery(v *page.View, g *missingGate, at time.Time) (said []string) {
	switch g.State {
	case trace.Never:
		said = append(said, v.T("cases.complete.never"))
	case trace.Silent:
		since := time.UnixMilli(g.Since)
		said = append(said, v.T("cases.complete.since", "at", since.In(qrgate.Zone).Format("02/01/2006 15:04"), "ago", sayAgo(v, max(0, at.Sub(since).Milliseconds()))))
	case trace.Behind:
		said = append(said, v.T("cases.complete.behind"))
	}
	switch {
	case g.Holds > 0:
		said = append(said, v.T("cases.complete.holds", "n", page.Number(int64(g.Holds))))
	case !g.Known && g.State != trace.Gaps:
		said = append(said, v.T("cases.complete.unknown"))
	}
	for _, n := range []struct {
		key string
		n   uint64
	}{{"gap", g.Missing}, {"lost", g.Lost}, {"unrecorded", g.Unrecorded}} {
		if n.n > 0 {
			said = append(said, v.T("cases.complete."+n.key, "n", page.Number(int64(min(n.n, 1<<40)))))
		}
	}
	if g.Forked {
		said = append(said, v.T("cases.complete.forked"))
	}
	return said
}

// A met is whom a run found, in its order.
type met struct {
	person qrgate.Person
	ref    casebook.Ref
	c      *trace.Contact // nil at an outbreak's place
	stays  []*trace.Stay  // there
}

// metIn returns whom a run found.
func metIn(run *casebook.Run) []met {
	var all []met
	if !run.Place {
		for i := range run.Found.Contacts {
			c := &run.Found.Contacts[i]
			all = append(all, met{person: c.Person, ref: run.Ref(c.Person), c: c})
		}
		return all
	}
	at := map[qrgate.Person]int{}
	for i := range run.Stays {
		s := &run.Stays[i]
		if s.Person == 0 {
			continue
		}
		n, ok := at[s.Person]
		if !ok {
			n = len(all)
			at[s.Person] = n
			all = append(all, met{person: s.Person, ref: run.Ref(s.Person)})
		}
		all[n].stays = append(all[n].stays, s)
	}
	return all
}

// latest returns the run that a request asks for, or the latest of the first ring.
func (p *Pages) latest(r *http.Request, v *page.View, id string) (*casebook.Run, bool, error) {
	no := 0
	if s := r.URL.Query().Get("lan"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, false, qrgate.ErrNotFound
		}
		no = n
	}
	run, err := p.book.Run(r.Context(), v.Who.Account.ID, id, no)
	return run, no != 0, err
}

func (p *Pages) contacts(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	ctx, me := r.Context(), v.Who.Account.ID
	run, other, err := p.latest(r, v, h.ID)
	if errors.Is(err, qrgate.ErrNotFound) && !other {
		return v.Go(w, h.Path("lich-trinh"), "cases.not_traced")
	}
	if err != nil {
		return err
	}
	list, err := p.book.Calls(ctx, me, h.ID)
	if err != nil {
		return err
	}
	names := spots{}
	d := &contactsPage{head: h, No: run.No, At: run.At, Other: other, Diff: &run.Difference}
	if d.By, err = p.accountName(ctx, v, run.By); err != nil {
		return err
	}
	if d.Complete, err = p.completenessView(ctx, v, names, run.At, run.Completeness); err != nil {
		return err
	}
	if run.Of != (casebook.Ref{}) {
		cards, err := p.book.Cards(ctx, me, h.ID, run.Of)
		if err != nil {
			return err
		}
		d.Second = knownOf(&cards[0])
	}
	if run.Place {
		s, err := p.name(ctx, v, names, h.Place)
		if err != nil {
			return err
		}
		d.Outbreak = s.Name
	}
	all := metIn(run)
	d.All, d.People = len(all), len(all)
	for _, m := range all {
		if m.c != nil && m.c.Sureness == trace.Certain {
			d.Certain++
		}
	}
	d.Possible = len(all) - d.Certain
	for _, n := range run.Found.Unnamed {
		d.Unnamed += n
	}
	homes := map[casebook.Ref]*casebook.Call{}
	for i := range list {
		homes[list[i].Ref] = &list[i]
	}
	all = byHousehold(all, homes)
	no := pageNo(r)
	first := min(no*perPage, len(all))
	shown := all[first:min(first+perPage, len(all))]
	d.From, d.To = first+1, first+len(shown)
	suffix := ""
	if other {
		suffix = "&lan=" + strconv.Itoa(run.No)
	}
	if no > 0 {
		d.Before = h.Path("tiep-xuc") + "?trang=" + strconv.Itoa(no) + suffix
	}
	if first+len(shown) < len(all) {
		d.After = h.Path("tiep-xuc") + "?trang=" + strconv.Itoa(no+2) + suffix
	}
	rows, err := p.contactRows(ctx, v, h, run, shown, homes, names)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].No = first + i + 1
		if i > 0 && sameHome(homes, shown[i-1].ref, shown[i].ref) {
			g := &d.Groups[len(d.Groups)-1]
			g.Rows, g.Together = append(g.Rows, rows[i]), true
			continue
		}
		d.Groups = append(d.Groups, group{Rows: []contactRow{rows[i]}})
	}
	if err := p.book.SeeNotices(ctx, me, h.ID); err != nil {
		return err
	}
	return v.Render(w, "cases_contacts", d)
}

func sameHome(homes map[casebook.Ref]*casebook.Call, a, b casebook.Ref) bool {
	x, y := homes[a], homes[b]
	return x != nil && y != nil && x.Household != "" && x.Household == y.Household
}

// byHousehold brings households together, each where its first stands.
func byHousehold(all []met, homes map[casebook.Ref]*casebook.Call) []met {
	first := map[string]int{}
	rank := make([]int, len(all))
	for i, m := range all {
		rank[i] = i
		if c := homes[m.ref]; c != nil && c.Household != "" {
			if at, ok := first[c.Household]; ok {
				rank[i] = at
			} else {
				first[c.Household] = i
			}
		}
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	sorted := make([]met, len(all))
	for i, n := range order {
		sorted[i] = all[n]
	}
	return sorted
}

// contactRows opens contacts and tells where they were near.
func (p *Pages) contactRows(ctx context.Context, v *page.View, h *head, run *casebook.Run, some []met, homes map[casebook.Ref]*casebook.Call, names spots) ([]contactRow, error) {
	refs := make([]casebook.Ref, len(some))
	for i, m := range some {
		refs[i] = m.ref
	}
	cards, err := p.book.Cards(ctx, v.Who.Account.ID, h.ID, refs...)
	if err != nil {
		return nil, err
	}
	together := map[qrgate.Person]bool{}
	for _, party := range run.Found.Parties {
		for _, q := range party.Persons {
			together[q] = true
		}
	}
	rows := make([]contactRow, len(some))
	for i, m := range some {
		row := contactRow{
			known: knownOf(&cards[i]), Status: casebook.ToCall, Place: m.c == nil, Together: together[m.person],
			New: run.Difference.Since > 0 && slices.Contains(run.Difference.New, m.person), Changed: slices.Contains(run.Difference.Changed, m.person),
		}
		if c := homes[m.ref]; c != nil {
			row.Status, row.Version = c.Status, c.Version
		}
		if m.c != nil {
			row.Sure, row.Long = m.c.Sureness == trace.Certain, sayBounds(v, m.c.Least, m.c.Most)
			for j := range m.c.Shared {
				s, err := p.sharedRow(ctx, v, names, &m.c.Shared[j])
				if err != nil {
					return nil, err
				}
				row.Shared = append(row.Shared, s)
			}
			if len(row.Shared) == 1 {
				row.Shared[0].Long = "" // it is the whole
			}
		}
		for _, s := range m.stays {
			at, err := p.stayRow(ctx, v, names, s)
			if err != nil {
				return nil, err
			}
			row.Shared = append(row.Shared, sharedRow{
				Day: at.Day, Place: at.Place, Within: v.T("cases.in_out", "in", at.In, "out", at.Out), Long: at.Long, Gate: at.Gate, Guess: s.Inferred, Source: at.Source, Who: at.Who, There: at.There,
			})
		}
		rows[i] = row
	}
	return rows, nil
}

func (p *Pages) sharedRow(ctx context.Context, v *page.View, names spots, s *trace.Shared) (sharedRow, error) {
	place, err := p.name(ctx, v, names, s.Stay.At)
	if err != nil {
		return sharedRow{}, err
	}
	on := qrgate.DayOfMilli(s.Within.Earliest)
	return sharedRow{
		Of: s.Of + 1, Day: weekday(v, on), Place: place, Within: sayWhen(v, s.Within, on), Long: sayBounds(v, s.Least, s.Most), Sure: s.Sureness == trace.Certain,
		Gate: s.Stay.Gate, SameGate: s.SameGate, Guess: s.Stay.Inferred, Source: sourceKey(s.Stay.Source), Who: identityKey(&s.Stay), There: presenceKey(s.Stay.Presence),
	}, nil
}

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
		head: h, Call: call, Form: form, Field: field, Statuses: casebook.Statuses(), Channels: casebook.Channels(), Letter: letterCode(ref), Mail: p.o.Mail != nil, Text: p.o.Text != nil,
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

// A changesPage is what the last run found other than the one before.
type changesPage struct {
	*head
	No, Since int
	At, Was   time.Time
	New, Gone []contactRow
	Changed   []changedRow
	More      int // that are not shown
}

type changedRow struct {
	contactRow
	Before contactRow
}

// changes shows exactly what late check-ins have changed.
func (p *Pages) changes(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	ctx, me := r.Context(), v.Who.Account.ID
	run, other, err := p.latest(r, v, h.ID)
	if errors.Is(err, qrgate.ErrNotFound) && !other {
		return v.Go(w, h.Path("lich-trinh"), "cases.not_traced")
	}
	if err != nil {
		return err
	}
	d := &changesPage{head: h, No: run.No, At: run.At, Since: run.Difference.Since}
	if d.Since == 0 {
		return v.Render(w, "cases_changes", d)
	}
	before, err := p.book.Run(ctx, me, h.ID, d.Since)
	if err != nil {
		return err
	}
	d.Was = before.At
	names := spots{}
	left := perPage * 2
	rows := func(of *casebook.Run, who []qrgate.Person) ([]contactRow, error) {
		var some []met
		for _, m := range metIn(of) {
			if slices.Contains(who, m.person) && left > 0 {
				some = append(some, m)
				left--
			}
		}
		d.More += len(who) - len(some)
		return p.contactRows(ctx, v, h, of, some, nil, names)
	}
	if d.New, err = rows(run, run.Difference.New); err != nil {
		return err
	}
	if d.Gone, err = rows(before, run.Difference.Gone); err != nil {
		return err
	}
	now, err := rows(run, run.Difference.Changed)
	if err != nil {
		return err
	}
	was := map[string]contactRow{}
	old, err := rows(before, run.Difference.Changed)
	if err != nil {
		return err
	}
	for _, row := range old {
		was[row.Code] = row
	}
	for _, row := range now {
		d.Changed = append(d.Changed, changedRow{row, was[row.Code]})
	}
	return v.Render(w, "cases_changes", d)
}

// A callsPage is whom to call.
type callsPage struct {
	*head
	Rows     []callRow
	Counts   []countRow
	Status   casebook.Status // shown alone, if one was chosen
	From, To int
	All      int
	Before   string
	After    string
	Phones   int // of the shown who have none
	Letters  bool
}

type callRow struct {
	*known
	Status    casebook.Status
	Last      *attemptRow
	Together  bool // with the one before
	Version   int
	Reachable bool
}

type countRow struct {
	Status casebook.Status
	N      int
	Here   bool
	Path   string
}

func (p *Pages) calls(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	ctx, me := r.Context(), v.Who.Account.ID
	list, err := p.book.Calls(ctx, me, h.ID)
	if err != nil {
		return err
	}
	if err := p.ranked(ctx, me, h.ID, list); err != nil {
		return err
	}
	d := &callsPage{head: h}
	counts := map[casebook.Status]int{}
	for _, c := range list {
		counts[c.Status]++
	}
	wanted := casebook.Status(r.URL.Query().Get("xem"))
	for _, s := range casebook.Statuses() {
		d.Counts = append(d.Counts, countRow{s, counts[s], s == wanted, h.Path("goi") + "?xem=" + string(s)})
		if s == wanted {
			d.Status = s
		}
	}
	if d.Status != "" {
		list = slices.DeleteFunc(list, func(c casebook.Call) bool { return c.Status != d.Status })
	}
	d.All = len(list)
	no := pageNo(r)
	first := min(no*perPage, len(list))
	shown := list[first:min(first+perPage, len(list))]
	d.From, d.To = first+1, first+len(shown)
	query := ""
	if d.Status != "" {
		query = "&xem=" + string(d.Status)
	}
	if no > 0 {
		d.Before = h.Path("goi") + "?trang=" + strconv.Itoa(no) + query
	}
	if d.To < d.All {
		d.After = h.Path("goi") + "?trang=" + strconv.Itoa(no+2) + query
	}
	refs := make([]casebook.Ref, len(shown))
	for i := range shown {
		refs[i] = shown[i].Ref
	}
	cards, err := p.book.Cards(ctx, me, h.ID, refs...)
	if err != nil {
		return err
	}
	for i := range shown {
		c := &shown[i]
		row := callRow{known: knownOf(&cards[i]), Status: c.Status, Version: c.Version, Together: i > 0 && c.Household == shown[i-1].Household}
		row.Reachable = row.Phone != "" || row.GuardianPhone != ""
		if !row.Reachable {
			d.Phones++
		}
		if len(c.Attempts) > 0 {
			who, err := p.accountName(ctx, v, c.Attempts[0].By)
			if err != nil {
				return err
			}
			row.Last = &attemptRow{c.Attempts[0], who}
		}
		d.Rows = append(d.Rows, row)
	}
	return v.Render(w, "cases_calls", d)
}

// ranked brings the households of a call list into the order of whom the latest run
// ranks first in them; those who wait stay before the others.
func (p *Pages) ranked(ctx context.Context, by, id string, list []casebook.Call) error {
	run, err := p.book.Run(ctx, by, id, 0)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rank := map[casebook.Ref]int{}
	for i, r := range run.Refs() {
		rank[r] = i - 1<<30 // before those whom the run no longer finds
	}
	home, waits := map[string]int{}, map[string]bool{}
	for i := range list {
		c := &list[i]
		home[c.Household] = min(home[c.Household], rank[c.Ref])
		waits[c.Household] = waits[c.Household] || c.Status == casebook.ToCall || c.Status == casebook.NotReached
	}
	first := func(c *casebook.Call) int {
		if waits[c.Household] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b casebook.Call) int {
		return cmp.Or(cmp.Compare(first(&a), first(&b)), cmp.Compare(home[a.Household], home[b.Household]), cmp.Compare(a.Household, b.Household), cmp.Compare(rank[a.Ref], rank[b.Ref]))
	})
	return nil
}

// letterCode is what somebody says on the telephone for the office to find them:
// the beginning of the reference, as a person can spell it.
func letterCode(ref casebook.Ref) string {
	s := ref.String()
	if len(s) < 8 {
		return ""
	}
	return upper(s[:4]) + "-" + upper(s[4:8])
}
