package fleet

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Kind is what an alarm is about.
type Kind string

// The kinds of alarm.
const (
	IsSilent    Kind = "silent"
	IsBehind    Kind = "backlog"
	HasClock    Kind = "clock"
	IsFull      Kind = "storage"
	IsHot       Kind = "hot"
	HasPower    Kind = "power"
	HasScanner  Kind = "scanner"
	CannotRead  Kind = "unreadable"
	HasNobody   Kind = "nobody" // people pass but nobody scans
	Certificate Kind = "certificate"
	IsOld       Kind = "version"
	Refuses     Kind = "config"
	IsForked    Kind = "fork"
	HasGap      Kind = "gap"
	IsMoved     Kind = "moved"
	IsCloned    Kind = "cloned"
	Outage      Kind = "outage" // of many at once; of no kiosk
)

// Kinds returns the kinds that one kiosk may have, in the order in which people are
// shown them.
func Kinds() []Kind {
	return []Kind{IsSilent, IsCloned, IsForked, IsMoved, HasGap, HasScanner, CannotRead, HasNobody, IsBehind, IsFull, HasClock, HasPower, IsHot, Certificate, Refuses, IsOld}
}

// A rule says of a kind how long what is wrong must hold before it is an alarm, and
// for how long it must be right before that ends.
type rule struct {
	after, rest time.Duration
	grave       bool
	closed      bool // means nothing while the place is closed
}

var rules = map[Kind]rule{
	IsSilent:    {0, time.Minute, true, true},
	IsBehind:    {time.Minute, 2 * time.Minute, false, false},
	HasClock:    {5 * time.Minute, 5 * time.Minute, false, false},
	IsFull:      {time.Minute, 5 * time.Minute, true, false},
	IsHot:       {2 * time.Minute, 5 * time.Minute, false, false},
	HasPower:    {time.Minute, 30 * time.Minute, false, false},
	HasScanner:  {20 * time.Second, time.Minute, true, true},
	CannotRead:  {5 * time.Minute, 5 * time.Minute, false, true},
	HasNobody:   {15 * time.Minute, 0, false, true},
	Certificate: {0, 0, true, false},
	IsOld:       {24 * time.Hour, 0, false, false},
	Refuses:     {time.Minute, 0, false, false},
	IsForked:    {0, 0, true, false},
	HasGap:      {0, 0, true, false},
	IsMoved:     {0, 0, true, false},
	IsCloned:    {0, 0, true, false},
	Outage:      {0, 2 * time.Minute, true, false},
}

// Grave reports whether somebody should go and look.
func (k Kind) Grave() bool { return rules[k].grave }

// A Verdict says whether something is wrong.
type Verdict int

// The verdicts. Hold is neither: what was wrong still is, and nothing begins.
const (
	Off Verdict = iota
	Hold
	On
)

// A Finding is what a kiosk's state means under one rule.
type Finding struct {
	Kind    Kind
	Verdict Verdict
	Value   int64  // what was measured, in the unit of the kind's threshold
	About   string // which scanner, which version; in no language
}

// A Look is what beside the kiosk itself a judgement depends on.
type Look struct {
	Now     time.Time
	Linked  time.Time // since when this server hears kiosks; zero while it does not
	Release string    // the newest that kiosks run, "" if unknown
	Usual   func(k *Kiosk, over time.Duration) (scans int64, known bool)
	Extra   []func(k *Kiosk, now time.Time) Finding // rules of others
}

// grace is how long after a server began to hear kiosks none of them is called
// silent: they come back over a minute.
const grace = 3 * time.Minute

// opening is how long after its doors opened a place is not called silent: somebody
// switches things on.
const opening = 20 * time.Minute

// Judge returns what is to say of a kiosk, one finding for each kind that can be
// told from it.
func Judge(k *Kiosk, l Look) []Finding {
	var all []Finding
	add := func(kind Kind, v Verdict, value int64, about string) {
		all = append(all, Finding{kind, v, value, about})
	}
	if k.State != qrgate.KioskActive {
		for _, kind := range Kinds() {
			add(kind, Off, 0, "")
		}
		return all
	}
	t := For(k.Place.Kind)
	openFor, open := OpenFor(k.Place.Hours, l.Now)
	linked := !l.Linked.IsZero() && l.Now.Sub(l.Linked) >= grace

	quietFor := l.Now.Sub(k.heard())
	switch {
	case k.heard().IsZero(): // it was never here to go
		add(IsSilent, Off, 0, "")
	case quietFor <= quiet && k.Up:
		add(IsSilent, Off, 0, "")
	case !linked, quietFor < t.Silent, !open, openFor < opening:
		add(IsSilent, Hold, int64(quietFor.Seconds()), "")
	default:
		add(IsSilent, On, int64(quietFor.Seconds()), "")
	}
	add(IsForked, on(k.Ledger.Forked), 0, "")
	add(HasGap, on(k.Ledger.Gaps > 0), int64(k.Ledger.Gaps), "")
	if k.Beat == nil {
		return all
	}
	if quietFor > quiet {
		return all // what it said is no news; an alarm without a finding holds
	}
	all = append(all, judgeBeat(k, t, l, open)...)
	for _, extra := range l.Extra {
		all = append(all, extra(k, l.Now))
	}
	return all
}

