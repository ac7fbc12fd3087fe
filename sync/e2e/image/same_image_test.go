//go:build image

package main_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSameBytes builds an image twice; in a soak of packages that are fetched anew.
func TestSameBytes(t *testing.T) {
	sums := map[string][]byte{}
	for _, which := range []string{"first", "second"} {
		out, cache := t.TempDir(), cacheDir()
		if which == "second" && os.Getenv("QRGATE_SCALE") == "soak" {
			cache = t.TempDir()
		}
		cmd := exec.Command("go", "run", "./sync/e2e/image", "-out", out, "-cache", cache, "-version", first, "-time", "1764115200", "-probe")
		cmd.Dir = "../../.."
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", which, err, said)
		}
		all, err := filepath.Glob(filepath.Join(out, "qrgate-*"))
		if err != nil || len(all) != 3 {
			t.Fatalf("%s: built %q, %v", which, all, err)
		}
		for _, path := range all {
			name, got := filepath.Base(path), sum(t, path)
			if want, ok := sums[name]; ok && !bytes.Equal(got, want) {
				t.Errorf("%s: SHA-256 %x, the %s time %x", name, want, which, got)
			}
			sums[name] = got
		}
	}
}

func sum(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}
