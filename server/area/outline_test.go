package area_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/area"
)

func TestAt(t *testing.T) {
	tests := []struct {
		name     string
		lat, lon float64
		want     string // empty for nowhere
	}{
		{"the Citadel", 16.4698, 107.5796, "Phường Phú Xuân"},
		{"south bank, Tràng Tiền bridge", 16.4656, 107.5905, "Phường Thuận Hoá"},
		{"Lăng Cô", 16.2300, 108.0800, "Xã Chân Mây - Lăng Cô"},
		{"Hòn Sơn Chà, an island", 16.2170, 108.2044, "Xã Chân Mây - Lăng Cô"},
		{"Phú Bài airport", 16.4017, 107.7026, "Phường Phú Bài"},
		{"the sea", 16.6, 107.9, ""},
		{"Đà Nẵng", 16.0544, 108.2022, ""},
		{"Hà Nội", 21.03, 105.85, ""},
		{"latitude and longitude exchanged", 107.5796, 16.4698, ""},
		{"no number", math.NaN(), 107.5, ""},
		{"infinity", 16.4, math.Inf(1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, ok := area.At(tt.lat, tt.lon)
			if ok != (tt.want != "") || u.FullName != tt.want {
				t.Errorf("At(%v, %v) = %q, %v, want %q", tt.lat, tt.lon, u.FullName, ok, tt.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	tests := []struct {
		name     string
		lat, lon float64
		want     string
		least    float64 // metres
		most     float64
	}{
		{"inside", 16.4698, 107.5796, "Phường Phú Xuân", 0, 0},
		{"off the beach of Thuận An", 16.5700, 107.6600, "Phường Thuận An", 100, 3000},
		{"far out", 16.6, 107.9, "Xã Phú Vinh", 5000, 30000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, m, ok := area.Nearest(tt.lat, tt.lon)
			if !ok || u.FullName != tt.want || m < tt.least || m > tt.most {
				t.Errorf("Nearest(%v, %v) = %q, %.0f m, %v, want %q within %v..%v m", tt.lat, tt.lon, u.FullName, m, ok, tt.want, tt.least, tt.most)
			}
		})
	}
	for _, bad := range [][2]float64{{math.NaN(), 0}, {0, math.NaN()}, {91, 0}, {0, math.Inf(-1)}} {
		if _, _, ok := area.Nearest(bad[0], bad[1]); ok {
			t.Errorf("Nearest(%v) found something", bad)
		}
	}
}

func TestCentre(t *testing.T) {
	for _, u := range area.Current() {
		lat, lon, ok := area.Centre(u.ID)
		if !ok {
			t.Errorf("Centre(%v): none", u.ID)
			continue
		}
		if at, ok := area.At(lat, lon); !ok || at.ID != u.ID {
			t.Errorf("the centre of %s lies in %q", u.FullName, at.FullName)
		}
	}
	if _, _, ok := area.Centre(id(t, "19753@2021-07-01")); ok {
		t.Error("an old commune has a centre")
	}
}

func TestProjectionThereAndBack(t *testing.T) {
	for _, u := range area.Current() {
		lat, lon, _ := area.Centre(u.ID)
		x, y := area.Project(lat, lon)
		if x < 0 || x > area.MapWidth || y < 0 || y > float64(area.MapHeight()) {
			t.Errorf("%s is drawn at %.0f, %.0f", u.FullName, x, y)
		}
		if a, o := area.Unproject(x, y); math.Abs(a-lat) > 1e-9 || math.Abs(o-lon) > 1e-9 {
			t.Errorf("Unproject(Project(%v, %v)) = %v, %v", lat, lon, a, o)
		}
	}
	x0, y0 := area.Project(16.5, 107.5)
	x1, y1 := area.Project(16.4, 107.6)
	if x1 <= x0 || y1 <= y0 {
		t.Error("east is not right or south is not down")
	}
}

// rings reads the d attribute that this package writes: M x y l dx dy ... z.
func rings(t *testing.T, d string) [][][2]float64 {
	t.Helper()
	number := regexp.MustCompile(`-?\d+`)
	var out [][][2]float64
	for part := range strings.SplitSeq(strings.TrimSuffix(d, "z"), "z") {
		var ring [][2]float64
		var x, y float64
		n := number.FindAllString(part, -1)
		if len(n)%2 != 0 || !strings.HasPrefix(part, "M") {
			t.Fatalf("path %.40q", part)
		}
		for k := 0; k < len(n); k += 2 {
			dx, _ := strconv.ParseFloat(n[k], 64)
			dy, _ := strconv.ParseFloat(n[k+1], 64)
			x, y = x+dx, y+dy
			ring = append(ring, [2]float64{x, y})
		}
		out = append(out, ring)
	}
	return out
}

// The drawing and At must tell the same communes, without gaps and overlaps:
// the area within each path is the share of a grid's points that At puts there.
func TestDrawingAgreesWithAt(t *testing.T) {
	const step = 20.0
	grid := make(map[area.ID]float64)
	for x := step / 2; x < area.MapWidth; x += step {
		for y := step / 2; y < float64(area.MapHeight()); y += step {
			if u, ok := area.At(area.Unproject(x, y)); ok {
				grid[u.ID] += step * step
			}
		}
	}
	lat0, lon0 := area.Unproject(0, 0)
	lat1, _ := area.Unproject(0, 1000)
	km := (lat0 - lat1) * 111.195 / 1000 // per unit of the viewBox
	if lon0 < 106 || lon0 > 108 {
		t.Errorf("the map begins at longitude %v", lon0)
	}
	var total float64
	for _, o := range area.Outlines() {
		var size float64
		for _, r := range rings(t, o.Path) {
			var ring float64
			for k := range r {
				p, q := r[k], r[(k+1)%len(r)]
				ring += p[0]*q[1] - q[0]*p[1]
				if k == 0 {
					continue
				}
				if x, y := int(p[0]), int(p[1]); x < o.Box.X || y < o.Box.Y || x > o.Box.X+o.Box.W || y > o.Box.Y+o.Box.H {
					t.Errorf("%s leaves its box at %d, %d", o.Unit.FullName, x, y)
				}
			}
			size += math.Abs(ring) / 2 // no commune of the data has a hole
		}
		if got := grid[o.Unit.ID]; math.Abs(got-size) > 0.03*size {
			t.Errorf("%s: drawn %.1f km², At says %.1f km²", o.Unit.FullName, size*km*km, got*km*km)
		}
		total += size * km * km
	}
	if math.Abs(total-4947.14) > 0.01*4947.14 {
		t.Errorf("the map has %.0f km², the province 4947", total)
	}
}

func TestMapSVG(t *testing.T) {
	svg := area.MapSVG()
	if len(svg) > 60_000 {
		t.Errorf("%d bytes", len(svg))
	}
	if want := fmt.Sprintf(`viewBox="0 0 %d %d"`, area.MapWidth, area.MapHeight()); !bytes.Contains(svg, []byte(want)) {
		t.Errorf("no %s", want)
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	titles := make(map[string]string)
	path := ""
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			for _, a := range tok.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("attribute %s, which a strict policy refuses", a.Name.Local)
				}
				if tok.Name.Local == "path" && a.Name.Local == "data-id" {
					path = a.Value
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(tok)); s != "" {
				titles[path] = s
			}
		}
	}
	for _, u := range area.Current() {
		if titles[u.ID.String()] != u.FullName {
			t.Errorf("title of %v is %q, want %q", u.ID, titles[u.ID.String()], u.FullName)
		}
	}
	if len(titles) != 40 {
		t.Errorf("%d titled paths, want 40", len(titles))
	}
}
