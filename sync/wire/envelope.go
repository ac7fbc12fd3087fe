package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A Purpose binds a signature to one kind of document: a key's signature under
// one purpose says nothing under another.
type Purpose string

// The purposes.
const (
	ForBatch   Purpose = "batch"   // a kiosk's records
	ForReceipt Purpose = "receipt" // the server's receipt
	ForBeat    Purpose = "beat"    // a beat and its answer
	ForKeys    Purpose = "keys"    // the root's key list
	ForList    Purpose = "list"    // the list of void cards
	ForConfig  Purpose = "config"  // a kiosk's configuration
	ForOrder   Purpose = "order"   // what a kiosk shall do, and by itself what it did
	ForEnrol   Purpose = "enrol"   // a new kiosk's request, and its answer
	ForRenew   Purpose = "renew"   // a kiosk's request for a certificate, and its answer
	ForSeal    Purpose = "seal"    // names a key in the key list; nothing is signed for it
	ForCard    Purpose = "card"    // names a key in the key list; cards are signed by package pass
	ForEvent   Purpose = "event"   // the same for event passes; card and event keys share one row of ids up to 255
)

// packOver is the size in bytes over which a body is compressed; random ids
// dominate a small batch, which compression only makes larger.
const packOver = 1024

// An Envelope is a signed document as it travels and as a bundle on a USB
// stick. Body is CBOR, compressed by zstd if Packed.
type Envelope struct {
	V      uint8  `cbor:"1,keyasint"`
	Key    uint32 `cbor:"2,keyasint,omitempty"` // id of the signing key; 0 is the kiosk's own
	Packed bool   `cbor:"3,keyasint,omitempty"`
	Body   []byte `cbor:"4,keyasint"`
	Sig    []byte `cbor:"5,keyasint"`
}

// A Signer is a key of the server's and the id under which the key list has it.
type Signer struct {
	ID  uint32
	Key ed25519.PrivateKey
}

func signedBytes(p Purpose, e Envelope) []byte {
	b := make([]byte, 0, len("qrgate  v1\x00")+len(p)+5+len(e.Body))
	b = append(b, "qrgate "...)
	b = append(b, p...)
	b = append(b, " v1\x00"...)
	b = binary.BigEndian.AppendUint32(b, e.Key)
	if e.Packed {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(b, e.Body...)
}

// Seal encodes, compresses and signs doc for one purpose and returns the
// envelope's bytes. keyID is 0 for a kiosk's own key.
func Seal(p Purpose, keyID uint32, key ed25519.PrivateKey, doc any) []byte {
	e := Envelope{V: Version, Key: keyID, Body: Encode(doc)}
	if len(e.Body) > packOver {
		if packed := packer().EncodeAll(e.Body, nil); len(packed) < len(e.Body) {
			e.Body, e.Packed = packed, true
		}
	}
	e.Sig = ed25519.Sign(key, signedBytes(p, e))
	return Encode(e)
}

// Open verifies an envelope and decodes its document into doc. key returns the
// public key for an id, or nil when it holds none, which is [ErrSignature]. The
// body is inflated only after the signature has verified.
func Open(p Purpose, b []byte, key func(id uint32) ed25519.PublicKey, doc any) error {
	if len(b) > MaxMessage {
		return fmt.Errorf("wire: %s of %d bytes: %w", p, len(b), ErrTooLarge)
	}
	var e Envelope
	if err := Decode(b, &e); err != nil {
		return err
	}
	if e.V != Version {
		return fmt.Errorf("wire: %s version %d: %w", p, e.V, ErrVersion)
	}
	pub := key(e.Key)
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, signedBytes(p, e), e.Sig) {
		return fmt.Errorf("wire: %s, key %d: %w", p, e.Key, ErrSignature)
	}
	body := e.Body
	if e.Packed {
		var err error
		if body, err = unpacker().DecodeAll(e.Body, nil); err != nil {
			kind := ErrMalformed
			if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
				kind = ErrTooLarge
			}
			return fmt.Errorf("wire: %s: %w: %w", p, kind, err)
		}
	}
	return Decode(body, doc)
}

var packer = sync.OnceValue(func() *zstd.Encoder {
	// The window is as small as a batch: the default costs a kiosk 8 MiB.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10),
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return e
})

var unpacker = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxInflated),
		zstd.WithDecoderMaxWindow(128<<10), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
})
