package portal

import (
	"fmt"
	"html/template"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/server/store"
)

// linesKept is how many rendered check-ins are remembered: a few times what a
// page shows, because streams are not all at the same point.
const linesKept = 256

// lines renders check-ins, each once for all viewers.
type lines struct {
	pages *template.Template

	mu       sync.Mutex
	now, old map[store.Sighting]string
}

// of returns the HTML of check-ins in their order.
func (l *lines) of(all []store.Sighting) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, s := range all {
		html, ok := l.now[s]
		if !ok {
			html, ok = l.old[s]
			if !ok {
				var one strings.Builder
				if err := l.pages.ExecuteTemplate(&one, "checkin", lineOf(s)); err != nil {
					return "", fmt.Errorf("portal: check-in of %q: %w", s.Kiosk, err)
				}
				html = one.String()
			}
			if l.now == nil || len(l.now) >= linesKept {
				l.now, l.old = make(map[store.Sighting]string, linesKept), l.now
			}
			l.now[s] = html
		}
		b.WriteString(html)
	}
	return b.String(), nil
}
