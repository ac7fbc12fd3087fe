// Package agent is what a kiosk owes the server besides its check-ins, and what it
// keeps of what the server tells: who it is, a heartbeat with its health, the keys
// that it trusts, and the list of void cards.
//
// Its promise: nothing that arrives here can stop the door. Documents are taken
// only if their signature verifies and they are newer than what is held, and
// they are on disk before they count.
//
//	id, err := agent.ReadIdentity(dir)
//	state, err := agent.OpenState(path)
//	list, err := agent.OpenList(path, id.Key, state.List)
//	a := agent.New(id, state, list, queue, clock, since, health, log)
//	err = a.Run(ctx, link)
//
// Configuration, orders and updates from the server will come in here too; the
// files of an identity are described at [ReadIdentity].
package agent

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// The files of an identity directory, as the server's enrolment writes them.
const (
	keyFile  = "kiosk.key" // PKCS #8 PEM, mode 0600
	certFile = "kiosk.pem" // certificate of that key; its common name is the kiosk's id
	caFile   = "ca.pem"    // the server's own CA
	rootFile = "root.pub"  // PEM public key that signs key lists
	keysFile = "keys.cbor" // signed key list; rewritten when a newer one arrives
)

// An Identity is who a kiosk is and whom it trusts.
type Identity struct {
	Kiosk string
	Key   ed25519.PrivateKey // signs batches and proves the certificate
	Cert  tls.Certificate    // as it was at the start; see Certificate
	CA    *x509.CertPool
	Root  ed25519.PublicKey

	dir  string
	keys atomic.Pointer[wire.KeyList]
	cert atomic.Pointer[tls.Certificate]
}

// Certificate returns the certificate to connect with: Cert, until it was renewed.
func (id *Identity) Certificate() *tls.Certificate { return id.cert.Load() }

// ReplaceCertificate takes a certificate (PEM) for the same kiosk and key that the same
// CA has issued, and that ends later than the one held. It returns when that is on
// disk; the next connection uses it.
func (id *Identity) ReplaceCertificate(cert []byte) error {
	block, rest := pem.Decode(cert)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return errors.New("agent: renewed certificate: not one certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("agent: renewed certificate: %w", err)
	}
	// Whether it has ended is not judged here: this machine's clock may be wrong.
	_, err = leaf.Verify(x509.VerifyOptions{Roots: id.CA, CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("agent: renewed certificate: %w", err)
	}
	held := id.Certificate()
	if leaf.Subject.CommonName != id.Kiosk || !slices.Equal(leaf.Subject.OrganizationalUnit, held.Leaf.Subject.OrganizationalUnit) || !id.Key.Public().(ed25519.PublicKey).Equal(leaf.PublicKey) {
		return fmt.Errorf("agent: renewed certificate is of %q, or for another key", leaf.Subject.CommonName)
	}
	if !leaf.NotAfter.After(held.Leaf.NotAfter) {
		return fmt.Errorf("agent: renewed certificate: %w", ErrOld)
	}
	if err := durable.Replace(filepath.Join(id.dir, certFile), cert); err != nil {
		return fmt.Errorf("agent: renewed certificate: %w", err)
	}
	id.cert.Store(&tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: id.Key, Leaf: leaf})
	return nil
}

// Keys returns the key list in force.
func (id *Identity) Keys() *wire.KeyList { return id.keys.Load() }

// ReceiptKey returns the listed key of the server's receipts and answers with
// the given id, or nil.
func (id *Identity) ReceiptKey(keyID uint32) ed25519.PublicKey {
	return id.Keys().Signer(wire.ForReceipt)(keyID)
}

// ReadIdentity reads and checks the files in dir: kiosk.key, kiosk.pem, ca.pem,
// root.pub and keys.cbor. The error names the file that is wrong.
func ReadIdentity(dir string) (*Identity, error) {
	id := &Identity{dir: dir, CA: x509.NewCertPool()}
	if err := id.read(); err != nil {
		return nil, fmt.Errorf("agent: identity in %s: %w", dir, err)
	}
	return id, nil
}

func (id *Identity) read() error {
	files := map[string][]byte{}
	for _, name := range []string{keyFile, certFile, caFile, rootFile, keysFile} {
		var err error
		if files[name], err = os.ReadFile(filepath.Join(id.dir, name)); err != nil {
			return err
		}
	}
	var err error
	if id.Cert, err = tls.X509KeyPair(files[certFile], files[keyFile]); err != nil {
		return fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	id.cert.Store(&id.Cert)
	var ok bool
	if id.Key, ok = id.Cert.PrivateKey.(ed25519.PrivateKey); !ok {
		return fmt.Errorf("%s is a %T, not an Ed25519 key", keyFile, id.Cert.PrivateKey)
	}
	if id.Kiosk = id.Cert.Leaf.Subject.CommonName; !wire.ValidKiosk(id.Kiosk) {
		return fmt.Errorf("%s: %q cannot name a kiosk", certFile, id.Kiosk)
	}
	if !id.CA.AppendCertsFromPEM(files[caFile]) {
		return fmt.Errorf("%s: no certificate", caFile)
	}
	if id.Root, err = parsePublic(files[rootFile]); err != nil {
		return fmt.Errorf("%s: %w", rootFile, err)
	}
	keys, err := openKeys(files[keysFile], id.Root)
	if err != nil {
		return fmt.Errorf("%s: %w", keysFile, err)
	}
	id.keys.Store(keys)
	return nil
}

func parsePublic(b []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	pub, ok := k.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an Ed25519 key", k)
	}
	return pub, nil
}

// openKeys refuses a list with which a kiosk could seal nothing or would believe
// no receipt: after its next start the door would stay shut.
func openKeys(data []byte, root ed25519.PublicKey) (*wire.KeyList, error) {
	list, err := wire.OpenKeyList(data, root)
	if err != nil {
		return nil, err
	}
	for _, p := range []wire.Purpose{wire.ForSeal, wire.ForReceipt} {
		if _, ok := list.Current(p, time.Time{}); !ok {
			return nil, fmt.Errorf("key list %d.%d holds no %s key", list.Stamp.Generation, list.Stamp.Version, p)
		}
	}
	return list, nil
}

// ErrOld is returned for a key list that is not newer than the one held.
var ErrOld = errors.New("not newer than what is held")

// ReplaceKeys puts a newer key list in force. It returns when the list is on
// disk. Receipts and cards are judged by it at once.
func (id *Identity) ReplaceKeys(data []byte) error {
	list, err := openKeys(data, id.Root)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	if !list.Stamp.Newer(id.Keys().Stamp) {
		return fmt.Errorf("agent: key list %d.%d: %w", list.Stamp.Generation, list.Stamp.Version, ErrOld)
	}
	if err := durable.Replace(filepath.Join(id.dir, keysFile), data); err != nil {
		return fmt.Errorf("agent: key list: %w", err)
	}
	id.keys.Store(list)
	return nil
}

// CardKeys returns the listed keys that sign cards and event passes.
func (id *Identity) CardKeys() pass.Keys {
	return id.Keys().Cards()
}

// SealKey returns the key to seal subjects to.
func (id *Identity) SealKey(now time.Time) (wire.Key, error) {
	k, ok := id.Keys().Current(wire.ForSeal, now)
	if !ok {
		return k, errors.New("agent: the key list holds no key to seal to that is valid today; check the clock, or enrol again")
	}
	return k, nil
}
