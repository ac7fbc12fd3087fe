package register_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// A world is a register whose clock the test moves.
type world struct {
	*register.Register
	t   *testing.T
	s   *store.Store
	now atomic.Int64 // Unix milliseconds
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t}
			w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: w.time})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.Register = s, register.New(s, w.time)
			test(t, w)
		})
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

// account adds somebody whose id and name are the same.
func (w *world) account(id string) string {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, ?)",
			id, id, "Display of "+id, w.now.Load())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// organisation adds an organisation that an account owns.
func (w *world) organisation(owner, name string) string {
	w.t.Helper()
	o := register.Organisation{Name: name, Sector: "trade", Phone: "+84905123456"}
	if err := w.AddOrganisation(w.t.Context(), owner, &o); err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}
