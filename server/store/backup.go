package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/sync/wire"
)

// A backup is a zstd stream of frames, each a length of four bytes and CBOR: a
// head, which names tables and columns, then rows, then an end with the number
// of rows and the SHA-256 of all frames before it. One format for both engines:
// what one wrote the other reads, and a later release reads an earlier one's.
const backupMagic = "qrgate backup 1"

// Limits of a backup. No row is as long as a frame may be, and a reader needs
// little more than a window.
const (
	maxFrame     = 128 << 10
	backupWindow = 4 << 20
)

// tables are what a backup holds, in an order in which rows may be inserted.
// Columns marked t are text and b bytes, the others numbers. Keys are not in the
// database, so they are not in its backups.
var tables = []table{
	newTable("kiosks", "no, id:t, place:t, public:b, state, added, version"),
	newTable("presences", "kiosk_no, up, session, since, contact, beat:b"),
	newTable("epochs", "no, kiosk_no, epoch:b, ledger:b, safe, opened_by, previous:b, carried, lost, last, ended, checkins, late, received"),
	newTable("boots", "epoch_no, no, boot:b, first, last, started, ended, arrived, arrived_since"),
	newTable("anchors", "kiosk_no, boot:b, since, server, error"),
	newTable("redates", "epoch_no, boot_no, seq, digest, last"),
	newTable("gates", "kiosk_no, no, place:t, gate:t"),
	newTable("checkins", strings.Replace(rowColumns, "subject", "subject:b", 1)),
	newTable("dead_letters", "epoch_no, seq, reason, record:b, received"),
	newTable("identities", "identity:b, person"),
	newTable("people", "person, wrapped:b"),
	newTable("details", "person, sealed:b"),
	newTable("backups", "id:t, generation, made, verified, rows, digest:b"),
	newTable("audit", "id:b, at, action:t, object:t"),
}

type table struct {
	_       struct{} `cbor:",toarray"`
	Name    string
	Columns []string

	kinds map[string]string // of the columns
}

func newTable(name, columns string) table {
	t := table{Name: name, kinds: map[string]string{}}
	for _, c := range strings.Split(columns, ",") {
		column, kind, _ := strings.Cut(strings.TrimSpace(c), ":")
		t.Columns, t.kinds[column] = append(t.Columns, column), kind
	}
	return t
}

type backupHead struct {
	Magic      string  `cbor:"1,keyasint"`
	ID         string  `cbor:"2,keyasint"`
	Generation uint64  `cbor:"3,keyasint"`
	Made       int64   `cbor:"4,keyasint"` // Unix milliseconds
	Tables     []table `cbor:"5,keyasint"`
}

type backupRow struct {
	Table  int   `cbor:"1,keyasint"` // index in the head's tables
	Values []any `cbor:"2,keyasint"`
}

type backupEnd struct {
	Rows   uint64 `cbor:"3,keyasint"`
	Digest []byte `cbor:"4,keyasint"`
}

// ErrBackup is returned for a file that is no backup, or not a whole one.
var ErrBackup = errors.New("not a whole backup")

// Backup writes what the database holds at one moment. w should be quick, for
// instance a file: what is written to the database meanwhile stays in its log.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.backup(ctx, w); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) error {
	o := &sql.TxOptions{ReadOnly: true}
	if s.dialect == postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	snapshot, err := s.read.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer snapshot.Rollback()
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(backupWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	out := &frameWriter{w: bufio.NewWriter(z), sum: sha256.New()}

	var id [8]byte
	rand.Read(id[:])
	head := backupHead{Magic: backupMagic, ID: hex.EncodeToString(id[:]), Made: s.now().UnixMilli(), Tables: tables}
	if err := snapshot.QueryRowContext(ctx, "SELECT generation FROM meta").Scan(&head.Generation); err != nil {
		return err
	}
	if err := out.write(head); err != nil {
		return err
	}
	count := uint64(0)
	for i, t := range tables {
		rows, err := snapshot.QueryContext(ctx, "SELECT "+strings.Join(t.Columns, ", ")+" FROM "+t.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		row := backupRow{Table: i, Values: make([]any, len(t.Columns))}
		into := make([]any, len(t.Columns))
		for c := range into {
			into[c] = &row.Values[c]
		}
		err = eachRow(rows, func(r *sql.Rows) error {
			if err := r.Scan(into...); err != nil {
				return err
			}
			for c, v := range row.Values {
				if b, ok := v.([]byte); ok && b == nil { // no bytes, and not NULL
					row.Values[c] = []byte{}
				}
			}
			count++
			return out.write(row)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	if err := out.write(backupEnd{Rows: count, Digest: out.sum.Sum(nil)}); err != nil {
		return err
	}
	if err := out.w.Flush(); err != nil {
		return err
	}
	return z.Close()
}

type frameWriter struct {
	w   *bufio.Writer
	sum hash.Hash
}

func (f *frameWriter) write(v any) error {
	b := wire.Encode(v)
	if len(b) > maxFrame {
		return fmt.Errorf("a row of %d bytes, which no reader takes", len(b))
	}
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(b)))
	for _, part := range [][]byte{size[:], b} {
		f.sum.Write(part)
		if _, err := f.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

type frameReader struct {
	r     *bufio.Reader
	sum   hash.Hash // of the frames before the last
	frame []byte    // the last
}

// read reads the next frame into v.
func (f *frameReader) read(v any) error {
	f.sum.Write(f.frame)
	f.frame = append(f.frame[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(f.r, f.frame); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	n := binary.BigEndian.Uint32(f.frame)
	if n > maxFrame {
		return fmt.Errorf("%w: a frame of %d bytes", ErrBackup, n)
	}
	f.frame = slices.Grow(f.frame, int(n))[:4+n]
	if _, err := io.ReadFull(f.r, f.frame[4:]); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if err := wire.Decode(f.frame[4:], v); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return nil
}

// end reports what follows the last frame: nothing does in a whole backup.
func (f *frameReader) end() error {
	switch _, err := f.r.ReadByte(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return fmt.Errorf("%w: it goes on after its end", ErrBackup)
}
