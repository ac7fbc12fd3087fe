package store_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// TestModel plays random histories of a few kiosks with two servers on one
// database, and compares what is stored with a model in memory.
func TestModel(t *testing.T) {
	checks := 15
	switch scale := os.Getenv("QRGATE_SCALE"); scale {
	case "":
	case "soak":
		checks = 1000
	default:
		n, err := strconv.Atoi(scale)
		if err != nil || n < 1 {
			t.Fatalf("QRGATE_SCALE=%q is no positive number", scale)
		}
		checks *= n
	}
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if f.Value.String() == f.DefValue {
		f.Value.Set(strconv.Itoa(checks))
		defer f.Value.Set(before)
	}
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			w := &model{t: t, r: r, stores: stores, now: dawn}
			w.places = []store.Where{{Name: fmt.Sprintf("Chợ %d", n)}, {No: uint32(n), Name: "Bệnh viện"}}
			for i := range 2 {
				k := &modelKiosk{
					kiosk: addKiosk(t, stores[0], fmt.Sprintf("gate-%05d-%d", n, i)),
					rows:  map[key]*expected{}, ledgers: map[wire.Epoch][]byte{}, dating: map[datedBy]*when.Boots{},
					anchors: when.NewAnchors(), synced: map[when.Boot]bool{}, sound: true,
				}
				w.kiosks = append(w.kiosks, k)
				w.move(r, k, w.places[0])
			}
			r.Repeat(map[string]func(*rapid.T){
				"scan":     w.scan,
				"anchor":   w.anchor,
				"restart":  w.restart,
				"deliver":  w.deliver,
				"deliver2": w.deliver, // twice as often
				"put back": w.putBack,
				"salvage":  w.salvage,
				"redate":   w.redate,
				"move":     func(r *rapid.T) { w.move(r, w.kiosk(r), rapid.SampledFrom(w.places).Draw(r, "place")) },
				"":         w.check,
			})
			w.settle()
		})
	})
}

// A model is what should be stored.
type model struct {
	t      *testing.T
	r      *rapid.T
	stores []*store.Store
	kiosks []*modelKiosk
	places []store.Where // of this history alone
	now    time.Time
}

type modelKiosk struct {
	*kiosk
	at      store.Where
	rows    map[key]*expected
	ledgers map[wire.Epoch][]byte // as they were last committed
	dating  map[datedBy]*when.Boots
	anchors *when.Anchors
	synced  map[when.Boot]bool // boots with anchors

	// sound is that the ledger of no epoch can have records of two histories.
	// If one has, nothing is said of boots without an anchor.
	sound bool
}

func (k *modelKiosk) lives() []life { return append(slices.Clone(k.past), k.life) }

// A key is what a record is counted by, once.
type key struct {
	epoch  wire.Epoch
	seq    uint64
	digest wire.Digest
}

type expected struct {
	header   wire.Header
	at       store.Where
	day      qrgate.Day
	when     when.Interval
	received int64
}

func (w *model) pass(r *rapid.T) time.Time {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 50_000_000).Draw(r, "ms")) * time.Millisecond)
	return w.now
}

func (w *model) kiosk(r *rapid.T) *modelKiosk {
	return w.kiosks[rapid.IntRange(0, len(w.kiosks)-1).Draw(r, "kiosk")]
}
func (w *model) store(r *rapid.T) *store.Store {
	return w.stores[rapid.IntRange(0, 1).Draw(r, "server")]
}

func (w *model) scan(r *rapid.T) {
	k := w.kiosk(r)
	k.gate = rapid.SampledFrom([]string{"main", "side", ""}).Draw(r, "gate")
	for range rapid.IntRange(1, 20).Draw(r, "scans") {
		if rapid.IntRange(0, 9).Draw(r, "damaged") == 0 {
			k.append([]byte{0x42, byte(len(k.records)), byte(k.boots)})
			continue
		}
		k.kiosk.scan(w.now)
		w.now = w.now.Add(time.Second)
	}
}

