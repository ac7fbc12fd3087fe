package configs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/sync/wire"
)

// Settings are what a layer says: values by key.
type Settings map[string]string

// A LayerID names a layer. Which kiosks it is said of, package store/configs knows.
type LayerID string

// Everywhere is the layer of all kiosks.
const Everywhere LayerID = "all"

const (
	groupPrefix = "group:"
	placePrefix = "place:"
	kioskPrefix = "kiosk:"
)

// Group is the layer of a group's kiosks.
func Group(id int64) LayerID { return LayerID(groupPrefix + strconv.FormatInt(id, 10)) }

// Place is the layer of a place's kiosks.
func Place(no uint32) LayerID { return LayerID(placePrefix + strconv.FormatUint(uint64(no), 10)) }

// Kiosk is the layer of one kiosk.
func Kiosk(id string) LayerID { return LayerID(kioskPrefix + id) }

// OfOne reports whether a layer is said of one kiosk or of the kiosks of one place.
func (l LayerID) OfOne() bool {
	return strings.HasPrefix(string(l), placePrefix) || strings.HasPrefix(string(l), kioskPrefix)
}

// Group returns the group of a group's layer.
func (l LayerID) Group() (id int64, ok bool) {
	n, found := strings.CutPrefix(string(l), groupPrefix)
	id, err := strconv.ParseInt(n, 10, 64)
	return id, found && err == nil
}

// Place returns the place of a place's layer.
func (l LayerID) Place() (no uint32, ok bool) {
	n, found := strings.CutPrefix(string(l), placePrefix)
	id, err := strconv.ParseUint(n, 10, 32)
	return uint32(id), found && err == nil
}

// Kiosk returns the kiosk of a kiosk's layer.
func (l LayerID) Kiosk() (id string, ok bool) { return strings.CutPrefix(string(l), kioskPrefix) }

// Where values come from that no layer says.
const (
	ByDefault  LayerID = "default"  // the setting's own
	Registered LayerID = "register" // the place's name as it is registered
	OwnFile    LayerID = "file"     // the kiosk's own file says it, or nobody
)

// A Layer is what one layer says.
type Layer struct {
	ID       LayerID
	Settings Settings
}

// A Value is what is in force of a setting, and who says it.
type Value struct {
	Setting
	Value string // "" if From is OwnFile
	From  LayerID
}

// Effective returns a value for each setting, in the order of [All]. The last layer
// that says one counts. place is the name of the place where the kiosk stands.
func Effective(place string, layers ...Layer) []Value {
	values := make([]Value, len(all))
	for i, s := range all {
		v := Value{Setting: s, From: OwnFile}
		switch {
		case s.Key == "door.place" && place != "":
			v.Value, v.From = place, Registered
		case s.Default != "":
			v.Value, v.From = s.Default, ByDefault
		}
		for _, l := range layers {
			if said := l.Settings[s.Key]; said != "" {
				v.Value, v.From = said, l.ID
			}
		}
		values[i] = v
	}
	return values
}

// ErrUnsaid is returned for a kiosk of which something has to be said first: it runs
// with its own file until then.
var ErrUnsaid = errors.New("not said")

// Document makes a kiosk's document, without a stamp. The error begins with a
// setting's name and a colon, or is several of these joined; it is [ErrUnsaid] for one
// that is needed.
func Document(kiosk string, values []Value) (*wire.ConfigDoc, error) {
	d := &wire.ConfigDoc{V: wire.Version, Kiosk: kiosk}
	var errs []error
	for _, v := range values {
		if v.Value != "" {
			v.put(d, v.Value)
		} else if v.Needed {
			errs = append(errs, fmt.Errorf("%s: %w", v.short(), ErrUnsaid))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// short is the setting's name in Validate's errors.
func (s Setting) short() string {
	table, name, _ := strings.Cut(s.Key, ".")
	if table == "server" {
		return "server_" + name
	}
	return name
}

// Blamed returns the settings that an error of [Document], or a kiosk's word for one,
// begins its lines with.
func Blamed(err string) []Setting {
	var blamed []Setting
	for _, line := range strings.FieldsFunc(err, func(r rune) bool { return r == '\n' || r == ';' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if i := slices.IndexFunc(all, func(s Setting) bool { return s.short() == name }); i >= 0 {
			blamed = append(blamed, all[i])
		}
	}
	return blamed
}

// Said returns what a document says, by key.
func Said(d *wire.ConfigDoc) Settings {
	said := Settings{}
	for _, s := range all {
		if v := s.get(d); v != "" {
			said[s.Key] = v
		}
	}
	return said
}

// A Change is a setting that two layers or documents say otherwise; "" is not said.
type Change struct {
	Setting
	Before, After string
}

// Diff returns what differs, in the order of [All].
func Diff(before, after Settings) []Change {
	var changes []Change
	for _, s := range all {
		if b, a := before[s.Key], after[s.Key]; b != a {
			changes = append(changes, Change{s, b, a})
		}
	}
	return changes
}

// Known returns the settings of s that this release knows, and Others the rest, which
// a later one has said.
func (s Settings) Known() Settings {
	known := maps.Clone(s)
	maps.DeleteFunc(known, func(key, _ string) bool { _, ok := Of(key); return !ok })
	return known
}

// Others returns the settings of s that this release does not know.
func (s Settings) Others() Settings {
	others := maps.Clone(s)
	maps.DeleteFunc(others, func(key, _ string) bool { _, ok := Of(key); return ok })
	return others
}
