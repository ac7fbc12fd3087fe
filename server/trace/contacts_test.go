package trace_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const ana, binh, chi qrgate.Person = 1, 2, 3

// visit stores a check-in and a check-out, or without to the check-in alone.
func (w *town) visit(who qrgate.Person, place qrgate.Spot, from, to int64) {
	w.scan(scan{who: who, place: place, at: from})
	if to != 0 {
		w.scan(scan{who: who, place: place, at: to, out: true})
	}
}

func (w *town) trace(t testing.TB, who qrgate.Person, profile trace.Profile, rules trace.Rules) (trace.Found, []trace.Stay) {
	t.Helper()
	stays, err := w.tracer().Stays(t.Context(), who, first, first+25, rules)
	if err != nil {
		t.Fatalf("Stays() = %v", err)
	}
	found, err := w.tracer().Contacts(t.Context(), stays, profile, rules)
	if err != nil {
		t.Fatalf("Contacts() = %v", err)
	}
	return found, stays
}

// Who was with somebody at the market from 8 to 10.
func TestContactsOfOneVisit(t *testing.T) {
	const no, possible, certain = trace.Sureness(0), trace.Possible, trace.Certain
	wide := func(w *town, who qrgate.Person, t int64, width int64, boot byte, out bool) {
		w.scan(scan{who: who, place: market, at: t, width: width, boot: boot, out: out})
	}
	for _, tt := range []struct {
		name           string
		visit          func(*town)
		covid, measles trace.Sureness
		least, most    int64 // as COVID-19 has it
	}{
		{"the whole time", func(w *town) { w.visit(binh, market, at(1, 7, 0), at(1, 11, 0)) }, certain, certain, 120, 120},
		{"within", func(w *town) { w.visit(binh, market, at(1, 8, 30), at(1, 9, 0)) }, certain, certain, 30, 30},
		{"just enough", func(w *town) { w.visit(binh, market, at(1, 7, 0), at(1, 8, 15)) }, certain, certain, 15, 15},
		{"not enough", func(w *town) { w.visit(binh, market, at(1, 7, 0), at(1, 8, 14)) }, no, certain, 0, 0},
		{"not enough at once, but together", func(w *town) {
			w.visit(binh, market, at(1, 7, 0), at(1, 8, 8))
			w.visit(binh, market, at(1, 9, 50), at(1, 12, 0))
		}, certain, certain, 18, 18},
		{"they only pass each other", func(w *town) { w.visit(binh, market, at(1, 10, 1), at(1, 11, 0)) }, no, certain, 0, 0},
		{"left before", func(w *town) { w.visit(binh, market, at(1, 7, 0), at(1, 7, 59)) }, no, no, 0, 0},
		{"came when the air was clean", func(w *town) { w.visit(binh, market, at(1, 12, 1), at(1, 13, 0)) }, no, no, 0, 0},
		{"on the next day", func(w *town) { w.visit(binh, market, at(2, 8, 0), at(2, 10, 0)) }, no, no, 0, 0},
		{"elsewhere", func(w *town) { w.visit(binh, hospital, at(1, 8, 0), at(1, 10, 0)) }, no, no, 0, 0},
		{"nobody saw them leave", func(w *town) { w.visit(binh, market, at(1, 7, 0), 0) }, possible, possible, 0, 120},
		{"nobody saw them leave, who came meanwhile", func(w *town) { w.visit(binh, market, at(1, 9, 0), 0) }, possible, certain, 0, 60},
		{"nobody saw them come", func(w *town) { w.scan(scan{who: binh, place: market, at: at(1, 9, 0), out: true}) }, possible, certain, 0, 60},
		{"out by a clock that may be ten minutes off", func(w *town) {
			wide(w, binh, at(1, 7, 0), 0, 0, false)
			wide(w, binh, at(1, 8, 20), 20*minutes, 0, true)
		}, possible, certain, 10, 30},
		{"in and out by clocks that may be ten minutes off", func(w *town) {
			wide(w, binh, at(1, 8, 20), 20*minutes, 0, false)
			wide(w, binh, at(1, 9, 0), 20*minutes, 0, true)
		}, certain, certain, 20, 60},
		{"nobody", func(w *town) { w.visit(0, market, at(1, 8, 0), at(1, 10, 0)) }, no, no, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTown()
			w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
			tt.visit(w)
			for id, want := range map[string]trace.Sureness{"covid19": tt.covid, "measles": tt.measles} {
				found, _ := w.trace(t, ana, profile(id), trace.Rules{})
				var got trace.Contact
				if len(found.Contacts) > 0 {
					got = found.Contacts[0]
				}
				if len(found.Contacts) > 1 || got.Sureness != want {
					t.Errorf("%s: contacts %+v, want sureness %d", id, found.Contacts, want)
				}
				if id == "covid19" && (got.Least != tt.least*minutes || got.Most != tt.most*minutes) {
					t.Errorf("together for %d to %d minutes, want %d to %d", got.Least/minutes, got.Most/minutes, tt.least, tt.most)
				}
			}
		})
	}
}

