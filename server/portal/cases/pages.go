package cases

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

//go:embed pages
var files embed.FS

// A Mailer sends letters by e-mail.
type Mailer interface{ Send(mail.Message) error }

// Options are what the pages need. Store, Register, Vault and Book must be given.
type Options struct {
	Store    *store.Store
	Register *register.Register
	Vault    *vault.Vault
	Book     *casebook.Book
	Keys     pass.Keys // by which a scanned card is verified; nil takes its number as typed

	Mail Mailer  // nil if this server sends none
	Text Gateway // nil if this server sends no text messages

	HelpLine string
	Office   string // that calls and writes
	Return   string // its address, on letters
	Log      *slog.Logger
}

// Pages is the pages of cases.
type Pages struct {
	f     *page.Frame
	o     Options
	book  *casebook.Book
	reg   *register.Register
	files *page.Turns // exports and letters
}

// New returns the pages of cases in f.
func New(f *page.Frame, o Options) *Pages {
	f.Add(files, "pages/*.html")
	return &Pages{f: f, o: o, book: o.Book, reg: o.Register, files: page.NewTurns(1, 15*time.Second)}
}

// The roles that may know of cases.
var (
	officers = []qrgate.Role{qrgate.HealthOfficer}
	readers  = []qrgate.Role{qrgate.HealthOfficer, qrgate.Approver}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	officer, reader, approver := page.Only(officers...), page.Only(readers...), page.Only(qrgate.Approver)
	protection := page.Only(qrgate.Protection)
	routes := []page.Route{
		{Pattern: "GET /ca-benh", Allow: reader, Menu: "menu.cases", Handler: p.list},
		{Pattern: "GET /ca-benh/moi", Allow: officer, Handler: p.newCase},
		{Pattern: "POST /ca-benh/moi", Allow: officer, Handler: p.open},
		{Pattern: "GET /ca-benh/{id}", Allow: reader, Handler: p.show},

		{Pattern: "POST /ca-benh/{id}/tim", Allow: officer, Handler: p.find},
		{Pattern: "POST /ca-benh/{id}/nguoi", Allow: officer, Handler: p.choosePerson},
		{Pattern: "GET /ca-benh/{id}/noi", Allow: officer, Handler: p.findPlace},
		{Pattern: "POST /ca-benh/{id}/noi", Allow: officer, Handler: p.choosePlace},
		{Pattern: "POST /ca-benh/{id}/xin-duyet", Allow: officer, Handler: p.ask},
		{Pattern: "POST /ca-benh/{id}/duyet", Allow: approver, Handler: p.decide},
		{Pattern: "POST /ca-benh/{id}/khan-cap", Allow: officer, Handler: p.breakGlass},
		{Pattern: "POST /ca-benh/{id}/them-nguoi", Allow: officer, Handler: p.widen},
		{Pattern: "POST /ca-benh/{id}/han-che", Allow: officer, Handler: p.useRestricted},
		{Pattern: "POST /ca-benh/{id}/tinh-trang", Allow: officer, Handler: p.setState},
		{Pattern: "POST /ca-benh/{id}/benh", Allow: officer, Handler: p.setProfile},
		{Pattern: "POST /ca-benh/{id}/thoi-han", Allow: officer, Handler: p.extend},
		{Pattern: "POST /ca-benh/{id}/khoang", Allow: officer, Handler: p.setWindow},

		{Pattern: "GET /ca-benh/{id}/lich-trinh", Allow: officer, Handler: p.stays},
		{Pattern: "POST /ca-benh/{id}/lich-trinh", Allow: officer, Handler: p.chooseStays},
		{Pattern: "POST /ca-benh/{id}/luot", Allow: officer, Handler: p.restore},
		{Pattern: "POST /ca-benh/{id}/nghi-ngo", Allow: officer, Handler: p.restoreMany},
		{Pattern: "POST /ca-benh/{id}/truy-vet", Allow: officer, Handler: p.run},

		{Pattern: "GET /ca-benh/{id}/tiep-xuc", Allow: officer, Handler: p.contacts},
		{Pattern: "GET /ca-benh/{id}/tiep-xuc/{code}", Allow: officer, Handler: p.contact},
		{Pattern: "POST /ca-benh/{id}/tiep-xuc/{code}", Allow: officer, Handler: p.saveCall},
		{Pattern: "POST /ca-benh/{id}/tiep-xuc/{code}/vong-hai", Allow: officer, Handler: p.second},
		{Pattern: "POST /ca-benh/{id}/tiep-xuc/{code}/nhan", Allow: officer, Handler: p.notify},
		{Pattern: "POST /ca-benh/{id}/tiep-xuc/{code}/gop", Allow: officer, Handler: p.merge},
		{Pattern: "GET /ca-benh/{id}/thay-doi", Allow: officer, Handler: p.changes},
		{Pattern: "GET /ca-benh/{id}/goi", Allow: officer, Handler: p.calls},
		{Pattern: "POST /ca-benh/{id}/thu", Allow: officer, Handler: p.letters},
		{Pattern: "GET /ca-benh/{id}/xuat", Allow: officer, Handler: p.exportForm},
		{Pattern: "POST /ca-benh/{id}/xuat", Allow: officer, Handler: p.export},

		{Pattern: "GET /ca-benh-khan-cap", Allow: protection, Menu: "menu.glasses", Handler: p.glasses},
		{Pattern: "POST /ca-benh-khan-cap/{id}", Allow: protection, Handler: p.review},
	}
	for i := range routes {
		routes[i].Handler = p.telling(routes[i].Handler)
	}
	return routes
}

