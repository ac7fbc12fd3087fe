package fleet

import (
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Kiosk is what is known of one kiosk.
type Kiosk struct {
	No      int64 // in the database
	ID      string
	State   qrgate.KioskState
	Added   time.Time
	Place   Place
	Up      bool       // by its status message or last will
	Changed time.Time  // when Up last changed; zero if never heard of
	Session uint64     // of Up
	Contact time.Time  // of the last beat; zero if there was none
	Beat    *wire.Beat // the last one, nil if there was none
	Ledger  Ledger
}

// A Place is where a kiosk stands. Of one that is not registered only the name is
// known.
type Place struct {
	No           uint32 // 0 if it is not registered
	Name         string
	Organisation string
	Sector       string
	Kind         string
	Area         string // id of the commune that it is in today
	Hours        []qrgate.Hours
}

// A Ledger is what the server holds of a kiosk's check-ins.
type Ledger struct {
	Forked bool
	Gaps   int // epochs that miss records
}

// heard returns when a kiosk last gave a sign of life, or zero.
func (k *Kiosk) heard() time.Time {
	if k.Changed.After(k.Contact) && k.Up {
		return k.Changed
	}
	return k.Contact
}

// A State is what a kiosk is to who looks at many.
type State string

// The states.
const (
	Online  State = "online"
	Offline State = "offline" // its link ended, as its broker says
	Silent  State = "silent"  // its broker says nothing, and it does not beat
	Unseen  State = "unseen"  // it never beat
	Revoked State = "revoked"
	Unknown State = "unknown" // the server's own link is down
)

// States returns every state, in the order in which people are shown them.
func States() []State { return []State{Online, Silent, Offline, Unseen, Unknown, Revoked} }

// quiet is how long a kiosk that is said to be connected may go without a sign of
// life: four of its beats.
const quiet = 2 * time.Minute

// StateOf returns a kiosk's state at now. linked is since when the server itself hears
// what kiosks say, and zero while it does not: what it last heard before is no news
// of those that have not come back yet.
func StateOf(k *Kiosk, now, linked time.Time) State {
	heard := k.heard()
	switch {
	case k.State == qrgate.KioskRevoked:
		return Revoked
	case heard.IsZero() && k.Changed.IsZero():
		return Unseen
	case linked.IsZero():
		return Unknown
	case k.Up && now.Sub(heard) <= quiet:
		return Online
	case now.Sub(linked) < grace && heard.Before(linked) && k.Changed.Before(linked):
		return Unknown
	case !k.Up:
		return Offline
	}
	return Silent
}
