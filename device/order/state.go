package order

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/wire"
)

// A state is what the table keeps between starts, in one file.
type state struct {
	Place     uint32            `json:"place"`               // number of the place where the kiosk stands, as the server last said
	Portal    string            `json:"portal,omitempty"`    // where telephones reach the server's pages, likewise
	Orders    map[string]became `json:"orders,omitempty"`    // that came, by id, until they expire
	Cards     map[uint32]int64  `json:"cards,omitempty"`     // serial numbers of single-use cards that were followed, until they expire
	Direction wire.Direction    `json:"direction,omitempty"` // in place of the configuration's
	Until     int64             `json:"until,omitempty"`     // Unix milliseconds
	Locked    bool              `json:"locked,omitempty"`
	Events    map[uint32]int64  `json:"events,omitempty"` // begun before their hour, and when, in Unix milliseconds

	path    string
	damaged error
}

// A became is an order that came and what became of it. State 0 is one that the program
// ended over.
type became struct {
	Kind    wire.OrderKind  `json:"kind"`
	Issued  int64           `json:"issued"` // of the newest message with it
	Expires int64           `json:"expires"`
	State   wire.OrderState `json:"state"`
	Reason  wire.Reason     `json:"reason,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	At      int64           `json:"at,omitempty"`
}

// result returns the result as it is told again, without what it brought.
func (b became) result(kiosk string, id wire.OrderID) wire.Result {
	r := wire.Result{Kiosk: kiosk, Order: id, Kind: b.Kind, State: b.State, Reason: b.Reason, Detail: b.Detail, At: b.At}
	if b.State == 0 {
		r.State, r.Detail = wire.OrderFailed, "the program ended meanwhile"
		if b.Kind == wire.OrderRestart || b.Kind == wire.OrderEpoch { // which is what they ask for
			r.State, r.Detail = wire.OrderDone, ""
		}
	}
	return r
}

const (
	maxOrders = 256 // that are remembered: those beyond expire first
	maxCards  = 4096
	maxEvents = 64
)

func openState(path string) (*state, error) {
	s := &state{}
	damaged, err := durable.Read(path, func(b []byte) error { return json.Unmarshal(b, s) })
	if err != nil {
		return nil, fmt.Errorf("order: state: %w", err)
	}
	if damaged != nil {
		s = &state{damaged: damaged}
	}
	s.path = path
	if s.Orders == nil {
		s.Orders = map[string]became{}
	}
	if s.Cards == nil {
		s.Cards = map[uint32]int64{}
	}
	if s.Events == nil {
		s.Events = map[uint32]int64{}
	}
	return s, nil
}

// Standing returns what orders have the kiosk at whose path the state is do: that its lane
// goes out, and that it is locked. What cannot be read says neither.
func Standing(path string) (out, locked bool) {
	s, err := openState(path)
	if err != nil {
		return false, false
	}
	return s.Direction == wire.Out, s.Locked
}

// tidy forgets what has certainly expired.
func (s *state) tidy(certain time.Time) {
	now := certain.UnixMilli()
	maps.DeleteFunc(s.Orders, func(_ string, b became) bool { return b.Expires < now })
	maps.DeleteFunc(s.Cards, func(_ uint32, until int64) bool { return until < now })
	const day = 24 * 60 * 60 * 1000
	maps.DeleteFunc(s.Events, func(_ uint32, at int64) bool { return at < now-31*day })
}

func (s *state) write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("order: state: %w", err)
	}
	if err := durable.Replace(s.path, append(b, '\n')); err != nil {
		return fmt.Errorf("order: state: %w", err)
	}
	return nil
}

// errMany is why an order is not taken while too many others have not expired.
var errMany = errors.New("too many orders that have not expired")

// change changes the state and returns once that is on disk. What cannot be written is
// as it was.
func (t *Table) change(fn func(*state) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := *t.state
	next.Orders, next.Cards, next.Events = maps.Clone(next.Orders), maps.Clone(next.Cards), maps.Clone(next.Events)
	if err := fn(&next); err != nil {
		return err
	}
	if err := next.write(); err != nil {
		return err
	}
	t.state = &next
	return nil
}

func key(id wire.OrderID) string { return hex.EncodeToString(id[:]) }

func (t *Table) seen(id wire.OrderID) (became, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.state.Orders[key(id)]
	return b, ok
}

// remember notes that an order came, before it is followed.
func (t *Table) remember(o *wire.Order, certain time.Time) error {
	return t.change(func(s *state) error {
		s.tidy(certain)
		if len(s.Orders) >= maxOrders {
			return errMany
		}
		s.Orders[key(o.ID)] = became{Kind: o.Kind, Issued: o.Issued, Expires: o.Expires}
		return nil
	})
}

// became notes what became of an order.
func (t *Table) became(id wire.OrderID, r wire.Result) error {
	return t.change(func(s *state) error {
		b := s.Orders[key(id)]
		b.Kind, b.State, b.Reason, b.Detail, b.At = r.Kind, r.State, r.Reason, r.Detail, r.At
		s.Orders[key(id)] = b
		return nil
	})
}

// again notes that an order came in a newer message.
func (t *Table) again(o *wire.Order) error {
	return t.change(func(s *state) error {
		b := s.Orders[key(o.ID)]
		b.Issued = o.Issued
		s.Orders[key(o.ID)] = b
		return nil
	})
}
