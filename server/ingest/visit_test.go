package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var market = store.Where{No: 48211, Name: "Chợ Đông Ba"}

// phones is where the visits of a server with no name of its own are stored.
const phones = "phones@server"

// key returns the key of the n-th visit.
func key(n int) (k [16]byte) {
	copy(k[:], fmt.Sprintf("visit %010d", n))
	return k
}

func phone(n int) string { return fmt.Sprintf("+8490%07d", n) }

// visitOf returns a visit of one person who comes in.
func visitOf(n, person int) ingest.Visit {
	return ingest.Visit{
		Key: key(n), Place: market, Poster: 3, Direction: wire.In,
		People: []ingest.Visitor{{Kind: pass.Phone, Number: phone(person), Name: fmt.Sprintf("Nguyễn Văn %d", person)}},
	}
}

func (s *server) visit(v ingest.Visit) ingest.Receipt {
	s.w.t.Helper()
	r, err := s.Visit(s.w.t.Context(), v)
	if err != nil {
		s.w.t.Fatalf("Visit() = %v", err)
	}
	return r
}

// counts returns the figures of the market.
func (w *world) counts() store.Counts {
	w.t.Helper()
	all, err := w.store.Counts(w.t.Context(), qrgate.DayOf(w.now()), market.No)
	if err != nil {
		w.t.Fatal(err)
	}
	return all[market.No]
}

func TestVisit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		before := s.Feed.Recent()
		if c := w.counts(); c != (store.Counts{}) {
			t.Errorf("Counts() before all = %+v, want none", c)
		}
		got := s.visit(visitOf(1, 7))
		want := ingest.Receipt{
			Happened: noon, Earliest: noon.Add(-32 * time.Second), Latest: noon, Received: noon, People: 1,
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("Visit() (-want +got):\n%s", diff)
		}
		w.clock.advance(time.Hour)
		out := visitOf(2, 7)
		out.Direction, out.People[0].Level = wire.Out, qrgate.Contacted
		s.visit(out)

		rows := w.rows(phones)
		if len(rows) != 2 {
			t.Fatalf("%d rows, want 2", len(rows))
		}
		if a, b := w.person(rows[0]), w.person(rows[1]); a != b {
			t.Errorf("in and out are persons %d and %d, want the same", a, b)
		}
		r := rows[0]
		if r.Seq != 1 || r.Pass != pass.Phone || r.Level != qrgate.Stated || r.Verdict != wire.Admitted || r.Presence != wire.Claimed ||
			r.Direction != wire.In || r.PlaceNo != market.No || r.Gate != "poster" || r.Lane != 3 || r.Clock != when.Chip {
			t.Errorf("the row is %+v", r)
		}
		if r := rows[1]; r.Seq != 2 || r.Direction != wire.Out || r.Level != qrgate.Contacted {
			t.Errorf("the second row is %+v", r)
		}
		want1 := store.Counts{In: 1, Out: 1, Week: 1, Weeks: 1, Days: 1, First: noon, Last: noon.Add(time.Hour)}
		if diff := cmp.Diff(want1, w.counts(), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("Counts() (-want +got):\n%s", diff)
		}
		// The feed hears after whoever waits for the answer.
		w.until("the feed shows both", func() bool { return len(s.Feed.Recent()) == len(before)+2 })
		recent := s.Feed.Recent()
		if recent[0].Place != market.Name || recent[0].PlaceNo != market.No || recent[0].Direction != wire.Out {
			t.Errorf("the feed shows %+v", recent)
		}
		if stored, err := w.store.Recent(t.Context(), 10); err != nil || len(stored) != 2 || stored[0].Place != market.Name {
			t.Errorf("Recent() = %+v, %v", stored, err)
		}
		if st := s.Stats(); st.Visits != 2 || st.Checkins != 2 || st.Again != 0 {
			t.Errorf("Stats() = %+v", st)
		}
	})
}

