package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// Two doors of a place that have no server at all tell each other on the local network:
// each one's screen says how many are inside, whichever door they came by.
func TestDoorsWithoutAServerCountTogether(t *testing.T) {
	t.Parallel()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	said := new(log)
	defer func() {
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", said.tail(40))
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := stage.New(ctx, t.TempDir(), p, stage.Options{Log: said})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addresses := make([]string, 4) // of both as neighbours, and of both screens
	for i := range addresses {
		if addresses[i], err = stage.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	peers := fmt.Sprintf("peers = [\"cho-dong-ba-1@%s\", \"cho-dong-ba-2@%s\"]", addresses[0], addresses[1])
	var doors []*visited
	for i, id := range []string{"cho-dong-ba-1", "cho-dong-ba-2"} {
		scanner, err := s.StartScanner(filepath.Join(s.Dir, id+"-scanner"))
		if err != nil {
			t.Fatal(err)
		}
		k, err := s.AddKiosk(ctx, id, "Chợ Đông Ba", fmt.Sprintf("[[serial]]\ndevice = %q\n[screen]\nlisten = %q\n[neighbours]\nlisten = %q\n%s\n", scanner.Path, addresses[2+i], addresses[i], peers))
		if err != nil {
			t.Fatal(err)
		}
		doors = append(doors, &visited{Kiosk: k, t: t, scanner: scanner})
		doors[i].start()
	}
	for i, want := range []string{"Bên trong: 1 người", "Bên trong: 2 người"} {
		card, err := s.Card(ctx, i+1, "")
		if err != nil {
			t.Fatal(err)
		}
		doors[i].show(strings.TrimSpace(card))
		for _, screen := range addresses[2:] {
			awaitInside(t, ctx, "http://"+screen+"/events", want)
		}
	}
}

// awaitInside waits until a screen says how many are inside.
func awaitInside(t *testing.T, ctx context.Context, url, want string) {
	t.Helper()
	said := ""
	for ctx.Err() == nil {
		said = insideOn(ctx, url, want)
		if said == want {
			return
		}
	}
	t.Fatalf("a screen says %q, want %q", said, want)
}

// insideOn follows a screen for some seconds and returns what it says of who is inside,
// wanted or last.
func insideOn(ctx context.Context, url, want string) (said string) {
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // it is not there yet
		}
		return err.Error()
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var v struct{ Inside string }
		if !ok || json.Unmarshal([]byte(data), &v) != nil || v.Inside == "" {
			continue
		}
		if said = v.Inside; said == want {
			return said
		}
	}
	return said
}
