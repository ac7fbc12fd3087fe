package vault

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrMaster means that a wrapped key does not open: the master key is another
// one, or the key was damaged or moved under another name.
var ErrMaster = errors.New("not wrapped by this master key")

const (
	masterPrefix = "qrgate-master-1 "
	keyMagic     = "QGK1"
	wrapInfo     = "qrgate wrap v1\x00"
	deriveInfo   = "qrgate derive v1\x00"
)

// A Master wraps every other key of the server. Make one with [NewMaster] or
// read it with [ReadMaster]; the zero Master wraps nothing.
type Master struct {
	aead cipher.AEAD
	key  *[chacha20poly1305.KeySize]byte // a pointer, so that printing a struct around it shows no key
}

// NewMaster returns a new random master key.
func NewMaster() Master {
	var key [chacha20poly1305.KeySize]byte
	rand.Read(key[:])
	return newMaster(key)
}

func newMaster(key [chacha20poly1305.KeySize]byte) Master {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // only for a key of another length
	}
	return Master{aead: aead, key: &key}
}

// ParseMaster reads a master key as [Master.Write] writes it.
func ParseMaster(text string) (Master, error) {
	digits, ok := strings.CutPrefix(strings.TrimRight(text, "\r\n"), masterPrefix)
	key, err := hex.DecodeString(digits)
	if !ok || err != nil || len(key) != chacha20poly1305.KeySize {
		return Master{}, errors.New("vault: master key: not a line of " + masterPrefix + "and 64 hexadecimal digits")
	}
	return newMaster([chacha20poly1305.KeySize]byte(key)), nil
}

// ReadMaster reads the master key from a file that nobody but its owner may
// read.
func ReadMaster(path string) (Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return Master{}, fmt.Errorf("vault: master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Master{}, fmt.Errorf("vault: master key: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return Master{}, fmt.Errorf("vault: master key %s: mode %04o lets others in; chmod 0600", path, perm)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return Master{}, fmt.Errorf("vault: master key: %w", err)
	}
	return ParseMaster(string(text))
}

// Write stores m in a new file of mode 0600. It never replaces a file: whoever
// overwrites a master key loses everything under it.
func (m Master) Write(path string) error {
	text := []byte(masterPrefix + hex.EncodeToString(m.key[:]) + "\n")
	stored, err := createFile(path, text)
	if err != nil {
		return fmt.Errorf("vault: master key: %w", err)
	}
	if !bytes.Equal(stored, text) {
		return fmt.Errorf("vault: master key %s: %w", path, os.ErrExist)
	}
	return nil
}

// String hides the key.
func (Master) String() string { return "master(hidden)" }

// GoString hides the key from %#v.
func (Master) GoString() string { return "master(hidden)" }

// Derive returns 32 bytes for one purpose, always the same: a key for what is not
// worth one of its own in a file. Whoever has it learns nothing of m nor of the
// keys of other purposes.
func (m Master) Derive(purpose string) []byte {
	key, err := hkdf.Expand(sha256.New, m.key[:], deriveInfo+purpose, sha256.Size)
	if err != nil {
		panic(err) // only for a longer key
	}
	return key
}

// Wrap encrypts a key, bound to the name under which it is kept.
func (m Master) Wrap(name string, key []byte) []byte {
	b := make([]byte, len(keyMagic)+chacha20poly1305.NonceSizeX, len(keyMagic)+len(key)+m.aead.NonceSize()+m.aead.Overhead())
	nonce := b[copy(b, keyMagic):]
	rand.Read(nonce)
	return m.aead.Seal(b, nonce, key, []byte(wrapInfo+name))
}

// Unwrap returns the key that Wrap was given under the same name, else
// [ErrMaster].
func (m Master) Unwrap(name string, wrapped []byte) ([]byte, error) {
	sealed, ok := bytes.CutPrefix(wrapped, []byte(keyMagic))
	if !ok || len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("vault: %s is no wrapped key: %w", name, ErrMaster)
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	key, err := m.aead.Open(nil, nonce, box, []byte(wrapInfo+name))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", name, ErrMaster)
	}
	return key, nil
}
