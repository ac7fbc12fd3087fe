package movement

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
)

// The picture of a crowd, in its own units.
const (
	crowdWidth  = 1000
	crowdHeight = 340
	crowdLeft   = 56
	crowdTop    = 34
	crowdFloor  = crowdHeight - 34
)

// drawCrowd returns how full a place was, a bar for each quarter of an hour. Where
// it is hidden how many there were there is a short line at the floor.
func drawCrowd(c *counted.Crowd, capacity int, capacityText, label string) template.HTML {
	most, _ := c.Peak()
	top, step := axis(max(int(most), min(capacity, int(most)*2), 20))
	y := func(n int) float64 { return crowdFloor - float64(n)/float64(top)*(crowdFloor-crowdTop) }
	const wide = float64(crowdWidth-crowdLeft-8) / counted.Quarters
	x := func(q int) float64 { return crowdLeft + float64(q)*wide }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="mv-crowd" viewBox="0 0 %d %d" role="img" aria-label="%s">`, crowdWidth, crowdHeight, html.EscapeString(label))
	for n := 0; n <= top; n += step {
		fmt.Fprintf(&b, `<path class="mv-grid" d="M%d %.1fH%d"/><text class="mv-axis" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			crowdLeft, y(n), crowdWidth-8, crowdLeft-8, y(n)+5, page.Number(n))
	}
	for h := 0; h <= 24; h += 3 {
		fmt.Fprintf(&b, `<text class="mv-axis" x="%.1f" y="%d" text-anchor="middle">%d</text><path class="mv-grid" d="M%.1f %dv6"/>`, x(h*4), crowdFloor+24, h, x(h*4), crowdFloor)
	}
	for q, n := range c.People {
		if n == 0 {
			fmt.Fprintf(&b, `<rect class="mv-hidden" x="%.1f" y="%.1f" width="%.1f" height="3"/>`, x(q)+.75, float64(crowdFloor-3), wide-1.5)
			continue
		}
		class := "mv-bar"
		if capacity > 0 && int(n) > capacity {
			class = "mv-bar mv-over"
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %s</title></rect>`,
			class, x(q)+.75, y(int(n)), wide-1.5, crowdFloor-y(int(n)), clock(q), page.Number(n))
	}
	if capacity > 0 && capacity <= top {
		fmt.Fprintf(&b, `<path class="mv-limit" d="M%d %.1fH%d"/><text class="mv-limit-text" x="%d" y="%.1f">%s</text>`,
			crowdLeft, y(capacity), crowdWidth-8, crowdLeft+6, y(capacity)-8, html.EscapeString(capacityText))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// clock returns when a quarter of an hour ends, of which its figure is.
func clock(quarter int) string { return fmt.Sprintf("%d:%02d", (quarter+1)/4, (quarter+1)%4*15) }

// axis returns the end of an axis that reaches n, and its steps.
func axis(n int) (end, step int) {
	step = 5
	for _, by := range []int{1, 2, 4, 10, 20, 40, 100, 200, 400, 1000, 2000, 4000, 10000, 20000} {
		step = 5 * by
		if n <= step*5 {
			break
		}
	}
	return (n + step - 1) / step * step, step
}
