package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// Carried says what became of a bundle that somebody carried here.
type Carried struct {
	Kiosk     string // that it claims to be of
	Batches   int    // taken in
	Records   int    // in them
	Fresh     int    // of those, not held before
	Rejected  int    // of those, set aside as dead letters
	Refused   int    // envelopes that do not verify
	Scattered int    // batches too far ahead of others, which must come again
	Fork      bool   // the kiosk's storage was copied or put back; its receipt makes it send again
	Through   uint64 // the kiosk's newest epoch is held up to here

	// Receipts are signed, for the way back. They are few whatever is carried: the
	// last one of each epoch, and each that names rejects.
	Receipts [][]byte
}

// carryAtOnce is how many batches of a bundle are committed together.
const carryAtOnce = 64

// A bearer waits for a batch that was carried here. It has room for the one.
type bearer chan brought

// brought is what became of one batch.
type brought struct {
	fresh, rejected int
	scattered, fork bool
	epoch           wire.Epoch
	receipts        []*wire.Receipt
	err             error
}

// Carry takes in a bundle of batches: the same way as by the link, so that however
// often it comes, by stick and by link, it has one effect. It returns when
// everything that could be taken is committed. Of a bundle that is damaged all
// that verifies is taken and receipted, and the error says what is wrong:
// qrgate.ErrNotFound and qrgate.ErrRevoked of its kiosk, [wire.ErrMalformed] if it
// is no bundle, [io.ErrUnexpectedEOF] if it was cut short. Envelopes that do not
// verify are counted as Refused and hold up no other.
func (in *Ingest) Carry(ctx context.Context, r io.Reader) (Carried, error) {
	kiosk, envelopes, err := deliver.ReadBundle(r)
	if err != nil {
		return Carried{}, fmt.Errorf("ingest: carry: %w", err)
	}
	c := Carried{Kiosk: kiosk}
	if _, err := in.keys.of(ctx, kiosk); err != nil {
		return c, fmt.Errorf("ingest: carry: %w", err)
	}
	last := map[wire.Epoch]*wire.Receipt{}
	var epochs []wire.Epoch // in the order in which they came
	var extra []*wire.Receipt
	take := func(all []*delivery) error {
		for _, d := range all {
			var b brought
			select {
			case b = <-d.bearer:
			case <-ctx.Done():
				return ctx.Err()
			}
			if b.err != nil {
				return b.err
			}
			if b.scattered {
				c.Scattered++
				continue
			}
			c.Batches++
			c.Records += len(d.records)
			c.Fresh += b.fresh
			c.Rejected += b.rejected
			c.Fork = c.Fork || b.fork
			if !slices.Contains(epochs, b.epoch) {
				epochs = append(epochs, b.epoch)
			}
			for _, r := range b.receipts {
				if len(r.Rejects) > 0 && !slices.Contains(extra, r) {
					extra = append(extra, r)
				}
				last[b.epoch] = r
			}
		}
		return nil
	}
	var waiting []*delivery
	var damage error
	for e, err := range envelopes {
		if err != nil {
			damage = err
			break
		}
		d, err := in.open(ctx, message{kiosk, e, in.now()})
		if ctx.Err() != nil {
			return c, fmt.Errorf("ingest: carry: %w", ctx.Err())
		}
		if err != nil {
			if errors.Is(err, qrgate.ErrRevoked) || errors.Is(err, qrgate.ErrNotFound) {
				damage = err
				break
			}
			in.refuse(kiosk, "carried batch", err)
			c.Refused++
			continue
		}
		d.bearer = make(bearer, 1)
		if !in.opened.put(d) {
			return c, fmt.Errorf("ingest: carry: %w", ErrBusy) // the server ends
		}
		if waiting = append(waiting, d); len(waiting) == carryAtOnce {
			if err := take(waiting); err != nil {
				return c, fmt.Errorf("ingest: carry: %w", err)
			}
			waiting = waiting[:0]
		}
	}
	if err := take(waiting); err != nil {
		return c, fmt.Errorf("ingest: carry: %w", err)
	}
	sign := func(r *wire.Receipt) {
		own := *r // others may be waiting for the same
		_, signed := in.receipt(&own)()
		c.Receipts = append(c.Receipts, signed)
	}
	for _, r := range extra {
		if last[r.Epoch] != r {
			sign(r)
		}
	}
	for _, e := range epochs {
		if r := last[e]; r != nil {
			sign(r)
			c.Through = r.Through
		}
	}
	if damage != nil {
		return c, fmt.Errorf("ingest: carry: %w", damage)
	}
	return c, nil
}

// Owed returns receipts of all that is held of a kiosk, signed, for one whose own were
// lost on the way back: one for each of its epochs, the newest at the end. An unknown
// kiosk is qrgate.ErrNotFound.
func (in *Ingest) Owed(ctx context.Context, kiosk string) ([][]byte, error) {
	if _, err := in.keys.of(ctx, kiosk); err != nil {
		return nil, fmt.Errorf("ingest: receipts: %w", err)
	}
	epochs, err := in.Store.EpochsOf(ctx, kiosk)
	if err != nil {
		return nil, fmt.Errorf("ingest: receipts: %w", err)
	}
	all := make([][]byte, 0, len(epochs))
	for _, e := range epochs {
		held, err := in.Store.Held(ctx, kiosk, e)
		if err != nil {
			return nil, fmt.Errorf("ingest: receipts: %w", err)
		}
		r := held.Ledger.Receipt(kiosk, e, held.Safe)
		r.Generation = held.Generation
		_, signed := in.receipt(r)()
		all = append(all, signed)
	}
	return all, nil
}

// A Beside is what a kiosk that has no network lacks beside receipts, signed. A kiosk of
// an earlier release refuses what it does not know and takes the receipts.
type Beside struct {
	Newest []byte   // the word which list of void cards is the newest now; nil: none is known
	List   [][]byte // that list whole, in parts
	Events [][]byte // of its place
}

// Beside returns what is to be carried to a kiosk that has no network.
func (in *Ingest) Beside(kiosk string) (b Beside) {
	if in.Doors != nil {
		b.Events = in.Doors.Whole(kiosk)
	}
	if in.Lists == nil {
		return b
	}
	newest, parts := in.Lists.Whole()
	if newest.Version == 0 {
		return b
	}
	// An answer to no beat: it sets no clock.
	says := wire.BeatAnswer{V: wire.Version, Kiosk: kiosk, List: newest, Time: in.now().UnixMilli()}
	b.Newest, b.List = wire.Seal(wire.ForBeat, in.Sign.ID, in.Sign.Key, says), parts
	return b
}

// tellBearers tells whoever carried batches what became of them, after the commit.
func (k *intake) tellBearers(all []*delivery) {
	if !slices.ContainsFunc(all, func(d *delivery) bool { return d.bearer != nil }) {
		return
	}
	// What goes to the senders is theirs, to put the time in.
	receipts := make([]*wire.Receipt, len(k.receipts))
	for i, r := range k.receipts {
		own := *r
		receipts[i] = &own
	}
	for _, d := range all {
		if d.bearer == nil {
			continue
		}
		b, ok := k.brought[d]
		if !ok {
			b.err = qrgate.ErrRevoked // refused in the transaction: since it was opened
		}
		b.epoch = d.batch.Epoch
		for _, r := range receipts {
			if r.Kiosk == d.batch.Kiosk && r.Epoch == b.epoch {
				b.receipts = append(b.receipts, r)
			}
		}
		d.bearer <- b
	}
}
