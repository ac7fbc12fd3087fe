package trace

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Scans counts what was read of one kiosk at a place, in the windows of a trace.
type Scans struct {
	At       qrgate.Spot
	Kiosk    string
	Gate     string
	Source   Source
	Admitted int // with a person
	Unnamed  int // without
	Amber    int // of these: let in although it could not be recorded
	Refused  int
	Unread   int // of the refused: no code that could be read
	Paper    int // of the admitted: typed in later from a paper list
	// PaperFrom and PaperTo are when the first and the last of those may have been,
	// in Unix milliseconds: the hours in which paper was written. 0 if there is none.
	PaperFrom, PaperTo int64
}

// A Ledger is what the server holds of one epoch of a kiosk.
type Ledger struct {
	Kiosk    string
	Epoch    wire.Epoch
	Through  uint64 // all of 1..Through are held
	Newest   uint64
	Missing  uint64 // how many are neither held nor carried over
	Lost     uint64 // records of the epoch before that the kiosk says it lost
	Forked   bool
	Received int64 // Unix milliseconds of the last batch, 0 if there was none
}

// A Gate is a kiosk with what it last said, for [Complete].
type Gate struct {
	Kiosk   string
	At      qrgate.Spot
	Gate    string // as its configuration calls it, if that is known
	Added   int64  // Unix milliseconds since when it stands there
	Revoked int64  // until when it did; 0 if it still does
	// Of its last beat: when that arrived (0 if there was none), how many records
	// it held without a receipt, its newest number, and how many people it had let
	// in without a record since it started.
	Beat       int64
	Epoch      wire.Epoch
	Queued     uint64
	Newest     uint64
	Unrecorded uint64
	Oldest     int64 // when the oldest of what it holds was written; 0 if it did not say
}

// A Delivery says how much of a gate's check-ins is here.
type Delivery struct {
	At    qrgate.Spot
	Kiosk string
	Gate  string
	State DeliveryState
	// Since is from when on its check-ins may be missing, 0 if none is.
	Since int64
	// Holds is how many records it last said that it still has, Missing how many
	// never came although later ones did, Lost how many it says it lost, and
	// Unrecorded how many people it let in without writing them down since it started;
	// most get a record without a name once it can, and are among Scans.Amber then.
	Holds, Missing, Lost, Unrecorded uint64
	Forked                           bool
	Scans                            Scans // of the trace; zero if nothing was read of it
}

// A DeliveryState is how far a gate's check-ins of a window are here. Its values
// are in the order of how much an officer should worry.
type DeliveryState uint8

// The states of delivery.
const (
	Delivered DeliveryState = iota + 1 // all that was written in the window
	Gaps                               // all but some that are lost or were damaged
	Behind                             // connected, and still delivering
	Silent                             // not heard of since before the window's end
	Never                              // not heard of at all
)

// Whole reports whether nothing is missing of any gate.
func Whole(all []Delivery) bool {
	return !slices.ContainsFunc(all, func(d Delivery) bool { return d.State != Delivered })
}

// Complete says of every gate at the places of a trace how far its check-ins of
// a window (Unix milliseconds) are here, the most worrying first. scans are
// those of the trace: kiosks that stood at a place then, and phones, are among
// them though no gate is. What comes by phone is always delivered: it is
// recorded when it arrives.
func Complete(window when.Interval, gates []Gate, ledgers []Ledger, scans []Scans) []Delivery {
	type key struct {
		at    qrgate.Spot
		kiosk string
	}
	read := map[key]Scans{}
	for _, s := range scans {
		k := key{s.At, s.Kiosk}
		read[k] = sum(read[k], s)
	}
	held := map[string][]Ledger{}
	for _, l := range ledgers {
		held[l.Kiosk] = append(held[l.Kiosk], l)
	}
	var all []Delivery
	for i := range gates {
		g := &gates[i]
		if g.Added > window.Latest {
			continue
		}
		k := key{g.At, g.Kiosk}
		d := delivery(window, g, held[g.Kiosk])
		d.Scans = read[k]
		if d.Gate == "" {
			d.Gate = d.Scans.Gate
		}
		delete(read, k)
		all = append(all, d)
	}
	for _, s := range read {
		// Where the kiosk stood then; whether it held more is said where it stands.
		all = append(all, Delivery{At: s.At, Kiosk: s.Kiosk, Gate: s.Gate, State: Delivered, Scans: s})
	}
	slices.SortFunc(all, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(b.State, a.State), cmp.Compare(b.Holds, a.Holds), cmp.Compare(a.At.No, b.At.No), cmp.Compare(a.At.Name, b.At.Name), cmp.Compare(a.Kiosk, b.Kiosk))
	})
	return all
}

func sum(a, b Scans) Scans {
	b.Admitted, b.Unnamed, b.Amber, b.Refused = a.Admitted+b.Admitted, a.Unnamed+b.Unnamed, a.Amber+b.Amber, a.Refused+b.Refused
	b.Unread = a.Unread + b.Unread
	switch {
	case b.Paper == 0:
		b.PaperFrom, b.PaperTo = a.PaperFrom, a.PaperTo
	case a.Paper > 0:
		b.PaperFrom, b.PaperTo = min(a.PaperFrom, b.PaperFrom), max(a.PaperTo, b.PaperTo)
	}
	b.Paper += a.Paper
	return b
}

// unheard is how long a kiosk that works may not be heard of: who took it out of use
// later than that does not know what it still wrote.
const unheard = 10 * minute

func delivery(window when.Interval, g *Gate, ledgers []Ledger) Delivery {
	d := Delivery{At: g.At, Kiosk: g.Kiosk, Gate: g.Gate, Unrecorded: g.Unrecorded}
	var received int64 // of the last batch of any epoch
	var newest uint64  // of the epoch that it said it is in
	for _, l := range ledgers {
		d.Missing += l.Missing
		d.Lost += l.Lost
		d.Forked = d.Forked || l.Forked
		received = max(received, l.Received)
		if l.Epoch == g.Epoch {
			newest = max(newest, l.Newest)
		}
	}
	heard := max(received, g.Beat)
	if g.Beat > received {
		// What came after the beat it no longer holds.
		d.Holds = g.Queued
	} else if g.Newest > newest {
		d.Holds = min(g.Queued, g.Newest-newest)
	}
	switch {
	case heard == 0:
		d.State, d.Since = Never, max(g.Added, window.Earliest)
	case d.Holds > 0 && (g.Oldest == 0 || g.Oldest <= window.Latest) && heard > window.Latest:
		d.State, d.Since = Behind, since(g.Oldest, received, g.Added)
	case d.Holds > 0 && heard <= window.Latest:
		d.State, d.Since = Silent, since(g.Oldest, received, g.Added)
	case heard <= window.Latest && (g.Revoked == 0 || g.Revoked > max(window.Earliest, heard+unheard)):
		d.State, d.Since = Silent, heard
	case d.Missing > 0 || d.Lost > 0 || d.Forked:
		d.State = Gaps
	default:
		d.State = Delivered
	}
	return d
}

// since returns from when on records are missing: since the oldest that the
// kiosk holds, or else since it last delivered.
func since(oldest, received, added int64) int64 {
	switch {
	case oldest != 0:
		return oldest
	case received != 0:
		return received
	}
	return added
}