func judgeBeat(k *Kiosk, t Thresholds, l Look, open bool) []Finding {
	b := k.Beat
	all := []Finding{
		backlog(b, t), clock(b, t), storage(b, t), hot(b, t), power(b), version(b, l.Release),
		{Kind: IsMoved, Verdict: on(b.Moved)}, certificate(b, t, l.Now), config(b),
	}
	s, r := scanner(b), unreadable(b, t)
	if !open {
		// Cameras see nothing in the dark, and some pull the plug.
		s.Verdict, r.Verdict = min(s.Verdict, Hold), min(r.Verdict, Hold)
	}
	return append(all, s, r, nobody(k, t, l))
}

func on(wrong bool) Verdict {
	if wrong {
		return On
	}
	return Off
}

// above is On from begins, Off up to ends, and Hold between.
func above[N int64 | uint64 | time.Duration](value N, pair [2]N) Verdict {
	switch {
	case value >= pair[0]:
		return On
	case value <= pair[1]:
		return Off
	}
	return Hold
}

func backlog(b *wire.Beat, t Thresholds) Finding {
	f := Finding{Kind: IsBehind, Value: int64(min(b.Queued, 1<<40))}
	if b.Queued == 0 {
		return f
	}
	f.Verdict = above(b.Queued, t.Records)
	if age := time.Duration(min(b.Oldest, 1<<40)) * time.Millisecond; age > 0 {
		f.Verdict = max(f.Verdict, above(age, t.Backlog))
	}
	return f
}

func clock(b *wire.Beat, t Thresholds) Finding {
	f := Finding{Kind: HasClock, About: b.State.String()}
	switch b.State {
	case when.Synced:
		f.Value = b.Error
	case when.Holding:
		f.Value = b.Error
		f.Verdict = above(max(b.Error, 0), t.Clock)
	default: // nobody has vouched for it since it started
		f.Verdict = On
	}
	return f
}

func storage(b *wire.Beat, t Thresholds) Finding {
	f := Finding{Kind: IsFull}
	if b.ReadOnly {
		return Finding{Kind: IsFull, Verdict: On, Value: 1000, About: "read-only"}
	}
	if b.Limit > 0 && b.Used >= 0 {
		f.Value, f.About = thousandths(b.Used, b.Limit), "outbox"
		f.Verdict = above(f.Value, t.Outbox)
	}
	if b.DiskTotal > 0 {
		free := thousandths(b.DiskFree, b.DiskTotal)
		v := Hold
		switch {
		case free <= t.Disk[0]:
			v = On
		case free >= t.Disk[1]:
			v = Off
		}
		if v > f.Verdict {
			f.Verdict, f.Value, f.About = v, 1000-free, "disk"
		}
	}
	return f
}

// thousandths returns part of whole, whatever somebody says.
func thousandths(part, whole int64) int64 {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return int64(min(float64(part)/float64(whole), 1) * 1000)
}

func hot(b *wire.Beat, t Thresholds) Finding {
	return Finding{Kind: IsHot, Verdict: above(int64(b.Temperature), t.Temperature), Value: int64(b.Temperature)}
}

func power(b *wire.Beat) Finding {
	switch {
	case b.Power.Has(wire.UnderVoltage):
		return Finding{Kind: HasPower, Verdict: On, About: "under-voltage"}
	case b.Power.Has(wire.Throttled):
		return Finding{Kind: HasPower, Verdict: On, About: "throttled"}
	}
	return Finding{Kind: HasPower}
}

func scanner(b *wire.Beat) Finding {
	for _, s := range b.Scanners {
		if s.Fault != "" || !s.Present {
			return Finding{Kind: HasScanner, Verdict: On, About: about(s.Name, cmp.Or(s.Fault, "absent"))}
		}
	}
	return Finding{Kind: HasScanner}
}

// few is how many frames say nothing yet of a scanner's share.
const few = 20

func unreadable(b *wire.Beat, t Thresholds) Finding {
	f := Finding{Kind: CannotRead}
	for _, s := range b.Scanners {
		if s.Scans+s.Bad < few {
			continue
		}
		if v := above(int64(s.Share), t.Unreadable); v > f.Verdict || int64(s.Share) > f.Value {
			f.Verdict, f.Value, f.About = max(v, f.Verdict), int64(s.Share), about(s.Name)
		}
	}
	return f
}

