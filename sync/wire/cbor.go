package wire

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Version is the version of every message in this release. A message of a
// higher version is refused with [ErrVersion]; added fields do not raise it.
const Version = 1

// Limits. A message over MaxMessage never reaches a decoder: brokers refuse it.
const (
	MaxMessage      = 128 << 10 // bytes of one MQTT payload
	MaxBatchRecords = 256
	MaxBatchBytes   = 32 << 10 // of the records in one batch, before compression
	MaxRecord       = 8 << 10  // bytes of one record; an HC1 code is about 4 kB
	maxInflated     = 256 << 10
	maxSeq          = 1 << 62 // sequence number; no sum of two overflows
)

// Errors of decoding. They are wrapped with the fact that was wrong.
var (
	ErrTooLarge  = errors.New("too large")
	ErrMalformed = errors.New("malformed")
	ErrVersion   = errors.New("unsupported version")
	ErrSignature = errors.New("signature does not verify")
)

var encMode = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var decMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:  8,
		MaxArrayElements: 4096,
		MaxMapPairs:      256,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// Encode returns v in the wire's deterministic CBOR. It panics on a type that
// CBOR cannot express, which is a bug of the caller.
func Encode(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: encode %T: %v", v, err))
	}
	return b
}

// Decode reads one CBOR value of at most 256 KiB into v, which is more than any
// message inflates to. Bytes after it, duplicate keys, tags and endless lengths
// are refused.
func Decode(b []byte, v any) error {
	if len(b) > maxInflated {
		return fmt.Errorf("wire: %d bytes: %w", len(b), ErrTooLarge)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: %w: %w", ErrMalformed, err)
	}
	return nil
}
