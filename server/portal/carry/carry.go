// Package carry has the page at which somebody hands in what a gate without a network
// has written on a USB stick or shows on its screen, and gets the receipt to take back.
//
//	GET  /thiet-bi/nhan-tay               hand a bundle in
//	GET  /thiet-bi/nhan-tay/bien-nhan     the receipts of one kiosk, as a file
//	POST /thiet-bi/nhan-tay/ma            a bundle as the codes that a kiosk's screen shows, or pictures of them
//	POST /thiet-bi/nhan-tay/anh           the code that a camera's frame shows
//	GET  /thiet-bi/nhan-tay/bien-nhan/ma  the receipts, as a picture of codes for its camera
//
// The promise: what is handed in goes the way of every batch, so twice is once, and a
// file that is damaged costs nothing of what is whole in it; what is wrong is said in
// words that tell what to do.
package carry

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

//go:embed assets
var assets embed.FS

// An Intake takes bundles in and knows what goes back.
type Intake interface {
	Carry(ctx context.Context, r io.Reader) (ingest.Carried, error)
	Owed(ctx context.Context, kiosk string) ([][]byte, error)
	// Beside returns what else a kiosk without a network lacks.
	Beside(kiosk string) (Beside, error)
}

// A Beside is what goes back to a kiosk beside receipts, signed.
type Beside struct {
	Keys     []byte // the list of keys
	Settings []byte // nil: none
	ingest.Beside
}

// A Diary keeps who brought what; *store.Store is one.
type Diary interface {
	NoteCarried(ctx context.Context, by, kiosk string, batches, fresh int) error
	CarriedKiosks(ctx context.Context) ([]store.CarriedKiosk, error)
}

// Pages is the page and its file.
type Pages struct {
	intake Intake
	diary  Diary
	log    *slog.Logger

	now     func() time.Time
	looking sync.Mutex // at a picture
}

// New returns the pages in f.
func New(f *page.Frame, in Intake, d Diary, log *slog.Logger) *Pages {
	f.Add(files, "pages/*.html")
	f.Assets().Add(assets, "assets")
	return &Pages{intake: in, diary: d, log: log, now: f.Now}
}

// maxFile is some 300,000 check-ins.
const maxFile = 32 << 20

// Routes returns the pages' rows of the table.
func (p *Pages) Routes() []page.Route {
	only := page.Only(qrgate.Operator, qrgate.Administrator)
	return []page.Route{
		{Pattern: "GET /thiet-bi/nhan-tay", Allow: only, Menu: "menu.carry", Handler: p.form},
		{Pattern: "POST /thiet-bi/nhan-tay", Allow: only, Handler: p.take, MaxBody: maxFile + 64<<10},
		{Pattern: "POST /thiet-bi/nhan-tay/ma", Allow: only, Handler: p.codes, MaxBody: maxCodes + maxFile},
		{Pattern: "POST /thiet-bi/nhan-tay/anh", Allow: only, Handler: p.picture, MaxBody: maxFrame},
		{Pattern: "GET /thiet-bi/nhan-tay/bien-nhan", Allow: only, Handler: p.receipts},
		{Pattern: "GET /thiet-bi/nhan-tay/bien-nhan/ma", Allow: only, Handler: p.drawn},
	}
}

type data struct {
	Form    *page.Form
	Done    *ingest.Carried
	Left    Left // of what goes back to it, too long for codes
	Lost    *page.Form
	Asked   string
	Waiting []waiting
}

// A waiting is a kiosk that somebody goes to.
type waiting struct {
	store.CarriedKiosk
	Days int
	Late bool
}

// render shows the page, with the kiosks that are gone to.
func (p *Pages) render(ctx context.Context, w http.ResponseWriter, v *page.View, status int, d data) error {
	kiosks, err := p.diary.CarriedKiosks(ctx)
	if err != nil {
		return err
	}
	for _, k := range kiosks {
		d.Waiting = append(d.Waiting, waiting{k, int(p.now().Sub(k.Last).Hours() / 24), k.Late(p.now())})
	}
	return v.RenderStatus(w, status, "carry", d)
}

func (p *Pages) form(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.render(r.Context(), w, v, http.StatusOK, data{Form: page.NewForm(url.Values{})})
}

