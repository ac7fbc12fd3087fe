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
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A backup is a zstd stream of frames, each a length of four bytes and CBOR: a
// head, then rows table by table in the order of tables, then an end with the
// number of rows and the SHA-256 of all frames before it. One format for both
// engines: what one wrote the other reads.
const backupMagic = "qrgate backup 1"

// maxFrame is more than any row takes.
const maxFrame = 1 << 20

// tables are what a backup holds, in an order in which rows may be inserted.
// Keys are not in the database, so they are not in its backups.
var tables = []struct {
	name    string
	columns string
}{
	{"kiosks", "no, id, place, public, state, added, version"},
	{"presences", "kiosk_no, up, session, since, contact, beat"},
	{"epochs", "no, kiosk_no, epoch, ledger, safe, opened_by, previous, carried, lost, last, ended, checkins, late, received"},
	{"boots", "epoch_no, no, boot, first, last, started, ended, arrived, arrived_since"},
	{"anchors", "kiosk_no, boot, since, server, error"},
	{"redates", "epoch_no, boot_no, seq, digest, last"},
	{"gates", "kiosk_no, no, place, gate"},
	{"checkins", `epoch_no, seq, digest, under_no, day, subject, pass, verdict, reason, presence, direction, gate_no, lane, said, clock, error,
		boot_no, since, earliest, latest, received`},
	{"dead_letters", "epoch_no, seq, reason, record, received"},
	{"identities", "identity, person"},
	{"people", "person, wrapped"},
	{"details", "person, sealed"},
	{"audit", "id, at, action, object"},
}

type backupHead struct {
	Magic      string `cbor:"1,keyasint"`
	ID         string `cbor:"2,keyasint"`
	Generation uint64 `cbor:"3,keyasint"`
	Made       int64  `cbor:"4,keyasint"` // Unix milliseconds
}

type backupRow struct {
	Table  int   `cbor:"1,keyasint"` // index in tables
	Values []any `cbor:"2,keyasint"`
}

type backupEnd struct {
	Rows   uint64 `cbor:"3,keyasint"`
	Digest []byte `cbor:"4,keyasint"`
}

// ErrBackup is returned for a file that is no backup, or not a whole one.
var ErrBackup = errors.New("not a whole backup")

// Backup writes what the database holds at one moment.
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
	z, err := zstd.NewWriter(w)
	if err != nil {
		return err
	}
	defer z.Close()
	out := &frameWriter{w: bufio.NewWriter(z), sum: sha256.New()}

	var id [8]byte
	rand.Read(id[:])
	head := backupHead{Magic: backupMagic, ID: hex.EncodeToString(id[:]), Made: s.now().UnixMilli()}
	if err := snapshot.QueryRowContext(ctx, "SELECT generation FROM meta").Scan(&head.Generation); err != nil {
		return err
	}
	if err := out.write(head); err != nil {
		return err
	}
	count := uint64(0)
	for i, table := range tables {
		rows, err := snapshot.QueryContext(ctx, "SELECT "+table.columns+" FROM "+table.name)
		if err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
		width := strings.Count(table.columns, ",") + 1
		err = eachRow(rows, func(r *sql.Rows) error {
			row := backupRow{Table: i, Values: make([]any, width)}
			into := make([]any, width)
			for c := range into {
				into[c] = &row.Values[c]
			}
			if err := r.Scan(into...); err != nil {
				return err
			}
			count++
			return out.write(row)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
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
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	f.sum.Write(frame)
	_, err := f.w.Write(frame)
	return err
}

// A BackupReport says what a backup holds.
type BackupReport struct {
	ID         string
	Generation uint64
	Made       int64 // Unix milliseconds
	Rows       uint64

	safe []safePoint
}

// A safePoint is how far an epoch's records are in a backup.
type safePoint struct {
	epochNo int64
	through uint64
}

// VerifyBackup reads a backup to its end, restores it into a temporary database
// in dir and counts what arrived there.
func VerifyBackup(ctx context.Context, r io.Reader, dir string) (BackupReport, error) {
	var report BackupReport
	tmp, err := os.MkdirTemp(dir, "verify-*")
	if err != nil {
		return report, fmt.Errorf("store: verify backup: %w", err)
	}
	defer os.RemoveAll(tmp)
	s, err := Open(ctx, "sqlite:"+filepath.Join(tmp, "copy.db"), Options{})
	if err != nil {
		return report, err
	}
	defer s.Close()
	if report, err = s.restore(ctx, r); err != nil {
		return report, fmt.Errorf("store: verify backup: %w", err)
	}
	var n uint64
	for _, table := range tables {
		var rows uint64
		if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table.name).Scan(&rows); err != nil {
			return report, fmt.Errorf("store: verify backup: %w", err)
		}
		n += rows
	}
	if n != report.Rows {
		return report, fmt.Errorf("store: verify backup: %w: %d of %d rows arrived", ErrBackup, n, report.Rows)
	}
	books, err := s.safePoints(ctx)
	report.safe = books
	return report, err
}

// safePoints returns how far each epoch is held without a gap.
func (s *Store) safePoints(ctx context.Context) ([]safePoint, error) {
	var all []safePoint
	err := s.each(ctx, func(r *sql.Rows) error {
		var no int64
		var ledger []byte
		if err := r.Scan(&no, &ledger); err != nil {
			return err
		}
		var e Epoch
		if err := e.Ledger.Unmarshal(ledger); err != nil {
			return err
		}
		all = append(all, safePoint{no, e.Ledger.Through()})
		return nil
	}, "SELECT no, ledger FROM epochs")
	return all, err
}

// MarkSafe lets kiosks forget what a verified backup of this database holds. A
// backup of another generation is refused with qrgate.ErrConflict.
func (s *Store) MarkSafe(ctx context.Context, r BackupReport) error {
	s.intake.Lock()
	defer s.intake.Unlock()
	err := s.write(ctx, func(t *tx) error {
		var g int64
		if err := t.each(func(r *sql.Rows) error { return r.Scan(&g) }, "SELECT generation FROM meta"); err != nil {
			return err
		}
		if uint64(g) != r.Generation {
			return fmt.Errorf("backup is of generation %d, the database of %d: %w", r.Generation, g, qrgate.ErrConflict)
		}
		for _, p := range r.safe {
			if _, err := t.exec("UPDATE epochs SET safe = ? WHERE no = ? AND safe < ?", int64(p.through), p.epochNo, int64(p.through)); err != nil {
				return err
			}
		}
		// Every server shall read the books anew.
		if _, err := t.exec("UPDATE kiosks SET version = version + 1"); err != nil {
			return err
		}
		return t.audit("verify backup", r.ID)
	})
	if err != nil {
		return fmt.Errorf("store: mark safe: %w", err)
	}
	return nil
}

// Restore fills an empty database from a backup and gives it a new generation,
// so that kiosks send again what the backup lacks.
func (s *Store) Restore(ctx context.Context, r io.Reader) (BackupReport, error) {
	report, err := s.restore(ctx, r)
	if err != nil {
		return report, fmt.Errorf("store: restore: %w", err)
	}
	return report, nil
}

func (s *Store) restore(ctx context.Context, r io.Reader) (BackupReport, error) {
	var report BackupReport
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return report, err
	}
	defer z.Close()
	in := &frameReader{r: bufio.NewReader(z), sum: sha256.New()}
	err = s.write(ctx, func(t *tx) error {
		var kiosks int64
		if err := t.each(func(r *sql.Rows) error { return r.Scan(&kiosks) }, "SELECT COUNT(*) FROM kiosks"); err != nil {
			return err
		}
		if kiosks != 0 {
			return fmt.Errorf("the database is not empty: %w", qrgate.ErrConflict)
		}
		report, err = t.restore(in)
		if err != nil {
			return err
		}
		next := max(int64(report.Generation)+1, s.now().UnixMilli())
		if _, err := t.exec("UPDATE meta SET generation = ?", next); err != nil {
			return err
		}
		// What a lost backup made safe is safe no more; this one has no verdict yet.
		_, err := t.exec("UPDATE epochs SET safe = 0")
		return err
	})
	return report, err
}

