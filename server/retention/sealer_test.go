package retention_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/rights"
)

func (w *world) sealer() *retention.Sealer {
	return &retention.Sealer{
		Store: w.s, Rights: w.rights, Sign: signer, Keys: signer.Keys(), File: filepath.Join(w.dir, "audit.head"), Log: slog.New(slog.DiscardHandler),
	}
}

func (w *world) did(n int) {
	w.t.Helper()
	for range n {
		if err := w.s.Write(w.t.Context(), func(t store.Tx) error { return t.Audit("officer-1", "look", "x", "") }); err != nil {
			w.t.Fatal(err)
		}
	}
}

// That the newest seals were cut off with their rows is found, by a server that
// runs on and by one that starts.
func TestEndOfTheChainCutOff(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		s := w.sealer()
		for range 3 {
			w.did(2)
			if err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := s.Verify(t.Context()); err != nil || !c.OK() {
			t.Fatalf("Verify = %+v, %v", c, err)
		}
		head, err := os.ReadFile(s.File)
		if err != nil {
			t.Fatal(err)
		}
		err = w.s.Write(t.Context(), func(t store.Tx) error {
			_, err := t.Exec("DELETE FROM audit WHERE link > 4")
			if err == nil {
				_, err = t.Exec("DELETE FROM audit_seals WHERE no = 3")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*retention.Sealer{"runs on": s, "starts": w.sealer()} {
			w.did(1)
			if err := s.Seal(t.Context()); err == nil {
				t.Errorf("%s: Seal covers it up", name)
			}
			c, err := s.Verify(t.Context())
			if err != nil || !slices.ContainsFunc(c.Found, func(f rights.Found) bool { return f.Fault == rights.Cut }) {
				t.Errorf("%s: Verify = %+v, %v", name, c, err)
			}
			if now, _ := os.ReadFile(s.File); !bytes.Equal(now, head) {
				t.Errorf("%s: the file was written", name)
			}
		}
	})
}

// A database that was restored lacks the newest seals, and nobody cut them off.
func TestChainOfARestoredDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		s := w.sealer()
		w.did(3)
		if err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		backup, err := os.ReadFile(w.backup("b"))
		if err != nil {
			t.Fatal(err)
		}
		w.did(3)
		if err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.dsn = sqlite.dsn(t)
		w.open()
		if _, err := w.s.Restore(t.Context(), bytes.NewReader(backup)); err != nil {
			t.Fatal(err)
		}
		s = w.sealer()
		if err := s.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		if c, err := s.Verify(t.Context()); err != nil || !c.OK() || c.Rows != 4 {
			t.Errorf("Verify = %+v, %v", c, err)
		}
	})
}

// A copy of the newest seal that somebody has written is none.
func TestForgedHead(t *testing.T) {
	w := newWorld(t, sqlite.dsn(t))
	s := w.sealer()
	w.did(1)
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.File, bytes.Replace(head, []byte("1"), []byte("2"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Verify(t.Context()); err != nil || c.OK() {
		t.Errorf("Verify = %+v, %v", c, err)
	}
}
