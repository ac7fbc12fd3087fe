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
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// commitTimeout ends a transaction that the database does not. It is not cut
// short when the server is asked to end.
const commitTimeout = time.Minute

// commitAll commits what the workers have opened until they end.
func (in *Ingest) commitAll(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for {
		all := in.opened.take()
		if all == nil {
			return
		}
		if failed, err := in.commitMost(ctx, all); err != nil {
			in.fail(failed, err)
		}
	}
}

// fail gives up deliveries for now. Batches stay unanswered and come again; of
// visits it is said.
func (in *Ingest) fail(failed []*delivery, err error) {
	var first *wire.Batch
	batches := 0
	for _, d := range failed {
		if d.visit != nil {
			answerVisit(d, outcome{err: err})
			continue
		}
		if d.bearer != nil {
			d.bearer <- brought{err: err}
		}
		if first == nil {
			first = d.batch
		}
		batches++
	}
	in.nFailed.Add(uint64(batches))
	if first == nil {
		in.log.Error("visits not stored", "visits", len(failed), "err", err)
		return
	}
	in.log.Error("batches not stored", "batches", batches, "visits", len(failed)-batches,
		"kiosk", first.Kiosk, "epoch", first.Epoch.String(), "first", first.First, "err", err)
}

// commitMost commits all, or if that fails halves of it, until what no
// transaction can take is alone. It returns what is left and an error of it.
func (in *Ingest) commitMost(ctx context.Context, all []*delivery) (failed []*delivery, err error) {
	if err = in.commit(ctx, all); err == nil {
		return nil, nil
	}
	if len(all) == 1 || !in.healthy(ctx) {
		return all, err
	}
	for _, half := range [][]*delivery{all[:len(all)/2], all[len(all)/2:]} {
		if f, e := in.commitMost(ctx, half); e != nil {
			failed, err = append(failed, f...), e
		}
	}
	if len(failed) == 0 {
		return nil, nil
	}
	return failed, err
}

// healthy reports whether it is worth trying smaller transactions.
func (in *Ingest) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return in.Store.Healthy(ctx) == nil
}

// An intake is what one transaction has come to, until it is committed.
type intake struct {
	in  *Ingest
	t   *store.Intake
	now time.Time

	fresh    map[identity]person
	answered map[*store.Epoch][]wire.Reject // epochs that get a receipt, with what it lists
	receipts []*wire.Receipt
	refused  []refusal
	counts   map[string]int
	seen     []store.Sighting
	outcomes map[*delivery]outcome // of visits
	brought  map[*delivery]brought // of batches that were carried here

	batches, checkins, repeated, rejected, late, forks, scattered uint64
	visits, again                                                 uint64

	twice []retold // check-ins that may be stored already

	scans   [2][]int64 // when rows were scanned, of live batches and of backlog
	backlog int        // which of them the batch at hand is
}

