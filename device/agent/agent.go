package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	beatEvery  = 30 * time.Second // alarms count on it
	lookEvery  = 2 * time.Second  // for a change that the server shall hear of before the next beat
	floorEvery = time.Hour        // between two writes of the floor, to spare the card
)

// An Agent keeps a kiosk's heartbeat, clock and keys.
type Agent struct {
	id     *Identity
	state  *State
	list   *List
	queue  *outbox.Queue
	clock  *when.Clock
	since  func() time.Duration
	health func(*wire.Beat)
	log    *slog.Logger

	// Room is told of in beats and takes what the server answers; nil is none. It is
	// set before Run.
	Room *room.Room

	also    []Part
	links   atomic.Uint32 // connections since start
	up      chan struct{}
	answers chan answer
	keys    chan []byte
	parts   chan []byte
	events  chan []byte
	handed  chan handed

	nonce [16]byte      // of the beat that waits for its answer; zero if none does
	sent  time.Duration // since boot, when it was sent
	told  condition     // in that beat

	trip   trip
	oldest oldest
}

// A condition is what is told at once when it changes.
type condition struct {
	clock     when.State
	delivered bool // the server holds every record
	scanners  string
	list      wire.Stamp
	parts     string // that have come of another list
	power     wire.PowerFlags
	readOnly  bool
}

// news reports whether c is worth a beat of its own after told. That a record
// waits for its receipt is no news: with each visitor one does.
func (c condition) news(told condition) bool {
	return c.clock != told.clock || c.scanners != told.scanners || c.delivered && !told.delivered || c.list != told.list || c.parts != told.parts ||
		c.power != told.power || c.readOnly != told.readOnly
}

func conditionOf(b *wire.Beat) condition {
	c := condition{clock: b.State, delivered: b.Queued == 0, power: b.Power, readOnly: b.ReadOnly}
	for _, s := range b.Scanners {
		c.scanners += fmt.Sprintf("%s %t %s\n", s.Name, s.Present, s.Fault)
	}
	if b.List != nil {
		c.list, c.parts = b.List.Stamp, string(b.List.Have)
	}
	return c
}

// A Part is something else on the kiosk that speaks with the server through the
// agent. Each of its functions may be nil, is called by one goroutine at a time, and
// must not wait.
type Part struct {
	// Take gets each message on Channel.
	Channel wire.Channel
	Take    func(b []byte)

	Fill     func(b *wire.Beat)                           // fills in its share of a beat
	Answered func(a *wire.BeatAnswer)                     // gets the answer to the newest beat, verified
	News     func() bool                                  // reports whether the server shall hear of it before the next beat
	Up       func(ctx context.Context, link deliver.Link) // the link is connected
}

// Add adds a part, before Run.
func (a *Agent) Add(p Part) { a.also = append(a.also, p) }

// news reports whether a part has something to tell.
func (a *Agent) news() bool {
	if a.Room != nil && a.Room.News() {
		return true
	}
	for _, p := range a.also {
		if p.News != nil && p.News() {
			return true
		}
	}
	return false
}

type answer struct {
	data []byte
	at   time.Duration // since boot
}

// New returns the agent of kiosk id. since is the time since boot, as clock was
// given it; health fills in what the machine knows of itself each time a beat is
// sent.
func New(id *Identity, state *State, list *List, queue *outbox.Queue, clock *when.Clock, since func() time.Duration, health func(*wire.Beat), log *slog.Logger) *Agent {
	return &Agent{
		id: id, state: state, list: list, queue: queue, clock: clock, since: since, health: health, log: log,
		up: make(chan struct{}, 1), answers: make(chan answer, 4), keys: make(chan []byte, 4), parts: make(chan []byte, 8), events: make(chan []byte, wire.MaxHeldEvents),
		handed: make(chan handed),
	}
}

// session rises with every connection and every start, so that the last will of
// a connection that is long gone cannot mark a newer one as offline.
func (a *Agent) session() uint64 { return a.state.Starts<<32 | uint64(a.links.Load()) }

// Will begins a new session and returns what the broker shall publish when that
// is over. The link calls it before every connection.
func (a *Agent) Will() mqttlink.Will {
	a.links.Add(1)
	return mqttlink.Will{
		Topic:   wire.Topic(a.id.Kiosk, wire.Status),
		Payload: wire.Encode(wire.Online{V: wire.Version, Session: a.session()}),
	}
}

// Up tells the agent that the link is connected. It does not wait.
func (a *Agent) Up() {
	select {
	case a.up <- struct{}{}:
	default:
	}
}

