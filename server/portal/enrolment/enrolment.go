// Package enrolment is the pages by which kiosks become ours and cease to be: a code
// for a new one, whose four words somebody compares; the identity of each, with its
// predecessors at the gate; revoking one or many; and what kiosks themselves ask over
// HTTP before they can connect.
//
//	routes := enrolment.New(frame, enrolment.Options{...}).Routes()
//
// The promise: a kiosk is enrolled by whoever may look after its place, and only after
// that person has said that both show the same words. What is agreed to is what was on
// the page, not what has come since.
//
// Left out: how kiosks are (the pages of the fleet) and what they are told to do.
package enrolment

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	store "github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var pageFiles embed.FS

//go:embed assets
var assets embed.FS

// Who may do what. Owners only with the kiosks of their own places.
var (
	adds   = []qrgate.Role{qrgate.Operator, qrgate.Administrator, qrgate.Owner}
	sees   = []qrgate.Role{qrgate.Operator, qrgate.Administrator, qrgate.Owner, qrgate.Staff, qrgate.SectorOfficer, qrgate.AreaOfficer}
	tended = []qrgate.Role{qrgate.Operator, qrgate.Administrator} // kiosks everywhere
)

// Options are what the pages work with.
type Options struct {
	Register   *register.Register
	Enrolments *store.Enrolments
	Desk       *desk.Desk
	Cut        func(kiosks ...string) // ends connections of kiosks that were revoked; nil if no broker is at hand
	Log        *slog.Logger
}

// Pages are the pages. They are safe for concurrent use.
type Pages struct {
	Options
	f *page.Frame
}

// New returns the pages, whose templates and script it adds to the frame.
func New(f *page.Frame, o Options) *Pages {
	f.Add(pageFiles, "pages/*.html")
	f.Assets().Add(assets, "assets")
	return &Pages{o, f}
}

// Addresses of the pages.
const (
	newPath   = "/thiet-bi/them"
	codePath  = "/thiet-bi/them/ma/{id}"
	guidePath = "/thiet-bi/them/huong-dan"
	manyPath  = "/thiet-bi/them/thu-hoi"
	idPath    = "/thiet-bi/{kiosk}/danh-tinh"
)

// Routes returns the rows of the portal's table.
func (p *Pages) Routes() []page.Route {
	return []page.Route{
		{Pattern: "GET " + newPath, Allow: page.Only(adds...), Menu: "menu.enrol", Handler: p.begin},
		{Pattern: "POST " + newPath, Allow: page.Only(adds...), Handler: p.make},
		{Pattern: "GET " + guidePath, Allow: page.Only(adds...), Handler: p.guide},
		{Pattern: "POST " + newPath + "/xac-nhan", Allow: page.Only(tended...), Handler: p.confirm},
		{Pattern: "GET " + codePath, Allow: page.Only(adds...), Handler: p.code},
		{Pattern: "GET " + codePath + "/trang-thai", Allow: page.Only(adds...), Handler: p.state},
		{Pattern: "POST " + codePath + "/xac-nhan", Allow: page.Only(adds...), Handler: p.decide(true)},
		{Pattern: "POST " + codePath + "/tu-choi", Allow: page.Only(adds...), Handler: p.decide(false)},
		{Pattern: "GET " + manyPath, Allow: page.Only(tended...), Handler: p.many},
		{Pattern: "POST " + manyPath, Allow: page.Only(tended...), Handler: p.revokeMany},
		{Pattern: "GET " + idPath, Allow: page.Only(sees...), Handler: p.identity},
		{Pattern: "POST " + idPath + "/thu-hoi", Allow: page.Only(adds...), Handler: p.revoke},
		{Pattern: "POST " + idPath + "/khoi-phuc", Allow: page.Only(tended...), Handler: p.reinstate},
		{Pattern: "POST " + idPath + "/da-xem", Allow: page.Only(tended...), Handler: p.settle},
		{Pattern: "GET " + wire.HelloPath, Allow: page.Anybody(), Bare: true, Handler: p.hello},
		{Pattern: "POST " + wire.EnrolPath, Allow: page.Anybody(), Bare: true, MaxBody: wire.MaxEnrol, Handler: p.enrol},
		{Pattern: "POST " + wire.RenewPath, Allow: page.Anybody(), Bare: true, MaxBody: wire.MaxEnrol, Handler: p.renew},
	}
}

// may reports whether the viewer holds one of the roles for the place of a door.
// Kiosks that stand at no registered place are looked after by those who look after
// all.
func (p *Pages) may(ctx context.Context, v *page.View, no uint32, roles []qrgate.Role) (bool, error) {
	if no == 0 {
		return len(v.Scopes(tended...)) > 0, nil
	}
	place, err := p.Register.Place(ctx, no)
	if err != nil {
		return false, err
	}
	return v.May(place, roles...), nil
}

// choice is one thing to choose from.
type choice struct{ Value, Text string }

// directions are the choices of a door's direction.
func directions(v *page.View) []choice {
	return []choice{{"vao", v.T("enrol.in")}, {"ra", v.T("enrol.out")}}
}

func directionOf(value string) wire.Direction {
	if value == "ra" {
		return wire.Out
	}
	return wire.In
}

// number reads a place's number from a form or query; 0 is none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// kiosk returns the id in a request's path, or "" if it can be none.
func kiosk(r *http.Request) string {
	if id := r.PathValue("kiosk"); wire.ValidKiosk(id) {
		return id
	}
	return ""
}

// after ends connections of kiosks that may not have one any more.
func (p *Pages) after(kiosks ...string) {
	if p.Cut != nil {
		p.Cut(kiosks...)
	}
}