func (w *model) move(r *rapid.T, k *modelKiosk, to store.Where) {
	if err := w.store(r).MoveKiosk(context.Background(), k.id, to); err != nil {
		r.Fatalf("MoveKiosk() = %v", err)
	}
	k.at = to
}

func (w *model) anchor(r *rapid.T)  { w.kiosk(r).kiosk.anchor(w.pass(r)) }
func (w *model) restart(r *rapid.T) { w.kiosk(r).kiosk.restart(w.pass(r)) }

// putBack is a storage that was copied and is put back: the kiosk goes on from
// an earlier state.
func (w *model) putBack(r *rapid.T) {
	k := w.kiosk(r)
	var held deliver.Ledger
	if b, ok := k.ledgers[k.epoch]; ok {
		if err := held.Unmarshal(b); err != nil {
			r.Fatal(err)
		}
	}
	k.sound = k.sound && held.Newest() == held.Through()
	n := rapid.IntRange(0, len(k.records)).Draw(r, "record")
	k.records, k.chain = slices.Clone(k.records[:n]), slices.Clone(k.chain[:n+1])
	k.kiosk.restart(w.pass(r))
}

func (w *model) salvage(r *rapid.T) { w.carry(r, w.kiosk(r), wire.OpenedSalvage) }

func (w *model) carry(r *rapid.T, k *modelKiosk, by wire.OpenedBy) {
	if len(k.past) < 8 && len(k.records) > 0 {
		from := rapid.IntRange(1, len(k.records)).Draw(r, "from")
		// What does not decode is not carried.
		for from < len(k.records) && slices.ContainsFunc(k.records[from-1:], damaged) {
			from++
		}
		if damaged(k.records[from-1]) {
			from++
		}
		k.kiosk.carry(w.pass(r), by, from)
	}
}

func damaged(record []byte) bool {
	_, _, err := wire.DecodeRecord(record)
	return err != nil
}

var errModel = errors.New("the model says so")

// deliver takes in some batches of some kiosks in one transaction.
func (w *model) deliver(r *rapid.T) {
	now := w.pass(r)
	var batches []*wire.Batch
	var names []string
	for range rapid.IntRange(1, 5).Draw(r, "batches") {
		k := w.kiosk(r)
		l := k.lives()[rapid.IntRange(0, len(k.past)).Draw(r, "life")]
		if len(l.records) == 0 {
			continue
		}
		first := rapid.IntRange(1, len(l.records)).Draw(r, "first")
		batches = append(batches, l.batch(k.id, first, rapid.IntRange(1, 40).Draw(r, "records")))
		names = append(names, k.id)
	}
	fail := rapid.IntRange(0, 4).Draw(r, "fails") == 0
	taken := make([]deliver.Taken, len(batches))
	ledgers := map[wire.Epoch][]byte{}
	var stale []string
	err := w.store(r).Intake(context.Background(), names, func(in *store.Intake) error {
		clear(ledgers)
		stale = nil
		for _, k := range w.kiosks {
			if b := in.Book(k.id); b != nil {
				stale = append(stale, w.checkBook(r, k, b)...)
			}
		}
		for i, b := range batches {
			var err error
			if taken[i], err = take(in, b, now); err != nil && !errors.Is(err, deliver.ErrScattered) {
				return err
			}
		}
		for _, k := range w.kiosks {
			if book := in.Book(k.id); book != nil {
				for _, l := range k.lives() {
					e, err := book.Epoch(l.epoch)
					if err != nil {
						return err
					}
					ledgers[l.epoch] = e.Ledger.Marshal()
				}
			}
		}
		if fail {
			return errModel
		}
		return nil
	})
	for _, s := range stale {
		r.Error(s)
	}
	if fail && errors.Is(err, errModel) {
		return
	}
	if err != nil {
		r.Fatalf("Intake() = %v", err)
	}
	for i, b := range batches {
		k := w.kiosks[slices.IndexFunc(w.kiosks, func(k *modelKiosk) bool { return k.id == b.Kiosk })]
		for epoch, l := range ledgers {
			if slices.ContainsFunc(k.lives(), func(of life) bool { return of.epoch == epoch }) {
				k.ledgers[epoch] = l
			}
		}
		k.expect(b, taken[i].Fresh, now)
		if taken[i].Fork && b.Epoch == k.epoch {
			w.carry(r, k, wire.OpenedFork)
		}
	}
}

