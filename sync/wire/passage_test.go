package wire_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func aPassage() wire.Header {
	h := wire.Header{Seq: 9, Kind: wire.KindPassage, Gate: "A1", Lane: 2, Direction: wire.In, Passage: &wire.Passage{Took: 3_600_000, People: 412, Against: 9, Scans: 371}}
	h.At(when.Reading{Boot: when.Boot{1, 2, 3}, Since: 7_200_000, Wall: 1_795_500_000_000, State: when.Synced, Error: 7})
	return h
}

func TestGoldenPassages(t *testing.T) {
	key, h := testKey(1), aPassage()
	beat := &wire.Beat{V: 1, Nonce: [16]byte{7, 7}, Epoch: wire.Epoch{9}, Passage: &wire.PassageBeat{
		People: 1_204, Against: 31, Scans: 980, For: wire.LatelyTime.Milliseconds(), Lately: 96, LatelyScans: 2, Broken: true, Last: 1_795_500_000_000,
	}}
	full := &wire.Beat{V: 1, Nonce: [16]byte{7, 7}, Epoch: wire.Epoch{9}, Room: &wire.RoomBeat{Inside: &wire.InsideBeat{Least: 112, Most: 118, Limit: 120, Near: 90, Cut: true}}}
	for _, g := range []golden{
		{"beat-inside.cbor", full, func() []byte { return wire.Seal(wire.ForBeat, 0, key, full) }, func(b []byte) (any, error) { return wire.OpenBeat(b, public(key)) }},
		{"beat-passage.cbor", beat, func() []byte { return wire.Seal(wire.ForBeat, 0, key, beat) }, func(b []byte) (any, error) { return wire.OpenBeat(b, public(key)) }},
		{"record-passage.cbor", h, func() []byte { return wire.Encode(wire.NewRecord(h, wire.Sealed{})) }, func(b []byte) (any, error) {
			_, got, err := wire.DecodeRecord(b)
			return got, err
		}},
	} {
		path := filepath.Join("..", "..", "testdata", "wire", "v1", g.name)
		if _, err := os.Stat(path); err != nil && *update {
			if err := os.WriteFile(path, g.seal(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.open(b)
		if err != nil {
			t.Fatalf("%s does not open: %v", g.name, err)
		}
		if diff := cmp.Diff(g.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.name, diff)
		}
	}
}

// A record says who passed if it is of that kind, and only then; and an hour's record is
// small.
func TestRecordOfPassage(t *testing.T) {
	for _, h := range []wire.Header{{Seq: 1, Kind: wire.KindPassage}, {Seq: 1, Kind: wire.KindCheckin, Passage: &wire.Passage{}}} {
		if _, _, err := wire.DecodeRecord(wire.Encode(wire.NewRecord(h, wire.Sealed{}))); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%+v: %v, want ErrMalformed", h, err)
		}
	}
	if n := len(wire.Encode(wire.NewRecord(aPassage(), wire.Sealed{}))); n > 140 {
		t.Errorf("a record of %d bytes", n)
	}
}

func TestSoundPassage(t *testing.T) {
	for _, tt := range []struct {
		p    wire.Passage
		want bool
	}{
		{wire.Passage{}, true},
		{wire.Passage{Took: 3_600_000, People: 400, Scans: 500}, true},
		{wire.Passage{Took: -1}, false},
		{wire.Passage{Took: (26 * time.Hour).Milliseconds()}, false},
		{wire.Passage{People: 1<<20 + 1}, false},
		{wire.Passage{Scans: 1 << 31}, false},
	} {
		if got := tt.p.Sound(); got != tt.want {
			t.Errorf("%+v.Sound() = %t, want %t", tt.p, got, tt.want)
		}
	}
}
