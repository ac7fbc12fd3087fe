package enrol

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"time"
)

// serialOf is the serial number of the certificate that a kiosk's key gets on a day. It
// can be worked out again: what a key was ever given can be revoked although nothing was
// written down, and although the database is one that was restored.
func serialOf(public ed25519.PublicKey, at time.Time) *big.Int {
	text := append([]byte("qrgate kiosk certificate"), public...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(text, uint64(at.Unix()/daySeconds)))
	sum[0] = sum[0]&0x7f | 0x40 // positive, and always as long
	return new(big.Int).SetBytes(sum[:16])
}

const (
	daySeconds = 24 * 60 * 60
	day        = daySeconds * time.Second
)

// A Revoked is a kiosk's key that counts no more.
type Revoked struct {
	Public ed25519.PublicKey
	Since  time.Time // zero if nobody knows
}

// listBackdate makes a list valid for a broker whose clock is behind.
const listBackdate = time.Hour

// RevocationList returns the list (X.509, PEM) of the certificates of revoked keys that
// have not ended by themselves, for a broker that asks nobody else. old is the list
// that it has, or nil; it is returned as it is if it says the same. Of two lists the
// broker believes the one that says that it is younger, which the new one is.
func (ca *CA) RevocationList(all []Revoked, old []byte, now time.Time) ([]byte, error) {
	var entries []x509.RevocationListEntry
	for _, r := range all {
		if r.Since.IsZero() {
			r.Since = now.Truncate(day)
		}
		// A day more at each end, for clocks that differed.
		for at := r.Since.Add(day); at.After(r.Since.Add(-KioskLife - day)); at = at.Add(-day) {
			if at.Add(KioskLife + 2*day).After(now) {
				entries = append(entries, x509.RevocationListEntry{SerialNumber: serialOf(r.Public, at), RevocationTime: r.Since})
			}
		}
	}
	slices.SortFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) })
	issued := now.Add(-listBackdate).Truncate(time.Second)
	if was := ca.listed(old); was != nil {
		same := func(a, b x509.RevocationListEntry) bool { return a.SerialNumber.Cmp(b.SerialNumber) == 0 }
		if slices.EqualFunc(entries, was.RevokedCertificateEntries, same) {
			return old, nil
		}
		if !issued.After(was.ThisUpdate) {
			issued = was.ThisUpdate.Add(time.Second)
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(issued.Unix()), ThisUpdate: issued, NextUpdate: ca.cert.NotAfter, RevokedCertificateEntries: entries,
	}, ca.cert, ca.key)
	if err != nil {
		return nil, fmt.Errorf("enrol: list of revoked certificates: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// WriteRevocationList brings the file of [CA.RevocationList] up to date, durably and as a
// whole, and reports whether it had to.
func (ca *CA) WriteRevocationList(path string, all []Revoked, now time.Time) (changed bool, err error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("enrol: %w", err)
	}
	text, err := ca.RevocationList(all, old, now)
	if err != nil || bytes.Equal(text, old) {
		return false, err
	}
	return true, writeFile(path, text, 0o644)
}

// listed reads a list of this CA, or returns nil.
func (ca *CA) listed(text []byte) *x509.RevocationList {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	l, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || l.CheckSignatureFrom(ca.cert) != nil {
		return nil
	}
	return l
}

// SeatTLS returns the settings with which this server takes the place of kiosk id at a
// broker: brokers keep one connection for each name, so that ends the kiosk's own.
func (ca *CA) SeatTLS(id, serverName string, now time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("enrol: seat key: %w", err)
	}
	der, err := ca.client(id, RoleKiosk, key.Public(), now, LinkLife)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: ca.Pool(), ServerName: serverName,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}, nil
}
