// Package room knows who is inside, as one door counts them: how many, by which limit,
// and which event passes have come in.
//
//	r, err := room.Open(path, key)
//	reason, in := r.Enter(room.Scan{...})   // may this one come in?
//	err = in.Done()                          // the check-in is on disk: count it
//
// Limits are kept by rights that the server gives (package quota), so a door that is
// cut off never lets in more than its share, and asks nobody. A place that must not
// turn people away counts them all the same.
//
// The promise: what Done has counted survives a power cut, so that a pass which came
// in does not come in again by this door. A pass that was copied comes in at most once
// by each door that is cut off; the server sees it afterwards.
//
// It holds the events of the place as the server signed them, with numbers of passes
// and no guest. Verifying a pass's signature is the door's own matter.
package room

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// again is how long a pass that came in by this door, of an event that lets people
// come in again, does not: by another door nobody leaves and returns that soon.
const again = 10 * time.Minute

// keptAfter is how long after its end an event is kept: its guests go out.
const keptAfter = 12 * time.Hour

// A Room is the state of one door, in one file. It is safe for concurrent use.
type Room struct {
	// Damaged says why an old file was set aside, and is nil as a rule.
	Damaged error

	disk
	key ed25519.PrivateKey

	mu     sync.Mutex
	tally  map[wire.Scope]*quota.Tally
	grants map[wire.Scope]grant
	events map[uint32]*wire.Event
	early  map[uint32]int64 // events begun before their hour, and when, in Unix milliseconds
	passes map[passKey]visit
	told   bool      // all of it was told and answered since it last changed
	heard  time.Time // when the server last answered
	life   [8]byte   // of the counts in the file
	near   map[string]*neighbour
}

// A grant is what the server last answered for a scope.
type grant struct {
	Period int64       `cbor:"1,keyasint"`
	Grant  quota.Grant `cbor:"2,keyasint"`
	At     int64       `cbor:"3,keyasint"` // Unix milliseconds of the server's
}

type passKey struct{ event, number uint32 }

// A visit is what is known of a pass that has been here.
type visit struct {
	Issue  uint8 `cbor:"1,keyasint"`
	Inside bool  `cbor:"2,keyasint,omitempty"`
	At     int64 `cbor:"3,keyasint"` // Unix milliseconds as the door believed
}

var (
	talliesBucket = []byte("tallies")
	grantsBucket  = []byte("grants")
	eventsBucket  = []byte("events")
	passesBucket  = []byte("passes")
	metaBucket    = []byte("meta")

	lifeKey = []byte("life")
)

// noRoom reports whether an error is of a disk that takes nothing now: the file is as it was.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}

// Open opens the file at path, or makes it. Events in it are signed with the kiosk's
// own key: what came was verified with a key of the server's that may not be listed any
// more. A file that does not open is set aside: the door then counts from nobody, and
// waits for events and rights from the server. So is one that later turns out to have a
// page that cannot be read, by the next Open; until then the door counts without a file.
func Open(path string, key ed25519.PrivateKey) (*Room, error) {
	r, err := open(path, key)
	if err == nil || errors.Is(err, fs.ErrPermission) || errors.Is(err, bolterrors.ErrTimeout) || noRoom(err) {
		return r, err
	}
	damaged := err
	if err := os.Rename(path, path+".damaged"); err != nil {
		return nil, fmt.Errorf("room: set aside: %w", errors.Join(err, damaged))
	}
	if r, err = open(path, key); err == nil {
		r.Damaged = damaged
	}
	return r, err
}

func open(path string, key ed25519.PrivateKey) (*Room, error) {
	d, err := openDisk(path)
	if err != nil {
		return nil, fmt.Errorf("room: %w", err)
	}
	r := &Room{disk: d, key: key, tally: map[wire.Scope]*quota.Tally{}, grants: map[wire.Scope]grant{}, events: map[uint32]*wire.Event{}, early: map[uint32]int64{}, passes: map[passKey]visit{}, near: map[string]*neighbour{}}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("room: %s: %w", path, errors.Join(err, r.Close()))
	}
	return r, nil
}

