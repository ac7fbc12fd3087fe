package launcher

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/qrgate/qrgate/sync/release"
)

const (
	// Tries is how often a new version is started before it is given up.
	Tries = 3
	// maxCrashes is how often in a row a version that had proven itself may end
	// before it was ready; then the one before it runs again.
	maxCrashes = 5
)

// A State is what the launcher keeps between starts.
type State struct {
	Good   string `json:"good,omitempty"`   // version that runs for good; "" is the packaged one
	Before string `json:"before,omitempty"` // that ran for good before it

	Trying  string         `json:"trying,omitempty"` // version on trial
	Tries   int            `json:"tries,omitempty"`  // begun
	Last    release.Reason `json:"last,omitempty"`   // why the last try ended
	Crashes int            `json:"crashes,omitempty"`

	Request  string  `json:"request,omitempty"` // the newest that was taken up
	Returned *Return `json:"returned,omitempty"`
}

// A Return is a version that was given up.
type Return struct {
	Version string         `json:"version"`
	Reason  release.Reason `json:"reason"`
}

// A next is what the program asks for.
type next struct {
	Request string `json:"request"`
	Version string `json:"version"`
	Sum     Sum    `json:"sum"`
}

// Packaged is the program that came with the system's package.
type Packaged struct {
	Program string
	Version string
}

// Slots are the versions on disk as the launcher sees them. It alone writes the state.
type Slots struct {
	dir      string
	packaged Packaged
	state    State

	// Damaged says why the state was begun anew, and is nil as a rule.
	Damaged error
}

// OpenSlots reads the state in dir. It never fails: whatever is wrong with the
// folder, the packaged program can run.
func OpenSlots(dir string, p Packaged) *Slots {
	s := &Slots{dir: dir, packaged: p}
	if err := readJSON(filepath.Join(dir, stateFile), &s.state); err != nil {
		s.state, s.Damaged = State{}, fmt.Errorf("launcher: state: %w", err)
	}
	for _, v := range []*string{&s.state.Good, &s.state.Before, &s.state.Trying} {
		if *v != "" && !release.Valid(*v) {
			*v = ""
		}
	}
	return s
}

// State returns what the launcher keeps.
func (s *Slots) State() State { return s.state }

// A Choice is what to start.
type Choice struct {
	Program string
	Version string
	Trial   bool // not yet for good
}

// Choose takes up what the program has asked for and returns what to start now. A
// try is counted on disk before it begins. The error says why something was not
// done; the choice is good all the same.
func (s *Slots) Choose() (Choice, error) {
	err := s.takeUp()
	s.preferPackaged()
	if s.state.Trying != "" && s.state.Tries >= Tries {
		if s.state.Last == "" {
			s.state.Last = release.Crashed // and took the machine down with it
		}
		err = s.keep(s.giveUp(s.state.Last), err)
	}
	if s.state.Trying != "" {
		before := s.state
		s.state.Tries++
		if err = s.keep(s.state, err); err == nil {
			return Choice{file(s.dir, s.state.Trying), s.state.Trying, true}, nil
		}
		// What cannot be counted is not tried.
		s.state = before
	}
	if s.state.Good != "" && s.state.Crashes >= maxCrashes {
		err = s.keep(s.goBack(release.Crashed), err)
	}
	for s.state.Good != "" && !s.there(s.state.Good) {
		err = s.keep(s.goBack(release.Damaged), err)
	}
	return s.good(), err
}

func (s *Slots) good() Choice {
	if s.state.Good == "" {
		return Choice{s.packaged.Program, s.packaged.Version, false}
	}
	return Choice{file(s.dir, s.state.Good), s.state.Good, false}
}

