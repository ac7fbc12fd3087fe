// Package settings keeps the configuration that the server sends, and decides what
// the kiosk runs with.
//
// Its promise: a configuration that cannot be run with changes nothing, and the last
// one that could is there after any power cut, with or without a network. A document
// counts only if its signature verifies, it was made for this kiosk and it is newer
// than what came before; it is on disk before it runs. Where the server is to be
// found changes on trial: if the server does not answer there in time, the kiosk goes
// back to where it last did, and says so. An address that was good and is silent for
// long is left for that of the kiosk's own file for a while, again and again.
//
//	s, err := settings.Open(path, id, settings.Options{Check: check})
//	doc := s.Running() // what to start with; nil: what the kiosk's own file says
//	s.Use(settings.Uses{Apply: apply, Move: move})
//	s.Resume()
//	heart.Add(s.Part())
//	err = s.Run(ctx) // ends trials
//
// It holds one file, written as a whole. What a setting does is the business of
// whoever applies it.
package settings

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// DefaultTrial is how long the server has to answer at a new address. Connecting
	// again after a lost network takes a link up to a minute.
	DefaultTrial = 3 * time.Minute

	// DefaultLost is how long nobody may answer at the portal's address before that of
	// the kiosk's own file is tried, and how long the kiosk then stays there: whoever
	// mends a kiosk on the spot writes into the file.
	DefaultLost = time.Hour

	// maxTrials is how often a trial that a restart has cut short is begun again.
	maxTrials = 3
)

// An Identity is who the kiosk is and whom it believes.
type Identity struct {
	Kiosk string
	Key   ed25519.PrivateKey                   // of the kiosk, which signs the file
	Trust func(keyID uint32) ed25519.PublicKey // the server's configuration keys that are listed now
}

// Options are the optional parts of a Settings. The zero value is right.
type Options struct {
	// Check reports why this kiosk cannot run with a document that is valid by
	// itself: its wiring, say. Nil is that it can.
	Check func(*wire.ConfigDoc) error

	Trial time.Duration // default DefaultTrial
	Lost  time.Duration // default DefaultLost
	Log   *slog.Logger  // default: nothing is logged
}

// Uses are what a configuration is applied with. Each may be nil.
type Uses struct {
	// Apply makes all of a document but its link settings what the kiosk runs with;
	// nil is what its own file says. It returns when that is so.
	Apply func(*wire.ConfigDoc)

	// Move makes the link go to an address; a zero one is that of the kiosk's own
	// file. It does not wait for a connection.
	Move func(wire.LinkConfig)
}

// A Settings is the configuration of a kiosk. It is safe for concurrent use.
type Settings struct {
	// Damaged says why the file was dropped, and is nil as a rule. The server sends
	// its document again.
	Damaged error

	path string
	id   Identity
	o    Options
	use  Uses
	news chan struct{} // a trial has begun or ended

	mu       sync.Mutex
	is       file
	running  *wire.ConfigDoc // nil: what the kiosk's own file says
	trial    *wire.ConfigDoc // nil as a rule
	deadline time.Time       // of the trial
	up       bool            // connected since the trial began
	told     wire.ConfigBeat // in the last beat

	// Where the portal has named an address:
	away  bool      // the link is at the address of the kiosk's own file, for nobody answered
	since time.Time // when the link was moved there or back, or somebody answered at the portal's
	heard bool      // somebody has answered there since, or its turn is over
}

// A file is what is on disk, signed with the kiosk's own key. Documents are kept as
// they came, with the server's key that they verified by, which may leave the list
// of keys before they are replaced.
type file struct {
	V       uint8            `cbor:"1,keyasint"`
	Running held             `cbor:"2,keyasint,omitzero"`
	Trial   held             `cbor:"3,keyasint,omitzero"`
	Trials  int              `cbor:"4,keyasint,omitempty"` // begun of Trial
	Refused wire.Stamp       `cbor:"5,keyasint,omitzero"`
	Fault   wire.ConfigFault `cbor:"6,keyasint,omitempty"`
	Detail  string           `cbor:"7,keyasint,omitempty"`
	Newest  wire.Stamp       `cbor:"8,keyasint,omitzero"` // that came, whatever became of it
}

