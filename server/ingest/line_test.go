package ingest_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
)

// A line is a deliver.Link that behaves as a broker does, for everybody at once:
// one member of a shared group gets each message, whoever subscribes later gets
// what was retained. In bad weather it loses, repeats and shuffles, and says nil
// all the same.
type line struct {
	mu       sync.Mutex
	exact    map[string][]*subscription // by topic
	wild     []*subscription
	retained map[string][]byte
	turn     int
	made     int  // subscriptions, ever
	silent   bool // the server's answers wait for a broker that says nothing
	weather  *weather
	held     []letter
}

type letter struct {
	topic   string
	payload []byte
}

type subscription struct {
	ctx    context.Context
	shared bool
	filter string
	fn     func(topic string, payload []byte)
}

// A weather is how bad a line is.
type weather struct {
	rand         *rand.Rand
	lose, repeat float64
	shuffle      int                     // messages that wait to be overtaken
	lost         func(topic string) bool // more that is lost; nil for nothing
}

var _ deliver.Link = (*line)(nil)

func newLine() *line {
	return &line{exact: map[string][]*subscription{}, retained: map[string][]byte{}}
}

func (l *line) Publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.silent && strings.Contains(topic, "/down/") {
		l.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	if retain {
		l.retained[topic] = payload
	}
	var out []letter
	if w := l.weather; w == nil {
		out = []letter{{topic, payload}}
	} else if w.rand.Float64() >= w.lose && (w.lost == nil || !w.lost(topic)) {
		l.held = append(l.held, letter{topic, payload})
		if w.rand.Float64() < w.repeat {
			l.held = append(l.held, letter{topic, payload})
		}
		for len(l.held) > w.shuffle {
			i := w.rand.IntN(len(l.held))
			out = append(out, l.held[i])
			l.held = slices.Delete(l.held, i, i+1)
		}
	}
	l.deliver(out) // unlocks
	return nil
}

// deliver calls the subscribers of each letter. They must not block, but may
// publish.
func (l *line) deliver(letters []letter) {
	type call struct {
		fn func(string, []byte)
		letter
	}
	var calls []call
	for _, m := range letters {
		for _, s := range l.exact[m.topic] {
			if s.ctx.Err() == nil {
				calls = append(calls, call{s.fn, m})
			}
		}
		var group []*subscription // no test has two for one topic
		for _, s := range l.wild {
			switch {
			case s.ctx.Err() != nil || !matches(s.filter, m.topic):
			case s.shared:
				group = append(group, s)
			default:
				calls = append(calls, call{s.fn, m})
			}
		}
		if len(group) > 0 {
			l.turn++
			calls = append(calls, call{group[l.turn%len(group)].fn, m})
		}
	}
	l.mu.Unlock()
	for _, c := range calls {
		c.fn(c.topic, slices.Clone(c.payload))
	}
}

func (l *line) Subscribe(ctx context.Context, filter string, fn func(string, []byte)) error {
	s := &subscription{ctx: ctx, filter: filter, fn: fn}
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		s.shared = true
		_, s.filter, _ = strings.Cut(rest, "/")
	}
	l.mu.Lock()
	l.made++
	if strings.Contains(s.filter, "+") {
		l.wild = append(slices.DeleteFunc(l.wild, func(s *subscription) bool { return s.ctx.Err() != nil }), s)
	} else {
		l.exact[s.filter] = append(l.exact[s.filter], s)
	}
	var kept []letter
	if !s.shared {
		for topic, payload := range l.retained {
			if matches(s.filter, topic) {
				kept = append(kept, letter{topic, payload})
			}
		}
	}
	l.mu.Unlock()
	for _, m := range kept {
		fn(m.topic, m.payload)
	}
	return nil
}

// matches knows filters with one "+" at most.
func matches(filter, topic string) bool {
	before, after, wild := strings.Cut(filter, "+")
	if !wild {
		return filter == topic
	}
	rest, ok := strings.CutPrefix(topic, before)
	name, ok2 := strings.CutSuffix(rest, after)
	return ok && ok2 && !strings.Contains(name, "/")
}

// storm makes the line bad.
func (l *line) storm(w weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.weather = &w
}

// calm makes the line good and delivers what was on its way.
func (l *line) calm() {
	l.mu.Lock()
	held := l.held
	l.weather, l.held = nil, nil
	l.deliver(held)
}

// A mailbox keeps what arrives for one filter.
type mailbox struct {
	t   testing.TB
	mu  sync.Mutex
	got [][]byte
	new chan struct{}
}

// patience bounds every wait for something that must happen.
const patience = time.Minute

func (l *line) mailbox(t testing.TB, filter string) *mailbox {
	m := &mailbox{t: t, new: make(chan struct{}, 1)}
	if err := l.Subscribe(t.Context(), filter, func(_ string, payload []byte) {
		m.mu.Lock()
		m.got = append(m.got, payload)
		m.mu.Unlock()
		select {
		case m.new <- struct{}{}:
		default:
		}
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// next waits for the next message.
func (m *mailbox) next() []byte {
	m.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if b := m.poll(); b != nil {
			return b
		}
		select {
		case <-m.new:
		case <-late.C:
			m.t.Fatal("nothing arrived")
		}
	}
}

// poll returns the next message if it has arrived, else nil.
func (m *mailbox) poll() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) == 0 {
		return nil
	}
	b := m.got[0]
	m.got = m.got[1:]
	return b
}

// subscriptions returns how many there ever were.
func (l *line) subscriptions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
