package guard

import (
	"net"
	"sync"
	"time"
)

const (
	// maxConns is how many connections the page takes at once, so that somebody on the network
	// who opens thousands takes no file descriptor from the door.
	maxConns = 48
	// maxOwn is how many of them one address has: a telephone opens six, and whoever opens
	// all of them keeps guards out.
	maxOwn = 12
)

// A limit is a listener that takes maxConns connections at once, and of them maxOwn of
// each address.
type limit struct {
	net.Listener

	mu  sync.Mutex
	all int
	of  map[string]int // by address
}

func newLimit(l net.Listener) net.Listener { return &limit{Listener: l, of: map[string]int{}} }

// Accept closes at once whoever is one too many: to let them wait would keep guards out.
func (l *limit) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err == nil && l.enter(from) {
			return &limited{Conn: c, leave: func() { l.leave(from) }}, nil
		}
		c.Close()
	}
}

func (l *limit) enter(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConns || l.of[from] >= maxOwn {
		return false
	}
	l.all++
	l.of[from]++
	return true
}

func (l *limit) leave(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.of[from]--; l.of[from] == 0 {
		delete(l.of, from)
	}
}

type limited struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *limited) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}

// A rate allows some of a thing in some time. It is safe for concurrent use.
type rate struct {
	mu  sync.Mutex
	all []time.Time
}

// take reports whether one more is allowed now.
func (r *rate) take(most int, in time.Duration, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) > 0 && now.Sub(r.all[0]) >= in {
		r.all = r.all[1:]
	}
	if len(r.all) >= most {
		return false
	}
	r.all = append(r.all, now)
	return true
}
