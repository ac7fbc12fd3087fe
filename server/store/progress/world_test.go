package progress_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

const phuXuan, thuanHoa = "19753@2025-07-01", "19789@2025-07-01"

// A world is the tables with an organisation, and a clock that the test moves.
type world struct {
	*progress.Progress
	t   testing.TB
	s   *store.Store
	reg *register.Register
	now atomic.Int64 // Unix milliseconds
	org string
}

var everywhere = progress.Query{Within: register.Within{All: true}}

func newWorld(t testing.TB, e engine) *world {
	w := &world{t: t}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.s, w.Progress, w.reg = s, progress.New(s, w.time), register.New(s, w.time)
	for _, id := range []string{"lan", "hoa"} {
		w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", id, id, "Display of "+id)
	}
	o := register.Organisation{Name: "Ban quản lý chợ Đông Ba", Sector: "trade", Phone: "+84905123456"}
	if err := w.reg.AddOrganisation(t.Context(), "lan", &o); err != nil {
		t.Fatal(err)
	}
	w.org = o.ID
	return w
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, newWorld(t, e)) })
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

func (w *world) today() qrgate.Day { return qrgate.DayOf(w.time()) }

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) place(name, sector, kind, in string) uint32 {
	w.t.Helper()
	p := &qrgate.Place{Organisation: w.org, Name: name, Sector: sector, Kind: kind, Area: in, AreaNow: in, Doors: 1}
	if err := w.reg.AddPlace(w.t.Context(), "lan", p); err != nil {
		w.t.Fatal(err)
	}
	return p.No
}

// kiosk adds a kiosk at a place that was heard of some time ago.
func (w *world) kiosk(no int, place uint32, up int, heard time.Duration) {
	w.exec("INSERT INTO kiosks (no, id, place, public, state, added, kind, place_no) VALUES (?, ?, '', ?, 1, ?, 0, ?)",
		no, "kiosk-"+string(rune('a'+no)), make([]byte, 32), w.now.Load(), int64(place))
	w.exec("INSERT INTO presences (kiosk_no, up, session, since, contact) VALUES (?, ?, 0, 0, ?)", no, up, w.time().Add(-heard).UnixMilli())
}

func (w *world) tally(place uint32, day qrgate.Day, ins int) {
	w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, 1, ?, 0, 1, 1)", int64(place), int64(day), ins)
}

func (w *world) audits() int {
	w.t.Helper()
	n, err := w.reg.CountAudit(w.t.Context(), register.AuditQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
