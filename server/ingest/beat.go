package ingest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// answerBeats answers each beat with its nonce and the time. Kiosks that have
// beaten lately do not wait for the next to hear of a card that is void.
func (in *Ingest) answerBeats(ctx context.Context) {
	var news <-chan struct{}
	if in.Lists != nil {
		news = in.Lists.News()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			in.pushList()
		case kiosk := <-in.beats.kiosks:
			in.answerBeat(ctx, in.beats.take(kiosk))
		}
	}
}

func (in *Ingest) answerBeat(ctx context.Context, m message) {
	key, err := in.keys.of(ctx, m.kiosk)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		in.refuse(m.kiosk, "beat", err)
		return
	}
	b, err := wire.OpenBeat(m.payload, key)
	if err != nil {
		in.refuse(m.kiosk, "beat", err)
		return
	}
	if !in.pace.allows(m.kiosk, m.at) {
		in.nDropped.Add(1)
		return
	}
	newest, grants := in.offerList(m, b), in.offerEvents(ctx, m, b)
	a := wire.BeatAnswer{V: wire.Version, Kiosk: m.kiosk, Nonce: b.Nonce, List: newest, Grants: grants}
	for _, tell := range in.Beats {
		tell(m.kiosk, b, &a)
	}
	in.offer(func() (string, []byte) {
		// The time is taken as late as can be: what passed since the beat
		// arrived is part of the round trip that the kiosk measures.
		a.Time = in.now().UnixMilli()
		in.nBeats.Add(1)
		return wire.Topic(m.kiosk, wire.DownBeat), wire.Seal(wire.ForBeat, in.Sign.ID, in.Sign.Key, a)
	})
	in.alive.add(store.Presence{Kiosk: m.kiosk, Beat: b, Contact: m.at})

	held, err := in.Store.Held(ctx, m.kiosk, b.Epoch)
	if err != nil {
		if ctx.Err() == nil {
			in.log.Warn("what is held of a kiosk is not known", "kiosk", m.kiosk, "err", err)
		}
		return
	}
	if held.Ledger.Through() == b.Through {
		return
	}
	r := held.Ledger.Receipt(m.kiosk, b.Epoch, held.Safe)
	r.Generation = held.Generation
	in.offer(in.receipt(r))
}

// offer hands an answer to the senders, or drops it if they have no room: the
// next beat asks again.
func (in *Ingest) offer(a answer) {
	select {
	case in.answers <- a:
	default:
		in.nDropped.Add(1)
	}
}

// takeStatus notes a status message. It has no queue: what is retained comes
// once, all kiosks' at the same moment, and does not come again.
func (in *Ingest) takeStatus(m message) {
	if len(m.payload) == 0 {
		return // a retained message was deleted
	}
	o, err := wire.DecodeOnline(m.payload)
	if err != nil {
		in.refuse(m.kiosk, "status", err)
		return
	}
	in.alive.add(store.Presence{Kiosk: m.kiosk, Online: &o, Changed: m.at})
}

// presences gathers signs of life, so that ten thousand kiosks that beat make
// one transaction a second.
type presences struct {
	mu   sync.Mutex
	news map[string]store.Presence
}

// maxNews bounds the kiosks in one second's news: the topics' names are what
// somebody said, and a broker that is not ours may let anybody say it.
const maxNews = 20_000

func (p *presences) add(n store.Presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.news[n.Kiosk]
	if !ok && len(p.news) >= maxNews {
		return
	}
	known.Kiosk = n.Kiosk
	if n.Online != nil && (known.Online == nil || n.Online.Session >= known.Online.Session) {
		known.Online, known.Changed = n.Online, n.Changed
	}
	if n.Beat != nil {
		known.Beat, known.Contact = n.Beat, n.Contact
	}
	p.news[n.Kiosk] = known
}

func (p *presences) take() []store.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.news) == 0 {
		return nil
	}
	all := slices.Collect(maps.Values(p.news))
	clear(p.news)
	return all
}

const presenceEvery = time.Second

func (in *Ingest) keepPresences(ctx context.Context) {
	each(ctx, presenceEvery, func() {
		all := in.alive.take()
		if len(all) == 0 {
			return
		}
		if err := in.Store.SavePresences(ctx, all); err != nil {
			if ctx.Err() == nil {
				in.log.Warn("signs of life not stored", "err", err, "kiosks", len(all))
			}
			return // the next beat is newer
		}
		in.Feed.KiosksChanged()
	})
}