// Of two who passed the same kiosks in a boot that never met the server nobody
// knows when they were there, but all know that they were there at once.
func TestContactsWithinABootWithoutAnchor(t *testing.T) {
	const days = 36 * 60 * minutes
	w := newTown()
	w.scan(scan{who: ana, place: hotel, at: at(1, 8, 0), width: days, boot: 1})
	w.scan(scan{who: ana, place: hotel, at: at(1, 20, 0), width: days, boot: 1, out: true})
	w.scan(scan{who: binh, place: hotel, at: at(1, 12, 0), width: days, boot: 1})
	w.scan(scan{who: binh, place: hotel, at: at(1, 13, 0), width: days, boot: 1, out: true})
	w.scan(scan{who: chi, place: hotel, at: at(1, 21, 0), width: days, boot: 1})
	w.scan(scan{who: chi, place: hotel, at: at(1, 22, 0), width: days, boot: 1, out: true})
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	if len(found.Contacts) != 1 {
		t.Fatalf("contacts %+v, want Binh's", found.Contacts)
	}
	c := found.Contacts[0]
	if c.Person != binh || c.Sureness != trace.Certain || c.Least < 59*minutes || c.Least > 60*minutes || c.Most < 60*minutes || c.Most > 61*minutes {
		t.Errorf("contact %+v, want Binh for an hour, certainly", c)
	}
}

// Nine nights in one ward, and a visitor on the fifth evening.
func TestContactsOfNineNights(t *testing.T) {
	w := newTown()
	w.visit(ana, hospital, at(1, 20, 0), at(10, 9, 0))
	w.visit(binh, hospital, at(2, 8, 0), at(9, 8, 0))
	w.visit(chi, hospital, at(5, 18, 0), at(5, 19, 0))
	found, _ := w.trace(t, chi, profile("covid19"), trace.Rules{})
	var got []qrgate.Person
	for _, c := range found.Contacts {
		got = append(got, c.Person)
		if c.Sureness != trace.Certain || c.Least != 60*minutes {
			t.Errorf("contact %+v, want an hour, certainly", c)
		}
	}
	if diff := cmp.Diff([]qrgate.Person{ana, binh}, got); diff != "" {
		t.Errorf("contacts of Chi (-want +got):\n%s", diff)
	}
	found, _ = w.trace(t, ana, profile("covid19"), trace.Rules{})
	if len(found.Contacts) != 2 || found.Contacts[0].Person != binh || found.Contacts[0].Least != 7*24*60*minutes {
		t.Errorf("contacts of Ana %+v, want Binh first, for a week", found.Contacts)
	}
}

// Contacts are certain before possible, and then the longest first.
func TestContactsAreRanked(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
	w.visit(10, market, at(1, 8, 0), 0)
	w.visit(11, market, at(1, 8, 0), at(1, 8, 20))
	w.visit(12, market, at(1, 8, 0), at(1, 9, 0))
	w.visit(13, market, at(1, 9, 0), 0)
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	var got []qrgate.Person
	for _, c := range found.Contacts {
		got = append(got, c.Person)
	}
	if diff := cmp.Diff([]qrgate.Person{12, 11, 10, 13}, got); diff != "" {
		t.Errorf("ranked (-want +got):\n%s", diff)
	}
}

// Who is traced is no contact; of several who are traced at once what they share
// with one person is one time.
func TestContactsOfSeveral(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
	w.visit(binh, market, at(1, 8, 0), at(1, 10, 0))
	w.visit(chi, market, at(1, 9, 0), at(1, 11, 0))
	var stays []trace.Stay
	for _, who := range []qrgate.Person{ana, binh} {
		_, s := w.trace(t, who, profile("covid19"), trace.Rules{})
		stays = append(stays, s...)
	}
	found, err := w.tracer().Contacts(t.Context(), stays, profile("covid19"), trace.Rules{})
	if err != nil || len(found.Contacts) != 1 || found.Contacts[0].Person != chi {
		t.Fatalf("Contacts() = %+v, %v, want Chi's", found.Contacts, err)
	}
	if c := found.Contacts[0]; c.Least != 60*minutes || c.Most != 60*minutes || len(c.Shared) != 2 || !c.Shared[0].SameGate {
		t.Errorf("contact %+v, want an hour, shared with both", c)
	}
}

