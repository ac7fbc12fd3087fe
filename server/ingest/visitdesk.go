package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A desk writes down what comes by phone as a kiosk would: in a ledger of its
// own, an epoch and a boot for each process. Only the committer uses it.
type desk struct {
	id      string // the source's, once the store has told it
	epoch   wire.Epoch
	boot    when.Boot
	started time.Time
}

func newDesk(now time.Time) desk {
	d := desk{epoch: wire.NewEpoch(), started: now}
	rand.Read(d.boot[:])
	return d
}

// source returns the id under which visits are stored.
func (in *Ingest) source(ctx context.Context) (string, error) {
	if in.desk.id == "" {
		id, err := in.Store.Phones(ctx, in.o.Server)
		if err != nil {
			return "", err
		}
		in.desk.id = id
	}
	return in.desk.id, nil
}

// answerVisit tells whoever waits for it what became of a visit.
func answerVisit(d *delivery, o outcome) { d.visit.outcome <- o }

// takeVisits enters visits, each of whose people gets the next number of this
// process's ledger.
func (k *intake) takeVisits(all []*delivery) error {
	if len(all) == 0 {
		return nil
	}
	keys := make([]store.VisitKey, len(all))
	for i, d := range all {
		keys[i] = d.visit.key
	}
	if err := k.t.ExpectVisits(keys); err != nil {
		return err
	}
	desk := &k.in.desk
	book := k.t.Book(desk.id)
	if book == nil {
		desk.id = "" // of a database that is not there any more
		return errors.New("nothing stands for phones")
	}
	e, err := book.Epoch(desk.epoch)
	if err != nil {
		return err
	}
	through := e.Ledger.Through()
	if through == 0 {
		if err := e.Opened(wire.Opened{By: wire.OpenedNew}, k.now); err != nil {
			return err
		}
	}
	since := max(k.now.Sub(desk.started).Milliseconds(), 0)
	b := &wire.Batch{
		V: wire.Version, Kiosk: desk.id, Epoch: desk.epoch, First: through + 1, Prev: e.Ledger.Receipt(desk.id, desk.epoch, 0).Hash,
	}
	var rows []store.Row
	for _, d := range all {
		of, err := k.rows(d, e)
		if err != nil {
			return err
		}
		for i := range of {
			h := &of[i].Header
			h.Seq, h.Boot, h.Since = b.First+uint64(len(rows)), desk.boot, since
			r := wire.NewRecord(*h, wire.Sealed{})
			of[i].Digest = r.Digest()
			b.Records = append(b.Records, cbor.RawMessage(wire.Encode(r)))
			rows = append(rows, of[i])
		}
	}
	if len(rows) == 0 {
		return nil
	}
	taken, err := e.Ledger.Take(b, func(from, to uint64) ([]wire.Digest, error) { return k.t.Known(e, from, to) })
	if err == nil && len(taken.Fresh) != len(rows) {
		err = errors.New("the ledger of phones goes another way")
	}
	if err != nil {
		return err
	}
	e.Touch(k.now)
	k.t.Seen(e, when.Span{
		Boot: desk.boot, First: b.First, Last: b.End(), Start: since, End: since, Arrived: k.now.UnixMilli(), ArrivedSince: since,
	})
	for i := range rows {
		k.add(&rows[i])
	}
	return nil
}

// rows returns the rows of a visit that has none yet, without numbers, and notes
// what it is answered.
func (k *intake) rows(d *delivery, e *store.Epoch) ([]store.Row, error) {
	v := d.visit
	direction := d.records[0].header.Direction
	if a, ok := k.t.Answered(v.key); ok {
		if a.Place != v.where.No || a.Direction != direction || a.People != len(d.records) || a.Body != v.body {
			k.outcomes[d] = outcome{err: fmt.Errorf("the key of another visit: %w", qrgate.ErrConflict)}
			return nil, nil
		}
		k.again++
		k.outcomes[d] = outcome{receipt: receiptOf(a, true)}
		return nil, nil
	}
	if past(v.span.latest, k.now, k.in.o.Retention) {
		k.tooLate(d)
		return nil, nil
	}
	rows := make([]store.Row, len(d.records))
	for i := range d.records {
		r := &d.records[i]
		rows[i] = store.Row{
			Under: e, Written: e, Header: r.header, Day: qrgate.DayOfMilli(v.span.latest), Received: k.now,
			When: when.Interval{Earliest: v.span.earliest, Latest: v.span.latest}, Level: v.levels[i], Where: v.where,
		}
		if !r.named {
			continue
		}
		who, err := k.person(r)
		if err != nil {
			return nil, err
		}
		subject, err := k.in.Vault.Subject(rows[i].Day, who)
		if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrDay) {
			k.tooLate(d)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		rows[i].Subject = &subject
	}
	a := store.Answer{
		Place: v.where.No, Direction: direction, People: len(rows),
		Happened: v.span.happened, Earliest: v.span.earliest, Latest: v.span.latest, Received: k.now.UnixMilli(), Body: v.body,
	}
	k.t.Answer(v.key, a)
	k.visits++
	k.outcomes[d] = outcome{receipt: receiptOf(a, false)}
	return rows, nil
}

func (k *intake) tooLate(d *delivery) {
	err := k.in.tooLate()
	if err == ErrTooLate {
		k.late++
	}
	k.outcomes[d] = outcome{err: err}
}

// tooLate returns why a visit is not taken that is past its retention by the clock: it is,
// or the clock is not believed, and it may come again.
func (in *Ingest) tooLate() error {
	if in.o.Doubt() != nil {
		return ErrBusy
	}
	return ErrTooLate
}

func receiptOf(a store.Answer, again bool) Receipt {
	return Receipt{
		Happened: time.UnixMilli(a.Happened), Earliest: time.UnixMilli(a.Earliest), Latest: time.UnixMilli(a.Latest),
		Received: time.UnixMilli(a.Received), People: a.People, Again: again,
	}
}
