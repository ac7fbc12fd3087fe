package trace_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// at returns a moment of a day, counted from the first of the tests.
func at(day, hour, minute int) int64 {
	return (first + qrgate.Day(day)).Start().Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute).UnixMilli()
}

// A town is some places with known hours, and what happens there.
type town struct {
	*memory
	seq uint64
}

var (
	market   = qrgate.Spot{No: 1} // open from 5 to 18
	hospital = qrgate.Spot{No: 2}
	shop     = qrgate.Spot{No: 3} // of unknown hours, 60 km away
	hotel    = qrgate.Spot{Name: "Khách sạn Sông Hương"}
	school   = qrgate.Spot{No: 4} // open from 7 to 11 and from 13:30 to 17
	bar      = qrgate.Spot{No: 5} // open on Fridays and Saturdays from 18 to 2
	nowhere  = qrgate.Spot{Name: "nobody knows it"}
)

func newTown() *town {
	m := newMemory()
	m.venues[market] = trace.Venue{
		Dwell: trace.DwellOf("market"), Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 5 * 60, Close: 18 * 60}}, At: &qrgate.Point{Lat: 16.47, Lon: 107.58},
	}
	m.venues[hospital] = trace.Venue{Dwell: trace.DwellOf("hospital"), At: &qrgate.Point{Lat: 16.46, Lon: 107.59}}
	m.venues[shop] = trace.Venue{Dwell: trace.DwellOf("shop"), At: &qrgate.Point{Lat: 16.0, Lon: 107.9}}
	m.venues[hotel] = trace.Venue{Dwell: trace.DwellOf("lodging")}
	m.venues[school] = trace.Venue{Dwell: trace.DwellOf("school"), Hours: []qrgate.Hours{
		{Days: qrgate.EveryDay, Open: 7 * 60, Close: 11 * 60}, {Days: qrgate.EveryDay, Open: 13*60 + 30, Close: 17 * 60},
	}}
	m.venues[bar] = trace.Venue{Dwell: trace.DwellOf("restaurant"), Hours: []qrgate.Hours{
		{Days: 1<<time.Friday | 1<<time.Saturday, Open: 18 * 60, Close: 2 * 60},
	}}
	return &town{memory: m}
}

// A scan is a check-in of the town, within bounds of the given width.
type scan struct {
	who    qrgate.Person
	place  qrgate.Spot
	at     int64
	width  int64 // at is in the middle
	out    bool
	boot   byte // of kiosks that count
	change func(*qrgate.Checkin)
}

// scan stores a check-in and returns its id.
func (w *town) scan(s scan) trace.ID {
	w.seq++
	c := qrgate.Checkin{
		Kiosk: fmt.Sprintf("kiosk-%d-%v", s.place.No, s.out), Epoch: wire.Epoch{byte(s.place.No), 1}, Seq: w.seq, PlaceNo: s.place.No, Place: s.place.Name,
		Gate: "main", Pass: pass.Card, Presence: wire.Verified, Verdict: wire.Admitted, Direction: wire.In, Said: s.at,
		Earliest: s.at - s.width/2, Latest: s.at + s.width/2, Received: s.at + s.width/2 + 1000,
	}
	binary.BigEndian.PutUint64(c.Digest[:], w.seq)
	if s.out {
		c.Direction = wire.Out
	}
	if s.boot != 0 {
		c.Boot, c.Since = when.Boot{s.boot}, s.at-at(-1, 0, 0)
	}
	if s.change != nil {
		s.change(&c)
	}
	c.Day = qrgate.DayOfMilli(c.Latest)
	w.add(c, s.who)
	return trace.ID{Epoch: c.Epoch, Seq: c.Seq, Digest: c.Digest}
}

// A bound is what the tests say of a stay.
type bound struct {
	At                qrgate.Spot
	In, Out           when.Interval
	Inferred, NoEntry bool
}

func exactly(t int64) when.Interval { return when.Interval{Earliest: t, Latest: t} }

const minutes = 60_000

