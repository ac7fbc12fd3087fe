package pairing

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// DeskPrefix begins the code by which a scanner at a desk finds a clerk's page.
const DeskPrefix = "QGS1"

// DeskPath is where, below a portal's address, scanners at desks send what they read.
const DeskPath = "/kiosk/v1/desk"

// MaxDesk is the largest message of a desk in bytes: a code of the longest kind,
// sealed.
const MaxDesk = 8 << 10

// Desk returns the code as [Code.String] does, for a scanner at a desk.
func (c Code) Desk() string { return c.text(DeskPrefix) }

// ParseDesk reads a code as [Code.Desk] writes it, and nothing else.
func ParseDesk(text string) (Code, error) { return parse(DeskPrefix, text) }

// IsDesk reports whether a text means to be a desk's code.
func IsDesk(text string) bool { return strings.HasPrefix(text, DeskPrefix) }

// A Line is the name of what a code joins: it tells nothing of the token.
type Line [8]byte

// Line returns the name of the line that the code opens.
func (c Code) Line() Line {
	sum := sha256.Sum256(append([]byte("qrgate desk line v1\x00"), c.Token[:]...))
	return Line(sum[:8])
}

// A DeskScan is what a scanner at a desk says: that it is there, or what it read.
type DeskScan struct {
	V     uint8    `cbor:"1,keyasint"`
	Token [16]byte `cbor:"2,keyasint"`
	Desk  [16]byte `cbor:"3,keyasint"` // random, of the program that runs there
	No    uint64   `cbor:"4,keyasint"` // rises with each message, so that none counts twice
	Text  string   `cbor:"5,keyasint,omitempty"`
	Bye   bool     `cbor:"6,keyasint,omitempty"` // the program ends
}

// Format prints that there is a scan and nothing of it, whatever the verb.
func (DeskScan) Format(f fmt.State, _ rune) { fmt.Fprint(f, "scan(hidden)") }

// deskSealed is a [DeskScan] sealed to the server's seal key.
type deskSealed struct {
	V       uint8        `cbor:"1,keyasint"`
	Line    Line         `cbor:"2,keyasint"`
	Context wire.Context `cbor:"3,keyasint"`
	Box     wire.Sealed  `cbor:"4,keyasint"`
}

// sealedFor binds a box to the line that it was sent over.
func sealedFor(l Line) []byte { return append([]byte("qrgate desk scan v1\x00"), l[:]...) }

// DeskSealer returns what seals a desk's scans to the server.
func (s *Server) DeskSealer(now time.Time) (*seal.Sealer, error) {
	to, ok := s.List.Current(wire.ForSeal, now)
	if !ok {
		return nil, fmt.Errorf("pairing: server has no key to seal to: %w", wire.ErrMalformed)
	}
	return seal.New(to.ID, to.Public)
}

// SealDesk returns a scan as it is sent over the line of code c.
func (c Code) SealDesk(to *seal.Sealer, now time.Time, s DeskScan) ([]byte, error) {
	s.V, s.Token = wire.Version, c.Token
	line := c.Line()
	box, sealed, err := to.Seal(now, sealedFor(line), wire.Encode(s))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w", err)
	}
	return wire.Encode(deskSealed{V: wire.Version, Line: line, Context: sealed, Box: box}), nil
}

// OpenDesk opens what [Code.SealDesk] made. known is asked for the line's name before
// anything is deciphered: a message over a line that there is not costs nothing.
func OpenDesk(data []byte, opener *seal.Opener, known func(Line) bool) (*DeskScan, Line, error) {
	var m deskSealed
	if len(data) > MaxDesk {
		return nil, m.Line, fmt.Errorf("pairing: scan of %d bytes: %w", len(data), wire.ErrTooLarge)
	}
	if err := wire.Decode(data, &m); err != nil {
		return nil, m.Line, fmt.Errorf("pairing: scan: %w", err)
	}
	if m.V != wire.Version {
		return nil, m.Line, fmt.Errorf("pairing: scan version %d: %w", m.V, wire.ErrVersion)
	}
	if !known(m.Line) {
		return nil, m.Line, fmt.Errorf("pairing: scan: %w", ErrCode)
	}
	plain, err := opener.Open(m.Context, sealedFor(m.Line), m.Box)
	if err != nil {
		return nil, m.Line, fmt.Errorf("pairing: scan: %w", err)
	}
	var s DeskScan
	if err := wire.Decode(plain, &s); err != nil {
		return nil, m.Line, fmt.Errorf("pairing: scan: %w", err)
	}
	return &s, m.Line, nil
}