// take takes a bundle in. What is whole of a damaged one is shown with what is wrong.
func (p *Pages) take(w http.ResponseWriter, r *http.Request, v *page.View) error {
	form := page.NewForm(url.Values{})
	_, body, err := page.ReadFile(r, "carry.file", maxFile)
	if err != nil {
		return err
	}
	d := data{Form: form}
	switch {
	case len(body) == 0:
		form.Fail("carry.file", "carry.wrong.none")
	case len(body) > maxFile:
		form.Fail("carry.file", "carry.wrong.size", "most", maxFile>>20)
	default:
		if err := p.carry(r.Context(), v, body, "carry.file", &d); err != nil {
			return err
		}
	}
	return p.show(w, r, v, d)
}

// carry takes a bundle in, and puts into d what became of it.
func (p *Pages) carry(ctx context.Context, v *page.View, bundle []byte, field string, d *data) error {
	c, err := p.intake.Carry(ctx, bytes.NewReader(bundle))
	if c.Batches > 0 || err == nil { // somebody was there also if it had nothing to tell
		d.Done = &c
		if err := p.diary.NoteCarried(ctx, v.Who.Account.ID, c.Kiosk, c.Batches, c.Fresh); err != nil {
			return err
		}
		p.log.Info("carried in", "kiosk", c.Kiosk, "batches", c.Batches, "fresh", c.Fresh, "refused", c.Refused)
	}
	if d.Done != nil {
		beside, err := p.intake.Beside(c.Kiosk)
		if err != nil {
			return err
		}
		_, d.Left = beside.Short()
	}
	key, known := Wrong(err)
	if !known {
		return err
	}
	if key != "" {
		d.Form.Fail(field, key, "kiosk", c.Kiosk)
	}
	return nil
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, v *page.View, d data) error {
	status := http.StatusOK
	if !d.Form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.render(r.Context(), w, v, status, d)
}

// Wrong returns the key of what is to be said of an error of Carry, "" of none, and
// false if it is not the bundle's fault.
func Wrong(err error) (key string, known bool) {
	switch {
	case err == nil:
		return "", true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "carry.wrong.cut", true
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrTooLarge):
		return "carry.wrong.form", true
	case errors.Is(err, qrgate.ErrNotFound):
		return "carry.wrong.unknown", true
	case errors.Is(err, qrgate.ErrRevoked):
		return "carry.wrong.revoked", true
	}
	return "", false
}

// receipts sends what the server holds of a kiosk.
func (p *Pages) receipts(w http.ResponseWriter, r *http.Request, v *page.View) error {
	kiosk := r.URL.Query().Get("may")
	var all [][]byte
	err := error(qrgate.ErrNotFound)
	if wire.ValidKiosk(kiosk) {
		all, err = p.intake.Owed(r.Context(), kiosk)
	}
	if errors.Is(err, qrgate.ErrNotFound) || errors.Is(err, qrgate.ErrRevoked) {
		lost := page.NewForm(url.Values{})
		lost.Fail("carry.kiosk", "carry.wrong.kiosk")
		asked := kiosk
		if !wire.ValidKiosk(kiosk) {
			asked = ""
		}
		return p.render(r.Context(), w, v, http.StatusUnprocessableEntity, data{Form: page.NewForm(url.Values{}), Lost: lost, Asked: asked})
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	beside, err := p.intake.Beside(kiosk)
	if err != nil {
		return err
	}
	if err := deliver.WriteBundle(&b, kiosk, Each(Bundle(all, beside))); err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	page.Send(w, "application/octet-stream", kiosk+".receipts", b.Bytes())
	return nil
}

// Bundle returns what goes back to a kiosk in its order: the list of keys, by which what
// follows verifies, the receipts, and what may be cut off without harm.
func Bundle(receipts [][]byte, b Beside) [][]byte {
	all := append([][]byte{b.Keys}, receipts...)
	for _, one := range [][]byte{b.Settings, b.Newest} {
		if one != nil {
			all = append(all, one)
		}
	}
	return slices.Concat(all, b.List, b.Events)
}

// Each yields envelopes, for a bundle.
func Each(all [][]byte) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}
