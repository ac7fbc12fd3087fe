package report_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
)

const today qrgate.Day = 20_000

func TestStage(t *testing.T) {
	tests := []struct {
		name string
		f    report.Facts
		want report.Stage
	}{
		{"nobody knows of it", report.Facts{}, 0},
		{"listed", report.Facts{Listed: true}, report.Listed},
		{"registered and not listed", report.Facts{Registered: today}, report.Registered},
		{"registered after the day", report.Facts{Listed: true, Registered: today + 1}, report.Listed},
		{"printed", report.Facts{Registered: 1, Printed: today}, report.Printed},
		{"kiosk without a poster", report.Facts{Registered: 1, Live: today}, report.Live},
		{"scanned, never printed", report.Facts{Registered: 1, Scanned: 2, Last: []qrgate.Day{2}}, report.Scanned},
		{"first scan after the day", report.Facts{Registered: 1, Scanned: today + 1, Last: []qrgate.Day{0}}, report.Registered},
		{"seven days ago is not active", report.Facts{Registered: 1, Scanned: 2, Last: []qrgate.Day{today - 7}}, report.Scanned},
		{"six days ago is active", report.Facts{Registered: 1, Scanned: 2, Last: []qrgate.Day{today - 6}}, report.Active},
		{"last of another moment is not asked", report.Facts{Registered: 1, Scanned: 2, Last: nil}, report.Scanned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := report.Survey{Moments: []qrgate.Day{today}, Places: []report.Facts{tt.f}}
			if got := s.Stage(&s.Places[0], 0); got != tt.want {
				t.Errorf("Stage(%+v) = %v, want %v", tt.f, got, tt.want)
			}
		})
	}
}

// randomSurvey is of places whose facts may contradict each other, as those of
// three sources do.
func randomSurvey(r *rand.Rand) report.Survey {
	s := report.Survey{Moments: []qrgate.Day{today - 30, today - 7, today}}
	day := func() qrgate.Day {
		if r.IntN(3) == 0 {
			return 0
		}
		return today - 60 + qrgate.Day(r.IntN(70))
	}
	for range r.IntN(200) {
		f := report.Facts{
			Listed: r.IntN(2) == 0, Sector: fmt.Sprint("s", r.IntN(4)), Area: fmt.Sprint("a", r.IntN(5)),
			Registered: day(), Printed: day(), Live: day(), Scanned: day(),
		}
		for range s.Moments {
			f.Last = append(f.Last, day())
		}
		s.Places = append(s.Places, f)
	}
	return s
}

// A funnel never widens, and groups add up to the whole.
func TestFunnelNarrows(t *testing.T) {
	for seed := range uint64(150) {
		s := randomSurvey(rand.New(rand.NewPCG(seed, 1)))
		for m := range s.Moments {
			whole := s.Funnel(m, nil)
			var sum report.Funnel
			for _, g := range s.By(m, func(f *report.Facts) string { return f.Sector + f.Area }) {
				for i, n := range g.Funnel {
					sum[i] += n
					if i > 0 && n > g.Funnel[i-1] {
						t.Fatalf("seed %d: funnel of %s widens: %v", seed, g.Key, g.Funnel)
					}
				}
			}
			if sum != whole {
				t.Fatalf("seed %d: groups add up to %v, all are %v", seed, sum, whole)
			}
		}
	}
}

func TestSilent(t *testing.T) {
	last := func(no uint32, d qrgate.Day) report.Facts {
		return report.Facts{Place: no, Registered: 1, Last: []qrgate.Day{d}}
	}
	s := report.Survey{Moments: []qrgate.Day{today}, Places: []report.Facts{last(1, today), last(2, today-14), last(3, 0), last(4, today-13), last(5, today-40)}}
	var got []uint32
	for _, f := range s.Silent(0, 14) {
		got = append(got, f.Place)
	}
	if diff := cmp.Diff([]uint32{5, 2}, got); diff != "" {
		t.Errorf("Silent(14): -want +got\n%s", diff)
	}
}

