package archive_test

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/server/store/archive"
	"github.com/qrgate/qrgate/sync/wire"
)

var sample = archive.Head{ID: "x", Generation: math.MaxUint64, Made: -5, Tables: []archive.Table{
	{Name: "kiosks", Columns: []string{"no", "id", "public", "beat"}},
	{Name: "gates", Columns: []string{"no"}},
}}

type line struct {
	Table  int
	Values []any
}

var lines = []line{
	{0, []any{int64(1), "cổng", []byte{0, 0xff}, nil}},
	{0, []any{int64(-7), "", []byte{}, nil}},
	{1, []any{int64(math.MaxInt64)}},
	{1, []any{int64(math.MinInt64)}},
	{0, []any{nil, strings.Repeat("long ", 20_000), bytes.Repeat([]byte{7}, 1000), int64(0)}},
}

func write(t testing.TB, h archive.Head, lines []line) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := w.Row(l.Table, l.Values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(from io.Reader) (archive.Head, []line, error) {
	r, err := archive.NewReader(from)
	if err != nil {
		return archive.Head{}, nil, err
	}
	defer r.Close()
	var all []line
	for {
		table, values, err := r.Next()
		if err == io.EOF {
			if r.Rows() != uint64(len(all)) {
				return r.Head, all, errors.New("Rows() is wrong")
			}
			return r.Head, all, nil
		}
		if err != nil {
			if _, _, again := r.Next(); again != err {
				return r.Head, all, errors.New("the error does not stay")
			}
			return r.Head, all, err
		}
		all = append(all, line{table, values})
	}
}

var same = cmpopts.IgnoreUnexported(archive.Table{})

func TestRoundTrip(t *testing.T) {
	file := write(t, sample, lines)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file))} {
		h, got, err := read(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(sample, h, same); diff != "" {
			t.Errorf("%s: head (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
}

func TestTooLongARow(t *testing.T) {
	w, err := archive.NewWriter(io.Discard, sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Row(1, []any{make([]byte, archive.MaxRow)}); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("Row of %d bytes = %v, want %v", archive.MaxRow, err, wire.ErrTooLarge)
	}
}

// Whatever is cut off or changed, io.EOF comes only with the content as it was:
// some bits of zstd's header say nothing of it.
func TestDamage(t *testing.T) {
	file := write(t, sample, lines[:4])
	refused := func(name string, at int, b []byte) {
		t.Helper()
		_, got, err := read(bytes.NewReader(b))
		if header := at < 6 && err == nil; !header && !errors.Is(err, archive.ErrDamaged) || header && !cmp.Equal(got, lines[:4]) {
			t.Errorf("%s at %d: %v, want %v", name, at, err, archive.ErrDamaged)
		}
	}
	for n := range file {
		refused("cut", n, file[:n])
		for bit := range 8 {
			b := slices.Clone(file)
			b[n] ^= 1 << bit
			refused("bit changed", n, b)
		}
		refused("byte lost", n, slices.Delete(slices.Clone(file), n, n+1))
	}
	refused("byte added", len(file), append(slices.Clone(file), 0))
	refused("file added", len(file), append(slices.Clone(file), file...))
	if _, _, err := read(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(file)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("of a reader that fails: %v, want %v", err, iotest.ErrTimeout)
	}
}

//go:embed testdata/first.backup
var golden []byte

// A file of the first release is read by every later one.
func TestGolden(t *testing.T) {
	h, got, err := read(bytes.NewReader(golden))
	if diff := cmp.Diff(sample, h, same); diff != "" || err != nil {
		t.Errorf("head, error %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(lines[:4], got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// forge returns a file of frames, with an end that fits if rows is not negative.
func forge(t testing.TB, rows int, values ...any) []byte {
	var frames []byte
	add := func(v any) {
		b := wire.Encode(v)
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(len(b))), b...)
	}
	for _, v := range values {
		add(v)
	}
	if rows >= 0 {
		sum := sha256.Sum256(frames)
		add(map[int]any{3: rows, 4: sum[:]})
	}
	return compress(t, frames)
}

func compress(t testing.TB, b []byte, o ...zstd.EOption) []byte {
	t.Helper()
	var file bytes.Buffer
	z, err := zstd.NewWriter(&file, append([]zstd.EOption{zstd.WithWindowSize(1 << 20)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestForged(t *testing.T) {
	head := map[int]any{1: "qrgate backup 1", 2: "x", 3: 1, 4: 2, 5: []any{[]any{"gates", []any{"no"}}}}
	row := func(values ...any) map[int]any { return map[int]any{1: 0, 2: values} }
	deep := any(1)
	for range 7 {
		deep = []any{deep}
	}
	tests := map[string][]byte{
		"another magic":       forge(t, 0, map[int]any{1: "qrgate backup 2"}),
		"no head":             forge(t, 1, row(1)),
		"tables of columns":   forge(t, 0, map[int]any{1: "qrgate backup 1", 5: []any{"gates"}}),
		"a table that is not": forge(t, 1, head, map[int]any{1: 1, 2: []any{1}}),
		"a negative table":    forge(t, 1, head, map[int]any{1: -1, 2: []any{1}}),
		"too many values":     forge(t, 1, head, row(1, 2)),
		"no values":           forge(t, 1, head, row()),
		"fraction":            forge(t, 1, head, row(1.5)),
		"truth":               forge(t, 1, head, row(true)),
		"number over all":     forge(t, 1, head, row(uint64(math.MaxUint64))),
		"list":                forge(t, 1, head, row([]any{1})),
		"map":                 forge(t, 1, head, row(map[string]int{"x": 1})),
		"deep list":           forge(t, 1, head, row(deep)),
		"wrong count":         forge(t, 2, head, row(1)),
		"no end":              forge(t, -1, head, row(1)),
		"two ends":            forge(t, 1, head, row(1), map[int]any{3: 1, 4: make([]byte, 32)}),
		"nothing":             nil,
		"an empty stream":     compress(t, nil),
		"no zstd":             bytes.Repeat([]byte("not a backup "), 1000),
		"a long frame":        compress(t, []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3}),
		"a cut frame":         compress(t, []byte{0, 0, 0, 9, 1, 2, 3}),
		"a large window":      compress(t, make([]byte, 64<<20), zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(false)),
		"a bomb":              compress(t, make([]byte, 256<<20)),
	}
	for name, file := range tests {
		var err error
		allocated := allocates(func() { _, _, err = read(bytes.NewReader(file)) })
		if !errors.Is(err, archive.ErrDamaged) {
			t.Errorf("%s: %v, want %v", name, err, archive.ErrDamaged)
		}
		if allocated > 16<<20 {
			t.Errorf("%s: reading a file of %d bytes allocates %d MiB", name, len(file), allocated>>20)
		}
	}
}

func allocates(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzReader reads files, and frames with and without an end that fits. What is
// taken is written again as it was.
func FuzzReader(f *testing.F) {
	file := write(f, sample, lines[:4])
	z, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		f.Fatal(err)
	}
	frames, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	z.Close()
	f.Add(file, uint8(0), uint8(0))
	f.Add(frames, uint8(1), uint8(0))
	f.Add(frames[:len(frames)-4-38], uint8(2), uint8(4)) // without the end
	f.Fuzz(func(t *testing.T, b []byte, as, rows uint8) {
		switch as % 3 {
		case 1:
			b = compress(t, b)
		case 2:
			sum := sha256.Sum256(b)
			end := wire.Encode(map[int]any{3: rows, 4: sum[:]})
			b = compress(t, append(binary.BigEndian.AppendUint32(bytes.Clone(b), uint32(len(end))), end...))
		}
		h, got, err := read(bytes.NewReader(b))
		if errors.Is(err, archive.ErrDamaged) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h2, again, err := read(bytes.NewReader(write(t, h, got)))
		if err != nil || !cmp.Equal(h, h2, same) || !cmp.Equal(got, again) {
			t.Errorf("written again it reads otherwise, %v", err)
		}
	})
}
