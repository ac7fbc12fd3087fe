package portal

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Options are the optional parts of a portal. The zero value is right.
type Options struct {
	HelpLine string                      // shown on every page if it is not empty
	Ready    func(context.Context) error // why the server cannot work; default: it can
	Now      func() time.Time            // default time.Now
	Refresh  time.Duration               // how long one read of the kiosks serves all; default one second
	Streams  int                         // most at a time; default 1,000
	Patience time.Duration               // how long a viewer may take to receive an event; default 10 seconds
}

type portal struct {
	feed     *ingest.Feed
	log      *slog.Logger
	helpLine string
	ready    func(context.Context) error
	refresh  time.Duration
	patience time.Duration
	streams  chan struct{} // holds one value a stream

	assets map[string]asset
	pages  *template.Template
	board  *board
	lines  *lines
}

// New returns the handler of the portal's pages, which show what s holds and
// what feed tells.
func New(s *store.Store, feed *ingest.Feed, log *slog.Logger, o Options) http.Handler {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	p := &portal{
		feed: feed, log: log, helpLine: o.HelpLine, ready: o.Ready,
		refresh:  cmp.Or(o.Refresh, time.Second),
		patience: cmp.Or(o.Patience, 10*time.Second),
		streams:  make(chan struct{}, cmp.Or(o.Streams, 1000)),
	}
	p.assets, p.pages = openAssets()
	p.lines = &lines{pages: p.pages, now: now}
	p.board = &board{store: s, pages: p.pages, log: log, now: now, refresh: p.refresh, page: p.page, turn: make(chan struct{}, 1)}
	p.board.turn <- struct{}{}

	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.live)
	mux.HandleFunc("/live", p.stream)
	mux.HandleFunc("/assets/{name}", p.asset)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("/readyz", p.readyz)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { p.fail(w, r, qrgate.ErrNotFound) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			p.fail(w, r, errMethod)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// secure sets what every answer says to browsers: nothing from elsewhere, no
// script or style within a page, no frame around it.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

func (p *portal) live(w http.ResponseWriter, r *http.Request) {
	s, err := p.board.snapshot(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	page, err := s.page()
	if err != nil {
		p.fail(w, r, err)
		return
	}
	writePage(w, http.StatusOK, page)
}

// page renders the live page as of s.
func (p *portal) page(s *snapshot) ([]byte, error) {
	checkins, err := p.lines.of(p.feed.Recent())
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = p.pages.ExecuteTemplate(&page, "live.html", struct {
		HelpLine                  string
		Figures, Kiosks, Checkins template.HTML
	}{p.helpLine, template.HTML(s.figures), template.HTML(s.table), template.HTML(checkins)})
	if err != nil {
		return nil, fmt.Errorf("portal: page: %w", err)
	}
	return page.Bytes(), nil
}

func writePage(w http.ResponseWriter, status int, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", "vi, en")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	w.Write(page)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}

// readyTimeout is how long a check may take. Whoever asks has gone after it.
const readyTimeout = 5 * time.Second

func (p *portal) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if p.ready != nil {
		if err := p.ready(ctx); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			writeText(w, http.StatusServiceUnavailable, "not ready: "+first)
			return
		}
	}
	writeText(w, http.StatusOK, "ready")
}
