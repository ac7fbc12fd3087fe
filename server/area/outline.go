package area

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Attribution says where the outlines come from and what they are not. It
// belongs under every map.
const (
	Attribution   = "Ranh giới chỉ để minh họa, không có giá trị pháp lý. Nguồn: thanglequoc/vietnamese-provinces-database (MIT)."
	AttributionEN = "Boundaries are for illustration only and have no legal force. Source: thanglequoc/vietnamese-provinces-database (MIT)."
)

// MapWidth is the width of the map's viewBox. A unit is about 13 m, as fine as
// the outlines are.
const MapWidth = 10000

// margin is what the map leaves free around the province.
const margin = 100

// A Box is a part of the map, in units of its viewBox.
type Box struct{ X, Y, W, H int }

// String returns the box as the viewBox attribute has it.
func (b Box) String() string { return fmt.Sprintf("%d %d %d %d", b.X, b.Y, b.W, b.H) }

// An Outline is one commune on the map, in units of its viewBox.
type Outline struct {
	Unit Unit
	Path string // the d attribute of a path; filled by the rule evenodd
	X, Y int    // a point well inside, for a label or a pin
	Box  Box    // the smallest that holds it
}

// Outlines returns the communes in force as they are drawn, in Vietnamese
// alphabetical order. The slice is shared and must not be changed.
func Outlines() []Outline { return theMap().outlines }

// MapHeight returns the height of the map's viewBox.
func MapHeight() int { return theMap().height }

// MapSVG returns the map of the communes in force, to be put into a page or
// sent as a file. It has one path per commune:
//
//	<path id="area-19753" data-id="19753@2025-07-01" class="commune" ...><title>Phường Phú Xuân</title></path>
//
// Colours are attributes, which a page's style sheet overrides; no style or
// script is inside. The slice is shared and must not be changed.
func MapSVG() []byte { return theMap().svg }

// Project returns where a point of the earth lies on the map. The projection is
// equirectangular with the middle parallel of the province true to scale; points
// outside the province fall outside the viewBox.
func Project(lat, lon float64) (x, y float64) { return theMap().project(lat, lon) }

// Unproject is the inverse of [Project].
func Unproject(x, y float64) (lat, lon float64) {
	m := theMap()
	return m.north - (y-margin)/m.scale, m.west + (x-margin)/(m.scale*m.shrink)
}

// At returns the commune in force in which a point lies. It is a drawing's
// answer: within some ten metres of a boundary it may be the neighbour.
func At(lat, lon float64) (Unit, bool) {
	for k := range theMap().shapes {
		if s := &theMap().shapes[k]; s.holds(lat, lon) {
			return s.unit, true
		}
	}
	return Unit{}, false
}

// Nearest returns the commune in force that lies nearest to a point and how far
// that is: 0 metres inside, more on the water or across the province's border.
// It reports false for what is no place on earth.
func Nearest(lat, lon float64) (u Unit, metres float64, ok bool) {
	if !(math.Abs(lat) <= 90 && math.Abs(lon) <= 180) {
		return Unit{}, 0, false
	}
	if u, ok := At(lat, lon); ok {
		return u, 0, true
	}
	m := theMap()
	metres = math.Inf(1)
	for k := range m.shapes {
		if d := m.shapes[k].distance(lat, lon, m.shrink); d < metres {
			u, metres = m.shapes[k].unit, d
		}
	}
	return u, metres, true
}

// Centre returns a point well inside a commune in force. Other units have no
// outline and no centre.
func Centre(id ID) (lat, lon float64, ok bool) {
	for _, s := range theMap().shapes {
		if s.unit.ID == id {
			return s.centre.lat, s.centre.lon, true
		}
	}
	return 0, 0, false
}

// A chart is the map with what it was drawn from.
type chart struct {
	shapes      []shape // in the order of outlines
	outlines    []Outline
	svg         []byte
	height      int
	north, west float64
	scale       float64 // units of the viewBox per degree of latitude
	shrink      float64 // a degree of longitude per degree of latitude
}

type point struct{ lat, lon float64 }

