package poster

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/draw"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// Bounds of a template.
const (
	maxHeadings  = 4
	maxSentences = 4
	maxEmblem    = 512 << 10 // bytes of what is sent
	emblemSide   = 2000      // pixels of what is sent
	emblemKept   = 600       // pixels of what is kept
	emblemBytes  = 200 << 10 // of what is kept
)

// A templateForm is the page of the template.
type templateForm struct {
	Form      *page.Form
	Latest    *register.Template // as it is today
	All       []register.Template
	Version   int // that the form started from
	Conflict  bool
	Emblem    string       // base64, of the form
	EmblemURL template.URL // the same, to be seen
	Preview   template.URL // empty until it is asked for
	Reprint   int          // places that have to print again
}

// template shows the template and what came before it.
func (x *Posters) template(w http.ResponseWriter, r *http.Request, v *page.View) error {
	latest, err := x.latest(r.Context())
	if err != nil {
		return err
	}
	return x.renderTemplate(w, r, v, http.StatusOK, &templateForm{Form: formOf(latest), Latest: latest, Version: latest.Version}, latest.Emblem)
}

func (x *Posters) renderTemplate(w http.ResponseWriter, r *http.Request, v *page.View, status int, data *templateForm, emblem []byte) error {
	var err error
	if data.All, err = x.reg.Templates(r.Context()); err != nil {
		return err
	}
	toPrint, _, err := x.toReprint(r.Context(), v, data.All)
	if err != nil {
		return err
	}
	data.Reprint = len(toPrint)
	if emblem != nil {
		data.Emblem = base64.StdEncoding.EncodeToString(emblem)
		data.EmblemURL = dataURL(emblem)
	}
	return v.RenderStatus(w, status, "poster_template", data)
}

// dataURL returns a PNG of ours as an address that holds it.
func dataURL(file []byte) template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(file))
}

func formOf(t *register.Template) *page.Form {
	heading, headingEN := linesOf(t.Heading)
	say, sayEN := linesOf(t.Sentences)
	return page.NewForm(url.Values{
		"heading_vi": {heading}, "heading_en": {headingEN}, "sentences_vi": {say}, "sentences_en": {sayEN},
		"poster_controller": {t.Controller}, "notice_vi": {t.Notice.VI}, "notice_en": {t.Notice.EN},
	})
}

func linesOf(all []register.Bilingual) (vi, en string) {
	var a, b []string
	for _, t := range all {
		a, b = append(a, t.VI), append(b, t.EN)
	}
	return strings.TrimRight(strings.Join(a, "\n"), "\n"), strings.TrimRight(strings.Join(b, "\n"), "\n")
}

// pairs reads two fields whose lines belong together.
func pairs(f *page.Form, vi, en string, lines, long int) []register.Bilingual {
	read := func(field string) []string {
		var all []string
		for line := range strings.SplitSeq(f.Lines(field, lines*long, false), "\n") {
			line = strings.TrimSpace(line)
			if utf8.RuneCountInString(line) > long {
				f.Fail(field, "poster.wrong.line", "most", long)
			}
			all = append(all, line)
		}
		if len(all) > lines {
			f.Fail(field, "poster.wrong.lines", "most", lines)
			all = all[:lines]
		}
		return all
	}
	a, b := read(vi), read(en)
	var all []register.Bilingual
	for i := range max(len(a), len(b)) {
		var t register.Bilingual
		if i < len(a) {
			t.VI = a[i]
		}
		if i < len(b) {
			t.EN = b[i]
		}
		if t != (register.Bilingual{}) {
			all = append(all, t)
		}
	}
	return all
}

