package pairing

import (
	"crypto/ed25519"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Server is what a kiosk trusts once a hello has led back to its code.
type Server struct {
	CA   *x509.Certificate
	Root ed25519.PublicKey
	Keys []byte // signed, as it came
	List *wire.KeyList
}

// Hello verifies what a server says of itself by the fingerprint in the code.
func (c Code) Hello(data []byte) (*Server, error) {
	var h wire.EnrolHello
	if len(data) > wire.MaxEnrol {
		return nil, fmt.Errorf("pairing: hello of %d bytes: %w", len(data), wire.ErrTooLarge)
	}
	if err := wire.Decode(data, &h); err != nil {
		return nil, fmt.Errorf("pairing: hello: %w", err)
	}
	if h.V != wire.Version {
		return nil, fmt.Errorf("pairing: hello version %d: %w", h.V, wire.ErrVersion)
	}
	if got := Fingerprint(h.CA, h.Root); subtle.ConstantTimeCompare(got[:], c.Fingerprint[:]) != 1 {
		return nil, fmt.Errorf("pairing: hello: not the server of the code: %w", wire.ErrSignature)
	}
	ca, err := x509.ParseCertificate(h.CA)
	if err != nil {
		return nil, fmt.Errorf("pairing: hello: CA: %w", err)
	}
	if len(h.Root) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("pairing: hello: root of %d bytes: %w", len(h.Root), wire.ErrMalformed)
	}
	list, err := wire.OpenKeyList(h.Keys, h.Root)
	if err != nil {
		return nil, fmt.Errorf("pairing: hello: %w", err)
	}
	return &Server{CA: ca, Root: h.Root, Keys: h.Keys, List: list}, nil
}

// Ask returns a request, signed by key and sealed to the server. now need not be right.
func (s *Server) Ask(c Code, key ed25519.PrivateKey, r wire.EnrolRequest, now time.Time) ([]byte, error) {
	to, ok := s.List.Current(wire.ForSeal, now)
	if !ok {
		return nil, fmt.Errorf("pairing: server has no key to seal to: %w", wire.ErrMalformed)
	}
	sealer, err := seal.New(to.ID, to.Public)
	if err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	r.V, r.Token, r.Public = wire.Version, c.Token, key.Public().(ed25519.PublicKey)
	box, sealed, err := sealer.Seal(now, []byte(wire.ForEnrol), wire.Seal(wire.ForEnrol, 0, key, r))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	return wire.Encode(wire.EnrolSealed{V: wire.Version, Context: sealed, Box: box}), nil
}

// Open opens a request at the server and verifies it by the key that it is for.
func Open(data []byte, opener *seal.Opener) (*wire.EnrolRequest, error) {
	var s wire.EnrolSealed
	if len(data) > wire.MaxEnrol {
		return nil, fmt.Errorf("pairing: request of %d bytes: %w", len(data), wire.ErrTooLarge)
	}
	if err := wire.Decode(data, &s); err != nil {
		return nil, fmt.Errorf("pairing: request: %w", err)
	}
	if s.V != wire.Version {
		return nil, fmt.Errorf("pairing: request version %d: %w", s.V, wire.ErrVersion)
	}
	plain, err := opener.Open(s.Context, []byte(wire.ForEnrol), s.Box)
	if err != nil {
		return nil, fmt.Errorf("pairing: request: %w", err)
	}
	r, err := wire.OpenEnrolRequest(plain)
	if err != nil {
		return nil, fmt.Errorf("pairing: request: %w", err)
	}
	return r, nil
}