type held struct {
	Document []byte `cbor:"1,keyasint,omitempty"`
	Key      []byte `cbor:"2,keyasint,omitempty"`
}

func (h held) empty() bool { return len(h.Document) == 0 }

// run makes h what runs. What was refused before is of no interest any more.
func (f *file) run(h held) {
	f.Running, f.Trial, f.Trials = h, held{}, 0
	f.Refused, f.Fault, f.Detail = wire.Stamp{}, "", ""
}

// forFile binds the signature of the file, which nobody but this kiosk ever reads.
const forFile wire.Purpose = "settings file"

// Open reads the configuration at path. A file that is missing or damaged, or
// that the disk cannot read, holds none; an error means that it may not be read.
func Open(path string, id Identity, o Options) (*Settings, error) {
	if o.Trial == 0 {
		o.Trial = DefaultTrial
	}
	if o.Lost == 0 {
		o.Lost = DefaultLost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Settings{path: path, id: id, o: o, news: make(chan struct{}, 1), since: time.Now()}
	var err error
	if s.Damaged, err = durable.Read(path, s.read); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if s.Damaged != nil {
		s.is, s.running, s.trial = file{}, nil, nil
	}
	if s.running != nil {
		// The door was wired otherwise meanwhile, or the program judges more.
		if why, err := s.judge(s.running); err != nil {
			s.is.Refused, s.is.Fault, s.is.Detail = s.running.Stamp, why, detail(err)
			s.is.Running, s.running = held{}, nil
		}
	}
	return s, nil
}

// judge reports why this kiosk cannot run with a document.
func (s *Settings) judge(doc *wire.ConfigDoc) (wire.ConfigFault, error) {
	if err := doc.Validate(); err != nil {
		return wire.ConfigInvalid, err
	}
	if s.o.Check == nil {
		return "", nil
	}
	return wire.ConfigWiring, s.o.Check(doc)
}

func (s *Settings) read(b []byte) (err error) {
	own := func(id uint32) ed25519.PublicKey {
		if id != 0 {
			return nil
		}
		return s.id.Key.Public().(ed25519.PublicKey)
	}
	if err := wire.Open(forFile, b, own, &s.is); err != nil {
		return err
	}
	if s.running, err = s.open(s.is.Running); err != nil {
		return err
	}
	s.trial, err = s.open(s.is.Trial)
	return err
}

func (s *Settings) open(h held) (*wire.ConfigDoc, error) {
	if h.empty() {
		return nil, nil
	}
	return wire.OpenConfig(h.Document, s.id.Kiosk, func(uint32) ed25519.PublicKey { return h.Key })
}

// Use sets what a configuration is applied with, before one is taken: that is made
// of what [Settings.Running] returns.
func (s *Settings) Use(u Uses) { s.use = u }

// Running returns the document that is in force, or nil if it is what the kiosk's own
// file says. The caller does not change it.
func (s *Settings) Running() *wire.ConfigDoc {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Beat returns what a beat says of the configuration.
func (s *Settings) Beat() *wire.ConfigBeat {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.beat()
	return &b
}

func (s *Settings) beat() wire.ConfigBeat {
	b := wire.ConfigBeat{Wanted: s.is.Newest, Refused: s.is.Refused, Fault: s.is.Fault, Detail: s.is.Detail}
	if s.running != nil {
		b.Running = s.running.Stamp
	}
	return b
}

// Part returns what the agent is to be given.
func (s *Settings) Part() agent.Part {
	return agent.Part{
		Channel: wire.DownConfig, Take: func(b []byte) { s.Take(b) },
		Fill: func(b *wire.Beat) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = s.beat()
			said := s.told
			b.Config = &said
		},
		News: func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.told != s.beat()
		},
		Up:       func(context.Context, deliver.Link) { s.Up() },
		Answered: func(*wire.BeatAnswer) { s.Answered() },
	}
}

