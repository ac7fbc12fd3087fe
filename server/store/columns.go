package store

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// A Milli is where a column of Unix milliseconds is scanned to. NULL and 0 are
// the zero time.
type Milli time.Time

// Scan implements [database/sql.Scanner].
func (m *Milli) Scan(v any) error {
	n, ok := v.(int64)
	if !ok && v != nil {
		return fmt.Errorf("a time in a column of %T", v)
	}
	if *m = (Milli)(time.Time{}); n != 0 {
		*m = Milli(time.UnixMilli(n))
	}
	return nil
}

// NewID returns an id that nobody can guess, of 26 letters and digits.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}
