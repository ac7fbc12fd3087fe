package pass

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

const (
	cardPrefix = "QG1"
	capsPrefix = "qg1" // what a keyboard scanner types while CapsLock is on
	bodyBytes  = 16
	cardBytes  = bodyBytes + ed25519.SignatureSize

	// CardText is the length of an own card's text in characters.
	CardText = len(cardPrefix) + cardBytes*8/5
)

// MaxEvent is the highest number of an event that fits on a pass.
const MaxEvent = 1<<24 - 1

// What is signed begins with its purpose, so that no signature made for
// anything else can be taken for a card's.
const (
	cardContext  = "qrgate card v1\x00"
	eventContext = "qrgate event v1\x00"
)

var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// An OwnCard is what a code printed by QRGate says. It names nobody: only the
// server knows whose card Number is.
type OwnCard struct {
	Kind   Kind   // one of the own kinds
	Key    uint8  // id of the signing key
	Number uint32 // dense, from 1
	Issue  uint8  // rises each time the card is replaced
	First  Day    // first day of validity
	Last   Day    // last day of validity
	People uint8  // of a Family, how many go together
	Event  uint32 // of an Event pass, which; at most MaxEvent
	Lane   uint8  // the only lane it opens; 0 is any
}

// Format prints the kind and key of c and not its number, whatever the verb.
func (c OwnCard) Format(f fmt.State, _ rune) {
	io.WriteString(f, fmt.Sprintf("card(%s, key %d)", c.Kind, c.Key))
}

// MarshalText returns what Format prints; see [Pass.MarshalText].
func (c OwnCard) MarshalText() ([]byte, error) { return fmt.Append(nil, c), nil }

func (c OwnCard) body() [bodyBytes]byte {
	var b [bodyBytes]byte
	b[0], b[1] = byte(c.Kind), c.Key
	binary.BigEndian.PutUint32(b[2:], c.Number)
	b[6] = c.Issue
	binary.BigEndian.PutUint16(b[7:], uint16(c.First))
	binary.BigEndian.PutUint16(b[9:], uint16(c.Last))
	binary.BigEndian.PutUint32(b[11:], uint32(c.People)<<24|c.Event)
	b[15] = c.Lane
	return b
}

func cardOf(b []byte) OwnCard {
	extra := binary.BigEndian.Uint32(b[11:])
	return OwnCard{
		Kind: Kind(b[0]), Key: b[1],
		Number: binary.BigEndian.Uint32(b[2:]), Issue: b[6],
		First: Day(binary.BigEndian.Uint16(b[7:])), Last: Day(binary.BigEndian.Uint16(b[9:])),
		People: uint8(extra >> 24), Event: extra & MaxEvent, Lane: b[15],
	}
}

func (c OwnCard) signedBytes() []byte {
	context := cardContext
	if c.Kind == Event {
		context = eventContext
	}
	body := c.body()
	return append([]byte(context), body[:]...)
}

// Sign returns the text of card c, signed with key, whose id is c.Key. It
// refuses a card that [Parse] or [Verify] could never accept.
func Sign(c OwnCard, key ed25519.PrivateKey) (string, error) {
	switch {
	case !c.Kind.Own():
		return "", fmt.Errorf("pass: sign: %s is not a kind of own card", c.Kind)
	case c.Last < c.First:
		return "", fmt.Errorf("pass: sign: valid from %s to %s", c.First, c.Last)
	case c.Event > MaxEvent:
		return "", fmt.Errorf("pass: sign: event %d is over %d", c.Event, MaxEvent)
	case len(key) != ed25519.PrivateKeySize:
		return "", fmt.Errorf("pass: sign: key of %d bytes", len(key))
	}
	body := c.body()
	return cardPrefix + alphabet.EncodeToString(append(body[:], ed25519.Sign(key, c.signedBytes())...)), nil
}

func parseCard(text string) (Pass, error) {
	if len(text) != CardText {
		return Pass{}, fmt.Errorf("pass: %w: card of %d characters", ErrMalformed, len(text))
	}
	text, err := unCaps(text, capsPrefix)
	if err != nil {
		return Pass{}, err
	}
	// Go's decoder skips line ends, so comparing with the encoding is what makes
	// the text the only one.
	raw, err := alphabet.DecodeString(text[len(cardPrefix):])
	if err != nil || len(raw) != cardBytes || cardPrefix+alphabet.EncodeToString(raw) != text {
		return Pass{}, fmt.Errorf("pass: %w: card is not base32", ErrMalformed)
	}
	c := cardOf(raw)
	if !c.Kind.Own() {
		return Pass{}, fmt.Errorf("pass: %w: card of kind %d", ErrUnknown, uint8(c.Kind))
	}
	return Pass{Kind: c.Kind, Card: c, Signature: [64]byte(raw[bodyBytes:])}, nil
}