// Run sends beats over link and takes answers and key lists until ctx ends. It
// returns an error only when the outbox can no longer record.
func (a *Agent) Run(ctx context.Context, link deliver.Link) error {
	if err := a.state.Damaged; err != nil {
		a.log.Warn("state begun anew", "err", err)
	}
	if err := a.state.Unkept; err != nil {
		a.log.Error("start not written down", "err", err)
	}
	if err := a.list.Damaged; err != nil {
		a.log.Warn("list of void cards dropped; the server will send it again", "err", err)
	}
	a.subscribe(ctx, link, wire.DownBeat, func(b []byte) { offer(a.answers, answer{b, a.since()}) })
	a.subscribe(ctx, link, wire.DownKeys, func(b []byte) { offer(a.keys, b) })
	a.subscribe(ctx, link, wire.DownList, func(b []byte) { offer(a.parts, b) })
	if a.Room != nil {
		if err := a.Room.Damaged; err != nil {
			a.log.Warn("who is inside is counted anew", "err", err)
		}
		a.subscribe(ctx, link, wire.DownEvent, func(b []byte) { offer(a.events, b) })
	}
	taken := make(chan func(), 16)
	for _, p := range a.also {
		if p.Take != nil {
			a.subscribe(ctx, link, p.Channel, func(b []byte) { offer(taken, func() { p.Take(b) }) })
		}
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	floor := time.NewTicker(floorEvery)
	defer floor.Stop()
	defer a.keepFloor()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.up:
			a.announce(ctx, link)
			for _, p := range a.also {
				if p.Up != nil {
					p.Up(ctx, link)
				}
			}
			a.beat(ctx, link, a.condition())
		case <-beat.C:
			a.beat(ctx, link, a.condition())
		case <-look.C:
			if a.nonce != ([16]byte{}) {
				continue // a second beat would make the answer to the first one late
			}
			news := a.news() // before they fill in a beat, and so have told it
			if b := a.condition(); news || conditionOf(&b).news(a.told) {
				a.beat(ctx, link, b)
			}
		case <-floor.C:
			a.keepFloor()
		case r := <-a.answers:
			if err := a.take(r); err != nil {
				return err
			}
		case b := <-a.keys:
			a.takeKeys(b)
		case b := <-a.parts:
			a.takeList(b)
		case b := <-a.events:
			a.takeEvent(b)
		case take := <-taken:
			take()
		case h := <-a.handed:
			h.done <- a.Take(h.envelope)
		}
	}
}

// subscribe goes on without what a broker refuses: the next connection asks
// again, and the door needs none of it.
func (a *Agent) subscribe(ctx context.Context, link deliver.Link, c wire.Channel, fn func(b []byte)) {
	err := link.Subscribe(ctx, wire.Topic(a.id.Kiosk, c), func(_ string, b []byte) { fn(b) })
	if err != nil && ctx.Err() == nil {
		a.log.Error("subscription refused", "channel", c, "err", err)
	}
}

// offer puts v into c, in the place of the oldest if c is full: a link must not
// wait, and of answers and key lists the newest counts. A part of a list that is
// lost comes again.
func offer[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}

func (a *Agent) announce(ctx context.Context, link deliver.Link) {
	online := wire.Encode(wire.Online{V: wire.Version, Up: true, Session: a.session()})
	a.publish(ctx, link, wire.Status, online, true)
}

// publish sends one message and waits no longer than until the next beat.
func (a *Agent) publish(ctx context.Context, link deliver.Link, c wire.Channel, b []byte, retain bool) {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	if err := link.Publish(ctx, wire.Topic(a.id.Kiosk, c), b, retain); err != nil {
		a.log.Debug("message not sent", "channel", c, "err", err)
	}
}

// condition returns a beat that says how the kiosk is now.
func (a *Agent) condition() wire.Beat {
	s, r := a.queue.Stats(), a.clock.Read()
	b := wire.Beat{
		V: wire.Version, Session: a.session(),
		Boot: r.Boot, Since: r.Since, Wall: r.Wall, State: r.State, Error: r.Error,
		Epoch: s.Epoch, Last: s.Last, Through: s.Through, Queued: s.Unsent, Used: s.Bytes, Limit: s.Limit,
	}
	b.List = a.list.Beat()
	if a.Room != nil {
		b.Room = a.Room.Beat()
	}
	a.fill(&b)
	a.health(&b)
	for _, p := range a.also {
		if p.Fill != nil {
			p.Fill(&b)
		}
	}
	b.Scanners = b.Scanners[:min(len(b.Scanners), wire.MaxScanners)]
	return b
}

// beat sends one beat. A beat that is lost is not sent again: the next one is
// newer.
func (a *Agent) beat(ctx context.Context, link deliver.Link, b wire.Beat) {
	rand.Read(a.nonce[:])
	b.Nonce = a.nonce
	a.told = conditionOf(&b)
	a.sent = a.since()
	a.publish(ctx, link, wire.UpBeat, wire.Seal(wire.ForBeat, 0, a.id.Key, b), false)
}

