package portal

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/api"
	"github.com/qrgate/qrgate/server/enrol/desk"
	fleetorders "github.com/qrgate/qrgate/server/fleet/orders"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/portal/card"
	"github.com/qrgate/qrgate/server/portal/carry"
	"github.com/qrgate/qrgate/server/portal/cases"
	"github.com/qrgate/qrgate/server/portal/config"
	"github.com/qrgate/qrgate/server/portal/connect"
	"github.com/qrgate/qrgate/server/portal/enrolment"
	"github.com/qrgate/qrgate/server/portal/event"
	"github.com/qrgate/qrgate/server/portal/fleet"
	"github.com/qrgate/qrgate/server/portal/intro"
	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/portal/movement"
	"github.com/qrgate/qrgate/server/portal/office"
	"github.com/qrgate/qrgate/server/portal/order"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/paper"
	"github.com/qrgate/qrgate/server/portal/passage"
	"github.com/qrgate/qrgate/server/portal/place"
	"github.com/qrgate/qrgate/server/portal/poster"
	"github.com/qrgate/qrgate/server/portal/progress"
	"github.com/qrgate/qrgate/server/portal/release"
	protect "github.com/qrgate/qrgate/server/portal/rights"
	"github.com/qrgate/qrgate/server/portal/visit"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/scanner"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/configs"
	enrolled "github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/flows"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

// Parts are what pages are about.
type Parts struct {
	Store    *store.Store
	Register *register.Register
	Vault    *vault.Vault                // keeps people
	Desk     visit.Desk                  // takes check-ins by phone
	Carry    carry.Intake                // takes what kiosks without a network wrote; nil if this server does not
	Feed     *ingest.Feed                // tells of check-ins as they are stored
	Key      func(purpose string) []byte // 32 bytes for a purpose, the same on every server
	Cards    *Cards                      // nil if this server issues no cards
	Log      *slog.Logger

	Protection *Protection         // nil if this server shows no pages of it
	Enrolment  *Enrolment          // nil if this server enrols no kiosks
	Orders     *fleetorders.Orders // nil if this server gives no orders

	Releases *release.Options // nil if this server brings no versions to kiosks; Log is filled in

	Fleet *fleet.Options // nil if this server shows no kiosks; Store and Log are filled in
}

// Enrolment is what makes kiosks ours.
type Enrolment struct {
	Desk *desk.Desk
	Rows *enrolled.Enrolments
	Cut  func(kiosks ...string) // ends connections of kiosks that were revoked
}

// Protection is what looks after people's data.
type Protection struct {
	Rights *rights.Rights
	Keeper *retention.Keeper
	Sealer *retention.Sealer
}

// Cards are what it takes to issue cards.
type Cards struct {
	Sign   issue.Sign   // has cards and event passes signed
	Quotas *card.Quotas // of what is signed; nil shows nobody

	Keys  pass.Keys // by which a card is verified
	Batch int       // how many may be issued at once; 0 is as many as the register takes
}

// Options are the optional parts of a portal. The zero value is right.
type Options struct {
	Base       string         // address of the portal, as posters say it
	HelpLine   string         // shown on every page if it is not empty
	Controller string         // who answers for the data that is kept
	Proxies    []netip.Prefix // whose word about the client's address is taken
	Retention  time.Duration  // how long check-ins are kept
	Mail       account.Mailer // nil if this server sends no mail
	Text       cases.Gateway  // nil if this server sends no text messages
	Providers  []account.Provider
	Live       live.Options
	Ready      func(context.Context) error // why the server cannot work; default: it can
	Now        func() time.Time            // default time.Now
}

// A Portal is the handler of all pages.
type Portal struct {
	http.Handler
	Routes []page.Route // the table

	// Watch tells health officers what they have not asked for, until ctx ends.
	Watch func(ctx context.Context) error
}

// New returns the portal.
func New(p Parts, o Options) (*Portal, error) {
	f := page.New(page.Options{
		Register: p.Register, Log: p.Log, Now: o.Now, Base: o.Base, HelpLine: o.HelpLine, Controller: o.Controller, Proxies: o.Proxies,
	})
	tracing := tracingOf(f, p, o)
	table, err := routes(f, p, o, tracing)
	if err != nil {
		return nil, err
	}
	return &Portal{f.Handler(table), table, tracing.Run}, nil
}

// tracingOf is the pages of cases, which also watch for check-ins that come late.
func tracingOf(f *page.Frame, p Parts, o Options) *cases.Pages {
	c := cases.Options{
		Store: p.Store, Register: p.Register, Vault: p.Vault, Book: casebook.New(p.Store, p.Vault, f.Now),
		HelpLine: o.HelpLine, Office: o.Controller, Text: o.Text, Log: p.Log,
	}
	if o.Mail != nil {
		c.Mail = o.Mail
	}
	if p.Cards != nil {
		c.Keys = p.Cards.Keys
	}
	return cases.New(f, c)
}

