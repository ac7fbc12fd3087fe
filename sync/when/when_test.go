package when_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/when"
	"pgregory.net/rapid"
)

func TestStateNumbersAreFixed(t *testing.T) {
	for n, want := range []string{"unset", "floor", "chip", "synced", "holding", "state 5"} {
		if got := when.State(n).String(); got != want {
			t.Errorf("State(%d).String() = %q, want %q", n, got, want)
		}
	}
}

func TestParseBoot(t *testing.T) {
	const id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"
	b, err := when.ParseBoot(id)
	if err != nil || b.String() != "0f1e2d3c4b5a69788796a5b4c3d2e1f0" {
		t.Errorf("ParseBoot(%q) = %s, %v", id, b, err)
	}
	if again, err := when.ParseBoot(b.String()); err != nil || again != b {
		t.Errorf("ParseBoot(%q) = %s, %v, want the same boot", b, again, err)
	}
	for _, s := range []string{"", "0f1e", id + "00", "xf1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"} {
		if b, err := when.ParseBoot(s); err == nil {
			t.Errorf("ParseBoot(%q) = %s, want an error", s, b)
		}
	}
	if _, err := when.ReadBoot(); err != nil {
		t.Errorf("ReadBoot() error = %v", err)
	}
}

// A machine is a kiosk's hardware in a world whose time is known: since follows
// the crystal, wall is whatever the test makes of it.
type machine struct {
	now   time.Time // the truth
	since time.Duration
	drift float64 // of the crystal, 1e-4 is 100 ppm fast
	wall  func() time.Time
}

func (m *machine) pass(d time.Duration) {
	m.now = m.now.Add(d)
	m.since += d + time.Duration(float64(d)*m.drift)
}

func (m *machine) clock(boot when.Boot, floor time.Time) *when.Clock {
	return when.NewClock(boot, func() time.Duration { return m.since }, func() time.Time { return m.wall() }, floor)
}

// ask runs one question and answer over a link with the given delays.
func (m *machine) ask(c *when.Clock, there, back time.Duration) (when.Anchor, bool) {
	sent := m.since
	m.pass(there)
	server := time.UnixMilli(m.now.UnixMilli())
	m.pass(back)
	return c.Sample(sent, m.since, server)
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func at(year int) func() time.Time {
	return func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
}

func TestUnsyncedClockIsNeverBelievedBelowTheFloorNorFarAboveIt(t *testing.T) {
	for _, tt := range []struct {
		wall  func() time.Time
		want  time.Time
		state when.State
	}{
		{at(1970), noon, when.Floor},
		{at(2026), noon, when.Floor},
		{at(2027), at(2027)(), when.Chip},
		{at(2099), noon, when.Floor},
	} {
		m := &machine{now: noon, since: time.Minute, wall: tt.wall}
		c := m.clock(when.Boot{1}, noon)
		r := c.Read()
		want := when.Reading{Boot: when.Boot{1}, Since: 60_000, Wall: tt.want.UnixMilli(), State: tt.state}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("Read() with the chip at %d differs (-want +got):\n%s", tt.wall().Year(), diff)
		}
		if got := c.Now(); !got.Equal(tt.want) {
			t.Errorf("Now() with the chip at %d = %s, want %s", tt.wall().Year(), got, tt.want)
		}
		if got := c.Floor(); !got.Equal(noon) {
			t.Errorf("Floor() with the chip at %d = %s, want %s", tt.wall().Year(), got, noon)
		}
	}
}

func TestFloorGrowsWithTimePassed(t *testing.T) {
	m := &machine{now: noon, wall: at(1970)}
	c := m.clock(when.Boot{1}, noon)
	m.pass(10 * time.Hour)
	low, high := m.now.Add(-4*time.Second), m.now
	if got := c.Floor(); got.Before(low) || got.After(high) {
		t.Errorf("Floor() = %s after ten hours, want %s to %s", got, low, high)
	}
	c.AtLeast(noon) // an old receipt
	if got := c.Floor(); got.Before(low) {
		t.Errorf("Floor() = %s after an old receipt, want at least %s", got, low)
	}
	c.AtLeast(noon.Add(48 * time.Hour))
	if got, want := c.Floor(), noon.Add(48*time.Hour); !got.Equal(want) {
		t.Errorf("Floor() = %s after a receipt of %s", got, want)
	}
	if r := c.Read(); r.State != when.Floor {
		t.Errorf("Read() = %+v after a receipt, want state floor: a receipt is no sample", r)
	}
}