// ErrOld is returned for a document that is not newer than what came before.
var ErrOld = errors.New("not newer than what came before")

// Take takes a document as it came from the server. A nil error says that it is in
// force or on trial, and on disk. One that is refused for what it says is told of in
// beats; one that does not verify is nobody's, and is not.
func (s *Settings) Take(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.take(data)
	if err != nil && !errors.Is(err, ErrOld) {
		s.o.Log.Warn("configuration refused", "err", err)
	}
	return err
}

func (s *Settings) take(data []byte) error {
	var key ed25519.PublicKey
	doc, err := wire.OpenConfig(data, s.id.Kiosk, func(id uint32) ed25519.PublicKey {
		key = s.id.Trust(id)
		return key
	})
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if !doc.Stamp.Newer(s.is.Newest) {
		return fmt.Errorf("settings: %d.%d: %w", doc.Stamp.Generation, doc.Stamp.Version, ErrOld)
	}
	if why, err := s.judge(doc); err != nil {
		return s.refuse(doc.Stamp, why, err)
	}
	next := s.is
	next.Newest = doc.Stamp
	this := held{bytes.Clone(data), bytes.Clone(key)}
	if doc.Link != s.link() {
		next.Trial, next.Trials = this, 1
		if err := s.write(next); err != nil {
			return s.undo(doc.Stamp, err)
		}
		s.begin(doc)
		return nil
	}
	next.run(this)
	if err := s.write(next); err != nil {
		return s.undo(doc.Stamp, err)
	}
	if s.trial != nil { // which this one overtakes
		s.end()
		s.move(doc.Link)
	}
	s.apply(doc)
	return nil
}

// link returns the link settings that are proven.
func (s *Settings) link() wire.LinkConfig {
	if s.running == nil {
		return wire.LinkConfig{}
	}
	return s.running.Link
}

// refuse notes that a document is not run with. Whatever is on trial stays so.
func (s *Settings) refuse(stamp wire.Stamp, why wire.ConfigFault, cause error) error {
	next := s.is
	next.Newest, next.Refused, next.Fault, next.Detail = stamp, stamp, why, detail(cause)
	if err := s.write(next); err != nil {
		return s.undo(stamp, err)
	}
	return fmt.Errorf("settings: %d.%d: %s: %w", stamp.Generation, stamp.Version, why, cause)
}

// undo says of a document that it could not be written down. It is not noted as
// come, so that the server's next word of it is taken.
func (s *Settings) undo(stamp wire.Stamp, err error) error {
	s.is.Refused, s.is.Fault, s.is.Detail = stamp, wire.ConfigDisk, detail(err)
	return err
}

// detail returns an error as a beat holds it: on one line, cut at a letter.
func detail(err error) string {
	d := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\n", "; "), "?")
	if len(d) <= wire.MaxConfigDetail {
		return d
	}
	d = d[:wire.MaxConfigDetail-len("…")]
	for !utf8.ValidString(d) {
		d = d[:len(d)-1]
	}
	return d + "…"
}

func (s *Settings) apply(doc *wire.ConfigDoc) {
	s.running = doc
	if s.use.Apply != nil {
		s.use.Apply(doc)
	}
	s.o.Log.Info("configuration in force", "generation", doc.Stamp.Generation, "version", doc.Stamp.Version)
}

func (s *Settings) move(to wire.LinkConfig) {
	s.away, s.since, s.heard = false, time.Now(), true
	if s.use.Move != nil {
		s.use.Move(to)
	}
}

// begin begins the trial of a document that is on disk.
func (s *Settings) begin(doc *wire.ConfigDoc) {
	s.trial, s.up, s.deadline = doc, false, time.Now().Add(s.o.Trial)
	s.o.Log.Info("link settings on trial", "generation", doc.Stamp.Generation, "version", doc.Stamp.Version, "for", s.o.Trial)
	s.move(doc.Link)
	s.wake()
}

