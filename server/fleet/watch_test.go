package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// A record is a keeper in memory: what Step returned, and what people were told.
type record struct {
	t       *testing.T
	watch   fleet.Watch
	alarms  []fleet.Alarm // all that there ever were
	last    time.Time
	letters []fleet.Message
	mutes   []fleet.Mute
	subs    []fleet.Subscription
}

func (r *record) open() (all []fleet.Alarm) {
	for _, a := range r.alarms {
		if a.Open() {
			all = append(all, a)
		}
	}
	return all
}

func (r *record) step(judged []fleet.Judged, now time.Time) []fleet.Alarm {
	changed := r.watch.Step(r.open(), judged, now)
	for _, c := range changed {
		found := false
		for i, a := range r.alarms {
			if a.No == c.No && a.Kind == c.Kind && a.Open() {
				if !a.Since.Equal(c.Since) {
					r.t.Fatalf("%s of %d began twice: %s and %s", a.Kind, a.No, a.Since, c.Since)
				}
				r.alarms[i], found = c, true
			}
		}
		if !found {
			r.alarms = append(r.alarms, c)
		}
	}
	return changed
}

// tell tells people what is due.
func (r *record) tell(kiosks map[int64]*fleet.Kiosk, now time.Time) {
	if !fleet.Due(r.alarms, r.mutes, r.last, now) {
		return
	}
	messages, told := fleet.Tell(r.alarms, r.mutes, r.subs, kiosks, now)
	for _, c := range told {
		for i, a := range r.alarms {
			if a.No == c.No && a.Kind == c.Kind && a.Since.Equal(c.Since) {
				r.alarms[i] = c
			}
		}
	}
	r.last, r.letters = now, append(r.letters, messages...)
}

// Whatever kiosks say, an alarm begins only after what is wrong held for its time,
// ends only after it was right for its time, and is open once.
func TestAlarmsFollowTheirModel(t *testing.T) {
	after := map[fleet.Kind]time.Duration{fleet.IsHot: 2 * time.Minute, fleet.HasPower: time.Minute, fleet.IsForked: 0}
	rest := map[fleet.Kind]time.Duration{fleet.IsHot: 5 * time.Minute, fleet.HasPower: 30 * time.Minute, fleet.IsForked: 0}
	kinds := []fleet.Kind{fleet.IsHot, fleet.HasPower, fleet.IsForked}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		rec := &record{t: t}
		type model struct {
			verdict      fleet.Verdict
			wrong, right time.Time // since when it is, zero if it is not
			open         bool
		}
		models := map[string]*model{}
		for now, n := now, 0; n < 600; n++ {
			now = now.Add(time.Duration(1+r.IntN(30)) * time.Second)
			var judged []fleet.Judged
			for no := range int64(3) {
				j := fleet.Judged{No: no + 1, Alive: true}
				for _, kind := range kinds {
					id := fmt.Sprint(no+1, kind)
					m := models[id]
					if m == nil {
						m = &model{}
						models[id] = m
					}
					if r.IntN(8) == 0 {
						m.verdict = fleet.Verdict(r.IntN(3))
					}
					if r.IntN(40) == 0 { // nothing is known of it
						if !m.open {
							m.wrong = time.Time{}
						}
						continue
					}
					j.Findings = append(j.Findings, fleet.Finding{Kind: kind, Verdict: m.verdict})
					switch m.verdict {
					case fleet.Off:
						m.wrong = time.Time{}
						if m.right.IsZero() {
							m.right = now
						}
						if m.open && now.Sub(m.right) >= rest[kind] {
							m.open = false
						}
					case fleet.On:
						m.right = time.Time{}
						if m.wrong.IsZero() {
							m.wrong = now
						}
						if now.Sub(m.wrong) >= after[kind] {
							m.open = true
						}
					case fleet.Hold:
						m.right = time.Time{}
					}
					if m.open {
						m.wrong = time.Time{}
					} else if m.verdict != fleet.Off {
						m.right = time.Time{}
					}
					if !m.open && m.verdict == fleet.Off {
						m.right = time.Time{}
					}
				}
				judged = append(judged, j)
			}
			rec.step(judged, now)
			open := map[string]bool{}
			for _, a := range rec.open() {
				open[fmt.Sprint(a.No, a.Kind)] = true
			}
			for id, m := range models {
				if open[id] != m.open {
					t.Fatalf("seed %d, step %d: %s is open: %t, want %t", seed, n, id, open[id], m.open)
				}
			}
		}
	}
}