func TestSampleMakesAnchorsWhenDue(t *testing.T) {
	m := &machine{now: noon, since: time.Minute, wall: at(1970)}
	c := m.clock(when.Boot{1}, noon.Add(-time.Hour))
	sample := func(name string, trip time.Duration, want bool) {
		t.Helper()
		a, due := m.ask(c, trip/2, trip/2)
		if due != want {
			t.Errorf("%s: Sample due = %t, want %t", name, due, want)
		}
		if a.Boot != (when.Boot{1}) || a.Error < trip.Milliseconds()/2 || a.Error > trip.Milliseconds()/2+10 {
			t.Errorf("%s: Sample = %+v, want an error of about %s", name, a, trip/2)
		}
	}
	sample("first", 2*time.Second, true)
	sample("second, as good", 2*time.Second, false)
	sample("third, much better", 200*time.Millisecond, true)
	sample("fourth, worse", 20*time.Second, false)
	m.pass(5 * time.Hour)
	sample("after five hours", 200*time.Millisecond, false)
	m.pass(time.Hour)
	sample("after six hours", 200*time.Millisecond, true)
	m.now = m.now.Add(time.Hour) // the server's clock was set
	sample("contradicting", 200*time.Millisecond, true)
	if got, off := c.Now(), 200*time.Millisecond; got.Sub(m.now).Abs() > off {
		t.Errorf("Now() = %s after the server's clock was set, want %s", got, m.now)
	}

	if a, due := c.Sample(m.since, m.since-1, m.now); due || a != (when.Anchor{}) {
		t.Errorf("Sample received before it was sent = %+v, %t, want nothing", a, due)
	}
	if a, due := c.Sample(0, when.MaxRoundTrip+1, m.now); due || a != (when.Anchor{}) {
		t.Errorf("Sample of an endless round trip = %+v, %t, want nothing", a, due)
	}
}

func TestClockHoldsWhatItLearned(t *testing.T) {
	m := &machine{now: noon, since: time.Minute, drift: -1e-4, wall: at(2099)}
	c := m.clock(when.Boot{1}, noon.Add(-time.Hour))
	m.ask(c, 0, 100*time.Millisecond)
	for _, tt := range []struct {
		after time.Duration
		state when.State
	}{{time.Minute, when.Synced}, {time.Hour, when.Holding}, {240 * time.Hour, when.Holding}} {
		m.pass(tt.after)
		r := c.Read()
		off := r.Wall - m.now.UnixMilli()
		if r.State != tt.state || r.Error == 0 || max(off, -off) > r.Error {
			t.Errorf("Read() %s later = %+v, off by %d ms, want %s within its error", tt.after, r, off, tt.state)
		}
	}
}

func TestReadKeepsAboveALaterReceipt(t *testing.T) {
	m := &machine{now: noon, wall: at(1970)}
	c := m.clock(when.Boot{1}, noon.Add(-time.Hour))
	m.ask(c, 0, 0)
	ahead := noon.Add(time.Minute)
	c.AtLeast(ahead)
	if r := c.Read(); r.Wall != ahead.UnixMilli() || r.Error < time.Minute.Milliseconds() {
		t.Errorf("Read() = %+v, want %d and an error that covers both", r, ahead.UnixMilli())
	}
}

func TestTLSTime(t *testing.T) {
	before, after := noon.AddDate(0, -1, 0), noon.AddDate(0, 1, 0)
	for _, wall := range []int{1970, 2026, 2027, 2099} {
		m := &machine{now: noon, wall: at(wall)}
		c := m.clock(when.Boot{1}, noon.Add(-time.Hour))
		if got, want := c.TLSTime(before), noon.Add(-time.Hour); !got.Equal(want) {
			t.Errorf("chip %d: TLSTime(%s) = %s unsynced, want the floor %s", wall, before, got, want)
		}
		if got := c.TLSTime(after); !got.Equal(after) {
			t.Errorf("chip %d: TLSTime(%s) = %s unsynced, want it unchanged", wall, after, got)
		}
		m.ask(c, 0, 0)
		if got := c.TLSTime(after); got.Sub(noon).Abs() > time.Second {
			t.Errorf("chip %d: TLSTime(%s) = %s synced, want about %s", wall, after, got, noon)
		}
	}
}

