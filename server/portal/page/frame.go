package page

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// Options are what pages need to know of the server around them.
type Options struct {
	Register   *register.Register
	Log        *slog.Logger
	Now        func() time.Time // default time.Now
	Base       string           // address of the portal, as posters say it: https://qr.example.vn
	HelpLine   string           // shown on every page if it is not empty
	Controller string           // who answers for the data that is kept
	Proxies    []netip.Prefix   // whose word about the client's address is taken
}

// A Frame makes pages.
type Frame struct {
	o        Options
	base     *url.URL
	https    bool
	assets   Assets
	pages    map[string]map[text.Lang]*template.Template
	shell    map[text.Lang]*template.Template
	sessions *scs.SessionManager
	routes   []Route
}

// Lifetimes of a sign-in: without being remembered it ends with the browser, or
// after this long.
const (
	sessionFor    = 12 * time.Hour
	rememberedFor = 90 * 24 * time.Hour
)

// New returns a frame without pages.
func New(o Options) *Frame {
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Frame{o: o, assets: Assets{}, pages: map[string]map[text.Lang]*template.Template{}, shell: map[text.Lang]*template.Template{}}
	f.base, _ = url.Parse(o.Base)
	if f.base == nil {
		f.base = &url.URL{}
	}
	f.https = f.base.Scheme == "https"
	f.assets.Add(ownAssets, "assets")

	f.sessions = scs.New()
	f.sessions.Store = o.Register.Sessions()
	f.sessions.HashTokenInStore = true
	f.sessions.Lifetime = sessionFor // of who has not signed in, or until SignIn says otherwise
	f.sessions.Cookie.Name = "qrgate"
	f.sessions.Cookie.HttpOnly = true
	f.sessions.Cookie.SameSite = http.SameSiteLaxMode
	f.sessions.Cookie.Persist = false // until somebody wants to be remembered
	if f.sessions.Cookie.Secure = f.https; f.https {
		f.sessions.Cookie.Name = "__Host-qrgate"
	}
	f.sessions.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) { f.Fail(w, r, f.stranger(r), err) }

	for _, lang := range text.Langs() {
		f.shell[lang] = template.Must(template.New("").Funcs(f.funcs(lang)).ParseFS(ownPages, "pages/shell.html", "pages/parts.html"))
	}
	f.Add(ownPages, "pages/problem.html")
	return f
}

// Assets returns the files that pages load, to add more.
func (f *Frame) Assets() Assets { return f.assets }

// Base returns the portal's address, as posters and messages say it, without a
// slash at its end.
func (f *Frame) Base() string { return strings.TrimSuffix(f.o.Base, "/") }

// Now returns the time.
func (f *Frame) Now() time.Time { return f.o.Now() }

// partsSuffix ends the name of a file that is no page, but what the pages beside
// it have in common.
const partsSuffix = ".parts.html"

// Add reads templates of pages: each is named as its file without .html. A file
// NAME.parts.html is part of every page of its pattern. What is wrong with one is
// a bug that every test finds, so it panics.
func (f *Frame) Add(fsys fs.FS, patterns ...string) {
	for _, pattern := range patterns {
		names, err := fs.Glob(fsys, pattern)
		if err != nil || len(names) == 0 {
			panic(fmt.Sprintf("page: no templates %s: %v", pattern, err))
		}
		var parts []string
		for _, name := range names {
			if strings.HasSuffix(name, partsSuffix) {
				parts = append(parts, name)
			}
		}
		for _, name := range names {
			if strings.HasSuffix(name, partsSuffix) {
				continue
			}
			key := strings.TrimSuffix(path.Base(name), ".html")
			if _, twice := f.pages[key]; twice {
				panic("page: two templates " + key)
			}
			f.pages[key] = map[text.Lang]*template.Template{}
			for lang, shell := range f.shell {
				f.pages[key][lang] = template.Must(template.Must(shell.Clone()).ParseFS(fsys, append(parts[:len(parts):len(parts)], name)...))
			}
		}
	}
}

func (f *Frame) funcs(lang text.Lang) template.FuncMap {
	other := text.English
	if lang == text.English {
		other = text.Vietnamese
	}
	return template.FuncMap{
		"t": func(key string, args ...any) string {
			if len(args) == 1 { // what a Wrong has
				args, _ = args[0].([]any)
			}
			return text.Of(lang, key, args...)
		},
		"other":     func(key string, args ...any) string { return text.Of(other, key, args...) },
		"both":      Both,
		"otherLang": func() string { return string(other) },
		"asset":     f.assets.Address,
		"number":    anyNumber,
		"date":      func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006") },
		"clock":     func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006 15:04") },
		"iso":       func(t time.Time) string { return t.In(qrgate.Zone).Format(time.RFC3339) },
		"field":     newField,
		"map": func(pairs ...any) map[string]any {
			m := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				m[fmt.Sprint(pairs[i])] = pairs[i+1]
			}
			return m
		},
	}
}

// Both returns a text in Vietnamese and then in English, for pages that show
// everybody the same.
func Both(key string, args ...any) template.HTML {
	say := func(lang text.Lang) string { return template.HTMLEscapeString(text.Of(lang, key, args...)) }
	return template.HTML(say(text.Vietnamese) + ` <span lang="en">` + say(text.English) + `</span>`)
}

// Number returns n as Vietnamese write it: 1.234.567.
func Number[N ~int | ~int64 | ~uint32](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "." + s[i:]
	}
	return sign + s
}

// anyNumber is Number for templates, whose numbers are of several types.
func anyNumber(n any) (string, error) {
	switch n := n.(type) {
	case int:
		return Number(n), nil
	case int64:
		return Number(n), nil
	case uint32:
		return Number(n), nil
	}
	return "", fmt.Errorf("page: number of %T", n)
}

func (f *Frame) execute(w io.Writer, v *View, name string) error {
	page, ok := f.pages[name]
	if !ok {
		return fmt.Errorf("page: no template %s", name)
	}
	if err := page[v.Lang].ExecuteTemplate(w, "shell", v); err != nil {
		return fmt.Errorf("page: %s: %w", name, err)
	}
	return nil
}

func writePage(w http.ResponseWriter, status int, lang text.Lang, page []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(lang))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	w.Write(page)
}

// Send answers with a file to keep, made for this viewer alone.
func Send(w http.ResponseWriter, kind, name string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.Write(body)
}

// Workbook is the type of an XLSX file.
const Workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// Write answers with a page that was rendered before.
func (v *View) Write(w http.ResponseWriter, status int, page []byte) {
	writePage(w, status, v.Lang, page)
}

// Render answers with the page of that name. Nothing is sent unless all of it
// could be made.
func (v *View) Render(w http.ResponseWriter, name string, data any) error {
	return v.RenderStatus(w, http.StatusOK, name, data)
}

// RenderStatus is Render with another status than 200: 422 for a form that is
// shown again with what to correct.
func (v *View) RenderStatus(w http.ResponseWriter, status int, name string, data any) error {
	v.Data = data
	var out bytes.Buffer
	if err := v.f.execute(&out, v, name); err != nil {
		return err
	}
	v.Write(w, status, out.Bytes())
	return nil
}
