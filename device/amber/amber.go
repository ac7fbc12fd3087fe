// Package amber sees that the ledger has a record of everybody whom a door let in on
// amber, because it could not record them then: that somebody came, when, and not who.
//
//	a := amber.Open(path, boot, log) // before the ledger is opened
//	a.Add(header)                    // for each whom the door could not record
//	err := a.Begin(queue)            // before anything else is put into the ledger
//	err = a.Run(ctx, queue)          // puts them there as soon as it has room again
//	err = a.Save()                   // where there is no ledger to put them into
//
// The promise: once Save has returned nil, each of them gets one record, power cuts or
// not, with the time at which they came. Where the boot in which they came can have no
// place among those of the ledger, which dates its records by that order, they are counted
// in [Account.Lost] instead.
//
// Those who are waiting are in one file, which [Account] alone writes, while the disk takes
// it. A disk that takes nothing until the power is cut takes them along.
package amber

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// Max is how many people may wait for their record: more than come to a lane in a
	// day. Beats alone count those beyond.
	Max = 20_000

	// lookEvery is how often it is tried to write what is new, and what a power cut takes.
	lookEvery = 20 * time.Second
)

// An Account is of the people who wait for their record. [Account.Add] is safe for
// concurrent use; all else is for one goroutine.
type Account struct {
	path string
	boot when.Boot
	log  *slog.Logger

	mu      sync.Mutex
	is      file
	changed bool // since it was written
	full    bool // it was said that there are too many
	unkept  bool // and that the disk does not take them
	lost    uint64
}

// A file is what is kept. Nobody in it has a record in Epoch that is numbered After or
// lower.
type file struct {
	V      uint8         `cbor:"1,keyasint"`
	Epoch  wire.Epoch    `cbor:"2,keyasint"` // zero where no ledger could be opened
	After  uint64        `cbor:"3,keyasint"`
	People []wire.Header `cbor:"4,keyasint"` // without their numbers, in the order in which they came
}

const version = 1

// Open reads who waits at path, for a machine in the given boot. A file that is missing,
// damaged or cannot be read is nobody.
func Open(path string, boot when.Boot, log *slog.Logger) *Account {
	a := &Account{path: path, boot: boot, log: log}
	damaged, err := durable.Read(path, a.read)
	if err := errors.Join(damaged, err); err != nil {
		log.Error("who was let in unrecorded before this start is not known", "err", err)
		a.is = file{}
	}
	return a
}

func (a *Account) read(b []byte) error {
	if err := cbor.Unmarshal(b, &a.is); err != nil {
		return err
	}
	bad := func(h wire.Header) bool {
		return h.Kind != wire.KindCheckin || h.Verdict != wire.Unrecorded || h.Since < 0
	}
	if a.is.V != version || slices.ContainsFunc(a.is.People, bad) {
		return wire.ErrMalformed
	}
	return nil
}

// Add takes the record of somebody whom the door let in on amber, without its number.
func (a *Account) Add(h wire.Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.is.People) < Max:
		a.is.People, a.changed, a.full = append(a.is.People, h), true, false
	case !a.full:
		a.log.Error("too many people wait for their record: those who come now get none", "waiting", Max)
		a.full = true
	}
}

// Lost returns of how many people before this start no record can tell.
func (a *Account) Lost() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

// Begin has the account go on with a ledger into which this start has put nothing yet.
func (a *Account) Begin(q *outbox.Queue) error {
	if err := a.strike(q); err != nil {
		return fmt.Errorf("amber: %w", err)
	}
	if err := a.settle(q); err != nil {
		return fmt.Errorf("amber: %w", err)
	}
	a.follow(q.Stats())
	// One record gives a boot its place before this one; the rest may come at any time.
	placed := map[when.Boot]bool{a.boot: true}
	var rest []wire.Header
	for _, h := range a.is.People {
		if !placed[h.Boot] {
			switch _, err := a.put(q, h); {
			case errors.Is(err, outbox.ErrFull):
			case err != nil:
				return fmt.Errorf("amber: %w", err)
			default:
				placed[h.Boot] = true
				continue
			}
		}
		rest = append(rest, h)
	}
	if len(rest) < len(a.is.People) {
		a.is.People, a.changed = rest, true
	}
	a.lose(func(h wire.Header) bool { return !placed[h.Boot] })
	return nil
}

