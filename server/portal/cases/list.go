package cases

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
)

// casesPerPage is how many cases one page lists.
const casesPerPage = 30

// mostNotices is how much news one page tells.
const mostNotices = 5

// A listRow is a case in the list. No person is on it.
type listRow struct {
	casebook.Case
	Disease string
	By      string
	Todo    string // key of what is to be done next
	Urgent  bool
	Ended   bool
}

type listPage struct {
	Views         []viewRow
	View          string
	Rows          []listRow
	Form          *page.Form
	From, To, All int
	Before, After string
	CanOpen       bool
	Notices       []noticeRow
}

// A noticeRow is news of a case that somebody has not seen.
type noticeRow struct {
	Path, Text string
	At         time.Time
}

type viewRow struct {
	Path, Key string
	N         int
	Here      bool
}

// list shows cases: one's own, those of where one works, those that wait for
// approval, and those of which check-ins came late.
func (p *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx, me := r.Context(), v.Who.Account.ID
	officer, approver := len(v.Scopes(officers...)) > 0, len(v.Scopes("approver")) > 0
	d := listPage{Form: page.NewForm(nil), CanOpen: officer}
	d.View = r.URL.Query().Get("xem")
	number := strings.ToValidUTF8(strings.TrimSpace(r.URL.Query().Get("so")), "")
	if len(number) > 40 {
		number = ""
	}
	d.Form.Values.Set("cases.number", number)
	if officer && number != "" {
		// Who calls back says the code of their letter or message.
		id, who, err := p.book.Recall(ctx, me, number)
		if err == nil {
			return v.Go(w, casePath(id, "tiep-xuc", who.String()), "")
		}
		if !errors.Is(err, qrgate.ErrNotFound) {
			return err
		}
	}
	queries := map[string]casebook.Query{"cua-toi": {Mine: true}, "tat-ca": {}, "thay-doi": {Late: true}}
	if _, ok := queries[d.View]; !ok && d.View != "cho-duyet" {
		d.View = "cua-toi"
		if !officer {
			d.View = "cho-duyet"
		} else if number != "" {
			d.View = "tat-ca"
		}
	}
	if d.View != "cho-duyet" && !officer {
		d.View = "cho-duyet"
	}
	add := func(view, key string, n int) {
		d.Views = append(d.Views, viewRow{"/ca-benh?xem=" + view, key, n, d.View == view})
	}
	var rows []casebook.Case
	if officer {
		for _, view := range []string{"cua-toi", "tat-ca", "thay-doi"} {
			q := queries[view]
			q.Size = 1
			if d.View == view {
				q.Size, q.Page, q.Number = casesPerPage, pageNo(r), number
			}
			found, total, err := p.book.Cases(ctx, me, q)
			if err != nil {
				return err
			}
			add(view, "cases.list."+strings.ReplaceAll(view, "-", "_"), total)
			if d.View == view {
				rows, d.All = found, total
			}
		}
	}
	if approver {
		waiting, err := p.book.Waiting(ctx, me)
		if err != nil {
			return err
		}
		add("cho-duyet", "cases.list.cho_duyet", len(waiting))
		if d.View == "cho-duyet" {
			rows, d.All = waiting, len(waiting)
		}
	}
	no := pageNo(r)
	if d.View == "cho-duyet" {
		first := min(no*casesPerPage, len(rows))
		rows = rows[first:min(first+casesPerPage, len(rows))]
	}
	d.From, d.To = no*casesPerPage+1, no*casesPerPage+len(rows)
	at := "/ca-benh?xem=" + d.View + "&trang="
	if no > 0 {
		d.Before = at + strconv.Itoa(no)
	}
	if d.To < d.All {
		d.After = at + strconv.Itoa(no+2)
	}
	for _, c := range rows {
		by, err := p.accountName(ctx, v, c.OpenedBy)
		if err != nil {
			return err
		}
		row := listRow{Case: c, Disease: diseaseName(v, c.Profile), By: by}
		row.Ended = c.Erased || c.State == casebook.RuledOut || c.State == casebook.Closed
		row.Todo, row.Urgent = todo(&c, row.Ended, d.View == "cho-duyet")
		d.Rows = append(d.Rows, row)
	}
	notices, err := p.book.Notices(ctx, me, true, mostNotices)
	if err != nil {
		return err
	}
	for i := range notices {
		n := &notices[i]
		d.Notices = append(d.Notices, noticeRow{noticePath(n), v.T("cases.notice."+string(n.Kind), "number", n.Number), n.At})
	}
	return v.Render(w, "cases_list", d)
}

// todo says what is to be done next with a case.
func todo(c *casebook.Case, ended, approve bool) (key string, urgent bool) {
	switch {
	case c.Erased:
		return "cases.erased", false
	case ended:
		return "cases.todo.ended", false
	case approve:
		return "cases.todo.approve", true
	case !c.Late.IsZero():
		return "cases.todo.late", true
	case c.Approval == casebook.Refused:
		return "cases.todo.refused", true
	case c.Approval == casebook.Asked:
		return "cases.todo.approval", false
	case c.Approval == casebook.Needed:
		return "cases.todo.person", true
	case c.Runs == 0:
		return "cases.todo.trace", true
	}
	return "cases.todo.work", false
}