// A temperature at its threshold makes one alarm, not one for each degree.
func TestNothingFlaps(t *testing.T) {
	rec := &record{t: t}
	at := now
	for n := range 2000 {
		at = at.Add(5 * time.Second)
		b := well()
		b.Temperature = 80_000 + 3_000*(n%2) - 1_500 // across the first threshold, and never below the second
		k := kiosk(b)
		k.Contact = at
		l := look()
		l.Now = at
		rec.step([]fleet.Judged{{No: 1, Alive: true, Findings: fleet.Judge(k, l)}}, at)
	}
	if len(rec.alarms) != 1 || !rec.alarms[0].Open() || rec.alarms[0].Kind != fleet.IsHot {
		t.Errorf("%d alarms, want one that lasts: %v", len(rec.alarms), rec.alarms)
	}
}

// A city is kiosks that beat each half minute, judged each ten seconds.
type city struct {
	*record
	kiosks []*fleet.Kiosk
	byNo   map[int64]*fleet.Kiosk
	off    map[int64]bool
	linked time.Time
	at     time.Time
}

func newCity(t *testing.T, n int) *city {
	c := &city{record: &record{t: t}, byNo: map[int64]*fleet.Kiosk{}, off: map[int64]bool{}, at: now, linked: now.Add(-24 * time.Hour)}
	c.subs = []fleet.Subscription{
		{ID: "all", Scope: qrgate.All, Email: "a@example.vn"},
		{ID: "trade", Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "trade"}, Email: "b@example.vn"},
		{ID: "grave", Scope: qrgate.All, Email: "c@example.vn", Grave: true},
	}
	for i := range n {
		k := kiosk(well())
		k.No, k.ID, k.Contact = int64(i+1), fmt.Sprintf("gate-%04d", i), now.Add(-time.Duration(i%30)*time.Second)
		k.Place.Hours, k.Place.Sector = nil, []string{"trade", "health"}[i%2]
		c.kiosks, c.byNo[k.No] = append(c.kiosks, k), k
	}
	return c
}

// run lets time pass.
func (c *city) run(d time.Duration) {
	for end := c.at.Add(d); c.at.Before(end); {
		c.at = c.at.Add(10 * time.Second)
		l := look()
		l.Now, l.Linked = c.at, c.linked
		var judged []fleet.Judged
		for _, k := range c.kiosks {
			if !c.off[k.No] && !c.linked.IsZero() && c.at.Sub(k.Contact) >= 30*time.Second {
				k.Contact = c.at
				for i := range k.Beat.Scanners {
					k.Beat.Scanners[i].LastScan = c.at.UnixMilli()
				}
			}
			judged = append(judged, fleet.Judged{No: k.No, Kiosk: k.ID, Alive: true, Findings: fleet.Judge(k, l)})
		}
		c.step(judged, c.at)
		c.tell(c.byNo, c.at)
	}
}

// to returns the letters to one subscription.
func (c *city) to(id string) (all []fleet.Message) {
	for _, m := range c.letters {
		if m.Subscription.ID == id {
			all = append(all, m)
		}
	}
	return all
}

func TestOneKioskGone(t *testing.T) {
	c := newCity(t, 60)
	c.run(time.Minute)
	c.off[1] = true // of the sector trade
	c.run(time.Hour)
	c.off[1] = false
	c.run(time.Hour)
	for _, id := range []string{"all", "trade", "grave"} {
		all := c.to(id)
		if len(all) != 2 || len(all[0].Begun) != 1 || all[0].Begun[0].Kiosk != "gate-0000" || all[0].Begun[0].Kind != fleet.IsSilent || len(all[1].Ended) != 1 {
			t.Errorf("%s is told %+v, want that it went and came", id, all)
		}
	}
	if d := c.to("all")[0].Made.Sub(now); d > 8*time.Minute+30*time.Second {
		t.Errorf("told after %s", d)
	}
}

