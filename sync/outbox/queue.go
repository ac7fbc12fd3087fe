package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Errors that a caller treats differently.
var (
	ErrFull   = errors.New("outbox is full")
	ErrBroken = errors.New("outbox is broken: a write failed, the process must exit")
	ErrLocked = errors.New("outbox is held by another process")
)

// Limits and their defaults.
const (
	DefaultLimit = 1 << 30
	MinLimit     = 4 << 20
	DefaultKeep  = 7 * 24 * time.Hour

	// MaxRecord is the largest encoded record that Put takes: carried over, it
	// must still be one that the wire takes.
	MaxRecord = wire.MaxRecord - 32

	// MaxDeadLetters is the number of rejected records that are kept: a server
	// that rejects everything must not fill a kiosk with what it holds itself.
	MaxDeadLetters = 1000
)

const (
	pageSize  = 4096      // the file moves between kernels of 4 and 16 KiB pages
	slack     = 128 << 10 // more than one commit ever adds at the file's end
	growStep  = 256 << 10
	perPut    = 256  // records that one Put deletes; about 10 leaf pages
	perFlush  = 4096 // records that one commit of Flush deletes
	dropAfter = 8 << 20
)

// Options of a Queue. Now is required.
type Options struct {
	Limit    int64                                        // bytes the file may grow to, and at most 128 KiB more while it is fragmented; 0 is DefaultLimit, less than MinLimit is MinLimit
	Identity string                                       // of the machine and its card; "" is unknown and never compared
	Keep     time.Duration                                // how long a record without a backup is kept after its receipt; 0 is DefaultKeep
	Check    func(ctx context.Context, path string) error // Verify in a child process; nil is in this one
	NoSync   bool                                         // no fsync: only to show that the tests of power cuts would see it
	Log      *slog.Logger                                 // nil is silent
	Working  func()                                       // called again and again while Open or NewEpoch goes through a large file; nil is nobody
	Now      func() when.Reading                          // what the kiosk knows of the time
}

// A Queue is an open outbox. It is safe for concurrent use; writes take turns,
// reads do not wait for them.
type Queue struct {
	path    string
	o       Options
	lock    *os.File
	changed chan struct{}

	mu       sync.Mutex // held by whoever writes
	s        state      // as committed, and with what Apply noted since
	noted    bool       // s has something that is not on disk
	rejected map[uint64]wire.Reason
	letters  map[letterID]struct{}
	ranges   []wire.Range // received beyond s.Through; in ascending order
	used     int64        // bytes of pages in use
	high     int64        // bytes below the file's high-water mark
	reserved int64        // bytes of the file that have their place on the disk
	noAlloc  bool         // the file system cannot allocate ahead
	diskFull bool         // others have filled the disk
	broken   error
	closed   bool

	view   atomic.Pointer[view]
	worked atomic.Int64 // see Worked

	swap sync.RWMutex // held by readers of db, and by who replaces it
	db   *bbolt.DB
	file *os.File     // db's own
	read atomic.Int64 // bytes read through the map since it was last dropped
}

type letterID struct {
	epoch wire.Epoch
	seq   uint64
}

// view is what readers see without waiting for a writer.
type view struct {
	state
	ranges  []wire.Range
	used    int64
	near    bool
	letters int
}

// A Run is consecutive records of one epoch, as a batch carries them.
type Run struct {
	Epoch    wire.Epoch
	First    uint64    // sequence number of Records[0]
	Prev     wire.Hash // the chain before First
	Records  []cbor.RawMessage
	Contexts []wire.Context // of the boxes in Records, as far as held
}

// End returns the sequence number of the last record. A run without records
// ends before it begins.
func (r *Run) End() uint64 { return r.First + uint64(len(r.Records)) - 1 }

// Stats is what a queue tells of itself.
type Stats struct {
	Epoch wire.Epoch
	By    wire.OpenedBy // why the epoch began
	Moved bool          // it began because the storage was copied, restored or put into another machine

	First uint64    // oldest record held; Last+1 if none is
	Last  uint64    // newest record
	Hash  wire.Hash // the chain after Last

	Generation uint64 // of the newest receipt
	Through    uint64 // all up to here have a receipt
	Safe       uint64 // all up to here are in a backup
	Unsent     uint64 // records without a receipt

	Bytes int64 // in use
	Limit int64 // that Bytes may rise to before Put answers ErrFull
	Near  bool  // more than seven eighths of Limit are in use, or others have filled the disk

	Carried uint64 // records taken over when the epoch began
	Lost    uint64 // records known to have been held unconfirmed and not taken over
	Early   uint64 // records with a receipt forgotten for want of space before a backup covered them

	DeadLetters int // of at most MaxDeadLetters
}

