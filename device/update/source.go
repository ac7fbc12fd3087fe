package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/release"
)

// ErrMissing is returned for a file that a source does not have.
var ErrMissing = errors.New("no such file")

// A Source is where the files of a repository are had from.
type Source interface {
	// Open returns what stands in a file from an offset on, and the offset that
	// it really begins at: 0 from a server that cannot go on in the middle.
	Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error)
}

// A Folder is a repository in a folder, as a USB stick carries it. Names that lead
// out of the folder, also over links, are refused.
type Folder string

// Open opens a file.
func (d Folder) Open(_ context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, 0, fmt.Errorf("update: folder: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("update: %s: %w", name, ErrMissing)
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe would never end
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("update: folder: %w", err)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("update: folder: %w", err)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("update: folder: %w", err), f.Close())
	}
	return f, from, nil
}

// A Site is a repository that a server serves.
type Site struct {
	url    string
	client *http.Client
	idle   time.Duration
}

// idle is how long a server may send nothing.
const idle = time.Minute

// NewSite returns the repository at a URL, which must be http or https. What comes
// from it is judged by its signatures; transport may be nil.
func NewSite(at string, transport http.RoundTripper) (*Site, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("update: %q is no address of a repository", at)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/"
	c := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
			return errors.New("sent on too often, or into the clear")
		}
		return nil
	}}
	return &Site{u.String(), c, idle}, nil
}

// Open asks the server for a file.
func (s *Site) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(s.idle, cancel)
	done := func() { timer.Stop(); cancel() }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+name, nil)
	if err != nil {
		done()
		return nil, 0, fmt.Errorf("update: %w", err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	res, err := s.client.Do(r)
	if err != nil {
		done()
		return nil, 0, fmt.Errorf("update: %w", err)
	}
	body := &patientBody{res.Body, timer, done, s.idle}
	switch {
	case res.StatusCode == http.StatusOK:
		return body, 0, nil
	case res.StatusCode == http.StatusPartialContent && strings.HasPrefix(res.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)):
		return body, from, nil
	case res.StatusCode == http.StatusNotFound:
		err = ErrMissing
	default:
		err = fmt.Errorf("the server answers %s", res.Status)
	}
	return nil, 0, errors.Join(fmt.Errorf("update: %s: %w", name, err), body.Close())
}

// A patientBody gives up when nothing has come for a while, however long the whole
// takes.
type patientBody struct {
	io.ReadCloser
	timer *time.Timer
	done  func()
	idle  time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.timer.Reset(b.idle)
	}
	return n, err
}

func (b *patientBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}

// read returns a small file, which must not be longer than most bytes.
func read(ctx context.Context, src Source, name string, most int64) ([]byte, error) {
	r, _, err := src.Open(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("update: %s: %w", name, err)
	}
	if int64(len(b)) > most {
		return nil, refuse(release.Unsigned, fmt.Errorf("update: %s is longer than %d bytes", name, most))
	}
	return b, nil
}
