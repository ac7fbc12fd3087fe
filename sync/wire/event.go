package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/qrgate/qrgate/sync/pass"
)

// ForBundle signs an event's bundle. It is another purpose than that of event
// passes, whose signatures package pass makes.
const ForBundle Purpose = "bundle"

// Limits of an event's bundle.
const (
	MaxEventCategories = 16
	MaxEventGates      = 16     // of a category
	MaxEventPasses     = 20_000 // with which a bundle stays below MaxMessage whatever the numbers are
)

// An Event is what the kiosks of a place know of a gathering there: when its doors
// are open, how many may be inside, and the numbers of its passes. It names no
// guest.
type Event struct {
	V          uint8           `cbor:"1,keyasint"`
	Stamp      Stamp           `cbor:"2,keyasint"`
	No         uint32          `cbor:"3,keyasint"`
	Name       string          `cbor:"4,keyasint"`
	From       int64           `cbor:"5,keyasint"` // Unix milliseconds: when doors open
	To         int64           `cbor:"6,keyasint"` // Unix milliseconds: when the event ends
	Capacity   uint32          `cbor:"7,keyasint,omitempty"`
	Open       bool            `cbor:"8,keyasint,omitempty"`  // lets in also who is not invited
	Reentry    bool            `cbor:"9,keyasint,omitempty"`  // a pass that went out comes in again
	Cancelled  bool            `cbor:"10,keyasint,omitempty"` // its passes open no door
	Categories []EventCategory `cbor:"11,keyasint"`
	Packed     []byte          `cbor:"12,keyasint,omitempty"` // the passes
	Passes     []EventPass     `cbor:"-"`                     // in the order of their numbers
}

// An EventCategory is guests who come in by the same doors under the same limit.
type EventCategory struct {
	No    uint8    `cbor:"1,keyasint"`
	Name  string   `cbor:"2,keyasint,omitempty"`
	Gates []string `cbor:"3,keyasint,omitempty"` // none are all
	Quota uint32   `cbor:"4,keyasint,omitempty"` // 0 is no limit
}

// An EventPass is a pass that is valid. Every lower issue of its number is not.
type EventPass struct {
	Number   uint32
	Issue    uint8
	Category uint8
}

// SealEvent packs, signs and encodes a bundle.
func SealEvent(e *Event, keyID uint32, key ed25519.PrivateKey) []byte {
	packed := *e
	packed.V, packed.Packed = Version, packPasses(e.Passes)
	return Seal(ForBundle, keyID, key, packed)
}

// packPasses writes each pass as the distance to the number before, issue and
// category: three bytes where numbers are dense.
func packPasses(passes []EventPass) []byte {
	b := make([]byte, 0, 3*len(passes))
	last := uint32(0)
	for _, p := range passes {
		b = binary.AppendUvarint(b, uint64(p.Number-last))
		b = append(b, p.Issue, p.Category)
		last = p.Number
	}
	return b
}

func unpackPasses(b []byte) ([]EventPass, error) {
	var passes []EventPass
	last := uint64(0)
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+2 || step == 0 || step > 1<<32-1-last || b[n] == 0 {
			return nil, fmt.Errorf("pass %d: %w", len(passes)+1, ErrMalformed)
		}
		if len(passes) == MaxEventPasses {
			return nil, fmt.Errorf("more than %d passes: %w", MaxEventPasses, ErrTooLarge)
		}
		last += step
		passes = append(passes, EventPass{uint32(last), b[n], b[n+1]})
		b = b[n+2:]
	}
	return passes, nil
}

// OpenEvent verifies and decodes an event's bundle.
func OpenEvent(data []byte, key func(id uint32) ed25519.PublicKey) (*Event, error) {
	var e Event
	if err := Open(ForBundle, data, key, &e); err != nil {
		return nil, err
	}
	if e.V != Version {
		return nil, fmt.Errorf("wire: event version %d: %w", e.V, ErrVersion)
	}
	if e.No == 0 || e.No > pass.MaxEvent || e.To <= e.From || len(e.Categories) > MaxEventCategories {
		return nil, fmt.Errorf("wire: event %d: %w", e.No, ErrMalformed)
	}
	for _, c := range e.Categories {
		if c.No == 0 || len(c.Gates) > MaxEventGates {
			return nil, fmt.Errorf("wire: event %d: category %d: %w", e.No, c.No, ErrMalformed)
		}
	}
	var err error
	if e.Passes, err = unpackPasses(e.Packed); err != nil {
		return nil, fmt.Errorf("wire: event %d: %w", e.No, err)
	}
	e.Packed = nil
	return &e, nil
}
