package wire

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// A ConfigDoc is what the server wants a kiosk to run with: all of its door, and
// what it says of the rest. What it leaves out stays as the kiosk's own file has it.
// It is made and signed for one kiosk and holds no secret.
//
// A kiosk keeps the bytes that came, so that what this release does not know of
// them is there for the next.
type ConfigDoc struct {
	V     uint8       `cbor:"1,keyasint"`
	Kiosk string      `cbor:"2,keyasint"`
	Stamp Stamp       `cbor:"3,keyasint"` // its versions begin at 1
	Door  KioskConfig `cbor:"4,keyasint"`

	Link   LinkConfig   `cbor:"5,keyasint,omitzero"`
	Screen ScreenConfig `cbor:"6,keyasint,omitzero"`
	Sound  SoundConfig  `cbor:"7,keyasint,omitzero"`
	Lease  LeaseConfig  `cbor:"8,keyasint,omitzero"`
	Guard  GuardConfig  `cbor:"9,keyasint,omitzero"`
}

// A LinkConfig is where the kiosk finds its server. It is on trial until the server
// has answered there.
type LinkConfig struct {
	URL  string `cbor:"1,keyasint,omitempty"` // tls://host:port
	Name string `cbor:"2,keyasint,omitempty"` // in the server's certificate; "" is the host
}

// A ScreenConfig is what the portal says of the screen. Nil is not said.
type ScreenConfig struct {
	Explain    *time.Duration `cbor:"1,keyasint,omitempty"` // how long an answer with something to read is shown
	Companions *bool          `cbor:"2,keyasint,omitempty"`
}

// A SoundConfig is what the portal says of the sound. Nil is not said.
type SoundConfig struct {
	On     *bool  `cbor:"1,keyasint,omitempty"`
	Volume *uint8 `cbor:"2,keyasint,omitempty"` // percent
	Quiet  *Hours `cbor:"3,keyasint,omitempty"`
	Mute   *bool  `cbor:"4,keyasint,omitempty"` // in quiet hours: not even a tone
}

// Hours are a time of each day in minutes since midnight. They go over midnight if
// To is before From; equal are no hours.
type Hours struct {
	From uint16 `cbor:"1,keyasint,omitempty"`
	To   uint16 `cbor:"2,keyasint,omitempty"`
}

const (
	day        = 24 * 60 // minutes
	maxAddress = 200     // bytes of a server's address and of its name
	maxExplain = 30 * time.Second
)

// Validate reports every setting that no kiosk should run with, joined. Each error
// begins with the setting's name and a colon.
func (c *ConfigDoc) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := c.Door.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.Link.validate(); err != nil {
		errs = append(errs, err)
	}
	if e := c.Screen.Explain; e != nil && (*e < time.Second || *e > maxExplain) {
		bad("explain: must be between 1s and %s, not %s", maxExplain, *e)
	}
	if v := c.Sound.Volume; v != nil && *v > 100 {
		bad("volume: must be 0 to 100, not %d", *v)
	}
	if q := c.Sound.Quiet; q != nil && (q.From >= day || q.To >= day) {
		bad("quiet: not a time of the day")
	}
	if !c.Lease.valid() {
		bad("lease_days: must be 1 to %d days, not %d", MaxLeaseDays, *c.Lease.Days)
	}
	return errors.Join(errs...)
}

func (l LinkConfig) validate() error {
	if l.URL == "" {
		if l.Name != "" {
			return errors.New("server_name: a name needs an address")
		}
		return nil
	}
	u, err := url.Parse(l.URL)
	if err != nil || len(l.URL) > maxAddress || u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || l.URL != "tls://"+u.Host {
		return errors.New("server_url: must be tls://host:port")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return errors.New("server_url: no such port")
	}
	if len(l.Name) > maxAddress {
		return errors.New("server_name: too long")
	}
	return nil
}

// OpenConfig verifies and decodes a configuration that was signed for kiosk. Whether
// it can be run with is [ConfigDoc.Validate]'s to say. key returns the configuration
// key for an id, or nil.
func OpenConfig(data []byte, kiosk string, key func(id uint32) ed25519.PublicKey) (*ConfigDoc, error) {
	var c ConfigDoc
	if err := Open(ForConfig, data, key, &c); err != nil {
		return nil, err
	}
	switch {
	case c.V != Version:
		return nil, fmt.Errorf("wire: configuration version %d: %w", c.V, ErrVersion)
	case c.Kiosk != kiosk:
		return nil, fmt.Errorf("wire: configuration for kiosk %q: %w", c.Kiosk, ErrSignature)
	case c.Stamp.Version == 0:
		return nil, fmt.Errorf("wire: configuration without a version: %w", ErrMalformed)
	}
	return &c, nil
}

// A ConfigFault is why a kiosk does not run with a configuration.
type ConfigFault string

// The reasons.
const (
	ConfigInvalid  ConfigFault = "invalid"   // Validate says so
	ConfigWiring   ConfigFault = "wiring"    // the door's relay is wired for another direction
	ConfigNoAnswer ConfigFault = "no_answer" // nobody answered at the server's new address
	ConfigDisk     ConfigFault = "disk"      // it could not be written down
)

// MaxConfigDetail is the largest detail of a refusal in bytes.
const MaxConfigDetail = 200

// A ConfigBeat is what a kiosk says of its configuration. Running of version 0 is
// what its own file says. A Wanted that is neither Running nor Refused is on trial.
type ConfigBeat struct {
	Wanted  Stamp       `cbor:"1,keyasint,omitzero"` // the newest that came
	Running Stamp       `cbor:"2,keyasint,omitzero"`
	Refused Stamp       `cbor:"3,keyasint,omitzero"`  // the last that was refused, until a newer one runs
	Fault   ConfigFault `cbor:"4,keyasint,omitempty"` // why
	Detail  string      `cbor:"5,keyasint,omitempty"` // in words, for whoever mends it
}
