package poster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

//go:embed pages
var pageFiles embed.FS

// Who sees a poster and may print it, and who makes a new version. Officers help
// in their scope. Many at once are printed by those who hang them.
var (
	sees   = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Administrator}
	makes  = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.SectorOfficer, qrgate.AreaOfficer}
	hangs  = []qrgate.Role{qrgate.Owner, qrgate.Staff}
	counts = []qrgate.Role{qrgate.Administrator, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter}
)

// Options are what posters say besides what the portal says everywhere.
type Options struct {
	RetentionDays int // for which check-ins are kept; left out if it is 0
}

// Posters is the pages.
type Posters struct {
	f    *page.Frame
	reg  *register.Register
	o    Options
	desk *page.Turns
}

// drawers is how many posters are drawn at a time: one of the largest takes a
// hundred megabytes.
const drawers = 2

// New returns the pages of posters in f.
func New(f *page.Frame, reg *register.Register, o Options) *Posters {
	f.Add(pageFiles, "pages/*.html")
	return &Posters{f, reg, o, page.NewTurns(drawers, waitFor)}
}

// Routes returns the pages' rows of the table.
func (x *Posters) Routes() []page.Route {
	const own = "/dia-diem/{no}/in"
	return []page.Route{
		{Pattern: "GET " + own, Allow: page.Only(sees...), Handler: x.show},
		{Pattern: "POST " + own, Allow: page.Only(makes...), Handler: x.renew},
		{Pattern: "GET " + own + "/{file}", Allow: page.Only(sees...), Handler: x.fetch},
		{Pattern: "GET " + own + "/xem/{file}", Allow: page.Only(sees...), Handler: x.look},
		{Pattern: "GET /dia-diem/in", Allow: page.Only(hangs...), Handler: x.many},
		{Pattern: "POST /dia-diem/in", Allow: page.Only(hangs...), Handler: x.book},
		{Pattern: "GET /mau-ap-phich", Allow: page.Only(qrgate.Administrator), Menu: "menu.template", Handler: x.template},
		{Pattern: "POST /mau-ap-phich", Allow: page.Only(qrgate.Administrator), Handler: x.setTemplate, MaxBody: 3 << 20},
		{Pattern: "GET /mau-ap-phich/{version}/xem.png", Allow: page.Only(qrgate.Administrator), Handler: x.lookTemplate},
		{Pattern: "GET /mau-ap-phich/in-lai", Allow: page.Only(counts...), Handler: x.reprints},
		{Pattern: "GET /mau-ap-phich/in-lai.xlsx", Allow: page.Only(counts...), Handler: x.exportReprints},
	}
}

func ownPath(p *qrgate.Place) string { return fmt.Sprintf("/dia-diem/%d/in", p.No) }

// A sample is the page of one place's QR code.
type sample struct {
	Place    *qrgate.Place
	Address  string
	Latest   *register.Poster // nil if none was made
	Earlier  []register.Poster
	Verdict  verdict
	Kinds    []print.Kind
	Kind     print.Kind
	Formats  []print.Format
	Code     string // as people type it
	URL      string
	MayMake  bool
	MayHang  bool
	Full     bool // no version is left
	Version  int  // of the latest poster, 0 if none was made
	Preview  string
	Template int
}

var formats = []print.Format{print.PDF, print.PNG, print.SVG}

// kindOf returns the kind that an address asks for, or the wall poster.
func kindOf(s string) print.Kind {
	if k := print.Kind(s); slices.Contains(print.Kinds[:], k) {
		return k
	}
	return print.PosterA4
}

// show is the page of one place's QR code.
func (x *Posters) show(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(sees, sees)
	if err != nil {
		return err
	}
	all, err := x.reg.Posters(r.Context(), p.No)
	if err != nil {
		return err
	}
	templates, err := x.reg.Templates(r.Context())
	if err != nil {
		return err
	}
	data := sample{
		Place: p, Address: page.Address(p), Kinds: print.Kinds[:], Kind: kindOf(r.URL.Query().Get("loai")), Formats: formats, MayMake: v.May(p, makes...), MayHang: v.May(p, hangs...),
	}
	version := 1
	if len(all) > 0 {
		data.Latest, data.Earlier = &all[0], all[1:]
		version = all[0].Version
		data.Version, data.Full = version, version == math.MaxUint8
		data.Verdict = judge(p, data.Latest, templates)
	}
	data.Code = pass.PosterCode(p.No, uint8(version))
	data.URL = x.address(p.No, version)
	data.Preview = fmt.Sprintf("%s/xem/%s.png?ban=%d", ownPath(p), data.Kind, data.Version)
	return v.Render(w, "poster_sample", data)
}

// A verdict says whether a poster has to be printed again.
type verdict struct {
	Reprint bool
	Reasons []reason // why, or what else is to be known
}

// A reason is a text with its placeholders.
type reason struct {
	Key  string
	Args []any
}

// judge compares what a poster says with what it should say today. templates are
// all there are, the latest first.
func judge(p *qrgate.Place, is *register.Poster, templates []register.Template) verdict {
	var v verdict
	because := func(key string, args ...any) {
		v.Reprint = true
		v.Reasons = append(v.Reasons, reason{key, args})
	}
	if is.Name != p.Name {
		because("poster.why.name", "was", is.Name, "is", p.Name)
	}
	if now := page.Address(p); is.Address != now {
		because("poster.why.address", "was", is.Address, "is", now)
	}
	if i := slices.IndexFunc(templates, func(t register.Template) bool { return t.Must && t.Version > is.Template }); i >= 0 {
		because("poster.why.template", "n", templates[i].Version, "note", templates[i].Note)
	}
	if !v.Reprint {
		v.Reasons = append(v.Reasons, reason{"poster.fine", []any{"n", is.Version}})
		if len(templates) > 0 && templates[0].Version > is.Template {
			v.Reasons = append(v.Reasons, reason{"poster.fine.template", []any{"n", templates[0].Version}})
		}
	}
	return v
}

