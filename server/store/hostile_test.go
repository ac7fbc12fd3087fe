package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// frame returns v as a frame of a backup.
func frame(v any) []byte {
	b := wire.Encode(v)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// The keys of a backup's frames.
type (
	head struct {
		Magic      string  `cbor:"1,keyasint"`
		ID         string  `cbor:"2,keyasint"`
		Generation uint64  `cbor:"3,keyasint"`
		Made       int64   `cbor:"4,keyasint"`
		Tables     [][]any `cbor:"5,keyasint"`
	}
	line struct {
		Table  int   `cbor:"1,keyasint"`
		Values []any `cbor:"2,keyasint"`
	}
	end struct {
		Rows   uint64 `cbor:"3,keyasint"`
		Digest []byte `cbor:"4,keyasint"`
	}
)

// compress returns frames as a backup file.
func compress(t testing.TB, frames []byte, o ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, append([]zstd.EOption{zstd.WithWindowSize(1 << 20)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(frames); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forge returns a backup file of h and lines, with an end that fits.
func forge(t testing.TB, h head, lines ...any) []byte {
	t.Helper()
	frames := frame(h)
	for _, l := range lines {
		frames = append(frames, frame(l)...)
	}
	return compress(t, ended(frames, len(lines)))
}

func ended(frames []byte, rows int) []byte {
	sum := sha256.Sum256(frames)
	return append(frames, frame(end{uint64(rows), sum[:]})...)
}

func columns(name string, columns ...any) []any { return []any{name, columns} }

func TestForgedBackups(t *testing.T) {
	const magic = "qrgate backup 1"
	gates := columns("gates", "kiosk_no", "no", "place", "gate")
	kiosks := columns("kiosks", "no", "id", "place", "public", "state", "added")
	audit := columns("audit", "id", "at", "action", "object")
	good := head{magic, "x", 1, 2, [][]any{kiosks, gates, audit}}
	kiosk := line{0, []any{1, "gate-0001", "x", make([]byte, 32), 1, 0}}
	gate := func(values ...any) line { return line{1, values} }
	with := func(tables ...[]any) head { return head{magic, "x", 1, 2, tables} }
	many := make([][]any, 4000)
	for i := range many {
		many[i] = gates
	}
	deep := any(1)
	for range 7 {
		deep = []any{deep}
	}
	long := strings.Repeat("x", 100<<10)
	tests := map[string][]byte{
		"another magic":         forge(t, head{"qrgate backup 2", "x", 1, 2, nil}),
		"last generation":       forge(t, head{magic, "x", math.MaxInt64, 2, nil}),
		"generation over all":   forge(t, head{magic, "x", math.MaxUint64, 2, nil}),
		"unknown table":         forge(t, with(columns("goose_db_version", "id"))),
		"meta":                  forge(t, with(columns("meta", "id", "generation")), line{0, []any{1, 9}}),
		"unknown column":        forge(t, with(columns("gates", "rowid"))),
		"injected column":       forge(t, with(columns("audit", "id) VALUES (1); DROP TABLE kiosks; --"))),
		"injected table":        forge(t, with(columns("audit; DROP TABLE kiosks; --", "id"))),
		"column twice":          forge(t, with(columns("gates", "no", "no"))),
		"no columns":            forge(t, with(columns("gates"))),
		"table twice":           forge(t, with(gates, gates)),
		"table 4000 times":      forge(t, with(many...)),
		"table that is not":     forge(t, good, line{3, []any{1}}),
		"negative table":        forge(t, good, line{-1, []any{1}}),
		"too few values":        forge(t, good, kiosk, gate(1, 1, "x")),
		"too many values":       forge(t, good, kiosk, gate(1, 1, "x", "x", 1)),
		"no values":             forge(t, good, kiosk, gate()),
		"NULL":                  forge(t, good, kiosk, gate(1, nil, "x", "x")),
		"missing column":        forge(t, with(kiosks, columns("gates", "kiosk_no", "no", "place")), kiosk, gate(1, 1, "x")),
		"text for a number":     forge(t, good, kiosk, gate(1, "1", "x", "x")),
		"number for text":       forge(t, good, kiosk, gate(1, 1, 7, "x")),
		"bytes for text":        forge(t, good, kiosk, gate(1, 1, []byte("x"), "x")),
		"text for bytes":        forge(t, good, line{2, []any{"id", 1, "x", "x"}}),
		"zero byte in text":     forge(t, good, kiosk, gate(1, 1, "a\x00", "x")),
		"fraction":              forge(t, good, kiosk, gate(1, 1.5, "x", "x")),
		"number over all":       forge(t, good, kiosk, gate(1, uint64(math.MaxUint64), "x", "x")),
		"truth":                 forge(t, good, kiosk, gate(1, true, "x", "x")),
		"list":                  forge(t, good, kiosk, gate(1, []any{1}, "x", "x")),
		"map":                   forge(t, good, kiosk, gate(1, map[int]int{1: 1}, "x", "x")),
		"deep list":             forge(t, good, kiosk, gate(1, deep, "x", "x")),
		"the same row twice":    forge(t, good, kiosk, gate(1, 1, "x", "x"), gate(1, 1, "x", "x")),
		"a kiosk's id twice":    forge(t, good, kiosk, line{0, []any{2, "gate-0001", "x", make([]byte, 32), 1, 0}}),
		"gate of no kiosk":      forge(t, good, kiosk, gate(2, 1, "x", "x")),
		"gate before its kiosk": forge(t, good, gate(1, 1, "x", "x"), kiosk),
		"wrong count":           compress(t, ended(append(frame(good), frame(kiosk)...), 2)),
		"wrong digest":          compress(t, append(frame(good), frame(end{0, make([]byte, 32)})...)),
		"no end":                compress(t, append(frame(good), frame(kiosk)...)),
		"something after":       compress(t, append(ended(frame(good), 0), 0)),
		"nothing":               nil,
		"empty stream":          compress(t, nil),
		"no zstd":               bytes.Repeat([]byte("not a backup "), 1000),
		"long frame":            compress(t, []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3}),
		"frame of a gigabyte":   compress(t, append([]byte{0x40, 0, 0, 0}, make([]byte, 1<<20)...)),
		"long text":             forge(t, good, kiosk, gate(1, 1, long+long, "x")),
		"large window":          compress(t, make([]byte, 64<<20), zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(false)),
		"a bomb":                compress(t, make([]byte, 256<<20)),
	}
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		for name, b := range tests {
			allocated := allocates(func() {
				if _, err := s.Restore(context.Background(), bytes.NewReader(b)); !errors.Is(err, store.ErrBackup) {
					t.Errorf("%s: Restore() = %v, want %v", name, err, store.ErrBackup)
				}
			})
			if allocated > 64<<20 {
				t.Errorf("%s: a file of %d bytes made Restore allocate %d MiB", name, len(b), allocated>>20)
			}
		}
		// Of the forged ones, those that are whole are taken: a backup has no
		// signature, and its keeper is trusted.
		if _, err := s.Restore(context.Background(), bytes.NewReader(forge(t, good, kiosk, gate(1, 1, "x", long)))); err != nil {
			t.Errorf("Restore() = %v of a whole backup", err)
		}
		if _, err := s.Kiosk(context.Background(), "gate-0001"); err != nil {
			t.Error(err)
		}
	})
}

func allocates(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A ledger that does not read would make a restored server fail whenever its
// kiosk delivers.
func TestForgedLedger(t *testing.T) {
	b := forge(t, head{"qrgate backup 1", "x", 1, 2, [][]any{
		columns("kiosks", "no", "id", "place", "public", "state", "added"),
		columns("epochs", "no", "kiosk_no", "epoch", "ledger", "safe", "opened_by", "carried", "lost", "last", "checkins", "late", "received"),
	}}, line{0, []any{1, "gate-0001", "x", make([]byte, 32), 1, 0}},
		line{1, []any{65537, 1, make([]byte, 16), []byte("no ledger"), 0, 1, 0, 0, 0, 0, 0, 0}})
	if _, err := store.VerifyBackup(context.Background(), bytes.NewReader(b), t.TempDir()); !errors.Is(err, store.ErrBackup) {
		t.Errorf("VerifyBackup() = %v, want %v", err, store.ErrBackup)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestUnreadableBackup(t *testing.T) {
	_, err := store.VerifyBackup(context.Background(), brokenReader{}, t.TempDir())
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("VerifyBackup() = %v, want %v", err, io.ErrClosedPipe)
	}
	if _, err := store.VerifyBackup(context.Background(), brokenReader{}, "/nowhere"); err == nil {
		t.Error("VerifyBackup() succeeded in a directory that is not there")
	}
}

// A kiosk that sends the longest messages must not make a backup impossible.
func TestBackupOfLongRows(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		long := append([]byte{0x5a, 0, 3, 0xff, 0xf0}, make([]byte, 200<<10)...)
		k.append(long)
		k.gate = strings.Repeat("g", 7<<10)
		k.scan(dawn)
		intake(t, s, dawn, k.all())
		err := s.SavePresences(context.Background(), []store.Presence{
			{Kiosk: k.id, Beat: &wire.Beat{V: 1, Release: strings.Repeat("v", 250<<10)}, Contact: dawn},
		})
		if err != nil {
			t.Fatal(err)
		}
		if st := status(t, s, k.id); st.Beat != nil || !st.Contact.Equal(dawn) {
			t.Errorf("beat %v, contact %v, want none at %v", st.Beat, st.Contact, dawn)
		}
		verify(t, backup(t, s))
		if got := intake(t, s, dawn, k.all())[0]; got.Fork || len(got.Fresh) != 0 {
			t.Errorf("the same again: %+v", got)
		}
		other := *k
		other.life = life{epoch: k.epoch, chain: []wire.Hash{{}}}
		long = bytes.Clone(long)
		long[len(long)-1] = 1
		other.append(long)
		inBook(t, s, k.id, func(in *store.Intake, _ *store.Book) {
			if got, err := take(in, other.all(), dawn); !got.Fork || err != nil {
				t.Errorf("one that differs in its last byte: %+v, %v, want a fork", got, err)
			}
		})
	})
}
