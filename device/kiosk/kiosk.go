// Package kiosk is the door: it takes a scan, judges it, records the verdict
// and only then shows it.
//
// Its promise is the order. A lamp turns green after the check-in is on disk,
// never before; a person who cannot be recorded is let in on amber or turned
// away on red, as the place has chosen, and is never shown green. Nothing here
// waits for a network: a door decides alone. That somebody came on amber is recorded
// later, without who it was: the paper book has that.
//
//	k, err := kiosk.New(kiosk.Door{...}, log)
//	err = k.Run(ctx)
//
// An error from Run means that the storage is broken: the process must end, so
// that the next start reads the truth from disk. Delivery (package deliver),
// heartbeat (package agent), lamps (package panel), screen and voice (package
// screen) run beside it.
package kiosk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// stillHeld is the longest pause between two reads of a code that never left
// the scanner: cameras lose a moving card for some frames.
const stillHeld = time.Second

// A List is the cards that are void, as far as the door has been told.
type List interface {
	// Void reports whether an issue of a card is void. Every issue is if that of
	// pass.AllIssues is.
	Void(number uint32, issue uint8) bool
	// Checked returns the server's time when it last had no newer list, and false if
	// it never said so.
	Checked() (time.Time, bool)
}

// A Door is all that a kiosk is made of.
type Door struct {
	ID     string // the kiosk's id
	Config wire.KioskConfig
	Keys   func() pass.Keys // that sign own cards, as of now
	List   List             // of void cards; nil has none and never has one
	Room   *room.Room       // who is inside; nil counts nobody and knows no event
	Source scan.Source
	Queue  *outbox.Queue // nil is a disk that fails: nobody is recorded
	Sealer *seal.Sealer
	Panel  panel.Panel
	Faces  []Face // that answer beside the panel
	Clock  *when.Clock

	// Revoked reports whether the server has said that this is no kiosk of its any
	// more. Nil is never.
	Revoked func() bool
	Orders  *order.Table // that command cards go to; nil follows none
	Witness Witness      // hears what was recorded; nil is nobody

	// Amber takes the record, without its number, of whoever was let in on amber, for
	// when there is a ledger that takes it. Nil drops it.
	Amber func(wire.Header)
}

// A Kiosk runs one door.
type Kiosk struct {
	Door
	repeats    *scan.Repeats
	given      answers
	log        *slog.Logger
	unrecorded atomic.Uint64
	touched    chan touch
	walls      atomic.Bool // see TakeCompanions
	blind      atomic.Bool // no scanner can read

	mu     sync.Mutex // one scan or touch at a time
	tries  tries
	phones tries
	last   party
	taken  taken
	faulty bool // Fault stands
	hand   *Answer
	// A code that a guard types is no try at the screen.
	guardTries tries

	alive sync.Mutex
	free  time.Time // when the door was last seen free, see Alive
}

// New returns a kiosk for door, whose configuration must be valid.
func New(door Door, log *slog.Logger) (*Kiosk, error) {
	if err := door.Config.Validate(); err != nil {
		return nil, fmt.Errorf("kiosk: %w", err)
	}
	k := &Kiosk{Door: door, repeats: scan.NewRepeats(door.Config.Repeat), given: newAnswers(), log: log, touched: make(chan touch)}
	k.faulty = k.Queue == nil && k.onFault() != wire.AdmitUnrecorded
	return k, nil
}

