package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Every value in the file stands in a frame that can be found and trusted
// without the tree around it, which is what salvage lives on:
//
//	mark(1) kind(1) length(2) CRC-32C(4) body
//
// The checksum covers the key too. All keys are eight bytes, which bbolt writes
// directly before the value.
const (
	frameMark = 0xF5 // begins no UTF-8 text and no CBOR that we write
	frameHead = 8
	keySize   = 8
	maxBody   = 16 << 10
)

type kind byte

const (
	recordFrame  kind = 'r' // key: sequence number; body: see entry
	contextFrame kind = 'c' // key: id; body: epoch, key id, uses, encapsulated key
	stateFrame   kind = 's' // key: 1; body: CBOR of state
	letterFrame  kind = 'd' // key: running number; body: CBOR of DeadLetter
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errFrame is the error of a value that is not what was written.
var errFrame = errors.New("value is damaged")

func keyOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func frameSum(key []byte, k kind, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{byte(k), byte(len(body) >> 8), byte(len(body))})
	return crc32.Update(sum, castagnoli, body)
}

func frame(key []byte, k kind, body []byte) []byte {
	b := make([]byte, frameHead, frameHead+len(body))
	b[0], b[1] = frameMark, byte(k)
	binary.BigEndian.PutUint16(b[2:], uint16(len(body)))
	binary.BigEndian.PutUint32(b[4:], frameSum(key, k, body))
	return append(b, body...)
}

// unframe returns the body of a value of kind k, which may be longer than its
// frame.
func unframe(key []byte, k kind, value []byte) ([]byte, error) {
	if len(key) == keySize && len(value) >= frameHead && value[0] == frameMark && kind(value[1]) == k {
		n := int(binary.BigEndian.Uint16(value[2:]))
		if body := value[frameHead:]; n <= len(body) && n <= maxBody &&
			binary.BigEndian.Uint32(value[4:]) == frameSum(key, k, body[:n]) {
			return body[:n], nil
		}
	}
	return nil, fmt.Errorf("outbox: %c %x: %w", k, key, errFrame)
}

// An entry is a record as it is kept:
//
//	link(4) n(1) checkpoint(n) record
//
// Every checkEvery-th entry and the first of each context has a checkpoint: the
// chain before it, and the context of its box. Thus a hash costs a record two
// bytes instead of 32, and a damaged page takes no other page's boxes with it.
type entry struct {
	link    uint32     // checksum of the entry before it
	prev    *wire.Hash // nil without a checkpoint
	context []byte     // see decodeContext
	record  []byte
}

const checkEvery = 16

func frameEntry(key []byte, link uint32, prev *wire.Hash, c *heldContext, record []byte) []byte {
	body := make([]byte, 5, 5+len(wire.Hash{})+64+len(record))
	binary.BigEndian.PutUint32(body, link)
	if prev != nil {
		body = append(body, prev[:]...)
		if c != nil {
			body = c.append(body)
		}
		body[4] = byte(len(body) - 5)
	}
	return frame(key, recordFrame, append(body, record...))
}

// unframeEntry returns the entry in a value, of which it is a part.
func unframeEntry(key, value []byte) (entry, error) {
	body, err := unframe(key, recordFrame, value)
	if err != nil {
		return entry{}, err
	}
	if len(body) < 5 || len(body) < 5+int(body[4]) {
		return entry{}, fmt.Errorf("outbox: record %x: %w", key, errFrame)
	}
	e := entry{link: binary.BigEndian.Uint32(body), record: body[5+int(body[4]):]}
	if check := body[5 : 5+int(body[4])]; len(check) >= len(wire.Hash{}) {
		h := wire.Hash(check[:len(wire.Hash{})])
		e.prev, e.context = &h, check[len(h):]
	}
	return e, nil
}

// checksum returns the checksum in a frame.
func checksum(value []byte) uint32 { return binary.BigEndian.Uint32(value[4:]) }

// A held context names its epoch, so that salvage knows it even when no state
// can be read.
type heldContext struct {
	epoch wire.Epoch
	uses  uint32 // held records sealed in it; stale while it is state.Context
	wire.Context
}

// maxEnc is the largest encapsulated key that is taken; X25519's has 32 bytes.
const maxEnc = 128

func (c *heldContext) append(b []byte) []byte {
	b = append(b, c.epoch[:]...)
	b = binary.BigEndian.AppendUint32(b, c.Key)
	b = binary.BigEndian.AppendUint32(b, c.uses)
	return append(b, c.Enc...)
}

