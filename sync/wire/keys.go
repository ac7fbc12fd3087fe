package wire

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
)

// A Key is a public key of the server and what it may be used for.
type Key struct {
	ID      uint32  `cbor:"1,keyasint"`
	Purpose Purpose `cbor:"2,keyasint"`
	Public  []byte  `cbor:"3,keyasint"`
	From    int64   `cbor:"4,keyasint,omitempty"` // Unix milliseconds
	To      int64   `cbor:"5,keyasint,omitempty"` // Unix milliseconds; 0 is without end
}

// A KeyList is every key that a kiosk shall trust, signed by the offline root.
// A key that is no longer listed is no longer trusted.
type KeyList struct {
	V     uint8 `cbor:"1,keyasint"`
	Stamp Stamp `cbor:"2,keyasint"`
	Keys  []Key `cbor:"3,keyasint"`
}

// MaxKeys is the largest number of keys in a list.
const MaxKeys = 64

// publicBytes is the length of an Ed25519 and of an X25519 public key.
const publicBytes = 32

// OpenKeyList verifies and decodes a key list against the root's public key. A
// purpose of a later release may have keys of any kind.
func OpenKeyList(data []byte, root ed25519.PublicKey) (*KeyList, error) {
	var l KeyList
	if err := Open(ForKeys, data, func(uint32) ed25519.PublicKey { return root }, &l); err != nil {
		return nil, err
	}
	if l.V != Version {
		return nil, fmt.Errorf("wire: key list version %d: %w", l.V, ErrVersion)
	}
	if len(l.Keys) > MaxKeys {
		return nil, fmt.Errorf("wire: key list of %d keys: %w", len(l.Keys), ErrTooLarge)
	}
	for _, k := range l.Keys {
		switch k.Purpose {
		case ForReceipt, ForConfig, ForOrder, ForSeal, ForCard, ForEvent:
			if len(k.Public) != publicBytes {
				return nil, fmt.Errorf("wire: %s key %d of %d bytes: %w", k.Purpose, k.ID, len(k.Public), ErrMalformed)
			}
		}
	}
	return &l, nil
}

// Cards returns the listed keys that sign cards and event passes.
func (l *KeyList) Cards() pass.Keys {
	keys := pass.Keys{}
	for _, k := range l.Keys {
		if (k.Purpose != ForCard && k.Purpose != ForEvent) || k.ID > 255 || len(k.Public) != ed25519.PublicKeySize {
			continue
		}
		card := pass.Key{Public: k.Public, Events: k.Purpose == ForEvent, From: pass.DayOf(time.UnixMilli(k.From))}
		if k.To != 0 {
			card.To = pass.DayOf(time.UnixMilli(k.To))
		}
		keys[uint8(k.ID)] = card
	}
	return keys
}

// Signer returns a look-up of the signing keys listed for p, as [Open] takes
// it. Their validity in time is not checked: a receipt that waited on a USB
// stick is as good as it was when it was signed.
func (l *KeyList) Signer(p Purpose) func(id uint32) ed25519.PublicKey {
	return func(id uint32) ed25519.PublicKey {
		for _, k := range l.Keys {
			if k.ID == id && k.Purpose == p {
				return k.Public
			}
		}
		return nil
	}
}

// Current returns the key to use for p at now: the newest whose time has come,
// or if none has begun the first to begin. Its end is not judged: a key whose
// time is over leaves the list, and a clock that says 2099 must not leave a
// kiosk without a key to seal to.
func (l *KeyList) Current(p Purpose, now time.Time) (Key, bool) {
	ms := now.UnixMilli()
	var best Key
	found := false
	for _, k := range l.Keys {
		if k.Purpose != p {
			continue
		}
		begun, bestBegun := k.From <= ms, best.From <= ms
		if !found || begun && (!bestBegun || k.From > best.From) || !begun && !bestBegun && k.From < best.From {
			best, found = k, true
		}
	}
	return best, found
}
