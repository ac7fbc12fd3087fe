package wire

import (
	"crypto/ed25519"
	"fmt"

	"github.com/qrgate/qrgate/sync/when"
)

// A Beat is a kiosk's health, each half minute and on change, signed by the
// kiosk. Its answer is the only thing from which a kiosk takes the time.
type Beat struct {
	V       uint8     `cbor:"1,keyasint"`
	Nonce   [16]byte  `cbor:"2,keyasint"`
	Session uint64    `cbor:"3,keyasint"` // as in Online
	Release string    `cbor:"4,keyasint"` // version of the program
	Boot    when.Boot `cbor:"5,keyasint"`
	Epoch   Epoch     `cbor:"6,keyasint"`
	Last    uint64    `cbor:"7,keyasint"`            // newest sequence number
	Through uint64    `cbor:"8,keyasint"`            // receipted without a gap
	Queued  uint64    `cbor:"9,keyasint"`            // records without a receipt
	Used    int64     `cbor:"10,keyasint,omitempty"` // bytes of the outbox
	Limit   int64     `cbor:"11,keyasint,omitempty"` // bytes the outbox may grow to

	Uptime      int64         `cbor:"12,keyasint,omitempty"` // seconds since boot
	DiskFree    int64         `cbor:"13,keyasint,omitempty"` // bytes
	Temperature int           `cbor:"14,keyasint,omitempty"` // thousandths of a degree Celsius
	PowerFaults uint32        `cbor:"15,keyasint,omitempty"` // under-voltage since boot, 0 or 1 where only a flag is known
	Scanners    []ScannerBeat `cbor:"16,keyasint,omitempty"`

	Since int64      `cbor:"17,keyasint"` // the clock, as in Header
	Wall  int64      `cbor:"18,keyasint"`
	State when.State `cbor:"19,keyasint"`
	Error int64      `cbor:"20,keyasint,omitempty"`

	Unrecorded uint64 `cbor:"21,keyasint,omitempty"` // people let in without a record since start, and before it if none can tell of them

	List *ListBeat `cbor:"22,keyasint,omitempty"` // nil of a kiosk that takes no list
	Room *RoomBeat `cbor:"23,keyasint,omitempty"` // nil of a kiosk that counts nobody

	Cert   *CertBeat   `cbor:"40,keyasint,omitempty"`
	Config *ConfigBeat `cbor:"41,keyasint,omitempty"` // nil of a kiosk that takes no configuration
	Orders *OrderBeat  `cbor:"42,keyasint,omitempty"` // nil of a kiosk that takes no orders

	Oldest    int64      `cbor:"24,keyasint,omitempty"` // age of the oldest record without a receipt in milliseconds, 0 if there is none or it cannot be dated
	DiskTotal int64      `cbor:"25,keyasint,omitempty"` // bytes; ReadOnly and DiskFree are known with it
	ReadOnly  bool       `cbor:"26,keyasint,omitempty"` // the file system has found an error
	Power     PowerFlags `cbor:"27,keyasint,omitempty"`
	Memory    int64      `cbor:"28,keyasint,omitempty"` // bytes of the machine
	Available int64      `cbor:"29,keyasint,omitempty"` // of them; known with Memory
	Links     uint32     `cbor:"30,keyasint,omitempty"` // connections since start, this one included
	RoundTrip int64      `cbor:"31,keyasint,omitempty"` // microseconds from the last answered beat to its answer
	Offset    *int64     `cbor:"32,keyasint,omitempty"` // milliseconds by which the kiosk's clock was behind the server's then; nil if no beat was answered
	Opened    OpenedBy   `cbor:"33,keyasint,omitempty"` // why the epoch began
	Moved     bool       `cbor:"34,keyasint,omitempty"` // for the storage is another machine's, or was put back
	Lost      uint64     `cbor:"35,keyasint,omitempty"` // records that the epoch before held and this one does not
	Model     string     `cbor:"36,keyasint,omitempty"` // of the machine, at most MaxModel bytes
	Serial    string     `cbor:"37,keyasint,omitempty"` // hash of its serial number, in hex

	Update *UpdateBeat `cbor:"43,keyasint,omitempty"` // nil of a kiosk that takes no updates

	Passage *PassageBeat `cbor:"44,keyasint,omitempty"` // nil of a kiosk at which nothing counts who passes
	Lease   *LeaseBeat   `cbor:"45,keyasint,omitempty"` // nil of a kiosk that has none
	Guard   *GuardBeat   `cbor:"46,keyasint,omitempty"` // nil of a kiosk that serves no guard's page
}