// Put stores the record that make returns for the next sequence number of the
// epoch, with the context of its box; a context without Enc means that the
// record has no box. Once Put returns nil, the record is on disk.
//
// An error of make is returned as it is: nothing was stored and the number will
// be given again. ErrFull: nothing was stored and make was not called.
// ErrBroken: the record may or may not be there after a restart; every later
// call fails alike.
func (q *Queue) Put(make func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error)) (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.usable(); err != nil {
		return 0, fmt.Errorf("outbox: put: %w", err)
	}
	if err := q.room(); err != nil {
		return 0, fmt.Errorf("outbox: put: %w", err)
	}
	seq := q.s.Last + 1
	r, c, err := make(q.s.Epoch, seq)
	if err != nil {
		return 0, err
	}
	record := wire.Encode(r)
	if err := fits(record, seq, c); err != nil {
		return 0, fmt.Errorf("outbox: put %d: %w", seq, err)
	}
	if err := q.commit(perPut, func(l *ledger) error { return l.append(record, c) }); err != nil {
		return 0, fmt.Errorf("outbox: put %d: %w", seq, err)
	}
	q.signal()
	return seq, nil
}

// fits refuses a record that a server would refuse: it would be found weeks
// later, when nobody can make it right.
func fits(record []byte, seq uint64, c wire.Context) error {
	if len(record) > MaxRecord {
		return fmt.Errorf("record of %d bytes: %w", len(record), wire.ErrTooLarge)
	}
	r, h, err := wire.DecodeRecord(record)
	if err != nil {
		return err
	}
	if h.Seq != seq || r.Origin != nil {
		return fmt.Errorf("record is numbered %d: %w", h.Seq, wire.ErrMalformed)
	}
	if (len(r.Box) > 0) != (len(c.Enc) > 0) || len(r.Box) > 0 && (r.Context != c.ID || r.Key != c.Key) || len(c.Enc) > maxEnc {
		return fmt.Errorf("box is not of the context: %w", wire.ErrMalformed)
	}
	return nil
}

// Flush writes what Apply noted and deletes what may be forgotten, in commits
// short enough for a Put between them. It writes nothing if there is nothing to
// write, so an idle kiosk may call it as often as it likes.
func (q *Queue) Flush() error {
	for {
		more, err := q.flush()
		if err != nil {
			return fmt.Errorf("outbox: flush: %w", err)
		}
		if !more {
			return nil
		}
	}
}

func (q *Queue) flush() (more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.usable(); err != nil {
		return false, err
	}
	q.s.tick(q.o.Now())
	if upTo, _ := q.floor(); !q.noted && upTo < q.s.First {
		return false, nil
	}
	if err := q.commit(perFlush, nothing); err != nil {
		return false, err
	}
	upTo, _ := q.floor()
	return upTo >= q.s.First, nil
}

func nothing(*ledger) error { return nil }

// settle writes into a transaction what receipts brought since the last: dead
// letters, and the deletion of at most most records.
func (q *Queue) settle(l *ledger, most int) error {
	l.tick(q.o.Now())
	for seq, reason := range q.rejected {
		if err := l.bury(seq, reason); err != nil {
			return err
		}
	}
	upTo, due := q.floor()
	if err := l.forget(upTo, most); err != nil {
		return err
	}
	if early := l.First - 1; early > due {
		l.Early += early - max(due, q.s.First-1)
	}
	return nil
}

