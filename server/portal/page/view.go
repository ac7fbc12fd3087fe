package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// Addresses that the frame itself sends people to.
const (
	signInPath = "/dang-nhap"
	secondPath = "/dang-nhap/xac-thuc"
)

// What a session holds.
const (
	keySignIn = "signin" // id of the sign-in
	keyNotice = "notice" // text shown on the next page
)

// A View is one request: who looks, in which language, and what the page shows.
type View struct {
	Who        *register.SignIn // nil if nobody has signed in
	Lang       text.Lang
	Path       string
	HelpLine   string
	Controller string
	Data       any

	f      *Frame
	r      *http.Request
	allow  Allow // of the route
	notice string
	// session says that the browser's session was loaded: it is not for what
	// machines fetch, nor for what fails before its route is known.
	session bool
}

// identify finds who is looking.
func (v *View) identify(ctx context.Context) error {
	id := v.f.sessions.GetString(ctx, keySignIn)
	if id == "" {
		return nil
	}
	who, err := v.f.o.Register.SignedIn(ctx, id)
	if errors.Is(err, qrgate.ErrNotFound) { // it was ended elsewhere
		v.f.sessions.Remove(ctx, keySignIn)
		return nil
	}
	v.Who = who
	return err
}

// Still returns an error once what is being answered would not be answered if it were
// asked for now: the viewer has signed out, is blocked or has lost the role. Else Who and
// what follows from it are of now. It is for answers that do not end by themselves.
func (v *View) Still(ctx context.Context) error {
	now := &View{Who: v.Who}
	if v.Who != nil && !v.allow.anybody {
		who, err := v.f.o.Register.SignedIn(ctx, v.Who.ID)
		if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
			return fmt.Errorf("page: still: %w", err)
		}
		now.Who = who
	}
	if err := v.allow.check(now); err != nil {
		return err
	}
	v.Who = now.Who
	return nil
}

// T returns a text in the reader's language.
func (v *View) T(key string, args ...any) string { return text.Of(v.Lang, key, args...) }

// SignIn makes this browser's session that of an account. The session gets a new
// name, so that one which somebody else knows is worth nothing. If it is to be
// remembered it outlives the browser.
func (v *View) SignIn(r *http.Request, account string, second, remember bool) error {
	ctx := r.Context()
	if err := v.Renew(ctx); err != nil {
		return err
	}
	lasts := sessionFor
	if remember {
		lasts = rememberedFor
	}
	until := v.f.o.Now().Add(lasts)
	id, err := v.f.o.Register.Begin(ctx, account, agentOf(r), second, until)
	if err != nil {
		return err
	}
	v.f.sessions.Put(ctx, keySignIn, id)
	v.f.sessions.SetDeadline(ctx, until)
	v.f.sessions.RememberMe(ctx, remember)
	return nil
}

// Renew gives the browser's session a new name, so that one which somebody else
// knows is worth nothing for what is put into it now.
func (v *View) Renew(ctx context.Context) error {
	if err := v.f.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("page: renew: %w", err)
	}
	return nil
}

// Forget parts this browser from its account.
func (v *View) Forget(ctx context.Context) error { return v.f.sessions.Destroy(ctx) }

// Session returns what was put into the browser's session under key, or "".
func (v *View) Session(ctx context.Context, key string) string {
	return v.f.sessions.GetString(ctx, "x."+key)
}

// SetSession puts something into the browser's session; "" takes it out.
func (v *View) SetSession(ctx context.Context, key, value string) {
	if value == "" {
		v.f.sessions.Remove(ctx, "x."+key)
		return
	}
	v.f.sessions.Put(ctx, "x."+key, value)
}

// Go sends the browser on after a form was taken, with a notice on the next page
// if one is given: a key of package text and its placeholders.
func (v *View) Go(w http.ResponseWriter, to, notice string, args ...any) error {
	if notice != "" {
		v.f.sessions.Put(v.r.Context(), keyNotice, v.T(notice, args...))
	}
	http.Redirect(w, v.r, to, http.StatusSeeOther)
	return nil
}

// Notice returns what the page before has to say, once.
func (v *View) Notice() string {
	if v.notice == "" && v.session {
		v.notice = v.f.sessions.PopString(v.r.Context(), keyNotice)
	}
	return v.notice
}

// A MenuItem is a link in the menu.
type MenuItem struct {
	Path, Key string
	Here      bool
}

// Menu returns what this viewer may choose from.
func (v *View) Menu() []MenuItem {
	var items []MenuItem
	best := -1
	for _, route := range v.f.routes {
		if route.Menu == "" || route.Allow.anybody && v.Who != nil && strings.HasPrefix(route.Menu, "menu.out.") {
			continue
		}
		if err := route.Allow.check(v); err != nil && !errors.Is(err, errSecond) {
			continue
		}
		_, path, _ := strings.Cut(route.Pattern, " ")
		path = strings.TrimSuffix(path, "{$}")
		items = append(items, MenuItem{Path: path, Key: route.Menu})
		if path != "/" && strings.HasPrefix(v.Path, path) && (best < 0 || len(path) > len(items[best].Path)) {
			best = len(items) - 1
		}
	}
	if best >= 0 {
		items[best].Here = true
	}
	return items
}

