package deliver

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// ErrForeign is returned for a bundle of another kiosk.
var ErrForeign = errors.New("bundle of another kiosk")

// ReadReceipts reads a bundle of receipts for kiosk, and of what comes beside them.
// Nothing in it is verified but its form; what is whole of one that was cut short is
// returned with the error.
func ReadReceipts(r io.Reader, kiosk string) ([][]byte, error) {
	of, envelopes, err := ReadBundle(r)
	if err != nil {
		return nil, err
	}
	if of != kiosk {
		return nil, fmt.Errorf("deliver: bundle of %s: %w", of, ErrForeign)
	}
	var all [][]byte
	size := 0
	for e, err := range envelopes {
		if err != nil {
			return all, err
		}
		if size += len(e); len(all) == maxEnvelopes || size > MaxCarried {
			return all, fmt.Errorf("deliver: bundle of more than %d receipts or %d bytes: %w", maxEnvelopes, MaxCarried, wire.ErrTooLarge)
		}
		all = append(all, e)
	}
	return all, nil
}

// What a kiosk reads of one bundle, which is more than a server signs for one: it bounds
// memory.
const (
	MaxCarried   = 8 << 20 // bytes
	maxEnvelopes = 256 + wire.MaxListParts
)

// Apply verifies a receipt and hands it to the outbox of a kiosk whose [Sender] does
// not run, and returns the server's time in it when it is on disk. A server that
// knows another history is answered by a new epoch, as by a Sender.
func Apply(kiosk string, keys func(id uint32) ed25519.PublicKey, q *outbox.Queue, envelope []byte) (time.Time, error) {
	r, err := wire.OpenReceipt(envelope, kiosk, keys)
	if err != nil {
		return time.Time{}, err
	}
	out, err := q.Apply(r)
	if err == nil {
		err = q.Flush()
	}
	if err == nil && out.Fork {
		err = q.NewEpoch(wire.OpenedFork)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("deliver: receipt: %w", err)
	}
	return time.UnixMilli(r.Time), nil
}
