package card

import (
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/scanner"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

//go:embed pages assets
var files embed.FS

// Options are what the pages need besides the register.
type Options struct {
	Vault *vault.Vault
	// Sign has cards signed.
	Sign issue.Sign
	// Quotas are what may be signed; nil shows nobody.
	Quotas *Quotas
	// Keys are those by which a scanned card is verified.
	Keys pass.Keys
	// Wrap is 32 bytes under which spreadsheets wait in the register.
	Wrap []byte
	// Batch is how many cards may be issued at once, at most and by default
	// register.MaxBatch.
	Batch int

	// Scanners joins scanners at desks to these pages; nil joins none.
	Scanners *scanner.Hub

	HelpLine      string
	Controller    string
	RetentionDays int
	Log           *slog.Logger
}

// Pages is the pages of cards.
type Pages struct {
	f      *page.Frame
	reg    *register.Register
	cards  *register.Cards
	o      Options
	jobs   *jobs
	sheets *page.Turns
}

// New returns the pages of cards in f.
func New(f *page.Frame, reg *register.Register, o Options) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(files, "assets")
	if o.Batch <= 0 || o.Batch > register.MaxBatch {
		o.Batch = register.MaxBatch
	}
	return &Pages{f: f, reg: reg, cards: reg.Cards(o.Vault), o: o, jobs: newJobs(o.Log, f.Now), sheets: page.NewTurns(1, 15*time.Second)}
}

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	only := page.Only(qrgate.Clerk)
	return append(append(p.deskRoutes(only), p.quotaRoutes()...), []page.Route{
		{Pattern: "GET /the", Allow: only, Menu: "menu.cards", Handler: p.home},
		{Pattern: "POST /the/tim", Allow: only, Handler: p.find},
		{Pattern: "GET /the/nguoi/moi", Allow: only, Handler: p.newHolder},
		{Pattern: "POST /the/nguoi/moi", Allow: only, Handler: p.addHolder},
		{Pattern: "GET /the/nguoi/{id}", Allow: only, Handler: p.showHolder},
		{Pattern: "GET /the/nguoi/{id}/sua", Allow: only, Handler: p.editHolder},
		{Pattern: "POST /the/nguoi/{id}/sua", Allow: only, Handler: p.changeHolder},
		{Pattern: "POST /the/nguoi/{id}/cap", Allow: only, Handler: p.issue},
		{Pattern: "GET /the/so/{no}", Allow: only, Handler: p.showCard},
		{Pattern: "POST /the/so/{no}/cap-lai", Allow: only, Handler: p.reissue},
		{Pattern: "POST /the/so/{no}/khoa", Allow: only, Handler: p.revoke},
		{Pattern: "POST /the/so/{no}/in", Allow: only, Handler: p.printCard},
		{Pattern: "GET /the/kiem-tra", Allow: only, Handler: p.testForm},
		{Pattern: "POST /the/kiem-tra", Allow: only, Handler: p.issueTests},
		{Pattern: "GET /the/nhap", Allow: only, Handler: p.importForm},
		{Pattern: "POST /the/nhap", Allow: only, Handler: p.upload, MaxBody: maxSheet + 64<<10},
		{Pattern: "GET /the/nhap.xlsx", Allow: only, Handler: p.sheetForm},
		{Pattern: "GET /nhap-the/{id}", Allow: only, Handler: p.report},
		{Pattern: "POST /nhap-the/{id}", Allow: only, Handler: p.takeIn},
		{Pattern: "GET /the/dot/{id}", Allow: only, Handler: p.showBatch},
		{Pattern: "POST /the/dot/{id}/in", Allow: only, Handler: p.printBatch},
		{Pattern: "GET /the/viec/{id}", Allow: only, Handler: p.showJob},
		{Pattern: "GET /the/viec/{id}/tien-do", Allow: only, Handler: p.progress},
		{Pattern: "GET /the/viec/{id}/the.pdf", Allow: only, Handler: p.fetch},
	}...)
}

// covers reports whether the viewer is a clerk of an office, or of a larger area
// that it lies in.
func covers(v *page.View, office qrgate.Scope) bool {
	return slices.ContainsFunc(v.Scopes(qrgate.Clerk), func(held qrgate.Scope) bool {
		if held.Kind != office.Kind {
			return false
		}
		if held.Kind != qrgate.InArea {
			return held == office
		}
		outer, err := area.ParseID(held.ID)
		if err != nil {
			return false
		}
		inner, err := area.ParseID(office.ID)
		return err == nil && area.Covers(outer, inner)
	})
}

// offices returns every office of the viewer's that has registered somebody.
func (p *Pages) offices(r *http.Request, v *page.View) ([]qrgate.Scope, error) {
	all, err := p.cards.Offices(r.Context())
	return slices.DeleteFunc(all, func(o qrgate.Scope) bool { return !covers(v, o) }), err
}

// An option is one line of a list to choose from.
type option struct{ Value, Text string }

// own returns the offices for which the viewer registers people.
func (p *Pages) own(r *http.Request, v *page.View) ([]option, error) {
	var all []option
	for _, s := range v.Scopes(qrgate.Clerk) {
		name, err := p.officeName(r, s)
		if err != nil {
			return nil, err
		}
		all = append(all, option{s.String(), name})
	}
	return all, nil
}

