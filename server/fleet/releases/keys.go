package releases

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/qrgate/qrgate/server/durable"
)

// The number of keepers, and how many of them must sign.
const (
	Keepers   = 3
	Threshold = 2
)

// OnlinePurpose is the purpose for which a master key gives the server's own key.
const OnlinePurpose = "release snapshot and timestamp 1"

// OnlineKey returns a server's own key from what its master key gives for
// [OnlinePurpose].
func OnlineKey(seed []byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed) }

// keyHeader says in a key file whose role a key has.
const keyHeader = "Role"

// A keeper is the two keys of one of those who sign.
type keeper struct {
	root, targets ed25519.PrivateKey
}

func newKeeper() (keeper, error) {
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keeper{}, err
	}
	_, targets, err := ed25519.GenerateKey(rand.Reader)
	return keeper{root, targets}, err
}

// write puts the keys into a new file, mode 0600. It never replaces one.
func (k keeper) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		role string
		key  ed25519.PrivateKey
	}{{metadata.ROOT, k.root}, {metadata.TARGETS, k.targets}} {
		der, err := x509.MarshalPKCS8PrivateKey(part.key)
		if err == nil {
			err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{keyHeader: part.role}, Bytes: der})
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path)))
}

// readKeeper reads a keeper's file.
func readKeeper(path string) (keeper, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return keeper{}, err
	}
	var k keeper
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return keeper{}, fmt.Errorf("%s: %w", path, err)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return keeper{}, fmt.Errorf("%s: a %T, not an Ed25519 key", path, parsed)
		}
		switch block.Headers[keyHeader] {
		case metadata.ROOT:
			k.root = key
		case metadata.TARGETS:
			k.targets = key
		}
	}
	if k.root == nil || k.targets == nil {
		return keeper{}, fmt.Errorf("%s: no keeper's keys", path)
	}
	return k, nil
}

// WriteOnline writes the public half of a server's own key, for [Init].
func WriteOnline(path string, key ed25519.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("releases: %w", err)
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

// ReadOnline reads what [WriteOnline] wrote.
func ReadOnline(path string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("releases: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("releases: %s: no PEM block", path)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("releases: %s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("releases: %s: a %T, not an Ed25519 key", path, parsed)
	}
	return key, nil
}

// idOf returns the id under which metadata knows a key.
func idOf(public crypto.PublicKey) (string, *metadata.Key, error) {
	k, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return "", nil, err
	}
	id, err := k.ID()
	return id, k, err
}

// sign adds k's signature to m, in the place of an earlier one of the same key.
func sign[T metadata.Roles](m *metadata.Metadata[T], k ed25519.PrivateKey) error {
	id, _, err := idOf(k.Public())
	if err != nil {
		return err
	}
	kept := m.Signatures[:0]
	for _, s := range m.Signatures {
		if s.KeyID != id {
			kept = append(kept, s)
		}
	}
	m.Signatures = kept
	signer, err := signature.LoadSigner(k, crypto.Hash(0))
	if err != nil {
		return err
	}
	_, err = m.Sign(signer)
	return err
}
