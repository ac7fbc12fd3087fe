package wire

import (
	"crypto/ed25519"
	"fmt"
)

// A Stamp orders the server's signed documents. A server restored from a backup
// has a higher Generation, so what it signs is newer than all it signed before.
type Stamp struct {
	Generation uint64 `cbor:"1,keyasint"`
	Version    uint64 `cbor:"2,keyasint"`
}

// Newer reports whether s was signed after t.
func (s Stamp) Newer(t Stamp) bool {
	return s.Generation > t.Generation || s.Generation == t.Generation && s.Version > t.Version
}

// A Range is a run of sequence numbers, both ends included.
type Range struct {
	_    struct{} `cbor:",toarray"`
	From uint64
	To   uint64
}

// A Reject names a record that the server has taken and set aside. The record
// is received all the same: it is in the dead letters of both sides.
type Reject struct {
	_      struct{} `cbor:",toarray"`
	Seq    uint64
	Reason Reason
}

// Limits of a receipt's lists.
const (
	MaxReceiptRanges  = 64
	MaxReceiptRejects = MaxBatchRecords
)

// A Receipt says what the server holds of one epoch, after its commit. It is
// the only thing that lets a kiosk forget a record.
type Receipt struct {
	V          uint8    `cbor:"1,keyasint"`
	Kiosk      string   `cbor:"2,keyasint"`
	Epoch      Epoch    `cbor:"3,keyasint"`
	Generation uint64   `cbor:"4,keyasint"`           // see Stamp
	Through    uint64   `cbor:"5,keyasint"`           // all of 1..Through are committed
	Hash       Hash     `cbor:"6,keyasint"`           // the server's chain after Through
	Safe       uint64   `cbor:"7,keyasint,omitempty"` // 1..Safe are in a verified backup
	Ranges     []Range  `cbor:"8,keyasint,omitempty"` // committed beyond Through
	Rejects    []Reject `cbor:"9,keyasint,omitempty"`
	Fork       bool     `cbor:"10,keyasint,omitempty"` // the server knows another history of this epoch
	Time       int64    `cbor:"11,keyasint"`           // server's Unix milliseconds at signing
}

// Seal signs r with the server's receipt key.
func (r *Receipt) Seal(keyID uint32, key ed25519.PrivateKey) []byte {
	return Seal(ForReceipt, keyID, key, r)
}

// OpenReceipt verifies and decodes a receipt for kiosk. key returns the receipt
// key for an id, or nil.
func OpenReceipt(data []byte, kiosk string, key func(id uint32) ed25519.PublicKey) (*Receipt, error) {
	var r Receipt
	if err := Open(ForReceipt, data, key, &r); err != nil {
		return nil, err
	}
	switch {
	case r.V != Version:
		return nil, fmt.Errorf("wire: receipt version %d: %w", r.V, ErrVersion)
	case r.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: receipt for kiosk %q: %w", r.Kiosk, ErrSignature)
	case len(r.Ranges) > MaxReceiptRanges || len(r.Rejects) > MaxReceiptRejects:
		return nil, fmt.Errorf("wire: receipt of %d ranges, %d rejects: %w", len(r.Ranges), len(r.Rejects), ErrTooLarge)
	case r.Through > maxSeq:
		return nil, fmt.Errorf("wire: receipt through %d: %w", r.Through, ErrMalformed)
	case r.Safe > r.Through:
		return nil, fmt.Errorf("wire: receipt safe to %d, through %d: %w", r.Safe, r.Through, ErrMalformed)
	}
	last := r.Through
	for _, g := range r.Ranges {
		if g.From <= last+1 || g.To < g.From || g.To > maxSeq {
			return nil, fmt.Errorf("wire: receipt range %d-%d: %w", g.From, g.To, ErrMalformed)
		}
		last = g.To
	}
	return &r, nil
}