// What stands for phones is no kiosk: it is in no list, and nothing that comes
// under its name counts.
func TestPhonesAreNoKiosk(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		k := w.kiosk("gate-0001")
		s.visit(visitOf(1, 1))
		w.deliver(k)
		ctx := t.Context()
		kiosks, err := w.store.Kiosks(ctx)
		if err != nil || len(kiosks) != 1 || kiosks[0].ID != k.id {
			t.Errorf("Kiosks() = %+v, %v, want %s alone", kiosks, err, k.id)
		}
		if active, err := w.store.ActiveKiosks(ctx); err != nil || len(active) != 1 {
			t.Errorf("ActiveKiosks() = %v, %v", active, err)
		}
		for name, err := range map[string]error{
			"Kiosk":       func() error { _, err := w.store.Kiosk(ctx, phones); return err }(),
			"RevokeKiosk": w.store.RevokeKiosk(ctx, phones),
			"MoveKiosk":   w.store.MoveKiosk(ctx, phones, market),
		} {
			if !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("%s(%q) = %v, want %v", name, phones, err, qrgate.ErrNotFound)
			}
		}
		if wire.ValidKiosk(phones) {
			t.Errorf("a kiosk can be called %q", phones)
		}
		if n, err := w.store.PhoneCheckins(ctx); err != nil || n != 1 {
			t.Errorf("PhoneCheckins() = %d, %v, want 1", n, err)
		}
		ledgers, err := w.store.Ledgers(ctx, w.now())
		if err != nil || len(ledgers) != 2 {
			t.Fatalf("Ledgers() = %+v, %v, want two", ledgers, err)
		}
		for _, l := range ledgers {
			if l.Kiosk == phones && (l.Through != 1 || l.Newest != 1 || len(l.Missing) > 0 || l.Gap() || l.Opened != wire.OpenedNew) {
				t.Errorf("the ledger of phones is %+v", l)
			}
		}
	})
}

func TestVisitOfSeveral(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		v := visitOf(1, 1)
		v.Unnamed = 2
		v.People = append(v.People,
			ingest.Visitor{Kind: pass.Phone, Number: phone(2), Name: "Lê Thị Hai"},
			ingest.Visitor{Kind: pass.Phone, Name: "bé  An"},                    // no phone of their own
			ingest.Visitor{Kind: pass.Phone, Number: phone(1), Name: "Bé Bình"}, // that of a parent
			ingest.Visitor{Kind: pass.Account, Number: "hue-s 17", Name: "Trần Ba", Phone: phone(3), Level: qrgate.Checked},
		)
		if r := s.visit(v); r.People != 7 {
			t.Errorf("Visit() = %+v, want 7 people", r)
		}
		v.Key, v.Direction, v.Unnamed = key(2), wire.Out, 0
		v.People[2].Name = "Bé An"
		s.visit(v)
		rows := w.rows(phones)
		if len(rows) != 12 {
			t.Fatalf("%d rows, want 12", len(rows))
		}
		persons := map[qrgate.Person]bool{}
		for i := range 5 {
			p := w.person(rows[i])
			persons[p] = true
			if again := w.person(rows[7+i]); again != p {
				t.Errorf("visitor %d is person %d, and then %d", i+1, p, again)
			}
		}
		if len(persons) != 5 {
			t.Errorf("%d persons, want 5", len(persons))
		}
		if rows[4].Pass != pass.Account || rows[4].Level != qrgate.Checked || rows[2].Level != qrgate.Stated {
			t.Errorf("rows are of %v at level %v, and of level %v", rows[4].Pass, rows[4].Level, rows[2].Level)
		}
		for _, r := range rows[5:7] {
			if r.Subject != (qrgate.Subject{}) || r.Level != qrgate.NoLevel {
				t.Errorf("somebody without a name is %+v", r)
			}
		}
		if c := w.counts(); c.In != 7 || c.Out != 5 || c.Inside != 2 {
			t.Errorf("Counts() = %+v, want 7 in, 5 out, 2 inside", c)
		}
	})
}

