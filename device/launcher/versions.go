package launcher

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/release"
)

// Versions are the versions on disk as the program sees them.
type Versions struct{ Dir string }

// State returns what the launcher last wrote. A state that cannot be read is an empty
// one, as it is to the launcher.
func (v Versions) State() State {
	var st State
	if readJSON(filepath.Join(v.Dir, stateFile), &st) != nil {
		return State{}
	}
	return st
}

// Part returns the path under which a version is to be gathered.
func (v Versions) Part(version string) string { return file(v.Dir, version) + partEnd }

// File returns the path of a version's program.
func (v Versions) File(version string) string { return file(v.Dir, version) }

// Sum reads a version's program to its end.
func (v Versions) Sum(version string) (Sum, error) { return sumOf(file(v.Dir, version)) }

// Has reports whether a version is there, whole and unaltered.
func (v Versions) Has(version string, want Sum) bool {
	got, err := sumOf(file(v.Dir, version))
	return err == nil && got.Length == want.Length && string(got.SHA256) == string(want.SHA256)
}

// Keep makes a version of what was gathered in its part. It returns when the version
// is on disk; a part that is not what was wanted is removed.
func (v Versions) Keep(version string, want Sum) error {
	part := v.Part(version)
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("launcher: keep: %w", err)
	}
	err = errors.Join(f.Chmod(0o755), f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("launcher: keep: %w", err)
	}
	got, err := sumOf(part)
	if err == nil && (got.Length != want.Length || string(got.SHA256) != string(want.SHA256)) {
		err = errors.Join(fmt.Errorf("%w: %d bytes, want %d", ErrSum, got.Length, want.Length), os.Remove(part))
	}
	if err == nil {
		err = os.Rename(part, file(v.Dir, version))
	}
	if err == nil {
		err = durable.SyncDir(v.Dir)
	}
	if err != nil {
		return fmt.Errorf("launcher: keep: %w", err)
	}
	return nil
}

// ErrSum is returned for a program whose bytes are not what they should be.
var ErrSum = errors.New("not the bytes that were wanted")

// Ask asks the launcher to try a version at the next start. It returns when the
// request is on disk.
func (v Versions) Ask(version string, sum Sum) error {
	err := writeJSON(filepath.Join(v.Dir, nextFile), next{Request: rand.Text(), Version: version, Sum: sum})
	if err != nil {
		return fmt.Errorf("launcher: ask: %w", err)
	}
	return nil
}

// Asked returns the version that was asked for and has not been taken up yet, or "".
func (v Versions) Asked() string {
	var n next
	if readJSON(filepath.Join(v.Dir, nextFile), &n) != nil || n.Request == v.State().Request {
		return ""
	}
	return n.Version
}

// Prune removes versions and parts of which none is needed: what the launcher's state
// names stays, and so does what keep names.
func (v Versions) Prune(keep ...string) error {
	st := v.State()
	need := map[string]bool{}
	for _, version := range append(keep, st.Good, st.Before, st.Trying, v.Asked()) {
		if version != "" {
			need[filepath.Base(file(v.Dir, version))] = true
		}
	}
	all, err := os.ReadDir(v.Dir)
	if err != nil {
		return fmt.Errorf("launcher: prune: %w", err)
	}
	var errs []error
	for _, e := range all {
		if name := e.Name(); strings.HasPrefix(name, release.Product+"-") && !need[strings.TrimSuffix(name, partEnd)] {
			errs = append(errs, os.Remove(filepath.Join(v.Dir, name)))
		}
	}
	return errors.Join(errs...)
}
