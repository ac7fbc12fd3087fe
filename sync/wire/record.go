package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
)

// An Epoch is one life of a kiosk's ledger: random, made with the database. A
// record is known for ever by (kiosk, epoch, sequence number).
type Epoch [16]byte

// NewEpoch returns a random epoch.
func NewEpoch() Epoch {
	var e Epoch
	rand.Read(e[:])
	return e
}

func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// A Hash is the state of a ledger's chain: it commits to every record up to one
// sequence number. An epoch begins with the zero Hash.
type Hash [sha256.Size]byte

// Next returns the chain's state after record, which is h(n) =
// SHA-256(h(n-1) || record n).
func (h Hash) Next(record []byte) Hash {
	d := sha256.New()
	d.Write(h[:])
	d.Write(record)
	return Hash(d.Sum(nil))
}

func (h Hash) String() string { return hex.EncodeToString(h[:8]) }

// A Kind is what a record tells.
type Kind uint8

// The kinds of record.
const (
	KindCheckin    Kind = 1 // somebody was judged at the door
	KindAnchor     Kind = 2 // the true time at one moment of one boot
	KindOpened     Kind = 3 // first record of an epoch: what came before it
	KindOrder      Kind = 4 // an order was judged
	KindPassage    Kind = 5 // so many people have passed the lane
	KindDifficulty Kind = 6 // a guard has reported a [Difficulty]
)

// A Direction is the way through a lane.
type Direction uint8

// The directions.
const (
	In  Direction = 1
	Out Direction = 2
)

