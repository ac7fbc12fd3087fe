package launcher

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/release"
)

const (
	stateFile = "launcher.json"
	nextFile  = "next.json"
	partEnd   = ".part"
)

// file returns the path of a version's program.
func file(dir, version string) string {
	return filepath.Join(dir, release.Product+"-"+version)
}

// A Sum is the length and hash of a program.
type Sum struct {
	Length int64  `json:"length"`
	SHA256 []byte `json:"sha256"`
}

// sumOf reads a file to its end.
func sumOf(path string) (Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Sum{n, h.Sum(nil)}, err
}

// maxState bounds the small files: a damaged one must not fill the memory.
const maxState = 16 << 10

// readJSON reads one of the small files into v. A missing one leaves v as it is.
func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a small file: after a power cut it is the old one or the new.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.Replace(path, append(b, '\n'))
}
