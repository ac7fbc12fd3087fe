package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/store"
)

const (
	// pace is the least time between two events of check-ins on one stream.
	pace = 500 * time.Millisecond
	// idle is how old figures get of which no news came. Another server's come
	// without news.
	idle = 5 * time.Second
	// heartbeat keeps a quiet stream open through proxies.
	heartbeat = 15 * time.Second
)

// stream answers GET /live until the viewer goes, does not read or may not look any
// more, or the server ends.
func (l *Live) stream(w http.ResponseWriter, r *http.Request, view *page.View) error {
	select {
	case l.streams <- struct{}{}:
		defer func() { <-l.streams }()
	default:
		return page.Busy{Err: errStreams, After: time.Minute}
	}
	var feeding sync.WaitGroup
	defer feeding.Wait()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()

	v := &viewer{Live: l, out: http.NewResponseController(w), w: w, heard: time.Now()}
	recent, watched := l.feed.Join(ctx)
	first, err := v.snapshot(ctx, recent)
	if err != nil {
		return err
	}
	// The server's time-outs are those of requests, and a stream is none.
	if err := v.out.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("live: stream: %w", err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead || v.send(first) != nil {
		return nil
	}
	news := make(chan ingest.News)
	feeding.Go(func() {
		for n := range watched {
			select {
			case news <- n:
			case <-ctx.Done():
				return
			}
		}
	})
	err = v.follow(ctx, view, news)
	if ctx.Err() == nil {
		l.log.Debug("stream ended", "err", err)
	}
	return nil
}

// A viewer is one page that listens.
type viewer struct {
	*Live
	out   *http.ResponseController
	w     http.ResponseWriter
	sent  *snapshot
	heard time.Time // figures read before are older than the news
}

// follow sends what is new until ctx ends or the viewer does not take it or may not
// have it any more.
func (v *viewer) follow(ctx context.Context, view *page.View, news <-chan ingest.News) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	recheck := time.NewTicker(v.recheck)
	defer recheck.Stop()
	figures := time.NewTimer(v.due())
	defer figures.Stop()
	rested := time.NewTimer(0)
	defer rested.Stop()
	var open <-chan ingest.News // nil while the pace forbids to take more
	for {
		var text string
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rested.C:
			open = news
			continue
		case <-beat.C:
			text = ":\n\n"
		case <-recheck.C:
			if err := view.Still(ctx); err != nil {
				return err
			}
			continue
		case n := <-open:
			open = nil
			rested.Reset(pace)
			v.heard = time.Now()
			figures.Reset(v.due())
			if len(n.Checkins) == 0 {
				continue
			}
			if text, err = v.lines.of(n.Checkins); err == nil {
				text = event("checkin", text)
			}
		case <-figures.C:
			s, err := v.board.snapshot(ctx)
			if err != nil {
				// The page sees that its figures stand still.
				figures.Reset(v.refresh)
				continue
			}
			text = v.changes(s)
			figures.Reset(v.due())
		}
		if err != nil {
			return err
		}
		if err := v.send(text); err != nil {
			return err
		}
	}
}

// due returns in how long figures are to be sent.
func (v *viewer) due() time.Duration {
	next := v.sent.began.Add(idle)
	if v.sent.began.Before(v.heard) {
		next = v.sent.began.Add(v.refresh)
	}
	return max(time.Until(next), 0)
}

// snapshot returns the event that makes a page right, whatever it missed.
func (v *viewer) snapshot(ctx context.Context, recent []store.Sighting) (string, error) {
	s, err := v.board.snapshot(ctx)
	if err != nil {
		return "", err
	}
	checkins, err := v.lines.of(recent)
	if err != nil {
		return "", err
	}
	v.sent = s
	text, err := jsonOf(map[string]string{"figures": s.figures, "kiosks": s.table, "checkins": checkins})
	if err != nil {
		return "", err
	}
	// Pages that lost a server must not all come back in one moment.
	again := fmt.Sprintf("retry: %d\n", 2000+rand.IntN(3000))
	return again + event("snapshot", text), nil
}

// changes returns events of what s has and the page has not.
func (v *viewer) changes(s *snapshot) string {
	if s.no == v.sent.no {
		return ""
	}
	rows, counts := s.since(v.sent.no)
	v.sent = s
	text := event("figures", s.figures)
	if rows != "" {
		text += event("kiosks", rows)
	}
	if counts != nil {
		if c, err := json.Marshal(counts); err == nil {
			text += event("count", string(c))
		}
	}
	return text
}

// send writes events and sees them off within the viewer's patience.
func (v *viewer) send(text string) error {
	if text == "" {
		return nil
	}
	if err := v.out.SetWriteDeadline(time.Now().Add(v.patience)); err != nil {
		return err
	}
	if _, err := v.w.Write([]byte(text)); err != nil {
		return err
	}
	return v.out.Flush()
}

// lineEnds are what ends a line of an event, of which HTML may hold each: a
// name with a carriage return in it must not begin a field of its own.
var lineEnds = strings.NewReplacer("\r\n", "\ndata: ", "\r", "\ndata: ", "\n", "\ndata: ")

// event returns one server-sent event.
func event(name, data string) string {
	return "event: " + name + "\ndata: " + lineEnds.Replace(data) + "\n\n"
}

// jsonOf returns v as JSON whose markup is not escaped once more: it is parsed,
// never put into a page as it is.
func jsonOf(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("live: event: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
