package sdcard

import "encoding/binary"

// mebibyte is what partitions begin at a multiple of: a card writes in such pieces.
const mebibyte = 1 << 20

// A Layout is how a new card is divided; sizes in bytes, each a multiple of a MiB.
type Layout struct {
	Start  int64 // the first partition
	System int64 // each of the two slots
	Data   int64 // what the image holds of the data partition, which is nothing yet
}

// Size returns the size of the whole image.
func (l Layout) Size() int64 { return mebibyte + l.Start + 2*l.System + l.Data }

// At returns where a slot lies.
func (l Layout) At(s Slot) int64 { return mebibyte + l.Start + int64(s-A)*l.System }

// StartAt returns where the first partition lies.
func (l Layout) StartAt() int64 { return mebibyte }

// Table returns the first sector of a new card.
func (l Layout) Table() []byte {
	b := make([]byte, Sector)
	binary.LittleEndian.PutUint32(b[440:], Signature)
	b[510], b[511] = 0x55, 0xaa
	at := int64(mebibyte)
	for i, p := range []struct {
		kind byte
		size int64
	}{{0x0e, l.Start}, {0x0c, l.System}, {0x0c, l.System}, {Unmade, l.Data}} {
		e := b[TableAt+16*i:][:16]
		// Cylinders and heads mean nothing any more; these say so.
		copy(e, []byte{0, 0xfe, 0xff, 0xff, p.kind, 0xfe, 0xff, 0xff})
		binary.LittleEndian.PutUint32(e[8:], uint32(at/Sector))
		binary.LittleEndian.PutUint32(e[12:], uint32(p.size/Sector))
		at += p.size
	}
	return b
}
