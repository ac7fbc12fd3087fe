package configs_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/fleet/configs"
)

func layer(id configs.LayerID, pairs ...string) configs.Layer {
	l := configs.Layer{ID: id, Settings: configs.Settings{}}
	for i := 0; i < len(pairs); i += 2 {
		l.Settings[pairs[i]] = pairs[i+1]
	}
	return l
}

func from(values []configs.Value, key string) string {
	for _, v := range values {
		if v.Key == key {
			return v.Value + " of " + string(v.From)
		}
	}
	return ""
}

func TestTheLastLayerThatSaysASettingCounts(t *testing.T) {
	everywhere := layer(configs.Everywhere, "door.help_line", "19001075", "sound.volume", "80", "door.repeat", "5")
	group := layer(configs.Group(3), "door.help_line", "115", "sound.quiet", "22:00-06:00")
	place := layer(configs.Place(7), "door.help_line", "0234 3822 999", "sound.volume", "")
	kiosk := layer(configs.Kiosk("gate-0001"), "door.gate", "A1", "door.direction", "in")
	for _, tt := range []struct {
		layers []configs.Layer
		want   map[string]string
	}{
		{nil, map[string]string{"door.help_line": " of file", "door.place": "Chợ Đông Ba of register", "door.repeat": "4 of default", "sound.volume": " of file", "door.gate": " of file"}},
		{[]configs.Layer{everywhere}, map[string]string{"door.help_line": "19001075 of all", "sound.volume": "80 of all", "door.repeat": "5 of all"}},
		{[]configs.Layer{everywhere, group}, map[string]string{"door.help_line": "115 of group:3", "sound.quiet": "22:00-06:00 of group:3", "sound.volume": "80 of all"}},
		{[]configs.Layer{everywhere, group, place, kiosk}, map[string]string{"door.help_line": "0234 3822 999 of place:7", "sound.volume": "80 of all", "door.gate": "A1 of kiosk:gate-0001"}},
		{[]configs.Layer{layer(configs.Place(7), "door.place", "Chợ", "of.later", "x")}, map[string]string{"door.place": "Chợ of place:7"}},
	} {
		values := configs.Effective("Chợ Đông Ba", tt.layers...)
		for key, want := range tt.want {
			if got := from(values, key); got != want {
				t.Errorf("%d layers: %s = %q, want %q", len(tt.layers), key, got, want)
			}
		}
	}
}

