// Package order is the pages by which kiosks are told what to do: orders that go to one
// kiosk now, and command cards that are printed.
//
//	p := order.New(frame, order.Options{Orders: orders, Register: reg})
//	routes := p.Routes() // /thiet-bi/{kiosk}/lenh, /thiet-bi/the-lenh, /thiet-bi/gio
//
// Operators and administrators give any order and make cards; whoever works at the place
// has the kiosk show itself and takes the last check-in back. What stops a door, or moves
// one, is asked a second time. A door is opened in two steps: only while its kiosk says
// that it waits.
//
// Pages are whole without script; with it what became of orders is seen as it comes.
// Signing and sending is package fleet/orders' matter, SQL that of store/orders.
package order

import (
	"context"
	"embed"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

//go:embed assets
var assets embed.FS

// An Orderer gives orders and signs command cards; *orders.Orders of package fleet is one.
type Orderer interface {
	Give(ctx context.Context, by string, n orders.New) (*orders.Order, error)
	Press(ctx context.Context, by, kiosk string, id wire.OrderID) error
	Kiosk(ctx context.Context, id string) (*orders.Kiosk, error)
	Kiosks(ctx context.Context) ([]orders.Kiosk, error)
	Of(ctx context.Context, kiosk string, n int) ([]orders.Order, error)
	Order(ctx context.Context, kiosk string, id wire.OrderID) (*orders.Order, error)
	Data(ctx context.Context, of *orders.Order) ([]byte, error)
	Uses(ctx context.Context, kiosk string, n int) ([]orders.Use, error)
	Make(ctx context.Context, by string, c orders.Card, n int) ([]orders.Card, error)
	Cards(ctx context.Context, n int) ([]orders.Card, error)
	CardsFrom(ctx context.Context, serial uint32, n int) ([]orders.Card, error)
	CardText(c orders.Card) (string, error)
	TimeText(nonce pass.Target) (string, error)
}

// Options are what pages of orders need.
type Options struct {
	Orders     Orderer
	Register   *register.Register
	HelpLine   string
	Controller string
	Log        *slog.Logger
}

// Pages is the pages of orders.
type Pages struct {
	f *page.Frame
	Options
}

// New returns the pages in f.
func New(f *page.Frame, o Options) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(assets, "assets")
	return &Pages{f, o}
}

var (
	commands = []qrgate.Role{qrgate.Operator, qrgate.Administrator}
	works    = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard}
)

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	some, all := page.Only(slices.Concat(commands, works)...), page.Only(commands...)
	return []page.Route{
		{Pattern: "GET /thiet-bi/{kiosk}/lenh", Allow: some, Handler: p.show},
		{Pattern: "POST /thiet-bi/{kiosk}/lenh", Allow: some, Handler: p.give},
		{Pattern: "POST /thiet-bi/{kiosk}/lenh/{id}/mo", Allow: all, Handler: p.press},
		{Pattern: "GET /thiet-bi/{kiosk}/lenh/{id}/nhat-ky.txt", Allow: all, Handler: p.logFile},
		{Pattern: "GET /thiet-bi/{kiosk}/lenh/{id}/anh.jpg", Allow: all, Handler: p.picture},
		{Pattern: "GET /thiet-bi/the-lenh", Allow: all, Menu: "menu.commands", Handler: p.cards},
		{Pattern: "POST /thiet-bi/the-lenh", Allow: all, Handler: p.makeCards},
		{Pattern: "GET /thiet-bi/the-lenh/{serial}/in.pdf", Allow: all, Handler: p.printCards},
		{Pattern: "GET /thiet-bi/the-lenh/{serial}/ma.png", Allow: all, Handler: p.cardCode},
		{Pattern: "GET /thiet-bi/gio", Allow: page.Anybody(), Handler: p.time},
		{Pattern: "GET /thiet-bi/gio/ma.png", Allow: page.Anybody(), Bare: true, Handler: p.timeCode},
	}
}

// A choice is an order that the page offers.
type choice struct {
	Kind   wire.OrderKind
	Sure   bool          // is asked a second time
	Works  bool          // for whoever works at the place, too
	Danger bool          // shown as something that stops or moves a door
	Life   time.Duration // how long a kiosk that is away may follow it when it is back
}

