package pass

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

const (
	capsCommand  = "qgc1"
	commandBody  = 26
	commandBytes = commandBody + ed25519.SignatureSize

	// CommandText is the length of a command card's text in characters.
	CommandText = len(CommandPrefix) + commandBytes*8/5
)

// commandContext begins what is signed of a command card: the key that signs messages
// with orders signs these too.
const commandContext = "qrgate command card v1\x00"

// A Scope says which kiosks follow a command card.
type Scope uint8

// The scopes.
const (
	ForKiosk Scope = 1
	ForPlace Scope = 2 // every kiosk of a place
	ForNonce Scope = 3 // the kiosk whose screen shows a number now: answers from a telephone
)

// A Target is what a command card names within its scope.
type Target [8]byte

// KioskTarget returns what names a kiosk: the beginning of a hash of its id.
func KioskTarget(id string) Target {
	sum := sha256.Sum256([]byte("qrgate kiosk v1\x00" + id))
	return Target(sum[:])
}

// PlaceTarget returns what names a place.
func PlaceTarget(no uint32) Target {
	var t Target
	binary.BigEndian.PutUint32(t[4:], no)
	return t
}

// MaxCommandArg is the largest argument of a command.
const MaxCommandArg = 1<<40 - 1

// A CommandCard is what a command card says. It is valid from the hour From until the hour
// Until begins.
type CommandCard struct {
	Order  uint8 // what to do, as package wire numbers orders
	Key    uint8 // id of the signing key
	Single bool  // is followed once
	Scope  Scope
	Target Target
	Serial uint32
	Arg    uint64 // what its order needs, see wire.CardArgs
	From   Hour
	Until  Hour
}

func (c CommandCard) body() [commandBody]byte {
	var b [commandBody]byte
	b[0], b[1], b[2] = c.Order, c.Key, byte(c.Scope)<<1
	if c.Single {
		b[2] |= 1
	}
	copy(b[3:], c.Target[:])
	binary.BigEndian.PutUint32(b[11:], c.Serial)
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], c.Arg)
	copy(b[15:20], wide[3:])
	putHour(b[20:], c.From)
	putHour(b[23:], c.Until)
	return b
}

func putHour(b []byte, h Hour) { b[0], b[1], b[2] = byte(h>>16), byte(h>>8), byte(h) }

func hourOf(b []byte) Hour { return Hour(b[0])<<16 | Hour(b[1])<<8 | Hour(b[2]) }

func commandOf(b []byte) CommandCard {
	var wide [8]byte
	copy(wide[3:], b[15:20])
	return CommandCard{
		Order: b[0], Key: b[1], Single: b[2]&1 == 1, Scope: Scope(b[2] >> 1), Target: Target(b[3:11]),
		Serial: binary.BigEndian.Uint32(b[11:]), Arg: binary.BigEndian.Uint64(wide[:]), From: hourOf(b[20:]), Until: hourOf(b[23:]),
	}
}

// check returns an error for a command that nobody could follow.
func (c CommandCard) check() error {
	switch {
	case c.Scope < ForKiosk || c.Scope > ForNonce:
		return fmt.Errorf("command of scope %d", c.Scope)
	case c.Order == 0 || c.Arg > MaxCommandArg:
		return fmt.Errorf("command %d with %d", c.Order, c.Arg)
	case c.Single && c.Scope == ForPlace:
		return fmt.Errorf("command that is followed once and names no kiosk")
	case c.Until <= c.From:
		return fmt.Errorf("command from hour %d until %d", c.From, c.Until)
	}
	return nil
}

// SignCommand returns the text of a command card, signed with the key for orders whose
// id is c.Key.
func SignCommand(c CommandCard, key ed25519.PrivateKey) (string, error) {
	if err := c.check(); err != nil {
		return "", fmt.Errorf("pass: sign: %w", err)
	}
	if c.From > maxHour || c.Until > maxHour || len(key) != ed25519.PrivateKeySize {
		return "", fmt.Errorf("pass: sign: command until %d with a key of %d bytes", c.Until, len(key))
	}
	body := c.body()
	return CommandPrefix + alphabet.EncodeToString(append(body[:], ed25519.Sign(key, append([]byte(commandContext), body[:]...))...)), nil
}

// A SignedCommand is a command card's text, read and not yet verified.
type SignedCommand struct {
	CommandCard
	Signature [64]byte
}

// ParseCommand reads the text of a command card. The error is [ErrMalformed], or
// [ErrUnknown] if it is none. Only what [SignCommand] makes is read, or that as a whole
// in lower case.
func ParseCommand(text string) (SignedCommand, error) {
	var s SignedCommand
	if !strings.HasPrefix(text, CommandPrefix) && !strings.HasPrefix(text, capsCommand) {
		return s, fmt.Errorf("pass: %w: no command", ErrUnknown)
	}
	if len(text) != CommandText {
		return s, fmt.Errorf("pass: %w: command of %d characters", ErrMalformed, len(text))
	}
	text, err := unCaps(text, capsCommand)
	if err != nil {
		return s, err
	}
	raw, err := alphabet.DecodeString(text[len(CommandPrefix):])
	if err != nil || len(raw) != commandBytes || CommandPrefix+alphabet.EncodeToString(raw) != text {
		return s, fmt.Errorf("pass: %w: command is not base32", ErrMalformed)
	}
	s = SignedCommand{commandOf(raw), [64]byte(raw[commandBody:])}
	if body := s.body(); string(body[:]) != string(raw[:commandBody]) {
		return SignedCommand{}, fmt.Errorf("pass: %w: command with bits that mean nothing", ErrMalformed)
	}
	if err := s.check(); err != nil {
		return SignedCommand{}, fmt.Errorf("pass: %w: %w", ErrMalformed, err)
	}
	return s, nil
}

// Verify reports whether a command was signed by key, which is that of the id s.Key or
// nil if there is none: [ErrUnknownKey] or [ErrSignature]. Whether it is valid now, and
// here, is not asked.
func (s SignedCommand) Verify(key ed25519.PublicKey) error {
	body := s.body()
	switch {
	case len(key) != ed25519.PublicKeySize:
		return fmt.Errorf("pass: %w: order key %d", ErrUnknownKey, s.Key)
	case !ed25519.Verify(key, append([]byte(commandContext), body[:]...), s.Signature[:]):
		return fmt.Errorf("pass: %w: command, order key %d", ErrSignature, s.Key)
	}
	return nil
}

// An Hour is hours since 2020-01-01 in Viet Nam.
type Hour uint32

const maxHour = 1<<24 - 1

// HourOf returns the hour of t, or the nearest that an Hour of a card can hold.
func HourOf(t time.Time) Hour {
	return Hour(min(max((t.Unix()-dayZero.Unix())/3600, 0), maxHour))
}

// Time returns the moment at which h begins.
func (h Hour) Time() time.Time { return dayZero.Add(time.Duration(h) * time.Hour) }
