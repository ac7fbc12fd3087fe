package live

import (
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// linesKept is how many rendered check-ins are remembered: a few times what a
// page shows, because streams are not all at the same point.
const linesKept = 256

// lines renders check-ins, each once for all viewers of a day.
type lines struct {
	pages *template.Template
	now   func() time.Time

	mu       sync.Mutex
	cur, old map[lineKey]string
}

type lineKey struct {
	store.Sighting
	today qrgate.Day
}

// of returns the HTML of check-ins in their order.
func (l *lines) of(all []store.Sighting) (string, error) {
	today := qrgate.DayOf(l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, s := range all {
		html, err := l.one(lineKey{s, today})
		if err != nil {
			return "", err
		}
		b.WriteString(html)
	}
	return b.String(), nil
}

func (l *lines) one(k lineKey) (string, error) {
	if html, ok := l.cur[k]; ok {
		return html, nil
	}
	html, ok := l.old[k]
	if !ok {
		var b strings.Builder
		if err := l.pages.ExecuteTemplate(&b, "checkin", lineOf(k.Sighting, k.today)); err != nil {
			return "", fmt.Errorf("live: check-in of %q: %w", k.Kiosk, err)
		}
		html = b.String()
	}
	if l.cur == nil || len(l.cur) >= linesKept {
		l.cur, l.old = make(map[lineKey]string, linesKept), l.cur
	}
	l.cur[k] = html
	return html, nil
}
