package ingest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/doors"
	"github.com/qrgate/qrgate/server/lists"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// group is the name of the shared subscription: each batch goes to one server.
const group = "ingest"

// Parts are what an Ingest is made of.
type Parts struct {
	Store  *store.Store
	Vault  *vault.Vault
	Opener *seal.Opener
	Sign   wire.Signer
	Link   deliver.Link
	Feed   *Feed
	Lists  *lists.Lists // what kiosks are told of void cards; nil tells nothing
	Doors  *doors.Doors // what kiosks are told of events and limits; nil tells nothing

	// Beats are told of each beat that verifies, by one goroutine, and may add to its
	// answer, which is signed after them. They must not wait.
	Beats []func(kiosk string, b *wire.Beat, a *wire.BeatAnswer)
}

// Options are the optional parts of an Ingest. The zero value is right.
type Options struct {
	Workers   int           // goroutines that open batches; default one a processor
	Queue     int           // batches that wait for a worker; default 2048
	Group     int           // records in one transaction, about; default 16,384
	Retention time.Duration // age at which a check-in is dropped unread; default 21 days
	Persons   int           // identities remembered; default 500,000, about 40 bytes each
	Visits    int           // people whose check-ins by phone wait for a transaction; default 4096
	Deaf      bool          // kiosks are other servers' matter: nothing is subscribed to
	Server    string        // this server's name among others on the database; default "server"
	Now       func() time.Time
	// Doubt returns an error while Now is not to be believed. What is past its retention
	// by such a clock is not dropped, but left unanswered: it comes again.
	Doubt func() error // default: it is believed
	Log   *slog.Logger // default: nothing is logged
}

// Stats are counters since the Ingest was made.
type Stats struct {
	Batches   uint64 // committed
	Checkins  uint64 // rows
	Repeated  uint64 // records that were held before
	Rejected  uint64 // records that became dead letters
	Late      uint64 // check-ins past retention, dropped
	Forks     uint64 // batches answered with a fork
	Refused   uint64 // messages that did not verify, or whose kiosk could not be looked up
	Dropped   uint64 // messages that found no room, or of which one kiosk sent too many at once
	Failed    uint64 // batches that no transaction could take
	Scattered uint64 // batches that came too far ahead of others, unanswered
	Receipts  uint64 // sent
	Beats     uint64 // answered
	Commits   uint64
	Visits    uint64 // by phone, committed
	Again     uint64 // visits that were answered before
	Busy      uint64 // visits that found no room
}

// An Ingest takes in what kiosks send. It is safe for concurrent use.
type Ingest struct {
	Parts
	o     Options
	log   *slog.Logger
	now   func() time.Time
	keys  keyring
	known persons

	batches *line
	beats   *newest
	opened  *tray
	answers chan answer
	parcels chan parcel
	holds   map[string]holding // of answerBeats
	pace    pace               // of answerBeats
	grudges grudges

	alive presences
	desk  desk

	// Counters, see Stats.
	nBatches, nCheckins, nRepeated, nRejected, nLate, nForks, nRefused atomic.Uint64
	nDropped, nFailed, nScattered, nReceipts, nBeats, nCommits         atomic.Uint64
	nVisits, nAgain, nBusy                                             atomic.Uint64

	lags [2]lag // of live batches and of backlog
}

type message struct {
	kiosk   string
	payload []byte
	at      time.Time
}

// An answer is a message to a kiosk. It is called by the sender, so that many
// are signed at once and while the next transaction runs.
type answer func() (topic string, payload []byte)

