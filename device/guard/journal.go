package guard

import (
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// maxKept is how many judgments are remembered: more than a lane has in a day.
const maxKept = 20_000

// A Journal remembers in memory what the door has judged. It is a [kiosk.Witness], and
// safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	on      bool          // nothing is remembered that no page shows
	all     []kept        // oldest first
	changed chan struct{} // closed when there is more
}

// A kept is one judgment.
type kept struct {
	epoch  wire.Epoch
	h      wire.Header
	code   string
	undone bool
	read   bool // from the ledger: the code, if there was one, is gone
}

// NewJournal returns a journal in which nothing stands.
func NewJournal() *Journal { return &Journal{changed: make(chan struct{})} }

// Judged notes a judgment.
func (j *Journal) Judged(one kiosk.Judged) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.on {
		return
	}
	if len(j.all) >= maxKept {
		j.all = slices.Clone(j.all[maxKept/10:])
	}
	j.all = append(j.all, kept{epoch: one.Epoch, h: one.Header, code: one.Code})
	j.wake()
}

// Undone notes that a check-in was taken back.
func (j *Journal) Undone(epoch wire.Epoch, seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.all) - 1; i >= 0; i-- {
		if k := &j.all[i]; k.epoch == epoch && k.h.Seq == seq {
			k.undone = true
			break
		}
	}
	j.wake()
}

// follow has the journal remember, or forget all.
func (j *Journal) follow(on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.on = on; !on {
		j.all = nil
	}
	j.wake()
}

func (j *Journal) wake() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// Changed returns a channel that is closed when there is more.
func (j *Journal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// Read takes in what the ledger still holds of before this start: times and lanes, for
// who it was is sealed.
func (j *Journal) Read(q *outbox.Queue) error {
	s := q.Stats()
	from := s.First
	if s.Last > maxKept {
		from = max(from, s.Last-maxKept)
	}
	var before []kept
	undone := map[uint64]bool{}
	for from <= s.Last {
		run, err := q.Peek(from, wire.MaxBatchRecords)
		if err != nil || run.Epoch != s.Epoch || len(run.Records) == 0 {
			return err // another epoch has begun meanwhile: it says nothing of now
		}
		for _, b := range run.Records {
			r, h, err := wire.DecodeRecord(b)
			switch {
			case err != nil || h.Seq > s.Last:
			case h.Kind == wire.KindCheckin:
				epoch := run.Epoch
				if r.Origin != nil {
					epoch = *r.Origin
				}
				before = append(before, kept{epoch: epoch, h: h, read: len(r.Box) > 0})
			case h.Kind == wire.KindOrder && r.Origin == nil && h.Order.Undone != 0:
				undone[h.Order.Undone] = true
			}
		}
		from = run.End() + 1
	}
	for i := range before {
		before[i].undone = before[i].undone || before[i].epoch == s.Epoch && undone[before[i].h.Seq]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.on {
		return nil
	}
	type id struct {
		epoch wire.Epoch
		seq   uint64
	}
	known := map[id]bool{}
	for _, k := range j.all {
		known[id{k.epoch, k.h.Seq}] = true
	}
	before = slices.DeleteFunc(before, func(k kept) bool { return known[id{k.epoch, k.h.Seq}] })
	j.all = append(before, j.all...)
	j.wake()
	return nil
}

// A moment is when something was, as the kiosk knows now.
type moment struct {
	at   time.Time
	sure bool
}

// A dater says when things were.
type dater struct{ now when.Reading }

// of returns when a record was written: one of this boot by how long ago that is, so that
// a clock that was set meanwhile does not matter.
func (d dater) of(h wire.Header) moment {
	if h.Boot == d.now.Boot {
		return moment{time.UnixMilli(d.now.Wall - (d.now.Since - h.Since)).In(vietnam), sure(d.now.State)}
	}
	return moment{time.UnixMilli(h.Wall).In(vietnam), sure(h.Clock)}
}

func sure(s when.State) bool { return s == when.Synced || s == when.Holding }

// vietnam is the time on every clock of the country.
var vietnam = time.FixedZone("ICT", 7*60*60)

func dayOf(t time.Time) int64 { return (t.Unix() + 7*60*60) / (24 * 60 * 60) }

// today reports whether something counts for this day: where the time is not certain, all
// of this boot does.
func (d dater) today(h wire.Header) bool {
	m := d.of(h)
	if !sure(d.now.State) || !m.sure {
		return h.Boot == d.now.Boot
	}
	return dayOf(m.at) == dayOf(time.UnixMilli(d.now.Wall))
}

// let reports whether somebody went through who counts.
func (k kept) let() bool {
	return k.h.Verdict == wire.Admitted && !k.undone && k.h.Pass != pass.Test
}

// A lane is what one lane has counted today.
type lane struct {
	Gate    string
	Lane    uint8
	In, Out int
}

// lanes returns what each lane of this kiosk has counted today.
func (j *Journal) lanes(d dater) []lane {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []lane
	for _, k := range j.all {
		if !k.let() || !d.today(k.h) {
			continue
		}
		i := slices.IndexFunc(all, func(l lane) bool { return l.Gate == k.h.Gate && l.Lane == k.h.Lane })
		if i < 0 {
			all, i = append(all, lane{Gate: k.h.Gate, Lane: k.h.Lane}), len(all)
		}
		if k.h.Direction == wire.Out {
			all[i].Out++
		} else {
			all[i].In++
		}
	}
	return all
}

// last returns the newest judgments, newest first.
func (j *Journal) last(n int) []kept {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := slices.Clone(j.all[max(0, len(j.all)-n):])
	slices.Reverse(all)
	return all
}

// find returns a judgment of this epoch.
func (j *Journal) find(epoch wire.Epoch, seq uint64) (kept, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.all) - 1; i >= 0; i-- {
		if k := j.all[i]; k.epoch == epoch && k.h.Seq == seq {
			return k, true
		}
	}
	return kept{}, false
}

// A roll is who came in today by this kiosk and was not seen to leave by it.
type roll struct {
	Rows     []kept // newest first
	Left     int    // went out by this kiosk, and are not in Rows
	Unknown  int    // went out by it, and nobody knows which of Rows they are
	Nameless int    // of Rows: without a code
	Gone     int    // of them: whose code was lost at a restart
}

// roll calls the roll.
func (j *Journal) roll(d dater) roll {
	j.mu.Lock()
	defer j.mu.Unlock()
	var r roll
	var in []kept
	by := map[string][]int{} // codes of those who came in, and where they stand in it
	for _, k := range j.all {
		switch {
		case !k.let() || !d.today(k.h):
		case k.h.Direction != wire.Out:
			if k.code != "" {
				by[k.code] = append(by[k.code], len(in))
			}
			in = append(in, k)
		case k.code == "" || len(by[k.code]) == 0:
			r.Unknown++
		default:
			at := by[k.code]
			in[at[0]].undone = true // has left
			by[k.code] = at[1:]
			r.Left++
		}
	}
	for _, k := range slices.Backward(in) {
		if k.undone {
			continue
		}
		r.Rows = append(r.Rows, k)
		if k.code == "" {
			r.Nameless++
		}
		if k.read {
			r.Gone++
		}
	}
	return r
}