func TestUnusableVisits(t *testing.T) {
	w := newWorld(t, sqlite)
	s := w.serve()
	with := func(change func(*ingest.Visit)) ingest.Visit {
		v := visitOf(1, 1)
		change(&v)
		return v
	}
	for name, v := range map[string]ingest.Visit{
		"nothing":                 {},
		"no key":                  with(func(v *ingest.Visit) { v.Key = [16]byte{} }),
		"long client":             with(func(v *ingest.Visit) { v.Client = strings.Repeat("x", 101) }),
		"no place":                with(func(v *ingest.Visit) { v.Place.No = 0 }),
		"place without name":      with(func(v *ingest.Visit) { v.Place.Name = "" }),
		"place with a zero byte":  with(func(v *ingest.Visit) { v.Place.Name = "a\x00" }),
		"gate of two lines":       with(func(v *ingest.Visit) { v.Gate = "a\nb" }),
		"no direction":            with(func(v *ingest.Visit) { v.Direction = 0 }),
		"nobody":                  with(func(v *ingest.Visit) { v.People, v.Unnamed = nil, 3 }),
		"less than nobody":        with(func(v *ingest.Visit) { v.Unnamed = -1 }),
		"a crowd":                 with(func(v *ingest.Visit) { v.Unnamed = 50 }),
		"more than all":           with(func(v *ingest.Visit) { v.Unnamed = math.MaxInt }),
		"a card":                  with(func(v *ingest.Visit) { v.People[0].Kind = pass.Card }),
		"national number":         with(func(v *ingest.Visit) { v.People[0].Number = "0901234567" }),
		"number with spaces":      with(func(v *ingest.Visit) { v.People[0].Number = "+84 901234567" }),
		"no number":               with(func(v *ingest.Visit) { v.People[0].Number = "" }),
		"no name":                 with(func(v *ingest.Visit) { v.People[0].Name = " " }),
		"long name":               with(func(v *ingest.Visit) { v.People[0].Name = strings.Repeat("ế", 101) }),
		"name that is no UTF-8":   with(func(v *ingest.Visit) { v.People[0].Name = "a\xff" }),
		"unknown level":           with(func(v *ingest.Visit) { v.People[0].Level = 9 }),
		"the same person twice":   with(func(v *ingest.Visit) { v.People = append(v.People, v.People[0], v.People[0]) }),
		"time without its clock":  with(func(v *ingest.Visit) { v.Said = noon }),
		"clock without time":      with(func(v *ingest.Visit) { v.Sent = noon }),
		"time beyond all numbers": with(func(v *ingest.Visit) { v.Said, v.Sent = time.Unix(1<<60, 0), time.Unix(1<<60, 0) }),
		"trip back in time":       with(func(v *ingest.Visit) { v.Trip = -1 }),
		"paper without a time":    with(func(v *ingest.Visit) { v.Paper = time.Minute }),
		"paper of tomorrow":       with(func(v *ingest.Visit) { v.Paper, v.Said = time.Minute, noon.Add(24*time.Hour) }),
		"paper of any time":       with(func(v *ingest.Visit) { v.Paper, v.Said = 13*time.Hour, noon }),
	} {
		if _, err := s.Visit(t.Context(), v); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("%s: Visit() = %v, want %v", name, err, qrgate.ErrInvalid)
		}
	}
	if n := len(w.rows(phones)); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func TestVisitTime(t *testing.T) {
	const s, m, h, day = time.Second, time.Minute, time.Hour, 24 * time.Hour
	y1970 := time.Unix(0, 0)
	tests := []struct {
		name                       string
		said, sent                 time.Time
		trip                       time.Duration
		happened, earliest, latest time.Duration // from noon
		err                        error
	}{
		{"now", time.Time{}, time.Time{}, 0, 0, -32 * s, 0, nil},
		{"now, with a measured trip", time.Time{}, time.Time{}, s, 0, -3 * s, 0, nil},
		{"now, with a trip of an hour", time.Time{}, time.Time{}, h, 0, -32 * s, 0, nil},
		{"a right clock", noon.Add(-h), noon, s, -h, -h - 3*s - 360*time.Millisecond, -h + 2*s + 360*time.Millisecond, nil},
		{"a clock of 1970", y1970, y1970.Add(h), s, -h, -h - 3*s - 360*time.Millisecond, -h + 2*s + 360*time.Millisecond, nil},
		{"a clock that is a year ahead", noon.Add(364 * day), noon.Add(365 * day), s, -day, -day - 3*s - 8640*time.Millisecond, -day + 2*s + 8640*time.Millisecond, nil},
		{"a clock that was set back", noon.Add(h), noon.Add(50 * m), s, 0, -10*m - 3*s, 0, nil},
		{"a clock that was set back by years", noon.Add(900 * day), noon, s, 0, -day - 3*s, 0, nil},
		{"twenty days ago", noon.Add(-20 * day), noon, s, -20 * day, -20*day - 175800*time.Millisecond, -20*day + 174800*time.Millisecond, nil},
		{"too long ago", noon.Add(-22 * day), noon, s, 0, 0, 0, ingest.ErrTooLate},
		{"a life ago", y1970, noon, s, 0, 0, 0, ingest.ErrTooLate},
		{"the day of the Trung sisters", time.Date(40, 3, 1, 0, 0, 0, 0, time.UTC), noon, s, 0, 0, 0, ingest.ErrTooLate},
	}
	w := newWorld(t, sqlite)
	server := w.serve()
	for i, tt := range tests {
		v := visitOf(i, i)
		v.Said, v.Sent, v.Trip = tt.said, tt.sent, tt.trip
		got, err := server.Visit(t.Context(), v)
		if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: Visit() = %v, want %v", tt.name, err, tt.err)
		}
		if err != nil {
			continue
		}
		if got.Happened.Sub(noon) != tt.happened || got.Earliest.Sub(noon) != tt.earliest || got.Latest.Sub(noon) != tt.latest {
			t.Errorf("%s: happened %v, between %v and %v, want %v, %v, %v of noon", tt.name,
				got.Happened.Sub(noon), got.Earliest.Sub(noon), got.Latest.Sub(noon), tt.happened, tt.earliest, tt.latest)
		}
	}
	for _, r := range w.rows(phones) {
		if r.Said-r.Error > r.Latest || r.Said+r.Error < r.Earliest {
			t.Errorf("number %d was said to be at %d within %d, which is not between %d and %d", r.Seq, r.Said, r.Error, r.Earliest, r.Latest)
		}
	}
	if n := server.Stats().Late; n != 3 {
		t.Errorf("Stats().Late = %d, want 3", n)
	}
}

