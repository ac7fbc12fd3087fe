package page

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Kinds of error that are the pages' own.
var (
	errSignIn  = errors.New("nobody has signed in")
	errSecond  = errors.New("a second factor is needed")
	errMethod  = errors.New("method not allowed")
	errForeign = errors.New("form from another site")
)

// A Busy is an error that waiting cures.
type Busy struct {
	Err   error
	After time.Duration
}

func (b Busy) Error() string { return b.Err.Error() }

// Unwrap returns what it is about.
func (b Busy) Unwrap() error { return b.Err }

// A problem is what somebody is told of an error: its texts are
// problem.NAME and problem.NAME.do.
type problem struct {
	Name   string
	Status int
}

var problems = []struct {
	err error
	problem
}{
	{qrgate.ErrNotFound, problem{"not_found", http.StatusNotFound}},
	{qrgate.ErrForbidden, problem{"forbidden", http.StatusForbidden}},
	{qrgate.ErrConflict, problem{"conflict", http.StatusConflict}},
	{qrgate.ErrRevoked, problem{"conflict", http.StatusConflict}},
	{qrgate.ErrInvalid, problem{"invalid", http.StatusBadRequest}},
	{qrgate.ErrUnavailable, problem{"busy", http.StatusServiceUnavailable}},
	{errMethod, problem{"method", http.StatusMethodNotAllowed}},
	{errForeign, problem{"foreign", http.StatusForbidden}},
	// The viewer has gone, or the server is about to.
	{context.Canceled, problem{"restart", http.StatusServiceUnavailable}},
}

// problemOf returns what an error means to people, and whether it was expected.
func problemOf(err error) (p problem, known bool) {
	var tooLong *http.MaxBytesError
	var busy Busy
	switch {
	case errors.As(err, &tooLong):
		return problem{"too_long", http.StatusRequestEntityTooLarge}, true
	case errors.As(err, &busy):
		return problem{"busy", http.StatusServiceUnavailable}, true
	}
	for _, k := range problems {
		if errors.Is(err, k.err) {
			return k.problem, true
		}
	}
	return problem{"unknown", http.StatusInternalServerError}, false
}

// Fail answers a request with what its error means to people.
func (f *Frame) Fail(w http.ResponseWriter, r *http.Request, v *View, err error) {
	if errors.Is(err, errSignIn) || errors.Is(err, errSecond) {
		to := signInPath
		if errors.Is(err, errSecond) {
			to = secondPath
		}
		if r.Method == http.MethodGet {
			to += "?" + backTo(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	told, known := problemOf(err)
	if !known {
		f.o.Log.Error("request failed", "path", r.Pattern, "err", err)
	}
	var busy Busy
	switch {
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(busy.After.Seconds()))))
	case told.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "60")
	}
	v.Data = told
	var out bytes.Buffer
	if err := f.execute(&out, v, "problem"); err != nil {
		f.o.Log.Error("error page not made", "err", err)
		http.Error(w, text.Of(v.Lang, "problem.unknown"), told.Status)
		return
	}
	writePage(w, told.Status, v.Lang, out.Bytes())
}
