package rights

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
)

//go:embed pages
var pages embed.FS

// Options are what the pages are about.
type Options struct {
	Register *register.Register
	Rights   *rights.Rights
	Requests *rights.Requests
	Keeper   *retention.Keeper
	Sealer   *retention.Sealer
	// Glasses returns how often somebody looked without approval and nobody has
	// reviewed it; nil if nobody can.
	Glasses func(ctx context.Context, by string) (int, error)
	Log     *slog.Logger
}

// Pages are the pages.
type Pages struct {
	f *page.Frame
	Options

	turns    *page.Turns // for what reads every audit row
	searches *page.Turns // for what opens what is known of everybody
	telling  sync.Mutex  // whoever asks many times at once guesses no oftener than one after the other

	mu      sync.Mutex
	checked *rights.Chain // the last check of the chain
}

// checkFor is how long somebody waits for their turn to check the chain, or to search.
const checkFor = 10 * time.Second

// New returns the pages, whose templates it adds to f.
func New(f *page.Frame, o Options) *Pages {
	f.Add(pages, "pages/*.html")
	return &Pages{f: f, Options: o, turns: page.NewTurns(1, checkFor), searches: page.NewTurns(1, checkFor)}
}

// base is the address under which all pages are.
const base = "/bao-ve-du-lieu"

// Routes returns the rows of the table.
func (p *Pages) Routes() []page.Route {
	officer := page.Only(qrgate.Protection)
	reader := page.Only(qrgate.Protection, qrgate.Auditor)
	taker := page.Only(qrgate.Clerk, qrgate.Protection)
	return []page.Route{
		{Pattern: "GET " + base, Allow: reader, Menu: "menu.protection", Handler: p.home},
		{Pattern: "GET " + base + "/tra-cuu", Allow: reader, Handler: p.looks},
		{Pattern: "GET " + base + "/luu-giu", Allow: reader, Handler: p.kept},
		{Pattern: "GET " + base + "/luu-giu/{day}", Allow: reader, Handler: p.certificate},
		{Pattern: "POST " + base + "/luu-giu/xac-nhan", Allow: officer, Handler: p.confirm},
		{Pattern: "POST " + base + "/luu-giu/dong-ho", Allow: officer, Handler: p.confirmClock},
		{Pattern: "GET " + base + "/nhat-ky", Allow: reader, Handler: p.chain},
		{Pattern: "POST " + base + "/nhat-ky", Allow: reader, Handler: p.verify},
		{Pattern: "GET " + base + "/danh-gia", Allow: reader, Handler: p.impact},
		{Pattern: "GET " + base + "/su-co", Allow: reader, Handler: p.breach},

		{Pattern: "GET " + base + "/yeu-cau", Allow: taker, Menu: "menu.requests", Handler: p.requests},
		{Pattern: "GET " + base + "/yeu-cau/moi", Allow: taker, Handler: p.newRequest},
		{Pattern: "POST " + base + "/yeu-cau/moi", Allow: taker, Handler: p.addRequest},
		{Pattern: "GET " + base + "/yeu-cau/{id}", Allow: taker, Handler: p.request},
		{Pattern: "POST " + base + "/yeu-cau/{id}/tra-loi", Allow: officer, Handler: p.answer},
		{Pattern: "POST " + base + "/yeu-cau/{id}/xong", Allow: officer, Handler: p.finish},
		{Pattern: "POST " + base + "/yeu-cau/{id}/bo-han-che", Allow: officer, Handler: p.lift},
		{Pattern: "POST " + base + "/yeu-cau/{id}/tai-ve", Allow: officer, Handler: p.export},
		{Pattern: "POST " + base + "/yeu-cau/{id}/xoa", Allow: officer, Handler: p.erase},
		{Pattern: "POST " + base + "/yeu-cau/{id}/tach", Allow: officer, Handler: p.part},
		{Pattern: "GET " + base + "/yeu-cau/{id}/bang-chung", Allow: taker, Handler: p.proof},
		{Pattern: "GET " + base + "/ai-da-xem", Allow: taker, Handler: p.askLooks},
		{Pattern: "POST " + base + "/ai-da-xem", Allow: taker, Handler: p.tellLooks},
	}
}

// A tab is one of the pages that the officer goes between.
type tab struct {
	Path, Key string
	Here      bool
}