// Who comes with somebody is told apart from who was there by chance, also those
// whom nobody named.
func TestParties(t *testing.T) {
	w := newTown()
	lead := w.scan(scan{who: ana, place: market, at: at(1, 8, 0)})
	with := func(n uint64) func(*qrgate.Checkin) {
		return func(c *qrgate.Checkin) { c.With, c.Presence = n, wire.Claimed }
	}
	w.scan(scan{who: binh, place: market, at: at(1, 8, 0), change: with(lead.Seq)})
	w.scan(scan{place: market, at: at(1, 8, 0), change: with(lead.Seq)})
	w.scan(scan{place: market, at: at(1, 8, 0), change: with(lead.Seq)})
	w.scan(scan{who: chi, place: market, at: at(1, 8, 0), change: with(77)})
	w.scan(scan{who: 9, place: hospital, at: at(1, 8, 0), change: with(lead.Seq)}) // of another kiosk
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	want := []trace.Party{{Of: 0, Persons: []qrgate.Person{binh}, Unnamed: 2}}
	if diff := cmp.Diff(want, found.Parties); diff != "" {
		t.Errorf("parties (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2}, found.Unnamed); diff != "" {
		t.Errorf("unnamed (-want +got):\n%s", diff)
	}
	found, _ = w.trace(t, binh, profile("covid19"), trace.Rules{})
	want = []trace.Party{{Of: 0, Persons: []qrgate.Person{ana}, Unnamed: 2}}
	if diff := cmp.Diff(want, found.Parties); diff != "" {
		t.Errorf("parties of a companion (-want +got):\n%s", diff)
	}
}

// A check-in whose day's key is gone is counted and nobody's; any other fault of
// the vault ends the trace.
func TestContactsOfAShreddedDay(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
	w.visit(binh, market, at(1, 8, 0), at(1, 10, 0))
	_, stays := w.trace(t, ana, profile("covid19"), trace.Rules{})
	delete(w.days, first+1)
	found, err := w.tracer().Contacts(t.Context(), stays, profile("covid19"), trace.Rules{})
	if err != nil || len(found.Contacts) > 0 || found.Unopened != 4 {
		t.Errorf("Contacts() = %+v, %v, want nobody and 4 unopened", found, err)
	}
	broken := errors.New("broken")
	_, err = trace.New(w, brokenVault{w.memory, broken}, w).Contacts(t.Context(), stays, profile("covid19"), trace.Rules{})
	if !errors.Is(err, broken) {
		t.Errorf("Contacts() with a broken vault = %v", err)
	}
}

type brokenVault struct {
	*memory
	err error
}

func (b brokenVault) Person(qrgate.Day, qrgate.Subject) (qrgate.Person, error) { return 0, b.err }

// Visitors are all who were at a place in a window, also those who came before
// and left after it.
func TestVisitors(t *testing.T) {
	w := newTown()
	w.visit(ana, hospital, at(1, 20, 0), at(10, 9, 0))
	w.visit(binh, hospital, at(5, 8, 0), at(5, 9, 0))
	w.visit(chi, hospital, at(5, 12, 0), at(5, 13, 0))
	w.visit(chi, market, at(6, 12, 0), at(6, 13, 0))
	stays, err := w.tracer().Visitors(t.Context(), hospital, at(5, 8, 30), at(5, 11, 0), trace.Rules{})
	if err != nil || len(stays) != 2 || stays[0].Person != ana || stays[1].Person != binh {
		t.Errorf("Visitors() = %+v, %v, want Ana's and Binh's", stays, err)
	}
	got := trace.Crowding(stays, at(5, 7, 0), at(5, 10, 0), 60*minutes)
	want := []trace.Crowd{{at(5, 7, 0), 1, 1}, {at(5, 8, 0), 2, 2}, {at(5, 9, 0), 2, 2}, {at(5, 10, 0), 1, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Crowding() (-want +got):\n%s", diff)
	}
	blurred := []trace.Stay{{In: when.Interval{Earliest: 10, Latest: 20}, Out: when.Interval{Earliest: 30, Latest: 40}}}
	if diff := cmp.Diff([]trace.Crowd{{5, 0, 0}, {15, 0, 1}, {25, 1, 1}, {35, 0, 1}, {45, 0, 0}}, trace.Crowding(blurred, 5, 45, 10)); diff != "" {
		t.Errorf("Crowding() of what is not known to the minute (-want +got):\n%s", diff)
	}
	if all, err := w.tracer().Visitors(t.Context(), market, 0, 1<<50, trace.Rules{}); err != nil || len(all) != 1 {
		t.Errorf("Visitors() of all times = %+v, %v, want Chi's", all, err)
	}
	if trace.Crowding(stays, 5, 4, 1) != nil || trace.Crowding(stays, 4, 5, 0) != nil {
		t.Error("Crowding() of no time is not nothing")
	}
}

// Scans are counted by kiosk for all that was read.
func TestScans(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), 0)
	refused := func(r wire.Reason) func(*qrgate.Checkin) {
		return func(c *qrgate.Checkin) { c.Verdict, c.Reason = wire.Refused, r }
	}
	w.scan(scan{place: market, at: at(1, 9, 0), change: refused(wire.ReasonExpired)})
	w.scan(scan{place: market, at: at(1, 9, 0), change: refused(wire.ReasonUnknown)})
	w.scan(scan{place: market, at: at(1, 9, 0), change: func(c *qrgate.Checkin) { c.Verdict = wire.Unrecorded }})
	w.scan(scan{who: binh, place: market, at: at(1, 9, 0), change: func(c *qrgate.Checkin) { c.Presence = wire.Paper }})
	w.scan(scan{place: market, at: at(1, 9, 0), change: func(c *qrgate.Checkin) { c.Pass = pass.Test }})
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	want := []trace.Scans{{At: market, Kiosk: "kiosk-1-false", Gate: "main", Source: trace.FromKiosk, Admitted: 2, Unnamed: 1, Amber: 1, Refused: 2, Unread: 1, Paper: 1, PaperFrom: at(1, 9, 0), PaperTo: at(1, 9, 0)}}
	if diff := cmp.Diff(want, found.Scans); diff != "" {
		t.Errorf("scans (-want +got):\n%s", diff)
	}
}