// commit runs fn in one transaction on a copy of the state, which also deletes
// at most most records. Its first error is the queue's last: see ErrBroken.
func (q *Queue) commit(most int, fn func(l *ledger) error) error {
	s := q.s.clone()
	err := guard(func() error {
		return q.db.Update(func(tx *bbolt.Tx) error {
			l := newLedger(tx, &s)
			if err := fn(l); err != nil {
				return err
			}
			if err := q.settle(l, most); err != nil {
				return err
			}
			return l.save()
		})
	})
	if err != nil {
		q.broken = err
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	deleted := int64(s.First-q.s.First) * 256
	q.s, q.noted = s, false
	for seq := range q.rejected {
		q.letters[letterID{s.Epoch, seq}] = struct{}{}
	}
	clear(q.rejected)
	if err := q.measure(); err != nil {
		q.broken = err // the record is stored; the next one is not
	}
	q.passed(deleted)
	q.publish()
	return nil
}

// usable returns why the queue can no longer be written.
func (q *Queue) usable() error {
	switch {
	case q.broken != nil:
		return fmt.Errorf("%w: %w", ErrBroken, q.broken)
	case q.closed:
		return os.ErrClosed
	}
	return nil
}

// room makes sure that the next commit finds its pages, deleting what it may. It
// allocates them before bbolt writes: a disk that turns out full inside a commit
// would be a failed write.
func (q *Queue) room() error {
	for q.used > q.budget() {
		if upTo, _ := q.floor(); upTo < q.s.First {
			return ErrFull
		}
		if err := q.commit(perFlush, nothing); err != nil {
			return err
		}
	}
	if q.noAlloc {
		return nil
	}
	fi, err := q.file.Stat()
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	// The size alone proves nothing: bbolt leaves holes at the end of what it builds.
	if min(q.reserved, fi.Size()) >= q.high+slack {
		return nil
	}
	end := max(min(q.high+slack+growStep, q.o.Limit), q.high+slack)
	switch err := unix.Fallocate(int(q.file.Fd()), 0, 0, end); {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return q.roomOnFullDisk(err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		q.noAlloc = true
		return nil
	case errors.Is(err, unix.EINTR):
		return q.room()
	case err != nil:
		q.broken = fmt.Errorf("allocate: %w", err)
		return q.usable()
	}
	if !q.o.NoSync {
		if err := q.file.Sync(); err != nil {
			q.broken = fmt.Errorf("allocate: sync: %w", err)
			return q.usable()
		}
	}
	q.reserved, q.diskFull = end, false
	return nil
}

// roomOnFullDisk makes do with the file's own free pages. What deleting writes
// goes to the rest of what was allocated for the last Put.
func (q *Queue) roomOnFullDisk(cause error) error {
	if !q.diskFull {
		q.diskFull = true
		q.publish()
	}
	for q.free() < 2*slack {
		if upTo, _ := q.floor(); upTo < q.s.First {
			return fmt.Errorf("%w: %w", ErrFull, cause)
		}
		if err := q.commit(perPut, nothing); err != nil {
			return err
		}
	}
	return nil
}

// budget is the most bytes in use at which Put still takes a record. The rest of
// the limit is for deletes, which write before they free, and for receipts.
func (q *Queue) budget() int64 {
	return q.o.Limit - min(q.o.Limit/10, 16<<20)
}

// measure reads how large the file is and how much of it is in use.
func (q *Queue) measure() error {
	err := guard(func() error {
		return q.db.View(func(tx *bbolt.Tx) error {
			q.high = tx.Size()
			return nil
		})
	})
	s := q.db.Stats()
	q.used = q.high - int64(s.FreePageN+s.PendingPageN)*pageSize
	return err
}

func (q *Queue) publish() {
	q.view.Store(&view{state: q.s.clone(), ranges: q.ranges, used: q.used, near: q.near() || q.diskFull, letters: len(q.letters)})
}

// working notes that a long piece of work gets on.
func (q *Queue) working() {
	q.worked.Store(time.Now().UnixNano())
	if q.o.Working != nil {
		q.o.Working()
	}
}

// Worked returns when the queue last got on with going through its file, and the zero
// time if it never did. A Put waits for that as long as it takes: one that waits is
// no sign that the disk hangs.
func (q *Queue) Worked() time.Time {
	if at := q.worked.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

func (q *Queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// Changed returns a channel on which one value waits after a Put or NewEpoch.
func (q *Queue) Changed() <-chan struct{} { return q.changed }

// Peek returns the first held records numbered from or higher: at most max of
// them and [wire.MaxBatchBytes], but one at least. The run is empty if there is
// none.
func (q *Queue) Peek(from uint64, max int) (Run, error) {
	var run Run
	size := 0
	err := q.reading(func(tx *bbolt.Tx) error {
		var s state
		l := newLedger(tx, &s)
		s, err := unframeState(stateKey(), tx.Bucket([]byte(stateBucket)).Get(stateKey()))
		if err != nil {
			return err
		}
		run.Epoch = s.Epoch
		seen := map[uint64]bool{}
		c := l.records.Cursor()
		for k, v := c.Seek(keyOf(from)); k != nil && len(run.Records) < max; k, v = c.Next() {
			e, err := unframeEntry(k, v)
			if err != nil {
				return err
			}
			if size += len(e.record); size > wire.MaxBatchBytes && len(run.Records) > 0 {
				return nil
			}
			if len(run.Records) == 0 {
				run.First = seqOf(k)
				if run.Prev, err = l.hashBefore(run.First); err != nil {
					return err
				}
			}
			run.Records = append(run.Records, append(cbor.RawMessage(nil), e.record...))
			id, err := contextOf(e.record)
			if err != nil {
				return err
			}
			if id == 0 || seen[id] {
				continue
			}
			seen[id] = true
			held, err := l.context(id)
			if err != nil {
				return err
			}
			if held != nil {
				run.Contexts = append(run.Contexts, *held)
			}
		}
		return nil
	})
	q.passed(int64(size))
	if err != nil {
		return Run{}, fmt.Errorf("outbox: peek: %w", err)
	}
	return run, nil
}

// reading runs fn on the newest commit.
func (q *Queue) reading(fn func(tx *bbolt.Tx) error) error {
	q.swap.RLock()
	defer q.swap.RUnlock()
	if q.db == nil {
		return os.ErrClosed
	}
	return guard(func() error { return q.db.View(fn) })
}

// passed counts bytes that were read through the map and at times drops it.
func (q *Queue) passed(n int64) {
	if q.read.Add(n) > dropAfter {
		q.read.Store(0)
		q.unmapPages()
	}
}

// unmapPages gives back the memory of the file's pages that were read: a kiosk
// that sends a day's backlog would otherwise hold all of it. The kernel keeps
// what it likes in its own cache.
func (q *Queue) unmapPages() {
	q.swap.RLock()
	defer q.swap.RUnlock()
	if q.db == nil {
		return
	}
	_ = guard(func() error {
		return q.db.View(func(tx *bbolt.Tx) error {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, q.db.Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
			return nil
		})
	})
}

// guard runs fn on the mapped file. A page that the card cannot read is a fault
// that kills a Go process, unless the goroutine asks for a panic; and bbolt
// itself panics on a page that makes no sense. After a write that failed bbolt
// reads the tree again on a goroutine of its own: if the card cannot do that
// either, the process dies, which is what a broken queue asks for.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("fault: %v", p)
		}
	}()
	return fn()
}

// Stats returns the state after the last write. It never waits.
func (q *Queue) Stats() Stats {
	v := q.view.Load()
	s := Stats{
		Epoch: v.Epoch, By: v.By, Moved: v.By == wire.OpenedMoved,
		First: v.First, Last: v.Last, Hash: v.Hash,
		Generation: v.Generation, Through: v.Through, Safe: v.Safe,
		Unsent: v.Last - v.Through,
		Bytes:  v.used, Limit: q.budget(), Near: v.near,
		Carried: v.Carried, Lost: v.Lost, Early: v.Early,
		DeadLetters: v.letters,
	}
	for _, r := range v.ranges {
		s.Unsent -= r.To - r.From + 1
	}
	return s
}

func (q *Queue) near() bool { return q.used > q.budget()/8*7 }

// free is what the file has of pages that a commit can take.
func (q *Queue) free() int64 { return q.high - q.used }

// tight reports whether records go as soon as they have a receipt. On a full
// disk no more of them go than it takes to put the next.
func (q *Queue) tight() bool { return q.near() || q.diskFull && q.free() < 4*slack }

// Received reports whether the server has said that it holds seq.
func (q *Queue) Received(seq uint64) bool {
	v := q.view.Load()
	if seq <= v.Through {
		return true
	}
	for _, r := range v.ranges {
		if r.From <= seq && seq <= r.To {
			return true
		}
	}
	return false
}

// Close ends the queue. What Apply noted and no Put or Flush wrote comes again
// with the server's next receipt.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.swap.Lock()
	defer q.swap.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	err := errors.Join(q.closeFile(), q.lock.Close())
	if err != nil {
		return fmt.Errorf("outbox: close: %w", err)
	}
	return nil
}

// closeFile closes the database. After a fault inside bbolt the locks of its own
// may be held for ever; then only the file is let go, as the process is about to
// exit.
func (q *Queue) closeFile() error {
	db, file := q.db, q.file
	q.db, q.file = nil, nil
	switch {
	case db == nil:
		return nil
	case q.broken != nil:
		return errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
	}
	return db.Close()
}
