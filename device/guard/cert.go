package guard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/durable"
)

// The certificate is good from before there were kiosks until they are scrap: it is known
// by its hash, and a kiosk's clock may say any year.
var (
	certFrom = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	certTo   = time.Date(2055, 1, 1, 0, 0, 0, 0, time.UTC)
)

// openCert reads the certificate and key at path. What is missing or damaged is made
// anew, and telephones then have to compare it again.
func openCert(path, kiosk string) (tls.Certificate, error) {
	var c tls.Certificate
	parse := func(b []byte) (err error) {
		c, err = tls.X509KeyPair(b, b)
		return err
	}
	damaged, err := durable.Read(path, parse)
	if err == nil && (damaged != nil || c.Certificate == nil) {
		var b []byte
		if b, err = newCert(kiosk); err == nil {
			err = errors.Join(durable.Replace(path, b), parse(b))
		}
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("guard: certificate: %w", err)
	}
	return c, nil
}

func newCert(kiosk string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: kiosk}, DNSNames: []string{kiosk}, NotBefore: certFrom, NotAfter: certTo,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// fingerprint returns the SHA-256 of a certificate in hex, as browsers show it.
func fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// grouped returns a fingerprint in groups that an eye can compare.
func grouped(fingerprint string) []string {
	var all []string
	for i := 0; i+4 <= len(fingerprint); i += 4 {
		all = append(all, fingerprint[i:i+4])
	}
	return all
}
