package guard

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

//go:embed assets
var assets embed.FS

//go:embed pages/*.html
var files embed.FS

// pages is every page within the frame, by name.
var pages = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	frame := template.Must(template.New("").Funcs(template.FuncMap{"grouped": grouped}).ParseFS(files, "pages/frame.html"))
	for _, name := range []string{"alone", "pair", "pin", "door", "live", "entry", "undo", "count", "test", "report", "roll", "wrong"} {
		all[name] = template.Must(template.Must(frame.Clone()).ParseFS(files, "pages/live.html", "pages/"+name+".html"))
	}
	return all
}()

const (
	phoneCookie   = "__Host-qrgate-phone"
	sessionCookie = "__Host-qrgate-guard"
	langCookie    = "__Host-qrgate-lang"

	phoneTime = 400 * 24 * time.Hour // as long as browsers keep a cookie
	maxForm   = 8 << 10              // bytes of a form
)

// A request is one request with what is known of who asks.
type request struct {
	*http.Request
	w      http.ResponseWriter
	lang   words.Lang
	secret string // of the telephone, "" if it is not paired
	in     session
	signed bool // in is a session
}

// Handler returns the page and what belongs to it.
func (g *Guard) Handler() http.Handler {
	static, err := fs.Sub(assets, "assets")
	if err != nil { // only if the name were invalid
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /a/", http.StripPrefix("/a/", http.FileServerFS(static)))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	open := func(pattern string, fn func(*request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { fn(g.request(w, r, true)) })
	}
	open("GET /ghep", g.pairPage)
	open("POST /ghep", g.pair)
	open("POST /vao", g.enter)
	open("POST /tieng", g.language)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		// A page that asks by itself does not keep the session.
		g.home(g.request(w, r, !r.URL.Query().Has("xem")))
	})
	mux.HandleFunc("GET /song", func(w http.ResponseWriter, r *http.Request) { g.follow(g.request(w, r, false)) })
	for pattern, fn := range map[string]func(*request){
		"GET /nhap": g.page("entry"), "POST /nhap": g.post(g.admit),
		"GET /bo": g.undoPage, "POST /bo": g.post(g.undo),
		"GET /dem": g.page("count"), "POST /dem": g.post(g.count),
		"GET /thu": g.page("test"), "POST /thu": g.post(g.test),
		"GET /vuong-mac": g.page("report"), "POST /vuong-mac": g.post(g.report),
		"GET /diem-danh": g.roll,
		"POST /ra":       g.post(g.leave), "POST /bo-ghep": g.post(g.forget),
	} {
		open(pattern, g.signed(fn))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.wrong(g.request(w, r, false), http.StatusNotFound, "error.none")
	})
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.wrong(g.request(w, r, false), http.StatusForbidden, "error.form")
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !g.ours(r.Host) {
			http.Error(w, "not this kiosk", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		own.Handler(mux).ServeHTTP(w, r)
	})
}

// ours reports whether a request is for an address of this kiosk: a name that somebody
// points at it is another site to the browser.
func (g *Guard) ours(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	stated, _, _ := net.SplitHostPort(g.Address)
	return net.ParseIP(name) != nil || strings.EqualFold(name, g.Kiosk) || stated != "" && strings.EqualFold(name, stated)
}