// begin makes what is missing in the file, and writes nothing where nothing is: a full disk
// is no reason to lose what it holds.
func (r *Room) begin() error {
	buckets := [][]byte{talliesBucket, grantsBucket, eventsBucket, passesBucket, metaBucket}
	whole := true
	err := r.view(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			whole = whole && tx.Bucket(b) != nil
		}
		whole = whole && copy(r.life[:], tx.Bucket(metaBucket).Get(lifeKey)) == len(r.life)
		return nil
	})
	if err != nil || whole {
		return err
	}
	return r.update(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		rand.Read(r.life[:])
		return tx.Bucket(metaBucket).Put(lifeKey, r.life[:])
	})
}

func (r *Room) load() error {
	if err := r.begin(); err != nil {
		return err
	}
	err := r.view(func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket(talliesBucket).ForEach(func(k, v []byte) error {
				s, err := readScope(k)
				t := new(quota.Tally)
				r.tally[s] = t
				return errors.Join(err, wire.Decode(v, t))
			}),
			tx.Bucket(grantsBucket).ForEach(func(k, v []byte) error {
				s, err := readScope(k)
				var g grant
				err = errors.Join(err, wire.Decode(v, &g))
				r.grants[s] = g
				return err
			}),
			tx.Bucket(eventsBucket).ForEach(func(_, v []byte) error {
				e, err := wire.OpenEvent(v, func(uint32) ed25519.PublicKey { return r.key.Public().(ed25519.PublicKey) })
				if err != nil {
					return err
				}
				r.events[e.No] = e
				return nil
			}),
			tx.Bucket(passesBucket).ForEach(func(k, v []byte) error {
				if len(k) != 8 {
					return fmt.Errorf("pass of %d bytes", len(k))
				}
				var was visit
				err := wire.Decode(v, &was)
				r.passes[passKey{binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:])}] = was
				return err
			}))
	})
	for no, e := range r.events {
		r.of(wire.Scope{Event: no})
		for _, c := range e.Categories {
			r.of(wire.Scope{Event: no, Category: c.No})
		}
	}
	return err
}

func scopeKey(s wire.Scope) []byte {
	return append(binary.BigEndian.AppendUint32(nil, s.Event), s.Category)
}

func readScope(k []byte) (wire.Scope, error) {
	if len(k) != 5 {
		return wire.Scope{}, fmt.Errorf("scope of %d bytes", len(k))
	}
	return wire.Scope{Event: binary.BigEndian.Uint32(k), Category: k[4]}, nil
}

func (k passKey) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, k.event), k.number)
}

// save writes what has changed.
func (r *Room) save(scopes []wire.Scope, passes ...passKey) error {
	return r.update(func(tx *bbolt.Tx) error {
		for _, s := range scopes {
			if err := tx.Bucket(talliesBucket).Put(scopeKey(s), wire.Encode(r.tally[s])); err != nil {
				return err
			}
		}
		for _, k := range passes {
			if err := tx.Bucket(passesBucket).Put(k.bytes(), wire.Encode(r.passes[k])); err != nil {
				return err
			}
		}
		return nil
	})
}

// A Scan is a pass that was found genuine, at this door.
type Scan struct {
	Kind  pass.Kind
	Card  pass.OwnCard // of an own kind
	Gate  string
	Lane  uint8
	Dir   wire.Direction
	Now   time.Time // or a time that is certainly past
	Sure  bool      // Now is the time
	Force bool      // the place must not turn anybody away because it is full
}

// An Entry is somebody who may come in or go out. Exactly one of its methods is called.
type Entry struct {
	r      *Room
	scopes []wire.Scope
	out    bool
	force  bool
	pass   passKey
	visit  visit
}

// Enter judges a scan: with a reason why not, or with an entry, during which the room
// is locked.
func (r *Room) Enter(s Scan) (wire.Reason, *Entry) {
	r.mu.Lock()
	reason, e := r.enter(s)
	if e == nil {
		r.mu.Unlock()
	}
	return reason, e
}

