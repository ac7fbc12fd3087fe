package wire

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Difficulty is what a guard reports from the kiosk's own page, for those who answer
// for the place. A record of [KindDifficulty] holds it in its sealed box, for people
// write names where they should not.
type Difficulty struct {
	Category string `cbor:"1,keyasint"` // one of Difficulties
	Text     string `cbor:"2,keyasint"`
	Contact  string `cbor:"3,keyasint,omitempty"` // how to reach who has written
}

// Limits of a [Difficulty].
const (
	MaxDifficulty = 1500 // bytes of Text
	MaxContact    = 120  // bytes of Contact
)

// Difficulties returns what a guard can report something about.
func Difficulties() []string { return []string{"scanner", "card", "wrong_data", "other"} }

// Validate returns an error unless d can be kept and shown as it is.
func (d Difficulty) Validate() error {
	switch {
	case !slices.Contains(Difficulties(), d.Category):
		return fmt.Errorf("wire: difficulty about %.20q: %w", d.Category, ErrMalformed)
	case strings.TrimSpace(d.Text) == "" || len(d.Text) > MaxDifficulty || len(d.Contact) > MaxContact:
		return fmt.Errorf("wire: difficulty of %d bytes, contact of %d: %w", len(d.Text), len(d.Contact), ErrMalformed)
	case !plain(strings.ReplaceAll(d.Text, "\n", " ")) || !plain(d.Contact):
		return fmt.Errorf("wire: difficulty with characters that are no text: %w", ErrMalformed)
	}
	return nil
}

func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// String hides the difficulty, so that no log line can carry it.
func (Difficulty) String() string { return "difficulty(hidden)" }

// GoString hides the difficulty from %#v.
func (Difficulty) GoString() string { return "difficulty(hidden)" }

// A GuardBeat is what a beat says of the page for whoever stands guard.
type GuardBeat struct {
	Phones   uint8 `cbor:"1,keyasint,omitempty"` // telephones that are paired with it
	Sessions uint8 `cbor:"2,keyasint,omitempty"` // and that are on it now
}

// A GuardConfig is what the portal says of that page. Nil is not said.
type GuardConfig struct {
	On *bool `cbor:"1,keyasint,omitempty"`
}