// checkBook compares a book with what was last committed.
func (w *model) checkBook(r *rapid.T, k *modelKiosk, b *store.Book) (wrong []string) {
	for id, want := range k.ledgers {
		e, err := b.Epoch(id)
		if err != nil {
			r.Fatal(err)
		}
		if !bytes.Equal(e.Ledger.Marshal(), want) {
			wrong = append(wrong, fmt.Sprintf("%s: the ledger of epoch %q is not as it was committed", k.id, id[:]))
		}
	}
	return wrong
}

// expect enters fresh records of a batch into the model.
func (k *modelKiosk) expect(b *wire.Batch, fresh []int, now time.Time) {
	type one struct {
		key    key
		header wire.Header
	}
	var all []one
	for _, i := range fresh {
		r, h, err := wire.DecodeRecord(b.Records[i])
		if err != nil {
			continue
		}
		of := b.Epoch
		if r.Origin != nil {
			of = *r.Origin
		}
		k.bootsOf(of, h.Boot, r.Origin != nil).Add(when.Span{Boot: h.Boot, First: h.Seq, Last: h.Seq, Start: h.Since, End: h.Since, Arrived: now.UnixMilli(), ArrivedSince: h.Since})
		if h.Anchor != nil {
			k.synced[h.Boot] = true
			k.anchors.Add(when.Anchor{Boot: h.Boot, Since: h.Since, Server: h.Anchor.Server, Error: h.Anchor.Error})
		}
		if h.Kind == wire.KindCheckin {
			all = append(all, one{key{of, h.Seq, r.Digest()}, h})
		}
	}
	for _, o := range all {
		if k.rows[o.key] == nil {
			in := store.Clamp(k.bootsOf(o.key.epoch, o.header.Boot, true).Bounds(o.header.Boot, o.header.Since), now.UnixMilli())
			k.rows[o.key] = &expected{o.header, k.at, qrgate.DayOfMilli(in.Latest), in, now.UnixMilli()}
		}
	}
}

// bootsOf returns what dates a boot of an epoch: the epoch's boots, or itself
// alone if it is known by carried records only.
func (k *modelKiosk) bootsOf(e wire.Epoch, boot when.Boot, carried bool) *when.Boots {
	own, alone := datedBy{epoch: e}, datedBy{e, boot}
	for _, by := range []datedBy{own, alone} {
		if k.dating[by] == nil {
			k.dating[by] = when.NewBoots(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), k.anchors)
		}
	}
	if slices.ContainsFunc(k.dating[own].Spans(), func(s when.Span) bool { return s.Boot == boot }) {
		return k.dating[own]
	}
	if carried {
		return k.dating[alone]
	}
	for _, s := range k.dating[alone].Spans() {
		k.dating[own].Add(s)
	}
	return k.dating[own]
}

// A datedBy names an epoch's boots, or one of them alone.
type datedBy struct {
	epoch wire.Epoch
	boot  when.Boot
}

func (w *model) redate(r *rapid.T) {
	if _, err := w.store(r).Tidy(context.Background()); err != nil {
		r.Fatalf("Tidy() = %v", err)
	}
}

// drift is more than a crystal's error over the time of a test, in milliseconds.
// What is known later may be of a moment farther off, and so a little less.
const drift = 120_000

