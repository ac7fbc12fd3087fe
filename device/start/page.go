package start

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/guide"
)

//go:embed assets
var assets embed.FS

//go:embed page.html pictures.html
var pages embed.FS

var page = template.Must(template.ParseFS(pages, "page.html", "pictures.html"))

// A Page is what a kiosk shows on its screen before its door opens, in the place of the
// door's page.
type Page struct {
	release string
	log     *slog.Logger
	boot    string
	token   string
	answers chan guide.Answer

	mu    sync.Mutex
	shown View
	seen  string
}

// NewPage returns a page that shows v.
func NewPage(release string, v View, log *slog.Logger) *Page {
	p := &Page{release: release, log: log, boot: rand.Text(), token: rand.Text(), answers: make(chan guide.Answer, 1)}
	p.Show(v)
	return p
}

// Show changes what is shown.
func (p *Page) Show(v View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == "" || !reflect.DeepEqual(v, p.shown) {
		p.shown, p.seen = v, rand.Text()
	}
}

// Answers carries what is touched on the page.
func (p *Page) Answers() <-chan guide.Answer { return p.answers }

// Handler returns the page and what belongs to it.
func (p *Page) Handler() http.Handler {
	static, err := fs.Sub(assets, "assets")
	if err != nil { // only if the name were invalid
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprint(w, p.seen)
	})
	mux.HandleFunc("POST /answer", p.answer)
	// The door's page, if it is still open, loads again when another process answers.
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"boot\":%q}\n\n", p.boot)
	})
	mux.HandleFunc("GET /brief", func(w http.ResponseWriter, _ *http.Request) { screen.Brief{}.Write(w) })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("GET /fonts/", http.StripPrefix("/fonts/", http.FileServerFS(screen.Fonts())))
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(static)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err != nil || screen.CheckListen(net.JoinHostPort(host, "1")) != nil {
			http.Error(w, "not this machine", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// answer takes what was touched on the page that is shown now: a finger that comes late
// answers no question that it has not seen.
func (p *Page) answer(w http.ResponseWriter, r *http.Request) {
	var said struct{ Seen, Answer string }
	if r.Header.Get("X-QRGate-Token") != p.token {
		http.Error(w, "not from the page", http.StatusForbidden)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 256)).Decode(&said); err != nil {
		http.Error(w, "not an answer", http.StatusBadRequest)
		return
	}
	a, ok := guide.AnswerOf(said.Answer)
	p.mu.Lock()
	late := said.Seen != p.seen
	p.mu.Unlock()
	switch {
	case !ok:
		http.Error(w, "not an answer", http.StatusBadRequest)
		return
	case late:
		w.WriteHeader(http.StatusConflict)
		return
	}
	select {
	case p.answers <- a:
	default: // one is being taken already
	}
	w.WriteHeader(http.StatusNoContent)
}

type pageData struct {
	View
	Seen, Token, Release string
}

func (p *Page) page(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	d := pageData{p.shown, p.seen, p.token, p.release}
	p.mu.Unlock()
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "page.html", d); err != nil {
		p.log.Error("screen: page", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// listenAgain is how soon a port that is taken is tried again.
const listenAgain = time.Second

// Run serves the page on addr, which must be of this machine alone, until ctx ends.
func (p *Page) Run(ctx context.Context, addr string) error {
	if err := screen.CheckListen(addr); err != nil {
		return err
	}
	srv := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	for ctx.Err() == nil {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			err = srv.Serve(l)
		}
		if ctx.Err() == nil {
			p.log.Warn("screen ended", "at", addr, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(listenAgain):
			}
		}
	}
	return nil
}
