package wire

import (
	"fmt"

	"github.com/qrgate/qrgate/sync/release"
)

// An UpdateStage says how far a kiosk is with the version that the server wants.
type UpdateStage uint8

// The stages.
const (
	UpdateNone     UpdateStage = iota // runs what it shall run
	UpdateLoading                     // takes the files
	UpdateLoaded                      // has them and waits for a quiet hour
	UpdateTrying                      // runs it, not yet for good
	UpdateReturned                    // ran it, and has returned to the version before
	UpdateRefused                     // will not run it: not signed, not for this machine, no room
)

var updateStages = [...]string{"none", "loading", "loaded", "trying", "returned", "refused"}

// String returns the stage's name.
func (s UpdateStage) String() string {
	if int(s) < len(updateStages) {
		return updateStages[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// maxUpdateText bounds a version and a reason.
const maxUpdateText = 32

// An UpdateBeat is what a kiosk tells of its versions.
type UpdateBeat struct {
	Stage    UpdateStage    `cbor:"1,keyasint,omitempty"`
	Version  string         `cbor:"2,keyasint,omitempty"` // that the stage is about
	Reason   release.Reason `cbor:"3,keyasint,omitempty"` // of returned and refused; of loading, what holds it up; of none, that there is no root
	Loaded   uint8          `cbor:"4,keyasint,omitempty"` // per cent of the file
	Launcher string         `cbor:"5,keyasint,omitempty"` // version of what starts the program; "" has none, and takes no updates
	Arch     string         `cbor:"6,keyasint,omitempty"` // that programs must be built for
}

func (u *UpdateBeat) check() error {
	if u == nil {
		return nil
	}
	if n := max(len(u.Version), len(u.Reason), len(u.Launcher), len(u.Arch)); n > maxUpdateText {
		return fmt.Errorf("wire: beat with %d bytes of a version: %w", n, ErrTooLarge)
	}
	return nil
}

// maxUpdateURL bounds where a release is to be had.
const maxUpdateURL = 256

// An UpdateAnswer tells a kiosk which version it shall run, and where that is to be
// had. It vouches for nothing: what is run is what the release's own keys have signed.
// Only a kiosk that has no root of those keys yet takes it from its server, once.
type UpdateAnswer struct {
	Version string `cbor:"1,keyasint"` // "" when only a root is to be had
	URL     string `cbor:"2,keyasint"`
	Now     bool   `cbor:"3,keyasint,omitempty"` // without waiting for a quiet hour
	Root    Hash   `cbor:"4,keyasint,omitzero"`  // of 1.root.json, for a kiosk that says it has none
}

func (u *UpdateAnswer) check() error {
	if u != nil && (len(u.Version) > maxUpdateText || len(u.URL) > maxUpdateURL) {
		return fmt.Errorf("wire: beat answer with %d bytes of a release: %w", len(u.Version)+len(u.URL), ErrTooLarge)
	}
	return nil
}
