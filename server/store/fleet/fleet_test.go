package fleet_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/fleet"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, qrgate.Zone)

// A world is a fleet in a store whose clock the test moves.
type world struct {
	*fleet.Fleet
	t   testing.TB
	s   *store.Store
	now time.Time
}

func (w *world) time() time.Time { return w.now }

func newWorld(t testing.TB, e engine) *world {
	w := &world{t: t, now: noon}
	s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.s, w.Fleet = s, fleet.New(s, w.time)
	return w
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, newWorld(t, e)) })
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.s.Write(w.t.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }))
}

func (w *world) kiosk(id string, place uint32) *judge.Kiosk {
	w.t.Helper()
	w.must(w.s.AddKiosk(w.t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ", PlaceNo: place, Public: make([]byte, 32), State: qrgate.KioskActive, Added: noon}))
	k, err := w.Kiosk(w.t.Context(), id)
	w.must(err)
	return k
}

func TestKiosks(t *testing.T) { onEach(t, testKiosks) }

func testKiosks(t *testing.T, w *world) {
	ctx := t.Context()
	w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
	p := &qrgate.Place{Organisation: "o", Name: "Chợ Đông Ba", Sector: "trade", Kind: "market", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01", Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 360, Close: 1140}}}
	w.must(register.New(w.s, w.time).AddPlace(ctx, "", p))
	w.kiosk("gate-0001", p.No)
	w.kiosk("gate-0002", 0)
	beat := &wire.Beat{V: 1, Release: "1.2.0", Queued: 3}
	w.must(w.s.SavePresences(ctx, []store.Presence{{Kiosk: "gate-0001", Online: &wire.Online{V: 1, Up: true, Session: 7}, Changed: noon, Beat: beat, Contact: noon}}))
	for range 2 { // the second time beats are known
		all, err := w.Kiosks(ctx)
		w.must(err)
		want := []*judge.Kiosk{
			{
				No: 1, ID: "gate-0001", State: qrgate.KioskActive, Added: noon.Local(), Up: true, Session: 7, Changed: noon.Local(), Contact: noon.Local(), Beat: beat,
				Place: judge.Place{No: p.No, Name: p.Name, Organisation: "o", Sector: "trade", Kind: "market", Area: p.AreaNow, Hours: p.Hours},
			},
			{No: 2, ID: "gate-0002", State: qrgate.KioskActive, Added: noon.Local(), Place: judge.Place{Name: "Chợ"}},
		}
		if d := cmp.Diff(want, all); d != "" {
			t.Fatalf("Kiosks() (-want +got):\n%s", d)
		}
	}
	newer := &wire.Beat{V: 1, Release: "1.3.0"}
	w.must(w.s.SavePresences(ctx, []store.Presence{{Kiosk: "gate-0001", Beat: newer, Contact: noon.Add(time.Second)}}))
	if k, err := w.Kiosk(ctx, "gate-0001"); err != nil || k.Beat.Release != "1.3.0" {
		t.Errorf("Kiosk() = %+v, %v, want the newer beat", k, err)
	}
	for _, id := range []string{"gate-0003", "", "phones@server-1"} {
		if _, err := w.Kiosk(ctx, id); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Kiosk(%q) = %v, want ErrNotFound", id, err)
		}
	}
	if l, err := w.Ledgers(ctx, noon); err != nil || len(l) != 0 {
		t.Errorf("Ledgers() = %v, %v, want none", l, err)
	}
}

func TestAlarms(t *testing.T) { onEach(t, testAlarms) }

func testAlarms(t *testing.T, w *world) {
	ctx := t.Context()
	k, other := w.kiosk("gate-0001", 0), w.kiosk("gate-0002", 0)
	a := judge.Alarm{No: k.No, Kiosk: k.ID, Kind: judge.IsHot, Since: noon.Local(), Value: 81_000, About: "cpu", Seen: noon.Local()}
	o := judge.Alarm{Kind: judge.Outage, Since: noon.Local(), Grave: true, Value: 12, Seen: noon.Local()}
	w.must(w.SaveAlarms(ctx, []judge.Alarm{a, o}))
	a.Value, a.Seen = 84_000, noon.Add(time.Minute).Local()
	twice := a
	twice.Since = noon.Add(time.Second) // another server's, a moment later
	w.must(w.SaveAlarms(ctx, []judge.Alarm{a, twice}))
	want := []judge.Alarm{o, a}
	if got, err := w.Current(ctx); err != nil || !cmp.Equal(got, want) {
		t.Fatalf("Current() = %v, %v", cmp.Diff(want, got), err)
	}

	w.must(w.Acknowledge(ctx, "operator", k, judge.IsHot))
	if err := w.Acknowledge(ctx, "second", k, judge.IsHot); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("acknowledged twice: %v, want ErrConflict", err)
	}
	if err := w.Acknowledge(ctx, "operator", other, judge.IsHot); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("acknowledged without an alarm: %v, want ErrConflict", err)
	}
	w.must(w.Acknowledge(ctx, "operator", nil, judge.Outage))
	a.Told = noon.Local()
	w.must(w.SaveTold(ctx, []judge.Alarm{a}, nil))
	a.Ended = noon.Add(time.Hour).Local()
	w.now = noon.Add(time.Hour)
	w.must(w.SaveAlarms(ctx, []judge.Alarm{a})) // knows nothing of the acknowledgement
	a.AckedBy, a.Acked = "operator", noon.Local()
	if got, err := w.AlarmsOf(ctx, k.No, 10); err != nil || !cmp.Equal(got, []judge.Alarm{a}) {
		t.Errorf("AlarmsOf() = %v, %v", cmp.Diff([]judge.Alarm{a}, got), err)
	}
	if got, err := w.Current(ctx); err != nil || len(got) != 2 || got[1].Open() {
		t.Errorf("Current() = %v, %v, want the outage and the ended one of whose end nobody was told", got, err)
	}
	a.ToldEnd = w.now
	w.must(w.SaveTold(ctx, []judge.Alarm{a}, nil))
	if got, err := w.Current(ctx); err != nil || len(got) != 1 {
		t.Errorf("Current() = %v, %v, want the outage", got, err)
	}
	if got, err := w.Ended(ctx, 5); err != nil || len(got) != 1 || got[0].Kind != judge.IsHot {
		t.Errorf("Ended() = %v, %v", got, err)
	}

	// It may begin again, on several servers at once.
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			again := judge.Alarm{No: k.No, Kind: judge.IsHot, Since: w.now.Add(time.Duration(i) * time.Millisecond), Seen: w.now}
			if err := w.SaveAlarms(ctx, []judge.Alarm{again}); err != nil {
				t.Error(err)
			}
			if err := w.Begin(ctx, judge.IsCloned, []string{k.ID, "stranger-1"}, w.now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := w.Open(ctx); err != nil || len(got) != 3 {
		t.Errorf("Open() = %v, %v, want the outage, one that is hot and one that is two", got, err)
	}
	w.now = noon.Add(400 * 24 * time.Hour)
	if _, err := w.Prune(ctx, w.now); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Ended(ctx, 5); err != nil || len(got) != 0 {
		t.Errorf("after a year Ended() = %v, %v", got, err)
	}
	if got, _ := w.Open(ctx); len(got) != 3 {
		t.Errorf("after a year %d alarms last, want 3", len(got))
	}
}

func TestMutes(t *testing.T) { onEach(t, testMutes) }

func testMutes(t *testing.T, w *world) {
	ctx := t.Context()
	k := w.kiosk("gate-0001", 0)
	w.must(w.Mute(ctx, "operator", k, "", noon.Add(time.Hour)))
	w.must(w.Mute(ctx, "operator", k, judge.IsHot, noon.Add(time.Hour)))
	w.must(w.Mute(ctx, "operator", k, judge.IsHot, noon.Add(2*time.Hour)))
	mutes, err := w.Mutes(ctx, noon)
	if err != nil || len(mutes) != 2 || !mutes[1].Until.Equal(noon.Add(2*time.Hour)) || mutes[1].Kiosk != k.ID {
		t.Fatalf("Mutes() = %v, %v", mutes, err)
	}
	if mutes, _ := w.Mutes(ctx, noon.Add(90*time.Minute)); len(mutes) != 1 {
		t.Errorf("after an hour Mutes() = %v", mutes)
	}
	w.must(w.Mute(ctx, "operator", k, judge.IsHot, noon))
	if mutes, _ := w.Mutes(ctx, noon); len(mutes) != 1 || mutes[0].Kind != "" {
		t.Errorf("after one has ended Mutes() = %v", mutes)
	}
}

func TestHistory(t *testing.T) { onEach(t, testHistory) }

func testHistory(t *testing.T, w *world) {
	ctx := t.Context()
	k := w.kiosk("gate-0001", 0)
	sample := func(at time.Time, hot, scans int64) judge.Recorded {
		return judge.Recorded{Kiosk: k.ID, Sample: judge.Sample{At: at.Local(), Beats: 10, Queued: 0, Outbox: 5, Disk: -1, Memory: -1, Temperature: hot, RoundTrip: -1, Unreadable: -1, Scans: scans, Power: 1}}
	}
	samples := []judge.Recorded{sample(noon, 50_000, 3), sample(noon.Add(5*time.Minute), 61_000, 4), sample(noon.Add(time.Hour), -1, 0), {Kiosk: "stranger-1"}}
	w.must(w.SaveSamples(ctx, samples))
	fine, err := w.History(ctx, k.No, judge.Fine, noon)
	if want := []judge.Sample{samples[0].Sample, samples[1].Sample, samples[2].Sample}; err != nil || !cmp.Equal(fine, want) {
		t.Errorf("History(fine): %v, %v", cmp.Diff(want, fine), err)
	}
	hour := samples[1].Sample
	hour.At, hour.Beats, hour.Scans = noon.Local(), 20, 7
	coarse, err := w.History(ctx, k.No, judge.Coarse, noon)
	if want := []judge.Sample{hour, samples[2].Sample}; err != nil || !cmp.Equal(coarse, want) {
		t.Errorf("History(coarse): %v, %v", cmp.Diff(want, coarse), err)
	}
	// Two servers may hear one kiosk within a slot.
	w.must(w.SaveSamples(ctx, samples[:1]))
	if again, _ := w.History(ctx, k.No, judge.Fine, noon); again[0].Beats != 20 || again[0].Scans != 6 || again[0].Temperature != 50_000 {
		t.Errorf("a slot of two servers: %+v", again[0])
	}

	comings := []judge.Coming{{No: k.No, At: noon.Local(), Up: true, Session: 5}, {No: k.No, At: noon.Add(time.Hour).Local(), Session: 5}}
	w.must(w.SaveComings(ctx, comings))
	w.must(w.SaveComings(ctx, comings))
	if got, err := w.Comings(ctx, k.No, 10); err != nil || !cmp.Equal(got, []judge.Coming{comings[1], comings[0]}) {
		t.Errorf("Comings() = %v, %v", got, err)
	}

	_, err = w.Prune(ctx, noon.Add(judge.KeepFine+10*time.Minute))
	w.must(err)
	fine, _ = w.History(ctx, k.No, judge.Fine, noon)
	coarse, _ = w.History(ctx, k.No, judge.Coarse, noon)
	if len(fine) != 1 || len(coarse) != 2 {
		t.Errorf("after two days %d fine and %d coarse samples, want 1 and 2", len(fine), len(coarse))
	}
	_, err = w.Prune(ctx, noon.Add(judge.KeepCoarse+2*time.Hour))
	w.must(err)
	coarse, _ = w.History(ctx, k.No, judge.Coarse, noon)
	went, _ := w.Comings(ctx, k.No, 10)
	if len(coarse)+len(went) != 0 {
		t.Errorf("after ninety days %d samples and %d comings are left", len(coarse), len(went))
	}
}

func TestUsual(t *testing.T) { onEach(t, testUsual) }

func testUsual(t *testing.T, w *world) {
	ctx := t.Context()
	k := w.kiosk("gate-0001", 0)
	if _, known, err := w.Usual(ctx, k.No, 2*time.Hour, noon); err != nil || known {
		t.Errorf("Usual() without history is known: %v", err)
	}
	for d := 1; d <= 7; d++ {
		for h := range 24 {
			at := noon.AddDate(0, 0, -d).Truncate(24 * time.Hour).Add(time.Duration(h) * time.Hour)
			w.must(w.SaveSamples(ctx, []judge.Recorded{{Kiosk: k.ID, Sample: judge.Sample{At: at, Beats: 120, Scans: int64(h)}}}))
		}
	}
	// It is five o'clock UTC: the two hours before are those of three and four.
	if scans, known, err := w.Usual(ctx, k.No, 2*time.Hour, noon.Add(20*time.Minute)); err != nil || !known || scans != 7 {
		t.Errorf("Usual() = %d, %t, %v, want 3 + 4", scans, known, err)
	}
}

func TestSubscriptions(t *testing.T) { onEach(t, testSubscriptions) }

func testSubscriptions(t *testing.T, w *world) {
	ctx := t.Context()
	w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES ('a', 'a', 'a', 'a@example.vn', 1, '', 1, 0, 0), ('b', 'b', 'b', 'b@example.vn', 0, '', 1, 0, 0)")
	w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES ('a', 'operator', 'all', '', 0), ('b', 'area_officer', 'area:19753@2025-07-01', '', 0)")
	letter := judge.Subscription{Account: "a", Scope: qrgate.All, Grave: true}
	hook := judge.Subscription{Account: "a", Scope: qrgate.All, Address: "https://alarms.example.vn/x"}
	areal := judge.Subscription{Account: "b", Scope: qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}}
	for _, s := range []*judge.Subscription{&letter, &hook, &areal} {
		w.must(w.Subscribe(ctx, s))
	}
	again := letter
	if err := w.Subscribe(ctx, &again); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("subscribed twice: %v", err)
	}
	stranger := judge.Subscription{Account: "nobody", Scope: qrgate.All}
	if err := w.Subscribe(ctx, &stranger); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("a stranger subscribed: %v", err)
	}
	all, err := w.Subscriptions(ctx)
	if err != nil || len(all) != 3 {
		t.Fatalf("Subscriptions() = %v, %v", all, err)
	}
	for _, s := range all {
		if want := map[string]string{"a": "a@example.vn", "b": ""}[s.Account]; s.Email != want {
			t.Errorf("subscription of %s goes to %q, want %q", s.Account, s.Email, want)
		}
	}
	posts := []judge.Post{}
	for i := range 150 {
		posts = append(posts, judge.Post{Subscription: hook.ID, Body: fmt.Appendf(nil, "%d", i), Made: noon, Due: noon.Add(time.Duration(i) * time.Second)})
	}
	w.must(w.SaveTold(ctx, nil, append(posts, judge.Post{Subscription: "gone", Body: []byte("x"), Made: noon, Due: noon})))
	due, err := w.Posts(ctx, noon.Add(time.Hour), 500)
	if err != nil || len(due) != 100 || due[0].Address != hook.Address || string(due[3].Body) != "3" {
		t.Fatalf("%d posts, %v, want 100", len(due), err)
	}
	w.must(w.Again(ctx, due[0].ID, noon.Add(2*time.Hour)))
	w.must(w.Done(ctx, due[1].ID))
	if due, _ = w.Posts(ctx, noon.Add(time.Hour), 500); len(due) != 98 {
		t.Errorf("%d posts are due, want 98", len(due))
	}
	if due, _ = w.Posts(ctx, noon.Add(2*time.Hour), 500); len(due) != 99 || due[98].Tries != 1 {
		t.Errorf("%d posts are due later, want 99, the last tried once", len(due))
	}
	if err := w.Unsubscribe(ctx, "b", hook.ID); !errors.Is(err, qrgate.ErrNotFound) {
		t.Errorf("unsubscribed somebody else: %v", err)
	}
	w.must(w.Unsubscribe(ctx, "a", hook.ID))
	if due, _ = w.Posts(ctx, noon.Add(2*time.Hour), 500); len(due) != 0 {
		t.Errorf("%d posts wait for nobody", len(due))
	}
	// Who no longer has the role, or may not sign in, is told nothing.
	w.exec("DELETE FROM grants WHERE account = 'b'")
	w.exec("UPDATE accounts SET state = 2 WHERE id = 'a'")
	if all, err := w.Subscriptions(ctx); err != nil || len(all) != 0 {
		t.Errorf("Subscriptions() = %v, %v, want none", all, err)
	}
	if of, err := w.SubscriptionsOf(ctx, "b"); err != nil || len(of) != 1 {
		t.Errorf("SubscriptionsOf() = %v, %v", of, err)
	}
}

func TestLease(t *testing.T) { onEach(t, testLease) }

func testLease(t *testing.T, w *world) {
	ctx := t.Context()
	other := fleet.New(w.s, w.time)
	ask := func(f *fleet.Fleet) bool {
		mine, err := f.Lease(ctx, time.Minute)
		w.must(err)
		return mine
	}
	if !ask(w.Fleet) || ask(other) || !ask(w.Fleet) {
		t.Error("the lease is not one server's")
	}
	w.now = w.now.Add(2 * time.Minute)
	if !ask(other) || ask(w.Fleet) {
		t.Error("the lease of a server that died does not go on")
	}
}