func decodeContext(b []byte) (heldContext, error) {
	const epoch = len(wire.Epoch{})
	if len(b) <= epoch+8 {
		return heldContext{}, fmt.Errorf("outbox: context of %d bytes: %w", len(b), errFrame)
	}
	return heldContext{
		epoch:   wire.Epoch(b[:epoch]),
		uses:    binary.BigEndian.Uint32(b[epoch+4:]),
		Context: wire.NewContext(binary.BigEndian.Uint32(b[epoch:]), append([]byte(nil), b[epoch+8:]...)),
	}, nil
}

func frameContext(key []byte, c heldContext) []byte { return frame(key, contextFrame, c.append(nil)) }

func unframeContext(key, value []byte) (heldContext, error) {
	body, err := unframe(key, contextFrame, value)
	if err != nil {
		return heldContext{}, err
	}
	return decodeContext(body)
}

// state is what the ledger remembers beside its records. It is written with
// every commit into a bucket that bbolt keeps inline in the root page, which a
// commit writes in any case.
type state struct {
	Epoch    wire.Epoch    `cbor:"1,keyasint"`
	By       wire.OpenedBy `cbor:"2,keyasint"`
	Revision uint64        `cbor:"3,keyasint"` // of commits, so that salvage knows the newest copy
	Identity string        `cbor:"4,keyasint,omitempty"`

	First uint64    `cbor:"5,keyasint"`  // oldest record held; Last+1 if there is none
	Base  wire.Hash `cbor:"21,keyasint"` // before First
	Last  uint64    `cbor:"6,keyasint"`
	Hash  wire.Hash `cbor:"7,keyasint"`            // after Last
	Sum   uint32    `cbor:"22,keyasint,omitempty"` // checksum of the entry of Last

	Generation uint64 `cbor:"8,keyasint,omitempty"`
	Through    uint64 `cbor:"9,keyasint,omitempty"`
	Safe       uint64 `cbor:"10,keyasint,omitempty"`

	Boot  when.Boot `cbor:"11,keyasint"`
	Since int64     `cbor:"12,keyasint"` // of Boot, at the last tick
	Age   int64     `cbor:"13,keyasint"` // milliseconds that the kiosk was on
	Marks []mark    `cbor:"14,keyasint,omitempty"`

	Context uint64 `cbor:"15,keyasint,omitempty"` // the last that was used
	Uses    uint32 `cbor:"16,keyasint,omitempty"` // held records sealed in Context

	Carried uint64 `cbor:"17,keyasint,omitempty"`
	Lost    uint64 `cbor:"18,keyasint,omitempty"`
	Early   uint64 `cbor:"19,keyasint,omitempty"` // forgotten before a backup covered them

	Letters uint64 `cbor:"20,keyasint,omitempty"` // number of the last dead letter
}

// A mark says that records up to Through had a receipt by the end of a slot of
// time. Slots are sixteenths of Options.Keep, counted in state.Age.
type mark struct {
	_       struct{} `cbor:",toarray"`
	Slot    int64
	Through uint64
}

func (s *state) clone() state {
	c := *s
	c.Marks = append([]mark(nil), s.Marks...)
	return c
}

func unframeState(key, value []byte) (state, error) {
	var s state
	body, err := unframe(key, stateFrame, value)
	if err != nil {
		return s, err
	}
	if err := wire.Decode(body, &s); err != nil {
		return s, fmt.Errorf("outbox: state: %w: %w", errFrame, err)
	}
	if s.First == 0 || s.First > s.Last+1 || s.Through > s.Last {
		return s, fmt.Errorf("outbox: state of %d to %d: %w", s.First, s.Last, errFrame)
	}
	return s, nil
}

// A DeadLetter is a record that the server took and set aside. It is kept here
// too, until an operator has fetched it.
type DeadLetter struct {
	N       uint64          `cbor:"1,keyasint"` // running number, see ForgetDeadLetters
	Epoch   wire.Epoch      `cbor:"2,keyasint"`
	Seq     uint64          `cbor:"3,keyasint"`
	Reason  wire.Reason     `cbor:"4,keyasint"`
	Record  cbor.RawMessage `cbor:"5,keyasint"`
	Context *wire.Context   `cbor:"6,keyasint,omitempty"` // opens the record's box
}

func unframeLetter(key, value []byte) (DeadLetter, error) {
	var d DeadLetter
	body, err := unframe(key, letterFrame, value)
	if err != nil {
		return d, err
	}
	if err := wire.Decode(body, &d); err != nil {
		return d, fmt.Errorf("outbox: dead letter: %w: %w", errFrame, err)
	}
	return d, nil
}
