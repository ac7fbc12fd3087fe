package page

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Unnamed returns a file that no folder lists: what is written to it is gone once it
// is closed, and with the process.
func Unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "qrgate-*")
	if err != nil {
		return nil, fmt.Errorf("page: file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("page: file: %w", err)
	}
	return f, nil
}

// ReadFile returns a file of a form and its name; empty if none was chosen. Of one
// that is longer than most one byte more is returned.
func ReadFile(r *http.Request, field string, most int64) (name string, body []byte, err error) {
	f, head, err := r.FormFile(field)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("page: file: %w: %w", qrgate.ErrInvalid, err)
	}
	defer f.Close()
	body, err = io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", nil, fmt.Errorf("page: file: %w", err)
	}
	named := NewForm(url.Values{"name": {head.Filename}})
	return named.Text("name", 120, false), body, nil
}
