package agent

import (
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// An oldest remembers when the oldest record without a receipt was written, so that
// the outbox is asked once for each such record and not at every look.
type oldest struct {
	epoch wire.Epoch
	from  uint64
	found bool
	boot  when.Boot
	since int64
	wall  int64
	clock when.State
}

// age returns the age, in milliseconds, of the first record that peek finds from a
// number on, or 0 if there is none or nobody can tell: of a record of another boot
// only what both boots believed is known.
func (o *oldest) age(peek func(from uint64, max int) (outbox.Run, error), from uint64, now when.Reading) int64 {
	if !o.found || o.from != from {
		run, err := peek(from, 1)
		if err != nil || len(run.Records) == 0 {
			return 0
		}
		_, h, err := wire.DecodeRecord(run.Records[0])
		if err != nil {
			return 0
		}
		*o = oldest{run.Epoch, from, true, h.Boot, h.Since, h.Wall, h.Clock}
	}
	switch {
	case o.boot == now.Boot:
		return max(now.Since-o.since, 0)
	case o.clock < when.Chip || now.State < when.Chip:
		return 0
	}
	return max(now.Wall-o.wall, 0)
}

// forget makes the next call of age ask again: numbers begin anew in each epoch.
func (o *oldest) forget(epoch wire.Epoch) {
	if o.epoch != epoch {
		*o = oldest{}
	}
}
