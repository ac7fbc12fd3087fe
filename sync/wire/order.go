package wire

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"
)

// An OrderKind says what a kiosk shall do. The numbers travel on the wire, stand on
// command cards and in the database: they are never reused.
type OrderKind uint8

// The kinds of order.
const (
	OrderIdentify    OrderKind = 1  // blink and speak, so that somebody finds the kiosk
	OrderRestart     OrderKind = 2  // end the program; its unit starts it again
	OrderSelfTest    OrderKind = 3  // try every part and list what is found
	OrderLog         OrderKind = 4  // send the newest lines of the log
	OrderEpoch       OrderKind = 5  // begin a new epoch of the ledger
	OrderDirection   OrderKind = 6  // change the lane's direction for a time
	OrderDoor        OrderKind = 7  // open the door once, in two steps
	OrderPicture     OrderKind = 8  // send a blurred picture to aim the camera by
	OrderFloor       OrderKind = 9  // it is no earlier than this; answers a nonce on the screen
	OrderUndo        OrderKind = 10 // take the last check-in back
	OrderTally       OrderKind = 11 // so many people passed who were not counted
	OrderLock        OrderKind = 12 // stop working until unlocked
	OrderUnlock      OrderKind = 13
	OrderEvent       OrderKind = 14 // begin an event before its hour
	OrderMaintenance OrderKind = 15 // allow pictures and set-up for some minutes
	OrderNetwork     OrderKind = 16 // join a wireless network
	OrderPair        OrderKind = 17 // show the code by which a telephone becomes a guard's
	OrderEntry       OrderKind = 18 // somebody was let in by hand; a guard's alone, as are those that follow
	OrderCount       OrderKind = 19 // the number of people inside was set right
	OrderGuard       OrderKind = 20 // a guard's telephone was paired, or locked out
	OrderRoll        OrderKind = 21 // the list of who is inside was looked at
	OrderSetUp       OrderKind = 22 // go through the first start again; a card's alone
)

var orderNames = map[OrderKind]string{
	OrderIdentify: "identify", OrderRestart: "restart", OrderSelfTest: "self_test", OrderLog: "log", OrderEpoch: "epoch",
	OrderDirection: "direction", OrderDoor: "door", OrderPicture: "picture", OrderFloor: "floor", OrderUndo: "undo",
	OrderTally: "tally", OrderLock: "lock", OrderUnlock: "unlock", OrderEvent: "event", OrderMaintenance: "maintenance",
	OrderNetwork: "network", OrderPair: "pair", OrderEntry: "entry", OrderCount: "count", OrderGuard: "guard", OrderRoll: "roll",
	OrderSetUp: "set_up",
}

// String returns the kind's stable name, as texts and audit rows use it.
func (k OrderKind) String() string {
	if s, ok := orderNames[k]; ok {
		return s
	}
	return fmt.Sprintf("order %d", uint8(k))
}

// OrderKinds returns every known kind in ascending order.
func OrderKinds() []OrderKind {
	var all []OrderKind
	for k := OrderKind(1); int(k) <= len(orderNames); k++ {
		all = append(all, k)
	}
	return all
}

// An OrderID is a random number by which an order is known.
type OrderID [16]byte

func (id OrderID) String() string { return hex.EncodeToString(id[:]) }

// OrderArgs are what an order says beside its kind. Which of them counts depends on it.
type OrderArgs struct {
	Direction Direction `cbor:"1,keyasint,omitempty"` // OrderDirection; zero is that of the configuration
	Until     int64     `cbor:"2,keyasint,omitempty"` // OrderDirection: Unix milliseconds; 0 is until it is changed
	Count     int64     `cbor:"3,keyasint,omitempty"` // OrderTally
	Event     uint32    `cbor:"4,keyasint,omitempty"` // OrderEvent
	Time      int64     `cbor:"5,keyasint,omitempty"` // OrderFloor: Unix milliseconds
}