func (p *Pages) officeName(r *http.Request, s qrgate.Scope) (string, error) {
	if s.Kind == qrgate.InOrganisation {
		o, err := p.reg.Organisation(r.Context(), s.ID)
		if errors.Is(err, qrgate.ErrNotFound) {
			return s.ID, nil
		}
		if err != nil {
			return "", err
		}
		return o.Name, nil
	}
	return communeName(s.ID), nil
}

func communeName(id string) string {
	parsed, err := area.ParseID(id)
	if err == nil {
		if u, ok := area.Lookup(parsed); ok {
			return u.Label()
		}
	}
	return id
}

// readOffice reads for which office somebody registers: the only one need not be
// chosen.
func readOffice(form *page.Form, own []option) qrgate.Scope {
	values := make([]string, len(own))
	for i, o := range own {
		values[i] = o.Value
	}
	if len(values) == 1 {
		form.Values.Set("card.office", values[0])
	}
	s, _ := qrgate.ParseScope(form.Choice("card.office", true, values...))
	return s
}

// holder returns the holder of the request's path, if the viewer may know of them.
func (p *Pages) holder(r *http.Request, v *page.View) (*register.CardHolder, error) {
	h, err := p.cards.Holder(r.Context(), strings.ToValidUTF8(r.PathValue("id"), ""))
	if err == nil && !covers(v, h.Office) {
		err = qrgate.ErrNotFound
	}
	return h, err
}

// card returns the card of the request's path, with its holder.
func (p *Pages) card(r *http.Request, v *page.View) (*register.Card, error) {
	no, err := strconv.ParseUint(r.PathValue("no"), 10, 32)
	if err != nil {
		return nil, qrgate.ErrNotFound
	}
	c, holder, err := p.cards.Card(r.Context(), uint32(no))
	if err == nil && !covers(v, c.Office) {
		err = qrgate.ErrNotFound
	}
	if err == nil && holder != "" {
		c.Holder, err = p.cards.Holder(r.Context(), holder)
	}
	return c, err
}

// batch returns the batch of the request's path.
func (p *Pages) batch(r *http.Request, v *page.View) (*register.Batch, error) {
	b, err := p.cards.Batch(r.Context(), strings.ToValidUTF8(r.PathValue("id"), ""))
	if err == nil && !covers(v, b.Office) {
		err = qrgate.ErrNotFound
	}
	return b, err
}

// shownLatest is how many of each are on the first page.
const shownLatest = 20

// A homePage is where a clerk begins.
type homePage struct {
	Form    *page.Form
	Holders []holderRow
	Total   int
	Batches []batchRow
	Found   bool   // the holders are what was asked for
	Said    string // key of what is to be said of what was scanned
	Desk    scanners
}

type holderRow struct {
	*register.CardHolder
	Commune string
	Where   string // the office
}

type batchRow struct {
	register.Batch
	Where string
}

func (p *Pages) homeOf(r *http.Request, v *page.View, form *page.Form, name string) (*homePage, error) {
	offices, err := p.offices(r, v)
	if err != nil {
		return nil, err
	}
	data := &homePage{Form: form, Found: name != "", Desk: p.scanners(r, v)}
	data.Desk.Finds = true
	holders, total, err := p.cards.Holders(r.Context(), offices, name, 0, shownLatest)
	if err != nil {
		return nil, err
	}
	data.Total = total
	for _, h := range holders {
		row, err := p.row(r, h)
		if err != nil {
			return nil, err
		}
		data.Holders = append(data.Holders, row)
	}
	if data.Found {
		return data, nil
	}
	batches, err := p.cards.Batches(r.Context(), offices, shownLatest)
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		name, err := p.officeName(r, b.Office)
		if err != nil {
			return nil, err
		}
		data.Batches = append(data.Batches, batchRow{b, name})
	}
	return data, nil
}

func (p *Pages) row(r *http.Request, h *register.CardHolder) (holderRow, error) {
	where, err := p.officeName(r, h.Office)
	return holderRow{h, communeName(h.Details.Area), where}, err
}

func (p *Pages) home(w http.ResponseWriter, r *http.Request, v *page.View) error {
	data, err := p.homeOf(r, v, page.NewForm(nil), "")
	if err != nil {
		return err
	}
	return v.Render(w, "card_home", data)
}

// kinds are those that holders get, in the order in which they are shown.
var kinds = []pass.Kind{pass.Card, pass.Family, pass.Staff}

func kindValues() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.String())
	}
	return all
}

func kindOptions(v *page.View) []option {
	var all []option
	for _, k := range kinds {
		all = append(all, option{k.String(), v.T("card.kind." + k.String())})
	}
	return all
}

// Validity of a card in days.
const (
	usualDays = 730
	maxDays   = 3650
	maxPeople = 20 // of a family card
)

// readOrder reads what cards are to be issued.
func (p *Pages) readOrder(form *page.Form) register.Order {
	o := register.Order{First: pass.DayOf(p.f.Now())}
	kind := form.Choice("card.kind", true, kindValues()...)
	o.Kind, _ = pass.ParseKind(kind)
	o.Last = p.readDays(form)
	return o
}

func (p *Pages) readDays(form *page.Form) pass.Day {
	days := form.Int("card.days", 1, maxDays)
	if days == 0 {
		days = usualDays
	}
	return pass.DayOf(p.f.Now()) + pass.Day(days) - 1
}

func dateOf(d pass.Day) time.Time { return d.Time() }

func (p *Pages) path(h *register.CardHolder) string { return "/the/nguoi/" + h.ID }

func cardPath(number uint32) string { return fmt.Sprintf("/the/so/%d", number) }
