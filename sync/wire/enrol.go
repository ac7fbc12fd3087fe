package wire

import (
	"crypto/ed25519"
	"fmt"
)

// The addresses below a portal's, at which kiosks ask over HTTP. Bodies are messages
// of this package in CBOR; answers carry a kiosk's nonce and are signed by the
// server's receipt key, so that no TLS is needed to believe them.
const (
	HelloPath = "/kiosk/v1/hello" // GET: an EnrolHello
	EnrolPath = "/kiosk/v1/enrol" // POST: an EnrolSealed; answered with an EnrolAnswer
	RenewPath = "/kiosk/v1/renew" // POST: a RenewRequest; answered with a RenewAnswer
)

// MaxEnrol is the largest of these messages in bytes.
const MaxEnrol = 32 << 10

// EnrolHello is what a server says of itself before anything else. It is believed
// for the fingerprint in the enrolment code.
type EnrolHello struct {
	V    uint8  `cbor:"1,keyasint"`
	CA   []byte `cbor:"2,keyasint"` // certificate, DER
	Root []byte `cbor:"3,keyasint"` // Ed25519 public key
	Keys []byte `cbor:"4,keyasint"` // signed KeyList
}

// EnrolSealed is an [EnrolRequest], signed and sealed to the server's seal key.
type EnrolSealed struct {
	V       uint8   `cbor:"1,keyasint"`
	Context Context `cbor:"2,keyasint"`
	Box     Sealed  `cbor:"3,keyasint"`
}

// EnrolRequest asks for a certificate. It is signed by the key it asks for.
type EnrolRequest struct {
	V       uint8    `cbor:"1,keyasint"`
	Nonce   [16]byte `cbor:"2,keyasint"`
	Token   [16]byte `cbor:"3,keyasint"`
	Public  []byte   `cbor:"4,keyasint"`
	Release string   `cbor:"5,keyasint,omitempty"` // of the program
	Model   string   `cbor:"6,keyasint,omitempty"` // of the machine
}

// OpenEnrolRequest verifies a request by the key that it names.
func OpenEnrolRequest(data []byte) (*EnrolRequest, error) {
	var r EnrolRequest
	if len(data) > MaxEnrol {
		return nil, fmt.Errorf("wire: request of %d bytes: %w", len(data), ErrTooLarge)
	}
	var e Envelope
	if err := Decode(data, &e); err != nil {
		return nil, err
	}
	if e.Packed {
		return nil, fmt.Errorf("wire: request is packed: %w", ErrMalformed)
	}
	// Read before it is verified: by what else than the key in it.
	if err := Decode(e.Body, &r); err != nil {
		return nil, err
	}
	public := ed25519.PublicKey(r.Public)
	if err := Open(ForEnrol, data, func(uint32) ed25519.PublicKey { return public }, &r); err != nil {
		return nil, err
	}
	switch {
	case r.V != Version:
		return nil, fmt.Errorf("wire: request version %d: %w", r.V, ErrVersion)
	case len(r.Release) > 60 || len(r.Model) > 100:
		return nil, fmt.Errorf("wire: request: %w", ErrTooLarge)
	}
	return &r, nil
}

// An EnrolState is where an enrolment stands.
type EnrolState uint8

// The states of an enrolment, as a kiosk is told them.
const (
	EnrolWait    EnrolState = 1 // for somebody to compare the words
	EnrolGranted EnrolState = 2
	EnrolRefused EnrolState = 3 // by that person, or because the code has been used by another key
	EnrolEnded   EnrolState = 4 // the code is too old or unknown
)

// EnrolAnswer is the server's answer. All but State is empty until it is granted.
type EnrolAnswer struct {
	V      uint8      `cbor:"1,keyasint"`
	Nonce  [16]byte   `cbor:"2,keyasint"` // of the request
	Public []byte     `cbor:"3,keyasint"` // of the request
	State  EnrolState `cbor:"4,keyasint"`
	Time   int64      `cbor:"5,keyasint"` // Unix milliseconds

	Kiosk       string    `cbor:"6,keyasint,omitempty"`
	Certificate []byte    `cbor:"7,keyasint,omitempty"` // PEM
	Place       string    `cbor:"8,keyasint,omitempty"`
	Gate        string    `cbor:"9,keyasint,omitempty"`
	Lane        uint8     `cbor:"10,keyasint,omitempty"`
	Direction   Direction `cbor:"11,keyasint,omitempty"`
	Broker      string    `cbor:"12,keyasint,omitempty"` // tls://host:port
	BrokerName  string    `cbor:"13,keyasint,omitempty"` // in its certificate
	Portal      string    `cbor:"14,keyasint,omitempty"` // where to renew a certificate that has ended

	// Closed says why a code has ended: the server's data was restored, and nobody has
	// confirmed yet that kiosks may come.
	Closed bool `cbor:"15,keyasint,omitempty"`
}