func (d Direction) String() string {
	switch d {
	case In:
		return "in"
	case Out:
		return "out"
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// Presence is how sure it is that the person was there.
type Presence uint8

// The levels of presence.
const (
	Claimed  Presence = 1 // said by a phone that scanned a poster, or by somebody of the companions they bring
	Typed    Presence = 2 // a short code typed at a kiosk; identifies, does not prove
	Verified Presence = 3 // a code read by a kiosk at the door
	Paper    Presence = 4 // typed later from the emergency sheet
)

// A Header is the clear part of a record. It holds nothing about a person. It
// is the additional data of the record's seal, so it cannot be changed or moved
// to another sequence number without the seal failing to open.
type Header struct {
	Seq       uint64     `cbor:"1,keyasint"`
	Kind      Kind       `cbor:"2,keyasint"`
	Boot      when.Boot  `cbor:"3,keyasint"`
	Since     int64      `cbor:"4,keyasint"` // milliseconds since boot
	Wall      int64      `cbor:"5,keyasint"` // Unix milliseconds as the kiosk believed
	Clock     when.State `cbor:"6,keyasint"`
	Error     int64      `cbor:"7,keyasint,omitempty"` // bound on Wall in milliseconds; 0 is unknown
	Gate      string     `cbor:"8,keyasint,omitempty"`
	Lane      uint8      `cbor:"9,keyasint,omitempty"`
	Direction Direction  `cbor:"10,keyasint,omitempty"`
	Pass      pass.Kind  `cbor:"11,keyasint,omitempty"`
	Verdict   Verdict    `cbor:"12,keyasint,omitempty"`
	Reason    Reason     `cbor:"13,keyasint,omitempty"`
	Presence  Presence   `cbor:"14,keyasint,omitempty"`
	With      uint64     `cbor:"15,keyasint,omitempty"` // a companion's: number of the check-in that this person came with

	Anchor *Anchor `cbor:"20,keyasint,omitempty"` // with KindAnchor
	Opened *Opened `cbor:"21,keyasint,omitempty"` // with KindOpened

	Order *OrderUse `cbor:"22,keyasint,omitempty"` // with KindOrder; Reason says why it was refused

	Passage *Passage `cbor:"23,keyasint,omitempty"` // with KindPassage; the header's time is its end
}

// Reading returns what the kiosk knew of the time.
func (h Header) Reading() when.Reading {
	return when.Reading{Boot: h.Boot, Since: h.Since, Wall: h.Wall, State: h.Clock, Error: h.Error}
}

// At sets what the kiosk knew of the time.
func (h *Header) At(r when.Reading) {
	h.Boot, h.Since, h.Wall, h.Clock, h.Error = r.Boot, r.Since, r.Wall, r.State, r.Error
}

// An Anchor ties the header's moment of its boot to the server's time.
type Anchor struct {
	Server int64 `cbor:"1,keyasint"` // Unix milliseconds
	Error  int64 `cbor:"2,keyasint"` // bound in milliseconds
}

// OpenedBy says why an epoch began.
type OpenedBy uint8

// The reasons for a new epoch.
const (
	OpenedNew     OpenedBy = 1 // first start on this storage
	OpenedFork    OpenedBy = 2 // the server knows another history under the old epoch
	OpenedMoved   OpenedBy = 3 // the storage was copied, restored or put into another machine
	OpenedSalvage OpenedBy = 4 // the old database did not open; what was readable is carried over
	OpenedOrder   OpenedBy = 5 // somebody has ordered it
)

func (o OpenedBy) String() string {
	switch o {
	case OpenedNew:
		return "new"
	case OpenedFork:
		return "fork"
	case OpenedMoved:
		return "moved"
	case OpenedSalvage:
		return "salvage"
	case OpenedOrder:
		return "order"
	}
	return fmt.Sprintf("opened %d", uint8(o))
}

// Opened tells what an epoch follows. Lost is the number of records of Previous
// that the kiosk knows to have had, held unconfirmed, and could not carry over;
// Last is the last sequence number of Previous that it knows of.
type Opened struct {
	By       OpenedBy `cbor:"1,keyasint"`
	Previous *Epoch   `cbor:"2,keyasint,omitempty"`
	Last     uint64   `cbor:"3,keyasint,omitempty"`
	Carried  uint64   `cbor:"4,keyasint,omitempty"`
	Lost     uint64   `cbor:"5,keyasint,omitempty"`
}

// A Subject is what a record's sealed box holds: who, as the pass said. Exactly
// what tracing needs and nothing else of the pass.
type Subject struct {
	Kind    pass.Kind `cbor:"1,keyasint"`
	Card    uint32    `cbor:"2,keyasint,omitempty"` // number of an own card
	Issue   uint8     `cbor:"3,keyasint,omitempty"`
	Number  string    `cbor:"4,keyasint,omitempty"` // number of a foreign pass
	Name    string    `cbor:"5,keyasint,omitempty"`
	Born    int       `cbor:"6,keyasint,omitempty"` // year
	Address string    `cbor:"7,keyasint,omitempty"`
	Phone   string    `cbor:"8,keyasint,omitempty"`
}

// String hides the subject, so that no log line can carry a person.
func (Subject) String() string { return "subject(hidden)" }

// GoString hides the subject from %#v.
func (Subject) GoString() string { return "subject(hidden)" }

// A Sealed box is a Subject encrypted to the server (package seal). Zero Box
// means that the record has no subject.
type Sealed struct {
	Key     uint32 // id of the server's seal key
	Context uint64 // id of the [Context] it was sealed in
	Counter uint64 // the context's counter, never used twice
	Box     []byte
}

// A Context is what the server needs, once, to open the boxes sealed in it. Its
// ID is derived from Enc, see [NewContext].
type Context struct {
	ID  uint64 `cbor:"1,keyasint"`
	Key uint32 `cbor:"2,keyasint"`
	Enc []byte `cbor:"3,keyasint"`
}

// A Record is one entry of a kiosk's ledger. Its encoding is stored, chained
// and sent unchanged.
//
// A record carried over into a later epoch keeps its header, and so its first
// sequence number, and names the epoch where it was first written in Origin:
// the server counts it once however often and under however many epochs it
// arrives.
type Record struct {
	Header  []byte `cbor:"1,keyasint"` // encoded Header
	Key     uint32 `cbor:"2,keyasint,omitempty"`
	Context uint64 `cbor:"3,keyasint,omitempty"`
	Counter uint64 `cbor:"4,keyasint,omitempty"`
	Box     []byte `cbor:"5,keyasint,omitempty"`
	Origin  *Epoch `cbor:"6,keyasint,omitempty"`
}

// NewRecord joins a header and its sealed subject.
func NewRecord(h Header, s Sealed) Record {
	return Record{Header: Encode(h), Key: s.Key, Context: s.Context, Counter: s.Counter, Box: s.Box}
}

// Sealed returns the record's sealed subject.
func (r Record) Sealed() Sealed {
	return Sealed{Key: r.Key, Context: r.Context, Counter: r.Counter, Box: r.Box}
}

// A Digest identifies a record's content wherever it is carried.
type Digest [8]byte

// Digest returns the first 8 bytes of the SHA-256 of the record without its
// Origin.
func (r Record) Digest() Digest {
	r.Origin = nil
	sum := sha256.Sum256(Encode(r))
	return Digest(sum[:8])
}

// DecodeRecord reads a record and its header. The header's version of the world
// may be newer than ours: unknown keys are skipped.
func DecodeRecord(b []byte) (Record, Header, error) {
	var r Record
	var h Header
	if len(b) > MaxRecord {
		return r, h, fmt.Errorf("wire: record of %d bytes: %w", len(b), ErrTooLarge)
	}
	if err := Decode(b, &r); err != nil {
		return r, h, err
	}
	if err := Decode(r.Header, &h); err != nil {
		return r, h, err
	}
	if h.Seq == 0 || h.Seq > maxSeq || h.Kind == 0 {
		return r, h, fmt.Errorf("wire: record without number or kind: %w", ErrMalformed)
	}
	if (h.Kind == KindAnchor) != (h.Anchor != nil) || (h.Kind == KindOpened) != (h.Opened != nil) || (h.Kind == KindOrder) != (h.Order != nil) ||
		(h.Kind == KindPassage) != (h.Passage != nil) {
		return r, h, fmt.Errorf("wire: record %d contradicts its kind: %w", h.Seq, ErrMalformed)
	}
	return r, h, nil
}

// AdditionalData returns what a record's seal is bound to: the kiosk, the epoch
// in which the record was first written, and its header.
func AdditionalData(kiosk string, epoch Epoch, header []byte) []byte {
	const prefix = "qrgate record v1\x00"
	b := make([]byte, 0, len(prefix)+1+len(kiosk)+len(epoch)+len(header))
	b = append(b, prefix...)
	b = append(b, byte(len(kiosk)))
	b = append(b, kiosk...)
	b = append(b, epoch[:]...)
	return append(b, header...)
}

// NewContext returns the context whose encapsulated key is enc.
func NewContext(key uint32, enc []byte) Context {
	return Context{ID: contextID(enc), Key: key, Enc: enc}
}

func contextID(enc []byte) uint64 {
	sum := sha256.Sum256(enc)
	var id uint64
	for _, b := range sum[:8] {
		id = id<<8 | uint64(b)
	}
	return id
}