// PowerFlags are what a machine says of its supply. Zero is nothing.
type PowerFlags uint8

// The flags. None of the others is set without PowerKnown.
const (
	PowerKnown     PowerFlags = 1 << iota
	UnderVoltage              // now
	Throttled                 // slowed down now, for heat or for lack of power
	WasUnder                  // at any time since boot
	WasThrottled              // at any time since boot
	powerFlagsEnd             // of this version
	powerFlagsMask = powerFlagsEnd - 1
)

// Has reports whether f holds every flag of g.
func (f PowerFlags) Has(g PowerFlags) bool { return f&powerFlagsMask&g == g }

// MaxModel is the longest name of a machine in bytes, and the longest hash of its
// serial number.
const MaxModel = 80

// MaxScanners is the largest number of scanners and cameras in a [Beat].
const MaxScanners = 16

// OpenBeat verifies and decodes a beat of the kiosk whose public key is given.
func OpenBeat(data []byte, key ed25519.PublicKey) (*Beat, error) {
	var b Beat
	err := Open(ForBeat, data, func(id uint32) ed25519.PublicKey {
		if id != 0 {
			return nil
		}
		return key
	}, &b)
	switch {
	case err != nil:
		return nil, err
	case b.V != Version:
		return nil, fmt.Errorf("wire: beat version %d: %w", b.V, ErrVersion)
	case len(b.Scanners) > MaxScanners:
		return nil, fmt.Errorf("wire: beat of %d scanners: %w", len(b.Scanners), ErrTooLarge)
	case max(len(b.Model), len(b.Serial)) > MaxModel:
		return nil, fmt.Errorf("wire: beat of a machine with %d bytes of name: %w", max(len(b.Model), len(b.Serial)), ErrTooLarge)
	case b.List != nil && len(b.List.Have) > MaxListParts/8:
		return nil, fmt.Errorf("wire: beat of %d bytes of parts: %w", len(b.List.Have), ErrTooLarge)
	case b.Config != nil && len(b.Config.Detail) > MaxConfigDetail:
		return nil, fmt.Errorf("wire: beat of a refusal of %d bytes: %w", len(b.Config.Detail), ErrTooLarge)
	case b.Room != nil && (len(b.Room.Events) > MaxHeldEvents || len(b.Room.Counts) > MaxCounts):
		return nil, fmt.Errorf("wire: beat of %d events and %d counts: %w", len(b.Room.Events), len(b.Room.Counts), ErrTooLarge)
	}
	if err := b.Update.check(); err != nil {
		return nil, err
	}
	return &b, nil
}

// A ScannerBeat is the health of one scanner or camera.
type ScannerBeat struct {
	Name     string `cbor:"1,keyasint"`
	Present  bool   `cbor:"2,keyasint,omitempty"`
	LastScan int64  `cbor:"3,keyasint,omitempty"` // Unix milliseconds as the kiosk believes
	Scans    uint64 `cbor:"4,keyasint,omitempty"` // since start
	Bad      uint64 `cbor:"5,keyasint,omitempty"` // frames that were no code, since start
	Fault    string `cbor:"6,keyasint,omitempty"` // absent, silent, stuck, babbling; of a camera black, dark, bright, frozen; "" for none
	Share    uint8  `cbor:"7,keyasint,omitempty"` // per cent of its latest frames that were no code; known once it gave any
	Unplugs  uint32 `cbor:"8,keyasint,omitempty"` // times it went away, since start

	Hints HintBeat `cbor:"9,keyasint,omitzero"`
}