// New returns an Ingest of parts, all of which but Lists, Doors and Beats are required.
func New(p Parts, o Options) (*Ingest, error) {
	if p.Store == nil || p.Vault == nil || p.Opener == nil || p.Link == nil || p.Feed == nil || len(p.Sign.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("ingest: a part is missing")
	}
	o.Workers = orDefault(o.Workers, runtime.GOMAXPROCS(0))
	o.Queue = orDefault(o.Queue, 2048)
	o.Group = orDefault(o.Group, 16_384)
	o.Visits = orDefault(o.Visits, 4096)
	o.Persons = orDefault(o.Persons, 500_000)
	if o.Retention == 0 {
		o.Retention = 21 * 24 * time.Hour
	}
	if o.Server == "" {
		o.Server = "server"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Doubt == nil {
		o.Doubt = func() error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Ingest{
		Parts: p, o: o, log: o.Log, now: o.Now,
		keys:    keyring{store: p.Store, now: o.Now, held: map[string]heldKey{}},
		known:   persons{limit: o.Persons, of: map[identity]person{}},
		batches: newLine(o.Queue),
		beats:   newNewest(o.Queue),
		opened:  newTray(o.Group),
		answers: make(chan answer, o.Queue),
		parcels: make(chan parcel, o.Queue),
		holds:   map[string]holding{},
		pace:    pace{},
		grudges: grudges{of: map[grudge]told{}},
		alive:   presences{news: map[string]store.Presence{}},
		desk:    newDesk(o.Now()),
	}, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Stats returns the counters.
func (in *Ingest) Stats() Stats {
	return Stats{
		Batches: in.nBatches.Load(), Checkins: in.nCheckins.Load(), Repeated: in.nRepeated.Load(), Rejected: in.nRejected.Load(),
		Late: in.nLate.Load(), Forks: in.nForks.Load(), Refused: in.nRefused.Load(), Dropped: in.nDropped.Load(),
		Failed: in.nFailed.Load(), Scattered: in.nScattered.Load(), Receipts: in.nReceipts.Load(), Beats: in.nBeats.Load(), Commits: in.nCommits.Load(),
		Visits: in.nVisits.Load(), Again: in.nAgain.Load(), Busy: in.nBusy.Load(),
	}
}

// senders is how many answers are on their way to the broker at once: each
// waits for the broker's acknowledgement.
const senders = 64

// Run takes in messages until ctx ends, then finishes what has been opened and
// returns nil. It returns an error if the broker refuses the subscriptions.
func (in *Ingest) Run(ctx context.Context) error {
	subscriptions := []struct {
		filter string
		take   func(message)
	}{
		{wire.Filter(group, wire.UpBatch), in.queue(in.batches.put)},
		{wire.Filter(group, wire.UpBeat), in.queue(in.beats.put)},
		// Retained messages do not come through a shared subscription.
		{wire.Filter("", wire.Status), in.takeStatus},
	}
	if in.o.Deaf {
		subscriptions = nil
	}
	for _, s := range subscriptions {
		if err := in.Link.Subscribe(ctx, s.filter, in.receive(s.take)); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("ingest: subscribe to %s: %w", s.filter, err)
		}
	}
	var workers sync.WaitGroup
	for range in.o.Workers {
		workers.Go(func() { in.work(ctx) })
	}
	tasks := new(errgroup.Group)
	tasks.Go(func() error { // the committer ends when no worker can hand it anything
		workers.Wait()
		in.opened.close()
		return nil
	})
	committed := make(chan struct{})
	tasks.Go(func() error { defer close(committed); in.commitAll(ctx); return nil })
	out, stop := context.WithCancel(context.WithoutCancel(ctx)) // answers outlive the request to end
	var answering sync.WaitGroup
	for range senders {
		answering.Go(func() { in.send(out, committed) })
	}
	answered := make(chan struct{})
	tasks.Go(func() error { answering.Wait(); close(answered); return nil })
	tasks.Go(func() error {
		defer stop()
		<-ctx.Done()
		select {
		case <-answered:
		case <-time.After(lastWords): // the broker is silent; the batches come again
		}
		return nil
	})
	tasks.Go(func() error { in.answerBeats(ctx); return nil })
	for range listSenders {
		tasks.Go(func() error { in.sendLists(ctx); return nil })
	}
	tasks.Go(func() error { in.keepPresences(ctx); return nil })
	tasks.Go(func() error { in.tidy(ctx); return nil })
	return tasks.Wait()
}

// receive returns what the link calls with each message. It must not wait, and
// so must not take.
func (in *Ingest) receive(take func(message)) func(string, []byte) {
	return func(topic string, payload []byte) {
		kiosk, _, err := wire.ParseTopic(topic)
		if err != nil {
			in.refuse("", "message", err)
			return
		}
		take(message{kiosk, payload, in.now()})
	}
}

// queue returns a take that drops what finds no room: it comes again.
func (in *Ingest) queue(put func(message) bool) func(message) {
	return func(m message) {
		if !put(m) {
			in.nDropped.Add(1)
		}
	}
}

func (in *Ingest) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-in.batches.messages:
			in.batches.took(m)
			d, err := in.open(ctx, m)
			switch {
			case err == nil:
				in.opened.put(d)
			case ctx.Err() == nil:
				in.refuse(m.kiosk, "batch", err)
			}
		}
	}
}

func (in *Ingest) refuse(kiosk, what string, err error) {
	if untold, due := in.grudges.add(grudge{kiosk, what}, in.now()); due {
		in.log.Warn(what+" refused", "kiosk", kiosk, "err", err, "more_before", untold)
	}
	in.nRefused.Add(1) // after its line, which who sees the number looks for
}

// Times for one answer to reach the broker, and for all when Run is to end.
const (
	sendTimeout = 10 * time.Second
	lastWords   = 10 * time.Second
)

// send publishes answers until there will be no more. A receipt that is lost
// comes again with the repeated batch that asks for it.
func (in *Ingest) send(ctx context.Context, committed <-chan struct{}) {
	for {
		select {
		case a := <-in.answers:
			in.publish(ctx, a)
		case <-committed:
			for {
				select {
				case a := <-in.answers:
					in.publish(ctx, a)
				default:
					return
				}
			}
		}
	}
}

func (in *Ingest) publish(ctx context.Context, a answer) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	topic, payload := a()
	if err := in.Link.Publish(ctx, topic, payload, false); err != nil {
		in.log.Debug("answer not sent", "topic", topic, "err", err)
	}
}

// tidyEvery is how often the store is asked for what it has put off: filing
// check-ins, dating them again.
const tidyEvery = time.Second

func (in *Ingest) tidy(ctx context.Context) {
	each(ctx, tidyEvery, func() {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = in.Store.Tidy(ctx); err != nil && ctx.Err() == nil {
				in.log.Warn("store not tidied", "err", err, "retry_in", tidyEvery)
			}
		}
	})
}

// each calls fn after every interval until ctx ends.
func each(ctx context.Context, interval time.Duration, fn func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}