// Scopes returns where the viewer holds one of the roles, as far as the second
// factor that was shown allows.
func (v *View) Scopes(roles ...qrgate.Role) []qrgate.Scope {
	if v.Who == nil {
		return nil
	}
	var all []qrgate.Scope
	for _, g := range v.Who.Grants {
		if slices.Contains(roles, g.Role) && (v.Who.Second || !g.Role.SecondFactor()) && !slices.Contains(all, g.Scope) {
			all = append(all, g.Scope)
		}
	}
	return all
}

// May reports whether the viewer holds one of the roles for a place.
func (v *View) May(p *qrgate.Place, roles ...qrgate.Role) bool {
	return slices.ContainsFunc(v.Scopes(roles...), func(s qrgate.Scope) bool { return covers(s, p, v.f.o.Now()) })
}

func covers(s qrgate.Scope, p *qrgate.Place, now time.Time) bool {
	switch s.Kind {
	case qrgate.Everywhere:
		return true
	case qrgate.InOrganisation:
		return s.ID == p.Organisation
	case qrgate.InSector:
		return slices.Contains(qrgate.SectorIDs(s.ID, now), p.Sector)
	case qrgate.InArea:
		scope, err := area.ParseID(s.ID)
		if err != nil {
			return false
		}
		in, err := area.ParseID(p.AreaNow)
		return err == nil && area.Covers(scope, in)
	}
	return false
}

// Place returns the place whose number is "no" in the address, if the viewer holds
// one of the roles for it and it is not deleted. Who may only see it, because of
// one of sees, is told so; to others it does not exist.
func (v *View) Place(roles, sees []qrgate.Role) (*qrgate.Place, error) {
	no, err := strconv.ParseUint(v.r.PathValue("no"), 10, 32)
	if err != nil {
		return nil, qrgate.ErrNotFound
	}
	p, err := v.f.o.Register.Place(v.r.Context(), uint32(no))
	switch {
	case err != nil:
		return nil, err
	case v.May(p, roles...):
		if !p.Deleted.IsZero() {
			return nil, qrgate.ErrNotFound
		}
		return p, nil
	case v.May(p, sees...):
		return nil, qrgate.ErrForbidden
	}
	return nil, qrgate.ErrNotFound
}

// Places returns the filter of the places for which the viewer holds one of the
// roles: it finds exactly those for which [View.May] is true.
func (v *View) Places(roles ...qrgate.Role) register.Within {
	var w register.Within
	for _, s := range v.Scopes(roles...) {
		switch s.Kind {
		case qrgate.Everywhere:
			w.All = true
		case qrgate.InOrganisation:
			w.Organisations = append(w.Organisations, s.ID)
		case qrgate.InSector:
			w.Sectors = append(w.Sectors, qrgate.SectorIDs(s.ID, v.f.o.Now())...)
		case qrgate.InArea:
			if id, err := area.ParseID(s.ID); err == nil {
				for _, unit := range area.CurrentOf(id) {
					if area.Covers(id, unit.ID) {
						w.Areas = append(w.Areas, unit.ID.String())
					}
				}
			}
		}
	}
	return w
}

// Address returns the client's address; see [Frame.ClientAddress].
func (v *View) Address() netip.Addr { return v.f.ClientAddress(v.r) }

// ClientAddress returns the address of whoever asks. Behind a proxy that is trusted
// it is the last one that the proxy did not add itself.
func (f *Frame) ClientAddress(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if !f.trusted(r) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		if addr = a.Unmap(); !slices.ContainsFunc(f.o.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			break
		}
	}
	return addr
}

func (f *Frame) trusted(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(f.o.Proxies, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// backTo returns the query that brings somebody back after signing in.
func backTo(uri string) string { return url.Values{"ve": {uri}}.Encode() }

// Back returns the page of ours that the request wants to go back to, or
// fallback: never an address elsewhere.
func Back(r *http.Request, fallback string) string {
	to := r.FormValue("ve")
	if signin.SafePath(to) != to {
		return fallback
	}
	return to
}

// ID returns the id in a request's path, or "" if it can be none: PostgreSQL fails
// at what is no UTF-8, which is not the fault of a server.
func ID(r *http.Request) string {
	id := r.PathValue("id")
	if len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return ""
	}
	return id
}

// agentOf returns a browser in a few words, as the list of sign-ins shows it.
func agentOf(r *http.Request) string {
	agent := r.UserAgent()
	name, system := "?", "?"
	for _, known := range []string{"Edg/", "OPR/", "coc_coc_browser/", "SamsungBrowser/", "Firefox/", "Chrome/", "Safari/"} {
		if strings.Contains(agent, known) {
			name = strings.TrimSuffix(known, "/")
			break
		}
	}
	for _, known := range []string{"Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"} {
		if strings.Contains(agent, known) {
			system = known
			break
		}
	}
	return name + " · " + system
}
