package intro

import (
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed pages
var pageFiles embed.FS

// Who sees an introduction before it is published, and who writes it. Officers
// help in their scope.
var (
	sees   = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Administrator}
	writes = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.SectorOfficer, qrgate.AreaOfficer}
	counts = []qrgate.Role{qrgate.Owner, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter}
)

// Intro is the pages.
type Intro struct {
	f   *page.Frame
	reg *register.Register
	log *slog.Logger
}

// New returns the pages of introductions in f.
func New(f *page.Frame, reg *register.Register, log *slog.Logger) *Intro {
	f.Add(pageFiles, "pages/*.html")
	return &Intro{f, reg, log}
}

// Routes returns the pages' rows of the table.
func (x *Intro) Routes() []page.Route {
	const (
		own     = "/dia-diem/{no}/gioi-thieu"
		picture = own + "/anh/{id}"
	)
	return []page.Route{
		{Pattern: "GET " + own, Allow: page.Only(writes...), Handler: x.edit},
		{Pattern: "POST " + own, Allow: page.Only(writes...), Handler: x.save, MaxBody: 1 << 20},
		{Pattern: "GET " + own + "/xem", Allow: page.Only(sees...), Handler: x.preview},
		{Pattern: "POST " + own + "/hien", Allow: page.Only(writes...), Handler: x.show},
		{Pattern: "GET " + own + "/anh", Allow: page.Only(writes...), Handler: x.pictures},
		{Pattern: "POST " + own + "/anh", Allow: page.Only(writes...), Handler: x.addPicture, MaxBody: maxPicture + 1<<20},
		{Pattern: "GET " + picture, Allow: page.Only(sees...), Handler: x.ownPicture},
		{Pattern: "POST " + picture, Allow: page.Only(writes...), Handler: x.changePicture},
		{Pattern: "GET /gt/{no}", Allow: page.Anybody(), Handler: x.public, Bare: true},
		{Pattern: "GET /anh/{id}", Allow: page.Anybody(), Handler: x.publicPicture, Bare: true},
		{Pattern: "GET /bao-cao/gioi-thieu.xlsx", Allow: page.Only(counts...), Handler: x.export},
	}
}

// A shown is a place with its introduction as a reader sees it.
type shown struct {
	Place        *qrgate.Place
	Introduction *register.Introduction
	Kind         string
	Address      string
	Hours        []openHours
	Map          string
	Part         template.HTML
	Public       string // address of the public page
	Tab          string
	MayWrite     bool
	MayCount     bool
}

func (x *Intro) shown(v *page.View, p *qrgate.Place, in *register.Introduction, pictures string) (*shown, error) {
	html, err := render(v.Lang, in, pictures)
	if err != nil {
		return nil, err
	}
	return &shown{
		Place: p, Introduction: in, Kind: kindName(v.Lang, p.Kind), Address: page.Address(p), Hours: hoursOf(v.Lang, p.Hours), Map: mapOf(p.At), Part: html,
		Public: x.f.Base() + publicPath(p.No), Tab: "preview", MayWrite: v.May(p, writes...), MayCount: len(v.Scopes(counts...)) > 0,
	}, nil
}

func publicPath(no uint32) string { return "/gt/" + strconv.FormatUint(uint64(no), 10) }

func ownPath(p *qrgate.Place) string {
	return "/dia-diem/" + strconv.FormatUint(uint64(p.No), 10) + "/gioi-thieu"
}

// preview shows an introduction as its readers will see it.
func (x *Intro) preview(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(sees, sees)
	if err != nil {
		return err
	}
	in, err := x.reg.Introduction(r.Context(), p.No)
	if err != nil {
		return err
	}
	data, err := x.shown(v, p, in, ownPath(p)+"/anh/")
	if err != nil {
		return err
	}
	return v.Render(w, "intro_preview", data)
}

// readFor is how long browsers and what stands between may keep a public page:
// not longer than an owner who corrects something likes to wait.
const readFor = "public, max-age=60"

// public shows an introduction to everybody.
func (x *Intro) public(w http.ResponseWriter, r *http.Request, v *page.View) error {
	no, err := strconv.ParseUint(r.PathValue("no"), 10, 32)
	if err != nil {
		return v.RenderStatus(w, http.StatusNotFound, "intro_none", false)
	}
	p, in, err := x.published(r.Context(), uint32(no))
	if errors.Is(err, qrgate.ErrNotFound) {
		closed := p != nil && !p.Deleted.IsZero()
		return v.RenderStatus(w, http.StatusNotFound, "intro_none", closed)
	}
	if err != nil {
		return err
	}
	data, err := x.shown(v, p, in, "/anh/")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", readFor)
	h.Set("Vary", "Cookie, Accept-Language") // the language
	if err := v.Render(w, "intro_public", data); err != nil {
		h.Del("Cache-Control")
		return err
	}
	return nil
}

// show publishes an introduction or takes it back.
func (x *Intro) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	public := f.Choice("shown", true, "0", "1") == "1"
	if !f.OK() {
		return qrgate.ErrInvalid
	}
	if err := x.reg.ShowIntroduction(r.Context(), v.Who.Account.ID, p.No, public); err != nil {
		return err
	}
	notice := "intro.hidden_now"
	if public {
		notice = "intro.shown_now"
	}
	return v.Go(w, ownPath(p)+"/xem", notice)
}
