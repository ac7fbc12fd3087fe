package twin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// A qmp is qemu's own channel: orders to it and what it tells.
type qmp struct {
	conn    net.Conn
	mu      sync.Mutex // one order at a time
	replies chan error

	told   sync.Mutex
	events []string
}

func dialQMP(path string) (*qmp, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	q := &qmp{conn: c, replies: make(chan error, 1)}
	in := json.NewDecoder(c)
	var hello struct{ QMP any }
	if err := in.Decode(&hello); err != nil {
		return nil, err
	}
	go q.listen(in)
	return q, q.run("qmp_capabilities", nil)
}

func (q *qmp) listen(in *json.Decoder) {
	for {
		var m struct {
			Event string
			Error *struct{ Desc string }
		}
		if err := in.Decode(&m); err != nil {
			close(q.replies)
			return
		}
		switch {
		case m.Event != "":
			q.told.Lock()
			q.events = append(q.events, m.Event)
			q.told.Unlock()
		case m.Error != nil:
			q.replies <- errors.New("twin: qemu: " + m.Error.Desc)
		default:
			q.replies <- nil
		}
	}
}

func (q *qmp) run(name string, args map[string]any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	order := map[string]any{"execute": name}
	if args != nil {
		order["arguments"] = args
	}
	if err := json.NewEncoder(q.conn).Encode(order); err != nil {
		return fmt.Errorf("%w: %w", ErrDead, err)
	}
	err, ok := <-q.replies
	if !ok {
		return ErrDead
	}
	return err
}

func (q *qmp) all() []string {
	q.told.Lock()
	defer q.told.Unlock()
	return append([]string(nil), q.events...)
}

// Close ends the channel.
func (q *qmp) Close() error { return q.conn.Close() }
