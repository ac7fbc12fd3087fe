package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	kept "github.com/qrgate/qrgate/server/store/fleet"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A server judges, hears and posts over a real store, at a time that the test sets.
type server struct {
	*fleet.Job
	t       *testing.T
	s       *store.Store
	kept    *kept.Fleet
	now     time.Time
	linked  time.Time
	letters []fleet.Message
}

func (s *server) time() time.Time { return s.now }

func newServer(t *testing.T) *server {
	s := &server{t: t, now: now, linked: now.Add(-time.Hour)}
	var err error
	if s.s, err = store.Open(t.Context(), blank.SQLite(t), store.Options{Now: s.time}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.s.Close() })
	return s.join(s.s)
}

// join makes s a server of its own on a store.
func (s *server) join(on *store.Store) *server {
	s.s, s.kept = on, kept.New(on, s.time)
	s.Job = &fleet.Job{
		Keeper: s.kept, Linked: func() time.Time { return s.linked }, Now: s.time, Log: slog.New(slog.DiscardHandler),
		Letter: func(m fleet.Message) error { s.letters = append(s.letters, m); return nil },
	}
	return s
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) kiosk(id string) {
	s.t.Helper()
	s.must(s.s.AddKiosk(s.t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ", Public: make([]byte, 32), State: qrgate.KioskActive, Added: s.now}))
}

func (s *server) beat(id string, b *wire.Beat) {
	s.t.Helper()
	s.must(s.s.SavePresences(s.t.Context(), []store.Presence{{Kiosk: id, Online: &wire.Online{V: 1, Up: true, Session: b.Session}, Changed: s.now, Beat: b, Contact: s.now}}))
}

func (s *server) once() {
	s.t.Helper()
	s.must(s.Once(s.t.Context()))
}

func (s *server) subscribe(address string) fleet.Subscription {
	s.t.Helper()
	s.must(s.s.Write(s.t.Context(), func(t store.Tx) error {
		if _, err := t.Exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES ('a', 'a', 'a', 'a@example.vn', 1, '', 1, 0, 0) ON CONFLICT DO NOTHING"); err != nil {
			return err
		}
		_, err := t.Exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES ('a', 'operator', 'all', '', 0) ON CONFLICT DO NOTHING")
		return err
	}))
	sub := fleet.Subscription{Account: "a", Scope: qrgate.All, Address: address}
	s.must(s.kept.Subscribe(s.t.Context(), &sub))
	return sub
}

// A kiosk falls silent: one alarm, one letter, one post with a signature that can be
// checked; and the same when it is back. A second server does nothing meanwhile.
func TestJob(t *testing.T) {
	s := newServer(t)
	second := (&server{t: t, now: now, linked: s.linked}).join(s.s)
	s.kiosk("gate-0001")
	s.beat("gate-0001", well())
	s.subscribe("")

	var posted [][]byte
	var refuse bool
	var secret []byte
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := r.Header.Get("QRGate-Signature"); got != fleet.Sign(secret, r.Header.Get("QRGate-Time"), body) {
			t.Errorf("signature %q does not verify", got)
		}
		if refuse {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		posted = append(posted, body)
	}))
	defer receiver.Close()
	sub := s.subscribe(receiver.URL + "/secret-path")
	secret = fleet.Secret([]byte("key"), sub.ID)
	var log bytes.Buffer
	poster := fleet.Poster{Outbox: s.kept, Client: fleet.NewClient(), Secret: func(id string) []byte { return fleet.Secret([]byte("key"), id) }, Now: s.time, Log: slog.New(slog.NewTextHandler(&log, nil))}

	for range 120 { // ten minutes
		s.now = s.now.Add(5 * time.Second)
		second.now = s.now
		s.once()
		second.once()
	}
	refuse = true
	s.must(poster.Once(t.Context()))
	refuse = false
	s.must(poster.Once(t.Context())) // not due yet
	if len(posted) != 0 {
		t.Fatalf("%d posts were taken, want none yet", len(posted))
	}
	s.now = s.now.Add(20 * time.Second)
	s.once()
	s.must(poster.Once(t.Context()))
	if len(s.letters) != 1 || len(s.letters[0].Begun) != 1 || s.letters[0].Begun[0].Kind != fleet.IsSilent || len(second.letters) != 0 {
		t.Fatalf("letters %+v and %+v, want one that a kiosk is silent", s.letters, second.letters)
	}
	var m fleet.Message
	if len(posted) != 1 || json.Unmarshal(posted[0], &m) != nil || len(m.Begun) != 1 || m.Begun[0].Kiosk != "gate-0001" {
		t.Fatalf("posted %q", posted)
	}
	if strings.Contains(log.String(), "secret-path") {
		t.Errorf("the log holds an address:\n%s", &log)
	}
	if f := s.Figures(); f == nil || f.Alarms[fleet.IsSilent] != 1 || f.States[fleet.Silent] != 1 || f.Grave != 1 {
		t.Errorf("Figures() = %+v", f)
	}
	if f := second.Figures(); f != nil {
		t.Errorf("the server whose turn it is not has figures %+v", f)
	}

	// The first server dies; the second goes on where it was.
	for range 120 {
		second.now = second.now.Add(5 * time.Second)
		s.now = second.now
		if second.now.Sub(now)%(30*time.Second) == 0 {
			second.beat("gate-0001", well())
		}
		second.once()
	}
	if len(second.letters) != 1 || len(second.letters[0].Ended) != 1 || len(s.letters) != 1 {
		t.Errorf("letters %+v and %+v, want one more, that it is back", s.letters, second.letters)
	}
	k, err := s.kept.Kiosk(t.Context(), "gate-0001")
	s.must(err)
	comings, err := s.kept.Comings(t.Context(), k.No, 10)
	s.must(err)
	if len(comings) != 1 || !comings[0].Up {
		t.Errorf("Comings() = %v, want that it came", comings)
	}
}

