package place

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A mapView is the map as the form shows it: all of the province, or one commune
// with what lies around it.
type mapView struct {
	Source string
	Sizes  []mapSize
	// Of where a hit lies, for scripts: latitude is Lat0 + y * LatY.
	Lat0, Lon0, LatY, LonX string
	Box                    string // shown first
	Commune                string // in which it lies, or ""
}

// A mapSize is how large the map is drawn where there is no script: what is hit
// comes back in pixels.
type mapSize struct {
	Name          string
	Width, Height int
}

func mapSizes() []mapSize {
	sizes := []mapSize{{Name: "place.map.s", Width: 288}, {Name: "place.map.l", Width: 600}}
	for i := range sizes {
		sizes[i].Height = sizes[i].Width * area.MapHeight() / area.MapWidth
	}
	return sizes
}

func mapOf(form *page.Form) mapView {
	lat0, lon0 := area.Unproject(0, 0)
	lat1, lon1 := area.Unproject(area.MapWidth, float64(area.MapHeight()))
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	query := url.Values{}
	id := communeNow(form)
	if id != "" {
		query.Set("khu", id)
	}
	for field, name := range map[string]string{"place.lat": "vd", "place.lon": "kd"} {
		if value := form.Values.Get(field); value != "" {
			query.Set(name, value)
		}
	}
	source := "/ban-do.svg"
	if len(query) > 0 {
		source += "?" + query.Encode()
	}
	return mapView{
		Source: source, Sizes: mapSizes(), Box: boxOf(id).String(), Commune: id,
		Lat0: number(lat0), Lon0: number(lon0), LatY: number((lat1 - lat0) / float64(area.MapHeight())), LonX: number((lon1 - lon0) / area.MapWidth),
	}
}

// communeNow returns the commune of today that a form names, or "".
func communeNow(form *page.Form) string {
	u, ok := lookup(form.Values.Get("place.area"))
	if !ok {
		return ""
	}
	return area.CurrentOf(u.ID)[0].ID.String()
}

// boxOf returns the part of the map that shows a commune, or all of it. It has
// the shape of the whole.
func boxOf(id string) area.Box {
	whole := area.Box{W: area.MapWidth, H: area.MapHeight()}
	for _, o := range area.Outlines() {
		if o.Unit.ID.String() != id {
			continue
		}
		w := max(o.Box.W*6/5, o.Box.H*6/5*whole.W/whole.H, 600)
		h := w * whole.H / whole.W
		return area.Box{X: o.Box.X + o.Box.W/2 - w/2, Y: o.Box.Y + o.Box.H/2 - h/2, W: w, H: h}
	}
	return whole
}

// drawMap draws the map, with a commune in sight and a pin.
func (s *Pages) drawMap(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	query := r.URL.Query()
	svg := drawn(query.Get("khu"), query.Get("vd"), query.Get("kd"), query.Has("ten"))
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "private, max-age=86400")
	h.Set("Content-Length", strconv.Itoa(len(svg)))
	w.Write(svg)
	return nil
}

// drawn returns the map. Names of communes are on it if one is in sight, or if
// they are asked for by scripts, which show those that have room.
func drawn(id, lat, lon string, names bool) []byte {
	svg := area.MapSVG()
	u, ok := lookup(id)
	box := boxOf(id)
	if ok {
		svg = bytes.Replace(svg, []byte(`viewBox="0 0 `+strconv.Itoa(area.MapWidth)+" "+strconv.Itoa(area.MapHeight())+`"`), []byte(`viewBox="`+box.String()+`"`), 1)
		path := []byte(`<path id="area-` + u.ID.Code + `"`)
		svg = bytes.Replace(svg, path, append(bytes.Clone(path), ` fill="#f6dfa8"`...), 1)
	}
	var over bytes.Buffer
	if ok || names {
		for _, o := range area.Outlines() {
			if o.X < box.X || o.X > box.X+box.W || o.Y < box.Y || o.Y > box.Y+box.H {
				continue
			}
			fmt.Fprintf(&over, `<text data-code="%s" x="%d" y="%d" font-size="%d" text-anchor="middle" fill="#1b2430" stroke="none" font-family="sans-serif">%s</text>`,
				o.Unit.ID.Code, o.X, o.Y, box.W/30, html.EscapeString(o.Unit.Name))
		}
	}
	at, okAt := point(lat, lon)
	if okAt {
		x, y := area.Project(at.Lat, at.Lon)
		fmt.Fprintf(&over, `<circle cx="%.0f" cy="%.0f" r="%d" fill="#9a1a1a" stroke="#ffffff" stroke-width="%d"/>`, x, y, box.W/60, box.W/200)
	}
	return bytes.Replace(svg, []byte("</svg>"), append(over.Bytes(), "</svg>"...), 1)
}

func point(lat, lon string) (qrgate.Point, bool) {
	a, okA := degrees(lat, 90)
	b, okB := degrees(lon, 180)
	return qrgate.Point{Lat: a, Lon: b}, okA && okB
}

// hit returns where on the map a form without script was sent from, if it was.
// Without a mouse the button sends its corner, which is no answer.
func hit(form *page.Form) (at qrgate.Point, pressed, ok bool) {
	for _, size := range mapSizes() {
		if !form.Values.Has(size.Name + ".x") {
			continue
		}
		x, errX := strconv.Atoi(form.Values.Get(size.Name + ".x"))
		y, errY := strconv.Atoi(form.Values.Get(size.Name + ".y"))
		if errX != nil || errY != nil || x < 0 || y < 0 || x > size.Width || y > size.Height || x+y == 0 {
			return at, true, false
		}
		box := boxOf(communeNow(form))
		at.Lat, at.Lon = area.Unproject(float64(box.X)+float64(x*box.W)/float64(size.Width), float64(box.Y)+float64(y*box.H)/float64(size.Height))
		return at, true, true
	}
	return at, false, false
}

// A name is a commune as the list of suggestions shows it.
type name struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Now  string `json:"now,omitempty"` // what it is part of today, if it is no more
	// Today is the commune that it is in today, and Box where that is on the map.
	Today string `json:"today"`
	Box   string `json:"box"`
}

// names answers what somebody has typed of a commune's name, or whose commune a
// point is.
func (s *Pages) names(w http.ResponseWriter, r *http.Request, v *page.View) error {
	query := r.URL.Query()
	found := []name{}
	if at, ok := point(query.Get("vd"), query.Get("kd")); ok {
		if u, ok := area.At(at.Lat, at.Lon); ok {
			found = append(found, nameOf(u, u))
		}
	} else if q := query.Get("q"); len(q) <= 200 {
		for _, m := range area.Search(q, page.MaxFound, area.Commune) {
			found = append(found, nameOf(m.Unit, m.Current[0]))
		}
	}
	body, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("place: names: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "private, max-age=3600")
	w.Write(body)
	return nil
}

func nameOf(u, now area.Unit) name {
	n := name{ID: u.ID.String(), Name: u.Label(), Today: now.ID.String(), Box: boxOf(now.ID.String()).String()}
	if u.ID != now.ID {
		n.Now = now.FullName
	}
	return n
}
