package system

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/qrgate/qrgate/sync/sdcard"
)

const (
	sector  = sdcard.Sector
	tableAt = sdcard.TableAt
)

// A Card is a card, or an image of one, that is open for reading and writing.
type Card struct {
	f     *os.File
	table []byte
	from  int64 // of autoboot.txt on the disk
}

// Open opens the disk at path.
func Open(path string) (*Card, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("system: card: %w", err)
	}
	c := &Card{f: f, table: make([]byte, sector)}
	if _, err = f.ReadAt(c.table, 0); err == nil && !IsCard(c.table) {
		err = fmt.Errorf("%w: %s", sdcard.ErrNoCard, path)
	}
	if err == nil {
		c.from, err = c.findAutoboot()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("system: card: %w", err), f.Close())
	}
	return c, nil
}

// IsCard reports whether a disk with this first sector is a kiosk's card.
func IsCard(first []byte) bool {
	return len(first) >= sector && first[510] == 0x55 && first[511] == 0xaa && binary.LittleEndian.Uint32(first[440:]) == sdcard.Signature
}

// Close closes the card.
func (c *Card) Close() error { return c.f.Close() }

// entry returns the table's entry of a partition.
func (c *Card) entry(n int) []byte { return c.table[tableAt+16*(n-1):][:16] }

// part returns where a partition lies, in bytes.
func (c *Card) part(n int) (at, size int64) {
	e := c.entry(n)
	return int64(binary.LittleEndian.Uint32(e[8:])) * sector, int64(binary.LittleEndian.Uint32(e[12:])) * sector
}

// findAutoboot returns where autoboot.txt lies. Somebody may have written to the
// partition with another machine, so it is looked for and not assumed.
func (c *Card) findAutoboot() (int64, error) {
	at, size := c.part(sdcard.Start)
	b := make([]byte, sector)
	if _, err := c.f.ReadAt(b, at); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	perCluster, reserved, fats := int64(b[13]), int64(le.Uint16(b[14:])), int64(b[16])
	entries, perFAT := int64(le.Uint16(b[17:])), int64(le.Uint16(b[22:]))
	if le.Uint16(b[11:]) != sector || perCluster == 0 || entries == 0 || perFAT == 0 {
		return 0, fmt.Errorf("%w: its first partition is no FAT16", sdcard.ErrNoCard)
	}
	root := reserved + fats*perFAT
	dir := make([]byte, entries*32)
	if _, err := c.f.ReadAt(dir, at+root*sector); err != nil {
		return 0, err
	}
	for e := range entries {
		d := dir[e*32:][:32]
		if d[0] == 0 {
			break
		}
		if string(d[:11]) != "AUTOBOOTTXT" || d[11]&0x18 != 0 {
			continue
		}
		cluster := int64(le.Uint16(d[26:]))
		where := (root + (entries*32+sector-1)/sector + (cluster-2)*perCluster) * sector
		if le.Uint32(d[28:]) != sector || cluster < 2 || where+sector > size {
			return 0, fmt.Errorf("%w: autoboot.txt is %d bytes long", sdcard.ErrNoCard, le.Uint32(d[28:]))
		}
		return at + where, nil
	}
	return 0, fmt.Errorf("%w: autoboot.txt is missing", sdcard.ErrNoCard)
}

// Default returns the slot that starts as a rule.
func (c *Card) Default() (sdcard.Slot, error) {
	b := make([]byte, sector)
	if _, err := c.f.ReadAt(b, c.from); err != nil {
		return 0, fmt.Errorf("system: autoboot.txt: %w", err)
	}
	return sdcard.ParseAutoboot(b)
}

// SetDefault makes a slot the one that starts as a rule. It returns when that is on
// the card.
func (c *Card) SetDefault(s sdcard.Slot) error {
	if _, err := c.f.WriteAt(sdcard.Autoboot(s), c.from); err != nil {
		return fmt.Errorf("system: autoboot.txt: %w", err)
	}
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("system: autoboot.txt: %w", err)
	}
	return nil
}

// A Sum is the length and the hash of a system.
type Sum struct {
	Length int64
	SHA256 []byte
}