func (t *tx) restore(in *frameReader) (BackupReport, error) {
	var report BackupReport
	var head backupHead
	if err := in.read(&head); err != nil {
		return report, err
	}
	if head.Magic != backupMagic {
		return report, fmt.Errorf("%w: it begins otherwise", ErrBackup)
	}
	report = BackupReport{ID: head.ID, Generation: head.Generation, Made: head.Made}
	inserts := make([]string, len(tables))
	for i, table := range tables {
		n := strings.Count(table.columns, ",") + 1
		inserts[i] = "INSERT INTO " + table.name + " (" + table.columns + ") VALUES (" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")"
	}
	for {
		sum := in.sum.Sum(nil)
		var frame struct {
			Table  *int   `cbor:"1,keyasint"`
			Values []any  `cbor:"2,keyasint"`
			Rows   uint64 `cbor:"3,keyasint"`
			Digest []byte `cbor:"4,keyasint"`
		}
		if err := in.read(&frame); err != nil {
			return report, err
		}
		if frame.Table == nil {
			if frame.Rows != report.Rows || string(frame.Digest) != string(sum) {
				return report, fmt.Errorf("%w: its end does not match", ErrBackup)
			}
			return report, nil
		}
		i := *frame.Table
		if i < 0 || i >= len(tables) || len(frame.Values) != strings.Count(tables[i].columns, ",")+1 {
			return report, fmt.Errorf("%w: a row of table %d with %d values", ErrBackup, i, len(frame.Values))
		}
		for c, v := range frame.Values {
			if u, ok := v.(uint64); ok {
				frame.Values[c] = int64(u)
			}
		}
		if _, err := t.exec(inserts[i], frame.Values...); err != nil {
			return report, fmt.Errorf("%w: %s: %w", ErrBackup, tables[i].name, err)
		}
		report.Rows++
	}
}

type frameReader struct {
	r   *bufio.Reader
	sum hash.Hash
}

func (f *frameReader) read(v any) error {
	var size [4]byte
	if _, err := io.ReadFull(f.r, size[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return fmt.Errorf("%w: a frame of %d bytes", ErrBackup, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(f.r, b); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	f.sum.Write(size[:])
	f.sum.Write(b)
	if err := wire.Decode(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return nil
}
