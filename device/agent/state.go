package agent

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/wire"
)

// A State is the little that the agent keeps between starts, in one file of
// which it is the only writer.
type State struct {
	Starts uint64    `json:"starts"` // rises with every start of the program; tells sessions apart
	Floor  time.Time `json:"floor"`  // no earlier than this can it be, see when.Clock

	List Checked `json:"list"`

	// Damaged says why the file was begun anew, and is nil as a rule.
	Damaged error `json:"-"`
	// Unkept says why this start was not written down, and is nil as a rule.
	Unkept error `json:"-"`

	path string
}

// Checked says when the server last had no newer list of void cards than one.
type Checked struct {
	Stamp wire.Stamp
	At    time.Time // the server's
}

// OpenState reads the state at path, counts this start and writes it back. A
// file that is missing or damaged is begun anew, because nothing in it is worth a
// door that stays shut: the floor comes back with the server's next receipt. So is one
// that the disk cannot read; and a disk that takes no write keeps no door shut. An error
// means that the file may not be read, or has no folder.
func OpenState(path string) (*State, error) {
	s := &State{}
	damaged, err := durable.Read(path, func(b []byte) error { return json.Unmarshal(b, s) })
	if err != nil {
		return nil, fmt.Errorf("agent: state: %w", err)
	}
	if damaged != nil {
		s = &State{Damaged: damaged}
	}
	s.path = path
	// Sessions must rise, or the server takes the kiosk's word for an old
	// one's; no kiosk starts each ten seconds for long.
	later := uint64(max(time.Now().Unix()/10, 0))
	if s.Starts == 0 {
		s.Starts = later
	}
	s.Starts++
	if err := s.write(); durable.Fails(err) {
		s.Starts, s.Unkept = max(s.Starts, later), err
	} else if err != nil {
		return nil, err
	}
	return s, nil
}

// Raise keeps floor if it is later than the one kept.
func (s *State) Raise(floor time.Time) error {
	if !floor.After(s.Floor) {
		return nil
	}
	s.Floor = floor
	return s.write()
}

// checkedEvery is how often it is written that a list is still the newest.
const checkedEvery = time.Hour

// CheckList keeps that the server had no newer list at a time.
func (s *State) CheckList(c Checked) error {
	if c.Stamp == s.List.Stamp && c.At.Sub(s.List.At) < checkedEvery {
		return nil
	}
	s.List = c
	return s.write()
}

func (s *State) write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("agent: state: %w", err)
	}
	if err := durable.Replace(s.path, append(b, '\n')); err != nil {
		return fmt.Errorf("agent: state: %w", err)
	}
	return nil
}
