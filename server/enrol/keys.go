package enrol

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

// The files of a key directory, besides one wrapped private key each, such as
// "receipt-1.key" and "ca.key".
const (
	listFile = "keys.cbor" // the signed wire.KeyList
	rootFile = "root.pub"
	caFile   = "ca.pem"
	caName   = "ca.key"
)

// rootID is the key id in a key list's envelope. Kiosks know one root.
const rootID = 1

// purposes are what [Init] makes a key for. Answers to beats are signed with
// the receipt key, which is therefore listed for both.
var purposes = []wire.Purpose{wire.ForSeal, wire.ForReceipt, wire.ForConfig, wire.ForOrder, wire.ForCard, wire.ForEvent}

// Keys are the server's own keys. Private keys are read when they are asked
// for, so that a process holds no more than it uses. It is safe for concurrent
// use.
type Keys struct {
	dir    vault.Dir
	master vault.Master
	root   ed25519.PublicKey
	list   *wire.KeyList
	signed []byte
}

// Init makes all keys of a server in a new or empty directory, wrapped by
// master, and writes the root's private key to rootPath, a new file of mode
// 0600 (PKCS#8, PEM). The server never needs that file again until a key is
// rotated: whoever calls Init tells people to take it off the server.
func Init(dir string, master vault.Master, rootPath string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("enrol: init: %w", err)
	}
	switch entries, err := os.ReadDir(dir); {
	case err != nil:
		return fmt.Errorf("enrol: init: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("enrol: init: %s is not empty: %w", dir, os.ErrExist)
	}
	k := &Keys{dir: vault.Dir(dir), master: master, list: &wire.KeyList{V: wire.Version, Stamp: wire.Stamp{Generation: 1, Version: 1}}}
	public, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("enrol: root key: %w", err)
	}
	if err := writeRoot(rootPath, root); err != nil {
		return err
	}
	for _, p := range purposes {
		id := uint32(1)
		if p == wire.ForEvent {
			id = 2 // cards and event passes say the key's id in the same byte
		}
		if err := k.make(p, id); err != nil {
			return err
		}
	}
	if err := k.makeCA(now); err != nil {
		return err
	}
	rootPEM, err := publicPEM(public)
	if err != nil {
		return err
	}
	// The list comes last: a directory without it is one that Init did not finish.
	return errors.Join(
		writeFile(filepath.Join(dir, rootFile), rootPEM, 0o644),
		writeFile(filepath.Join(dir, listFile), wire.Seal(wire.ForKeys, rootID, root, k.list), 0o644))
}

func writeRoot(path string, root ed25519.PrivateKey) error {
	b, err := privatePEM(root)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("enrol: root key: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("enrol: root key: %w", err)
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (k *Keys) make(p wire.Purpose, id uint32) error {
	seed := make([]byte, 32)
	rand.Read(seed)
	public, err := publicKey(p, seed)
	if err != nil {
		return fmt.Errorf("enrol: %s key: %w", p, err)
	}
	name := keyName(p, id)
	if _, err := k.dir.Create(name, k.master.Wrap(name, seed)); err != nil {
		return err
	}
	// From is left open: a kiosk whose clock says 1970 must seal all the same.
	k.list.Keys = append(k.list.Keys, wire.Key{ID: id, Purpose: p, Public: public})
	if p == wire.ForReceipt {
		k.list.Keys = append(k.list.Keys, wire.Key{ID: id, Purpose: wire.ForBeat, Public: public})
	}
	return nil
}

func publicKey(p wire.Purpose, seed []byte) ([]byte, error) {
	if p != wire.ForSeal {
		return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), nil
	}
	private, err := ecdh.X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	return private.PublicKey().Bytes(), nil
}

func (k *Keys) makeCA(now time.Time) error {
	ca, err := newCA(now)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return fmt.Errorf("enrol: CA key: %w", err)
	}
	if _, err := k.dir.Create(caName, k.master.Wrap(caName, der)); err != nil {
		return err
	}
	return writeFile(k.path(caFile), ca.Certificate(), 0o644)
}