var choices = []choice{
	{Kind: wire.OrderIdentify, Works: true, Life: 5 * time.Minute},
	{Kind: wire.OrderSelfTest, Life: time.Hour},
	{Kind: wire.OrderLog, Life: time.Hour},
	{Kind: wire.OrderPicture, Life: 5 * time.Minute},
	{Kind: wire.OrderUndo, Works: true, Sure: true, Life: 2 * time.Minute},
	{Kind: wire.OrderPair, Works: true, Sure: true, Life: 2 * time.Minute},
	{Kind: wire.OrderDoor, Danger: true, Life: orders.DoorLife},
	{Kind: wire.OrderRestart, Sure: true, Danger: true, Life: time.Hour},
	{Kind: wire.OrderEpoch, Sure: true, Danger: true, Life: 24 * time.Hour},
	{Kind: wire.OrderLock, Sure: true, Danger: true, Life: 7 * 24 * time.Hour},
	{Kind: wire.OrderUnlock, Sure: true, Life: 7 * 24 * time.Hour},
}

// A standing is what orders have the kiosk do, as it last said.
type standing struct {
	Direction string // key of a text; "" as configured
	Until     time.Time
	Locked    bool
	Minutes   int64 // of maintenance
}

type showPage struct {
	*orders.Kiosk
	Commands bool // may give every order
	Choices  []choice

	Directions []option
	Orders     []line
	Older      []line
	Uses       []use
	Standing   standing
	Online     bool
	Form       *page.Form
	Live       bool // something is awaited
}

// online is how long after its last beat a kiosk is taken to be there: three beats.
const online = 95 * time.Second

// How many orders and uses the page has, and how many orders are seen at once.
const (
	shown      = 12
	shownFirst = 3
)

// kiosk returns the kiosk in the address and whether the viewer may give every order.
// Of a kiosk at others' places they know nothing.
func (p *Pages) kiosk(r *http.Request, v *page.View) (k *orders.Kiosk, all bool, err error) {
	id := r.PathValue("kiosk")
	if !wire.ValidKiosk(id) {
		return nil, false, qrgate.ErrNotFound
	}
	if k, err = p.Orders.Kiosk(r.Context(), id); err != nil {
		return nil, false, err
	}
	if len(v.Scopes(commands...)) > 0 {
		return k, true, nil
	}
	if k.PlaceNo == 0 {
		return nil, false, qrgate.ErrNotFound
	}
	place, err := p.Register.Place(r.Context(), k.PlaceNo)
	if err != nil {
		return nil, false, err
	}
	if !v.May(place, works...) {
		return nil, false, qrgate.ErrNotFound
	}
	return k, false, nil
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	k, all, err := p.kiosk(r, v)
	if err != nil {
		return err
	}
	return p.render(w, r, v, k, all, page.NewForm(url.Values{}), http.StatusOK)
}

func (p *Pages) render(w http.ResponseWriter, r *http.Request, v *page.View, k *orders.Kiosk, all bool, form *page.Form, status int) error {
	d := showPage{Kiosk: k, Commands: all, Form: form, Online: p.f.Now().Sub(k.Contact) < online}
	for _, to := range []string{"in", "out", "back"} {
		d.Directions = append(d.Directions, option{to, v.T("order.turned." + to)})
	}
	for _, c := range choices {
		if all || c.Works {
			d.Choices = append(d.Choices, c)
		}
	}
	if b := k.Beat; b != nil && b.Orders != nil {
		d.Standing = standing{Locked: b.Orders.Locked, Minutes: (b.Orders.Maintenance + 59) / 60}
		switch b.Orders.Direction {
		case wire.In, wire.Out:
			d.Standing.Direction = "order.turned." + b.Orders.Direction.String()
		}
		if b.Orders.Until > 0 {
			d.Standing.Until = time.UnixMilli(b.Orders.Until)
		}
	}
	given, err := p.Orders.Of(r.Context(), k.ID, shown)
	if err != nil {
		return err
	}
	for i := range given {
		l, err := p.line(r.Context(), v, &given[i], all)
		if err != nil {
			return err
		}
		if i < shownFirst {
			d.Orders = append(d.Orders, l)
		} else {
			d.Older = append(d.Older, l)
		}
		d.Live = d.Live || l.Ended.IsZero()
	}
	if all {
		uses, err := p.Orders.Uses(r.Context(), k.ID, shown)
		if err != nil {
			return err
		}
		for _, u := range uses {
			d.Uses = append(d.Uses, useOf(v, u))
		}
	}
	return v.RenderStatus(w, status, "order_show", d)
}

// kindOf returns the order that a form names, if the viewer may give it.
func kindOf(form *page.Form, all bool) (choice, bool) {
	name := form.Values.Get("order.kind")
	for _, c := range choices {
		if c.Kind.String() == name && (all || c.Works) {
			return c, true
		}
	}
	if all {
		switch name {
		case wire.OrderDirection.String():
			return choice{Kind: wire.OrderDirection, Sure: true, Life: 24 * time.Hour}, true
		case wire.OrderTally.String():
			return choice{Kind: wire.OrderTally, Life: time.Hour}, true
		case wire.OrderEvent.String():
			return choice{Kind: wire.OrderEvent, Sure: true, Life: time.Hour}, true
		}
	}
	return choice{}, false
}