func TestDocumentIsWhatTheKioskWouldTake(t *testing.T) {
	kiosk := layer(configs.Kiosk("gate-0001"), "door.gate", "A1", "door.direction", "in")
	for _, tt := range []struct {
		name   string
		layers []configs.Layer
		blamed string // settings, or "" if there is a document
		unsaid bool
	}{
		{"nothing is said", nil, "door.gate door.direction", true},
		{"no direction", []configs.Layer{layer(configs.Kiosk("gate-0001"), "door.gate", "A1")}, "door.direction", true},
		{"enough", []configs.Layer{kiosk}, "", false},
		{"all", []configs.Layer{layer(configs.Everywhere, "server.url", "tls://a:8883", "server.name", "a", "sound.on", "yes", "sound.volume", "0", "sound.in_quiet", "nothing",
			"sound.quiet", "22:00-06:00", "screen.companions", "no", "screen.explain", "8", "door.on_fault", "refuse", "cards.stale_list", "refuse", "cards.stale_days", "7"), kiosk}, "", false},
		{"a way out that holds people in", []configs.Layer{layer(configs.Everywhere, "door.on_fault", "refuse"), layer(configs.Kiosk("gate-0001"), "door.gate", "A1", "door.direction", "out")}, "door.on_fault", false},
		{"refusing for an old list where nobody is refused", []configs.Layer{layer(configs.Everywhere, "cards.stale_list", "refuse"), kiosk}, "cards.stale_list", false},
		{"no address", []configs.Layer{layer(configs.Everywhere, "server.url", "http://a"), kiosk}, "server.url", false},
	} {
		doc, err := configs.Document("gate-0001", configs.Effective("Chợ Đông Ba", tt.layers...))
		if (err == nil) != (tt.blamed == "") || errors.Is(err, configs.ErrUnsaid) != tt.unsaid {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if err == nil {
			if err := doc.Validate(); err != nil {
				t.Errorf("%s: a document that is not valid: %v", tt.name, err)
			}
			continue
		}
		var blamed []string
		for _, s := range configs.Blamed(err.Error()) {
			blamed = append(blamed, s.Key)
		}
		if got := strings.Join(blamed, " "); got != tt.blamed {
			t.Errorf("%s: %q is blamed, want %q (%v)", tt.name, got, tt.blamed, err)
		}
	}
}

// values that a setting has, whoever says them.
var values = map[string][]string{
	"door.place": {"Chợ", "Bến xe"}, "door.gate": {"A1", "B2"}, "door.lane": {"0", "3"}, "door.direction": {"in", "out"},
	"door.on_fault": {"admit_unrecorded", "refuse"}, "door.accept": {"card", "card,cccd,typed"}, "door.repeat": {"1", "60"}, "door.reset": {"1", "30"},
	"door.help_line": {"115", "19001075"}, "cards.stale_list": {"admit", "refuse"}, "door.near_full": {"50", "100"}, "cards.stale_days": {"1", "366"}, "screen.explain": {"1", "30"}, "lease.days": {"1", "366"},
	"screen.companions": {"yes", "no"}, "guard.on": {"yes", "no"}, "sound.on": {"yes", "no"}, "sound.volume": {"0", "100"}, "sound.quiet": {"22:00-06:00", "00:01-00:02"},
	"sound.in_quiet": {"tone", "nothing"}, "server.url": {"tls://a:1", "tls://b:2"}, "server.name": {"a", "b"},
}

// Whatever layers say: what counts is said by the last of them, a document says what
// counts, is valid, and each value is read as it was kept.
func TestWhateverLayersSay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	made := 0
	for range 3000 {
		ids := []configs.LayerID{configs.Everywhere, configs.Group(1), configs.Place(2), configs.Kiosk("gate-0001")}
		layers, want := []configs.Layer{}, configs.Settings{}
		for _, id := range ids {
			l := configs.Layer{ID: id, Settings: configs.Settings{}}
			for key, v := range values {
				if random.IntN(3) == 0 {
					l.Settings[key] = v[random.IntN(2)]
					want[key] = l.Settings[key]
				}
			}
			layers = append(layers, l)
		}
		got := configs.Effective("", layers...)
		for _, v := range got {
			if said, ok := want[v.Key]; ok && v.Value != said || !ok && v.From != configs.ByDefault && v.From != configs.OwnFile {
				t.Fatalf("%s = %q of %s, want %q", v.Key, v.Value, v.From, said)
			}
			if again, ok := v.Read(v.Value); !ok || again != v.Value {
				t.Fatalf("%s: %q is read as %q, %t", v.Key, v.Value, again, ok)
			}
			if v.Value != "" {
				want[v.Key] = v.Value
			}
		}
		doc, err := configs.Document("gate-0001", got)
		if err != nil {
			continue
		}
		made++
		if err := doc.Validate(); err != nil {
			t.Fatalf("made what the kiosk refuses: %v", err)
		}
		if diff := cmp.Diff(want, configs.Said(doc)); diff != "" {
			t.Fatalf("document says otherwise than layers (-layers +document):\n%s", diff)
		}
		if len(configs.Diff(want, configs.Said(doc))) != 0 {
			t.Fatal("Diff sees a difference")
		}
	}
	if made < 300 {
		t.Errorf("only %d documents were made: the test proves little", made)
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		key, typed, want string
		ok               bool
	}{
		{"sound.volume", " 080 ", "80", true}, {"sound.volume", "101", "", false}, {"sound.volume", "-1", "", false}, {"sound.volume", "", "", true},
		{"sound.quiet", "22h-6h30", "22:00-06:30", true}, {"sound.quiet", "22:00 – 06:00", "22:00-06:00", true}, {"sound.quiet", "22:00", "", false}, {"sound.quiet", "24:00-06:00", "", false}, {"sound.quiet", "06:00-06:00", "", false},
		{"door.accept", "cccd,card", "card,cccd", true}, {"door.accept", "card,card", "", false}, {"door.accept", "card,poster", "", false},
		{"door.direction", "up", "", false}, {"door.gate", "Cổng phía đông số 1", "", false}, {"door.gate", "A\x00", "", false}, {"door.gate", "\xff", "", false},
		{"door.help_line", "0234 3822 999", "0234 3822 999", true}, {"screen.companions", "maybe", "", false},
	} {
		s, known := configs.Of(tt.key)
		got, ok := s.Read(tt.typed)
		if !known || ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: Read(%q) = %q, %t, want %q, %t", tt.key, tt.typed, got, ok, tt.want, tt.ok)
		}
	}
	if len(configs.All()) != len(values) {
		t.Errorf("%d settings, values of %d", len(configs.All()), len(values))
	}
}

func FuzzRead(f *testing.F) {
	for key, v := range values {
		f.Add(key, v[0])
	}
	f.Fuzz(func(t *testing.T, key, typed string) {
		s, known := configs.Of(key)
		if !known {
			return
		}
		v, ok := s.Read(typed)
		if !ok {
			return
		}
		if again, ok := s.Read(v); !ok || again != v {
			t.Errorf("%s: %q is read as %q, and that as %q, %t", key, typed, v, again, ok)
		}
		doc, err := configs.Document("gate-0001", configs.Effective("Chợ", layer(configs.Kiosk("gate-0001"), "door.gate", "A1", "door.direction", "in"), layer("last", key, v)))
		if err == nil && v != "" && configs.Said(doc)[key] != v {
			t.Errorf("%s: %q is said as %q", key, v, configs.Said(doc)[key])
		}
	})
}

func TestLayersHaveNames(t *testing.T) {
	if id, ok := configs.Group(7).Group(); id != 7 || !ok {
		t.Error("group")
	}
	if no, ok := configs.Place(7).Place(); no != 7 || !ok {
		t.Error("place")
	}
	if id, ok := configs.Kiosk("gate-0001").Kiosk(); id != "gate-0001" || !ok {
		t.Error("kiosk")
	}
	if _, ok := configs.Everywhere.Place(); ok || configs.Everywhere.OfOne() || configs.Group(7).OfOne() || !configs.Place(7).OfOne() {
		t.Error("kinds of layer")
	}
}
