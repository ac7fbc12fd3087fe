//go:build full

package store_test

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/e2e/pgtest"
)

// A page tells people to come again, and not that the server has a fault, while
// nobody answers on the way to the database.
func TestDatabaseThatHasGoneIsUnavailable(t *testing.T) {
	at, err := url.Parse(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	const socket = "/.s.PGSQL.5432"
	query := at.Query()
	from, to := t.TempDir()+socket, query.Get("host")+socket
	way, err := net.Listen("unix", from)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			c, err := way.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", to)
			if err != nil {
				c.Close()
				continue
			}
			mu.Lock()
			open = append(open, c, server)
			mu.Unlock()
			go io.Copy(c, server)
			go io.Copy(server, c)
		}
	}()
	query.Set("host", strings.TrimSuffix(from, socket))
	at.RawQuery = query.Encode()
	s, err := store.Open(t.Context(), at.String(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	way.Close()
	mu.Lock()
	for _, c := range open {
		c.Close()
	}
	mu.Unlock()
	if err := s.Read(t.Context(), func(*sql.Rows) error { return nil }, "SELECT 1"); !errors.Is(err, qrgate.ErrUnavailable) {
		t.Errorf("Read without a way to the database = %v, want %v", err, qrgate.ErrUnavailable)
	}
	err = s.Write(t.Context(), func(x store.Tx) error { _, err := x.Exec("DELETE FROM sessions"); return err })
	if !errors.Is(err, qrgate.ErrUnavailable) {
		t.Errorf("Write without a way to the database = %v, want %v", err, qrgate.ErrUnavailable)
	}
}
