package signin

import (
	"container/list"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Rate is a number of tries at once, and how long until one more is allowed.
type Rate struct {
	Burst int
	Every time.Duration
}

// LimitOptions are the optional parts of a Limiter. The zero value is right.
type LimitOptions struct {
	Account Rate // default 10 at once, one more each minute
	Network Rate // default 300 at once, one more each second: a school signs in at seven
	Kept    int  // accounts and networks remembered, each; default 50,000, about 10 MB
}

// A Limiter counts tries to sign in, per account and per network, before any
// work is done for them. It is safe for concurrent use.
//
// It holds no names, only sums of them under a key of the process, and no more
// than Kept of each. When there are more, the one that was tried longest ago is
// forgotten, and it takes a flood from many networks to get there. A name that
// is tried without end keeps its owner out as well; there is no way to tell
// them apart before the password.
type Limiter struct {
	mu       sync.Mutex
	seed     maphash.Seed
	accounts buckets[uint64]
	networks buckets[netip.Prefix]
}

// NewLimiter returns a Limiter that has seen no tries.
func NewLimiter(o LimitOptions) *Limiter {
	if o.Account == (Rate{}) {
		o.Account = Rate{10, time.Minute}
	}
	if o.Network == (Rate{}) {
		o.Network = Rate{300, time.Second}
	}
	if o.Kept <= 0 {
		o.Kept = 50_000
	}
	return &Limiter{
		seed:     maphash.MakeSeed(),
		accounts: newBuckets[uint64](o.Account, o.Kept),
		networks: newBuckets[netip.Prefix](o.Network, o.Kept),
	}
}

// A Try is one that was allowed.
type Try struct{ account, network *rate.Limiter }

// Try counts a try at account from address. If wait is not zero the try is
// refused, is not counted, and would be allowed after wait. The account is the
// name as the store looks it up, whether it exists or not.
func (l *Limiter) Try(now time.Time, account string, from netip.Addr) (try Try, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	try.account = l.accounts.bucket(now, maphash.String(l.seed, account))
	try.network = l.networks.bucket(now, network(from))
	wait = max(lacks(try.account, now), lacks(try.network, now))
	if wait > 0 {
		return Try{}, wait
	}
	try.account.AllowN(now, 1)
	try.network.AllowN(now, 1)
	return try, 0
}

// TryAgain counts a try that Try has allowed at one more account, as when two names
// lead to it. It does not count for the network, whose owner could tell by that
// whether there is such an account.
func (l *Limiter) TryAgain(now time.Time, account string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.accounts.bucket(now, maphash.String(l.seed, account))
	if wait = lacks(b, now); wait == 0 {
		b.AllowN(now, 1)
	}
	return wait
}

// Refund takes the try back, for who has proved to be the owner: people who sign
// in often, or many behind one address, are not attackers.
func (t Try) Refund(now time.Time) {
	if t.account == nil {
		return
	}
	// A negative number of tokens is given instead of taken. Cancelling a
	// reservation is no way to do this, because it has no effect once its time
	// has come.
	t.account.AllowN(now, -1)
	t.network.AllowN(now, -1)
}

// lacks returns how long it takes until b has a token.
func lacks(b *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - b.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	// Rounded up, so that a try after exactly this time is allowed.
	return time.Duration(missing/float64(b.Limit())*float64(time.Second)) + time.Millisecond
}

// network returns what one customer of an access provider commonly holds.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // unknown addresses share one bucket
	}
	return p
}

// buckets are the limiters of up to max keys, the last used in front.
type buckets[K comparable] struct {
	rate  Rate
	max   int
	byKey map[K]*list.Element
	order *list.List
}

type entry[K comparable] struct {
	key    K
	bucket *rate.Limiter
}

func newBuckets[K comparable](r Rate, max int) buckets[K] {
	return buckets[K]{rate: r, max: max, byKey: make(map[K]*list.Element), order: list.New()}
}

func (b *buckets[K]) bucket(now time.Time, key K) *rate.Limiter {
	if e, ok := b.byKey[key]; ok {
		b.order.MoveToFront(e)
		return e.Value.(entry[K]).bucket
	}
	if b.order.Len() >= b.max {
		last := b.order.Back()
		delete(b.byKey, last.Value.(entry[K]).key)
		b.order.Remove(last)
	}
	e := entry[K]{key, rate.NewLimiter(rate.Every(b.rate.Every), b.rate.Burst)}
	b.byKey[key] = b.order.PushFront(e)
	return e.bucket
}
