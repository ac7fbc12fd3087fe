package ingest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A delivery is a batch whose signature has verified, or a visit by phone, with
// everything about its records that can be known without the database.
type delivery struct {
	batch   *wire.Batch // or else
	visit   *visit
	records []record
	// forgotten is the store's count, see persons, when the records were opened.
	forgotten uint64
	bearer    bearer // who carried the batch here and waits; nil as a rule
}

// A record is one entry of a batch, opened.
type record struct {
	raw    []byte
	header wire.Header
	origin *wire.Epoch // where it was first written, if not in the batch's epoch
	digest wire.Digest
	reject wire.Reason // why it cannot be used, or NoReason

	named  bool // somebody was identified:
	who    identity
	person person        // who has it, if that is remembered
	detail *wire.Subject // what a pass that we did not issue said of them

	difficulty *wire.Difficulty // of its kind, if it is one
}

// report reads a difficulty.
func (r *record) report(plain []byte) {
	d := new(wire.Difficulty)
	if wire.Decode(plain, d) != nil || d.Validate() != nil {
		r.reject = wire.ReasonRecord
		return
	}
	r.difficulty = d
}

type (
	identity = [16]byte
	person   = qrgate.Person
)

// open verifies a batch and opens its records. The error means that nothing of
// it is to be believed.
func (in *Ingest) open(ctx context.Context, m message) (*delivery, error) {
	key, err := in.keys.of(ctx, m.kiosk)
	if err != nil {
		return nil, err
	}
	b, err := wire.OpenBatch(m.payload, m.kiosk, key)
	if err != nil {
		return nil, err
	}
	contexts := make(map[uint64]wire.Context, len(b.Contexts))
	for _, c := range b.Contexts {
		contexts[c.ID] = c
	}
	d := &delivery{batch: b, records: make([]record, len(b.Records)), forgotten: in.known.count()}
	for i, raw := range b.Records {
		d.records[i] = in.openRecord(b, b.First+uint64(i), raw, contexts)
	}
	return d, nil
}

func (in *Ingest) openRecord(b *wire.Batch, seq uint64, raw []byte, contexts map[uint64]wire.Context) record {
	decoded, header, err := wire.DecodeRecord(raw)
	epoch, number := b.Epoch, seq
	if decoded.Origin != nil {
		epoch, number = *decoded.Origin, header.Seq
	}
	if err != nil || !sound(header) || header.Seq != number || number == 0 || decoded.Origin != nil && epoch == b.Epoch {
		return record{raw: raw, reject: wire.ReasonRecord}
	}
	r := record{raw: raw, header: header, origin: decoded.Origin, digest: decoded.Digest()}
	switch header.Kind {
	case wire.KindCheckin, wire.KindAnchor, wire.KindOpened, wire.KindOrder, wire.KindPassage, wire.KindDifficulty:
	default:
		r.reject = wire.ReasonVersion // of a kiosk that is newer than this server
		return r
	}
	if len(decoded.Box) == 0 {
		if header.Kind == wire.KindDifficulty {
			r.reject = wire.ReasonRecord
		}
		return r
	}
	plain, err := in.Opener.Open(contexts[decoded.Context], wire.AdditionalData(b.Kiosk, epoch, decoded.Header), decoded.Sealed())
	var subject wire.Subject
	switch {
	case errors.Is(err, seal.ErrKey):
		r.reject = wire.ReasonSealKey
	case err != nil:
		r.reject = wire.ReasonSeal
	case header.Kind == wire.KindDifficulty:
		r.report(plain)
	case wire.Decode(plain, &subject) != nil:
		r.reject = wire.ReasonRecord
	default:
		in.identify(&r, &subject)
	}
	return r
}

// Bounds of what a sound header may say, in milliseconds. They only keep
// arithmetic from overflowing: what a kiosk says of the time is judged by
// package when. A gate's name goes into a database that takes no NUL.
const (
	maxSince = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
	maxWall  = int64(1) << 50
	maxGate  = 64 // bytes
)

