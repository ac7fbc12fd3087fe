package trace

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/when"
)

func (t *Tracer) stays(ctx context.Context, person qrgate.Person, from, to qrgate.Day, rules Rules) ([]Stay, error) {
	// A check-in's day is that of the latest moment at which it may have been, and
	// a stay may have begun weeks before: all days are asked.
	days, err := t.persons.Days()
	if err != nil {
		return nil, err
	}
	subjects := make(map[qrgate.Day]qrgate.Subject, len(days))
	for _, day := range days {
		switch s, err := t.persons.Subject(day, person); {
		case err == nil:
			subjects[day] = s
		case !errors.Is(err, vault.ErrShredded): // a moment ago
			return nil, err
		}
	}
	by := map[qrgate.Spot]*reading{}
	var spots []qrgate.Spot
	err = t.rows.CheckinsOf(ctx, subjects, func(c *qrgate.Checkin) error {
		if !letIn(c) {
			return nil
		}
		at := spotOf(c)
		if by[at] == nil {
			by[at] = newReading()
			by[at].at = at
			spots = append(spots, at)
		}
		by[at].add(c, person)
		return nil
	})
	if err != nil || len(spots) == 0 {
		return nil, err
	}
	venues, err := t.places.Venues(ctx, spots)
	if err != nil {
		return nil, err
	}
	points := map[qrgate.Spot]*qrgate.Point{}
	var stays []Stay
	for _, at := range spots {
		venue := venueIn(venues, at)
		points[at] = venue.At
		some, err := t.staysAt(ctx, by[at], venue, &rules)
		if err != nil {
			return nil, err
		}
		stays = append(stays, some...)
	}
	slices.SortFunc(stays, func(a, b Stay) int {
		return cmp.Or(cmp.Compare(a.In.Earliest, b.In.Earliest), cmp.Compare(a.Out.Earliest, b.Out.Earliest), a.Entry.compare(b.Entry), a.Exit.compare(b.Exit))
	})
	doubtTravel(stays, points)
	elsewhere(stays, points, &rules)
	start, end := from.Start().UnixMilli(), (to + 1).Start().UnixMilli()
	return slices.DeleteFunc(stays, func(s Stay) bool { return s.Out.Latest < start || s.In.Earliest >= end }), nil
}

// staysAt returns a person's stays at one place.
func (t *Tracer) staysAt(ctx context.Context, r *reading, venue Venue, rules *Rules) ([]Stay, error) {
	from, to := unbounded, -unbounded
	for i := range r.events {
		from, to = min(from, r.events[i].earliest), max(to, r.events[i].latest)
	}
	m := mason{venue: venue, calendar: newCalendar(venue.Hours, from, to)}
	r.sort()
	r.suspect(&m.calendar, rules)
	if err := t.suspectCrowd(ctx, r, &m.calendar, rules); err != nil {
		return nil, err
	}
	var stays []Stay
	for _, f := range m.build(r.events, r.details) {
		stays = append(stays, f.stay(r.events[0].person, r))
	}
	return stays, nil
}

// suspectCrowd marks a person's events that were among a crowd while the place was
// closed. A burst is not looked for: that takes a query for each check-in, and
// [Tracer.Contacts] finds it in what it reads anyway.
func (t *Tracer) suspectCrowd(ctx context.Context, r *reading, c *calendar, rules *Rules) error {
	var windows []when.Interval
	for i := range r.events {
		in := when.Interval{Earliest: r.events[i].earliest, Latest: r.events[i].latest}
		if c.closed(in, shut) {
			windows = append(windows, when.Interval{Earliest: in.Earliest - crowdFor, Latest: in.Latest + crowdFor})
		}
	}
	if len(windows) == 0 {
		return nil
	}
	all := readings.Get().(*reading)
	defer readings.Put(all)
	all.reset(r.at)
	if err := all.read(ctx, t.rows, t.persons, merged(windows), nil); err != nil {
		return err
	}
	all.sort()
	doubts := map[ID]Doubt{}
	for _, s := range all.suspect(c, rules) {
		doubts[s.ID] = s.Doubt
	}
	for i := range r.events {
		d := &r.details[r.events[i].detail]
		if why := doubts[d.id]; why != "" && d.doubt == "" {
			d.doubt, d.out = why, !rules.counts(d.id)
			r.events[i].doubt = d.out
		}
	}
	return nil
}

// doubtTravel marks the stays of one person that nobody can have travelled
// between.
func doubtTravel(stays []Stay, points map[qrgate.Spot]*qrgate.Point) {
	var all []sighting
	for i := range stays {
		all = sightingsOf(all, &stays[i], i, points[stays[i].At])
	}
	journeys(all, func(wrong, _ *sighting, _ float64, _ int64) { stays[wrong.stay].doubt(Impossible) })
}

// elsewhere narrows what nobody saw by where else the person was seen: whoever
// is at a place far away has left.
func elsewhere(stays []Stay, points map[qrgate.Spot]*qrgate.Point, rules *Rules) {
	var all []sighting
	for i := range stays {
		if s := &stays[i]; rules.Believes(s) {
			all = sightingsOf(all, s, i, points[s.At])
		}
	}
	for i := range stays {
		s := &stays[i]
		point := points[s.At]
		if point == nil || !s.Inferred && !s.NoEntry {
			continue
		}
		for _, a := range all {
			if a.at == s.At || metres(*point, *a.point) < 2*near {
				continue
			}
			if s.Inferred && a.when.Earliest >= s.Out.Earliest && a.when.Earliest >= s.In.Latest {
				s.Out.Latest = max(s.Out.Earliest, min(s.Out.Latest, a.when.Latest))
			}
			if s.NoEntry && a.when.Latest <= s.In.Latest && a.when.Latest <= s.Out.Earliest {
				s.In.Earliest = min(s.In.Latest, max(s.In.Earliest, a.when.Earliest))
			}
		}
	}
}

func (t *Tracer) visitors(ctx context.Context, at qrgate.Spot, from, to int64, rules Rules) ([]Stay, error) {
	venues, err := t.places.Venues(ctx, []qrgate.Spot{at})
	if err != nil {
		return nil, err
	}
	m := mason{venue: venueIn(venues, at)}
	m.calendar = newCalendar(m.venue.Hours, from, to)
	r := readings.Get().(*reading)
	defer readings.Put(r)
	r.reset(at)
	in := when.Interval{Earliest: from, Latest: to}
	if err := r.read(ctx, t.rows, t.persons, []when.Interval{reach(&m.venue, &m.calendar, in)}, nil); err != nil {
		return nil, err
	}
	r.sort()
	r.suspect(&m.calendar, &rules)
	var stays []Stay
	r.eachPerson(func(events []event) {
		for _, f := range m.build(events, r.details) {
			if f.out.latest >= from && f.in.earliest <= to && !f.doubtful(r) {
				stays = append(stays, f.stay(events[0].person, r))
			}
		}
	})
	slices.SortFunc(stays, func(a, b Stay) int {
		return cmp.Or(cmp.Compare(a.In.Earliest, b.In.Earliest), cmp.Compare(a.Person, b.Person))
	})
	return stays, nil
}
