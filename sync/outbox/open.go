package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// compactOver is the size below which a file is left as it is.
const compactOver = 256 << 10

// batch is the number of records that a file being built takes in one commit, and
// syncEvery the number of commits after which it is synced: what a slow card has yet
// to write at the end must not look like one that hangs.
const (
	batch     = 2048
	syncEvery = 8
)

// Open opens the outbox at path, creates it if there is none, and repairs what
// it finds: a file that fails its check is salvaged, one from another machine
// begins a new epoch, one that is mostly empty is compacted. The error is
// ErrLocked, at once, if another process has the outbox open. Any other error
// means that the disk cannot be used.
func Open(ctx context.Context, path string, o Options) (*Queue, error) {
	if o.Now == nil {
		return nil, errors.New("outbox: Options.Now is missing")
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	o.Limit = max(o.Limit, MinLimit)
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{
		path: path, o: o, changed: make(chan struct{}, 1),
		rejected: map[uint64]wire.Reason{}, letters: map[letterID]struct{}{},
	}
	if o.Check == nil {
		q.o.Check = func(ctx context.Context, path string) error {
			_, err := Verify(ctx, path, q.working)
			return err
		}
	}
	if err := q.acquire(); err != nil {
		return nil, err
	}
	if err := q.start(ctx); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// acquire takes the lock file. bbolt's own lock is on the file that a rebuild
// replaces, so two processes could each hold one of the two.
func (q *Queue) acquire() error {
	f, err := os.OpenFile(q.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("outbox: lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("outbox: %s: %w", q.path, ErrLocked)
		}
		return fmt.Errorf("outbox: lock: %w", err)
	}
	q.lock = f
	return nil
}

func (q *Queue) start(ctx context.Context) error {
	if err := os.Remove(q.path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("outbox: %w", err)
	}
	switch _, err := os.Lstat(q.path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := q.create(); err != nil {
			return fmt.Errorf("outbox: create: %w", err)
		}
	case err != nil:
		return fmt.Errorf("outbox: %w", err)
	default:
		err := q.o.Check(ctx, q.path)
		if err == nil {
			err = q.load()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("outbox: open: %w", ctx.Err())
		}
		if errors.Is(err, ErrLocked) {
			return err
		}
		if err != nil {
			q.o.Log.Error("outbox damaged", "err", err)
			if err := q.salvage(); err != nil {
				return fmt.Errorf("outbox: salvage: %w", err)
			}
		}
	}
	return q.settleIn()
}

// settleIn brings a sound file up to date with the machine that it is in.
func (q *Queue) settleIn() error {
	switch id := q.o.Identity; {
	case id == "" || id == q.s.Identity:
	case q.s.Identity == "":
		q.s.Identity, q.noted = id, true
	default:
		q.o.Log.Warn("outbox moved to another machine or card", "epoch", q.s.Epoch)
		if err := q.rebuild(wire.OpenedMoved); err != nil {
			return fmt.Errorf("outbox: moved: %w", err)
		}
	}
	if q.high > compactOver && q.used < q.high/2 {
		if err := q.compact(); err != nil {
			if q.broken != nil {
				return fmt.Errorf("outbox: compact: %w", err)
			}
			// A card too full for a copy still takes records.
			q.o.Log.Warn("outbox not compacted", "err", err)
		}
	}
	q.unmapPages()
	q.publish()
	return nil
}

// load opens the file that stands at path and reads its state.
func (q *Queue) load() error {
	db, file, err := openBolt(q.path, q.o.NoSync)
	if err != nil {
		return err
	}
	var s state
	letters := map[letterID]struct{}{}
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			for _, name := range []string{contextsBucket, lettersBucket, recordsBucket, stateBucket} {
				if tx.Bucket([]byte(name)) == nil {
					return fmt.Errorf("outbox: no bucket %s", name)
				}
			}
			if s, err = unframeState(stateKey(), tx.Bucket([]byte(stateBucket)).Get(stateKey())); err != nil {
				return err
			}
			return tx.Bucket([]byte(lettersBucket)).ForEach(func(k, v []byte) error {
				d, err := unframeLetter(k, v)
				letters[letterID{d.Epoch, d.Seq}] = struct{}{}
				return err
			})
		})
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	q.swap.Lock()
	q.db, q.file = db, file
	q.swap.Unlock()
	q.s, q.letters, q.ranges, q.noted, q.reserved = s, letters, nil, false, 0
	clear(q.rejected)
	err = q.measure()
	q.publish()
	return err
}

// openBolt opens or creates a database. The free list is not stored: after a
// long outage it would be larger than all else that a commit writes.
func openBolt(path string, noSync bool) (db *bbolt.DB, file *os.File, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        100 * time.Millisecond,
			PageSize:       pageSize,
			NoFreelistSync: true,
			NoSync:         noSync,
			OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
				file, err = os.OpenFile(name, flag, perm)
				return file, err
			},
		})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, fmt.Errorf("outbox: %s: %w", path, ErrLocked)
	case err != nil:
		if file != nil {
			file.Close() // an Open that panicked holds its lock otherwise
		}
		return nil, nil, fmt.Errorf("outbox: open: %w", err)
	}
	db.AllocSize = growStep
	return db, file, nil
}

func (q *Queue) create() error {
	return q.replace(state{}, func(b *builder) error {
		return b.open(wire.Opened{By: wire.OpenedNew})
	})
}

// rebuild begins a new epoch from the open file.
func (q *Queue) rebuild(by wire.OpenedBy) error {
	return q.fromOpen(func(c *contents, b *builder) error { return b.carry(c, by) })
}

// compact writes the same epoch into a smaller file.
func (q *Queue) compact() error {
	from, size := q.s, q.high
	err := q.fromOpen(func(c *contents, b *builder) error { return b.copy(c) })
	if err == nil {
		q.o.Log.Info("outbox compacted", "records", from.Last-from.First+1, "bytes", size, "now", q.high)
	}
	return err
}

// fromOpen builds a new file from the open one and goes on with it.
func (q *Queue) fromOpen(fill func(c *contents, b *builder) error) error {
	return q.replace(q.s, func(b *builder) error {
		return q.db.View(func(tx *bbolt.Tx) error {
			c, err := held(tx, q.s)
			if err != nil {
				return err
			}
			return fill(c, b)
		})
	})
}

// replace builds a file beside path, gives it path's name and opens it. Before
// the rename an error leaves all as it was.
func (q *Queue) replace(from state, fill func(b *builder) error) error {
	built := q.path + ".new"
	err := guard(func() error {
		b, err := newBuilder(q, built, from)
		if err != nil {
			return err
		}
		return b.finish(fill(b))
	})
	if err != nil {
		_ = os.Remove(built) // or the next Open does it
		return err
	}
	return q.adopt(built)
}

// adopt gives a finished file path's name and opens it. From here on an error
// breaks the queue: which of the two files a restart finds is open.
func (q *Queue) adopt(built string) error {
	err := os.Rename(built, q.path)
	if err == nil {
		err = q.syncDir()
	}
	if err == nil {
		q.swap.Lock()
		err = q.closeFile()
		q.swap.Unlock()
	}
	if err == nil {
		err = q.load()
	}
	if err != nil {
		q.broken = err
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

// syncDir makes names in the outbox's folder durable.
func (q *Queue) syncDir() error {
	if q.o.NoSync {
		return nil
	}
	d, err := os.Open(filepath.Dir(q.path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