// OpenEnrolAnswer verifies the answer to the request with a nonce and key. signer
// returns the receipt key for an id, or nil.
func OpenEnrolAnswer(data []byte, nonce [16]byte, public ed25519.PublicKey, signer func(id uint32) ed25519.PublicKey) (*EnrolAnswer, error) {
	var a EnrolAnswer
	if err := Open(ForEnrol, data, signer, &a); err != nil {
		return nil, err
	}
	switch {
	case a.V != Version:
		return nil, fmt.Errorf("wire: enrolment answer version %d: %w", a.V, ErrVersion)
	case a.Nonce != nonce || !public.Equal(ed25519.PublicKey(a.Public)):
		return nil, fmt.Errorf("wire: answer to another request: %w", ErrSignature)
	case a.State < EnrolWait || a.State > EnrolEnded:
		return nil, fmt.Errorf("wire: enrolment state %d: %w", a.State, ErrMalformed)
	}
	return &a, nil
}

// A RenewRequest asks whether a kiosk is still one, and for a new certificate. It is
// signed by the kiosk's key. One that is played again gets somebody a certificate
// that is worth nothing without that key.
type RenewRequest struct {
	V           uint8    `cbor:"1,keyasint"`
	Kiosk       string   `cbor:"2,keyasint"`
	Nonce       [16]byte `cbor:"3,keyasint"`
	Certificate []byte   `cbor:"4,keyasint"` // the one that ends or has ended, PEM
	Wiped       bool     `cbor:"5,keyasint,omitempty"`
}

// PeekRenewRequest returns which kiosk a request says that it is of, to look its key
// up by. Nothing of it is verified.
func PeekRenewRequest(data []byte) (kiosk string, err error) {
	if len(data) > MaxEnrol {
		return "", fmt.Errorf("wire: request of %d bytes: %w", len(data), ErrTooLarge)
	}
	var e Envelope
	if err := Decode(data, &e); err != nil {
		return "", err
	}
	if e.Packed {
		return "", fmt.Errorf("wire: request is packed: %w", ErrMalformed)
	}
	var r RenewRequest
	if err := Decode(e.Body, &r); err != nil {
		return "", err
	}
	if !ValidKiosk(r.Kiosk) {
		return "", fmt.Errorf("wire: request names no kiosk: %w", ErrMalformed)
	}
	return r.Kiosk, nil
}

// OpenRenewRequest verifies a request of the kiosk whose public key is given.
func OpenRenewRequest(data []byte, kiosk string, key ed25519.PublicKey) (*RenewRequest, error) {
	var r RenewRequest
	err := Open(ForRenew, data, func(id uint32) ed25519.PublicKey {
		if id != 0 {
			return nil
		}
		return key
	}, &r)
	switch {
	case err != nil:
		return nil, err
	case r.V != Version:
		return nil, fmt.Errorf("wire: renewal version %d: %w", r.V, ErrVersion)
	case r.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: renewal of kiosk %q from %q: %w", r.Kiosk, kiosk, ErrSignature)
	}
	return &r, nil
}

// A RenewState is what a server says of a kiosk that asks.
type RenewState uint8

// The states.
const (
	RenewGranted RenewState = 1 // here is the certificate
	RenewRevoked RenewState = 2 // the kiosk is to lock itself, and to forget who it is if Wipe says so
	RenewTooOld  RenewState = 3 // the certificate ended too long ago: enrol again
)

// RenewAnswer is the server's answer: the one document that locks or wipes a kiosk.
type RenewAnswer struct {
	V           uint8      `cbor:"1,keyasint"`
	Kiosk       string     `cbor:"2,keyasint"`
	Nonce       [16]byte   `cbor:"3,keyasint"`
	State       RenewState `cbor:"4,keyasint"`
	Time        int64      `cbor:"5,keyasint"`
	Certificate []byte     `cbor:"6,keyasint,omitempty"` // PEM
	Wipe        bool       `cbor:"7,keyasint,omitempty"`
}

// OpenRenewAnswer verifies the answer to a request.
func OpenRenewAnswer(data []byte, kiosk string, nonce [16]byte, signer func(id uint32) ed25519.PublicKey) (*RenewAnswer, error) {
	var a RenewAnswer
	if err := Open(ForRenew, data, signer, &a); err != nil {
		return nil, err
	}
	switch {
	case a.V != Version:
		return nil, fmt.Errorf("wire: renewal answer version %d: %w", a.V, ErrVersion)
	case a.Kiosk != kiosk || a.Nonce != nonce:
		return nil, fmt.Errorf("wire: answer to another request: %w", ErrSignature)
	}
	return &a, nil
}

// A CertBeat says of a kiosk's certificate when it ends. Answers to beats carry the
// next one.
type CertBeat struct {
	Ends int64 `cbor:"1,keyasint"`           // Unix milliseconds
	Ask  bool  `cbor:"2,keyasint,omitempty"` // for a new one
}

// MaxCertificate is the largest certificate in the answer to a beat, in bytes.
const MaxCertificate = 4096
