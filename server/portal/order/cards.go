package order

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A cardKind is an order as a command card. Of a lane's direction there are three.
type cardKind struct {
	Name string // in forms and as key of texts
	Kind wire.OrderKind
	Args wire.OrderArgs
}

var cardKinds = []cardKind{
	{"self_test", wire.OrderSelfTest, wire.OrderArgs{}},
	{"turn_in", wire.OrderDirection, wire.OrderArgs{Direction: wire.In}},
	{"turn_out", wire.OrderDirection, wire.OrderArgs{Direction: wire.Out}},
	{"turn_back", wire.OrderDirection, wire.OrderArgs{}},
	{"undo", wire.OrderUndo, wire.OrderArgs{}},
	{"tally", wire.OrderTally, wire.OrderArgs{}},
	{"event", wire.OrderEvent, wire.OrderArgs{}},
	{"maintenance", wire.OrderMaintenance, wire.OrderArgs{}},
	{"set_up", wire.OrderSetUp, wire.OrderArgs{}},
	{"network", wire.OrderNetwork, wire.OrderArgs{}},
	{"pair", wire.OrderPair, wire.OrderArgs{}},
}

// Limits of what is made at a time. A card that is lost is good until its last day, so
// that day is not far.
const (
	maxDays    = 366
	usualDays  = 30
	maxCopies  = 20
	shownCards = 50
)

type cardsPage struct {
	Form   *page.Form
	Kiosks []option
	Kinds  []option
	Cards  []cardLine
	Uses   []use
}

type option struct{ Value, Text string }

type cardLine struct {
	orders.Card
	What, Where, By string
	Over            bool
}

func (p *Pages) cards(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form := page.NewForm(url.Values{"order.days": {strconv.Itoa(usualDays)}, "order.copies": {"1"}, "order.where": {"kiosk"}})
	return p.renderCards(w, r, v, form, http.StatusOK)
}

func (p *Pages) renderCards(w http.ResponseWriter, r *http.Request, v *page.View, form *page.Form, status int) error {
	ctx := r.Context()
	d := cardsPage{Form: form}
	kiosks, err := p.Orders.Kiosks(ctx)
	if err != nil {
		return err
	}
	for _, k := range kiosks {
		d.Kiosks = append(d.Kiosks, option{k.ID, k.Place + " · " + k.ID})
	}
	for _, k := range cardKinds {
		d.Kinds = append(d.Kinds, option{k.Name, v.T("order.card." + k.Name)})
	}
	made, err := p.Orders.Cards(ctx, shownCards)
	if err != nil {
		return err
	}
	for _, c := range made {
		l := cardLine{Card: c, What: cardText(v.Lang, c), Where: c.Kiosk, Over: !p.f.Now().Before(c.Until.Time())}
		if c.Kiosk == "" {
			if l.Where, err = p.placeName(r, c.Place); err != nil {
				return err
			}
			l.Where = v.T("order.everywhere", "place", l.Where)
		}
		d.Cards = append(d.Cards, l)
	}
	used, err := p.Orders.Uses(ctx, "", shown)
	if err != nil {
		return err
	}
	for _, u := range used {
		d.Uses = append(d.Uses, useOf(v, u))
	}
	return v.RenderStatus(w, status, "order_cards", d)
}

func (p *Pages) placeName(r *http.Request, no uint32) (string, error) {
	place, err := p.Register.Place(r.Context(), no)
	if err != nil {
		return "", err
	}
	return place.Name, nil
}

// cardText returns what a card has a kiosk do, in words.
func cardText(lang text.Lang, c orders.Card) string {
	a, err := wire.CardArgs(c.Kind, c.Arg, time.Unix(0, 0))
	if err != nil {
		return c.Kind.String()
	}
	name := c.Kind.String()
	switch c.Kind {
	case wire.OrderDirection:
		name = "turn_back"
		if a.Direction != 0 {
			name = "turn_" + a.Direction.String()
		}
		said := text.Of(lang, "order.card."+name)
		if a.Until > 0 {
			said += " " + text.Of(lang, "order.hours.of", "n", a.Until/time.Hour.Milliseconds())
		}
		return said
	case wire.OrderTally:
		return text.Of(lang, "order.count.of", "n", a.Count)
	case wire.OrderEvent:
		return text.Of(lang, "order.event.of", "n", a.Event)
	}
	return text.Of(lang, "order.card."+name)
}

