package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Errors of Visit that callers treat differently, beside qrgate.ErrInvalid and
// qrgate.ErrConflict.
var (
	// ErrBusy: more visits are waiting than the server takes on, or it does not know
	// whether this one is too late because its clock is not believed. Nothing was
	// recorded; the same visit may come again in some seconds.
	ErrBusy = errors.New("too many check-ins are waiting")
	// ErrTooLate: the visit is longer ago than check-ins are kept.
	ErrTooLate = errors.New("past the end of its retention")
)

// A Visit is a check-in, or check-out, by phone: of one person, or of several who
// go together.
type Visit struct {
	// Key is random, made by whoever sends the visit. Sent again under the same
	// key it is the same visit. Client says whose keys these are: nothing for the
	// phones of visitors, and of an integrator something that never changes.
	Key    [16]byte
	Client string
	// Body, if it is not empty, must be the same when the key comes again. It
	// tells nothing to whoever does not know the key: see [Visit.Digest].
	Body string

	Place     store.Where // which must have a number
	Gate      string      // default "poster"
	Poster    uint8       // version of the poster
	Direction wire.Direction

	People  []Visitor // the first is who speaks for the others
	Unnamed int       // who goes with them without being named

	// Said is when it happened and Sent when it was sent, both by the sender's
	// clock, which may be wrong: only how far they are apart is believed. Both are
	// zero if the visit happens now.
	Said, Sent time.Time
	Arrived    time.Time     // when it reached the server, by the server's clock; default now
	Trip       time.Duration // how long it may have been on its way; 0 if nobody measured it

	// Paper, if it is not 0, says that the visit was written on paper and typed in
	// later: it happened at Said, by a clock on the wall that is as wrong as this at
	// most, and Sent is not needed.
	Paper time.Duration
}

// A Visitor is somebody who checks in.
type Visitor struct {
	Kind pass.Kind // Phone or Account
	// Number is of a Phone the telephone number as +84..., and of an Account what
	// names it for ever and everywhere. All but the first visitor may have none, or
	// that of somebody before them: they are told apart by name.
	Number string
	Name   string
	Phone  string       // of an Account, as +84...; it may have none
	Level  qrgate.Level // default Stated
}

// String hides the visitor, so that no log line can carry a person.
func (Visitor) String() string { return "visitor(hidden)" }

// GoString hides the visitor from %#v.
func (Visitor) GoString() string { return "visitor(hidden)" }

// A Receipt is the answer to a visit that is on disk.
type Receipt struct {
	Happened         time.Time // as well as it is known
	Earliest, Latest time.Time // it lies between
	Received         time.Time
	People           int
	Again            bool // it was received before, and nothing was changed
}

// Bounds of a visit.
const (
	MaxPeople  = 50 // one visit's people, named or not
	maxName    = 100
	maxNumber  = 200 // bytes, of an account
	maxClient  = 100
	maxBody    = 32
	MaxPaper   = 12 * time.Hour
	posterGate = "poster"
)

// Visit records a visit and returns once it is committed, together with whatever
// else was waiting. Nothing is recorded if the error is qrgate.ErrInvalid,
// qrgate.ErrConflict (the key was used for another visit), ErrBusy or
// ErrTooLate. After any other error, ctx's end among them, nobody knows: the
// same visit under the same key then has one effect, also on another server.
// Visits are taken on from the beginning and answered while Run runs.
func (in *Ingest) Visit(ctx context.Context, v Visit) (Receipt, error) {
	d, err := in.admit(v)
	if err != nil {
		return Receipt{}, fmt.Errorf("ingest: visit: %w", err)
	}
	if !in.opened.offer(d, in.o.Visits) {
		in.nBusy.Add(1)
		return Receipt{}, fmt.Errorf("ingest: visit: %w", ErrBusy)
	}
	select {
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("ingest: visit: %w", ctx.Err())
	case o := <-d.visit.outcome:
		if o.err != nil {
			return Receipt{}, fmt.Errorf("ingest: visit: %w", o.err)
		}
		return o.receipt, nil
	}
}

