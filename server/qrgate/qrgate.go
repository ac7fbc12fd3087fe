// Package qrgate holds the words and rules of the domain: days, places, kiosks,
// check-ins as the server knows them, and the kinds of error that callers treat
// differently. It does no I/O and imports nothing of ours but sync.
package qrgate

import (
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Kinds of error. They are wrapped with the fact; the portal alone turns them
// into a status and a sentence.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
	ErrRevoked  = errors.New("revoked")
	// ErrUnavailable is returned while the database does not answer. Nobody knows
	// whether what was asked of it was done.
	ErrUnavailable = errors.New("unavailable")
	// ErrForbidden is returned to whoever may know of a thing and may not do this
	// with it. Who may not even know of it gets ErrNotFound.
	ErrForbidden = errors.New("forbidden")
)

// Zone is the civil time of Viet Nam, UTC+7 without summer time, in which days
// are counted. It is fixed so that a machine without a zone database agrees.
var Zone = time.FixedZone("ICT", 7*3600)

// A Day is a civil date in [Zone]: the number of days since 1970-01-01. Keys,
// retention and the index of check-ins go by it.
type Day int32

// DayOf returns the day in which t lies.
func DayOf(t time.Time) Day { return DayOfMilli(t.UnixMilli()) }

// DayOfMilli returns the day in which a time in Unix milliseconds lies.
func DayOfMilli(ms int64) Day {
	const day, shift = 24 * 3600 * 1000, 7 * 3600 * 1000
	ms += shift
	if ms < 0 {
		ms -= day - 1
	}
	return Day(ms / day)
}

// Start returns the first moment of d.
func (d Day) Start() time.Time {
	return time.Date(1970, 1, 1, 0, 0, 0, 0, Zone).AddDate(0, 0, int(d))
}

// String returns the date as 2026-11-24.
func (d Day) String() string { return d.Start().Format(time.DateOnly) }

// ParseDay reads a date as [Day.String] writes it.
func ParseDay(s string) (Day, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, Zone)
	if err != nil {
		return 0, fmt.Errorf("qrgate: day %q: %w", s, ErrInvalid)
	}
	return DayOf(t), nil
}

// A Person is a random number that stands for one person. It never leaves the
// server, and in the database only the vault can tie it to a check-in.
type Person uint64

// A Subject is a [Person] as check-ins hold it: one AES block under the key of
// the check-in's day.
type Subject [16]byte

// A KioskState is where a kiosk stands in its life.
type KioskState uint8

// The states of a kiosk.
const (
	KioskActive  KioskState = 1
	KioskRevoked KioskState = 2 // may not connect; nothing signed by it counts from then on
)

func (s KioskState) String() string {
	switch s {
	case KioskActive:
		return "active"
	case KioskRevoked:
		return "revoked"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// A Kiosk is a device that may deliver check-ins for one place.
type Kiosk struct {
	ID      string // see wire.ValidKiosk
	Place   string // name of the place where it stands
	PlaceNo uint32 // number of the place, 0 if it is not registered
	Public  []byte // Ed25519 public key of its batches and its certificate
	State   KioskState
	Added   time.Time
}

// A Checkin is one judged pass as the server keeps it.
type Checkin struct {
	Kiosk     string
	Epoch     wire.Epoch // the epoch under which it was first received
	Seq       uint64
	Day       Day     // of Latest when it was first received; it never changes
	Subject   Subject // zero if nobody was identified
	Pass      pass.Kind
	Level     Level
	Verdict   wire.Verdict
	Reason    wire.Reason
	Presence  wire.Presence
	Direction wire.Direction
	PlaceNo   uint32 // of the place, 0 if it is not registered
	Place     string // what the operator called the place, where it is not registered
	Gate      string
	Lane      uint8 // at a poster its version
	Said      int64 // Unix milliseconds as the kiosk believed
	Clock     when.State
	Error     int64 // bound on Said in milliseconds, 0 if unknown
	Boot      when.Boot
	Since     int64 // milliseconds since that boot
	Earliest  int64 // Unix milliseconds; the bounds narrow when anchors arrive
	Latest    int64
	Received  int64 // Unix milliseconds of the server's commit
	Digest    wire.Digest
	With      uint64 // of a companion: number of the check-in that they came with
}
