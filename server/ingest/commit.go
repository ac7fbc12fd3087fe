package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// commitTimeout ends a transaction that the database does not. It is not cut
// short when the server is asked to end.
const commitTimeout = time.Minute

// commitAll commits what the workers have opened until they end.
func (in *Ingest) commitAll() {
	for first := range in.opened {
		all := []*delivery{first}
		n := len(first.records)
	more:
		for n < in.o.Group {
			select {
			case d, ok := <-in.opened:
				if !ok {
					break more
				}
				all = append(all, d)
				n += len(d.records)
			default:
				break more
			}
		}
		err := in.commit(all)
		if err == nil {
			continue
		}
		if len(all) > 1 {
			in.log.Warn("intake failed, batches are tried one by one", "err", err, "batches", len(all))
			for _, d := range all {
				if err := in.commit([]*delivery{d}); err != nil {
					in.fail(d, err)
				}
			}
			continue
		}
		in.fail(first, err)
	}
}

// fail leaves a batch unanswered. It comes again.
func (in *Ingest) fail(d *delivery, err error) {
	in.nFailed.Add(1)
	in.log.Error("batch not stored", "kiosk", d.batch.Kiosk, "epoch", d.batch.Epoch, "first", d.batch.First, "err", err)
}

// An intake is what one transaction has come to, until it is committed.
type intake struct {
	in  *Ingest
	t   *store.Intake
	now time.Time

	fresh    map[identity]person
	receipts map[*store.Epoch]*wire.Receipt
	rejects  map[*store.Epoch][]wire.Reject
	counts   map[string]int
	seen     []store.Sighting

	batches, checkins, repeated, rejected, late, forks, scattered uint64
}

