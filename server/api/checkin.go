package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A request is what POST /checkins takes.
type request struct {
	PlaceCode   string     `json:"place_code,omitempty"`
	PlaceNumber uint32     `json:"place_number,omitempty"`
	Direction   string     `json:"direction"`
	Time        *time.Time `json:"time,omitempty"`
	Identity    string     `json:"identity,omitempty"`
	Subject     subject    `json:"subject"`
	Companions  []string   `json:"companions,omitempty"`
	Unnamed     int        `json:"unnamed_companions,omitempty"`
}

type subject struct {
	ExternalID string `json:"external_id,omitempty"`
	Name       string `json:"name"`
	Phone      string `json:"phone,omitempty"`
}

// String hides the subject, so that no log line can carry a person.
func (subject) String() string { return "subject(hidden)" }

// GoString hides the subject from %#v.
func (subject) GoString() string { return "subject(hidden)" }

// A recorded check-in is what is answered: nothing of whom it is of.
type recorded struct {
	Place     place     `json:"place"`
	Direction string    `json:"direction"`
	People    int       `json:"people"`
	Happened  time.Time `json:"happened"`
	Earliest  time.Time `json:"earliest"`
	Latest    time.Time `json:"latest"`
	Received  time.Time `json:"received"`
}

const (
	maxName       = 100
	maxExternal   = 100 // bytes
	maxCompanions = 49
	// tolerance is how far ahead another system's clock may be.
	tolerance = 2 * time.Minute
)

var (
	keyText    = regexp.MustCompile(`^[\x21-\x7e]{16,128}$`)
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	identities = map[string]qrgate.Level{"": qrgate.Checked, "checked": qrgate.Checked, "contacted": qrgate.Contacted, "stated": qrgate.Stated}
)

func (h *handler) checkin(w http.ResponseWriter, r *http.Request, t *register.Token) error {
	now := h.o.Now()
	key := r.Header.Get("Idempotency-Key")
	if !keyText.MatchString(key) {
		return malformed.say("The header Idempotency-Key is missing, or has not 16 to 128 visible ASCII characters.")
	}
	q, err := read(r)
	if err != nil {
		return err
	}
	if faults := q.check(now); faults != nil {
		return problem{Type: "invalid", Title: "Something in the request is wrong", Status: http.StatusUnprocessableEntity, Errors: faults}
	}
	happened := now
	if q.Time != nil {
		happened = *q.Time
	}
	at, version, err := h.at(r.Context(), q.PlaceCode, q.PlaceNumber)
	if err != nil {
		return err
	}
	if !at.Deleted.IsZero() && !happened.Before(at.Deleted) {
		return closed
	}
	v := q.visit(t, at, version)
	sum := sha256.Sum256([]byte(key))
	v.Key, v.Client, v.Arrived = [16]byte(sum[:16]), clientOf(t), now
	if q.Time != nil {
		v.Said, v.Sent = happened, now
	}
	same, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("api: check-in: %w", err)
	}
	v.Body = v.Digest(same)
	ctx, cancel := context.WithTimeout(r.Context(), visitTimeout)
	defer cancel()
	receipt, err := h.o.Desk.Visit(ctx, v)
	switch {
	case errors.Is(err, ingest.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return busy
	case errors.Is(err, ingest.ErrTooLate):
		return problem{Type: "too-late", Title: "The check-in is longer ago than check-ins are kept", Status: http.StatusUnprocessableEntity}
	case errors.Is(err, qrgate.ErrConflict):
		return problem{Type: "conflict", Title: "The key was used for another check-in", Status: http.StatusConflict, Detail: "Under one Idempotency-Key the body must be the same."}
	case errors.Is(err, qrgate.ErrInvalid):
		return problem{Type: "invalid", Title: "Something in the request is wrong", Status: http.StatusUnprocessableEntity}
	case err != nil:
		return err
	}
	status := http.StatusCreated
	if receipt.Again {
		status = http.StatusOK
	}
	write(w, "application/json", status, recorded{
		Place: placeOf(at, version), Direction: q.Direction, People: receipt.People,
		Happened: local(receipt.Happened), Earliest: local(receipt.Earliest), Latest: local(receipt.Latest), Received: local(receipt.Received),
	})
	return nil
}

func local(t time.Time) time.Time { return t.In(qrgate.Zone) }

// clientOf returns what the keys and the users of a token's system belong to. It
// is the system's name and not the token, which is replaced now and then.
func clientOf(t *register.Token) string {
	return "api:" + area.Fold(t.System)
}