// A school's kiosk is off all summer, and meanwhile its certificate ends. Until
// the server has spoken nothing is called expired, and what was recorded before
// that is dated to the day it happened.
func TestOffFor120Days(t *testing.T) {
	const off = 120 * 24 * time.Hour
	back := noon.Add(off)
	issued, ends := noon.AddDate(0, -1, 0), noon.AddDate(0, 2, 0)
	for _, tt := range []struct {
		name  string
		wall  func() time.Time
		state when.State
	}{
		{"clock chip that is right", func() time.Time { return back }, when.Chip},
		{"saved time", func() time.Time { return noon }, when.Chip},
		{"chip at 1970", at(1970), when.Floor},
		{"chip at 2099", at(2099), when.Floor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{now: noon, wall: func() time.Time { return noon }}
			before := m.clock(when.Boot{1}, noon.AddDate(-1, 0, 0))
			anchors := when.NewAnchors()
			b := when.NewBoots(noon.AddDate(-1, 0, 0).UnixMilli(), anchors)
			a, _ := m.ask(before, 0, 0)
			anchors.Add(a)
			b.Add(when.Span{Boot: when.Boot{1}, First: 1, Last: 1, Arrived: noon.UnixMilli()})

			m = &machine{now: back, since: time.Minute, wall: tt.wall}
			c := m.clock(when.Boot{2}, before.Floor())
			seen := c.Read()
			if seen.State != tt.state {
				t.Errorf("Read() = %+v after the summer, want state %s", seen, tt.state)
			}
			if got := c.TLSTime(issued); got.Before(issued) || !got.Before(ends) {
				t.Errorf("TLSTime = %s, which calls a certificate of %s to %s invalid", got, issued, ends)
			}
			if got := c.Floor(); got.Before(noon.Add(-time.Second)) || got.After(noon.Add(time.Second)) {
				t.Errorf("Floor() = %s after the summer, want about %s", got, noon)
			}
			b.Add(when.Span{Boot: when.Boot{2}, First: 2, Last: 2, Start: seen.Since, End: seen.Since, ArrivedSince: seen.Since, Arrived: back.Add(time.Hour).UnixMilli()})
			truth := back.UnixMilli()
			if i := b.Bounds(seen.Boot, seen.Since); i.Earliest > truth || i.Latest < truth {
				t.Errorf("Bounds before the first answer = %+v, the truth is %d", i, truth)
			}

			m.pass(time.Hour)
			a, due := m.ask(c, time.Second, time.Second)
			if !due {
				t.Fatal("the first sample of a boot makes no anchor")
			}
			anchors.Add(a)
			if i := b.Bounds(seen.Boot, seen.Since); i.Earliest > truth || i.Latest < truth || i.Latest-i.Earliest > 10_000 {
				t.Errorf("Bounds after the first answer = %+v, want ten seconds about %d", i, truth)
			}
			if got := c.TLSTime(issued); got.Before(ends) {
				t.Errorf("TLSTime = %s synced, want a time after %s: now the certificate has ended", got, ends)
			}
		})
	}
}

// An event of a simulated kiosk, and when it truly happened.
type event struct {
	boot  when.Boot
	seq   uint64
	since int64
	truth int64
}

// A story is what a kiosk lived through and what of it the server got.
type story struct {
	floor   int64
	events  []event
	anchors []when.Anchor
	spans   []when.Span
	synced  map[when.Boot][]int64 // ms since boot of anchors
}

