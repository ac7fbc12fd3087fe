package mail

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// ErrFull means that so many letters wait for the mail server that no more are
// taken. The page should say that mail is down now.
var ErrFull = errors.New("mail: too many letters are waiting")

// Options are the optional parts of a Sender. The zero value is right.
type Options struct {
	Capacity int           // letters that wait at most; default 1000
	Retry    time.Duration // after the first failure, doubled up to RetryMax; default 5 s
	RetryMax time.Duration // default 5 min
	Keep     time.Duration // how long a letter is tried; default 24 h
	Stop     time.Duration // how long Run goes on after its context ended; default 5 s
}

// A Sender takes letters and delivers them one after the other, those that are
// [Message.Bulk] after all others. It is safe for concurrent use.
type Sender struct {
	config  Config
	options Options
	log     *slog.Logger
	wake    chan struct{}

	mu      sync.Mutex
	letters []*letter // in the order in which they were accepted; those in bulk go last
	last    uint64
}

type letter struct {
	Message
	number   uint64 // in log lines
	id       string // Message-ID
	accepted time.Time
	tries    int
	next     time.Time // not to be tried before
}

// New returns a Sender. It does not connect: a mail server that is down does not
// keep ours from starting.
func New(c Config, log *slog.Logger, o Options) (*Sender, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	if _, err := c.client(new(net.Dialer).DialContext); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	defaults := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	defaults(&o.Retry, 5*time.Second)
	defaults(&o.RetryMax, 5*time.Minute)
	defaults(&o.Keep, 24*time.Hour)
	defaults(&o.Stop, 5*time.Second)
	if o.Capacity <= 0 {
		o.Capacity = 1000
	}
	return &Sender{config: c, options: o, log: log, wake: make(chan struct{}, 1)}, nil
}

// Send accepts m for delivery and returns at once. The error is [ErrAddress] or
// [ErrMessage] for a letter that never can be sent, and [ErrFull].
func (s *Sender) Send(m Message) error {
	m, err := m.check()
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(s.config.From, "@")
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.options.Capacity
	if m.Bulk {
		room /= 2
	}
	if len(s.letters) >= room {
		return ErrFull
	}
	s.last++
	s.letters = append(s.letters, &letter{Message: m, number: s.last, id: rand.Text() + "@" + domain, accepted: time.Now()})
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Waiting returns how many letters are not delivered yet.
func (s *Sender) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.letters)
}
