package carry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// A result is a Report as it goes over the socket.
type result struct {
	Receipts, Refused int
	Beside            int
	Damaged           string
	Waiting, Through  uint64
}

// Serve answers whoever may use the socket at path, which is whoever may read the
// state directory, until ctx ends. It returns an error only when the outbox can no
// longer record; a socket that cannot be made costs the command line only.
func Serve(ctx context.Context, path string, d Door, log *slog.Logger) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("no socket", "err", err)
		return nil
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		log.Warn("no socket", "err", err)
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		log.Warn("no socket", "err", err)
		return errors.Join(l.Close())
	}
	broken := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /batches", func(w http.ResponseWriter, _ *http.Request) {
		if err := d.WriteBundle(w); err != nil {
			log.Warn("batches not handed over", "err", err) // the reader sees that the end is missing
		}
	})
	mux.HandleFunc("POST /receipts", func(w http.ResponseWriter, r *http.Request) {
		var out result
		rep, err := d.TakeBundle(r.Context(), http.MaxBytesReader(w, r.Body, deliver.MaxCarried+1<<10))
		if errors.Is(err, outbox.ErrBroken) {
			select {
			case broken <- err:
			default:
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		out.Receipts, out.Beside, out.Refused = rep.Receipts, rep.Beside, rep.Refused
		if rep.Damaged != nil {
			out.Damaged = rep.Damaged.Error()
		}
		s := d.Queue.Stats()
		out.Waiting, out.Through = s.Unsent, s.Through
		json.NewEncoder(w).Encode(out)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-broken:
	}
	srv.Close()
	<-served
	return err
}

// ErrNotRunning is returned by a [Socket] behind which no program is.
var ErrNotRunning = errors.New("no kiosk runs on this state directory")

// A Socket is the other end of [Serve].
type Socket struct {
	kiosk string
	c     http.Client
}

// Dial returns the socket at path of a kiosk that runs.
func Dial(path, kiosk string) *Socket {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Socket{kiosk, http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Visit does what [Door.Visit] does, for the program that holds the outbox.
func (s *Socket) Visit(ctx context.Context, dir string) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("carry: %w", err)
	}
	defer root.Close()
	held, err := root.ReadFile(s.kiosk + receipts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("carry: %w", err)
	}
	var out result
	if len(held) > 0 {
		if out, err = s.give(ctx, held); err != nil {
			return Report{}, err
		}
	}
	r := Report{Receipts: out.Receipts, Beside: out.Beside, Refused: out.Refused}
	if out.Damaged != "" {
		r.Damaged = errors.New(out.Damaged)
	}
	err = replace(root, s.kiosk+batches, func(w io.Writer) error {
		body, err := s.ask(ctx, http.MethodGet, "batches", nil)
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.Copy(w, body)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("carry: %w", err)
	}
	// How much waits is asked for last.
	if out, err = s.give(ctx, nothing(s.kiosk)); err != nil {
		return r, err
	}
	r.Waiting, r.Through = out.Waiting, out.Through
	return r, nil
}

func nothing(kiosk string) []byte {
	return append([]byte("QRGATE-BUNDLE 1 "+kiosk+"\n"), 0, 0, 0, 0)
}

// give hands a bundle of receipts to the program.
func (s *Socket) give(ctx context.Context, bundle []byte) (result, error) {
	var out result
	body, err := s.ask(ctx, http.MethodPost, "receipts", bundle)
	if err != nil {
		return out, fmt.Errorf("carry: %w", err)
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, wire.MaxMessage)).Decode(&out); err != nil {
		return out, fmt.Errorf("carry: %w", err)
	}
	return out, nil
}

func (s *Socket) ask(ctx context.Context, method, what string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://kiosk/"+what, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := s.c.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		resp.Body.Close()
		return nil, fmt.Errorf("the kiosk says %s: %s", resp.Status, bytes.TrimSpace(said))
	}
	return resp.Body, nil
}
