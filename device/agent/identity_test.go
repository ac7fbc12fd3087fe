package agent_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

const kioskID = "kiosk-00001"

func seeded(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

var (
	kioskKey   = seeded(1)
	receiptKey = seeded(2) // listed as key 7
	rootKey    = seeded(3)
	cardKey    = seeded(4)
	strange    = seeded(9) // listed nowhere
)

// listed is a key list as a server's enrolment signs it.
func listed(generation, version uint64, more ...wire.Key) wire.KeyList {
	return wire.KeyList{V: wire.Version, Stamp: wire.Stamp{Generation: generation, Version: version}, Keys: append([]wire.Key{
		{ID: 7, Purpose: wire.ForReceipt, Public: public(receiptKey)},
		{ID: 1, Purpose: wire.ForSeal, Public: bytes.Repeat([]byte{9}, 32)},
		{ID: 4, Purpose: wire.ForCard, Public: public(cardKey)},
	}, more...)}
}

func signedKeys(root ed25519.PrivateKey, l wire.KeyList) []byte {
	return wire.Seal(wire.ForKeys, 0, root, l)
}

func pemOf(t testing.TB, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func privatePEM(t testing.TB, key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf(t, "PRIVATE KEY", der, err)
}

func publicPEM(t testing.TB, key any) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pemOf(t, "PUBLIC KEY", der, err)
}

// certPEM returns a certificate of key, signed by itself.
func certPEM(t testing.TB, name string, key crypto.Signer) []byte {
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	return pemOf(t, "CERTIFICATE", der, err)
}

// enrolled returns a directory as enrolment leaves it, with some files replaced.
// Nil leaves a file out.
func enrolled(t testing.TB, replaced map[string][]byte) string {
	t.Helper()
	files := map[string][]byte{
		"kiosk.key": privatePEM(t, kioskKey),
		"kiosk.pem": certPEM(t, kioskID, kioskKey),
		"ca.pem":    certPEM(t, "authority", strange),
		"root.pub":  publicPEM(t, public(rootKey)),
		"keys.cbor": signedKeys(rootKey, listed(1, 5)),
	}
	for name, b := range replaced {
		files[name] = b
	}
	dir := t.TempDir()
	for name, b := range files {
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readIdentity(t testing.TB, dir string) *agent.Identity {
	t.Helper()
	id, err := agent.ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestReadIdentity(t *testing.T) {
	id := readIdentity(t, enrolled(t, nil))
	if id.Kiosk != kioskID || !id.Key.Equal(kioskKey) || !id.Root.Equal(public(rootKey)) || id.Cert.Leaf == nil {
		t.Errorf("ReadIdentity = %q, key %x, root %x; want what was written", id.Kiosk, id.Key.Public(), id.Root)
	}
	if k := id.ReceiptKey(7); !k.Equal(public(receiptKey)) {
		t.Errorf("ReceiptKey(7) = %x, want the listed key", k)
	}
	for _, n := range []uint32{0, 1, 4, 8} {
		if k := id.ReceiptKey(n); k != nil {
			t.Errorf("ReceiptKey(%d) = %x, want none: no receipt key has this id", n, k)
		}
	}
}

func TestDamagedIdentityNamesTheFile(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	whole := signedKeys(rootKey, listed(1, 5))
	torn := bytes.Clone(whole)
	torn[len(torn)/2] ^= 1
	noSeal, noReceipt := listed(1, 5), listed(1, 5)
	noSeal.Keys = noSeal.Keys[:1]
	noReceipt.Keys = noReceipt.Keys[1:]
	tests := []struct {
		name     string
		replaced map[string][]byte
		file     string
	}{
		{"another key", map[string][]byte{"kiosk.key": privatePEM(t, strange)}, "kiosk.key"},
		{"key of another kind", map[string][]byte{"kiosk.key": privatePEM(t, curve), "kiosk.pem": certPEM(t, kioskID, curve)}, "kiosk.key"},
		{"name with a wildcard", map[string][]byte{"kiosk.pem": certPEM(t, "kiosk-0000+", kioskKey)}, "kiosk.pem"},
		{"no name", map[string][]byte{"kiosk.pem": certPEM(t, "", kioskKey)}, "kiosk.pem"},
		{"root is a certificate", map[string][]byte{"root.pub": certPEM(t, "root", rootKey)}, "root.pub"},
		{"root of another kind", map[string][]byte{"root.pub": publicPEM(t, curve.Public())}, "root.pub"},
		{"another root", map[string][]byte{"root.pub": publicPEM(t, public(strange))}, "keys.cbor"},
		{"torn key list", map[string][]byte{"keys.cbor": torn}, "keys.cbor"},
		{"half a key list", map[string][]byte{"keys.cbor": whole[:len(whole)/2]}, "keys.cbor"},
		{"nothing to seal to", map[string][]byte{"keys.cbor": signedKeys(rootKey, noSeal)}, "keys.cbor"},
		{"no receipt key", map[string][]byte{"keys.cbor": signedKeys(rootKey, noReceipt)}, "keys.cbor"},
	}
	for _, file := range []string{"kiosk.key", "kiosk.pem", "ca.pem", "root.pub", "keys.cbor"} {
		for name, b := range map[string][]byte{"missing": nil, "empty": {}, "zeros": make([]byte, 4096), "text": []byte("# moved\n")} {
			tests = append(tests, struct {
				name     string
				replaced map[string][]byte
				file     string
			}{file + " " + name, map[string][]byte{file: b}, file})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := agent.ReadIdentity(enrolled(t, tt.replaced))
			if err == nil || id != nil || !strings.Contains(err.Error(), tt.file) {
				t.Errorf("ReadIdentity = %v, error %v, want one that names %s", id, err, tt.file)
			}
		})
	}
}

func TestKeysAreReplacedByNewerOnes(t *testing.T) {
	dir := enrolled(t, nil)
	path := filepath.Join(dir, "keys.cbor")
	id := readIdentity(t, dir)
	noSeal := listed(9, 9)
	noSeal.Keys = noSeal.Keys[:1]
	newest := wire.Stamp{Generation: 1, Version: 5}
	held, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		data []byte
		want error // nil takes it
	}{
		{"the same", signedKeys(rootKey, listed(1, 5)), agent.ErrOld},
		{"an older version", signedKeys(rootKey, listed(1, 4)), agent.ErrOld},
		{"a newer version", signedKeys(rootKey, listed(1, 6, wire.Key{ID: 8, Purpose: wire.ForReceipt, Public: public(strange)})), nil},
		{"the one before, played again", signedKeys(rootKey, listed(1, 5)), agent.ErrOld},
		{"another root's", signedKeys(strange, listed(7, 7)), wire.ErrSignature},
		{"the kiosk's own", signedKeys(kioskKey, listed(7, 7)), wire.ErrSignature},
		{"a receipt", wire.Seal(wire.ForReceipt, 7, receiptKey, listed(7, 7)), wire.ErrSignature},
		{"nothing to seal to", signedKeys(rootKey, noSeal), errAny},
		{"noise", []byte("noise"), wire.ErrMalformed},
		{"nothing", nil, wire.ErrMalformed},
		{"a restored server's", signedKeys(rootKey, listed(2, 1)), nil},
		{"an older generation", signedKeys(rootKey, listed(1, 900)), agent.ErrOld},
	} {
		err := id.ReplaceKeys(step.data)
		switch {
		case step.want == nil && err != nil, step.want == errAny && err == nil,
			step.want != errAny && !errors.Is(err, step.want):
			t.Errorf("%s: ReplaceKeys error = %v, want %v", step.name, err, step.want)
		case step.want == nil:
			held, newest = step.data, id.Keys().Stamp
		}
		if got := id.Keys().Stamp; got != newest {
			t.Errorf("%s: list in force = %+v, want %+v", step.name, got, newest)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, held) {
			t.Errorf("%s: list on disk is not the one in force: %v", step.name, err)
		}
		if got := readIdentity(t, dir).Keys().Stamp; got != newest {
			t.Errorf("%s: list after a restart = %+v, want %+v", step.name, got, newest)
		}
	}
}

var errAny = errors.New("any error")

func TestKeysThatCannotBeKeptAreNotInForce(t *testing.T) {
	dir := enrolled(t, nil)
	id := readIdentity(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "keys.cbor.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := id.ReplaceKeys(signedKeys(rootKey, listed(2, 1))); err == nil || errors.Is(err, agent.ErrOld) {
		t.Errorf("ReplaceKeys on a disk that does not write: error = %v, want its own", err)
	}
	if got, want := id.Keys().Stamp, (wire.Stamp{Generation: 1, Version: 5}); got != want {
		t.Errorf("list in force = %+v, want %+v", got, want)
	}
}

func TestCardAndSealKeys(t *testing.T) {
	day := pass.DayOf(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	ms := func(d pass.Day) int64 { return d.Time().UnixMilli() }
	id := readIdentity(t, enrolled(t, map[string][]byte{"keys.cbor": signedKeys(rootKey, listed(1, 5,
		wire.Key{ID: 5, Purpose: wire.ForEvent, Public: public(strange), From: ms(day), To: ms(day + 9)},
		wire.Key{ID: 256, Purpose: wire.ForCard, Public: public(strange)},
		wire.Key{ID: 2, Purpose: wire.ForSeal, Public: bytes.Repeat([]byte{8}, 32), From: ms(day)},
	))}))
	want := pass.Keys{
		4: {Public: public(cardKey), From: pass.DayOf(time.UnixMilli(0))},
		5: {Public: public(strange), Events: true, From: day, To: day + 9},
	}
	if diff := cmp.Diff(want, id.CardKeys()); diff != "" {
		t.Errorf("CardKeys (-want +got):\n%s", diff)
	}
	for year, id2 := range map[int]uint32{1970: 1, 2026: 1, 2027: 2, 2099: 2} {
		k, err := id.SealKey(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || k.ID != id2 {
			t.Errorf("SealKey in %d = key %d, %v, want key %d", year, k.ID, err, id2)
		}
	}
}