// telling is a handler that tells on the case's own page, where what is to be done
// stands, why persons of a case are not shown.
func (p *Pages) telling(handler page.Handler) page.Handler {
	return func(w http.ResponseWriter, r *http.Request, v *page.View) error {
		err := handler(w, r, v)
		ended := errors.Is(err, casebook.ErrEnded)
		restrained := errors.Is(err, casebook.ErrRestrained)
		if !ended && !restrained && !errors.Is(err, casebook.ErrApproval) {
			return err
		}
		h, failed := p.load(r, v)
		if failed != nil {
			return failed
		}
		d, failed := p.showPage(r, v, h)
		if failed != nil {
			return failed
		}
		switch {
		case ended || h.Ended:
			d.Refused = "cases.unseen.ended"
		case restrained:
			d.Refused = "cases.unseen.restrained"
		default:
			d.Refused = "cases.unseen.approval"
		}
		return v.RenderStatus(w, http.StatusForbidden, "cases_case", d)
	}
}

// A head is what every page of a case has.
type head struct {
	*casebook.Case
	Disease string
	Ended   bool // nobody works on it any more
	Working bool // the viewer may: they are an officer where it is
	Tabs    []tab
}

type tab struct {
	Path, Key string
	Here      bool
}

// Path returns the address of a part of the case.
func (h *head) Path(parts ...string) string { return casePath(h.ID, parts...) }

func casePath(id string, parts ...string) string {
	return strings.Join(append([]string{"/ca-benh", id}, parts...), "/")
}

// load returns the case of the request's path, if the viewer may know of it.
func (p *Pages) load(r *http.Request, v *page.View) (*head, error) {
	id := page.ID(r)
	if id == "" {
		return nil, qrgate.ErrNotFound
	}
	c, err := p.book.Case(r.Context(), v.Who.Account.ID, id)
	if err != nil {
		return nil, err
	}
	return p.headOf(v, c), nil
}

func (p *Pages) headOf(v *page.View, c *casebook.Case) *head {
	h := &head{Case: c, Disease: diseaseName(v, c.Profile)}
	h.Ended = c.Erased || c.State == casebook.RuledOut || c.State == casebook.Closed
	h.Working = len(v.Scopes(officers...)) > 0
	if !h.Working || c.Erased {
		return h
	}
	for _, t := range []tab{
		{"", "cases.tab.case", false}, {"lich-trinh", "cases.tab.stays", false}, {"tiep-xuc", "cases.tab.contacts", false},
		{"goi", "cases.tab.calls", false}, {"xuat", "cases.tab.export", false},
	} {
		if t.Path == "" {
			t.Path = casePath(c.ID)
		} else if t.Path = casePath(c.ID, t.Path); !c.Open {
			continue
		}
		t.Here = v.Path == t.Path || t.Path != casePath(c.ID) && strings.HasPrefix(v.Path, t.Path+"/")
		h.Tabs = append(h.Tabs, t)
	}
	if len(h.Tabs) == 1 {
		h.Tabs = nil
	}
	return h
}

// seen is load for pages that show persons.
func (p *Pages) seen(r *http.Request, v *page.View) (*head, error) {
	h, err := p.load(r, v)
	switch {
	case err != nil:
	case h.Ended:
		err = casebook.ErrEnded
	case !h.Open:
		err = casebook.ErrApproval
	}
	return h, err
}

// version reads which version of the case a form was made of.
func version(form *page.Form) (int, error) {
	n, err := strconv.Atoi(form.Values.Get("version"))
	if err != nil {
		return 0, qrgate.ErrInvalid
	}
	return n, nil
}

// A venue is what is known of a place, for the tracer.
type venues struct{ reg *register.Register }

// Venues returns what is known of places.
func (s venues) Venues(ctx context.Context, spots []qrgate.Spot) (map[qrgate.Spot]trace.Venue, error) {
	nos := make([]uint32, 0, len(spots))
	for _, spot := range spots {
		if spot.No != 0 {
			nos = append(nos, spot.No)
		}
	}
	places, err := s.reg.PlacesOf(ctx, nos...)
	if err != nil {
		return nil, err
	}
	all := make(map[qrgate.Spot]trace.Venue, len(places))
	for _, spot := range spots {
		if p := places[spot.No]; p != nil {
			all[spot] = trace.VenueOf(p)
		}
	}
	return all, nil
}

// A spotName is a place as pages name it.
type spotName struct {
	Name, Address string
	At            *qrgate.Point
	Kind          string
}

// spots names places, each once.
type spots map[qrgate.Spot]spotName

func (p *Pages) name(ctx context.Context, v *page.View, all spots, at qrgate.Spot) (spotName, error) {
	if s, ok := all[at]; ok {
		return s, nil
	}
	s := spotName{Name: at.Name}
	if at.No != 0 {
		place, err := p.reg.Place(ctx, at.No)
		switch {
		case errors.Is(err, qrgate.ErrNotFound):
			s.Name = v.T("cases.place.gone", "no", at.No)
		case err != nil:
			return s, err
		default:
			s = spotName{Name: place.Name, Address: page.Address(place), At: place.At, Kind: place.Kind}
		}
	}
	all[at] = s
	return s, nil
}

// accountName returns how an account is shown, which may be gone.
func (p *Pages) accountName(ctx context.Context, v *page.View, id string) (string, error) {
	if id == "" {
		return v.T("cases.server"), nil
	}
	a, err := p.reg.Account(ctx, id)
	if errors.Is(err, qrgate.ErrNotFound) {
		return v.T("cases.account.gone"), nil
	}
	if err != nil {
		return "", err
	}
	return a.Display, nil
}

func diseaseName(v *page.View, profile string) string {
	key := "cases.profile." + profile
	if _, ok := trace.FindProfile(profile); !ok {
		return profile
	}
	return v.T(key)
}
