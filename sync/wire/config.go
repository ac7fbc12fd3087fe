package wire

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/sync/pass"
)

// OnFault says what a door does with a person whom it cannot record.
type OnFault string

// The two policies. A place that must not stop people admits.
const (
	AdmitUnrecorded OnFault = "admit_unrecorded"
	Refuse          OnFault = "refuse"
)

// OnStale says what a door does with own cards while its list of void cards is
// older than StaleAfter.
type OnStale string

// The two policies.
const (
	AdmitStale  OnStale = "admit"
	RefuseStale OnStale = "refuse"
)

// A KioskConfig is the part of a kiosk's settings that describes its door. It
// is the same whether it stands in the kiosk's own file or is sent by the
// server, and both sides judge it by Validate.
type KioskConfig struct {
	Place     string        `cbor:"1,keyasint"` // name as people know it
	Gate      string        `cbor:"2,keyasint"` // short name of the door within the place
	Lane      uint8         `cbor:"3,keyasint"`
	Direction Direction     `cbor:"4,keyasint"`
	OnFault   OnFault       `cbor:"5,keyasint"`
	Accept    []pass.Kind   `cbor:"6,keyasint"`
	Repeat    time.Duration `cbor:"7,keyasint"` // a code seen again within this time is the same visit
	Reset     time.Duration `cbor:"8,keyasint"` // how long an answer stays on lamp and screen
	HelpLine  string        `cbor:"9,keyasint"`

	StaleList  OnStale       `cbor:"10,keyasint,omitempty"` // "" is AdmitStale
	StaleAfter time.Duration `cbor:"11,keyasint,omitempty"` // with RefuseStale

	NearFull uint8 `cbor:"15,keyasint,omitempty"` // of a hundred of the limit, from which on the place is nearly full; 0 is DefaultNear
}

// Validate reports every setting that no kiosk should run with, joined.
func (c KioskConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Place == "" || len(c.Place) > 200 || !utf8.ValidString(c.Place) {
		bad("place: a name of 1 to 200 bytes is needed")
	}
	if c.Gate == "" || len(c.Gate) > 16 || !utf8.ValidString(c.Gate) {
		bad("gate: a short name of 1 to 16 bytes is needed")
	}
	if c.Direction != In && c.Direction != Out {
		bad("direction: must be in or out")
	}
	if c.OnFault != AdmitUnrecorded && c.OnFault != Refuse {
		bad("on_fault: must be %q or %q, not %q", AdmitUnrecorded, Refuse, c.OnFault)
	}
	if c.Direction == Out && c.OnFault == Refuse {
		bad("on_fault: an exit lane must be %q: no fault ever locks a person in", AdmitUnrecorded)
	}
	if len(c.Accept) == 0 {
		bad("accept: at least one kind of pass is needed")
	}
	for _, k := range c.Accept {
		if !k.Identifies() {
			bad("accept: %s does not identify a person", k)
		}
	}
	if c.Repeat < time.Second || c.Repeat > time.Minute {
		bad("repeat: must be between 1s and 1m, not %s", c.Repeat)
	}
	if c.Reset < time.Second || c.Reset > 30*time.Second {
		bad("reset: must be between 1s and 30s, not %s", c.Reset)
	}
	if len(c.HelpLine) > 40 || !utf8.ValidString(c.HelpLine) {
		bad("help_line: at most 40 bytes")
	}
	if c.NearFull != 0 && (c.NearFull < LeastNear || c.NearFull > 100) {
		bad("near_full: must be %d to 100, not %d", LeastNear, c.NearFull)
	}
	switch c.StaleList {
	case "", AdmitStale:
	case RefuseStale:
		if c.OnFault != Refuse {
			bad("stale_list: a place that admits whom it cannot record (on_fault = %q) cannot refuse for want of a list", c.OnFault)
		}
		if c.StaleAfter < 24*time.Hour || c.StaleAfter > 366*24*time.Hour {
			bad("stale_list: a list is stale after 1 to 366 days, not %s", c.StaleAfter)
		}
	default:
		bad("stale_list: must be %q or %q, not %q", AdmitStale, RefuseStale, c.StaleList)
	}
	return errors.Join(errs...)
}