// setTemplate makes the next version of the template, or shows what it would be.
func (x *Posters) setTemplate(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(f.Values.Get("version"))
	do := f.Values.Get("do")
	if err != nil || version < 0 || do != "save" && do != "preview" {
		return qrgate.ErrInvalid
	}
	next := &register.Template{
		Version: version, Heading: pairs(f, "heading_vi", "heading_en", maxHeadings, 90), Sentences: pairs(f, "sentences_vi", "sentences_en", maxSentences, 200),
		Controller: f.Text("poster_controller", 120, false), Notice: register.Bilingual{VI: f.Text("notice_vi", 300, false), EN: f.Text("notice_en", 300, false)},
		Note: f.Text("template_note", 200, do == "save"), Must: f.Values.Get("must_reprint") == "1",
	}
	if next.Emblem, err = emblemOf(r, f); err != nil {
		return err
	}
	latest, err := x.latest(r.Context())
	if err != nil {
		return err
	}
	data := &templateForm{Form: f, Latest: latest, Version: version}
	if !f.OK() {
		return x.renderTemplate(w, r, v, http.StatusUnprocessableEntity, data, next.Emblem)
	}
	if do == "preview" {
		file, err := x.example(r, v, next)
		if err != nil {
			return err
		}
		data.Preview = dataURL(file)
		return x.renderTemplate(w, r, v, http.StatusOK, data, next.Emblem)
	}
	err = x.reg.AddTemplate(r.Context(), v.Who.Account.ID, next)
	if errors.Is(err, qrgate.ErrConflict) {
		data.Conflict, data.Version = true, latest.Version
		return x.renderTemplate(w, r, v, http.StatusConflict, data, next.Emblem)
	}
	if err != nil {
		return err
	}
	return v.Go(w, "/mau-ap-phich", "poster.template_saved", "n", next.Version)
}

// example draws a poster of a place that does not exist.
func (x *Posters) example(r *http.Request, v *page.View, t *register.Template) ([]byte, error) {
	s := x.sheet(v, print.PosterA4, &register.Poster{Version: 1, Name: v.T("poster.example.name"), Address: v.T("poster.example.address")}, t)
	s.PixelWidth = previewWidth
	return x.draw(r.Context(), print.PNG, s)
}

// lookTemplate answers with a picture of one version of the template.
func (x *Posters) lookTemplate(w http.ResponseWriter, r *http.Request, v *page.View) error {
	version, err := strconv.Atoi(r.PathValue("version"))
	if err != nil || version < 0 {
		return qrgate.ErrNotFound
	}
	t, err := x.templateOf(r.Context(), version)
	if err != nil {
		return err
	}
	file, err := x.example(r, v, t)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", print.PNG.ContentType())
	w.Header().Set("Cache-Control", "private, no-cache")
	return send(w, file)
}

// emblemOf returns the emblem of a form: a new file, or the one that it has kept
// since it was sent, or none.
func emblemOf(r *http.Request, f *page.Form) ([]byte, error) {
	file, _, err := r.FormFile("emblem_file")
	switch {
	case err == nil:
		defer file.Close()
		data, err := io.ReadAll(io.LimitReader(file, maxEmblem+1))
		if err != nil {
			return nil, fmt.Errorf("poster: emblem: %w", err)
		}
		if len(data) > 0 {
			kept, ok := emblem(data)
			if !ok {
				f.Fail("emblem_file", "poster.wrong.emblem", "kb", maxEmblem>>10, "most", emblemSide)
			}
			return kept, nil
		}
	case !errors.Is(err, http.ErrMissingFile) && !errors.Is(err, http.ErrNotMultipart):
		return nil, fmt.Errorf("poster: emblem: %w: %w", qrgate.ErrInvalid, err)
	}
	if f.Values.Get("emblem_none") == "1" || f.Values.Get("emblem_kept") == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(f.Values.Get("emblem_kept"))
	if err != nil {
		return nil, fmt.Errorf("poster: emblem: %w: %w", qrgate.ErrInvalid, err)
	}
	kept, ok := emblem(data)
	if !ok {
		return nil, fmt.Errorf("poster: emblem: %w", qrgate.ErrInvalid)
	}
	return kept, nil
}

// emblem returns a PNG as every poster can hold it, without what else stood in
// the file.
func emblem(file []byte) (kept []byte, ok bool) {
	c, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || format != "png" || len(file) > maxEmblem || min(c.Width, c.Height) < 1 || max(c.Width, c.Height) > emblemSide {
		return nil, false
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, false
	}
	for side := emblemKept; ; side = side * 3 / 4 {
		if w, h := img.Bounds().Dx(), img.Bounds().Dy(); max(w, h) > side {
			small := image.NewNRGBA(image.Rect(0, 0, max(1, w*side/max(w, h)), max(1, h*side/max(w, h))))
			draw.CatmullRom.Scale(small, small.Rect, img, img.Bounds(), draw.Src, nil)
			img = small
		}
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			return nil, false
		}
		if out.Len() <= emblemBytes {
			return out.Bytes(), true
		}
	}
}
