package enrol

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A Bundle is everything a kiosk needs to know itself and its server. Its files
// are described in the package documentation.
type Bundle struct {
	Key         ed25519.PrivateKey // nil if the kiosk keeps its own
	Certificate []byte             // kiosk.pem
	CA          []byte             // ca.pem
	Keys        []byte             // keys.cbor
	Root        ed25519.PublicKey  // root.pub
}

// Bundle returns what kiosk id needs beside its private key, with a certificate
// for its public key.
func (k *Keys) Bundle(ca *CA, id string, public ed25519.PublicKey, now time.Time) (Bundle, error) {
	cert, err := ca.Kiosk(id, public, now)
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{Certificate: cert, CA: ca.Certificate(), Keys: k.signed, Root: k.root}, nil
}

// NewBundle returns a bundle for a kiosk whose key is made here, for kiosks that
// are set up by hand and for trying things out. The public key is to be kept
// with the kiosk's row.
func (k *Keys) NewBundle(ca *CA, id string, now time.Time) (Bundle, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Bundle{}, fmt.Errorf("enrol: kiosk key: %w", err)
	}
	b, err := k.Bundle(ca, id, public, now)
	b.Key = key
	return b, err
}

// Write stores the bundle as files in dir, the private key with mode 0600.
func (b Bundle) Write(dir string) error { return b.write(dir, writeFile) }

// WriteQuickly is Write for thousands of identities that can be made again: a power cut
// may leave some damaged.
func (b Bundle) WriteQuickly(dir string) error { return b.write(dir, os.WriteFile) }

func (b Bundle) write(dir string, writeFile func(path string, b []byte, mode os.FileMode) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("enrol: bundle: %w", err)
	}
	root, err := publicPEM(b.Root)
	if err != nil {
		return err
	}
	if b.Key != nil {
		key, err := privatePEM(b.Key)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, "kiosk.key"), key, 0o600); err != nil {
			return err
		}
	}
	return errors.Join(
		writeFile(filepath.Join(dir, "kiosk.pem"), b.Certificate, 0o644),
		writeFile(filepath.Join(dir, caFile), b.CA, 0o644),
		writeFile(filepath.Join(dir, listFile), b.Keys, 0o644),
		writeFile(filepath.Join(dir, rootFile), root, 0o644))
}

func publicPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("enrol: public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func parsePublic(b []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%T, want Ed25519", key)
	}
	return public, nil
}