func TestTarget(t *testing.T) {
	target := report.Target{Stage: report.Active, Percent: 80, Begun: today - 10, Due: today + 10}
	of := func(active, all int) report.Funnel { return report.Funnel{all, active, active, active, active, active} }
	tests := []struct {
		name         string
		target       report.Target
		begun, now   report.Funnel
		wanted, have int
		state        report.Standing
	}{
		{"half of the time, half of the way", target, of(0, 10), of(4, 10), 40, 40, report.OnTrack},
		{"less", target, of(0, 10), of(3, 10), 40, 30, report.Behind},
		{"already there", target, of(0, 10), of(8, 10), 40, 80, report.Reached},
		{"fell back from more", target, of(9, 10), of(7, 10), 80, 70, report.Behind},
		{"too late", report.Target{Stage: report.Active, Percent: 80, Begun: 1, Due: today - 1}, of(0, 10), of(7, 10), 80, 70, report.Missed},
		{"on its day it may still be reached", report.Target{Stage: report.Active, Percent: 80, Begun: 1, Due: today}, of(0, 10), of(7, 10), 80, 70, report.Behind},
		{"no places", target, of(0, 0), of(0, 0), 40, 0, report.Behind},
		{"79.9 per cent is not 80", target, of(0, 1000), of(799, 1000), 40, 79, report.OnTrack},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.target.Progress(tt.begun, tt.now, today)
			if got.Wanted != tt.wanted || got.Percent != tt.have || got.State != tt.state {
				t.Errorf("Progress = %+v, want %d of %d, %s", got, tt.have, tt.wanted, tt.state)
			}
		})
	}
}

func TestSumText(t *testing.T) {
	number := func(n int64) string { return fmt.Sprint(n) }
	for _, tt := range []struct {
		people []int64
		want   string
	}{{nil, "0"}, {[]int64{0, 0}, "0"}, {[]int64{10}, "10"}, {[]int64{9}, "<10"}, {[]int64{9, 0}, "<10"}, {[]int64{9, 1}, "≥\u00a02"}, {[]int64{120, 9}, "≥\u00a0121"}} {
		var cells []report.Cell
		for _, n := range tt.people {
			cells = append(cells, report.Cell{People: n})
		}
		if got := report.Total(cells, nil).Text(number); got != tt.want {
			t.Errorf("Total(%v) = %q, want %q", tt.people, got, tt.want)
		}
	}
}

// Whatever a cell that is hidden holds, all that is published of it and of every
// set of cells with it is the same: it can be worked out from nothing. And what is
// published is true.
func TestHiddenCannotBeWorkedOut(t *testing.T) {
	number := func(n int64) string { return fmt.Sprint(n) }
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		var cells, others []report.Cell
		for range 1 + r.IntN(60) {
			c := report.Cell{Sector: fmt.Sprint("s", r.IntN(3)), Area: fmt.Sprint("a", r.IntN(4)), Day: today + qrgate.Day(r.IntN(5))}
			switch r.IntN(3) {
			case 0:
				c.People = int64(10 + r.IntN(500))
			case 1:
				c.People = int64(1 + r.IntN(9))
			}
			cells = append(cells, c)
			if c.People > 0 && c.People < report.Fewest {
				c.People = int64(1 + r.IntN(9))
			}
			others = append(others, c)
		}
		keys := []func(*report.Cell) string{
			func(c *report.Cell) string { return c.Sector }, func(c *report.Cell) string { return c.Area }, func(c *report.Cell) string { return c.Day.String() },
			func(c *report.Cell) string { return c.Sector + c.Area }, func(c *report.Cell) string { return c.Sector + c.Area + c.Day.String() }, func(*report.Cell) string { return "" },
		}
		published := func(cells []report.Cell) (all []string) {
			for _, key := range keys {
				for _, g := range report.TotalBy(cells, key) {
					all = append(all, g.Key+"="+g.Sum.Text(number))
				}
			}
			for n := range uint64(20) { // and of any set that somebody asks for
				pick := rand.New(rand.NewPCG(seed, 100+n))
				in := make([]bool, len(cells))
				for i := range in {
					in[i] = pick.IntN(2) == 0
				}
				i := -1
				all = append(all, report.Total(cells, func(*report.Cell) bool { i++; return in[i] }).Text(number))
			}
			return all
		}
		if diff := cmp.Diff(published(cells), published(others)); diff != "" {
			t.Fatalf("seed %d: what is hidden shows:\n%s", seed, diff)
		}
		for _, key := range keys {
			for _, g := range report.TotalBy(cells, key) {
				var truth int64
				for i := range cells {
					if key(&cells[i]) == g.Key {
						truth += cells[i].People
					}
				}
				if least, most := g.Sum.Least(), g.Sum.Shown+9*int64(g.Sum.Hidden); truth < least || truth > most {
					t.Fatalf("seed %d: %s is %d, published as %d to %d", seed, g.Key, truth, least, most)
				}
			}
		}
	}
}