// A shape is the rings of one commune; a point is inside if it is inside an odd
// number of them, so islands and holes are rings like the others.
type shape struct {
	unit     Unit
	rings    [][]point // closed: the last point is the first
	min, max point
	centre   point
}

// theMap draws the map once, from files that are tested with the program.
var theMap = sync.OnceValue(func() *chart {
	m, err := draw(files)
	if err != nil {
		panic(err)
	}
	return m
})

func draw(fsys fs.FS) (*chart, error) {
	names, err := fs.Glob(fsys, "data/*/*/outlines.geojson")
	if err != nil {
		return nil, fmt.Errorf("area: outlines: %w", err)
	}
	m := new(chart)
	for _, name := range names {
		shapes, err := shapesOf(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("area: %s: %w", name, err)
		}
		m.shapes = append(m.shapes, shapes...)
	}
	if len(m.shapes) == 0 {
		return nil, errors.New("area: no outlines")
	}
	b := all()
	slices.SortFunc(m.shapes, func(s, t shape) int { return cmp.Compare(b.byID[s.unit.ID], b.byID[t.unit.ID]) })

	lo, hi := m.shapes[0].min, m.shapes[0].max
	for _, s := range m.shapes {
		lo = point{min(lo.lat, s.min.lat), min(lo.lon, s.min.lon)}
		hi = point{max(hi.lat, s.max.lat), max(hi.lon, s.max.lon)}
	}
	m.north, m.west = hi.lat, lo.lon
	m.shrink = math.Cos((lo.lat + hi.lat) / 2 * math.Pi / 180)
	m.scale = (MapWidth - 2*margin) / ((hi.lon - lo.lon) * m.shrink)
	m.height = int(math.Ceil((hi.lat-lo.lat)*m.scale)) + 2*margin
	for k := range m.shapes {
		m.shapes[k].centre = m.shapes[k].middle(m.shrink)
		m.outlines = append(m.outlines, m.outline(&m.shapes[k]))
	}
	m.svg = m.write()
	return m, nil
}

