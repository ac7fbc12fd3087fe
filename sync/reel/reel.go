// Package reel carries bytes through a screen and a camera: cut into codes that are
// shown one after the other, over and over, until the other side has seen each.
//
//	for _, text := range reel.Cut(bundle) { ... } // each drawn as a QR
//	whole, err := r.Add(text)                     // of each code that is seen
//
// The promise: what Add returns is what was cut, checked by its hash, in whatever order
// and however often its codes were seen; what is no code of a reel changes nothing.
//
// Left out: drawing and reading, and what the bytes are.
package reel

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Prefix begins each code. Codes are of capitals and digits alone, which a QR holds
// densely and a scanner cannot mistype.
const Prefix = "QGF1"

const (
	// Piece is how many bytes a code carries: a QR of 73 modules at the lowest level of
	// correction, which a telephone reads from a screen at arm's length.
	Piece = 360
	// MaxPieces bounds a reel, and what its reader holds.
	MaxPieces = 1024
	head      = 8 + 2 + 2 // hash of the whole, how many, which
)

// ErrNoCode is returned for what is no code of a reel, ErrBroken for a reel whose codes
// do not make what was cut.
var (
	ErrNoCode = errors.New("reel: not a code of a reel")
	ErrBroken = errors.New("reel: the codes do not fit together")
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Cut returns the codes of b. It panics if they were more than [MaxPieces]: callers
// bound what they cut.
func Cut(b []byte) []string {
	total := max(1, (len(b)+Piece-1)/Piece)
	if total > MaxPieces {
		panic(fmt.Sprintf("reel: %d bytes are too many", len(b)))
	}
	sum := sha256.Sum256(b)
	all := make([]string, total)
	for i := range all {
		frame := append([]byte(nil), sum[:8]...)
		frame = binary.BigEndian.AppendUint16(frame, uint16(total))
		frame = binary.BigEndian.AppendUint16(frame, uint16(i))
		frame = append(frame, b[min(len(b), i*Piece):min(len(b), (i+1)*Piece)]...)
		all[i] = Prefix + encoding.EncodeToString(binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame)))
	}
	return all
}

// Is reports whether a text looks like a code of a reel.
func Is(text string) bool { return strings.HasPrefix(text, Prefix) }

// A Reader puts a reel together. Its zero value has seen nothing. It is for one
// goroutine.
type Reader struct {
	sum    [8]byte
	pieces [][]byte // nil where a code was not seen
	seen   int
}

// Seen returns how many codes of the reel were seen, and how many it has; 0 if none was.
func (r *Reader) Seen() (n, of int) { return r.seen, len(r.pieces) }

// Add takes a code in. It returns the whole when its last code was seen, and nil before
// that. A code of another reel begins that one.
func (r *Reader) Add(text string) (whole []byte, err error) {
	sum, total, index, piece, err := parse(text)
	if err != nil {
		return nil, err
	}
	if sum != r.sum || total != len(r.pieces) {
		*r = Reader{sum: sum, pieces: make([][]byte, total)}
	}
	if r.pieces[index] == nil {
		r.pieces[index] = piece
		r.seen++
	}
	if r.seen < total {
		return nil, nil
	}
	whole = bytes.Join(r.pieces, nil)
	*r = Reader{}
	if all := sha256.Sum256(whole); [8]byte(all[:8]) != sum {
		return nil, ErrBroken
	}
	return whole, nil
}

func parse(text string) (sum [8]byte, total, index int, piece []byte, err error) {
	body, ours := strings.CutPrefix(text, Prefix)
	if !ours || len(body) > encoding.EncodedLen(head+Piece+4) {
		return sum, 0, 0, nil, ErrNoCode
	}
	b, err := encoding.DecodeString(body)
	if err != nil || len(b) < head+4 || encoding.EncodeToString(b) != body {
		return sum, 0, 0, nil, ErrNoCode
	}
	frame, check := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	sum = [8]byte(frame)
	total, index, piece = int(binary.BigEndian.Uint16(frame[8:])), int(binary.BigEndian.Uint16(frame[10:])), frame[head:]
	if check != crc32.ChecksumIEEE(frame) || total == 0 || total > MaxPieces || index >= total || index < total-1 && len(piece) != Piece {
		return sum, 0, 0, nil, ErrNoCode
	}
	return sum, total, index, piece, nil
}