// MaxTally is the largest number of people in one [OrderTally].
const MaxTally = 100

// Validate returns an error unless an order of kind k can say a.
func (a OrderArgs) Validate(k OrderKind) error {
	var only OrderArgs
	ok := true
	switch k {
	case OrderDirection:
		only.Direction, only.Until = a.Direction, a.Until
		ok = a.Direction <= Out && a.Until >= 0
	case OrderTally:
		only.Count = a.Count
		ok = a.Count >= 1 && a.Count <= MaxTally
	case OrderEvent:
		only.Event = a.Event
		ok = a.Event != 0
	case OrderFloor:
		only.Time = a.Time
		ok = a.Time > 0
	}
	if !ok || a != only {
		return fmt.Errorf("wire: %s order: what it says does not belong to it: %w", k, ErrMalformed)
	}
	return nil
}

// An Order is what one kiosk shall do, signed with the server's key for orders.
type Order struct {
	V       uint8     `cbor:"1,keyasint"`
	Kiosk   string    `cbor:"2,keyasint"`
	ID      OrderID   `cbor:"3,keyasint"`
	Kind    OrderKind `cbor:"4,keyasint"`
	Args    OrderArgs `cbor:"5,keyasint,omitzero"`
	Issued  int64     `cbor:"6,keyasint"` // Unix milliseconds
	Expires int64     `cbor:"7,keyasint"` // Unix milliseconds
	// Nonce is what the kiosk has asked for in its beat: of the second step of an
	// OrderDoor. Without it the order says to ask.
	Nonce *[16]byte `cbor:"8,keyasint,omitempty"`
}

// MaxOrderLife is how long an order may be valid: so long a kiosk remembers it.
const MaxOrderLife = 7 * 24 * time.Hour

// OpenOrder verifies and decodes an order. An order for another kiosk, or of a kind of
// a later release, is returned: the caller tells. key returns the key for orders with an
// id, or nil.
func OpenOrder(data []byte, key func(id uint32) ed25519.PublicKey) (*Order, error) {
	var o Order
	if err := Open(ForOrder, data, key, &o); err != nil {
		return nil, err
	}
	switch {
	case o.V != Version:
		return nil, fmt.Errorf("wire: order version %d: %w", o.V, ErrVersion)
	case o.ID == OrderID{} || o.Kind == 0 || !ValidKiosk(o.Kiosk):
		return nil, fmt.Errorf("wire: order without kiosk, number or kind: %w", ErrMalformed)
	case o.Issued <= 0 || o.Expires <= o.Issued || o.Expires-o.Issued > MaxOrderLife.Milliseconds():
		return nil, fmt.Errorf("wire: %s order from %d to %d: %w", o.Kind, o.Issued, o.Expires, ErrMalformed)
	}
	if _, known := orderNames[o.Kind]; known {
		if err := o.Args.Validate(o.Kind); err != nil {
			return nil, err
		}
	}
	return &o, nil
}

// An OrderState is what became of an order. The numbers travel on the wire and stand in
// the database.
type OrderState uint8

// The states.
const (
	OrderDone     OrderState = 1
	OrderRefused  OrderState = 2 // see the reason
	OrderExpired  OrderState = 3 // it came too late, and nothing was done
	OrderUnknown  OrderState = 4 // the kiosk does not know this kind of order
	OrderFailed   OrderState = 5 // it was tried
	OrderPrepared OrderState = 6 // an OrderDoor: the kiosk waits for the second step
)

var orderStates = map[OrderState]string{
	OrderDone: "done", OrderRefused: "refused", OrderExpired: "expired", OrderUnknown: "unknown", OrderFailed: "failed", OrderPrepared: "prepared",
}

