package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
)

// ErrReference means that a reference is not of the case that was asked.
var ErrReference = errors.New("reference is not of this case")

// A CaseKey seals what a case keeps. It is safe for concurrent use.
type CaseKey struct {
	aead  cipher.AEAD
	block cipher.Block
}

// NewCaseKey returns a new key for the case with this id, wrapped, to be kept
// with its row. Dropping it erases the case.
func (v *Vault) NewCaseKey(id string) []byte { return sealX(v.people, newKey(), caseInfo(id)) }

// CaseKey opens the key of a case. The error is [ErrDetail] if it is another
// case's, or none.
func (v *Vault) CaseKey(id string, wrapped []byte) (*CaseKey, error) {
	key, aead, err := v.ownKey(caseInfo(id), wrapped)
	if err != nil {
		return nil, fmt.Errorf("vault: case's key: %w", err)
	}
	// Another key, for one key is never used by two ciphers.
	if key, err = hkdf.Expand(sha256.New, key, "qrgate case reference v1", keySize); err != nil {
		return nil, fmt.Errorf("vault: case's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: case's key: %w", err)
	}
	return &CaseKey{aead, block}, nil
}

// Seal encrypts what a case keeps. field names the column and row: what is moved
// to another one does not open.
func (k *CaseKey) Seal(field string, plain []byte) []byte { return sealX(k.aead, plain, []byte(field)) }

// Open returns what [CaseKey.Seal] was given, else [ErrDetail].
func (k *CaseKey) Open(field string, sealed []byte) ([]byte, error) {
	plain, err := openX(k.aead, sealed, []byte(field))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", field, err)
	}
	return plain, nil
}

// Reference returns what stands for a person in this case alone, on pages and as
// the key of rows.
func (k *CaseKey) Reference(p qrgate.Person) [16]byte { return hide(k.block, p) }

// Person returns whom a reference stands for, or [ErrReference]: nobody makes one
// without the key.
func (k *CaseKey) Person(reference [16]byte) (qrgate.Person, error) {
	p, ok := reveal(k.block, reference)
	if !ok {
		return 0, fmt.Errorf("vault: %w", ErrReference)
	}
	return p, nil
}

func caseInfo(id string) []byte { return append([]byte("case\x00"), id...) }