func (s *Settings) end() {
	s.trial = nil
	s.wake()
}

func (s *Settings) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Up says that the link is connected. An answer to what is sent from now on came the
// way that is on trial: the way before is closed.
func (s *Settings) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = true
}

// Answered says that the server has answered what was sent last, verifiably.
func (s *Settings) Answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		return
	}
	if s.heard = true; !s.away {
		s.since = time.Now()
	}
	if s.trial == nil {
		return
	}
	doc, next := s.trial, s.is
	next.run(s.is.Trial)
	if err := s.write(next); err != nil {
		s.o.Log.Warn("configuration not kept", "err", err)
		return // with the next answer
	}
	s.end()
	s.apply(doc)
}

// Resume begins anew what a restart has cut short, or gives it up. It is called once,
// before the link is.
func (s *Settings) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial == nil {
		return
	}
	if s.is.Trials >= maxTrials {
		s.giveUp(fmt.Errorf("no answer, and the kiosk began anew %d times meanwhile", maxTrials))
		return
	}
	next := s.is
	next.Trials++
	if err := s.write(next); err != nil {
		s.o.Log.Warn("trial not counted", "err", err)
	}
	s.begin(s.trial)
}

// giveUp goes back to the link settings that are proven.
func (s *Settings) giveUp(cause error) {
	stamp, next := s.trial.Stamp, s.is
	next.Trial, next.Trials = held{}, 0
	next.Refused, next.Fault, next.Detail = stamp, wire.ConfigNoAnswer, detail(cause)
	if err := s.write(next); err != nil {
		s.o.Log.Warn("end of trial not kept", "err", err) // the next start tries again
		s.is = next
	}
	s.o.Log.Warn("link settings go back", "generation", stamp.Generation, "version", stamp.Version, "err", cause)
	s.end()
	s.move(s.link())
}

// seek goes to the other address if nobody has answered for too long, and returns
// how long that may go on.
func (s *Settings) seek() time.Duration {
	patience := s.o.Trial
	if s.heard {
		patience = s.o.Lost
	}
	if left := patience - time.Since(s.since); left > 0 {
		return left
	}
	if s.away {
		s.o.Log.Info("link goes back to the portal's address")
		s.move(s.link())
		return s.o.Lost
	}
	s.o.Log.Warn("nobody answers at the portal's address; the one in the kiosk's own file is tried", "silent", time.Since(s.since).Round(time.Second))
	s.move(wire.LinkConfig{})
	s.away, s.heard, s.up = true, false, false
	return s.o.Trial
}

// Run ends trials in which nobody answers, and looks for the server where it was
// before if nobody answers where it should be, until ctx ends; then it returns nil.
func (s *Settings) Run(ctx context.Context) error {
	if s.Damaged != nil {
		s.o.Log.Warn("configuration dropped; the server will send it again", "err", s.Damaged)
	}
	for {
		var over <-chan time.Time
		s.mu.Lock()
		if s.trial != nil {
			if left := time.Until(s.deadline); left > 0 {
				over = time.After(left)
			} else {
				s.giveUp(fmt.Errorf("nobody answered at %s within %s", address(s.trial.Link), s.o.Trial))
			}
		}
		if s.trial == nil && s.link() != (wire.LinkConfig{}) {
			over = time.After(s.seek())
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-s.news:
		case <-over:
		}
	}
}

func address(l wire.LinkConfig) string {
	if l.URL == "" {
		return "the address in the kiosk's own file"
	}
	return l.URL
}

// write puts f on disk and in force.
func (s *Settings) write(f file) error {
	f.V = wire.Version
	if err := durable.Replace(s.path, wire.Seal(forFile, 0, s.id.Key, f)); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	s.is = f
	return nil
}
