package trace_test

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
	"github.com/qrgate/qrgate/server/vault"
)

// A memory is check-ins without a database, and subjects without a key.
type memory struct {
	at     map[qrgate.Spot][]qrgate.Checkin
	of     map[subject][]qrgate.Checkin
	days   map[qrgate.Day]bool
	venues map[qrgate.Spot]trace.Venue
}

type subject struct {
	day qrgate.Day
	s   qrgate.Subject
}

func newMemory() *memory {
	return &memory{map[qrgate.Spot][]qrgate.Checkin{}, map[subject][]qrgate.Checkin{}, map[qrgate.Day]bool{}, map[qrgate.Spot]trace.Venue{}}
}

func (m *memory) tracer() *trace.Tracer { return trace.New(m, m, m) }

// add stores a check-in of a person, 0 of nobody.
func (m *memory) add(c qrgate.Checkin, person qrgate.Person) {
	if person != 0 {
		m.days[c.Day] = true
		c.Subject, _ = m.Subject(c.Day, person)
		k := subject{c.Day, c.Subject}
		m.of[k] = append(m.of[k], c)
	}
	at := qrgate.Spot{No: c.PlaceNo, Name: c.Place}
	m.at[at] = append(m.at[at], c)
}

func (m *memory) CheckinsOf(_ context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error {
	for day, s := range subjects {
		for _, c := range m.of[subject{day, s}] {
			if err := fn(&c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) CheckinsAt(_ context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	for _, c := range m.at[at] {
		if c.Earliest <= to && c.Latest >= from {
			if err := fn(&c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Subject(day qrgate.Day, p qrgate.Person) (s qrgate.Subject, err error) {
	binary.BigEndian.PutUint64(s[:], uint64(p))
	binary.BigEndian.PutUint64(s[8:], uint64(day)<<32+1)
	return s, nil
}

func (m *memory) Person(day qrgate.Day, s qrgate.Subject) (qrgate.Person, error) {
	if binary.BigEndian.Uint64(s[8:]) != uint64(day)<<32+1 {
		return 0, vault.ErrSubject
	}
	if !m.days[day] {
		return 0, vault.ErrShredded
	}
	return qrgate.Person(binary.BigEndian.Uint64(s[:])), nil
}

func (m *memory) Days() ([]qrgate.Day, error) {
	var days []qrgate.Day
	for d := range m.days {
		days = append(days, d)
	}
	slices.Sort(days)
	return days, nil
}

func (m *memory) Venues(_ context.Context, spots []qrgate.Spot) (map[qrgate.Spot]trace.Venue, error) {
	return venuesOf(m.venues, spots), nil
}

func venuesOf(all map[qrgate.Spot]trace.Venue, spots []qrgate.Spot) map[qrgate.Spot]trace.Venue {
	found := map[qrgate.Spot]trace.Venue{}
	for _, at := range spots {
		if v, ok := all[at]; ok {
			found[at] = v
		}
	}
	return found
}

// venues returns what a register would know of a province.
func venues(p *province.Province) map[qrgate.Spot]trace.Venue {
	all := map[qrgate.Spot]trace.Venue{}
	for _, pl := range p.Places() {
		all[pl.At] = trace.Venue{Dwell: trace.DwellOf(pl.Kind), Hours: pl.Hours, At: &pl.Point}
	}
	return all
}