func (r *Room) enter(s Scan) (wire.Reason, *Entry) {
	e := &Entry{r: r, out: s.Dir == wire.Out, force: s.Force, scopes: []wire.Scope{{}}}
	r.roll(wire.Scope{}, dayOf(s.Now))
	if s.Kind == pass.Event {
		if reason := r.guest(s, e); reason != wire.NoReason {
			return reason, nil
		}
	} else if reason := r.walkIn(s, e); reason != wire.NoReason {
		return reason, nil
	}
	if e.out || s.Force {
		return wire.NoReason, e
	}
	for _, scope := range e.scopes {
		if r.limited(scope) && r.of(scope).Left() <= 0 {
			return wire.ReasonFull, nil
		}
	}
	return wire.NoReason, e
}

// guest judges an event pass.
func (r *Room) guest(s Scan, e *Entry) wire.Reason {
	event := r.events[s.Card.Event]
	if event == nil || event.Cancelled {
		return wire.ReasonEvent
	}
	i, listed := slices.BinarySearchFunc(event.Passes, s.Card.Number, func(p wire.EventPass, no uint32) int {
		return int(int64(p.Number) - int64(no))
	})
	category := uint8(0)
	switch {
	case listed && s.Card.Issue < event.Passes[i].Issue:
		return wire.ReasonRevoked
	case listed:
		category = event.Passes[i].Category
	case i < len(event.Passes):
		return wire.ReasonRevoked // a later guest is listed, so this one was
	}
	// Whoever is not listed after the last one was invited since; the signature says
	// so. Their category is not known here, and no limit of one holds.
	e.pass = passKey{event.No, s.Card.Number}
	was := r.passes[e.pass]
	e.visit = visit{Issue: s.Card.Issue, Inside: !e.out, At: s.Now.UnixMilli()}
	e.scopes = append(e.scopes, wire.Scope{Event: event.No})
	if category != 0 {
		e.scopes = append(e.scopes, wire.Scope{Event: event.No, Category: category})
	}
	if e.out {
		return wire.NoReason // nobody is kept in
	}
	now := s.Now.UnixMilli()
	switch {
	case s.Sure && now < r.begins(event):
		return wire.ReasonNotYet
	case now >= event.To:
		return wire.ReasonExpired
	case !opens(event, category, s.Gate), s.Card.Lane != 0 && s.Card.Lane != s.Lane:
		return wire.ReasonEvent
	case was.At == 0:
	case !event.Reentry, was.Inside && time.Duration(now-was.At)*time.Millisecond < again:
		return wire.ReasonUsed
	}
	return wire.NoReason
}

// opens reports whether guests of a category come in by a gate.
func opens(e *wire.Event, category uint8, gate string) bool {
	for _, c := range e.Categories {
		if c.No == category {
			return len(c.Gates) == 0 || slices.Contains(c.Gates, gate)
		}
	}
	return true
}

// walkIn judges whoever has no event pass, during an event at this gate.
func (r *Room) walkIn(s Scan, e *Entry) wire.Reason {
	closed := false
	for _, event := range r.events {
		now := s.Now.UnixMilli()
		if event.Cancelled || !s.Sure || now < r.begins(event) || now >= event.To || !uses(event, s.Gate) {
			continue
		}
		if event.Open {
			e.scopes = append(e.scopes, wire.Scope{Event: event.No})
			return wire.NoReason
		}
		closed = true
	}
	if closed && !e.out && s.Kind != pass.Staff {
		return wire.ReasonEvent
	}
	return wire.NoReason
}

// Begin has an event begin at a time before its hour, until the program ends. It is false
// of an event that is not held.
func (r *Room) Begin(event uint32, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.early[event] = at.UnixMilli()
	return r.events[event] != nil
}

// begins returns when an event's doors open.
func (r *Room) begins(e *wire.Event) int64 {
	if at, ok := r.early[e.No]; ok {
		return min(at, e.From)
	}
	return e.From
}

// uses reports whether an event's guests come in by a gate.
func uses(e *wire.Event, gate string) bool {
	return slices.ContainsFunc(e.Categories, func(c wire.EventCategory) bool { return len(c.Gates) == 0 || slices.Contains(c.Gates, gate) })
}

