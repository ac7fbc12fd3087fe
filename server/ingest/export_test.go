package ingest

import (
	"context"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// An Opened is a record as the worker hands it to the committer.
type Opened struct {
	Header wire.Header
	Origin *wire.Epoch
	Digest wire.Digest
	Reject wire.Reason
	Named  bool
	Detail *wire.Subject
}

// Open does what a worker does with one message.
func (in *Ingest) Open(ctx context.Context, kiosk string, payload []byte) (*wire.Batch, []Opened, error) {
	d, err := in.open(ctx, message{kiosk: kiosk, payload: payload})
	if err != nil {
		return nil, nil, err
	}
	all := make([]Opened, len(d.records))
	for i, r := range d.records {
		all[i] = Opened{r.header, r.origin, r.digest, r.reject, r.named, r.detail}
	}
	return d.batch, all, nil
}

// VisitKey returns a visit's key as the database has it.
func VisitKey(v Visit) store.VisitKey { return v.key() }
