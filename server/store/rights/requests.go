package rights

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Kind is what somebody asks for.
type Kind string

// The kinds of request.
const (
	Access      Kind = "access"      // to be told what is held, and who looked
	Correction  Kind = "correction"  // of what is wrong
	Erasure     Kind = "erasure"     // of everything
	Restriction Kind = "restriction" // that it is used no further for now
	Objection   Kind = "objection"   // that it is used at all
)

// Kinds returns every kind, in the order in which people are shown them.
func Kinds() []Kind { return []Kind{Access, Correction, Erasure, Restriction, Objection} }

// A State is how far a request has come.
type State string

// The states.
const (
	Open     State = "open"
	Answered State = "answered" // the person knows that it was taken, and by when it is done
	Done     State = "done"
	Refused  State = "refused"
)

// A Reason is why a request was refused.
type Reason string

// The reasons.
const (
	Unidentified Reason = "unidentified" // nobody could tell that it is their data
	NotHeld      Reason = "not_held"     // nothing is held of them
	InCase       Reason = "in_case"      // an open case of a disease needs it, as the law allows
	ByLaw        Reason = "by_law"       // another law demands that it is kept
)

// Reasons returns every reason.
func Reasons() []Reason { return []Reason{Unidentified, NotHeld, InCase, ByLaw} }

// A Request is what somebody asked for, and what became of it.
type Request struct {
	ID       string
	Kind     Kind
	State    State
	Office   qrgate.Scope // of the clerk who took it
	Received time.Time
	AnswerBy time.Time
	FulfilBy time.Time
	Answered time.Time
	Done     time.Time
	Reason   Reason
	Clerk    string // account that took it
	Officer  string // account that did the last
	Version  int
	Asker    *Asker // nil once it is of no more use
}

// An Asker is who asks and about whom. It is sealed in the database.
type Asker struct {
	Name     string        `json:"name"`
	Contact  string        `json:"contact"`
	Relation string        `json:"relation"`         // self, guardian, authorised
	Checked  string        `json:"checked"`          // the paper that the clerk saw
	Text     string        `json:"text,omitempty"`   // in their own words
	Of       string        `json:"of,omitempty"`     // name of whose data it is, if that is not who asks
	Person   qrgate.Person `json:"person,omitempty"` // 0 if nothing is held of them
	// Also are others who were found to be the same human, by telephone and name;
	// Others is how many were found by the telephone and are not meant.
	Also   []qrgate.Person `json:"also,omitempty"`
	Others int             `json:"others,omitempty"`
}

// Persons returns who was found to be whose data it is, or nobody.
func (a *Asker) Persons() []qrgate.Person {
	if a == nil || a.Person == 0 {
		return nil
	}
	return append([]qrgate.Person{a.Person}, a.Also...)
}

// Open reports whether something is still to be done.
func (q *Request) Open() bool { return q.State == Open || q.State == Answered }

// Due returns the next deadline, or the zero time when all is done.
func (q *Request) Due() time.Time {
	switch q.State {
	case Open:
		return q.AnswerBy
	case Answered:
		return q.FulfilBy
	}
	return time.Time{}
}

// Late reports whether a deadline has passed.
func (q *Request) Late(now time.Time) bool {
	due := q.Due()
	return !due.IsZero() && now.After(due)
}

// Requests are the requests of people. They are safe for concurrent use.
type Requests struct {
	r    *Rights
	aead cipher.AEAD
}

// Requests returns the requests, whose askers are sealed under a key of 32 bytes.
func (r *Rights) Requests(key []byte) (*Requests, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("rights: requests: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("rights: requests: %w", err)
	}
	return &Requests{r, aead}, nil
}

func requestObject(id string) string { return "request " + id }

// Add writes down a request that a clerk took, and sets its ID, State, times and
// Version.
func (q *Requests) Add(ctx context.Context, by string, n *Request) error {
	if !slices.Contains(Kinds(), n.Kind) || n.Asker == nil {
		return fmt.Errorf("rights: add request: %w", qrgate.ErrInvalid)
	}
	plain, err := json.Marshal(n.Asker)
	if err != nil {
		return wrap("add request", err)
	}
	n.ID, n.State, n.Clerk, n.Version = store.NewID(), Open, by, 1
	n.Received = q.r.now().Truncate(time.Millisecond)
	n.AnswerBy, n.FulfilBy = Deadlines(n.Received)
	sealed := q.aead.Seal(nil, nil, plain, []byte(requestObject(n.ID)))
	err = q.r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec(`INSERT INTO rights_requests (id, kind, state, office, received, answer_by, fulfil_by, reason, clerk, officer, sealed, version)
			VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, '', ?, 1)`, n.ID, string(n.Kind), string(n.State), n.Office.String(), n.Received.UnixMilli(),
			n.AnswerBy.UnixMilli(), n.FulfilBy.UnixMilli(), by, sealed)
		if err != nil {
			return err
		}
		return t.Audit(by, "add request", requestObject(n.ID), string(n.Kind))
	})
	return wrap("add request", err)
}

const requestColumns = "id, kind, state, office, received, answer_by, fulfil_by, answered, done, reason, clerk, officer, version, sealed"

