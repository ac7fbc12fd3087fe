package deliver_test

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

var ignoreRange = cmpopts.IgnoreUnexported(wire.Range{})

func each(envelopes ...[]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, e := range envelopes {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func readAll(b []byte) (kiosk string, envelopes [][]byte, err error) {
	kiosk, seq, err := deliver.ReadBundle(bytes.NewReader(b))
	if err != nil {
		return kiosk, nil, err
	}
	for e, err := range seq {
		if err != nil {
			return kiosk, envelopes, err
		}
		envelopes = append(envelopes, e)
	}
	return kiosk, envelopes, nil
}

func TestBundleEveryCutIsSeen(t *testing.T) {
	var out bytes.Buffer
	want := [][]byte{[]byte("first"), bytes.Repeat([]byte{0}, 300), {0x42}}
	if err := deliver.WriteBundle(&out, "kiosk-00001", each(want...)); err != nil {
		t.Fatalf("WriteBundle error = %v", err)
	}
	kiosk, got, err := readAll(out.Bytes())
	if err != nil || kiosk != "kiosk-00001" {
		t.Fatalf("ReadBundle = %q, %v; want kiosk-00001", kiosk, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("envelopes (-want +got):\n%s", d)
	}
	for n := range out.Len() {
		_, got, err := readAll(out.Bytes()[:n])
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("ReadBundle of %d of %d bytes: error = %v, want io.ErrUnexpectedEOF", n, out.Len(), err)
		}
		if len(got) > len(want) || len(got) > 0 && !bytes.Equal(got[0], want[0]) {
			t.Fatalf("ReadBundle of %d bytes = %q", n, got)
		}
	}
}

func TestBundleRefuses(t *testing.T) {
	for _, b := range []string{
		"PK\x03\x04 something else\n", "QRGATE-BUNDLE 2 kiosk-00001\n", "QRGATE-BUNDLE 1 ../../etc\n",
		"QRGATE-BUNDLE 1 kiosk-00001\n\xff\xff\xff\xff", string(bytes.Repeat([]byte("x"), 8192)),
	} {
		if _, got, err := readAll([]byte(b)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("ReadBundle(%.40q) = %q, %v; want ErrMalformed", b, got, err)
		}
	}
	var out bytes.Buffer
	if err := deliver.WriteBundle(&out, "kiosk-00001", each(make([]byte, wire.MaxMessage+1))); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("WriteBundle of an envelope over the limit: error = %v, want ErrTooLarge", err)
	}
}

func FuzzReadBundle(f *testing.F) {
	var out bytes.Buffer
	if err := deliver.WriteBundle(&out, "kiosk-00001", each([]byte("one"), []byte("two"))); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		kiosk, envelopes, err := readAll(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := deliver.WriteBundle(&again, kiosk, each(envelopes...)); err != nil {
			t.Fatalf("WriteBundle of what was read: %v", err)
		}
		if !bytes.HasPrefix(b, again.Bytes()) {
			t.Fatalf("ReadBundle(%q) wrote back %q", b, again.Bytes())
		}
	})
}
