package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A State is the little that the agent keeps between starts, in one file of
// which it is the only writer.
type State struct {
	Starts uint64    `json:"starts"` // of the program; tells sessions apart
	Floor  time.Time `json:"floor"`  // no earlier than this can it be, see when.Clock

	path string
}

// OpenState reads the state at path, counts this start and writes it back. A
// file that is missing or damaged is begun anew: what is lost is the floor,
// which the server's next receipt gives again.
func OpenState(path string) (*State, error) {
	s := &State{path: path}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("agent: state: %w", err)
	}
	if json.Unmarshal(b, s) != nil {
		*s = State{path: path}
	}
	s.Starts++
	if err := s.write(); err != nil {
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

func (s *State) write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("agent: state: %w", err)
	}
	if err := writeFile(s.path, append(b, '\n')); err != nil {
		return fmt.Errorf("agent: state: %w", err)
	}
	return nil
}
