package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/register"
)

// A Desk writes check-ins down, see [ingest.Ingest.Visit].
type Desk interface {
	Visit(ctx context.Context, v ingest.Visit) (ingest.Receipt, error)
}

// Options are the parts of the API.
type Options struct {
	Register *register.Register
	Desk     Desk

	// The rest is optional.
	Address func(*http.Request) netip.Addr // of the client; default the connection's
	Limits  signin.LimitOptions            // of requests per token and per network
	Now     func() time.Time
	Log     *slog.Logger
}

// How much one system may ask. An app of a province checks in some tens of people
// a second at its busiest.
var (
	perToken   = signin.Rate{Burst: 500, Every: 5 * time.Millisecond}
	perNetwork = signin.Rate{Burst: 2000, Every: time.Millisecond}
	wrongToken = signin.Rate{Burst: 30, Every: 2 * time.Second}
)

const (
	maxBody      = 32 << 10
	maxURI       = 2048
	visitTimeout = 10 * time.Second
	tokenPrefix  = "qrg_" // so that a token that lies about is recognised
)

// NewToken returns a new token as its system sends it, and the hash by which
// package register knows it.
func NewToken() (text string, hash [32]byte) {
	token, sum := signin.NewToken()
	return tokenPrefix + token, sum
}

//go:embed openapi.json
var openapi []byte

type handler struct {
	o       Options
	limits  *signin.Limiter
	strayed *signin.Limiter
	mux     *http.ServeMux
}

// New returns the handler of all that is under /api/.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Address == nil {
		o.Address = connection
	}
	if o.Limits.Account == (signin.Rate{}) {
		o.Limits.Account = perToken
	}
	if o.Limits.Network == (signin.Rate{}) {
		o.Limits.Network = perNetwork
	}
	h := &handler{
		o: o, mux: http.NewServeMux(), limits: signin.NewLimiter(o.Limits),
		strayed: signin.NewLimiter(signin.LimitOptions{Account: wrongToken, Network: perNetwork}),
	}
	h.mux.HandleFunc("GET /api/openapi.json", h.describe)
	h.mux.HandleFunc("GET /api/v1/places/{code}", h.as(register.PlaceRead, h.place))
	h.mux.HandleFunc("POST /api/v1/checkins", h.as(register.CheckinWrite, h.checkin))
	return h
}

func connection(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// ServeHTTP answers what nobody else does with a problem too.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.o.Log.Error("handler panicked", "path", r.Pattern, "panic", p)
			fail(w, unknown)
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if len(r.URL.RequestURI()) > maxURI || strings.ContainsRune(r.URL.Path, 0) {
		fail(w, malformed.say("The address is too long or holds what no address does."))
		return
	}
	if _, pattern := h.mux.Handler(r); pattern == "" {
		h.noRoute(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	h.mux.ServeHTTP(w, r)
}

func (h *handler) noRoute(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			fail(w, problem{Type: "method", Title: "Method not allowed", Status: http.StatusMethodNotAllowed})
			return
		}
	}
	fail(w, problem{Type: "not-found", Title: "No such resource", Status: http.StatusNotFound})
}

func (h *handler) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(openapi)
}

// A call is a request whose token may make it.
type call func(w http.ResponseWriter, r *http.Request, t *register.Token) error

// as lets through whoever has a token with the scope, within the limits.
func (h *handler) as(scope register.TokenScope, fn call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := h.token(r)
		if err == nil && !t.May(scope) {
			err = problem{Type: "scope", Title: "The token lacks a scope", Status: http.StatusForbidden, Detail: "It needs " + string(scope) + "."}
		}
		if err == nil {
			if _, wait := h.limits.Try(h.o.Now(), t.ID, h.o.Address(r)); wait > 0 {
				err = slow(wait)
			}
		}
		if err == nil {
			err = fn(w, r, t)
		}
		if err != nil {
			h.answer(w, r, err)
		}
	}
}

// token returns the token that a request carries.
func (h *handler) token(r *http.Request) (*register.Token, error) {
	kind, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text, ours := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	sum, err := signin.TokenSum(text)
	if strings.EqualFold(kind, "Bearer") && ours && err == nil {
		t, err := h.o.Register.Token(r.Context(), sum)
		if !errors.Is(err, qrgate.ErrNotFound) {
			return t, err
		}
	}
	from := h.o.Address(r)
	if _, wait := h.strayed.Try(h.o.Now(), from.String(), from); wait > 0 {
		return nil, slow(wait)
	}
	return nil, problem{Type: "token", Title: "No valid token", Status: http.StatusUnauthorized, Detail: "Send the header Authorization: Bearer with a token that has not ended and was not taken back."}
}

// answer turns an error into a problem.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &p):
	case errors.As(err, &long):
		p = problem{Type: "too-long", Title: "The body is too long", Status: http.StatusRequestEntityTooLarge}
	case r.Context().Err() != nil: // nobody listens
		p = busy
	default:
		h.o.Log.Error("request failed", "path", r.Pattern, "err", err)
		p = unknown
	}
	fail(w, p)
}

// A problem is what went wrong, as RFC 9457 has it. Its type is a short name in
// a namespace of ours, and never changes.
type problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Errors []fault `json:"errors,omitempty"`

	after time.Duration
}

// A fault is a field and what is wrong with it.
type fault struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p problem) Error() string { return "api: " + p.Type }

func (p problem) say(detail string) problem {
	p.Detail = detail
	return p
}

var (
	malformed = problem{Type: "malformed", Title: "The request is malformed", Status: http.StatusBadRequest}
	noPlace   = problem{Type: "place", Title: "No such place", Status: http.StatusNotFound}
	closed    = problem{Type: "closed", Title: "The place has closed", Status: http.StatusGone}
	busy      = problem{Type: "busy", Title: "The server is busy", Status: http.StatusServiceUnavailable, Detail: "Send the same request again, with the same key.", after: 3 * time.Second}
	unknown   = problem{Type: "fault", Title: "The server has a fault", Status: http.StatusInternalServerError}
)

func slow(wait time.Duration) problem {
	return problem{Type: "too-many", Title: "Too many requests", Status: http.StatusTooManyRequests, after: wait}
}

const problems = "urn:qrgate:problem:"

func fail(w http.ResponseWriter, p problem) {
	p.Type = problems + p.Type
	h := w.Header()
	if p.after > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int((p.after+time.Second-1)/time.Second))))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="qrgate"`)
	}
	write(w, "application/problem+json", p.Status, p)
}

func write(w http.ResponseWriter, kind string, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, numbers and times
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(b)
}
