package trace_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func phoned(c *qrgate.Checkin) { c.Kiosk, c.Pass, c.Presence = "phones@a", pass.Phone, wire.Claimed }

// doubted returns how many check-ins are doubted, by reason.
func doubted(all []trace.Suspicion) map[trace.Doubt]int {
	n := map[trace.Doubt]int{}
	for _, s := range all {
		n[s.Doubt]++
	}
	return n
}

// What is doubtful is said with its reason and makes no contact, unless an officer
// takes it back in: some of it, or all.
func TestDoubts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    int64 // when Ana was at the market, for two hours
		scans func(*town)
		want  map[trace.Doubt]int
		left  int // contacts that remain
		all   int // contacts with all that is doubted
	}{
		{"a crowd at night", at(1, 1, 30), func(w *town) {
			for i := range 25 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 2, i), change: phoned})
			}
		}, map[trace.Doubt]int{trace.ClosedHours: 26}, 0, 25},
		{"a few at night", at(1, 1, 30), func(w *town) {
			for i := range 18 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 2, i), change: phoned})
			}
		}, map[trace.Doubt]int{}, 18, 18},
		{"a crowd before it opens", at(1, 4, 0), func(w *town) {
			for i := range 25 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 4, i), change: phoned})
			}
		}, map[trace.Doubt]int{}, 25, 25},
		{"cards held up faster than anybody can", at(1, 8, 0), func(w *town) {
			for i := range 60 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 9, 0) + int64(i)*300, boot: 1})
			}
		}, map[trace.Doubt]int{trace.Burst: 60}, 0, 60},
		{"a class that comes in a minute", at(1, 8, 0), func(w *town) {
			for i := range 60 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 9, 0) + int64(i)*1000, boot: 1})
			}
		}, map[trace.Doubt]int{}, 60, 60},
		{"two buses whose passengers scan the poster", at(1, 8, 0), func(w *town) {
			for i := range 100 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 9, 0) + int64(i)*200, change: phoned})
			}
		}, map[trace.Doubt]int{}, 100, 100},
		{"a script that scans the poster", at(1, 8, 0), func(w *town) {
			for i := range 400 {
				w.scan(scan{who: qrgate.Person(100 + i), place: market, at: at(1, 9, 0) + int64(i)*20, change: phoned})
			}
		}, map[trace.Doubt]int{trace.Burst: 400}, 0, 400},
		{"one card again and again", at(1, 8, 0), func(w *town) {
			for i := range 10 {
				w.scan(scan{who: binh, place: market, at: at(1, 9, i)})
			}
		}, map[trace.Doubt]int{trace.Again: 9}, 1, 1},
		{"a card that goes in and out all day", at(1, 8, 0), func(w *town) {
			for i := range 10 {
				w.visit(binh, market, at(1, 6+i, 0), at(1, 6+i, 30))
			}
		}, map[trace.Doubt]int{}, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTown()
			w.visit(ana, market, tt.at, tt.at+120*minutes)
			tt.scans(w)
			stay := trace.Stay{Person: ana, At: market, In: exactly(tt.at), Out: exactly(tt.at + 120*minutes)}
			contacts := func(rules trace.Rules) trace.Found {
				found, err := w.tracer().Contacts(t.Context(), []trace.Stay{stay}, profile("measles"), rules)
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			found := contacts(trace.Rules{})
			if diff := cmp.Diff(tt.want, doubted(found.Doubted)); diff != "" {
				t.Errorf("doubted (-want +got):\n%s", diff)
			}
			if len(found.Contacts) != tt.left {
				t.Errorf("%d contacts, want %d", len(found.Contacts), tt.left)
			}
			for _, s := range found.Doubted {
				if s.Count < 6 || s.At != market || s.Person == 0 || s.ID == (trace.ID{}) {
					t.Errorf("suspicion %+v", s)
				}
			}
			with := contacts(trace.Rules{Doubtful: true})
			if diff := cmp.Diff(tt.want, doubted(with.Doubted)); len(with.Contacts) != tt.all || diff != "" {
				t.Errorf("%d contacts with all that is doubted, want %d; doubted (-want +got):\n%s", len(with.Contacts), tt.all, diff)
			}
			for _, s := range found.Doubted {
				if tt.left > 0 || s.Person == ana {
					continue
				}
				some := contacts(trace.Rules{Restored: map[trace.ID]bool{s.ID: true}})
				if len(some.Contacts) != 1 || some.Contacts[0].Person != s.Person || some.Contacts[0].Shared[0].Stay.Doubts[0] != s.Doubt {
					t.Errorf("contacts with %+v taken back in: %+v", s, some.Contacts)
				}
				break
			}
		})
	}
}