// commit takes deliveries into one transaction and answers them.
func (in *Ingest) commit(ctx context.Context, all []*delivery) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var kiosks []string
	var batches, visits []*delivery
	for _, d := range all {
		if d.visit != nil {
			visits = append(visits, d)
			continue
		}
		batches = append(batches, d)
		kiosks = append(kiosks, d.batch.Kiosk)
	}
	if len(visits) > 0 {
		source, err := in.source(ctx)
		if err != nil {
			return err
		}
		kiosks = append(kiosks, source)
	}
	unknown := in.unknown(all)
	var k *intake
	err := in.Store.Intake(ctx, kiosks, func(t *store.Intake) error {
		k = &intake{
			in: in, t: t, now: in.now(), fresh: map[identity]person{}, answered: map[*store.Epoch][]wire.Reject{}, counts: map[string]int{},
			outcomes: map[*delivery]outcome{}, brought: map[*delivery]brought{},
		}
		if in.known.renew(t.Forgotten, all) {
			unknown = in.unknown(all)
		}
		if err := t.Expect(unknown); err != nil {
			return err
		}
		for _, d := range batches {
			if err := k.take(d); err != nil {
				return fmt.Errorf("kiosk %s, epoch %s, from %d: %w", d.batch.Kiosk, d.batch.Epoch, d.batch.First, err)
			}
		}
		if err := k.takeVisits(visits); err != nil {
			return fmt.Errorf("visits: %w", err)
		}
		if err := k.recognise(); err != nil {
			return err
		}
		for e, rejects := range k.answered {
			k.receipt(e, rejects)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for kiosk, n := range k.t.Held { // carried over, and known from before
		k.counts[kiosk] -= n
		k.checkins -= uint64(n)
		k.repeated += uint64(n)
	}
	in.nCommits.Add(1)
	in.nBatches.Add(k.batches)
	in.nCheckins.Add(k.checkins)
	in.nRepeated.Add(k.repeated)
	in.nRejected.Add(k.rejected)
	in.nLate.Add(k.late)
	in.nForks.Add(k.forks)
	in.nScattered.Add(k.scattered)
	in.nVisits.Add(k.visits)
	in.nAgain.Add(k.again)
	for i, scans := range k.scans {
		in.lags[i].add(scans, in.now())
	}
	for d, o := range k.outcomes {
		answerVisit(d, o)
	}
	k.tellBearers(batches)
	in.known.add(k.fresh)
	for _, r := range k.refused {
		in.refuse(r.kiosk, "batch", r.err)
	}
	for _, r := range k.receipts {
		// It waits for a sender: a committer that ran ahead of its receipts
		// would only make kiosks repeat themselves.
		in.answers <- in.receipt(r)
	}
	in.Feed.Stored(k.counts, k.seen)
	return nil
}

// unknown returns the identities in all of whom nobody is remembered. The store
// is asked for them at once.
func (in *Ingest) unknown(all []*delivery) []identity {
	var ids []identity
	seen := map[identity]bool{}
	for _, d := range all {
		for i := range d.records {
			r := &d.records[i]
			if !r.named || r.person != 0 || seen[r.who] {
				continue
			}
			if r.person = in.known.get(r.who); r.person == 0 { // nor since it was opened
				seen[r.who] = true
				ids = append(ids, r.who)
			}
		}
	}
	return ids
}

// receipt notes the receipt of an epoch as it is when all is taken in, or
// several if one has no room for all rejects.
func (k *intake) receipt(e *store.Epoch, rejects []wire.Reject) {
	for {
		r := e.Ledger.Receipt(e.Book.Kiosk, e.ID, e.Safe)
		r.Generation = k.t.Generation
		n := min(len(rejects), wire.MaxReceiptRejects)
		r.Rejects, rejects = rejects[:n:n], rejects[n:]
		k.receipts = append(k.receipts, r)
		if len(rejects) == 0 {
			return
		}
	}
}

// receipt returns the answer that says what is committed.
func (in *Ingest) receipt(r *wire.Receipt) answer {
	return func() (string, []byte) {
		r.Time = in.now().UnixMilli()
		in.nReceipts.Add(1)
		return wire.Topic(r.Kiosk, wire.DownReceipt), r.Seal(in.Sign.ID, in.Sign.Key)
	}
}

// A refusal is a batch that stays unanswered.
type refusal struct {
	kiosk string
	err   error
}

// take enters one delivery.
func (k *intake) take(d *delivery) error {
	b := d.batch
	book := k.t.Book(b.Kiosk)
	if book == nil || book.Revoked {
		k.refused = append(k.refused, refusal{b.Kiosk, qrgate.ErrRevoked})
		return nil
	}
	e, err := book.Epoch(b.Epoch)
	if errors.Is(err, qrgate.ErrInvalid) {
		k.refused = append(k.refused, refusal{b.Kiosk, err})
		return nil
	}
	if err != nil {
		return err
	}
	taken, err := e.Ledger.Take(b, func(from, to uint64) ([]wire.Digest, error) { return k.t.Known(e, from, to) })
	if errors.Is(err, deliver.ErrScattered) {
		k.scattered++
		k.brought[d] = brought{scattered: true}
		return nil
	}
	if err != nil {
		return err
	}
	e.Touch(k.now)
	k.batches++
	if taken.Fork {
		k.answered[e] = nil
		k.forks++
		k.brought[d] = brought{fork: true}
		return nil
	}
	k.repeated += uint64(len(d.records) - len(taken.Fresh))
	before := k.rejected
	var came map[int]bool // under a later epoch already
	for _, i := range taken.Carried {
		if came == nil {
			came = make(map[int]bool, len(taken.Carried))
		}
		came[i] = true
	}
	for _, i := range taken.Fresh {
		if r := &d.records[i]; k.homeless(r, e) {
			*r = record{raw: r.raw, reject: wire.ReasonRecord}
		}
	}
	k.answered[e] = append(k.answered[e], rejects(d)...)
	// All of the batch's times are noted before any record is dated by them.
	if err := k.note(d, e, taken.Fresh); err != nil {
		return err
	}
	k.backlog = 0
	if b.Backlog || d.bearer != nil {
		k.backlog = 1
	}
	for _, i := range taken.Fresh {
		if err := k.enter(&d.records[i], e, b.First+uint64(i), came[i]); err != nil {
			return err
		}
	}
	if d.bearer != nil {
		k.brought[d] = brought{fresh: len(taken.Fresh), rejected: int(k.rejected - before)}
	}
	return nil
}

// rejects lists what cannot be used of d, also of records that were held before:
// the receipt that named them first may be lost.
func rejects(d *delivery) []wire.Reject {
	var all []wire.Reject
	for i := range d.records {
		if r := &d.records[i]; r.reject != wire.NoReason {
			all = append(all, wire.Reject{Seq: d.batch.First + uint64(i), Reason: r.reject})
		}
	}
	return all
}

// written returns the epoch in which r was first written.
func (k *intake) written(r *record, under *store.Epoch) (*store.Epoch, error) {
	if r.origin == nil {
		return under, nil
	}
	return under.Book.Named(*r.origin)
}

// homeless reports whether r comes from one epoch, one boot or one gate more than a
// kiosk may have.
func (k *intake) homeless(r *record, under *store.Epoch) bool {
	e, err := k.written(r, under)
	if err == nil && r.reject == wire.NoReason {
		if r.header.Kind == wire.KindCheckin {
			err = under.Book.Gate(r.header.Gate)
		}
		if err == nil { // at last: a boot that has a number is to have a row
			err = e.Boot(r.header.Boot)
		}
	}
	return errors.Is(err, qrgate.ErrInvalid)
}

// note tells the store of the boots and anchors in fresh records.
func (k *intake) note(d *delivery, under *store.Epoch, fresh []int) error {
	var span when.Span
	var of *store.Epoch
	flush := func() {
		if of != nil {
			span.Arrived, span.ArrivedSince = k.now.UnixMilli(), span.End
			if of == under {
				k.t.Seen(of, span)
			} else {
				k.t.Carried(of, span)
			}
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
	written, err := k.written(r, under)
	if err != nil {
		return err
	}
	if written != under {
		written.Ledger.Carry(r.header.Seq)
		written.Touch(k.now)
	}
	if r.reject != wire.NoReason {
		k.rejected++
		return k.t.Reject(under, seq, r.reject, r.raw, k.now)
	}
	switch r.header.Kind {
	case wire.KindOpened:
		// Carried over, if its epoch never came itself.
		if err := written.Opened(*r.header.Opened, k.now); !errors.Is(err, qrgate.ErrInvalid) {
			return err
		}
		return nil // what it follows is one epoch too many
	case wire.KindAnchor:
		return nil // noted
	}
	bounds := store.Clamp(written.Bounds(r.header.Boot, r.header.Since), k.now.UnixMilli())
	switch r.header.Kind {
	case wire.KindPassage:
		return k.t.Passage(store.Passage{Written: written, Header: r.header, Digest: r.digest, When: bounds, Received: k.now})
	case wire.KindDifficulty:
		return k.t.Report(store.Reported{Written: written, Seq: r.header.Seq, Difficulty: *r.difficulty, When: bounds, Received: k.now})
	case wire.KindOrder:
		return k.t.Use(store.Use{Written: written, Header: r.header, When: bounds, Received: k.now})
	}
	row := store.Row{
		Under: under, Written: written, Header: r.header, Digest: r.digest, Day: qrgate.DayOfMilli(bounds.Latest),
		When: bounds, Received: k.now, Twice: came || written != under,
	}
	if row.Day < qrgate.DayOf(k.now.Add(-k.in.o.Retention)) {
		return k.drop(under)
	}
	if r.header.Pass == pass.Phone && r.named { // typed at the kiosk
		row.Level = qrgate.Stated
	}
	if r.named {
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
		if row.Twice {
			k.twice = append(k.twice, retold{row, who})
		}
	}
	k.scans[k.backlog] = append(k.scans[k.backlog], bounds.Latest)
	k.add(&row)
	return nil
}

// A retold check-in is one that came again, with who it is.
type retold struct {
	row store.Row
	who person
}

// recognise has those of the check-ins that came again know who came, of whose day the key
// was lost.
func (k *intake) recognise() error {
	rows := make([]store.Row, len(k.twice))
	for i := range k.twice {
		rows[i] = k.twice[i].row
	}
	return k.t.Recognise(rows, func(i int, day qrgate.Day, was qrgate.Subject) qrgate.Subject {
		if _, err := k.in.Vault.Person(day, was); !errors.Is(err, vault.ErrSubject) {
			return was
		}
		is, err := k.in.Vault.Subject(day, k.twice[i].who)
		if err != nil {
			return was
		}
		return is
	})
}

func (k *intake) add(r *store.Row) {
	k.t.Add(*r)
	k.checkins++
	k.counts[r.Under.Book.Kiosk]++
	k.see(r)
}

// seenMax is how many of a transaction's rows the feed is told of.
const seenMax = 50

// see remembers the newest rows for the feed.
func (k *intake) see(r *store.Row) {
	if len(k.seen) == 2*seenMax {
		k.seen = k.seen[:copy(k.seen, k.seen[seenMax:])]
	}
	h, where := &r.Header, r.Where
	if where == (store.Where{}) {
		where = store.Where{No: r.Under.Book.PlaceNo, Name: r.Under.Book.Place}
	}
	k.seen = append(k.seen, store.Sighting{
		Kiosk: r.Under.Book.Kiosk, Place: where.Name, PlaceNo: where.No, Gate: h.Gate, Direction: h.Direction, Pass: h.Pass,
		Verdict: h.Verdict, Reason: h.Reason, Said: h.Wall, Earliest: r.When.Earliest, Latest: r.When.Latest, Received: r.Received.UnixMilli(),
	})
}

// person returns who holds the identity of r, somebody new if nobody does.
func (k *intake) person(r *record) (person, error) {
	if r.person != 0 {
		return r.person, nil
	}
	if who, ok := k.fresh[r.who]; ok {
		return who, nil
	}
	who, isNew, err := k.t.Person(r.who, vault.NewPerson)
	if err != nil {
		return 0, err
	}
	k.fresh[r.who] = who
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

// drop counts a check-in that came after the end of its retention: it is held
// and receipted, and nothing is kept of it.
func (k *intake) drop(under *store.Epoch) error {
	if err := k.in.o.Doubt(); err != nil {
		return err
	}
	under.Late()
	k.late++
	return nil
}
