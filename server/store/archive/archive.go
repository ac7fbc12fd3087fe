// Package archive is the file format of a backup: rows of named tables, the same
// whatever database they come from.
//
//	w, err := archive.NewWriter(file, archive.Head{ID: id, Tables: tables})
//	err = w.Row(0, []any{int64(1), "text", []byte("bytes"), nil})
//	err = w.Close()
//
//	r, err := archive.NewReader(file)
//	table, values, err := r.Next() // until io.EOF
//
// The promise: a Reader returns io.EOF only at the end of a file that is whole,
// to the last bit of its content; for any other it returns [ErrDamaged]. It
// needs a few megabytes, whatever the file says. Until io.EOF nobody knows
// whether the rows that were read are those that were written.
//
// A file is a zstd stream of frames, each a length of four bytes and CBOR: a
// head, then rows, then an end with the number of rows and the SHA-256 of all
// frames before it. It is not signed: its keeper is trusted. Which tables there
// are, and what is in them, is package store's matter.
package archive

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/sync/wire"
)

const magic = "qrgate backup 1"

const (
	// MaxRow is about the largest row in bytes.
	MaxRow = 128 << 10

	window = 4 << 20
)

// ErrDamaged is returned for a file that is no backup, or not a whole one.
var ErrDamaged = errors.New("not a whole backup")

// A Head says what a file is and what its rows are of.
type Head struct {
	ID         string
	Generation uint64
	Made       int64 // Unix milliseconds
	Tables     []Table
}

// A Table names the columns of its rows.
type Table struct {
	_       struct{} `cbor:",toarray"`
	Name    string
	Columns []string
}

type head struct {
	Magic      string  `cbor:"1,keyasint"`
	ID         string  `cbor:"2,keyasint"`
	Generation uint64  `cbor:"3,keyasint"`
	Made       int64   `cbor:"4,keyasint"`
	Tables     []Table `cbor:"5,keyasint"`
}

type row struct {
	Table  uint  `cbor:"1,keyasint"`
	Values []any `cbor:"2,keyasint"`
}

type end struct {
	Rows   uint64 `cbor:"3,keyasint"`
	Digest []byte `cbor:"4,keyasint"`
}

// A Writer writes a file.
type Writer struct {
	z    *zstd.Encoder
	w    *bufio.Writer
	sum  hash.Hash
	rows uint64
}

// NewWriter writes the head of a file to w.
func NewWriter(w io.Writer, h Head) (*Writer, error) {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	to := &Writer{z: z, w: bufio.NewWriter(z), sum: sha256.New()}
	return to, to.frame(head{magic, h.ID, h.Generation, h.Made, h.Tables})
}

// Row writes a row of one of the head's tables. Values are int64, string, []byte
// or nil.
func (w *Writer) Row(table int, values []any) error {
	w.rows++
	return w.frame(row{uint(table), values})
}

// Close writes the end, without which the file is not whole. It does not close
// the writer that NewWriter was given.
func (w *Writer) Close() error {
	err := w.frame(end{w.rows, w.sum.Sum(nil)})
	if err == nil {
		err = w.w.Flush()
	}
	if err := errors.Join(err, w.z.Close()); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

func (w *Writer) frame(v any) error {
	b := wire.Encode(v)
	if len(b) > MaxRow {
		return fmt.Errorf("archive: a row of %d bytes, which no reader takes: %w", len(b), wire.ErrTooLarge)
	}
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(b)))
	for _, part := range [][]byte{size[:], b} {
		w.sum.Write(part)
		if _, err := w.w.Write(part); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	return nil
}

// A Reader reads a file.
type Reader struct {
	Head Head

	z     *zstd.Decoder
	r     *bufio.Reader
	sum   hash.Hash // of the frames before the last
	frame []byte    // the last
	rows  uint64
	err   error // of all calls to Next from now on
}

// NewReader reads the head of a file.
func NewReader(r io.Reader) (*Reader, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, damaged(err)
	}
	from := &Reader{z: z, r: bufio.NewReader(z), sum: sha256.New()}
	var h head
	err = from.read(&h)
	if err == nil && h.Magic != magic {
		err = damaged(errors.New("it begins otherwise"))
	}
	if err != nil {
		z.Close()
		return nil, err
	}
	from.Head = Head{h.ID, h.Generation, h.Made, h.Tables}
	return from, nil
}

// Next returns the next row: the index of its table in the head, and as many
// values as the table has columns. It returns io.EOF at the end of a file that
// is whole.
func (r *Reader) Next() (table int, values []any, err error) {
	if r.err == nil {
		table, values, r.err = r.next()
	}
	return table, values, r.err
}

func (r *Reader) next() (int, []any, error) {
	var f struct {
		Table  *uint  `cbor:"1,keyasint"`
		Values []any  `cbor:"2,keyasint"`
		Rows   uint64 `cbor:"3,keyasint"`
		Digest []byte `cbor:"4,keyasint"`
	}
	if err := r.read(&f); err != nil {
		return 0, nil, err
	}
	if f.Table == nil {
		return 0, nil, r.end(f.Rows, f.Digest)
	}
	if *f.Table >= uint(len(r.Head.Tables)) {
		return 0, nil, damaged(fmt.Errorf("a row of table %d", *f.Table))
	}
	t := r.Head.Tables[*f.Table]
	if len(f.Values) != len(t.Columns) {
		return 0, nil, damaged(fmt.Errorf("a row of %q with %d values", t.Name, len(f.Values)))
	}
	for i, v := range f.Values {
		switch v := v.(type) {
		case nil, int64, string, []byte:
		case uint64: // as CBOR has numbers over zero
			f.Values[i] = int64(v)
			if v > math.MaxInt64 {
				return 0, nil, damaged(fmt.Errorf("a row of %q with a number over all numbers", t.Name))
			}
		default:
			return 0, nil, damaged(fmt.Errorf("a row of %q with a %T", t.Name, v))
		}
	}
	r.rows++
	return int(*f.Table), f.Values, nil
}

// end returns io.EOF if the file is whole.
func (r *Reader) end(rows uint64, digest []byte) error {
	if rows != r.rows || string(digest) != string(r.Digest()) {
		return damaged(errors.New("its end does not match"))
	}
	switch _, err := r.r.ReadByte(); {
	case err == nil:
		return damaged(errors.New("it goes on after its end"))
	case err != io.EOF:
		return damaged(err)
	}
	return io.EOF
}

// Rows returns how many rows Next has returned.
func (r *Reader) Rows() uint64 { return r.rows }

// Digest returns the SHA-256 of the content, once Next has returned io.EOF.
func (r *Reader) Digest() []byte { return r.sum.Sum(nil) }

// Close lets go of the reader that NewReader was given.
func (r *Reader) Close() { r.z.Close() }

// read reads the next frame into v.
func (r *Reader) read(v any) error {
	r.sum.Write(r.frame)
	r.frame = append(r.frame[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(r.r, r.frame); err != nil {
		return damaged(err)
	}
	n := binary.BigEndian.Uint32(r.frame)
	if n > MaxRow {
		return damaged(fmt.Errorf("a row of %d bytes", n))
	}
	r.frame = slices.Grow(r.frame, int(n))[:4+n]
	if _, err := io.ReadFull(r.r, r.frame[4:]); err != nil {
		return damaged(err)
	}
	if err := wire.Decode(r.frame[4:], v); err != nil {
		return damaged(err)
	}
	return nil
}

// damaged adds ErrDamaged to the reason, which may be the file's own reader's.
func damaged(err error) error { return fmt.Errorf("archive: %w: %w", ErrDamaged, err) }
