package signin_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/signin"
)

var (
	noon   = time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	school = netip.MustParseAddr("203.0.113.7")
)

// tries counts how many of n tries are allowed.
func tries(l *signin.Limiter, now time.Time, n int, account func(int) string, from func(int) netip.Addr) (allowed int, wait time.Duration) {
	for i := range n {
		_, w := l.Try(now, account(i), from(i))
		if w == 0 {
			allowed++
		} else {
			wait = w
		}
	}
	return allowed, wait
}

func same(account string) func(int) string { return func(int) string { return account } }
func each(prefix string) func(int) string {
	return func(i int) string { return fmt.Sprint(prefix, i) }
}
func at(a netip.Addr) func(int) netip.Addr { return func(int) netip.Addr { return a } }

// far returns addresses of as many networks.
func far(i int) netip.Addr { return netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 1}) }

func TestLimitOfAccount(t *testing.T) {
	l := signin.NewLimiter(signin.LimitOptions{})
	allowed, wait := tries(l, noon, 1000, same("thu"), far)
	if allowed != 10 {
		t.Errorf("%d of 1000 tries at one account from many networks were allowed, want 10", allowed)
	}
	if wait < 59*time.Second || wait > 61*time.Second {
		t.Errorf("wait = %v, want about a minute", wait)
	}
	if _, w := l.Try(noon, "mai", school); w != 0 {
		t.Errorf("a try at another account has to wait %v", w)
	}
	if _, w := l.Try(noon.Add(wait), "thu", school); w != 0 {
		t.Errorf("after the wait of %v one has to wait %v more", wait, w)
	}
	if _, w := l.Try(noon.Add(wait), "thu", school); w == 0 {
		t.Error("after one wait two tries are allowed")
	}
}

func TestLimitOfNetwork(t *testing.T) {
	tests := []struct {
		name string
		from func(int) netip.Addr
		want int
	}{
		{"one address", at(school), 300},
		{"one /24", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }, 300},
		{"IPv4 in IPv6", func(i int) netip.Addr {
			if i%2 == 0 {
				return school
			}
			return netip.AddrFrom16(school.As16())
		}, 300},
		{"one /64", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: byte(i >> 8), 15: byte(i)})
		}, 300},
		{"unknown", at(netip.Addr{}), 300},
		{"many", far, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := signin.NewLimiter(signin.LimitOptions{})
			if allowed, _ := tries(l, noon, 1000, each("account"), tt.from); allowed != tt.want {
				t.Errorf("%d tries were allowed, want %d", allowed, tt.want)
			}
		})
	}
}

func TestRefusedTriesDoNotCount(t *testing.T) {
	l := signin.NewLimiter(signin.LimitOptions{})
	tries(l, noon, 10_000, same("locked"), at(school))
	if allowed, _ := tries(l, noon, 290, each("pupil"), at(school)); allowed != 290 {
		t.Errorf("after tries at a locked account %d others of the school were allowed, want 290", allowed)
	}
}

func TestSuccessRefunds(t *testing.T) {
	l := signin.NewLimiter(signin.LimitOptions{})
	for i := range 5000 {
		try, wait := l.Try(noon, fmt.Sprint("pupil", i%3), school)
		if wait != 0 {
			t.Fatalf("sign-in %d has to wait %v", i, wait)
		}
		try.Refund(noon.Add(80 * time.Millisecond))
	}
	// Never more than the burst, however many were refunded.
	if allowed, _ := tries(l, noon.Add(time.Second), 100, same("pupil0"), at(school)); allowed != 10 {
		t.Errorf("after refunds %d tries are allowed, want 10", allowed)
	}
	signin.Try{}.Refund(noon) // of a refused try
}

func TestLimiterForgetsTheOldest(t *testing.T) {
	l := signin.NewLimiter(signin.LimitOptions{Kept: 100})
	tries(l, noon, 10, same("first"), far)
	for range 5 {
		tries(l, noon, 60, each("other"), far)
		if _, w := l.Try(noon, "first", school); w == 0 {
			t.Fatal("an account is forgotten although it was tried just now")
		}
		tries(l, noon, 60, each("more"), far)
		if _, w := l.Try(noon, "first", school); w == 0 {
			t.Fatal("an account is forgotten although others were not tried for longer")
		}
	}
	tries(l, noon, 100, each("new"), far)
	if _, w := l.Try(noon, "first", school); w != 0 {
		t.Error("an account is kept although there were too many since")
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := signin.NewLimiter(signin.LimitOptions{})
	names := make([]string, 100_000) // more than are kept
	for i := range names {
		names[i] = fmt.Sprint("account", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Try(noon, names[i%len(names)], far(i))
		i++
	}
}
