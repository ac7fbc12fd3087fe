package order

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A label is a state in words, with a sign beside them so that none is told by its
// colour alone.
type label struct{ Class, Sign, Text string }

func stateLabel(v *page.View, s wire.OrderState) label {
	l := label{"off", "…", v.T("order.state.waiting")}
	switch s {
	case 0:
	case wire.OrderDone:
		l = label{"good", "✓", ""}
	case wire.OrderPrepared:
		l = label{"warn", "◐", ""}
	case wire.OrderExpired:
		l = label{"off", "○", ""}
	case wire.OrderRefused, wire.OrderUnknown, wire.OrderFailed:
		l = label{"bad", "✕", ""}
	default:
		return label{"off", "?", s.String()}
	}
	if s != 0 {
		l.Text = v.T("order.state." + s.String())
	}
	return l
}

// own are the reasons that say something else of an order than of a visitor's card.
var own = []wire.Reason{
	wire.ReasonExpired, wire.ReasonNotYet, wire.ReasonSignature, wire.ReasonKey, wire.ReasonMalformed, wire.ReasonKiosk, wire.ReasonOrder,
	wire.ReasonRepeated, wire.ReasonDisk, wire.ReasonSpace,
}

func reasonText(v *page.View, r wire.Reason) string {
	switch {
	case r == wire.NoReason:
		return ""
	case slices.Contains(own, r):
		return v.T("order.reason." + r.String())
	}
	return words.Reason(words.Lang(v.Lang), r).Head
}

func kindText(v *page.View, k wire.OrderKind) string {
	if k == 0 || strings.HasPrefix(k.String(), "order ") {
		return v.T("order.kind.unknown")
	}
	return v.T("order.kind." + k.String())
}

// A line is an order as the page shows it.
type line struct {
	*orders.Order
	What   string
	Label  label
	Why    string
	Args   string
	By     string
	Checks []check
	Tail   string // of a log
	Cut    bool   // there is more of it
	Image  bool
	Gone   bool // what it brought is not there any more
	Left   int  // seconds in which the door can be opened
	Open   bool // somebody has taken the second step, and the kiosk has not yet
}

type check struct {
	Name, Detail string
	OK           bool
}

// checks are the parts of a self-test that have words; a later release may try more.
var checks = []string{"scanner", "disk", "ledger", "clock", "lamps", "sound", "link", "list"}

// tail is how many lines of a log the page shows.
const tail = 40

func (p *Pages) line(ctx context.Context, v *page.View, o *orders.Order, all bool) (line, error) {
	l := line{Order: o, What: kindText(v, o.Kind), Label: stateLabel(v, o.State), Why: reasonText(v, o.Reason), Args: argsText(v, o.Kind, o.Args)}
	account, err := p.Register.Account(ctx, o.By)
	switch {
	case err == nil:
		l.By = account.Display
	case !errors.Is(err, qrgate.ErrNotFound):
		return l, err
	}
	if o.State == wire.OrderDone && slices.ContainsFunc(o.Checks, func(c wire.Check) bool { return !c.OK }) {
		l.Label = label{"bad", "✕", v.T("order.state.faulty")}
	}
	for _, c := range o.Checks {
		name := c.Name
		if slices.Contains(checks, name) {
			name = v.T("order.check." + name)
		}
		l.Checks = append(l.Checks, check{name, c.Detail, c.OK})
	}
	if o.Kind == wire.OrderDoor && o.Ended.IsZero() && !o.Waits.IsZero() && all {
		l.Open = !o.Pressed.IsZero()
		l.Left = int((doorTime - p.f.Now().Sub(o.Waits)).Round(time.Second) / time.Second)
	}
	if o.Parts == 0 || !all {
		return l, nil
	}
	data, err := p.Orders.Data(ctx, o)
	if err != nil {
		return l, err
	}
	switch l.Gone = len(data) == 0; {
	case l.Gone:
	case o.Kind == wire.OrderPicture:
		l.Image = true
	case o.Kind == wire.OrderLog:
		lines := bytes.Split(bytes.TrimSpace(bytes.ToValidUTF8(data, []byte("?"))), []byte("\n"))
		l.Cut = len(lines) > tail
		l.Tail = string(bytes.Join(lines[max(0, len(lines)-tail):], []byte("\n")))
	}
	return l, nil
}

// doorTime is how long a kiosk asks for the second step; see order.DoorWaits of the
// kiosk's program.
const doorTime = 60 * time.Second

func argsText(v *page.View, k wire.OrderKind, a wire.OrderArgs) string {
	switch k {
	case wire.OrderDirection:
		key := "order.turned.back"
		if a.Direction != 0 {
			key = "order.turned." + a.Direction.String()
		}
		said := v.T(key)
		if a.Until > 0 {
			said += " " + v.T("order.until", "at", time.UnixMilli(a.Until).In(qrgate.Zone).Format("02/01/2006 15:04"))
		}
		return said
	case wire.OrderTally:
		return v.T("order.count.of", "n", a.Count)
	case wire.OrderEvent:
		return v.T("order.event.of", "n", a.Event)
	}
	return ""
}

// A use is a command card, or a message that was refused, as the page shows it.
type use struct {
	orders.Use
	What  string
	Label label
	Why   string
}

func useOf(v *page.View, u orders.Use) use {
	return use{u, kindText(v, u.Kind), stateLabel(v, u.State), reasonText(v, u.Reason)}
}