// Nothing that was said of a visitor stands in the database, its log or a backup.
func TestVisitLeavesNobody(t *testing.T) {
	w := newWorld(t, sqlite)
	s := w.serve()
	v := visitOf(1, 1234567)
	v.Client = "client-canary"
	v.People[0].Name = "Canaria Một"
	v.People = append(v.People, ingest.Visitor{Kind: pass.Phone, Name: "Canaria Hai"},
		ingest.Visitor{Kind: pass.Account, Number: "canary-account", Name: "Canaria Ba", Phone: phone(7654321)})
	s.visit(v)
	var backup bytes.Buffer
	if err := w.store.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	s.stop()
	places := map[string][]byte{"log": []byte(w.log.String()), "printed": fmt.Appendf(nil, "%v %+v %#v", v, v.People[0], v.People)}
	files, err := filepath.Glob(strings.TrimPrefix(w.dsn, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if places[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	k := key(1)
	for place, content := range places {
		for _, canary := range []string{"1234567", "7654321", "Canaria", "canaria", "canary-account"} {
			if bytes.Contains(content, []byte(canary)) {
				t.Errorf("%s holds %q", place, canary)
			}
		}
		if place != "printed" && bytes.Contains(content, k[:]) {
			t.Errorf("%s holds the visit's key", place)
		}
	}
}

func TestVisitEndsWithItsContext(t *testing.T) {
	w := newWorld(t, sqlite)
	in, err := ingest.New(w.parts(), ingest.Options{Now: w.now}) // nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.Visit(ctx, visitOf(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Visit() = %v, want %v", err, context.Canceled)
	}
}

// What was written on paper keeps the time that was written, and how wrong it may be.
func TestVisitFromPaper(t *testing.T) {
	w := newWorld(t, sqlite)
	s := w.serve()
	v := visitOf(1, 1)
	v.Said, v.Paper = w.now().Add(-3*time.Hour), 15*time.Minute
	if _, err := s.Visit(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	late := visitOf(2, 2)
	late.Said, late.Paper = w.now().Add(-5*time.Minute), 15*time.Minute
	if _, err := s.Visit(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	rows := w.rows(phones)
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	r := rows[0]
	if r.Presence != wire.Paper || r.Earliest != v.Said.Add(-v.Paper).UnixMilli() || r.Latest != v.Said.Add(v.Paper).UnixMilli() || r.Said != v.Said.UnixMilli() || r.Error != v.Paper.Milliseconds() {
		t.Errorf("the row says %+v", r)
	}
	if got := rows[1].Latest; got > w.now().UnixMilli() {
		t.Errorf("it happened before %s, after it was typed in at %s", time.UnixMilli(got), w.now())
	}
}