// take reads the server's answer to the last beat, the only source of time, and
// writes an anchor into the ledger when the clock has learnt something.
func (a *Agent) take(r answer) error {
	got, err := wire.OpenBeatAnswer(r.data, a.id.Kiosk, a.id.ReceiptKey)
	if err != nil {
		a.log.Warn("beat's answer refused", "err", err)
		return nil
	}
	if got.Nonce != a.nonce || a.nonce == ([16]byte{}) {
		return nil // the answer to an older beat, or one that is played again
	}
	a.nonce = [16]byte{}
	a.trip = a.tripOf(r.at, got.Time, a.clock.Read())
	a.list.newest(Checked{got.List, time.UnixMilli(got.Time)})
	if a.Room != nil {
		if err := a.Room.Answer(got.Grants, time.UnixMilli(got.Time)); err != nil {
			a.log.Warn("what the server granted is not kept", "err", err)
		}
	}
	a.keepChecked()
	for _, p := range a.also {
		if p.Answered != nil {
			p.Answered(got)
		}
	}
	anchor, due := a.clock.Sample(a.sent, r.at, time.UnixMilli(got.Time))
	if !due {
		return nil
	}
	a.keepFloor()
	_, err = a.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: anchor.Server, Error: anchor.Error}}
		now := a.clock.Read()
		// The moment that is tied, not the moment of writing.
		now.Wall -= now.Since - anchor.Since
		now.Since = anchor.Since
		h.At(now)
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
	if errors.Is(err, outbox.ErrFull) {
		a.log.Warn("anchor not recorded", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("agent: anchor: %w", err)
	}
	return nil
}

func (a *Agent) takeKeys(b []byte) {
	switch err := a.id.ReplaceKeys(b); {
	case err == nil:
		stamp := a.id.Keys().Stamp
		a.log.Info("key list taken", "generation", stamp.Generation, "version", stamp.Version)
	case !errors.Is(err, ErrOld):
		a.log.Warn("key list refused", "err", err)
	}
}

// keepChecked keeps for the next start how old the list is.
func (a *Agent) keepChecked() {
	c, ok := a.list.state()
	if !ok {
		return
	}
	if err := a.state.CheckList(c); err != nil {
		a.log.Warn("age of the list of void cards not kept", "err", err)
	}
}

func (a *Agent) takeList(b []byte) {
	switch taken, err := a.list.Take(b, a.id.ReceiptKey); {
	case taken:
		l := a.list.Beat()
		a.keepChecked()
		a.log.Info("list of void cards taken", "generation", l.Stamp.Generation, "version", l.Stamp.Version, "cards", l.Cards)
	case err != nil && !errors.Is(err, ErrOld):
		a.log.Warn("list of void cards refused", "err", err)
	}
}

func (a *Agent) takeEvent(b []byte) {
	e, err := wire.OpenEvent(b, a.id.ReceiptKey)
	if err == nil {
		err = a.Room.Take(e)
	}
	switch {
	case err == nil:
		a.log.Info("event taken", "event", e.No, "generation", e.Stamp.Generation, "version", e.Stamp.Version, "passes", len(e.Passes))
	case !errors.Is(err, room.ErrOld):
		a.log.Warn("event refused", "err", err)
	}
}

// takeNewest takes the word of a server that a list was the newest at some time. It
// may have lain on a stick for long: what was heard later counts.
func (a *Agent) takeNewest(said *wire.BeatAnswer) {
	at := time.UnixMilli(said.Time)
	if heard, ok := a.list.Checked(); ok && !at.After(heard) {
		return
	}
	a.list.newest(Checked{said.List, at})
	a.keepChecked()
}

// A handed is an envelope that came another way than by the link.
type handed struct {
	envelope []byte
	done     chan<- bool
}

// Hand takes what a server sent another way than by the link, on a USB stick or as
// codes: a list of keys, the list of void cards, the word that it is the newest, an
// event if there is a Room. It returns when that is in force, and false if it is none of
// these: a receipt, say. Run must be running.
func (a *Agent) Hand(ctx context.Context, envelope []byte) bool {
	done := make(chan bool, 1)
	select {
	case a.handed <- handed{envelope, done}:
	case <-ctx.Done():
		return false
	}
	select {
	case ours := <-done:
		return ours
	case <-ctx.Done():
		return false
	}
}

// Take does what [Agent.Hand] does, for an agent that does not run.
func (a *Agent) Take(envelope []byte) bool {
	if _, err := wire.OpenKeyList(envelope, a.id.Root); err == nil {
		a.takeKeys(envelope)
		return true
	}
	if _, err := wire.OpenListPart(envelope, a.id.ReceiptKey); err == nil {
		a.takeList(envelope)
		return true
	}
	if said, err := wire.OpenBeatAnswer(envelope, a.id.Kiosk, a.id.ReceiptKey); err == nil {
		a.takeNewest(said)
		return true
	}
	if _, err := wire.OpenEvent(envelope, a.id.ReceiptKey); err == nil && a.Room != nil {
		a.takeEvent(envelope)
		return true
	}
	return false
}

func (a *Agent) keepFloor() {
	if err := a.state.Raise(a.clock.Floor()); err != nil {
		a.log.Warn("floor not kept", "err", err)
	}
}