// A redirect is nobody's way to have messages sent elsewhere, and an address that
// does not answer loses nothing for a day.
func TestPosterGivesUpAfterADay(t *testing.T) {
	s := newServer(t)
	elsewhere := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere++
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer receiver.Close()
	sub := s.subscribe(receiver.URL)
	s.must(s.kept.SaveTold(t.Context(), nil, []fleet.Post{{Subscription: sub.ID, Body: []byte("{}"), Made: s.now, Due: s.now}}))
	poster := fleet.Poster{Outbox: s.kept, Client: fleet.NewClient(), Secret: func(string) []byte { return []byte("x") }, Now: s.time, Log: slog.New(slog.DiscardHandler)}
	tries := 0
	for range 30 {
		due, err := s.kept.Posts(t.Context(), s.now, 10)
		s.must(err)
		tries += len(due)
		s.must(poster.Once(t.Context()))
		s.now = s.now.Add(time.Hour)
	}
	if due, _ := s.kept.Posts(t.Context(), s.now.Add(48*time.Hour), 10); len(due) != 0 || tries < 20 || elsewhere != 0 {
		t.Errorf("after a day %d posts wait; %d tries, %d of them elsewhere", len(due), tries, elsewhere)
	}
}

// A memory keeps what an ear hears.
type memory struct {
	mu      sync.Mutex
	samples []fleet.Recorded
	begun   []string
	fail    bool
}

func (m *memory) SaveSamples(_ context.Context, samples []fleet.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail {
		return qrgate.ErrUnavailable
	}
	m.samples = append(m.samples, samples...)
	return nil
}

func (m *memory) Begin(_ context.Context, kind fleet.Kind, kiosks []string, _ time.Time) error {
	m.begun = append(m.begun, kiosks...)
	return nil
}

func TestEarMakesHistory(t *testing.T) {
	m, at := &memory{}, now
	e := fleet.NewEar(m, func() time.Time { return at }, slog.New(slog.DiscardHandler))
	b := well()
	for n := range 24 { // twelve minutes
		b.Temperature = 50_000 + n*100
		b.Scanners[0].Scans += 3
		e.Beat("gate-0001", b, nil)
		at = at.Add(30 * time.Second)
		m.fail = n == 11 // the database is away for a moment
		e.Keep(t.Context(), false)
	}
	m.fail = false
	e.Keep(t.Context(), true)
	if len(m.samples) != 3 {
		t.Fatalf("%d samples, want 3: %+v", len(m.samples), m.samples)
	}
	for i, want := range []struct{ beats, hot, scans int64 }{{10, 50_900, 27}, {10, 51_900, 30}, {4, 52_300, 12}} {
		if s := m.samples[i]; s.Beats != want.beats || s.Temperature != want.hot || s.Scans != want.scans || !s.At.Equal(now.Add(time.Duration(i)*fleet.Fine)) {
			t.Errorf("sample %d = %+v, want %+v", i, s, want)
		}
	}
}

