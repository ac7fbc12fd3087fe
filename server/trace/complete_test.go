package trace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// How much of a gate's check-ins of day 1 to 10 is here on day 12.
func TestComplete(t *testing.T) {
	window := when.Interval{Earliest: at(1, 0, 0), Latest: at(10, 0, 0)}
	e1, e2 := wire.Epoch{1}, wire.Epoch{2}
	gate := trace.Gate{Kiosk: "a", At: market, Gate: "main", Added: at(-20, 0, 0), Epoch: e1}
	ledger := trace.Ledger{Kiosk: "a", Epoch: e1, Through: 100, Newest: 100, Received: at(12, 0, 0)}
	for _, tt := range []struct {
		name    string
		gate    func(*trace.Gate)
		ledgers func(*trace.Ledger) []trace.Ledger
		want    trace.Delivery
	}{
		{"all is here", func(g *trace.Gate) { g.Beat, g.Newest = at(12, 0, 1), 100 }, nil, trace.Delivery{State: trace.Delivered}},
		{"it holds 40 and is connected", func(g *trace.Gate) { g.Beat, g.Newest, g.Queued = at(12, 0, 1), 140, 40 }, nil,
			trace.Delivery{State: trace.Behind, Since: at(12, 0, 0), Holds: 40}},
		{"it holds some and said since when", func(g *trace.Gate) { g.Beat, g.Newest, g.Queued, g.Oldest = at(12, 0, 1), 140, 40, at(9, 0, 0) }, nil,
			trace.Delivery{State: trace.Behind, Since: at(9, 0, 0), Holds: 40}},
		{"what it holds is of after the window", func(g *trace.Gate) { g.Beat, g.Newest, g.Queued, g.Oldest = at(12, 0, 1), 140, 40, at(11, 0, 0) }, nil,
			trace.Delivery{State: trace.Delivered, Holds: 40}},
		{"a part of what it held has come since", func(g *trace.Gate) { g.Beat, g.Newest, g.Queued = at(11, 0, 0), 120, 40 }, nil,
			trace.Delivery{State: trace.Behind, Since: at(12, 0, 0), Holds: 20}},
		{"not heard of since day 5", func(g *trace.Gate) { g.Beat, g.Newest = at(5, 0, 0), 100 },
			func(l *trace.Ledger) []trace.Ledger { l.Received = at(4, 0, 0); return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Silent, Since: at(5, 0, 0)}},
		{"not heard of since day 5, when it held 30", func(g *trace.Gate) { g.Beat, g.Newest, g.Queued = at(5, 0, 0), 130, 30 },
			func(l *trace.Ledger) []trace.Ledger { l.Received = at(4, 0, 0); return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Silent, Since: at(4, 0, 0), Holds: 30}},
		{"never heard of", func(*trace.Gate) {}, func(*trace.Ledger) []trace.Ledger { return nil },
			trace.Delivery{State: trace.Never, Since: at(1, 0, 0)}},
		{"never heard of, and new", func(g *trace.Gate) { g.Added = at(3, 0, 0) }, func(*trace.Ledger) []trace.Ledger { return nil },
			trace.Delivery{State: trace.Never, Since: at(3, 0, 0)}},
		{"a card was replaced and 7 were lost", func(g *trace.Gate) { g.Beat, g.Newest, g.Epoch, g.Unrecorded = at(12, 0, 1), 5, e2, 3 },
			func(l *trace.Ledger) []trace.Ledger {
				l.Missing = 2
				return []trace.Ledger{*l, {Kiosk: "a", Epoch: e2, Through: 5, Newest: 5, Lost: 7, Received: at(12, 0, 0)}, {Kiosk: "other", Missing: 99}}
			},
			trace.Delivery{State: trace.Gaps, Missing: 2, Lost: 7, Unrecorded: 3}},
		{"its storage was copied", func(g *trace.Gate) { g.Beat, g.Newest = at(12, 0, 1), 100 },
			func(l *trace.Ledger) []trace.Ledger { l.Forked = true; return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Gaps, Forked: true}},
		{"taken out of use on day 5, and all had come", func(g *trace.Gate) { g.Beat, g.Newest, g.Revoked = at(5, 0, 0), 100, at(5, 0, 5) },
			func(l *trace.Ledger) []trace.Ledger { l.Received = at(4, 0, 0); return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Delivered}},
		{"stolen on day 5, which was noticed on day 8", func(g *trace.Gate) { g.Beat, g.Newest, g.Revoked = at(5, 0, 0), 100, at(8, 0, 0) },
			func(l *trace.Ledger) []trace.Ledger { l.Received = at(4, 0, 0); return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Silent, Since: at(5, 0, 0)}},
		{"taken out of use before, and silent before that", func(g *trace.Gate) { g.Beat, g.Newest, g.Revoked = at(0, 0, 0), 100, at(0, 9, 0) },
			func(l *trace.Ledger) []trace.Ledger { l.Received = at(0, 0, 0); return []trace.Ledger{*l} },
			trace.Delivery{State: trace.Delivered}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, l := gate, ledger
			tt.gate(&g)
			ledgers := []trace.Ledger{l}
			if tt.ledgers != nil {
				ledgers = tt.ledgers(&l)
			}
			got := trace.Complete(window, []trace.Gate{g}, ledgers, nil)
			tt.want.Kiosk, tt.want.At, tt.want.Gate = "a", market, "main"
			if diff := cmp.Diff([]trace.Delivery{tt.want}, got); diff != "" {
				t.Errorf("Complete() (-want +got):\n%s", diff)
			}
			if whole := trace.Whole(got); whole != (tt.want.State == trace.Delivered) {
				t.Errorf("Whole() = %v", whole)
			}
		})
	}
}