// Reconfigure makes config the door's between two scans: it waits until the one that
// is being served has its answer. What was just seen stays seen. An error means that
// nothing has changed.
func (k *Kiosk) Reconfigure(config wire.KioskConfig) error {
	if err := config.Validate(); err != nil {
		return fmt.Errorf("kiosk: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Config = config
	k.repeats.Within(config.Repeat)
	k.last = party{} // companions are of the door as it was
	return nil
}

// Unrecorded returns how many people were let in without a record since start.
func (k *Kiosk) Unrecorded() uint64 { return k.unrecorded.Load() }

// Run serves the door until ctx ends, and then returns nil. It returns an error
// only when the door can no longer record.
func (k *Kiosk) Run(ctx context.Context) error {
	k.begin()
	tasks, either := errgroup.WithContext(ctx)
	tasks.Go(func() error { return k.serveScans(either, ctx) })
	tasks.Go(func() error { return k.serveTouches(either) })
	return tasks.Wait()
}

// serveScans serves scans until ctx ends, which it does with program: a source that ends
// with program, too, may do so a moment before ctx.
func (k *Kiosk) serveScans(ctx, program context.Context) error {
	for {
		s, err := k.Source.Next(ctx)
		if ctx.Err() != nil || program.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("kiosk: next scan: %w", err)
		}
		if k.commanded(s.Text) {
			err = k.order(ctx, s)
		} else if n := k.companions(s); n > 0 {
			err = k.wall(s, n)
		} else {
			err = k.handle(s)
		}
		if err != nil {
			return err
		}
	}
}

// handle serves one scan from text to lamp.
func (k *Kiosk) handle(s scan.Scan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer(s.Text, s.At, func() judgment { return k.judge(s.Text) })
}

// answer serves one showing of text, which judge judges. k.mu is held.
func (k *Kiosk) answer(text string, at time.Time, judge func() judgment) error {
	if ago, seen := k.repeats.Seen(text, at); seen {
		// A card that lies still is answered once; one that comes back is
		// told that it need not, or if it was refused is judged anew.
		switch {
		case ago < stillHeld:
			return nil
		case !k.given.refused(text):
			k.tell(Answer{State: words.Again, At: k.given.clock(text, at)})
			return nil
		}
	}
	k.tell(Answer{State: words.Reading})
	j := judge()
	entry := k.admit(&j)
	seq, err := k.record(j)
	if err != nil {
		if k.onFault() == wire.AdmitUnrecorded {
			k.count(entry) // they are in, and a pass of theirs is used
		} else {
			drop(entry)
		}
		// The same person may try again at once: nothing was recorded.
		k.repeats.Forget(text)
		return k.fault(j, 1, err)
	}
	k.count(entry)
	if k.faulty {
		k.faulty = false
		k.stand() // what the answer goes back to
	}
	k.last = party{}
	if j.verdict == wire.Admitted && (j.subject != nil || j.presence == wire.Claimed) {
		k.taken = taken{seq, k.Queue.Stats().Epoch, text, j.kind, at, k.direction()}
	}
	k.remember(text, at, j)
	a := k.said(j, seq)
	if a.MayBring {
		k.last = party{seq: seq, at: at}
	}
	k.tell(a)
	k.log.Debug("judged", "seq", seq, "verdict", j.verdict, "reason", j.reason, "pass", j.kind, "took", time.Since(at))
	return nil
}

// remember notes what is answered, for whoever shows the same again.
func (k *Kiosk) remember(text string, at time.Time, j judgment) {
	g := given{refused: j.verdict == wire.Refused, at: at}
	if state := k.Clock.Read().State; state == when.Synced || state == when.Holding {
		g.clock = k.Clock.Now()
	}
	k.given.give(text, g)
}

// errNoLedger is why a door without a queue records nobody.
var errNoLedger = errors.New("kiosk: no ledger")

// record seals and stores a judgment, and returns when it is on disk.
func (k *Kiosk) record(j judgment) (uint64, error) {
	if k.Queue == nil {
		return 0, errNoLedger
	}
	var under wire.Epoch
	var h wire.Header
	seq, err := k.Queue.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		under, h = epoch, k.header(j)
		h.Seq, h.With = seq, j.with
		if j.subject == nil {
			return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
		}
		header := wire.Encode(h)
		// The sealer only compares times with each other; the wall clock may jump.
		box, ctx, err := k.Sealer.Seal(time.Now(), wire.AdditionalData(k.ID, epoch, header), wire.Encode(*j.subject))
		if err != nil {
			return wire.Record{}, wire.Context{}, err
		}
		return wire.NewRecord(h, box), ctx, nil
	})
	if err == nil {
		k.witness(under, h, j)
	}
	return seq, err
}

