package screen

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/sync/words"
)

// A Door takes what is entered on the screen; *kiosk.Kiosk is one.
type Door interface {
	Enter(ctx context.Context, code string) error
	EnterPhone(ctx context.Context, number string) error
	Bring(ctx context.Context, with uint64, n int) error
}

//go:embed assets
var assets embed.FS

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// CheckListen returns an error unless addr is a port of this machine alone.
func CheckListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("screen: listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("screen: listen: %s is not this machine alone, as 127.0.0.1 is", host)
	}
	return nil
}

// Run serves the page on addr until ctx ends. A port that is taken is tried
// again, since a door without a page is better than none.
func (s *Screen) Run(ctx context.Context, addr string, door Door) error {
	if err := CheckListen(addr); err != nil {
		return err
	}
	srv := &http.Server{
		Handler: s.Handler(door), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() }) // the page is told by the silence
	defer stop()
	for {
		l := s.listen(ctx, addr)
		if l == nil {
			return nil
		}
		s.log.Info("screen", "at", "http://"+l.Addr().String())
		if err := srv.Serve(l); ctx.Err() == nil {
			s.log.Warn("screen ended", "err", err)
		}
	}
}

const listenAgain = 5 * time.Second

func (s *Screen) listen(ctx context.Context, addr string) net.Listener {
	for said := false; ctx.Err() == nil; said = true {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if !said {
			s.log.Warn("screen cannot listen", "at", addr, "err", err, "retry_in", listenAgain)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

// Handler returns the page and what belongs to it.
func (s *Screen) Handler(door Door) http.Handler {
	static, err := fs.Sub(assets, "assets")
	if err != nil { // only if the name were invalid
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /brief", func(w http.ResponseWriter, _ *http.Request) { s.brief().Write(w) })
	mux.HandleFunc("GET /setup.png", s.setUpCode)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(static)))
	mux.Handle("POST /code", s.entered(func(o Options) bool { return o.Typed }, func(r *http.Request, e entry) error { return door.Enter(r.Context(), e.Code) }))
	mux.Handle("POST /phone", s.entered(func(o Options) bool { return o.Phone }, func(r *http.Request, e entry) error { return door.EnterPhone(r.Context(), e.Phone) }))
	mux.Handle("POST /companions", s.entered(func(o Options) bool { return o.Companions }, func(r *http.Request, e entry) error { return door.Bring(r.Context(), e.With, e.Number) }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A name that somebody points at this machine is another site to the browser.
		if host, _, err := net.SplitHostPort(r.Host); err != nil || CheckListen(net.JoinHostPort(host, "1")) != nil {
			http.Error(w, "not this machine", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// A pair is one text in both languages.
type pair struct{ VI, EN string }

func say(key words.Key, args ...string) pair {
	return pair{words.Of(words.Vietnamese, key, args...), words.Of(words.English, key, args...)}
}

// Say is say for the page.
func (pageData) Say(key string) pair { return say(words.Key(key)) }

type pageData struct {
	Place, Gate, Token, Boot string
	Help                     pair
	Starting                 [2]words.Sentence
	Typed, Phone, Companions bool
	Keys, Digits             []string
	Numbers                  []int
	Beat                     int64
}

func (s *Screen) page(w http.ResponseWriter, _ *http.Request) {
	o, boot := s.now()
	d := pageData{
		Place: o.Place, Gate: o.Gate, Token: s.token, Boot: boot, Typed: o.Typed, Phone: o.Phone, Companions: o.Companions,
		Starting: [2]words.Sentence{words.Door(words.Vietnamese, words.Starting), words.Door(words.English, words.Starting)},
		Beat:     beatEvery.Milliseconds(),
	}
	if o.HelpLine != "" {
		d.Help = say(words.Help, "number", o.HelpLine)
	}
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" { // of a typed code
		d.Keys = append(d.Keys, string(c))
	}
	for _, c := range "1234567890" { // of a telephone number
		d.Digits = append(d.Digits, string(c))
	}
	for n := range kiosk.MaxCompanions {
		d.Numbers = append(d.Numbers, n+1)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		s.log.Error("screen: page", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// events follows the door. A browser that is slow misses answers that others have
// followed, never the last.
func (s *Screen) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		v, next, changed := s.look(time.Now())
		wait := beatEvery
		if next > 0 {
			wait = min(wait, next)
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", v.json()); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-r.Context().Done():
			timer.Stop()
			return
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// maxEntry is far more bytes than anything that is entered.
const maxEntry = 512

// An entry is what the page sends of what somebody has entered.
type entry struct {
	Code   string `json:"code"`
	Phone  string `json:"phone"`
	With   uint64 `json:"with"`
	Number int    `json:"number"`
}

// entered takes an entry from this process's page and from nowhere else. What the
// door makes of it is shown like any other answer.
func (s *Screen) entered(wanted func(Options) bool, do func(r *http.Request, e entry) error) http.Handler {
	// The token would do; that a browser says where a request comes from is free.
	guard := http.NewCrossOriginProtection()
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o, _ := s.now(); !wanted(o) {
			http.NotFound(w, r)
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-QRGate-Token")), []byte(s.token)) != 1 {
			http.Error(w, "not from this page", http.StatusForbidden)
			return
		}
		var e entry
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEntry))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			http.Error(w, "not an entry", http.StatusBadRequest)
			return
		}
		switch err := do(r, e); {
		case errors.Is(err, kiosk.ErrLate):
			http.Error(w, "too late", http.StatusConflict)
		case err != nil:
			http.Error(w, "not taken", http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
}

// between returns bounds as people read them: "12", "10–12".
func between(least, most int) string {
	if least == most {
		return strconv.Itoa(least)
	}
	return strconv.Itoa(least) + "–" + strconv.Itoa(most)
}
