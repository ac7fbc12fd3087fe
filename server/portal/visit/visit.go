package visit

import (
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// A Desk writes check-ins down, see [ingest.Ingest.Visit].
type Desk interface {
	Visit(ctx context.Context, v ingest.Visit) (ingest.Receipt, error)
}

// Introductions tell what a place says about itself, for the page that confirms
// a check-in.
type Introductions interface {
	Introduction(ctx context.Context, no uint32) (template.HTML, bool)
}

// Options are the parts of Pages.
type Options struct {
	Frame    *page.Frame
	Register *register.Register
	Desk     Desk

	// The rest is optional.
	HelpLine     string
	Controller   string // who answers for the data
	Introduction Introductions
	Retention    time.Duration       // how long check-ins are kept; default 21 days
	Key          []byte              // signs the addresses of confirmations; default is a random one, so that they end with the process
	Limits       signin.LimitOptions // of check-ins per telephone number or account, and per network
	Log          *slog.Logger
}

// Pages are the pages. They are safe for concurrent use.
type Pages struct {
	o      Options
	sheets map[string]*template.Template
	limits *signin.Limiter
	blanks blanks
	still  map[string]still
}

//go:embed pages
var pages embed.FS

//go:embed assets script
var assets embed.FS

// How many check-ins are taken. A family checks in at many doors a day; behind
// one address of a telephone company there may be a whole market.
var (
	perNumber  = signin.Rate{Burst: 30, Every: time.Minute}
	perNetwork = signin.Rate{Burst: 3000, Every: 10 * time.Millisecond}
)

// visitTimeout is how long a visitor waits for the transaction: after that the
// page asks to send once more, which is the same visit.
const visitTimeout = 10 * time.Second

// New returns the pages, whose files it adds to the frame's.
func New(o Options) *Pages {
	if o.Retention == 0 {
		o.Retention = 21 * 24 * time.Hour
	}
	if o.Limits.Account == (signin.Rate{}) {
		o.Limits.Account = perNumber
	}
	if o.Limits.Network == (signin.Rate{}) {
		o.Limits.Network = perNetwork
	}
	if len(o.Key) == 0 {
		o.Key = make([]byte, 32)
		rand.Read(o.Key)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := o.Frame.Assets()
	a.Add(assets, "assets")
	a.Join("checkin.js", assets, "script/outbox.js", "script/checkin.js")
	a.Join("diary.js", assets, "script/outbox.js", "script/diary.js")
	p := &Pages{o: o, limits: signin.NewLimiter(o.Limits), sheets: map[string]*template.Template{}}
	for _, name := range []string{"checkin", "done", "code", "gone", "scan", "diary"} {
		p.sheets[name] = p.parse(name)
	}
	p.still = p.makeStills()
	return p
}

// Routes returns the rows of the portal's table.
func (p *Pages) Routes() []page.Route {
	anybody := page.Anybody()
	return []page.Route{
		{Pattern: "GET /p", Allow: anybody, Handler: p.Typed, Bare: true},
		{Pattern: "GET /p/{code}", Allow: anybody, Handler: p.Show},
		{Pattern: "POST /p/{code}", Allow: anybody, Handler: p.Take},
		{Pattern: "GET /p/{code}/xong", Allow: anybody, Handler: p.Done, Bare: true},
		{Pattern: "POST /p/{code}/gui", Allow: anybody, Handler: p.TakeJSON},
		{Pattern: "GET /quet", Allow: anybody, Handler: p.Scan, Bare: true},
		{Pattern: "GET /nhat-ky", Allow: anybody, Handler: p.Diary, Bare: true},
		{Pattern: "GET /ngoai-mang", Allow: anybody, Handler: p.Offline, Bare: true},
		{Pattern: "GET /sw.js", Allow: anybody, Handler: p.Worker, Bare: true},
		{Pattern: "GET /manifest.webmanifest", Allow: anybody, Handler: p.Manifest, Bare: true},
		{Pattern: "GET /icon/{name}", Allow: anybody, Handler: p.Icon, Bare: true},
	}
}