// header returns the clear part of the record of a judgment of now.
func (k *Kiosk) header(j judgment) wire.Header {
	h := wire.Header{
		Kind: wire.KindCheckin, Gate: k.Config.Gate, Lane: k.Config.Lane, Direction: k.direction(),
		Pass: j.kind, Verdict: j.verdict, Reason: j.reason, Presence: j.presence,
	}
	h.At(k.Clock.Read())
	return h
}

// letIn notes people who are let in without a record.
func (k *Kiosk) letIn(j judgment, people int, reason wire.Reason) {
	k.unrecorded.Add(uint64(people))
	if k.Amber == nil {
		return
	}
	j.verdict, j.reason = wire.Unrecorded, reason
	for range people {
		k.Amber(k.header(j))
	}
}

// fault answers people whom the kiosk could not record. It returns an error
// unless the next scan may fare better.
func (k *Kiosk) fault(j judgment, people int, err error) error {
	reason := wire.ReasonDisk
	if errors.Is(err, outbox.ErrFull) {
		reason = wire.ReasonSpace
	}
	switch {
	case j.verdict == wire.Refused:
		k.tell(k.said(j, 0))
	case k.onFault() == wire.AdmitUnrecorded:
		k.letIn(j, people, reason)
		k.tell(Answer{State: words.Amber, Reason: reason})
	default:
		k.faulty = true
		k.tell(Answer{State: words.Fault, Reason: reason})
	}
	switch {
	case errors.Is(err, outbox.ErrFull):
		k.log.Error("not recorded: storage is full", "err", err)
		return nil
	case errors.Is(err, errNoLedger):
		return nil
	}
	return fmt.Errorf("kiosk: record: %w", err)
}

// A judgment is what the door decided about one scan.
type judgment struct {
	kind     pass.Kind
	verdict  wire.Verdict
	reason   wire.Reason
	presence wire.Presence
	subject  *wire.Subject // nil if nobody is identified
	card     pass.OwnCard  // of a genuine own code
	with     uint64        // the check-in whose companion this is; 0 if none
}

func refused(kind pass.Kind, reason wire.Reason) judgment {
	return judgment{kind: kind, verdict: wire.Refused, reason: reason, presence: wire.Verified}
}

// judge applies the rules of the door to a code. Refusals carry no subject: a
// forged or broken code proves nothing about the person that it names.
func (k *Kiosk) judge(text string) judgment {
	p, err := pass.Parse(text)
	if k.locked() {
		return refused(p.Kind, wire.ReasonLocked)
	}
	if err == nil && p.Kind.Own() {
		err = k.verify(p)
	}
	if reason := reasonFor(err); reason != wire.NoReason {
		return refused(p.Kind, reason)
	}
	switch {
	case p.Kind == pass.Test:
		return judgment{kind: p.Kind, verdict: wire.Admitted, presence: wire.Verified}
	case p.Kind == pass.Poster:
		return refused(p.Kind, wire.ReasonPoster)
	case p.Kind == pass.Event && k.Room != nil: // the event says who is accepted
	case !slices.Contains(k.Config.Accept, p.Kind):
		return refused(p.Kind, wire.ReasonKind)
	}
	return judgment{kind: p.Kind, verdict: wire.Admitted, presence: wire.Verified, subject: subject(p), card: p.Card}
}

// admit asks the room about somebody who would come in or go out, and refuses them if
// it says so. The entry, if there is one, is to be counted or dropped.
func (k *Kiosk) admit(j *judgment) *room.Entry {
	if k.Room == nil || j.verdict != wire.Admitted || j.kind == pass.Test {
		return nil
	}
	state := k.Clock.Read().State
	reason, entry := k.Room.Enter(room.Scan{
		Kind: j.kind, Card: j.card, Gate: k.Config.Gate, Lane: k.Config.Lane, Dir: k.direction(),
		Now: k.certain(), Sure: state == when.Synced || state == when.Holding,
		// Capacity never refuses where a fault does not.
		Force: k.onFault() == wire.AdmitUnrecorded,
	})
	if entry == nil {
		j.verdict, j.reason, j.subject = wire.Refused, reason, nil
	}
	return entry
}

