package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
)

const (
	// heartbeat keeps a quiet stream open through proxies.
	heartbeat = 15 * time.Second
	// patience is how long a viewer may take to receive an event.
	patience = 10 * time.Second
)

// errStreams is returned when too many people watch.
var errStreams = errors.New("fleet: too many streams")

// stream answers with what changes on the page of the same filter, until the viewer
// goes, does not read or may not look any more, or the server ends:
//
//	figures: HTML, the counts
//	rows:    HTML, the whole list; first, and when other kiosks are in it
//	row:     HTML, rows that changed
func (p *Pages) stream(w http.ResponseWriter, r *http.Request, v *page.View) error {
	places := []chan struct{}{p.streams}
	if len(v.Scopes(officers...)) == 0 {
		places = append(places, p.members)
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		default:
			return page.Busy{Err: errStreams, After: time.Minute}
		}
	}
	ctx := r.Context()
	q, mine := asked(r.URL.Query()), within(v.Places(lookers...))
	out := http.NewResponseController(w)
	// The server's time-outs are those of requests, and a stream is none.
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("fleet: stream: %w", err)
	}
	send := func(text string) error {
		if err := out.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return out.Flush()
	}
	var sent *sight
	s, err := p.board.get(ctx)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	// Pages that lost a server must not all come back in one moment.
	text := fmt.Sprintf("retry: %d\n", 2000+rand.IntN(3000))
	tick := time.NewTicker(p.board.fresh)
	defer tick.Stop()
	last, checked := time.Now(), time.Now()
	var seen *snapshot
	for {
		now := sent
		if s != seen {
			now, seen = s.see(v.Lang, mine, q), s
			news, err := p.changes(v, sent, now)
			if err != nil {
				return err
			}
			text += news
		}
		if text == "" && time.Since(last) >= heartbeat {
			text = ":\n\n"
		}
		if text != "" {
			if send(text) != nil {
				return nil // the viewer has gone
			}
			last = time.Now()
		}
		sent, text = now, ""
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if time.Since(checked) >= p.Recheck {
			if v.Still(ctx) != nil {
				return nil // the page asks again, and is told
			}
			checked, mine = time.Now(), within(v.Places(lookers...))
		}
		if next, err := p.board.get(ctx); err == nil { // else the page sees that its figures stand still
			s = next
		}
	}
}

// changes returns events of what is now and was not sent.
func (p *Pages) changes(v *page.View, sent, now *sight) (string, error) {
	figures := sent == nil || now.Read != sent.Read
	all := sent == nil || len(sent.Rows) != len(now.Rows)
	var changed []row
	for i := range now.Rows {
		switch {
		case all:
		case sent.Rows[i].ID != now.Rows[i].ID:
			all = true
		case sent.Rows[i] != now.Rows[i]:
			changed = append(changed, now.Rows[i])
		}
	}
	var b bytes.Buffer
	add := func(event, part string, data any) error {
		html, err := p.render(v.Lang, part, data)
		if err != nil {
			return err
		}
		quoted, err := json.Marshal(html) // so that no line end in it ends the event
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", event, quoted)
		return err
	}
	if figures {
		if err := add("figures", "fleet-figures", now); err != nil {
			return "", err
		}
	}
	switch {
	case all:
		if err := add("rows", "fleet-rows", now.Rows); err != nil {
			return "", err
		}
	case len(changed) > 0:
		if err := add("row", "fleet-rows", changed); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
