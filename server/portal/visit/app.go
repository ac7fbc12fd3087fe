package visit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Scan answers with the page that reads a poster by camera, or its code typed.
func (p *Pages) Scan(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	return p.still["scan"].serve(w, r)
}

// Diary answers with the page of what the phone remembers.
func (p *Pages) Diary(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	return p.still["diary"].serve(w, r)
}

// Offline answers with the page of any poster, for when no network is there to
// ask which. Phones keep it.
func (p *Pages) Offline(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	return p.still["checkin"].serve(w, r)
}

// Worker answers with the service worker.
func (p *Pages) Worker(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	return p.still["worker"].serve(w, r)
}

// Manifest answers with what makes an app of the pages.
func (p *Pages) Manifest(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	return p.still["manifest"].serve(w, r)
}

// A still is an answer that is always the same.
type still struct {
	kind, keep   string
	data, packed []byte
}

// makeStills makes what is always the same. What is wrong with it is a bug that
// every test finds, so it panics.
func (p *Pages) makeStills() map[string]still {
	all := map[string]still{}
	blank := checkin{}
	blank.fill(page.NewForm(nil))
	for name, data := range map[string]any{"scan": nil, "diary": nil, "checkin": &blank} {
		var out bytes.Buffer
		if err := p.sheets[name].ExecuteTemplate(&out, "shell", data); err != nil {
			panic(err)
		}
		all[name] = still{kind: "text/html; charset=utf-8", data: out.Bytes()}
	}
	all["worker"] = still{kind: "text/javascript; charset=utf-8", data: p.makeWorker()}
	all["manifest"] = still{kind: "application/manifest+json", keep: "public, max-age=86400", data: p.makeManifest()}
	for name, s := range all {
		if s.keep == "" {
			s.keep = "no-cache"
		}
		s.packed = page.Pack(s.data)
		all[name] = s
	}
	return all
}

func (s still) serve(w http.ResponseWriter, r *http.Request) error {
	data := s.data
	if s.packed != nil {
		w.Header().Set("Vary", "Accept-Encoding")
		if page.TakesGzip(r) {
			w.Header().Set("Content-Encoding", "gzip")
			data = s.packed
		}
	}
	return serve(w, s.kind, s.keep, data)
}

func serve(w http.ResponseWriter, kind, keep string, data []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", keep)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.Write(data)
	return nil
}

// makeWorker returns the service worker, which knows what it has to keep, and
// changes whenever that does.
func (p *Pages) makeWorker() []byte {
	a := p.o.Frame.Assets()
	files := []string{"/ngoai-mang", "/quet", "/nhat-ky"}
	for _, name := range []string{"checkin.css", "checkin.js", "diary.js", "scan.js", "icon.svg", "checkin-400.woff2", "checkin-700.woff2"} {
		files = append(files, a.Address(name))
	}
	list, err := json.Marshal(files)
	if err != nil {
		panic(err)
	}
	var source []byte
	for _, name := range []string{"script/outbox.js", "script/sw.js"} {
		b, err := assets.ReadFile(name)
		if err != nil {
			panic(err)
		}
		source = append(source, b...)
	}
	sum := sha256.New()
	sum.Write(list)
	sum.Write(source)
	// Templates change what the pages are that it keeps.
	for _, name := range []string{"shell", "checkin", "scan", "diary"} {
		b, err := pages.ReadFile("pages/" + name + ".html")
		if err != nil {
			panic(err)
		}
		sum.Write(b)
	}
	return []byte(strings.NewReplacer(`"VERSION"`, strconv.Quote(hex.EncodeToString(sum.Sum(nil)[:8])), "FILES;", string(list)+";").Replace(string(source)))
}

