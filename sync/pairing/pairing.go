// Package pairing is how a new kiosk and the server come to trust each other: the
// one-time code that the portal shows as a QR, the four words that both then show,
// and the messages in between, which need no TLS to be safe.
//
//	text := pairing.Code{Address: "https://qr.example.vn", ...}.String() // portal
//	code, err := pairing.Parse(text)                                     // kiosk
//	server, err := code.Hello(answer)
//	request, err := server.Ask(code, key, wire.EnrolRequest{...}, now)
//
// The promise: a kiosk takes nothing that does not lead back to the fingerprint in
// the code, and its token is sealed to a key that leads there too. Whoever stands
// between the two can break the enrolment off and can learn nothing. Whoever has seen
// the code itself can ask before the kiosk does; then the words are not those on the
// kiosk, and the person who compares them says no.
//
// Left out: who may make a code and how long it is worth something (the server), and
// how a code gets into the kiosk (its scanners).
package pairing

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/qrgate/qrgate/sync/pass"
)

// ErrCode is returned for a text that is no enrolment code.
var ErrCode = errors.New("not an enrolment code")

// Sizes of what a code holds, and of its text at most. Token and fingerprint
// together are 64 letters without a slack bit.
const (
	tokenSize       = 16
	fingerprintSize = 24
	letters         = 64
	MaxText         = 200
)

// A Code is what the portal's QR says.
type Code struct {
	Address     string // of the portal: https://host or https://host:port
	Token       [tokenSize]byte
	Fingerprint [fingerprintSize]byte // of the server's CA and root
}

// String returns the code as upper-case text of QR's alphanumeric letters: QGE1,
// token and fingerprint in base32, the address.
func (c Code) String() string { return c.text(pass.EnrolmentPrefix) }

func (c Code) text(prefix string) string {
	b := append(c.Token[:], c.Fingerprint[:]...)
	return prefix + encoding.EncodeToString(b) + strings.ToUpper(c.Address)
}

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Parse reads a code as [Code.String] writes it, and nothing else.
func Parse(text string) (Code, error) { return parse(pass.EnrolmentPrefix, text) }

func parse(prefix, text string) (Code, error) {
	var c Code
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) > MaxText || len(rest) < letters {
		return c, fmt.Errorf("pairing: %w", ErrCode)
	}
	b, err := encoding.DecodeString(rest[:letters])
	if err != nil || len(b) != tokenSize+fingerprintSize {
		return c, fmt.Errorf("pairing: %w: damaged", ErrCode)
	}
	copy(c.Token[:], b)
	copy(c.Fingerprint[:], b[tokenSize:])
	if c.Address, err = address(rest[letters:]); err != nil {
		return Code{}, err
	}
	if c.text(prefix) != text { // Go's base32 skips line ends
		return Code{}, fmt.Errorf("pairing: %w: damaged", ErrCode)
	}
	return c, nil
}

// address returns the portal's address in lower case.
func address(text string) (string, error) {
	lower := strings.ToLower(text)
	u, err := url.Parse(lower)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Host != strings.TrimPrefix(lower, u.Scheme+"://") ||
		strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
		return "", fmt.Errorf("pairing: %w: no address of a server", ErrCode)
	}
	return lower, nil
}

// CheckAddress returns an error unless codes can name a portal's address.
func CheckAddress(portal string) error {
	lower, err := address(portal)
	if err == nil && lower != portal {
		err = fmt.Errorf("pairing: %w: address is not in lower case", ErrCode)
	}
	return err
}

// Fingerprint returns that of a server: its CA's certificate (DER) and the public key
// of its root.
func Fingerprint(ca, root []byte) (f [fingerprintSize]byte) {
	h := sha256.New()
	h.Write([]byte("qrgate server v1\x00"))
	for _, part := range [][]byte{ca, root} { // each hashed, so that no byte moves from one to the other
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	copy(f[:], h.Sum(nil))
	return f
}
