package guard

import (
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"sync"
	"time"
)

// Limits of sessions.
const (
	maxSessions = 8
	idleTime    = time.Hour // without anything pressed
	wholeTime   = 12 * time.Hour
)

// A session is a telephone whose PIN was right. It is in memory: after a restart the PIN
// is asked for again.
type session struct {
	id     string
	secret string // of the telephone
	token  string // that every form of the page carries
	begun  time.Time
	used   time.Time
	notice notice // is shown on the next page
}

// A notice is what became of what somebody pressed.
type notice struct {
	Key  string
	Args []string
	Bad  bool
}

// sessions is safe for concurrent use.
type sessions struct {
	mu  sync.Mutex
	all []*session
}

// begin opens a session and returns its id.
func (s *sessions) begin(secret string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(now)
	if len(s.all) >= maxSessions {
		s.all = s.all[1:] // the oldest
	}
	one := &session{id: rand.Text(), secret: secret, token: rand.Text(), begun: now, used: now}
	s.all = append(s.all, one)
	return one.id
}

// drop ends what is over. s.mu is held.
func (s *sessions) drop(now time.Time) {
	s.all = slices.DeleteFunc(s.all, func(o *session) bool { return now.Sub(o.used) >= idleTime || now.Sub(o.begun) >= wholeTime })
}

// of returns a copy of the session with an id; use says that somebody pressed something.
func (s *sessions) of(id string, use bool, now time.Time) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(now)
	for _, o := range s.all {
		if subtle.ConstantTimeCompare([]byte(o.id), []byte(id)) == 1 {
			if use {
				o.used = now
			}
			return *o, true
		}
	}
	return session{}, false
}

// say keeps a notice for a session's next page.
func (s *sessions) say(id string, n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.all {
		if o.id == id {
			o.notice = n
		}
	}
}

// said takes the notice.
func (s *sessions) said(id string) (n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.all {
		if o.id == id {
			n, o.notice = o.notice, notice{}
		}
	}
	return n
}

// end ends the sessions for which over is true.
func (s *sessions) end(over func(session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o *session) bool { return over(*o) })
}

func (s *sessions) count(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(now)
	return len(s.all)
}
