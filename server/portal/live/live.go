package live

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Options are the optional parts of a page. The zero value is right.
type Options struct {
	Open     bool          // anybody may look, not only those who look after kiosks
	Refresh  time.Duration // how long one read of the kiosks serves all; default one second
	Streams  int           // most at a time; default 1,000
	Patience time.Duration // how long a viewer may take to receive an event; default 10 seconds
	Recheck  time.Duration // how often it is asked whether a viewer may still look; default one minute
}

//go:embed pages assets
var files embed.FS

// A Live is the page.
type Live struct {
	feed     *ingest.Feed
	log      *slog.Logger
	open     bool
	refresh  time.Duration
	patience time.Duration
	recheck  time.Duration
	streams  chan struct{} // holds one value a stream

	board *board
	lines *lines
}

// New returns the page of what s holds and what feed tells.
func New(f *page.Frame, s *store.Store, feed *ingest.Feed, log *slog.Logger, o Options) *Live {
	l := &Live{
		feed: feed, log: log, open: o.Open,
		refresh:  cmp.Or(o.Refresh, time.Second),
		patience: cmp.Or(o.Patience, 10*time.Second),
		recheck:  cmp.Or(o.Recheck, time.Minute),
		streams:  make(chan struct{}, cmp.Or(o.Streams, 1000)),
	}
	f.Assets().Add(files, "assets")
	f.Add(files, "pages/live.html")
	parts := template.Must(template.New("").Funcs(template.FuncMap{
		"number": page.Number[int64],
		"both":   page.Both,
		"pair":   func(key string) string { return text.Of(vi, key) + " · " + text.Of(en, key) },
	}).ParseFS(files, "pages/parts.html"))
	l.lines = &lines{pages: parts, now: f.Now}
	l.board = &board{store: s, pages: parts, log: log, now: f.Now, refresh: l.refresh, turn: make(chan struct{}, 1)}
	l.board.turn <- struct{}{}
	return l
}

// Routes returns the page and its stream.
func (l *Live) Routes() []page.Route {
	allow := page.Only(qrgate.Operator, qrgate.Administrator)
	if l.open {
		allow = page.Anybody()
	}
	return []page.Route{
		{Pattern: "GET /truc-tiep", Allow: allow, Menu: "menu.live", Handler: l.page},
		{Pattern: "GET /live", Allow: allow, Handler: l.stream},
	}
}

// errStreams is returned when too many people watch.
var errStreams = errors.New("too many streams")

func (l *Live) page(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := l.board.snapshot(r.Context())
	if err != nil {
		return err
	}
	checkins, err := l.lines.of(l.feed.Recent())
	if err != nil {
		return err
	}
	var kiosks template.HTML
	if s.table != "" {
		kiosks = template.HTML(s.table)
	}
	return v.Render(w, "live", struct{ Figures, Kiosks, Checkins template.HTML }{template.HTML(s.figures), kiosks, template.HTML(checkins)})
}

// unread is what a viewer is told while the database does not list the kiosks.
func unread() error { return page.Busy{Err: fmt.Errorf("live: %w", errUnread), After: 5 * time.Second} }