// A HintBeat is how often, since start, a camera told who held up a code why it was
// not read.
type HintBeat struct {
	Closer    uint32 `cbor:"1,keyasint,omitempty"` // too far away
	HoldStill uint32 `cbor:"2,keyasint,omitempty"` // blurred, bent or damaged
	Tilt      uint32 `cbor:"3,keyasint,omitempty"` // a glare lay on it
	Light     uint32 `cbor:"4,keyasint,omitempty"` // too dark
}

// A BeatAnswer echoes a beat's nonce with the server's time, signed by the
// server's receipt key.
type BeatAnswer struct {
	V     uint8    `cbor:"1,keyasint"`
	Kiosk string   `cbor:"2,keyasint"`
	Nonce [16]byte `cbor:"3,keyasint"`
	Time  int64    `cbor:"4,keyasint"`          // Unix milliseconds
	List  Stamp    `cbor:"5,keyasint,omitzero"` // of the newest list of void cards; zero if the server does not know it

	Grants []GrantAnswer `cbor:"6,keyasint,omitempty"` // to the beat's counts

	Certificate []byte `cbor:"7,keyasint,omitempty"` // PEM, for the key of the old one; at most MaxCertificate bytes

	Orders *OrderAnswer `cbor:"8,keyasint,omitempty"`

	Update *UpdateAnswer `cbor:"10,keyasint,omitempty"` // nil if the kiosk shall go on with what it runs
}

// OpenBeatAnswer verifies and decodes the answer to a beat of kiosk. key returns
// the receipt key for an id, or nil. Whether the answer belongs to a beat that
// was asked is the caller's to compare: only then its time is one.
func OpenBeatAnswer(data []byte, kiosk string, key func(id uint32) ed25519.PublicKey) (*BeatAnswer, error) {
	var a BeatAnswer
	if err := Open(ForBeat, data, key, &a); err != nil {
		return nil, err
	}
	switch {
	case a.V != Version:
		return nil, fmt.Errorf("wire: beat answer version %d: %w", a.V, ErrVersion)
	case a.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: beat answer for kiosk %q: %w", a.Kiosk, ErrSignature)
	case len(a.Certificate) > MaxCertificate:
		return nil, fmt.Errorf("wire: beat answer with a certificate of %d bytes: %w", len(a.Certificate), ErrTooLarge)
	case len(a.Grants) > MaxCounts:
		return nil, fmt.Errorf("wire: beat answer of %d grants: %w", len(a.Grants), ErrTooLarge)
	case a.Orders != nil && (len(a.Orders.Open) > MaxOrderAnswer || len(a.Orders.Portal) > MaxPortal):
		return nil, fmt.Errorf("wire: beat answer with an order of %d bytes: %w", len(a.Orders.Open), ErrTooLarge)
	}
	if err := a.Update.check(); err != nil {
		return nil, err
	}
	return &a, nil
}

// MaxStatus is the largest [Online] message in bytes; it is also the largest
// last will.
const MaxStatus = 256

// Online is the retained message on a kiosk's status topic, and with Up false
// its last will. A will of an older session says nothing about a newer one.
type Online struct {
	V       uint8  `cbor:"1,keyasint"`
	Up      bool   `cbor:"2,keyasint,omitempty"`
	Session uint64 `cbor:"3,keyasint"`
}

// DecodeOnline reads a status message.
func DecodeOnline(b []byte) (Online, error) {
	var o Online
	if len(b) > MaxStatus {
		return o, fmt.Errorf("wire: status of %d bytes: %w", len(b), ErrTooLarge)
	}
	if err := Decode(b, &o); err != nil {
		return o, err
	}
	if o.V != Version {
		return o, fmt.Errorf("wire: status version %d: %w", o.V, ErrVersion)
	}
	return o, nil
}