// strike takes out whose record is in the ledger, though a power cut came before that was
// written down. An epoch that is not the file's may have carried it over.
func (a *Account) strike(q *outbox.Queue) error {
	s := q.Stats()
	if len(a.is.People) == 0 {
		return nil
	}
	from := s.First
	if a.is.Epoch == s.Epoch {
		from = a.is.After + 1
	}
	for from <= s.Last {
		run, err := q.Peek(from, wire.MaxBatchRecords)
		if err != nil || len(run.Records) == 0 {
			return err
		}
		for _, b := range run.Records {
			_, h, err := wire.DecodeRecord(b)
			if err != nil || h.Verdict != wire.Unrecorded {
				continue
			}
			if i := slices.IndexFunc(a.is.People, func(p wire.Header) bool { return p.Boot == h.Boot && p.Since == h.Since }); i >= 0 {
				a.is.People, a.changed = slices.Delete(a.is.People, i, i+1), true
			}
		}
		from = run.End() + 1
	}
	return nil
}

// settle has people who came while no ledger could be opened wait for this one, if its epoch
// began before this boot: else its first record is of this boot, or all that it holds.
func (a *Account) settle(q *outbox.Queue) error {
	if a.is.Epoch != (wire.Epoch{}) {
		return nil
	}
	s := q.Stats()
	for _, seq := range []uint64{s.First, s.Last} {
		run, err := q.Peek(seq, 1)
		if err != nil || len(run.Records) == 0 {
			return err
		}
		if _, h, err := wire.DecodeRecord(run.Records[0]); err != nil || h.Boot == a.boot {
			return err
		}
	}
	a.is.Epoch, a.is.After = s.Epoch, s.Last
	return nil
}

// follow notes that nobody's record comes before what the ledger holds now. One that has
// begun meanwhile began in this boot: no other has a place before it.
func (a *Account) follow(s outbox.Stats) {
	if s.Epoch != a.is.Epoch {
		a.lose(func(h wire.Header) bool { return h.Boot != a.boot })
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = a.changed || s.Epoch != a.is.Epoch
	a.is.Epoch, a.is.After = s.Epoch, s.Last
}

// lose gives up whoever can have no record any more.
func (a *Account) lose(who func(wire.Header) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.is.People)
	a.is.People = slices.DeleteFunc(a.is.People, who)
	if n -= len(a.is.People); n > 0 {
		a.lost, a.changed = a.lost+uint64(n), true
		a.log.Error("no record can tell when people came who were let in unrecorded", "people", n)
	}
}

// errEpoch says that the ledger has begun another epoch.
var errEpoch = errors.New("another epoch has begun")

func (a *Account) put(q *outbox.Queue, h wire.Header) (uint64, error) {
	return q.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		if epoch != a.is.Epoch {
			return wire.Record{}, wire.Context{}, errEpoch
		}
		h.Seq = seq
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
}

// Run puts people into the ledger until ctx ends, and then writes down who is waiting. An
// error means that the ledger is broken.
func (a *Account) Run(ctx context.Context, q *outbox.Queue) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := a.look(ctx, q); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			a.keep()
			return nil
		case <-tick.C:
		}
	}
}

// keep is Save where a disk that does not take it ends nothing else.
func (a *Account) keep() (kept bool) {
	err := a.Save()
	if err != nil && !a.unkept {
		a.log.Error("who was let in unrecorded is not kept", "err", err)
	}
	a.unkept = err != nil
	return err == nil
}

// look puts into the ledger who is waiting, and writes down who still is.
func (a *Account) look(ctx context.Context, q *outbox.Queue) error {
	a.follow(q.Stats())
	// Whom a power cut would have put twice is written down before.
	if !a.keep() {
		return nil
	}
	a.mu.Lock()
	people := a.is.People
	a.mu.Unlock()
	n := 0
	var err error
	// The room that is left belongs to those who have a name.
	for n < len(people) && ctx.Err() == nil && !q.Stats().Near {
		if _, err = a.put(q, people[n]); err != nil {
			break
		}
		n++
	}
	if n > 0 {
		a.log.Info("people who were let in unrecorded are in the ledger", "people", n)
		a.mu.Lock()
		a.is.People, a.changed = a.is.People[n:], true
		a.mu.Unlock()
	}
	if err != nil && !errors.Is(err, outbox.ErrFull) && !errors.Is(err, errEpoch) {
		return fmt.Errorf("amber: %w", err)
	}
	a.keep()
	return nil
}

// Save writes down who is waiting, unless that is on disk. It returns when a power cut
// does not change it.
func (a *Account) Save() error {
	a.mu.Lock()
	is, changed := a.is, a.changed
	a.changed = false
	a.mu.Unlock()
	if !changed {
		return nil
	}
	err := a.write(is)
	if err != nil {
		a.mu.Lock()
		a.changed = true
		a.mu.Unlock()
		return fmt.Errorf("amber: %w", err)
	}
	return nil
}

func (a *Account) write(is file) error {
	if len(is.People) > 0 {
		is.V = version
		return durable.Replace(a.path, wire.Encode(is))
	}
	if err := os.Remove(a.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(a.path))
}
