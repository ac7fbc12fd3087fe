package visit

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"strings"
	"sync"
	settle "text/template"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// parse reads a page and the shell around it. What is the same for everybody,
// which is most of a page in two languages, stands between [[ and ]] and is
// settled here; what stands between {{ and }} is when the page is made. What is
// wrong with a page is a bug that every test finds, so it panics.
func (p *Pages) parse(name string) *template.Template {
	t := template.New("").Funcs(template.FuncMap{
		"both":  both,
		"clock": func(t time.Time) string { return t.In(qrgate.Zone).Format("15:04") },
		"date":  func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006") },
		"iso":   func(t time.Time) string { return t.In(qrgate.Zone).Format(time.RFC3339) },
	})
	settled := settle.New("").Delims("[[", "]]").Funcs(settle.FuncMap{
		"asset": p.o.Frame.Assets().Address,
		"both":  both,
		"vi":    func(key string) string { return html.EscapeString(text.Of(text.Vietnamese, key)) },
		"en":    func(key string) string { return html.EscapeString(text.Of(text.English, key)) },
	})
	about := struct {
		HelpLine, Controller string
		Days                 int // how long check-ins are kept
	}{p.o.HelpLine, p.o.Controller, int(p.o.Retention / (24 * time.Hour))}
	for _, file := range []string{"shell", name} {
		source, err := pages.ReadFile("pages/" + file + ".html")
		if err != nil {
			panic(err)
		}
		var out strings.Builder
		if err := settle.Must(settled.New(file).Parse(string(source))).Execute(&out, about); err != nil {
			panic(err)
		}
		template.Must(t.New(file).Parse(out.String()))
	}
	return t
}

// both returns a text in both languages, Vietnamese first.
func both(key string, args ...any) template.HTML {
	return template.HTML(html.EscapeString(text.Of(text.Vietnamese, key, args...)) +
		` <span lang="en">` + html.EscapeString(text.Of(text.English, key, args...)) + `</span>`)
}

// put answers with a page, of which nothing is sent unless all of it could be
// made.
func (p *Pages) put(w http.ResponseWriter, v *page.View, status int, name string, data any) error {
	out := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(out)
	out.Reset()
	if err := p.sheets[name].ExecuteTemplate(out, "shell", data); err != nil {
		return fmt.Errorf("visit: %s: %w", name, err)
	}
	v.Lang = text.Vietnamese // the page is in both, and this one is its first
	v.Write(w, status, out.Bytes())
	return nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// addressOf joins what is known of where a place is.
func addressOf(p *qrgate.Place, commune string) string {
	var parts []string
	for _, s := range []string{p.Street, commune} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}