// Install writes a system into a slot that is not the default. Its first sector,
// without which nothing starts from it, is written when the rest is there and is right. It returns
// when the whole was read back from the card and is what was wanted.
func (c *Card) Install(s sdcard.Slot, r io.Reader, want Sum) error {
	if d, err := c.Default(); err != nil || d == s {
		return errors.Join(fmt.Errorf("system: install: slot %s is the default", s), err)
	}
	at, size := c.part(s.Partition())
	if want.Length > size || want.Length <= sdcard.RootOffset {
		return fmt.Errorf("system: install: %d bytes, a slot has %d", want.Length, size)
	}
	in := sdcard.Label(r, s)
	first, err := c.write(at, in, want.Length)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("system: install: %w: it ends early", sdcard.ErrSum)
	}
	if err != nil {
		return fmt.Errorf("system: install: %w", err)
	}
	c.forget(at, want.Length)
	rest := io.NewSectionReader(c.f, at+sector, want.Length-sector)
	got, err := sum(io.MultiReader(bytes.NewReader(first), rest), s, want.Length)
	if err != nil {
		return fmt.Errorf("system: install: %w", err)
	}
	if err := in.Once(); err != nil || !bytes.Equal(got.SHA256, want.SHA256) {
		return errors.Join(sdcard.ErrSum, err)
	}
	if _, err := c.f.WriteAt(first, at); err != nil {
		return fmt.Errorf("system: install: %w", err)
	}
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("system: install: %w", err)
	}
	got, err = c.Sum(s, want.Length)
	if err == nil && !bytes.Equal(got.SHA256, want.SHA256) {
		err = sdcard.ErrSum
	}
	if err != nil {
		_, errW := c.f.WriteAt(make([]byte, sector), at)
		return errors.Join(err, errW, c.f.Sync())
	}
	return nil
}

// flushEvery keeps a slow card from having to write all that the memory holds at once.
const flushEvery = 16 << 20

// write writes n bytes but for the first sector, which it returns.
func (c *Card) write(at int64, r io.Reader, n int64) (first []byte, err error) {
	if _, err := c.f.WriteAt(make([]byte, sector), at); err != nil {
		return nil, err
	}
	if err := c.f.Sync(); err != nil {
		return nil, err
	}
	first = make([]byte, sector)
	if _, err := io.ReadFull(r, first); err != nil {
		return nil, err
	}
	for done := int64(sector); done < n; {
		w := io.NewOffsetWriter(c.f, at+done)
		m, err := io.CopyN(w, r, min(flushEvery, n-done))
		if err != nil {
			return nil, err
		}
		if err := c.f.Sync(); err != nil {
			return nil, err
		}
		done += m
	}
	return first, nil
}

// Sum reads the first n bytes of a slot from the card, as they were before they were
// in a slot.
func (c *Card) Sum(s sdcard.Slot, n int64) (Sum, error) {
	at, size := c.part(s.Partition())
	if n > size {
		return Sum{}, fmt.Errorf("system: sum: %d bytes, a slot has %d", n, size)
	}
	c.forget(at, n)
	got, err := sum(io.NewSectionReader(c.f, at, n), s, n)
	if err != nil {
		return Sum{}, fmt.Errorf("system: sum: %w", err)
	}
	return got, nil
}

func sum(r io.Reader, s sdcard.Slot, n int64) (Sum, error) {
	h := sha256.New()
	if _, err := io.Copy(h, sdcard.Unlabel(r, s)); err != nil {
		return Sum{}, err
	}
	return Sum{n, h.Sum(nil)}, nil
}

// DataMade reports whether the data partition has been made.
func (c *Card) DataMade() bool { return c.entry(sdcard.Data)[4] == sdcard.Made }

// DataRoom returns where the data partition lies on a disk of so many bytes once it is
// grown. A tenth of the card is left to its own controller.
func (c *Card) DataRoom(disk int64) (at, size int64) {
	at, size = c.part(sdcard.Data)
	return at, max(size, (disk-disk/10-at)>>20<<20)
}

// MakeData says that the data partition is one, and how large. The table is one
// sector, and what is changed lies in its second half.
func (c *Card) MakeData(size int64) error {
	e := c.entry(sdcard.Data)
	e[4] = sdcard.Made
	binary.LittleEndian.PutUint32(e[12:], uint32(size/sector))
	if _, err := c.f.WriteAt(c.table, 0); err != nil {
		return fmt.Errorf("system: partition table: %w", err)
	}
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("system: partition table: %w", err)
	}
	return nil
}
