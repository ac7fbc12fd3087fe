package card

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/scanner"
	"github.com/qrgate/qrgate/sync/pairing"
)

// deskKey is where a session remembers its line to a scanner.
const deskKey = "scanner"

// deskPath is the page on which a clerk joins a scanner.
const deskPath = "/the/may-quet"

// deskRoutes are the rows of scanners at desks, if this server joins any.
func (p *Pages) deskRoutes(only page.Allow) []page.Route {
	if p.o.Scanners == nil {
		return nil
	}
	return []page.Route{
		{Pattern: "GET " + deskPath, Allow: only, Handler: p.showDesk},
		{Pattern: "POST " + deskPath, Allow: only, Handler: p.offerDesk},
		{Pattern: "POST " + deskPath + "/dung", Allow: only, Handler: p.endDesk},
		{Pattern: "POST " + deskPath + "/lay", Allow: only, Handler: p.takeDesk},
		{Pattern: "GET " + deskPath + "/cho", Allow: only, Handler: p.awaitDesk},
		{Pattern: "POST " + pairing.DeskPath, Allow: page.Anybody(), Bare: true, Handler: p.hearDesk, MaxBody: pairing.MaxDesk},
	}
}

// A scanners is what a page shows of the scanner that is joined to it.
type scanners struct {
	Able   bool // scanners can be joined at all
	Joined bool // the session has a line
	scanner.News
	Asks  bool // what stands in the page's form is not to be lost
	Finds bool // the page has the field that keyboard scanners type into
}

// line returns the session's line, or nil.
func (p *Pages) line(r *http.Request, v *page.View) *scanner.Line {
	if p.o.Scanners == nil {
		return nil
	}
	return p.o.Scanners.Line(v.Session(r.Context(), deskKey), v.Who.Account.ID)
}

func (p *Pages) scanners(r *http.Request, v *page.View) scanners {
	s := scanners{Able: p.o.Scanners != nil}
	if l := p.line(r, v); l != nil {
		s.Joined, s.News = true, l.Now()
	}
	return s
}

// A deskPage shows the code that a scanner has to read, and then how it is.
type deskPage struct {
	Desk    scanners
	Picture template.URL // of the QR, while it is offered
	Text    string
	Left    int // minutes
}

func (p *Pages) showDesk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d := deskPage{Desk: p.scanners(r, v), Left: int(scanner.OfferedFor / time.Minute)}
	if l := p.line(r, v); l != nil && d.Desk.State == scanner.Offered {
		d.Text = l.Code().Desk()
		var b bytes.Buffer
		if err := print.Code(&b, d.Text); err != nil {
			return err
		}
		d.Picture = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	w.Header().Set("Cache-Control", "no-store")
	return v.Render(w, "card_desk", d)
}

func (p *Pages) offerDesk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	l, err := p.o.Scanners.Offer(v.Who.Account.ID)
	if err != nil {
		return page.Busy{Err: err, After: retryIn}
	}
	v.SetSession(r.Context(), deskKey, l.ID())
	return v.Go(w, deskPath, "")
}

func (p *Pages) endDesk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if l := p.line(r, v); l != nil {
		l.End()
	}
	v.SetSession(r.Context(), deskKey, "")
	return v.Go(w, deskPath, "card.desk.ended.now")
}

// awaitDesk answers the page's script when there is something new.
func (p *Pages) awaitDesk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	n := scanner.News{State: scanner.Ended}
	if l := p.line(r, v); l != nil {
		n = l.Now()
		if seen, err := strconv.ParseUint(r.URL.Query().Get("thay"), 10, 64); err == nil {
			n = l.Wait(r.Context(), seen)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]any{"version": n.Version, "state": n.State, "waiting": n.Waiting})
}

// takeDesk goes on with what the scanner has read. It is a form's answer, so that
// nothing of it stands in an address.
func (p *Pages) takeDesk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	l := p.line(r, v)
	if l == nil {
		v.SetSession(r.Context(), deskKey, "")
		return v.Go(w, deskPath, "card.desk.gone")
	}
	text, ok := l.Take()
	if !ok {
		return v.Go(w, "/the", "card.desk.nothing")
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.look(w, r, v, page.NewForm(nil), text, true)
}

// hearDesk takes what a scanner at a desk sends.
func (p *Pages) hearDesk(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		err = scanner.ErrMalformed
	} else {
		err = p.o.Scanners.Receive(body)
	}
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, scanner.ErrEnded):
		w.WriteHeader(http.StatusGone)
	case errors.Is(err, scanner.ErrTaken):
		w.WriteHeader(http.StatusConflict)
	case errors.Is(err, scanner.ErrFull):
		w.WriteHeader(http.StatusTooManyRequests)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
	return nil
}