func (p *Pages) tabs(v *page.View) []tab {
	all := []tab{
		{base, "rights.tab.home", false}, {base + "/tra-cuu", "rights.tab.looks", false}, {base + "/luu-giu", "rights.tab.kept", false},
		{base + "/nhat-ky", "rights.tab.chain", false}, {base + "/danh-gia", "rights.tab.impact", false}, {base + "/su-co", "rights.tab.breach", false},
	}
	for i := range all {
		all[i].Here = all[i].Path == v.Path
	}
	return all
}

// home shows what is to be done.
func (p *Pages) home(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d := struct {
		Tabs       []tab
		Open, Late int
		Glasses    int
		Officer    bool
		State      *retention.State
		Due        []*rights.Request
		Now        time.Time
		Newest     rights.Seal
		Checked    *rights.Chain
		Holidays   bool // the table of holidays ends soon
		Restricted int  // people whose data is kept and not used
		Objected   int
	}{Tabs: p.tabs(v), Now: p.f.Now(), Officer: len(v.Scopes(qrgate.Protection)) > 0, Checked: p.lastCheck()}
	ctx := r.Context()
	var err error
	if d.Open, d.Late, err = p.Requests.Count(ctx); err != nil {
		return err
	}
	restrained, err := p.Rights.CountRestrained(ctx)
	if err != nil {
		return err
	}
	d.Restricted, d.Objected = restrained[rights.Restriction], restrained[rights.Objection]
	if d.Officer {
		list, _, err := p.Requests.List(ctx, nil, 0, 5)
		if err != nil {
			return err
		}
		for _, q := range list {
			if q.Open() {
				d.Due = append(d.Due, q)
			}
		}
		if p.Glasses != nil {
			if d.Glasses, err = p.Glasses(ctx, v.Who.Account.ID); err != nil {
				return err
			}
		}
	}
	if d.State, err = p.Keeper.State(ctx, shownDays); err != nil {
		return err
	}
	if d.Newest, err = p.Rights.NewestSeal(ctx, 0); err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	d.Holidays = rights.HolidaysUntil() < qrgate.DayOf(d.Now)+60
	return v.Render(w, "rights-home", d)
}

// lookDays are the periods that may be looked at.
var lookDays = []int{7, 30, 90, 365}

// shownLooks is how many lines a page shows.
const shownLooks = 200

// A lookLine is who looked for which case.
type lookLine struct {
	rights.LookCount
	Name   string // of the account
	Said   string // the action in words
	Number string // of the case
	Asked  bool   // the person asked for it
}

func (p *Pages) looks(w http.ResponseWriter, r *http.Request, v *page.View) error {
	days := 30
	if n, err := strconv.Atoi(r.FormValue("ngay")); err == nil {
		for _, d := range lookDays {
			if d == n {
				days = n
			}
		}
	}
	counts, err := p.Rights.Looks(r.Context(), p.f.Now().AddDate(0, 0, -days), shownLooks)
	if err != nil {
		return err
	}
	d := struct {
		Tabs    []tab
		Days    int
		Choices []int
		Lines   []lookLine
		Most    bool
	}{Tabs: p.tabs(v), Days: days, Choices: lookDays, Most: len(counts) == shownLooks}
	names := map[string]string{}
	for _, c := range counts {
		name, err := p.nameOf(r.Context(), names, c.Actor)
		if err != nil {
			return err
		}
		l := lookLine{LookCount: c, Name: name, Said: said(v, "rights.look.", c.Action), Asked: c.Action == "export person" || c.Action == "tell looks" || c.Action == "refuse looks"}
		if c.Case != 0 {
			l.Number = fmt.Sprintf("CB-%d-%06d", c.Year, c.Case)
		}
		d.Lines = append(d.Lines, l)
	}
	return v.Render(w, "rights-looks", d)
}

// said returns what a stable name is in words, or the name if it has none.
func said(v *page.View, prefix, name string) string {
	key := prefix
	for _, r := range name {
		if r == ' ' {
			r = '_'
		}
		key += string(r)
	}
	if !text.Has(key) {
		return name
	}
	return v.T(key)
}

// nameOf returns the name of an account, or "" if there is none any more.
func (p *Pages) nameOf(ctx context.Context, names map[string]string, id string) (string, error) {
	if name, asked := names[id]; asked || id == "" {
		return name, nil
	}
	a, err := p.Register.Account(ctx, id)
	if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return "", err
	}
	if a != nil {
		names[id] = a.Display
	} else {
		names[id] = ""
	}
	return names[id], nil
}

// shownDays is how many of the days that were dropped are shown.
const shownDays = 60

func (p *Pages) kept(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.showKept(w, r, v, page.NewForm(nil), http.StatusOK)
}

