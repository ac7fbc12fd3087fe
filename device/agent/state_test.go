package agent_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/agent"
)

func openState(t testing.TB, path string) *agent.State {
	t.Helper()
	s, err := agent.OpenState(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.json")
	s := openState(t, path)
	first := s.Starts
	if s.Damaged != nil || !s.Floor.IsZero() {
		t.Errorf("OpenState of a new kiosk = %+v, want no floor", s)
	}
	floor := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct{ to, want time.Time }{
		{floor, floor}, {floor.Add(-time.Hour), floor}, {floor.Add(time.Hour), floor.Add(time.Hour)}, {time.Time{}, floor.Add(time.Hour)},
	} {
		if err := s.Raise(step.to); err != nil {
			t.Fatal(err)
		}
		starts := s.Starts
		s = openState(t, path)
		if !s.Floor.Equal(step.want) || s.Starts != starts+1 {
			t.Errorf("OpenState after Raise(%s) = %+v, want floor %s, start %d", step.to, s, step.want, starts+1)
		}
	}
	if s.Starts != first+4 {
		t.Errorf("Starts = %d after four more starts, want %d", s.Starts, first+4)
	}
}

// What another name of the file still says after a write is what a power cut in
// the middle of it would have left.
func TestStateIsWrittenByRename(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "agent.json"), filepath.Join(dir, "old")
	s := openState(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, old); err != nil {
		t.Fatal(err)
	}
	// A cut during an earlier write has left half a file.
	if err := os.WriteFile(path+".new", []byte(`{"starts":99`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Raise(time.Unix(1_795_500_000, 0)); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != string(before) {
		t.Errorf("the old file says %q, %v after a write, want it untouched: %q", b, err, before)
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) != 1 {
		t.Errorf("files after a write = %v, %v, want %s alone", names, err, path)
	}
	if again := openState(t, path); again.Starts != s.Starts+1 {
		t.Errorf("Starts = %d, want %d", again.Starts, s.Starts+1)
	}
}

func TestDamagedStateDoesNotStopTheDoor(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "zeros": string(make([]byte, 512)), "half": `{"starts":5,"fl`, "another type": `{"starts":"five"}`,
		"wrong time": `{"starts":5,"floor":"yesterday"}`, "list": "[]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.json")
			yesterday := openState(t, path).Starts - 8640
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openState(t, path)
			if s.Damaged == nil || !strings.Contains(s.Damaged.Error(), path) {
				t.Errorf("Damaged = %v, want an error that names %s", s.Damaged, path)
			}
			if before := yesterday + 1000; s.Starts <= before {
				t.Errorf("Starts = %d after damage, %d after a thousand starts since yesterday: the server would take the new sessions for old ones", s.Starts, before)
			}
			if again := openState(t, path); again.Damaged != nil || again.Starts != s.Starts+1 {
				t.Errorf("OpenState once more = %+v, want start %d of a whole file", again, s.Starts+1)
			}
		})
	}
}

func TestStateThatCannotBeReadIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.json")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := agent.OpenState(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("OpenState of a folder = %v, error %v, want one that names %s", s, err, path)
	}
	missing := filepath.Join(t.TempDir(), "no", "agent.json")
	if _, err := agent.OpenState(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("OpenState in a folder that is missing: error = %v, want one that names %s", err, missing)
	}
}