// tell simulates boots of random length and crystals, with or without a link,
// under wall clocks that lie.
func tell(r *rapid.T) story {
	const ppm = 1e-6
	start := noon
	s := story{floor: start.UnixMilli(), synced: map[when.Boot][]int64{}}
	now, floor, seq := start, start, uint64(0)
	duration := func(name string, to time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(to)).Draw(r, name))
	}
	for n := range rapid.IntRange(1, 6).Draw(r, "boots") {
		boot := when.Boot{byte(n + 1)}
		now = now.Add(duration("off", 30*24*time.Hour))
		m := &machine{now: now, wall: at(rapid.SampledFrom([]int{1970, 2026, 2027, 2099}).Draw(r, "wall"))}
		drift := func() { m.drift = rapid.Float64Range(-100, 100).Draw(r, "drift") * ppm }
		drift()
		m.pass(duration("boot", time.Minute))
		c := m.clock(boot, floor)
		last := m.now
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			m.pass(duration("step", 48*time.Hour))
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				there, back := duration("there", time.Second), duration("back", 900*time.Millisecond)
				if a, due := m.ask(c, there, back); due {
					s.anchors = append(s.anchors, a)
					s.synced[boot] = append(s.synced[boot], a.Since)
				}
			case 1:
				c.AtLeast(time.UnixMilli(last.UnixMilli()))
			case 2:
				drift()
			}
			truth := m.now.UnixMilli()
			seq++
			e := event{boot, seq, m.since.Milliseconds(), truth}
			s.events = append(s.events, e)
			reading := c.Read()
			if off := reading.Wall - truth; reading.Error > 0 && max(off, -off) > reading.Error {
				r.Fatalf("Read() = %+v, off by %d ms", reading, off)
			}
			if f := c.Floor(); f.After(m.now) {
				r.Fatalf("Floor() = %s, the truth is %s", f, m.now)
			}
			s.spans = append(s.spans, when.Span{
				Boot: boot, First: seq, Last: seq, Start: e.since, End: e.since, ArrivedSince: e.since,
				Arrived: truth + duration("on its way", 60*24*time.Hour).Milliseconds(),
			})
			last = m.now
		}
		now, floor = m.now, c.Floor()
	}
	return s
}

func TestTruthIsInsideEveryInterval(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := tell(r)
		anchors := when.NewAnchors()
		b := when.NewBoots(s.floor, anchors)
		// Records and anchors arrive in any order, some twice, and every
		// interval holds the truth at every stage.
		steps := make([]func(), 0, len(s.spans)+len(s.anchors))
		arrived := map[uint64]bool{}
		for _, span := range s.spans {
			steps = append(steps, func() { b.Add(span); arrived[span.First] = true })
		}
		for _, a := range s.anchors {
			steps = append(steps, func() { anchors.Add(a) })
		}
		steps = append(steps, steps[:len(steps)/3]...)
		seed := rapid.Uint64().Draw(r, "order")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		before := map[uint64]when.Interval{}
		for _, step := range steps {
			step()
			for _, e := range s.events {
				if !arrived[e.seq] {
					continue
				}
				i := b.Bounds(e.boot, e.since)
				if e.truth < i.Earliest || e.truth > i.Latest {
					r.Fatalf("Bounds(%s, %d) = %+v, the truth is %d", e.boot, e.since, i, e.truth)
				}
				// An anchor far away within a long boot may say a little less
				// than the neighbours did.
				const drifted = 600_000
				if was, ok := before[e.seq]; ok && i.Latest-i.Earliest > was.Latest-was.Earliest+drifted {
					r.Fatalf("Bounds(%s, %d) grew from %+v to %+v", e.boot, e.since, was, i)
				}
				before[e.seq] = i
			}
		}
		for _, e := range s.events {
			if !synced(s, e.boot) {
				continue
			}
			i := b.Bounds(e.boot, e.since)
			near := int64(math.MaxInt64)
			for _, a := range s.synced[e.boot] {
				near = min(near, max(a-e.since, e.since-a))
			}
			if width, limit := i.Latest-i.Earliest, 2000+near*2/10000; width > limit {
				r.Fatalf("Bounds(%s, %d) is %d ms wide %d ms from an anchor, want at most %d", e.boot, e.since, width, near, limit)
			}
		}
		anchorsAgain := when.NewAnchors()
		again := when.NewBoots(s.floor, anchorsAgain)
		for _, span := range b.Spans() {
			again.Add(span)
		}
		for _, a := range s.anchors {
			anchorsAgain.Add(a)
		}
		for _, e := range s.events {
			if got, want := again.Bounds(e.boot, e.since), b.Bounds(e.boot, e.since); got != want {
				r.Fatalf("Bounds(%s, %d) = %+v from stored spans, want %+v", e.boot, e.since, got, want)
			}
		}
	})
}