// routes is the table.
func routes(f *page.Frame, p Parts, o Options, tracing *cases.Pages) ([]page.Route, error) {
	accounts, err := account.New(f, account.Options{Register: p.Register, Key: p.Key, Mail: o.Mail, Providers: o.Providers, Log: p.Log})
	if err != nil {
		return nil, err
	}
	introductions := intro.New(f, p.Register, p.Log)
	visits := visit.New(visit.Options{
		Frame: f, Register: p.Register, Desk: p.Desk, HelpLine: o.HelpLine, Controller: o.Controller,
		Introduction: introductions, Retention: o.Retention, Key: p.Key("visit confirmations"), Log: p.Log,
	})
	var cards, gatherings []page.Route
	if c := p.Cards; c != nil {
		cards = card.New(f, p.Register, card.Options{
			Vault: p.Vault, Sign: c.Sign, Quotas: c.Quotas, Keys: c.Keys, Wrap: p.Key("card uploads"), Batch: c.Batch,
			Scanners: scannersOf(p), HelpLine: o.HelpLine, Controller: o.Controller, RetentionDays: int(o.Retention / (24 * time.Hour)), Log: p.Log,
		}).Routes()
		invitations := event.Options{
			Checkins: p.Store, Persons: p.Vault, Sign: c.Sign, Links: p.Key("event passes"),
			HelpLine: o.HelpLine, Controller: o.Controller, RetentionDays: int(o.Retention / (24 * time.Hour)), Log: p.Log,
		}
		if o.Mail != nil {
			invitations.Mail = o.Mail
		}
		if p.Protection != nil {
			invitations.Silent = p.Protection.Keeper.Silent
		}
		gatherings = event.New(f, p.Register, events.New(p.Store, p.Vault, f.Now), invitations).Routes()
	}
	var kiosks, enrolling []page.Route
	if of := p.Fleet; of != nil {
		looked := *of
		looked.Store, looked.Log = p.Store, p.Log
		kiosks = fleet.New(f, looked).Routes()
	}
	var versions []page.Route
	if p.Releases != nil {
		versions = release.New(f, release.Options{Site: p.Releases.Site, Kept: p.Releases.Kept, Wake: p.Releases.Wake, Groups: configs.New(p.Store, f.Now).Groups, Log: p.Log}).Routes()
	}
	if e := p.Enrolment; e != nil {
		enrolling = enrolment.New(f, enrolment.Options{Register: p.Register, Enrolments: e.Rows, Desk: e.Desk, Cut: e.Cut, Log: p.Log}).Routes()
	}
	var protection []page.Route
	if of := p.Protection; of != nil {
		if protection, err = protectionRoutes(f, p, *of); err != nil {
			return nil, err
		}
	}
	var sticks []page.Route
	if p.Carry != nil {
		sticks = carry.New(f, p.Carry, p.Store, p.Log).Routes()
	}
	var ordering []page.Route
	if p.Orders != nil {
		ordering = order.New(f, order.Options{Orders: p.Orders, Register: p.Register, HelpLine: o.HelpLine, Controller: o.Controller, Log: p.Log}).Routes()
	}
	other := api.New(api.Options{Register: p.Register, Desk: p.Desk, Address: f.ClientAddress, Now: f.Now, Log: p.Log})
	return slices.Concat(
		office.New(f, p.Register).Routes(),
		place.New(f, p.Register).Routes(),
		poster.New(f, p.Register, poster.Options{RetentionDays: int(o.Retention / (24 * time.Hour))}).Routes(),
		cards,
		gatherings,
		tracing.Routes(),
		progress.New(f, p.Register, rollout.New(p.Store, f.Now)).Routes(),
		paper.New(f, p.Desk).Routes(),
		passage.New(f, p.Store).Routes(),
		introductions.Routes(),
		ordering,
		protection,
		kiosks,
		enrolling,
		versions,
		visits.Routes(),
		sticks,
		live.New(f, p.Store, p.Feed, p.Log, o.Live).Routes(),
		config.New(f, p.Register, configs.New(p.Store, f.Now)).Routes(),
		movement.New(f, flows.New(p.Store, f.Now)).Routes(),
		connect.New(f, p.Register).Routes(),
		accounts.Routes(),
		[]page.Route{
			{Pattern: "/api/", Allow: page.Anybody(), Bare: true, Handler: func(w http.ResponseWriter, r *http.Request, _ *page.View) error {
				other.ServeHTTP(w, r)
				return nil
			}},
			{Pattern: "GET /healthz", Allow: page.Anybody(), Bare: true, Handler: healthy},
			{Pattern: "GET /readyz", Allow: page.Anybody(), Bare: true, Handler: ready(o.Ready, p.Protection)},
		},
	), nil
}

// scannersOf joins scanners at desks to pages by what kiosks are enrolled with, or not
// at all where none are.
func scannersOf(p Parts) *scanner.Hub {
	if p.Enrolment == nil {
		return nil
	}
	d := p.Enrolment.Desk
	return scanner.New(scanner.Options{Opener: d.Opener, Fingerprint: d.Fingerprint(), Portal: d.Portal})
}

// protectionRoutes are the pages of data protection.
func protectionRoutes(f *page.Frame, p Parts, of Protection) ([]page.Route, error) {
	requests, err := of.Rights.Requests(p.Key("data requests"))
	if err != nil {
		return nil, err
	}
	book := casebook.New(p.Store, p.Vault, f.Now)
	return protect.New(f, protect.Options{
		Register: p.Register, Rights: of.Rights, Requests: requests, Keeper: of.Keeper, Sealer: of.Sealer, Log: p.Log,
		Glasses: func(ctx context.Context, by string) (int, error) {
			all, err := book.Glasses(ctx, by, true)
			return len(all), err
		},
	}).Routes(), nil
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

// ready says whether a server can do its work. That its clock is not believed is said
// too, and no reason to send nobody to it.
func ready(check func(context.Context) error, protection *Protection) page.Handler {
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
		said := "ready"
		if protection != nil {
			clock, err := protection.Keeper.Clock(ctx)
			if err != nil {
				return err
			}
			if wrong := clock.String(); wrong != "" {
				said += ", but " + wrong
			}
		}
		writeText(w, http.StatusOK, said)
		return nil
	}
}