// What check-ins say of stays.
func TestStays(t *testing.T) {
	paper := func(c *qrgate.Checkin) { c.Presence = wire.Paper }
	phone := func(c *qrgate.Checkin) { c.Pass, c.Presence, c.Level = pass.Phone, wire.Claimed, qrgate.Stated }
	for _, tt := range []struct {
		name  string
		scans []scan
		want  []bound
	}{
		{"in and out", []scan{
			{place: market, at: at(1, 8, 0)}, {place: market, at: at(1, 9, 0), out: true},
		}, []bound{{At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 9, 0))}}},
		{"delivered out before in", []scan{
			{place: market, at: at(1, 9, 0), out: true}, {place: market, at: at(1, 8, 0)},
		}, []bound{{At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 9, 0))}}},
		{"nobody saw them leave", []scan{{place: market, at: at(1, 8, 0)}},
			[]bound{{At: market, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 12, 0)}, Inferred: true}}},
		{"until it closed", []scan{{place: market, at: at(1, 16, 0)}},
			[]bound{{At: market, In: exactly(at(1, 16, 0)), Out: when.Interval{Earliest: at(1, 16, 0), Latest: at(1, 18, 30)}, Inferred: true}}},
		{"an entry-only door, twice", []scan{{place: market, at: at(1, 8, 0)}, {place: market, at: at(1, 9, 0)}}, []bound{
			{At: market, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 9, 0)}, Inferred: true},
			{At: market, In: exactly(at(1, 9, 0)), Out: when.Interval{Earliest: at(1, 9, 0), Latest: at(1, 13, 0)}, Inferred: true},
		}},
		{"nobody saw them come", []scan{{place: market, at: at(1, 7, 0), out: true}},
			[]bound{{At: market, In: when.Interval{Earliest: at(1, 4, 0), Latest: at(1, 7, 0)}, Out: exactly(at(1, 7, 0)), NoEntry: true}}},
		{"out on the next day only", []scan{
			{place: market, at: at(1, 17, 0)}, {place: market, at: at(2, 6, 0), out: true},
		}, []bound{
			{At: market, In: exactly(at(1, 17, 0)), Out: when.Interval{Earliest: at(1, 17, 0), Latest: at(1, 18, 30)}, Inferred: true},
			{At: market, In: when.Interval{Earliest: at(2, 4, 0), Latest: at(2, 6, 0)}, Out: exactly(at(2, 6, 0)), NoEntry: true},
		}},
		{"stayed after it closed", []scan{
			{place: market, at: at(1, 17, 0)}, {place: market, at: at(1, 20, 0), out: true},
		}, []bound{{At: market, In: exactly(at(1, 17, 0)), Out: exactly(at(1, 20, 0))}}},
		{"nine nights", []scan{
			{place: hospital, at: at(1, 20, 0)}, {place: hospital, at: at(10, 9, 0), out: true},
		}, []bound{{At: hospital, In: exactly(at(1, 20, 0)), Out: exactly(at(10, 9, 0))}}},
		{"nine nights, out by a boot without anchor over two midnights", []scan{
			{place: hotel, at: at(1, 20, 0)}, {place: hotel, at: at(10, 12, 0), width: 36 * 60 * minutes, out: true, boot: 1},
		}, []bound{{At: hotel, In: exactly(at(1, 20, 0)), Out: when.Interval{Earliest: at(9, 18, 0), Latest: at(11, 6, 0)}}}},
		{"a boot without anchor over two midnights, in and out", []scan{
			{place: hotel, at: at(1, 8, 0), width: 36 * 60 * minutes, boot: 1}, {place: hotel, at: at(1, 20, 0), width: 36 * 60 * minutes, boot: 1, out: true},
		}, []bound{{
			At: hotel, In: when.Interval{Earliest: at(0, 14, 0), Latest: at(2, 2, 0)}, Out: when.Interval{Earliest: at(1, 2, 0), Latest: at(2, 14, 0)},
		}}},
		{"in an order that nobody knows", []scan{
			{place: market, at: at(1, 8, 0), width: 10 * minutes}, {place: market, at: at(1, 8, 4), out: true},
		}, []bound{
			{At: market, In: when.Interval{Earliest: at(1, 4, 4), Latest: at(1, 8, 4)}, Out: exactly(at(1, 8, 4)), NoEntry: true},
			{At: market, In: when.Interval{Earliest: at(1, 7, 55), Latest: at(1, 8, 5)}, Out: when.Interval{Earliest: at(1, 7, 55), Latest: at(1, 12, 5)}, Inferred: true},
		}},
		{"phone in, kiosk out", []scan{
			{place: market, at: at(1, 8, 0), change: phone}, {place: market, at: at(1, 9, 0), out: true},
		}, []bound{{At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 9, 0))}}},
		{"from paper", []scan{{place: shop, at: at(1, 8, 0), width: 60 * minutes, change: paper}},
			[]bound{{At: shop, In: when.Interval{Earliest: at(1, 7, 30), Latest: at(1, 8, 30)}, Out: when.Interval{Earliest: at(1, 7, 30), Latest: at(1, 10, 30)}, Inferred: true}}},
		{"staff stay all day", []scan{{place: shop, at: at(1, 8, 0), change: func(c *qrgate.Checkin) { c.Pass = pass.Staff }}},
			[]bound{{At: shop, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 22, 0)}, Inferred: true}}},
		{"shown again", []scan{
			{place: market, at: at(1, 8, 0)}, {place: market, at: at(1, 8, 30), change: func(c *qrgate.Checkin) { c.Verdict = wire.Again }},
		}, []bound{{At: market, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 30), Latest: at(1, 12, 30)}, Inferred: true}}},
		{"let in on amber", []scan{
			{place: market, at: at(1, 8, 0), change: func(c *qrgate.Checkin) { c.Verdict = wire.Unrecorded }}, {place: market, at: at(1, 9, 0), out: true},
		}, []bound{{At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 9, 0))}}},
		{"refused", []scan{{place: market, at: at(1, 8, 0), change: func(c *qrgate.Checkin) { c.Verdict = wire.Refused }}}, nil},
		{"seen elsewhere, far away", []scan{
			{place: market, at: at(1, 8, 0)}, {place: shop, at: at(1, 10, 0)}, {place: shop, at: at(1, 10, 10), out: true},
		}, []bound{
			{At: market, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 10, 0)}, Inferred: true},
			{At: shop, In: exactly(at(1, 10, 0)), Out: exactly(at(1, 10, 10))},
		}},
		{"a place of which nothing is known", []scan{{place: nowhere, at: at(1, 8, 0)}},
			[]bound{{At: nowhere, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 16, 0)}, Inferred: true}}},
		{"out by a boot without anchor that may be of the next day", []scan{
			{place: market, at: at(1, 8, 0)}, {place: market, at: at(2, 14, 0), width: 36 * 60 * minutes, boot: 1, out: true},
		}, []bound{
			{At: market, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(2, 0, 0)}, Inferred: true},
			{At: market, In: when.Interval{Earliest: at(1, 16, 0), Latest: at(3, 8, 0)}, Out: when.Interval{Earliest: at(1, 20, 0), Latest: at(3, 8, 0)}, NoEntry: true},
		}},
		{"over a lunch break", []scan{{place: school, at: at(1, 8, 0)}, {place: school, at: at(1, 16, 0), out: true}},
			[]bound{{At: school, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 16, 0))}}},
		{"until after the lunch break", []scan{{place: school, at: at(1, 8, 0)}},
			[]bound{{At: school, In: exactly(at(1, 8, 0)), Out: when.Interval{Earliest: at(1, 8, 0), Latest: at(1, 17, 30)}, Inferred: true}}},
		{"until a closing time after midnight", []scan{{place: bar, at: at(4, 23, 0)}},
			[]bound{{At: bar, In: exactly(at(4, 23, 0)), Out: when.Interval{Earliest: at(4, 23, 0), Latest: at(5, 2, 30)}, Inferred: true}}},
		{"on a day on which it is closed", []scan{{place: bar, at: at(1, 23, 0)}},
			[]bound{{At: bar, In: exactly(at(1, 23, 0)), Out: when.Interval{Earliest: at(1, 23, 0), Latest: at(2, 3, 0)}, Inferred: true}}},
		{"past the window", []scan{{place: market, at: at(30, 8, 0)}, {place: market, at: at(-2, 8, 0)}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTown()
			for _, s := range tt.scans {
				s.who = 7
				w.scan(s)
			}
			w.scan(scan{who: 8, place: market, at: at(1, 8, 0)}) // somebody else's
			stays, err := w.tracer().Stays(t.Context(), 7, first, first+20, trace.Rules{})
			if err != nil {
				t.Fatal(err)
			}
			var got []bound
			for _, s := range stays {
				got = append(got, bound{s.At, s.In, s.Out, s.Inferred, s.NoEntry})
				if s.Person != 7 || len(s.Doubts) > 0 || (s.Entry == trace.ID{}) != s.NoEntry || (s.Exit == trace.ID{}) != s.Inferred {
					t.Errorf("stay %+v", s)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("stays (-want +got):\n%s", diff)
			}
		})
	}
}