// When the network of all fails, each subscriber gets one letter and one that it is
// over, and none for each kiosk.
func TestWholeNetworkGoneIsOneLetter(t *testing.T) {
	c := newCity(t, 60)
	c.run(time.Minute)
	for _, k := range c.kiosks {
		c.off[k.No] = true
	}
	c.run(40 * time.Minute)
	clear(c.off)
	c.run(2 * time.Hour)
	all := c.to("all")
	if len(all) != 2 || all[0].Outage != 60 || len(all[0].Begun) != 0 || !all[1].Back || len(all[1].Begun)+len(all[1].Ended) != 0 {
		t.Errorf("all is told %+v", all)
	}
	if trade := c.to("trade"); len(trade) != 1 || trade[0].Outage != 30 || len(trade[0].Begun) != 0 {
		t.Errorf("trade is told %+v, want once, of its thirty", trade)
	}
	if left := c.open(); len(left) != 0 {
		t.Errorf("%d alarms last: %v", len(left), left)
	}
}

// What is not back an hour later is told of, in one letter.
func TestThoseThatStayGone(t *testing.T) {
	c := newCity(t, 60)
	c.run(time.Minute)
	for _, k := range c.kiosks {
		c.off[k.No] = true
	}
	c.run(20 * time.Minute)
	clear(c.off)
	for no := range int64(3) {
		c.off[no+1] = true
	}
	c.run(3 * time.Hour)
	begun := 0
	all := c.to("all")
	for _, m := range all {
		begun += len(m.Begun)
	}
	if begun != 3 || len(all) > 3 {
		t.Errorf("%d letters tell of %d kiosks, want of 3: %+v", len(all), begun, all)
	}
}

// A server that was cut off, or has just started, accuses nobody.
func TestServerCutOff(t *testing.T) {
	c := newCity(t, 60)
	c.run(time.Minute)
	c.linked = time.Time{}
	c.run(2 * time.Hour)
	c.linked = c.at
	for _, k := range c.kiosks[:30] {
		k.Contact = c.at.Add(-2 * time.Hour)
	}
	c.run(time.Hour)
	if len(c.letters) != 0 || len(c.alarms) != 0 {
		t.Errorf("%d letters, %d alarms: %+v", len(c.letters), len(c.alarms), c.alarms)
	}
}

// A mute delays the letter and not the alarm.
func TestMutedKiosk(t *testing.T) {
	c := newCity(t, 60)
	c.mutes = []fleet.Mute{{No: 1, Until: now.Add(time.Hour)}, {No: 2, Kind: fleet.IsHot, Until: now.Add(10 * time.Hour)}}
	c.off[1] = true
	c.kiosks[1].Beat.Temperature = 90_000
	c.run(50 * time.Minute)
	if len(c.open()) != 2 || len(c.letters) != 0 {
		t.Fatalf("%d alarms last, %d letters, want 2 and none", len(c.open()), len(c.letters))
	}
	c.run(20 * time.Minute)
	if all := c.to("all"); len(all) != 1 || len(all[0].Begun) != 1 || all[0].Begun[0].Kind != fleet.IsSilent {
		t.Errorf("told %+v, want of the one whose mute has ended", all)
	}
	if c.kiosks[1].Beat.State != when.Synced {
		t.Fatal()
	}
}

func TestMessageIsBounded(t *testing.T) {
	c := newCity(t, 400)
	for _, k := range c.kiosks {
		k.Beat.Temperature = 90_000
	}
	c.run(10 * time.Minute)
	all := c.to("all")
	if len(all) != 1 || len(all[0].Begun) != fleet.MaxItems || all[0].More != 400-fleet.MaxItems {
		t.Errorf("told %d letters of %d and %d more", len(all), len(all[0].Begun), all[0].More)
	}
	if n := len(all[0].Body()); n > 32<<10 {
		t.Errorf("a message of %d bytes", n)
	}
	if len(c.to("grave")) != 0 {
		t.Error("who wants to hear of what is grave is told of what is hot")
	}
}
