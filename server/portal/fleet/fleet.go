package fleet

import (
	"cmp"
	"embed"
	"html/template"
	"log/slog"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/coverage"
	kept "github.com/qrgate/qrgate/server/store/fleet"
)

//go:embed pages assets
var files embed.FS

// keepers look after kiosks; lookers may know of those within their scope.
var (
	keepers = []qrgate.Role{qrgate.Operator, qrgate.Administrator}
	lookers = kept.Looking
	// officers are the lookers beyond one organisation: anybody may register one.
	officers = slices.DeleteFunc(slices.Clone(lookers), qrgate.Role.OfOrganisation)
)

// A Tab is a page of a kiosk that another slice makes: /thiet-bi/{kiosk}/PATH.
type Tab struct{ Path, Key string }

// Options are what pages need. Fleet and Store are required.
type Options struct {
	Fleet  *kept.Fleet
	Store  *store.Store
	Linked func() time.Time                 // since when the server hears kiosks, zero while it does not; default: always
	Secret func(subscription string) []byte // of a subscription's posts; nil if this server sends none
	Mail   bool                             // the server sends letters
	Tabs   []Tab                            // shown to keepers
	Log    *slog.Logger
	Fresh  time.Duration // how long one read of the kiosks serves all; default 2 s
	Most   int           // streams at a time, of which members of organisations get half; default 200
	// Recheck is how often it is asked whether who watches may still; default one minute.
	Recheck time.Duration
}

// Pages are the pages about kiosks.
type Pages struct {
	Options
	f        *page.Frame
	coverage *coverage.Coverage
	board    *board
	parts    map[text.Lang]*template.Template
	streams  chan struct{} // holds one value a stream
	members  chan struct{} // and of these one for each of a member of an organisation
}

// New returns the pages.
func New(f *page.Frame, o Options) *Pages {
	if o.Linked == nil {
		begun := time.Unix(1, 0)
		o.Linked = func() time.Time { return begun }
	}
	o.Recheck = cmp.Or(o.Recheck, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f.Assets().Add(files, "assets")
	f.Add(files, "pages/*.html")
	most := cmp.Or(o.Most, 200)
	p := &Pages{
		Options: o, f: f, coverage: coverage.New(o.Store), streams: make(chan struct{}, most), members: make(chan struct{}, (most+1)/2), parts: map[text.Lang]*template.Template{},
		board: newBoard(o.Fleet, f.Now, o.Linked, cmp.Or(o.Fresh, fresh)),
	}
	for _, lang := range text.Langs() {
		p.parts[lang] = template.Must(template.New("").Funcs(template.FuncMap{
			"t":      func(key string, args ...any) string { return text.Of(lang, key, args...) },
			"number": page.Number[int],
		}).ParseFS(files, "pages/fleet.parts.html"))
	}
	return p
}

// Routes returns the pages' routes.
func (p *Pages) Routes() []page.Route {
	look, keep := page.Only(lookers...), page.Only(keepers...)
	return []page.Route{
		{Pattern: "GET /thiet-bi", Allow: look, Menu: "menu.fleet", Handler: p.list},
		{Pattern: "GET /thiet-bi/dong", Allow: look, Handler: p.stream},
		{Pattern: "GET /thiet-bi/canh-bao", Allow: look, Handler: p.alarms},
		{Pattern: "POST /thiet-bi/canh-bao", Allow: keep, Handler: p.acknowledge},
		{Pattern: "POST /thiet-bi/canh-bao/tat", Allow: keep, Handler: p.mute},
		{Pattern: "POST /thiet-bi/canh-bao/dang-ky", Allow: look, Handler: p.subscribe},
		{Pattern: "POST /thiet-bi/canh-bao/huy", Allow: look, Handler: p.unsubscribe},
		{Pattern: "GET /thiet-bi/{kiosk}", Allow: look, Handler: p.kiosk},
	}
}