// unCaps returns text that begins with caps in upper case. CapsLock turns a text into
// lower case as a whole, and a guard at a market cannot be asked to find the key. Mixed
// case comes from no reader.
func unCaps(text, caps string) (string, error) {
	if text[:len(caps)] != caps {
		return text, nil
	}
	upper := []byte(text)
	for i, c := range upper {
		switch {
		case c >= 'a' && c <= 'z':
			upper[i] = c - 'a' + 'A'
		case c >= 'A' && c <= 'Z':
			return "", fmt.Errorf("pass: %w: card in mixed case", ErrMalformed)
		}
	}
	return string(upper), nil
}

// A Key verifies cards. It is accepted on the days From to To, both included;
// To zero is without end. A key stays listed until the last card signed with it
// has ended. Before From a card is [ErrNotYet], not unknown: the next key is
// listed ahead of its day, and a kiosk unsure of the date may have come to it.
type Key struct {
	Public ed25519.PublicKey
	Events bool // signs event passes, and nothing else
	From   Day
	To     Day
}

// Keys are the keys that a kiosk trusts, by id.
type Keys map[uint8]Key

// Verify reports whether the own card p is genuine and valid today. The error
// is [ErrUnknownKey], [ErrSignature], [ErrNotYet] or [ErrExpired]; the last two
// say that the card is otherwise genuine, so that a kiosk unsure of the date
// can decide for itself. A pass of a foreign kind has no signature: it is
// ErrSignature. Whether a card was revoked is not asked, see [Revocations].
func Verify(p Pass, keys Keys, today Day) error {
	if !p.Kind.Own() || p.Kind != p.Card.Kind {
		return fmt.Errorf("pass: %w: %s is not signed", ErrSignature, p.Kind)
	}
	k, ok := keys[p.Card.Key]
	switch {
	case !ok || len(k.Public) != ed25519.PublicKeySize:
		return fmt.Errorf("pass: %w: key %d", ErrUnknownKey, p.Card.Key)
	case k.Events != (p.Kind == Event):
		return fmt.Errorf("pass: %w: key %d does not sign passes of kind %s", ErrUnknownKey, p.Card.Key, p.Kind)
	case !ed25519.Verify(k.Public, p.Card.signedBytes(), p.Signature[:]):
		return fmt.Errorf("pass: %w: %s, key %d", ErrSignature, p.Kind, p.Card.Key)
	case k.To != 0 && today > k.To:
		return fmt.Errorf("pass: %w: key %d ended on %s, today %s", ErrUnknownKey, p.Card.Key, k.To, today)
	case today < k.From:
		return fmt.Errorf("pass: %w: key %d begins on %s, today %s", ErrNotYet, p.Card.Key, k.From, today)
	case today < p.Card.First:
		return fmt.Errorf("pass: %w: first day %s, today %s", ErrNotYet, p.Card.First, today)
	case today > p.Card.Last:
		return fmt.Errorf("pass: %w: last day %s, today %s", ErrExpired, p.Card.Last, today)
	}
	return nil
}

// A Day is a civil day in Viet Nam: days since 2020-01-01.
type Day uint16

// Viet Nam has kept UTC+7 without summer time since 1975, so a kiosk needs no
// table of time zones.
var vietnam = time.FixedZone("+07", 7*60*60)

var dayZero = time.Date(2020, 1, 1, 0, 0, 0, 0, vietnam)

// DayOf returns the day of t in Viet Nam, or the nearest that a Day can hold.
func DayOf(t time.Time) Day {
	const length = 24 * 60 * 60
	s := t.Unix() - dayZero.Unix()
	return Day(min(max(s/length, 0), 1<<16-1))
}

// Time returns the moment at which d begins.
func (d Day) Time() time.Time { return dayZero.AddDate(0, 0, int(d)) }

func (d Day) String() string { return d.Time().Format(time.DateOnly) }