// String returns the state's stable name.
func (s OrderState) String() string {
	if n, ok := orderStates[s]; ok {
		return n
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Limits of a [Result].
const (
	MaxResultData  = 32 << 10  // bytes of one part
	MaxResultParts = 16        // parts of one result
	MaxChecks      = 32        // of a self-test
	maxResultText  = 400       // bytes of a text
	MaxResult      = 512 << 10 // bytes of all parts: what a log or a picture may have
)

// A Result is what became of an order, or one part of what that brought, signed by the
// kiosk.
type Result struct {
	V      uint8      `cbor:"1,keyasint"`
	Kiosk  string     `cbor:"2,keyasint"`
	Order  OrderID    `cbor:"3,keyasint"`
	Kind   OrderKind  `cbor:"4,keyasint"`
	State  OrderState `cbor:"5,keyasint"`
	Reason Reason     `cbor:"6,keyasint,omitempty"`
	Detail string     `cbor:"7,keyasint,omitempty"` // never about a person
	At     int64      `cbor:"8,keyasint"`           // Unix milliseconds as the kiosk believed
	Checks []Check    `cbor:"9,keyasint,omitempty"` // of a self-test
	Part   int        `cbor:"10,keyasint,omitempty"`
	Parts  int        `cbor:"11,keyasint,omitempty"` // how many parts there are; 0 is no data
	Data   []byte     `cbor:"12,keyasint,omitempty"` // of this part: lines of a log, or a JPEG
}

// A Check is one line of a self-test.
type Check struct {
	Name   string `cbor:"1,keyasint"`
	OK     bool   `cbor:"2,keyasint,omitempty"`
	Detail string `cbor:"3,keyasint,omitempty"`
}

// Seal cuts data into parts and returns the signed messages of a result. Data beyond
// [MaxResult] is not sent.
func (r Result) Seal(key ed25519.PrivateKey, data []byte) [][]byte {
	r.V = Version
	data = data[:min(len(data), MaxResult)]
	if len(data) == 0 {
		return [][]byte{Seal(ForOrder, 0, key, r)}
	}
	var all [][]byte
	r.Parts = (len(data) + MaxResultData - 1) / MaxResultData
	for i := range r.Parts {
		part := r
		part.Part, part.Data = i, data[i*MaxResultData:min((i+1)*MaxResultData, len(data))]
		if i > 0 {
			part.Checks = nil // once is enough
		}
		all = append(all, Seal(ForOrder, 0, key, part))
	}
	return all
}

// OpenResult verifies and decodes a result of kiosk, whose public key is given.
func OpenResult(data []byte, kiosk string, key ed25519.PublicKey) (*Result, error) {
	var r Result
	err := Open(ForOrder, data, func(id uint32) ed25519.PublicKey {
		if id != 0 {
			return nil
		}
		return key
	}, &r)
	if err != nil {
		return nil, err
	}
	_, known := orderStates[r.State]
	switch {
	case r.V != Version:
		return nil, fmt.Errorf("wire: result version %d: %w", r.V, ErrVersion)
	case r.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: result of kiosk %q: %w", r.Kiosk, ErrSignature)
	case len(r.Data) > MaxResultData || r.Parts > MaxResultParts || len(r.Checks) > MaxChecks:
		return nil, fmt.Errorf("wire: result of %d bytes, %d parts and %d checks: %w", len(r.Data), r.Parts, len(r.Checks), ErrTooLarge)
	case !known || !resultText(r.Detail) || r.Parts < 0 || r.Part < 0 || r.Parts == 0 && (r.Part > 0 || len(r.Data) > 0) || r.Parts > 0 && r.Part >= r.Parts:
		return nil, fmt.Errorf("wire: result %s: %w", r.State, ErrMalformed)
	}
	for _, c := range r.Checks {
		if !resultText(c.Name) || !resultText(c.Detail) {
			return nil, fmt.Errorf("wire: check of a result: %w", ErrMalformed)
		}
	}
	return &r, nil
}

func resultText(s string) bool { return len(s) <= maxResultText && utf8.ValidString(s) }

// ResultText returns s as a result may carry it.
func ResultText(s string) string {
	if len(s) > maxResultText {
		s = s[:maxResultText]
	}
	var b []byte
	for _, r := range s { // what is cut is no letter any more
		if r != utf8.RuneError && r >= ' ' {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// An OrderBeat is what a beat says of orders.
type OrderBeat struct {
	// Ask is a door order whose second step the kiosk waits for, and Nonce what that
	// must say.
	Ask   *OrderID  `cbor:"1,keyasint,omitempty"`
	Nonce *[16]byte `cbor:"2,keyasint,omitempty"`

	// Direction is what an order has the lane do in place of the configuration, until
	// a time in Unix milliseconds, or until it is changed if that is 0.
	Direction Direction `cbor:"3,keyasint,omitempty"`
	Until     int64     `cbor:"4,keyasint,omitempty"`

	Locked      bool  `cbor:"5,keyasint,omitempty"`
	Maintenance int64 `cbor:"6,keyasint,omitempty"` // seconds that maintenance still lasts
}

// An OrderAnswer is what the answer to a beat says of orders.
type OrderAnswer struct {
	Place uint32 `cbor:"1,keyasint,omitempty"` // number of the place where the kiosk stands
	Open  []byte `cbor:"2,keyasint,omitempty"` // the signed second step of the door order that was asked for

	// Portal is where telephones reach the server's pages, as posters say it: at most
	// MaxPortal bytes.
	Portal string `cbor:"3,keyasint,omitempty"`
}

// Limits of an [OrderAnswer].
const (
	MaxOrderAnswer = 1 << 10 // bytes of the signed order
	MaxPortal      = 100
)

// OrderUse is how a command card, or a message that was refused, was judged, or what a
// guard has done.
type OrderUse struct {
	Kind   OrderKind  `cbor:"1,keyasint,omitempty"` // zero if it could not be read
	State  OrderState `cbor:"2,keyasint"`
	Card   uint32     `cbor:"3,keyasint,omitempty"` // serial number of the card; zero of a message
	ID     *OrderID   `cbor:"4,keyasint,omitempty"` // of a message
	Undone uint64     `cbor:"5,keyasint,omitempty"` // OrderUndo: number of the check-in that was taken back
	Count  int64      `cbor:"6,keyasint,omitempty"` // OrderTally; OrderCount: people more, or fewer if it is below zero
	Guard  bool       `cbor:"7,keyasint,omitempty"` // a guard has done it on the kiosk's own page
}

// MaxTurnHours is how long a card can have a lane go the other way.
const MaxTurnHours = 1<<16 - 1

// CardArg returns what a command card says of an order; see [CardArgs]. hours is how long
// an OrderDirection holds, 0 is until it is changed.
func CardArg(k OrderKind, a OrderArgs, hours uint16) uint64 {
	switch k {
	case OrderDirection:
		return uint64(a.Direction)<<16 | uint64(hours)
	case OrderTally:
		return uint64(a.Count)
	case OrderEvent:
		return uint64(a.Event)
	case OrderFloor:
		return uint64(a.Time / 1000)
	}
	return 0
}

// CardArgs returns what an order says by its card's argument, followed at now: hours are
// counted from then.
func CardArgs(k OrderKind, arg uint64, now time.Time) (OrderArgs, error) {
	var a OrderArgs
	var hours uint16
	switch k {
	case OrderDirection:
		a.Direction, hours = Direction(arg>>16&0xff), uint16(arg)
		if hours > 0 {
			a.Until = now.Add(time.Duration(hours) * time.Hour).UnixMilli()
		}
	case OrderTally:
		a.Count = int64(arg & (1<<40 - 1))
	case OrderEvent:
		a.Event = uint32(arg)
	case OrderFloor:
		a.Time = int64(arg&(1<<40-1)) * 1000
	}
	if CardArg(k, a, hours) != arg {
		return OrderArgs{}, fmt.Errorf("wire: %s order: argument %d of a card: %w", k, arg, ErrMalformed)
	}
	return a, a.Validate(k)
}
