package broker

import (
	"errors"
	"net"
	"runtime"
	"sync/atomic"
)

// Turns let handshakes compute one after the other, on half of the processors: when
// thousands of kiosks come back at once, pages and check-ins go on beside them. Whoever
// waits for the network has no turn, so that a client which is slow, or wants to be,
// keeps nobody waiting.
type turns struct {
	free    chan struct{} // a value for each turn that is free
	waiting atomic.Int64
	most    int64 // that may wait before newcomers are turned away
}

// mostWaiting is what is computed in a second or two. Who is turned away has cost
// nothing yet and comes again after a while that is its own; if all were let wait, all
// would be too late, and again the next time.
const mostWaiting = 512

func newTurns() *turns {
	n := max(1, runtime.GOMAXPROCS(0)/2)
	t := &turns{free: make(chan struct{}, n), most: mostWaiting}
	for range n {
		t.free <- struct{}{}
	}
	return t
}

// errBusy turns a newcomer away.
var errBusy = errors.New("broker: too many handshakes are waiting")

// A paced connection computes in turns until it is free. Only one goroutine may use it
// before that.
type paced struct {
	net.Conn
	turns *turns
	begun bool // the client has said something
	has   bool // a turn
	freed atomic.Bool
}

// Read gives the turn away while it waits for the client.
func (p *paced) Read(b []byte) (int, error) {
	if p.freed.Load() {
		return p.Conn.Read(b)
	}
	p.end()
	n, err := p.Conn.Read(b)
	if err != nil {
		return n, err
	}
	t := p.turns
	if !p.begun && t.waiting.Load() >= t.most {
		return 0, errBusy
	}
	p.begun = true
	t.waiting.Add(1)
	<-t.free
	t.waiting.Add(-1)
	p.has = true
	return n, nil
}

func (p *paced) end() {
	if p.has {
		p.has = false
		p.turns.free <- struct{}{}
	}
}

// release lets the connection go its own way.
func (p *paced) release() {
	p.end()
	p.freed.Store(true)
}
