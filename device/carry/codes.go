package carry

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/reel"
	"github.com/qrgate/qrgate/sync/words"
)

const (
	codesLast = 3 * time.Minute // the same codes are shown for so long, though more has come
	codesMost = 48 << 10        // bytes at once: a minute before a telephone; what is left comes after the receipt
)

// Codes carry check-ins through the screen, and receipts through a scanner or camera.
// They are safe for concurrent use.
type Codes struct {
	log  *slog.Logger
	came chan []byte

	mu    sync.Mutex
	door  Door
	may   func() bool
	shown string
	since time.Time
	taken time.Time // when receipts were
}

// NewCodes returns codes that carry nothing yet.
func NewCodes(log *slog.Logger) *Codes { return &Codes{log: log, came: make(chan []byte, 1)} }

// Use says whose check-ins they are, and when they may be shown: while somebody who
// looks after the kiosk stands before it.
func (c *Codes) Use(d Door, may func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.door, c.may = d, may
}

// Source gives what s reads but for codes of receipts, which it keeps.
func (c *Codes) Source(s scan.Source) scan.Source { return &filter{Source: s, codes: c} }

type filter struct {
	scan.Source
	codes  *Codes
	reader reel.Reader
}

func (f *filter) Next(ctx context.Context) (scan.Scan, error) {
	for {
		s, err := f.Source.Next(ctx)
		if err != nil || !reel.Is(s.Text) {
			return s, err
		}
		whole, err := f.reader.Add(strings.TrimSpace(s.Text))
		if err != nil {
			return s, nil // for the door, which refuses it before whoever held it up
		}
		if whole != nil {
			select {
			case f.codes.came <- whole:
			default: // the same are being taken
			}
		}
	}
}

// Run takes receipts until ctx ends. It returns an error only when the outbox can no
// longer record.
func (c *Codes) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case whole := <-c.came:
			c.mu.Lock()
			door := c.door
			c.mu.Unlock()
			r, err := door.TakeBundle(ctx, bytes.NewReader(whole))
			switch {
			case errors.Is(err, outbox.ErrBroken):
				return err
			case ctx.Err() != nil:
				return nil
			case r.Damaged != nil:
				c.log.Warn("receipts shown as codes not read", "err", r.Damaged)
				continue
			}
			c.log.Info("receipts shown as codes", "receipts", r.Receipts, "beside", r.Beside, "refused", r.Refused)
			c.mu.Lock()
			c.shown, c.taken = "", time.Now()
			c.mu.Unlock()
		}
	}
}

// Show returns the codes to show now, one a line, or "" if nothing waits or nobody may.
func (c *Codes) Show() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.may == nil || c.door.Queue.Stats().Unsent == 0 || !c.may() {
		c.shown = ""
		return ""
	}
	if c.shown != "" && time.Since(c.since) < codesLast {
		return c.shown
	}
	var b bytes.Buffer
	d := c.door
	if err := deliver.WriteBundle(&b, d.Kiosk, some(deliver.Envelopes(d.Kiosk, d.Key, d.Queue))); err != nil {
		c.log.Warn("no codes of check-ins", "err", err)
		return ""
	}
	c.shown, c.since = strings.Join(reel.Cut(b.Bytes()), "\n"), time.Now()
	return c.shown
}

// some are the first envelopes, as many as are shown at once.
func some(all iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		size := 0
		for e, err := range all {
			if size += len(e); size > codesMost && size > len(e) || !yield(e, err) {
				return
			}
		}
	}
}

// Ask returns what is said beside the codes, "" while none are shown.
func (c *Codes) Ask() (vi, en string) {
	if c.Show() == "" {
		return "", ""
	}
	return words.Of(words.Vietnamese, words.CarryCodes, "count", c.waiting()), words.Of(words.English, words.CarryCodes, "count", c.waiting())
}

// Notice is what is said of receipts that were taken a moment ago.
func (c *Codes) Notice(lang words.Lang) string {
	c.mu.Lock()
	recent := !c.taken.IsZero() && time.Since(c.taken) < doneFor
	c.mu.Unlock()
	if !recent {
		return ""
	}
	return words.Of(lang, words.CarryTaken, "count", c.waiting())
}

func (c *Codes) waiting() string { return strconv.FormatUint(c.door.Queue.Stats().Unsent, 10) }
