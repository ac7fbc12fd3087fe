package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// firstRelease is a time before which no kiosk can have recorded anything.
var firstRelease = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// epochsPerKiosk is the room for a kiosk's epochs in the numbers of epochs.
const epochsPerKiosk = 1 << 16

// A kiosk begins an epoch when its storage is changed or damaged: a few in its
// life. Whoever has a kiosk's key may make up any number, and each anchor may say
// something of them all. So beyond easyEpochs no record makes one by naming it, and
// a batch only if the one before has rested for epochPause.
const (
	easyEpochs = 256
	epochPause = time.Hour
)

// How many boots, in all epochs, and gates of a kiosk are kept: all of eighteen years in
// which the power fails ten times a day, and of twenty in which its gate is named anew
// every other day. No record makes one more.
const (
	bootsPerKiosk = 1 << 16
	gatesPerKiosk = 1 << 12
)

// datesAround is how many boots on each side of one of which more is known are dated
// again, and datesAtOnce about how many of one kiosk in one intake. Others keep the wider
// bounds that they have: so many without any anchor are hardly told apart by one that is.
const (
	datesAround = 1 << 10
	datesAtOnce = 1 << 12
)

// A Book is what the server knows of one kiosk beside its check-ins. It is valid
// inside the function that Intake calls.
type Book struct {
	Kiosk   string
	Place   string
	PlaceNo uint32 // 0 of a place that is not registered
	Revoked bool   // nothing that the kiosk sends counts any more

	no      int64
	version int64
	epochs  map[wire.Epoch]*Epoch
	anchors *when.Anchors // of all its epochs' boots
	now     time.Time
	gates   map[gate]int64
	unsaved []gate // of these
	boots   int    // of all its epochs
	dirty   bool   // the books of other servers are out of date
}

// A gate keeps its number and place when its kiosk moves to another place.
type gate struct {
	place   string
	placeNo uint32
	name    string
}

// An Epoch is one life of a kiosk's ledger as the server holds it. Who changes
// its Ledger must Touch it.
type Epoch struct {
	Book   *Book
	ID     wire.Epoch
	Ledger deliver.Ledger
	Safe   uint64 // all up to here are in a verified backup

	no       int64
	opened   wire.Opened
	ended    int64 // Unix milliseconds when a later epoch said so; 0 while open
	checkins int64
	late     int64
	received int64
	numbers  map[when.Boot]int64 // of its boots
	boots    *when.Boots
	carried  map[when.Boot]*when.Boots // each alone, see Intake.Carried
	open     when.Span                 // the boot that goes on, as its row has it; its First is 0 if there is none
	dirty    bool
}

// Bounds returns the time of the moment since (milliseconds) of a boot, as far
// as the server knows it.
func (e *Epoch) Bounds(boot when.Boot, since int64) when.Interval {
	if alone, ok := e.carried[boot]; ok {
		return alone.Bounds(boot, since)
	}
	return e.boots.Bounds(boot, since)
}

// Epoch returns the epoch of that id under which the kiosk delivers, new if the
// server has not heard of it. A kiosk that has begun too many is
// qrgate.ErrInvalid, for a while.
func (b *Book) Epoch(id wire.Epoch) (*Epoch, error) {
	return b.epoch(id, len(b.epochs) < easyEpochs || IsPhones(b.Kiosk) || b.rested())
}

// Named is Epoch for one that the kiosk's records name. If it is new and there are
// too many, that does not change.
func (b *Book) Named(id wire.Epoch) (*Epoch, error) { return b.epoch(id, len(b.epochs) < easyEpochs) }

func (b *Book) epoch(id wire.Epoch, room bool) (*Epoch, error) {
	if e, ok := b.epochs[id]; ok {
		return e, nil
	}
	if !room || len(b.epochs) >= epochsPerKiosk-1 {
		return nil, fmt.Errorf("store: kiosk %q has %d epochs: %w", b.Kiosk, len(b.epochs), qrgate.ErrInvalid)
	}
	e := b.add(b.no*epochsPerKiosk+int64(len(b.epochs))+1, id)
	e.dirty = true
	return e, nil
}

// rested reports whether nothing has come for a while of the epoch that the server
// heard of last.
func (b *Book) rested() bool {
	var newest *Epoch
	for _, e := range b.epochs {
		if newest == nil || e.no > newest.no {
			newest = e
		}
	}
	return b.now.UnixMilli()-newest.received >= epochPause.Milliseconds()
}

