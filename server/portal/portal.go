package portal

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// Parts are what pages are about.
type Parts struct {
	Store    *store.Store
	Register *register.Register
	Feed     *ingest.Feed
	Log      *slog.Logger
}

// Options are the optional parts of a portal. The zero value is right.
type Options struct {
	Base       string         // address of the portal, as posters say it
	HelpLine   string         // shown on every page if it is not empty
	Controller string         // who answers for the data that is kept
	Proxies    []netip.Prefix // whose word about the client's address is taken
	Live       live.Options
	Ready      func(context.Context) error // why the server cannot work; default: it can
	Now        func() time.Time            // default time.Now
}

// New returns the handler of the portal's pages.
func New(p Parts, o Options) http.Handler {
	f := page.New(page.Options{Register: p.Register, Log: p.Log, Now: o.Now, Base: o.Base, HelpLine: o.HelpLine, Controller: o.Controller, Proxies: o.Proxies})
	return f.Handler(routes(f, p, o))
}

// routes is the table.
func routes(f *page.Frame, p Parts, o Options) []page.Route {
	table := []page.Route{
		{Pattern: "GET /healthz", Allow: page.Anybody(), Bare: true, Handler: healthy},
		{Pattern: "GET /readyz", Allow: page.Anybody(), Bare: true, Handler: ready(o.Ready)},
	}
	table = append(table, live.New(f, p.Store, p.Feed, p.Log, o.Live).Routes()...)
	return table
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}

func healthy(w http.ResponseWriter, _ *http.Request, _ *page.View) error {
	writeText(w, http.StatusOK, "ok")
	return nil
}

// readyTimeout is how long a check may take. Whoever asks has gone after it.
const readyTimeout = 5 * time.Second

func ready(check func(context.Context) error) page.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ *page.View) error {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if check != nil {
			if err := check(ctx); err != nil {
				first, _, _ := strings.Cut(err.Error(), "\n")
				writeText(w, http.StatusServiceUnavailable, "not ready: "+first)
				return nil
			}
		}
		writeText(w, http.StatusOK, "ready")
		return nil
	}
}