// Load returns the keys in dir, which [Init] has made. The error is
// vault.ErrMaster, here or from a later call, if they are wrapped by another
// master key.
func Load(dir string, master vault.Master) (*Keys, error) {
	k := &Keys{dir: vault.Dir(dir), master: master}
	b, err := os.ReadFile(k.path(rootFile))
	if err != nil {
		return nil, fmt.Errorf("enrol: load keys: %w", err)
	}
	if k.root, err = parsePublic(b); err != nil {
		return nil, fmt.Errorf("enrol: load %s: %w", rootFile, err)
	}
	if k.signed, err = os.ReadFile(k.path(listFile)); err != nil {
		return nil, fmt.Errorf("enrol: load keys: %w", err)
	}
	if k.list, err = wire.OpenKeyList(k.signed, k.root); err != nil {
		return nil, fmt.Errorf("enrol: load %s: %w", listFile, err)
	}
	return k, nil
}

func (k *Keys) path(name string) string { return filepath.Join(string(k.dir), name) }

// List returns the list of public keys. The caller does not change it.
func (k *Keys) List() *wire.KeyList { return k.list }

// Signed returns the list as the root signed it, for kiosks.
func (k *Keys) Signed() []byte { return k.signed }

// Root returns the public key that kiosks verify the list with.
func (k *Keys) Root() ed25519.PublicKey { return k.root }

// Signer returns the newest key for p that is listed as valid at now.
func (k *Keys) Signer(p wire.Purpose, now time.Time) (id uint32, key ed25519.PrivateKey, err error) {
	listed, ok := k.list.Current(p, now)
	if !ok || p == wire.ForSeal {
		return 0, nil, fmt.Errorf("enrol: no %s key to sign with", p)
	}
	file := p
	if p == wire.ForBeat {
		file = wire.ForReceipt
	}
	seed, err := k.seed(keyName(file, listed.ID))
	if err != nil {
		return 0, nil, err
	}
	key = ed25519.NewKeyFromSeed(seed)
	if !key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(listed.Public)) {
		return 0, nil, fmt.Errorf("enrol: %s key %d is not the one that is listed", p, listed.ID)
	}
	return listed.ID, key, nil
}

// Seals returns every private seal key that the server holds, by id, as
// seal.NewOpener takes them. Those that are no longer listed are among them:
// a kiosk that was away may still deliver what it sealed to them.
func (k *Keys) Seals() (map[uint32][]byte, error) {
	names, err := k.dir.Names()
	if err != nil {
		return nil, err
	}
	seals := map[uint32][]byte{}
	for _, name := range names {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(name, ".key"), string(wire.ForSeal)+"-")
		if !ok {
			continue
		}
		id, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("enrol: seal key %s: %w", name, err)
		}
		if seals[uint32(id)], err = k.seed(name); err != nil {
			return nil, err
		}
	}
	return seals, nil
}

// CA returns the certificate authority.
func (k *Keys) CA() (*CA, error) {
	b, err := os.ReadFile(k.path(caFile))
	if err != nil {
		return nil, fmt.Errorf("enrol: CA: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("enrol: %s is no certificate", caFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA: %w", err)
	}
	der, err := k.seed(caName)
	if err != nil {
		return nil, err
	}
	key, err := parseCAKey(der, cert)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA: %w", err)
	}
	return &CA{key: key, cert: cert}, nil
}

func parseCAKey(der []byte, cert *x509.Certificate) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("key and certificate do not belong together")
	}
	return key, nil
}

func (k *Keys) seed(name string) ([]byte, error) {
	wrapped, err := k.dir.Load(name)
	if err != nil {
		return nil, err
	}
	return k.master.Unwrap(name, wrapped)
}

func keyName(p wire.Purpose, id uint32) string { return fmt.Sprintf("%s-%d.key", p, id) }
