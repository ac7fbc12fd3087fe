package wire

import (
	"crypto/ed25519"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// A Batch is a run of consecutive records of one epoch, with what the server
// needs to open and chain them without any other batch.
type Batch struct {
	V        uint8             `cbor:"1,keyasint"`
	Kiosk    string            `cbor:"2,keyasint"`
	Epoch    Epoch             `cbor:"3,keyasint"`
	First    uint64            `cbor:"4,keyasint"`           // sequence number of Records[0]
	Prev     Hash              `cbor:"5,keyasint"`           // the chain before First
	Backlog  bool              `cbor:"6,keyasint,omitempty"` // an older run, sent beside live ones
	Oldest   uint64            `cbor:"7,keyasint,omitempty"` // oldest sequence number without a receipt
	Last     uint64            `cbor:"8,keyasint,omitempty"` // newest sequence number in the ledger
	Contexts []Context         `cbor:"9,keyasint,omitempty"`
	Records  []cbor.RawMessage `cbor:"10,keyasint"`
}

// Hash returns the chain's state after the batch's last record.
func (b *Batch) Hash() Hash {
	h := b.Prev
	for _, r := range b.Records {
		h = h.Next(r)
	}
	return h
}

// End returns the sequence number of the last record.
func (b *Batch) End() uint64 { return b.First + uint64(len(b.Records)) - 1 }

// Seal signs b with the kiosk's key.
func (b *Batch) Seal(key ed25519.PrivateKey) []byte { return Seal(ForBatch, 0, key, b) }

// OpenBatch verifies and decodes a batch of kiosk, whose public key is given.
// It checks the batch as a whole, not its records, so that one bad record never
// hides the others.
func OpenBatch(data []byte, kiosk string, key ed25519.PublicKey) (*Batch, error) {
	var b Batch
	err := Open(ForBatch, data, func(id uint32) ed25519.PublicKey {
		if id != 0 {
			return nil
		}
		return key
	}, &b)
	if err != nil {
		return nil, err
	}
	switch {
	case b.V != Version:
		return nil, fmt.Errorf("wire: batch version %d: %w", b.V, ErrVersion)
	case b.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: batch of kiosk %q from kiosk %q: %w", b.Kiosk, kiosk, ErrSignature)
	case len(b.Records) == 0 || b.First == 0 || b.First > maxSeq:
		return nil, fmt.Errorf("wire: batch of %d records from %d: %w", len(b.Records), b.First, ErrMalformed)
	case len(b.Records) > MaxBatchRecords || len(b.Contexts) > MaxBatchRecords:
		return nil, fmt.Errorf("wire: batch of %d records, %d contexts: %w", len(b.Records), len(b.Contexts), ErrTooLarge)
	case b.First == 1 && b.Prev != (Hash{}):
		return nil, fmt.Errorf("wire: batch starts an epoch on another chain: %w", ErrMalformed)
	}
	for _, c := range b.Contexts {
		if c.ID != contextID(c.Enc) {
			return nil, fmt.Errorf("wire: context %x is not its key's: %w", c.ID, ErrMalformed)
		}
	}
	return &b, nil
}