func (g *Guard) request(w http.ResponseWriter, r *http.Request, use bool) *request {
	q := &request{Request: r, w: w, lang: words.Vietnamese}
	if cookie(r, langCookie) == string(words.English) {
		q.lang = words.English
	}
	if s := cookie(r, phoneCookie); g.phones.known(s) {
		q.secret = s
	}
	if in, ok := g.sessions.of(cookie(r, sessionCookie), use, time.Now()); ok && q.secret != "" && in.secret == q.secret {
		q.in, q.signed = in, true
	}
	return q
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (q *request) set(name, value string, age time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(age.Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(q.w, c)
}

// A data is what every page is made of.
type data struct {
	Lang   words.Lang
	Place  string
	Gate   string
	Help   string
	Path   string // of this page, to come back to
	Token  string
	Signed bool
	Notice string
	Bad    bool // the notice is
	Wrong  string
	Typed  url.Values
	D      any
}

// T is say for the page.
func (d data) T(key string, args ...string) string { return say(d.Lang, key, args...) }

// Other returns the other language.
func (d data) Other() string { return say(d.Lang, "other.lang") }

// render answers with a page.
func (g *Guard) render(q *request, status int, name string, d data) {
	stands := g.Door.Standing()
	d.Lang, d.Place, d.Gate, d.Help, d.Signed, d.Token = q.lang, stands.Config.Place, stands.Config.Gate, stands.Config.HelpLine, q.signed, q.in.token
	if q.Method == http.MethodGet {
		d.Path = q.URL.RequestURI()
	}
	if q.signed {
		if n := g.sessions.said(q.in.id); n.Key != "" {
			d.Notice, d.Bad = say(q.lang, n.Key, n.Args...), n.Bad
		}
	}
	var b bytes.Buffer
	if err := pages[name].ExecuteTemplate(&b, "frame.html", d); err != nil {
		g.Log.Error("guard's page", "page", name, "err", err)
		http.Error(q.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.WriteHeader(status)
	q.w.Write(b.Bytes())
}

func (g *Guard) wrong(q *request, status int, key string) {
	g.render(q, status, "wrong", data{Wrong: say(q.lang, key)})
}

// goTo ends a form: the page at path says what became of it.
func (g *Guard) goTo(q *request, path string, n notice) {
	if q.signed {
		g.sessions.say(q.in.id, n)
	}
	http.Redirect(q.w, q.Request, path, http.StatusSeeOther)
}

// signed lets only those in whose PIN was right.
func (g *Guard) signed(fn func(*request)) func(*request) {
	return func(q *request) {
		if !q.signed {
			http.Redirect(q.w, q.Request, "/", http.StatusSeeOther)
			return
		}
		fn(q)
	}
}

// page shows a page with a form.
func (g *Guard) page(name string) func(*request) {
	return func(q *request) { g.render(q, http.StatusOK, name, data{}) }
}

// post reads a form of this session's and of nobody else's.
func (g *Guard) post(fn func(*request)) func(*request) {
	return func(q *request) {
		if !g.form(q) {
			return
		}
		if !same(q.PostForm.Get("token"), q.in.token) {
			g.wrong(q, http.StatusForbidden, "error.form")
			return
		}
		if !g.acts.take(mostActs, actTime, time.Now()) {
			g.wrong(q, http.StatusTooManyRequests, "error.many")
			return
		}
		fn(q)
	}
}

// form reads a form; if it is none that is answered, and form returns false.
func (g *Guard) form(q *request) bool {
	err := q.ParseForm()
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		g.wrong(q, http.StatusRequestEntityTooLarge, "error.form")
	} else if err != nil || !sound(q.PostForm) {
		g.wrong(q, http.StatusBadRequest, "error.form")
	} else {
		return true
	}
	return false
}

// language changes the language and goes back to where that was asked.
func (g *Guard) language(q *request) {
	if !g.form(q) {
		return
	}
	if lang := q.PostForm.Get("lang"); lang == string(words.English) || lang == string(words.Vietnamese) {
		q.set(langCookie, lang, phoneTime)
	}
	http.Redirect(q.w, q.Request, pathOf(q.PostForm.Get("ve")), http.StatusSeeOther)
}

// pathOf returns s if it leads to a page of ours, and "/" otherwise.
func pathOf(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n") {
		return "/"
	}
	switch u.Path {
	case "/ghep", "/nhap", "/bo", "/dem", "/thu", "/vuong-mac", "/diem-danh":
		return u.RequestURI()
	}
	return "/"
}

// minutes says how long somebody has to wait.
func minutes(d time.Duration) string { return strconv.Itoa(int((d + time.Minute - 1) / time.Minute)) }

// Categories returns what can be reported.
func (data) Categories() []string { return wire.Difficulties() }
