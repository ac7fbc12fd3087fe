package enrolment

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/words"
)

//go:embed assets
var assets embed.FS

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

//go:embed vi.txt
var vietnamese string

//go:embed en.txt
var english string

var texts = sync.OnceValue(func() map[words.Lang]map[words.Key]string {
	return map[words.Lang]map[words.Key]string{words.Vietnamese: words.Parse(vietnamese), words.English: words.Parse(english)}
})

// Sentence returns what is said at a stage.
func Sentence(lang words.Lang, s Stage) words.Sentence {
	t := texts()[lang]
	return words.Sentence{Head: t[words.Key(s)], Do: t[words.Key(s+".do")]}
}

// A Page is what a new kiosk shows on its screen, in the place of the door's page.
type Page struct {
	release string
	log     *slog.Logger
	boot    string

	mu    sync.Mutex
	shown Status
	seen  string
}

// NewPage returns a page that says that a code is waited for.
func NewPage(release string, log *slog.Logger) *Page {
	p := &Page{release: release, log: log, boot: rand.Text()}
	p.Show(Status{Stage: Waiting})
	return p
}

// Show changes what is shown.
func (p *Page) Show(s Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s != p.shown {
		p.shown, p.seen = s, rand.Text()
	}
}

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
	// The door's page, if it is still open, loads again when another process answers.
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"boot\":%q}\n\n", p.boot)
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(static)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err != nil || screen.CheckListen(net.JoinHostPort(host, "1")) != nil {
			http.Error(w, "not this machine", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func (p *Page) page(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	s, seen := p.shown, p.seen
	p.mu.Unlock()
	vi, en := Sentence(words.Vietnamese, s.Stage), Sentence(words.English, s.Stage)
	var b bytes.Buffer
	err := page.Execute(&b, map[string]any{
		"Stage": s.Stage, "Seen": seen, "Release": p.release, "Words": strings.Fields(s.Words), "VI": vi.Head, "VIDo": vi.Do, "EN": en.Head, "ENDo": en.Do,
	})
	if err != nil {
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