// check compares what is stored of the kiosks with the model.
func (w *model) check(r *rapid.T) {
	for _, k := range w.kiosks {
		w.checkKiosk(r, k, false)
	}
	w.checkReads(r)
}

// checkReads compares what is read of places and subjects with what is read of
// the kiosks.
func (w *model) checkReads(r *rapid.T) {
	var all []qrgate.Checkin
	for _, k := range w.kiosks {
		all = append(all, checkins(w.t, w.stores[0], k.id)...)
	}
	from := w.now.UnixMilli() - rapid.Int64Range(0, 100_000_000).Draw(r, "ago")
	checkReads(r, w.stores[1], all, [2]int64{from, from + rapid.Int64Range(0, 50_000_000).Draw(r, "long")})
}

// settle dates all again and compares the bounds with what is known in the end.
func (w *model) settle() {
	tidyAll(w.t, w.stores[0])
	for _, k := range w.kiosks {
		w.checkKiosk(w.r, k, true)
		w.checkReads(w.r)
		if st := status(w.t, w.stores[1], k.id); st.Checkins != int64(len(k.rows)) {
			w.r.Errorf("%s: Kiosks() counts %d check-ins, want %d", k.id, st.Checkins, len(k.rows))
		}
	}
}

func (w *model) checkKiosk(r *rapid.T, k *modelKiosk, settled bool) {
	seen := map[key]bool{}
	for _, c := range checkins(w.t, w.stores[0], k.id) {
		id := key{c.Epoch, c.Seq, c.Digest}
		e := k.rows[id]
		if e == nil || seen[id] {
			r.Fatalf("%s: row %d of epoch %q is there, twice %v", k.id, c.Seq, c.Epoch[:], seen[id])
		}
		seen[id] = true
		h := e.header
		want := qrgate.Checkin{
			Kiosk: k.id, Epoch: id.epoch, Seq: h.Seq, Day: e.day, Pass: h.Pass, Verdict: h.Verdict, Reason: h.Reason, Presence: h.Presence,
			Direction: h.Direction, Gate: h.Gate, Lane: h.Lane, Said: h.Wall, Clock: h.Clock, Error: h.Error, Boot: h.Boot, Since: h.Since,
			Earliest: c.Earliest, Latest: c.Latest, Received: e.received, Digest: id.digest, With: h.With, PlaceNo: e.at.No,
		}
		if e.at.No == 0 {
			want.Place = e.at.Name
		}
		if s := subjectOf(id.digest); s != nil {
			want.Subject = *s
		}
		if c != want {
			r.Errorf("%s: stored %+v, want %+v", k.id, c, want)
		}
		known := store.Clamp(k.bootsOf(id.epoch, h.Boot, true).Bounds(h.Boot, h.Since), e.received)
		anchored := k.synced[h.Boot]
		truth := h.Wall - 1234
		stored := when.Interval{Earliest: c.Earliest, Latest: c.Latest}
		switch {
		case !k.sound && !(anchored && settled):
		case stored.Earliest > truth || stored.Latest < truth:
			r.Errorf("%s: row %d is dated %+v, it was at %d", k.id, c.Seq, stored, truth)
		case anchored && settled && stored != known: // which a far anchor may make a little wider
			r.Errorf("%s: row %d is dated %+v, its anchors say %+v", k.id, c.Seq, stored, known)
		case anchored:
		case stored.Earliest < e.when.Earliest-drift || stored.Latest > e.when.Latest+drift:
			r.Errorf("%s: row %d is dated %+v, at first it was %+v", k.id, c.Seq, stored, e.when)
		case stored.Earliest > known.Earliest+drift || stored.Latest < known.Latest-drift:
			r.Errorf("%s: row %d is dated %+v, all that is known says %+v", k.id, c.Seq, stored, known)
		}
	}
	if len(seen) != len(k.rows) {
		r.Errorf("%s: %d rows, want %d", k.id, len(seen), len(k.rows))
	}
}
