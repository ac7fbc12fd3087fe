package area

import (
	"fmt"
	"strings"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Level is the rank of a unit.
type Level uint8

// The levels, from the whole to the part.
const (
	Province Level = 1
	District Level = 2 // until 2025-06-30
	Commune  Level = 3
)

func (l Level) String() string {
	switch l {
	case Province:
		return "province"
	case District:
		return "district"
	case Commune:
		return "commune"
	}
	return fmt.Sprintf("level %d", uint8(l))
}

// An ID names one unit for ever. The zero ID names none.
type ID struct {
	Code string     // the statistics office's: 2, 3 or 5 digits
	From qrgate.Day // first day of the list in which the code means this unit
}

// IsZero reports whether id names no unit.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the text form, 19753@2025-07-01; that of the zero ID is empty.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return id.Code + "@" + id.From.String()
}

// ParseID reads the text form of an ID. It accepts nothing that [ID.String]
// does not write, so equal units have equal texts. Whether there is such a unit
// is for [Lookup] to say. Errors are of kind [qrgate.ErrInvalid].
func ParseID(s string) (ID, error) {
	code, from, _ := strings.Cut(s, "@")
	if !validCode(code) {
		return ID{}, fmt.Errorf("area: id %.32q: %w", s, qrgate.ErrInvalid)
	}
	day, err := qrgate.ParseDay(from)
	if err != nil {
		return ID{}, fmt.Errorf("area: id %.32q: %w", s, qrgate.ErrInvalid)
	}
	return ID{code, day}, nil
}

func validCode(s string) bool {
	if len(s) != 2 && len(s) != 3 && len(s) != 5 {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Empty text is the zero ID.
func (id *ID) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	*id, err = ParseID(string(text))
	return err
}

// A Unit is a province, district or commune as one list has it. Its slices are
// shared and must not be changed.
type Unit struct {
	ID         ID
	Level      Level
	Name       string     // Phú Xuân
	FullName   string     // Phường Phú Xuân
	FullNameEN string     // Phu Xuan Ward
	Within     ID         // the next larger unit; zero for the province
	Until      qrgate.Day // last day, zero while in force

	// Units of the same level in the neighbouring lists. A district of the
	// last list that had districts has no successor: see CurrentOf.
	Predecessors []ID
	Successors   []ID
}

// InForce reports whether u is a unit of today.
func (u Unit) InForce() bool { return u.Until == 0 }

// Label returns the full name in Vietnamese; for a unit that is no longer in
// force with its last day, as in "Phường Thuận Lộc (đến 30/06/2025)", and with its
// district if a unit elsewhere has, or had, the same full name.
func (u Unit) Label() string {
	s := u.FullName
	b := all()
	if k, ok := b.byID[u.ID]; ok && b.units[k].twin {
		if in, ok := Lookup(u.Within); ok && in.Level == District {
			s += ", " + in.FullName
		}
	}
	if !u.InForce() {
		s += " (đến " + u.Until.Start().Format("02/01/2006") + ")"
	}
	return s
}

// Lookup returns the unit with this ID.
func Lookup(id ID) (Unit, bool) {
	b := all()
	k, ok := b.byID[id]
	if !ok {
		return Unit{}, false
	}
	return b.units[k].Unit, true
}

// Current returns the communes in force, in Vietnamese alphabetical order.
func Current() []Unit { return pick(func(u *entry) bool { return u.Level == Commune && u.InForce() }) }

// InForce returns the units of one level on one day, in Vietnamese alphabetical
// order. Days before the oldest list have none.
func InForce(day qrgate.Day, level Level) []Unit {
	return pick(func(u *entry) bool {
		return u.Level == level && u.ID.From <= day && (u.InForce() || day <= u.Until)
	})
}

// CurrentOf returns what stands in the place of a unit now, in Vietnamese
// alphabetical order: a unit in force is itself, a province is the province, an
// old commune is one commune, an old district is every commune that has a part
// of it. An unknown unit has none.
func CurrentOf(id ID) []Unit {
	b := all()
	k, ok := b.byID[id]
	if !ok {
		return nil
	}
	u := &b.units[k]
	if u.InForce() {
		return []Unit{u.Unit}
	}
	level := Commune
	if u.Level == Province {
		level = Province
	}
	return pick(func(v *entry) bool { return v.Level == level && v.InForce() && u.parts.meets(v.parts) })
}

// Covers reports whether the unit place lies wholly in the unit scope, whichever
// lists they are of. The package comment says what follows from the word wholly.
func Covers(scope, place ID) bool {
	b := all()
	s, ok := b.byID[scope]
	p, known := b.byID[place]
	return ok && known && b.units[p].parts.in(b.units[s].parts)
}

func pick(want func(*entry) bool) []Unit {
	var out []Unit
	b := all()
	for k := range b.units {
		if want(&b.units[k]) {
			out = append(out, b.units[k].Unit)
		}
	}
	return out
}

// A set holds numbers of communes of the oldest lists.
type set []uint64

func (s *set) add(n int) {
	for len(*s) <= n/64 {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s *set) join(t set) {
	for len(*s) < len(t) {
		*s = append(*s, 0)
	}
	for k, w := range t {
		(*s)[k] |= w
	}
}

func (s set) in(t set) bool {
	for k, w := range s {
		if k < len(t) {
			w &^= t[k]
		}
		if w != 0 {
			return false
		}
	}
	return true
}

func (s set) meets(t set) bool {
	for k := range min(len(s), len(t)) {
		if s[k]&t[k] != 0 {
			return true
		}
	}
	return false
}