// renew makes the first poster, or a new version.
func (x *Posters) renew(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(makes, sees)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(f.Values.Get("version"))
	if err != nil || version < 0 {
		return qrgate.ErrInvalid
	}
	latest, err := x.latest(r.Context())
	if err != nil {
		return err
	}
	is := x.next(p, version, latest.Version)
	to := ownPath(p)
	if kind := f.Values.Get("loai"); kind != "" {
		to += "?" + url.Values{"loai": {string(kindOf(kind))}}.Encode()
	}
	err = x.reg.MakePosters(r.Context(), v.Who.Account.ID, is)
	switch {
	case errors.Is(err, qrgate.ErrConflict): // an impatient finger, or a colleague
		return v.Go(w, to, "poster.made_already")
	case errors.Is(err, register.ErrFull):
		return v.Go(w, to, "")
	case err != nil:
		return err
	}
	return v.Go(w, to, "poster.made", "n", is.Version)
}

// next returns what the poster after version says.
func (x *Posters) next(p *qrgate.Place, version, template int) *register.Poster {
	return &register.Poster{Place: p.No, Version: version, Template: template, Name: p.Name, Address: page.Address(p)}
}

// address returns where a poster's code leads.
func (x *Posters) address(no uint32, version int) string {
	return x.f.Base() + pass.PosterPath + pass.PosterCode(no, uint8(version))
}

// find returns the place and the version of its poster that an address names, and
// the kind and the format in its last element. Version 0 is the first poster
// before it is made.
func (x *Posters) find(r *http.Request, v *page.View) (*qrgate.Place, *register.Poster, print.Kind, print.Format, error) {
	p, err := v.Place(sees, sees)
	if err != nil {
		return nil, nil, "", "", err
	}
	kind, format, _ := strings.Cut(r.PathValue("file"), ".")
	if !slices.Contains(print.Kinds[:], print.Kind(kind)) || !slices.Contains(formats, print.Format(format)) {
		return nil, nil, "", "", qrgate.ErrNotFound
	}
	all, err := x.reg.Posters(r.Context(), p.No)
	if err != nil {
		return nil, nil, "", "", err
	}
	version := p.Poster
	if s := r.URL.Query().Get("ban"); s != "" {
		if version, err = strconv.Atoi(s); err != nil {
			return nil, nil, "", "", qrgate.ErrNotFound
		}
	}
	for i := range all {
		if all[i].Version == version {
			return p, &all[i], print.Kind(kind), print.Format(format), nil
		}
	}
	if version != 0 {
		return nil, nil, "", "", qrgate.ErrNotFound
	}
	return p, nil, print.Kind(kind), print.Format(format), nil
}

// companionsFile is the sheet of codes for those who come along, which is the same for
// every version of a poster.
const companionsFile = "nguoi-di-cung.pdf"

// companions answers with the sheet of codes that hangs beside a kiosk.
func (x *Posters) companions(w http.ResponseWriter, v *page.View) error {
	p, err := v.Place(sees, sees)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := print.Companions(&out, p.Name, x.f.Now().In(qrgate.Zone)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", print.PDF.ContentType())
	w.Header().Set("Content-Disposition", `attachment; filename="`+companionsFile+`"`)
	_, err = out.WriteTo(w)
	return err
}

// fetch answers with a poster to be printed.
func (x *Posters) fetch(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if r.PathValue("file") == companionsFile {
		return x.companions(w, v)
	}
	p, is, kind, format, err := x.find(r, v)
	if err != nil {
		return err
	}
	if is == nil {
		return qrgate.ErrNotFound
	}
	template, err := x.templateOf(r.Context(), is.Template)
	if err != nil {
		return err
	}
	file, err := x.draw(r.Context(), format, x.sheet(v, kind, is, template))
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		if err := x.reg.PrintedPosters(r.Context(), v.Who.Account.ID, string(kind)+"."+string(format), is); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="qr-%d-ban-%d-%s.%s"`, p.No, is.Version, kind, format))
	h.Set("Cache-Control", "no-store")
	return send(w, file)
}

// look answers with a small picture of a poster, to see what it is like.
func (x *Posters) look(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, is, kind, format, err := x.find(r, v)
	if err != nil {
		return err
	}
	if format != print.PNG {
		return qrgate.ErrNotFound
	}
	if is == nil {
		latest, err := x.latest(r.Context())
		if err != nil {
			return err
		}
		is = x.next(p, 1, latest.Version)
	}
	template, err := x.templateOf(r.Context(), is.Template)
	if err != nil {
		return err
	}
	s := x.sheet(v, kind, is, template)
	s.PixelWidth = previewWidth
	file, err := x.draw(r.Context(), print.PNG, s)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", print.PNG.ContentType())
	w.Header().Set("Cache-Control", "private, no-cache")
	return send(w, file)
}

func send(w http.ResponseWriter, file []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(file)))
	_, err := w.Write(file)
	return err
}
