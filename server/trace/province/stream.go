package province

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Scan is a check-in before the vault has hidden the person.
type Scan struct {
	Person qrgate.Person // 0 of nobody
	Kiosk  int           // number, -1 of a phone
	Place  int
	True   int64 // when it was
	// Anchor is how the kiosk learnt the time in that boot; zero if it did not.
	Anchor when.Anchor
	// Checkin lacks the subject. Its day is that of its latest moment.
	Checkin qrgate.Checkin
}

// A Stream makes the check-ins of one day after another.
type Stream struct {
	p        *Province
	seqs     []uint64
	phoneSeq uint64
	passages []passage
	leaving  map[int][]passage // by day, of those who stay overnight
	scan     Scan
}

// A passage is a scan in few bytes: a day has millions.
type passage struct {
	person qrgate.Person
	at     int64
	place  int32
	gate   int16
	bring  uint8
	way    Way
	out    bool
	staff  bool
}

// Stream returns a stream that begins with day 0.
func (p *Province) Stream() *Stream {
	return &Stream{p: p, seqs: make([]uint64, len(p.kiosks)), leaving: map[int][]passage{}}
}

// PhoneID is the kiosk under which phones check in.
const PhoneID = "phones"

// Day calls fn with the check-ins of a day in the order in which they happened.
// Days must be asked for in order, each once. The scan is fn's until it returns.
func (s *Stream) Day(of int, fn func(*Scan) error) error {
	s.passages = append(s.passages[:0], s.leaving[of]...)
	delete(s.leaving, of)
	end := (s.p.o.First + qrgate.Day(of+1)).Start().UnixMilli()
	s.p.Visits(of, func(v Visit) {
		if v.Entry != Unseen {
			s.passages = append(s.passages, passage{v.Person, v.In, int32(v.Place), int16(v.gate), v.bring, v.Entry, false, v.Staff})
		}
		if v.Exit != Unseen {
			out := passage{v.Person, v.Out, int32(v.Place), int16(v.gate), 0, v.Exit, true, v.Staff}
			if v.Out < end {
				s.passages = append(s.passages, out)
			} else {
				n := int(qrgate.DayOfMilli(v.Out) - s.p.o.First)
				s.leaving[n] = append(s.leaving[n], out)
			}
		}
	})
	slices.SortFunc(s.passages, func(a, b passage) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Compare(a.person, b.person)
	})
	for i := range s.passages {
		if err := s.tell(&s.passages[i], fn); err != nil {
			return err
		}
	}
	return nil
}

// tell makes the check-ins of one passage.
func (s *Stream) tell(a *passage, fn func(*Scan) error) error {
	if a.way == ByPhone {
		return fn(s.phone(a))
	}
	pl := &s.p.places[a.place]
	doors := pl.in
	if a.out {
		doors = pl.out
	}
	no := doors[int(a.gate)%len(doors)]
	h := mix(s.p.o.Seed+5, uint64(a.person)^uint64(a.at))
	if h%50 == 0 { // somebody holds up something that is no card
		if err := fn(s.kiosk(no, a, 0, 0)); err != nil {
			return err
		}
	}
	if err := fn(s.kiosk(no, a, a.person, 0)); err != nil {
		return err
	}
	for with, n := s.seqs[no], 0; n < int(a.bring); n++ {
		if err := fn(s.kiosk(no, a, 0, with)); err != nil {
			return err
		}
	}
	return nil
}

// kiosk returns the next check-in of a kiosk.
func (s *Stream) kiosk(no int, a *passage, person qrgate.Person, with uint64) *Scan {
	k := &s.p.kiosks[no]
	s.seqs[no]++
	sc := &s.scan
	*sc = Scan{Person: person, Kiosk: no, Place: int(a.place), True: a.at}
	c := &sc.Checkin
	s.common(c, a, k.ID, uint64(no), s.seqs[no])
	c.Gate, c.Lane, c.With = k.Gate, 1, with
	c.Pass, c.Presence, c.Verdict = pass.Card, wire.Verified, wire.Admitted
	switch {
	case with != 0:
		c.Presence = wire.Claimed
	case person == 0:
		c.Verdict, c.Reason, c.Pass = wire.Refused, wire.ReasonUnknown, pass.Unknown
	case a.staff:
		c.Pass = pass.Staff
	}
	s.date(sc, k, no, a.at)
	return sc
}