// A stay says how it is known, and through which gates.
func TestStayTellsItsSource(t *testing.T) {
	w := newTown()
	entry := w.scan(scan{who: 7, place: market, at: at(1, 8, 0), change: func(c *qrgate.Checkin) {
		c.Pass, c.Presence, c.Level, c.Gate, c.Kiosk, c.Lane, c.With = pass.Phone, wire.Claimed, qrgate.Contacted, "poster", "phones@a", 3, 99
	}})
	exit := w.scan(scan{who: 7, place: market, at: at(1, 9, 0), out: true, boot: 4, change: func(c *qrgate.Checkin) { c.Gate = "north" }})
	stays, err := w.tracer().Stays(t.Context(), 7, first, first+20, trace.Rules{})
	if err != nil || len(stays) != 1 {
		t.Fatalf("Stays() = %+v, %v", stays, err)
	}
	want := trace.Stay{
		Person: 7, At: market, In: exactly(at(1, 8, 0)), Out: exactly(at(1, 9, 0)), Entry: entry, Exit: exit,
		Gone: trace.Mark{Boot: when.Boot{4}, Since: at(1, 9, 0) - at(-1, 0, 0)}, Kiosk: "phones@a", Gate: "poster", Left: "north", Lane: 3, Source: trace.FromPhone,
		Pass: pass.Phone, Level: qrgate.Contacted, Presence: wire.Claimed, Verdict: wire.Admitted, With: 99, Received: at(1, 9, 0) + 1000,
	}
	if diff := cmp.Diff(want, stays[0]); diff != "" {
		t.Errorf("stay (-want +got):\n%s", diff)
	}
}
