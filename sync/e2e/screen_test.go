package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/words"
)

// A card before the kiosk's scanner is answered on its screen and by its voice,
// as the configuration says, without a server.
func TestScreenAndVoiceOfTheProgram(t *testing.T) {
	t.Parallel()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := stage.New(ctx, t.TempDir(), p, stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	card, err := s.Card(ctx, 7, "")
	if err != nil {
		t.Fatal(err)
	}
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	heard := filepath.Join(s.Dir, "heard.wav")
	k, err := s.AddKiosk(ctx, "cho-dong-ba-1", "Chợ Đông Ba", fmt.Sprintf(
		"[[serial]]\ndevice = %q\n[screen]\nlisten = %q\nexplain = \"1s\"\n[sound]\non = true\ncommand = [\"sh\", \"-c\", \"cat > %s.part && mv %[3]s.part %[3]s\"]\n", scanner.Path, address, heard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Start(ctx); err != nil {
		t.Fatal(err)
	}
	states := follow(t, ctx, "http://"+address+"/events")
	await := func(want words.State, patience time.Duration) bool {
		t.Helper()
		for late := time.After(patience); ; {
			select {
			case got, ok := <-states:
				if got == want {
					return true
				}
				if !ok {
					t.Fatalf("the screen never shows %s", want)
				}
			case <-late:
				return false
			}
		}
	}
	await(words.Ready, time.Minute)
	for _, tt := range []struct {
		text string
		want words.State
	}{{card, words.Admitted}, {"no card of ours", words.Refused}} {
		for { // the line may not be open yet
			if _, err := fmt.Fprintln(scanner, tt.text); err != nil {
				t.Fatal(err)
			}
			if await(tt.want, 5*time.Second) {
				break
			}
		}
		for {
			b, err := os.ReadFile(heard)
			if err == nil {
				if !strings.HasPrefix(string(b), "RIFF") || len(b) < 16000 {
					t.Errorf("%s: %d bytes were heard, no tone and voice", tt.want, len(b))
				}
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s: nothing was heard", tt.want)
			case <-time.After(5 * time.Millisecond):
			}
		}
		if err := os.Remove(heard); err != nil {
			t.Fatal(err)
		}
	}
	if !await(words.Ready, time.Minute) {
		t.Error("the refusal stays on the screen")
	}
}

// shown is what a screen shows.
type shown struct {
	State words.State
	VI    words.Sentence
}

// follow sends the states of a screen that may not be there yet, until ctx ends.
func follow(t *testing.T, ctx context.Context, url string) <-chan words.State {
	t.Helper()
	states := make(chan words.State, 1000)
	views := watch(t, ctx, url)
	go func() { // ends with ctx
		defer close(states)
		for v := range views {
			states <- v.State
		}
	}()
	return states
}

// watch sends what a screen shows that may not be there yet, until ctx ends.
func watch(t *testing.T, ctx context.Context, url string) <-chan shown {
	t.Helper()
	var resp *http.Response
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err = http.DefaultClient.Do(req); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no screen: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	views := make(chan shown, 1000)
	go func() { // ends with ctx
		defer close(views)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			var v shown
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &v) == nil {
				views <- v
			}
		}
	}()
	return views
}
