package card

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal/page"
)

// Limits of printing in the background.
const (
	atOnce  = 2           // jobs that draw; a job takes one processor
	perUser = 3           // files that one account has at a time
	maxJobs = 40          // that are drawn, wait or lie ready
	keptFor = time.Hour   // that a file waits to be fetched
	maxRun  = time.Hour   // of one job
	retryIn = time.Minute // of whoever comes when too many are under way
)

// errBusy means that too much is being printed.
var errBusy = errors.New("card: too many files are being made")

// jobs are files that are being made or wait to be fetched. They hold names, so
// they have no name themselves: each is an open file that no folder lists, gone with
// the process, and after an hour.
type jobs struct {
	log  *slog.Logger
	now  func() time.Time
	seat chan struct{}

	mu   sync.Mutex
	byID map[string]*job
	last uint64 // number of the latest
}

func newJobs(log *slog.Logger, now func() time.Time) *jobs {
	return &jobs{log: log, now: now, seat: make(chan struct{}, atOnce), byID: map[string]*job{}}
}

// A job is one file. Writing to it writes the file.
type job struct {
	id      string
	no      uint64 // in the order in which jobs were started
	account string
	back    string // the page that it was started from
	total   int
	made    time.Time
	done    atomic.Int64
	signing atomic.Bool // whoever signs is waited for
	cancel  context.CancelFunc

	mu     sync.Mutex
	f      *os.File
	size   int64
	over   bool
	failed error
}

// Write implements [io.Writer] for who makes the file.
func (j *job) Write(b []byte) (int, error) { return j.f.Write(b) }

// start makes a file in the background.
func (js *jobs) start(account, back string, total int, make func(context.Context, *job) error) (*job, error) {
	js.sweep()
	js.mu.Lock()
	defer js.mu.Unlock()
	own := 0
	for _, j := range js.byID {
		if j.account == account {
			own++
		}
	}
	if own >= perUser {
		js.dropOldest(account)
	}
	if len(js.byID) >= maxJobs {
		return nil, page.Busy{Err: errBusy, After: retryIn}
	}
	f, err := page.Unnamed()
	if err != nil {
		return nil, err
	}
	var id [16]byte
	rand.Read(id[:])
	// Whoever asked has gone on to the next page. A server that ends does not wait:
	// what is lost can be made again.
	ctx, cancel := context.WithTimeout(context.Background(), maxRun)
	js.last++
	j := &job{no: js.last, id: hex.EncodeToString(id[:]), account: account, back: back, total: total, made: js.now(), cancel: cancel, f: f}
	js.byID[j.id] = j
	go func() {
		defer cancel()
		select {
		case js.seat <- struct{}{}:
			defer func() { <-js.seat }()
			if err := j.end(make(ctx, j)); err != nil && ctx.Err() == nil {
				js.log.Error("cards not printed", "back", j.back, "err", err)
			}
		case <-ctx.Done():
			j.end(ctx.Err())
		}
	}()
	return j, nil
}

func (j *job) end(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.size, err = j.f.Seek(0, io.SeekEnd)
	}
	j.over, j.failed = true, err
	if errors.Is(err, issue.ErrBatchQuota) || errors.Is(err, issue.ErrDayQuota) {
		return nil // nobody has to be woken for that
	}
	return err
}

// why returns the key of what is to be said of a job that failed.
func (j *job) why() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.failed == nil:
		return ""
	case errors.Is(j.failed, issue.ErrBatchQuota):
		return "card.job.batch_quota"
	case errors.Is(j.failed, issue.ErrDayQuota):
		return "card.job.day_quota"
	}
	return "card.job.failed"
}

func (j *job) state() (ready, failed bool, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.over && j.failed == nil, j.failed != nil, j.size
}

// file returns the file once it is whole, else nil.
func (j *job) file() (*os.File, int64) {
	if ready, _, size := j.state(); ready {
		return j.f, size
	}
	return nil, 0
}

func newReader(f *os.File, size int64) io.ReadSeeker { return io.NewSectionReader(f, 0, size) }

func (js *jobs) find(id string) *job {
	js.sweep()
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.byID[id]
}

// sweep closes what has waited long enough.
func (js *jobs) sweep() {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, j := range js.byID {
		if js.now().Sub(j.made) > keptFor {
			js.drop(j)
		}
	}
}

func (js *jobs) dropOldest(account string) {
	var oldest *job
	for _, j := range js.byID {
		if j.account == account && (oldest == nil || j.no < oldest.no) {
			oldest = j
		}
	}
	js.drop(oldest)
}

// drop forgets a job. Its file is closed by whoever uses it last: the runtime closes
// a file that nobody holds.
func (js *jobs) drop(j *job) {
	j.cancel()
	delete(js.byID, j.id)
}
