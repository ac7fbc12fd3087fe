package fleet

import (
	"slices"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// A life is one start of a kiosk's program with one ledger. One that another has
// followed never comes back: if it does, two machines share an identity. Starts are
// counted from the clock where there was no count, so that two machines may have
// counted alike; no two have the same ledger.
type life struct {
	boot   [16]byte
	start  uint64
	serial string
	epoch  wire.Epoch
}

// Lives finds kiosks that are two. It is not safe for concurrent use.
type Lives struct {
	of map[string]*lived
}

type lived struct {
	lives    []life // the newest last
	sessions map[life]uint64
	back     []time.Time
}

const (
	livesKept = 6
	// A life that comes back once in the same session may be a beat that came late;
	// twice within backWithin it is none. In a session that is new it has connected
	// again after another had taken its place.
	backTwice  = 2
	backWithin = 10 * time.Minute
)

// Cloned takes a verified beat of a kiosk and reports whether it shows that there
// are two of it.
func (l *Lives) Cloned(kiosk string, b *wire.Beat, now time.Time) bool {
	if l.of == nil {
		l.of = map[string]*lived{}
	}
	k := l.of[kiosk]
	if k == nil {
		k = &lived{sessions: map[life]uint64{}}
		l.of[kiosk] = k
	}
	this := life{b.Boot, b.Session >> 32, b.Serial, b.Epoch}
	at := slices.Index(k.lives, this)
	before := k.sessions[this]
	k.sessions[this] = max(before, b.Session)
	if last := len(k.lives) - 1; at >= 0 && at == last {
		return false
	}
	again := at >= 0 && b.Session > before
	if at >= 0 {
		k.lives = slices.Delete(k.lives, at, at+1)
		k.back = append(k.back, now)
	}
	if k.lives = append(k.lives, this); len(k.lives) > livesKept {
		delete(k.sessions, k.lives[0])
		k.lives = k.lives[1:]
	}
	k.back = slices.DeleteFunc(k.back, func(t time.Time) bool { return now.Sub(t) > backWithin })
	return again || len(k.back) >= backTwice
}