// takeUp makes what the program asks for the version on trial, if it is whole.
func (s *Slots) takeUp() error {
	var n next
	if err := readJSON(filepath.Join(s.dir, nextFile), &n); err != nil {
		return fmt.Errorf("launcher: request: %w", err)
	}
	if n.Request == "" || n.Request == s.state.Request {
		return nil
	}
	st := s.state
	st.Request, st.Trying, st.Tries, st.Last, st.Returned = n.Request, "", 0, "", nil
	refuse := func(r release.Reason) { st.Returned = &Return{n.Version, r} }
	switch {
	case !release.Valid(n.Version):
		refuse(release.Unlisted)
	case release.Compare(n.Version, s.good().Version) <= 0:
		refuse(release.Older)
	default:
		got, err := sumOf(file(s.dir, n.Version))
		if err != nil || got.Length != n.Sum.Length || !bytes.Equal(got.SHA256, n.Sum.SHA256) {
			refuse(release.Damaged)
		} else {
			st.Trying = n.Version
		}
	}
	return s.keep(st, nil)
}

// preferPackaged forgets versions that are not newer than what the system's package
// has brought since.
func (s *Slots) preferPackaged() {
	old := func(v string) bool { return v != "" && release.Compare(s.packaged.Version, v) >= 0 }
	if old(s.state.Trying) {
		s.state.Trying, s.state.Tries, s.state.Last = "", 0, ""
	}
	if old(s.state.Before) {
		s.state.Before = ""
	}
	if old(s.state.Good) {
		s.state.Good, s.state.Before, s.state.Crashes = "", "", 0
	}
}

func (s *Slots) there(version string) bool {
	info, err := os.Stat(file(s.dir, version))
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// giveUp returns the state without the version on trial.
func (s *Slots) giveUp(r release.Reason) State {
	st := s.state
	st.Returned = &Return{st.Trying, r}
	st.Trying, st.Tries, st.Last = "", 0, ""
	return st
}

// goBack returns the state with the version before the good one.
func (s *Slots) goBack(r release.Reason) State {
	st := s.state
	st.Returned = &Return{st.Good, r}
	st.Good, st.Before, st.Crashes = st.Before, "", 0
	return st
}

// keep puts st in force and on disk; a state that cannot be written is in force all
// the same. before is an error that came earlier.
func (s *Slots) keep(st State, before error) error {
	s.state = st
	if err := writeJSON(filepath.Join(s.dir, stateFile), st); err != nil && before == nil {
		return fmt.Errorf("launcher: state: %w", err)
	}
	return before
}

// Proven says that what c started has said it is ready and has run on for a while.
func (s *Slots) Proven(c Choice) error {
	st := s.state
	if c.Trial {
		st.Before, st.Good = st.Good, st.Trying
		st.Trying, st.Tries, st.Last = "", 0, ""
	}
	st.Crashes = 0
	if st == s.state {
		return nil
	}
	before := s.state
	err := s.keep(st, nil)
	if err != nil && c.Trial {
		s.state = before // it proves itself again when there is room
	}
	return err
}

// Ended says that what c started ended by itself before it had proven itself.
func (s *Slots) Ended(c Choice, why release.Reason) error {
	st := s.state
	if c.Trial {
		st.Last = why
	} else {
		st.Crashes = min(st.Crashes+1, maxCrashes)
	}
	if st == s.state {
		return nil
	}
	return s.keep(st, nil)
}

// Faulted says that the disk failed what c started before it had proven itself. No
// other version would have fared better, so nothing is held against this one. A
// version on trial is put off all the same, until it is asked for again: it may be
// what fills the disk.
func (s *Slots) Faulted(c Choice) error {
	if !c.Trial {
		return nil
	}
	st := s.state
	st.Trying, st.Tries, st.Last = "", 0, ""
	return s.keep(st, nil)
}

// Stopped says that what c started was asked to end before it had proven itself: that
// was no try.
func (s *Slots) Stopped(c Choice) error {
	if !c.Trial || s.state.Tries == 0 {
		return nil
	}
	st := s.state
	st.Tries--
	return s.keep(st, nil)
}
