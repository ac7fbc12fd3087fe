package movement

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"time"

	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/flows"
)

//go:embed pages/*.html
var pages embed.FS

// seers see how people move within their scopes, keepers how full their places
// are.
var (
	seers   = []qrgate.Role{qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter, qrgate.HealthOfficer}
	keepers = []qrgate.Role{qrgate.Owner, qrgate.Staff}
	both    = append(append([]qrgate.Role{}, seers...), keepers...)
)

// Pages are the pages about movement.
type Pages struct {
	f      *page.Frame
	flows  *flows.Flows
	ledger *ledger
	sheets *page.Turns
}

// New returns the pages of what f keeps.
func New(frame *page.Frame, f *flows.Flows) *Pages {
	frame.Add(pages, "pages/*.html")
	return &Pages{f: frame, flows: f, ledger: &ledger{flows: f}, sheets: page.NewTurns(2, 10*time.Second)}
}

// Routes returns the pages' routes.
func (p *Pages) Routes() []page.Route {
	all, officers := page.Only(both...), page.Only(seers...)
	return []page.Route{
		{Pattern: "GET /di-chuyen", Allow: all, Menu: "menu.movement", Handler: p.overview},
		{Pattern: "GET /di-chuyen/luong", Allow: officers, Handler: p.list},
		{Pattern: "GET /di-chuyen.xlsx", Allow: officers, Handler: p.exportXLSX},
		{Pattern: "GET /di-chuyen.csv", Allow: officers, Handler: p.exportCSV},
		{Pattern: "GET /di-chuyen/dia-diem", Allow: all, Handler: p.places},
		{Pattern: "GET /di-chuyen/dia-diem/{no}", Allow: all, Handler: p.place},
	}
}

// errNothing says that no day was counted yet.
var errNothing = errors.New("movement: nothing was counted yet")

// answer reads what was asked and answers it. With nothing to answer from it is
// errNothing.
func (p *Pages) answer(r *http.Request, v *page.View) (*atlas, *question, *answer, *page.Form, error) {
	first, last, ok, err := p.flows.Bounds(r.Context())
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if !ok {
		return nil, nil, nil, nil, errNothing
	}
	a := p.ledger.of(p.f.Now())
	q, form := a.ask(r, v, first, last)
	leaves, err := p.ledger.read(r.Context(), a, q.from, q.to)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return a, &q, q.answer(a, leaves), form, nil
}

// An empty is a page without figures: it says when the first ones come.
type empty struct {
	Owner bool
	// First is when the first figures come, zero if nobody has checked in yet.
	First time.Time
}

// empty answers with when there will be something.
func (p *Pages) empty(ctx context.Context, w http.ResponseWriter, v *page.View) error {
	today := qrgate.DayOf(p.f.Now())
	seen, err := p.flows.Seen(ctx, today-1, today)
	if err != nil {
		return err
	}
	d := empty{Owner: len(v.Scopes(seers...)) == 0}
	for _, day := range []qrgate.Day{today - 1, today} {
		if seen[day] > 0 && d.First.IsZero() {
			d.First = counted.Ready(day)
		}
	}
	return v.Render(w, "movement_empty", d)
}

// An option is what may be chosen.
type option struct{ Value, Text string }

// spanText returns a part of the day, or an hour, in words.
func spanText(lang text.Lang, s counted.Span) string {
	from, until := s.Hours()
	switch {
	case s < counted.Night:
		return text.Of(lang, "move.hour", "from", from, "to", until)
	case s < counted.AllDay:
		return text.Of(lang, "move.part."+parts[s-counted.Night], "from", from, "to", until)
	}
	return text.Of(lang, "move.all_day")
}

// parts are the names of the parts of a day in catalogues.
var parts = [...]string{"night", "morning", "noon", "afternoon", "evening"}
