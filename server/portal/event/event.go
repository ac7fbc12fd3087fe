package event

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages assets
var files embed.FS

// Checkins is where what doors have recorded is read: a store.
type Checkins interface {
	CheckinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error
}

// Persons opens what check-ins hold of people: a vault.
type Persons interface {
	Person(day qrgate.Day, s qrgate.Subject) (qrgate.Person, error)
}

// A Mailer takes letters. Send does not wait for a mail server.
type Mailer interface{ Send(mail.Message) error }

// Options are what the pages need besides the register and the events.
type Options struct {
	Checkins Checkins
	Persons  Persons
	// Sign has passes signed.
	Sign issue.Sign
	// Links is 32 bytes under which the links of passes are made.
	Links []byte
	Mail  Mailer // nil if this server sends no mail
	// Silent returns what reports whether somebody has objected to the use of their
	// data, so that no letter goes to them; nil if nobody can.
	Silent func(context.Context) (func(name, phone string) bool, error)

	HelpLine      string
	Controller    string
	RetentionDays int
	Log           *slog.Logger
}

// Pages is the pages of events.
type Pages struct {
	f      *page.Frame
	reg    *register.Register
	events *events.Events
	o      Options
	turns  *page.Turns
	counts counts
}

// New returns the pages of events in f.
func New(f *page.Frame, reg *register.Register, all *events.Events, o Options) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(files, "assets")
	return &Pages{f: f, reg: reg, events: all, o: o, turns: page.NewTurns(1, 15*time.Second)}
}

// Who may open events at a place, and who may look at them.
var (
	mayOpen = []qrgate.Role{qrgate.Owner, qrgate.Organiser}
	maySee  = []qrgate.Role{qrgate.Owner, qrgate.Organiser, qrgate.Guard, qrgate.SectorOfficer, qrgate.AreaOfficer}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	open, see := page.Only(mayOpen...), page.Only(maySee...)
	return []page.Route{
		{Pattern: "GET /su-kien", Allow: see, Menu: "menu.events", Handler: p.list},
		{Pattern: "GET /su-kien/moi", Allow: open, Handler: p.newForm},
		{Pattern: "POST /su-kien/moi", Allow: open, Handler: p.add},
		{Pattern: "GET /su-kien/{no}", Allow: see, Handler: p.show},
		{Pattern: "GET /su-kien/{no}/co-mat", Allow: see, Handler: p.present},
		{Pattern: "GET /su-kien/{no}/sua", Allow: open, Handler: p.editForm},
		{Pattern: "POST /su-kien/{no}/sua", Allow: open, Handler: p.change},
		{Pattern: "GET /su-kien/{no}/huy", Allow: open, Handler: p.cancelForm},
		{Pattern: "POST /su-kien/{no}/huy", Allow: open, Handler: p.cancel},
		{Pattern: "GET /su-kien/{no}/khach", Allow: open, Handler: p.guests},
		{Pattern: "POST /su-kien/{no}/khach", Allow: open, Handler: p.invite},
		{Pattern: "POST /su-kien/{no}/nhap", Allow: open, Handler: p.upload, MaxBody: maxSheet + 64<<10},
		{Pattern: "GET /su-kien/{no}/nhap.xlsx", Allow: open, Handler: p.sheetForm},
		{Pattern: "POST /su-kien/{no}/khach/{pass}/doi", Allow: open, Handler: p.replace},
		{Pattern: "POST /su-kien/{no}/khach/{pass}/rut", Allow: open, Handler: p.withdraw},
		{Pattern: "POST /su-kien/{no}/gui", Allow: open, Handler: p.send},
		{Pattern: "POST /su-kien/{no}/in", Allow: open, Handler: p.print},
		{Pattern: "GET /su-kien/{no}/khach.xlsx", Allow: open, Handler: p.export},
		{Pattern: "GET /ve/{pass}", Allow: page.Anybody(), Handler: p.pass},
		{Pattern: "GET /ve/{pass}/ma.png", Allow: page.Anybody(), Bare: true, Handler: p.image},
	}
}

// event returns the event of the request's path, if the viewer holds one of the roles
// for its place.
func (p *Pages) event(r *http.Request, v *page.View, roles []qrgate.Role) (*events.Event, error) {
	no, err := strconv.ParseUint(r.PathValue("no"), 10, 32)
	if err != nil {
		return nil, qrgate.ErrNotFound
	}
	e, err := p.events.Event(r.Context(), uint32(no))
	if err == nil && !may(v, e, roles) {
		err = qrgate.ErrNotFound
	}
	return e, err
}

func may(v *page.View, e *events.Event, roles []qrgate.Role) bool {
	return v.May(&qrgate.Place{No: e.Place, Organisation: e.Organisation, Sector: e.Sector, Area: e.Area, AreaNow: e.Area}, roles...)
}

func path(no uint32) string { return fmt.Sprintf("/su-kien/%d", no) }

// How far the list reaches.
const (
	listedAfter  = 60 * 24 * time.Hour
	listedBefore = 366 * 24 * time.Hour
)

// A listPage shows what is coming and what was.
type listPage struct {
	Coming, Past []*events.Event
	May          bool // the viewer may open one
}

func (p *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	now := p.f.Now()
	all, err := p.events.Between(r.Context(), now.Add(-listedAfter), now.Add(listedBefore))
	if err != nil {
		return err
	}
	data := listPage{May: len(v.Scopes(mayOpen...)) > 0}
	for _, e := range all {
		switch {
		case !may(v, e, maySee):
		case e.Ends.Before(now):
			data.Past = append(data.Past, e)
		default:
			data.Coming = append(data.Coming, e)
		}
	}
	slices.Reverse(data.Past) // the latest first
	return v.Render(w, "event_list", data)
}

// An eventPage is the page of one event.
type eventPage struct {
	*events.Event
	Opens   time.Time // doors
	Over    bool
	May     bool
	Present attendance
	Said    string           // up to when the figures count
	Names   map[uint8]string // of categories
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, maySee)
	if err != nil {
		return err
	}
	present, err := p.attend(r.Context(), e)
	if err != nil {
		return err
	}
	return v.Render(w, "event_show", eventPage{
		Event: e, Opens: e.Starts.Add(-e.Early), Over: e.Ends.Before(p.f.Now()), May: may(v, e, mayOpen), Present: present, Said: told(v, present), Names: names(v, e),
	})
}

// names returns what the categories of an event are called.
func names(v *page.View, e *events.Event) map[uint8]string {
	all := map[uint8]string{}
	for _, c := range e.Categories {
		if all[c.No] = c.Name; c.Name == "" {
			all[c.No] = v.T("event.kind." + string(c.Kind))
		}
	}
	return all
}

// A cancelPage asks whether an event is to be called off.
type cancelPage struct{ *events.Event }

func (p *Pages) cancelForm(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	return v.Render(w, "event_cancel", cancelPage{e})
}

func (p *Pages) cancel(w http.ResponseWriter, r *http.Request, v *page.View) error {
	e, err := p.event(r, v, mayOpen)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(form.Values.Get("version"))
	if err != nil {
		return qrgate.ErrInvalid
	}
	if err := p.events.Cancel(r.Context(), v.Who.Account.ID, e.No, version); err != nil {
		return err
	}
	return v.Go(w, path(e.No), "event.cancelled")
}
