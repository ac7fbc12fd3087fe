package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A Handler answers a request, or says with its error why it cannot.
type Handler func(w http.ResponseWriter, r *http.Request, v *View) error

// A Route is one row of the table from which router, menu and the test of every
// route as every role are made.
type Route struct {
	Pattern string // as of http.ServeMux, with its method
	Allow   Allow
	Menu    string // key of its text in the menu; empty for what is not in it
	Handler Handler
	MaxBody int64 // bytes of a request's body; default 64 KiB
	Bare    bool  // needs no session: what machines fetch
}

// An Allow says who may use a route. The zero Allow is nobody.
type Allow struct {
	anybody, member bool
	roles           []qrgate.Role
}

// Anybody may use the route, signed in or not.
func Anybody() Allow { return Allow{anybody: true} }

// Member may use the route: whoever has signed in.
func Member() Allow { return Allow{member: true} }

// Only whoever holds one of the roles may use the route. Within which scope is
// the handler's matter: see [View.May].
func Only(roles ...qrgate.Role) Allow { return Allow{roles: roles} }

// Roles returns the roles of which one is needed, and whether an account alone,
// or not even that, is enough.
func (a Allow) Roles() (roles []qrgate.Role, member, anybody bool) {
	return a.roles, a.member, a.anybody
}

// maxBody is the longest body of a form without files.
const maxBody = 64 << 10

// check says whether v may use the route, and errSignIn or errSecond if that
// would help.
func (a Allow) check(v *View) error {
	switch {
	case a.anybody:
		return nil
	case v.Who == nil:
		return errSignIn
	case a.member:
		return nil
	}
	held := false
	for _, g := range v.Who.Grants {
		if !slices.Contains(a.roles, g.Role) {
			continue
		}
		if !g.Role.SecondFactor() || v.Who.Second {
			return nil
		}
		held = true
	}
	if held {
		return errSecond
	}
	return qrgate.ErrForbidden
}

// serve runs a route's handler for whom it allows.
func (f *Frame) serve(route Route) http.Handler {
	run := func(w http.ResponseWriter, r *http.Request) {
		v := f.stranger(r)
		v.session, v.allow = !route.Bare, route.Allow
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				f.o.Log.Error("handler panicked", "path", route.Pattern, "panic", p)
				f.Fail(w, r, v, errors.New("panic"))
			}
		}()
		if v.session {
			if err := v.identify(r.Context()); err != nil {
				f.Fail(w, r, v, err)
				return
			}
		}
		if err := route.Allow.check(v); err != nil {
			f.Fail(w, r, v, err)
			return
		}
		limit := route.MaxBody
		if limit == 0 {
			limit = maxBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := route.Handler(w, r, v); err != nil {
			f.Fail(w, r, v, err)
		}
	}
	if route.Bare {
		return http.HandlerFunc(run)
	}
	return f.sessions.LoadAndSave(http.HandlerFunc(run))
}

// Handler returns the routes as one handler.
func (f *Frame) Handler(routes []Route) http.Handler {
	f.routes = routes
	mux := http.NewServeMux()
	for _, route := range append(routes, Route{Pattern: "GET /assets/{name}", Allow: Anybody(), Handler: f.assets.serve, Bare: true}) {
		mux.Handle(route.Pattern, f.serve(route))
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.Fail(w, r, f.stranger(r), errForeign)
	}))
	guarded := guard.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), f.https)
		if f.insecure(r) {
			f.toHTTPS(w, r)
			return
		}
		if strings.ContainsRune(r.URL.Path, 0) || len(r.URL.RequestURI()) > maxURI {
			f.Fail(w, r, f.stranger(r), qrgate.ErrInvalid)
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			f.noRoute(w, r, mux)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// maxURI is the longest address that a page may have.
const maxURI = 4096

// noRoute tells that a page does not exist, or not in this way.
func (f *Frame) noRoute(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(context.Background())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		f.Fail(w, r, f.stranger(r), errMethod)
		return
	}
	f.Fail(w, r, f.stranger(r), qrgate.ErrNotFound)
}

// stranger is the view of somebody whom nobody has looked up.
func (f *Frame) stranger(r *http.Request) *View {
	return &View{f: f, r: r, Lang: text.Wanted(r), Path: r.URL.Path, HelpLine: f.o.HelpLine, Controller: f.o.Controller}
}

// secure sets what every answer says to browsers: nothing from elsewhere, no
// script or style within a page, no frame around it.
func secure(h http.Header, https bool) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), geolocation=(self), microphone=()")
	if https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// insecure reports whether a request came in clear to a portal that has TLS.
func (f *Frame) insecure(r *http.Request) bool {
	if !f.https || r.TLS != nil || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return false
	}
	return !f.trusted(r) || r.Header.Get("X-Forwarded-Proto") != "https"
}

func (f *Frame) toHTTPS(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		// What was sent has been seen on the way already.
		f.Fail(w, r, f.stranger(r), errForeign)
		return
	}
	to := url.URL{Scheme: "https", Host: f.base.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
}