func (p *Pages) showKept(w http.ResponseWriter, r *http.Request, v *page.View, f *page.Form, status int) error {
	state, err := p.Keeper.State(r.Context(), shownDays)
	if err != nil {
		return err
	}
	return v.RenderStatus(w, status, "rights-kept", struct {
		Tabs    []tab
		State   *retention.State
		Form    *page.Form
		Officer bool
	}{p.tabs(v), state, f, len(v.Scopes(qrgate.Protection)) > 0})
}

// confirmClock notes that the server's clock is right, of an officer who knows what day
// it is.
func (p *Pages) confirmClock(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	const field = "rights.clock.today"
	today, err := qrgate.ParseDay(f.Text(field, 10, true))
	if err != nil {
		f.Fail(field, "wrong.date")
	}
	if f.OK() {
		err = p.Keeper.ConfirmClock(r.Context(), v.Who.Account.ID, today)
		if err == nil {
			return v.Go(w, base+"/luu-giu", "rights.clock.confirmed")
		}
		if !errors.Is(err, qrgate.ErrInvalid) {
			return err
		}
		f.Fail(field, "rights.wrong.today")
	}
	return p.showKept(w, r, v, f, http.StatusUnprocessableEntity)
}

// certificate sends the certificate of a day.
func (p *Pages) certificate(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	day, err := qrgate.ParseDay(r.PathValue("day"))
	if err != nil {
		return qrgate.ErrNotFound
	}
	c, err := p.Rights.Certificate(r.Context(), day)
	if err != nil {
		return err
	}
	page.Send(w, "application/json", "qrgate-chung-nhan-"+day.String()+".json", c.Body)
	return nil
}

// confirm notes that a backup or a kiosk's storage was destroyed, or that a copy of
// the database has let go of all days up to the newest that the officer saw dropped, of
// those that are waited for.
func (p *Pages) confirm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	state, err := p.Keeper.State(r.Context(), shownDays)
	if err != nil {
		return err
	}
	kind, id := f.Choice("loai", true, "backup", "kiosk", "copy"), f.Text("ma", 80, true)
	var objects []string
	for _, b := range state.Waiting.Backups {
		if kind == "backup" && b.ID == id && b.File == "" {
			objects = append(objects, b.ID)
		}
	}
	for _, k := range state.Waiting.Kiosks {
		if kind == "kiosk" && k.ID == id && k.Why == retention.Revoked {
			objects = append(objects, retention.KioskID(k.ID))
		}
	}
	if kind == "copy" && slices.Contains(state.Waiting.Copies, id) {
		newest, err := qrgate.ParseDay(f.Text("ngay", 10, true))
		if err != nil {
			return qrgate.ErrInvalid
		}
		for _, d := range state.Dropped {
			if !d.Done.IsZero() && d.Day <= newest {
				objects = append(objects, retention.CopyID(id, d.Day))
			}
		}
	}
	if !f.OK() || len(objects) == 0 {
		return qrgate.ErrInvalid
	}
	for _, object := range objects {
		if err := p.Rights.Gone(r.Context(), v.Who.Account.ID, object); err != nil {
			return err
		}
	}
	return v.Go(w, base+"/luu-giu", "rights.confirmed")
}

func (p *Pages) lastCheck() *rights.Chain {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checked
}

func (p *Pages) chain(w http.ResponseWriter, r *http.Request, v *page.View) error {
	newest, err := p.Rights.NewestSeal(r.Context(), 0)
	if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	return v.Render(w, "rights-chain", struct {
		Tabs    []tab
		Newest  rights.Seal
		Checked *rights.Chain
		Every   int
	}{p.tabs(v), newest, p.lastCheck(), int(retention.SealEvery / time.Second)})
}

func (p *Pages) verify(w http.ResponseWriter, r *http.Request, v *page.View) error {
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return err
	}
	defer done()
	c, err := p.Sealer.Verify(r.Context())
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.checked = c
	p.mu.Unlock()
	if !c.OK() {
		p.Log.Error("audit rows are not what was sealed", "faults", len(c.Found)+c.More, "first", c.Found[0].Fault, "seal", c.Found[0].Seal)
	}
	return v.Go(w, base+"/nhat-ky", "rights.chain.checked")
}

func (p *Pages) breach(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	return v.Render(w, "rights-breach", struct {
		Tabs  []tab
		Steps []string
	}{p.tabs(v), breachSteps})
}

// breachSteps are the steps of the runbook, in their order: keys of texts.
var breachSteps = []string{"stop", "write", "measure", "tell", "people", "repair", "learn"}
