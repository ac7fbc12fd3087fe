package fleet

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
)

func timeOf(ms int64) time.Time { return time.UnixMilli(min(max(ms, 0), 1<<52)) }

func attribution(lang text.Lang) string {
	if lang == text.English {
		return area.AttributionEN
	}
	return area.Attribution
}

// A commune is one line of the table beside the map.
type commune struct {
	Name              string
	To                string
	All, Online, Sick int
}

func communes(_ text.Lang, per map[string]counts, to func(...string) string) []commune {
	var all []commune
	for _, o := range area.Outlines() {
		if c := per[o.Unit.ID.String()]; c.all > 0 {
			all = append(all, commune{o.Unit.FullName, to("khu", o.Unit.ID.String()), c.all, c.online, c.sick})
		}
	}
	slices.SortStableFunc(all, func(a, b commune) int { return b.Sick - a.Sick })
	return all
}

// narrowest is the width of the smallest part of the map that is shown, in its units.
const narrowest = 1600

// viewOf returns the part of the map in which there are kiosks, in the shape of a
// panel.
func viewOf(per map[string]counts) area.Box {
	all := area.Box{W: area.MapWidth, H: area.MapHeight()}
	x0, y0, x1, y1 := all.W, all.H, 0, 0
	for _, o := range area.Outlines() {
		if per[o.Unit.ID.String()].all > 0 {
			x0, y0, x1, y1 = min(x0, o.Box.X), min(y0, o.Box.Y), max(x1, o.Box.X+o.Box.W), max(y1, o.Box.Y+o.Box.H)
		}
	}
	if x1 == 0 {
		return all
	}
	w := max(x1-x0, (y1-y0)*4/3, narrowest) * 11 / 10
	h := w * 3 / 4
	if w >= all.W || h >= all.H {
		return all
	}
	return area.Box{X: min(max((x0+x1-w)/2, 0), all.W-w), Y: min(max((y0+y1-h)/2, 0), all.H-h), W: w, H: h}
}

// drawMap returns the communes, each with how many kiosks it has and how many of them
// need somebody. What it says stands in the table below it.
func drawMap(lang text.Lang, per map[string]counts) string {
	var b strings.Builder
	view := viewOf(per)
	fmt.Fprintf(&b, `<svg class="fl-map" viewBox="%s" role="img" aria-label="%s">`, view, html.EscapeString(text.Of(lang, "fleet.map.label")))
	size := float64(view.W) / 26
	type badge struct {
		x, y, w     float64
		class, said string
		sick        int
	}
	var badges []badge
	for _, o := range area.Outlines() {
		c := per[o.Unit.ID.String()]
		class := "none"
		switch {
		case c.sick > 0 && c.sick*2 >= c.all:
			class = "bad"
		case c.sick > 0:
			class = "warn"
		case c.all > 0:
			class = "good"
		}
		says := text.Of(lang, "fleet.map.says", "area", o.Unit.FullName, "all", page.Number(c.all), "online", page.Number(c.online), "sick", page.Number(c.sick))
		fmt.Fprintf(&b, `<path class="fl-%s" vector-effect="non-scaling-stroke" d="%s"><title>%s</title></path>`, class, o.Path, html.EscapeString(says))
		if c.all == 0 {
			continue
		}
		said := page.Number(c.all)
		if c.sick > 0 {
			said = "▲" + page.Number(c.sick) + "/" + said
		}
		badges = append(badges, badge{float64(o.X), float64(o.Y), size * (.62*float64(len([]rune(said))) + .5), class, said, c.sick})
	}
	// Where there is no room for all, those that need somebody are said.
	slices.SortStableFunc(badges, func(a, b badge) int { return b.sick - a.sick })
	for i, g := range badges {
		if slices.ContainsFunc(badges[:i], func(o badge) bool {
			return o.said != "" && max(o.x-g.x, g.x-o.x) < (o.w+g.w)/2 && max(o.y-g.y, g.y-o.y) < size*1.5
		}) {
			badges[i].said = ""
			continue
		}
		fmt.Fprintf(&b, `<g class="fl-no fl-%s"><rect vector-effect="non-scaling-stroke" x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="%.0f"/><text x="%.0f" y="%.0f" font-size="%.0f">%s</text></g>`,
			g.class, g.x-g.w/2, g.y-size*.7, g.w, size*1.4, size*.4, g.x, g.y+size*.36, size, g.said)
	}
	b.WriteString(`</svg>`)
	return b.String()
}
