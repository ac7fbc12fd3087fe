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
	res := &casebook.Result{Ring: task.Ring, Of: task.Of, Place: len(task.Persons) == 0, Read: rows, Task: task}
	at := asked{}
	if res.Place {
		at[task.At] = map[qrgate.Day]bool{}
		res.Stays = slices.DeleteFunc(stays, func(s trace.Stay) bool {
			return s.Person == 0 || !task.Rules.Believes(&s)
		})
	} else {
		stays = slices.DeleteFunc(stays, func(s trace.Stay) bool { return !task.Counts(&s) })
		at = askedOf(stays)
		res.Stays = stays
		res.Linger = task.Profile.After
		if res.Found, err = t.Contacts(ctx, stays, task.Profile, task.Rules); err != nil {
			return nil, err
		}
	}
	c, err := p.complete(ctx, &res.Found, task.Rules, at, task.From, task.To, !res.Place)
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
	run, err := p.keep(r.Context(), v.Who.Account.ID, h.ID, casebook.Ref{})
	if err != nil {
		return err
	}
	if run.Difference.Since > 0 && !run.Difference.Empty() {
		return v.Go(w, h.Path("thay-doi"), "cases.run.changed")
	}
	return v.Go(w, h.Path("tiep-xuc"), "cases.run.done", "n", len(run.Refs()))
}

// tracings is how often it is traced again by what officers say meanwhile.
const tracings = 3

// keep traces the case, or whom a contact met, and keeps what was found.
func (p *Pages) keep(ctx context.Context, by, id string, of casebook.Ref) (*casebook.Run, error) {
	for try := 1; ; try++ {
		task, err := p.book.Second(ctx, by, id, of)
		if err != nil {
			return nil, err
		}
		res, err := p.trace(ctx, task, casebook.Record(p.o.Store, p.f.Now))
		if err != nil {
			return nil, err
		}
		run, err := p.book.SaveRun(ctx, by, id, res)
		if errors.Is(err, casebook.ErrOutdated) && try < tracings {
			continue
		}
		if err == nil {
			_, err = p.book.AddCalls(ctx, by, id, run.Refs())
		}
		return run, err
	}
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
	run, err := p.keep(r.Context(), v.Who.Account.ID, h.ID, ref)
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
	Together bool  // they came with the traced person
	Family   bool  // by a family's card: it does not name who came along
	Last     int64 // until when they were near at the latest, Unix milliseconds
	New      bool
	Changed  bool
}

// A sharedRow is one time that somebody was near.
type sharedRow struct {
	Of       int // number of the traced person's stay
	Day      string
	On       qrgate.Day
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
	Linger   string // how long after the traced person left still counts, if any time does
	Complete *completenessView
	Diff     *casebook.Difference
	Groups   []group
	From, To int
	Before   string
	After    string
	All      int
	Other    bool // not the latest run of the case
	Withheld int  // people whose data the case must not use without a reason
}

// Held is how many records the gates hold that have not delivered.
func (d *contactsPage) Held() int64 { return int64(d.Complete.Holds()) }

type completenessView struct {
	*completeness
	Rows   []missingRow
	Doubts []doubtedRow
	// Said are the shares of what could not be used, the hours of paper and how many
	// of those who passed the doors were recorded.
	Said []string
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
	d.Said, err = p.sayUnused(ctx, v, names, c)
	return d, err
}

// sayUnused tells what share of the scans says nothing of anybody, when paper was
// written, and who passed the doors without a scan.
func (p *Pages) sayUnused(ctx context.Context, v *page.View, names spots, c *completeness) (said []string, err error) {
	if all := c.Scanned(); all > 0 && c.Refused+c.Unread+c.Amber > 0 {
		said = append(said, v.T("cases.complete.share", "refused", sayShare(v, c.Refused, all), "unread", sayShare(v, c.Unread, all), "amber", sayShare(v, c.Amber, all)))
	}
	if c.Paper > 0 {
		said = append(said, v.T("cases.complete.paper", "n", page.Number(c.Paper), "from", sayStamp(c.PaperFrom), "to", sayStamp(c.PaperTo)))
	}
	for _, g := range c.Covered {
		s, err := p.name(ctx, v, names, g.At)
		if err != nil {
			return nil, err
		}
		said = append(said, v.T("cases.complete.covered", "place", s.Name, "percent", g.Percent(), "people", page.Number(g.People), "scans", page.Number(g.Scans)))
	}
	if len(c.Covered) == 0 && c.Kiosks > 0 {
		said = append(said, v.T("cases.complete.uncovered"))
	}
	if c.Elsewhere > 0 {
		said = append(said, v.T("cases.complete.elsewhere", "n", page.Number(c.Elsewhere)))
	}
	return said, nil
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
	d := &contactsPage{head: h, No: run.No, At: run.At, Other: other, Diff: &run.Difference, Withheld: run.Withheld}
	if run.Linger > 0 {
		d.Linger = sayLong(v, run.Linger)
	}
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
		near := nearest(v, run, &m)
		row.Family, row.Last = near.Family, near.Last
		if c := homes[m.ref]; c != nil {
			row.Status, row.Version = c.Status, c.Version
		}
		if m.c != nil {
			together := int64(0)
			for j := range m.c.Shared {
				s := until(m.c.Shared[j], run.At.UnixMilli())
				together += s.Most
				shown, err := p.sharedRow(ctx, v, names, &s)
				if err != nil {
					return nil, err
				}
				row.Shared = append(row.Shared, shown)
			}
			row.Sure, row.Long = m.c.Sureness == trace.Certain, sayBounds(v, m.c.Least, max(m.c.Least, min(m.c.Most, together)))
			if len(row.Shared) == 1 {
				row.Shared[0].Long = "" // it is the whole
			}
		}
		for _, s := range m.stays {
			at, err := p.stayRow(ctx, v, names, s, run.At.UnixMilli())
			if err != nil {
				return nil, err
			}
			row.Shared = append(row.Shared, sharedRow{
				Day: at.Day, On: at.On, Place: at.Place, Within: v.T("cases.in_out", "in", at.In, "out", at.Out), Long: at.Long, Gate: at.Gate, Guess: s.Inferred, Source: at.Source, Who: at.Who, There: at.There,
			})
		}
		rows[i] = row
	}
	return rows, nil
}

// until is a time together as far as it can have gone on by a moment: whoever was not
// seen to leave may still be there.
func until(s trace.Shared, now int64) trace.Shared {
	if s.Within.Latest > now && now >= s.Within.Earliest {
		s.Within.Latest = now
		s.Most = max(s.Least, min(s.Most, now-s.Within.Earliest))
	}
	return s
}

func (p *Pages) sharedRow(ctx context.Context, v *page.View, names spots, s *trace.Shared) (sharedRow, error) {
	place, err := p.name(ctx, v, names, s.Stay.At)
	if err != nil {
		return sharedRow{}, err
	}
	on := qrgate.DayOfMilli(s.Within.Earliest)
	return sharedRow{
		Of: s.Of + 1, Day: weekday(v, on), On: on, Place: place, Within: sayWhen(v, s.Within, on), Long: sayBounds(v, s.Least, s.Most), Sure: s.Sureness == trace.Certain,
		Gate: s.Stay.Gate, SameGate: s.SameGate, Guess: s.Stay.Inferred, Source: sourceKey(s.Stay.Source), Who: identityKey(&s.Stay), There: presenceKey(s.Stay.Presence),
	}, nil
}