// about joins what an alarm is about, cut to what a page and a row can hold.
func about(parts ...string) string {
	s := strings.ToValidUTF8(strings.ReplaceAll(strings.Join(parts, ": "), "\x00", ""), "")
	for len(s) > maxAbout {
		s = strings.ToValidUTF8(s[:maxAbout], "")
	}
	return s
}

const maxAbout = 80

// least is how many scans are some.
const least = 10

// Counted is what an alarm that nobody scans is about where a beam has counted who
// passes.
const Counted = "counted"

// passersBy judges by what counts people at the door, and is false where nothing does
// that can be believed.
func passersBy(k *Kiosk, t Thresholds) (Finding, bool) {
	p := k.Beat.Passage
	if p == nil || p.Broken || p.People == 0 || p.For < wire.LatelyTime.Milliseconds() {
		return Finding{}, false
	}
	f := Finding{Kind: HasNobody, Value: int64(p.Lately), About: Counted}
	if f.Value < t.Passers {
		// Too few to say: what was wrong still is, unless some of them scan.
		if f.Verdict = Hold; p.LatelyScans > 0 {
			f.Verdict = Off
		}
		return f, true
	}
	switch share := int64(p.LatelyScans) * 100 / f.Value; {
	case share <= t.Scanning[0]:
		f.Verdict = On
	case share < t.Scanning[1]:
		f.Verdict = Hold
	}
	return f, true
}

func nobody(k *Kiosk, t Thresholds, l Look) Finding {
	if f, ok := passersBy(k, t); ok {
		if _, open := OpenFor(k.Place.Hours, l.Now); !open {
			f.Verdict = min(f.Verdict, Hold) // those who clean need not scan
		}
		return f
	}
	f := Finding{Kind: HasNobody}
	last := int64(0)
	for _, s := range k.Beat.Scanners {
		last = max(last, s.LastScan)
	}
	if k.Beat.State != when.Synced && k.Beat.State != when.Holding || l.Usual == nil {
		f.Verdict = Hold
		return f
	}
	openFor, open := OpenFor(k.Place.Hours, l.Now)
	idle := l.Now.Sub(time.UnixMilli(last))
	switch up := time.Duration(min(max(k.Beat.Uptime, 0), 1<<30)) * time.Second; {
	case last > 0 && idle < t.Idle:
		return f
	case !open || openFor < t.Idle || up < t.Idle:
		f.Verdict = Hold
		return f
	}
	usual, known := l.Usual(k, t.Idle)
	switch {
	case !known:
		f.Verdict = Hold
	case usual >= least:
		f.Verdict, f.Value = On, usual
	}
	return f
}

func version(b *wire.Beat, newest string) Finding {
	have, ok := release(b.Release)
	want, known := release(newest)
	if u := b.Update; u != nil && (u.Stage == wire.UpdateReturned || u.Stage == wire.UpdateRefused) {
		return Finding{Kind: IsOld, Verdict: On, About: about(b.Release, u.Stage.String(), u.Version)}
	}
	old := ok && known && (have[0] < want[0] || have[0] == want[0] && have[1] < want[1])
	return Finding{Kind: IsOld, Verdict: on(old), About: about(b.Release)}
}

func certificate(b *wire.Beat, t Thresholds, now time.Time) Finding {
	f := Finding{Kind: Certificate}
	if b.Cert == nil || b.Cert.Ends <= 0 {
		return f
	}
	left := time.UnixMilli(min(b.Cert.Ends, 1<<52)).Sub(now)
	return Finding{Kind: Certificate, Verdict: on(left < t.Certificate), Value: int64(max(left, 0) / (24 * time.Hour))}
}

func config(b *wire.Beat) Finding {
	f := Finding{Kind: Refuses}
	if c := b.Config; c != nil && c.Refused != (wire.Stamp{}) && !c.Running.Newer(c.Refused) {
		f.Verdict, f.Value, f.About = On, int64(min(c.Refused.Version, 1<<50)), about(string(c.Fault))
	}
	return f
}

// release reads a version's first two numbers: 1.4.2, v1.4.
func release(s string) (v [2]int, ok bool) {
	major, rest, _ := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	var err1, err2 error
	v[0], err1 = strconv.Atoi(major)
	v[1], err2 = strconv.Atoi(minor)
	return v, err1 == nil && err2 == nil && v[0] >= 0 && v[1] >= 0
}

// Newest returns the newest release that some of the kiosks run. One alone may be a
// trial.
func Newest(kiosks []*Kiosk) string {
	count, newest, best := map[[2]int]int{}, "", [2]int{}
	for _, k := range kiosks {
		if k.Beat == nil || k.State != qrgate.KioskActive {
			continue
		}
		v, ok := release(k.Beat.Release)
		if !ok {
			continue
		}
		if count[v]++; count[v] >= 3 && (v[0] > best[0] || v[0] == best[0] && v[1] > best[1]) {
			newest, best = k.Beat.Release, v
		}
	}
	return newest
}
