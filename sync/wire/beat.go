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

	Unrecorded uint64 `cbor:"21,keyasint,omitempty"` // people let in without a record since start

	List *ListBeat `cbor:"22,keyasint,omitempty"` // nil of a kiosk that takes no list
	Room *RoomBeat `cbor:"23,keyasint,omitempty"` // nil of a kiosk that counts nobody
}

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
	case b.List != nil && len(b.List.Have) > MaxListParts/8:
		return nil, fmt.Errorf("wire: beat of %d bytes of parts: %w", len(b.List.Have), ErrTooLarge)
	case b.Room != nil && (len(b.Room.Events) > MaxHeldEvents || len(b.Room.Counts) > MaxCounts):
		return nil, fmt.Errorf("wire: beat of %d events and %d counts: %w", len(b.Room.Events), len(b.Room.Counts), ErrTooLarge)
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
	Fault    string `cbor:"6,keyasint,omitempty"`
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
	case len(a.Grants) > MaxCounts:
		return nil, fmt.Errorf("wire: beat answer of %d grants: %w", len(a.Grants), ErrTooLarge)
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
