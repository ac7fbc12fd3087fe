package guard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/sync/wire"
)

// note records what became of a telephone: why is "tries" if it was locked out.
func (g *Guard) note(ctx context.Context, why string) {
	out := order.Outcome{}
	if why == "tries" {
		out = order.Outcome{State: wire.OrderRefused, Reason: wire.ReasonTries}
	}
	if _, err := g.Orders.Guard(ctx, wire.OrderGuard, func(context.Context) order.Outcome { return out }); err != nil {
		g.broken(err)
	}
}

// pairPage shows what a pairing code leads to: how to compare the certificate, and the
// form for a PIN. To look uses nothing up.
func (g *Guard) pairPage(q *request) {
	token, stated := q.URL.Query().Get("t"), q.URL.Query().Get("h")
	g.pairForm(q, token, stated, http.StatusOK, "")
}

// A pairing is what its page shows.
type pairing struct {
	Token       string
	First, Last string
	Whole       []string
	State       string // "", ended, stranger
}

func (g *Guard) pairForm(q *request, token, stated string, status int, wrong string) {
	f := fingerprint(g.cert)
	p := pairing{Token: token, First: f[:4], Last: f[len(f)-4:], Whole: grouped(f)}
	switch {
	case !strings.EqualFold(stated, f):
		p.State, status = "stranger", http.StatusConflict
	case !g.offers.good(token, false, time.Now()):
		p.State, status = "ended", http.StatusGone
	}
	g.render(q, status, "pair", data{D: p, Wrong: wrong, Typed: url.Values{"h": {f}}})
}

// pair makes a telephone a guard's.
func (g *Guard) pair(q *request) {
	if !g.form(q) {
		return
	}
	token, pin := q.PostForm.Get("t"), q.PostForm.Get("pin")
	bad := func(key string) {
		g.pairForm(q, token, q.PostForm.Get("h"), http.StatusUnprocessableEntity, say(q.lang, key))
	}
	switch {
	case !g.offers.good(token, false, time.Now()):
		bad("pair.ended")
		return
	case !goodPIN(pin):
		bad("pair.bad")
		return
	case pin != q.PostForm.Get("pin2"):
		bad("pair.differ")
		return
	case !g.offers.good(token, true, time.Now()): // somebody else was faster
		bad("pair.ended")
		return
	}
	secret, err := g.phones.add(pin)
	if err != nil {
		g.Log.Error("telephone not kept", "err", err)
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
		return
	}
	g.Log.Info("a guard's telephone was paired", "phones", g.phones.count())
	g.note(q.Context(), "")
	q.set(phoneCookie, secret, phoneTime)
	g.begin(q, secret, notice{Key: "pair.done"})
}

// begin opens a session and goes to the page.
func (g *Guard) begin(q *request, secret string, n notice) {
	id := g.sessions.begin(secret, time.Now())
	q.set(sessionCookie, id, wholeTime)
	if n.Key != "" {
		g.sessions.say(id, n)
	}
	http.Redirect(q.w, q.Request, "/", http.StatusSeeOther)
}

// enter takes a PIN.
func (g *Guard) enter(q *request) {
	if !g.form(q) {
		return
	}
	wait, closed, err := g.phones.check(q.secret, q.PostForm.Get("pin"), time.Now())
	if closed {
		g.Log.Warn("a guard's telephone is locked out", "for", wait)
		g.note(q.Context(), "tries")
	}
	switch {
	case err == nil:
		g.begin(q, q.secret, notice{})
	case errors.Is(err, errUnknown):
		q.set(phoneCookie, "", 0)
		key := "alone.title"
		if closed {
			key = "pin.gone"
		}
		g.render(q, http.StatusForbidden, "alone", data{Wrong: say(q.lang, key)})
	case wait > 0:
		q.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		g.render(q, http.StatusTooManyRequests, "pin", data{Wrong: say(q.lang, "pin.locked", "minutes", minutes(wait))})
	case errors.Is(err, errPIN):
		g.render(q, http.StatusForbidden, "pin", data{Wrong: say(q.lang, "pin.wrong")})
	default:
		g.Log.Error("PIN not compared", "err", err)
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
	}
}

// leave ends a session, forget the telephone too.
func (g *Guard) leave(q *request) {
	g.sessions.end(func(s session) bool { return s.id == q.in.id })
	q.set(sessionCookie, "", 0)
	http.Redirect(q.w, q.Request, "/", http.StatusSeeOther)
}

func (g *Guard) forget(q *request) {
	if err := g.phones.forget(q.secret); err != nil {
		g.Log.Error("telephone not forgotten on disk", "err", err)
	}
	g.sessions.end(func(s session) bool { return s.secret == q.secret })
	g.note(q.Context(), "")
	q.set(phoneCookie, "", 0)
	g.leave(q)
}
