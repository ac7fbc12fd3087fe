package visit

import (
	"cmp"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A message is a visit as the script sends it.
type message struct {
	Key       string   `json:"key"`
	Direction string   `json:"direction"` // in, out
	Phone     string   `json:"phone"`
	Name      string   `json:"name"`
	Account   bool     `json:"account"` // who is signed in, if that is whom accountHeader names
	Others    int      `json:"others"`
	Names     []string `json:"names"`
	Said      int64    `json:"said"` // Unix milliseconds by the phone's clock: when it happened
	Sent      int64    `json:"sent"` // and when it was sent
}

// accountHeader names the account that a visit is of.
const accountHeader = "Qrgate-Account"

// A reply is what the script is answered.
type reply struct {
	Page    string  `json:"page,omitempty"` // shows the confirmation
	Place   string  `json:"place,omitempty"`
	At      int64   `json:"at,omitempty"` // Unix milliseconds
	People  int     `json:"people,omitempty"`
	Again   bool    `json:"again,omitempty"`
	Problem string  `json:"problem,omitempty"` // fields, code, gone, late, conflict, busy, message, unknown
	Wrong   []wrong `json:"wrong,omitempty"`
}

type wrong struct {
	Field string `json:"field"`
	Vi    string `json:"vi"`
	En    string `json:"en"`
}

// TakeJSON writes down what the script sends: at once, or when there is a
// network again.
func (p *Pages) TakeJSON(w http.ResponseWriter, r *http.Request, v *page.View) error {
	status, say := p.takeJSON(w, r, v)
	b, err := json.Marshal(say)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b)
	return nil
}

func (p *Pages) takeJSON(w http.ResponseWriter, r *http.Request, v *page.View) (int, reply) {
	arrived := p.o.Frame.Now()
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, reply{Problem: "message"}
	}
	var m message
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return http.StatusRequestEntityTooLarge, reply{Problem: "message"}
		}
		return http.StatusBadRequest, reply{Problem: "message"}
	}
	said, sent := time.UnixMilli(m.Said), time.UnixMilli(m.Sent)
	if (m.Said == 0) != (m.Sent == 0) || m.Said < 0 || m.Sent < 0 || m.Said > maxTime || m.Sent > maxTime {
		return http.StatusBadRequest, reply{Problem: "message"}
	}
	at, err := p.find(r.Context(), r.PathValue("code"))
	if errors.Is(err, errCode) {
		return http.StatusNotFound, reply{Problem: "code"}
	}
	if err != nil {
		return p.fault(r, err)
	}
	if gone := at.Place.Deleted; !gone.IsZero() && !arrived.Add(-max(0, sent.Sub(said))).Before(gone) {
		return http.StatusGone, reply{Problem: "gone"}
	}
	f := page.NewForm(url.Values{
		fieldPhone: {m.Phone}, fieldName: {m.Name}, fieldOthers: {strconv.Itoa(m.Others)}, fieldNames: {strings.Join(m.Names, "\n")}, fieldDirection: {m.Direction},
	})
	if m.Account {
		// Which it is stands in a header: an earlier release knows no such field, and would
		// refuse the visit for good.
		f.Values.Set(fieldAccount, cmp.Or(r.Header.Get(accountHeader), "1"))
	}
	visit, err := p.read(r.Context(), v, at, f)
	if err != nil {
		return p.fault(r, err)
	}
	if !f.OK() {
		return http.StatusUnprocessableEntity, fields(f)
	}
	visit.Key, visit.Arrived = keyOf(m.Key), arrived
	if m.Said != 0 {
		visit.Said, visit.Sent = said, sent
	}
	receipt, err := p.record(r.Context(), v, visit)
	var busy *refused
	switch {
	case err == nil:
		return http.StatusOK, reply{
			Page: p.donePath(at, visit, receipt), Place: at.Place.Name, At: receipt.Happened.UnixMilli(), People: receipt.People, Again: receipt.Again,
		}
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", strconv.Itoa(busy.seconds()))
		return busy.status, reply{Problem: "busy"}
	case errors.Is(err, ingest.ErrTooLate):
		return http.StatusUnprocessableEntity, reply{Problem: "late"}
	case errors.Is(err, qrgate.ErrConflict):
		return http.StatusConflict, reply{Problem: "conflict"}
	case errors.Is(err, qrgate.ErrInvalid):
		return http.StatusUnprocessableEntity, reply{Problem: "message"}
	}
	return p.fault(r, err)
}

// maxTime is the end of the year 9999 in Unix milliseconds.
const maxTime = 253_402_300_799_999

func fields(f *page.Form) reply {
	say := reply{Problem: "fields"}
	for _, w := range f.Wrong {
		vi, en := inBoth(w)
		say.Wrong = append(say.Wrong, wrong{w.Field, vi, en})
	}
	return say
}

// fault answers for what is not the sender's doing: the phone tries again.
func (p *Pages) fault(r *http.Request, err error) (int, reply) {
	if r.Context().Err() == nil {
		p.o.Log.Error("check-in by phone not taken", "err", err)
	}
	return http.StatusInternalServerError, reply{Problem: "unknown"}
}