func (q *Requests) scan(rows *sql.Rows) (*Request, error) {
	var n Request
	var office string
	var sealed []byte
	err := rows.Scan(&n.ID, &n.Kind, &n.State, &office, (*store.Milli)(&n.Received), (*store.Milli)(&n.AnswerBy), (*store.Milli)(&n.FulfilBy),
		(*store.Milli)(&n.Answered), (*store.Milli)(&n.Done), &n.Reason, &n.Clerk, &n.Officer, &n.Version, &sealed)
	if err != nil {
		return nil, err
	}
	if n.Office, err = qrgate.ParseScope(office); err != nil || sealed == nil {
		return &n, err
	}
	plain, err := q.aead.Open(nil, nil, sealed, []byte(requestObject(n.ID)))
	if err != nil {
		return nil, fmt.Errorf("request %s does not open: %w", n.ID, err)
	}
	return &n, json.Unmarshal(plain, &n.Asker)
}

// Request returns a request, or qrgate.ErrNotFound.
func (q *Requests) Request(ctx context.Context, id string) (n *Request, err error) {
	err = q.r.s.Read(ctx, func(rows *sql.Rows) (err error) { n, err = q.scan(rows); return err },
		"SELECT "+requestColumns+" FROM rights_requests WHERE id = ?", id)
	if err == nil && n == nil {
		err = qrgate.ErrNotFound
	}
	return n, wrap("request", err)
}

// List returns one page, from 0, of the requests that offices took, or of all if
// offices is nil: those that are open first, by what is due next. all is how many
// there are.
func (q *Requests) List(ctx context.Context, offices []qrgate.Scope, page, size int) (list []*Request, all int, err error) {
	where, args := "1 = 1", []any{}
	if offices != nil {
		where = "office IN (''" + strings.Repeat(", ?", len(offices)) + ")"
		for _, o := range offices {
			args = append(args, o.String())
		}
	}
	err = q.r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&all) }, "SELECT COUNT(*) FROM rights_requests WHERE "+where, args...)
	if err == nil {
		err = q.r.s.Read(ctx, func(rows *sql.Rows) error {
			n, err := q.scan(rows)
			list = append(list, n)
			return err
		}, "SELECT "+requestColumns+" FROM rights_requests WHERE "+where+` ORDER BY CASE WHEN done IS NULL THEN 0 ELSE 1 END,
			CASE WHEN done IS NOT NULL THEN -done WHEN answered IS NULL THEN answer_by ELSE fulfil_by END, received, id LIMIT ? OFFSET ?`, append(args, size, page*size)...)
	}
	return list, all, wrap("requests", err)
}

// Count returns how many requests are open, and for how many of them a deadline
// has passed.
func (q *Requests) Count(ctx context.Context) (open, late int, err error) {
	now := q.r.now().UnixMilli()
	err = q.r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&open, &late) }, `SELECT COUNT(*),
		COUNT(CASE WHEN answered IS NULL AND answer_by < ? OR fulfil_by < ? THEN 1 END) FROM rights_requests WHERE done IS NULL`, now, now)
	return open, late, wrap("requests", err)
}

// Answer notes that the person was told. version is the one that the officer has
// seen; of another one the error is qrgate.ErrConflict.
func (q *Requests) Answer(ctx context.Context, by, id string, version int) error {
	return q.change(ctx, by, "answer request", id, "", version, func(store.Tx) error { return nil },
		"state = 'answered', answered = ? WHERE state = 'open'", q.r.now().UnixMilli())
}

// Finish notes that a request was fulfilled, or why it was refused. Of a person
// who was erased nothing is kept in it from then on; the data of one who had it
// restricted, or objected, is not used from then on: see [Restrained].
func (q *Requests) Finish(ctx context.Context, by, id string, version int, refused Reason) error {
	if refused != "" && !slices.Contains(Reasons(), refused) {
		return fmt.Errorf("rights: finish request: %w", qrgate.ErrInvalid)
	}
	action, state := "fulfil request", Done
	if refused != "" {
		action, state = "refuse request", Refused
	}
	n, err := q.Request(ctx, id)
	if err != nil {
		return err
	}
	now := q.r.now().UnixMilli()
	also := func(store.Tx) error { return nil }
	if refused == "" && n.Kind.Restrains() {
		also = func(t store.Tx) error {
			for _, p := range n.Asker.Persons() {
				if err := restrain(t, p, n.Kind, by, id, now); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return q.change(ctx, by, action, id, string(refused), version, also,
		"state = ?, answered = COALESCE(answered, ?), done = ?, reason = ?, sealed = CASE WHEN kind = 'erasure' AND CAST(? AS TEXT) = 'done' THEN NULL ELSE sealed END WHERE state IN ('open', 'answered')",
		string(state), now, now, string(refused), string(state))
}

func (q *Requests) change(ctx context.Context, by, action, id, note string, version int, also func(store.Tx) error, set string, args ...any) error {
	err := q.r.s.Write(ctx, func(t store.Tx) error {
		set, where, _ := strings.Cut(set, " WHERE ")
		n, err := t.Exec("UPDATE rights_requests SET officer = ?, version = version + 1, "+set+" WHERE id = ? AND version = ? AND "+where,
			append(append([]any{by}, args...), id, version)...)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err == nil {
			err = also(t)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, requestObject(id), note)
	})
	return wrap(action, err)
}

// askerFor is how long who asked is kept after it was done: for questions.
const askerFor = 90 * 24 * time.Hour

// ForgetAskers forgets who asked, some time after what they asked for was done.
// That somebody asked, and when it was done, stays.
func (r *Rights) ForgetAskers(ctx context.Context) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE rights_requests SET sealed = NULL WHERE sealed IS NOT NULL AND done < ?", r.now().Add(-askerFor).UnixMilli())
		return err
	})
	return wrap("forget askers", err)
}
