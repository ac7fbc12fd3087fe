package cases

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
)

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
	Withheld int // people whose data the case must not use without a reason
}

type callRow struct {
	*known
	Near     *nearness // nil of whom the latest run does not find
	Status   casebook.Status
	Last     *attemptRow
	Together bool // with the one before
	Version  int
}

// A nearness is when somebody was near last, which says until when they are watched.
type nearness struct {
	Day    string
	Last   int64 // Unix milliseconds
	Sure   bool
	Place  bool // of an outbreak's place: nobody is surer than others
	Family bool // came by a family's card: there may be others whom it does not name
}

// nearest tells when somebody whom a run has found was near last, at the latest that
// is possible.
func nearest(v *page.View, run *casebook.Run, m *met) *nearness {
	n := &nearness{Place: m.c == nil}
	if m.c != nil {
		n.Sure = m.c.Sureness == trace.Certain
		for i := range m.c.Shared {
			n.see(&m.c.Shared[i].Stay, m.c.Shared[i].Within.Latest)
		}
	}
	for _, s := range m.stays {
		n.see(s, s.Out.Latest)
	}
	n.Last = min(n.Last, run.At.UnixMilli())
	n.Day = weekday(v, qrgate.DayOfMilli(n.Last))
	return n
}

func (n *nearness) see(s *trace.Stay, until int64) {
	n.Last, n.Family = max(n.Last, until), n.Family || s.Pass == pass.Family
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
	near, err := p.ranked(ctx, v, h.ID, list)
	if err != nil {
		return err
	}
	d := &callsPage{head: h}
	if d.Withheld, err = p.book.Withheld(ctx, me, h.ID); err != nil {
		return err
	}
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
		row := callRow{known: knownOf(&cards[i]), Near: near[c.Ref], Status: c.Status, Version: c.Version, Together: i > 0 && c.Household == shown[i-1].Household}
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
// ranks first in them; those who wait stay before the others. It returns when each was
// near last.
func (p *Pages) ranked(ctx context.Context, v *page.View, id string, list []casebook.Call) (map[casebook.Ref]*nearness, error) {
	run, err := p.book.Run(ctx, v.Who.Account.ID, id, 0)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	near := map[casebook.Ref]*nearness{}
	for _, m := range metIn(run) {
		near[m.ref] = nearest(v, run, &m)
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
	return near, nil
}
