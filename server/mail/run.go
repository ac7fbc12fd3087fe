package mail

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Run delivers letters until ctx ends, and returns nil. It then goes on for a few
// seconds with what waits.
func (s *Sender) Run(ctx context.Context) error {
	// Letters under way when ctx ends are not broken off at once: the server
	// may have taken them already.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(s.options.Stop):
			cancel()
		case <-sending.Done():
		}
	})
	defer stop()

	var server pause
	for {
		l, wait := s.due(time.Now(), server.until)
		if l == nil {
			if !s.sleep(ctx, wait) {
				break
			}
			continue
		}
		if err := s.try(sending, l, &server); err != nil && ctx.Err() != nil {
			break
		}
	}
	if n := s.Waiting(); n > 0 {
		s.log.Warn("letters lost at the end", "letters", n)
	}
	return nil
}

// A pause is how long a server is left alone that could not be talked to.
type pause struct {
	failures int
	until    time.Time
}

// try hands l to the server, and decides what becomes of it. The error says that
// the server cannot be talked to now.
func (s *Sender) try(ctx context.Context, l *letter, server *pause) error {
	err := s.config.deliver(ctx, l)
	now := time.Now()
	var no *refused
	switch {
	case err == nil:
		s.drop(l)
		s.log.Debug("letter delivered", "letter", l.number, "after", now.Sub(l.accepted))
	case errors.As(err, &no) && !no.forNow:
		s.drop(l)
		s.log.Warn("letter refused", "letter", l.number, "code", no.code, "step", no.step)
	case errors.As(err, &no):
		l.tries++
		l.next = now.Add(s.backOff(l.tries))
		s.log.Debug("letter refused for now", "letter", l.number, "code", no.code, "step", no.step, "retry_in", l.next.Sub(now))
	}
	if err == nil || no != nil {
		if server.failures > 0 {
			s.log.Info("mail server takes letters again", "failures", server.failures)
		}
		*server = pause{}
		return nil
	}
	if server.failures == 0 {
		s.log.Warn("mail server takes no letters", "err", err, "queued", s.Waiting())
	}
	server.failures++
	server.until = now.Add(s.backOff(server.failures))
	if b := new(broken); errors.As(err, &b) {
		// It may be this letter at which the server breaks off. Let others
		// go first.
		l.tries++
		l.next = server.until.Add(s.backOff(l.tries))
	}
	return err
}

// backOff doubles, and spreads what failed together.
func (s *Sender) backOff(failures int) time.Duration {
	d := s.options.RetryMax
	if failures < 30 {
		d = min(d, s.options.Retry<<(failures-1))
	}
	if d <= 0 { // shifted out
		d = s.options.RetryMax
	}
	return d/2 + rand.N(d/2+1)
}

// due returns the first letter that may be tried now, or how long until there may
// be one. It drops what is too old.
func (s *Sender) due(now, serverUntil time.Time) (*letter, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = slices.DeleteFunc(s.letters, func(l *letter) bool {
		old := now.Sub(l.accepted) > s.options.Keep
		if old {
			s.log.Error("letter given up", "letter", l.number, "tries", l.tries, "after", now.Sub(l.accepted))
		}
		return old
	})
	wait := s.options.RetryMax
	if w := serverUntil.Sub(now); w > 0 {
		return nil, w
	}
	var bulk *letter
	for _, l := range s.letters {
		w := l.next.Sub(now)
		switch {
		case w > 0:
			wait = min(wait, w)
		case !l.Bulk:
			return l, 0
		case bulk == nil:
			bulk = l
		}
	}
	if bulk != nil {
		wait = 0
	}
	return bulk, wait
}

func (s *Sender) drop(l *letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = slices.DeleteFunc(s.letters, func(m *letter) bool { return m == l })
}

// sleep waits for d or a new letter; false means that ctx has ended.
func (s *Sender) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
	case <-timer.C:
	}
	return true
}