// A kiosk that is copied is alarmed, and who looks after identities is told; one that
// starts again is one machine.
func TestTwoMachinesAreHeard(t *testing.T) {
	m := &memory{}
	e := fleet.NewEar(m, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	var told []string
	e.Cloned = func(_ context.Context, kiosk string) error { told = append(told, kiosk); return nil }
	beat := func(start, link uint64, ledger byte) {
		b := well()
		b.Session, b.Epoch = start<<32|link, wire.Epoch{ledger}
		e.Beat("gate-0001", b, nil)
		e.Keep(t.Context(), false)
	}
	for _, start := range []uint64{1, 1, 2, 3, 3} {
		beat(start, 1, 1)
	}
	beat(3, 1, 2) // its ledger was begun anew
	if len(told) > 0 {
		t.Fatalf("a kiosk that was started again is taken for two")
	}
	beat(3, 1, 3) // the copy, which has counted its starts alike
	beat(3, 2, 2)
	if len(told) != 1 || told[0] != "gate-0001" {
		t.Errorf("told of %q, want gate-0001", told)
	}
}

// One that starts again counts from nought; what it counted before is not counted
// twice, and nothing below nought.
func TestScansOfAKioskThatStartsAgain(t *testing.T) {
	var r fleet.Recorder
	b := well()
	for _, step := range []struct {
		start, scans uint64
	}{{1, 500}, {1, 510}, {2, 4}, {2, 9}, {3, 600}} {
		b.Session, b.Scanners[0].Scans = step.start<<32, step.scans
		r.Take("gate-0001", b, now)
	}
	if all := r.Over(now, true); len(all) != 1 || all[0].Scans != 10+4+5+600 {
		t.Errorf("Over() = %+v, want 619 scans", all)
	}
}

func TestCloned(t *testing.T) {
	beat := func(boot byte, start uint64) *wire.Beat {
		return &wire.Beat{Boot: when.Boot{boot}, Session: start << 32}
	}
	a, b := beat(1, 7), beat(2, 3)
	restarts := []*wire.Beat{}
	for n := range 20 {
		restarts = append(restarts, beat(byte(n/3), uint64(n)))
	}
	reconnects := []*wire.Beat{}
	for n := range 20 {
		reconnects = append(reconnects, &wire.Beat{Boot: when.Boot{1}, Session: 5<<32 | uint64(n%3)})
	}
	tests := []struct {
		name  string
		beats []*wire.Beat
		want  bool
	}{
		{"one", []*wire.Beat{a, a, a, a}, false},
		{"restarts", restarts, false},
		{"reconnects", reconnects, false},
		{"a new machine took its place", []*wire.Beat{a, a, b, b, b}, false},
		{"a beat that came late", []*wire.Beat{a, b, a, b, b, b}[:3], false},
		{"two in turn", []*wire.Beat{a, b, a, b}, true},
		{"one that connects again after another took its place", []*wire.Beat{a, b, {Boot: a.Boot, Session: a.Session + 1}}, true},
	}
	for _, tt := range tests {
		var l fleet.Lives
		got := false
		for i, x := range tt.beats {
			got = got || l.Cloned("gate-0001", x, now.Add(time.Duration(i)*15*time.Second))
		}
		if got != tt.want {
			t.Errorf("%s: Cloned() = %t, want %t", tt.name, got, tt.want)
		}
	}
	var l fleet.Lives
	for i := range 6 { // an hour apart: somebody tries two cards
		if l.Cloned("gate-0001", []*wire.Beat{a, b}[i%2], now.Add(time.Duration(i)*time.Hour)) {
			t.Error("slow changes are called a clone")
		}
	}
}

// Whatever a kiosk signs, judging it neither fails nor lets in what a row cannot
// hold.
func FuzzJudge(f *testing.F) {
	f.Add(wire.Encode(well()))
	hostile := well()
	hostile.Queued, hostile.Oldest, hostile.Used, hostile.Temperature, hostile.Uptime, hostile.Release = 1<<64-1, -1<<63, 1<<63-1, -1<<63, 1<<63-1, "\xff\x00'"
	hostile.Scanners = []wire.ScannerBeat{{Name: strings.Repeat("ế\x00", 200), Fault: "\xff", Scans: 1<<64 - 1, Bad: 1<<64 - 1, LastScan: -1 << 63, Share: 255}}
	f.Add(wire.Encode(hostile))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b wire.Beat
		if wire.Decode(data, &b) != nil {
			return
		}
		l := look()
		l.Usual = usual(50, true)
		for _, found := range fleet.Judge(kiosk(&b), l) {
			if len(found.About) > 80 || strings.ContainsRune(found.About, 0) {
				t.Errorf("%s is about %q", found.Kind, found.About)
			}
		}
		s := fleet.SampleOf(&b, now, 0)
		for _, v := range []int64{s.Queued, s.Oldest, s.Outbox, s.Disk, s.Memory, s.Temperature, s.RoundTrip, s.Unreadable, s.Power} {
			if v < -1 || v > 1<<50 {
				t.Errorf("sample of %+v = %+v", b, s)
			}
		}
		var r fleet.Recorder
		r.Take("gate-0001", &b, now)
		r.Take("gate-0001", &b, now)
		var l2 fleet.Lives
		l2.Cloned("gate-0001", &b, now)
	})
}
