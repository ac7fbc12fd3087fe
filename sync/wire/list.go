package wire

import (
	"crypto/ed25519"
	"fmt"
)

// Limits of the list of void cards.
const (
	MaxListPart  = 32 << 10 // bytes of one message
	MaxListParts = 128

	// listPartBytes leaves room for envelope and head.
	listPartBytes = MaxListPart - 512
)

// A ListHead says of which list a part is.
type ListHead struct {
	Stamp  Stamp  `cbor:"1,keyasint"`           // its versions begin at 1
	From   uint64 `cbor:"2,keyasint,omitempty"` // a change of this version of the same generation; 0 is a whole list
	Digest Hash   `cbor:"3,keyasint"`           // pass.Revocations.Digest of the list at Stamp
	Alone  bool   `cbor:"4,keyasint,omitempty"` // an operator has said that lists of earlier generations may be forgotten
	Parts  int    `cbor:"5,keyasint"`           // 1 of a change
}

// A ListPart is a stretch of an encoded list of void cards (pass.Revocations), or
// all of a change to one: the cards whose lines are new or wider. It is signed
// with the server's receipt key and is the same for every kiosk. Parts belong
// together only if their heads are equal.
type ListPart struct {
	V    uint8    `cbor:"1,keyasint"`
	Head ListHead `cbor:"2,keyasint"`
	Part int      `cbor:"3,keyasint"` // from 0
	Data []byte   `cbor:"4,keyasint"`
}

// SealList cuts an encoded list or change into signed parts. It returns false if
// it is too long: a change must fit into one part.
func SealList(keyID uint32, key ed25519.PrivateKey, h ListHead, encoded []byte) ([][]byte, bool) {
	h.Parts = (len(encoded) + listPartBytes - 1) / listPartBytes
	if h.Parts == 0 || h.Parts > MaxListParts || h.From > 0 && h.Parts > 1 {
		return nil, false
	}
	parts := make([][]byte, h.Parts)
	for i := range parts {
		data := encoded[i*listPartBytes : min((i+1)*listPartBytes, len(encoded))]
		parts[i] = Seal(ForList, keyID, key, ListPart{V: Version, Head: h, Part: i, Data: data})
	}
	return parts, true
}

// OpenListPart verifies and decodes a part of a list. key returns the receipt key
// for an id, or nil.
func OpenListPart(data []byte, key func(id uint32) ed25519.PublicKey) (*ListPart, error) {
	if len(data) > MaxListPart {
		return nil, fmt.Errorf("wire: list part of %d bytes: %w", len(data), ErrTooLarge)
	}
	var p ListPart
	if err := Open(ForList, data, key, &p); err != nil {
		return nil, err
	}
	h := p.Head
	switch {
	case p.V != Version:
		return nil, fmt.Errorf("wire: list part version %d: %w", p.V, ErrVersion)
	case h.Parts > MaxListParts || len(p.Data) > MaxListPart:
		return nil, fmt.Errorf("wire: list of %d parts: %w", h.Parts, ErrTooLarge)
	case h.Stamp.Version == 0 || h.From >= h.Stamp.Version || p.Part < 0 || p.Part >= h.Parts || h.From > 0 && h.Parts > 1 || len(p.Data) == 0:
		return nil, fmt.Errorf("wire: part %d of %d of list %d.%d from %d: %w", p.Part, h.Parts, h.Stamp.Generation, h.Stamp.Version, h.From, ErrMalformed)
	}
	return &p, nil
}

// A ListBeat is what a kiosk says of its list of void cards, and so what it asks
// for.
type ListBeat struct {
	Stamp   Stamp  `cbor:"1,keyasint,omitzero"`  // of the list it holds; version 0 asks for the whole list
	Cards   int    `cbor:"2,keyasint,omitempty"` // in it
	Checked int64  `cbor:"3,keyasint,omitempty"` // Unix milliseconds of the server's, when it last said that there is none newer
	Getting Stamp  `cbor:"4,keyasint,omitzero"`  // of the whole list of which parts have come
	Have    []byte `cbor:"5,keyasint,omitempty"` // these parts, a bit each, part 0 the lowest of the first byte
}

// Has reports whether a part of Getting has come.
func (l ListBeat) Has(part int) bool { return part/8 < len(l.Have) && l.Have[part/8]>>(part%8)&1 == 1 }

// Add notes that a part of Getting has come.
func (l *ListBeat) Add(part int) {
	for len(l.Have) <= part/8 {
		l.Have = append(l.Have, 0)
	}
	l.Have[part/8] |= 1 << (part % 8)
}