func sound(h wire.Header) bool {
	ok := h.Since >= 0 && h.Since <= maxSince && h.Wall > -maxWall && h.Wall < maxWall && h.Error >= 0 && h.Error < maxWall &&
		h.Seq < 1<<62 && len(h.Gate) <= maxGate && utf8.ValidString(h.Gate) && !strings.ContainsFunc(h.Gate, unicode.IsControl)
	if a := h.Anchor; a != nil {
		ok = ok && a.Server > 0 && a.Server < maxWall && a.Error >= 0 && a.Error < maxWall
	}
	return ok && (h.Passage == nil || h.Passage.Sound())
}

// identify finds what stands for the person whom a pass names. An own card is
// its number, whatever its kind and issue; the number of every other pass is
// one of its own kind.
func (in *Ingest) identify(r *record, s *wire.Subject) {
	kind, number := s.Kind, s.Number
	switch s.Kind {
	case pass.Card, pass.Family, pass.Staff, pass.Typed:
		kind, number = pass.Card, strconv.FormatUint(uint64(s.Card), 10)
	case pass.Event:
		number = strconv.FormatUint(uint64(s.Card), 10)
	default:
		r.detail = s
	}
	if number == "" || number == "0" {
		r.reject = wire.ReasonRecord
		return
	}
	r.named, r.who = true, in.Vault.Identity(kind, number)
	r.person = in.known.get(r.who)
}

// keyTTL is how long a kiosk's public key is used before the store is asked
// again. A revocation does not wait for it: see store.Book.
const keyTTL = time.Minute

// A keyring remembers kiosks' public keys.
type keyring struct {
	store *store.Store
	now   func() time.Time

	mu   sync.Mutex
	held map[string]heldKey
}

type heldKey struct {
	public ed25519.PublicKey
	until  time.Time
}

// maxHeld bounds the keyring. Only kiosks of ours are in it.
const maxHeld = 100_000

func (k *keyring) of(ctx context.Context, kiosk string) (ed25519.PublicKey, error) {
	now := k.now()
	k.mu.Lock()
	h, ok := k.held[kiosk]
	k.mu.Unlock()
	if ok && now.Before(h.until) {
		return h.public, nil
	}
	found, err := k.store.Kiosk(ctx, kiosk)
	if err != nil {
		return nil, err
	}
	if found.State != qrgate.KioskActive {
		return nil, fmt.Errorf("kiosk %q: %w", kiosk, qrgate.ErrRevoked)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.held) >= maxHeld {
		clear(k.held)
	}
	k.held[kiosk] = heldKey{found.Public, now.Add(keyTTL)}
	return found.Public, nil
}

// persons remembers who has which identity, as committed.
type persons struct {
	limit int

	mu        sync.RWMutex
	of        map[identity]person
	forgotten uint64
}

// count returns the store's count of times when people were forgotten, as of what
// is remembered.
func (p *persons) count() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.forgotten
}

// renew takes out of memory and of deliveries what was remembered before people
// were last forgotten, and reports whether there was a delivery of before. Who is
// forgotten must not get another check-in from memory.
func (p *persons) renew(forgotten uint64, all []*delivery) (old bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgotten != forgotten {
		p.forgotten = forgotten
		clear(p.of)
	}
	for _, d := range all {
		if d.forgotten == forgotten {
			continue
		}
		d.forgotten, old = forgotten, true
		for i := range d.records {
			d.records[i].person = 0
		}
	}
	return old
}

// get returns who has id, or 0.
func (p *persons) get(id identity) person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.of[id]
}

func (p *persons) add(fresh map[identity]person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, who := range fresh {
		if len(p.of) >= p.limit {
			for old := range p.of { // any: whoever comes daily is soon back
				delete(p.of, old)
				break
			}
		}
		p.of[id] = who
	}
}
