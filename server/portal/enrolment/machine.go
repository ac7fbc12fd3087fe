package enrolment

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"

	"github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

// hello says who this server is.
func (p *Pages) hello(w http.ResponseWriter, _ *http.Request, _ *page.View) error {
	answer(w, p.Desk.Hello())
	return nil
}

func (p *Pages) enrol(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.machine(w, r, v, p.Desk.Enrol)
}

func (p *Pages) renew(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.machine(w, r, v, p.Desk.Renew)
}

// machine answers what a kiosk asks. Its errors are for a program: a status alone.
func (p *Pages) machine(w http.ResponseWriter, r *http.Request, v *page.View, do func(context.Context, []byte, netip.Addr) ([]byte, error)) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "not a request", http.StatusBadRequest)
		return nil
	}
	b, err := do(r.Context(), body, v.Address())
	switch {
	case errors.Is(err, desk.ErrTooMany):
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many tries", http.StatusTooManyRequests)
	case errors.Is(err, desk.ErrMalformed):
		http.Error(w, "not a request", http.StatusBadRequest)
	case errors.Is(err, qrgate.ErrNotFound):
		http.Error(w, "unknown kiosk", http.StatusNotFound)
	case err != nil:
		p.Log.Warn("kiosk not answered", "path", r.URL.Path, "err", err)
		http.Error(w, "try again", http.StatusServiceUnavailable)
	default:
		answer(w, b)
	}
	return nil
}

func answer(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b)
}
