package fleet

import (
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// The grains of history: slots of samples, and how long they are kept.
const (
	Fine   = 5 * time.Minute
	Coarse = time.Hour

	KeepFine   = 48 * time.Hour
	KeepCoarse = 90 * 24 * time.Hour
)

// A Sample is how a kiosk was during one slot. A value below zero was never said.
// Shares are of a thousand. Of what shall be small it holds the largest.
type Sample struct {
	At          time.Time // the slot's begin
	Beats       int64
	Queued      int64
	Oldest      int64 // milliseconds
	Outbox      int64 // used
	Disk        int64 // used
	Memory      int64 // used
	Temperature int64 // thousandths of a degree Celsius
	RoundTrip   int64 // microseconds
	Unreadable  int64 // of a thousand frames
	Scans       int64 // in the slot
	Power       int64 // flags of the wire that were set
}

// SampleOf returns what one beat says. scans is how many the kiosk has made since
// the beat before.
func SampleOf(b *wire.Beat, at time.Time, scans int64) Sample {
	s := Sample{
		At: at, Beats: 1, Queued: int64(min(b.Queued, 1<<40)), Oldest: min(max(b.Oldest, 0), 1<<50),
		Outbox: -1, Disk: -1, Memory: -1, Temperature: -1, RoundTrip: -1, Unreadable: -1, Scans: scans, Power: -1,
	}
	if b.Limit > 0 {
		s.Outbox = thousandths(b.Used, b.Limit)
	}
	if b.DiskTotal > 0 {
		s.Disk = 1000 - thousandths(b.DiskFree, b.DiskTotal)
	}
	if b.Memory > 0 {
		s.Memory = 1000 - thousandths(b.Available, b.Memory)
	}
	if b.Temperature > 0 {
		s.Temperature = int64(min(b.Temperature, 1<<20))
	}
	if b.RoundTrip > 0 {
		s.RoundTrip = min(b.RoundTrip, 1<<40)
	}
	for _, sc := range b.Scanners {
		if sc.Scans+sc.Bad >= few {
			s.Unreadable = max(s.Unreadable, min(int64(sc.Share), 100)*10)
		}
	}
	if b.Power.Has(wire.PowerKnown) {
		s.Power = int64(b.Power)
	}
	return s
}

// Add puts another sample of the same slot into s.
func (s *Sample) Add(t Sample) {
	s.Beats += t.Beats
	s.Scans += t.Scans
	for _, of := range [][2]*int64{
		{&s.Queued, &t.Queued}, {&s.Oldest, &t.Oldest}, {&s.Outbox, &t.Outbox}, {&s.Disk, &t.Disk}, {&s.Memory, &t.Memory},
		{&s.Temperature, &t.Temperature}, {&s.RoundTrip, &t.RoundTrip}, {&s.Unreadable, &t.Unreadable},
	} {
		*of[0] = max(*of[0], *of[1])
	}
	switch {
	case s.Power < 0:
		s.Power = t.Power
	case t.Power > 0:
		s.Power |= t.Power
	}
}

// scansOf returns how many scans all scanners of a beat have made since start.
func scansOf(b *wire.Beat) int64 {
	var n uint64
	for _, s := range b.Scanners {
		n += min(s.Scans, 1<<40)
	}
	return int64(n)
}

// A Recorder gathers samples of beats, so that a kiosk that beats twice a minute
// writes two rows in five minutes. It is not safe for concurrent use.
type Recorder struct {
	of map[string]*recording
}

type recording struct {
	sample Sample
	scans  int64 // that the last beat told
	boot   [16]byte
	start  uint64
	known  bool
}

// A Recorded is a sample that is whole.
type Recorded struct {
	Kiosk string
	Sample
}

// maxRecorded bounds the kiosks of which samples are gathered. Their beats are
// verified, so there are no more than the register has.
const maxRecorded = 50_000

// Take adds a beat, and returns the sample of the slot before if that is over.
func (r *Recorder) Take(kiosk string, b *wire.Beat, now time.Time) (done Recorded, ok bool) {
	if r.of == nil {
		r.of = map[string]*recording{}
	}
	k := r.of[kiosk]
	if k == nil {
		if len(r.of) >= maxRecorded {
			return done, false
		}
		k = &recording{}
		r.of[kiosk] = k
	}
	total := scansOf(b)
	scans := int64(0)
	if k.known {
		scans = total
		if k.boot == b.Boot && k.start == b.Session>>32 && total >= k.scans {
			scans = total - k.scans
		}
	}
	k.scans, k.boot, k.start, k.known = total, b.Boot, b.Session>>32, true
	slot := now.Truncate(Fine)
	s := SampleOf(b, slot, scans)
	switch {
	case k.sample.Beats == 0:
		k.sample = s
	case k.sample.At.Equal(slot):
		k.sample.Add(s)
	default:
		done, ok = Recorded{kiosk, k.sample}, true
		k.sample = s
	}
	return done, ok
}

// Over returns the samples whose slot was over before now, and with all those that
// are not over too.
func (r *Recorder) Over(now time.Time, all bool) []Recorded {
	var done []Recorded
	slot := now.Truncate(Fine)
	for id, k := range r.of {
		if k.sample.Beats > 0 && (all || k.sample.At.Before(slot)) {
			done = append(done, Recorded{id, k.sample})
			k.sample = Sample{}
		}
	}
	return done
}
