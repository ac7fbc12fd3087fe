package pass

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxText is the longest text in bytes that Parse reads. The largest code it
// knows, a health certificate, stays under it.
const MaxText = 4096

// Errors of Parse and Verify, wrapped with the fact. No error carries any part
// of the text.
var (
	ErrUnknown    = errors.New("not a code that QRGate knows")
	ErrMalformed  = errors.New("malformed code")
	ErrUnknownKey = errors.New("signing key is not held")
	ErrSignature  = errors.New("signature does not verify")
	ErrNotYet     = errors.New("validity has not begun")
	ErrExpired    = errors.New("validity has ended")
	ErrRevoked    = errors.New("card is revoked")
)

// A Pass is what a code says. Values are comparable.
type Pass struct {
	Kind      Kind
	Card      OwnCard  // with an own kind; with Typed only its Number
	Signature [64]byte // of Card, not yet verified
	Subject   Subject  // with CCCD, BHYT and National
}

// Format prints the kind of p and nothing else, whatever the verb.
func (p Pass) Format(f fmt.State, _ rune) { io.WriteString(f, "pass("+p.Kind.String()+")") }

// MarshalText returns what Format prints, so that a structured log or a JSON
// document that p was left in shows no person. Nothing reads it back.
func (p Pass) MarshalText() ([]byte, error) { return fmt.Append(nil, p), nil }

// A Subject is what a foreign code says of its holder, NFC-normalised. Fields
// that the code does not carry are empty.
type Subject struct {
	Number  string // identity number within the kind of pass
	Name    string
	Born    int // year
	Address string
	Phone   string
}

// Format prints that there is a subject and nothing of it, whatever the verb.
func (Subject) Format(f fmt.State, _ rune) { io.WriteString(f, "subject(hidden)") }

// MarshalText returns what Format prints; see [Pass.MarshalText].
func (s Subject) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// Prefixes of texts that Parse recognises without reading further. What follows
// belongs to the packages that act on it.
const (
	CommandPrefix   = "QGC1"
	EnrolmentPrefix = "QGE1"
)

var prefixes = []struct {
	prefix string
	kind   Kind
}{
	{CommandPrefix, Command},
	{capsCommand, Command},
	{EnrolmentPrefix, Enrolment},
	{"HC1:", HC1},
	{"shc:/", SHC},
	{"WIFI:", WiFi},
}

// Parse says what a scanned text is. It verifies nothing: an own card is
// genuine only after [Verify].
//
// The error is [ErrUnknown] or [ErrMalformed]; with the latter, the Pass has
// the kind that the text seemed to be and is otherwise empty. Text longer than
// [MaxText], invalid UTF-8 and control characters are malformed: a scanner's
// suffix is to be cut off before.
func Parse(text string) (Pass, error) {
	if len(text) > MaxText {
		return Pass{}, fmt.Errorf("pass: %w: %d bytes", ErrMalformed, len(text))
	}
	// Before any folding or normalising, which would give a card a second text:
	// NFC turns the Kelvin sign into K.
	if strings.HasPrefix(text, cardPrefix) || strings.HasPrefix(text, capsPrefix) {
		return parseCard(text)
	}
	if !utf8.ValidString(text) {
		return Pass{}, fmt.Errorf("pass: %w: not UTF-8", ErrMalformed)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return Pass{}, fmt.Errorf("pass: %w: control character", ErrMalformed)
	}
	for _, p := range prefixes {
		if strings.HasPrefix(text, p.prefix) {
			return Pass{Kind: p.kind}, nil
		}
	}
	if isPoster(text) {
		return Pass{Kind: Poster}, nil
	}
	return parseForeign(norm.NFC.String(text))
}

func isPoster(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && strings.HasPrefix(strings.ToLower(u.Path), PosterPath)
}