// makeCards makes cards of one kind.
func (p *Pages) makeCards(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	var names []string
	for _, k := range cardKinds {
		names = append(names, k.Name)
	}
	name := form.Choice("order.what", true, names...)
	kiosk := form.Text("order.kiosk", 40, true)
	where := form.Choice("order.where", true, "kiosk", "place")
	note := form.Text("order.note", 100, false)
	days, copies := form.Int("order.days", 1, maxDays), form.Int("order.copies", 1, maxCopies)
	for field, most := range map[string]int{"order.days": maxDays, "order.copies": maxCopies} {
		if form.Int(field, 1, most) == 0 {
			form.Fail(field, "wrong.number", "least", "1", "most", strconv.Itoa(most))
		}
	}
	now := p.f.Now()
	c := orders.Card{Note: note, Single: form.Values.Get("order.single") == "1", Kiosk: kiosk, From: pass.HourOf(now)}
	if form.OK() {
		c.Until = pass.HourOf((qrgate.DayOf(now) + qrgate.Day(days)).Start())
		i := slices.IndexFunc(cardKinds, func(k cardKind) bool { return k.Name == name })
		kind := cardKinds[i]
		c.Kind = kind.Kind
		args, hours := kind.Args, 0
		switch kind.Kind {
		case wire.OrderDirection:
			if kind.Args.Direction != 0 {
				hours = form.Int("order.hours", 0, maxHours)
			}
		case wire.OrderTally, wire.OrderEvent:
			args = p.args(form, kind.Kind)
		}
		c.Arg = wire.CardArg(kind.Kind, args, uint16(hours))
	}
	if form.OK() && wire.ValidKiosk(kiosk) {
		k, err := p.Orders.Kiosk(r.Context(), kiosk)
		switch {
		case err != nil && !errors.Is(err, qrgate.ErrNotFound):
			return err
		case err != nil || !k.Active:
			form.Fail("order.kiosk", "order.kiosk.none")
		case where == "place" && k.PlaceNo == 0:
			form.Fail("order.where", "order.place.none")
		case where == "place" && c.Single:
			form.Fail("order.single", "order.single.place")
		case where == "place":
			c.Kiosk, c.Place = "", k.PlaceNo
		}
	} else if form.OK() {
		form.Fail("order.kiosk", "order.kiosk.none")
	}
	if !form.OK() {
		return p.renderCards(w, r, v, form, http.StatusUnprocessableEntity)
	}
	if _, err := p.Orders.Make(r.Context(), v.Who.Account.ID, c, copies); err != nil {
		return err
	}
	return v.Go(w, "/thiet-bi/the-lenh", "order.made", "n", copies)
}

// layouts are those of cards that are cut out.
var layouts = []string{string(print.CardDuplex), string(print.CardFold), string(print.CardLarge), string(print.CardSingle)}

// printCards prints cards from a serial number on.
func (p *Pages) printCards(w http.ResponseWriter, r *http.Request, v *page.View) error {
	serial, err := strconv.ParseUint(r.PathValue("serial"), 10, 32)
	if err != nil {
		return qrgate.ErrNotFound
	}
	q := page.NewForm(r.URL.Query())
	n, layout := max(1, q.Int("so", 1, maxCopies)), q.Values.Get("kho")
	if !slices.Contains(layouts, layout) {
		layout = string(print.CardDuplex)
	}
	cards, err := p.Orders.CardsFrom(r.Context(), uint32(serial), n)
	if err != nil {
		return err
	}
	if len(cards) == 0 || cards[0].Serial != uint32(serial) {
		return qrgate.ErrNotFound
	}
	deck := print.Deck{
		Layout: print.Layout(layout), Title: v.T("order.cards.title"), Printed: p.f.Now(), HelpLine: p.HelpLine, Controller: p.Controller, Command: true,
	}
	var out bytes.Buffer
	err = print.Cards(&out, deck, func(yield func(*print.Card, error) bool) {
		for _, c := range cards {
			card, err := p.printed(r, c)
			if !yield(card, err) || err != nil {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	page.Send(w, "application/pdf", fmt.Sprintf("the-lenh-%d.pdf", serial), out.Bytes())
	return nil
}

// cardCode is the code of a card alone, for a telephone's screen.
func (p *Pages) cardCode(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	serial, err := strconv.ParseUint(r.PathValue("serial"), 10, 32)
	if err != nil {
		return qrgate.ErrNotFound
	}
	cards, err := p.Orders.CardsFrom(r.Context(), uint32(serial), 1)
	if err != nil {
		return err
	}
	if len(cards) == 0 || cards[0].Serial != uint32(serial) {
		return qrgate.ErrNotFound
	}
	code, err := p.Orders.CardText(cards[0])
	if err != nil {
		return err
	}
	return writeCode(w, code)
}

func writeCode(w http.ResponseWriter, code string) error {
	var out bytes.Buffer
	if err := print.Code(&out, code); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Cache-Control", "no-store")
	w.Write(out.Bytes())
	return nil
}

func (p *Pages) printed(r *http.Request, c orders.Card) (*print.Card, error) {
	code, err := p.Orders.CardText(c)
	if err != nil {
		return nil, err
	}
	where := c.Kiosk
	if where == "" {
		if where, err = p.placeName(r, c.Place); err != nil {
			return nil, err
		}
	}
	return &print.Card{
		Text: code, Name: cardText(text.Vietnamese, c), Kind: print.Text{VI: where, EN: cardText(text.English, c)},
		Number: strconv.FormatUint(uint64(c.Serial), 10), Until: c.Until.Time().Add(-time.Minute).In(qrgate.Zone),
	}, nil
}

type timePage struct {
	Code string // of the kiosk's screen
	OK   bool
}

// nonceOf returns the number that a kiosk's screen shows.
func nonceOf(r *http.Request) (pass.Target, bool) {
	var t pass.Target
	said := r.URL.Query().Get("so")
	if len(said) != 2*len(t) {
		return t, false
	}
	_, err := hex.Decode(t[:], []byte(said))
	return t, err == nil
}

// time shows a code that tells the time to the kiosk whose screen is before the telephone.
// Anybody may ask: it says what time it is, and only to that screen.
func (p *Pages) time(w http.ResponseWriter, r *http.Request, v *page.View) error {
	nonce, ok := nonceOf(r)
	return v.Render(w, "order_time", timePage{hex.EncodeToString(nonce[:]), ok})
}

func (p *Pages) timeCode(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	nonce, ok := nonceOf(r)
	if !ok {
		return qrgate.ErrNotFound
	}
	code, err := p.Orders.TimeText(nonce)
	if err != nil {
		return err
	}
	return writeCode(w, code)
}