type confirmPage struct {
	*orders.Kiosk
	Kind   wire.OrderKind
	Values url.Values
}

// give gives an order, or asks whether it is meant.
func (p *Pages) give(w http.ResponseWriter, r *http.Request, v *page.View) error {
	k, all, err := p.kiosk(r, v)
	if err != nil {
		return err
	}
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	c, ok := kindOf(form, all)
	if !ok {
		return qrgate.ErrInvalid
	}
	args := p.args(form, c.Kind)
	switch {
	case !form.OK():
		return p.render(w, r, v, k, all, form, http.StatusUnprocessableEntity)
	case !k.Active:
		return qrgate.ErrRevoked
	case c.Sure && form.Values.Get("order.sure") != "1":
		asked := url.Values{}
		for _, name := range []string{"order.kind", "order.direction", "order.hours", "order.count", "order.event"} {
			if said := form.Values.Get(name); said != "" {
				asked.Set(name, said)
			}
		}
		return v.Render(w, "order_confirm", confirmPage{k, c.Kind, asked})
	}
	_, err = p.Orders.Give(r.Context(), v.Who.Account.ID, orders.New{Kiosk: k.ID, Kind: c.Kind, Args: args, Life: c.Life})
	if err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/"+k.ID+"/lenh", "order.given")
}

// args reads what an order says beside its kind.
func (p *Pages) args(form *page.Form, kind wire.OrderKind) (a wire.OrderArgs) {
	switch kind {
	case wire.OrderDirection:
		switch form.Choice("order.direction", true, "in", "out", "back") {
		case "in":
			a.Direction = wire.In
		case "out":
			a.Direction = wire.Out
		}
		if hours := form.Int("order.hours", 0, maxHours); hours > 0 && a.Direction != 0 {
			a.Until = p.f.Now().Add(time.Duration(hours) * time.Hour).UnixMilli()
		}
	case wire.OrderTally:
		a.Count = int64(form.Int("order.count", 1, wire.MaxTally))
		if a.Count == 0 {
			form.Fail("order.count", "wrong.number", "least", "1", "most", strconv.Itoa(wire.MaxTally))
		}
	case wire.OrderEvent:
		a.Event = uint32(form.Int("order.event", 1, pass.MaxEvent))
		if a.Event == 0 {
			form.Fail("order.event", "wrong.number", "least", "1", "most", page.Number(pass.MaxEvent))
		}
	}
	return a
}

// maxHours is how long a lane may be turned by one order.
const maxHours = 24 * 31

// order returns the order in the address.
func (p *Pages) order(r *http.Request, v *page.View) (*orders.Order, error) {
	k, _, err := p.kiosk(r, v)
	if err != nil {
		return nil, err
	}
	var id wire.OrderID
	if n, err := hex.Decode(id[:], []byte(r.PathValue("id"))[:min(len(r.PathValue("id")), 32)]); err != nil || n != len(id) || len(r.PathValue("id")) != 32 {
		return nil, qrgate.ErrNotFound
	}
	return p.Orders.Order(r.Context(), k.ID, id)
}

// press takes the second step of a door order.
func (p *Pages) press(w http.ResponseWriter, r *http.Request, v *page.View) error {
	o, err := p.order(r, v)
	if err != nil {
		return err
	}
	if err := p.Orders.Press(r.Context(), v.Who.Account.ID, o.Kiosk, o.ID); err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/"+o.Kiosk+"/lenh", "order.pressed")
}

func (p *Pages) logFile(w http.ResponseWriter, r *http.Request, v *page.View) error {
	data, err := p.brought(r, v, wire.OrderLog)
	if err != nil {
		return err
	}
	page.Send(w, "text/plain; charset=utf-8", r.PathValue("kiosk")+".txt", data)
	return nil
}

func (p *Pages) picture(w http.ResponseWriter, r *http.Request, v *page.View) error {
	data, err := p.brought(r, v, wire.OrderPicture)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", "no-store")
	w.Write(data)
	return nil
}

// brought returns what an order of a kind brought, while it is there.
func (p *Pages) brought(r *http.Request, v *page.View, kind wire.OrderKind) ([]byte, error) {
	o, err := p.order(r, v)
	if err != nil {
		return nil, err
	}
	if o.Kind != kind {
		return nil, qrgate.ErrNotFound
	}
	data, err := p.Orders.Data(r.Context(), o)
	if err == nil && len(data) == 0 {
		err = qrgate.ErrNotFound
	}
	return data, err
}
