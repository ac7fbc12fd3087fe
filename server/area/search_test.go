package area_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/area"
)

// found writes matches as a list shows them.
func found(matches []area.Match) []string {
	var out []string
	for _, m := range matches {
		s := m.Unit.Label()
		if !m.Unit.InForce() {
			s += " → " + strings.Join(names(m.Current), ", ")
		}
		out = append(out, s)
	}
	return out
}

func TestSearch(t *testing.T) {
	thuanLoc := []string{"Phường Thuận Lộc (đến 30/06/2025) → Phường Phú Xuân"}
	tests := []struct {
		text   string
		levels []area.Level
		limit  int
		want   []string
	}{
		{"thuan loc", nil, 5, thuanLoc},
		{"  THUAN   LOC ", nil, 5, thuanLoc},
		{"Phường Thuận Lộc, TP. Huế, tỉnh Thừa Thiên Huế", nil, 5, thuanLoc},
		{norm.NFD.String("Phường Thuận Lộc"), nil, 5, thuanLoc},
		{"p. phu xuan", []area.Level{area.Commune}, 5, []string{"Phường Phú Xuân", "Xã Phú Xuân (đến 30/06/2025) → Xã Phú Hồ"}},
		{"P.Phú Xuân", nil, 1, []string{"Phường Phú Xuân"}},
		{"q. phu xuan", nil, 1, []string{"Quận Phú Xuân (đến 30/06/2025) → Phường Hoá Châu, Phường Hương An, Phường Kim Long, Phường Phú Xuân"}},
		{"xã phú xuân", nil, 1, []string{"Xã Phú Xuân (đến 30/06/2025) → Xã Phú Hồ"}},
		// Both spellings of the tone, and the other word that is typed the same without marks.
		{"Thuận Hoá", []area.Level{area.Commune}, 5, []string{"Phường Thuận Hoá", "Phường Thuận Hòa (đến 30/06/2025) → Phường Phú Xuân"}},
		{"Thuận Hóa", []area.Level{area.Commune}, 5, []string{"Phường Thuận Hoá", "Phường Thuận Hòa (đến 30/06/2025) → Phường Phú Xuân"}},
		{"thuận hòa", []area.Level{area.Commune}, 5, []string{"Phường Thuận Hòa (đến 30/06/2025) → Phường Phú Xuân", "Phường Thuận Hoá"}},
		// Two communes had one name, and one of them became a ward.
		{"huong phong", nil, 5, []string{
			"Phường Hương Phong (đến 30/06/2025) → Phường Hoá Châu",
			"Xã Hương Phong, Huyện A Lưới (đến 30/06/2025) → Xã A Lưới 4",
			"Xã Hương Phong, Thành phố Huế (đến 31/12/2024) → Phường Hoá Châu",
		}},
		{"xã Hương Phong, A Lưới", nil, 1, []string{"Xã Hương Phong, Huyện A Lưới (đến 30/06/2025) → Xã A Lưới 4"}},
		{"xa huong phong, tp hue", nil, 1, []string{"Xã Hương Phong, Thành phố Huế (đến 31/12/2024) → Phường Hoá Châu"}},
		{"thi tran a luoi", nil, 1, []string{"Thị trấn A Lưới (đến 30/06/2025) → Xã A Lưới 2"}},
		{"lang co", nil, 5, []string{"Thị trấn Lăng Cô (đến 30/06/2025) → Xã Chân Mây - Lăng Cô", "Xã Chân Mây - Lăng Cô"}},
		{"chan may lang co", nil, 5, []string{"Xã Chân Mây - Lăng Cô"}},
		{"dan dien", nil, 5, []string{"Xã Đan Điền"}},
		{"phường đúc", nil, 5, []string{"Phường Phường Đúc (đến 30/06/2025) → Phường Thuận Hoá"}},
		{"p. duc", nil, 5, []string{"Phường Phường Đúc (đến 30/06/2025) → Phường Thuận Hoá"}},
		{"phường thuận an", nil, 1, []string{"Phường Thuận An"}},
		{"nam dong", []area.Level{area.Commune}, 2, []string{"Xã Nam Đông"}},
		{"nam dong", []area.Level{area.District}, 2, []string{"Huyện Nam Đông (đến 31/12/2024) → Xã Khe Tre, Xã Long Quảng, Xã Nam Đông"}},
		{"thua thien", nil, 2, []string{"Tỉnh Thừa Thiên Huế (đến 31/12/2024) → Thành phố Huế"}},
		{"hue", nil, 1, []string{"Thành phố Huế"}},
		{"kim", []area.Level{area.Commune}, 2, []string{"Phường Kim Long", "Phường Kim Trà"}},
		{"Sài Gòn", nil, 5, nil},
		{"", nil, 5, nil},
		{" .,- ", nil, 5, nil},
		{"hue", nil, 0, nil},
		{"hue", nil, -1, nil},
		{strings.Repeat("hue ", 100), nil, 5, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, found(area.Search(tt.text, tt.limit, tt.levels...))); diff != "" {
			t.Errorf("Search(%.40q, %d, %v) (-want +got):\n%s", tt.text, tt.limit, tt.levels, diff)
		}
	}
}

func TestSearchRanks(t *testing.T) {
	// Exact, prefix, prefix of a word, and in the middle of a word.
	rank := func(name string) int {
		switch name = area.Fold(name); {
		case name == "thuy":
			return 0
		case strings.HasPrefix(name, "thuy"):
			return 1
		case strings.Contains(name, " thuy"):
			return 2
		}
		return 3
	}
	last := 0
	for _, m := range area.Search("thuy", 100) {
		if r := rank(m.Unit.Name); r < last {
			t.Errorf("%s comes after worse matches", m.Unit.Label())
		} else {
			last = r
		}
	}
	if last < 2 {
		t.Errorf("worst rank found is %d: the test shows nothing", last)
	}
}

func TestEveryNameIsFound(t *testing.T) {
	for _, u := range everything(t) {
		for _, text := range []string{u.FullName, strings.ToUpper(u.FullName), area.Fold(u.FullName), u.Name, norm.NFD.String(u.Name)} {
			ok := false
			for _, m := range area.Search(text, 10) {
				same := m.Unit.Level == u.Level && area.Fold(m.Unit.FullName) == area.Fold(u.FullName)
				ok = ok || same && cmp.Equal(m.Current, area.CurrentOf(u.ID))
			}
			if !ok {
				t.Errorf("Search(%q) does not lead where %v leads", text, u.ID)
			}
		}
	}
}

func TestFold(t *testing.T) {
	tests := []struct{ text, want string }{
		{"Phường Thuận Hoá", "phuong thuan hoa"},
		{"Phường Thuận Hóa", "phuong thuan hoa"},
		{norm.NFD.String("Đường Điện Biên Phủ"), "duong dien bien phu"},
		{"  A \t Lưới\n2 ", "a luoi 2"},
		{"Chân Mây - Lăng Cô", "chan may - lang co"},
		{"a\u00a0b\u200bc\u0000d", "a bcd"},
		{"broken \xff text", "broken text"},
		{"ƯƠNG ÝỲỶỸỴ", "uong yyyyy"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := area.Fold(tt.text); got != tt.want {
			t.Errorf("Fold(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	for _, text := range []string{"p", "phu", "Phường Thuận Hoá, TP. Huế"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				area.Search(text, 10)
			}
		})
	}
}

func BenchmarkAt(b *testing.B) {
	for b.Loop() {
		area.At(16.4698, 107.5796)
	}
}
