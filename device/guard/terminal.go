package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Socket returns where the command line asks the page of a kiosk whose files are in dir.
func Socket(dir string) string { return filepath.Join(dir, "pair.sock") }

// answerTerminal answers whoever may use the socket, which is whoever may read the state
// directory, until ctx ends. A socket that cannot be made costs the command line only.
func (g *Guard) answerTerminal(ctx context.Context) error {
	path := Socket(g.Dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.Log.Warn("no socket", "err", err)
		return nil
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		g.Log.Warn("no socket", "err", err)
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		g.Log.Warn("no socket", "err", err)
		return errors.Join(l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pair", func(w http.ResponseWriter, _ *http.Request) {
		o, ok := g.Offer()
		if !ok {
			http.Error(w, "the guard's page is off: see [guard] on, and the portal's settings", http.StatusConflict)
			return
		}
		json.NewEncoder(w).Encode(o)
	})
	mux.HandleFunc("POST /forget", func(w http.ResponseWriter, r *http.Request) {
		g.sessions.end(func(session) bool { return true })
		if err := g.phones.forget(""); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		g.note(r.Context(), "")
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); ctx.Err() == nil {
		g.Log.Warn("no socket", "err", err)
	}
	return nil
}

// ErrNotRunning is returned where no kiosk with a guard's page runs.
var ErrNotRunning = errors.New("no kiosk with a guard's page runs on this state directory")

// AskOffer asks the kiosk whose files are in dir for a pairing code.
func AskOffer(ctx context.Context, dir string) (o Offer, err error) {
	b, err := ask(ctx, dir, "pair")
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return o, fmt.Errorf("guard: %w", err)
	}
	return o, nil
}

// AskForget has the kiosk whose files are in dir forget every telephone.
func AskForget(ctx context.Context, dir string) error {
	_, err := ask(ctx, dir, "forget")
	return err
}

func ask(ctx context.Context, dir, what string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", Socket(dir))
	}
	c := http.Client{Transport: &http.Transport{DialContext: dial}}
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://kiosk/"+what, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the kiosk says %s: %s", resp.Status, b)
	}
	return b, err
}