// A kiosk's crystal may be as wrong as package when allows: what it counted is
// not taken for more than it is.
func TestContactsByADriftingCrystal(t *testing.T) {
	for _, rate := range []float64{1 - 99e-6, 1 + 99e-6} {
		w := newTown()
		drifting := func(who qrgate.Person, t int64, out bool) {
			w.scan(scan{who: who, place: hotel, at: t, width: 72 * 60 * minutes, boot: 1, out: out, change: func(c *qrgate.Checkin) {
				c.Since = int64(float64(c.Since) * rate)
			}})
		}
		drifting(ana, at(1, 0, 0), false)
		drifting(ana, at(1, 22, 0), true)
		drifting(binh, at(1, 2, 0), false)
		drifting(binh, at(1, 22, 0), true)
		found, _ := w.trace(t, ana, profile("tuberculosis"), trace.Rules{})
		if len(found.Contacts) != 1 {
			t.Fatalf("rate %f: contacts %+v, want Binh's", rate, found.Contacts)
		}
		if c := found.Contacts[0]; c.Sureness != trace.Certain || c.Least > 20*60*minutes || c.Most < 20*60*minutes || c.Most-c.Least > minutes {
			t.Errorf("rate %f: together for %d to %d ms, it was %d", rate, c.Least, c.Most, 20*60*minutes)
		}
	}
}

// Who came before the place opened, or was still there when it had closed, is
// found like everybody.
func TestContactsOutsideOpeningHours(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 17, 0), at(1, 18, 40))
	w.visit(binh, market, at(1, 4, 20), at(1, 18, 20))
	w.visit(chi, market, at(1, 18, 20), at(1, 23, 0))
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	got := map[qrgate.Person]int64{}
	for _, c := range found.Contacts {
		if c.Sureness == trace.Certain {
			got[c.Person] = c.Least / minutes
		}
	}
	if diff := cmp.Diff(map[qrgate.Person]int64{binh: 80, chi: 20}, got); diff != "" {
		t.Errorf("minutes together (-want +got):\n%s", diff)
	}
}

// A check-in that may have been during two traced stays is read twice and counts
// once.
func TestCheckinInTwoWindows(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
	w.visit(ana, market, at(3, 8, 0), at(3, 10, 0))
	w.scan(scan{who: binh, place: market, at: at(2, 8, 0), width: 72 * 60 * minutes, boot: 1})
	found, _ := w.trace(t, ana, profile("measles"), trace.Rules{})
	if n := found.Scans[0].Admitted + found.Scans[1].Admitted; n != 5 {
		t.Errorf("%d check-ins read, want 5: %+v", n, found.Scans)
	}
	if len(found.Contacts) != 1 || len(found.Contacts[0].Shared) != 2 {
		t.Errorf("contacts %+v, want Binh, possibly on both days", found.Contacts)
	}
}
