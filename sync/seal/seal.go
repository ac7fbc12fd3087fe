// Package seal encrypts a check-in's subject to the server, so that a kiosk
// that was stolen a second after a scan tells nobody who was there.
//
// A [Sealer] makes an HPKE context (X25519, HKDF-SHA256, of the standard
// library) when the process starts and another after 256 records or ten
// minutes; what it has forgotten it can no longer open. The context's exported
// secret keys ChaCha20-Poly1305, whose nonce is the context's own counter. The
// counter rises on every call, whether the result is stored or not, so no
// failed write brings a nonce back. Each box names its context, so the server
// opens any record alone, in any order.
//
//	box, ctx, err := sealer.Seal(now, additional, subject)   // kiosk
//	subject, err := opener.Open(ctx, additional, box)        // server
//
// The promise: no two boxes under one key and nonce. What is sealed, and the
// additional data that it is bound to, are the caller's (package wire).
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
	"golang.org/x/crypto/chacha20poly1305"
)

// Limits of one context: after either, the kiosk forgets its key.
const (
	MaxPerContext = 256
	MaxAge        = 10 * time.Minute
)

const (
	info    = "qrgate seal v1"
	exports = "qrgate subject v1"
)

// Errors of opening. A record that meets one is set aside, not retried.
var (
	ErrKey = errors.New("sealed to a key that is not held")
	ErrBox = errors.New("sealed box does not open")
)

// A Sealer encrypts to one public key of the server at a time. It is safe for
// concurrent use.
type Sealer struct {
	mu      sync.Mutex
	keyID   uint32
	public  hpke.PublicKey
	aead    cipher.AEAD // nil while no context is open
	context wire.Context
	counter uint64
	made    time.Time
}

// New returns a Sealer to the X25519 public key that the key list names keyID.
func New(keyID uint32, public []byte) (*Sealer, error) {
	s := &Sealer{}
	if err := s.To(keyID, public); err != nil {
		return nil, err
	}
	return s, nil
}

// To seals to another public key from the next box on. The one in use changes
// nothing; on an error the Sealer goes on with it.
func (s *Sealer) To(keyID uint32, public []byte) error {
	k, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("seal: public key %d: %w", keyID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.public != nil && keyID == s.keyID && bytes.Equal(public, s.public.Bytes()) {
		return nil
	}
	s.keyID, s.public, s.aead = keyID, k, nil
	return nil
}

// Seal encrypts plain, bound to additional, and returns the box with the context
// that opens it. now decides when the context is too old; it need not be right,
// and one that goes back ends the context too.
func (s *Sealer) Seal(now time.Time, additional, plain []byte) (wire.Sealed, wire.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if s.aead == nil {
		if err := s.open(now); err != nil {
			return wire.Sealed{}, wire.Context{}, err
		}
	}
	n := s.counter
	s.counter++
	return wire.Sealed{
		Key: s.keyID, Context: s.context.ID, Counter: n,
		Box: s.aead.Seal(nil, nonce(n), plain, additional),
	}, s.context, nil
}

// Forget drops the context if it is spent or older than [MaxAge]. An idle kiosk
// calls it each minute: without it the last visitors of the day stay readable
// in memory until the next morning's first.
func (s *Sealer) Forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
}

func (s *Sealer) forget(now time.Time) {
	if age := now.Sub(s.made); s.counter >= MaxPerContext || age >= MaxAge || age < 0 {
		s.aead = nil
	}
}

func (s *Sealer) open(now time.Time) error {
	enc, sender, err := hpke.NewSender(s.public, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(info))
	if err != nil {
		return fmt.Errorf("seal: new context: %w", err)
	}
	secret, err := sender.Export(exports, chacha20poly1305.KeySize)
	if err != nil {
		return fmt.Errorf("seal: export: %w", err)
	}
	if s.aead, err = chacha20poly1305.New(secret); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	s.context, s.counter, s.made = wire.NewContext(s.keyID, enc), 0, now
	return nil
}

func nonce(n uint64) []byte {
	b := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(b[len(b)-8:], n)
	return b
}

// An Opener opens boxes with the server's private keys. It is safe for
// concurrent use.
type Opener struct {
	keys map[uint32]hpke.PrivateKey

	mu    sync.Mutex
	known map[string]cipher.AEAD // by encapsulated key
}

// maxKnown bounds the contexts that an Opener remembers: one a kiosk and batch
// is in use at a time, and each that is missing costs one X25519 operation.
const maxKnown = 8192

// NewOpener returns an Opener that holds the given X25519 private keys by id.
func NewOpener(keys map[uint32][]byte) (*Opener, error) {
	o := &Opener{keys: map[uint32]hpke.PrivateKey{}, known: map[string]cipher.AEAD{}}
	for id, b := range keys {
		k, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(b)
		if err != nil {
			return nil, fmt.Errorf("seal: private key %d: %w", id, err)
		}
		o.keys[id] = k
	}
	return o, nil
}

// Open returns what was sealed in box. The error is [ErrKey] if the box was
// sealed to a key that the Opener does not hold, else [ErrBox].
func (o *Opener) Open(c wire.Context, additional []byte, box wire.Sealed) ([]byte, error) {
	if c.ID != box.Context || c.Key != box.Key {
		return nil, fmt.Errorf("seal: box names another context: %w", ErrBox)
	}
	aead, err := o.context(c)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce(box.Counter), box.Box, additional)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", ErrBox)
	}
	return plain, nil
}

func (o *Opener) context(c wire.Context) (cipher.AEAD, error) {
	private, ok := o.keys[c.Key]
	if !ok {
		return nil, fmt.Errorf("seal: key %d: %w", c.Key, ErrKey)
	}
	// One encapsulated key under two key ids would be two contexts.
	name := string(binary.BigEndian.AppendUint32(nil, c.Key)) + string(c.Enc)
	o.mu.Lock()
	aead := o.known[name]
	o.mu.Unlock()
	if aead != nil {
		return aead, nil
	}
	recipient, err := hpke.NewRecipient(c.Enc, private, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(info))
	if err != nil {
		return nil, fmt.Errorf("seal: context: %w: %w", ErrBox, err)
	}
	secret, err := recipient.Export(exports, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: context: %w: %w", ErrBox, err)
	}
	if aead, err = chacha20poly1305.New(secret); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= maxKnown {
		clear(o.known)
	}
	o.known[name] = aead
	return aead, nil
}