func (p *Pages) makeManifest() []byte {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose"`
	}
	m := struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		ShortName   string `json:"short_name"`
		Description string `json:"description"`
		Lang        string `json:"lang"`
		StartURL    string `json:"start_url"`
		Scope       string `json:"scope"`
		Display     string `json:"display"`
		Theme       string `json:"theme_color"`
		Background  string `json:"background_color"`
		Icons       []icon `json:"icons"`
	}{
		ID: "/quet", Name: text.Of(text.Vietnamese, "visit.app.name"), ShortName: "QRGate",
		Description: text.Of(text.Vietnamese, "visit.app.what"), Lang: "vi", StartURL: "/quet", Scope: "/",
		Display: "standalone", Theme: "#0b5d52", Background: "#f3f5f2",
	}
	for _, size := range iconSizes {
		s := strconv.Itoa(size)
		m.Icons = append(m.Icons,
			icon{"/icon/" + s + ".png", s + "x" + s, "image/png", "any"},
			icon{"/icon/" + s + "-mask.png", s + "x" + s, "image/png", "maskable"})
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

var iconSizes = []int{192, 512}

// Icon answers with the app's icon as PNG.
func (p *Pages) Icon(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	b, ok := icons()[r.PathValue("name")]
	if !ok {
		return qrgate.ErrNotFound
	}
	return serve(w, "image/png", "public, max-age=604800", b)
}

// icons draws the icons once, when the first of them is asked for.
var icons = sync.OnceValue(func() map[string][]byte {
	all := map[string][]byte{}
	for _, size := range iconSizes {
		for _, mask := range []bool{false, true} {
			var out bytes.Buffer
			if err := png.Encode(&out, drawIcon(size, mask)); err != nil {
				panic(err)
			}
			name := fmt.Sprintf("%d.png", size)
			if mask {
				name = fmt.Sprintf("%d-mask.png", size)
			}
			all[name] = out.Bytes()
		}
	}
	return all
})

// drawIcon draws icon.svg, whose side is 32. A mask is cut to whatever shape a
// phone likes: it has no corners of its own, and keeps clear of the edge.
func drawIcon(size int, mask bool) image.Image {
	brand, white, check := color.NRGBA{0x0b, 0x5d, 0x52, 255}, color.NRGBA{255, 255, 255, 255}, color.NRGBA{0x6f, 0xd3, 0xc1, 255}
	m := image.NewNRGBA(image.Rect(0, 0, size, size))
	scale, shift := float64(size)/32, 0.0
	if mask {
		scale, shift = scale*0.72, float64(size)*0.14
	}
	for py := range size {
		for px := range size {
			x, y := (float64(px)+0.5-shift)/scale, (float64(py)+0.5-shift)/scale
			// How much of the pixel lies within a shape, by its distance from the edge.
			cover := func(distance float64) float64 { return min(1, max(0, 0.5-distance*scale)) }
			ground := 1.0
			if !mask {
				ground = cover(box(x, y, 0, 0, 32, 32, 7))
			}
			c := color.NRGBA{brand.R, brand.G, brand.B, uint8(math.Round(255 * ground))}
			for _, at := range [][2]float64{{6, 6}, {17, 6}, {6, 17}} {
				ring := min(cover(box(x, y, at[0], at[1], 9, 9, 0)), 1-cover(box(x, y, at[0]+2, at[1]+2, 5, 5, 0)))
				c = over(c, white, max(ring, cover(box(x, y, at[0]+3.5, at[1]+3.5, 2, 2, 0))))
			}
			line := min(segment(x, y, 17.5, 21.5, 20.5, 24.5), segment(x, y, 20.5, 24.5, 26.5, 18)) - 1.3
			m.SetNRGBA(px, py, over(c, check, cover(line)))
		}
	}
	return m
}

// box returns the distance of a point from a rectangle with round corners,
// negative inside.
func box(x, y, left, top, w, h, round float64) float64 {
	dx := math.Abs(x-left-w/2) - w/2 + round
	dy := math.Abs(y-top-h/2) - h/2 + round
	return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - round
}

// segment returns the distance of a point from a line.
func segment(x, y, ax, ay, bx, by float64) float64 {
	t := ((x-ax)*(bx-ax) + (y-ay)*(by-ay)) / ((bx-ax)*(bx-ax) + (by-ay)*(by-ay))
	t = min(1, max(0, t))
	return math.Hypot(x-ax-t*(bx-ax), y-ay-t*(by-ay))
}

func over(under, top color.NRGBA, share float64) color.NRGBA {
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-share) + float64(b)*share)) }
	return color.NRGBA{mix(under.R, top.R), mix(under.G, top.G), mix(under.B, top.B), under.A}
}
