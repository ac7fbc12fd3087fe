package movement

import (
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Least is how many different people a figure counts at least.
const Least = 10

// KeepFor is how long figures are kept: a year, and a month to compare it with
// the one before.
const KeepFor = 400 * 24 * time.Hour

// A Span is the part of a day that a figure or a question is about: an hour, a
// part of the day, or all of it. The numbers stand in the database.
type Span uint8

// The spans beside the hours, which are 0 to 23.
const (
	Night     Span = 24 // before 6
	Morning   Span = 25 // before 11
	Noon      Span = 26 // before 14
	Afternoon Span = 27 // before 18
	Evening   Span = 28
	AllDay    Span = 29
)

// begins are the hours in which the parts of a day begin.
var begins = [...]int{0, 6, 11, 14, 18, 24}

// Parts returns the parts of a day in their order.
func Parts() []Span { return []Span{Night, Morning, Noon, Afternoon, Evening} }

// Within returns the part of the day in which an hour lies; of anything else it
// returns the day.
func (s Span) Within() Span {
	if s >= Night {
		return AllDay
	}
	part := Night
	for int(s) >= begins[part-Night+1] {
		part++
	}
	return part
}

// Hours returns the first hour of a span and the one after its last.
func (s Span) Hours() (from, until int) {
	switch {
	case s < Night:
		return int(s), int(s) + 1
	case s < AllDay:
		return begins[s-Night], begins[s-Night+1]
	}
	return 0, 24
}

// Covers reports whether t lies wholly within s.
func (s Span) Covers(t Span) bool {
	from, until := s.Hours()
	first, last := t.Hours()
	return from <= first && last <= until
}

// A Figure is how many different people did something on one day. Empty ids and
// [AllDay] mean that it is of several, which are not named: of what was left when
// the others had figures of their own.
type Figure struct {
	From   string // commune that they came from, of a move
	To     string // commune that they came to
	Sector string // of the place that they came to
	Span   Span   // when they came
	People int
}

// A Query says which figures are asked for. The zero Query is for none; [Any] for
// all.
type Query struct {
	From, To Set
	// Touching are communes of which one must be at either end.
	Touching Set
	Sector   Set
	Span     Span
}

// Any is the query for everything.
func Any() Query { return Query{From: All, To: All, Touching: All, Sector: All, Span: AllDay} }

// A Set is some ids, or all.
type Set struct {
	all bool
	ids []string
}

// All holds every id, and what has none.
var All = Set{all: true}

// Of returns the set of these ids.
func Of(ids ...string) Set { return Set{ids: ids} }

// Has reports whether id is in the set. What has no id is in no set but [All].
func (s Set) Has(id string) bool { return s.all || id != "" && slices.Contains(s.ids, id) }

// IsAll reports whether the set holds everything.
func (s Set) IsAll() bool { return s.all }

// IDs returns the ids of a set that is not [All].
func (s Set) IDs() []string { return s.ids }

// Holds reports whether a figure lies wholly within the query. One that lies in
// it in part does not count.
func (q Query) Holds(f Figure) bool {
	return q.From.Has(f.From) && q.To.Has(f.To) && q.Sector.Has(f.Sector) && q.Span.Covers(f.Span) &&
		(q.Touching.Has(f.From) || q.Touching.Has(f.To))
}

// Sum returns how many people the figures within a query count: none, or at least
// [Least].
func Sum(figures []Figure, q Query) int {
	n := 0
	for _, f := range figures {
		if q.Holds(f) {
			n += f.People
		}
	}
	return n
}

// A Day is what was counted of one day.
type Day struct {
	Day      qrgate.Day
	Arrivals []Figure // without From
	Moves    []Figure
	Crowds   []Crowd // in the order of places

	// How many check-ins there were, how many had no sure hour, and how many
	// were doubted, to the nearest ten.
	Checkins, Unsure, Doubted int
}

// A Crowd is how full a place was through a day.
type Crowd struct {
	Place uint32
	// People are how many were there at the end of each quarter of an hour, to
	// the nearest five; 0 where they were fewer than [Least].
	People [Quarters]uint32
}

// Quarters is how many quarters of an hour a day has.
const Quarters = 96

// Peak returns the greatest figure of a crowd and its quarter.
func (c *Crowd) Peak() (people uint32, quarter int) {
	for q, n := range c.People {
		if n > people {
			people, quarter = n, q
		}
	}
	return people, quarter
}