// read reads a request's body, strictly.
func read(r *http.Request) (*request, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, problem{Type: "media-type", Title: "The body must be application/json", Status: http.StatusUnsupportedMediaType}
	}
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, err
	case err != nil:
		return nil, malformed.say("The body did not arrive whole.")
	case !utf8.Valid(body):
		return nil, malformed.say("The body is not UTF-8.")
	}
	var q request
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return nil, malformed.say(jsonFault(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed.say("More follows the one object.")
	}
	return &q, nil
}

// jsonFault says what is wrong with JSON without repeating any of it, for it may
// hold a person.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return "The field " + kind.Field + " is of another type."
	case errors.As(err, &syntax):
		return fmt.Sprintf("The JSON breaks at byte %d.", syntax.Offset)
	}
	return "The body is not the object that openapi.json describes."
}

// check returns what is wrong with a request, each field with what it should be.
func (q *request) check(now time.Time) (all []fault) {
	wrong := func(field, detail string) { all = append(all, fault{field, detail}) }
	if (q.PlaceCode == "") == (q.PlaceNumber == 0) {
		wrong("place_code", "Give either place_code or place_number.")
	}
	if q.Direction != "in" && q.Direction != "out" {
		wrong("direction", "Give in or out.")
	}
	if q.Time != nil && (q.Time.After(now.Add(tolerance)) || q.Time.Year() < 2000) {
		wrong("time", "It is in the future, or no time at which this happened.")
	}
	if _, ok := identities[q.Identity]; !ok {
		wrong("identity", "Give checked, contacted or stated.")
	}
	if !named(q.Subject.Name) {
		wrong("subject.name", "Give 1 to 100 characters on one line.")
	}
	if q.Subject.ExternalID == "" && q.Subject.Phone == "" {
		wrong("subject.external_id", "Give external_id, phone or both.")
	}
	if len(q.Subject.ExternalID) > maxExternal || strings.ContainsFunc(q.Subject.ExternalID, unicode.IsControl) {
		wrong("subject.external_id", "At most 100 bytes, on one line.")
	}
	if q.Subject.Phone != "" && !e164.MatchString(q.Subject.Phone) {
		wrong("subject.phone", "Give it as +84905123456.")
	}
	if q.Unnamed < 0 || q.Unnamed+len(q.Companions) > maxCompanions {
		wrong("unnamed_companions", "At most 49 companions, named or not.")
	}
	seen := map[string]bool{nameKey(q.Subject.Name): true}
	for i, name := range q.Companions {
		if i > maxCompanions {
			break
		}
		if !named(name) || seen[nameKey(name)] {
			wrong(fmt.Sprintf("companions[%d]", i), "Give 1 to 100 characters on one line, and no name twice.")
		}
		seen[nameKey(name)] = true
	}
	return all
}

func named(s string) bool {
	return strings.TrimSpace(s) != "" && utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, unicode.IsControl)
}

func nameKey(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// visit returns the visit that a checked request is.
func (q *request) visit(t *register.Token, at *qrgate.Place, version uint8) ingest.Visit {
	v := ingest.Visit{
		Place: store.Where{No: at.No, Name: at.Name}, Gate: "api", Poster: version, Direction: wire.In, Unnamed: q.Unnamed,
	}
	if q.Direction == "out" {
		v.Direction = wire.Out
	}
	first := ingest.Visitor{Kind: pass.Phone, Number: q.Subject.Phone, Name: q.Subject.Name, Level: identities[q.Identity]}
	if q.Subject.ExternalID != "" {
		first.Kind, first.Phone = pass.Account, q.Subject.Phone
		first.Number = clientOf(t) + "/" + q.Subject.ExternalID
	}
	v.People = []ingest.Visitor{first}
	for _, name := range q.Companions {
		v.People = append(v.People, ingest.Visitor{Kind: first.Kind, Name: name})
	}
	return v
}

// at returns the place of a poster's code, or of a number.
func (h *handler) at(ctx context.Context, code string, no uint32) (at *qrgate.Place, version uint8, err error) {
	if code != "" {
		if no, version, err = pass.ParsePosterCode(code); err != nil {
			return nil, 0, noPlace.say("The code is not one of a poster.")
		}
	}
	at, err = h.o.Register.Place(ctx, no)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil, 0, noPlace
	}
	return at, version, err
}
