package casebook

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
)

// A Ref stands for a person on the pages of one case. Nobody can make up one that
// is anybody. The zero Ref is nobody's.
type Ref [16]byte

var refText = base32.StdEncoding.WithPadding(base32.NoPadding)

// String returns the reference as [ParseRef] reads it, and "" of the zero Ref.
func (r Ref) String() string {
	if r == (Ref{}) {
		return ""
	}
	return strings.ToLower(refText.EncodeToString(r[:]))
}

// ParseRef reads what [Ref.String] wrote.
func ParseRef(s string) (Ref, error) {
	var r Ref
	b, err := refText.DecodeString(strings.ToUpper(s))
	if err == nil && len(b) == len(r) {
		r = Ref(b)
	}
	if r == (Ref{}) || r.String() != s {
		return Ref{}, fmt.Errorf("casebook: reference: %w", qrgate.ErrInvalid)
	}
	return r, nil
}

// ref returns how the case's pages name a person, who may be nobody.
func (f *file) ref(p qrgate.Person) Ref {
	if p == 0 {
		return Ref{}
	}
	return f.key.Reference(p)
}

// person returns whom a reference means. One of another case, or of nobody, is not
// found.
func (f *file) person(r Ref) (qrgate.Person, error) {
	p, err := f.key.Person(r)
	if err != nil || p == 0 {
		return 0, fmt.Errorf("reference: %w", qrgate.ErrNotFound)
	}
	return p, nil
}

// What is sealed, so that nothing opens in another one's stead.
const fieldBody = "body"

func fieldRun(no int) string         { return "run " + strconv.Itoa(no) }
func fieldFingerprint(no int) string { return "fingerprint " + strconv.Itoa(no) }
func fieldCall(r Ref) string         { return "call " + hex.EncodeToString(r[:]) }
func fieldGlass(id string) string    { return "glass " + id }

// A run of 10,000 contacts with two meetings each inflates to 10 MB.
const maxInflated = 256 << 20

var packer = sync.OnceValue(func() *zstd.Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return z
})

var unpacker = sync.OnceValue(func() *zstd.Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxInflated))
	if err != nil {
		panic(err)
	}
	return z
})

var decoding = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxArrayElements: 1 << 24, MaxMapPairs: 1 << 20}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

func seal(k *vault.CaseKey, field string, v any) ([]byte, error) {
	plain, err := cbor.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if len(plain) > maxInflated { // it could not be read again
		return nil, fmt.Errorf("%s: %d bytes: %w", field, len(plain), ErrTooMany)
	}
	return k.Seal(field, packer().EncodeAll(plain, nil)), nil
}

func unseal(k *vault.CaseKey, field string, sealed []byte, into any) error {
	packed, err := k.Open(field, sealed)
	if err != nil {
		return err
	}
	plain, err := unpacker().DecodeAll(packed, nil)
	if err == nil {
		err = decoding.Unmarshal(plain, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}