func TestCoverage(t *testing.T) {
	for _, tt := range []struct {
		people, scanned int64
		want            int
		ok              bool
	}{{0, 0, 0, false}, {29, 29, 0, false}, {30, 15, 50, true}, {30, 31, 100, true}, {200, 0, 0, true}} {
		if got, ok := report.Coverage(tt.people, tt.scanned); got != tt.want || ok != tt.ok {
			t.Errorf("Coverage(%d, %d) = %d, %t, want %d, %t", tt.people, tt.scanned, got, ok, tt.want, tt.ok)
		}
	}
}

func TestTens(t *testing.T) {
	for people, want := range map[int64]int64{0: 0, 9: 0, 10: 10, 39: 30, 1240: 1240} {
		if got := report.Tens(people); got != want {
			t.Errorf("Tens(%d) = %d, want %d", people, got, want)
		}
	}
}

func TestDistrictOf(t *testing.T) {
	for _, tt := range []struct{ chosen, now, want string }{
		{"", "19753@2025-07-01", "Quận Phú Xuân"},
		{"19753@2021-07-01", "19753@2025-07-01", "Quận Phú Xuân"},
		{"", "nonsense", ""},
		{"", "", ""},
	} {
		got := report.DistrictOf(tt.chosen, tt.now)
		name := ""
		for _, d := range report.Districts() {
			if d.ID.String() == got {
				name = d.FullName
			}
		}
		if name != tt.want {
			t.Errorf("DistrictOf(%q, %q) = %q, want %q", tt.chosen, tt.now, name, tt.want)
		}
	}
}

func TestSVGSaysWhatItIsToldAndNoMore(t *testing.T) {
	hostile := `"><script>alert(1)</script>&`
	for _, d := range []*report.Drawing{
		report.BarChart("a", hostile, hostile, []report.Bar{{Label: hostile, Value: 3, Text: hostile}, {Label: "b"}}),
		report.PercentChart("b", hostile, hostile, []report.Tick{{Label: hostile, At: -3}, {Label: "2", At: 1}}, report.Series{Label: hostile, Values: []int{-4, 104, 3}}, report.Series{Values: []int{50}}),
		report.PercentChart("c", "", "", nil),
		report.PercentChart("e", "", "", report.Days(today), report.Series{Values: []int{1}}),
		report.PercentChart("f", "", "", report.Days(today, today, today)),
		report.Map("d", hostile, hostile, map[string]int{"19753@2025-07-01": 100, hostile: 3}, report.MapWords{None: hostile, Source: hostile}),
	} {
		svg := d.SVG()
		if strings.Contains(svg, "<script") || strings.Contains(svg, "style=") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("SVG of %s holds what it must not: %.300s", d.ID, svg)
		}
		if !strings.Contains(svg, `role="img" aria-labelledby="`+d.ID+`-t `+d.ID+`-d"`) {
			t.Errorf("SVG of %s does not name itself", d.ID)
		}
	}
}
