package cases

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
)

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
