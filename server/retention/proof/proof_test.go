package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/retention/proof"
)

type paper struct {
	Day  string `json:"day"`
	Rows int    `json:"rows"`
}

var said = paper{"2026-11-01", 12}

func signerOf(seed byte, id uint32) proof.Signer {
	return proof.Signer{ID: id, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))}
}

func sign(t testing.TB, kind proof.Kind, by proof.Signer) []byte {
	t.Helper()
	file, err := proof.Sign(kind, said, by)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpen(t *testing.T) {
	one, two := signerOf(1, 1), signerOf(2, 2)
	file := sign(t, proof.Retention, two)
	keys := proof.Keys{1: one.Keys()[1], 2: two.Keys()[2]}
	var got paper
	if err := proof.Open(proof.Retention, file, keys, &got); err != nil || got != said {
		t.Errorf("Open = %v, %+v, want %+v", err, got, said)
	}
	for name, bad := range map[string]error{
		"another kind": proof.Open(proof.Erasure, file, keys, &got),
		"no key":       proof.Open(proof.Retention, file, one.Keys(), &got),
		"another key":  proof.Open(proof.Retention, file, proof.Keys{2: one.Keys()[1]}, &got),
		"nothing":      proof.Open(proof.Retention, nil, keys, &got),
		"no signature": proof.Open(proof.Retention, []byte("{}\n"), keys, &got),
		"twice":        proof.Open(proof.Retention, append(bytes.Clone(file), file...), keys, &got),
	} {
		if !errors.Is(bad, proof.ErrProof) {
			t.Errorf("%s: Open = %v, want ErrProof", name, bad)
		}
	}
}

// Whatever byte is changed, left out or put in, it is found.
func TestEveryByteCounts(t *testing.T) {
	by := signerOf(1, 1)
	file := sign(t, proof.Retention, by)
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		for what, b := range map[string][]byte{
			"changed":  changed,
			"left out": append(bytes.Clone(file[:i]), file[i+1:]...),
			"put in":   append(append(bytes.Clone(file[:i]), ' '), file[i:]...),
		} {
			var got paper
			if err := proof.Open(proof.Retention, b, by.Keys(), &got); !errors.Is(err, proof.ErrProof) {
				t.Fatalf("byte %d %s: Open = %v, want ErrProof", i, what, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	by := signerOf(1, 1)
	good := sign(f, proof.Retention, by)
	f.Add(good)
	f.Add(sign(f, proof.Erasure, by))
	f.Add([]byte("{}\nqrgate-proof 1 retention 1 AAAA\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got paper
		err := proof.Open(proof.Retention, b, by.Keys(), &got)
		if (err == nil) != bytes.Equal(b, good) {
			t.Fatalf("Open(%q) = %v", b, err)
		}
		if err == nil && !cmp.Equal(got, said) {
			t.Fatalf("Open(%q) says %+v", b, got)
		}
	})
}
