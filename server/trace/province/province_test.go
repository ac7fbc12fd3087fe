package province_test

import (
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace/province"
)

var first = qrgate.DayOf(time.Date(2026, 11, 2, 0, 0, 0, 0, qrgate.Zone))

func scans(t *testing.T, o province.Options) (all []province.Scan) {
	t.Helper()
	p := province.New(o)
	s := p.Stream()
	for d := range p.Days() {
		if err := s.Day(d, func(sc *province.Scan) error { all = append(all, *sc); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The same options make the same province, another seed another one.
func TestSameOptionsSameProvince(t *testing.T) {
	o := province.Options{Seed: 4, People: 300, Days: 6, First: first}
	all := scans(t, o)
	if again := scans(t, o); !slices.Equal(all, again) {
		t.Errorf("made twice: %d check-ins and %d, which are others", len(all), len(again))
	}
	o.Seed++
	if other := scans(t, o); len(other) > 0 && other[0] == all[0] {
		t.Error("another seed begins with the same check-in")
	}
}

// What is said of every check-in holds the truth, nobody is at two places at
// once, and what goes wrong in provinces goes wrong in this one.
func TestProvinceIsTrue(t *testing.T) {
	o := province.Options{Seed: 4, People: 1000, Days: 8, First: first}
	p := province.New(o)
	last := map[qrgate.Person]int64{}
	nights := 0
	for d := range p.Days() {
		today := map[qrgate.Person]int64{}
		p.Visits(d, func(v province.Visit) {
			if v.In < max(last[v.Person], today[v.Person]) || v.Out <= v.In {
				t.Fatalf("%d is at %+v, and was elsewhere until %d", v.Person, v, max(last[v.Person], today[v.Person]))
			}
			today[v.Person] = v.Out
			if v.Out-v.In > 20*3_600_000 {
				nights++
			}
		})
		for who, until := range today {
			last[who] = until
		}
	}
	seqs := map[string]uint64{}
	type boot struct{ since, at int64 }
	boots := map[string]boot{}
	var dark, late, phones, refused, companions, out int
	for _, s := range scans(t, o) {
		c := &s.Checkin
		if c.Earliest > s.True || s.True > c.Latest || c.Latest > c.Received || c.Day != qrgate.DayOfMilli(c.Latest) {
			t.Fatalf("check-in %+v was at %d", c, s.True)
		}
		if seqs[c.Kiosk]++; c.Seq != seqs[c.Kiosk] {
			t.Fatalf("%s wrote %d after %d", c.Kiosk, c.Seq, seqs[c.Kiosk]-1)
		}
		if s.Kiosk >= 0 {
			b, ok := boots[c.Boot.String()]
			if counted := c.Since - b.since; ok && abs(counted-(s.True-b.at)) > (s.True-b.at)/10_000+1 {
				t.Fatalf("%s counted %d ms in %d", c.Kiosk, counted, s.True-b.at)
			}
			boots[c.Boot.String()] = boot{c.Since, s.True}
		} else {
			phones++
		}
		switch {
		case c.Latest-c.Earliest > 24*3_600_000:
			dark++
		case c.Received-s.True > 3_600_000:
			late++
		}
		if c.Direction == 2 {
			out++
		}
		if c.Verdict == 3 {
			refused++
		}
		if c.With != 0 {
			companions++
		}
	}
	for what, n := range map[string]int{"nights": nights, "dark": dark, "late": late, "phones": phones, "refused": refused, "companions": companions, "out": out} {
		if n == 0 {
			t.Errorf("of %s there are none", what)
		}
	}
	if len(p.Outbreaks()) == 0 || len(p.Outbreaks()[0].Ill) == 0 {
		t.Errorf("outbreaks %+v", p.Outbreaks())
	}
}

func abs(n int64) int64 { return max(n, -n) }
