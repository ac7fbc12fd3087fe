package visit

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// said is a text within a template, [[key]] in both languages, [[vi:key]] or
// [[en:key]] in one.
var said = regexp.MustCompile(`\[\[(vi:|en:)?([a-z0-9_.]+)\]\]`)

// parse reads a page and the shell around it. What is wrong with one is a bug
// that every test finds, so it panics.
func (p *Pages) parse(name string) *template.Template {
	t := template.New("").Funcs(template.FuncMap{
		"asset": p.o.Frame.Assets().Address,
		"both":  both,
		"clock": func(t time.Time) string { return t.In(qrgate.Zone).Format("15:04") },
		"date":  func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006") },
		"iso":   func(t time.Time) string { return t.In(qrgate.Zone).Format(time.RFC3339) },
	})
	for _, file := range []string{"shell", name} {
		source, err := pages.ReadFile("pages/" + file + ".html")
		if err != nil {
			panic(err)
		}
		template.Must(t.New(file).Parse(said.ReplaceAllStringFunc(string(source), func(m string) string {
			in := said.FindStringSubmatch(m)
			if in[1] != "" {
				return html.EscapeString(text.Of(text.Lang(in[1][:2]), in[2]))
			}
			return string(both(in[2]))
		})))
	}
	return t
}

// both returns a text in both languages, Vietnamese first.
func both(key string, args ...any) template.HTML {
	return template.HTML(html.EscapeString(text.Of(text.Vietnamese, key, args...)) +
		` <span lang="en">` + html.EscapeString(text.Of(text.English, key, args...)) + `</span>`)
}

// A sheet is what every page of this package knows.
type sheet struct {
	HelpLine   string
	Controller string
	Days       int // how long check-ins are kept
	Data       any
}

// put answers with a page, of which nothing is sent unless all of it could be
// made.
func (p *Pages) put(w http.ResponseWriter, v *page.View, status int, name string, data any) error {
	var out bytes.Buffer
	out.Grow(12 << 10)
	s := sheet{HelpLine: v.HelpLine, Controller: v.Controller, Days: int(p.o.Retention / (24 * time.Hour)), Data: data}
	if err := p.sheets[name].ExecuteTemplate(&out, "shell", &s); err != nil {
		return fmt.Errorf("visit: %s: %w", name, err)
	}
	v.Lang = text.Vietnamese // the page is in both, and this one is its first
	v.Write(w, status, out.Bytes())
	return nil
}

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