func synced(s story, boot when.Boot) bool { return len(s.synced[boot]) > 0 }

// hours returns Unix milliseconds h hours after noon.
func hours(h float64) int64 { return noon.UnixMilli() + int64(h*3_600_000) }

func span(boot byte, first, last uint64, start, end, arrived float64) when.Span {
	ms := func(h float64) int64 { return int64(h * 3_600_000) }
	return when.Span{
		Boot: when.Boot{boot}, First: first, Last: last, Start: ms(start), End: ms(end),
		Arrived: hours(arrived), ArrivedSince: ms(end),
	}
}

func within(t *testing.T, b *when.Boots, boot byte, since float64, earliest, latest int64) {
	t.Helper()
	got := b.Bounds(when.Boot{boot}, int64(since*3_600_000))
	const tolerance = 60_000
	if d := got.Earliest - earliest; d < -tolerance || d > tolerance {
		t.Errorf("Bounds(boot %d, %.1f h).Earliest = %d, want %d (off by %d ms)", boot, since, got.Earliest, earliest, d)
	}
	if d := got.Latest - latest; d < -tolerance || d > tolerance {
		t.Errorf("Bounds(boot %d, %.1f h).Latest = %d, want %d (off by %d ms)", boot, since, got.Latest, latest, d)
	}
}

func TestBootWithoutAnchorLiesBetweenItsNeighbours(t *testing.T) {
	anchors := when.NewAnchors()
	b := when.NewBoots(hours(-1000), anchors)
	b.Add(span(2, 11, 20, 1, 5, 200)) // no anchor, over two midnights from its neighbours
	within(t, b, 2, 3, hours(-998), hours(198))

	b.Add(span(1, 1, 10, 0, 10, 200))
	anchors.Add(when.Anchor{Boot: when.Boot{1}, Since: 0, Server: hours(0), Error: 10})
	within(t, b, 2, 3, hours(13), hours(198))

	b.Add(span(3, 21, 30, 2, 4, 200))
	anchors.Add(when.Anchor{Boot: when.Boot{3}, Since: 2 * 3_600_000, Server: hours(50), Error: 10})
	within(t, b, 2, 3, hours(13), hours(46))
	within(t, b, 2, 1, hours(11), hours(44))

	anchors.Add(when.Anchor{Boot: when.Boot{2}, Since: 5 * 3_600_000, Server: hours(20), Error: 10})
	within(t, b, 2, 3, hours(18), hours(18))
}

func TestAroundNamesWhatToDateAgain(t *testing.T) {
	anchors := when.NewAnchors()
	b := when.NewBoots(0, anchors)
	for n := range byte(6) {
		b.Add(span(n, uint64(n)*10+1, uint64(n)*10+10, 0, 1, 100))
	}
	anchors.Add(when.Anchor{Boot: when.Boot{1}, Server: hours(1)})
	anchors.Add(when.Anchor{Boot: when.Boot{4}, Server: hours(9)})
	for _, tt := range []struct {
		boot byte
		most int
		want []byte
	}{
		{0, 9, []byte{0}}, {1, 9, []byte{0, 1, 2, 3}}, {2, 9, []byte{2, 3}}, {4, 9, []byte{2, 3, 4, 5}}, {9, 9, nil},
		{1, 1, []byte{0, 1, 2}}, {4, 1, []byte{3, 4, 5}}, {4, 0, []byte{4}},
	} {
		var got []byte
		for _, boot := range b.Around(when.Boot{tt.boot}, tt.most) {
			got = append(got, boot[0])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Around(boot %d, %d) = %v, want %v", tt.boot, tt.most, got, tt.want)
		}
	}
}