// Nobody is at two places 60 km apart within ten minutes. Who only says so is
// believed less than whom a kiosk saw; bounds that allow the journey are none.
func TestImpossibleTravel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		second scan
		first  func(*qrgate.Checkin)
		want   string // doubtful stays, m of the market and s of the shop
	}{
		{"both seen by kiosks", scan{at: at(1, 8, 10)}, nil, "ms"},
		{"one said by phone", scan{at: at(1, 8, 10), change: phoned}, nil, "s"},
		{"both said by phone", scan{at: at(1, 8, 10), change: phoned}, phoned, "ms"},
		{"time enough", scan{at: at(1, 8, 40)}, nil, ""},
		{"time enough, if the clock was wrong", scan{at: at(1, 8, 10), width: 120 * minutes}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTown()
			w.scan(scan{who: ana, place: market, at: at(1, 8, 0), change: tt.first})
			tt.second.who, tt.second.place = ana, shop
			w.scan(tt.second)
			stays, err := w.tracer().Stays(t.Context(), ana, first, first+20, trace.Rules{})
			if err != nil || len(stays) != 2 {
				t.Fatalf("Stays() = %+v, %v", stays, err)
			}
			got := ""
			for _, s := range stays {
				if len(s.Doubts) > 0 {
					if diff := cmp.Diff([]trace.Doubt{trace.Impossible}, s.Doubts); diff != "" {
						t.Errorf("doubts (-want +got):\n%s", diff)
					}
					got += map[qrgate.Spot]string{market: "m", shop: "s"}[s.At]
				}
			}
			if got != tt.want && got != reversed(tt.want) {
				t.Errorf("doubtful %q, want %q", got, tt.want)
			}
			// Doubtful stays are not traced, unless an officer says so.
			w.visit(binh, shop, at(1, 8, 0), at(1, 11, 0))
			for _, rules := range []trace.Rules{{}, {Doubtful: true}} {
				found, err := w.tracer().Contacts(t.Context(), stays, profile("measles"), rules)
				want := 1
				if tt.want != "" && !rules.Doubtful {
					want = 0
				}
				if err != nil || len(found.Contacts) != want {
					t.Errorf("Contacts(%+v) = %d, %v, want %d", rules, len(found.Contacts), err, want)
				}
			}
		})
	}
}

func reversed(s string) (r string) {
	for _, c := range s {
		r = string(c) + r
	}
	return r
}

// A contact who cannot have been at two of the traced places is left out where
// they cannot have been.
func TestContactWhoCannotHaveBeenThere(t *testing.T) {
	w := newTown()
	stays := []trace.Stay{
		{Person: ana, At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 10, 0))},
		{Person: ana, At: shop, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 10, 0))}, // whoever she was with
	}
	w.visit(binh, market, at(1, 8, 30), at(1, 9, 30))
	fake := w.scan(scan{who: binh, place: shop, at: at(1, 8, 40), change: phoned})
	w.visit(chi, shop, at(1, 8, 30), at(1, 9, 30))
	for _, rules := range []trace.Rules{{}, {Restored: map[trace.ID]bool{fake: true}}} {
		found, err := w.tracer().Contacts(t.Context(), stays, profile("measles"), rules)
		if err != nil || len(found.Contacts) != 2 {
			t.Fatalf("Contacts() = %+v, %v, want Binh's and Chi's", found.Contacts, err)
		}
		for _, c := range found.Contacts {
			want := 1
			if c.Person == binh && rules.Restored != nil {
				want = 2
			}
			if len(c.Shared) != want {
				t.Errorf("rules %+v: %d times shared with %d, want %d", rules, len(c.Shared), c.Person, want)
			}
		}
		if len(found.Doubted) != 1 || found.Doubted[0].ID != fake || found.Doubted[0].Doubt != trace.Impossible || found.Doubted[0].Metres < 50_000 || found.Doubted[0].OtherAt != market {
			t.Errorf("doubted %+v, want the claim of Binh", found.Doubted)
		}
	}
}

// A crowd that came to a hotel while it was open is none at night, however long
// before the traced stay it came.
func TestCrowdOfWeeksAgo(t *testing.T) {
	w := newTown()
	w.venues[hotel] = trace.Venue{Dwell: trace.DwellOf("lodging"), Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 6 * 60, Close: 22 * 60}}}
	for i := range 25 {
		w.visit(qrgate.Person(100+i), hotel, at(1, 10, i), at(22, 9, 0))
	}
	w.visit(ana, hotel, at(21, 10, 0), at(21, 12, 0))
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{})
	if len(found.Doubted) > 0 || len(found.Contacts) != 25 {
		t.Errorf("%d contacts, want 25; doubted %+v", len(found.Contacts), found.Doubted)
	}
}

// Whoever replays one card as often as a kiosk can scan makes a trace no slower
// than its rows.
func TestManyEventsOfOne(t *testing.T) {
	w := newTown()
	w.visit(ana, market, at(1, 8, 0), at(1, 10, 0))
	for i := range 15_000 {
		w.scan(scan{who: binh, place: market, at: at(1, 7, 0) + int64(i)*300, width: 60 * minutes, out: i%2 == 1})
	}
	found, _ := w.trace(t, ana, profile("covid19"), trace.Rules{Doubtful: true})
	if len(found.Contacts) != 1 || found.Contacts[0].Most > 120*minutes {
		t.Errorf("contacts %s, want Binh for two hours at most", fmt.Sprintf("%.300v", found.Contacts))
	}
}
