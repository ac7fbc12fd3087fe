package guard

import (
	"net"
	"sync"
	"time"
)

// maxConns is how many connections the page takes at once, so that somebody on the network
// who opens thousands takes no file descriptor from the door.
const maxConns = 48

// A limit is a listener that takes maxConns connections at once.
type limit struct {
	net.Listener
	places chan struct{}
}

func newLimit(l net.Listener) net.Listener { return &limit{l, make(chan struct{}, maxConns)} }

// Accept closes at once whoever is one too many: to let them wait would keep guards out.
func (l *limit) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &limited{Conn: c, leave: func() { <-l.places }}, nil
		default:
			c.Close()
		}
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
