package live_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// today is when the tests' stories happen.
var today = time.Date(2026, 11, 25, 9, 30, 0, 0, qrgate.Zone)

// A world is a real store and what ingest would tell of it.
type world struct {
	t     testing.TB
	store *store.Store
	feed  *ingest.Feed

	mu     sync.Mutex
	epochs map[string]wire.Epoch
	seqs   map[string]uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, store: s, feed: ingest.NewFeed(nil), epochs: map[string]wire.Epoch{}, seqs: map[string]uint64{}}
}

func (w *world) kiosk(id, place string) {
	w.t.Helper()
	err := w.store.AddKiosk(w.t.Context(), qrgate.Kiosk{ID: id, Place: place, Public: make([]byte, 32), State: qrgate.KioskActive, Added: today})
	if err != nil {
		w.t.Fatal(err)
	}
}

// commit stores check-ins of one kiosk as ingest does, and returns what it would
// announce. Fields of like that are zero get ordinary values.
func (w *world) commit(kiosk, place string, n int, like store.Sighting) []store.Sighting {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.epochs[kiosk]; !ok {
		w.epochs[kiosk] = wire.NewEpoch()
	}
	if like.Received == 0 {
		like.Received = today.UnixMilli()
	}
	if like.Said == 0 {
		like.Said = like.Received - 1500
	}
	if like.Latest == 0 {
		like.Earliest, like.Latest = like.Said-20, like.Said+20
	}
	like.Kiosk, like.Place = kiosk, place
	if like.Gate == "" {
		like.Gate = "A1"
	}
	if like.Direction == 0 {
		like.Direction = wire.In
	}
	if like.Pass == 0 {
		like.Pass = pass.Card
	}
	if like.Verdict == 0 {
		like.Verdict = wire.Admitted
	}
	var told []store.Sighting
	first := w.seqs[kiosk]
	received := time.UnixMilli(like.Received)
	err := w.store.Intake(context.Background(), []string{kiosk}, func(in *store.Intake) error {
		told = nil
		e, err := in.Book(kiosk).Epoch(w.epochs[kiosk])
		if err != nil {
			return err
		}
		e.Touch(received)
		boot := when.Boot{1}
		in.Seen(e, when.Span{Boot: boot, First: first + 1, Last: first + uint64(n), Arrived: like.Received})
		for seq := first + 1; seq <= first+uint64(n); seq++ {
			h := wire.Header{
				Seq: seq, Kind: wire.KindCheckin, Boot: boot, Since: int64(seq), Wall: like.Said, Clock: when.Synced, Error: 20, Gate: like.Gate, Lane: 1,
				Direction: like.Direction, Pass: like.Pass, Verdict: like.Verdict, Reason: like.Reason, Presence: wire.Verified,
			}
			var d wire.Digest
			binary.BigEndian.PutUint64(d[:], seq)
			in.Add(store.Row{Under: e, Written: e, Header: h, Digest: d, Day: qrgate.DayOf(received), When: when.Interval{Earliest: like.Earliest, Latest: like.Latest}, Received: received})
			told = append(told, like)
		}
		return nil
	})
	if err != nil {
		w.t.Errorf("commit %d of %s: %v", n, kiosk, err)
	}
	w.seqs[kiosk] += uint64(n)
	return told
}

// checkin commits and announces n check-ins.
func (w *world) checkin(kiosk, place string, n int, like store.Sighting) {
	w.t.Helper()
	w.feed.Stored(map[string]int{kiosk: n}, w.commit(kiosk, place, n, like))
}

// online saves that a kiosk came or went, and announces it.
func (w *world) online(kiosk string, up bool, session uint64, at time.Time) {
	w.t.Helper()
	w.presence(store.Presence{Kiosk: kiosk, Online: &wire.Online{V: wire.Version, Up: up, Session: session}, Changed: at})
}

// beat saves a kiosk's beat, and announces it.
func (w *world) beat(kiosk string, b wire.Beat, at time.Time) {
	w.t.Helper()
	b.V = wire.Version
	w.presence(store.Presence{Kiosk: kiosk, Beat: &b, Contact: at})
}

func (w *world) presence(p store.Presence) {
	w.t.Helper()
	if err := w.store.SavePresences(context.Background(), []store.Presence{p}); err != nil {
		w.t.Fatal(err)
	}
	w.feed.KiosksChanged()
}

// brisk are options with which a test need not wait for figures.
func brisk() live.Options { return live.Options{Open: true, Refresh: 5 * time.Millisecond} }

func (w *world) handler(o live.Options) http.Handler {
	log := slog.New(slog.DiscardHandler)
	now := func() time.Time { return today }
	f := page.New(page.Options{Register: register.New(w.store, now), Log: log, Now: now, HelpLine: "19001075"})
	return f.Handler(live.New(f, w.store, w.feed, log, o).Routes())
}

// serve serves the portal over real sockets until the test ends.
func (w *world) serve(o live.Options, configure ...func(*httptest.Server)) string {
	w.t.Helper()
	s := httptest.NewUnstartedServer(w.handler(o))
	for _, c := range configure {
		c(s)
	}
	s.Start()
	w.t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// An event is one server-sent event as a browser understands it.
type event struct {
	Name, Data string
}

// A viewer is an open stream.
type viewer struct {
	t      testing.TB
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// watch opens a stream. It ends with the test, or on leave.
func watch(t testing.TB, url string) *viewer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	if got := r.Header.Get("Content-Type"); r.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("GET /live = %s, %q", r.Status, got)
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 16<<20)
	lines.Split(scanLines)
	return &viewer{t, lines, cancel}
}

// scanLines ends lines as a browser does in a stream: also at a lone return.
func scanLines(data []byte, end bool) (int, []byte, error) {
	i := strings.IndexAny(string(data), "\r\n")
	switch {
	case i < 0 && end && len(data) > 0:
		return len(data), data, nil
	case i < 0 || data[i] == '\r' && i+1 == len(data) && !end:
		return 0, nil, nil
	case data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	}
	return i + 1, data[:i], nil
}

func (v *viewer) leave() { v.cancel() }

// next returns the next event, or false when the stream has ended.
func (v *viewer) next() (event, bool) {
	var e event
	var data []string
	for v.lines.Scan() {
		field, value, _ := strings.Cut(v.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "event":
			e.Name = value
		case field == "data":
			data = append(data, value)
		case v.lines.Text() == "" && data != nil:
			e.Data = strings.Join(data, "\n")
			return e, true
		}
	}
	return event{}, false
}

// until returns the first event of that name that holds text.
func (v *viewer) until(name, text string) event {
	v.t.Helper()
	var seen []string
	for {
		e, ok := v.next()
		if !ok {
			v.t.Fatalf("the stream ended before %s with %q; it had %v", name, text, seen)
		}
		if e.Name == name && strings.Contains(e.Data, text) {
			return e
		}
		seen = append(seen, fmt.Sprintf("%s (%d bytes)", e.Name, len(e.Data)))
	}
}
