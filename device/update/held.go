package update

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Held is the metadata that another [Client] has verified and holds, as a source: the
// path of its trust.json. A program of more rights judges by it what one of fewer
// rights has fetched, and trusts nothing but the signatures.
type Held string

// Open returns a document.
func (h Held) Open(_ context.Context, name string, _ int64) (io.ReadCloser, int64, error) {
	info, err := os.Lstat(string(h))
	if err != nil {
		return nil, 0, fmt.Errorf("update: held: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxTrust {
		return nil, 0, fmt.Errorf("update: held: %s is no trust.json", h)
	}
	b, err := os.ReadFile(string(h))
	if err != nil {
		return nil, 0, fmt.Errorf("update: held: %w", err)
	}
	var t trust
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, 0, fmt.Errorf("update: held: %w", err)
	}
	var doc []byte
	switch {
	case name == "timestamp.json":
		doc = t.Timestamp
	case strings.HasSuffix(name, "snapshot.json"):
		doc = t.Snapshot
	case strings.HasSuffix(name, "targets.json"):
		doc = t.Targets
	case strings.HasSuffix(name, ".root.json") && versionOf(t.Root)+".root.json" == name:
		doc = t.Root
	}
	if doc == nil {
		return nil, 0, fmt.Errorf("update: held: %s: %w", name, ErrMissing)
	}
	return io.NopCloser(bytes.NewReader(doc)), 0, nil
}

// versionOf returns the version that a document says it has.
func versionOf(doc []byte) string {
	var d struct {
		Signed struct{ Version json.Number } `json:"signed"`
	}
	if json.Unmarshal(doc, &d) != nil {
		return ""
	}
	return d.Signed.Version.String()
}
