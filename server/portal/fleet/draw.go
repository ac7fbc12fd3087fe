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

// drawMap returns the communes, each with how many kiosks it has and how many of them
// need somebody. What it says stands in the table below it.
func drawMap(lang text.Lang, per map[string]counts, to func(...string) string) string {
	var b strings.Builder
	view := area.Box{W: area.MapWidth, H: area.MapHeight()}
	fmt.Fprintf(&b, `<svg class="fl-map" viewBox="%s" role="img" aria-label="%s">`, view, html.EscapeString(text.Of(lang, "fleet.map.label")))
	size := float64(area.MapWidth) / 36
	var numbers strings.Builder
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
		w := size * .62 * float64(len([]rune(said)))
		fmt.Fprintf(&numbers, `<g class="fl-no fl-%s"><rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="%.0f"/><text x="%d" y="%.0f" font-size="%.0f">%s</text></g>`,
			class, float64(o.X)-w/2-size*.25, float64(o.Y)-size*.7, w+size*.5, size*1.4, size*.4, o.X, float64(o.Y)+size*.36, size, said)
	}
	b.WriteString(numbers.String())
	b.WriteString(`</svg>`)
	return b.String()
}