func (b *Book) add(no int64, id wire.Epoch) *Epoch {
	e := &Epoch{
		Book: b, ID: id, no: no, numbers: map[when.Boot]int64{},
		boots: when.NewBoots(firstRelease, b.anchors), carried: map[when.Boot]*when.Boots{},
	}
	b.epochs[id] = e
	return e
}

// Boot makes room for a boot of e, if the server has not heard of it. If its kiosk has
// begun too many, that is qrgate.ErrInvalid and does not change.
func (e *Epoch) Boot(boot when.Boot) error {
	if _, ok := e.numbers[boot]; ok {
		return nil
	}
	if b := e.Book; b.boots >= bootsPerKiosk && !IsPhones(b.Kiosk) {
		return fmt.Errorf("store: kiosk %q has %d boots: %w", b.Kiosk, b.boots, qrgate.ErrInvalid)
	}
	e.number(boot, int64(len(e.numbers))+1)
	return nil
}

func (e *Epoch) number(boot when.Boot, no int64) {
	e.numbers[boot] = no
	e.Book.boots++
}

// Gate makes room for a gate at the place where the kiosk stands, if the server has not
// heard of it. If there are too many, that is qrgate.ErrInvalid and does not change.
func (b *Book) Gate(name string) error {
	g := gate{storable(b.Place), b.PlaceNo, storable(name)}
	if _, ok := b.gates[g]; !ok && len(b.gates) >= gatesPerKiosk && !IsPhones(b.Kiosk) {
		return fmt.Errorf("store: kiosk %q has %d gates: %w", b.Kiosk, len(b.gates), qrgate.ErrInvalid)
	}
	b.numberGate(g)
	return nil
}

func (b *Book) numberGate(g gate) {
	if _, ok := b.gates[g]; !ok {
		b.gates[g], b.dirty = int64(len(b.gates))+1, true
		b.unsaved = append(b.unsaved, g)
	}
}

// Touch marks e as changed: it is written when the intake commits.
func (e *Epoch) Touch(received time.Time) {
	e.dirty, e.received = true, max(e.received, received.UnixMilli())
}

// Opened notes what the epoch's first record says, and ends the epoch before.
func (e *Epoch) Opened(o wire.Opened, now time.Time) error {
	e.opened, e.dirty = o, true
	if o.Previous == nil {
		return nil
	}
	p, err := e.Book.Named(*o.Previous)
	if err != nil {
		return err
	}
	if p.ended == 0 {
		p.ended, p.dirty = now.UnixMilli(), true
	}
	return nil
}

// Late counts a check-in that came after the end of retention.
func (e *Epoch) Late() { e.late, e.dirty = e.late+1, true }

// see notes records of a boot, and returns whether it is one of the epoch's own
// that was not known as such.
func (e *Epoch) see(s when.Span, carried bool) (news bool) {
	e.dirty = true
	known := e.span(s.Boot).First != 0
	if _, ok := e.numbers[s.Boot]; !ok {
		e.number(s.Boot, int64(len(e.numbers))+1)
	}
	alone := e.carried[s.Boot]
	switch {
	case carried && !known:
		alone = when.NewBoots(firstRelease, e.Book.anchors)
		e.carried[s.Boot] = alone
		fallthrough
	case carried && alone != nil:
		alone.Add(s)
		return false
	case alone != nil:
		for _, was := range alone.Spans() {
			e.boots.Add(was)
		}
		delete(e.carried, s.Boot)
		news = true
	}
	e.boots.Add(s)
	return news || !known
}

// around returns the boots of e whose bounds depend on what is known of boot.
func (e *Epoch) around(boot when.Boot) []when.Boot {
	if _, ok := e.carried[boot]; ok {
		return []when.Boot{boot}
	}
	return e.boots.Around(boot, datesAround)
}

// toWrite returns which boots need their rows written, after records of the
// given ones came: none if all belong to the end of the boot that goes on, which
// the epoch's own row tells.
func (e *Epoch) toWrite(came []when.Boot) []when.Boot {
	newest := when.Span{}
	for _, boot := range came {
		if s := e.span(boot); e.carried[boot] == nil && s.Last >= newest.Last {
			newest = s
		}
	}
	if newest.First == 0 { // all were carried
		return came
	}
	if len(came) == 1 && newest.Boot == e.open.Boot && newest.First == e.open.First && newest.Start == e.open.Start {
		return nil
	}
	if e.open.First != 0 && !slices.Contains(came, e.open.Boot) {
		came = append(came, e.open.Boot)
	}
	e.open = newest
	return came
}

// span returns what was received of a boot of e.
func (e *Epoch) span(boot when.Boot) when.Span {
	of := e.boots
	if alone, ok := e.carried[boot]; ok {
		of = alone
	}
	return of.Span(boot)
}