// shapesOf reads a GeoJSON collection of polygons and multipolygons whose
// property code names a commune of the list in whose folder it lies.
func shapesOf(fsys fs.FS, name string) ([]shape, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	var collection struct {
		Features []struct {
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
			Properties struct{ Code string }
		}
	}
	if err := json.Unmarshal(text, &collection); err != nil {
		return nil, err
	}
	var out []shape
	for _, f := range collection.Features {
		var polygons [][][][2]float64 // longitude first
		switch f.Geometry.Type {
		case "MultiPolygon":
			err = json.Unmarshal(f.Geometry.Coordinates, &polygons)
		case "Polygon":
			polygons = make([][][][2]float64, 1)
			err = json.Unmarshal(f.Geometry.Coordinates, &polygons[0])
		default:
			err = fmt.Errorf("geometry %q", f.Geometry.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("commune %s: %w", f.Properties.Code, err)
		}
		id, err := ParseID(f.Properties.Code + "@" + path.Base(path.Dir(name)))
		if err != nil {
			return nil, err
		}
		u, ok := Lookup(id)
		if !ok || !u.InForce() {
			return nil, fmt.Errorf("outline of %v, which is no unit of today", id)
		}
		s := shape{unit: u, min: point{90, 180}, max: point{-90, -180}}
		for _, rings := range polygons {
			for _, r := range rings {
				ring := make([]point, len(r))
				for k, c := range r {
					p := point{c[1], c[0]}
					ring[k] = p
					s.min = point{min(s.min.lat, p.lat), min(s.min.lon, p.lon)}
					s.max = point{max(s.max.lat, p.lat), max(s.max.lon, p.lon)}
				}
				s.rings = append(s.rings, ring)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// holds counts the sides that a ray to the east crosses. A side owns its lower
// end only, so a point on a shared boundary lies in one commune.
func (s *shape) holds(lat, lon float64) bool {
	if !(lat >= s.min.lat && lat <= s.max.lat && lon >= s.min.lon && lon <= s.max.lon) {
		return false
	}
	in := false
	for _, r := range s.rings {
		for k := range len(r) - 1 {
			a, b := r[k], r[k+1]
			if a.lat > b.lat {
				a, b = b, a // one direction, so that neighbours round alike
			}
			if a.lat <= lat && lat < b.lat && lon < a.lon+(lat-a.lat)/(b.lat-a.lat)*(b.lon-a.lon) {
				in = !in
			}
		}
	}
	return in
}

// distance returns the metres from a point to the nearest side.
func (s *shape) distance(lat, lon, shrink float64) float64 {
	const degree = 111_195 // metres, of a sphere of 6371 km
	best := math.Inf(1)
	for _, r := range s.rings {
		for k := range len(r) - 1 {
			ax, ay := (r[k].lon-lon)*shrink, r[k].lat-lat
			dx, dy := (r[k+1].lon-r[k].lon)*shrink, r[k+1].lat-r[k].lat
			t := 0.0
			if l := dx*dx + dy*dy; l > 0 {
				t = min(1, max(0, -(ax*dx+ay*dy)/l))
			}
			best = min(best, math.Hypot(ax+t*dx, ay+t*dy))
		}
	}
	return best * degree
}

// middle returns the point of a grid that is farthest from the boundary. The
// centroid would do for most, but may lie outside a crooked commune.
func (s *shape) middle(shrink float64) point {
	const n = 24
	var best point
	far := -1.0
	for y := range n {
		for x := range n {
			p := point{
				s.min.lat + (float64(y)+.5)/n*(s.max.lat-s.min.lat),
				s.min.lon + (float64(x)+.5)/n*(s.max.lon-s.min.lon),
			}
			if !s.holds(p.lat, p.lon) {
				continue
			}
			if d := s.distance(p.lat, p.lon, shrink); d > far {
				best, far = p, d
			}
		}
	}
	return best
}

func (m *chart) project(lat, lon float64) (x, y float64) {
	return margin + (lon-m.west)*m.scale*m.shrink, margin + (m.north-lat)*m.scale
}

// place rounds to whole units, the same for both sides of a boundary.
func (m *chart) place(p point) (x, y int) {
	fx, fy := m.project(p.lat, p.lon)
	return int(math.Round(fx)), int(math.Round(fy))
}

func (m *chart) outline(s *shape) Outline {
	o := Outline{Unit: s.unit}
	o.X, o.Y = m.place(s.centre)
	var d []byte
	for _, r := range s.rings {
		x, y := m.place(r[0])
		d = append(d, 'M')
		d = strconv.AppendInt(d, int64(x), 10)
		d = append(d, ' ')
		d = strconv.AppendInt(d, int64(y), 10)
		d = append(d, 'l')
		first := true
		for _, p := range r[1 : len(r)-1] {
			px, py := m.place(p)
			if px == x && py == y {
				continue
			}
			if !first && px >= x {
				d = append(d, ' ')
			}
			first = false
			d = strconv.AppendInt(d, int64(px-x), 10)
			if py >= y {
				d = append(d, ' ')
			}
			d = strconv.AppendInt(d, int64(py-y), 10)
			x, y = px, py
		}
		d = append(d, 'z')
	}
	o.Path = string(d)
	x0, y0 := m.place(point{s.max.lat, s.min.lon})
	x1, y1 := m.place(point{s.min.lat, s.max.lon})
	o.Box = Box{x0, y0, x1 - x0, y1 - y0}
	return o
}

func (m *chart) write() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="area-map" viewBox="0 0 %d %d" fill="#dcebe4" stroke="#3f6f5c" stroke-linejoin="round" fill-rule="evenodd">`+"\n", MapWidth, m.height)
	for _, o := range m.outlines {
		fmt.Fprintf(&b, `<path id="area-%s" data-id="%s" data-code="%s" class="commune" vector-effect="non-scaling-stroke" d="%s"><title>%s</title></path>`+"\n",
			o.Unit.ID.Code, o.Unit.ID, o.Unit.ID.Code, o.Path, html.EscapeString(o.Unit.FullName))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