// A visit is what stands in a delivery for what came by phone: its records have
// neither number nor epoch before they are committed.
type visit struct {
	key     store.VisitKey
	body    string
	where   store.Where
	span    dated
	levels  []qrgate.Level // of the records
	outcome chan outcome   // has room for the one
}

type outcome struct {
	receipt Receipt
	err     error
}

// admit checks a visit and does what can be done without the database.
func (in *Ingest) admit(v Visit) (*delivery, error) {
	now := in.now()
	if v.Gate == "" {
		v.Gate = posterGate
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	span := v.date(now)
	switch {
	case past(span.latest, now, in.o.Retention):
		err := in.tooLate()
		if err == ErrTooLate {
			in.nLate.Add(1)
		}
		return nil, err
	case span.earliest > span.latest: // written on paper before it happened
		return nil, fmt.Errorf("time on paper: %w", qrgate.ErrInvalid)
	}
	header := wire.Header{
		Kind: wire.KindCheckin, Wall: span.said, Clock: when.Chip, Error: span.err, Gate: v.Gate, Lane: v.Poster,
		Direction: v.Direction, Pass: pass.Phone, Verdict: wire.Admitted, Presence: wire.Claimed,
	}
	if v.Paper > 0 {
		header.Presence = wire.Paper
	}
	if !sound(header) {
		return nil, fmt.Errorf("gate or time: %w", qrgate.ErrInvalid)
	}
	d := &delivery{visit: &visit{key: v.key(), body: v.Body, where: v.Place, span: span, outcome: make(chan outcome, 1)}, forgotten: in.known.count()}
	seen := map[identity]bool{}
	for i := range v.People {
		r := record{header: header, named: true}
		var level qrgate.Level
		r.who, r.detail, level = in.visitor(&v, i, seen)
		if seen[r.who] {
			return nil, fmt.Errorf("visitor %d is there twice: %w", i+1, qrgate.ErrInvalid)
		}
		seen[r.who] = true
		r.header.Pass, r.person = r.detail.Kind, in.known.get(r.who)
		d.records, d.visit.levels = append(d.records, r), append(d.visit.levels, level)
	}
	for range v.Unnamed {
		d.records, d.visit.levels = append(d.records, record{header: header}), append(d.visit.levels, qrgate.NoLevel)
	}
	return d, nil
}

// visitor returns what stands for a visitor, and what is kept of them. Somebody
// without a number of their own is found by the number of who speaks for them.
func (in *Ingest) visitor(v *Visit, i int, seen map[identity]bool) (identity, *wire.Subject, qrgate.Level) {
	p := &v.People[i]
	s := &wire.Subject{Kind: p.Kind, Number: p.Number, Name: norm.NFC.String(strings.Join(strings.Fields(p.Name), " ")), Phone: p.Phone}
	if p.Number != "" {
		if who := in.Vault.Identity(p.Kind, p.Number); !seen[who] {
			return who, s, max(p.Level, qrgate.Stated)
		}
	}
	first := &v.People[0]
	s.Kind, s.Number, s.Phone = first.Kind, "", first.Phone
	if first.Kind == pass.Phone {
		s.Phone = first.Number
	}
	return in.Vault.Identity(first.Kind, first.Number+"\x00"+strings.ToLower(s.Name)), s, qrgate.Stated
}

// key returns the visit's key as the database knows it: among everybody's.
func (v *Visit) key() store.VisitKey {
	h := sha256.New()
	fmt.Fprintf(h, "qrgate visit v1\x00%d\x00%s", len(v.Client), v.Client)
	h.Write(v.Key[:])
	return store.VisitKey(h.Sum(nil)[:len(store.VisitKey{})])
}

// Digest returns a Body for what was sent: under the visit's key, of which the
// server keeps no more than a digest, so that the numbers in what was sent cannot
// be found by trying them all.
func (v *Visit) Digest(sent []byte) string {
	m := hmac.New(sha256.New, v.Key[:])
	m.Write(sent)
	return string(m.Sum(nil)[:maxBody/2])
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (v *Visit) check() error {
	bad := func(fact string) error { return fmt.Errorf("%s: %w", fact, qrgate.ErrInvalid) }
	switch {
	case v.Key == [16]byte{}:
		return bad("no key")
	case len(v.Body) > maxBody:
		return bad("body")
	case !isText(v.Client, maxClient):
		return bad("client")
	case v.Place.No == 0 || v.Place.Name == "" || !isText(v.Place.Name, 4*maxNumber):
		return bad("place")
	case v.Direction != wire.In && v.Direction != wire.Out:
		return bad("direction")
	case len(v.People) == 0:
		return bad("nobody")
	case v.Unnamed < 0 || v.Unnamed > MaxPeople || len(v.People)+v.Unnamed > MaxPeople:
		return bad("number of people")
	case v.Paper < 0 || v.Paper > MaxPaper || v.Paper > 0 && (v.Said.IsZero() || !v.Sent.IsZero()):
		return bad("time on paper")
	case v.Paper == 0 && v.Said.IsZero() != v.Sent.IsZero():
		return bad("a time without the clock that it was read from")
	case v.Trip < 0:
		return bad("trip")
	}
	for i := range v.People {
		if fact := v.People[i].wrong(i == 0); fact != "" {
			return bad(fmt.Sprintf("visitor %d: %s", i+1, fact))
		}
	}
	return nil
}

// wrong returns what cannot be used of a visitor, without saying it.
func (p *Visitor) wrong(first bool) string {
	switch {
	case p.Kind != pass.Phone && p.Kind != pass.Account:
		return "kind"
	case strings.TrimSpace(p.Name) == "" || !isText(p.Name, 4*maxName) || utf8.RuneCountInString(p.Name) > maxName:
		return "name"
	case p.Number == "" && first:
		return "no number"
	case p.Number != "" && p.Kind == pass.Phone && !e164.MatchString(p.Number):
		return "telephone number"
	case !isText(p.Number, maxNumber):
		return "number"
	case p.Phone != "" && (p.Kind == pass.Phone || !e164.MatchString(p.Phone)):
		return "telephone number of an account"
	case p.Level > qrgate.Checked:
		return "level"
	}
	return ""
}

func isText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// What is not known of a phone's time.
const (
	// Clocks are read to the second, and pages wait for a finger.
	visitFloor = 2 * time.Second
	// unmeasured is how long a request is on its way, at the most, if nobody says.
	unmeasured = 30 * time.Second
	// A clock that was set between happening and sending says no more than this.
	setBack = 24 * time.Hour
)

// dated is what is known of when a visit happened, in Unix milliseconds.
type dated struct {
	happened, earliest, latest int64
	said, err                  int64 // by the sender's clock, and how wrong that is at most
}

// date returns when the visit happened. That the sender's clock is wrong does not
// matter, if it went well between happening and sending.
func (v *Visit) date(now time.Time) dated {
	arrived := v.Arrived
	if arrived.IsZero() || arrived.After(now) {
		arrived = now
	}
	if v.Paper > 0 {
		return dated{
			happened: v.Said.UnixMilli(), earliest: v.Said.Add(-v.Paper).UnixMilli(), latest: min(v.Said.Add(v.Paper).UnixMilli(), arrived.UnixMilli()),
			said: v.Said.UnixMilli(), err: v.Paper.Milliseconds(),
		}
	}
	trip := v.Trip
	if trip == 0 || trip > unmeasured {
		trip = unmeasured
	}
	said := v.Said
	if said.IsZero() {
		said = arrived
	}
	before, after := trip+visitFloor, visitFloor
	happened := arrived
	if age := v.Sent.Sub(v.Said); age >= 0 {
		happened = arrived.Add(-age)
		drift := age / (1_000_000 / when.Drift)
		before, after = before+drift, after+drift
	} else { // it was sent before it happened
		before += min(-age, setBack)
	}
	d := dated{happened: happened.UnixMilli(), earliest: happened.Add(-before).UnixMilli(), said: said.UnixMilli()}
	d.latest = min(happened.Add(after).UnixMilli(), arrived.UnixMilli())
	off := d.said - d.happened
	d.err = min(max(off, -off)+before.Milliseconds(), maxWall-1)
	return d
}

// past reports whether what happened by then is not kept any more.
func past(latest int64, now time.Time, retention time.Duration) bool {
	return qrgate.DayOfMilli(latest) < qrgate.DayOf(now.Add(-retention))
}