// The most worrying gate comes first; what was read without a gate is there too;
// a gate that came after the window is not.
func TestCompleteOfSeveral(t *testing.T) {
	window := when.Interval{Earliest: at(1, 0, 0), Latest: at(10, 0, 0)}
	scans := []trace.Scans{
		{At: market, Kiosk: "a", Gate: "north", Admitted: 5}, {At: market, Kiosk: "a", Gate: "main", Admitted: 7, Refused: 1},
		{At: market, Kiosk: "phones@x", Gate: "poster", Source: trace.FromPhone, Admitted: 3},
	}
	gates := []trace.Gate{
		{Kiosk: "a", At: market, Beat: at(12, 0, 0)}, {Kiosk: "b", At: market}, {Kiosk: "c", At: hospital, Added: at(11, 0, 0)},
		{Kiosk: "d", At: hospital, Beat: at(12, 0, 0), Queued: 4, Newest: 9},
	}
	type line struct {
		Kiosk string
		State trace.DeliveryState
		Read  int
	}
	var got []line
	for _, d := range trace.Complete(window, gates, nil, scans) {
		got = append(got, line{d.Kiosk, d.State, d.Scans.Admitted + d.Scans.Refused})
	}
	want := []line{{"b", trace.Never, 0}, {"d", trace.Behind, 0}, {"a", trace.Delivered, 13}, {"phones@x", trace.Delivered, 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Complete() (-want +got):\n%s", diff)
	}
}

// What is different between two traces is exact, whatever their order.
func TestCompare(t *testing.T) {
	shared := func(from, to int64) []trace.Shared {
		return []trace.Shared{{Stay: trace.Stay{At: market}, Within: when.Interval{Earliest: from, Latest: to}, Least: to - from, Most: to - from, Sureness: trace.Certain}}
	}
	contact := func(p qrgate.Person, from, to int64) trace.Contact {
		return trace.Contact{Person: p, Sureness: trace.Certain, Least: to - from, Most: to - from, Shared: shared(from, to)}
	}
	before := []trace.Contact{contact(1, 0, 9), contact(2, 0, 9), contact(3, 0, 9), contact(4, 0, 9)}
	after := []trace.Contact{contact(5, 0, 9), contact(4, 0, 9), contact(3, 1, 10), contact(2, 0, 9), contact(6, 0, 2)}
	after[1].Shared[0].Of = 7 // a number of a stay may change
	got := trace.Compare(before, after)
	want := trace.Difference{
		Added: []trace.Contact{after[0], after[4]}, Removed: []trace.Contact{before[0]}, Changed: []trace.Change{{Before: before[2], After: after[2]}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || got.Empty() {
		t.Errorf("Compare() (-want +got):\n%s", diff)
	}
	if d := trace.Compare(before, before); !d.Empty() {
		t.Errorf("Compare() with itself = %+v", d)
	}
}

func TestProfiles(t *testing.T) {
	all := trace.Profiles()
	if all[0].ID != trace.Suspected {
		t.Errorf("the first profile is %q", all[0].ID)
	}
	for _, p := range all {
		if q, ok := trace.FindProfile(p.ID); !ok || q != p || p.Days < 1 || p.Days > trace.MaxDays || p.Minimum < 0 || p.After < 0 {
			t.Errorf("profile %+v, found %v", p, ok)
		}
	}
	if _, ok := trace.FindProfile("plague"); ok {
		t.Error("FindProfile() knows a disease that is not in the table")
	}
	// Every kind of place has a dwell of its own, and none stays unseen longer than
	// it stays.
	for _, k := range qrgate.PlaceKinds() {
		d := trace.DwellOf(k.ID)
		if k.ID != "other" && d == trace.DwellOf("other") || d.Unseen <= 0 || d.Unseen > d.Longest {
			t.Errorf("dwell of %s: %+v", k.ID, d)
		}
	}
}