// commit takes deliveries into one transaction and answers them.
func (in *Ingest) commit(all []*delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	kiosks := make([]string, len(all))
	for i, d := range all {
		kiosks[i] = d.batch.Kiosk
	}
	var k *intake
	err := in.Store.Intake(ctx, kiosks, func(t *store.Intake) error {
		k = &intake{
			in: in, t: t, now: in.now(), fresh: map[identity]person{}, receipts: map[*store.Epoch]*wire.Receipt{},
			rejects: map[*store.Epoch][]wire.Reject{}, counts: map[string]int{},
		}
		for _, d := range all {
			if err := k.take(d); err != nil {
				return fmt.Errorf("kiosk %s, epoch %s, from %d: %w", d.batch.Kiosk, d.batch.Epoch, d.batch.First, err)
			}
		}
		for e := range k.receipts {
			r := e.Ledger.Receipt(e.Book.Kiosk, e.ID, e.Safe)
			r.Generation = t.Generation
			r.Rejects = k.rejects[e]
			k.receipts[e] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	in.nCommits.Add(1)
	in.nBatches.Add(k.batches)
	in.nCheckins.Add(k.checkins)
	in.nRepeated.Add(k.repeated)
	in.nRejected.Add(k.rejected)
	in.nLate.Add(k.late)
	in.nForks.Add(k.forks)
	in.nScattered.Add(k.scattered)
	in.known.add(k.fresh)
	for _, r := range k.receipts {
		in.sendReceipt(r)
	}
	in.Feed.Stored(k.counts, k.seen)
	return nil
}

// sendReceipt signs a receipt for what is committed.
func (in *Ingest) sendReceipt(r *wire.Receipt) {
	r.Time = in.now().UnixMilli()
	in.answer(wire.Topic(r.Kiosk, wire.DownReceipt), r.Seal(in.Sign.ID, in.Sign.Key))
	in.nReceipts.Add(1)
}

// take enters one delivery.
func (k *intake) take(d *delivery) error {
	b := d.batch
	book := k.t.Book(b.Kiosk)
	if book == nil || book.Revoked {
		k.in.refuse(b.Kiosk, "batch", qrgate.ErrRevoked)
		return nil
	}
	e, err := book.Epoch(b.Epoch)
	if err != nil {
		return err
	}
	taken, err := e.Ledger.Take(b, func(from, to uint64) ([]wire.Digest, error) { return k.t.Known(e, from, to) })
	if errors.Is(err, deliver.ErrScattered) {
		k.scattered++
		return nil
	}
	if err != nil {
		return err
	}
	e.Touch(k.now)
	k.receipts[e] = nil
	k.batches++
	k.repeated += uint64(len(d.records) - len(taken.Fresh))
	if taken.Fork {
		k.forks++
		return nil
	}
	came := make(map[int]bool, len(taken.Carried)) // under a later epoch already
	for _, i := range taken.Carried {
		came[i] = true
	}
	// All of the batch's times are noted before any record is dated by them.
	if err := k.note(d, e, taken.Fresh); err != nil {
		return err
	}
	for _, i := range taken.Fresh {
		if err := k.enter(&d.records[i], e, b.First+uint64(i), came[i]); err != nil {
			return err
		}
	}
	return nil
}

// written returns the epoch in which r was first written.
func (k *intake) written(r *record, under *store.Epoch) (*store.Epoch, error) {
	if r.origin == nil {
		return under, nil
	}
	return under.Book.Epoch(*r.origin)
}

// note tells the store of the boots and anchors in fresh records.
func (k *intake) note(d *delivery, under *store.Epoch, fresh []int) error {
	var span when.Span
	var of *store.Epoch
	flush := func() {
		if of != nil {
			span.Arrived, span.ArrivedSince = k.now.UnixMilli(), span.End
			k.t.Seen(of, span)
		}
	}
	for _, i := range fresh {
		r := &d.records[i]
		if r.reject != wire.NoReason {
			continue
		}
		e, err := k.written(r, under)
		if err != nil {
			return err
		}
		h := &r.header
		if of == e && span.Boot == h.Boot {
			span.First, span.Last = min(span.First, h.Seq), max(span.Last, h.Seq)
			span.Start, span.End = min(span.Start, h.Since), max(span.End, h.Since)
		} else {
			flush()
			of, span = e, when.Span{Boot: h.Boot, First: h.Seq, Last: h.Seq, Start: h.Since, End: h.Since}
		}
		if a := h.Anchor; a != nil {
			if err := k.t.Anchor(under.Book, when.Anchor{Boot: h.Boot, Since: h.Since, Server: a.Server, Error: a.Error}); err != nil {
				return err
			}
		}
	}
	flush()
	return nil
}

// enter stores one record that was not held before.
func (k *intake) enter(r *record, under *store.Epoch, seq uint64, came bool) error {
	if r.reject != wire.NoReason {
		return k.reject(r, under, seq)
	}
	written, err := k.written(r, under)
	if err != nil {
		return err
	}
	if written != under {
		written.Ledger.Carry(r.header.Seq)
		written.Touch(k.now)
	}
	switch r.header.Kind {
	case wire.KindOpened:
		if r.origin == nil {
			return under.Opened(*r.header.Opened, k.now)
		}
		return nil
	case wire.KindAnchor:
		return nil // noted
	}
	bounds := store.Clamp(written.Boots.Bounds(r.header.Boot, r.header.Since), k.now.UnixMilli())
	row := store.Row{
		Under: under, Written: written, Header: r.header, Digest: r.digest, Day: qrgate.DayOfMilli(bounds.Latest),
		When: bounds, Received: k.now, Twice: came || written != under,
	}
	if row.Day < qrgate.DayOf(k.now.Add(-k.in.o.Retention)) {
		return k.drop(under)
	}
	if r.who != nil {
		who, err := k.person(r)
		if err != nil {
			return err
		}
		subject, err := k.in.Vault.Subject(row.Day, who)
		if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrDay) {
			return k.drop(under)
		}
		if err != nil {
			return err
		}
		row.Subject = &subject
	}
	k.t.Add(row)
	k.checkins++
	k.counts[under.Book.Kiosk]++
	k.see(&row)
	return nil
}

// seenMax is how many of a transaction's rows the feed is told of.
const seenMax = 50

// see remembers the newest rows for the feed.
func (k *intake) see(r *store.Row) {
	if len(k.seen) == 2*seenMax {
		k.seen = k.seen[:copy(k.seen, k.seen[seenMax:])]
	}
	h := &r.Header
	k.seen = append(k.seen, store.Sighting{
		Kiosk: r.Under.Book.Kiosk, Place: r.Under.Book.Place, Gate: h.Gate, Direction: h.Direction, Pass: h.Pass,
		Verdict: h.Verdict, Reason: h.Reason, Said: h.Wall, Earliest: r.When.Earliest, Latest: r.When.Latest, Received: r.Received.UnixMilli(),
	})
}

// person returns who holds the identity of r, somebody new if nobody does.
func (k *intake) person(r *record) (person, error) {
	if who, ok := k.fresh[*r.who]; ok {
		return who, nil
	}
	if who, ok := k.in.known.get(*r.who); ok {
		return who, nil
	}
	who, isNew, err := k.t.Person(*r.who, vault.NewPerson)
	if err != nil {
		return 0, err
	}
	k.fresh[*r.who] = who
	if !isNew || r.detail == nil {
		return who, nil
	}
	wrapped := k.in.Vault.NewPersonKey(who)
	sealed, err := k.in.Vault.SealDetail(who, wrapped, detailPass, wire.Encode(*r.detail))
	if err != nil {
		return 0, err
	}
	return who, k.t.Detail(who, wrapped, sealed)
}

// detailPass is the field name of what a foreign pass said of a person.
const detailPass = "pass"

// drop counts a check-in that came after the end of its retention: it is held,
// and receipted, and nothing is kept of it.
func (k *intake) drop(under *store.Epoch) error {
	under.Late()
	k.late++
	return nil
}

func (k *intake) reject(r *record, under *store.Epoch, seq uint64) error {
	k.rejected++
	if n := len(k.rejects[under]); n < wire.MaxReceiptRejects {
		k.rejects[under] = append(k.rejects[under], wire.Reject{Seq: seq, Reason: r.reject})
	}
	return k.t.Reject(under, seq, r.reject, r.raw, k.now)
}
