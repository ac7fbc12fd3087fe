package area_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
)

func id(t *testing.T, s string) area.ID {
	t.Helper()
	id, err := area.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func day(t *testing.T, s string) qrgate.Day {
	t.Helper()
	d, err := qrgate.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func names(units []area.Unit) []string {
	var out []string
	for _, u := range units {
		out = append(out, u.FullName)
	}
	return out
}

func TestInForce(t *testing.T) {
	tests := []struct {
		day                           string
		provinces, districts, commune int
	}{
		{"2021-06-30", 0, 0, 0},
		{"2021-07-01", 1, 9, 141},
		{"2024-12-31", 1, 9, 141},
		{"2025-01-01", 1, 9, 133},
		{"2025-06-30", 1, 9, 133},
		{"2025-07-01", 1, 0, 40},
		{"2026-11-26", 1, 0, 40},
	}
	for _, tt := range tests {
		for level, want := range map[area.Level]int{area.Province: tt.provinces, area.District: tt.districts, area.Commune: tt.commune} {
			if got := len(area.InForce(day(t, tt.day), level)); got != want {
				t.Errorf("InForce(%s, %v): %d units, want %d", tt.day, level, got, want)
			}
		}
	}
}

// everything is each unit of each list.
func everything(t *testing.T) []area.Unit {
	t.Helper()
	seen := make(map[area.ID]bool)
	var out []area.Unit
	for _, d := range []string{"2021-07-01", "2025-01-01", "2025-07-01"} {
		for _, level := range []area.Level{area.Province, area.District, area.Commune} {
			for _, u := range area.InForce(day(t, d), level) {
				if !seen[u.ID] {
					seen[u.ID] = true
					out = append(out, u)
				}
			}
		}
	}
	return out
}

func TestEveryOldCommuneIsOneCommuneNow(t *testing.T) {
	reached := make(map[area.ID]int)
	for _, u := range area.InForce(day(t, "2021-07-01"), area.Commune) {
		now := area.CurrentOf(u.ID)
		if len(now) != 1 || now[0].Level != area.Commune || !now[0].InForce() {
			t.Errorf("CurrentOf(%v) = %v, want one commune", u.ID, names(now))
			continue
		}
		reached[now[0].ID]++
		// The chain of successors must lead to the same end.
		for at := u; ; {
			if len(at.Successors) == 0 {
				if at.ID != now[0].ID {
					t.Errorf("%v: successors end at %v, CurrentOf says %v", u.ID, at.ID, now[0].ID)
				}
				break
			}
			if len(at.Successors) != 1 {
				t.Fatalf("%v has successors %v", at.ID, at.Successors)
			}
			at, _ = area.Lookup(at.Successors[0])
		}
	}
	if len(reached) != 40 {
		t.Errorf("old communes reach %d communes, want all 40", len(reached))
	}
}

func TestEveryUnit(t *testing.T) {
	ids := func(u area.Unit, next bool) []area.ID {
		if next {
			return u.Successors
		}
		return u.Predecessors
	}
	all := everything(t)
	if len(all) != 141+133+40+9+9+2 {
		t.Errorf("%d units in all", len(all))
	}
	hue, _ := area.Lookup(id(t, "46@2025-01-01"))
	for _, u := range all {
		if got, ok := area.Lookup(u.ID); !ok || !cmp.Equal(got, u) {
			t.Errorf("Lookup(%v) = %+v, %v", u.ID, got, ok)
		}
		if !area.Covers(u.ID, u.ID) || !area.Covers(hue.ID, u.ID) {
			t.Errorf("%v is not covered by itself or the province", u.ID)
		}
		if in, ok := area.Lookup(u.Within); u.Level != area.Province && (!ok || in.Level >= u.Level || !area.Covers(in.ID, u.ID)) {
			t.Errorf("%v lies within %+v", u.ID, in)
		}
		if now := area.CurrentOf(u.ID); len(now) == 0 {
			t.Errorf("CurrentOf(%v) is empty", u.ID)
		}
		for _, next := range []bool{false, true} {
			for _, n := range ids(u, next) {
				if v, ok := area.Lookup(n); !ok || v.Level != u.Level || !slices.Contains(ids(v, !next), u.ID) {
					t.Errorf("%v and %v do not agree who follows whom", u.ID, n)
				}
			}
		}
	}
}

func TestStraddling(t *testing.T) {
	got := make(map[string][]string)
	for _, d := range area.InForce(day(t, "2021-07-01"), area.District) {
		for _, u := range area.CurrentOf(d.ID) {
			got[u.Name] = append(got[u.Name], d.ID.Code)
		}
	}
	for name, districts := range got {
		slices.Sort(districts)
		if len(districts) == 1 {
			delete(got, name)
		}
	}
	want := map[string][]string{
		"Phong Quảng": {"476", "477"},
		"Hoá Châu":    {"474", "477"},
		"Thuận An":    {"474", "478"},
		"Mỹ Thượng":   {"474", "478"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("communes in more than one district of 2021 (-want +got):\n%s", diff)
	}
}

func TestCurrentOf(t *testing.T) {
	tests := []struct {
		id   string
		want []string
	}{
		{"19753@2021-07-01", []string{"Phường Phú Xuân"}}, // was Thuận Lộc
		{"19753@2025-07-01", []string{"Phường Phú Xuân"}},
		{"20002@2021-07-01", []string{"Phường Hoá Châu"}}, // the one Hương Phong
		{"20080@2021-07-01", []string{"Xã A Lưới 4"}},     // the other
		{"483@2021-07-01", []string{"Xã Khe Tre", "Xã Long Quảng", "Xã Nam Đông"}},
		{"477@2021-07-01", []string{"Xã Đan Điền", "Phường Hoá Châu", "Phường Phong Quảng", "Xã Quảng Điền"}},
		{"46@2021-07-01", []string{"Thành phố Huế"}},
		{"46@2025-01-01", []string{"Thành phố Huế"}},
		{"19753@2021-07-02", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, names(area.CurrentOf(id(t, tt.id)))); diff != "" {
			t.Errorf("CurrentOf(%s) (-want +got):\n%s", tt.id, diff)
		}
	}
}

func TestDistrictSuccessors(t *testing.T) {
	tests := []struct {
		id   string
		want []string
	}{
		{"474@2021-07-01", []string{"474@2025-01-01", "475@2025-01-01"}},
		{"483@2021-07-01", []string{"482@2025-01-01"}},
		{"482@2025-01-01", nil},
	}
	for _, tt := range tests {
		u, _ := area.Lookup(id(t, tt.id))
		var got []string
		for _, s := range u.Successors {
			got = append(got, s.String())
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("successors of %s (-want +got):\n%s", tt.id, diff)
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		name, scope, place string
		want               bool
	}{
		{"commune of today, place of 2021", "19753@2025-07-01", "19753@2021-07-01", true},
		{"commune of today, place of January 2025", "19753@2025-07-01", "19750@2025-01-01", true},
		{"commune of today, place of a neighbour in 2021", "19789@2025-07-01", "19753@2021-07-01", false},
		{"same code, another unit", "20179@2025-07-01", "20017@2021-07-01", false},
		{"old commune, larger commune of today", "19753@2021-07-01", "19753@2025-07-01", false},
		{"old commune, one merged with it", "19753@2021-07-01", "19750@2021-07-01", false},
		{"old commune, itself in the next list", "19753@2021-07-01", "19753@2025-01-01", true},
		{"old district, commune of its list", "478@2021-07-01", "19942@2021-07-01", true},
		{"old district, commune of today wholly in it", "478@2021-07-01", "19942@2025-07-01", true},
		{"old city, Thuận An of 2021", "474@2021-07-01", "19900@2021-07-01", true},
		{"Phú Vang, Thuận An of 2021", "478@2021-07-01", "19900@2021-07-01", false},
		{"old city, straddling Thuận An of today", "474@2021-07-01", "19900@2025-07-01", false},
		{"Phú Vang, straddling Thuận An of today", "478@2021-07-01", "19900@2025-07-01", false},
		{"Thuận An of today, its part from Phú Vang", "19900@2025-07-01", "19903@2021-07-01", true},
		{"district of January 2025, Nam Đông before", "482@2025-01-01", "483@2021-07-01", true},
		{"the reverse", "483@2021-07-01", "482@2025-01-01", false},
		{"province, district", "46@2025-01-01", "474@2021-07-01", true},
		{"province as it was, commune of today", "46@2021-07-01", "20182@2025-07-01", true},
		{"commune, province", "20182@2025-07-01", "46@2025-01-01", false},
		{"unknown place", "46@2025-01-01", "99999@2025-07-01", false},
		{"unknown scope", "99999@2025-07-01", "19753@2025-07-01", false},
		{"both unknown and equal", "99999@2025-07-01", "99999@2025-07-01", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := area.Covers(id(t, tt.scope), id(t, tt.place)); got != tt.want {
				t.Errorf("Covers(%s, %s) = %v, want %v", tt.scope, tt.place, got, tt.want)
			}
		})
	}
	if area.Covers(area.ID{}, area.ID{}) {
		t.Error("the zero ID covers itself")
	}
}

func TestAlphabet(t *testing.T) {
	got := names(area.Current())
	if len(got) != 40 {
		t.Fatalf("%d communes, want 40", len(got))
	}
	// Đ follows D, and ô follows o whatever comes after it.
	for _, pair := range [][2]string{{"Phường Dương Nỗ", "Xã Đan Điền"}, {"Phường Phong Dinh", "Phường Phong Điền"}, {"Xã Long Quảng", "Xã Lộc An"}} {
		if k := slices.Index(got, pair[0]); k < 0 || got[k+1] != pair[1] {
			t.Errorf("%s is not followed by %s: %v", pair[0], pair[1], got)
		}
	}
}

func TestParseID(t *testing.T) {
	tests := []struct {
		text string
		ok   bool
	}{
		{"19753@2025-07-01", true},
		{"46@2025-01-01", true},
		{"474@2021-07-01", true},
		{"", false},
		{"19753", false},
		{"19753@", false},
		{"@2025-07-01", false},
		{"1975@2025-07-01", false},
		{"1975x@2025-07-01", false},
		{"19753@2025-7-1", false},
		{"19753@2025-02-30", false},
		{"19753@2025-07-01 ", false},
		{"19753@2025-07-01@2025-07-01", false},
		{"١٢@2025-07-01", false},
	}
	for _, tt := range tests {
		got, err := area.ParseID(tt.text)
		if tt.ok && (err != nil || got.String() != tt.text) {
			t.Errorf("ParseID(%q) = %v, %v", tt.text, got, err)
		}
		if !tt.ok && !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("ParseID(%q) = %v, %v, want ErrInvalid", tt.text, got, err)
		}
	}
}

func TestIDInJSON(t *testing.T) {
	for _, want := range []area.ID{id(t, "19753@2025-07-01"), {}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got area.ID
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s decodes to %v, %v, want %v", text, got, err, want)
		}
	}
}
