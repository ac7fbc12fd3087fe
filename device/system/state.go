package system

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/release"
)

// A Wish is what the door's program, which may write to no disk, asks of the keeper. It
// alone writes it.
type Wish struct {
	Install string `json:"install,omitempty"` // version that lies beside the wish
	Start   bool   `json:"start,omitempty"`   // it now: nobody stands at the door
	Healthy string `json:"healthy,omitempty"` // start (boot id) in which the door works
}

// A State is what the keeper has done. It alone writes it.
type State struct {
	Running string `json:"running"`          // version
	Slot    string `json:"slot"`             // it runs from
	Trial   bool   `json:"trial,omitempty"`  // it is not the default yet
	Ready   string `json:"ready,omitempty"`  // version that is in the other slot
	Trying  string `json:"trying,omitempty"` // version that was started once
	Tries   int    `json:"tries,omitempty"`  // of it
	// Refused is a version that was given up, whether it was tried or not.
	Refused *Refused `json:"refused,omitempty"`
}

// A Refused is a version that was given up, and why.
type Refused struct {
	Version string         `json:"version"`
	Reason  release.Reason `json:"reason"`
}

const (
	wishFile  = "wish.json"
	stateFile = "state.json"
	maxSmall  = 16 << 10
)

// ReadWish reads what is asked in a folder. One that cannot be read asks for nothing.
func ReadWish(dir string) (w Wish) {
	read(filepath.Join(dir, wishFile), &w)
	return w
}

// Write asks.
func (w Wish) Write(dir string) error { return write(filepath.Join(dir, wishFile), w) }

// ReadState reads what the keeper has done. One that cannot be read is empty.
func ReadState(dir string) (s State) {
	read(filepath.Join(dir, stateFile), &s)
	return s
}

func read(path string, v any) error {
	// The other side's files: what is no small plain file is not opened.
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func write(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.Replace(path, append(b, '\n'))
}

// write keeps s where everybody may read it.
func (s State) write(dir string) error {
	if err := write(filepath.Join(dir, stateFile), s); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(dir, stateFile), 0o644)
}