func (s *Stream) common(c *qrgate.Checkin, a *passage, id string, source, seq uint64) {
	c.Kiosk, c.Seq = id, seq
	binary.BigEndian.PutUint64(c.Epoch[:], mix(s.p.o.Seed+6, source))
	binary.BigEndian.PutUint64(c.Digest[:], mix(source+1, seq))
	at := s.p.places[a.place].At
	c.PlaceNo, c.Place = at.No, at.Name
	c.Direction = wire.In
	if a.out {
		c.Direction = wire.Out
	}
}

// date says what is known of a kiosk's time. It starts anew every night, and
// learns the time at once unless it is dark.
func (s *Stream) date(sc *Scan, k *Kiosk, no int, at int64) {
	c := &sc.Checkin
	began := (s.p.o.First - 1).Start().UnixMilli() + 3*hour
	began += (at - began) / day * day
	h := mix(s.p.o.Seed+7, uint64(at)^uint64(no)<<40)
	c.Earliest, c.Latest = at-int64(h%uint64(k.error)), at+int64(h>>32%uint64(k.error))
	c.Clock, c.Error = when.Synced, k.error
	c.Received = at + 2000
	if s.p.o.Exact {
		c.Earliest, c.Latest = at, at
	}
	dark := k.dark.Latest != 0 && k.dark.Earliest <= at && at <= k.dark.Latest
	switch {
	case dark:
		began = k.dark.Earliest
		c.Earliest, c.Latest = k.dark.Earliest, k.dark.Latest
		c.Clock, c.Error, c.Received = when.Chip, 0, k.dark.Latest+10_000
	case k.dark.Latest > began && at > k.dark.Latest:
		began = k.dark.Latest
	}
	if k.away.Earliest <= at && at < k.away.Latest {
		c.Received = max(c.Received, k.away.Latest)
	}
	c.Latest = min(c.Latest, c.Received)
	c.Said = at + k.wrong
	binary.BigEndian.PutUint64(c.Boot[:], mix(uint64(no)+1, uint64(began)))
	c.Since = int64(float64(at-began) * k.drift)
	c.Day = qrgate.DayOfMilli(c.Latest)
	if !dark {
		sc.Anchor = when.Anchor{Boot: c.Boot, Server: began, Error: 2}
	}
}

// phone returns the next check-in by phone.
func (s *Stream) phone(a *passage) *Scan {
	s.phoneSeq++
	sc := &s.scan
	*sc = Scan{Person: a.person, Kiosk: -1, Place: int(a.place), True: a.at}
	c := &sc.Checkin
	s.common(c, a, PhoneID, 1<<40, s.phoneSeq)
	c.Gate, c.Lane, c.Pass, c.Level, c.Presence, c.Verdict = "poster", 1, pass.Phone, qrgate.Stated, wire.Claimed, wire.Admitted
	h := mix(s.p.o.Seed+8, uint64(a.person)^uint64(a.at))
	bound := uint64(800)
	if h%16 == 0 { // out of coverage, and told later
		bound = 2 * minute
	}
	c.Earliest, c.Latest, c.Said, c.Clock = a.at-int64(h>>8%bound), a.at+int64(h>>36%bound), a.at, when.Chip
	if s.p.o.Exact {
		c.Earliest, c.Latest = a.at, a.at
	}
	c.Received = c.Latest + 100
	if a.staff {
		c.Level = qrgate.Checked
	}
	binary.BigEndian.PutUint64(c.Boot[:], mix(s.p.o.Seed+9, 1))
	c.Since = c.Received - (s.p.o.First - 1).Start().UnixMilli()
	c.Day = qrgate.DayOfMilli(c.Latest)
	return sc
}

// Scan returns a check-in of one kiosk at a moment, for what is to happen beside
// the province's own life: seq must be a number that the kiosk has not used.
func (p *Province) Scan(kiosk int, seq uint64, person qrgate.Person, at int64) Scan {
	k := &p.kiosks[kiosk]
	s := Stream{p: p, seqs: make([]uint64, len(p.kiosks))}
	s.seqs[kiosk] = seq - 1
	return *s.kiosk(kiosk, &passage{person: person, at: at, place: int32(k.Place), out: k.Out}, person, 0)
}