func TestContradictingAnchorsWidenTheInterval(t *testing.T) {
	anchors := when.NewAnchors()
	b := when.NewBoots(0, anchors)
	b.Add(span(1, 1, 2, 0, 1, 100))
	anchors.Add(when.Anchor{Boot: when.Boot{1}, Since: 1000, Server: hours(0), Error: 10})
	anchors.Add(when.Anchor{Boot: when.Boot{1}, Since: 2000, Server: hours(2), Error: 10})
	within(t, b, 1, 0, hours(0), hours(2))
}

func TestBootThatNothingIsKnownOf(t *testing.T) {
	got := when.NewBoots(5, when.NewAnchors()).Bounds(when.Boot{1}, 9)
	if want := (when.Interval{Earliest: 5, Latest: math.MaxInt64}); got != want {
		t.Errorf("Bounds of an unknown boot = %+v, want %+v", got, want)
	}
}

func BenchmarkBounds(b *testing.B) {
	for _, each := range []int{0, 4, 84} {
		b.Run(fmt.Sprintf("anchors=%d", each), func(b *testing.B) {
			anchors := when.NewAnchors()
			boots := when.NewBoots(0, anchors)
			for n := range byte(30) {
				boots.Add(span(n, uint64(n)*10+1, uint64(n)*10+10, 0, 500, 20000))
				for i := range each {
					anchors.Add(when.Anchor{Boot: when.Boot{n}, Since: int64(i) * 21_600_000, Server: hours(float64(n)*600 + float64(i)*6), Error: 20})
				}
			}
			for b.Loop() {
				boots.Add(span(29, 300, 301, 1, 2, 20000))
				for i := range int64(64) {
					boots.Bounds(when.Boot{29}, i*1000)
				}
			}
		})
	}
}

// A boot may go on for months, and a kiosk that asks two servers in turn may learn
// something with every answer.
func TestAnchorsThatAreKept(t *testing.T) {
	const day = 24 * 3_600_000
	boot := when.Boot{1}
	for _, tt := range []struct {
		name  string
		every int64
		days  int64
		width int64 // of the bounds of any moment of the last month, in ms
	}{
		{"four a day, for a year", day / 4, 365, 2600},
		{"each half minute, for two months", 30_000, 60, 6000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			anchors := when.NewAnchors()
			kept := 0
			end := tt.days * day
			for since := int64(0); since <= end; since += tt.every {
				kept += 1 - len(anchors.Add(when.Anchor{Boot: boot, Since: since, Server: hours(0) + since, Error: 20}))
			}
			if kept > 256 {
				t.Errorf("%d are kept", kept)
			}
			b := when.NewBoots(0, anchors)
			for since := end - 30*day; since <= end+day; since += day / 24 {
				in := b.Bounds(boot, since)
				truth, width := hours(0)+since, tt.width+2*max(since-end, 0)/9000
				if in.Earliest > truth || in.Latest < truth || in.Latest-in.Earliest > width {
					t.Fatalf("Bounds(%d before the end) = %+v, want at most %d about %d", end-since, in, width, truth)
				}
			}
		})
	}
}

func TestAnchorsOfBootsWithoutEnd(t *testing.T) {
	anchors := when.NewAnchors()
	kept := map[when.Anchor]bool{}
	anchorOf := func(n int) when.Anchor {
		return when.Anchor{Boot: when.Boot{byte(n), byte(n >> 8), byte(n >> 16)}, Server: hours(float64(n))}
	}
	const n = 70_000
	for i := range n {
		kept[anchorOf(i)] = true
		for _, gone := range anchors.Add(anchorOf(i)) {
			delete(kept, gone)
		}
	}
	if len(kept) > 1<<16 || !anchors.Has(anchorOf(n-1)) || anchors.Has(anchorOf(0)) {
		t.Errorf("%d of %d are kept, the newest %t, the first %t", len(kept), n, anchors.Has(anchorOf(n-1)), anchors.Has(anchorOf(0)))
	}
	for a := range kept {
		if !anchors.Has(a) {
			t.Fatalf("%+v has gone unsaid", a)
		}
	}
	if gone := anchors.Add(anchorOf(n - 1)); gone != nil {
		t.Errorf("one that is kept already, again: %v went", gone)
	}
}