// limited reports whether there is a limit on a scope.
func (r *Room) limited(s wire.Scope) bool {
	if s.Event == 0 {
		return r.grants[s].Grant.Limit > 0
	}
	e := r.events[s.Event]
	if e == nil || s.Category == 0 {
		return e != nil && e.Capacity > 0
	}
	i := slices.IndexFunc(e.Categories, func(c wire.EventCategory) bool { return c.No == s.Category })
	return i >= 0 && e.Categories[i].Quota > 0
}

func (r *Room) of(s wire.Scope) *quota.Tally {
	t := r.tally[s]
	if t == nil {
		t = new(quota.Tally)
		r.tally[s] = t
	}
	return t
}

func (r *Room) roll(s wire.Scope, period int64) {
	t := r.of(s)
	*t = t.Roll(period)
}

// dayOf is a place's period: a day in Vietnam.
func dayOf(t time.Time) int64 { return (t.Unix() + 7*60*60) / (24 * 60 * 60) }

// Drop ends an entry of somebody who did not come in after all.
func (e *Entry) Drop() { e.r.mu.Unlock() }

// Done counts the entry. Once it returns nil that is on disk; it is counted all the
// same if it returns an error.
func (e *Entry) Done() error {
	defer e.r.mu.Unlock()
	for _, s := range e.scopes {
		t := e.r.of(s)
		switch {
		case e.out:
			t.Leave()
		case e.force || !t.Enter():
			t.Force()
		}
	}
	e.r.told = false
	var passes []passKey
	if e.pass != (passKey{}) {
		e.r.passes[e.pass], passes = e.visit, []passKey{e.pass}
	}
	if err := e.r.save(e.scopes, passes...); err != nil {
		return fmt.Errorf("room: %w", err)
	}
	return nil
}

// Correct counts n more people in, or with n below zero out, as a guard has seen them.
func (r *Room) Correct(n int, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := wire.Scope{}
	r.roll(place, dayOf(now))
	for range max(n, -n) {
		if n > 0 {
			r.of(place).Force()
		} else {
			r.of(place).Leave()
		}
	}
	r.told = false
	if err := r.save([]wire.Scope{place}); err != nil {
		return fmt.Errorf("room: correct: %w", err)
	}
	return nil
}

// heardFor is how long after an answer the server counts as connected: three beats.
const heardFor = 95 * time.Second

// Connected reports whether the server has answered lately.
func (r *Room) Connected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.heard.IsZero() && time.Since(r.heard) < heardFor
}

// A Crowd is how full the place is, as one door knows it.
type Crowd struct {
	Least, Most, Limit int64
	Near               bool // from here on the place is nearly full
	Full               bool // this door has no right left to let somebody in
}

// Crowd returns how full the place is, and false where that is not known. near is of how
// many of a hundred of the limit on it is nearly full.
func (r *Room) Crowd(now time.Time, connected bool, near uint8) (c Crowd, known bool) {
	if near == 0 {
		near = wire.DefaultNear
	}
	if c.Least, c.Most, c.Limit, known = r.Inside(now, connected); !known || c.Limit == 0 {
		return c, known
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Full = c.Least >= c.Limit || r.of(wire.Scope{}).Roll(dayOf(now)).Left() <= 0
	c.Near = !c.Full && c.Most*100 >= c.Limit*int64(near)
	return c, true
}

// Inside returns how many people may be inside the place, at least and at most, and
// its limit, which is 0 if there is none. Connected says that the server is heard of
// all the time. While all neighbours are heard it is known from them, to the second; if
// not, it is false where the server never told anything of the other doors.
func (r *Room) Inside(now time.Time, connected bool) (least, most, limit int64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, known := r.grants[wire.Scope{}]
	day := dayOf(now)
	t := r.of(wire.Scope{}).Roll(day)
	if others, all := r.together(day); all {
		in := max(0, t.Inside()+others)
		return in, in, g.Grant.Limit, true
	}
	if known && g.Period != day {
		g.Grant.Inside, g.Grant.More = 0, 0
		connected = connected && g.Grant.Limit == 0
	}
	if known && g.Grant.Limit == 0 && (!connected || g.Grant.Cut) {
		return 0, 0, 0, false // nothing bounds what the others let in
	}
	least, most = g.Grant.Bounds(t.Count, connected)
	return least, most, g.Grant.Limit, known
}