// count counts an entry. What is not on disk is counted until the next start.
func (k *Kiosk) count(e *room.Entry) {
	if e == nil {
		return
	}
	if err := e.Done(); err != nil {
		k.log.Error("not counted on disk", "err", err)
	}
}

func drop(e *room.Entry) {
	if e != nil {
		e.Drop()
	}
}

// verify judges an own card: that it is genuine, valid, and not void.
func (k *Kiosk) verify(p pass.Pass) error {
	if err := k.verifyPrint(p); err != nil {
		return err
	}
	// An event's passes have numbers of their own.
	if p.Kind == pass.Event {
		return nil
	}
	return k.checkList(p.Card.Number, p.Card.Issue)
}

// errStale says that the list is too old for the door to admit by it.
var errStale = errors.New("kiosk: list of void cards is stale")

// checkList asks the list of void cards.
func (k *Kiosk) checkList(number uint32, issue uint8) error {
	if k.List != nil && k.List.Void(number, issue) {
		return fmt.Errorf("kiosk: %w", pass.ErrRevoked)
	}
	if k.Config.StaleList != wire.RefuseStale {
		return nil
	}
	if age, known := k.ListAge(); !known || age > k.Config.StaleAfter {
		return errStale
	}
	return nil
}

// ListAge returns how old the list of void cards is at the least: how long ago the
// server last had no newer one. It is false if that never was.
func (k *Kiosk) ListAge() (time.Duration, bool) {
	if k.List == nil {
		return 0, false
	}
	checked, ok := k.List.Checked()
	return max(k.certain().Sub(checked), 0), ok
}

// certain returns the time, or while the clock is not bound to the server's a time
// that is certainly past.
func (k *Kiosk) certain() time.Time {
	if state := k.Clock.Read().State; state == when.Synced || state == when.Holding {
		return k.Clock.Now()
	}
	return k.Clock.Floor()
}

// verifyPrint judges what is printed on an own card. While the clock is not bound to the server's, only
// the floor is certain: a card that ended before it has ended, but no card is
// turned away for a beginning that may long have passed.
func (k *Kiosk) verifyPrint(p pass.Pass) error {
	if state := k.Clock.Read().State; state == when.Synced || state == when.Holding {
		return pass.Verify(p, k.Keys(), pass.DayOf(k.Clock.Now()))
	}
	err := pass.Verify(p, k.Keys(), pass.DayOf(k.Clock.Floor()))
	if errors.Is(err, pass.ErrNotYet) {
		return nil
	}
	return err
}

func reasonFor(err error) wire.Reason {
	switch {
	case err == nil:
		return wire.NoReason
	case errors.Is(err, pass.ErrUnknownKey):
		return wire.ReasonKey
	case errors.Is(err, pass.ErrSignature):
		return wire.ReasonSignature
	case errors.Is(err, pass.ErrNotYet):
		return wire.ReasonNotYet
	case errors.Is(err, pass.ErrExpired):
		return wire.ReasonExpired
	case errors.Is(err, pass.ErrRevoked):
		return wire.ReasonRevoked
	case errors.Is(err, errStale):
		return wire.ReasonStaleList
	case errors.Is(err, pass.ErrMalformed):
		return wire.ReasonMalformed
	}
	return wire.ReasonUnknown
}

func subject(p pass.Pass) *wire.Subject {
	if p.Kind.Own() {
		return &wire.Subject{Kind: p.Kind, Card: p.Card.Number, Issue: p.Card.Issue}
	}
	s := p.Subject
	return &wire.Subject{Kind: p.Kind, Number: s.Number, Name: s.Name, Born: s.Born, Address: s.Address, Phone: s.Phone}
}
